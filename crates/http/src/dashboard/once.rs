//! A form that is posted twice acts once: every form carries a key of its page, and one that comes again
//! gets the first one's answer. It works with secrets that are shown once, too: the answer is kept as it
//! was, in memory and for a short while. A form that was changed in between is another one.
//!
//! That a form was acted on is in the database, for as long as an idempotency key. One that reaches another
//! node is sent on to the node that has the answer; when nobody has it any more, the page says so.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Response, StatusCode, response};
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use domain::key::{KeyHash, Secret};
use domain::ports::{FormClaim, FormHash};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex as AsyncMutex;
use tracing::Instrument as _;

use super::caller::Person;
use super::failure::{Failure, PageResult};
use super::portal_page::portal_link;
use crate::api_error::ApiError;
use crate::body::{JSON_BYTES_MAX, read_bytes};
use crate::request_context::{self, with_client};
use crate::state::AppState;

/// How long an answer is kept.
const KEPT: SignedDuration = SignedDuration::from_mins(10);
/// Most answers that are kept; then the oldest goes.
const ANSWERS_MAX: usize = 1_000;
/// Most answers that are kept of a session, so that one cannot push out those of others.
const SESSION_ANSWERS_MAX: usize = 32;
/// Most bytes of a page.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// The field of a form's key.
const KEY_FIELD: &str = "key";

/// Whose form it is, and which.
type Form = (KeyHash, FormHash);

/// The answers of forms that were sent a short while ago.
#[derive(Default)]
pub(crate) struct AnsweredForms(Mutex<HashMap<Form, (Timestamp, Slot)>>);

type Slot = Arc<AsyncMutex<Option<Answer>>>;

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl AnsweredForms {
    /// Whether a form of this session or link was sent.
    fn has_of(&self, sender: KeyHash) -> bool {
        self.0.lock().keys().any(|(session, _)| *session == sender)
    }

    fn slot(&self, form: Form, now: Timestamp) -> Slot {
        let mut answers = self.0.lock();
        answers.retain(|_, (since, _)| now.duration_since(*since) < KEPT);
        if let Some((_, slot)) = answers.get(&form) {
            return slot.clone();
        }
        let of_session = answers.keys().filter(|(session, _)| *session == form.0).count();
        if of_session >= SESSION_ANSWERS_MAX {
            forget_oldest(&mut answers, |session| session == form.0);
        } else if answers.len() >= ANSWERS_MAX {
            forget_oldest(&mut answers, |_| true);
        }
        let slot = Slot::default();
        answers.insert(form, (now, slot.clone()));
        slot
    }
}

fn forget_oldest(
    answers: &mut HashMap<Form, (Timestamp, Slot)>,
    is_concerned: impl Fn(KeyHash) -> bool,
) {
    let concerned = answers.iter().filter(|((session, _), _)| is_concerned(*session));
    let oldest = concerned.min_by_key(|(_, (since, _))| *since).map(|(form, _)| *form);
    if let Some(oldest) = oldest {
        answers.remove(&oldest);
    }
}

/// A new form's key.
pub(super) fn new_key(state: &AppState) -> String {
    let mut random = [0; 16];
    state.core().fill_random(&mut random);
    hex::encode(random)
}

/// The hidden field with a form's key.
pub(super) fn field(key: &str) -> Markup {
    html! { input type="hidden" name=(KEY_FIELD) value=(key); }
}

/// Around every page: does what a form asks for, unless it came before; then its answer is given again.
pub(super) async fn layer(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let is_form = request.headers().get(CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes().to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded")
    });
    if request.method() != Method::POST || !is_form {
        return next.run(request).await;
    }
    let answered = answer(&state, request, next).await;
    answered.unwrap_or_else(|failure| failure.into_response())
}

async fn answer(state: &AppState, request: Request, next: Next) -> PageResult {
    let (parts, body) = request.into_parts();
    let body = read_bytes(body, JSON_BYTES_MAX).await?;
    let has_key =
        form_urlencoded::parse(&body).any(|(name, value)| name == KEY_FIELD && !value.is_empty());
    let session = if has_key { sender(state, &parts).await } else { None };
    let form = session.map(|session| {
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        let whose = Sha256::new_with_prefix(session.0);
        let what = whose.chain_update(target).chain_update([0]).chain_update(&body);
        (session, FormHash(what.finalize().into()))
    });
    let request = Request::from_parts(parts, Body::from(body));
    let Some(form) = form else { return Ok(next.run(request).await) };
    let slot = state.answered_forms().slot(form, state.core().now());
    let first = First { state: state.clone(), form: form.1, slot };
    // Done to its end also when the browser has gone, as it does on a double click: it would not be known
    // otherwise whether it was done.
    let act = with_client(request_context::client(), first.answer(request, next));
    let (answer, _) =
        tokio::spawn(act.in_current_span()).await.map_err(|_| Failure::from(ApiError::Crashed))?;
    Ok(answer?.into())
}

/// Whose form it is: a session's, or that of somebody who joins, or looks at a device, by a link.
async fn sender(state: &AppState, parts: &Parts) -> Option<KeyHash> {
    if let Some(link) = portal_link(parts.uri.path()) {
        let is_open = state.core().portal_visitor(&link).await.is_ok();
        return is_open.then(|| link.hash());
    }
    if let Ok(person) = Person::of(state, parts).await {
        return Some(person.visitor.session.hash);
    }
    let path = parts.uri.path();
    let starts = ["/app/join/", "/app/reset/", "/setup/"];
    let link = starts.iter().find_map(|start| path.strip_prefix(start))?;
    let link = Secret::new(link);
    // A link that was used is used up, and the answer to its form is still here.
    let is_known = state.answered_forms().has_of(link.hash());
    let is_open = is_known || state.core().link(&link).await.is_ok();
    is_open.then(|| link.hash())
}

/// Acts on a form when it comes for the first time.
struct First {
    state: AppState,
    form: FormHash,
    slot: Slot,
}

impl First {
    async fn answer(self, request: Request, next: Next) -> Result<Answer, Failure> {
        let mut kept = self.slot.lock().await;
        if let Some(answer) = &*kept {
            return Ok(answer.clone());
        }
        let core = self.state.core();
        if let FormClaim::Before(node) = core.claim_form(self.form).await? {
            return Err(Failure::SentBefore(node.filter(|node| Some(*node) != core.node())));
        }
        let answer = answer_of(next.run(request).await).await;
        match &answer {
            Ok(answer) if answer.status.is_success() || answer.status.is_redirection() => {
                *kept = Some(answer.clone());
            }
            // A form that is at fault is corrected and sent again.
            _ => core.release_form(self.form).await,
        }
        answer
    }
}

async fn answer_of(mut response: Response<Body>) -> Result<Answer, Failure> {
    match response.extensions_mut().remove::<Failure>() {
        Some(failure) => Err(failure),
        None => Answer::of(response).await,
    }
}

impl Answer {
    async fn of(response: Response<Body>) -> Result<Self, Failure> {
        let (response::Parts { status, headers, .. }, body) = response.into_parts();
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
