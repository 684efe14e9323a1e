//! Makes what one `pub mod` line of `src/dialects/mod.rs` registers: the list of dialects, in the order
//! of those lines, and for the documentation the guides of `docs/` and the programs of
//! `examples/clients`, as they are.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const LIST: &str = "src/dialects/mod.rs";
const ROOT: &str = "../..";

fn main() {
    println!("cargo::rerun-if-changed={LIST}");
    println!("cargo::rerun-if-changed={ROOT}/docs");
    println!("cargo::rerun-if-changed={ROOT}/examples/clients");
    let list = std::fs::read_to_string(LIST).expect("the list of dialects");
    let name = |line: &str| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned());
    let names: Vec<String> = list.lines().filter_map(name).collect();

    let dialects: String = names.iter().map(|name| format!("&{name}::DIALECT, ")).collect();
    write("dialects.rs", &dialects);

    let root = Path::new(ROOT).canonicalize().expect("the workspace");
    let clients = root.join("examples/clients");
    let mut sources = source("v1", &root.join("docs/api.md"), &clients);
    for name in &names {
        let guide = root.join("docs/dialects").join(name).with_extension("md");
        sources += &source(name, &guide, &clients);
    }
    write("sources.rs", &sources);
    write("receivers.rs", &files(&clients.join("webhooks")));
}

fn write(name: &str, items: &str) {
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    std::fs::write(Path::new(&out).join(name), format!("[{items}]"))
        .expect("cargo's own folder can be written to");
}

/// A `Sources`. A new dialect has neither a guide nor clients.
fn source(api: &str, guide: &Path, clients: &Path) -> String {
    let text = if guide.exists() { format!("include_str!({guide:?})") } else { "\"\"".to_owned() };
    let clients = files(&clients.join(api));
    format!("Sources {{ api: {api:?}, guide: {text}, clients: &[{clients}] }},\n")
}

/// The `File`s of a folder, by name.
fn files(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let mut items = String::new();
    for path in paths.iter().filter(|path| path.is_file()) {
        let name = path.file_name().unwrap_or_default();
        let _ = write!(items, "File {{ name: {name:?}, text: include_str!({path:?}) }}, ");
    }
    items
}
