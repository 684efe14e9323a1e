//! The calls of this dialect, each at its plain and at its doubled path.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use domain::device::{Device, PairOffer};
use domain::error::Error;
use domain::ids::MessageId;
use domain::message::{Direction, Message, MessageState};
use domain::plan::Feature;
use domain::ports::{IdempotencyKey, MessageFilter, PageRequest};
use domain::scope::Scope;
use domain::service::{AcceptedMessages, Principal};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{authorize, device};
use super::errors::Wasyik;
use super::times::Style;
use super::translate::{self, PENDING_STATES, SHOWN_STATES, Single};
use super::types::{
    AccountBody, AccountsData, BroadcastBody, DocumentBody, Enveloped, GroupBody, GroupMediaBody,
    GroupsData, ImageBody, MessageBody, NamesDevice, PendingList, QrData, ScheduleBody,
    ScheduledData, ScheduledList, SentData, StatusData, TextBody, Words,
};
use crate::api_error::{ApiError, ApiResult, ErrorShape as _};
use crate::body::{query_fields, read_fields};
use crate::fields::path_id;
use crate::idempotency::{IDEMPOTENCY_KEY, idempotency_key};
use crate::nodes::waits::send_and_wait;
use crate::qr::qr_data_url;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::send_headers::add_send_headers;
use crate::state::AppState;

/// Most rows of a list: the newest.
const LIST_ROWS_MAX: u32 = 1_000;

/// Both paths of a call.
macro_rules! paths {
    ($call:literal) => {
        [
            concat!("/api/v2/messaging/whatsapp", $call),
            concat!("/api/v2/api/v2/messaging/whatsapp", $call),
        ]
    };
}

/// The routes.
pub(super) fn routes() -> Vec<Route> {
    [devices(), sends(), later()].into_iter().flatten().collect()
}

fn devices() -> Vec<Route> {
    let scan = paths!("/accounts/scan-qrcode").map(|path| {
        taking::<AccountBody>(Route::post(path, Access::Device, scan))
            .summary("A QR that pairs a device")
            .answers::<Enveloped<QrData>>(200)
            .error(409, "`10`: `Device is already connected`, or it is being paired in another way")
            .error(502, "`99`: WhatsApp makes no offer")
    });
    let list = paths!("/accounts").map(|path| {
        answering(Route::get(path, Access::Device, accounts))
            .summary("The devices, newest first")
            .answers::<Enveloped<AccountsData>>(200)
    });
    let status = paths!("/accounts/status").map(|path| {
        of_device(Route::get(path, Access::Device, status))
            .summary("Whether a device is connected")
            .answers::<Enveloped<StatusData>>(200)
    });
    let disconnect = paths!("/accounts/disconnect").map(|path| {
        taking::<AccountBody>(Route::post(path, Access::Device, disconnect))
            .summary("Unpair a device")
            .answers::<Enveloped<Words>>(200)
            .error(409, "`05`: it is not paired")
            .error(502, "`99`: WhatsApp did not answer")
    });
    let groups = paths!("/accounts/groups").map(|path| {
        of_device(Route::get(path, Access::Device, groups))
            .summary("The groups a device is in (plan feature `groups`)")
            .answers::<Enveloped<GroupsData>>(200)
            .error(409, "`05`: the device is not connected")
            .error(502, "`99`: WhatsApp did not answer")
    });
    [scan, list, status, disconnect, groups].into_iter().flatten().collect()
}

fn sends() -> Vec<Route> {
    let broadcast = paths!("/broadcast").map(|path| {
        sending::<BroadcastBody>(Route::post(path, Access::Device, broadcast))
            .summary("Queue a message to up to 1,000 people (plan feature `broadcast`)")
            .answers::<Enveloped<Words>>(200)
    });
    let one = [
        single::<MessageBody>(paths!("/message"), "Send anything to one person"),
        single::<TextBody>(paths!("/send-text"), "Send a text to one person"),
        single::<ImageBody>(paths!("/send-image"), "Send an image (plan feature `send_image`)"),
        single::<DocumentBody>(
            paths!("/send-document"),
            "Send a document (plan feature `send_document`)",
        ),
        single::<GroupBody>(
            paths!("/send-group"),
            "Send a text to a group (plan feature `groups`)",
        ),
        single::<GroupMediaBody>(
            paths!("/send-group-media"),
            "Send a file to a group (plan feature `send_group_media`)",
        ),
    ];
    one.into_iter().flatten().chain(broadcast).map(with_send_headers).collect()
}

