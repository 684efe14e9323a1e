//! Contents with fields of their own that only come in; pure.

use domain::content::{Content, Location};
use domain::structured::{
    Album, Answer, AnswerKind, CalendarEvent, GroupInvite, LiveLocation, Order, Structured, Unnamed,
};
use jiff::Timestamp;
use waproto::whatsapp as wa;
use waproto::whatsapp::__buffa::oneof::message::buttons_response_message;
use waproto::whatsapp::__buffa::oneof::message::interactive_response_message;

use crate::incoming::{int32, short};

/// Longest text of such a content that is kept, in characters.
const TEXT_CHARS_MAX: usize = 4_096;

/// What fields travel with messages and say nothing of their kind.
const COMPANIONS: [&str; 4] = [
    "sender_key_distribution_message",
    "fast_ratchet_key_sender_key_distribution_message",
    "message_context_info",
    "device_sent_message",
];

/// What it is, where it has fields of its own.
pub(crate) fn read(message: &wa::Message) -> Option<Content> {
    let read = live_location(message)
        .or_else(|| answer(message).map(Structured::Answer))
        .or_else(|| order(message).map(Structured::Order))
        .or_else(|| group_invite(message).map(Structured::GroupInvite))
        .or_else(|| event(message).map(Structured::Event))
        .or_else(|| album(message).map(Structured::Album))?;
    Some(match name_of_empty(&read) {
        Some(name) => named(name, None),
        None => Content::Structured(Box::new(read)),
    })
}

/// The protocol's name for what has fields of its own and nothing in them.
fn name_of_empty(read: &Structured) -> Option<&'static str> {
    let (is_empty, name) = match read {
        Structured::Answer(Answer { kind, id, text, params }) => {
            let name = match kind {
                AnswerKind::Button => "buttonsResponseMessage",
                AnswerKind::List => "listResponseMessage",
                AnswerKind::Template => "templateButtonReplyMessage",
                AnswerKind::Interactive => "interactiveResponseMessage",
            };
            (id.is_none() && params.is_none() && text.is_empty(), name)
        }
        Structured::Order(order) => (*order == Order::default(), "orderMessage"),
        Structured::GroupInvite(invite) => {
            (*invite == GroupInvite::default(), "groupInviteMessage")
        }
        Structured::Event(event) => (*event == CalendarEvent::default(), "eventMessage"),
        Structured::Album(album) => (*album == Album::default(), "albumMessage"),
        _ => return None,
    };
    is_empty.then_some(name)
}

