//! Opens what a server compressed for the way, although it was asked not to.
//!
//! The codings of an answer are opened when it has come, in a thread that may block: every decoder pulls
//! a buffer at a time, so that few bytes never become many in memory.

use std::io::{self, BufRead, BufReader, Read};

use brotli_decompressor::Decompressor;
use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use tokio::sync::mpsc::Sender;

use crate::files::FetchError;

/// Most codings that are opened, one inside the other.
const CODINGS_MAX: usize = 3;
/// How much is read and opened at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// The largest window of zstd, which is held in memory; browsers take no larger one either.
const WINDOW_BYTES_MAX: u64 = 8 * 1024 * 1024;
const GZIP_MARK: &[u8] = b"\x1f\x8b";
const ZSTD_MARK: &[u8] = b"\x28\xb5\x2f\xfd";

/// The codings that are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings that an answer names, in the order in which they were put on. Words that are no coding
/// are ignored, as browsers do.
///
/// # Errors
/// [`FetchError::Failed`] for more of them than [`CODINGS_MAX`].
pub(crate) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, FetchError> {
    let mut named = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let words = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        named.extend(words.split(',').filter_map(|word| match word.trim() {
            "gzip" | "x-gzip" => Some(Coding::Gzip),
            "deflate" => Some(Coding::Deflate),
            "br" => Some(Coding::Brotli),
            "zstd" => Some(Coding::Zstd),
            _ => None,
        }));
    }
    if named.len() > CODINGS_MAX { Err(FetchError::Failed) } else { Ok(named) }
}

/// Why bytes could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotOpened {
    /// They are not compressed: some servers name a coding and do nothing.
    NotCompressed,
    /// They end too early or are damaged, or the receiver is gone.
    Damaged,
}

/// Opens the bytes of `source` and passes them on, until the receiver is gone. It blocks.
pub(crate) fn open(
    source: impl Read + 'static,
    codings: &[Coding],
    pieces: &Sender<Vec<u8>>,
) -> Result<(), NotOpened> {
    // The others are known by their first bytes.
    let is_sure = !codings.iter().any(|c| matches!(c, Coding::Brotli | Coding::Deflate));
    let judge = |error: io::Error, has_begun: bool| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => NotOpened::Damaged,
        _ if is_sure || has_begun => NotOpened::Damaged,
        _ => NotOpened::NotCompressed,
    };
    let mut opened: Box<dyn Read> = Box::new(Wanted { source, pieces: pieces.clone() });
    for coding in codings.iter().rev() {
        opened = decoder(*coding, opened).map_err(|error| judge(error, false))?;
    }
    let mut has_begun = false;
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = opened.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece);
        has_begun |= !piece.is_empty();
        read.map_err(|error| judge(error, has_begun))?;
        if piece.is_empty() {
            return Ok(());
        }
        pieces.blocking_send(piece).map_err(|_| NotOpened::Damaged)?;
    }
}

/// Opens one coding, as far as the first bytes are those of it.
fn decoder(coding: Coding, source: Box<dyn Read>) -> io::Result<Box<dyn Read>> {
    let mut source = BufReader::with_capacity(PIECE_BYTES, source);
    let start = source.fill_buf()?;
    Ok(match coding {
        Coding::Gzip if begins_with(start, GZIP_MARK) => Box::new(Parts::<Gzip>::of(source)?),
        Coding::Zstd if begins_with(start, ZSTD_MARK) => Box::new(Parts::<Zstd>::of(source)?),
        Coding::Gzip | Coding::Zstd => Box::new(source),
        Coding::Brotli if start.is_empty() => Box::new(source),
        Coding::Brotli => Box::new(Decompressor::new(source, PIECE_BYTES)),
        // With the header of zlib, as the standard has it, or without, as some servers do.
        Coding::Deflate if begins_as_zlib(start) => Box::new(ZlibDecoder::new(source)),
        Coding::Deflate => Box::new(DeflateDecoder::new(source)),
    })
}

/// Whether bytes begin with this mark, or with as much of it as is there.
fn begins_with(start: &[u8], mark: &[u8]) -> bool {
    !start.is_empty() && (start.starts_with(mark) || mark.starts_with(start))
}

fn begins_as_zlib(start: &[u8]) -> bool {
    matches!(start, [first, second, ..]
        if first & 15 == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0)
}

/// Bytes that are read only as long as there is a receiver for what becomes of them.
struct Wanted<R> {
    source: R,
    pieces: Sender<Vec<u8>>,
}

impl<R: Read> Read for Wanted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pieces.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.source.read(buffer)
    }
}

/// What all parts of a compressed file are read from.
type Source = BufReader<Box<dyn Read>>;

/// A coding whose files are parts, one after the other.
trait Part: Read + Sized {
    const MARK: &'static [u8];
    fn start(source: Source) -> io::Result<Self>;
    fn into_rest(self) -> Source;
}

type Gzip = GzDecoder<Source>;

impl Part for Gzip {
    const MARK: &'static [u8] = GZIP_MARK;

    fn start(source: Source) -> io::Result<Self> {
        Ok(Self::new(source))
    }

    fn into_rest(self) -> Source {
        self.into_inner()
    }
}

type Zstd = StreamingDecoder<Source, FrameDecoder>;

impl Part for Zstd {
    const MARK: &'static [u8] = ZSTD_MARK;

    fn start(source: Source) -> io::Result<Self> {
        Self::new_with_max_window_size(source, WINDOW_BYTES_MAX).map_err(io::Error::other)
    }

    fn into_rest(self) -> Source {
        self.into_inner()
    }
}

/// All parts; what follows the last one is ignored.
struct Parts<P>(Option<P>);

impl<P: Part> Parts<P> {
    fn of(source: Source) -> io::Result<Self> {
        P::start(source).map(|part| Self(Some(part)))
    }
}

impl<P: Part> Read for Parts<P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(part) = &mut self.0 {
            let count = part.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(mut rest) = self.0.take().map(P::into_rest) else { break };
            if begins_with(rest.fill_buf()?, P::MARK) {
                self.0 = Some(P::start(rest)?);
            }
        }
        Ok(0)
    }
}
