//! Answers and reactions: the phone knows the message that they are on.

use rusqlite::{OptionalExtension as _, params};
use wacore::proto_helpers::MessageExt as _;
use wacore_binary::{Jid, Server};
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;

use super::content::Content;
use crate::address::{DeviceAddr, Number};
use crate::error::{Result, not_found};
use crate::switchboard::Switchboard;

impl Switchboard {
    /// Makes a message refer to one that the phone has sent or received.
    pub(super) fn refer(
        &mut self,
        number: Number,
        chat: &Jid,
        id: &str,
        message: &mut wa::Message,
    ) -> Result<()> {
        let known = "SELECT sender, content FROM inbox WHERE number = ?1 AND id = ?2 \
                     UNION ALL SELECT number, content FROM sent WHERE number = ?1 AND id = ?2";
        let found: Option<(i64, String)> = self
            .db
            .prepare_cached(known)?
            .query_row(params![number.sql(), id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (writer, content) =
            found.ok_or_else(|| not_found(format!("{number} has no message {id}")))?;
        let writer = DeviceAddr::phone(Number::from_sql(writer));
        let is_own = writer.number == number;
        let participant = writer.number.jid().to_string();
        if let Some(reaction) = message.reaction_message.as_option_mut() {
            reaction.key = MessageField::some(wa::MessageKey {
                remote_jid: Some(chat.to_string()),
                from_me: Some(is_own),
                id: Some(id.to_owned()),
                participant: (chat.server == Server::Group).then_some(participant),
            });
            return Ok(());
        }
        if let Some(protocol) = message.protocol_message.as_option_mut() {
            // An admin deletes what others wrote.
            protocol.key = MessageField::some(wa::MessageKey {
                remote_jid: Some(chat.to_string()),
                from_me: Some(is_own),
                id: Some(id.to_owned()),
                participant: (!is_own).then_some(participant),
            });
            return Ok(());
        }
        let content: Content = serde_json::from_str(&content).unwrap_or_default();
        let quoted =
            wa::Message { conversation: content.text.or(content.caption), ..Default::default() };
        // What the message says of itself, such as whom it mentions, stays.
        let mentioned_jid = super::content::mentioned(message);
        message.set_context_info(wa::ContextInfo {
            stanza_id: Some(id.to_owned()),
            participant: Some(participant),
            quoted_message: MessageField::some(quoted),
            mentioned_jid,
            ..Default::default()
        });
        Ok(())
    }
}
