//! The deliveries of a webhook: its log, one of them with its request and answer, and sending again.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use domain::chat::ChatId;
use domain::error::Error;
use domain::ids::DeliveryId;
use domain::person::Role;
use domain::ports::{PageRequest, WebhookRequest};
use domain::webhook::{
    Delivery, DeliveryState, DeliveryTry, REPLAYED_MAX, ReplayRange, Subject, Webhook,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{Asked, InAccount, Nothing, Person, Posted, id};
use super::failure::{PageResult, redirect};
use super::group_names::{GroupNames, called, names_of};
use super::layout::{self, Place};
use super::reasons::said;
use super::show::{self, Confirm, with};
use super::table::{self, Column};
use super::webhook::{crumbs, own_webhook};
use super::webhooks::webhook_path;
use super::words::Words;
use crate::html::code_block;
use crate::state::AppState;

/// Deliveries of a page.
const DELIVERIES_SHOWN: u32 = 50;
/// Most characters that are shown of what is posted.
const BODY_CHARS_MAX: usize = 20_000;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/webhooks/{id}/replay", get(ask_replay).post(replay))
        .route("/app/webhooks/{id}/deliveries/{delivery}", get(show_delivery))
        .route("/app/webhooks/{id}/deliveries/{delivery}/replay", post(replay_one))
}

/// Which part of the log is looked at.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct LogQuery {
    state: String,
    before: Option<i64>,
    pub(super) replayed: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ReplayQuery {
    since: String,
    what: String,
}

const STATES: [DeliveryState; 3] =
    [DeliveryState::Pending, DeliveryState::Delivered, DeliveryState::Dead];

fn state_word(words: &Words, state: DeliveryState) -> (&'static str, &'static str) {
    match state {
        DeliveryState::Pending => (words.delivery_pending, "wait"),
        DeliveryState::Delivered => (words.delivery_delivered, "good"),
        DeliveryState::Dead => (words.delivery_dead, "bad"),
    }
}

fn state_badge(words: &Words, state: DeliveryState) -> Markup {
    let (word, tone) = state_word(words, state);
    html! { span.badge data-tone=(tone) { (word) } }
}

fn delivery_path(webhook: &Webhook, delivery: &Delivery) -> String {
    format!("{}/deliveries/{}", webhook_path(webhook), delivery.id)
}

/// The log of a webhook, with the form that sends a part of it again.
pub(super) async fn log(
    state: &AppState,
    person: &Person,
    webhook: &Webhook,
    query: &LogQuery,
) -> Result<Markup, Error> {
    let (words, path) = (person.words(), webhook_path(webhook));
    let wanted = DeliveryState::from_name(&query.state);
    let page = PageRequest { before: query.before, limit: DELIVERIES_SHOWN };
    let page = state.core().deliveries(person.principal(), webhook.id, wanted, page).await?;
    let groups = groups(state, person, &page.items).await?;
    let last = page.items.last().filter(|_| page.has_more);
    let is_live = query.before.is_none();
    Ok(html! {
        section {
            h2 { (words.deliveries) }
            (state_links(words, &path, wanted))
            div #deliveries data-live=[is_live.then_some("message device tick")] {
                @if page.items.is_empty() { p.empty { (words.no_deliveries) } }
                @else { (table(person, webhook, &page.items, &groups)) }
            }
            @if let Some(last) = last {
                p { a.button.plain href={ (path) "?state=" (wanted.map_or("", DeliveryState::as_str)) "&before=" (last.id) } {
                    (words.older)
                } }
            }
            (replay_form(person, &path))
        }
    })
}

fn state_links(words: &Words, path: &str, wanted: Option<DeliveryState>) -> Markup {
    html! {
        p.row {
            a href=(path) aria-current=[wanted.is_none().then_some("true")] { (words.all) }
            @for state in STATES {
                a href={ (path) "?state=" (state.as_str()) }
                    aria-current=[(wanted == Some(state)).then_some("true")] { (state_word(words, state).0) }
            }
        }
    }
}

