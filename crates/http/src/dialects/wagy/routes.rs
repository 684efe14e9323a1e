//! The calls of this dialect, each under both of its mounts.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use domain::device::{Device, PairOffer};
use domain::error::Error;
use domain::scope::Scope;
use domain::service::Principal;
use serde::Serialize;

use super::auth::authorize;
use super::errors::{Wagy, WagyQuery};
use super::translate::{command, filter, quota, row, sent, status};
use super::types::{
    Done, ErrorBody, Found, MessageQuery, MessagesBody, Pagination, QrData, QuotaData, RedeemBody,
    RedeemedData, SendBody, SentData, StatusData,
};
use crate::api_error::{ApiError, ApiResult};
use crate::body::read_json;
use crate::idempotency::{IDEMPOTENCY_KEY, idempotency_key};
use crate::qr::{qr_data_url, qr_png};
use crate::reply::{bytes_reply, json};
use crate::routes::{Access, Route};
use crate::send_headers::add_send_headers;
use crate::state::AppState;

const ALREADY_LOGGED_IN: &str = "ALREADY_LOGGED_IN";
const PASSKEY: &str = "WhatsApp asks for a passkey; link the device through /v1";

/// The routes.
pub(super) fn routes() -> Vec<Route> {
    let calls = [
        ["/{device_id}/send", "/api/v1/{device_id}/send"].map(send_route),
        ["/{device_id}/status", "/api/v1/{device_id}/status"].map(status_route),
        ["/{device_id}/quota", "/api/v1/{device_id}/quota"].map(quota_route),
        ["/{device_id}/redeem", "/api/v1/{device_id}/redeem"].map(redeem_route),
        ["/{device_id}/messages", "/api/v1/{device_id}/messages"].map(messages_route),
        ["/{device_id}/auth/qr/json", "/api/v1/{device_id}/auth/qr/json"].map(qr_json_route),
        ["/{device_id}/auth/qr", "/api/v1/{device_id}/auth/qr"].map(qr_route),
    ];
    calls.into_iter().flatten().map(documented).collect()
}

/// What every call may answer.
fn documented(route: Route) -> Route {
    route
        .errors_as::<ErrorBody<'static>>()
        .error(401, "`Unauthorized`: unknown key, or the device is not the key's")
        .error(404, "`Device not found`")
        .error(405, "`Method not allowed`")
        .error(429, "`Too many requests`")
        .error(500, "`Internal server error`")
        .error(503, "The gateway cannot take requests now")
}

/// What every call with a body may answer.
fn with_body(route: Route) -> Route {
    route
        .error(400, "`Invalid JSON payload`: bad JSON, or a missing or wrong field, in `errors`")
        .error(408, "`Request timeout`")
        .error(413, "`Payload too large`")
        .error(415, "`Unsupported media type`")
}

fn send_route(path: &'static str) -> Route {
    with_body(Route::post(path, Access::Device, send))
        .summary("Queue a WhatsApp message for delivery through a device")
        .description("The message is sent with the device's natural delay.")
        .header("Idempotency-Key", "Up to 255 characters: a repeat within 24 h sends nothing")
        .body::<SendBody>()
        .answers_in::<Done<SentData>, SentData>(200)
        .with_header("Location", "Where the message is in /v1")
        .with_header("Gerbang-Status", "The message's state now")
        .error(402, "`Quota exhausted`, or what the plan does not include")
        .error(409, "The first request with this idempotency key is still being handled")
        .error(429, "`Too many messages are waiting`")
        .error(503, "`Device not connected`: never paired, or unpaired")
}

fn status_route(path: &'static str) -> Route {
    Route::get(path, Access::Device, show_status).summary("A device's state").answers_in::<Found<
        StatusData<'static>,
    >, StatusData<'static>>(
        200
    )
}