/// What has no name here, by the protocol's.
pub(crate) fn unnamed(message: &wa::Message) -> Content {
    let fields = serde_json::to_value(message).unwrap_or_default();
    let is_set = |value: &serde_json::Value| match value {
        serde_json::Value::Null => false,
        serde_json::Value::Object(fields) => !fields.is_empty(),
        serde_json::Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let named = fields.as_object().into_iter().flatten().find(|(name, value)| {
        !name.starts_with('_') && !COMPANIONS.contains(&name.as_str()) && is_set(value)
    });
    let name = named.map_or_else(|| "unknown".to_owned(), |(name, _)| camel_case(name));
    self::named(&name, words(message))
}

/// What has no more to show than the protocol's name for it and a few words.
pub(crate) fn named(name: &str, words: Option<&String>) -> Content {
    let text = words.map(long).unwrap_or_default();
    Content::Structured(Box::new(Structured::Unnamed(Unnamed { name: name.to_owned(), text })))
}

/// What of it a person or a business has written.
fn words(message: &wa::Message) -> Option<&String> {
    let written = |text: &&String| !text.is_empty();
    offered(message)
        .filter(written)
        .or_else(|| noted(message).filter(written))
        .or_else(|| about_channels_and_calls(message).filter(written))
}

/// The text of what businesses send to be chosen from.
fn offered(message: &wa::Message) -> Option<&String> {
    let buttons = message.buttons_message.as_option().and_then(|m| m.content_text.as_ref());
    let list = || {
        let list = message.list_message.as_option()?;
        list.description.as_ref().or(list.title.as_ref())
    };
    let interactive = || {
        let body = message.interactive_message.as_option()?.body.as_option()?;
        body.text.as_ref()
    };
    let template = || {
        let template = message.template_message.as_option()?.hydrated_template.as_option()?;
        template.hydrated_content_text.as_ref()
    };
    let product = || message.product_message.as_option().and_then(|m| m.body.as_ref());
    buttons.or_else(list).or_else(interactive).or_else(template).or_else(product)
}

/// A comment, the note of a payment, an answer to a question.
fn noted(message: &wa::Message) -> Option<&String> {
    let comment = || message.comment_message.as_option()?.message.as_option();
    let asked = || message.request_payment_message.as_option()?.note_message.as_option();
    let paid = || message.send_payment_message.as_option()?.note_message.as_option();
    let inner = comment().or_else(asked).or_else(paid).and_then(|inner| {
        let extended = || inner.extended_text_message.as_option()?.text.as_ref();
        inner.conversation.as_ref().or_else(extended)
    });
    let invoice = || message.invoice_message.as_option()?.note.as_ref();
    let split = || message.split_payment_message.as_option()?.description.as_ref();
    let question = || message.question_response_message.as_option()?.text.as_ref();
    let status = || message.status_question_answer_message.as_option()?.text.as_ref();
    inner.or_else(invoice).or_else(split).or_else(question).or_else(status)
}

fn about_channels_and_calls(message: &wa::Message) -> Option<&String> {
    let admin = || message.newsletter_admin_invite_message.as_option()?.caption.as_ref();
    let follower = || message.newsletter_follower_invite_message_v2.as_option()?.caption.as_ref();
    let call = || message.scheduled_call_creation_message.as_option()?.title.as_ref();
    let stickers = || {
        let pack = message.sticker_pack_message.as_option()?;
        pack.caption.as_ref().filter(|text| !text.is_empty()).or(pack.name.as_ref())
    };
    admin().or_else(follower).or_else(call).or_else(stickers)
}

fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut name, part| {
        let mut letters = part.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

fn live_location(message: &wa::Message) -> Option<Structured> {
    let live = message.live_location_message.as_option()?;
    let place = Location {
        latitude: live.degrees_latitude?,
        longitude: live.degrees_longitude?,
        name: given(live.caption.as_ref()),
        address: None,
    };
    let is_place = place.has_latitude() && place.has_longitude();
    is_place.then(|| {
        Structured::LiveLocation(LiveLocation {
            place,
            accuracy_m: int32(live.accuracy_in_meters),
            heading: int32(live.degrees_clockwise_from_magnetic_north),
            speed: live.speed_in_mps.filter(|speed| speed.is_finite()),
            sequence: live.sequence_number.unwrap_or_default(),
        })
    })
}

/// The choice among what another service offered.
fn answer(message: &wa::Message) -> Option<Answer> {
    let answer = |kind, id: Option<&String>, text: Option<&String>| Answer {
        kind,
        id: given(id),
        text: text.map(long).unwrap_or_default(),
        params: None,
    };
    if let Some(chosen) = message.template_button_reply_message.as_option() {
        let text = chosen.selected_display_text.as_ref();
        return Some(answer(AnswerKind::Template, chosen.selected_id.as_ref(), text));
    }
    if let Some(chosen) = message.buttons_response_message.as_option() {
        let text = chosen.response.as_ref().map(|response| {
            let buttons_response_message::Response::SelectedDisplayText(text) = response;
            text
        });
        return Some(answer(AnswerKind::Button, chosen.selected_button_id.as_ref(), text));
    }
    if let Some(chosen) = message.list_response_message.as_option() {
        let row = chosen.single_select_reply.as_option();
        let id = row.and_then(|row| row.selected_row_id.as_ref());
        return Some(answer(AnswerKind::List, id, chosen.title.as_ref()));
    }
    let chosen = message.interactive_response_message.as_option()?;
    let text = chosen.body.as_option().and_then(|body| body.text.as_ref());
    let flow = chosen.interactive_response_message.as_ref().map(|response| {
        let interactive_response_message::InteractiveResponseMessage::NativeFlowResponseMessage(
            flow,
        ) = response;
        flow
    });
    let id = flow.and_then(|flow| flow.name.as_ref());
    let params = flow.and_then(|flow| flow.params_json.as_ref()).map(long);
    Some(Answer { params, ..answer(AnswerKind::Interactive, id, text) })
}

fn order(message: &wa::Message) -> Option<Order> {
    let order = message.order_message.as_option()?;
    Some(Order {
        id: order.order_id.as_ref().map(|id| short(id)).unwrap_or_default(),
        title: given(order.order_title.as_ref()),
        text: order.message.as_ref().map(long).unwrap_or_default(),
        items: order.item_count.and_then(|count| count.try_into().ok()),
        total_1000: order.total_amount1000,
        currency: given(order.total_currency_code.as_ref()),
    })
}

fn group_invite(message: &wa::Message) -> Option<GroupInvite> {
    let invite = message.group_invite_message.as_option()?;
    Some(GroupInvite {
        group: invite.group_jid.as_ref().map(|jid| short(jid)).unwrap_or_default(),
        name: given(invite.group_name.as_ref()),
        code: given(invite.invite_code.as_ref()),
        expires_at: invite.invite_expiration.and_then(time),
        text: invite.caption.as_ref().map(long).unwrap_or_default(),
    })
}

fn event(message: &wa::Message) -> Option<CalendarEvent> {
    let event = message.event_message.as_option()?;
    let place = event.location.as_option();
    Some(CalendarEvent {
        name: event.name.as_ref().map(|name| short(name)).unwrap_or_default(),
        description: event.description.as_ref().map(long).filter(|text| !text.is_empty()),
        starts_at: event.start_time.and_then(time),
        ends_at: event.end_time.and_then(time),
        place: given(place.and_then(|place| place.name.as_ref().or(place.address.as_ref()))),
        link: given(event.join_link.as_ref()),
        is_cancelled: event.is_canceled == Some(true),
    })
}

fn album(message: &wa::Message) -> Option<Album> {
    let album = message.album_message.as_option()?;
    Some(Album {
        images: int32(album.expected_image_count).unwrap_or_default(),
        videos: int32(album.expected_video_count).unwrap_or_default(),
    })
}

/// A time in seconds or in milliseconds since 1970, as the app's versions write it.
fn time(at: i64) -> Option<Timestamp> {
    const MILLISECONDS_FROM: i64 = 100_000_000_000;
    let is_milliseconds = at >= MILLISECONDS_FROM;
    if is_milliseconds {
        Timestamp::from_millisecond(at).ok()
    } else {
        Timestamp::from_second(at).ok()
    }
}

fn given(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(|text| short(text))
}

#[expect(clippy::ptr_arg, reason = "mapped over options of strings")]
fn long(text: &String) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}
