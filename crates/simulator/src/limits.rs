//! Every bound of the simulator, in one place; units last.

use std::time::Duration;

/// One Noise frame; a client's largest is a group message's fan-out.
pub(crate) const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Edge-routing information in front of the first frame.
pub(crate) const ROUTING_BYTES_MAX: usize = 4 * 1024;
/// From the web-socket upgrade to the end of the Noise handshake.
pub(crate) const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(20);
/// A connection that says nothing for this long is closed (clients ping every half minute).
pub(crate) const SILENCE_TIME_MAX: Duration = Duration::from_secs(240);
/// How often the server pings a client; one that has not answered by the next is closed.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(90);
/// How long a client that is asked to start again has for ending its connection.
pub(crate) const RESTART_TIME_MAX: Duration = Duration::from_secs(10);
/// One write to a socket; a client that does not read for this long is closed.
pub(crate) const WRITE_TIME_MAX: Duration = Duration::from_secs(30);
/// From our end of a connection to the client's.
pub(crate) const LINGER_TIME_MAX: Duration = Duration::from_secs(3);
/// How long a typed code waits for the client that shows it: some clients show their code
/// before the server has heard of it.
pub(crate) const CODE_TIME_MAX: Duration = Duration::from_secs(3);
/// How often it looks.
pub(crate) const CODE_POLL_TIME: Duration = Duration::from_millis(50);
/// Open connections.
pub(crate) const CONNECTIONS_MAX: usize = 8_192;
/// Stanzas waiting in one connection's way out; beyond it the connection is closed
/// and its mail waits in the database.
pub(crate) const OUTGOING_STANZAS_MAX: usize = 4_096;
/// Jobs waiting for the switchboard; beyond it callers wait.
pub(crate) const JOBS_MAX: usize = 16_384;
/// Jobs in one database transaction.
pub(crate) const JOBS_PER_COMMIT_MAX: usize = 512;
/// Rows of undelivered mail sent to a connection at once.
pub(crate) const MAIL_PAGE_ROWS: usize = 500;
/// PairingOutcome devices of one phone (a device number is one byte on the wire).
pub(crate) const LINKED_DEVICES_MAX: usize = 200;
/// Chats of one history, and its messages' bytes: clients take no more in one.
/// Most older messages that a phone gives at a time.
pub(crate) const OLDER_MESSAGES_MAX: i32 = 500;
pub(crate) const HISTORY_CHATS_MAX: usize = 5_000;
pub(crate) const HISTORY_BYTES_MAX: usize = 60 * 1024 * 1024;
/// Chats whose LIDs a phone sends when its account is migrated.
pub(crate) const MIGRATED_CHATS_MAX: i64 = 1_000;
/// One-time prekeys kept for one device.
pub(crate) const PREKEYS_MAX: usize = 2_000;
/// Users in one query.
pub(crate) const QUERY_USERS_MAX: usize = 2_048;
/// Members of one group.
pub(crate) const GROUP_MEMBERS_MAX: usize = 1_024;
/// Addressees of one message stanza.
pub(crate) const TARGETS_MAX: usize = 8_192;
/// Sessions, sender keys and phone keys held in memory, each; the rest is read again.
pub(crate) const CACHE_ENTRIES_MAX: usize = 20_000;
/// Chats remembered as being typed in.
pub(crate) const TYPING_CHATS_MAX: usize = 20_000;
/// How long a phone shows "typing…" after the client last said so.
pub(crate) const TYPING_SHOWN_TIME_MAX: Duration = Duration::from_secs(25);
/// Pairing codes waiting to be entered.
pub(crate) const CODES_MAX: usize = 8_192;
/// One uploaded file.
/// (100 MB, what encryption adds, and room to spare).
pub(crate) const MEDIA_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// One request to the control API (media arrive as base64).
pub(crate) const CONTROL_BYTES_MAX: usize = 24 * 1024 * 1024;
/// How long the control API waits for a device to finish pairing.
pub(crate) const PAIRING_TIME_MAX: Duration = Duration::from_secs(30);
/// Events kept for a slow page.
pub(crate) const PAGE_EVENTS_MAX: usize = 256;
/// How often a phone asks for one message that it cannot open.
pub(crate) const RETRIES_MAX: u32 = 4;
/// Messages in one read receipt.
pub(crate) const RECEIPT_IDS_MAX: usize = 256;
/// Patches of one collection in one answer.
pub(crate) const APP_STATE_PATCHES_MAX: usize = 100;
