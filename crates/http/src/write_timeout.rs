//! Connections whose client takes nothing, or next to nothing, of what is written to it. Without a
//! bound, a client that asks much and reads little would keep a place for ever.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep_until};

/// How much a client takes in a second at least, where it makes a write wait.
const BYTES_PER_S_MIN: u32 = 8 * 1024;

use crate::client_stream::ClientStream;

/// A connection that fails when a write has to wait for too long.
pub struct Stallable {
    io: TokioIo<ClientStream>,
    wait_max: Duration,
    /// Set from when a write first waits until one is taken whole.
    slow: Option<Slow>,
}

struct Slow {
    since: Instant,
    taken: u32,
    end: Pin<Box<Sleep>>,
}

impl Slow {
    fn taken(&mut self, count: usize, wait_max: Duration) {
        self.taken = self.taken.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        let earned = Duration::from_secs(1) * self.taken / BYTES_PER_S_MIN;
        self.end.as_mut().reset(self.since + wait_max + earned);
    }
}

impl Stallable {
    /// A write to `stream` waits for at most `wait_max`, and as much longer as its client takes
    /// [`BYTES_PER_S_MIN`].
    pub fn new(stream: ClientStream, wait_max: Duration) -> Self {
        Self { io: TokioIo::new(stream), wait_max, slow: None }
    }

    fn bounded(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<Result<usize>>,
        asked: usize,
    ) -> Poll<Result<usize>> {
        let wait_max = self.wait_max;
        let begin = || {
            let since = Instant::now();
            Slow { since, taken: 0, end: Box::pin(sleep_until(since + wait_max)) }
        };
        match written {
            Poll::Ready(Ok(count)) if count < asked => {
                self.slow.get_or_insert_with(begin).taken(count, wait_max);
            }
            Poll::Ready(_) => self.slow = None,
            Poll::Pending => {
                ready!(self.slow.get_or_insert_with(begin).end.as_mut().poll(cx));
                let error = Error::new(ErrorKind::TimedOut, "the client reads too little");
                return Poll::Ready(Err(error));
            }
        }
        written
    }
}

impl Read for Stallable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Stallable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.bounded(cx, written, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        let asked = bufs.iter().map(|buf| buf.len()).sum();
        self.bounded(cx, written, asked)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
