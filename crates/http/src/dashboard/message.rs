//! `/app/messages/{id}`: one message: what became of it, why it waits, and cancelling it.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use domain::content::Content;
use domain::context::{Changes, Mentions, beginning};
use domain::error::Error;
use domain::ids::MessageId;
use domain::message::{Direction, Message, Waiting, WaitingReason};
use domain::person::Role;
use domain::service::not_resendable;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::bubbles::{self, writer};
use super::caller::{Asked, InAccount, Nothing, Person, Posted, id};
use super::chats::chat_path;
use super::failure::{PageResult, redirect};
use super::group_names::name_of;
use super::layout::{self, Place};
use super::message_edits;
use super::named_people::mention;
use super::reasons::said;
use super::show::{self, Confirm};
use super::words::{Words, words};
use crate::state::AppState;

/// Most characters of a text that are shown at once.
const TEXT_CHARS_SHOWN: usize = 10_000;
/// Most people that are named of those whom a message mentions.
const MENTIONS_SHOWN: usize = 50;

words! {
    /// The texts of this page.
    MessageWords
    sender: "Sender", "Pengirim";
    mentions: "Mentions", "Menyebut";
    everybody: "everybody", "semua anggota";
    before: "before:", "sebelumnya:";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/messages/{id}", get(show_message))
        .route("/app/messages/{id}/cancel", get(ask_cancel).post(cancel))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ShowQuery {
    /// Whether all of a long text is shown.
    whole: Option<String>,
}

async fn show_message(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
    Asked(query): Asked<ShowQuery>,
) -> PageResult {
    let (words, id) = (person.words(), MessageId(id(&text, "message")?));
    let message = state.core().message(person.principal(), id).await?;
    let waiting = state.core().waiting([&message]).await.remove(&id);
    let device = device(&state, &person, &message).await?;
    let chat = name_of(&state, person.principal(), &message).await?;
    let title = format!("{} {}", words.message, message.id);
    let body = html! {
        p.crumbs { a href="/app/messages" { (words.messages) } }
        h1 { (title) }
        div #message data-live="message tick" {
            p {
                (show::state(words, message.state)) " "
                @if let Some(waiting) = waiting { (why(&person, waiting)) }
            }
            @if let Some(failure) = &message.failure { p.fault { (said(person.lang, &failure.message)) } }
            (facts(&person, &message, &device, &chat))
            (content(&person, &message, query.whole.is_some()))
            h2 { (words.timeline) }
            (timeline(&person, &message))
            (message_edits::acts(&person, &message))
            @if may_resend(&person, &message) {
                form method="post" action={ "/app/messages/" (message.id) "/resend" } {
                    (person.csrf())
                    button { (words.resend) }
                }
            }
            @if may_cancel(&person, &message) {
                p { a.button.plain.danger-text href=(cancel_path(&message)) { (words.cancel) } }
            }
        }
    };
    Ok(layout::page(&person, Place::Messages, &title, &body))
}

fn may_resend(person: &Person, message: &Message) -> bool {
    person.visitor.role() >= Role::Member && not_resendable(message).is_none()
}

fn may_cancel(person: &Person, message: &Message) -> bool {
    person.visitor.role() >= Role::Member
        && message.direction() == Direction::Out
        && message.state.is_waiting()
}

fn why(person: &Person, waiting: Waiting) -> Markup {
    let words = person.words();
    html! {
        span.quiet {
            (words.why_waits) " " (reason(words, waiting.reason))
            @if let Some(until) = waiting.until {
                ", " (words.not_before) " " (show::time_for(person, until))
            }
        }
    }
}

/// What a message waits for.
pub(super) fn reason(words: &Words, reason: WaitingReason) -> &'static str {
    match reason {
        WaitingReason::Scheduled => words.waits_scheduled,
        WaitingReason::Pacing => words.waits_pacing,
        WaitingReason::QuietHours => words.waits_quiet,
        WaitingReason::FirstContacts => words.waits_first,
        WaitingReason::ReachoutTimelock => words.waits_lock,
        WaitingReason::NotConnected => words.waits_connection,
        WaitingReason::ChatOrder => words.waits_order,
        WaitingReason::Retry => words.waits_retry,
        WaitingReason::File => words.waits_file,
    }
}

/// The message's device by name; one that was deleted has its id only.
async fn device(state: &AppState, person: &Person, message: &Message) -> Result<Markup, Error> {
    match state.core().device(person.principal(), message.device_id).await {
        Ok(device) => {
            Ok(html! { a href=(show::device_path(&device)) { (show::device_name(&device)) } })
        }
        Err(Error::NotFound(_)) => Ok(html! { code { (message.device_id) } }),
        Err(error) => Err(error),
    }
}

fn facts(person: &Person, message: &Message, device: &Markup, chat: &str) -> Markup {
    let (words, own) = (person.words(), MessageWords::of(person.lang));
    html! {
        dl.facts {
            dt { (words.direction) }
            dd { @if message.direction() == Direction::In { (words.incoming) } @else { (words.outgoing) } }
            dt { (words.number_or_group) }
            dd { a href=(chat_path(message.device_id, &message.chat)) { (chat) } }
            @if message.is_in_group() && message.direction() == Direction::In {
                dt { (own.sender) } dd { (sender(person, message)) }
            }
            @if message.context.mentions != Mentions::default() {
                dt { (own.mentions) } dd { (mentioned(own, &message.context.mentions)) }
            }
            dt { (words.device) }
            dd { (device) }
            @if message.attempts > 0 { dt { (words.attempts) } dd { (message.attempts) } }
            @if let (Some(at), true) = (message.expires_at, message.state.is_waiting()) {
                dt { (words.expires) } dd { (show::time_for(person, at)) }
            }
        }
    }
}

