//! The tar file: written in one pass, read in one pass, every member hashed on its way.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path};

use anyhow::{Context as _, Result, bail, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::manifest::{self, Manifest};
use super::{DATABASE, MEDIA, SUMS};

/// Bytes that are copied at a time.
const COPY_BYTES: usize = 64 * 1024;
/// Longest list of checksums that is read: a million files.
const SUMS_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Writes a backup.
pub struct Writer<W: Write> {
    tar: tar::Builder<GzEncoder<W>>,
    sums: String,
    made_at: Timestamp,
}

impl<W: Write> Writer<W> {
    /// One that begins with its manifest.
    pub fn start(out: W, manifest: &Manifest) -> io::Result<Self> {
        let tar = tar::Builder::new(GzEncoder::new(out, Compression::fast()));
        let mut writer = Self { tar, sums: String::new(), made_at: manifest.created_at };
        let text = serde_json::to_vec_pretty(manifest)?;
        writer.add(manifest::NAME, text.len() as u64, text.as_slice())?;
        Ok(writer)
    }

    /// Adds a member of `size` bytes.
    pub fn add(&mut self, name: &str, size: u64, bytes: impl Read) -> io::Result<()> {
        let mut bytes = Hashing { bytes, hash: Sha256::new() };
        self.append(name, size, &mut bytes)?;
        let hash = hex::encode(bytes.hash.finalize());
        self.sums.push_str(&format!("{hash}  {name}\n"));
        Ok(())
    }

    /// Adds the checksums and ends the file.
    pub fn finish(mut self) -> io::Result<W> {
        let sums = std::mem::take(&mut self.sums);
        self.append(SUMS, sums.len() as u64, sums.as_bytes())?;
        self.tar.into_inner()?.finish()
    }

    fn append(&mut self, name: &str, size: u64, bytes: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.made_at.as_second()).unwrap_or(0));
        header.set_size(size);
        self.tar.append_data(&mut header, name, bytes)
    }
}

struct Hashing<R> {
    bytes: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.bytes.read(into)?;
        self.hash.update(&into[..n]);
        Ok(n)
    }
}

/// A member of a backup, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member<'a> {
    /// The database.
    Database,
    /// A file that came in, by its name in the media store.
    Media(&'a str),
}

/// Reads a backup: `check` decides by its manifest whether it goes on, `open` where a member is written to;
/// `None` skips it. Returns how many files of media were written.
///
/// # Errors
/// It is no backup, is damaged or incomplete, or cannot be written.
pub fn read(
    backup: File,
    check: impl FnOnce(&Manifest) -> Result<()>,
    mut open: impl FnMut(&Manifest, Member<'_>) -> Result<Option<File>>,
) -> Result<u64> {
    let mut tar = tar::Archive::new(GzDecoder::new(io::BufReader::new(backup)));
    let mut members = tar.entries().context("it is no tar file")?;
    let mut found = BTreeMap::new();
    let first = members.next().context("it is empty")?;
    let mut first = first.context("it is no backup, or damaged")?;
    ensure!(name_of(&first)? == manifest::NAME, "it is no backup: it has no manifest");
    let text = small(&mut first, manifest::BYTES_MAX)?;
    found.insert(manifest::NAME.to_owned(), hex::encode(Sha256::digest(&text)));
    let manifest = Manifest::parse(&text)?;
    check(&manifest)?;
    let (mut sums, mut files) = (None, 0);
    for member in members {
        let mut member = member.context("it is damaged")?;
        ensure!(sums.is_none(), "something follows its end");
        let name = name_of(&member)?;
        if name == SUMS {
            sums = Some(small(&mut member, SUMS_BYTES_MAX)?);
            continue;
        }
        let kind = kind_of(&name)?;
        let target = open(&manifest, kind)?;
        files += u64::from(target.is_some() && kind != Member::Database);
        let hash =
            copy(&mut member, target).with_context(|| format!("{name} cannot be unpacked"))?;
        ensure!(found.insert(name, hash).is_none(), "a member is there twice");
    }
    // To the end, where the checksum of the compression is.
    io::copy(&mut tar.into_inner(), &mut io::sink()).context("it is damaged")?;
    let sums = sums.context("it is incomplete: its end is missing")?;
    compare(&sums, &found)?;
    Ok(files)
}

fn compare(sums: &[u8], found: &BTreeMap<String, String>) -> Result<()> {
    let sums = std::str::from_utf8(sums).context("its checksums cannot be read")?;
    let kept: BTreeMap<_, _> = sums
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(hash, name)| (name, hash))
        .collect();
    for (name, hash) in found {
        ensure!(kept.get(name.as_str()) == Some(&hash.as_str()), "{name} is damaged");
    }
    match kept.keys().find(|name| !found.contains_key(**name)) {
        Some(name) => bail!("it is incomplete: {name} is missing"),
        None => Ok(()),
    }
}

