//! Disappearing chats: a chat's timer, and the messages that set it.

use rusqlite::{OptionalExtension as _, params};
use wacore::proto_helpers::MessageExt as _;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Server};
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::message as wam;
use waproto::whatsapp::message::protocol_message::Type;

use super::content::Content;
use super::send::Parcel;
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::{Result, bad_request, not_found};
use crate::switchboard::Switchboard;

impl Switchboard {
    /// The timer of what `number` sends to a chat, in seconds; 0 for none.
    fn timer(&self, number: Number, chat: &Jid) -> Result<u32> {
        if chat.server == Server::Group {
            return self.group_timer(&chat.user);
        }
        let Some(peer) = DeviceAddr::from_jid(chat) else { return Ok(0) };
        let sql = "SELECT ephemeral_s FROM chat_timers WHERE number = ?1 AND peer = ?2 UNION ALL \
                   SELECT ephemeral_s FROM phones WHERE number = ?1 LIMIT 1";
        let mut query = self.db.prepare_cached(sql)?;
        let key = params![number.sql(), peer.number.sql()];
        Ok(query.query_row(key, |row| row.get(0)).optional()?.unwrap_or_default())
    }

    /// The timer of a group, in seconds; 0 for none.
    pub(crate) fn group_timer(&self, id: &str) -> Result<u32> {
        let sql = "SELECT ephemeral_s FROM groups WHERE id = ?1";
        let mut query = self.db.prepare_cached(sql)?;
        Ok(query.query_row([id], |row| row.get(0)).optional()?.unwrap_or_default())
    }

    /// What a phone sends carries its chat's timer.
    pub(super) fn put_timer(
        &self,
        number: Number,
        to: &Jid,
        message: &mut wa::Message,
    ) -> Result<()> {
        let timer = self.timer(number, to)?;
        message.set_ephemeral_expiration(timer);
        Ok(())
    }

    /// A person sets a chat's timer on the phone, or an admin a group's.
    pub(crate) fn set_chat_timer(
        &mut self,
        number: Number,
        chat: &Jid,
        seconds: u32,
    ) -> Result<()> {
        self.in_use(number)?;
        if chat.server == Server::Group {
            return self.set_group_timer(&chat.user, seconds);
        }
        let peer = DeviceAddr::from_jid(chat)
            .ok_or_else(|| bad_request("that is neither a number nor a group"))?
            .number;
        self.keep_timer(number, peer, seconds)?;
        let setting = wam::ProtocolMessage {
            r#type: Some(Type::EPHEMERAL_SETTING),
            ephemeral_expiration: Some(seconds),
            ephemeral_setting_timestamp: Some(clock::unix_s()),
            ..Default::default()
        };
        let message =
            wa::Message { protocol_message: MessageField::some(setting), ..Default::default() };
        let (id, content) = (clock::message_id(), Content::default());
        let plain = waproto::codec::message_to_vec(&message);
        self.send_to_person(&Parcel { number, id: &id, to: &peer.jid(), content: &content, plain })
    }

    /// A message that came in sets the timer of its chat.
    pub(super) fn take_timer(
        &mut self,
        number: Number,
        peer: Number,
        message: &wa::Message,
    ) -> Result<()> {
        match message.protocol_message.as_option() {
            Some(setting) if setting.r#type == Some(Type::EPHEMERAL_SETTING) => {
                self.keep_timer(number, peer, setting.ephemeral_expiration.unwrap_or_default())
            }
            _ => Ok(()),
        }
    }

    fn keep_timer(&mut self, number: Number, peer: Number, seconds: u32) -> Result<()> {
        let sql =
            "INSERT OR REPLACE INTO chat_timers (number, peer, ephemeral_s) VALUES (?1, ?2, ?3)";
        self.db.prepare_cached(sql)?.execute(params![number.sql(), peer.sql(), seconds])?;
        Ok(())
    }

    fn set_group_timer(&mut self, id: &str, seconds: u32) -> Result<()> {
        let sql = "UPDATE groups SET ephemeral_s = ?2 WHERE id = ?1";
        if self.db.prepare_cached(sql)?.execute(params![id, seconds])? == 0 {
            return Err(not_found(format!("there is no group {id:?}")));
        }
        let news = match seconds {
            0 => NodeBuilder::new("not_ephemeral").build(),
            _ => NodeBuilder::new("ephemeral").attr("expiration", seconds.to_string()).build(),
        };
        self.notify_group(id, None, &news)
    }
}
