//! Opens what a server compressed for the way, although it was asked not to.

use std::borrow::Cow;
use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

use crate::files::FetchError;

/// Most compressed bytes that are opened at a time; they become a thousand times as many at most.
const PIECE_BYTES: usize = 1024;

/// The codings that are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
}

/// What opens the bytes of an answer.
pub(crate) enum Opener {
    /// As they came.
    Plain,
    /// Not decided yet: some servers name a coding and do not compress.
    Named(Coding),
    /// Compressed.
    Compressed(Box<dyn Decoder>),
}

/// One of the decoders, which all write what they open into memory.
pub(crate) trait Decoder: Write + Send {
    /// Takes what was opened so far.
    fn opened(&mut self) -> Vec<u8>;
    /// Opens the rest.
    fn end(&mut self) -> io::Result<()>;
}

macro_rules! decoder {
    ($($name:ident),*) => {$(
        impl Decoder for $name<Vec<u8>> {
            fn opened(&mut self) -> Vec<u8> {
                std::mem::take(self.get_mut())
            }

            fn end(&mut self) -> io::Result<()> {
                self.try_finish()
            }
        }
    )*};
}

decoder!(MultiGzDecoder, ZlibDecoder, DeflateDecoder);

impl Opener {
    /// For an answer with these headers. Words that are no coding are ignored, as browsers do.
    ///
    /// # Errors
    /// [`FetchError::Failed`] for codings that are not opened here.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, FetchError> {
        let mut named = None;
        for value in headers.get_all(CONTENT_ENCODING) {
            let words = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            for word in words.split(',').map(str::trim) {
                let coding = match word {
                    "gzip" | "x-gzip" => Coding::Gzip,
                    "deflate" => Coding::Deflate,
                    "br" | "zstd" | "compress" | "x-compress" => return Err(FetchError::Failed),
                    _ => continue,
                };
                if named.replace(coding).is_some() {
                    return Err(FetchError::Failed);
                }
            }
        }
        Ok(named.map_or(Self::Plain, Self::Named))
    }

    /// Decides by the first bytes.
    fn of_coding(coding: Coding, start: &[u8]) -> Self {
        match (coding, start) {
            (Coding::Gzip, [0x1f, 0x8b, ..] | [0x1f]) => {
                Self::Compressed(Box::new(MultiGzDecoder::new(Vec::new())))
            }
            (Coding::Gzip, _) => Self::Plain,
            // With the header of zlib, as the standard has it, or without, as some servers do.
            (Coding::Deflate, [first, second, ..])
                if first & 15 == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0 =>
            {
                Self::Compressed(Box::new(ZlibDecoder::new(Vec::new())))
            }
            (Coding::Deflate, _) => Self::Compressed(Box::new(DeflateDecoder::new(Vec::new()))),
        }
    }

    /// Opens bytes, one small piece after the other, so that few never become many in memory.
    pub(crate) fn open<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> impl Iterator<Item = Result<Cow<'a, [u8]>, FetchError>> {
        if let (Self::Named(coding), false) = (&*self, bytes.is_empty()) {
            *self = Self::of_coding(*coding, bytes);
        }
        let is_plain = !matches!(self, Self::Compressed(_));
        let piece_bytes = if is_plain { bytes.len().max(1) } else { PIECE_BYTES };
        bytes.chunks(piece_bytes).map(move |piece| match self {
            Self::Compressed(decoder) => match decoder.write_all(piece) {
                Ok(()) => Ok(Cow::Owned(decoder.opened())),
                // What follows the end is ignored.
                Err(error) if error.kind() == io::ErrorKind::WriteZero => {
                    Ok(Cow::Owned(decoder.opened()))
                }
                Err(_) => Err(FetchError::Failed),
            },
            Self::Plain | Self::Named(_) => Ok(Cow::Borrowed(piece)),
        })
    }

    /// The rest.
    ///
    /// # Errors
    /// [`FetchError::Failed`] when the answer ended in the middle of what was compressed.
    pub(crate) fn finish(self) -> Result<Vec<u8>, FetchError> {
        let Self::Compressed(mut decoder) = self else { return Ok(Vec::new()) };
        decoder.end().map_err(|_| FetchError::Failed)?;
        Ok(decoder.opened())
    }
}
