//! What a backup is of: its first member.

use anyhow::{Context as _, Result, anyhow, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::DatabaseFacts;

use crate::exit::Failure;

/// The name of the member.
pub const NAME: &str = "manifest.json";
/// The format that this release writes; it reads no newer one.
const FORMAT: u32 = 1;
/// Longest manifest that is read.
pub const BYTES_MAX: u64 = 64 * 1024;

/// Which database a backup is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Database {
    /// SQLite, which is in it.
    Sqlite,
    /// PostgreSQL, which `pg_dump` keeps.
    Postgresql,
}

/// Whether files that came in are in a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Media {
    /// They are.
    Included,
    /// They were not wanted.
    LeftOut,
    /// They are in a bucket, which has copies of its own.
    InBucket,
}

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the backup.
    pub format: u32,
    /// The version of Gerbang that made it.
    pub gerbang: String,
    /// When.
    pub created_at: Timestamp,
    /// Which database.
    pub database: Database,
    /// The schema of the database.
    pub schema: i64,
    /// The oldest schema that a release must know to work with it; earlier releases did not write it.
    pub schema_oldest: Option<i64>,
    /// The fingerprint of the secret key.
    pub secret_key_fingerprint: String,
    /// Whether media is in it.
    pub media: Media,
}

impl Manifest {
    /// That of a new backup.
    pub fn new(
        database: Database,
        facts: &DatabaseFacts,
        secret_key_fingerprint: String,
        media: Media,
        created_at: Timestamp,
    ) -> Self {
        Self {
            format: FORMAT,
            gerbang: env!("CARGO_PKG_VERSION").to_owned(),
            created_at,
            database,
            schema: facts.schema,
            schema_oldest: Some(facts.oldest),
            secret_key_fingerprint,
            media,
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is none, or one of a newer format.
    pub fn parse(text: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let format: Format = serde_json::from_slice(text).context("its manifest cannot be read")?;
        let format = format.format;
        ensure!(format <= FORMAT, "it is of a newer version (format {format}): use that version");
        serde_json::from_slice(text).context("its manifest cannot be read")
    }

    /// Whether it fits an installation with this secret key and this version.
    ///
    /// # Errors
    /// What to set, or which version to use.
    pub fn check(&self, own_fingerprint: Option<&str>, key_path: &str) -> Result<()> {
        store::refuse_newer(self.schema, self.schema_oldest.unwrap_or(self.schema))?;
        let wanted = &self.secret_key_fingerprint;
        let set = format!("set GERBANG_SECRET_KEY, or put the file secret.key at {key_path}");
        let here = match own_fingerprint {
            Some(own) if own == wanted => return Ok(()),
            Some(own) => format!("the key here is {own}"),
            None => "there is none here".to_owned(),
        };
        let refused =
            anyhow!("the backup was made with the secret key {wanted}, and {here}: {set}");
        Err(refused.context(Failure::SECRET_KEY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(schema: i64) -> Manifest {
        let (media, key) = (Media::Included, "0011223344556677".to_owned());
        let facts = DatabaseFacts { schema, oldest: schema, setting: None };
        Manifest::new(Database::Sqlite, &facts, key, media, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn only_its_own_key_and_a_known_schema_fit() {
        let known = i64::try_from(store::newest_schema()).unwrap();
        let fits = |schema, key| manifest(schema).check(key, "/data/secret.key");
        assert!(fits(known, Some("0011223344556677")).is_ok());
        assert!(fits(1, Some("0011223344556677")).is_ok());
        for wrong in [Some("ffffffffffffffff"), None] {
            let refused = format!("{:#}", fits(known, wrong).unwrap_err());
            let says = ["0011223344556677", "GERBANG_SECRET_KEY", "/data/secret.key"];
            assert!(says.iter().all(|part| refused.contains(part)), "{refused}");
        }
        let newer = manifest(known + 1);
        let expanded = Manifest { schema_oldest: Some(known), ..newer.clone() };
        let silent = Manifest { schema_oldest: None, ..newer.clone() };
        let key = Some("0011223344556677");
        assert!(expanded.check(key, "/data/secret.key").is_ok(), "its schema was only expanded");
        for newer in [newer, silent] {
            let refused = format!("{:#}", newer.check(key, "/data/secret.key").unwrap_err());
            assert!(refused.contains("newer version"), "{refused}");
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_a_newer_format_is_refused() {
        let text = serde_json::to_string(&manifest(3)).unwrap();
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), manifest(3));
        let earlier = text.replace("\"schema_oldest\":3,", "");
        assert_eq!(Manifest::parse(earlier.as_bytes()).unwrap().schema_oldest, None);
        let newer = text.replace("\"format\":1", "\"format\":2");
        assert!(format!("{:#}", Manifest::parse(newer.as_bytes()).unwrap_err()).contains("newer"));
        assert!(Manifest::parse(b"nonsense").is_err());
    }
}
