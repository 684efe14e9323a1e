//! Logging in, becoming active, and unpairing.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, params};
use wacore_binary::NodeRef;
use wacore_binary::builder::NodeBuilder;

use super::{jid_attr, result};
use crate::address::DeviceAddr;
use crate::clock;
use crate::control::rules::{FaultOn, Happening, Struck};
use crate::error::Result;
use crate::switchboard::{ConnId, StanzaClass, Switchboard, failure};

/// A client that logs out gets the answer to that before its connection ends.
const LOGOUT_GRACE: Duration = Duration::from_millis(150);

impl Switchboard {
    /// Logs a linked device in, or answers 401 when it is not linked.
    pub(crate) fn log_in(&mut self, id: ConnId, device: DeviceAddr) -> Result<()> {
        let known: Option<Vec<u8>> = self
            .db
            .prepare_cached("SELECT noise_key FROM devices WHERE number = ?1 AND device = ?2")?
            .query_row(params![device.number.sql(), device.device], |row| row.get(0))
            .optional()?;
        let proved = self.conns.get(&id).map(|conn| conn.client_static);
        if known.is_none() || known != proved.map(Vec::from) {
            self.send(id, failure(401, None));
            self.close(id);
            return Ok(());
        }
        self.counters.logins += 1;
        let struck = self.strike(Happening::new(FaultOn::Login, &[device.number]));
        let Some(delay) = struck.delay else { return self.finish_login(id, device, struck) };
        self.later(delay, move |sb| sb.finish_login(id, device, struck.after_delay()));
        Ok(())
    }

    /// Answers a login that has proved itself.
    fn finish_login(&mut self, id: ConnId, device: DeviceAddr, struck: Struck) -> Result<()> {
        let Some(conn) = self.conns.get(&id) else { return Ok(()) };
        let (version, is_passive, language) =
            (conn.version, conn.is_passive, conn.language.clone());
        let refusal = match self.is_outdated(version) {
            true => Some((405, None)),
            false => self.faults.refuses_login(device.number).map(|code| (code, None)),
        };
        if let Some((code, expire_s)) = refusal.or(struck.failure) {
            self.send(id, failure(code, expire_s));
            self.close(id);
            return Ok(());
        }
        if let Some(code) = struck.disconnect {
            self.cut_off(id, code);
            return Ok(());
        }
        if let Some(older) = self.by_device.insert(device, id) {
            self.close_with_conflict(older, "replaced");
        }
        self.db
            .prepare_cached(
                "UPDATE devices SET seen_ms = ?3, language = ?4 WHERE number = ?1 AND device = ?2",
            )?
            .execute(params![device.number.sql(), device.device, clock::unix_ms(), language])?;
        let success = NodeBuilder::new("success")
            .attr("t", clock::unix_s().to_string())
            .attr("props", "1")
            .attr("location", "sim")
            .attr("creation", clock::unix_s().to_string())
            .attr("lid", self.device_lid_jid(device))
            .build();
        self.send(id, success);
        self.welcome(id, device)?;
        self.phone_changed(device.number);
        match is_passive {
            true => Ok(()),
            false => self.begin_mail(id, device),
        }
    }

    /// The client wants its mail now, or no more of it.
    pub(super) fn on_passive(
        &mut self,
        id: ConnId,
        is_passive: bool,
        node: &NodeRef<'_>,
    ) -> Result<()> {
        self.send(id, result(node, vec![]));
        let Some(device) = self.device_of(id) else {
            return Ok(());
        };
        if is_passive {
            if let Some(conn) = self.conns.get_mut(&id) {
                (conn.live, conn.mail_asked) = (false, false);
            }
            return Ok(());
        }
        self.begin_mail(id, device)
    }

    /// Sends a client its waiting mail, unless that has begun.
    fn begin_mail(&mut self, id: ConnId, device: DeviceAddr) -> Result<()> {
        match self.conns.get_mut(&id) {
            Some(conn) if !conn.mail_asked => conn.mail_asked = true,
            _ => return Ok(()),
        }
        let counts = self.waiting_counts(device)?;
        if counts.0 + counts.1 + counts.2 > 0 {
            let preview = NodeBuilder::new("offline_preview")
                .attr("count", (counts.0 + counts.1 + counts.2).to_string())
                .attr("message", counts.0.to_string())
                .attr("receipt", counts.1.to_string())
                .attr("notification", counts.2.to_string())
                .attr("appdata", "0")
                .build();
            let ib = NodeBuilder::new("ib").attr("from", "s.whatsapp.net");
            self.send(id, ib.children([preview]).build());
        }
        self.next_mail_page(id)
    }

    fn waiting_counts(&self, device: DeviceAddr) -> Result<(i64, i64, i64)> {
        let count = |class: StanzaClass| {
            self.db
                .prepare_cached(
                    "SELECT COUNT(*) FROM mail WHERE number = ?1 AND device = ?2 AND class = ?3",
                )?
                .query_row(params![device.number.sql(), device.device, class.name()], |row| {
                    row.get(0)
                })
        };
        Ok((
            count(StanzaClass::Message)?,
            count(StanzaClass::Receipt)?,
            count(StanzaClass::Notification)?,
        ))
    }

    /// A client logs itself, or another device of its phone, out.
    pub(super) fn on_remove_device(
        &mut self,
        id: ConnId,
        device: DeviceAddr,
        node: &NodeRef<'_>,
    ) -> Result<()> {
        let named = node
            .get_optional_child("remove-companion-device")
            .and_then(|child| jid_attr(child, "jid"))
            .and_then(|jid| DeviceAddr::from_jid(&jid));
        let removed = named.filter(|named| named.number == device.number && !named.is_phone());
        self.send(id, result(node, vec![]));
        self.unpair(removed.unwrap_or(device), LOGOUT_GRACE)
    }

    /// Removes a linked device: its rows and its mail now, its connection after `grace`.
    pub(crate) fn unpair(&mut self, device: DeviceAddr, grace: Duration) -> Result<()> {
        for table in ["devices", "prekeys", "mail"] {
            let sql = format!("DELETE FROM {table} WHERE number = ?1 AND device = ?2");
            self.db.prepare_cached(&sql)?.execute(params![device.number.sql(), device.device])?;
        }
        for table in ["sessions", "sender_keys"] {
            let sql = format!("DELETE FROM {table} WHERE peer = ?1 AND peer_device = ?2");
            self.db.prepare_cached(&sql)?.execute(params![device.number.sql(), device.device])?;
        }
        self.sessions.retain(|(_, peer), _| *peer != device);
        self.sender_keys.retain(|(_, _, peer), _| *peer != device);
        if let Some(&conn) = self.by_device.get(&device) {
            self.later(grace, move |sb| {
                sb.close_with_conflict(conn, "device_removed");
                Ok(())
            });
        }
        self.notify_device_list_changed(device, "remove")?;
        self.phone_changed(device.number);
        Ok(())
    }

    /// The name under which a device's messages arrive.
    pub(super) fn set_push_name(&mut self, device: DeviceAddr, name: &str) -> Result<()> {
        let name: String = name.chars().take(100).collect();
        self.db
            .prepare_cached("UPDATE devices SET push_name = ?3 WHERE number = ?1 AND device = ?2")?
            .execute(params![device.number.sql(), device.device, name])?;
        Ok(())
    }
}
