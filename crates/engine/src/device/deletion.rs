//! How a device is deleted: unpaired, stopped and erased with all that waits.
//!
//! Invariant: the task that owns the messages has them until the store has erased the device. When
//! that fails nothing is lost: the caller gets the error, and the device is there with all that
//! waits.

use domain::device::DeviceStatus;
use domain::error::{Error, StoreError};
use domain::ids::AccountId;

use super::connection::UNPAIR_WAIT;
use super::jobs::Done;
use super::journal::Write;
use super::records::same;
use super::{DeviceTask, Ending};
use crate::reply::{Reply, answer};
use crate::timing::within;

impl DeviceTask {
    /// Stops the device and erases it; unpairs it first when it is paired, or may be.
    pub(super) fn remove(&mut self, account: AccountId, reply: Reply<()>) {
        self.fail_pairing("the device was removed");
        self.stop_sending();
        let may_be_paired = self.connection.is_paired() || self.is_link_unknown();
        let (messenger, device) = (self.context.messenger().clone(), self.id);
        self.begin(async move {
            let stop = async {
                if !may_be_paired {
                    messenger.disconnect(device).await;
                } else if let Err(error) = messenger.logout(device).await {
                    tracing::warn!(%error, "could not unpair a device that is deleted");
                }
            };
            if within(UNPAIR_WAIT, stop).await.is_none() {
                tracing::warn!("unpairing a device that is deleted took too long");
            }
            Done::Stopped(account, reply)
        });
    }

    /// The device was stopped: it is erased when all before that is written down.
    pub(super) fn stopped(&mut self, account: AccountId, reply: Reply<()>) {
        if self.connection.is_paired() {
            self.change(DeviceStatus::LoggedOut, Some("removed".into()), None);
        }
        self.ending = self.ending.or(Some(Ending::Removed));
        let now = self.now();
        self.records.push(Write::Erase(account, now, reply));
    }

    /// The device is erased; `false` when it was before.
    pub(super) fn erased(&self, account: AccountId, is_erased: bool, reply: Reply<()>) {
        // Its own webhooks are gone with it.
        self.context.webhooks().changed(account);
        answer(reply, is_erased.then_some(()).ok_or(Error::NotFound("device")));
    }

    /// The device could not be erased: it goes on, with all that waits.
    pub(super) fn not_erased(&mut self, error: &StoreError, reply: Reply<()>) {
        self.ending = self.ending.filter(|ending| *ending != Ending::Removed);
        answer(reply, Err(same(error).into()));
    }
}
