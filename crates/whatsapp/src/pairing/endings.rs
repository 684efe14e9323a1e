//! What follows when a connection, or the link, has ended.

use std::time::Duration;

use domain::device::DisconnectReason;
use domain::ports::MessengerEvent;
use domain::proxy::ProxyFault;

use super::{Purpose, Supervisor};
use crate::client::Session;
use crate::connection::{Connection, Deadline, DeadlineAction, end_connection};
use crate::disconnect::{self, Ending};

impl Supervisor {
    /// Reports that the stored session cannot be read; whether to try again.
    pub(super) async fn without_session(&mut self) -> bool {
        if matches!(self.purpose, Purpose::Pair(_)) {
            self.fail_pairing("the gateway's database cannot be reached".to_owned()).await;
            return false;
        }
        self.handle_loss(DisconnectReason::ConnectionLost, None).await
    }

    /// Reports that the device's proxy must not be used, or cannot; whether to try again.
    pub(super) async fn without_proxy(&mut self, fault: ProxyFault) -> bool {
        let reason = DisconnectReason::Proxy(fault);
        if matches!(self.purpose, Purpose::Pair(_)) {
            self.fail_pairing(reason.describe()).await;
            return false;
        }
        self.handle_loss(reason, None).await
    }

    /// Acts on an ending; whether to connect again.
    pub(super) async fn handle_ending(
        &mut self,
        session: &Session,
        ending: Ending,
        held: Option<Duration>,
    ) -> bool {
        match ending {
            Ending::Wanted | Ending::NewClient => true,
            Ending::Paired => {
                self.failures = 0;
                true
            }
            Ending::LoggedOut(text) => {
                session.close().await;
                self.forget(&text).await;
                false
            }
            Ending::PairingFailed(text) => {
                session.close().await;
                self.fail_pairing(text).await;
                false
            }
            Ending::Lost(DisconnectReason::ClientOutdated)
                if self.shared.versions.has_other_than(session.version, &session.http).await =>
            {
                tracing::info!(device = %self.device, "WhatsApp wants a newer version; using it");
                self.failures = disconnect::failures_after(self.failures, held);
                true
            }
            Ending::Lost(reason) if matches!(self.purpose, Purpose::Pair(_)) => {
                session.close().await;
                self.fail_pairing(self.shared.versions.specify(reason).describe()).await;
                false
            }
            Ending::Lost(reason) => {
                self.handle_loss(self.shared.versions.specify(reason), held).await
            }
        }
    }

    /// The library acts on most of them itself. For the others it waits until the server closes; we do not wait.
    pub(super) fn handle_stream_error(
        &self,
        session: &mut Session,
        watch: &mut Connection,
        node: &whatsapp_rust::OwnedNodeRef,
    ) {
        let code = node.get().attrs().optional_string("code").map(|code| code.to_string());
        session.rearm();
        if let Some(ending) = code.as_deref().and_then(Ending::from_stream_error) {
            session.sink.note(ending);
            self.online.set(None);
            watch.deadline = Deadline::new(Duration::from_secs(1), DeadlineAction::Reconnect);
        }
    }

    pub(super) async fn on_deadline(&mut self, session: &Session, watch: &mut Connection) {
        let action = std::mem::replace(&mut watch.deadline, Deadline::none()).action;
        match action {
            DeadlineAction::Nothing => {}
            DeadlineAction::ReleaseLogin => watch.login_permit = None,
            DeadlineAction::FailPairing => {
                session.sink.fail_pairing("the device was not paired in time");
            }
            DeadlineAction::FailPasskey => {
                session.sink.fail_pairing("the passkey was not given and confirmed in 10 minutes");
            }
            DeadlineAction::Reconnect => {
                session.sink.note(Ending::Wanted);
                self.online.set(None);
                end_connection(self.device, session.client.clone());
            }
        }
    }

    pub(super) async fn forget(&self, text: &str) {
        self.erase().await;
        self.emit(MessengerEvent::LoggedOut(text.to_owned())).await;
    }

    pub(super) async fn fail_pairing(&self, text: String) {
        self.erase().await;
        self.emit(MessengerEvent::PairingFailed(text)).await;
    }

    async fn erase(&self) {
        if let Err(error) = self.shared.erase(self.device, &self.online.awaited).await {
            tracing::error!(device = %self.device, %error, "the session could not be erased");
        }
    }
}
