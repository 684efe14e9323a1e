//! Between this dialect's words and the core's. Pure.

use domain::ids::DeviceId;
use domain::message::Message;
use domain::policy::quota::{NO_LIMIT, QuotaKind};
use domain::service::SendRequest;

use super::types::{SendBody, SentBody, SentData};
use crate::refusal::Refusal;

/// What the core is asked to do.
///
/// # Errors
/// [`Refusal::Field`] for media, and for numbers no interval can have.
pub(super) fn command(device: DeviceId, body: SendBody) -> Result<SendRequest, Refusal> {
    if body.media_type.is_some() && body.media_url.is_none() {
        return Err(Refusal::field("media_type", "needs media_url"));
    }
    if body.media_url.is_some() {
        return Err(Refusal::field("media_url", "media is not available yet; send text only"));
    }
    let retry_interval_s = match body.retry_interval.map(u32::try_from) {
        None => None,
        Some(Ok(seconds)) => Some(seconds),
        Some(Err(_)) => return Err(Refusal::field("retry_interval", "must be at least 1")),
    };
    Ok(SendRequest {
        device: Some(device),
        to: body.phone.0,
        text: body.message,
        expires_at: body.expires_at.map(|time| time.0),
        // The core checks it only when there is no `expires_at`; what is ignored is not refused.
        expires_in_s: body.expires_in,
        retry_interval_s,
        ..SendRequest::default()
    })
}

/// The answer: built from the receipt of acceptance, so that a repeat gets the first answer.
pub(super) fn answer(message: &Message) -> SentBody {
    let quota = message.quota;
    SentBody {
        status: "success",
        data: SentData {
            message_id: message.id.0,
            status: "PENDING",
            quota_type: quota.map_or(QuotaKind::Free, |quota| quota.kind),
            remaining: quota.map_or(NO_LIMIT, |quota| quota.remaining),
        },
        message: "Message queued",
    }
}

/// The name of a field here, where the core has another.
pub(super) fn field_name(core: &str) -> &str {
    match core {
        "to" => "phone",
        "text" => "message",
        "retry_interval_s" => "retry_interval",
        "expires_in_s" => "expires_in",
        same => same,
    }
}
