//! `gerbang backup` and `gerbang restore`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use domain::ports::Clock as _;

use crate::backup::{self, Made, Media, MediaPart, Report};
use crate::config::{Defaults, Flags, Settings};
use crate::system::SystemClock;
use crate::telemetry;

/// Flags of `gerbang backup`.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    #[command(flatten)]
    flags: Flags,
    /// The file to write, such as gerbang.tar.gz
    path: PathBuf,
    /// Leave out the files that came in
    #[arg(long)]
    without_media: bool,
    /// Replace the file, if it is there
    #[arg(long)]
    force: bool,
}

/// Flags of `gerbang restore`.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    flags: Flags,
    /// The backup
    path: PathBuf,
}

/// Makes a backup, beside the gateway that runs or without it.
///
/// # Errors
/// The file is there, the database cannot be read, or the file cannot be written.
pub async fn make(args: BackupArgs) -> Result<()> {
    let settings = load(args.flags)?;
    let path = args.path;
    let is_free = args.force || !path.exists();
    ensure!(is_free, "{} exists: --force replaces it", path.display());
    let media = MediaPart::of(&settings, !args.without_media);
    let made =
        super::until_stopped(backup::make(&settings, media.clone(), &path, SystemClock.now()));
    super::print(&made_text(&settings, &path, &media, &made.await?)?)
}

/// Restores a backup.
///
/// # Errors
/// There is data already, or the backup cannot be used.
pub async fn restore(args: RestoreArgs) -> Result<()> {
    let settings = load(args.flags)?;
    let restored = backup::restore(&settings, &args.path, SystemClock.now());
    super::print(&restored_text(&args.path, &super::until_stopped(restored).await?))
}

fn load(flags: Flags) -> Result<Settings> {
    let settings = Settings::load(flags, Defaults::SERVE)?;
    telemetry::start(settings.log, settings.log_level.as_deref())?;
    Ok(settings)
}

fn made_text(settings: &Settings, path: &Path, media: &MediaPart, made: &Made) -> Result<String> {
    let shown = path.display();
    let media = match media {
        MediaPart::Included(_) => format!("{} files that came in", made.files),
        MediaPart::LeftOut => "no files that came in".to_owned(),
        MediaPart::InBucket(url) => {
            format!("not the files that came in: those are in {url}, which needs a copy of its own")
        }
    };
    let mut text = match made.database_bytes {
        Some(bytes) => format!("{shown}: the database ({bytes} bytes), {media}.\n"),
        None => {
            let address =
                store::address(&settings.database_url).context("cannot name the database")?;
            format!(
                "{shown}: {media}. The database is PostgreSQL's; keep it with\n  \
                 pg_dump --format=custom --file={shown}.pgdump {address}\n"
            )
        }
    };
    let key = &made.fingerprint;
    text += &format!("The secret key ({key}) is not in it: keep a copy of it elsewhere.\n");
    Ok(text)
}

fn restored_text(path: &Path, report: &Report) -> String {
    let database = report.database;
    let files = match report.files {
        _ if report.media == Media::InBucket => "no files, for they are in a bucket".to_owned(),
        Some(files) => format!("{files} files that came in"),
        None => format!(
            "no files, for they belong into a bucket (tar -xzf {} media unpacks them)",
            path.display()
        ),
    };
    format!(
        "Restored the backup of {}: {} accounts, {} devices, {} waiting messages, {files}.\n{} devices must be \
         linked again: their keys have changed since the backup and cannot be used again. Their messages wait.\n",
        report.created_at.strftime("%Y-%m-%d %H:%M UTC"),
        database.accounts,
        database.devices,
        database.waiting,
        database.unlinked,
    )
}
