//! How the release of commit fb46800 reads what is stored as JSON: copies of its types, never to be
//! changed with the code.
#![expect(dead_code, reason = "only whether they can be read matters")]

use jiff::Timestamp;
use jiff::civil::Time;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    In,
    Out,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum MessageState {
    Scheduled,
    Queued,
    Sending,
    Sent,
    Delivered,
    Read,
    Played,
    Failed,
    Expired,
    Cancelled,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ContentKind {
    Text,
    Image,
    Video,
    Audio,
    Voice,
    Document,
    Sticker,
    Location,
    Contact,
    Reaction,
    Other,
}

#[derive(Deserialize)]
struct StateChange {
    state: MessageState,
    at: Timestamp,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Failure {
    code: String,
    message: String,
}

#[derive(Deserialize)]
struct Address {
    phone: Option<String>,
    lid: Option<String>,
}

#[derive(Deserialize)]
struct Media {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    is_kind_given: bool,
    #[serde(default)]
    filename: Option<String>,
    #[serde(default)]
    mimetype: Option<String>,
    #[serde(default)]
    size: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pacing {
    min_s: u32,
    max_s: u32,
    typing: bool,
    first_contacts_per_day: Option<u32>,
    quiet_hours: Option<QuietHours>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuietHours {
    from: Time,
    until: Time,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Feature {
    Groups,
    Broadcast,
    Schedule,
    SendImage,
    SendDocument,
    SendGroupMedia,
    IncomingWebhook,
    AdvanceWebhook,
    DowntimeNotification,
}

#[derive(Deserialize)]
enum EventKind {
    #[serde(rename = "message.received")]
    MessageReceived,
    #[serde(rename = "message.sent")]
    MessageSent,
    #[serde(rename = "message.delivered")]
    MessageDelivered,
    #[serde(rename = "message.read")]
    MessageRead,
    #[serde(rename = "message.played")]
    MessagePlayed,
    #[serde(rename = "message.failed")]
    MessageFailed,
    #[serde(rename = "message.expired")]
    MessageExpired,
    #[serde(rename = "message.cancelled")]
    MessageCancelled,
    #[serde(rename = "device.connected")]
    DeviceConnected,
    #[serde(rename = "device.disconnected")]
    DeviceDisconnected,
    #[serde(rename = "device.logged_out")]
    DeviceLoggedOut,
    #[serde(rename = "device.paired")]
    DevicePaired,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    kind: EventKind,
    at: Timestamp,
    account_id: i64,
    device: EventDevice,
    subject: Subject,
}

#[derive(Deserialize)]
struct EventDevice {
    id: Uuid,
    number_id: i64,
    name: String,
    phone: Option<String>,
    lid: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Subject {
    Message(Box<EventMessage>),
    Device(EventStatus),
}

#[derive(Deserialize)]
struct EventMessage {
    id: i64,
    whatsapp_id: String,
    direction: Direction,
    chat: String,
    sender: Option<Address>,
    kind: ContentKind,
    text: String,
    media: Option<Media>,
    state: MessageState,
    failure: Option<Failure>,
    created_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum DeviceStatus {
    Unpaired,
    Pairing,
    Connecting,
    Connected,
    Disconnected,
    LoggedOut,
}

#[derive(Deserialize)]
struct EventStatus {
    status: DeviceStatus,
    reason: Option<String>,
    code: Option<u16>,
    should_reconnect: bool,
}

/// Reads a column as that release does; false for one that it does not read as JSON.
pub fn read(table: &str, column: &str, text: &str) -> bool {
    fn parse<T: DeserializeOwned>(text: &str) -> T {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
    match (table, column) {
        ("outbox" | "messages", "media") => drop(parse::<Media>(text)),
        ("outbox" | "messages", "failure") => drop(parse::<Failure>(text)),
        ("outbox" | "messages", "history") => drop(parse::<Vec<StateChange>>(text)),
        ("messages", "sender") => drop(parse::<Address>(text)),
        ("devices", "pacing") => drop(parse::<Pacing>(text)),
        ("plans", "features") => drop(parse::<Vec<Feature>>(text)),
        ("webhooks", "events") => drop(parse::<Vec<EventKind>>(text)),
        ("deliveries", "event") => drop(parse::<Event>(text)),
        ("idempotency", "message_ids") => drop(parse::<Vec<i64>>(text)),
        _ => return false,
    }
    true
}
