//! The receipts a phone sends: delivered at once, read after a while.
//!
//! Invariant: `inbox.state` says which receipts were sent, and changes in the transaction that
//! mails them; so after a restart the missing ones are sent, and none twice.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{OptionalExtension as _, params};
use wacore_binary::{Jid, Server};

use super::content::Content;
use super::{AutoReceipts, Incoming, Phone};
use crate::address::Number;
use crate::clock;
use crate::error::{Result, bad_request, not_found};
use crate::limits::RECEIPT_IDS_MAX;
use crate::switchboard::Switchboard;

/// States of an inbox row.
const ARRIVED: i64 = 1;
const DELIVERED: i64 = 2;
const READ: i64 = 3;
const PLAYED: i64 = 4;

/// The columns that a receipt needs.
struct InboxRow {
    id: String,
    sender: Number,
    group: Option<Jid>,
    state: i64,
}

/// The chat's group; `None` for direct chats.
fn group_of(chat: &str) -> Option<Jid> {
    let chat: Option<Jid> = chat.parse().ok();
    chat.filter(|chat| chat.server == Server::Group)
}

impl Switchboard {
    /// A message is in the inbox for the first time.
    pub(super) fn arrived(&mut self, number: Number, incoming: &Incoming) -> Result<()> {
        let phone = self.phone(number)?;
        if phone.auto_receipts == AutoReceipts::None {
            return Ok(());
        }
        let ids = std::slice::from_ref(&incoming.id);
        self.set_inbox_state(number, ids, DELIVERED)?;
        self.give_own_receipt(number, incoming.from.number, incoming.group.as_ref(), "", ids)?;
        self.read_later(number, phone);
        Ok(())
    }

    /// A message has come once more: its receipts are repeated, as phones do.
    pub(super) fn arrived_again(&mut self, number: Number, incoming: &Incoming) -> Result<()> {
        if self.phone(number)?.auto_receipts == AutoReceipts::None {
            return Ok(());
        }
        let ids = std::slice::from_ref(&incoming.id);
        self.give_own_receipt(number, incoming.from.number, incoming.group.as_ref(), "", ids)
    }

    /// Sends the receipts that are missing, after a restart or a change of settings.
    pub(crate) fn send_due_receipts(&mut self, number: Number, phone: Phone) -> Result<()> {
        if phone.auto_receipts != AutoReceipts::None {
            self.pass_state(number, ARRIVED, DELIVERED, "", i64::MAX)?;
        }
        self.read_later(number, phone);
        Ok(())
    }

