//! Polls: the key with which votes are hidden from WhatsApp, and votes.
//!
//! Invariant: the key of a poll is stored before the poll is acknowledged, so that its votes can be read.

use std::sync::Arc;

use domain::content::{Content, ContentKind};
use domain::context::{Context, Quote};
use domain::ids::{DeviceId, WhatsappId};
use domain::message::IncomingMessage;
use domain::ports::{ProtocolStore, ProtocolWrite, StoreResult};
use domain::structured::{CHOICES_MAX, PollVote, Structured};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use wacore::poll::{PollVoteCiphertext, decrypt_poll_vote_with_secret};
use wacore::types::events::InboundMessage;
use wacore::types::message::MessageInfo;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::Client;

use crate::events::Me;
use crate::incoming::{self, Names};
use crate::limits::POLL_SECRET_FOR;
use crate::recovery::{self, Resent};
use crate::storage::secrets;

/// Whose polls are the device's own, in place of an address.
const OURS: &str = "";

/// Where the keys of a device's polls are stored.
pub(crate) struct PollStore<'a> {
    pub(crate) store: &'a Arc<dyn ProtocolStore>,
    pub(crate) device: DeviceId,
}

impl PollStore<'_> {
    /// Stores the keys of the polls among these messages.
    pub(crate) async fn keep(&self, messages: &[InboundMessage], me: &Me) -> StoreResult<()> {
        let resent = |one: &InboundMessage| recovery::resent(&one.message, &one.info, me);
        let resent: Vec<Resent> = messages.iter().flat_map(resent).collect();
        let came = messages.iter().map(|one| (&*one.message, &*one.info));
        let resent = resent.iter().map(|one| (&one.message, &one.info));
        let polls =
            came.chain(resent).filter_map(|(message, info)| Some((secret_of(message)?, info)));
        let writes: Vec<ProtocolWrite> =
            polls.flat_map(|(secret, info)| self::writes(secret, info)).collect();
        if writes.is_empty() {
            return Ok(());
        }
        self.store.protocol_write(self.device, writes).await
    }

    /// The vote in a poll that a message is; `None` for every other message, and for a vote that cannot be
    /// read, such as one in a poll from before the device was linked.
    pub(crate) async fn vote(
        &self,
        client: &Client,
        message: &wa::Message,
        info: &MessageInfo,
        me: &Me,
        names: &impl Names,
    ) -> Option<IncomingMessage> {
        let update = incoming::unwrap(message).poll_update_message.as_option()?;
        let (key, sealed) =
            (update.poll_creation_message_key.as_option()?, update.vote.as_option()?);
        let id = WhatsappId::from_outside(key.id.as_ref().filter(|id| !id.is_empty())?);
        let creator = Creator::of(key, info, me, names);
        let mut secrets = self.secrets(&id, &creator).await;
        secrets.extend(creator.is_ours.then(|| poll_secret(client, &id)));
        let voters = both_names(&voter(info, me), names);
        let chosen = open(sealed, &secrets, id.as_str(), &creator.jids, &voters)?;
        let digests = chosen.iter().take(CHOICES_MAX).map(hex::encode).collect();
        let vote = Structured::PollVote(PollVote::new(digests, Vec::new()));
        let poll = Quote {
            whatsapp_id: id,
            is_ours: Some(creator.is_ours),
            sender: creator
                .jids
                .first()
                .filter(|_| !creator.is_ours)
                .map(|jid| incoming::address(Some(jid), creator.jids.get(1), names)),
            kind: ContentKind::Poll,
            text: String::new(),
        };
        let context = Context { reply_to: Some(poll), ..Context::default() };
        let content = Content::Structured(Box::new(vote));
        let read = incoming::with_content(content, context, info, me, names)?;
        let at = update.sender_timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        incoming::within_its_second(read, at)
    }

    async fn secrets(&self, id: &WhatsappId, creator: &Creator) -> Vec<[u8; 32]> {
        let users = creator.jids.iter().map(|jid| jid.user.as_str());
        let keys: Vec<String> = match creator.is_ours {
            true => vec![secrets::poll_key(OURS, id.as_str())],
            false => users.map(|user| secrets::poll_key(user, id.as_str())).collect(),
        };
        let rows = self.store.protocol_get_many(self.device, secrets::SPACE, &keys).await;
        let rows = rows.unwrap_or_default();
        rows.iter().filter_map(|(_, bytes)| secrets::secret(bytes)).collect()
    }
}

/// Who made a poll.
struct Creator {
    is_ours: bool,
    /// By every name that is known.
    jids: Vec<Jid>,
}

