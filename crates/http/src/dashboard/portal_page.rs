//! `/portal/device/{link}`: one device, for somebody who has a link to it and no account.
//!
//! The link is all that is needed. What it allows is asked at every request; one that has ended, was
//! revoked, or never existed shows the same page.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use domain::device::{Device, DeviceStatus};
use domain::error::Error;
use domain::key::Secret;
use domain::portal::Permission;
use domain::ports::{MessageFilter, PageRequest};
use domain::service::{PageChange, PortalVisitor};
use futures_util::{StreamExt as _, future};
use maud::{Markup, html};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::caller::{Asked, Nothing, check_csrf, csrf_field, typed};
use super::compose::compose;
use super::contents::{Refusal, SendForm};
use super::failure::{Failure, PageResult, describe, redirect};
use super::group_names::group_names;
use super::layout::{self, Head};
use super::linking::{self, Linking, PairForm};
use super::messages::table;
use super::once::{self, new_key};
use super::origin::{check_origin, csrf_token};
use super::send::{Again, Sender, Sent, Step, preview, preview_title};
use super::show::{self, Fault, with};
use super::stream::{self, Listener, StreamQuery};
use super::upload::read;
use super::words::{Lang, words};
use crate::forms::FormFile;
use crate::nodes::SentOn;
use crate::request_context;
use crate::state::AppState;

/// Messages of a page.
const MESSAGES_SHOWN: u32 = 50;

words! {
    /// The texts of the page of a portal link.
    PortalWords
    ends: "This link ends", "Tautan ini berakhir";
    reconnect: "Connect now", "Hubungkan sekarang";
    ask_to_link: "The device is not linked. Ask the one who gave you this link.", "Perangkat belum tertaut. Hubungi pemberi tautan ini.";
    one_sent: "The message is on its way.", "Pesan sedang dikirim.";
}

/// The path of a portal link.
pub fn portal_path(secret: &Secret) -> String {
    format!("/portal/device/{}", secret.reveal())
}

/// The link that a path of its pages holds.
pub(super) fn portal_link(path: &str) -> Option<Secret> {
    let link = path.strip_prefix("/portal/device/")?.split('/').next()?;
    Some(Secret::new(link))
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/portal/device/{link}", get(show_device))
        .route("/portal/device/{link}/pair", post(pair))
        .route("/portal/device/{link}/pair/stop", post(stop_pairing))
        .route("/portal/device/{link}/connect", post(connect))
        .route("/portal/device/{link}/send", post(send))
        .route("/portal/device/{link}/stream", get(page_stream))
}

/// Somebody with a valid link.
struct Holder {
    visitor: PortalVisitor,
    device: Arc<Device>,
    lang: Lang,
    csrf: String,
    /// What makes a form of this page recognisable when it is sent twice.
    form_key: String,
    path: String,
}

impl FromRequestParts<AppState> for Holder {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        let over = |error| match error {
            Error::NotFound(_) => Failure::LinkOver,
            error => error.into(),
        };
        let Ok(Path(link)) = Path::<String>::from_request_parts(parts, state).await else {
            return Err(Failure::LinkOver);
        };
        let secret = Secret::new(link);
        let visitor = state.core().portal_visitor(&secret).await.map_err(over)?;
        request_context::note(&Ok(visitor.principal.clone()));
        let device = state.core().device(&visitor.principal, visitor.link.device_id).await;
        Ok(Self {
            device: device.map_err(over)?,
            visitor,
            lang: Lang::of(&parts.headers),
            csrf: csrf_token(&secret),
            form_key: new_key(state),
            path: portal_path(&secret),
        })
    }
}

impl Holder {
    fn may(&self, permission: Permission) -> bool {
        self.visitor.may(permission)
    }

    /// The hidden fields of every form: whose it is, and which.
    fn csrf(&self) -> Markup {
        html! { (csrf_field(&self.csrf)) (once::field(&self.form_key)) }
    }

