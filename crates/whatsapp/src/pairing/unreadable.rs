//! Messages that could not be decrypted: kept until they come, reported when they do not.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::error::StoreError;
use domain::ports::{MessengerEvent, StoreResult};
use futures_util::future::{BoxFuture, FutureExt as _, ready};

use super::Supervisor;
use crate::awaited::AwaitedStore;
use crate::client::Session;
use crate::events::Undecryptable;
use crate::incoming;
use crate::known_names::KnownNames;

impl Supervisor {
    /// Keeps a message that could not be decrypted; nothing leaves the connection until that is stored.
    pub(super) fn await_message(
        &self,
        session: &Session,
        message: Undecryptable,
    ) -> BoxFuture<'static, StoreResult<()>> {
        if self.is_silent.load(Ordering::SeqCst) {
            return ready(Err(StoreError::Unavailable("the pairing is ending".into()))).boxed();
        }
        let (client, me) = (session.client.clone(), session.sink.me());
        let (shared, awaited) = (self.shared.clone(), self.online.awaited.clone());
        let (device, addressing) = (self.device, self.online.addressing.clone());
        async move {
            let Undecryptable { info, is_lost } = message;
            addressing.note_group(&info);
            let names = KnownNames::of_envelope(&client, &info).await;
            let Some(unreadable) = incoming::unreadable(&info, &me, &names) else { return Ok(()) };
            let store = AwaitedStore { store: &shared.sessions, device };
            // It comes again over a new connection when its acknowledgement was lost.
            let is_new = awaited.add(&store, unreadable, is_lost).await?;
            match shared.events.get().filter(|_| is_new) {
                Some(events) => events.event(device, MessengerEvent::Undecryptable).await,
                None => Ok(()),
            }
        }
        .boxed()
    }

    /// Asks the phone for what it was not asked for yet, and reports what has been waited for long enough.
    pub(super) fn look_after_awaited(&self, session: &Session) {
        let awaited = self.online.awaited.clone();
        let (client, device) = (session.client.clone(), self.device);
        let requests = awaited.take_requests();
        if !requests.is_empty() {
            tokio::spawn(async move {
                for info in requests {
                    // Nothing is asked for twice: the library remembers what it has asked for.
                    if client.send_pdo_placeholder_resend_request(&Arc::new(info)).await.is_err() {
                        tracing::debug!(%device, "the phone could not be asked for a message");
                    }
                }
            });
        }
        if !awaited.is_due() {
            return;
        }
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let Some(events) = shared.events.get() else { return };
            let store = AwaitedStore { store: &shared.sessions, device };
            if let Err(error) = awaited.report(&store, &**events, false).await {
                tracing::debug!(%device, %error, "unreadable messages are reported later");
            }
        });
    }
}