fn name_of<R: Read>(member: &tar::Entry<'_, R>) -> Result<String> {
    ensure!(member.header().entry_type().is_file(), "it holds something that is no file");
    let path = member.path().context("the name of a member cannot be read")?;
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    ensure!(is_plain, "the name of a member leads out of it");
    Ok(path.to_str().context("the name of a member is no UTF-8")?.to_owned())
}

fn kind_of(name: &str) -> Result<Member<'_>> {
    let media = name.strip_prefix(MEDIA).and_then(|rest| rest.strip_prefix('/'));
    match media {
        Some(key) if !key.is_empty() => Ok(Member::Media(key)),
        _ if name == DATABASE => Ok(Member::Database),
        _ => bail!("it holds {name}, which is no part of a backup"),
    }
}

fn small(member: &mut impl Read, bytes_max: u64) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    member.take(bytes_max + 1).read_to_end(&mut text).context("it is damaged")?;
    ensure!(text.len() as u64 <= bytes_max, "a member is too long");
    Ok(text)
}

/// Copies a member to the disk, and returns its hash.
fn copy(member: &mut impl Read, mut target: Option<File>) -> io::Result<String> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; COPY_BYTES]);
    loop {
        let n = member.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
        if let Some(file) = &mut target {
            file.write_all(&buffer[..n])?;
        }
    }
    if let Some(file) = target {
        file.sync_all()?;
    }
    Ok(hex::encode(hash.finalize()))
}

/// Creates a new file that only its owner can read, with the folders it is in.
///
/// # Errors
/// It is there already, or cannot be created.
pub fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom};

    use super::super::manifest::{Database, Media};
    use super::*;

    fn manifest() -> Manifest {
        let key = "0011223344556677".to_owned();
        let facts = store::DatabaseFacts { schema: 1, oldest: 1, setting: None };
        Manifest::new(Database::Sqlite, &facts, key, Media::Included, Timestamp::UNIX_EPOCH)
    }

    fn bytes(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = Writer::start(Vec::new(), &manifest()).unwrap();
        for (name, bytes) in members {
            writer.add(name, bytes.len() as u64, *bytes).unwrap();
        }
        writer.finish().unwrap()
    }

    fn unpacked(backup: &[u8]) -> Result<u64> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(backup).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        read(
            file,
            |_| Ok(()),
            |_, member| match member {
                Member::Database => Ok(Some(create(&dir.path().join("db"))?)),
                Member::Media(key) => Ok(Some(create(&dir.path().join(key))?)),
            },
        )
    }

    #[test]
    fn what_is_whole_is_read_and_what_is_cut_or_changed_is_not() {
        let long = format!("media/{}/7", "a".repeat(200));
        let whole =
            bytes(&[("gerbang.sqlite", &[7; 100_000]), ("media/1/a/7", b"x"), (&long, b"y")]);
        assert_eq!(unpacked(&whole).unwrap(), 2);
        for length in [0, 1, 10, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
            assert!(unpacked(&whole[..length]).is_err(), "cut at {length} of {}", whole.len());
        }
        let opened = |backup: &[u8]| {
            let mut bytes = Vec::new();
            GzDecoder::new(backup).read_to_end(&mut bytes).map(|_| bytes)
        };
        let original = opened(&whole).unwrap();
        for at in (0..whole.len()).step_by(37) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            // Some bits of the compression mean nothing.
            let is_same = opened(&damaged).is_ok_and(|bytes| bytes == original);
            assert!(is_same || unpacked(&damaged).is_err(), "byte {at} of {}", whole.len());
        }
        assert!(unpacked(b"a text and no backup").is_err());
    }

    #[test]
    fn members_stay_in_their_place() {
        for name in ["gerbang.sqlite/x", "secret.key", "media", "other/file"] {
            assert!(unpacked(&bytes(&[(name, b"x")])).is_err(), "{name}");
        }
        for name in ["../x", "/etc/x", "media/../../x"] {
            assert!(kind_of(name).is_err() || Path::new(name).components().count() > 1, "{name}");
        }
        let twice = bytes(&[("media/1/a/7", b"x"), ("media/1/a/7", b"x")]);
        assert!(unpacked(&twice).is_err());
    }
}
