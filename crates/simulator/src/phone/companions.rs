//! What others do with their own phones: further devices, a new installation, keys that cannot be
//! had.
//!
//! A companion is a row of `devices` like a client's, but lives in this process: its Signal state and
//! its inbox are kept as if it were a phone, under [`Number::of_companion`].

use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use wacore_binary::builder::NodeBuilder;

use super::pairing;
use super::{AutoReceipts, Phone};
use crate::address::{DeviceAddr, Number, OWNERS_BEFORE_MAX};
use crate::clock;
use crate::error::{Result, bad_request, not_found};
use crate::keys::SIGNED_PREKEY_ID;
use crate::limits::LINKED_DEVICES_MAX;
use crate::switchboard::{StanzaClass, Switchboard};

/// What a query for the keys of a number's devices is answered with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BundleKind {
    Normal,
    /// Without a one-time key, as when they have run out.
    NoOneTime,
    /// Nothing: the device is left out.
    None,
    /// An error for the device.
    Refused,
}

impl BundleKind {
    const ALL: [Self; 4] = [Self::Normal, Self::NoOneTime, Self::None, Self::Refused];

    fn from_sql(value: i64) -> Self {
        Self::ALL.into_iter().find(|kind| *kind as i64 == value).unwrap_or(Self::Normal)
    }
}

