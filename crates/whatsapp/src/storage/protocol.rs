//! What the protocol remembers of others: numbers and LIDs, devices, groups, tokens, and messages
//! on their way in and out.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::chat::{ChatId, Lid};
use domain::contact::Identity;
use domain::phone::PhoneNumber;
use domain::ports::ProtocolWrite;
use wacore::store::error::Result;
use wacore::store::traits::{
    DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore,
    TcTokenEntry,
};

use crate::limits::SENT_FOR;

use super::{DeviceState, SEPARATOR, damaged, join, put, remove, stamped, to_json, unstamped};

/// Which devices of a group have our sender key: `group|device`, one byte.
const SENDER_KEY_DEVICE: &str = "sender_key_device";
/// Mappings by LID.
const LID: &str = "lid";
/// The LID last seen for a phone number.
const LID_OF_PHONE: &str = "lid_of_phone";
const BASE_KEY: &str = "base_key";
const DEVICE_LIST: &str = "device_list";
const GROUP: &str = "group";
const TC_TOKEN: &str = "tc_token";
/// Sent messages, for recipients that ask for them again: `hour|chat|id`, a time and the protobuf.
/// The hours are reused in turn, so that expired messages are found without a search.
const SENT: &str = "sent";
/// More hours than a message is kept for: the one being emptied is not written to.
const SENT_HOURS: i64 = SENT_FOR.as_secs() as i64 / HOUR_S + 3;
const HOUR_S: i64 = 60 * 60;
/// Messages decrypted but not yet stored by the engine: `chat|sender|id`, a time and the protobuf.
const PENDING: &str = "pending";

impl DeviceState {
    async fn remove_all(&self, space: &'static str, prefix: &str) -> Result<()> {
        let entries = self.scan(space, prefix).await?;
        self.write(entries.into_iter().map(|(key, _)| remove(space, key)).collect()).await
    }

    /// Removes the stamped entries under `prefix` from before `cutoff_s`; how many.
    async fn remove_older(&self, space: &'static str, prefix: &str, cutoff_s: i64) -> Result<u32> {
        let is_old = |bytes: &[u8]| unstamped(bytes).is_none_or(|(at_s, _)| at_s < cutoff_s);
        let entries = self.scan(space, prefix).await?;
        let old = entries.into_iter().filter(|(_, bytes)| is_old(bytes));
        let writes: Vec<_> = old.map(|(key, _)| remove(space, key)).collect();
        let count = writes.len() as u32;
        self.write(writes).await?;
        Ok(count)
    }

    /// Keeps a message that is sent at `now_s`.
    pub(super) async fn keep_sent(
        &self,
        now_s: i64,
        chat: &str,
        id: &str,
        payload: &[u8],
    ) -> Result<()> {
        self.put(SENT, &join(&[&sent_hour(now_s), chat, id]), stamped(now_s, payload)).await
    }

    async fn put_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        let written = self.put(TC_TOKEN, jid, to_json(entry)?).await;
        // Also when it failed: it may be there all the same.
        self.tokenless.token_stored(jid);
        written
    }

    /// Who has given a token is no stranger. The library names givers by LID, and by number where that
    /// is not known, without saying which.
    async fn report_giver(&self, user: &str) -> Result<()> {
        let chats = match self.get_lid_mapping(user).await? {
            Some(entry) => vec![ChatId::Person(PhoneNumber::from_digits(entry.phone_number))],
            None => vec![
                ChatId::Lid(Lid::from_user(user)),
                ChatId::Person(PhoneNumber::from_digits(user)),
            ],
        };
        let reported = self.reporter.report_chats(chats).await;
        reported.map_err(|error| self.failed(error))
    }

    /// The writes that store mappings, including the removal of numbers a LID no longer has, unless
    /// they are another's by now.
    async fn mapping_writes(&self, entries: &[LidPnMappingEntry]) -> Result<Vec<ProtocolWrite>> {
        let lids: Vec<String> = entries.iter().map(|entry| entry.lid.clone()).collect();
        let mut phone_of: HashMap<String, String> = HashMap::new();
        for (lid, bytes) in self.get_many(LID, &lids).await? {
            phone_of.insert(lid, super::from_json::<LidPnMappingEntry>(&bytes)?.phone_number);
        }
        let mut lid_of: HashMap<String, Vec<u8>> = HashMap::new();
        let phones: Vec<String> = phone_of.values().cloned().collect();
        lid_of.extend(self.get_many(LID_OF_PHONE, &phones).await?);
        let mut writes = Vec::with_capacity(2 * entries.len());
        for entry in entries {
            let before = phone_of.insert(entry.lid.clone(), entry.phone_number.clone());
            let is_own =
                |phone: &String| lid_of.get(phone).is_none_or(|lid| *lid == entry.lid.as_bytes());
            let lost = before.filter(|phone| *phone != entry.phone_number).filter(is_own);
            if let Some(phone) = lost {
                writes.push(remove(LID_OF_PHONE, phone));
            }
            lid_of.insert(entry.phone_number.clone(), entry.lid.clone().into_bytes());
            writes.push(put(LID_OF_PHONE, &*entry.phone_number, entry.lid.clone().into_bytes()));
            writes.push(put(LID, &*entry.lid, to_json(entry)?));
        }
        Ok(writes)
    }
}

