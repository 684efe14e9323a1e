//! Every limit and pause of the driver, with its unit.

use std::time::Duration;

/// Longest wait for the server's half of the Noise handshake (the library's own).
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_secs(20);

/// Longest fetching of a file that came in, with every host that is asked.
pub(crate) const FETCH_MAX: Duration = Duration::from_secs(15 * 60);

/// First pause before a connection is tried again; it doubles from there.
pub(crate) const RECONNECT_FIRST: Duration = Duration::from_secs(1);
/// Longest ordinary pause, so that a server that comes back is noticed within a minute.
pub(crate) const RECONNECT_MAX: Duration = Duration::from_secs(60);
/// Pause after WhatsApp limited the number, or banned it without saying for how long.
pub(crate) const RECONNECT_LATER: Duration = Duration::from_secs(15 * 60);
/// Pause after WhatsApp refused the version, the client or the login.
pub(crate) const RECONNECT_HOURLY: Duration = Duration::from_secs(60 * 60);
/// How long after its end a ban is taken to be over.
pub(crate) const BAN_MARGIN: Duration = Duration::from_secs(2);
/// Pauses are lengthened by up to this many percent, by device, so that not all come at once.
pub(crate) const RECONNECT_JITTER_PERCENT: u64 = 25;
/// A connection that lasted this long resets the pauses.
pub(crate) const STABLE: Duration = Duration::from_secs(30);

/// Between two looks whether a connection is alive.
pub(crate) const LIVENESS_EVERY: Duration = Duration::from_secs(5);
/// A connection that was silent for this long is asked for an answer.
pub(crate) const PING_AFTER: Duration = Duration::from_secs(20);
/// A connection that was silent for this long is dead: at least one question was not answered.
pub(crate) const DEAD_AFTER: Duration = Duration::from_secs(40);
/// Longest wait for the answer.
pub(crate) const PONG_MAX: Duration = Duration::from_secs(15);

/// Between two looks whether our own store answers again.
pub(crate) const STORE_PROBE_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause after the store was away, for the first [`OUTAGES_SHORT`] times.
pub(crate) const OUTAGE_PAUSE_MAX: Duration = Duration::from_secs(4);
/// Outages in a row after which pauses grow as for any other loss: the store answers but does not
/// take what comes in, such as on a full disk.
pub(crate) const OUTAGES_SHORT: u32 = 20;

/// Pause before mail that the engine could not store is asked for again; it doubles, up to
/// [`RECONNECT_MAX`].
pub(crate) const REDELIVERY_FIRST: Duration = Duration::from_secs(2);

/// How long QRs are shown, one after the other, before linking counts as failed.
pub(crate) const PAIRING_MAX: Duration = Duration::from_secs(10 * 60);
/// Longest wait for WhatsApp to take a step of a passkey.
pub(crate) const PASSKEY_ANSWER_MAX: Duration = Duration::from_secs(20);
/// Longest wait of a request for a pairing code for the connection it is asked over.
pub(crate) const PAIRING_SOCKET_MAX: Duration = Duration::from_secs(30);
/// How long an attempt to link outlives its code, for a phone that is just entering it.
pub(crate) const PAIRING_CODE_GRACE: Duration = Duration::from_secs(10);

/// Longest wait for the event of a new link once WhatsApp has asked for a new connection.
pub(crate) const LINK_AFTER_RESTART_MAX: Duration = Duration::from_secs(5);

/// Devices that log in at the same moment; the others wait for their turn.
pub(crate) const LOGINS_MAX: usize = 64;
/// Longest time one device keeps its turn.
pub(crate) const LOGIN_TURN_MAX: Duration = Duration::from_secs(15);

