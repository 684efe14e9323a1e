//! The body of a request, kept while it is read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;

#[derive(Default)]
struct State {
    pieces: Vec<Bytes>,
    bytes: usize,
    is_whole: bool,
    is_too_long: bool,
}

/// What was read of a body so far.
#[derive(Clone)]
pub(super) struct Captured(Arc<Mutex<State>>);

impl Captured {
    /// The body, and what will be read of it, up to `bytes_max`.
    pub(super) fn around(body: Body, bytes_max: usize) -> (Body, Self) {
        let state = State { is_whole: body.is_end_stream(), ..State::default() };
        let captured = Self(Arc::new(Mutex::new(state)));
        if captured.0.lock().is_whole {
            return (body, captured);
        }
        let body = Body::new(Capturing { body, captured: captured.clone(), bytes_max });
        (body, captured)
    }

    /// The body, if it was read to its end and is not too long.
    pub(super) fn take(self) -> Option<Bytes> {
        let mut state = self.0.lock();
        if !state.is_whole || state.is_too_long {
            return None;
        }
        let mut whole = BytesMut::with_capacity(state.bytes);
        state.pieces.drain(..).for_each(|piece| whole.extend_from_slice(&piece));
        Some(whole.freeze())
    }
}

struct Capturing {
    body: Body,
    captured: Captured,
    bytes_max: usize,
}

impl HttpBody for Capturing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let mut state = self.captured.0.lock();
        match &frame {
            Poll::Ready(None) => state.is_whole = true,
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(piece) = frame.data_ref() {
                    state.bytes += piece.len();
                    state.is_too_long |= state.bytes > self.bytes_max;
                    match state.is_too_long {
                        true => state.pieces.clear(),
                        false => state.pieces.push(piece.clone()),
                    }
                }
                state.is_whole |= self.body.is_end_stream();
            }
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        drop(state);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_whole_body_of_some_length_is_kept() {
        let read = async |bytes_max, limit| {
            let (body, captured) = Captured::around(Body::from("0123456789"), bytes_max);
            let _ = axum::body::to_bytes(body, limit).await;
            captured.take()
        };
        assert_eq!(read(10, 100).await.unwrap(), "0123456789");
        assert_eq!(read(9, 100).await, None);
        let (_body, captured) = Captured::around(Body::from("0123456789"), 10);
        assert_eq!(captured.take(), None, "not read");
        let (_body, captured) = Captured::around(Body::empty(), 10);
        assert_eq!(captured.take().unwrap(), "");
    }
}
