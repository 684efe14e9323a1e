//! Numbers and LIDs of people, as the library knows them.

use wacore::types::message::MessageInfo;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::Client;

use crate::incoming::Names;
use crate::limits::MENTIONS_NAMED_MAX;
use crate::mentions;

/// The names of a few people, looked up beforehand.
pub(crate) struct KnownNames(Vec<(String, String)>);

impl KnownNames {
    pub(crate) async fn of_envelope(client: &Client, info: &MessageInfo) -> Self {
        Self::of(client, &[&info.source.chat, &info.source.sender]).await
    }

    /// Those of its envelope, and of the people whom it mentions.
    pub(crate) async fn of_message(
        client: &Client,
        message: &wa::Message,
        info: &MessageInfo,
    ) -> Self {
        let mentioned = mentions::people(message);
        let by_lid = mentioned.iter().filter(|jid| jid.server.is_lid_family());
        let of_envelope = [&info.source.chat, &info.source.sender];
        let jids: Vec<&Jid> =
            of_envelope.into_iter().chain(by_lid.take(MENTIONS_NAMED_MAX)).collect();
        Self::of(client, &jids).await
    }

    /// Those of people by any of their addresses.
    pub(crate) async fn of(client: &Client, jids: &[&Jid]) -> Self {
        let mut pairs = Vec::new();
        for jid in jids {
            let Ok(Some(entry)) = client.get_lid_pn_entry(jid).await else { continue };
            // A number that has another owner by now is still the former one's in the library.
            let number = Jid::pn(&*entry.phone_number);
            let Ok(Some(owner)) = client.get_lid_pn_entry(&number).await else { continue };
            if owner.lid == entry.lid {
                pairs.push((entry.lid.to_string(), entry.phone_number.to_string()));
            }
        }
        Self(pairs)
    }
}

impl Names for KnownNames {
    fn phone(&self, lid: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| known == lid).map(|(_, phone)| phone.clone())
    }

    fn lid(&self, phone: &str) -> Option<String> {
        self.0.iter().find(|(_, known)| known == phone).map(|(lid, _)| lid.clone())
    }
}