/// Longest wait for WhatsApp to confirm a logout.
pub(crate) const LOGOUT_MAX: Duration = Duration::from_secs(10);
/// Longest wait for a socket to close over which nothing is sent any more.
pub(crate) const CUT_MAX: Duration = Duration::from_secs(1);
/// Longest wait for a client to write what it still has to write.
pub(crate) const CLOSE_MAX: Duration = Duration::from_secs(12);
/// Longest wait for one message to be encrypted and written.
pub(crate) const SEND_MAX: Duration = Duration::from_secs(60);
/// Longest time that a send goes on once its connection has ended.
pub(crate) const CUT_OFF_MAX: Duration = Duration::from_secs(3);
/// Files that are encrypted and uploaded at the same time, all devices together; each takes twice
/// its size of the disk.
pub(crate) const UPLOADS_MAX: usize = 4;
/// Longest time for one upload, the wait for its turn included: 100 MB at 2 Mbit/s, with a reserve.
pub(crate) const UPLOAD_MAX: Duration = Duration::from_secs(10 * 60);
/// Pieces in which a file is read and sent, in bytes.
pub(crate) const UPLOAD_PIECE_BYTES: usize = 64 * 1024;
/// Pieces of one upload that wait for the network.
pub(crate) const UPLOAD_PIECES_MAX: usize = 4;
/// Longest wait for the answer whether a number is registered.
pub(crate) const LOOK_UP_MAX: Duration = Duration::from_secs(20);
/// Longest wait for "typing…" or a presence to be written.
pub(crate) const TYPING_MAX: Duration = Duration::from_secs(3);
/// Longest time that a device is online for others after it began to type: the longest typing of the
/// pacing, and a little more for the message to be written.
pub(crate) const AVAILABLE_MAX: Duration = Duration::from_secs(11);
/// When a device is shown as offline again after the library has learnt its owner's name.
pub(crate) const ANNOUNCEMENT_PAUSES: [Duration; 3] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];

/// Longest wait for WhatsApp's acknowledgement of a message, which may report missing devices.
pub(crate) const ACK_MAX: Duration = Duration::from_secs(60);
/// Messages of one device that are remembered as such that no recipient can open.
pub(crate) const HOLLOW_MAX: usize = 4_096;

/// How long a sent message is kept for recipients that could not decrypt it: a phone may have been
/// off for days before it asks for the message again.
pub(crate) const SENT_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Messages sent again at once to members of one group that ask for them; further requests are
/// ignored. (WhatsApp's own client sends all; sending few loses messages, sending
/// thousands risks the number.)
pub(crate) const RESENDS_MAX: u32 = 256;
/// How many more each minute allows.
pub(crate) const RESENDS_PER_MINUTE: u32 = 60;

/// Rounds of the synchronisation of one collection of app state in [`APP_STATE_WINDOW`]; a fresh link needs
/// a few. The library makes 500 at a time, and begins again, while WhatsApp says that there is more.
pub(crate) const APP_STATE_ROUNDS_MAX: u32 = 60;
/// When the rounds are counted anew.
pub(crate) const APP_STATE_WINDOW: Duration = Duration::from_secs(60 * 60);
/// Devices of which a history is held in memory, all together.
pub(crate) const HISTORIES_MAX: usize = 2;
/// Longest time that a device's turn to hold a history lasts.
pub(crate) const HISTORY_TURN_MAX: Duration = Duration::from_secs(60);
/// A download up to this size needs no turn, in bytes.
pub(crate) const SMALL_DOWNLOAD_BYTES: u64 = 1024 * 1024;
/// Chats of a history that are reported together.
pub(crate) const HISTORY_CHATS_PER_REPORT_MAX: usize = 500;
/// How long a request for older messages waits for the phone's answer; what comes later is stored, too.
pub(crate) const HISTORY_ANSWER_MAX: Duration = Duration::from_secs(10);
/// Most messages that are taken of one answer.
pub(crate) const ASKED_MESSAGES_MAX: usize = 1_000;
/// Most of them in one report to the engine.
pub(crate) const HISTORY_MESSAGES_PER_REPORT_MAX: usize = 100;

