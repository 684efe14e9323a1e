//! `/v1/devices/{id}/pair` and below, `/connect`, `/logout` and `/token`: linking a device and unlinking
//! it.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, Json, NoFields, OptionalJson, Segment};
use super::devices::{DeviceBody, device_id};
use super::offer::PairBody;
use crate::api_error::ApiResult;
use crate::assertion::read_assertion;
use crate::fields::PhoneField;
use crate::net::server_address;
use crate::optional::optional;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/devices/{id}/pair", Access::Device, pair)
            .summary("Begin to pair a device, or show the current offer")
            .description(
                "Without a phone number the answer holds a QR to scan; with one, a code to type \
                 into that phone. QRs follow one another for ten minutes. Once the phone has scanned \
                 or typed, WhatsApp may ask for a passkey: see `passkey`.",
            )
            .optional_body::<PairRequest>()
            .answers::<PairBody>(200)
            .error(409, "`conflict`: the device is paired already")
            .error(502, "`whatsapp`: WhatsApp makes no offer"),
        Route::get("/v1/devices/{id}/pair", Access::Device, show_offer)
            .summary("The current offer of a device that is being paired")
            .answers::<PairBody>(200)
            .error(409, "`conflict`: the device is not being paired, or has no offer yet"),
        Route::post("/v1/devices/{id}/pair/passkey", Access::Device, give_passkey)
            .summary("Answer WhatsApp's challenge with a passkey")
            .description(
                "WhatsApp asks some accounts for a passkey, and waits ten minutes. A passkey answers \
                 for WhatsApp's own site (`rpId` of the challenge) only: a browser there, or an app \
                 that may use it. The offer's `page` leads a person through it. The answer shows the \
                 next step; the code comes later when the phone takes its time.",
            )
            .body::<PasskeyRequest>()
            .answers::<PairBody>(200)
            .error(
                409,
                "`passkey_not_requested`: WhatsApp has not asked; `passkey_already_given`; \
                 `passkey_expired`: pair the device again",
            )
            .error(422, "`passkey_rejected`: WhatsApp did not accept it; another may be tried"),
        Route::post("/v1/devices/{id}/pair/confirm", Access::Device, confirm_passkey)
            .summary("Confirm that the phone shows the same code, which links the device")
            .answers::<DeviceBody>(200)
            .error(
                409,
                "`passkey_no_code`: there is none yet; `passkey_not_requested`; `passkey_expired`",
            )
            .error(502, "`whatsapp`: WhatsApp did not accept the confirmation"),
        Route::post("/v1/devices/{id}/connect", Access::Device, connect)
            .summary("Connect a device again that has stopped, or waits to try again")
            .description(
                "For a device whose session another process took over, whose account was locked, or \
                 that waits after a refusal. A ban is waited for all the same. The answer shows the \
                 device as it is then; whether it connects is seen by its `status`.",
            )
            .answers::<DeviceBody>(200)
            .error(409, "`conflict`: the device is not paired"),
        Route::post("/v1/devices/{id}/logout", Access::Device, logout)
            .summary("Unpair a device; it can be paired again")
            .answers::<DeviceBody>(200)
            .error(409, "`conflict`: the device is not paired"),
        Route::post("/v1/devices/{id}/token", Access::Device, new_token)
            .summary("Replace a device's token; the old one is void at once")
            .answers::<TokenBody>(200),
    ]
}

/// How to pair the device.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PairRequest {
    /// The phone's number, for a code to type in place of a QR.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "optional")]
    phone: Option<PhoneField>,
}

/// A passkey's answer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasskeyRequest {
    /// What `navigator.credentials.get` gave, as `PublicKeyCredential.toJSON()` or its text.
    #[schema(value_type = AssertionBody)]
    assertion: serde_json::Value,
}

/// A passkey's answer, as WebAuthn has it; bytes in base64url.
#[derive(ToSchema)]
#[schema(as = Assertion)]
#[expect(dead_code, reason = "described, and read with errors of its own")]
struct AssertionBody {
    /// Which passkey; `id` says the same.
    #[schema(rename = "rawId")]
    raw_id: String,
    /// What it signed.
    response: AssertionResponse,
}

/// What a passkey signed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described, and read with errors of its own")]
struct AssertionResponse {
    #[schema(rename = "clientDataJSON")]
    client_data_json: String,
    #[schema(rename = "authenticatorData")]
    authenticator_data: String,
    signature: String,
    #[schema(rename = "userHandle")]
    user_handle: Option<String>,
}

/// A device's new token.
#[derive(Serialize, ToSchema)]
#[schema(as = DeviceToken)]
struct TokenBody<'a> {
    /// The token; it is shown only now.
    token: &'a str,
}

async fn pair(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson<PairRequest>,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let phone = body.unwrap_or_default().phone;
    let phone = phone.as_ref().map(|phone| phone.0.as_str());
    let offer = state.core().pair(&principal, id, phone).await?;
    let address = server_address(state.config(), &headers);
    Ok(json(StatusCode::OK, &PairBody::new(id, offer, &address)?))
}

async fn show_offer(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    headers: HeaderMap,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let offer = state.core().pairing(&principal, id).await?;
    let address = server_address(state.config(), &headers);
    Ok(json(StatusCode::OK, &PairBody::new(id, offer, &address)?))
}

async fn give_passkey(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    headers: HeaderMap,
    Json(body): Json<PasskeyRequest>,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let assertion = read_assertion(&body.assertion)?;
    let offer = state.core().give_passkey(&principal, id, assertion).await?;
    let address = server_address(state.config(), &headers);
    Ok(json(StatusCode::OK, &PairBody::new(id, offer, &address)?))
}

async fn confirm_passkey(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    _: NoFields,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let device = state.core().confirm_passkey(&principal, id).await?;
    Ok(json(StatusCode::OK, &DeviceBody::new(&state, &device)))
}

async fn connect(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    _: NoFields,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let device = state.core().connect(&principal, id).await?;
    Ok(json(StatusCode::OK, &DeviceBody::new(&state, &device)))
}

async fn logout(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    _: NoFields,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let device = state.core().logout(&principal, id).await?;
    Ok(json(StatusCode::OK, &DeviceBody::new(&state, &device)))
}

async fn new_token(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    _: NoFields,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let token = state.core().new_device_token(&principal, id).await?;
    Ok(json(StatusCode::OK, &TokenBody { token: token.reveal() }))
}
