//! `/app/send/{first}-{last}`: what has become of the messages of a list, while it goes.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use domain::error::Error;
use domain::ids::MessageId;
use domain::message::{Direction, Message, MessageState};
use domain::person::Role;
use domain::ports::{MessageFilter, PageRequest};
use domain::service::BatchProgress;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::caller::{InAccount, Person, id};
use super::failure::PageResult;
use super::group_names::group_names;
use super::layout::{self, Place};
use super::message::reason;
use super::messages::{link, table};
use super::show::{self, with};
use super::words::words;
use crate::state::AppState;

/// Most messages that were not sent that are shown.
const FAILED_SHOWN: u32 = 20;

words! {
    /// The texts of this page.
    BatchWords
    title: "A list of {} messages", "Daftar berisi {} pesan";
    ended: "Of {} messages {} have left or ended", "Dari {} pesan, {} sudah terkirim atau berakhir";
    delivered: "Delivered", "Sampai";
    read: "Read", "Dibaca";
    sent: "Sent, not delivered yet", "Terkirim, belum sampai";
    cancelled: "Cancelled", "Dibatalkan";
    why: "Why they wait", "Alasan menunggu";
    connection: "The list goes on by itself; this page may be closed.", "Daftar terus dikirim sendiri; halaman ini boleh ditutup.";
    failed: "What was not sent", "Yang tidak terkirim";
    as_list: "All of them as a list", "Semuanya sebagai daftar";
    another: "Send another", "Kirim lagi";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/send/{batch}", get(show_batch))
}

/// The page of the messages of a list.
pub(super) fn batch_path(first: MessageId, last: MessageId) -> String {
    format!("/app/send/{first}-{last}")
}

/// How many messages of a batch are where.
struct Counts<'a>(&'a BatchProgress);

impl Counts<'_> {
    fn of(&self, states: &[MessageState]) -> i64 {
        let counted = self.0.states.iter().filter(|(state, _)| states.contains(state));
        counted.map(|(_, count)| count).sum()
    }

    fn all(&self) -> i64 {
        self.of(&MessageState::ALL)
    }

    fn waiting(&self) -> i64 {
        self.of(&[MessageState::Scheduled, MessageState::Queued, MessageState::Sending])
    }
}

async fn show_batch(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
) -> PageResult {
    let (first, last) = text.split_once('-').ok_or(Error::NotFound("batch"))?;
    let (first, last) = (MessageId(id(first, "batch")?), MessageId(id(last, "batch")?));
    let progress = state.core().batch_progress(person.principal(), first, last).await?;
    let failed = failed(&state, &person, &progress).await?;
    let groups = group_names(&state, person.principal(), &failed).await?;
    let (words, own) = (person.words(), BatchWords::of(person.lang));
    let title = with(own.title, Counts(&progress).all());
    let body = html! {
        p.crumbs { a href="/app/messages" { (words.messages) } }
        h1 { (title) }
        p.quiet { (own.connection) }
        div #progress data-live="message device tick" {
            (figures(&person, &progress))
            @if !failed.is_empty() {
                h2 { (own.failed) }
                (table(words, &failed, &groups, |message| link(&person, message)))
            }
        }
        p.row {
            a.button.plain href=(list_path(&person, &progress)) { (own.as_list) }
            @if person.visitor.role() >= Role::Member {
                a.button.plain href={ "/app/send?device=" (progress.batch.device) } { (own.another) }
            }
        }
    };
    Ok(layout::page(&person, Place::Send, &title, &body))
}

fn figures(person: &Person, progress: &BatchProgress) -> Markup {
    use MessageState::{Cancelled, Delivered, Expired, Failed, Played, Read, Sent};
    let (words, own) = (person.words(), BatchWords::of(person.lang));
    let counts = Counts(progress);
    let (all, waiting) = (counts.all(), counts.waiting());
    let ended = all - waiting;
    let summary = with(&with(own.ended, all), ended);
    let figures = [
        (words.waiting, waiting),
        (own.sent, counts.of(&[Sent])),
        (own.delivered, counts.of(&[Delivered])),
        (own.read, counts.of(&[Read, Played])),
        (words.failed_all, counts.of(&[Failed, Expired])),
        (own.cancelled, counts.of(&[Cancelled])),
    ];
    html! {
        p role="status" {
            progress max=(all) value=(ended) aria-label=(summary) {}
            " " (summary)
        }
        dl.figures { @for (name, count) in figures { div { dt { (name) } dd { (count) } } } }
        @if !progress.waiting.is_empty() {
            h2 { (own.why) }
            ul.plain-list {
                @for (held_by, count) in &progress.waiting {
                    li { (count) " · " (reason(words, *held_by)) }
                }
            }
        }
    }
}

/// Some of the messages that were not sent.
async fn failed(
    state: &AppState,
    person: &Person,
    progress: &BatchProgress,
) -> Result<Vec<Message>, Error> {
    let states = vec![MessageState::Failed, MessageState::Expired];
    if Counts(progress).of(&states) == 0 {
        return Ok(Vec::new());
    }
    let batch = progress.batch;
    let filter = MessageFilter {
        direction: Some(Direction::Out),
        device: Some(batch.device),
        states,
        since: Some(batch.created_at),
        until: Some(end_of(batch.created_at)),
        ..MessageFilter::default()
    };
    let page = PageRequest { before: batch.last.0.checked_add(1), limit: FAILED_SHOWN };
    let mut found = state.core().messages(person.principal(), filter, page).await?.items;
    found.retain(|message| message.id >= batch.first);
    Ok(found)
}

/// The next moment that differs from this one.
fn end_of(at: Timestamp) -> Timestamp {
    at.saturating_add(SignedDuration::from_millis(1)).unwrap_or(Timestamp::MAX)
}

/// The list of all messages with these only: they were accepted in one moment.
fn list_path(person: &Person, progress: &BatchProgress) -> String {
    let batch = progress.batch;
    let moment = |at| show::field_moment(person, at);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("device", &batch.device.to_string());
    query.append_pair("direction", "out");
    query.append_pair("since", &moment(batch.created_at));
    query.append_pair("until", &moment(end_of(batch.created_at)));
    format!("/app/messages?{}", query.finish())
}
