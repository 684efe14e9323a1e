//! Detects the kind of files to send, and converts audio to voice notes.
//!
//! ```text
//! codec      the port: one file in, one file ready to send out
//! kind       the kind, MIME type and name that a file is sent with (pure)
//! format     a file's format, by its first bytes (pure)
//! picture    width and height of images (pure)
//! length     the duration of a file
//! voice/     decodes, resamples, encodes to OGG/Opus, draws the waveform
//! ```
//!
//! Invariants: only a file's bytes decide what it is; only voice notes are converted; a conversion
//! has a limit of length and of time, and stops when its caller no longer waits.

mod codec;
mod format;
mod kind;
mod length;
mod picture;
mod voice;

#[cfg(test)]
mod tests;

pub use codec::{Codec, SetupError};