fn table(
    person: &Person,
    webhook: &Webhook,
    deliveries: &[Delivery],
    groups: &GroupNames,
) -> Markup {
    let words = person.words();
    let columns = [
        Column::Clear(words.time),
        Column::Clear(words.event),
        Column::Clear(words.what),
        Column::Clear(words.status),
        Column::Named(words.attempts),
        Column::Text(words.last_answer),
    ];
    let row = |delivery: &Delivery| {
        let at = show::time_for(person, delivery.created_at);
        [
            html! { a href=(delivery_path(webhook, delivery)) { (at) } },
            html! { code { (delivery.event.kind.as_str()) } },
            html! { (about(groups, delivery)) },
            state_badge(words, delivery.state),
            html! { (delivery.attempts) },
            last_answer(person, delivery),
        ]
    };
    table::table(words.deliveries, &columns, deliveries.iter().map(row))
}

/// What the groups of these deliveries are called.
async fn groups(
    state: &AppState,
    person: &Person,
    deliveries: &[Delivery],
) -> Result<GroupNames, Error> {
    let group = |delivery: &Delivery| match &delivery.event.subject {
        Subject::Message(message) => Some(message.chat.clone()).filter(ChatId::is_group),
        Subject::Group(report) => Some(ChatId::Group(report.group.clone())),
        Subject::Device(_) | Subject::Contact(_) | Subject::Call(_) => None,
    };
    let chats = deliveries
        .iter()
        .filter_map(|delivery| Some((delivery.event.device.id, group(delivery)?)))
        .collect();
    names_of(state, person.principal(), chats).await
}

fn about(groups: &GroupNames, delivery: &Delivery) -> String {
    let device = &delivery.event.device;
    match &delivery.event.subject {
        Subject::Message(message) => called(groups, device.id, &message.chat),
        Subject::Device(_) => device.name.clone(),
        Subject::Contact(identity) => format!("+{}", identity.phone),
        Subject::Call(call) => call.from.key().to_owned(),
        Subject::Group(report) => called(groups, device.id, &ChatId::Group(report.group.clone())),
    }
}

fn last_answer(person: &Person, delivery: &Delivery) -> Markup {
    html! {
        @if let Some(status) = delivery.last_status { (status) " " }
        @if let Some(error) = &delivery.last_error { span.quiet { (said(person.lang, error)) } }
    }
}

fn replay_form(person: &Person, path: &str) -> Markup {
    let words = person.words();
    html! {
        form.row method="get" action={ (path) "/replay" } {
            div.field {
                label for="since" { (show::zoned(words.replay_since, person.visitor.account())) }
                input #since name="since" type="datetime-local" required;
            }
            div.field {
                label for="what" { (words.what) }
                select #what name="what" {
                    option value="" { (words.replay_failed) }
                    option value="all" { (words.replay_all) }
                }
            }
            button.plain { (words.send_again) }
        }
    }
}

fn range(person: &Person, query: &ReplayQuery) -> Option<ReplayRange> {
    let since = show::moment(person, &query.since)?;
    Some(ReplayRange { since, includes_delivered: query.what == "all" })
}

async fn ask_replay(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
    Asked(query): Asked<ReplayQuery>,
) -> PageResult {
    let (words, webhook) = (person.words(), own_webhook(&state, &person, &text).await?);
    let path = webhook_path(&webhook);
    let Some(range) = range(&person, &query) else { return Ok(redirect(&path)) };
    let count = state.core().count_replayable(person.principal(), webhook.id, range).await?;
    let fields = [("since", query.since.as_str()), ("what", query.what.as_str())];
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let confirm = Confirm {
        title: words.send_again,
        what: html! {
            p { (with(words.replay_count, count)) " " (show::time_for(&person, range.since)) }
            @if count >= REPLAYED_MAX { p.quiet { (words.replay_oldest_first) } }
        },
        action: &format!("{path}/replay?{query}"),
        button: words.send_again,
        back: &path,
    };
    let body = html! { (crumbs(&person, &webhook)) (confirm.render(&person)) };
    Ok(layout::page(&person, Place::Webhooks, words.send_again, &body))
}

async fn replay(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Asked(query): Asked<ReplayQuery>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let webhook = own_webhook(&state, &person, &text).await?;
    let path = webhook_path(&webhook);
    let Some(range) = range(&person, &query) else { return Ok(redirect(&path)) };
    let count = state.core().replay_since(person.principal(), webhook.id, range).await?;
    Ok(redirect(&format!("{path}?replayed={count}")))
}