fn single<B: Single + ToSchema>(paths: [&'static str; 2], summary: &'static str) -> [Route; 2] {
    paths.map(|path| {
        sending::<B>(Route::post(path, Access::Device, send::<B>))
            .summary(summary)
            .description("Answers when it was sent, or after a while that it is `pending`.")
            .answers::<Enveloped<SentData>>(200)
            .error(400, "`07`: the receiver is not on WhatsApp; `08`: the file")
            .error(502, "`99`: WhatsApp did not take it")
    })
}

fn later() -> Vec<Route> {
    let schedule = paths!("/schedule").map(|path| {
        let route = sending::<ScheduleBody>(Route::post(path, Access::Device, schedule))
            .summary("Send a message later (plan feature `schedule`)")
            .answers::<Enveloped<ScheduledData>>(200)
            .error(400, "`08`: the URL of the file");
        with_send_headers(route)
    });
    let [plain, doubled] = paths!("/scheduled").map(|path| {
        answering(Route::get(path, Access::Device, scheduled))
            .summary("Scheduled messages, by the time of their delivery (plan feature `schedule`)")
            .error(403, "`03`: the plan")
    });
    let lists =
        [plain.answers::<Enveloped<ScheduledList>>(200), doubled.answers::<PendingList>(200)];
    let cancel = paths!("/schedule/{id}").map(|path| {
        answering(Route::new(Method::DELETE, path, Access::Device, cancel))
            .summary("Cancel a scheduled message (plan feature `schedule`)")
            .answers::<Enveloped<Words>>(200)
            .error(403, "`03`: the plan")
            .error(404, "`04`: there is no such scheduled message")
            .error(409, "`10`: it is not pending any more")
    });
    [schedule, lists, cancel].into_iter().flatten().collect()
}

fn answering(route: Route) -> Route {
    route
        .errors_as::<Enveloped<Words>>()
        .error(401, "`02`: no key, or one that is unknown or revoked")
        .error(429, "`06`: too many requests")
        .error(500, "`99`")
        .error(503, "`99`: try again later")
}

fn naming_device(route: Route) -> Route {
    answering(route)
        .error(403, "`03`: the plan, or the key is another device's")
        .error(404, "`04`: there is no such device")
        .error(422, "`01`: a field is missing or wrong; the message names it")
}

fn of_device(route: Route) -> Route {
    naming_device(route).query("accountId", "The device's id (UUID)")
}

fn taking<B: ToSchema>(route: Route) -> Route {
    naming_device(route)
        .body::<B>()
        .takes_forms()
        .error(408, "`01`: the body broke off")
        .error(413, "`11`: the body is too large")
        .error(415, "`01`: the body is neither JSON nor a form")
}

fn sending<B: ToSchema>(route: Route) -> Route {
    taking::<B>(route)
        .header("Idempotency-Key", "Up to 255 characters: a repeat within 24 h sends nothing")
        .error(400, "`08`: the URL of the file")
        .error(403, "`03`: the message limit")
        .error(409, "`05`: the device is not connected; `10`: the first such request still runs")
        .error(422, "`01`: the Idempotency-Key was used with another request")
        .error(429, "`06`: too many messages wait")
}

fn with_send_headers(route: Route) -> Route {
    route
        .with_header("Location", "Where the message is in /v1")
        .with_header("Gerbang-Status", "The message's state now")
        .with_header("Idempotency-Replayed", "`true` when this is an earlier answer")
}

/// A request whose key, plan, body and device are as they must be.
struct DialectRequest<B> {
    principal: Principal,
    headers: HeaderMap,
    body: B,
    device: Arc<Device>,
}

impl<B: NamesDevice> DialectRequest<B> {
    async fn open(
        state: &AppState,
        request: Request<Body>,
        feature: Option<Feature>,
    ) -> Result<Self, ApiError> {
        let (Parts { uri, headers, .. }, body) = request.into_parts();
        let principal = authorize(state, &headers, feature).await?;
        let body: B = read_fields(uri.query(), &headers, body).await?;
        let device = device(state, &principal, body.account_id()).await?;
        Ok(Self { principal, headers, body, device })
    }

    fn idempotency(&self, call: &str) -> Result<Option<IdempotencyKey>, ApiError> {
        let route = format!("wasyik POST {call}");
        idempotency_key(self.headers.get(IDEMPOTENCY_KEY), &route, &self.body)
    }
}

/// Key and device of a request whose device is in the query.
async fn asked_device(
    state: &AppState,
    headers: &HeaderMap,
    uri: &Uri,
    feature: Option<Feature>,
) -> Result<(Principal, Arc<Device>), ApiError> {
    let principal = authorize(state, headers, feature).await?;
    let query: AccountBody = query_fields(uri.query())?;
    let device = device(state, &principal, &query.account_id).await?;
    Ok((principal, device))
}

fn success<T: Serialize>(data: T) -> Response<Body> {
    json(StatusCode::OK, &Enveloped::success(data))
}

fn words(message: impl Into<String>) -> Response<Body> {
    success(Words { message: message.into() })
}

fn first(sent: &AcceptedMessages) -> Result<&Message, Error> {
    sent.messages.first().ok_or(Error::NotFound("message"))
}

async fn scan(State(state): State<AppState>, request: Request<Body>) -> ApiResult<Wasyik> {
    let DialectRequest { principal, device, .. } =
        DialectRequest::<AccountBody>::open(&state, request, None).await?;
    let offer =
        state.core().pair(&principal, device.id, None).await.map_err(|error| match error {
            Error::Conflict(_) => Error::Conflict("Device is already connected"),
            error => error,
        })?;
    let (code, timeout) = match offer {
        PairOffer::Qr { code, expires_in_s } => (code, expires_in_s),
        PairOffer::Code { .. } => Err(Error::Conflict("Device is being linked with a code"))?,
        PairOffer::Passkey { .. } => {
            Err(Error::Conflict("WhatsApp wants a passkey; link this device in the dashboard"))?
        }
    };
    let qr_code = qr_data_url(&code);
    let qr_code = qr_code.ok_or_else(|| Error::Whatsapp("the QR is too long".to_owned()))?;
    Ok(success(QrData { qr_code, timeout }))
}

async fn accounts(State(state): State<AppState>, headers: HeaderMap) -> ApiResult<Wasyik> {
    let principal = authorize(&state, &headers, None).await?;
    let page = PageRequest { before: None, limit: LIST_ROWS_MAX };
    let devices = state.core().devices(&principal, page).await?;
    let accounts = devices.items.iter().map(translate::account).collect();
    Ok(success(AccountsData { accounts }))
}

async fn status(State(state): State<AppState>, headers: HeaderMap, uri: Uri) -> ApiResult<Wasyik> {
    let (principal, device) = asked_device(&state, &headers, &uri, None).await?;
    principal.require(Scope::Read)?;
    Ok(success(StatusData {
        is_connected: translate::is_connected(&device),
        whatsapp_status: device.status.as_str(),
    }))
}

async fn disconnect(State(state): State<AppState>, request: Request<Body>) -> ApiResult<Wasyik> {
    let DialectRequest { principal, device, .. } =
        DialectRequest::<AccountBody>::open(&state, request, None).await?;
    state.core().logout(&principal, device.id).await.map_err(|error| match error {
        Error::Conflict(_) => Error::DeviceNotConnected(device.status.as_str()),
        error => error,
    })?;
    Ok(words("Device disconnected successfully"))
}

async fn groups(State(state): State<AppState>, headers: HeaderMap, uri: Uri) -> ApiResult<Wasyik> {
    let (principal, device) = asked_device(&state, &headers, &uri, Some(Feature::Groups)).await?;
    let groups = state.core().groups(&principal, device.id).await?;
    let groups = groups.into_iter().map(translate::group_row).collect();
    Ok(success(GroupsData { groups }))
}

/// Sends one message and waits for it. What was accepted and then failed is an error that says
/// where the message is.
async fn send<B: Single>(
    State(state): State<AppState>,
    request: Request<Body>,
) -> ApiResult<Wasyik> {
    let opened = DialectRequest::<B>::open(&state, request, B::FEATURE).await?;
    let idempotency = opened.idempotency(B::NAME)?;
    let DialectRequest { principal, body, device, .. } = opened;
    let names = body.names();
    let command = body.command(device.into())?;
    let sent = send_and_wait(state.core(), &principal, vec![command], idempotency).await;
    let sent = sent.map_err(|error| names.refusal(error))?;
    let message = first(&sent)?;
    let mut response = match translate::sent::<B>(message) {
        Ok(data) => success(data),
        Err(error) => Wasyik::render(&error.into()),
    };
    add_send_headers(&mut response, message, sent.is_repeat);
    Ok(response)
}

async fn broadcast(State(state): State<AppState>, request: Request<Body>) -> ApiResult<Wasyik> {
    let opened =
        DialectRequest::<BroadcastBody>::open(&state, request, Some(Feature::Broadcast)).await?;
    let idempotency = opened.idempotency("broadcast")?;
    let DialectRequest { principal, body, device, .. } = opened;
    let country = &principal.account()?.default_country;
    let names = body.names();
    let commands = translate::broadcast(body, device.into(), country)?;
    let sent = state.core().send_batch(&principal, commands, idempotency).await;
    let sent = sent.map_err(|error| names.refusal(error))?;
    let count = sent.messages.len();
    let mut response = words(format!("Broadcast queued for {count} recipients"));
    add_send_headers(&mut response, first(&sent)?, sent.is_repeat);
    Ok(response)
}

async fn schedule(
    State(state): State<AppState>,
    style: Style,
    request: Request<Body>,
) -> ApiResult<Wasyik> {
    let opened =
        DialectRequest::<ScheduleBody>::open(&state, request, Some(Feature::Schedule)).await?;
    let idempotency = opened.idempotency("schedule")?;
    let DialectRequest { principal, body, device, .. } = opened;
    let names = body.names();
    let command = translate::schedule(body, device.into())?;
    let sent = state.core().send_batch(&principal, vec![command], idempotency).await;
    let sent = sent.map_err(|error| names.refusal(error))?;
    let message = first(&sent)?;
    let mut response = success(ScheduledData {
        message: "Message scheduled successfully",
        schedule_id: message.id.0,
        scheduled_at: style.print(translate::scheduled_at(message)),
    });
    add_send_headers(&mut response, message, sent.is_repeat);
    Ok(response)
}

async fn scheduled(
    State(state): State<AppState>,
    style: Style,
    headers: HeaderMap,
) -> ApiResult<Wasyik> {
    let principal = authorize(&state, &headers, Some(Feature::Schedule)).await?;
    let states: &[MessageState] = match style {
        Style::Plain => &SHOWN_STATES,
        Style::Doubled => &PENDING_STATES,
    };
    let filter = MessageFilter {
        direction: Some(Direction::Out),
        states: states.to_vec(),
        is_scheduled: true,
        ..MessageFilter::default()
    };
    let page = PageRequest { before: None, limit: LIST_ROWS_MAX };
    state.large_answers().enter().await?;
    let mut messages = state.core().messages(&principal, filter, page).await?.items;
    messages.sort_by_key(|message| (translate::scheduled_at(message), message.id));
    let list = move || match style {
        Style::Plain => success(ScheduledList {
            scheduled_messages: messages
                .iter()
                .map(|m| translate::scheduled_row(m, style))
                .collect(),
        }),
        Style::Doubled => {
            let data = messages.iter().map(|m| translate::pending_row(m, style)).collect();
            json(StatusCode::OK, &PendingList { data })
        }
    };
    Ok(state.large_answers().render(list).await?)
}

async fn cancel(
    State(state): State<AppState>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> ApiResult<Wasyik> {
    let principal = authorize(&state, &headers, Some(Feature::Schedule)).await?;
    let unknown = || Error::NotFound("message");
    let id = id.ok().and_then(|Path(id)| path_id(&id)).map(MessageId).ok_or_else(unknown)?;
    let message = state.core().message(&principal, id).await?;
    if !message.was_scheduled() {
        return Err(unknown().into());
    }
    state.core().cancel_message(&principal, id).await?;
    Ok(words("Scheduled message cancelled successfully"))
}
