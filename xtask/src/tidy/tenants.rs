//! Unique indexes and primary keys of customers' tables begin with `account_id`, so that the data can be
//! distributed by account (`docs/scale.md`, "Past one PostgreSQL").

use anyhow::Result;

use super::{Repo, stale};

const DIR: &str = "crates/store/migrations/";
const LEADING: &str = "account_id";

/// Keys that begin otherwise, as `TABLE (COLUMNS)`, by the reason. New ones begin with the account.
const EXCEPTIONS: [(&str, &[&str]); 4] = [
    (
        "the installation's own, of no account",
        &[
            "cache_changes (id)",
            "counters (name)",
            "nodes (id)",
            "nodes (name)",
            "plans (name)",
            "rate_windows (subject)",
            "sent_forms (form)",
            "settings (name)",
            "vouchers (code)",
        ],
    ),
    (
        "looked up before it is known whose it is",
        &[
            "accounts (email)",
            "keys (hash)",
            "links (hash)",
            "logins (hash)",
            "portal_links (hash)",
            "users (email)",
        ],
    ),
    (
        "a number of its own in the whole installation, by which rows are named to callers and to each other",
        &[
            "accounts (id)",
            "audit (id)",
            "deliveries (id)",
            "devices (id)",
            "devices (number_id)",
            "events (id)",
            "grants (id)",
            "incoming_files (message_id)",
            "inline_media (message_id)",
            "keys (id)",
            "messages (id)",
            "outbox (id)",
            "people_known (id)",
            "portal_links (id)",
            "recent_keys (id)",
            "second_factors (user_id)",
            "users (id)",
            "webhooks (id)",
        ],
    ),
    (
        "begins with a device, whose random id is of one account for ever",
        &[
            "amendments (device_id, whatsapp_id, author_key, change)",
            "chats (device_id, chat)",
            "contacts (device_id, chat)",
            "heartbeats (device_id, hour)",
            "identities (device_id, lid)",
            "identities (device_id, phone)",
            "spellings (device_id, spelling)",
            "keys (device_id)",
            "messages (device_id, whatsapp_id, sender_key)",
            "people_known (device_id, chat)",
            "session (device_id, space, key)",
        ],
    ),
];

fn exceptions() -> impl Iterator<Item = &'static str> {
    EXCEPTIONS.iter().flat_map(|(_, keys)| keys.iter().copied())
}

pub(super) fn check(repo: &Repo) -> Result<Vec<String>> {
    let (mut findings, mut used) = (Vec::new(), Vec::new());
    for file in repo.files.iter().filter(|file| file.path.starts_with(DIR)) {
        for key in unique_keys(&file.text) {
            match exceptions().find(|exception| *exception == key) {
                Some(exception) => used.push(exception),
                None if key.contains(&format!("({LEADING}")) => {}
                None => findings.push(format!(
                    "{}: the unique key {key} does not begin with {LEADING}",
                    file.path
                )),
            }
        }
    }
    findings.extend(stale(exceptions(), &used));
    Ok(findings)
}

/// The unique keys that a migration makes, as `TABLE (COLUMNS)`.
fn unique_keys(sql: &str) -> Vec<String> {
    let code: Vec<&str> =
        sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    code.join(" ").split(';').flat_map(|statement| keys_of(statement.trim())).collect()
}

fn keys_of(statement: &str) -> Vec<String> {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let statement = words.join(" ");
    let name = |text: &str| text.trim().split([' ', '(']).next().unwrap_or_default().to_owned();
    if let Some(index) = statement.strip_prefix("CREATE UNIQUE INDEX ") {
        let Some((_, on)) = index.split_once(" ON ") else { return Vec::new() };
        return vec![key(&name(on), parenthesised(on))];
    }
    if let Some(rest) = statement.strip_prefix("CREATE TABLE ") {
        let table = name(rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest));
        let keys =
            top_level(parenthesised(rest)).into_iter().filter_map(|part| key_in(&table, part));
        return keys.collect();
    }
    if let Some(rest) = statement.strip_prefix("ALTER TABLE ") {
        let changed = rest.split_once(" ADD ").map(|(_, added)| added).unwrap_or_default();
        let added = changed.strip_prefix("COLUMN ").unwrap_or(changed);
        return key_in(&name(rest), added).into_iter().collect();
    }
    Vec::new()
}

/// The unique key that a line of a table makes: a column's own, or one of several columns.
fn key_in(table: &str, part: &str) -> Option<String> {
    let part = part.trim();
    let part = match part.strip_prefix("CONSTRAINT ") {
        Some(rest) => rest.split_once(' ')?.1,
        None => part,
    };
    if part.starts_with("PRIMARY KEY") || part.starts_with("UNIQUE") {
        return Some(key(table, parenthesised(part)));
    }
    let is_unique = part.contains(" PRIMARY KEY") || part.contains(" UNIQUE");
    is_unique.then(|| key(table, part.split(' ').next().unwrap_or_default()))
}

fn key(table: &str, columns: &str) -> String {
    let columns: Vec<&str> = columns.split(',').map(str::trim).collect();
    format!("{table} ({})", columns.join(", "))
}

/// What is inside the first parentheses.
fn parenthesised(text: &str) -> &str {
    let Some(start) = text.find('(') else { return "" };
    let inner = &text[start + 1..];
    let mut depth = 1;
    for (at, c) in inner.char_indices() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth == 0 {
            return &inner[..at];
        }
    }
    inner
}

/// The parts between commas outside of parentheses.
fn top_level(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::repo_of;

    #[test]
    fn every_way_to_make_a_unique_key_is_found() {
        let sql = "
            CREATE TABLE a (id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, -- UNIQUE here, too
                price NUMERIC(10, 2), email TEXT NOT NULL UNIQUE, plain TEXT NOT NULL,
                CONSTRAINT both UNIQUE (account_id, email));
            CREATE TABLE b (account_id BIGINT NOT NULL, n BIGINT, PRIMARY KEY (account_id, n)) WITHOUT ROWID;
            CREATE UNIQUE INDEX c ON a (
                plain, email) WHERE plain <> '';
            CREATE INDEX d ON a (plain);
            ALTER TABLE a ADD COLUMN e TEXT UNIQUE;
            ALTER TABLE a ADD COLUMN f TEXT;";
        let expected = [
            "a (id)",
            "a (email)",
            "a (account_id, email)",
            "b (account_id, n)",
            "a (plain, email)",
            "a (e)",
        ];
        assert_eq!(unique_keys(sql), expected);
    }

    #[test]
    fn one_that_begins_otherwise_is_found_and_no_exception_outlives_its_key() {
        let path = "crates/store/migrations/sqlite/0099_new.sql";
        let repo = repo_of(&[(
            path,
            "CREATE TABLE t (account_id BIGINT, n BIGINT, PRIMARY KEY (account_id, n), UNIQUE (n))",
        )]);
        let findings = check(&repo).unwrap();
        assert_eq!(
            findings[0],
            format!("{path}: the unique key t (n) does not begin with account_id")
        );
        assert_eq!(findings.len(), 1 + exceptions().count());
    }
}
