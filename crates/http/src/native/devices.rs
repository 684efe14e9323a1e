//! `/v1/devices`: paired numbers.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use domain::chat::Lid;
use domain::client::ShownAs;
use domain::device::{Device, Heartbeats, RESTRICTED};
use domain::error::Error;
use domain::ids::DeviceId;
use domain::incoming_file::MediaDownload;
use domain::scope::Scope;
use domain::service::{DeviceChange, DeviceName, Principal, SendingDevice};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::V1;
use super::caller::{Caller, Json, Params, Segment};
use super::pacing::{PacingBody, PacingJson};
use super::page::{List, PageParams};
use super::shown_as::{ShownAsBody, ShownAsJson};
use crate::api_error::{ApiError, ApiResult};
use crate::fields::{DeviceField, Object};
use crate::optional::{clearable, nullable, optional};
use crate::reply::{created, json, no_content};
use crate::request_span::record_device;
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    const ONE: &str = "/v1/devices/{id}";
    vec![
        Route::post("/v1/devices", Access::Account, create)
            .summary("Create a device")
            .description(
                "It is not paired with a number yet: see `pair`. Its token is shown only here.",
            )
            .body::<DeviceRequest>()
            .answers::<NewDeviceBody>(201)
            .with_header("Location", "Where the device is")
            .error(403, "`device_limit`: the plan allows no more devices"),
        Route::get("/v1/devices", Access::Device, list)
            .summary("The account's devices, newest first")
            .query("limit", "Rows of a page, 1 to 100; 50 unless given")
            .query("cursor", "The next_cursor of the page before")
            .answers_list::<DeviceBody>(200),
        Route::get(ONE, Access::Device, show)
            .summary("One device")
            .description("`id` is the device's id or its `number_id`, here and below.")
            .answers::<DeviceBody>(200),
        Route::get("/v1/devices/{id}/heartbeats", Access::Device, heartbeats)
            .summary("In which minutes of the last day a device's connection was alive")
            .answers_list::<HeartbeatsBody>(200),
        Route::new(Method::PATCH, ONE, Access::Device, update)
            .summary("Change a device's name, pacing, proxy, which files it fetches, or how phones list it")
            .description(
                "Fields left out stay; null follows the gateway's setting again, or ends the proxy. A \
                 device with another proxy or language connects anew; name and platform in `shown_as` \
                 count when it is paired.",
            )
        .body::<DeviceChangeRequest>()
            .answers::<DeviceBody>(200),
        Route::new(Method::DELETE, ONE, Access::Account, delete)
            .summary("Unpair a device and delete it")
            .description("Waiting messages are cancelled and refunded to the quota.")
            .answers_nothing(),
    ]
}

/// A device to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeviceRequest {
    /// What you call it.
    name: String,
}

/// Changes to a device.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeviceChangeRequest {
    /// What you call it.
    #[serde(default, deserialize_with = "optional")]
    name: Option<String>,
    /// How it paces itself; null follows the gateway's setting.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<PacingBody>)]
    pacing: Option<Option<Object<PacingJson>>>,
    /// How phones list it under linked devices; null follows the gateway's settings.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<ShownAsBody>)]
    shown_as: Option<Option<Object<ShownAsJson>>>,
    /// The proxy through which it reaches WhatsApp, files included: `socks5://HOST:PORT` or
    /// `http://HOST:PORT`, with `USER:PASSWORD@` before the host where the proxy wants it. It is kept
    /// encrypted, and never left out. Null ends it.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    proxy: Option<Option<String>>,
    /// Which files of incoming messages it fetches: `auto` (each, at once), `on_demand` (when `media.url` is
    /// asked for) or `off` (none). Null is `auto`.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    media_download: Option<Option<String>>,
    /// Whether it rejects calls; they are reported as `call.received` all the same.
    #[serde(default, deserialize_with = "optional")]
    reject_calls: Option<bool>,
    /// What callers are sent whose calls were rejected, at most 1,000 characters; null or empty for nothing. Who
    /// rings again within ten minutes is not sent it again. It is a message like any other, and counts in the
    /// quota.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    reject_text: Option<Option<String>>,
    /// `manual`: messages are marked as read by `POST /v1/chats/{chat}/read` and
    /// `POST /v1/messages/{id}/read`. `auto`: as soon as they are stored.
    #[serde(default, deserialize_with = "optional")]
    read_receipts: Option<String>,
}