    /// A form of this page, with its file.
    async fn posted<T: DeserializeOwned>(
        &self,
        state: &AppState,
        request: Request,
    ) -> Result<(T, Option<FormFile>), Failure> {
        let (parts, body) = request.into_parts();
        check_origin(state, &parts.headers)?;
        let (fields, file) = read(state, &parts.headers, body).await?;
        check_csrf(&fields, &self.csrf)?;
        Ok((typed(fields)?, file))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PageQuery {
    before: Option<i64>,
    sent: Option<usize>,
}

/// What the page shows beside the device.
#[derive(Default)]
struct Shown<'a> {
    query: PageQuery,
    form: SendForm,
    refusal: Option<Refusal>,
    fault: Option<&'a Fault>,
}

async fn show_device(
    State(state): State<AppState>,
    holder: Holder,
    Asked(query): Asked<PageQuery>,
) -> PageResult {
    page(&state, &holder, Shown { query, ..Shown::default() }).await
}

async fn page(state: &AppState, holder: &Holder, shown: Shown<'_>) -> Result<Response, Failure> {
    let (words, own) = (holder.lang.words(), PortalWords::of(holder.lang));
    let (device, account) = (&holder.device, holder.visitor.principal.account()?);
    let is_faulty = shown.fault.is_some() || shown.refusal.is_some();
    let (linking, reload_s) = connection(state, holder, shown.fault).await;
    let body = html! {
        h1 { (device.name) }
        div #state data-live="device tick" {
            p {
                (show::device_status(words, device.status)) " "
                @if let Some(phone) = &device.phone { "+" (phone) }
            }
        }
        @if let Some(count) = shown.query.sent {
            p.success role="status" {
                @if count == 1 { (own.one_sent) } @else { (with(words.sent_list, count)) }
            }
        }
        (linking)
        @if holder.may(Permission::Send) {
            // Only when it can be used at all is it another one: what is being written stays.
            div #composer data-live="device" data-version=(device.status.is_paired()) {
                @if device.status.is_paired() { (composer(state, holder, &shown)) }
            }
        }
        @if holder.may(Permission::Read) { (messages(state, holder, shown.query.before).await?) }
        p.quiet { (own.ends) ": " (show::time(account, holder.visitor.link.expires_at)) }
        p.quiet #zone { (with(words.times_in, account.timezone.name())) }
    };
    let status = if is_faulty { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let head = Head { reload_s, stream: Some(format!("{}/stream", holder.path)) };
    Ok(layout::visiting(status, holder.lang, &device.name, &head, &body))
}

/// What can be done about the device's connection; and after how many seconds to look again.
async fn connection(
    state: &AppState,
    holder: &Holder,
    fault: Option<&Fault>,
) -> (Markup, Option<u32>) {
    let (words, own) = (holder.lang.words(), PortalWords::of(holder.lang));
    let device = &holder.device;
    let is_paired = device.status.is_paired();
    if !holder.may(Permission::Pair) {
        let ask = html! {
            div #pairing data-live="device" {
                @if !is_paired { p.empty { (own.ask_to_link) } }
            }
        };
        return (ask, None);
    }
    let reconnect = html! {
        @if device.status != DeviceStatus::Connected {
            form.row method="post" action={ (holder.path) "/connect" } {
                (holder.csrf())
                button aria-describedby="connect-fault" { (own.reconnect) }
                (Fault::beside(fault, "connect"))
            }
        }
    };
    let linking = Linking::of(state, &holder.visitor.principal, device, holder.lang).await;
    let markup = html! {
        @if !is_paired { h2 { (words.link_title) } }
        (linking.render(&holder.path, &holder.csrf(), fault, &reconnect))
    };
    (markup, linking.reload_s())
}

fn sender<'a>(holder: &'a Holder, action: &'a str) -> Sender<'a> {
    let (lang, csrf) = (holder.lang, holder.csrf.as_str());
    Sender { lang, csrf, action, principal: &holder.visitor.principal }
}

fn composer(state: &AppState, holder: &Holder, shown: &Shown<'_>) -> Markup {
    let mut form = shown.form.clone();
    if form.key.is_empty() {
        form.key = new_key(state);
    }
    let action = format!("{}/send", holder.path);
    let devices = std::slice::from_ref(&*holder.device);
    html! {
        section.card {
            h2 { (holder.lang.words().send) }
            (compose(&sender(holder, &action), devices, &form, shown.refusal.as_ref()))
        }
    }
}

