//! Space on the disk that is kept for the day when there is none: a deletion writes, too.
//!
//! The file holds nothing. A deletion on a full disk removes it and has its bytes: what a device leaves
//! waiting is moved into the history, in the log and then in the database, before it leaves room there.

use std::io;
use std::path::{Path, PathBuf};

use domain::policy::queue::WAITING_TEXT_BYTES_MAX;

use super::{CHECKPOINT_PAGES, open_private};

/// Twice what may wait, and what the log holds before it is moved into the database.
const RESERVE_BYTES: u64 =
    2 * (WAITING_TEXT_BYTES_MAX.unsigned_abs() + 4_096 * CHECKPOINT_PAGES as u64);
/// The part of a small disk's free space that is kept: one in this many.
const SHARE_OF_FREE: u64 = 4;
/// A reserve of less is none.
const RESERVE_BYTES_MIN: u64 = 1024 * 1024;

/// The reserve of a database.
#[derive(Debug, Clone)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// The reserve of the database at `path`.
    pub(super) fn of(path: &Path) -> Self {
        let mut path = path.as_os_str().to_owned();
        path.push(".reserve");
        Self { path: path.into() }
    }

    /// Takes the space, if it is not taken and there is enough.
    pub(super) fn hold(&self) {
        if self.path.exists() {
            return;
        }
        let taken = self.free_bytes().and_then(|free| {
            let bytes = RESERVE_BYTES.min(free / SHARE_OF_FREE);
            if bytes >= RESERVE_BYTES_MIN { self.take(bytes) } else { Ok(()) }
        });
        if let Err(error) = taken {
            tracing::warn!(%error, "no space can be reserved for deletions on a full disk");
            self.remove();
        }
    }

    /// Gives the space to a deletion that could find too little; whether it could.
    pub(super) fn release_if_full(&self) -> bool {
        let is_full = self.free_bytes().is_ok_and(|free| free < RESERVE_BYTES);
        if is_full && self.path.exists() {
            tracing::warn!("the disk is nearly full: the space reserved for deletions is used");
            self.remove();
        }
        is_full
    }

    /// Whether there is no space at all. SQLite can open a database then whose files are there already, and
    /// fails at the first write.
    pub(super) fn is_without_room(&self) -> bool {
        if self.path.exists() || !is_out_of_space(&self.path) {
            return false;
        }
        // Some may use what is not free for all.
        let taken = self.take(RESERVE_BYTES_MIN);
        self.remove();
        taken.is_err_and(|error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        })
    }

    fn remove(&self) {
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the reserved space cannot be released");
        }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        free_bytes(&self.path)
    }

    #[cfg(target_os = "linux")]
    fn take(&self, bytes: u64) -> io::Result<()> {
        let file = open_private(&self.path)?;
        Ok(rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)?)
    }

    /// A file of zeros may take no space; only Linux has the call that takes it for certain.
    #[cfg(not(target_os = "linux"))]
    fn take(&self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }
}

/// The free bytes of the disk that a file is on.
fn free_bytes(path: &Path) -> io::Result<u64> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let disk = rustix::fs::statvfs(folder.unwrap_or(Path::new(".")))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether the disk that a file is on has no space that SQLite could open a database with.
pub(super) fn is_out_of_space(path: &Path) -> bool {
    free_bytes(path).is_ok_and(|free| free < RESERVE_BYTES_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_until_the_disk_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::of(&folder.path().join("a.sqlite"));
        reserve.hold();
        reserve.hold();
        let size = std::fs::metadata(&reserve.path).unwrap().len();
        assert!((RESERVE_BYTES_MIN..=RESERVE_BYTES).contains(&size), "{size}");
        if reserve.free_bytes().unwrap() > RESERVE_BYTES {
            assert!(!reserve.release_if_full() && reserve.path.exists());
        }
        reserve.remove();
        reserve.remove();
        assert!(!reserve.path.exists());
    }
}
