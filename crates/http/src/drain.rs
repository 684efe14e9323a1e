//! The rest of a request's body that a client still sends after the answer.
//!
//! A server that closes the connection then makes most clients lose the answer: they see a reset
//! while they write. So the rest is read and discarded while the answer goes out.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::Request;
use axum::http::header::EXPECT;
use bytes::Bytes;
use futures_util::StreamExt;
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Longest rest that is read; a client with more loses the connection.
const LEFTOVER_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Longest time in which it is read.
const LEFTOVER_TIME_MAX: Duration = Duration::from_secs(30);

/// Has the rest of a request's body read, also when its handler drops it.
pub fn read_to_the_end(request: Request<Body>) -> Request<Body> {
    // A client that asks before it sends the body does not send it after an error.
    if request.body().is_end_stream() || request.headers().contains_key(EXPECT) {
        return request;
    }
    request.map(|body| Body::new(Kept { body, is_coming: true }))
}

struct Kept {
    body: Body,
    /// Whether more may follow. A client that kept us waiting in vain is not waited for again.
    is_coming: bool,
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.is_coming = matches!(frame, Poll::Ready(Some(Ok(_))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let is_over = !self.is_coming || self.body.is_end_stream();
        if is_over || self.body.size_hint().lower() > LEFTOVER_BYTES_MAX {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let rest = std::mem::take(&mut self.body);
            runtime.spawn(timeout(LEFTOVER_TIME_MAX, throw_away(rest)));
        }
    }
}

async fn throw_away(body: Body) {
    let mut pieces = body.into_data_stream();
    let mut count = 0;
    while let Some(Ok(piece)) = pieces.next().await {
        count += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if count > LEFTOVER_BYTES_MAX {
            return;
        }
    }
}
