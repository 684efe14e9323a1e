//! Makes what one `pub mod` line of `src/dialects/mod.rs` registers: the list of dialects, in the order
//! of those lines, and for the documentation the guides of `docs/` and the programs of
//! `examples/clients`, as they are.
//!
//! Generated code names files from `CARGO_MANIFEST_DIR`, which the compiler resolves: a target folder
//! that moves to another checkout stays valid.

use std::fmt::Write as _;
use std::path::Path;

const LIST: &str = "src/dialects/mod.rs";
const ROOT: &str = "../..";
const GUIDES: &str = "docs/dialects";
const CLIENTS: &str = "examples/clients";

fn main() {
    println!("cargo::rerun-if-changed={LIST}");
    println!("cargo::rerun-if-changed={ROOT}/docs");
    println!("cargo::rerun-if-changed={ROOT}/{CLIENTS}");
    let list = std::fs::read_to_string(LIST).expect("the list of dialects");
    let name = |line: &str| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned());
    let names: Vec<String> = list.lines().filter_map(name).collect();

    let dialects: String = names.iter().map(|name| format!("&{name}::API, ")).collect();
    write("apis.rs", &dialects);

    let mut sources = source("v1", "docs/api.md");
    for name in &names {
        sources += &source(name, &format!("{GUIDES}/{name}.md"));
    }
    write("sources.rs", &sources);
    write("receivers.rs", &files(&format!("{CLIENTS}/webhooks")));
}

fn write(name: &str, items: &str) {
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    std::fs::write(Path::new(&out).join(name), format!("[{items}]"))
        .expect("cargo's own folder can be written to");
}

/// A `Sources`. A new dialect has neither a guide nor clients.
fn source(api: &str, guide: &str) -> String {
    let has_guide = Path::new(ROOT).join(guide).exists();
    let guide = if has_guide { include(guide) } else { "\"\"".to_owned() };
    let clients = files(&format!("{CLIENTS}/{api}"));
    format!("Sources {{ api: {api:?}, guide: {guide}, clients: &[{clients}] }},\n")
}

/// The `File`s of a folder, by name.
fn files(folder: &str) -> String {
    let entries = std::fs::read_dir(Path::new(ROOT).join(folder)).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    let mut names: Vec<String> =
        files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let mut items = String::new();
    for name in names {
        let text = include(&format!("{folder}/{name}"));
        let _ = write!(items, "File {{ name: {name:?}, text: {text} }}, ");
    }
    items
}

/// The text of a file of the workspace.
fn include(path: &str) -> String {
    format!("include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{ROOT}/{path}\"))")
}
