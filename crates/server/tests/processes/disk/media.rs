//! The media store on such a disk: without a sync of the file its bytes may be gone, and without a sync of its
//! folder its name. A deletion stays, synced or not: what comes back by accident is swept away, as any file is
//! that no row names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::SECTOR;

/// What is in a folder of such a name is removed at each start.
const DRAFTS: &str = "media/.drafts";

/// What is not safe, as the log says it; names in the data directory.
#[derive(Default)]
pub(super) struct MediaStore {
    /// Written since their last sync.
    dirty: BTreeSet<PathBuf>,
    /// Names that came into a folder after its last sync.
    unsynced: BTreeSet<PathBuf>,
    /// Files whose names were written.
    named: BTreeSet<PathBuf>,
}

impl MediaStore {
    /// An entry of the log: its kind as in `disk.c`, and its path, or two with a zero between.
    pub(super) fn apply(&mut self, kind: u8, data: &[u8]) {
        let text = std::str::from_utf8(data).unwrap();
        let (first, second) = text.split_once('\0').unwrap_or((text, ""));
        let path = PathBuf::from(first);
        match kind {
            // The data directory itself is the operator's to make.
            b'm' if first.is_empty() => {}
            b'm' => {
                self.dirty.insert(path.clone());
                self.unsynced.insert(path);
            }
            b'w' => {
                self.dirty.insert(path);
            }
            b's' => {
                self.dirty.remove(&path);
                self.unsynced.retain(|name| name.parent() != Some(path.as_path()));
            }
            b'd' => self.forget(&path),
            b'r' => {
                let is_dirty = self.dirty.contains(&path);
                self.forget(&path);
                let path = PathBuf::from(second);
                self.forget(&path);
                if is_dirty {
                    self.dirty.insert(path.clone());
                }
                self.unsynced.insert(path.clone());
                self.named.insert(path);
            }
            other => panic!("an entry of kind {other}"),
        }
    }

    fn forget(&mut self, path: &Path) {
        self.dirty.remove(path);
        self.unsynced.remove(path);
        self.named.remove(path);
    }

    /// Whether a name is there after any power failure, with its bytes.
    fn is_safe(&self, name: &Path) -> bool {
        !self.dirty.contains(name) && name.ancestors().all(|above| !self.unsynced.contains(above))
    }

    /// How many files are there after any power failure, of those whose names were written.
    pub(super) fn safe(&self) -> usize {
        self.named.iter().filter(|name| self.is_safe(name)).count()
    }

    /// The power fails: what is not safe may be gone. How many files and folders lost their names or bytes.
    pub(super) fn lose_power(&self, data: &Path, random: &mut StdRng) -> usize {
        let survival = random.random::<f64>();
        let is_draft = |name: &&PathBuf| name.to_string_lossy().starts_with(DRAFTS);
        let mut lost = 0;
        // Folders come before what is in them, which goes with them.
        for name in self.unsynced.iter().filter(|name| !is_draft(name)) {
            let path = data.join(name);
            if path.exists() && !random.random_bool(survival) {
                let removed = match path.is_dir() {
                    true => fs::remove_dir_all(path),
                    false => fs::remove_file(path),
                };
                removed.unwrap();
                lost += 1;
            }
        }
        for name in self.dirty.iter().filter(|name| !is_draft(name)) {
            let path = data.join(name);
            if path.is_file() {
                lost += usize::from(tear(&path, survival, random));
            }
        }
        lost
    }
}

/// Some sectors of a file were not written; whether any were not.
fn tear(path: &Path, survival: f64, random: &mut StdRng) -> bool {
    let mut bytes = fs::read(path).unwrap();
    let mut is_torn = false;
    for sector in bytes.chunks_mut(SECTOR) {
        if !random.random_bool(survival) {
            sector.fill(0);
            is_torn = true;
        }
    }
    fs::write(path, bytes).unwrap();
    is_torn
}

#[test]
fn a_file_survives_once_it_and_every_folder_above_it_are_synced() {
    use rand::SeedableRng as _;
    let steps: [(u8, &[u8]); 10] = [
        (b'm', b""),
        (b'm', b"media"),
        (b's', b""),
        (b'm', b"media/.drafts/x"),
        (b's', b"media/.drafts/x"),
        (b'm', b"media/1"),
        (b'r', b"media/.drafts/x\x00media/1/k"),
        (b's', b"media/1"),
        (b's', b"media"),
        (b'd', b"media/.drafts/y"),
    ];
    // What is left out, and whether the file is safe all the same.
    for (missing, is_safe) in [(2, false), (4, false), (7, false), (8, false), (9, true)] {
        let mut store = MediaStore::default();
        let done = steps.iter().enumerate().filter(|(n, _)| *n != missing);
        done.for_each(|(_, (kind, data))| store.apply(*kind, data));
        assert_eq!(store.safe(), usize::from(is_safe), "without step {missing}");
        let survives = |seed| {
            let data = tempfile::tempdir().unwrap();
            let path = data.path().join("media/1/k");
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "bytes").unwrap();
            let lost = store.lose_power(data.path(), &mut StdRng::seed_from_u64(seed));
            let is_whole = fs::read(path).is_ok_and(|bytes| bytes == b"bytes");
            assert_eq!(lost == 0, is_whole, "{lost} lost");
            is_whole
        };
        let survivors = (0..50).filter(|seed| survives(*seed)).count();
        assert_eq!(survivors == 50, is_safe, "without step {missing}");
    }
}
