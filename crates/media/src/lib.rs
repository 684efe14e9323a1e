//! Files that are to be sent: what they are, and voice notes made of them.
//!
//! ```text
//! codec      the port: one file in, one file out that is fit to be sent
//! kind       as what a file is sent, and under which type and name (pure)
//! format     what a file is, by its first bytes (pure)
//! picture    width and height of images (pure)
//! length     how long a file plays
//! voice/     decodes, resamples, encodes to OGG/Opus, draws the waveform
//! ```
//!
//! Invariants: a file is believed only what its bytes say; nothing but voice notes is converted;
//! a conversion has a longest length and a longest time, and stops when nobody waits for it.

mod codec;
mod format;
mod kind;
mod length;
mod picture;
mod voice;

#[cfg(test)]
mod tests;

pub use codec::{Codec, SetupError};
