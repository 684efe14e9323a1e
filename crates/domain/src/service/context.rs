//! The rules for what a message refers to.

use super::Core;
use crate::account::Account;
use crate::chat::ChatId;
use crate::content::Content;
use crate::context::{Context, MENTIONS_MAX, Mentions, MessageName, Quote};
use crate::error::{Error, Result};
use crate::ids::DeviceId;
use crate::message::{Direction, Message, MessageState};
use crate::phone::Recipient;

/// Stands for everybody in the group.
const ALL: &str = "all";

/// What a message to be sent refers to, as it was asked for.
pub(super) struct Reference {
    /// Where it goes.
    pub(super) to: ChatId,
    /// The message it answers or reacts to.
    pub(super) reply_to: Option<String>,
    /// Whom it mentions.
    pub(super) mentions: Vec<String>,
}

impl Core {
    pub(super) async fn check_context(
        &self,
        account: &Account,
        device: DeviceId,
        reference: Reference,
        content: &Content,
    ) -> Result<Context> {
        let mentions = check_mentions(account, &reference.to, &reference.mentions, content)?;
        let is_reaction = matches!(content, Content::Reaction(_));
        let field = if is_reaction { "reaction.message" } else { "reply_to" };
        let reply_to = match &reference.reply_to {
            Some(name) => {
                let target = self.target(account, device, field, name).await?;
                if !is_in(&reference.to, &target) {
                    return Err(Error::invalid(field, "must be a message of the chat it goes to"));
                }
                Some(Quote::of(&target))
            }
            None if is_reaction => return Err(Error::invalid(field, "is required")),
            None => None,
        };
        Ok(Context { reply_to, mentions, ..Context::default() })
    }

    async fn target(
        &self,
        account: &Account,
        device: DeviceId,
        field: &'static str,
        name: &str,
    ) -> Result<Message> {
        let named = MessageName::parse(name)
            .ok_or_else(|| Error::invalid(field, "must be a message's id, ours or WhatsApp's"))?;
        let found = self.store.message_named(account.id, device, &named).await?;
        let found = found.ok_or_else(|| Error::invalid(field, "is no message of this device"))?;
        let never_sent = matches!(
            found.state,
            MessageState::Failed | MessageState::Expired | MessageState::Cancelled
        );
        if found.state.is_waiting() || never_sent {
            return Err(Error::invalid(field, "must be a message that has been sent"));
        }
        if let Some(why) = not_shown(&found) {
            return Err(Error::invalid(field, why));
        }
        Ok(found)
    }
}

/// Why phones cannot show an answer or a reaction to a message.
fn not_shown(message: &Message) -> Option<&'static str> {
    if message.content.is_of_another() {
        Some(
            "must not be an edit, a deletion, a reaction or a vote; name the message that it is about",
        )
    } else if message.context.changes.revoked_at.is_some() {
        Some("must not be a message that was deleted for everyone")
    } else {
        None
    }
}

/// Whether a message is in the chat; the chat with a person goes by number or by LID.
fn is_in(chat: &ChatId, message: &Message) -> bool {
    let by_sender = || {
        let sender = message.sender.as_ref().filter(|_| message.direction() == Direction::In);
        sender.is_some_and(|sender| match chat {
            ChatId::Person(phone) => sender.phone.as_ref() == Some(phone),
            ChatId::Lid(lid) => sender.lid.as_ref() == Some(lid),
            ChatId::Group(_) | ChatId::Other(_) => false,
        })
    };
    message.chat == *chat || (!message.is_in_group() && by_sender())
}

/// Whom a message to a chat mentions, as it was asked for.
pub(super) fn check_mentions(
    account: &Account,
    to: &ChatId,
    given: &[String],
    content: &Content,
) -> Result<Mentions> {
    let refused = |message: &str| Err(Error::invalid("mentions", message));
    if given.is_empty() {
        return Ok(Mentions::default());
    }
    if given.len() > MENTIONS_MAX {
        return refused(&format!("must have at most {MENTIONS_MAX} entries"));
    }
    if !matches!(content, Content::Text(_) | Content::File(_) | Content::Edit(_)) {
        return refused("go with a text or a caption only");
    }
    let mut mentions = Mentions::default();
    for one in given {
        if one.trim().eq_ignore_ascii_case(ALL) {
            if !to.is_group() {
                return refused("can be `all` in a group only");
            }
            mentions.all = true;
            continue;
        }
        match Recipient::parse(one, &account.default_country) {
            Ok(Recipient::Group(_)) | Err(_) => {
                return refused("must be phone numbers, LIDs or `all`");
            }
            Ok(person) => {
                let person = ChatId::from(person).short().to_owned();
                if !mentions.people.contains(&person) {
                    mentions.people.push(person);
                }
            }
        }
    }
    Ok(mentions)
}
