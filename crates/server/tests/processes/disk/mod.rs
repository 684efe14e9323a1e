//! The disk under the gateway's SQLite files and its media store, as a library that is preloaded into it (`disk.c`):
//! it may be full, and when the power fails it loses what was not synced.

mod full;
mod media;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use rand::RngExt as _;
use rand::rngs::StdRng;
use tempfile::TempDir;

use crate::support::preload;
use media::MediaStore;

/// The SQLite files, in the order of `disk.c`; what comes after them is the media store.
const FILES: [&str; 3] = ["gerbang.sqlite", "gerbang.sqlite-wal", "gerbang.sqlite-journal"];
/// Shared memory of the processes that use the database: it is gone after a power failure.
const SHARED_MEMORY: &str = "gerbang.sqlite-shm";
/// What a disk writes whole, or not at all.
const SECTOR: usize = 512;

/// A disk under one gateway.
pub struct Disk {
    dir: TempDir,
    settings: Vec<(String, String)>,
    /// What was on it when the log began.
    base: HashMap<&'static str, Vec<u8>>,
    /// What its power failures have done so far.
    pub losses: Losses,
}

/// What power failures have done.
#[derive(Debug, Default)]
pub struct Losses {
    /// Writes to the SQLite files that were lost, whole or in part.
    pub writes: usize,
    /// Files and folders of the media store that were lost, or whose bytes were.
    pub files: usize,
    /// Files of the media store that no power failure could take any more.
    pub safe_files: usize,
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writes, files, safe_files } = self;
        write!(f, "{writes} writes and {files} files were lost, {safe_files} files were safe")
    }
}

/// An entry of the log as it is there: its kind and file, and what they are of.
struct Record<'a> {
    kind: u8,
    file: usize,
    offset: usize,
    data: &'a [u8],
}

/// An entry of a SQLite file.
enum Entry<'a> {
    Write { offset: usize, data: &'a [u8] },
    Truncate { length: usize },
    Sync,
    Delete,
}

impl Disk {
    /// An empty disk with space.
    ///
    /// # Panics
    /// Without a C compiler.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let library = preload::build("disk/disk.c", dir.path());
        let setting = |name: &str, path: &Path| (name.to_owned(), path.display().to_string());
        let (log, space) = (dir.path().join("log"), dir.path().join("space"));
        let settings = vec![
            setting("LD_PRELOAD", &library),
            setting("DISK_LOG", &log),
            setting("DISK_SPACE", &space),
        ];
        let disk = Self { dir, settings, base: HashMap::new(), losses: Losses::default() };
        std::fs::write(&space, (-1_i64).to_ne_bytes()).unwrap();
        std::fs::write(&log, []).unwrap();
        disk
    }

    /// What puts it under a gateway.
    pub fn settings(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// It is full after some more writes.
    pub fn fill_after(&self, writes: u32) {
        self.set_space(i64::from(writes));
    }

    /// Whether it is full.
    pub fn is_full(&self) -> bool {
        std::fs::read(self.path("space")).unwrap() == 0_i64.to_ne_bytes()
    }

    /// There is space again.
    pub fn free(&self) {
        self.set_space(-1);
    }

    /// In place: the gateway has mapped the file.
    fn set_space(&self, writes: i64) {
        use std::os::unix::fs::FileExt as _;
        let file = std::fs::OpenOptions::new().write(true).open(self.path("space")).unwrap();
        file.write_all_at(&writes.to_ne_bytes(), 0).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The power fails: of what was written since the last sync, any part may be gone. The gateway must
    /// have been killed.
    pub fn lose_power(&mut self, data: &Path, random: &mut StdRng) {
        let log = std::fs::read(self.path("log")).unwrap();
        let mut entries: BTreeMap<usize, Vec<Entry<'_>>> = BTreeMap::new();
        let mut media = MediaStore::default();
        let mut rest = &log[..];
        while let Some(record) = take_record(&mut rest) {
            match record.file < FILES.len() {
                true => entries.entry(record.file).or_default().push(Entry::of(&record)),
                false => media.apply(record.kind, record.data),
            }
        }
        for (file, entries) in entries {
            let before = self.base.remove(FILES[file]);
            let (after, count) = surviving(before, &entries, random);
            self.losses.writes += count;
            let path = data.join(FILES[file]);
            match after {
                Some(content) => {
                    std::fs::write(path, &content).unwrap();
                    self.base.insert(FILES[file], content);
                }
                None => drop(std::fs::remove_file(path)),
            }
        }
        self.losses.safe_files += media.safe();
        self.losses.files += media.lose_power(data, random);
        let _ = std::fs::remove_file(data.join(SHARED_MEMORY));
        std::fs::write(self.path("log"), []).unwrap();
    }
}

/// Takes an entry off the log: kind, file, two empty bytes, length, offset, data.
fn take_record<'a>(rest: &mut &'a [u8]) -> Option<Record<'a>> {
    let (head, data) = rest.split_first_chunk::<16>()?;
    let length = u32::from_ne_bytes(head[4..8].try_into().unwrap()) as usize;
    let offset = u64::from_ne_bytes(head[8..16].try_into().unwrap()) as usize;
    // The last one may be cut off by the kill.
    let data = data.get(..length)?;
    *rest = &rest[16 + length..];
    Some(Record { kind: head[0], file: usize::from(head[1]) - 1, offset, data })
}