async fn messages(
    state: &AppState,
    holder: &Holder,
    before: Option<i64>,
) -> Result<Markup, Failure> {
    let (words, principal) = (holder.lang.words(), &holder.visitor.principal);
    let account = principal.account()?;
    let filter = MessageFilter { device: Some(holder.device.id), ..MessageFilter::default() };
    let page = PageRequest { before, limit: MESSAGES_SHOWN };
    let messages = state.core().messages(principal, filter, page).await?;
    let last = messages.items.last().filter(|_| messages.has_more);
    let groups = group_names(state, principal, &messages.items).await?;
    Ok(html! {
        h2 { (words.messages) }
        div #messages data-live=[before.is_none().then_some("message")] {
            @if messages.items.is_empty() { p.empty { (words.no_messages) } }
            @else { (table(words, &messages.items, &groups, |message| show::time(account, message.created_at))) }
        }
        @if let Some(last) = last {
            p { a.button.plain href={ "?before=" (last.id) } { (words.older) } }
        }
    })
}

/// Those who may not read are not even notified of messages.
async fn page_stream(
    State(state): State<AppState>,
    headers: HeaderMap,
    sent_on: Option<Extension<SentOn>>,
    holder: Holder,
    Asked(query): Asked<StreamQuery>,
) -> PageResult {
    let principal = &holder.visitor.principal;
    let may_read = holder.may(Permission::Read);
    let changes = state.core().watch_changes(principal, Some(holder.device.id)).await?;
    let changes =
        changes.filter(move |change| future::ready(may_read || *change == PageChange::Device));
    let ends_at = holder.visitor.link.expires_at;
    let listener = Listener::of(&headers, query, sent_on);
    Ok(stream::respond(&state, &listener, changes.boxed(), ends_at))
}

async fn pair(State(state): State<AppState>, holder: Holder, request: Request) -> PageResult {
    let (form, _) = holder.posted::<PairForm>(&state, request).await?;
    holder.visitor.require(Permission::Pair)?;
    let (words, principal) = (holder.lang.words(), &holder.visitor.principal);
    let fault = form.begin(&state, principal, &holder.device, words).await;
    match fault {
        Some(_) => page(&state, &holder, Shown { fault: fault.as_ref(), ..Shown::default() }).await,
        None => Ok(redirect(&holder.path)),
    }
}

async fn stop_pairing(
    State(state): State<AppState>,
    holder: Holder,
    request: Request,
) -> PageResult {
    let (Nothing {}, _) = holder.posted(&state, request).await?;
    holder.visitor.require(Permission::Pair)?;
    linking::stop(&state, &holder.visitor.principal, &holder.device).await?;
    Ok(redirect(&holder.path))
}

async fn connect(State(state): State<AppState>, holder: Holder, request: Request) -> PageResult {
    let (Nothing {}, _) = holder.posted(&state, request).await?;
    holder.visitor.require(Permission::Pair)?;
    match state.core().connect(&holder.visitor.principal, holder.device.id).await {
        Ok(_) | Err(Error::Conflict(_)) => Ok(redirect(&holder.path)),
        Err(error) => {
            let fault = Fault::of("connect", describe(&error.into(), holder.lang.words()));
            page(&state, &holder, Shown { fault: Some(&fault), ..Shown::default() }).await
        }
    }
}

async fn send(State(state): State<AppState>, holder: Holder, request: Request) -> PageResult {
    let (form, file) = holder.posted::<SendForm>(&state, request).await?;
    holder.visitor.require(Permission::Send)?;
    let action = format!("{}/send", holder.path);
    let sender = sender(&holder, &action);
    match sender.act(&state, form, file).await? {
        Step::Again(form, Again::Form(refusal)) => {
            page(&state, &holder, Shown { form: *form, refusal, ..Shown::default() }).await
        }
        Step::Again(form, Again::Preview(requests)) => {
            let title = preview_title(holder.lang.words(), requests.len());
            let body = preview(&sender, &title, &form, &requests);
            Ok(layout::visiting(StatusCode::OK, holder.lang, &title, &Head::default(), &body))
        }
        Step::Sent(Sent { count, .. }) => Ok(redirect(&format!("{}?sent={count}", holder.path))),
    }
}
