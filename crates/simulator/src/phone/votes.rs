//! Votes in polls, hidden from the service with the poll's key.

use rusqlite::{OptionalExtension as _, params};
use wacore::poll::{compute_option_hash, encrypt_poll_vote_with_secret};
use wacore_binary::{Jid, Server};
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::message as wam;

use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::{Result, SimulatorError, bad_request, not_found};
use crate::switchboard::Switchboard;

impl Switchboard {
    /// The message with which a phone chooses these answers of a poll that it has sent or received.
    pub(crate) fn vote(
        &mut self,
        number: Number,
        chat: &Jid,
        poll: &str,
        options: &[String],
    ) -> Result<wa::Message> {
        let known = "SELECT sender, message FROM inbox WHERE number = ?1 AND id = ?2 \
                     UNION ALL SELECT number, message FROM sent WHERE number = ?1 AND id = ?2";
        let found: Option<(i64, Option<Vec<u8>>)> = self
            .db
            .prepare_cached(known)?
            .query_row(params![number.sql(), poll], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (creator, message) =
            found.ok_or_else(|| not_found(format!("{number} has no message {poll}")))?;
        let message = message.unwrap_or_default();
        let message = waproto::codec::message_decode(&message)
            .map_err(|_| SimulatorError::Internal("a stored message".into()))?;
        let secret = secret(&message).ok_or_else(|| bad_request("that message is no poll"))?;
        let creator = Number::from_sql(creator);
        // Who hides the number is known by LID, and so is everybody to a migrated creator.
        let by_lid =
            self.is_migrated(creator)? || self.phone(creator)?.hidden || self.phone(number)?.hidden;
        let name = |of: Number| if by_lid { self.lid_jid(of) } else { of.jid() };
        let (creator_name, voter) = (name(creator).to_string(), name(number).to_string());
        let chosen: Vec<Vec<u8>> =
            options.iter().map(|option| compute_option_hash(option).to_vec()).collect();
        let sealed = encrypt_poll_vote_with_secret(&chosen, secret, poll, &creator_name, &voter);
        let (payload, iv) = sealed.map_err(|error| SimulatorError::Internal(error.to_string()))?;
        let is_own = creator == number;
        let participant = DeviceAddr::phone(creator).number.jid().to_string();
        let key = wa::MessageKey {
            remote_jid: Some(chat.to_string()),
            from_me: Some(is_own),
            id: Some(poll.to_owned()),
            participant: (chat.server == Server::Group && !is_own).then_some(participant),
        };
        let update = wam::PollUpdateMessage {
            poll_creation_message_key: MessageField::some(key),
            vote: MessageField::some(wam::PollEncValue {
                enc_payload: Some(payload),
                enc_iv: Some(iv.to_vec()),
            }),
            sender_timestamp_ms: Some(clock::unix_ms()),
            ..Default::default()
        };
        Ok(wa::Message { poll_update_message: MessageField::some(update), ..Default::default() })
    }
}

fn secret(message: &wa::Message) -> Option<&[u8]> {
    let own_copy =
        message.device_sent_message.as_option().and_then(|sent| sent.message.as_option());
    let mut infos = [Some(message), own_copy]
        .into_iter()
        .flatten()
        .filter_map(|message| message.message_context_info.as_option());
    infos.find_map(|info| info.message_secret.as_deref())
}
