//! Compressed bodies of requests. gzip and deflate are opened piece by piece while the body is read, so
//! that the limits of reading hold for what comes out; other codings are refused.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, Request};
use bytes::{Buf, Bytes};
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use hyper::body::Frame;

use crate::api_error::{ApiError, Unreadable};

/// Most compressed bytes that are opened at once; deflate makes at most 1,032 times as many of them.
const STEP_BYTES: usize = 1024;
/// Words that clients write into `Content-Encoding` without having compressed anything.
const UNCOMPRESSED: [&str; 7] = ["", "identity", "none", "utf-8", "utf8", "8bit", "binary"];

/// The request with its body opened.
///
/// # Errors
/// [`Unreadable::Coding`].
pub fn opened(mut request: Request<Body>) -> Result<Request<Body>, ApiError> {
    // Nearly every request ends here.
    if !request.headers().contains_key(CONTENT_ENCODING) || request.body().is_end_stream() {
        return Ok(request);
    }
    let headers = request.headers_mut();
    let Some(coding) = coding(headers)? else { return Ok(request) };
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    let opening = |body| Opening { body, coding, decoder: None, closed: Bytes::new() };
    Ok(request.map(|body| Body::new(opening(body))))
}

/// How the body is compressed; `None` when it is not.
fn coding(headers: &HeaderMap) -> Result<Option<Coding>, ApiError> {
    let mut found = None;
    for value in headers.get_all(CONTENT_ENCODING) {
        let unknown = || ApiError::Unreadable(Unreadable::Coding);
        for word in value.to_str().map_err(|_| unknown())?.split(',') {
            let word = word.trim().to_ascii_lowercase();
            let coding = match word.as_str() {
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                _ if UNCOMPRESSED.contains(&word.as_str()) => continue,
                _ => return Err(unknown()),
            };
            // Nobody compresses twice.
            if found.replace(coding).is_some() {
                return Err(unknown());
            }
        }
    }
    Ok(found)
}

#[derive(Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
}

impl Coding {
    /// The decoder for a body that begins with these bytes: by deflate some clients mean the bare
    /// stream, without the header that the standard wants and that no bare stream begins like.
    fn decoder(self, begin: &[u8]) -> Decoder {
        let has_header = begin.first().is_none_or(|byte| byte & 0x8f == 0x08);
        match self {
            Self::Gzip => Decoder::Gzip(MultiGzDecoder::new(Vec::new())),
            Self::Deflate if has_header => Decoder::Zlib(ZlibDecoder::new(Vec::new())),
            Self::Deflate => Decoder::Bare(DeflateDecoder::new(Vec::new())),
        }
    }
}

enum Decoder {
    Gzip(MultiGzDecoder<Vec<u8>>),
    Zlib(ZlibDecoder<Vec<u8>>),
    Bare(DeflateDecoder<Vec<u8>>),
}

impl Decoder {
    /// Opens a piece; an empty one is the end.
    fn open(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        macro_rules! open {
            ($decoder:ident) => {{
                $decoder.write_all(piece)?;
                if piece.is_empty() {
                    $decoder.try_finish()?;
                }
                Ok(std::mem::take($decoder.get_mut()).into())
            }};
        }
        match self {
            Self::Gzip(decoder) => open!(decoder),
            Self::Zlib(decoder) => open!(decoder),
            Self::Bare(decoder) => open!(decoder),
        }
    }
}

/// A body that is opened as it is read.
struct Opening {
    body: Body,
    coding: Coding,
    decoder: Option<Decoder>,
    /// What has come and is not opened yet.
    closed: Bytes,
}

/// The body is not compressed as its header says.
#[derive(Debug, thiserror::Error)]
#[error("the body is not compressed as Content-Encoding says")]
pub struct NotCompressed;

impl HttpBody for Opening {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            let is_over = self.closed.is_empty() && {
                match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()? {
                    Some(frame) => {
                        self.closed = frame.into_data().unwrap_or_default();
                        if self.closed.is_empty() {
                            continue;
                        }
                        false
                    }
                    None => true,
                }
            };
            let step = self.closed.len().min(STEP_BYTES);
            let piece = self.closed.split_to(step);
            let coding = self.coding;
            let opened = match (&mut self.decoder, is_over) {
                (None, true) => return Poll::Ready(None),
                (decoder, _) => decoder.get_or_insert_with(|| coding.decoder(&piece)).open(&piece),
            };
            let opened = opened.map_err(|_| axum::Error::new(NotCompressed))?;
            if is_over {
                self.decoder = None;
            }
            match opened.has_remaining() {
                true => return Poll::Ready(Some(Ok(Frame::data(opened)))),
                false if is_over => return Poll::Ready(None),
                false => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use futures_util::stream;
    use serde_json::Value;

    use super::*;
    use crate::body::{JSON_BYTES_MAX, read_json};

    const JSON: &str = r#"{"text":"é😀"}"#;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    async fn read(coding: &str, body: impl Into<Body>) -> Result<Value, ApiError> {
        let request = Request::builder().header("content-type", "application/json");
        let request = request.header(CONTENT_ENCODING, coding).body(body.into()).unwrap();
        let (parts, body) = opened(request)?.into_parts();
        read_json(&parts.headers, body).await
    }

    #[tokio::test]
    async fn compressed_bodies_are_opened() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(JSON.as_bytes()).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::best());
        bare.write_all(JSON.as_bytes()).unwrap();
        let cases = [
            ("gzip", gzip(JSON)),
            ("X-GZIP", gzip(JSON)),
            ("identity, gzip", gzip(JSON)),
            ("gzip", [gzip("{"), gzip("\"text\":\"é😀\"}")].concat()),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", bare.finish().unwrap()),
            ("utf-8", JSON.into()),
            ("", JSON.into()),
        ];
        let expected: Value = serde_json::from_str(JSON).unwrap();
        for (coding, body) in cases {
            assert_eq!(read(coding, body.clone()).await.unwrap(), expected, "{coding}");
            let bytes = body.into_iter().map(|byte| Ok::<_, io::Error>(vec![byte]));
            let in_pieces = Body::from_stream(stream::iter(bytes));
            assert_eq!(read(coding, in_pieces).await.unwrap(), expected, "{coding} in pieces");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_opened_has_its_own_reason() {
        for coding in ["br", "zstd", "compress", "gzip, gzip", "x"] {
            let refused = read(coding, JSON).await.unwrap_err();
            assert!(matches!(refused, ApiError::Unreadable(Unreadable::Coding)), "{coding}");
        }
        let whole = gzip(JSON);
        let cut_off = whole[..whole.len() / 2].to_vec();
        for body in [JSON.as_bytes().to_vec(), cut_off] {
            let refused = read("gzip", body).await.unwrap_err();
            let ApiError::Malformed(message) = refused else { panic!("{refused:?}") };
            assert_eq!(message, NotCompressed.to_string());
        }
    }

    #[tokio::test]
    async fn the_limit_holds_for_what_comes_out() {
        let bomb = gzip(&" ".repeat(64 * 1024 * 1024));
        assert!(bomb.len() < JSON_BYTES_MAX);
        let refused = read("gzip", bomb).await.unwrap_err();
        assert!(matches!(refused, ApiError::TooLarge(JSON_BYTES_MAX)), "{refused:?}");
    }
}
