//! The counters that the database keeps beside its rows, against a count over the rows.

use sqlx::{Connection as _, PgConnection};

use super::gateway::Gateway;

/// A line for each counter that differs, and by how much. Every transaction changes both, so that it holds at
/// any moment.
const DIFFERENCES: &str = "
    SELECT 'message_counts, ' || direction || ' ' || state || ' of ' || device_id || ': ' || CAST(sum(n) AS TEXT)
    FROM (
        SELECT device_id, direction, state, count AS n FROM message_counts
        UNION ALL SELECT device_id, 'out', 'waiting', -1 FROM outbox
        UNION ALL SELECT device_id, direction, state, -1 FROM messages
    ) AS counted GROUP BY device_id, direction, state HAVING sum(n) <> 0
    UNION ALL SELECT 'message_hours, ' || direction || ' ' || state || ' of ' || device_id || ': '
        || CAST(sum(n) AS TEXT)
    FROM (
        SELECT hour, device_id, direction, state, count AS n FROM message_hours
        UNION ALL SELECT created_at / 3600000, device_id, direction, state, -1 FROM messages
    ) AS counted GROUP BY hour, device_id, direction, state HAVING sum(n) <> 0
    UNION ALL SELECT 'usage of account ' || CAST(account_id AS TEXT) || ': ' || CAST(sum(n) AS TEXT)
        || ' waiting, ' || CAST(sum(texts) AS TEXT) || ' bytes of texts, ' || CAST(sum(files) AS TEXT)
        || ' of files'
    FROM (
        SELECT account_id, waiting AS n, text_bytes AS texts, file_bytes AS files FROM usage
        UNION ALL SELECT account_id, -1, -octet_length(text), 0 FROM outbox
        UNION ALL SELECT account_id, 0, 0, -COALESCE(size, octet_length(bytes))
            FROM inline_media JOIN outbox ON outbox.id = inline_media.message_id
    ) AS counted GROUP BY account_id HAVING sum(n) <> 0 OR sum(texts) <> 0 OR sum(files) <> 0
    UNION ALL SELECT 'stored_bytes of account ' || CAST(account_id AS TEXT) || ': ' || CAST(sum(n) AS TEXT)
    FROM (
        SELECT account_id, bytes AS n FROM stored_bytes
        UNION ALL SELECT account_id, -size FROM incoming_files WHERE state = 'stored' AND size IS NOT NULL
    ) AS counted GROUP BY account_id HAVING sum(n) <> 0";

/// Checks that they agree, whether the gateway runs or not.
///
/// # Panics
/// When they do not.
pub async fn agree(gateway: &Gateway) {
    match gateway.setting("GERBANG_DATABASE_URL") {
        Some(url) => agree_at(url).await,
        None => judge(&of_sqlite(gateway)),
    }
}

/// The same of the PostgreSQL at `url`.
///
/// # Panics
/// When they do not.
pub async fn agree_at(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let found: Vec<String> =
        sqlx::query_scalar(DIFFERENCES).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    judge(&found);
}

fn judge(found: &[String]) {
    assert!(found.is_empty(), "counters and rows differ:\n{}", found.join("\n"));
}

fn of_sqlite(gateway: &Gateway) -> Vec<String> {
    let path = gateway.data_dir().join("data/gerbang.sqlite");
    let database = rusqlite::Connection::open(path).unwrap();
    let mut query = database.prepare(DIFFERENCES).unwrap();
    let lines = query.query_map((), |row| row.get::<_, String>(0)).unwrap();
    lines.map(Result::unwrap).collect()
}
