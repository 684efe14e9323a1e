//! Requests to connect a device that has stopped, or that waits to try again.

use std::time::Duration;

use domain::device::DeviceStatus;
use domain::error::Error;

use super::DeviceTask;
use super::journal::Write;
use crate::reply::{Reply, answer};

/// What was asked for and is not done yet.
#[derive(Default)]
pub(super) struct ConnectRequests {
    /// From before the device was read; as many as callers wait.
    early: Vec<Reply<()>>,
    /// Whether the next connection is somebody's wish.
    is_open: bool,
}

impl ConnectRequests {
    /// The next connection is somebody's wish: it waits for no pause from before.
    pub(super) fn open(&mut self) {
        self.is_open = true;
    }

    /// A connection begins: whether somebody wishes it.
    pub(super) fn take(&mut self) -> bool {
        std::mem::take(&mut self.is_open)
    }

    fn add_early(&mut self, reply: Reply<()>) {
        self.early.retain(|earlier| !earlier.is_closed());
        self.early.push(reply);
    }
}

impl DeviceTask {
    /// Connects the device again, on request, once it is known; not while it is banned, which more logins would
    /// prolong.
    pub(super) fn reconnect(&mut self, reply: Reply<()>) {
        if self.connection.status().is_none() && self.connection.account().is_some() {
            return self.requests.add_early(reply);
        }
        if self.connection.banned_at(self.now()).is_some() {
            let error = Error::Conflict("the number is banned; `reason` says until when");
            return answer(reply, Err(error));
        }
        if self.connection.status() == Some(DeviceStatus::Disconnected) {
            self.change(DeviceStatus::Connecting, Some("connecting by request".into()), None);
        }
        if self.connection.status() == Some(DeviceStatus::Connecting) {
            self.requests.open();
            self.ask_to_connect(Duration::ZERO);
        }
        self.records.push(Write::Barrier(reply));
    }

    /// The device was read: does what was asked for before.
    pub(super) fn reconnect_as_asked(&mut self) {
        for reply in std::mem::take(&mut self.requests.early) {
            self.reconnect(reply);
        }
    }
}
