//! A text in pieces, compressed once, so that an answer costs no more than joining them.
//!
//! Each piece ends at a byte, and refers to nothing outside itself (a full flush): what differs between
//! requests goes between two pieces as it is, in a stored block (RFC 1951, section 3.2.4).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;
use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::{Compress, Compression, Crc, FlushCompress};

/// RFC 1952: deflate, no name, no time, an unknown system.
const HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 255];
/// The stream's last block: a stored one with nothing in it.
const END: [u8; 5] = [1, 0, 0, 0xFF, 0xFF];
/// The most that one stored block holds.
const STORED_BYTES_MAX: usize = u16::MAX as usize;

/// Compressed pieces, and what their checksum needs.
pub struct Compressed {
    pieces: Vec<(Bytes, Crc)>,
}

impl Compressed {
    /// Compresses each piece for itself.
    pub fn new(pieces: &[Bytes]) -> Self {
        let pieces = pieces.iter().map(|piece| {
            let mut crc = Crc::new();
            crc.update(piece);
            (deflate(piece), crc)
        });
        Self { pieces: pieces.collect() }
    }

    /// The pieces with `between` among them, as a gzip file.
    pub fn join(&self, between: &[u8]) -> Bytes {
        let mut crc_between = Crc::new();
        crc_between.update(between);
        let size = |(piece, _): &(Bytes, Crc)| piece.len() + between.len() + END.len();
        let mut file = BytesMut::with_capacity(32 + self.pieces.iter().map(size).sum::<usize>());
        file.put_slice(&HEADER);
        let mut crc = Crc::new();
        for (index, (piece, crc_piece)) in self.pieces.iter().enumerate() {
            if index > 0 {
                store(&mut file, between);
                crc.combine(&crc_between);
            }
            file.put_slice(piece);
            crc.combine(crc_piece);
        }
        file.put_slice(&END);
        file.put_u32_le(crc.sum());
        file.put_u32_le(crc.amount());
        file.freeze()
    }
}

fn deflate(piece: &[u8]) -> Bytes {
    let mut compress = Compress::new(Compression::best(), false);
    let mut output = Vec::with_capacity(piece.len() / 2 + 64);
    loop {
        let read = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        let rest = piece.get(read..).unwrap_or_default();
        // Memory never fails it, and there is always room: it cannot go wrong.
        let _ = compress.compress_vec(rest, &mut output, FlushCompress::Full);
        // A full buffer means that there may be more to come.
        if output.len() < output.capacity() {
            return output.into();
        }
        output.reserve(output.capacity());
    }
}

fn store(file: &mut BytesMut, text: &[u8]) {
    for block in text.chunks(STORED_BYTES_MAX) {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        file.put_u8(0);
        file.put_u16_le(length);
        file.put_u16_le(!length);
        file.put_slice(block);
    }
}

/// Whether a client takes gzip.
pub fn is_accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let is_refused = parameters
            .trim()
            .strip_prefix("q=")
            .is_some_and(|weight| weight.trim().parse() == Ok(0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn opened(file: &[u8]) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn pieces_and_what_is_between_them_come_out_as_one_text() {
        // Repeating, so that a reference over a piece's end would be noticed; longer than any window.
        let long: String = (0..20_000).map(|n| format!("{} ", n % 700)).collect();
        let long_between = "x".repeat(STORED_BYTES_MAX + 1);
        for pieces in [vec![""], vec!["a"], vec!["", ""], vec!["a ", " b ", ""], vec![&long; 3]] {
            let bytes: Vec<_> =
                pieces.iter().map(|piece| Bytes::from((*piece).to_owned())).collect();
            let compressed = Compressed::new(&bytes);
            for between in ["", "http://a", &long_between] {
                let file = compressed.join(between.as_bytes());
                assert!(opened(&file) == pieces.join(between), "{} pieces", pieces.len());
            }
        }
        assert!(Compressed::new(&[long.clone().into()]).join(b"").len() < long.len() / 4);
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (accepted, value) in [
            (true, "gzip"),
            (true, "deflate, GZIP;q=0.5, br"),
            (false, "deflate, br"),
            (false, "gzip;q=0"),
            (false, "gzip; q=0.000"),
            (false, ""),
        ] {
            let header = (ACCEPT_ENCODING, value.parse().unwrap());
            assert_eq!(is_accepted(&HeaderMap::from_iter([header])), accepted, "{value}");
        }
        assert!(!is_accepted(&HeaderMap::new()));
    }
}
