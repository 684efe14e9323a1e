//! Read-only views for the control API and the pages, from committed state.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Value, json};

use super::content::Content;
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::{Result, SimulatorError};
use crate::switchboard::Switchboard;

const PHONES_SHOWN: i64 = 200;
const TIMELINE_ROWS: i64 = 300;
const STATES: [&str; 5] = ["", "sent", "delivered", "read", "played"];

impl Switchboard {
    /// A phone, its settings and its linked devices.
    pub(crate) fn view_phone(&mut self, number: Number) -> Result<Value> {
        let phone = self.phone(number)?;
        let mut devices = Vec::new();
        let sql = "SELECT device, platform, push_name, linked_ms, seen_ms, client, language FROM devices \
                   WHERE number = ?1 ORDER BY device";
        let mut query = self.db.prepare_cached(sql)?;
        let mut rows = query.query([number.sql()])?;
        while let Some(row) = rows.next()? {
            let device: u16 = row.get(0)?;
            let addr = DeviceAddr { number, device };
            devices.push(json!({
                "device": device,
                "jid": addr.jid().to_string(),
                "name": row.get::<_, String>(1)?,
                "platform": row.get::<_, String>(5)?,
                "language": row.get::<_, String>(6)?,
                "push_name": row.get::<_, String>(2)?,
                "linked_at": clock::rfc3339(row.get(3)?),
                "seen_at": clock::rfc3339(row.get(4)?),
                "connected": self.by_device.contains_key(&addr),
            }));
        }
        let online_since = self.online_since(number);
        let sees_typing = self.typing.seen_by(number, clock::unix_ms());
        Ok(json!({
            "number": number.to_string(),
            "lid": self.lid_jid(number).to_string(),
            "tokens_given": self.tokens_given(number)?.iter().map(Number::to_string).collect::<Vec<_>>(),
            "registered": phone.registered,
            "online": phone.online,
            "notifies": online_since.is_none(),
            "online_since": online_since.map(clock::rfc3339),
            "sees_typing": sees_typing.iter().map(Number::to_string).collect::<Vec<_>>(),
            "auto_receipts": phone.auto_receipts,
            "passkey": phone.passkey,
            "by_lid": phone.by_lid,
            "migrated": phone.migrated,
            "hidden": phone.hidden,
            "ephemeral_s": phone.ephemeral_s,
            "answers_as": phone.answers_as.map(|other| other.to_string()),
            "rejected_calls": &self.rejected_calls,
            "code_expected": self.codes.waits(number),
            "passkey_verified": self.passkey_of(number)?.is_some(),
            "passkey_code": self.passkey_code(number),
            "devices": devices,
        }))
    }
}

/// Messages whose files the phone has not checked yet.
pub(crate) fn unchecked_media(db: &Connection, number: Number) -> Result<Vec<(String, Content)>> {
    // Quotes inside a JSON string are escaped, so no message's text contains this.
    let sql = "SELECT id, content FROM inbox \
               WHERE number = ?1 AND instr(content, '\"checked\":false') > 0 ORDER BY seq";
    let mut query = db.prepare_cached(sql)?;
    let mut rows = query.query([number.sql()])?;
    let mut unchecked = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        unchecked.extend(read_content(&id, row.get(1)?).map(|content| (id, content)));
    }
    Ok(unchecked)
}

/// A stored content; one that cannot be read is reported, and its message skipped.
fn read_content(id: &str, json: String) -> Option<Content> {
    let content = serde_json::from_str(&json);
    if content.is_err() {
        tracing::error!(id, "the content of a stored message cannot be read");
    }
    content.ok()
}

/// All messages a phone has received, the oldest first.
pub(crate) fn inbox(db: &Connection, number: Number) -> Result<Value> {
    let sql = "SELECT id, sender, chat, content, at_ms, typing_ms, copies FROM inbox \
               WHERE number = ?1 ORDER BY seq";
    let mut query = db.prepare_cached(sql)?;
    let mut rows = query.query([number.sql()])?;
    let mut inbox = Vec::new();
    while let Some(row) = rows.next()? {
        inbox.extend(inbox_row(row)?);
    }
    Ok(Value::Array(inbox))
}

fn inbox_row(row: &Row<'_>) -> Result<Option<Value>> {
    let id: String = row.get(0)?;
    let Some(content) = read_content(&id, row.get(3)?) else { return Ok(None) };
    let (mut value, _) = content_json(content)?;
    value["id"] = json!(id);
    value["from"] = json!(Number::from_sql(row.get(1)?).to_string());
    value["chat"] = json!(row.get::<_, String>(2)?);
    value["at"] = json!(clock::rfc3339(row.get(4)?));
    value["typing_ms"] = json!(row.get::<_, i64>(5)?);
    value["copies"] = json!(row.get::<_, i64>(6)?);
    Ok(Some(value))
}

