//! The device and its own phone, when one cannot read what the other asks or answers.
//!
//! The library may send on a session before it has stored what an incoming message changed in it; after a crash in
//! between, the two ends do not fit. Others who cannot read a message ask for it again, and the library makes a new
//! session with them. What the phone asks for again it leaves unanswered where no chat is named, as WhatsApp's own
//! clients do, and what the phone has answered need not come a second time. Here the session is dropped then: the
//! next request begins a new one.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _, pending, select_all};
use tokio::time::{Instant, timeout};
use wacore::types::message::{MessageCategory, MessageInfo};
use wacore_binary::Jid;
use whatsapp_rust::{Client, NodeFilter, OwnedNodeRef};

use super::Supervisor;
use crate::client::Session;
use crate::connection::end_connection;
use crate::disconnect::Ending;
use crate::events::Me;
use crate::limits::{CLOSE_MAX, NEW_SESSION_FIRST, NEW_SESSION_MAX};

/// Resolves with the next request of the phone for something that it could not read.
pub(super) fn retry(client: &Client, me: &Me) -> BoxFuture<'static, Arc<OwnedNodeRef>> {
    let filter = NodeFilter::tag("receipt").attr("type", "retry");
    let own = phones(me).into_iter();
    let retries: Vec<_> =
        own.map(|jid| client.wait_for_node(filter.clone().from_jid(&jid))).collect();
    if retries.is_empty() {
        return pending().boxed();
    }
    async move {
        match select_all(retries).await.0 {
            Ok(node) => node,
            // A client that is gone hears nothing any more.
            Err(_) => pending().await,
        }
    }
    .boxed()
}

/// How often the session with the phone was dropped, and when last.
#[derive(Default)]
pub(super) struct NewSessions {
    count: u32,
    last: Option<Instant>,
    /// Whether it is to be dropped once the pause is over.
    is_due: bool,
}

impl NewSessions {
    /// Whether it may be dropped now; the pauses double, for a phone with which no session is of use.
    fn begin(&mut self) -> bool {
        let doublings = self.count.saturating_sub(1).min(16);
        let pause = (NEW_SESSION_FIRST * (1 << doublings)).min(NEW_SESSION_MAX);
        self.is_due = self.last.is_some_and(|last| last.elapsed() < pause);
        if self.is_due {
            return false;
        }
        *self =
            Self { count: self.count.saturating_add(1), last: Some(Instant::now()), is_due: false };
        true
    }
}

/// Whether it is something that the phone has written to this device, and nobody else.
fn is_from_phone(info: &MessageInfo, me: &Me) -> bool {
    let sender = &info.source.sender;
    info.category == MessageCategory::Peer && sender.device == 0 && me.is(sender)
}

/// The addresses of the phone.
fn phones(me: &Me) -> Vec<Jid> {
    [&me.pn, &me.lid].into_iter().flatten().map(Jid::to_non_ad).collect()
}

impl Supervisor {
    /// The phone could not read something. Of messages in chats the library takes care.
    pub(super) fn phone_could_not_read(&mut self, session: &Session, retry: &OwnedNodeRef) {
        if retry.get().get_attr("recipient").is_none() {
            self.ask_phone_anew(session);
        }
    }

    /// Something could not be decrypted, which may be the phone's.
    pub(super) fn could_not_read(&mut self, session: &Session, info: &MessageInfo) {
        if is_from_phone(info, &session.sink.me()) {
            self.ask_phone_anew(session);
        }
    }

    /// Does what had to wait for the end of a pause.
    pub(super) fn look_after_phone(&mut self, session: &Session) {
        if self.new_sessions.is_due {
            self.ask_phone_anew(session);
        }
    }

    /// Drops the session with the phone, and asks for everything again over a new client.
    fn ask_phone_anew(&mut self, session: &Session) {
        if !self.new_sessions.begin() {
            return;
        }
        tracing::warn!(device = %self.device, "device and phone cannot read each other; the phone is asked anew");
        let (client, sink, device) = (session.client.clone(), session.sink.clone(), self.device);
        let online = self.online.clone();
        tokio::spawn(async move {
            let own = phones(&sink.me());
            let deleted = timeout(CLOSE_MAX, client.signal().delete_sessions(&own)).await;
            if !matches!(deleted, Ok(Ok(()))) {
                tracing::warn!(%device, "the session with the phone could not be dropped");
                return;
            }
            // The library asks for each message once in the life of a client.
            sink.note(Ending::NewClient);
            online.set(None);
            end_connection(device, client);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_phone_with_which_no_session_is_of_use_costs_ever_fewer_connections() {
        let mut sessions = NewSessions::default();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let start = Instant::now();
            while !sessions.begin() {
                assert!(sessions.is_due, "it is done once the pause is over");
                advance(Duration::from_secs(1)).await;
            }
            assert!(!sessions.is_due);
            pauses.push(start.elapsed().as_secs());
        }
        assert_eq!(pauses, [0, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
    }
}