impl Switchboard {
    /// Which linked devices are simulated here; after a start.
    pub(crate) fn load_companions(&mut self) -> Result<()> {
        let mut query =
            self.db.prepare("SELECT number, device FROM devices WHERE noise_key = x''")?;
        let rows = query.query_map([], |row| {
            Ok(DeviceAddr { number: Number::from_sql(row.get(0)?), device: row.get(1)? })
        })?;
        self.companions = rows.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// The settings of a companion: it is on, and says what arrives when its phone does.
    pub(super) fn companion_phone(&self, number: Number) -> Result<Phone> {
        let auto_receipts = self.phone(number.owner())?.auto_receipts.min(AutoReceipts::Delivered);
        Ok(Phone {
            registered: self.companions.contains(&number.device()),
            online: true,
            auto_receipts,
            passkey: false,
            by_lid: false,
            migrated: false,
            hidden: false,
            answers_as: None,
            ephemeral_s: 0,
        })
    }

    /// The companions of a number, in the order in which they were added.
    fn companions_of(&self, number: Number) -> Vec<DeviceAddr> {
        let of_number = self.companions.iter().filter(|device| device.number == number);
        let mut companions: Vec<_> = of_number.copied().collect();
        companions.sort_unstable();
        companions
    }

    /// Adds companions, or removes the newest; others hear of it only when it is announced.
    pub(crate) fn set_companions(
        &mut self,
        number: Number,
        count: usize,
        announced: bool,
    ) -> Result<()> {
        if count > LINKED_DEVICES_MAX {
            return Err(bad_request(format!("count is at most {LINKED_DEVICES_MAX}")));
        }
        let surplus = self.companions_of(number).into_iter().skip(count).collect::<Vec<_>>();
        for device in surplus {
            self.remove_companion(device)?;
            if announced {
                self.notify_device_list_changed(device, "remove")?;
            }
        }
        while self.companions_of(number).len() < count {
            let device = self.add_companion(number)?;
            if announced {
                self.notify_device_list_changed(device, "add")?;
            }
        }
        self.phone_changed(number);
        Ok(())
    }

    fn add_companion(&mut self, number: Number) -> Result<DeviceAddr> {
        let device = DeviceAddr { number, device: self.next_device_number(number)? };
        let key_index = u32::from(device.device);
        let (phone, keys) = (self.keys_of(number)?, self.keys_of(Number::of_companion(device))?);
        let proof = pairing::companion_proof(&phone, &keys, key_index)?;
        let (signed, signature) = keys.signed_prekey()?;
        self.db
            .prepare_cached(
                "INSERT INTO devices (number, device, noise_key, identity_key, registration, skey_id, \
                 skey, skey_signature, identity_proof, key_index, platform, keys_shared, linked_ms, \
                 seen_ms) VALUES (?1, ?2, x'', ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'companion', 1, ?10, ?10)",
            )?
            .execute(params![
                number.sql(),
                device.device,
                keys.identity.public_key().public_key_bytes(),
                keys.registration_id(),
                SIGNED_PREKEY_ID,
                signed.public_key.public_key_bytes(),
                signature,
                proof,
                key_index,
                clock::unix_ms()
            ])?;
        self.companions.insert(device);
        Ok(device)
    }

    fn remove_companion(&mut self, device: DeviceAddr) -> Result<()> {
        self.db
            .prepare_cached("DELETE FROM devices WHERE number = ?1 AND device = ?2")?
            .execute(params![device.number.sql(), device.device])?;
        self.forget_sessions(Number::of_companion(device))?;
        self.companions.remove(&device);
        Ok(())
    }

    /// Where the state of a number's `index`-th companion is kept; the first is 1.
    pub(crate) fn companion(&self, number: Number, index: usize) -> Result<Number> {
        let companions = self.companions_of(number);
        let device = index.checked_sub(1).and_then(|index| companions.get(index));
        let missing = || not_found(format!("{number} has no companion {index}"));
        device.copied().map(Number::of_companion).ok_or_else(missing)
    }

    /// How often the phone of a number was reinstalled.
    pub(crate) fn generation(&self, number: Number) -> Result<u32> {
        let sql = "SELECT generation FROM phones WHERE number = ?1";
        let mut query = self.db.prepare_cached(sql)?;
        let found = query.query_row([number.sql()], |row| row.get(0)).optional()?;
        Ok(found.unwrap_or_default())
    }

    /// The phone is installed anew: other keys, no sessions, no linked devices. Its correspondents are
    /// notified.
    pub(crate) fn reinstall(&mut self, number: Number) -> Result<()> {
        self.install_anew(number)?;
        for device in self.correspondents(number)? {
            self.notify_identity_change(number, device)?;
        }
        self.phone_changed(number);
        Ok(())
    }

    /// Another person has the number now: another LID, other keys, nothing received, no trust. Only who
    /// goes by the number is notified: the former owner's LID has no number any more.
    pub(crate) fn recycle(&mut self, number: Number) -> Result<()> {
        let before = self.owners_before(number);
        if before >= OWNERS_BEFORE_MAX {
            return Err(bad_request(format!("a number has {OWNERS_BEFORE_MAX} owners before one")));
        }
        let correspondents = self.correspondents(number)?;
        self.install_anew(number)?;
        self.recycled.insert(number, before + 1);
        let sql = "UPDATE phones SET recycled = ?2 WHERE number = ?1";
        self.db.prepare_cached(sql)?.execute(params![number.sql(), before + 1])?;
        for sql in [
            "DELETE FROM inbox WHERE number = ?1",
            "DELETE FROM sent WHERE number = ?1",
            "DELETE FROM tokens WHERE giver = ?1 OR receiver = ?1",
            "DELETE FROM chat_timers WHERE number = ?1 OR peer = ?1",
            "DELETE FROM group_members WHERE number = ?1",
        ] {
            self.db.prepare_cached(sql)?.execute([number.sql()])?;
        }
        for device in correspondents {
            if device.number != number && !self.is_migrated(device.number)? {
                self.notify_identity_change(number, device)?;
            }
        }
        self.phone_changed(number);
        Ok(())
    }

    fn install_anew(&mut self, number: Number) -> Result<()> {
        self.touch_phone(number)?;
        for device in self.linked_devices(number)? {
            match self.companions.contains(&device) {
                true => self.remove_companion(device)?,
                false => self.unpair(device, std::time::Duration::ZERO)?,
            }
        }
        self.forget_sessions(number)?;
        self.forget_app_state(number)?;
        self.db
            .prepare_cached("UPDATE phones SET generation = generation + 1 WHERE number = ?1")?
            .execute([number.sql()])?;
        self.phone_keys.remove(&number);
        Ok(())
    }

    fn notify_identity_change(&mut self, number: Number, device: DeviceAddr) -> Result<()> {
        let notification = NodeBuilder::new("notification")
            .attr("from", number.jid())
            .attr("type", "encrypt")
            .attr("id", clock::message_id())
            .attr("t", clock::unix_s().to_string())
            .children([NodeBuilder::new("identity").build()])
            .build();
        self.mail(device, StanzaClass::Notification, notification)
    }

    /// What a query for the keys of a number's devices is answered with.
    pub(crate) fn bundle_kind(&self, number: Number) -> Result<BundleKind> {
        let sql = "SELECT bundle FROM phones WHERE number = ?1";
        let mut query = self.db.prepare_cached(sql)?;
        let found = query.query_row([number.sql()], |row| row.get(0)).optional()?;
        Ok(found.map_or(BundleKind::Normal, BundleKind::from_sql))
    }

    /// Sets what such a query is answered with.
    pub(crate) fn set_bundle_kind(&mut self, number: Number, kind: BundleKind) -> Result<()> {
        self.touch_phone(number)?;
        let sql = "UPDATE phones SET bundle = ?2 WHERE number = ?1";
        self.db.prepare_cached(sql)?.execute(params![number.sql(), kind as i64])?;
        Ok(())
    }
}