/// What the page shows: the newest messages in and out, in order.
pub(crate) fn timeline(db: &Connection, number: Number) -> Result<Value> {
    let sql = "SELECT *, (SELECT subject FROM groups WHERE id = replace(chat, '@g.us', '')) FROM ( \
                 SELECT id, 'in' AS way, sender, sender_device AS device, chat, content, at_ms, state, seq \
                 FROM (SELECT * FROM inbox WHERE number = ?1 ORDER BY seq DESC LIMIT ?2) \
                 UNION ALL \
                 SELECT id, 'out', number, device, chat, content, at_ms, state, seq \
                 FROM (SELECT * FROM sent WHERE number = ?1 ORDER BY seq DESC LIMIT ?2) \
               ) ORDER BY at_ms, seq";
    let mut query = db.prepare_cached(sql)?;
    let mut rows = query.query(params![number.sql(), TIMELINE_ROWS])?;
    let mut timeline = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, way): (String, String) = (row.get(0)?, row.get(1)?);
        let Some(content) = read_content(&id, row.get(5)?) else { continue };
        let unknown = if way == "in" { "received" } else { "sent" };
        let (mut value, has_media) = content_json(content)?;
        value["has_media"] = json!(has_media);
        value["id"] = json!(id);
        value["way"] = json!(way);
        value["from"] = json!(Number::from_sql(row.get(2)?).to_string());
        value["device"] = json!(row.get::<_, u16>(3)?);
        value["chat"] = json!(row.get::<_, String>(4)?);
        value["subject"] = json!(row.get::<_, Option<String>>(9)?);
        value["at"] = json!(clock::rfc3339(row.get(6)?));
        value["state"] = json!(state(row.get(7)?, unknown));
        timeline.push(value);
    }
    Ok(Value::Array(timeline))
}

fn state(state: i64, first: &'static str) -> &'static str {
    match state {
        1 => first,
        other => usize::try_from(other)
            .ok()
            .and_then(|index| STATES.get(index).copied())
            .unwrap_or("unknown"),
    }
}

/// The public part of a content, and whether it has a file that opens.
fn content_json(mut content: Content) -> Result<(Value, bool)> {
    let media = content.media.take();
    let has_media = media.is_some_and(|media| media.failure.is_none());
    let mut value = serde_json::to_value(content)
        .map_err(|error| SimulatorError::Internal(error.to_string()))?;
    if let Some(fields) = value.as_object_mut() {
        fields.remove("media");
    }
    Ok((value, has_media))
}

/// One message's content, from the inbox or from what the phone sent.
pub(crate) fn content(db: &Connection, number: Number, id: &str) -> Result<Option<Content>> {
    let sql = "SELECT content FROM inbox WHERE number = ?1 AND id = ?2 UNION ALL \
               SELECT content FROM sent WHERE number = ?1 AND id = ?2 LIMIT 1";
    let found: Option<String> = db
        .prepare_cached(sql)?
        .query_row(params![number.sql(), id], |row| row.get(0))
        .optional()?;
    Ok(found.and_then(|json| serde_json::from_str(&json).ok()))
}

/// Phones that have been used lately, with their numbers of messages.
pub(crate) fn phones(db: &Connection) -> Result<Value> {
    let sql = "SELECT number, MAX(seen), SUM(inbox), SUM(linked) FROM ( \
                 SELECT number, MAX(at_ms) AS seen, COUNT(*) AS inbox, 0 AS linked FROM inbox GROUP BY number \
                 UNION ALL SELECT number, seen_ms, 0, 0 FROM phones WHERE seen_ms > 0 \
                 UNION ALL SELECT number, MAX(seen_ms), 0, COUNT(*) FROM devices GROUP BY number \
               ) WHERE number < 1000000000000000 GROUP BY number ORDER BY 2 DESC LIMIT ?1";
    let mut query = db.prepare_cached(sql)?;
    let mut rows = query.query([PHONES_SHOWN])?;
    let mut phones = Vec::new();
    while let Some(row) = rows.next()? {
        phones.push(json!({
            "number": Number::from_sql(row.get(0)?).to_string(),
            "seen_at": clock::rfc3339(row.get(1)?),
            "messages": row.get::<_, i64>(2)?,
            "devices": row.get::<_, i64>(3)?,
        }));
    }
    Ok(Value::Array(phones))
}

/// The groups and their members.
pub(crate) fn groups(db: &Connection) -> Result<Value> {
    let sql = "SELECT g.id, g.subject, group_concat(m.number), g.description, g.announcement, g.locked, \
               COALESCE(length(g.picture), 0) FROM groups g \
               JOIN group_members m ON m.group_id = g.id GROUP BY g.id ORDER BY g.created_ms DESC LIMIT 200";
    let mut query = db.prepare_cached(sql)?;
    let mut rows = query.query([])?;
    let mut groups = Vec::new();
    while let Some(row) = rows.next()? {
        let members: String = row.get(2)?;
        groups.push(json!({
            "id": format!("{}@g.us", row.get::<_, String>(0)?),
            "subject": row.get::<_, String>(1)?,
            "participants": members.split(',').collect::<Vec<_>>(),
            "description": row.get::<_, String>(3)?,
            "announcement": row.get::<_, bool>(4)?,
            "locked": row.get::<_, bool>(5)?,
            "picture_bytes": row.get::<_, i64>(6)?,
        }));
    }
    Ok(Value::Array(groups))
}

/// The number of rows of each table.
pub(crate) fn stored_counts(db: &Connection) -> Result<Value> {
    let mut counts = serde_json::Map::new();
    for table in [
        "phones",
        "devices",
        "prekeys",
        "sessions",
        "sender_keys",
        "mail",
        "inbox",
        "sent",
        "groups",
    ] {
        let count: i64 =
            db.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0))?;
        counts.insert(table.into(), json!(count));
    }
    Ok(Value::Object(counts))
}