fn quota_route(path: &'static str) -> Route {
    Route::get(path, Access::Device, show_quota)
        .summary("What may still be sent through a device")
        .answers_in::<Found<QuotaData>, QuotaData>(200)
}

fn redeem_route(path: &'static str) -> Route {
    with_body(Route::post(path, Access::Device, redeem))
        .summary("Redeem a voucher: its messages are granted to the device")
        .body::<RedeemBody>()
        .answers_in::<Done<RedeemedData>, RedeemedData>(200)
        .error(400, "`Invalid voucher or already redeemed`")
}

fn messages_route(path: &'static str) -> Route {
    Route::get(path, Access::Device, list)
        .summary("The messages sent through a device, newest first")
        .query("status", "PENDING, SENT, DELIVERED, READ, FAILED, EXPIRED or CANCELLED")
        .query("recipient", "A number as people write it, or a group's id")
        .query("start_date", "The first day (YYYY-MM-DD), in the account's time zone")
        .query("end_date", "The last day (YYYY-MM-DD)")
        .query("page", "1 unless given")
        .query("limit", "1 to 100; 50 unless given")
        .answers::<MessagesBody<'static>>(200)
        .error(400, "`Invalid query parameters`: `errors` names them")
}

fn qr_json_route(path: &'static str) -> Route {
    linking(Route::get(path, Access::Device, show_qr_json))
        .summary("A QR that pairs the device, as a data URL")
        .answers_in::<Done<QrData>, QrData>(200)
        .error(409, "WhatsApp asks for a passkey")
}

fn qr_route(path: &'static str) -> Route {
    linking(Route::get(path, Access::Device, show_qr))
        .summary("A QR that pairs the device, as a picture")
        .answers_type(200, "image/png")
        .error(409, "`ALREADY_LOGGED_IN`, or WhatsApp asks for a passkey")
}

fn linking(route: Route) -> Route {
    route.error(502, "WhatsApp did not answer")
}

/// What every call says of its path.
type DeviceSegment = Result<Path<String>, PathRejection>;

/// The caller and the device in the path.
async fn enter(
    state: &AppState,
    device: DeviceSegment,
    parts: &Parts,
) -> Result<(Principal, Arc<Device>), ApiError> {
    // What cannot be read names no device; the answer says so only to those with a key.
    let device = device.map_or(String::new(), |Path(device)| device);
    Ok(authorize(state, &parts.headers, &device).await?)
}

fn found(data: impl Serialize) -> Response<Body> {
    json(StatusCode::OK, &Found { status: "success", data })
}

fn done(data: impl Serialize, message: &'static str) -> Response<Body> {
    json(StatusCode::OK, &Done { status: "success", data, message })
}

/// What an idempotency key stands for: the device is part of the request here.
#[derive(Serialize)]
struct Fingerprint<'a> {
    device: domain::ids::DeviceId,
    body: &'a SendBody,
}

async fn send(
    State(state): State<AppState>,
    device: DeviceSegment,
    request: Request<Body>,
) -> ApiResult<Wagy> {
    let (parts, body) = request.into_parts();
    let (principal, device) = enter(&state, device, &parts).await?;
    let body: SendBody = read_json(&parts.headers, body).await?;
    let fingerprint = Fingerprint { device: device.id, body: &body };
    let key = parts.headers.get(IDEMPOTENCY_KEY);
    let idempotency = idempotency_key(key, "wagy POST send", &fingerprint)?;
    let command = command(device.into(), body)?;
    let accepted = state.core().send(&principal, vec![command], idempotency).await?;
    let message = accepted.messages.first().ok_or(Error::NotFound("message"))?;
    let mut response = done(sent(message), "Message queued");
    add_send_headers(&mut response, message, accepted.is_repeat);
    Ok(response)
}

async fn show_status(
    State(state): State<AppState>,
    device: DeviceSegment,
    request: Request<Body>,
) -> ApiResult<Wagy> {
    let (principal, device) = enter(&state, device, &request.into_parts().0).await?;
    principal.require(Scope::Read)?;
    Ok(found(status(&device, principal.account()?)))
}