async fn show_delivery(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path((text, delivery)): Path<(String, String)>,
) -> PageResult {
    let (words, webhook) = (person.words(), own_webhook(&state, &person, &text).await?);
    let delivery = DeliveryId(id(&delivery, "delivery")?);
    let (delivery, request) =
        state.core().delivery(person.principal(), webhook.id, delivery).await?;
    let tries = state.core().delivery_tries(person.principal(), webhook.id, delivery.id).await?;
    let groups = groups(&state, &person, std::slice::from_ref(&delivery)).await?;
    let body = html! {
        (crumbs(&person, &webhook))
        h1 { (delivery.event.kind.as_str()) " " (about(&groups, &delivery)) }
        div #delivery data-live=[(delivery.state == DeliveryState::Pending).then_some("message device tick")] {
            p { (state_badge(words, delivery.state)) }
            (facts(&person, &delivery))
            @if delivery.state != DeliveryState::Pending {
                form method="post" action={ (delivery_path(&webhook, &delivery)) "/replay" } {
                    (person.csrf())
                    button { (words.send_again) }
                }
            }
        }
        (attempts(&person, &tries))
        h2 { (words.what_is_posted) }
        @match &request {
            Some(request) => (posted(request)),
            None => { p.quiet { (words.nothing_is_posted) } }
        }
    };
    Ok(layout::page(&person, Place::Webhooks, delivery.event.kind.as_str(), &body))
}

fn facts(person: &Person, delivery: &Delivery) -> Markup {
    let words = person.words();
    let is_pending = delivery.state == DeliveryState::Pending;
    html! {
        dl.facts {
            dt { (words.event) } dd { code { (delivery.event.id) } }
            dt { (words.device) } dd { (delivery.event.device.name) }
            @if let Subject::Message(message) = &delivery.event.subject {
                dt { (words.message) }
                dd { a href={ "/app/messages/" (message.id) } { (message.id) } }
            }
            dt { (words.time) } dd { (show::time_for(person, delivery.created_at)) }
            dt { (words.attempts) } dd { (delivery.attempts) }
            @if delivery.last_status.is_some() || delivery.last_error.is_some() {
                dt { (words.last_answer) } dd { (last_answer(person, delivery)) }
            }
            @if is_pending { dt { (words.next_attempt) } dd { (show::time_for(person, delivery.due_at)) } }
            @if let Some(at) = delivery.ended_at { dt { (words.ended_at) } dd { (show::time_for(person, at)) } }
        }
    }
}

/// What came of each try, the last one first.
fn attempts(person: &Person, tries: &[DeliveryTry]) -> Markup {
    let words = person.words();
    html! {
        div #tries data-live="message device tick" {
            @if !tries.is_empty() { h2 { (words.attempts) } }
            ol.timeline {
                @for tried in tries.iter().rev() {
                    li {
                        (show::time_for(person, tried.at)) " "
                        @if let Some(status) = tried.status {
                            span.badge data-tone=(if (200..300).contains(&status) { "good" } else { "bad" }) { (status) }
                        }
                        " " span.quiet { (tried.ms) " ms" }
                        @if let Some(error) = &tried.error { p.fault { (said(person.lang, error)) } }
                        @if !tried.answer.is_empty() { (code_block(&tried.answer)) }
                    }
                }
            }
        }
    }
}

/// What goes out, without its signatures: with one of them the post could be repeated by others.
fn posted(request: &WebhookRequest) -> Markup {
    let headers = request.headers.iter().filter(|(name, _)| !name.contains("signature"));
    let body: String =
        String::from_utf8_lossy(&request.body).chars().take(BODY_CHARS_MAX).collect();
    html! {
        pre tabindex="0" { code {
            "POST " (request.url) "\n"
            "content-type: " (request.content_type) "\n"
            @for (name, value) in headers { (name) ": " (value) "\n" }
            "\n" (body)
        } }
    }
}

async fn replay_one(
    State(state): State<AppState>,
    Path((text, delivery)): Path<(String, String)>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    person.visitor.require(Role::Owner)?;
    let webhook = own_webhook(&state, &person, &text).await?;
    let delivery = DeliveryId(id(&delivery, "delivery")?);
    let replayed = state.core().replay_delivery(person.principal(), webhook.id, delivery).await?;
    Ok(redirect(&delivery_path(&webhook, &replayed)))
}
