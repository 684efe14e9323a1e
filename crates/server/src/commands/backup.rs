//! `gerbang backup` and `gerbang restore`.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use domain::ports::Clock as _;

use crate::backup::{self, Database, Made, Media, MediaPart, Report};
use crate::config::{Defaults, Flags, Settings};
use crate::secret_key::fingerprint;
use crate::system::SystemClock;
use crate::telemetry;

/// Flags of `gerbang backup`.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    #[command(flatten)]
    flags: Flags,
    /// The file to write, such as gerbang.tar.gz
    path: PathBuf,
    /// Leave out the files that came in; those of waiting messages are in it all the same
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
    check_place(&settings, &path, args.force)?;
    let media = MediaPart::of(&settings, !args.without_media);
    let made =
        super::until_stopped(backup::make(&settings, media.clone(), &path, SystemClock.now()));
    super::print(&made_text(&settings, &path, &media, &made.await?)?)
}

/// Refuses to replace what is there, unless that is wanted and it is a file that may be an earlier backup.
fn check_place(settings: &Settings, path: &Path, may_replace: bool) -> Result<()> {
    let Ok(there) = path.metadata() else { return Ok(()) };
    let shown = path.display();
    ensure!(there.is_file(), "{shown} is there and is no file");
    ensure!(may_replace, "{shown} exists: --force replaces it");
    let database = store::sqlite_path(&settings.database_url).map(Path::to_owned);
    let beside = |name: &str| database.as_ref().map(|path| with_ending(path, name));
    let own = [beside(""), beside("-wal"), beside("-shm"), beside(".lock"), beside(".reserve")];
    let own = own.into_iter().flatten().chain([settings.secret_key_path()]);
    let is_there = |own: PathBuf| {
        own.metadata().is_ok_and(|own| own.dev() == there.dev() && own.ino() == there.ino())
    };
    ensure!(
        !own.into_iter().any(is_there),
        "{shown} is a file of the gateway: choose another name"
    );
    Ok(())
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
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
        MediaPart::Included(_) => format!("{} files that came in or wait to be sent", made.files),
        MediaPart::LeftOut(_) => {
            format!("{} files that wait to be sent, none that came in", made.files)
        }
        MediaPart::InBucket(url) => {
            format!("not the files of messages: those are in {url}, which needs a copy of its own")
        }
    };
    let mut text = match made.database_bytes {
        Some(bytes) => format!("{shown}: the database ({bytes} bytes), {media}.\n"),
        None => {
            let address =
                store::address(&settings.database_url).context("cannot name the database")?;
            format!(
                "{shown}: {media}. The database is PostgreSQL's; keep it with\n  \
                 pg_dump --format=custom --file={} {}\n",
                quoted(&format!("{shown}.pgdump")),
                quoted(&address),
            )
        }
    };
    let key = &made.fingerprint;
    text += &format!("The secret key ({key}) is not in it: keep a copy of it elsewhere.\n");
    // A database is kept all the same: a key that was lost must not cost it, too.
    let own = settings.stored_secret_key().ok().flatten().map(|own| fingerprint(&own));
    if own.as_ref() != Some(key) {
        let here = own.map_or_else(
            || "There is none here".to_owned(),
            |own| format!("The one here is another ({own})"),
        );
        text += &format!("{here}: a gateway on the database needs that one.\n");
    }
    Ok(text)
}

fn restored_text(path: &Path, report: &Report) -> String {
    let (database, at) = (report.database, report.created_at.strftime("%Y-%m-%d %H:%M UTC"));
    let files = match report.files {
        _ if report.media == Media::InBucket => "no files, for they are in a bucket".to_owned(),
        Some(files) => format!("{files} files that came in or wait to be sent"),
        None => format!(
            "no files, for they belong into a bucket (tar -xzf {} media unpacks them)",
            path.display()
        ),
    };
    let counts = format!(
        "{} accounts, {} devices, {} waiting messages",
        database.accounts, database.devices, database.waiting
    );
    let restored = match report.kind {
        Database::Sqlite => format!("Restored the backup of {at}: {counts}, {files}."),
        Database::Postgresql => format!(
            "Restored the files of messages from the backup of {at}: {files}.\nThe database is not in it: it is as \
             pg_restore has filled it, with {counts}."
        ),
    };
    format!(
        "{restored}\n{} devices must be linked again: their keys have changed since the backup and cannot be used \
         again. Their messages wait.\n",
        database.unlinked,
    )
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=+,".contains(c);
    match word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gets_words_whole() {
        assert_eq!(quoted("/srv/a-1.tar.gz"), "/srv/a-1.tar.gz");
        assert_eq!(quoted("it's a;b"), "'it'\\''s a;b'");
    }
}
