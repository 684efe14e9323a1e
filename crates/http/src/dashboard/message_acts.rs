//! Sending a message again, and acts on all messages that match a filter: asked about first, with their
//! number.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use domain::error::Error;
use domain::ids::MessageId;
use domain::message::{BATCH_MESSAGES_MAX, MessageState};
use domain::person::Role;
use domain::ports::{IdempotencyKey, MessageFilter};
use domain::service::{CANCELLABLE, CANCELLED_MAX, RESENDABLE};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::caller::{Asked, InAccount, Person, Posted, id};
use super::failure::{Failure, PageResult, redirect};
use super::layout::{self, Place};
use super::messages::ListQuery;
use super::show::with;
use crate::state::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/messages/{id}/resend", post(resend))
        .route("/app/messages/cancel", get(ask_cancel).post(cancel_all))
        .route("/app/messages/resend", get(ask_resend).post(resend_all))
}

/// A form with nothing in it but what makes it recognisable.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ActForm {
    key: String,
    /// Messages that were made later are left alone: they were not counted.
    until: String,
}

/// What is done to all that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Cancel,
    Resend,
}

impl Act {
    fn states(self) -> &'static [MessageState] {
        match self {
            Self::Cancel => &CANCELLABLE,
            Self::Resend => &RESENDABLE,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Cancel => "/app/messages/cancel",
            Self::Resend => "/app/messages/resend",
        }
    }

    fn most(self) -> usize {
        match self {
            Self::Cancel => CANCELLED_MAX,
            Self::Resend => BATCH_MESSAGES_MAX,
        }
    }
}

async fn resend(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form }: Posted<ActForm>,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    let id = MessageId(id(&text, "message")?);
    let key = idempotency("POST /app/messages/{id}/resend", &form.key, &id.to_string());
    let again = state.core().resend_message(person.principal(), id, key).await?;
    let first = again.messages.first().ok_or(Error::NotFound("message"))?;
    Ok(redirect(&format!("/app/messages/{}", first.id)))
}

/// The key of a form; a form that was changed is another request.
pub(super) fn idempotency(route: &str, key: &str, what: &str) -> Option<IdempotencyKey> {
    let request_hash: [u8; 32] = Sha256::digest(what).into();
    let key: String = key.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    (!key.is_empty()).then(|| IdempotencyKey {
        route: route.to_owned(),
        key: format!("{key}-{}", hex::encode(&request_hash[..16])),
        request_hash,
        token_of: None,
    })
}

async fn ask_cancel(
    state: State<AppState>,
    person: InAccount,
    query: Asked<ListQuery>,
) -> PageResult {
    ask(state, person, query, Act::Cancel).await
}

async fn ask_resend(
    state: State<AppState>,
    person: InAccount,
    query: Asked<ListQuery>,
) -> PageResult {
    ask(state, person, query, Act::Resend).await
}

async fn ask(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Asked(query): Asked<ListQuery>,
    act: Act,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    let words = person.words();
    let now = state.core().now();
    let filter = made_before(now, query.filter(&person)?);
    let count = state.core().count_for_act(person.principal(), &filter, act.states()).await?;
    let (title, question) = match act {
        Act::Cancel => (words.cancel_all, words.cancel_count),
        Act::Resend => (words.resend_all, words.resend_count),
    };
    let is_too_many = usize::try_from(count).is_ok_and(|count| count > act.most());
    let may_go = count > 0 && !(is_too_many && act == Act::Resend);
    let body = html! {
        p.crumbs { a href=(query.path("/app/messages", None)) { (words.messages) } }
        h1 { (title) }
        p { (with(question, count)) }
        @if is_too_many { (limit_note(&person, act)) }
        form.row method="post" action=(query.path(act.path(), None)) {
            (person.csrf())
            input type="hidden" name="until" value=(now.as_millisecond());
            @if may_go { button.danger[act == Act::Cancel] { (title) } }
            a.button.plain href=(query.path("/app/messages", None)) { (words.keep) }
        }
    };
    Ok(layout::page(&person, Place::Messages, title, &body))
}

fn limit_note(person: &Person, act: Act) -> Markup {
    let words = person.words();
    html! {
        p.warning {
            @match act {
                Act::Cancel => (with(words.cancel_limit, act.most())),
                Act::Resend => (with(words.resend_limit, act.most())),
            }
        }
    }
}

/// The filter of a form that was asked about.
fn asked_filter(
    person: &Person,
    query: &ListQuery,
    form: &ActForm,
) -> Result<MessageFilter, Failure> {
    let filter = query.filter(person)?;
    let until = form.until.parse().ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    // Without the time of the question, nothing is known to have been counted.
    Ok(made_before(until.ok_or(Failure::Form)?, filter))
}

/// A filter that leaves out what was made later; an earlier end of its own stays.
fn made_before(at: Timestamp, filter: MessageFilter) -> MessageFilter {
    let until = filter.until.map_or(at, |until| until.min(at));
    MessageFilter { until: Some(until), ..filter }
}

async fn cancel_all(
    State(state): State<AppState>,
    Asked(query): Asked<ListQuery>,
    Posted { person, form }: Posted<ActForm>,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    let filter = asked_filter(&person, &query, &form)?;
    let outcome = state.core().cancel_matching(person.principal(), &filter).await?;
    Ok(redirect(&query.path("/app/messages", Some(outcome))))
}

async fn resend_all(
    State(state): State<AppState>,
    Asked(query): Asked<ListQuery>,
    Posted { person, form }: Posted<ActForm>,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    let filter = asked_filter(&person, &query, &form)?;
    let what = query.path(Act::Resend.path(), None) + &form.until;
    let key = idempotency("POST /app/messages/resend", &form.key, &what);
    let outcome = state.core().resend_matching(person.principal(), &filter, key).await?;
    Ok(redirect(&query.path("/app/messages", Some(outcome))))
}
