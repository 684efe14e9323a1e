//! Makes backups, beside the gateway that runs and without it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use domain::ports::MARKER_BLOB;
use domain::request_file::is_blob_key;
use jiff::Timestamp;
use store::DatabaseFacts;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::archive::Writer;
use super::manifest::{Database, Manifest, Media};
use super::{DATABASE, DRAFT_PREFIX, MEDIA};
use crate::config::{MediaStore, Settings};
use crate::exit::Failure;
use crate::secret_key::{FINGERPRINT_SETTING, fingerprint};

/// The name of a backup while it is written.
const DRAFT: &str = "backup";

/// What becomes of the files that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaPart {
    /// They are in this directory, and are taken.
    Included(PathBuf),
    /// They are not wanted. Those that wait with messages are taken from this directory all the same: they belong
    /// to the database.
    LeftOut(PathBuf),
    /// They are in this bucket, which has copies of its own.
    InBucket(String),
}

impl MediaPart {
    /// As the settings say where they are.
    pub fn of(settings: &Settings, is_wanted: bool) -> Self {
        match &settings.media_store {
            MediaStore::S3(url) => Self::InBucket(url.clone()),
            MediaStore::Directory(dir) if is_wanted => Self::Included(dir.clone()),
            MediaStore::Directory(dir) => Self::LeftOut(dir.clone()),
        }
    }

    fn in_manifest(&self) -> Media {
        match self {
            Self::Included(_) => Media::Included,
            Self::LeftOut(_) => Media::LeftOut,
            Self::InBucket(_) => Media::InBucket,
        }
    }
}

/// What a backup holds.
#[derive(Debug)]
pub struct Made {
    /// Its bytes.
    pub bytes: u64,
    /// The bytes of the database; PostgreSQL's is not in it.
    pub database_bytes: Option<u64>,
    /// How many files of the media store.
    pub files: u64,
    /// The fingerprint of the secret key, which is not in it.
    pub fingerprint: String,
}

/// Writes a backup to `path`, in one step: it is there whole or not at all.
///
/// # Errors
/// The database cannot be read, or the backup cannot be written.
pub async fn make(
    settings: &Settings,
    media: MediaPart,
    path: &Path,
    now: Timestamp,
) -> Result<Made> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_owned();
    let cannot = || format!("cannot write to {}", folder.display());
    let draft = draft_in(&folder).with_context(cannot)?;
    let made = make_draft(settings, media, draft.path(), now).await?;
    let (from, to) = (draft.path().join(DRAFT), path.to_owned());
    fs::rename(from, to).and_then(|()| File::open(&folder)?.sync_all()).with_context(cannot)?;
    Ok(made)
}

/// Makes a backup in the data directory; it is gone with the folder that is returned.
///
/// # Errors
/// As [`make`].
pub async fn make_stream(
    settings: &Settings,
    media: MediaPart,
    now: Timestamp,
) -> Result<(File, Made, TempDir)> {
    let draft = draft_in(&settings.data_dir).context("cannot write to the data directory")?;
    let made = make_draft(settings, media, draft.path(), now).await?;
    let file = File::open(draft.path().join(DRAFT)).context("cannot read the backup")?;
    Ok((file, made, draft))
}

/// A folder that only we can read and that is removed when it is dropped.
pub fn draft_in(folder: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(DRAFT_PREFIX).tempdir_in(folder)
}

async fn make_draft(
    settings: &Settings,
    media: MediaPart,
    draft: &Path,
    now: Timestamp,
) -> Result<Made> {
    let (database, copy) = match store::sqlite_path(&settings.database_url) {
        Some(path) => (Database::Sqlite, Some((path.to_owned(), draft.join(DATABASE)))),
        None => (Database::Postgresql, None),
    };
    let facts = match &copy {
        Some((from, to)) => copied(from.clone(), to.clone()).await?,
        None => {
            let facts = store::facts(&settings.database_url, FINGERPRINT_SETTING).await;
            facts.context("cannot open the database")?
        }
    };
    ensure!(facts.schema > 0, "the database is empty: there is nothing to back up");
    let key = database_key(settings, &facts)?;
    let manifest = Manifest::new(database, &facts, key, media.in_manifest(), now);
    let (copy, target) = (copy.map(|(_, copy)| copy), draft.join(DRAFT));
    spawn_blocking(move || write(&manifest, copy.as_deref(), &media, &target))
        .await
        .context("the backup was not finished")?
        .context("cannot write the backup")
}

