//! WhatsApp: implements [`domain::ports::Messenger`] on the protocol library `whatsapp-rust`,
//! which nothing else imports.
//!
//! ```text
//! messenger   one slot per device; send, typing, look-ups
//!   writing, stanzas  what is written for a message, and whether the recipient can open it
//!   timers       disappearing chats
//!   identities   who is who, as the session learns it
//!   addressing   whether the account names people by number or by LID
//!   restrictions until when a number may write to no strangers
//!   presence     when a device is online for others
//!   pairing      one task per device: connects, reconnects, reports in order
//!     connection, liveness  the state of its one connection
//!     passkey, rotation  the challenge of a passkey, and the QRs that end with it
//!     receipts    stored before they are acknowledged
//!     awaited, recovery  messages that could not be decrypted, and what the phone resends of them
//!     disconnect  why a connection ended and how long to wait (pure)
//!     history     the chats of a number that was just linked
//!     client  builds a client over stored state; listens to it
//!       inbound                    messages, stored before they are acknowledged
//!       events, incoming, outgoing, errors   translation (pure)
//!         contacts, polls          what both need of vCards and votes
//!         message_context          what a message refers to
//!       upload                     files, encrypted and uploaded piece by piece
//!       download                   files that came in, fetched and compared with their hash
//!       storage                    the library's state, in our protocol store
//!       network, wire, sockets, http_client: watched sockets, also through a proxy; guarded HTTP
//!         config                   where it may connect to
//! ```
//!
//! Nothing here logs a QR, a code, a key, a text or a phone number.

mod addressing;
mod asked;
mod awaited;
mod calls;
mod changes;
mod client;
mod config;
mod connection;
mod contacts;
mod disconnect;
mod download;
mod errors;
mod events;
mod group_reports;
mod groups;
mod history;
mod http_client;
mod identities;
mod inbound;
mod incoming;
mod known_names;
mod limits;
mod link;
mod liveness;
mod mentions;
mod message_context;
mod messenger;
mod missed;
mod network;
mod outage;
mod outgoing;
mod pairing;
mod passkey;
mod polls;
mod presence;
mod receipts;
mod recovery;
mod registrations;
mod restrictions;
mod rotation;
mod sockets;
mod stanzas;
mod storage;
mod structured;
mod timers;
mod upload;
mod version;
mod wire;
mod writing;

/// What a log filter must contain for the protocol library, in `tracing-subscriber`'s spelling.
///
/// Below `error` its messages carry pairing codes, phone numbers and whole stanzas, and many of
/// their targets do not begin with a crate's name.
pub const LOG_FILTER: &str = "whatsapp_rust=error,whatsapp_rust_tokio_transport=error,\
    wacore=error,wacore_libsignal=off,waproto=error,tokio_websockets=warn,\
    Client=error,Bot=error,AppState=error,usync=error,Blocking=error,blocklist=error,\
    UnifiedSession=error,Chatstate=error,TcToken=error,PresenceHandler=error,\
    MessageQueue=error,Mex=error";

pub use config::{Config, ConfigError, Version, WHATSAPP_URL};
pub use messenger::WhatsappMessenger;
