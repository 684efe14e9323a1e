//! Between this dialect's words and the core's. Pure.

use domain::account::Account;
use domain::content::{Content, ContentKind};
use domain::device::{Device, DeviceStatus};
use domain::grant::Quota;
use domain::media::{FileRequest, MediaSource};
use domain::message::{Direction, Message, MessageState};
use domain::policy::quota::NO_LIMIT;
use domain::ports::{CountedPage, MessageFilter};
use domain::service::{DeviceFigures, SendRequest};
use jiff::Timestamp;

use super::errors::Wagate;
use super::types::{
    DeviceData, DeviceInfo, MediaFields, MessageFields, MessageRow, MessagesBody, MessagesQuery,
    Pagination, SentData, Statistics, Subscription, User,
};
use crate::api_error::{ApiError, ApiResult};
use crate::reply::laravel_time;

/// Longest text, in Unicode code points.
const MESSAGE_CHARS_MAX: usize = 5_000;
/// Most messages of one page.
const PAGE_MESSAGES_MAX: u32 = 100;
/// Messages of a page, unless said otherwise.
const PAGE_MESSAGES_DEFAULT: u32 = 50;

/// The whole answer when something that is required is missing.
pub(super) struct Missing(pub &'static str);

/// What `POST /send-message` asks the core to do, whichever the device.
///
/// # Errors
/// [`Missing`]; [`ApiError::Field`] for a text that is too long.
pub(super) fn message(fields: &MessageFields) -> ApiResult<Wagate, SendRequest> {
    let (Some(to), Some(text)) =
        (filled(fields.recipient.as_deref()), filled(fields.message.as_deref()))
    else {
        return Err(Missing("session_id, recipient, and message are required").into());
    };
    if text.chars().count() > MESSAGE_CHARS_MAX {
        let message = format!("must have at most {MESSAGE_CHARS_MAX} characters");
        return Err(ApiError::field("message", message).into());
    }
    Ok(SendRequest {
        to: to.to_owned(),
        content: Content::Text(text.into()),
        typing: Some(fields.show_typing.is_none_or(|shown| shown.0)),
        ..SendRequest::default()
    })
}

/// What `POST /send-media` asks the core to do, whichever the device.
///
/// # Errors
/// [`Missing`]; [`ApiError::Field`] for a type of file that there is not.
pub(super) fn media(fields: &MediaFields) -> ApiResult<Wagate, SendRequest> {
    let (Some(to), Some(url)) =
        (filled(fields.recipient.as_deref()), filled(fields.media_url.as_deref()))
    else {
        return Err(Missing("session_id, recipient, and media_url are required").into());
    };
    let file = FileRequest {
        kind: kind(fields.media_type.as_deref())?,
        caption: fields.caption.as_deref().unwrap_or_default().into(),
        ..FileRequest::new(MediaSource::Url(url.trim().to_owned()))
    };
    Ok(SendRequest { to: to.to_owned(), content: Content::File(file), ..SendRequest::default() })
}

/// A text that is more than blanks.
fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

fn kind(name: Option<&str>) -> Result<Option<ContentKind>, ApiError> {
    let Some(name) = filled(name) else { return Ok(None) };
    match name.trim().to_ascii_lowercase().as_str() {
        "image" => Ok(Some(ContentKind::Image)),
        "video" => Ok(Some(ContentKind::Video)),
        "audio" => Ok(Some(ContentKind::Audio)),
        "document" => Ok(Some(ContentKind::Document)),
        _ => Err(ApiError::field("media_type", "must be image, video, audio or document")),
    }
}

/// The answer to a send.
pub(super) fn sent(message: &Message, now: Timestamp) -> SentData {
    SentData {
        message_id: message.whatsapp_id.to_string(),
        timestamp: message.reached_or_passed(MessageState::Sent).unwrap_or(now).as_second(),
    }
}

/// A device as `GET /device` shows it.
pub(super) fn device(
    device: &Device,
    account: &Account,
    quota: &Quota,
    figures: DeviceFigures,
    now: Timestamp,
) -> DeviceData {
    // The core notes when a connection ended: one that holds was seen just now.
    let is_connected = device.status == DeviceStatus::Connected;
    let last_seen = if is_connected { Some(now) } else { device.last_seen_at };
    DeviceData {
        device: DeviceInfo {
            id: device.number_id.0,
            name: device.name.clone(),
            phone_number: device.phone.as_ref().map(ToString::to_string),
            status: device.status.as_str(),
            connected_at: device.connected_at.map(laravel_time),
            last_seen: last_seen.map(laravel_time),
        },
        user: User { name: account.name.clone(), email: account.email.clone() },
        subscription: subscription(quota),
        statistics: Statistics {
            total_sent: figures.sent,
            total_failed: figures.failed,
            today_sent: figures.sent_today,
        },
    }
}

fn subscription(quota: &Quota) -> Subscription {
    let plan = &quota.plan;
    let (granted, _) = quota.granted();
    let limit = plan.messages_per_month.map(|month| month.saturating_add(granted));
    Subscription {
        package: plan.name.clone(),
        message_quota: limit.unwrap_or(NO_LIMIT).min(NO_LIMIT),
        message_remaining: quota.remaining().min(NO_LIMIT),
        device_limit: plan.device_limit.unwrap_or(NO_LIMIT).min(NO_LIMIT),
        end_date: None,
        is_trial: false,
    }
}

/// Which messages are asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub filter: MessageFilter,
    pub page: u32,
    pub limit: u32,
}

