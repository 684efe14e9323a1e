//! Libraries in C that are preloaded into a gateway.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds one from its source among the tests of processes.
///
/// # Panics
/// Without a C compiler.
pub fn build(source: &str, into: &Path) -> PathBuf {
    let library = into.join("preloaded.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processes").join(source);
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library);
    let status = compiler.arg(source).arg("-ldl").status();
    assert!(status.expect("a C compiler").success());
    library
}
