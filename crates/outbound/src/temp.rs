//! Temporary files: gone with the value that stands for them, or at the next start.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use tempfile::NamedTempFile;

/// How the names of our files begin.
const PREFIX: &str = "fetch-";

/// Makes the folder, readable for us alone, and removes what an earlier process left.
pub(crate) fn prepare(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes a file that is removed when it is dropped.
pub(crate) fn create(dir: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(PREFIX).tempfile_in(dir)
}

/// Free bytes where `dir` is, for us.
pub(crate) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let state = rustix::fs::statvfs(dir)?;
    Ok(state.f_bavail.saturating_mul(state.f_frsize))
}