impl Creator {
    fn of(key: &wa::MessageKey, info: &MessageInfo, me: &Me, names: &impl Names) -> Self {
        let source = &info.source;
        let named: Option<Jid> = key.participant.as_ref().and_then(|jid| jid.parse().ok());
        let is_voters = key.from_me == Some(true);
        let jids = match named {
            Some(jid) => vec![jid],
            None if is_voters => voter(info, me),
            None if source.is_from_me => [Some(&source.chat), source.recipient_alt.as_ref()]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
            None => own(me),
        };
        let is_ours = jids.iter().any(|jid| me.is(jid));
        let jids = if is_ours { own(me) } else { both_names(&jids, names) };
        Self { is_ours, jids }
    }
}

fn own(me: &Me) -> Vec<Jid> {
    [&me.pn, &me.lid].into_iter().flatten().cloned().collect()
}

fn voter(info: &MessageInfo, me: &Me) -> Vec<Jid> {
    let source = &info.source;
    if source.is_from_me {
        return own(me);
    }
    [Some(&source.sender), source.sender_alt.as_ref()].into_iter().flatten().cloned().collect()
}

/// The same person by every name that is known.
fn both_names(jids: &[Jid], names: &impl Names) -> Vec<Jid> {
    let mut all = jids.to_vec();
    if let [jid] = jids {
        let user = jid.user.as_str();
        let other = match jid.is_lid() {
            true => names.phone(user).map(|phone| Jid::pn(&*phone)),
            false => names.lid(user).map(|lid| Jid::lid(&*lid)),
        };
        all.extend(other);
    }
    all
}

/// The SHA-256s of what was chosen. The names of poll and voter are part of the key: those that the voter
/// used are found by trying.
fn open(
    sealed: &wa::message::PollEncValue,
    secrets: &[[u8; 32]],
    id: &str,
    creators: &[Jid],
    voters: &[Jid],
) -> Option<Vec<Vec<u8>>> {
    let (enc_payload, enc_iv) = (sealed.enc_payload.as_deref()?, sealed.enc_iv.as_deref()?);
    for secret in secrets {
        for creator in creators {
            for voter in voters {
                let sealed = PollVoteCiphertext { enc_payload, enc_iv };
                let (creator, voter) = (creator.to_non_ad_string(), voter.to_non_ad_string());
                let opened = decrypt_poll_vote_with_secret(sealed, secret, id, &creator, &voter);
                if let Ok(chosen) = opened {
                    return Some(chosen);
                }
            }
        }
    }
    None
}

/// The key of the poll that a message is.
fn secret_of(message: &wa::Message) -> Option<[u8; 32]> {
    let inner = incoming::unwrap(message);
    incoming::poll(inner)?;
    let own_copy = message.device_sent_message.as_option().and_then(|m| m.message.as_option());
    let mut infos = [Some(message), own_copy, Some(inner)]
        .into_iter()
        .flatten()
        .filter_map(|message| message.message_context_info.as_option());
    infos.find_map(|info| info.message_secret.as_deref()?.try_into().ok())
}

fn writes(secret: [u8; 32], info: &MessageInfo) -> Vec<ProtocolWrite> {
    let source = &info.source;
    let at_s = info.timestamp.timestamp();
    let value =
        secrets::encoded(secret, at_s.saturating_add_unsigned(POLL_SECRET_FOR.as_secs()), at_s);
    let users: Vec<&str> = match source.is_from_me {
        true => vec![OURS],
        false => [Some(&source.sender), source.sender_alt.as_ref()]
            .into_iter()
            .flatten()
            .map(|jid| jid.user.as_str())
            .collect(),
    };
    let write = |user: &str| ProtocolWrite {
        space: secrets::SPACE,
        key: secrets::poll_key(user, &info.id),
        value: Some(value.clone()),
    };
    users.into_iter().map(write).collect()
}

/// The secret of a poll that the device sends. It is derived, not stored: the same on every attempt,
/// and there is nothing to erase.
pub(crate) fn poll_secret(client: &Client, id: &WhatsappId) -> [u8; 32] {
    let device = client.persistence_manager().get_device_snapshot();
    derived(device.identity_key.private_key.serialize(), id)
}

fn derived(key: &[u8], id: &WhatsappId) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(b"poll ");
    mac.update(id.as_str().as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_poll_has_a_secret_of_its_own() {
        let [one, two] = ["A", "B"].map(|id| WhatsappId(id.into()));
        let secret = derived(&[7; 32], &one);
        assert_eq!(secret, derived(&[7; 32], &one));
        assert_ne!(secret, derived(&[7; 32], &two));
        assert_ne!(secret, derived(&[8; 32], &one));
    }
}