/// Who is who by a mapping; `None` for one that was outdated when it came.
fn identity(entry: &LidPnMappingEntry) -> Option<Identity> {
    (entry.created_at > 0).then(|| Identity {
        phone: PhoneNumber::from_digits(&*entry.phone_number),
        lid: Lid::from_user(&entry.lid),
    })
}

/// The first part of the key of what is sent at a time.
fn sent_hour(at_s: i64) -> String {
    at_s.div_euclid(HOUR_S).rem_euclid(SENT_HOURS).to_string()
}

#[async_trait]
impl ProtocolStore for DeviceState {
    async fn get_sender_key_devices(&self, group_jid: &str) -> Result<Vec<(String, bool)>> {
        let prefix = join(&[group_jid, ""]);
        let rows = self.scan(SENDER_KEY_DEVICE, &prefix).await?;
        let status = |(key, value): (String, Vec<u8>)| {
            Some((key.strip_prefix(&prefix)?.to_owned(), value == [1]))
        };
        Ok(rows.into_iter().filter_map(status).collect())
    }

    /// The library takes every device that it meant to send a group's key for a holder, also those
    /// that it could not encrypt for.
    async fn set_sender_key_status(&self, group_jid: &str, entries: &[(&str, bool)]) -> Result<()> {
        let entries = self.stanzas.really_keyed(group_jid, entries);
        let write = |(device, has_key): &(&str, bool)| {
            put(SENDER_KEY_DEVICE, join(&[group_jid, device]), vec![u8::from(*has_key)])
        };
        self.write(entries.iter().map(write).collect()).await
    }

    async fn clear_sender_key_devices(&self, group_jid: &str) -> Result<()> {
        self.remove_all(SENDER_KEY_DEVICE, &join(&[group_jid, ""])).await
    }

    async fn delete_sender_key_device_rows(&self, device_jids: &[&str]) -> Result<()> {
        if device_jids.is_empty() {
            return Ok(());
        }
        let is_meant = |key: &str| {
            key.split_once(SEPARATOR).is_some_and(|(_, device)| device_jids.contains(&device))
        };
        let rows = self.scan(SENDER_KEY_DEVICE, "").await?;
        let meant = rows.into_iter().filter(|(key, _)| is_meant(key));
        self.write(meant.map(|(key, _)| remove(SENDER_KEY_DEVICE, key)).collect()).await
    }

    async fn clear_all_sender_key_devices(&self) -> Result<()> {
        self.remove_all(SENDER_KEY_DEVICE, "").await
    }

    async fn get_lid_mapping(&self, lid: &str) -> Result<Option<LidPnMappingEntry>> {
        self.get_json(LID, lid).await
    }

    async fn get_pn_mapping(&self, phone: &str) -> Result<Option<LidPnMappingEntry>> {
        let Some(lid) = self.get(LID_OF_PHONE, phone).await? else { return Ok(None) };
        let lid = String::from_utf8(lid).map_err(|_| damaged("LID"))?;
        self.get_json(LID, &lid).await
    }

    async fn put_lid_mapping(&self, entry: &LidPnMappingEntry) -> Result<()> {
        self.put_lid_mappings(std::slice::from_ref(entry)).await
    }

    async fn put_lid_mappings(&self, entries: &[LidPnMappingEntry]) -> Result<()> {
        let _guard = self.rmw.lock().await;
        let known = entries.iter().filter_map(identity);
        self.reporter.report(known.collect()).await.map_err(|error| self.failed(error))?;
        let writes = self.mapping_writes(entries).await?;
        let written = self.write(writes).await;
        entries.iter().for_each(|entry| self.tokenless.number_stored(&entry.lid));
        written
    }

    async fn get_all_lid_mappings(&self) -> Result<Vec<LidPnMappingEntry>> {
        let rows = self.scan(LID, "").await?;
        rows.iter().map(|(_, bytes)| super::from_json(bytes)).collect()
    }