async fn copied(from: PathBuf, to: PathBuf) -> Result<DatabaseFacts> {
    let copied = spawn_blocking(move || store::copy(&from, &to, FINGERPRINT_SETTING)).await;
    copied.context("the copy was not finished")?.context("cannot copy the database")
}

/// The fingerprint that the database keeps; a database that no gateway of this version has used yet has none,
/// and then it is that of the key of the settings.
fn database_key(settings: &Settings, facts: &DatabaseFacts) -> Result<String> {
    if let Some(kept) = &facts.setting {
        return Ok(String::from_utf8_lossy(kept).into_owned());
    }
    let key = settings.stored_secret_key().context(Failure::SECRET_KEY)?;
    let key = key.context("there is none: set GERBANG_SECRET_KEY").context(Failure::SECRET_KEY)?;
    Ok(fingerprint(&key))
}

fn write(
    manifest: &Manifest,
    database: Option<&Path>,
    media: &MediaPart,
    target: &Path,
) -> io::Result<Made> {
    let out = super::archive::create(target)?;
    let mut writer = Writer::start(BufWriter::new(out), manifest)?;
    let database_bytes = database.map(|path| add(&mut writer, DATABASE, path)).transpose()?;
    let mut files = 0;
    match media {
        MediaPart::Included(dir) => add_folder(&mut writer, dir, MEDIA, |_| true, &mut files)?,
        MediaPart::LeftOut(dir) => add_folder(&mut writer, dir, MEDIA, is_blob_key, &mut files)?,
        MediaPart::InBucket(_) => {}
    }
    let mut out = writer.finish()?;
    out.flush()?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    let fingerprint = manifest.secret_key_fingerprint.clone();
    let (bytes, database_bytes) = (file.metadata()?.len(), database_bytes.flatten());
    Ok(Made { bytes, database_bytes, files, fingerprint })
}

/// Adds a file, and returns its size; one that has been deleted meanwhile is skipped.
fn add<W: io::Write>(writer: &mut Writer<W>, name: &str, path: &Path) -> io::Result<Option<u64>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let size = file.metadata()?.len();
    writer.add(name, size, file)?;
    Ok(Some(size))
}

/// Adds the files of a folder and of those inside, as far as their names are wanted. Names with a dot are drafts.
fn add_folder<W: io::Write>(
    writer: &mut Writer<W>,
    dir: &Path,
    name: &str,
    is_wanted: fn(&str) -> bool,
    files: &mut u64,
) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let own = entry.file_name();
        // The marker says which store it is: a restored one is another.
        let is_kept = |own: &&str| !own.starts_with('.') && *own != MARKER_BLOB;
        let Some(own) = own.to_str().filter(is_kept) else { continue };
        let (path, name) = (entry.path(), format!("{name}/{own}"));
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => add_folder(writer, &path, &name, is_wanted, files)?,
            Ok(kind) if kind.is_file() && is_wanted(own) => {
                *files += u64::from(add(writer, &name, &path)?.is_some());
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_waiting_messages_are_in_a_backup_without_media() {
        let dir = tempfile::tempdir().unwrap();
        let media = dir.path().join("media");
        fs::create_dir_all(media.join("7/device")).unwrap();
        for name in ["12", "request-3EB0"] {
            fs::write(media.join("7/device").join(name), name).unwrap();
        }
        let key = "0011223344556677".to_owned();
        let (kind, at) = (Database::Postgresql, Timestamp::UNIX_EPOCH);
        let facts = DatabaseFacts { schema: 1, oldest: 1, setting: None };
        let manifest = Manifest::new(kind, &facts, key, Media::LeftOut, at);
        let files = |part: &MediaPart, name: &str| {
            write(&manifest, None, part, &dir.path().join(name)).unwrap().files
        };
        assert_eq!(files(&MediaPart::LeftOut(media.clone()), "a"), 1);
        assert_eq!(files(&MediaPart::Included(media), "b"), 2);
    }
}
