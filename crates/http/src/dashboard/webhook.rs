//! `/app/webhooks/{id}`: one webhook: what it gets, a test post, its secret, deleting it, its deliveries.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use domain::error::Error;
use domain::ids::WebhookId;
use domain::person::Role;
use domain::ports::{PageRequest, WebhookAnswer};
use domain::service::WebhookChange;
use domain::webhook::{DeliveryState, Webhook};
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{Asked, InAccount, Nothing, Person, Posted, id};
use super::deliveries::{self, LogQuery};
use super::failure::{Failure, PageResult, redirect};
use super::layout::{self, Head, Place};
use super::reasons::said;
use super::show::{self, Confirm, Fault, with};
use super::webhooks::{HookForm, event_boxes, hook_fault, hook_status, url_field, webhook_path};
use crate::state::AppState;

/// Waiting deliveries that are counted before a webhook is deleted.
const COUNTED_MAX: u32 = 100;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/webhooks/{id}", get(show).post(change))
        .route("/app/webhooks/{id}/switch", post(switch))
        .route("/app/webhooks/{id}/test", post(test))
        .route("/app/webhooks/{id}/secret", get(ask_secret).post(new_secret))
        .route("/app/webhooks/{id}/delete", get(ask_delete).post(delete))
}

/// The webhook of a path, for somebody who may change it.
pub(super) async fn own_webhook(
    state: &AppState,
    person: &Person,
    text: &str,
) -> Result<Webhook, Error> {
    person.visitor.require(Role::Owner)?;
    state.core().webhook(person.principal(), WebhookId(id(text, "webhook")?)).await
}

/// The way back to a webhook.
pub(super) fn crumbs(person: &Person, webhook: &Webhook) -> Markup {
    html! {
        p.crumbs {
            a href="/app/webhooks" { (person.words().webhooks) } " › "
            a href=(webhook_path(webhook)) { (webhook.url) }
        }
    }
}

async fn show(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
    Asked(query): Asked<LogQuery>,
) -> PageResult {
    let webhook = own_webhook(&state, &person, &text).await?;
    let notice = query.replayed.map(|count| {
        html! { p.success role="status" { (with(person.words().replayed, count)) } }
    });
    let form = HookForm::of(&webhook);
    page(&state, &person, &webhook, &form, &query, None, notice.as_ref()).await
}

async fn page(
    state: &AppState,
    person: &Person,
    webhook: &Webhook,
    form: &HookForm,
    query: &LogQuery,
    fault: Option<&Fault>,
    notice: Option<&Markup>,
) -> Result<Response, Failure> {
    let words = person.words();
    let path = webhook_path(webhook);
    let body = html! {
        p.crumbs { a href="/app/webhooks" { (words.webhooks) } }
        h1 { (webhook.url) }
        @if let Some(notice) = notice { (notice) }
        p { (hook_status(words, webhook)) }
        (acts(person, webhook, &path))
        dl.facts {
            dt { (words.format) } dd { (webhook.format.0) }
            dt { (words.device) }
            dd { @match webhook.device_id {
                Some(device) => { a href={ "/app/devices/" (device) } { (device) } }
                None => (words.all_devices),
            } }
            dt { (words.made_at) } dd { (show::time_for(person, webhook.created_at)) }
        }
        (deliveries::log(state, person, webhook, query).await?)
        section.card {
            h2 { (words.settings) }
            form.stack method="post" action=(path) {
                (person.csrf())
                (url_field(words, form, fault))
                (event_boxes(words, form, "", fault))
                button { (words.save) }
            }
        }
    };
    let status = Fault::status(fault);
    let head = Head::default();
    Ok(layout::page_with(status, person, Place::Webhooks, &webhook.url, &head, &body))
}

fn acts(person: &Person, webhook: &Webhook, path: &str) -> Markup {
    let words = person.words();
    let is_on = webhook.disabled.is_none();
    html! {
        div.row {
            form method="post" action={ (path) "/test" } {
                (person.csrf())
                button { (words.test_post) }
            }
            form method="post" action={ (path) "/switch" } {
                (person.csrf())
                input type="hidden" name="on" value=(if is_on { "" } else { "1" });
                button.plain { @if is_on { (words.switch_off) } @else { (words.switch_on) } }
            }
            a.button.plain href={ (path) "/secret" } { (words.new_secret) }
            a.button.plain.danger-text href={ (path) "/delete" } { (words.delete) }
        }
    }
}