/// A device.
#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
pub(super) struct DeviceBody<'a> {
    /// Its id.
    id: Uuid,
    /// Its id as a small integer.
    number_id: i64,
    /// What its owner calls it.
    name: &'a str,
    /// `unpaired`, `pairing`, `connecting`, `connected`, `disconnected` or `logged_out`.
    status: &'a str,
    /// Why it is in that state.
    reason: Option<&'a str>,
    /// The number it is, or last was, paired with.
    phone: Option<&'a str>,
    /// What the phone's owner calls themselves; known while it is connected.
    phone_name: Option<String>,
    /// WhatsApp's other name for that number.
    lid: Option<&'a str>,
    /// Its own pacing; null follows the gateway's.
    #[schema(value_type = Option<PacingBody>)]
    pacing: Option<PacingJson>,
    /// How phones list it; null follows the gateway's settings.
    #[schema(value_type = Option<ShownAsBody>)]
    shown_as: Option<ShownAsJson>,
    /// Its proxy, without user name and password.
    proxy: Option<String>,
    /// Which files of incoming messages it fetches: `auto`, `on_demand` or `off`.
    media_download: &'a str,
    /// Whether it rejects calls.
    reject_calls: bool,
    /// What callers are sent whose calls were rejected.
    reject_text: Option<&'a str>,
    /// `manual` or `auto`.
    read_receipts: &'static str,
    /// Until when WhatsApp lets its number write to no new contacts; messages to them wait.
    #[schema(value_type = Option<String>, format = DateTime)]
    restricted_until: Option<Timestamp>,
    /// Why it is restricted.
    restriction: Option<&'a str>,
    /// Until when its number is banned (402): it connects again when that is over, and not before.
    #[schema(value_type = Option<String>, format = DateTime)]
    banned_until: Option<Timestamp>,
    /// When it was last paired.
    #[schema(value_type = Option<String>, format = DateTime)]
    paired_at: Option<Timestamp>,
    /// When it last connected.
    #[schema(value_type = Option<String>, format = DateTime)]
    connected_at: Option<Timestamp>,
    /// When it was last known to be connected.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_seen_at: Option<Timestamp>,
    /// When its connection last proved to be alive: at most a minute ago while it is connected.
    #[schema(value_type = Option<String>, format = DateTime)]
    alive_at: Option<Timestamp>,
    /// The version of WhatsApp's protocol that it announces, while it is connected.
    version: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// The minutes of an hour in which a device was alive.
#[derive(Serialize, ToSchema)]
#[schema(as = Heartbeats)]
struct HeartbeatsBody {
    /// When the hour began.
    #[schema(value_type = String, format = DateTime)]
    hour: Timestamp,
    /// The minutes, 0 to 59.
    minutes: Vec<u8>,
}

impl<'a> DeviceBody<'a> {
    /// A device as it is now.
    pub(super) fn new(state: &AppState, device: &'a Device) -> Self {
        let restricted_until = state.core().restricted_until(device);
        let (phone_name, version) = match state.core().connected_as(device) {
            Some(connected) => (connected.phone_name, Some(connected.version)),
            None => (None, None),
        };
        Self {
            id: device.id.0,
            number_id: device.number_id.0,
            name: &device.name,
            status: device.status.as_str(),
            reason: device.reason.as_deref(),
            phone: device.phone.as_ref().map(|phone| phone.as_str()),
            phone_name,
            lid: device.lid.as_ref().map(Lid::as_str),
            pacing: device.pacing.as_ref().map(PacingJson::from),
            shown_as: ShownAsJson::of(&device.shown_as),
            proxy: state.core().shown_proxy(device),
            media_download: device.media_download.as_str(),
            reject_calls: device.incoming.rejects_calls,
            reject_text: device.incoming.reject_text.as_deref(),
            read_receipts: if device.incoming.reads_at_once { "auto" } else { "manual" },
            restricted_until,
            restriction: restricted_until.map(|_| RESTRICTED),
            banned_until: state.core().banned_until(device),
            paired_at: device.paired_at,
            connected_at: device.connected_at,
            last_seen_at: device.last_seen_at,
            alive_at: state.core().alive_at(device),
            version,
            created_at: device.created_at,
        }
    }
}

/// A new device with its token.
#[derive(Serialize, ToSchema)]
#[schema(as = NewDevice)]
struct NewDeviceBody<'a> {
    #[serde(flatten)]
    device: DeviceBody<'a>,
    /// The device's token; it is shown only now.
    token: &'a str,
}

