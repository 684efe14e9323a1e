//! What Gerbang is about: accounts, devices, messages, and the rules they follow.
//!
//! Nothing here knows of HTTP, SQL, a runtime or the WhatsApp protocol. Time and randomness come
//! in as arguments or through [`ports`]. [`service::Core`] holds the use cases; every API calls
//! them and nothing else.

pub mod account;
pub mod audit;
pub mod call;
pub mod chat;
pub mod client;
pub mod contact;
pub mod content;
pub mod context;
pub mod device;
pub mod emoji;
pub mod error;
pub mod fair_semaphore;
pub mod grant;
pub mod group;
pub mod ids;
pub mod incoming_file;
pub mod key;
pub mod leases;
pub mod link;
pub mod media;
pub mod message;
pub mod node;
pub mod passkey;
pub mod person;
pub mod phone;
pub mod picture;
pub mod plan;
pub mod policy;
pub mod portal;
pub mod ports;
pub mod proxy;
pub mod request_file;
pub mod scope;
pub mod service;
pub mod structured;
pub mod text;
pub mod totp;
pub mod webhook;
