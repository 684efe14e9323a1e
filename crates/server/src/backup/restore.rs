//! Restores a backup into an empty data directory.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use store::Restored;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::archive::{self, Member};
use super::make::draft_in;
use super::manifest::{Database, Manifest, Media};
use super::{DATABASE, DRAFT_PREFIX};
use crate::config::{MediaStore, Settings};
use crate::exit::{self, Failure};
use crate::gateway::ensure_alone;
use crate::secret_key::{FINGERPRINT_SETTING, fingerprint};

/// What an empty data directory may hold: the key that was put there, and what a disk begins with.
const ALLOWED: [&str; 3] = ["secret.key", "operator.key", "lost+found"];

/// What was restored.
#[derive(Debug)]
pub struct Report {
    /// When the backup was made.
    pub created_at: Timestamp,
    /// Which database the backup is of: only SQLite's is in it.
    pub kind: Database,
    /// What is in the database.
    pub database: Restored,
    /// Whether media was in the backup.
    pub media: Media,
    /// How many files were restored; `None` where they belong into a bucket.
    pub files: Option<u64>,
}

/// Where things go.
struct Target {
    database: Option<PathBuf>,
    media: Option<PathBuf>,
}

/// Restores `backup`.
///
/// # Errors
/// There is data already, the backup is damaged, of another key or of a newer version, or it cannot be
/// written: nothing is left then.
pub async fn restore(settings: &Settings, backup: &Path, now: Timestamp) -> Result<Report> {
    let file = File::open(backup).with_context(|| format!("cannot read {}", backup.display()))?;
    let target = Target {
        database: store::sqlite_path(&settings.database_url).map(Path::to_owned),
        media: match &settings.media_store {
            MediaStore::Directory(dir) => Some(dir.clone()),
            MediaStore::S3(_) => None,
        },
    };
    refuse_data(settings, &target)?;
    let key = settings.stored_secret_key().context(Failure::SECRET_KEY)?;
    let key = key.map(|key| fingerprint(&key));
    if target.database.is_none() {
        check_restored_by_hand(settings, key.as_deref()).await?;
    }
    let folders = [target.media.as_deref(), Some(&*settings.data_dir)];
    let made: Vec<&Path> = folders.into_iter().flatten().filter(|dir| !dir.exists()).collect();
    let report = restore_into(settings, &target, file, key, now).await;
    if report.is_err() {
        // Only empty ones go.
        made.into_iter().for_each(|dir| drop(fs::remove_dir(dir)));
    }
    report
}

async fn restore_into(
    settings: &Settings,
    target: &Target,
    file: File,
    key: Option<String>,
    now: Timestamp,
) -> Result<Report> {
    settings.create_data_dir()?;
    let draft = draft_in(&settings.data_dir).context("cannot write to the data directory")?;
    let media = target.media.as_deref().map(media_draft).transpose()?;
    let (manifest, files) =
        unpack(file, settings, target, key, draft.path(), media.as_ref()).await?;
    let url = match &target.database {
        Some(_) => format!("sqlite:{}", draft.path().join(DATABASE).display()),
        None => settings.database_url.clone(),
    };
    let database = mark(&url, &manifest, now).await?;
    put_in_place(target, draft.path(), media.as_ref()).context("cannot put the data in place")?;
    let files = target.media.is_some().then_some(files);
    let Manifest { created_at, database: kind, media, .. } = manifest;
    Ok(Report { created_at, kind, database, media, files })
}

/// Refuses to write over anything. What an interrupted restore has left is removed.
fn refuse_data(settings: &Settings, target: &Target) -> Result<()> {
    let media = target.media.as_deref();
    let is_media = |path: &Path| media.is_some_and(|media| media == path);
    for path in entries(&settings.data_dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_allowed = ALLOWED.contains(&name.as_str()) || is_media(&path);
        ensure!(is_allowed, "{} is not empty: it holds {name}", settings.data_dir.display());
    }
    if let Some(media) = media
        && let Some(path) = entries(media)?.into_iter().find(|path| !path.ends_with("lost+found"))
    {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        bail!("{} is not empty: it holds {name}", media.display());
    }
    match &target.database {
        Some(path) if path.exists() => bail!("{} exists", path.display()),
        _ => Ok(()),
    }
}

/// What is in a folder, without drafts.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read {}", dir.display());
    let listed = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.with_context(cannot)?,
    };
    let mut found = Vec::new();
    for entry in listed {
        let entry = entry.with_context(cannot)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match name {
            name if name.starts_with(DRAFT_PREFIX) => {
                fs::remove_dir_all(entry.path()).with_context(cannot)?;
            }
            // Of a gateway that was stopped before it had a database.
            name if name == ".drafts" => {}
            _ => found.push(entry.path()),
        }
    }
    Ok(found)
}

