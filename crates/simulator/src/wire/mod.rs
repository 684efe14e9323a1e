//! Bytes in and out: frames, the Noise handshake, the certificate chain, and the socket.
//!
//! Nothing here knows what a stanza means.

pub(crate) mod certificates;
pub(crate) mod frames;
pub(crate) mod noise;
pub(crate) mod socket;
