//! Answers that may be long: a bounded number is held at a time, each from before it is read from the store until
//! its client has taken it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Response;
use bytes::Bytes;
use domain::error::Error;
use domain::fair_semaphore::{FairSemaphore, Permit};
use domain::ids::AccountId;
use tokio::time::timeout;

use crate::api_error::ApiError;
use crate::request_context;

/// Most of them, of all accounts.
const LARGE_ANSWERS_MAX: usize = 64;
/// Most of one account.
const LARGE_ANSWERS_PER_ACCOUNT_MAX: usize = 8;
/// Most of them that are rendered at a time: so much work for the processor that many at once would keep all
/// other requests waiting.
const RENDERED_MAX: usize = 2;
/// The same of one account.
const RENDERED_PER_ACCOUNT_MAX: usize = 1;
/// Longest wait for a permit.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// An answer with fewer bytes is not counted any more, once that is known.
const SMALL_BYTES_MAX: usize = 64 * 1024;

/// The right to hold a large answer.
pub type AnswerPermit = Permit<Option<AccountId>>;

/// All of them, shared by the accounts of their callers.
#[derive(Debug)]
pub struct LargeAnswers {
    held: Arc<FairSemaphore<Option<AccountId>>>,
    rendered: Arc<FairSemaphore<Option<AccountId>>>,
}

impl Default for LargeAnswers {
    fn default() -> Self {
        Self {
            held: FairSemaphore::new(LARGE_ANSWERS_MAX, LARGE_ANSWERS_PER_ACCOUNT_MAX),
            rendered: FairSemaphore::new(RENDERED_MAX, RENDERED_PER_ACCOUNT_MAX),
        }
    }
}

impl LargeAnswers {
    /// Waits until this request's answer may be large.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] when the others are not taken in time.
    pub async fn enter(&self) -> Result<(), Error> {
        let permit = timeout(WAIT_MAX, self.held.acquire(request_context::account())).await;
        request_context::keep(permit.map_err(|_| Error::TooManyRequests)?);
        Ok(())
    }

    /// Renders an answer that may be large, in turn and beside the runtime, which it would hold up.
    ///
    /// # Errors
    /// [`ApiError::Crashed`].
    pub async fn render(
        &self,
        render: impl FnOnce() -> Response<Body> + Send + 'static,
    ) -> Result<Response<Body>, ApiError> {
        let turn = self.rendered.acquire(request_context::account()).await;
        let rendered = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            render()
        });
        rendered.await.map_err(|_| ApiError::Crashed)
    }
}

struct Held {
    bytes: Bytes,
    _permit: AnswerPermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The answer, whose bytes hold the permit until the last of them is written.
pub async fn hold(answer: Response<Body>, permit: AnswerPermit) -> Response<Body> {
    let (parts, body) = answer.into_parts();
    // It is in memory as a whole: this neither waits nor fails.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let bytes = match bytes.len() > SMALL_BYTES_MAX {
        true => Bytes::from_owner(Held { bytes, _permit: permit }),
        false => bytes,
    };
    Response::from_parts(parts, Body::from(bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn one_caller_s_answers_are_rendered_one_after_the_other() {
        let (answers, running) = (LargeAnswers::default(), Arc::new(AtomicUsize::new(0)));
        let renders = (0..4).map(|_| {
            let running = running.clone();
            answers.render(move || {
                assert_eq!(running.fetch_add(1, Ordering::Relaxed), 0);
                (0..1_000).for_each(|_| std::thread::yield_now());
                running.fetch_sub(1, Ordering::Relaxed);
                Response::default()
            })
        });
        for answer in join_all(renders).await {
            assert!(answer.is_ok());
        }
    }
}