/// The id of the device a path names; it is only looked up when named by number.
pub(super) async fn device_id(
    state: &AppState,
    principal: &Principal,
    segment: &Segment,
) -> Result<DeviceId, Error> {
    principal.account_id()?;
    let id = match DeviceName::parse(&segment.0).ok_or(Error::NotFound("device"))? {
        DeviceName::Id(id) => id,
        name @ DeviceName::Number(_) => state.core().find_device(principal, name).await?.id,
    };
    record_device(id);
    Ok(id)
}

/// The device that a body names, else the one the caller is bound to; it is only read when named by
/// number.
pub(super) async fn named_device(
    state: &AppState,
    principal: &Principal,
    named: Option<DeviceField>,
) -> Result<Option<SendingDevice>, Error> {
    principal.account_id()?;
    let device: SendingDevice = match named {
        Some(DeviceField(DeviceName::Id(id))) => id.into(),
        Some(DeviceField(name)) => state.core().find_device(principal, name).await?.into(),
        None => return Ok(principal.caller.bound_device().map(Into::into)),
    };
    record_device(device.id());
    Ok(Some(device))
}

/// The id of the device that a query names.
pub(super) async fn queried_device(
    state: &AppState,
    principal: &Principal,
    text: Option<&str>,
) -> Result<Option<DeviceId>, ApiError> {
    principal.account_id()?;
    let Some(text) = text else { return Ok(None) };
    let name = DeviceName::parse(text)
        .ok_or_else(|| ApiError::field("device", "must be a device's id or number_id"))?;
    Ok(Some(state.core().find_device(principal, name).await?.id))
}

async fn create(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Json(body): Json<DeviceRequest>,
) -> ApiResult<V1> {
    let (device, token) = state.core().create_device(&principal, &body.name).await?;
    let body = NewDeviceBody { device: DeviceBody::new(&state, &device), token: token.reveal() };
    Ok(created(&format!("/v1/devices/{}", device.id), &body))
}

async fn list(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Params(params): Params<PageParams>,
) -> ApiResult<V1> {
    let page = params.page()?;
    let page = state.core().devices(&principal, page).await?;
    let row = |device| DeviceBody::new(&state, device);
    Ok(json(StatusCode::OK, &List::of(&page, |device| device.number_id.0, row)))
}

async fn show(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    principal.require(Scope::Read)?;
    let id = device_id(&state, &principal, &id).await?;
    let device = state.core().device(&principal, id).await?;
    Ok(json(StatusCode::OK, &DeviceBody::new(&state, &device)))
}

async fn heartbeats(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let hours = state.core().heartbeats(&principal, id).await?;
    let body = |beats: Heartbeats| HeartbeatsBody { hour: beats.hour, minutes: beats.list() };
    Ok(json(StatusCode::OK, &List::whole(hours.into_iter().map(body).collect())))
}

async fn update(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    Json(body): Json<DeviceChangeRequest>,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let shown_as = body.shown_as.map(|shown_as| match shown_as {
        Some(Object(shown_as)) => shown_as.read(),
        None => Ok(ShownAs::default()),
    });
    let change = DeviceChange {
        name: body.name,
        pacing: body.pacing.map(|pacing| pacing.map(|Object(pacing)| pacing.into())),
        shown_as: shown_as.transpose()?,
        proxy: body.proxy,
        media_download: body.media_download.map(media_download).transpose()?,
        rejects_calls: body.reject_calls,
        reject_text: body.reject_text,
        reads_at_once: body.read_receipts.as_deref().map(reads_at_once).transpose()?,
    };
    let device = state.core().update_device(&principal, id, change).await?;
    Ok(json(StatusCode::OK, &DeviceBody::new(&state, &device)))
}

fn media_download(name: Option<String>) -> Result<MediaDownload, ApiError> {
    let Some(name) = name else { return Ok(MediaDownload::default()) };
    MediaDownload::from_name(&name)
        .ok_or_else(|| ApiError::field("media_download", "must be auto, on_demand or off"))
}

/// Whether a device is to mark messages as read by itself.
fn reads_at_once(text: &str) -> Result<bool, ApiError> {
    match text {
        "manual" => Ok(false),
        "auto" => Ok(true),
        _ => Err(ApiError::field("read_receipts", "must be manual or auto")),
    }
}

async fn delete(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    state.core().delete_device(&principal, id).await?;
    Ok(no_content())
}
