//! How a device is removed: unlinked, stopped and erased with all that waits.
//!
//! Invariant: the task that owns the messages has them until the store has erased the device. When
//! that fails nothing is lost: whoever asked is told, and the device is there with all that waits.

use domain::device::DeviceStatus;
use domain::error::{Error, StoreError};
use domain::ids::AccountId;

use crate::device::connection::UNLINK_WAIT;
use crate::device::journal::Write;
use crate::device::sending::same;
use crate::device::{DeviceTask, Done, Ending};
use crate::reply::Reply;
use crate::timing::within;

impl DeviceTask {
    /// Stops the device and erases it; unlinks it first when it is linked.
    pub(crate) fn remove(&mut self, account: AccountId, reply: Reply<()>) {
        self.fail_pairing("the device was removed");
        let now = self.now();
        self.queue.disconnected(now);
        self.connect_turn = None;
        let is_linked = self.is_paired();
        let (messenger, device) = (self.shared.messenger.clone(), self.id);
        self.begin(async move {
            let stop = async {
                if !is_linked {
                    messenger.disconnect(device).await;
                } else if let Err(error) = messenger.logout(device).await {
                    tracing::warn!(%device, %error, "could not unlink a device that is removed");
                }
            };
            if within(UNLINK_WAIT, stop).await.is_none() {
                tracing::warn!(%device, "unlinking a device that is removed took too long");
            }
            Done::Stopped(account, reply)
        });
    }

    /// The device was stopped: it is erased when all before that is written down.
    pub(crate) fn stopped(&mut self, account: AccountId, reply: Reply<()>) {
        if self.is_paired() {
            self.change(DeviceStatus::LoggedOut, Some("removed".into()), None);
        }
        self.ending = self.ending.or(Some(Ending::Removed));
        let now = self.now();
        self.journal.push(Write::Erase(account, now, reply));
    }

    /// The device is erased; `false` when it was before.
    pub(crate) fn erased(&self, account: AccountId, is_erased: bool, reply: Reply<()>) {
        // Its own webhooks are gone with it.
        self.shared.webhooks.changed(account);
        // Whoever asked may have gone.
        drop(reply.send(is_erased.then_some(()).ok_or(Error::NotFound("device"))));
    }

    /// The device could not be erased: it goes on, with all that waits.
    pub(crate) fn not_erased(&mut self, error: &StoreError, reply: Reply<()>) {
        self.ending = self.ending.filter(|ending| *ending != Ending::Removed);
        // Whoever asked may have gone.
        drop(reply.send(Err(same(error).into())));
    }
}