/// PostgreSQL's own tools have restored the database before.
async fn check_restored_by_hand(settings: &Settings, key: Option<&str>) -> Result<()> {
    let facts = store::facts(&settings.database_url, FINGERPRINT_SETTING).await;
    let facts = facts.context("cannot open the database")?;
    ensure!(
        facts.schema > 0,
        "the database is empty, and gerbang restore does not fill it: it puts the files of messages in place and marks \
         the devices. Fill it first, with pg_restore from the file that pg_dump has written; a backup of SQLite is \
         restored without GERBANG_DATABASE_URL, then moved with gerbang migrate"
    );
    let kept = facts.setting.map(|kept| String::from_utf8_lossy(&kept).into_owned());
    let is_its_own = kept.is_none() || kept.as_deref() == key;
    ensure!(
        is_its_own,
        anyhow::anyhow!(
            "the database was used with the key {}: set GERBANG_SECRET_KEY to it",
            kept.unwrap_or_default()
        )
        .context(Failure::SECRET_KEY)
    );
    Ok(())
}

fn media_draft(dir: &Path) -> Result<TempDir> {
    crate::config::create_private_dir(dir)?;
    draft_in(dir).with_context(|| format!("cannot write to {}", dir.display()))
}

async fn unpack(
    file: File,
    settings: &Settings,
    target: &Target,
    key: Option<String>,
    draft: &Path,
    media: Option<&TempDir>,
) -> Result<(Manifest, u64)> {
    let key_path = settings.secret_key_path().display().to_string();
    let wanted = if target.database.is_some() { Database::Sqlite } else { Database::Postgresql };
    let database = draft.join(DATABASE);
    let media = media.map(|dir| dir.path().to_owned());
    let mut kept = None;
    let unpacked = spawn_blocking(move || {
        let check = |manifest: &Manifest| {
            kept = Some(manifest.clone());
            check_kind(manifest, wanted)?;
            manifest.check(key.as_deref(), &key_path)
        };
        let files = archive::read(file, check, |_, member| {
            let path = match member {
                Member::Database => Some(database.clone()),
                Member::Media(key) => media.as_ref().map(|dir| dir.join(key)),
            };
            Ok(path.map(|path| archive::create(&path)).transpose()?)
        })?;
        let manifest = kept.context("it has no manifest")?;
        let has_database = wanted == Database::Postgresql || database.is_file();
        ensure!(has_database, "it is incomplete: the database is missing");
        Ok((manifest, files))
    });
    let unpacked = unpacked.await.context("it was not unpacked")?;
    // A key, a disk or a version has its own exit code.
    unpacked.map_err(|error| match exit::is_known(&error) {
        true => error,
        false => error.context(Failure::BACKUP),
    })
}

fn check_kind(manifest: &Manifest, wanted: Database) -> Result<()> {
    match (manifest.database, wanted) {
        (Database::Sqlite, Database::Postgresql) => bail!(
            "it holds a SQLite database: restore it without GERBANG_DATABASE_URL, then move it with gerbang migrate"
        ),
        (Database::Postgresql, Database::Sqlite) => bail!(
            "its database is a PostgreSQL one, which is not in it: fill one with pg_restore from the file that pg_dump \
             has written, and set GERBANG_DATABASE_URL; then restore this one for the files of messages"
        ),
        _ => Ok(()),
    }
}

/// Marks the devices of the restored database.
async fn mark(url: &str, manifest: &Manifest, now: Timestamp) -> Result<Restored> {
    let store = store::open(url).await.context("cannot open the database")?;
    ensure_alone(&store).await?;
    let at = manifest.created_at.strftime("%Y-%m-%d %H:%M UTC");
    let reason = format!(
        "restored from the backup of {at}; its keys have changed since and cannot be used again: link it again"
    );
    let marked = store.mark_restored(reason, now).await;
    store.close().await;
    marked.context("cannot mark the devices")
}

/// Moves everything to its place, the database last.
fn put_in_place(target: &Target, draft: &Path, media: Option<&TempDir>) -> io::Result<()> {
    if let (Some(dir), Some(draft)) = (&target.media, media) {
        for entry in fs::read_dir(draft.path())? {
            let entry = entry?;
            fs::rename(entry.path(), dir.join(entry.file_name()))?;
        }
        sync_folder(dir)?;
    }
    if let Some(path) = &target.database {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let from = draft.join(DATABASE);
        File::open(&from)?.sync_all()?;
        move_file(&from, path)?;
        sync_folder(folder)?;
    }
    Ok(())
}

/// A database may be on another disk than the data directory.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let beside = to.with_extension("new");
            fs::copy(from, &beside)?;
            File::open(&beside)?.sync_all()?;
            fs::rename(beside, to)
        }
        moved => moved,
    }
}

/// Waits until the names in a folder, and in those inside, are on the disk.
fn sync_folder(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folder(&entry.path())?;
        }
    }
    File::open(dir)?.sync_all()
}