async fn change(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form }: Posted<HookForm>,
) -> PageResult {
    let webhook = own_webhook(&state, &person, &text).await?;
    let events = form.kinds();
    let url = Some(form.url.clone());
    let change = WebhookChange { url, events: Some(events.clone()), is_enabled: None };
    let changed = match events.is_empty() {
        true => Err(Fault::of("events", person.words().events_missing.to_owned())),
        false => match state.core().update_webhook(person.principal(), webhook.id, change).await {
            Ok(changed) => Ok(changed),
            Err(error) => Err(hook_fault(&person, error)?),
        },
    };
    match changed {
        Ok(changed) => Ok(redirect(&webhook_path(&changed))),
        Err(fault) => {
            let query = LogQuery::default();
            page(&state, &person, &webhook, &form, &query, Some(&fault), None).await
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SwitchForm {
    on: String,
}

async fn switch(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form }: Posted<SwitchForm>,
) -> PageResult {
    let webhook = own_webhook(&state, &person, &text).await?;
    let change =
        WebhookChange { is_enabled: Some(!form.on.is_empty()), ..WebhookChange::default() };
    state.core().update_webhook(person.principal(), webhook.id, change).await?;
    Ok(redirect(&webhook_path(&webhook)))
}

async fn test(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let webhook = own_webhook(&state, &person, &text).await?;
    let answer = state.core().test_webhook(person.principal(), webhook.id).await?;
    let (form, notice) = (HookForm::of(&webhook), answered(&person, &answer));
    page(&state, &person, &webhook, &form, &LogQuery::default(), None, Some(&notice)).await
}

fn answered(person: &Person, answer: &WebhookAnswer) -> Markup {
    let words = person.words();
    let text = match (answer.status, &answer.error) {
        (Some(status), _) => with(&with(words.test_answer, status), answer.took.as_millis()),
        (None, Some(why)) => with(words.test_no_answer, said(person.lang, why)),
        (None, None) => with(words.test_no_answer, "?"),
    };
    html! {
        @if answer.is_success() { p.success role="status" { (text) } }
        @else { p.fault role="alert" { (text) } }
    }
}

async fn ask_secret(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
) -> PageResult {
    let (words, webhook) = (person.words(), own_webhook(&state, &person, &text).await?);
    let path = webhook_path(&webhook);
    let body = html! {
        (crumbs(&person, &webhook))
        h1 { (words.new_secret) }
        p { (words.new_secret_warning) }
        form.row method="post" action={ (path) "/secret" } {
            (person.csrf())
            button.danger { (words.new_secret) }
            a.button.plain href=(path) { (words.keep) }
        }
    };
    Ok(layout::page(&person, Place::Webhooks, words.new_secret, &body))
}

async fn new_secret(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let webhook = own_webhook(&state, &person, &text).await?;
    let (words, core) = (person.words(), state.core());
    let (webhook, secret) =
        core.replace_webhook_secret(person.principal(), webhook.id, None).await?;
    let body = html! {
        (crumbs(&person, &webhook))
        h1 { (words.new_secret) }
        (show::secret(words, words.secret, &secret))
        p { a.button href=(webhook_path(&webhook)) { (words.i_have_it) } }
    };
    Ok(layout::page(&person, Place::Webhooks, words.new_secret, &body))
}

async fn ask_delete(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
) -> PageResult {
    let (words, webhook) = (person.words(), own_webhook(&state, &person, &text).await?);
    let page = PageRequest { before: None, limit: COUNTED_MAX };
    let pending = Some(DeliveryState::Pending);
    let waiting = state.core().deliveries(person.principal(), webhook.id, pending, page).await?;
    let more = if waiting.has_more { "+" } else { "" };
    let count = format!("{}{more}", waiting.items.len());
    let path = webhook_path(&webhook);
    let confirm = Confirm {
        title: &with(words.delete_device_title, &webhook.url),
        what: html! { p { (with(words.delete_webhook_warning, count)) } },
        action: &format!("{path}/delete"),
        button: words.delete,
        back: &path,
    };
    let body = html! { (crumbs(&person, &webhook)) (confirm.render(&person)) };
    Ok(layout::page(&person, Place::Webhooks, words.delete, &body))
}

async fn delete(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    person.visitor.require(Role::Owner)?;
    let id = WebhookId(id(&text, "webhook")?);
    state.core().delete_webhook(person.principal(), id).await?;
    Ok(redirect("/app/webhooks"))
}
