//! Messages that come again although they were decrypted before, and of which nothing is stored.
//!
//! The library keeps a copy of each decrypted message until that is stored. But the writer of its sessions may come
//! between the two: a process that dies then has used up the message's key and has no copy. When WhatsApp sends the
//! message again it can be decrypted no more, and would be acknowledged: the phone is asked for it instead.

use std::sync::Arc;

use domain::ids::DeviceId;
use domain::ports::{ProtocolStore, StoreResult};
use wacore::types::message::{MessageInfo, MessageSource};
use wacore_binary::{Jid, JidExt as _};

use crate::awaited::{Awaited, AwaitedStore};
use crate::client::Sink;
use crate::identities::Events;
use crate::incoming::{self, Names};

/// Looks after the messages of one device of which the library keeps no copy.
pub(crate) struct Missed {
    pub(crate) events: Events,
    pub(crate) awaited: Arc<Awaited>,
    pub(crate) sink: Arc<Sink>,
}

/// The names in a message without its content suffice: it is found by its id.
struct NoNames;

impl Names for NoNames {
    fn phone(&self, _: &str) -> Option<String> {
        None
    }

    fn lid(&self, _: &str) -> Option<String> {
        None
    }
}

impl Missed {
    /// A message has come again, and there is no copy of it: the phone is asked for it unless it is stored.
    pub(crate) async fn came_again(
        &self,
        sessions: &Arc<dyn ProtocolStore>,
        device: DeviceId,
        [chat, sender, id]: [&str; 3],
    ) -> StoreResult<()> {
        let Some(events) = self.events.get() else { return Ok(()) };
        let (Ok(chat), Ok(sender)) = (chat.parse::<Jid>(), sender.parse::<Jid>()) else {
            return Ok(());
        };
        let me = self.sink.me();
        let source = MessageSource {
            is_group: chat.is_group(),
            is_from_me: me.is(&sender),
            chat,
            sender: sender.to_non_ad(),
            ..Default::default()
        };
        let timestamp = wacore::time::now_utc();
        let info = MessageInfo { id: id.to_owned(), source, timestamp, ..Default::default() };
        let Some(message) = incoming::unreadable(&info, &me, &NoNames) else { return Ok(()) };
        if events.is_stored(device, &message.whatsapp_id).await? {
            return Ok(());
        }
        tracing::warn!(%device, whatsapp_id = id, "the phone is asked for a message that is not stored");
        self.awaited.add_missed(&AwaitedStore { store: sessions, device }, message).await
    }
}
