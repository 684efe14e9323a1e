//! `/v1/devices/{id}/pair`, `/connect`, `/logout` and `/token`: linking a device and unlinking it.

use axum::extract::State;
use axum::http::StatusCode;
use domain::device::PairOffer;
use domain::error::Error;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, OptionalJson, Segment};
use super::devices::{DeviceBody, device_id};
use crate::api_error::ApiResult;
use crate::fields::PhoneField;
use crate::optional::optional;
use crate::qr::qr_data_url;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/devices/{id}/pair", Access::Device, pair)
            .summary("Begin to pair a device, or show the current offer")
            .description(
                "Without a phone number the answer holds a QR to scan; with one, a code to type \
                 into that phone. WhatsApp may ask for a passkey instead.",
            )
            .optional_body::<PairRequest>()
            .answers::<PairBody>(200)
            .error(409, "`conflict`: the device is paired already")
            .error(502, "`whatsapp`: WhatsApp makes no offer"),
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

/// What the phone's owner needs: a QR, a code, or a passkey request.
#[derive(Serialize, ToSchema)]
#[schema(as = PairOffer)]
#[serde(untagged)]
pub(super) enum PairBody {
    /// A QR to scan.
    Qr {
        /// The QR's text.
        qr: String,
        /// The QR as a picture: a `data:` URL of a PNG.
        qr_png: String,
        /// Seconds until another one takes its place.
        expires_in_s: u64,
    },
    /// A code to type.
    Code {
        /// Eight characters.
        pair_code: String,
        /// Seconds until it expires.
        expires_in_s: u64,
    },
    /// A passkey that WhatsApp wants.
    Passkey {
        /// The request to hand to the owner's browser or phone.
        passkey: serde_json::Value,
    },
}

impl PairBody {
    /// The kind's name, for live events.
    pub(super) fn event_name(&self) -> &'static str {
        match self {
            Self::Qr { .. } => "qr",
            Self::Code { .. } => "pair_code",
            Self::Passkey { .. } => "passkey",
        }
    }
}

impl TryFrom<PairOffer> for PairBody {
    type Error = Error;

    fn try_from(offer: PairOffer) -> Result<Self, Error> {
        Ok(match offer {
            PairOffer::Qr { code, expires_in_s } => {
                let qr_png = qr_data_url(&code)
                    .ok_or_else(|| Error::Whatsapp("the QR is too long to be drawn".to_owned()))?;
                Self::Qr { qr: code, qr_png, expires_in_s }
            }
            PairOffer::Code { code, expires_in_s } => Self::Code { pair_code: code, expires_in_s },
            PairOffer::Passkey { request } => Self::Passkey {
                passkey: serde_json::from_str(&request)
                    .unwrap_or(serde_json::Value::String(request)),
            },
        })
    }
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
    OptionalJson(body): OptionalJson<PairRequest>,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let phone = body.unwrap_or_default().phone;
    let phone = phone.as_ref().map(|phone| phone.0.as_str());
    let offer = state.core().pair(&principal, id, phone).await?;
    Ok(json(StatusCode::OK, &PairBody::try_from(offer)?))
}

async fn connect(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let device = state.core().connect(&principal, id).await?;
    Ok(json(StatusCode::OK, &DeviceBody::new(&state, &device)))
}

async fn logout(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let device = state.core().logout(&principal, id).await?;
    Ok(json(StatusCode::OK, &DeviceBody::new(&state, &device)))
}

async fn new_token(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let token = state.core().new_device_token(&principal, id).await?;
    Ok(json(StatusCode::OK, &TokenBody { token: token.reveal() }))
}
