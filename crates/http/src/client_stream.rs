//! A client's connection, below hyper: repairs the first line of its first request, and gives the
//! errors that hyper answers by itself the shape of the API that was asked.
//!
//! Only the first line that a connection carries is known to be one: where later requests begin is for
//! hyper alone to say.

use std::io::{ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tower::Service;

use crate::api_error::Unreadable;
use crate::edge::REQUEST_ID;
use crate::request_line::{is_begin, path, repaired};

/// Longest first line that is looked at.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// How much of a request is kept, to know whose it was.
const BEGIN_BYTES: usize = 128;
/// How much more is read from a client whose request was refused, so that it sees the answer.
const LEFTOVER_BYTES_MAX: usize = 1024 * 1024;
/// How long it may take to take the answer, and to send the rest.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(2);

/// See the module.
pub struct ClientStream {
    stream: TcpStream,
    /// Renders errors.
    router: Router,
    first_line: FirstLine,
    is_line_long: bool,
    /// What the last request began with.
    begin: Vec<u8>,
    refusal: Option<Refusal>,
}

enum FirstLine {
    /// What has come of it.
    Coming(Vec<u8>),
    /// It is here, and this is not handed on yet.
    Held(Vec<u8>),
    /// It is past.
    Over,
}

/// A request that hyper refused.
struct Refusal {
    /// What is still to be written of the answer.
    answer: Vec<u8>,
    /// How much of the rest of the request was read and discarded.
    discarded: usize,
    /// When the client has had its time.
    end: Pin<Box<Sleep>>,
}

impl ClientStream {
    /// A stream just accepted; `router` renders the errors.
    pub fn new(stream: TcpStream, router: Router) -> Self {
        let first_line = FirstLine::Coming(Vec::new());
        Self { stream, router, first_line, is_line_long: false, begin: Vec::new(), refusal: None }
    }

    /// Takes in what was read while the first line comes; whether something can be handed on.
    fn take(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> bool {
        let FirstLine::Coming(gathered) = &mut self.first_line else { return true };
        let read = &buf.filled()[before..];
        let end = read.iter().position(|byte| *byte == b'\n').map(|end| gathered.len() + end);
        self.is_line_long = end.unwrap_or(gathered.len() + read.len()) > LINE_BYTES_MAX;
        let is_end = read.is_empty() || self.is_line_long;
        if gathered.is_empty() {
            let line = end.map(|end| &read[..end]);
            let is_fine = is_end || line.is_some_and(|line| repaired(line).is_none());
            if is_fine {
                // Nearly every connection ends up here with its first read.
                self.first_line = FirstLine::Over;
                return true;
            }
        }
        gathered.extend_from_slice(read);
        buf.set_filled(before);
        if end.is_none() && !is_end {
            return false;
        }
        let mut held = std::mem::take(gathered);
        self.note(&held);
        if let Some(line) = end.filter(|_| !is_end).and_then(|end| repaired(&held[..end])) {
            let rest = held.split_off(end.unwrap_or_default());
            held = [line, rest].concat();
        }
        self.first_line = FirstLine::Held(held);
        true
    }

    /// Hands on what is held.
    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) {
        let FirstLine::Held(held) = &mut self.first_line else { return };
        let count = held.len().min(buf.remaining());
        buf.put_slice(&held[..count]);
        held.drain(..count);
        if held.is_empty() {
            self.first_line = FirstLine::Over;
        }
    }

    fn note(&mut self, read: &[u8]) {
        // What else is read is a body, or the middle of a long head.
        if is_begin(read) {
            self.begin.clear();
            self.begin.extend_from_slice(&read[..read.len().min(BEGIN_BYTES)]);
        }
    }

    /// Puts an answer in the API's shape in place of an error of hyper's; whether this is one.
    fn put_in_shape(&mut self, written: &[u8]) -> bool {
        let Some(why) = hypers_error(written) else { return false };
        // hyper counts the first line among the headers.
        let is_target = why == Unreadable::Headers && self.is_line_long;
        let why = if is_target { Unreadable::Target } else { why };
        let mut request = Request::get(path(&self.begin)).body(Body::empty()).unwrap_or_default();
        request.extensions_mut().insert(why);
        // Rendering waits for nothing.
        let response = self.router.call(request).now_or_never();
        let response = response.and_then(|response| response.ok());
        let Some(answer) = response.and_then(|response| on_the_wire(response, written)) else {
            return false;
        };
        let end = Box::pin(sleep(REFUSAL_TIME_MAX));
        self.refusal = Some(Refusal { answer, discarded: 0, end });
        true
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(refusal) = &mut self.refusal else { return Poll::Ready(Ok(())) };
        while !refusal.answer.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &refusal.answer)? {
                Poll::Ready(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Poll::Ready(count) => drop(refusal.answer.drain(..count)),
                Poll::Pending => {
                    ready!(refusal.end.as_mut().poll(cx));
                    return Poll::Ready(Err(ErrorKind::TimedOut.into()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and discards the rest of a refused request: closing before makes the client lose the
    /// answer.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(refusal) = &mut self.refusal else { return Poll::Ready(()) };
        let mut piece = [0; 4 * 1024];
        while refusal.discarded <= LEFTOVER_BYTES_MAX {
            let mut buf = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Pending => return refusal.end.as_mut().poll(cx),
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    refusal.discarded += buf.filled().len();
                }
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(())
    }
}

/// Why hyper refuses a request, when this is its answer: a head and nothing else, without the header
/// that all of ours have.
fn hypers_error(written: &[u8]) -> Option<Unreadable> {
    let code = written.strip_prefix(b"HTTP/1.1 4")?.get(..2)?;
    let head = std::str::from_utf8(written).ok()?.strip_suffix("\r\n\r\n")?;
    let has_line = |name: &str| head.lines().any(|line| line.starts_with(name));
    let is_hypers = has_line("content-length: 0") && !has_line(REQUEST_ID.as_str());
    let why = match code {
        b"00" => Unreadable::Head,
        b"14" => Unreadable::Target,
        b"31" => Unreadable::Headers,
        _ => return None,
    };
    is_hypers.then_some(why)
}

/// A response as bytes; the date is that of the one it replaces.
fn on_the_wire(response: Response<Body>, replaced: &[u8]) -> Option<Vec<u8>> {
    let (parts, body) = response.into_parts();
    // Our own answer, whole in memory: reading it neither waits nor needs a limit.
    let body = to_bytes(body, usize::MAX).now_or_never()?.ok()?;
    let mut wire = format!("HTTP/1.1 {}\r\nconnection: close\r\n", parts.status).into_bytes();
    let replaced = String::from_utf8_lossy(replaced);
    let date = replaced.lines().find(|line| line.starts_with("date: "));
    let length = format!("content-length: {}", body.len());
    for line in date.into_iter().chain([length.as_str()]) {
        wire.extend_from_slice(line.as_bytes());
        wire.extend_from_slice(b"\r\n");
    }
    for (name, value) in &parts.headers {
        wire.extend_from_slice(
            &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat(),
        );
    }
    wire.extend_from_slice(b"\r\n");
    wire.extend_from_slice(&body);
    Some(wire)
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = &mut *self;
        loop {
            if matches!(this.first_line, FirstLine::Held(_)) {
                this.hand_on(buf);
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            this.note(&buf.filled()[before..]);
            if this.take(buf, before) && !matches!(this.first_line, FirstLine::Held(_)) {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        if self.put_in_shape(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        match bytes {
            [head] if self.put_in_shape(head) => Poll::Ready(Ok(head.len())),
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_answer(cx))?;
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        ready!(self.poll_discard(cx));
        Poll::Ready(Ok(()))
    }
}
