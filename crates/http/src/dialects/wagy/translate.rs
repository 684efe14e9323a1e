//! Between this dialect's words and the core's. Pure.

use domain::account::Account;
use domain::chat::ChatId;
use domain::content::{Content, ContentKind, ContentRequest};
use domain::device::{Device, DeviceStatus};
use domain::grant::Quota;
use domain::ids::DeviceId;
use domain::media::{FileRequest, MediaSource};
use domain::message::{Direction, Message, MessageState};
use domain::phone::Recipient;
use domain::policy::quota::{NO_LIMIT, QuotaKind};
use domain::ports::MessageFilter;
use domain::service::{RETRY_INTERVAL_S_MAX, SendRequest, SendingDevice};
use jiff::Timestamp;
use jiff::civil::Date;

use super::types::{
    FreeData, MessageQuery, MessageRow, OwnerData, ProData, QuotaData, SendBody, SentData,
    StatusData,
};
use crate::api_error::ApiError;

/// Messages of a page, unless asked otherwise.
const LIMIT_DEFAULT: u32 = 50;
/// Most messages of a page.
const LIMIT_MAX: u32 = 100;

/// What the core is asked to do.
///
/// # Errors
/// [`ApiError::Field`] for a blank message, which the core would let pass with a file, and for a type of
/// file that there is not.
pub(super) fn command(device: SendingDevice, body: SendBody) -> Result<SendRequest, ApiError> {
    if body.message.trim().is_empty() {
        return Err(ApiError::field("message", "is required and must not be blank"));
    }
    let content = content(body.message, body.media_url, body.media_type.as_deref())?;
    Ok(SendRequest {
        device: Some(device),
        to: body.phone.0,
        content,
        expires_at: body.expires_at.map(|time| time.0),
        // The core checks it only when there is no `expires_at`; what is ignored is not refused.
        expires_in_s: body.expires_in,
        // This API has no longest interval, and the core knows the shortest.
        retry_interval_s: body.retry_interval.map(|s| {
            u32::try_from(s.clamp(0, i64::from(RETRY_INTERVAL_S_MAX))).unwrap_or_default()
        }),
        ..SendRequest::default()
    })
}

fn content(
    text: String,
    url: Option<String>,
    kind: Option<&str>,
) -> Result<ContentRequest, ApiError> {
    let kind = kind.map(|kind| kind.trim().to_ascii_lowercase());
    let kind = match kind.as_deref() {
        None => None,
        Some("image") => Some(ContentKind::Image),
        Some("video") => Some(ContentKind::Video),
        Some("audio") => Some(ContentKind::Audio),
        Some("document") => Some(ContentKind::Document),
        Some(_) => {
            return Err(ApiError::field("media_type", "must be image, video, audio or document"));
        }
    };
    match (url, kind) {
        (None, None) => Ok(Content::Text(text.into())),
        (None, Some(_)) => Err(ApiError::field("media_type", "needs media_url")),
        (Some(url), kind) => Ok(Content::File(FileRequest {
            kind,
            caption: text.into(),
            ..FileRequest::new(MediaSource::Url(url))
        })),
    }
}

/// The answer: built from the receipt of acceptance, so that a repeat gets the first answer.
pub(super) fn sent(message: &Message) -> SentData {
    let quota = message.quota();
    SentData {
        message_id: message.id.0,
        status: "PENDING",
        quota_type: quota.map_or(QuotaKind::Plan, |quota| quota.kind),
        remaining: quota.map_or(NO_LIMIT, |quota| quota.remaining),
    }
}

/// A device's state.
pub(super) fn status<'a>(device: &'a Device, account: &'a Account) -> StatusData<'a> {
    let is_paired = device.status.is_paired();
    let phone = device.phone.as_ref().map(|phone| phone.as_str());
    StatusData {
        device_id: device.id.0,
        paired: is_paired,
        active: is_paired,
        connected: device.status == DeviceStatus::Connected,
        logged_in: is_paired,
        user: phone,
        owner: OwnerData {
            email: &account.email,
            whatsapp: phone,
            last_active_at: device.last_seen_at.max(device.connected_at),
            created_at: account.created_at,
        },
    }
}

/// What may still be sent.
pub(super) fn quota(device: DeviceId, quota: &Quota) -> QuotaData {
    let limit = quota.plan.messages_per_month;
    let (total, used) = quota.granted();
    QuotaData {
        device_id: device.0,
        free: FreeData {
            monthly_limit: limit.unwrap_or(NO_LIMIT),
            used: quota.usage.month_used,
            remaining: limit.map_or(NO_LIMIT, |limit| (limit - quota.usage.month_used).max(0)),
        },
        pro: ProData { total, used, remaining: total - used, expires_at: quota.granted_until() },
    }
}

