//! Real files, made with ffmpeg 5.1, and malformed ones.

mod files;
mod voice;

use std::path::Path;
use std::sync::Arc;

use domain::media::{MediaWish, ReadyMedia, TempMedia};
use domain::message::{ContentKind, Failure};
use domain::ports::{FileError, MediaCodec as _};
use tempfile::TempDir;

use crate::Codec;

/// A codec with its folder, and one for what comes in.
struct Rig {
    codec: Codec,
    dir: TempDir,
    incoming: TempDir,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let codec = Codec::new(dir.path().to_owned()).unwrap();
        Self { codec, dir, incoming: tempfile::tempdir().unwrap() }
    }

    fn file(&self, bytes: &[u8]) -> TempMedia {
        let mut file = tempfile::NamedTempFile::new_in(self.incoming.path()).unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        let path = file.into_temp_path();
        TempMedia { path: path.to_path_buf(), size: bytes.len() as u64, guard: Arc::new(path) }
    }

    async fn prepare(
        &self,
        bytes: &[u8],
        kind: Option<ContentKind>,
    ) -> Result<ReadyMedia, FileError> {
        self.codec.prepare(self.file(bytes), MediaWish { kind, ..MediaWish::default() }).await
    }

    async fn voice(&self, bytes: &[u8]) -> Result<ReadyMedia, FileError> {
        self.prepare(bytes, Some(ContentKind::Voice)).await
    }

    /// Files in both folders.
    fn files(&self) -> usize {
        let count = |dir: &TempDir| std::fs::read_dir(dir.path()).unwrap().count();
        count(&self.dir) + count(&self.incoming)
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/fixtures");
    std::fs::read(dir.join(name)).unwrap()
}

/// What is wrong with the file itself.
fn failure(message: &str) -> FileError {
    FileError::Permanent(Failure::new("media", message))
}
