//! `/v1/chats`: the chats of devices.

use axum::extract::State;
use axum::http::StatusCode;
use domain::chat::{Chat, ChatId};
use domain::error::Error;
use domain::ports::ChatFilter;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::V1;
use super::caller::{Caller, NoFields, Params, Segment};
use super::devices::queried_device;
use super::message_view::MessageBody;
use super::page::{List, page_request};
use crate::api_error::ApiResult;
use crate::optional::optional;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::state::AppState;

const ALL: &str = "/v1/chats";
const READ: &str = "/v1/chats/{chat}/read";
const HISTORY: &str = "/v1/chats/{chat}/history";
/// Messages that the phone is asked for unless a number is given.
const HISTORY_DEFAULT: u32 = 50;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(ALL, Access::Device, list)
            .summary("Chats, those with the newest message first")
            .query("device", "A device's id or number_id")
            .query("q", "Only chats whose name or number contains this")
            .query("limit", "Rows of a page, 1 to 100; 50 unless given")
            .query("cursor", "The next_cursor of the page before")
            .answers_list::<ChatBody>(200)
            .error(404, "`not_found`: no such device"),
        Route::post(READ, Access::Device, read)
            .summary("Mark a chat as read")
            .description(
                "Its writers see that what they have written was read, at most the newest 1,000 messages. \
                 `{chat}` is a phone number, a LID `…@lid` or a group's id. Asked through the device, which \
                 must be connected.",
            )
            .query("device", "A device's id or number_id; device tokens may leave it out")
            .answers::<ReadBody>(200)
            .error(404, "`not_found`: no such device")
            .error(409, "`device_not_connected`")
            .error(502, "`whatsapp`: WhatsApp refused, or did not answer"),
        Route::post(HISTORY, Access::Device, ask_history)
            .summary("Fetch older messages of a chat from the phone")
            .description(
                "Asks the device's phone, which must be online, for what came before the oldest message of the \
                 chat that is known here, and waits up to 10 seconds. What the phone gives is listed behind \
                 all other messages; it counts as read, emits no events, and its files are fetched on demand. \
                 202: the phone has not answered yet; what it gives later is stored all the same.",
            )
            .query("device", "A device's id or number_id; device tokens may leave it out")
            .query("count", "Most messages, 1 to 500; 50 unless given")
            .answers::<HistoryBody>(200)
            .answers::<HistoryBody>(202)
            .error(404, "`not_found`: no such device")
            .error(409, "`device_not_connected`; `conflict`: no message of the chat is known")
            .error(502, "`whatsapp`: WhatsApp refused, or did not answer"),
    ]
}

/// A chat.
#[derive(Serialize, ToSchema)]
#[schema(as = Chat)]
struct ChatBody<'a> {
    /// Its address on WhatsApp.
    #[schema(value_type = String)]
    chat: &'a ChatId,
    /// The device whose chat it is.
    device: Uuid,
    /// `person`, `group` or `other`.
    kind: &'static str,
    /// What the person calls themselves, or the group is called, where that is known.
    name: Option<&'a str>,
    /// The person's number, where known.
    phone: Option<&'a str>,
    /// How many messages have come in that were not read here.
    unread: i64,
    /// After how many seconds its messages disappear; 0 when they stay.
    ephemeral_s: u32,
    /// Whether the device's number may write there, as far as is known: not into a group that it has left, or
    /// where only admins write.
    can_send: bool,
    /// Its newest message; null once that is not kept any more.
    last_message: Option<MessageBody<'a>>,
}

impl<'a> From<&'a Chat> for ChatBody<'a> {
    fn from(chat: &'a Chat) -> Self {
        Self {
            chat: &chat.chat,
            device: chat.device_id.0,
            kind: match chat.chat {
                ChatId::Person(_) | ChatId::Lid(_) => "person",
                ChatId::Group(_) => "group",
                ChatId::Other(_) => "other",
            },
            name: chat.name.as_deref(),
            phone: chat.chat.phone().map(|phone| phone.as_str()),
            unread: chat.unread,
            ephemeral_s: chat.ephemeral_s,
            can_send: chat.can_send(),
            last_message: chat.last.as_ref().map(MessageBody::brief),
        }
    }
}

/// What was read.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatRead)]
struct ReadBody {
    /// How many messages are marked as read now.
    read: usize,
}

/// What the phone has given.
#[derive(Serialize, ToSchema)]
#[schema(as = ChatHistory)]
struct HistoryBody {
    /// How many messages were stored that were not known; null while the phone has not answered. 0: there
    /// are no older ones.
    stored: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryParams {
    #[serde(default, deserialize_with = "optional")]
    device: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    count: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParams {
    #[serde(default, deserialize_with = "optional")]
    device: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    q: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    limit: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadParams {
    #[serde(default, deserialize_with = "optional")]
    device: Option<String>,
}

async fn list(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Params(params): Params<ListParams>,
) -> ApiResult<V1> {
    let page = page_request(params.limit.as_deref(), params.cursor.as_deref())?;
    let device = queried_device(&state, &principal, params.device.as_deref()).await?;
    state.large_answers().enter().await?;
    let search = params.q.unwrap_or_default();
    let filter = ChatFilter { device, search, ..ChatFilter::default() };
    let page = state.core().chats(&principal, filter, page).await?;
    let list = move || {
        let row = |chat| ChatBody::from(chat);
        json(StatusCode::OK, &List::of(&page, |chat| chat.last_message_id.0, row))
    };
    Ok(state.large_answers().render(list).await?)
}

async fn read(
    State(state): State<AppState>,
    Caller(principal): Caller,
    chat: Segment,
    Params(params): Params<ReadParams>,
    _: NoFields,
) -> ApiResult<V1> {
    let device = queried_device(&state, &principal, params.device.as_deref()).await?;
    let device = device.or(principal.caller.bound_device());
    let device = device.ok_or_else(|| Error::invalid("device", "is required"))?;
    let chat = state.core().chat_named(&principal, &chat.0).await?;
    let read = state.core().read_chat(&principal, device, chat).await?;
    Ok(json(StatusCode::OK, &ReadBody { read }))
}

async fn ask_history(
    State(state): State<AppState>,
    Caller(principal): Caller,
    chat: Segment,
    Params(params): Params<HistoryParams>,
    _: NoFields,
) -> ApiResult<V1> {
    let device = queried_device(&state, &principal, params.device.as_deref()).await?;
    let device = device.or(principal.caller.bound_device());
    let device = device.ok_or_else(|| Error::invalid("device", "is required"))?;
    let chat = state.core().chat_named(&principal, &chat.0).await?;
    // What is no number is out of range.
    let count = params.count.map_or(HISTORY_DEFAULT, |count| count.parse().unwrap_or_default());
    let stored = state.core().ask_history(&principal, device, chat, count).await?;
    let status = if stored.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(json(status, &HistoryBody { stored }))
}
