//! Every migration exists for both databases, under the same name.

use std::collections::BTreeSet;

use anyhow::Result;

use super::Repo;

const DIR: &str = "crates/store/migrations";

pub(super) fn check(repo: &Repo) -> Result<Vec<String>> {
    let of = |engine: &str| -> BTreeSet<&str> {
        let dir = format!("{DIR}/{engine}/");
        repo.files.iter().filter_map(|file| file.path.strip_prefix(&dir)).collect()
    };
    let (sqlite, postgres) = (of("sqlite"), of("postgres"));
    if sqlite.is_empty() && postgres.is_empty() {
        return Ok(vec![format!("{DIR}: no migrations found")]);
    }
    let only = |name: &&str, engine: &str| format!("{DIR}: {name} exists only for {engine}");
    let for_sqlite = sqlite.difference(&postgres).map(|name| only(name, "SQLite"));
    let for_postgres = postgres.difference(&sqlite).map(|name| only(name, "PostgreSQL"));
    Ok(for_sqlite.chain(for_postgres).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::repo_of;

    #[test]
    fn a_migration_for_one_database_only_is_found() {
        let repo = repo_of(&[
            ("crates/store/migrations/sqlite/0001.sql", ""),
            ("crates/store/migrations/postgres/0001.sql", ""),
            ("crates/store/migrations/postgres/0002.sql", ""),
        ]);
        let expected = "crates/store/migrations: 0002.sql exists only for PostgreSQL";
        assert_eq!(check(&repo).unwrap(), [expected]);
        assert_eq!(check(&repo_of(&[])).unwrap().len(), 1);
    }
}