/// Whom a message mentions, as far as there is room.
fn mentioned(own: &MessageWords, mentions: &Mentions) -> String {
    let people = mentions.people.iter().take(MENTIONS_SHOWN).map(|person| mention(person));
    let all = mentions.all.then(|| own.everybody.to_owned());
    let rest = (mentions.people.len() > MENTIONS_SHOWN).then(|| "…".to_owned());
    all.into_iter().chain(people).chain(rest).collect::<Vec<_>>().join(", ")
}

/// Who wrote a message in a group: what they call themselves, and their number where it is known.
fn sender(person: &Person, message: &Message) -> Markup {
    let phone = message.sender.as_ref().and_then(|sender| sender.phone.as_ref());
    let phone = phone.filter(|_| message.context.sender_name.is_some());
    html! {
        (writer(person, message))
        @if let Some(phone) = phone { " (+" (phone) ")" }
    }
}

/// The text, or its beginning and a link to the rest.
fn text(words: &Words, message: &Message, is_whole: bool) -> Markup {
    let text = message.text();
    let end = text.char_indices().nth(TEXT_CHARS_SHOWN).filter(|_| !is_whole).map(|(at, _)| at);
    html! {
        @match end {
            Some(end) => {
                p.text { (text[..end]) "…" }
                p { a href={ "/app/messages/" (message.id) "?whole=1" } { (words.whole_text) } }
            }
            None => @if !text.is_empty() { p.text { (text) } },
        }
    }
}

fn content(person: &Person, message: &Message, is_whole: bool) -> Markup {
    let words = person.words();
    if message.context.changes.revoked_at.is_some() {
        return html! { p.quiet { (words.revoked) } };
    }
    html! {
        @match &message.content {
            Content::File(_) | Content::Location(_) | Content::Contacts(_) => {
                (bubbles::content(person, message))
            }
            Content::Poll(_) => {
                p { span.kind { (words.kind_poll) } }
                (bubbles::content(person, message))
            }
            _ => {
                p { span.kind { (show::kind_word(words, message.kind())) } }
                (text(words, message, is_whole))
            }
        }
    }
}

/// The states it has been through, and how it was changed.
fn timeline(person: &Person, message: &Message) -> Markup {
    let words = person.words();
    let states = message.history.iter().map(|change| {
        let row = html! {
            (show::state(words, change.state)) " "
            (show::time_for(person, change.at))
            @if let Some(reason) = &change.reason { " " span.quiet { (said(person.lang, reason)) } }
        };
        (change.at, row)
    });
    let mut rows: Vec<_> = states.chain(changes(person, &message.context.changes)).collect();
    rows.sort_by_key(|(at, _)| *at);
    html! { ol.timeline { @for (_, row) in rows { li { (row) } } } }
}

/// What its writer has changed: each earlier text, and that it was deleted.
fn changes(person: &Person, changes: &Changes) -> Vec<(Timestamp, Markup)> {
    let (words, own) = (person.words(), MessageWords::of(person.lang));
    let row = |word: &str, at: Timestamp, before: Option<&str>| {
        let row = html! {
            span.badge data-tone="idle" { (word) } " "
            (show::time_for(person, at))
            @if let Some(text) = before.filter(|text| !text.is_empty()) {
                " " span.quiet { (own.before) " " (beginning(text)) }
            }
        };
        (at, row)
    };
    let is_revoked = changes.revoked_at.is_some();
    let mut rows = Vec::new();
    for earlier in &changes.earlier {
        rows.push(row(words.edited, earlier.until, (!is_revoked).then_some(&*earlier.text)));
    }
    if let (Some(at), true) = (changes.edited_at, changes.earlier.is_empty()) {
        rows.push(row(words.edited, at, None));
    }
    rows.extend(changes.revoked_at.map(|at| row(words.revoked, at, None)));
    rows
}

fn cancel_path(message: &Message) -> String {
    format!("/app/messages/{}/cancel", message.id)
}

async fn ask_cancel(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    let (words, id) = (person.words(), MessageId(id(&text, "message")?));
    let message = state.core().message(person.principal(), id).await?;
    let back = format!("/app/messages/{id}");
    if !may_cancel(&person, &message) {
        return Ok(redirect(&back));
    }
    let confirm = Confirm {
        title: words.cancel,
        what: html! { p { (words.cancel_one) } (content(&person, &message, false)) },
        action: &cancel_path(&message),
        button: words.cancel,
        back: &back,
    };
    Ok(layout::page(&person, Place::Messages, words.cancel, &confirm.render(&person)))
}

async fn cancel(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    let id = MessageId(id(&text, "message")?);
    state.core().cancel_message(person.principal(), id).await?;
    Ok(redirect(&format!("/app/messages/{id}")))
}