impl<'a> Entry<'a> {
    fn of(record: &Record<'a>) -> Self {
        let Record { offset, data, .. } = *record;
        match record.kind {
            b'w' => Self::Write { offset, data },
            b't' => Self::Truncate { length: offset },
            b's' => Self::Sync,
            b'd' => Self::Delete,
            other => panic!("an entry of kind {other}"),
        }
    }
}

/// A file after a power failure, and how many writes to it were lost, whole or in part.
fn surviving(
    before: Option<Vec<u8>>,
    entries: &[Entry<'_>],
    random: &mut StdRng,
) -> (Option<Vec<u8>>, usize) {
    let synced = entries.iter().rposition(|entry| matches!(entry, Entry::Sync)).unwrap_or(0);
    let survival = random.random::<f64>();
    let (mut file, mut lost) = (before, 0);
    for (index, entry) in entries.iter().enumerate() {
        match entry {
            Entry::Write { offset, data } if index < synced => put(&mut file, *offset, data),
            Entry::Write { offset, data } => {
                let mut is_whole = true;
                for (n, sector) in data.chunks(SECTOR).enumerate() {
                    match random.random_bool(survival) {
                        true => put(&mut file, offset + n * SECTOR, sector),
                        false => is_whole = false,
                    }
                }
                lost += usize::from(!is_whole);
            }
            Entry::Truncate { length } => file.get_or_insert_default().resize(*length, 0),
            Entry::Delete => file = None,
            Entry::Sync => {}
        }
    }
    (file, lost)
}

fn put(file: &mut Option<Vec<u8>>, offset: usize, data: &[u8]) {
    let file = file.get_or_insert_default();
    if file.len() < offset + data.len() {
        file.resize(offset + data.len(), 0);
    }
    file[offset..][..data.len()].copy_from_slice(data);
}

#[test]
fn what_was_synced_survives_and_the_rest_may_not() {
    use rand::SeedableRng as _;
    let write = |data| Entry::Write { offset: 0, data };
    let entries = [write(&[1; 4 * SECTOR]), Entry::Sync, write(&[2; 4 * SECTOR])];
    let mut sectors = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let mut random = StdRng::seed_from_u64(seed);
        let (file, _) = surviving(None, &entries, &mut random);
        let file = file.unwrap();
        assert!(file.iter().all(|byte| [1, 2].contains(byte)), "synced data is gone");
        sectors.extend(file.chunks(SECTOR).map(|sector| sector[0]));
        let (file, lost) = surviving(None, &entries[..2], &mut random);
        assert_eq!((file, lost), (Some(vec![1; 4 * SECTOR]), 0));
    }
    assert_eq!(Vec::from_iter(sectors), [1, 2], "later writes survive in part");
}
