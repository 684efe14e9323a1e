//! What messages refer to: the one that is answered or reacted to, and people; pure.

use domain::content::{Content, ContentKind};
use domain::context::{Context, MENTIONS_MAX, Mentions, Quote, beginning};
use domain::ids::WhatsappId;
use domain::message::Address;
use wacore_binary::Jid;
use waproto::whatsapp as wa;

use crate::events::Me;
use crate::incoming::{Names, address, content};

/// Most digits of a number or LID.
const USER_DIGITS_MAX: usize = 20;

/// What a message refers to. A reaction's target is in the reaction itself.
pub(crate) fn context(message: &wa::Message, me: &Me, names: &impl Names) -> Context {
    if let Some(reaction) = message.reaction_message.as_option() {
        let reply_to = reaction.key.as_option().and_then(|key| target(key, me, names));
        return Context { reply_to, ..Context::default() };
    }
    let Some(info) = context_info(message) else { return Context::default() };
    let person = |jid: Jid| {
        let Address { phone, lid } = address(Some(&jid), None, names);
        phone.map(|phone| phone.as_str().to_owned()).or(lid.map(|lid| lid.as_str().to_owned()))
    };
    Context {
        reply_to: quote(info, me, names),
        mentions: Mentions {
            people: mentioned(message).into_iter().filter_map(person).collect(),
            all: info.non_jid_mentions.unwrap_or_default() > 0,
        },
        is_forwarded: info.is_forwarded == Some(true),
        ..Context::default()
    }
}

/// The people whom a message mentions, which is out of its envelopes.
pub(crate) fn mentioned(message: &wa::Message) -> Vec<Jid> {
    let info = context_info(message).into_iter();
    let jids = info.flat_map(|info| &info.mentioned_jid).take(MENTIONS_MAX);
    jids.filter_map(|jid| jid.parse::<Jid>().ok()).filter(is_users).collect()
}

/// Whether an address can be a person's: its writer decides what is in it.
fn is_users(jid: &Jid) -> bool {
    let user = jid.user.as_bytes();
    (1..=USER_DIGITS_MAX).contains(&user.len()) && user.iter().all(u8::is_ascii_digit)
}

/// The message that is answered.
fn quote(info: &wa::ContextInfo, me: &Me, names: &impl Names) -> Option<Quote> {
    let id = info.stanza_id.as_ref().filter(|id| !id.is_empty())?;
    let writer: Option<Jid> = info.participant.as_ref().and_then(|jid| jid.parse().ok());
    let quoted = info.quoted_message.as_option().and_then(content);
    Some(Quote {
        whatsapp_id: WhatsappId::from_outside(id),
        is_ours: writer.as_ref().map(|jid| me.is(jid)),
        sender: writer.filter(|jid| !me.is(jid)).map(|jid| address(Some(&jid), None, names)),
        kind: quoted.as_ref().map_or(ContentKind::Other, Content::kind),
        text: quoted.as_ref().map(|content| beginning(content.text())).unwrap_or_default(),
    })
}

/// The message that a reaction is on. Whose it is is said from the writer's side.
fn target(key: &wa::MessageKey, me: &Me, names: &impl Names) -> Option<Quote> {
    let id = key.id.as_ref().filter(|id| !id.is_empty())?;
    let writer: Option<Jid> = key.participant.as_ref().and_then(|jid| jid.parse().ok());
    Some(Quote {
        whatsapp_id: WhatsappId::from_outside(id),
        is_ours: writer.as_ref().map(|jid| me.is(jid)),
        sender: writer.filter(|jid| !me.is(jid)).map(|jid| address(Some(&jid), None, names)),
        kind: ContentKind::Other,
        text: String::new(),
    })
}

fn context_info(message: &wa::Message) -> Option<&wa::ContextInfo> {
    macro_rules! first {
        ($($field:ident),+ $(,)?) => {
            None$(.or_else(|| message.$field.as_option().and_then(|m| m.context_info.as_option())))+
        };
    }
    first!(
        extended_text_message,
        image_message,
        video_message,
        ptv_message,
        audio_message,
        document_message,
        sticker_message,
        location_message,
        live_location_message,
        contact_message,
        contacts_array_message,
        poll_creation_message,
        poll_creation_message_v2,
        poll_creation_message_v3,
        poll_creation_message_v5,
        poll_creation_message_v6,
        template_button_reply_message,
        buttons_response_message,
        list_response_message,
        interactive_response_message,
        order_message,
        group_invite_message,
        event_message,
        album_message,
    )
}
