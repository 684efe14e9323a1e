//! The history that a phone gives a device when it has linked it: its chats, with the tokens of the
//! people in them and both names of each.

use rusqlite::{OptionalExtension as _, params};
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp as wa;
use waproto::whatsapp::message as wam;

use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::Result;
use crate::media::StoredMedia;
use crate::switchboard::Switchboard;

/// Bytes of text in one message that fills a history.
const FILLER_BYTES: usize = 48 * 1024;

impl Switchboard {
    /// The chats of a number as an encoded history; `filler_bytes` of messages make it large.
    pub(crate) fn history_of(
        &mut self,
        number: Number,
        chats: &[Number],
        filler_bytes: usize,
    ) -> Result<Vec<u8>> {
        self.touch_phone(number)?;
        let fillers = filler_bytes.div_ceil(FILLER_BYTES);
        let mut conversations = Vec::with_capacity(chats.len());
        let mut mappings = Vec::with_capacity(chats.len());
        for (index, peer) in chats.iter().enumerate() {
            self.touch_phone(*peer)?;
            self.give_token(*peer, number)?;
            self.give_token(number, *peer)?;
            let share = fillers / chats.len() + usize::from(index < fillers % chats.len());
            conversations.push(self.conversation(number, *peer, share)?);
            if !self.phone(*peer)?.hidden {
                mappings.push(wa::PhoneNumberToLIDMapping {
                    pn_jid: Some(peer.jid().to_string()),
                    lid_jid: Some(self.lid_jid(*peer).to_string()),
                });
            }
        }
        let history = wa::HistorySync {
            sync_type: wa::history_sync::HistorySyncType::INITIAL_BOOTSTRAP,
            conversations,
            phone_number_to_lid_mappings: mappings,
            ..Default::default()
        };
        Ok(history.encode_to_vec())
    }

    fn conversation(
        &self,
        number: Number,
        peer: Number,
        fillers: usize,
    ) -> Result<wa::Conversation> {
        let by_lid = self.is_migrated(number)? || self.phone(peer)?.hidden;
        let id = if by_lid { self.lid_jid(peer) } else { peer.jid() }.to_string();
        let messages = (0..fillers).map(|_| filler(&id)).collect();
        Ok(wa::Conversation {
            messages,
            tc_token: Some(self.token(peer, number)?),
            tc_token_timestamp: u64::try_from(clock::unix_s()).ok(),
            id,
            ..Default::default()
        })
    }

    /// Keeps the notification of a stored history for the next linked device of a number.
    pub(crate) fn keep_history(&mut self, number: Number, stored: StoredMedia) -> Result<()> {
        let sealed = stored.sealed;
        let notification = wam::HistorySyncNotification {
            file_sha256: Some(sealed.file_sha256),
            file_length: Some(sealed.file_length),
            media_key: Some(sealed.media_key),
            file_enc_sha256: Some(sealed.file_enc_sha256),
            direct_path: Some(stored.direct_path),
            sync_type: Some(wam::HistorySyncType::INITIAL_BOOTSTRAP),
            chunk_order: Some(1),
            progress: Some(100),
            ..Default::default()
        };
        let sql = "INSERT OR REPLACE INTO histories (number, notification) VALUES (?1, ?2)";
        let row = params![number.sql(), notification.encode_to_vec()];
        self.db.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// Gives a device that was just linked the history that is kept for it.
    pub(super) fn send_history(&mut self, device: DeviceAddr) -> Result<()> {
        let sql = "DELETE FROM histories WHERE number = ?1 RETURNING notification";
        let kept: Option<Vec<u8>> = self
            .db
            .prepare_cached(sql)?
            .query_row([device.number.sql()], |row| row.get(0))
            .optional()?;
        let Some(notification) = kept else { return Ok(()) };
        let notification = wam::HistorySyncNotification::decode_from_slice(&notification)
            .map_err(|_| crate::error::SimulatorError::Internal("a stored history".into()))?;
        let message = wa::Message {
            protocol_message: MessageField::some(wam::ProtocolMessage {
                r#type: Some(wam::protocol_message::Type::HISTORY_SYNC_NOTIFICATION),
                history_sync_notification: MessageField::some(notification),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.send_to_own_device(device, &message)
    }
}

/// A message that does not become smaller when it is compressed.
fn filler(chat: &str) -> wa::HistorySyncMsg {
    let bytes: [u8; FILLER_BYTES / 2] = clock::random_bytes();
    let key = wa::MessageKey {
        remote_jid: Some(chat.to_owned()),
        id: Some(clock::message_id()),
        ..Default::default()
    };
    let text = wa::Message { conversation: Some(hex::encode(bytes)), ..Default::default() };
    let message = wa::WebMessageInfo {
        key: MessageField::some(key),
        message: MessageField::some(text),
        message_timestamp: u64::try_from(clock::unix_s()).ok(),
        ..Default::default()
    };
    wa::HistorySyncMsg { message: MessageField::some(message), msg_order_id: None }
}
