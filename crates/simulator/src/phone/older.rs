//! A linked device asks its phone for messages of a chat from before the oldest one that it has.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use rusqlite::{OptionalExtension as _, params};
use wacore_binary::Jid;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp as wa;
use waproto::whatsapp::message as wam;
use waproto::whatsapp::message::peer_data_operation_request_message::HistorySyncOnDemandRequest;

use crate::address::{DeviceAddr, Number};
use crate::error::Result;
use crate::limits::OLDER_MESSAGES_MAX;
use crate::switchboard::Switchboard;

impl Switchboard {
    /// Answers with a history of that chat alone, newest first, inside the message itself.
    pub(super) fn give_older(
        &mut self,
        number: Number,
        to: DeviceAddr,
        id: &str,
        request: &HistorySyncOnDemandRequest,
    ) -> Result<()> {
        let asked = request.chat_jid.clone().unwrap_or_default();
        let jid: Option<Jid> = asked.parse().ok();
        let peer = jid.as_ref().and_then(DeviceAddr::from_jid).map(|peer| peer.number);
        let chat = peer.map_or_else(|| asked.clone(), |peer| peer.jid().to_string());
        let mut messages = Vec::new();
        for id in self.ids_before(number, &chat, request)? {
            let key = wa::MessageKey { id: Some(id), ..Default::default() };
            let message = self.web_message(number, &key)?;
            messages.push(wa::HistorySyncMsg {
                message: MessageField::some(message),
                msg_order_id: None,
            });
        }
        let conversation = wa::Conversation { id: asked, messages, ..Default::default() };
        let history = wa::HistorySync {
            sync_type: wa::history_sync::HistorySyncType::ON_DEMAND,
            conversations: vec![conversation],
            ..Default::default()
        };
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&history.encode_to_vec())?;
        let notification = wam::HistorySyncNotification {
            sync_type: Some(wam::HistorySyncType::ON_DEMAND),
            chunk_order: Some(1),
            progress: Some(100),
            peer_data_request_session_id: Some(id.to_owned()),
            initial_hist_bootstrap_inline_payload: Some(encoder.finish()?),
            ..Default::default()
        };
        let protocol = wam::ProtocolMessage {
            r#type: Some(wam::protocol_message::Type::HISTORY_SYNC_NOTIFICATION),
            history_sync_notification: MessageField::some(notification),
            ..Default::default()
        };
        let message =
            wa::Message { protocol_message: MessageField::some(protocol), ..Default::default() };
        self.send_to_own_device(to, &message)
    }

    /// The messages of a chat before one, newest first.
    fn ids_before(
        &self,
        number: Number,
        chat: &str,
        request: &HistorySyncOnDemandRequest,
    ) -> Result<Vec<String>> {
        let oldest = request.oldest_msg_id.as_deref().unwrap_or_default();
        let known = "SELECT at_ms FROM inbox WHERE number = ?1 AND id = ?2 \
                     UNION ALL SELECT at_ms FROM sent WHERE number = ?1 AND id = ?2 LIMIT 1";
        let mut query = self.db.prepare_cached(known)?;
        let at_ms = query.query_row(params![number.sql(), oldest], |row| row.get(0)).optional()?;
        let at_ms: i64 = at_ms.or(request.oldest_msg_timestamp_ms).unwrap_or_default();
        let count = request.on_demand_msg_count.unwrap_or_default().clamp(0, OLDER_MESSAGES_MAX);
        let before = "SELECT id FROM (SELECT id, at_ms, seq FROM inbox WHERE number = ?1 AND chat = ?2 \
                      UNION ALL SELECT id, at_ms, seq FROM sent WHERE number = ?1 AND chat = ?2) \
                      WHERE at_ms <= ?3 AND id <> ?4 ORDER BY at_ms DESC, seq DESC LIMIT ?5";
        let mut query = self.db.prepare_cached(before)?;
        let values = params![number.sql(), chat, at_ms, oldest, count];
        let rows = query.query_map(values, |row| row.get(0))?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }
}