/// Reads which messages are asked for, whichever the device.
///
/// # Errors
/// [`ApiError::Field`].
pub(super) fn wanted(query: &MessagesQuery) -> Result<Wanted, ApiError> {
    let limit = query.limit.map_or(Some(PAGE_MESSAGES_DEFAULT), |limit| limit.0.try_into().ok());
    let limit = limit.filter(|limit| (1..=PAGE_MESSAGES_MAX).contains(limit));
    let limit = limit
        .ok_or_else(|| ApiError::field("limit", format!("must be 1 to {PAGE_MESSAGES_MAX}")))?;
    // The core says what is too far.
    let page = query.page.map_or(1, |page| page.0.clamp(0, u32::MAX.into()));
    let page = u32::try_from(page).unwrap_or(u32::MAX);
    let states = match filled(query.status.as_deref()) {
        None => Vec::new(),
        Some(name) => {
            MessageState::ALL.into_iter().filter(|&state| status(state) == name).collect()
        }
    };
    if query.status.is_some() && states.is_empty() {
        return Err(ApiError::field("status", "must be sent, failed or pending"));
    }
    let direction = Some(Direction::Out);
    Ok(Wanted { filter: MessageFilter { direction, states, ..Default::default() }, page, limit })
}

/// A page of messages.
pub(super) fn messages(found: &CountedPage<Message>, page: u32, limit: u32) -> MessagesBody {
    let per_page = i64::from(limit.max(1));
    // What changed another message is shown with that one.
    let rows = found.items.iter().filter(|message| !message.content.is_change());
    MessagesBody {
        success: true,
        data: rows.map(row).collect(),
        pagination: Pagination {
            current_page: page,
            total_pages: ((found.total + per_page - 1) / per_page).max(1),
            per_page: limit,
            total: found.total,
        },
    }
}

fn row(message: &Message) -> MessageRow {
    MessageRow {
        id: message.id.0,
        recipient: message.chat.short().to_owned(),
        message: message.shown_text().into_owned(),
        status: status(message.state),
        created_at: laravel_time(message.created_at),
        sent_at: message.reached_or_passed(MessageState::Sent).map(laravel_time),
    }
}

fn status(state: MessageState) -> &'static str {
    use MessageState as S;
    match state {
        S::Sent | S::Delivered | S::Read | S::Played => "sent",
        S::Failed | S::Expired | S::Cancelled => "failed",
        S::Scheduled | S::Queued | S::Sending => "pending",
    }
}

/// The name of a field here, where the core has another.
pub(super) fn field_name(core: &str) -> &str {
    match core {
        "to" => "recipient",
        "text" => "message",
        "media.caption" => "caption",
        same => same,
    }
}
