//! What the owner of a phone needs to link a device.

use domain::device::PairOffer;
use domain::error::Error;
use domain::ids::DeviceId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::portal::page_path;
use crate::qr::qr_data_url;

/// What the phone's owner needs: a QR, a code, or a passkey.
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
        /// What comes next: `passkey` (answer the challenge), `phone` (continue there), `confirm`
        /// (compare the codes).
        step: &'static str,
        /// What the phone's owner must do, in words.
        message: &'static str,
        /// The challenge: WebAuthn's request options in JSON, as WhatsApp sent them.
        passkey: serde_json::Value,
        /// The code that the phone shows, too.
        code: Option<String>,
        /// A page that leads the phone's owner through it; it needs no key, and ends with the challenge.
        page: String,
        /// Seconds until it is too late.
        expires_in_s: u64,
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

    /// An offer for a device; `address` is where clients reach this server.
    pub(super) fn new(device: DeviceId, offer: PairOffer, address: &str) -> Result<Self, Error> {
        Ok(match offer {
            PairOffer::Qr { code, expires_in_s } => {
                let qr_png = qr_data_url(&code)
                    .ok_or_else(|| Error::Whatsapp("the QR is too long to be drawn".to_owned()))?;
                Self::Qr { qr: code, qr_png, expires_in_s }
            }
            PairOffer::Code { code, expires_in_s } => Self::Code { pair_code: code, expires_in_s },
            PairOffer::Passkey { request, step, expires_in_s } => Self::Passkey {
                step: step.as_str(),
                message: step.describe(),
                code: step.code().map(str::to_owned),
                page: format!("{address}{}", page_path(device, &request)),
                passkey: serde_json::from_str(&request)
                    .unwrap_or(serde_json::Value::String(request)),
                expires_in_s,
            },
        })
    }
}