async fn show_quota(
    State(state): State<AppState>,
    device: DeviceSegment,
    request: Request<Body>,
) -> ApiResult<Wagy> {
    let (principal, device) = enter(&state, device, &request.into_parts().0).await?;
    let left = state.core().quota(&principal, Some(device.id)).await?;
    Ok(found(quota(device.id, &left)))
}

async fn redeem(
    State(state): State<AppState>,
    device: DeviceSegment,
    request: Request<Body>,
) -> ApiResult<Wagy> {
    let (parts, body) = request.into_parts();
    let (principal, device) = enter(&state, device, &parts).await?;
    let body: RedeemBody = read_json(&parts.headers, body).await?;
    let messages = state.core().redeem(&principal, device.id, &body.code).await?;
    let (total, used) = state.core().quota(&principal, Some(device.id)).await?.granted();
    let data = RedeemedData { messages, remaining: total - used };
    Ok(done(data, "Voucher redeemed"))
}

async fn list(
    State(state): State<AppState>,
    device: DeviceSegment,
    request: Request<Body>,
) -> ApiResult<WagyQuery> {
    let parts = request.into_parts().0;
    let (principal, device) = enter(&state, device, &parts).await?;
    let query = Query::<MessageQuery>::try_from_uri(&parts.uri);
    let Query(query) = query
        .map_err(|_| ApiError::Malformed("a parameter is given twice or is no text".to_owned()))?;
    let (filter, page, limit) = filter(device.id, principal.account()?, &query)?;
    state.large_answers().enter().await?;
    let messages = state.core().counted_messages(&principal, filter, page, limit).await?;
    let list = move || {
        // What changed another message is shown with that one.
        let rows = messages.items.iter().filter(|message| !message.content.is_change());
        let data = rows.map(row).collect();
        let pagination = Pagination { page, limit, total: messages.total };
        json(StatusCode::OK, &MessagesBody { status: "success", data, pagination })
    };
    Ok(state.large_answers().render(list).await?)
}

/// The text of a QR that links the device; `None` when it is linked.
async fn qr(
    state: &AppState,
    device: DeviceSegment,
    request: Request<Body>,
) -> Result<Option<String>, ApiError> {
    if request.method() == Method::HEAD {
        // It would begin to link the device.
        return Err(ApiError::WrongMethod);
    }
    let (principal, device) = enter(state, device, &request.into_parts().0).await?;
    principal.require(Scope::Manage)?;
    if device.status.is_paired() {
        return Ok(None);
    }
    match state.core().pair(&principal, device.id, None).await? {
        PairOffer::Qr { code, .. } => Ok(Some(code)),
        PairOffer::Code { .. } | PairOffer::Passkey { .. } => Err(Error::Conflict(PASSKEY).into()),
    }
}

async fn show_qr_json(
    State(state): State<AppState>,
    device: DeviceSegment,
    request: Request<Body>,
) -> ApiResult<Wagy> {
    let Some(text) = qr(&state, device, request).await? else {
        return Ok(done(QrData { qr_code: None }, ALREADY_LOGGED_IN));
    };
    let url = qr_data_url(&text).ok_or(ApiError::Crashed)?;
    Ok(done(QrData { qr_code: Some(url) }, "Scan this QR code with WhatsApp"))
}

async fn show_qr(
    State(state): State<AppState>,
    device: DeviceSegment,
    request: Request<Body>,
) -> ApiResult<Wagy> {
    let text = qr(&state, device, request).await?.ok_or(Error::Conflict(ALREADY_LOGGED_IN))?;
    let picture = qr_png(&text).ok_or(ApiError::Crashed)?;
    Ok(bytes_reply(StatusCode::OK, HeaderValue::from_static("image/png"), picture))
}
