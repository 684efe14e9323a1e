//! Migrates a database to the newest schema, in one transaction.
//!
//! A migration that has run is never changed: its checksum is kept beside its number, and a database that was
//! migrated by another text is refused.
//!
//! Nodes of two releases run side by side during an upgrade, and may be restarted meanwhile. So a migration says
//! in its first line whether it `-- expands` the schema, which an older release does not notice, or
//! `-- contracts` it: then every release has to know it. The database keeps the oldest schema that a release must
//! know to work with it.

use domain::plan::Plan;
use sha2::{Digest as _, Sha256};

use crate::OpenError;
use crate::accounts;
use crate::sql::{SqlError, SqlResult, Tx, params};

/// The setting with the oldest schema that a release must know to work with this one.
pub(crate) const OLDEST_SETTING: &str = "schema_oldest";
/// The first line of a migration that a release which does not know it does not notice.
const EXPANDS: &str = "-- expands";

/// Runs the migrations a database lacks. The first one inserts the built-in plans, which
/// are the operator's from then on.
///
/// # Errors
/// [`OpenError::Newer`] for a database that a newer version has migrated in a way that this one has to know,
/// [`OpenError::Changed`] for one that was migrated by other texts; it is left as it is.
pub(crate) async fn migrate(tx: &mut Tx, migrations: &[&'static str]) -> Result<(), OpenError> {
    tx.execute("BEGIN", &[]).await?;
    let done = migrate_within(tx, migrations).await;
    tx.execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" }, &[]).await?;
    done
}

/// The same within a transaction of the caller's.
///
/// # Errors
/// As [`migrate`].
pub(crate) async fn migrate_within(
    tx: &mut Tx,
    migrations: &[&'static str],
) -> Result<(), OpenError> {
    let done = version(tx).await?;
    let known = migrations.len();
    let pending = match pending(migrations, done) {
        Some(pending) => pending,
        None if oldest_for(tx, done).await? <= as_version(known) => &[],
        None => return Err(OpenError::Newer { found: done, known }),
    };
    for migration in pending {
        tx.script(migration).await?;
    }
    if done == 0 {
        for plan in Plan::built_in() {
            accounts::put_plan(tx, plan).await?;
        }
    }
    if !pending.is_empty() {
        tx.execute("DELETE FROM schema_version", &[]).await?;
        let version = as_version(known);
        tx.execute("INSERT INTO schema_version (version) VALUES ($1)", params![version]).await?;
        let oldest = oldest(migrations).to_string().into_bytes();
        accounts::replace_setting(tx, OLDEST_SETTING.to_owned(), oldest).await?;
    }
    compare_checksums(tx, migrations).await
}

/// Whether the migrations that a database lacks have to be known by all that use it. A new database has no users.
pub(crate) async fn contracts(tx: &mut Tx, migrations: &[&str]) -> SqlResult<bool> {
    let done = version(tx).await?;
    let mut pending = pending(migrations, done).unwrap_or_default().iter();
    Ok(done > 0 && pending.any(|migration| !expands(migration)))
}

/// The migrations that a database lacks; `None` when it has more than these.
fn pending<'a, 'm>(migrations: &'a [&'m str], done: i64) -> Option<&'a [&'m str]> {
    migrations.get(usize::try_from(done).ok()?..)
}

fn expands(migration: &str) -> bool {
    migration.lines().next().is_some_and(|first| first.starts_with(EXPANDS))
}

/// The last migration that every release has to know.
fn oldest(migrations: &[&str]) -> i64 {
    let last = migrations.iter().rposition(|migration| !expands(migration));
    as_version(last.map_or(0, |index| index + 1))
}

/// The oldest schema that a release must know to work with a database; where that was not kept, its own.
async fn oldest_for(tx: &mut Tx, version: i64) -> SqlResult<i64> {
    oldest_from(accounts::stored_setting(tx, OLDEST_SETTING.to_owned()).await?, version)
}

/// The same from what is kept under [`OLDEST_SETTING`].
pub(crate) fn oldest_from(kept: Option<Vec<u8>>, version: i64) -> SqlResult<i64> {
    let Some(kept) = kept else { return Ok(version) };
    let kept = String::from_utf8(kept).ok().and_then(|text| text.parse().ok());
    kept.ok_or_else(|| SqlError::Fault(format!("the setting {OLDEST_SETTING} is no number")))
}

