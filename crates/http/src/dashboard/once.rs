//! Forms that make something carry a key: one that comes again gets the first one's answer, and makes
//! nothing more. It works with secrets that are shown once, too: the answer is kept as it was.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::response::Parts;
use axum::http::{HeaderMap, Response, StatusCode};
use domain::error::Error;
use domain::key::KeyHash;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tracing::Instrument as _;

use super::caller::Person;
use super::failure::{Failure, PageResult};
use crate::api_error::ApiError;
use crate::state::AppState;

/// How long an answer is kept.
const KEPT: SignedDuration = SignedDuration::from_mins(10);
/// Most answers that are kept.
const ANSWERS_MAX: usize = 1_000;
/// Most characters of a form's key.
const KEY_CHARS_MAX: usize = 64;
/// Most bytes of a page.
const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// The answers of forms that were sent a short while ago.
#[derive(Default)]
pub(crate) struct AnsweredForms(Mutex<HashMap<(KeyHash, String), (Timestamp, Slot)>>);

type Slot = Arc<AsyncMutex<Option<Answer>>>;

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl AnsweredForms {
    fn slot(&self, session: KeyHash, key: &str, now: Timestamp) -> Result<Slot, Error> {
        let key: String = key.chars().take(KEY_CHARS_MAX).collect();
        let mut answers = self.0.lock();
        answers.retain(|_, (since, _)| now.duration_since(*since) < KEPT);
        let known = answers.get(&(session, key.clone()));
        if let Some((_, slot)) = known {
            return Ok(slot.clone());
        }
        if answers.len() >= ANSWERS_MAX {
            return Err(Error::TooManyRequests);
        }
        let slot = Slot::default();
        answers.insert((session, key), (now, slot.clone()));
        Ok(slot)
    }
}

/// The hidden field with a new form's key.
pub(super) fn field(state: &AppState) -> Markup {
    let mut random = [0; 16];
    state.core().fill_random(&mut random);
    html! { input type="hidden" name="key" value=(hex::encode(random)); }
}

/// Does what a form asks for, unless it came before: then its answer is given again.
///
/// It is done to its end also when the browser has gone, as it does on a double click: it would not
/// be known otherwise whether it was done.
pub(super) async fn once<F>(state: &AppState, person: &Person, key: &str, act: F) -> PageResult
where
    F: Future<Output = PageResult> + Send + 'static,
{
    if key.is_empty() {
        return act.await;
    }
    let slot = state.answered_forms().slot(person.visitor.session.hash, key, state.core().now())?;
    let done = tokio::spawn(
        async move {
            let mut kept = slot.lock().await;
            if let Some(answer) = &*kept {
                return Ok(answer.clone());
            }
            let answer = Answer::of(act.await?).await?;
            // A form that is at fault is corrected and sent with the same key.
            if answer.status.is_success() || answer.status.is_redirection() {
                *kept = Some(answer.clone());
            }
            Ok::<_, Failure>(answer)
        }
        .in_current_span(),
    );
    let answer = done.await.map_err(|_| Failure::from(ApiError::Crashed))??;
    Ok(answer.into())
}

impl Answer {
    async fn of(response: Response<Body>) -> Result<Self, Failure> {
        let (Parts { status, headers, .. }, body) = response.into_parts();
        let body = to_bytes(body, PAGE_BYTES_MAX).await;
        let body = body.map_err(|_| Failure::from(ApiError::Crashed))?;
        Ok(Self { status, headers, body })
    }
}

impl From<Answer> for Response<Body> {
    fn from(answer: Answer) -> Self {
        let mut response = Self::new(answer.body.into());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        response
    }
}