    /// Every phone sends its missing receipts.
    pub(crate) fn resume_receipts(&mut self) -> Result<()> {
        let numbers: Vec<i64> = {
            let sql = "SELECT DISTINCT number FROM inbox WHERE state < 3";
            let mut query = self.db.prepare(sql)?;
            let rows = query.query_map([], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        for number in numbers.into_iter().map(Number::from_sql) {
            let phone = self.phone(number)?;
            if phone.online {
                self.send_due_receipts(number, phone)?;
            }
        }
        Ok(())
    }

    /// The person reads everything now.
    pub(crate) fn read_all(&mut self, number: Number) -> Result<usize> {
        self.pass_state(number, ARRIVED, DELIVERED, "", i64::MAX)?;
        let read = self.pass_state(number, DELIVERED, READ, "read", i64::MAX)?;
        self.phone_changed(number);
        Ok(read)
    }

    /// The person reads one message now.
    pub(crate) fn read_one(&mut self, number: Number, id: &str) -> Result<usize> {
        let (_, row) = self.inbox_row(number, id)?;
        let read = self.advance_row(number, &row, READ, "read")?;
        self.phone_changed(number);
        Ok(read)
    }

    /// The person plays a voice note, or other audio, and so has read it.
    pub(crate) fn play(&mut self, number: Number, id: &str) -> Result<usize> {
        let (content, row) = self.inbox_row(number, id)?;
        if !content.is_playable() {
            return Err(bad_request("only audio can be played"));
        }
        self.advance_row(number, &row, READ, "read")?;
        let played = self.advance_row(number, &row, PLAYED, "played")?;
        self.phone_changed(number);
        Ok(played)
    }

    /// Every member of a group reads everything in it now: for each message, its author gets one
    /// receipt of all of them. How many messages were read.
    pub(crate) fn group_reads(&mut self, group: &Jid) -> Result<usize> {
        let mut read: BTreeMap<(i64, String), Vec<Number>> = BTreeMap::new();
        {
            let sql = "SELECT number, sender, id FROM inbox WHERE chat = ?1 AND state < 3";
            let mut query = self.db.prepare_cached(sql)?;
            let mut rows = query.query([group.to_string()])?;
            while let Some(row) = rows.next()? {
                let reader = Number::from_sql(row.get(0)?);
                if reader.device().is_phone() {
                    read.entry((row.get(1)?, row.get(2)?)).or_default().push(reader);
                }
            }
        }
        for ((author, id), readers) in &read {
            for reader in readers {
                self.set_inbox_state(*reader, std::slice::from_ref(id), READ)?;
            }
            self.give_group_receipt(Number::from_sql(*author), group, id, readers)?;
        }
        Ok(read.len())
    }

    fn inbox_row(&self, number: Number, id: &str) -> Result<(Content, InboxRow)> {
        let sql = "SELECT content, sender, chat, state FROM inbox WHERE number = ?1 AND id = ?2";
        let mut query = self.db.prepare_cached(sql)?;
        let found = query.query_row(params![number.sql(), id], |row| {
            let chat: String = row.get(2)?;
            let row_of = InboxRow {
                id: id.to_owned(),
                sender: Number::from_sql(row.get(1)?),
                group: group_of(&chat),
                state: row.get(3)?,
            };
            Ok((row.get::<_, String>(0)?, row_of))
        });
        let missing = || not_found(format!("{number} has received no message {id:?}"));
        let (content, row) = found.optional()?.ok_or_else(missing)?;
        Ok((serde_json::from_str(&content).unwrap_or_default(), row))
    }

    /// Moves one message to a later state and sends the receipt, unless it is there already.
    fn advance_row(
        &mut self,
        number: Number,
        row: &InboxRow,
        state: i64,
        kind: &str,
    ) -> Result<usize> {
        if row.state >= state {
            return Ok(0);
        }
        let ids = std::slice::from_ref(&row.id);
        if row.state < DELIVERED && state == READ {
            self.give_own_receipt(number, row.sender, row.group.as_ref(), "", ids)?;
        }
        self.set_inbox_state(number, ids, state)?;
        self.give_own_receipt(number, row.sender, row.group.as_ref(), kind, ids)?;
        Ok(1)
    }

    fn read_later(&mut self, number: Number, phone: Phone) {
        if phone.auto_receipts != AutoReceipts::Read || !self.reading.insert(number) {
            return;
        }
        let delay = self.read_delay;
        self.later(delay, move |sb| sb.read_due(number));
    }

    /// Reads what has been in the inbox for long enough.
    fn read_due(&mut self, number: Number) -> Result<()> {
        self.reading.remove(&number);
        let phone = self.phone(number)?;
        if phone.auto_receipts != AutoReceipts::Read || !phone.online {
            return Ok(());
        }
        let delay = i64::try_from(self.read_delay.as_millis()).unwrap_or(i64::MAX);
        let before = clock::unix_ms().saturating_sub(delay);
        self.pass_state(number, DELIVERED, READ, "read", before)?;
        self.phone_changed(number);
        if let Some(next_ms) = self.next_unread_ms(number)? {
            let wait = next_ms.saturating_add(delay).saturating_sub(clock::unix_ms());
            let wait = Duration::from_millis(wait.max(1).unsigned_abs());
            self.reading.insert(number);
            self.later(wait, move |sb| sb.read_due(number));
        }
        Ok(())
    }

    fn next_unread_ms(&self, number: Number) -> Result<Option<i64>> {
        let sql = "SELECT MIN(at_ms) FROM inbox WHERE number = ?1 AND state = 2 AND state < 3";
        Ok(self.db.prepare_cached(sql)?.query_row([number.sql()], |row| row.get(0))?)
    }

    /// Moves all rows of one state to the next and sends their receipts.
    fn pass_state(
        &mut self,
        number: Number,
        old: i64,
        new: i64,
        kind: &str,
        before_ms: i64,
    ) -> Result<usize> {
        let due: Vec<(String, i64, String)> = {
            let sql = "SELECT id, sender, chat FROM inbox WHERE number = ?1 AND state = ?2 \
                       AND state < 3 AND at_ms <= ?3 ORDER BY seq";
            let mut query = self.db.prepare_cached(sql)?;
            let rows = query.query_map(params![number.sql(), old, before_ms], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
            rows.collect::<Result<_, _>>()?
        };
        let count = due.len();
        let mut chats: BTreeMap<(i64, String), Vec<String>> = BTreeMap::new();
        for (id, sender, chat) in due {
            chats.entry((sender, chat)).or_default().push(id);
        }
        for ((sender, chat), ids) in chats {
            let group = group_of(&chat);
            for ids in ids.chunks(RECEIPT_IDS_MAX) {
                self.set_inbox_state(number, ids, new)?;
                self.give_own_receipt(number, Number::from_sql(sender), group.as_ref(), kind, ids)?;
            }
        }
        Ok(count)
    }

    fn give_own_receipt(
        &mut self,
        number: Number,
        author: Number,
        group: Option<&Jid>,
        kind: &str,
        ids: &[String],
    ) -> Result<()> {
        self.give_receipt(number.device(), author, group, kind, ids)
    }

    fn set_inbox_state(&mut self, number: Number, ids: &[String], state: i64) -> Result<()> {
        let sql = "UPDATE inbox SET state = MAX(state, ?3) WHERE number = ?1 AND id = ?2";
        let mut update = self.db.prepare_cached(sql)?;
        for id in ids {
            update.execute(params![number.sql(), id, state])?;
        }
        Ok(())
    }

    /// A linked device has read, or played, messages for its phone.
    pub(crate) fn read_elsewhere(
        &mut self,
        number: Number,
        ids: &[String],
        played: bool,
    ) -> Result<()> {
        self.set_inbox_state(number, ids, if played { PLAYED } else { READ })?;
        self.phone_changed(number);
        Ok(())
    }

    /// Sends receipts for messages of `author` or its devices.
    pub(crate) fn sent_state(&mut self, author: Number, ids: &[String], kind: &str) -> Result<()> {
        let state = match kind {
            "played" => PLAYED,
            "read" => READ,
            "" | "inactive" => DELIVERED,
            _ => return Ok(()),
        };
        let sql = "UPDATE sent SET state = MAX(state, ?3) WHERE number = ?1 AND id = ?2";
        let mut update = self.db.prepare_cached(sql)?;
        for id in ids {
            update.execute(params![author.sql(), id, state])?;
        }
        drop(update);
        self.phone_changed(author);
        Ok(())
    }
}
