//! Makes the list of dialects from the `pub mod` lines of `src/dialects/mod.rs`, in their order, so
//! that one line registers a dialect.

use std::path::Path;

const LIST: &str = "src/dialects/mod.rs";

fn main() {
    println!("cargo::rerun-if-changed={LIST}");
    let source = std::fs::read_to_string(LIST).expect("the list of dialects");
    let name = |line: &str| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned());
    let dialects: String =
        source.lines().filter_map(name).map(|name| format!("&{name}::DIALECT, ")).collect();
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    std::fs::write(Path::new(&out).join("dialects.rs"), format!("[{dialects}]"))
        .expect("cargo's own folder can be written to");
}
