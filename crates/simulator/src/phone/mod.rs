//! Virtual phones: device 0 of every number.
//!
//! Every number exists, is registered, online, and reads its mail, unless the control API
//! changed that. A phone holds Signal sessions with linked devices; messages between phones are
//! not encrypted, because both ends are in this process.

mod app_state;
mod companions;
pub(crate) use companions::BundleKind;
pub(crate) mod content;
mod history;
mod migration;
mod older;
pub(crate) mod pairing;
pub(crate) mod passkey;
mod quotes;
mod receipts;
mod receive;
mod resend;
mod reupload;
mod send;
pub(crate) mod signal;
mod timers;
pub(crate) mod views;
mod votes;

use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use crate::address::Number;
use crate::clock;
use crate::error::{Result, bad_request, conflict};
use crate::switchboard::Switchboard;

use passkey::PasskeyPatch;
pub(crate) use receive::Incoming;
pub(crate) use send::PhoneMessage;

/// Which receipts a phone sends by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AutoReceipts {
    None,
    /// That a message has been delivered.
    Delivered,
    /// That too, and after a while that it has been read.
    Read,
}

impl AutoReceipts {
    fn from_sql(value: i64) -> Self {
        match value {
            0 => AutoReceipts::None,
            1 => AutoReceipts::Delivered,
            _ => AutoReceipts::Read,
        }
    }
}

/// The settings of a phone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phone {
    /// Whether the number is on WhatsApp.
    pub(crate) registered: bool,
    /// Whether the phone is on; mail waits otherwise.
    pub(crate) online: bool,
    /// See [`AutoReceipts`].
    pub(crate) auto_receipts: AutoReceipts,
    /// Whether linking demands a passkey.
    pub(crate) passkey: bool,
    /// Whether others see its LID first, and its number only beside it.
    pub(crate) by_lid: bool,
    /// Whether its account addresses people by LID, and only so.
    pub(crate) migrated: bool,
    /// Whether others see its LID only.
    pub(crate) hidden: bool,
    /// The number under which the account is known, when this is a second spelling of it: a check of
    /// this number answers that one.
    pub(crate) answers_as: Option<Number>,
    /// The timer of its chats that have none of their own, in seconds; 0 for none.
    pub(crate) ephemeral_s: u32,
}

/// The fields that the control API may change.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PhonePatch {
    registered: Option<bool>,
    online: Option<bool>,
    auto_receipts: Option<AutoReceipts>,
    passkey: Option<PasskeyPatch>,
    by_lid: Option<bool>,
    migrated: Option<bool>,
    hidden: Option<bool>,
    /// Empty when it is no second spelling any more.
    answers_as: Option<String>,
    ephemeral_s: Option<u32>,
    /// The owner's name, as the devices learn it from the app state.
    push_name: Option<String>,
}

fn parse_number(text: &str) -> Result<Number> {
    Number::parse(text).ok_or_else(|| bad_request("answers_as is a phone number or empty"))
}

impl Switchboard {
    /// The settings of `number`'s phone.
    pub(crate) fn phone(&self, number: Number) -> Result<Phone> {
        if !number.device().is_phone() {
            return self.companion_phone(number);
        }
        let found = self
            .db
            .prepare_cached(
                "SELECT registered, online, auto_receipts, passkey, by_lid, answers_as, ephemeral_s, \
                 migrated, hidden FROM phones WHERE number = ?1",
            )?
            .query_row([number.sql()], |row| {
                Ok(Phone {
                    registered: row.get(0)?,
                    online: row.get(1)?,
                    auto_receipts: AutoReceipts::from_sql(row.get(2)?),
                    passkey: row.get(3)?,
                    by_lid: row.get(4)?,
                    answers_as: Some(row.get(5)?).filter(|of| *of != 0).map(Number::from_sql),
                    ephemeral_s: row.get(6)?,
                    migrated: row.get(7)?,
                    hidden: row.get(8)?,
                })
            })
            .optional()?;
        Ok(found.unwrap_or(Phone {
            registered: true,
            online: true,
            auto_receipts: AutoReceipts::Read,
            passkey: false,
            by_lid: false,
            answers_as: None,
            ephemeral_s: 0,
            migrated: false,
            hidden: false,
        }))
    }

    /// An error unless the phone is online and registered.
    pub(crate) fn in_use(&self, number: Number) -> Result<()> {
        let phone = self.phone(number)?;
        match phone.registered && phone.online {
            true => Ok(()),
            false => Err(conflict(format!("the phone {number} is offline or not registered"))),
        }
    }

    /// Changes a phone's settings; one that comes online receives its mail.
    pub(crate) fn change_phone(&mut self, number: Number, patch: PhonePatch) -> Result<Phone> {
        let old = self.phone(number)?;
        if let Some(PasskeyPatch::Known(passkey)) = &patch.passkey {
            passkey.check()?;
        }
        let new = Phone {
            registered: patch.registered.unwrap_or(old.registered),
            online: patch.online.unwrap_or(old.online),
            auto_receipts: patch.auto_receipts.unwrap_or(old.auto_receipts),
            passkey: match patch.passkey {
                None => old.passkey,
                Some(PasskeyPatch::Demanded(is_demanded)) => is_demanded,
                Some(PasskeyPatch::Known(_)) => true,
            },
            by_lid: patch.by_lid.unwrap_or(old.by_lid),
            answers_as: match patch.answers_as.as_deref() {
                None => old.answers_as,
                Some("") => None,
                Some(text) => Some(parse_number(text)?).filter(|other| *other != number),
            },
            migrated: patch.migrated.unwrap_or(old.migrated),
            hidden: patch.hidden.unwrap_or(old.hidden),
            ephemeral_s: patch.ephemeral_s.unwrap_or(old.ephemeral_s),
        };
        self.db
            .prepare_cached(
                "INSERT INTO phones \
                 (number, registered, online, auto_receipts, passkey, by_lid, answers_as, seen_ms, \
                 ephemeral_s, migrated, hidden) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (number) DO UPDATE SET \
                 registered = ?2, online = ?3, auto_receipts = ?4, passkey = ?5, by_lid = ?6, \
                 answers_as = ?7, seen_ms = ?8, ephemeral_s = ?9, migrated = ?10, hidden = ?11",
            )?
            .execute(params![
                number.sql(),
                new.registered,
                new.online,
                new.auto_receipts as i64,
                new.passkey,
                new.by_lid,
                new.answers_as.map_or(0, Number::sql),
                clock::unix_ms(),
                new.ephemeral_s,
                new.migrated,
                new.hidden
            ])?;
        if let Some(name) = patch.push_name.as_deref().filter(|name| !name.is_empty()) {
            self.set_owner_name(number, name)?;
        }
        match &patch.passkey {
            Some(PasskeyPatch::Known(passkey)) => self.set_passkey(number, Some(passkey))?,
            Some(PasskeyPatch::Demanded(_)) => self.set_passkey(number, None)?,
            None => {}
        }
        if new.migrated && !old.migrated && new.online {
            self.announce_migration(number)?;
        }
        if new.online {
            self.take_waiting_mail(number)?;
            self.send_due_receipts(number, new)?;
        }
        self.phone_changed(number);
        Ok(new)
    }

    /// Records that a phone was used, for the list of phones.
    pub(crate) fn touch_phone(&mut self, number: Number) -> Result<()> {
        self.db
            .prepare_cached(
                "INSERT INTO phones (number, seen_ms) VALUES (?1, ?2) \
                 ON CONFLICT (number) DO UPDATE SET seen_ms = ?2",
            )?
            .execute(params![number.sql(), clock::unix_ms()])?;
        Ok(())
    }
}