fn as_version(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

async fn version(tx: &mut Tx) -> SqlResult<i64> {
    tx.script("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)").await?;
    let row = tx.query_one("SELECT max(version) FROM schema_version", &[]).await?;
    Ok(row.map(|mut row| row.opt_int()).transpose()?.flatten().unwrap_or(0))
}

/// Compares the checksums that are kept, and keeps the missing ones: those of the migrations that have just
/// run, and all of a database that releases without checksums have migrated.
async fn compare_checksums(tx: &mut Tx, migrations: &[&'static str]) -> Result<(), OpenError> {
    const MAKE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations
        (version BIGINT PRIMARY KEY, checksum TEXT NOT NULL)";
    const KEPT: &str = "SELECT version, checksum FROM schema_migrations ORDER BY version";
    const KEEP: &str = "INSERT INTO schema_migrations (version, checksum) VALUES ($1, $2)";
    tx.script(MAKE).await?;
    let mut kept = Vec::new();
    for mut row in tx.query(KEPT, &[]).await? {
        kept.push((row.int()?, row.text()?));
    }
    for (version, migration) in (1..).zip(migrations) {
        let checksum = checksum(migration);
        match kept.iter().find(|(number, _)| *number == version) {
            Some((_, kept)) if *kept != checksum => return Err(OpenError::Changed { version }),
            Some(_) => {}
            None => drop(tx.execute(KEEP, params![version, &checksum]).await?),
        }
    }
    Ok(())
}

/// The SHA-256 of a migration's text, in hexadecimal digits.
pub(crate) fn checksum(migration: &str) -> String {
    let digest = Sha256::digest(migration.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{block_on, memory};

    // The first digits of the checksums of what has been released; a new migration needs no line here until
    // its release.
    const SQLITE: [&str; 14] = [
        "4e8a5c4b2e4d6e22",
        "f42cf8f6ce3cbe80",
        "9e68b73763b6f804",
        "865b6aec71d2f3dd",
        "354480c789911156",
        "ed5ffb9533fbaaf6",
        "451c2a9994c11a4b",
        "406d077115d83c9e",
        "d6a2fc277f36932b",
        "9e1bf52d485faedd",
        "f1f15e52fc81782c",
        "cca67f10f9aeb83f",
        "1a42859b08dc1a99",
        "7e359b3b422505d0",
    ];
    const POSTGRES: [&str; 14] = [
        "56a05b4316a58b54",
        "06a2fa766df33555",
        "660069deb897d103",
        "865b6aec71d2f3dd",
        "819bfe6f4cf95d5c",
        "470adc9bcd651b87",
        "e1d588c85ac57d8d",
        "6842447b6345c9ef",
        "7a12c23980c61125",
        "ad3a4c241f8e7949",
        "aa10bf1348bd080e",
        "cca67f10f9aeb83f",
        "af916da78f3ec42a",
        "885a4a6aec1f6aaa",
    ];

    #[test]
    fn released_migrations_stay_as_they_are() {
        let own = [(crate::sqlite::MIGRATIONS, SQLITE), (crate::postgres::MIGRATIONS, POSTGRES)];
        for (migrations, released) in own {
            for (index, (migration, released)) in migrations.iter().zip(released).enumerate() {
                assert!(checksum(migration).starts_with(released), "migration {}", index + 1);
            }
        }
        assert_eq!(crate::sqlite::MIGRATIONS.len(), crate::postgres::MIGRATIONS.len());
    }

    /// Written before migrations said so; each counts as one that every release has to know.
    const SILENT: usize = 25;

    #[test]
    fn a_migration_says_whether_older_releases_notice_it() {
        let (sqlite, postgres) = (crate::sqlite::MIGRATIONS, crate::postgres::MIGRATIONS);
        for (one, other) in sqlite.iter().zip(postgres).skip(SILENT) {
            let says = |text: &str| expands(text) || text.starts_with("-- contracts");
            assert!(says(one) && says(other), "it begins with -- expands or -- contracts: {one}");
            assert_eq!(expands(one), expands(other), "{one}");
        }
        assert_eq!(oldest(&sqlite[..SILENT]), as_version(SILENT));
    }

    const FIRST: &str = "CREATE TABLE plans_of_test (id BIGINT)";
    const EXPANDING: &str = "-- expands\nCREATE TABLE more_of_test (id BIGINT)";
    const CONTRACTING: &str = "-- contracts\nDROP TABLE more_of_test";

    #[test]
    fn only_what_every_release_has_to_know_makes_a_schema_too_new() {
        let migrations =
            |more: &[&'static str]| [crate::sqlite::MIGRATIONS, &[FIRST], more].concat();
        let version = |error| match error {
            Err(OpenError::Newer { found, .. }) => Some(found),
            other => panic!("{other:?}"),
        };
        let known = as_version(migrations(&[]).len());
        let mut tx = memory();
        let mut open = |migrations: &[&'static str]| block_on(migrate(&mut tx, migrations));
        open(&migrations(&[])).unwrap();
        open(&migrations(&[EXPANDING])).unwrap();
        // An older release that is started again beside the newer one.
        open(&migrations(&[])).unwrap();
        open(&migrations(&[EXPANDING])).unwrap();
        open(&migrations(&[EXPANDING, CONTRACTING])).unwrap();
        for older in [migrations(&[]), migrations(&[EXPANDING])] {
            assert_eq!(version(open(&older)), Some(known + 2));
        }
    }
}
