//! Backups: one compressed tar file with the database, the files of its messages, and checksums of both.
//!
//! The secret key is never in one, only its fingerprint. A restored device must be linked again: its keys have
//! gone on since the backup, and used twice they would break its sessions.

mod archive;
mod make;
mod manifest;
mod restore;
mod serve;

pub use make::{Made, MediaPart, make, make_stream};
pub use manifest::{Database, Media};
pub use restore::{Report, restore};
pub use serve::ServedBackups;

/// The name of the database in a backup, and in the data directory.
const DATABASE: &str = "gerbang.sqlite";
/// The folder of media in a backup.
const MEDIA: &str = "media";
/// The checksums of everything else in a backup, its last member: `sha256sum -c` reads it.
const SUMS: &str = "SHA256SUMS";
/// What begins the name of a folder that is on its way, and is removed at the end.
const DRAFT_PREFIX: &str = ".gerbang-draft-";
