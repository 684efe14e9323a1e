//! Detects the kind of files to send, and converts audio to voice notes and images to stickers.
//!
//! ```text
//! codec      the port: one file in, one file ready to send out
//! kind       the kind that a file is sent with (pure)
//! naming     the MIME type and name of a document (pure)
//! format     a file's format, by its first bytes (pure)
//! container  what is inside archives and office files
//! types      MIME types and the endings of names (pure)
//! picture    width and height of images (pure)
//! thumbnail  small pictures of images, and stickers made of them
//! pages      how many pages a PDF has
//! section    a part of a file, read as if it were the whole
//! length/    the duration of a file
//! voice/     decodes, resamples, encodes to OGG/Opus, draws the waveform
//! ```
//!
//! Invariants: only a file's bytes decide what it is; only voice notes and stickers are converted; a conversion
//! has a limit of length and of time, and stops when its caller no longer waits.

mod codec;
mod container;
mod format;
mod kind;
mod length;
mod naming;
mod pages;
mod picture;
mod section;
mod thumbnail;
mod types;
mod voice;

#[cfg(test)]
mod tests;

pub use codec::{Codec, SetupError};