/// Which messages are wanted, which page of them and how many: days are those of the account.
///
/// # Errors
/// [`ApiError::Field`] for what is none.
pub(super) fn filter(
    device: DeviceId,
    account: &Account,
    query: &MessageQuery,
) -> Result<(MessageFilter, u32, u32), ApiError> {
    let first = query.start_date.as_deref().map(|text| date("start_date", text)).transpose()?;
    let last = query.end_date.as_deref().map(|text| date("end_date", text)).transpose()?;
    if first.zip(last).is_some_and(|(first, last)| last < first) {
        return Err(ApiError::field("end_date", "must not be before start_date"));
    }
    let zone = account.timezone.zone();
    // The calendar ends later than time does.
    let begin = |day: Date| day.to_zoned(zone.clone()).map_or(Timestamp::MAX, |at| at.timestamp());
    let chat = query.recipient.as_deref().map(|text| chat(text, account)).transpose()?;
    let filter = MessageFilter {
        direction: Some(Direction::Out),
        device: Some(device),
        states: query.status.as_deref().map(states).transpose()?.unwrap_or_default(),
        chat,
        since: first.map(begin),
        until: last.and_then(|day| day.tomorrow().ok()).map(begin),
        ..MessageFilter::default()
    };
    let page = number("page", query.page.as_deref(), 1, u32::MAX)?;
    let limit = number("limit", query.limit.as_deref(), LIMIT_DEFAULT, LIMIT_MAX)?;
    Ok((filter, page, limit))
}

fn date(field: &str, text: &str) -> Result<Date, ApiError> {
    let wrong = || ApiError::field(field, "must be a day such as 2026-11-21");
    // jiff reads more forms than this one.
    let is_plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    is_plain.then(|| text.parse().ok()).flatten().ok_or_else(wrong)
}

fn chat(text: &str, account: &Account) -> Result<ChatId, ApiError> {
    let recipient = Recipient::parse(text, &account.default_country);
    recipient.map(ChatId::from).map_err(|error| ApiError::field("recipient", error.to_string()))
}

fn number(field: &str, text: Option<&str>, default: u32, max: u32) -> Result<u32, ApiError> {
    let Some(text) = text else { return Ok(default) };
    let number = text.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| match max {
        u32::MAX => ApiError::field(field, "must be at least 1"),
        max => ApiError::field(field, format!("must be 1 to {max}")),
    })
}

fn states(name: &str) -> Result<Vec<MessageState>, ApiError> {
    use MessageState as S;
    Ok(match name {
        "PENDING" => vec![S::Scheduled, S::Queued],
        "SENT" => vec![S::Sent],
        "DELIVERED" => vec![S::Delivered],
        "READ" => vec![S::Read, S::Played],
        "FAILED" => vec![S::Failed],
        "EXPIRED" => vec![S::Expired],
        "CANCELLED" => vec![S::Cancelled],
        _ => {
            let names = "PENDING, SENT, DELIVERED, READ, FAILED, EXPIRED or CANCELLED";
            return Err(ApiError::field("status", format!("must be {names}")));
        }
    })
}

fn state_name(state: MessageState) -> &'static str {
    use MessageState as S;
    match state {
        S::Scheduled | S::Queued | S::Sending => "PENDING",
        S::Sent => "SENT",
        S::Delivered => "DELIVERED",
        S::Read | S::Played => "READ",
        S::Failed => "FAILED",
        S::Expired => "EXPIRED",
        S::Cancelled => "CANCELLED",
    }
}

/// The name of a kind of file.
pub(super) fn media_type(kind: ContentKind) -> &'static str {
    match kind {
        ContentKind::Image => "image",
        ContentKind::Video => "video",
        ContentKind::Audio | ContentKind::Voice => "audio",
        _ => "document",
    }
}

/// A message of the list.
pub(super) fn row(message: &Message) -> MessageRow<'_> {
    let failure = message.failure.as_ref();
    MessageRow {
        id: message.id.0,
        recipient: message.chat.short(),
        message: message.shown_text(),
        media_url: message.media().and_then(|media| media.url.as_deref()),
        media_type: message.media().map(|_| media_type(message.kind())),
        status: state_name(message.state),
        error: failure.map(|failure| failure.message.as_str()),
        created_at: message.created_at,
        sent_at: message.reached_or_passed(MessageState::Sent),
        delivered_at: message.reached_or_passed(MessageState::Delivered),
        read_at: message.reached_or_passed(MessageState::Read),
    }
}

/// The name of a field here, where the core has another.
pub(super) fn field_name(core: &str) -> &str {
    match core {
        "to" => "phone",
        "text" | "media.caption" => "message",
        "retry_interval_s" => "retry_interval",
        "expires_in_s" => "expires_in",
        "media.url" => "media_url",
        same => same,
    }
}
