//! Millions of messages: some are written through the store, as the engine does it, and then copied inside the
//! database with everything that is counted of them.

use std::path::Path;

use rusqlite::Connection;

/// How many messages are written through the store before they are copied.
pub const WRITTEN_MAX: u32 = 100_000;

/// Copies the rows up to `?1`, `?2` further on; a message is a second later than the one before.
const COPY: &str = "INSERT INTO messages SELECT id + ?2, account_id, device_id, direction, chat, sender, sender_key,
        kind, text, media, whatsapp_id || '-' || ?2, state, failure, typing, priority, attempts, due_at, expires_at,
        retry_interval_s, quota_kind, quota_remaining, created_at + ?2 * 1000, history, is_scheduled
    FROM messages WHERE id BETWEEN 1 AND ?1";
/// Brings what is counted of messages in line with them.
const COUNT: &str = "
    UPDATE chats SET last_message_id = latest.id
        FROM (SELECT device_id, chat, max(id) AS id FROM messages GROUP BY device_id, chat) AS latest
        WHERE latest.device_id = chats.device_id AND latest.chat = chats.chat;
    UPDATE counters SET value = max(value, (SELECT max(id) FROM messages)) WHERE name = 'message_id';
    DELETE FROM message_counts WHERE state <> 'waiting';
    INSERT INTO message_counts (account_id, device_id, direction, state, count)
        SELECT account_id, device_id, direction, state, count(*) FROM messages
        GROUP BY account_id, device_id, direction, state;
    DELETE FROM message_hours;
    INSERT INTO message_hours (account_id, hour, device_id, direction, state, count)
        SELECT account_id, created_at / 3600000, device_id, direction, state, count(*) FROM messages
        GROUP BY account_id, created_at / 3600000, device_id, direction, state;
    PRAGMA wal_checkpoint(TRUNCATE);";

/// Copies the messages of a database that nobody has open, until there are `count` of them.
pub fn multiply(database: &Path, count: u32) {
    let connection = Connection::open(database).unwrap();
    let settings = "PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;";
    connection.execute_batch(settings).unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    loop {
        let missing = i64::from(count) - number("SELECT count(*) FROM messages");
        if missing <= 0 {
            break;
        }
        let last = number("SELECT max(id) FROM messages");
        // Ids have no gaps here, so that as many are copied as are missing.
        let copied = connection.execute(COPY, (last.min(missing), last)).unwrap();
        assert!(copied > 0, "nothing was copied");
    }
    connection.execute_batch(COUNT).unwrap();
}