/// How long WhatsApp's answer is used that an account addresses people by number.
pub(crate) const ADDRESSING_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How soon it is asked again because somebody writes by LID, which a few do to any account.
pub(crate) const ADDRESSING_RETRY: Duration = Duration::from_secs(10 * 60);
/// Groups of one device whose addressing is remembered.
pub(crate) const ADDRESSING_GROUPS_MAX: usize = 1_000;
/// Longest wait for the answer.
pub(crate) const ADDRESSING_MAX: Duration = Duration::from_secs(5);

/// People who are reported together as known by both names.
pub(crate) const IDENTITIES_PER_REPORT_MAX: usize = 200;
/// People of one device who are remembered as reported.
pub(crate) const IDENTITIES_REPORTED_MAX: usize = 20_000;

/// People of one device who are remembered to have no token under their number.
pub(crate) const TOKENLESS_MAX: usize = 128;

/// Most people whom a message that came in mentions by LID and whose numbers are looked up.
pub(crate) const MENTIONS_NAMED_MAX: usize = 64;

/// How long WhatsApp's answer is used until when a number may write to no strangers.
pub(crate) const RESTRICTION_KEPT: Duration = Duration::from_secs(5);
/// How long such a restriction is taken to last when WhatsApp does not say.
pub(crate) const RESTRICTION_UNKNOWN: Duration = Duration::from_secs(24 * 60 * 60);

/// Events of one device that wait for the engine.
pub(crate) const EVENTS_MAX: usize = 4_096;

/// How long a message that could not be decrypted is waited for before it is reported as unreadable: its
/// sender and the phone are asked for it. What comes later turns it into the message.
pub(crate) const AWAITED_FOR: Duration = Duration::from_secs(10);
/// How long the phone, which may be off, is asked over each new client for a message that was reported, or of which
/// nothing is stored though it was decrypted.
pub(crate) const LATE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Most awaited messages of one device, up to which a reported one is kept: half of [`AWAITED_MAX`].
pub(crate) const LATE_COUNT_MAX: usize = AWAITED_MAX / 2;
/// Messages for which the phone is asked between two looks at the connection.
pub(crate) const REQUESTS_MAX: usize = 50;
/// First pause between two sessions with the own phone that are dropped; it doubles from there.
pub(crate) const NEW_SESSION_FIRST: Duration = Duration::from_secs(60);
/// Longest such pause.
pub(crate) const NEW_SESSION_MAX: Duration = Duration::from_secs(60 * 60);
/// Messages of one device that are waited for; beyond it they are reported at once.
pub(crate) const AWAITED_MAX: usize = 4_096;

/// Receipts of one device that the engine stores at the same time.
pub(crate) const RECEIPTS_MAX: usize = 256;

/// Receipts of one device without an answer, beyond which nothing more is read from its connection.
pub(crate) const RECEIPTS_WAITING_MAX: u64 = 1_024;

/// Numbers whose registration is remembered, all devices together.
pub(crate) const REGISTRATIONS_MAX: usize = 50_000;
/// How long a registered number is believed to stay so.
pub(crate) const REGISTERED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an unregistered number is believed to stay so.
pub(crate) const UNREGISTERED_FOR: Duration = Duration::from_secs(60);

/// How long the protocol version of the real service is used before it is fetched again.
pub(crate) const VERSION_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How often it is fetched at most when WhatsApp refuses the present one.
pub(crate) const VERSION_REFUSED_RETRY: Duration = Duration::from_secs(60);
/// How soon it is fetched again after a failure.
pub(crate) const VERSION_RETRY: Duration = Duration::from_secs(10 * 60);
/// Longest wait for the protocol version.
pub(crate) const VERSION_MAX: Duration = Duration::from_secs(10);

/// Nested wrappers around a message that are opened.
pub(crate) const WRAPPERS_MAX: usize = 8;

/// How long votes in a poll can be read: as long as messages are kept.
pub(crate) const POLL_SECRET_FOR: Duration = Duration::from_secs(90 * 24 * 60 * 60);