    async fn save_base_key(&self, address: &str, message_id: &str, base_key: &[u8]) -> Result<()> {
        self.put(BASE_KEY, &join(&[address, message_id]), base_key.to_vec()).await
    }

    async fn has_same_base_key(
        &self,
        address: &str,
        message_id: &str,
        current_base_key: &[u8],
    ) -> Result<bool> {
        let saved = self.get(BASE_KEY, &join(&[address, message_id])).await?;
        Ok(saved.is_some_and(|key| key == current_base_key))
    }

    async fn delete_base_key(&self, address: &str, message_id: &str) -> Result<()> {
        self.remove(BASE_KEY, &join(&[address, message_id])).await
    }

    async fn update_device_list(&self, record: DeviceListRecord) -> Result<()> {
        self.update_device_lists(vec![record]).await
    }

    async fn update_device_lists(&self, records: Vec<DeviceListRecord>) -> Result<()> {
        let writes: Result<_> =
            records.iter().map(|r| Ok(put(DEVICE_LIST, &*r.user, to_json(r)?))).collect();
        self.write(writes?).await
    }

    async fn get_devices(&self, user: &str) -> Result<Option<DeviceListRecord>> {
        self.get_json(DEVICE_LIST, user).await
    }

    /// The library removes under the number what it has just stored under the LID. Mostly nothing is there, and a
    /// message waits for it: a look is cheaper than a commit.
    async fn delete_devices(&self, user: &str) -> Result<()> {
        match self.get(DEVICE_LIST, user).await? {
            Some(_) => self.remove(DEVICE_LIST, user).await,
            None => Ok(()),
        }
    }

    async fn get_group_metadata(&self, group_jid: &str) -> Result<Option<Vec<u8>>> {
        self.get(GROUP, group_jid).await
    }

    async fn put_group_metadata(&self, group_jid: &str, blob: &[u8]) -> Result<()> {
        self.put(GROUP, group_jid, blob.to_vec()).await
    }

    async fn delete_group_metadata(&self, group_jid: &str) -> Result<()> {
        self.remove(GROUP, group_jid).await
    }

