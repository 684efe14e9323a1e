//! Files and directories that only their owner can read.

use std::path::Path;

use anyhow::{Context as _, Result};

/// Creates a directory that only its owner can read.
///
/// # Errors
/// It cannot be created.
pub fn create_private_dir(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot create the data directory {}", path.display()))
}

/// Writes a file that only its owner can read: beside and renamed, so that a crash leaves no half of
/// it.
///
/// # Errors
/// It cannot be written.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let draft = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all())?;
    std::fs::rename(&draft, path)
}

/// Warns of a key that others on this machine can read. It is not mended: who let them may have a
/// reason, such as a group for backups.
fn warn_if_open(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map_or(0, |file| file.permissions().mode() & 0o777);
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            mode = format!("{mode:o}"),
            "other users of this machine can read the secret key: run chmod 600 on it"
        );
    }
}

/// The text of the secret key file, when there is one.
pub(super) fn read_private(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            warn_if_open(path);
            Ok(Some(text))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("cannot read the secret key file"),
    }
}
