//! What pages need to know to look again: that something has changed, not what.

use futures_util::StreamExt;
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream};

use super::{Core, Principal};
use crate::error::Result;
use crate::ids::DeviceId;
use crate::webhook::EventKind;

/// Something that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageChange {
    /// What an event of this kind is about.
    Event(EventKind),
    /// The device that is watched: its status, or what is needed to pair it.
    Device,
}

impl Core {
    /// That something changes in the account that is looked at, live, and more closely of one device. It
    /// ends with the session, or the link, and when nothing is reported of that device any more: it is
    /// deleted, its task has nothing left to do, or another node runs it. Who goes on watching asks again.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::error::Error::Forbidden) for the operator,
    /// [`Error::NotFound`](crate::error::Error::NotFound) for the device,
    /// [`Error::TooManyStreams`](crate::error::Error::TooManyStreams).
    pub async fn watch_changes(
        &self,
        principal: &Principal,
        device: Option<DeviceId>,
    ) -> Result<BoxStream<'static, PageChange>> {
        let (account, bound) = (principal.account_id()?, principal.caller.bound_device());
        let events = self.dispatcher.watch_account(account);
        let events = events.filter_map(move |event| {
            let is_theirs = bound.is_none_or(|device| event.device.id == device);
            ready(is_theirs.then_some(Some(PageChange::Event(event.kind))))
        });
        let notices = match device {
            Some(id) => {
                // Nothing is kept for watchers of what does not exist.
                self.device(principal, id).await?;
                let notices = self.dispatcher.watch(id).map(|_| Some(PageChange::Device));
                notices.chain(stream::iter([None])).boxed()
            }
            None => stream::pending().boxed(),
        };
        let changes = stream::select(events, notices);
        let changes = changes.take_while(|change| ready(change.is_some())).filter_map(ready);
        self.as_live(principal, changes.boxed()).await
    }
}