    /// Tokens of a history are stored by number when its LIDs are learnt after them, and looked for by
    /// LID.
    async fn get_tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        let known: Option<TcTokenEntry> = self.get_json(TC_TOKEN, jid).await?;
        if known.as_ref().is_some_and(|entry| !entry.token.is_empty()) {
            return Ok(known);
        }
        let Some(generation) = self.tokenless.generation_unless_known(jid) else {
            return Ok(known);
        };
        let phone = self.get_lid_mapping(jid).await?.map(|mapping| mapping.phone_number);
        let by_number: Option<TcTokenEntry> = match &phone {
            Some(phone) => self.get_json(TC_TOKEN, phone).await?,
            None => None,
        };
        let Some(by_number) = by_number else {
            self.tokenless.add(generation, jid, phone);
            return Ok(known);
        };
        let sender_timestamp = known.and_then(|entry| entry.sender_timestamp);
        let sender_timestamp = sender_timestamp.max(by_number.sender_timestamp);
        Ok(Some(TcTokenEntry { sender_timestamp, ..by_number }))
    }

    async fn put_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        let _guard = self.rmw.lock().await;
        self.put_token(jid, entry).await
    }

    async fn delete_tc_token(&self, jid: &str) -> Result<()> {
        self.remove(TC_TOKEN, jid).await
    }

    async fn get_all_tc_token_jids(&self) -> Result<Vec<String>> {
        Ok(self.scan(TC_TOKEN, "").await?.into_iter().map(|(key, _)| key).collect())
    }

    async fn delete_expired_tc_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> Result<u32> {
        let _guard = self.rmw.lock().await;
        let mut writes = Vec::new();
        for (key, bytes) in self.scan(TC_TOKEN, "").await? {
            let entry: TcTokenEntry = super::from_json(&bytes)?;
            let is_token_live = !entry.token.is_empty() && entry.token_timestamp >= token_cutoff;
            let is_sender_live = entry.sender_timestamp.is_some_and(|at| at >= sender_cutoff);
            if !is_token_live && !is_sender_live {
                writes.push(remove(TC_TOKEN, key));
            }
        }
        let count = writes.len() as u32;
        self.write(writes).await?;
        Ok(count)
    }

    async fn touch_tc_token_sender_timestamp(
        &self,
        jid: &str,
        sender_timestamp: i64,
    ) -> Result<()> {
        let _guard = self.rmw.lock().await;
        let mut entry = self.get_tc_token(jid).await?.unwrap_or_else(|| TcTokenEntry {
            token: Vec::new(),
            token_timestamp: sender_timestamp,
            sender_timestamp: None,
        });
        entry.sender_timestamp = entry.sender_timestamp.max(Some(sender_timestamp));
        self.put_token(jid, &entry).await
    }

    async fn store_received_tc_token(
        &self,
        jid: &str,
        token: &[u8],
        token_timestamp: i64,
    ) -> Result<()> {
        let _guard = self.rmw.lock().await;
        let before = self.get_tc_token(jid).await?;
        let is_stale =
            |e: &TcTokenEntry| !e.token.is_empty() && token_timestamp < e.token_timestamp;
        if before.as_ref().is_some_and(is_stale) {
            return Ok(());
        }
        let is_first = before.as_ref().is_none_or(|entry| entry.token.is_empty());
        let entry = TcTokenEntry {
            token: token.to_vec(),
            token_timestamp,
            sender_timestamp: before.and_then(|entry| entry.sender_timestamp),
        };
        self.put_token(jid, &entry).await?;
        if is_first { self.report_giver(jid).await } else { Ok(()) }
    }

    async fn store_sent_message(
        &self,
        chat_jid: &str,
        message_id: &str,
        payload: &[u8],
    ) -> Result<()> {
        self.keep_sent(wacore::time::now_secs(), chat_jid, message_id, payload).await
    }

    /// Leaves it where it is, in spite of its name: several devices may ask for it at once, and the
    /// library does not wait until the first one's copy is back.
    async fn take_sent_message(&self, chat_jid: &str, message_id: &str) -> Result<Option<Vec<u8>>> {
        let key = |hour: i64| join(&[&hour.to_string(), chat_jid, message_id]);
        let keys: Vec<String> = (0..SENT_HOURS).map(key).collect();
        let mut newest: Option<(i64, Vec<u8>)> = None;
        for (_, bytes) in self.get_many(SENT, &keys).await? {
            let (at_s, payload) = unstamped(&bytes).ok_or_else(|| damaged("sent message"))?;
            if newest.as_ref().is_none_or(|(newest_s, _)| *newest_s < at_s) {
                newest = Some((at_s, payload.to_vec()));
            }
        }
        Ok(newest.map(|(_, payload)| payload))
    }

    /// Called every few minutes: empties the hour that has just expired. When a device is not
    /// connected at that time, its messages go when the same hour comes round again.
    async fn delete_expired_sent_messages(&self, cutoff_timestamp: i64) -> Result<u32> {
        let hour = sent_hour(cutoff_timestamp - HOUR_S);
        self.remove_older(SENT, &join(&[&hour, ""]), cutoff_timestamp).await
    }

    async fn store_pending_inbound(
        &self,
        chat: &str,
        sender: &str,
        id: &str,
        message: &[u8],
    ) -> Result<()> {
        self.store_pending_inbound_batch(&[PendingInboundRow { chat, sender, id, message }]).await
    }

    async fn store_pending_inbound_batch(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        let now_s = wacore::time::now_secs();
        let write = |row: &PendingInboundRow<'_>| {
            put(PENDING, join(&[row.chat, row.sender, row.id]), stamped(now_s, row.message))
        };
        let _together = self.order.read().await;
        let stored = self.commit(rows.iter().map(write).collect()).await;
        if stored.is_err() {
            self.seal();
        }
        stored
    }

    async fn get_pending_inbound(
        &self,
        chat: &str,
        sender: &str,
        id: &str,
    ) -> Result<Option<Vec<u8>>> {
        let Some(bytes) = self.get(PENDING, &join(&[chat, sender, id])).await? else {
            // The library asks for messages that come again.
            let asked = self.missed.came_again(&self.sessions, self.device, [chat, sender, id]);
            return asked.await.map(|()| None).map_err(|error| self.failed(error));
        };
        let (_, message) = unstamped(&bytes).ok_or_else(|| damaged("pending message"))?;
        Ok(Some(message.to_vec()))
    }

    async fn delete_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<()> {
        self.commit(vec![remove(PENDING, join(&[chat, sender, id]))]).await
    }

    async fn delete_pending_inbound_batch(&self, keys: &[PendingInboundKey<'_>]) -> Result<()> {
        let write =
            |key: &PendingInboundKey<'_>| remove(PENDING, join(&[key.chat, key.sender, key.id]));
        self.commit(keys.iter().map(write).collect()).await
    }

    async fn delete_expired_pending_inbound(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.remove_older(PENDING, "", cutoff_timestamp).await
    }
}
