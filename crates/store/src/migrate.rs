//! Migrates a database to the newest schema, in one transaction.
//!
//! A migration that has run is never changed: its checksum is kept beside its number, and a database that was
//! migrated by another text is refused.

use domain::plan::Plan;
use sha2::{Digest as _, Sha256};

use crate::OpenError;
use crate::accounts;
use crate::sql::{SqlResult, Tx, params};

/// Runs the migrations a database lacks. The first one inserts the built-in plans, which
/// are the operator's from then on.
///
/// # Errors
/// [`OpenError::Newer`] for a database that a newer version has migrated, [`OpenError::Changed`] for one
/// that was migrated by other texts; it is left as it is.
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
    let pending = usize::try_from(done).ok().and_then(|done| migrations.get(done..));
    let pending = pending.ok_or(OpenError::Newer { found: done, known })?;
    for migration in pending {
        tx.script(migration).await?;
    }
    if done == 0 {
        for plan in Plan::built_in() {
            accounts::put_plan(tx, plan).await?;
        }
    }
    if !pending.is_empty() {
        let version = i64::try_from(known).unwrap_or(i64::MAX);
        tx.execute("DELETE FROM schema_version", &[]).await?;
        tx.execute("INSERT INTO schema_version (version) VALUES ($1)", params![version]).await?;
    }
    compare_checksums(tx, migrations).await
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
}
