//! A phone's Signal state: sessions and sender keys, kept in the database.
//!
//! The Signal library wants asynchronous stores; a [`SignalBox`] holds just the records one
//! operation needs, is always ready, and is written back when the operation succeeds, in the
//! same transaction as its result.

use std::sync::Arc;

use futures_util::FutureExt as _;
use rusqlite::{OptionalExtension as _, params};
use wacore_libsignal::protocol::{
    CiphertextMessage, DeviceId, Direction, IdentityChange, IdentityKey, IdentityKeyPair,
    IdentityKeyStore, PreKeyBundle, PreKeyId, PreKeyRecord, PreKeySignalMessage, PreKeyStore,
    ProtocolAddress, PublicKey, SenderKeyDistributionMessage, SenderKeyName, SenderKeyRecord,
    SenderKeyStore, SessionRecord, SessionStore, SignalMessage, SignalProtocolError,
    SignedPreKeyId, SignedPreKeyRecord, SignedPreKeyStore, UsePQRatchet,
    create_sender_key_distribution_message, group_decrypt, group_encrypt, message_decrypt,
    message_encrypt, process_prekey_bundle, process_sender_key_distribution_message,
};

use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::{Result, SimulatorError, bad_request};
use crate::keys::PhoneKeys;
use crate::stanza::Bundle;
use crate::switchboard::Switchboard;

type SignalResult<T> = std::result::Result<T, SignalProtocolError>;

/// The records of one Signal operation.
struct SignalBox {
    keys: Arc<PhoneKeys>,
    session: Option<SessionRecord>,
    sender_key: Option<SenderKeyRecord>,
}

/// One of the three ciphertexts of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EncType {
    PreKey,
    Message,
    SenderKey,
}

impl EncType {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "pkmsg" => Some(EncType::PreKey),
            "msg" => Some(EncType::Message),
            "skmsg" => Some(EncType::SenderKey),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            EncType::PreKey => "pkmsg",
            EncType::Message => "msg",
            EncType::SenderKey => "skmsg",
        }
    }
}

impl Switchboard {
    /// Decrypts what `from` sent to the phone of `number`.
    pub(super) fn phone_decrypt(
        &mut self,
        number: Number,
        from: DeviceAddr,
        kind: EncType,
        sealed: &[u8],
    ) -> Result<Vec<u8>> {
        let message = match kind {
            EncType::PreKey => {
                CiphertextMessage::PreKeySignalMessage(PreKeySignalMessage::try_from(sealed)?)
            }
            _ => CiphertextMessage::SignalMessage(SignalMessage::try_from(sealed)?),
        };
        let mut state = self.signal_box(number, from)?;
        let address = protocol_address(from);
        let (mut identities, mut prekeys) = (state.view(), state.view());
        let signed = state.view();
        let opened = ready(message_decrypt(
            &message,
            &address,
            &mut state,
            &mut identities,
            &mut prekeys,
            &signed,
            &mut clock::rng(),
            UsePQRatchet::No,
        ));
        match opened {
            Ok(opened) => {
                self.keep_session(number, from, state)?;
                Ok(opened.plaintext)
            }
            Err(error) => Err(error),
        }
    }

    /// Encrypts for a linked device, beginning a session when there is none.
    pub(super) fn phone_encrypt(
        &mut self,
        number: Number,
        to: DeviceAddr,
        plain: &[u8],
    ) -> Result<(EncType, Vec<u8>)> {
        let mut state = self.signal_box(number, to)?;
        let usable = state.session.as_ref().is_some_and(|s| s.session_state().is_some());
        if !usable {
            let bundle = self.bundle(to)?;
            let bundle = bundle.ok_or_else(|| bad_request(format!("{to} is not linked")))?;
            state.begin(to, bundle)?;
        }
        let mut identities = state.view();
        let address = protocol_address(to);
        let sealed = ready(message_encrypt(plain, &address, &mut state, &mut identities))?;
        self.keep_session(number, to, state)?;
        let kind = match &sealed {
            CiphertextMessage::PreKeySignalMessage(_) => EncType::PreKey,
            _ => EncType::Message,
        };
        Ok((kind, sealed.serialize().to_vec()))
    }

    /// Begins a new session with a device, from a bundle it sent or the one it uploaded.
    pub(super) fn phone_new_session(
        &mut self,
        number: Number,
        with: DeviceAddr,
        bundle: Option<Bundle>,
    ) -> Result<()> {
        let bundle = match bundle {
            Some(bundle) => Some(bundle),
            None => self.bundle(with)?,
        };
        let bundle = bundle.ok_or_else(|| bad_request(format!("{with} is not linked")))?;
        let mut state = self.signal_box(number, with)?;
        state.begin(with, bundle)?;
        self.keep_session(number, with, state)
    }

    fn signal_box(&mut self, number: Number, peer: DeviceAddr) -> Result<SignalBox> {
        let session = match self.sessions.remove(&(number, peer)) {
            Some(session) => Some(session),
            None => self.stored_session(number, peer)?,
        };
        Ok(SignalBox { keys: self.keys_of(number)?, session, sender_key: None })
    }

    fn stored_session(&self, number: Number, peer: DeviceAddr) -> Result<Option<SessionRecord>> {
        let sql =
            "SELECT record FROM sessions WHERE number = ?1 AND peer = ?2 AND peer_device = ?3";
        let key = params![number.sql(), peer.number.sql(), peer.device];
        let stored: Option<Vec<u8>> =
            self.db.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let mut record = SessionRecord::deserialize(&stored)?;
        // Every counter is on disk before its ciphertext is sent, so none is reserved ahead.
        record.waive_counter_lease();
        Ok(Some(record))
    }

    fn keep_session(&mut self, number: Number, peer: DeviceAddr, state: SignalBox) -> Result<()> {
        let Some(mut record) = state.session else {
            return Ok(());
        };
        record.waive_counter_lease();
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO sessions (number, peer, peer_device, record) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![number.sql(), peer.number.sql(), peer.device, record.serialize()?])?;
        self.sessions.insert((number, peer), record);
        Ok(())
    }
}

impl Switchboard {
    /// Deletes a phone's sessions and the sender keys of others; returns their number.
    pub(crate) fn forget_sessions(&mut self, number: Number) -> Result<usize> {
        let mut forgotten = 0;
        for table in ["sessions", "sender_keys"] {
            let delete = format!("DELETE FROM {table} WHERE number = ?1");
            forgotten += self.db.execute(&delete, [number.sql()])?;
        }
        self.sessions.retain(|(of, _), _| *of != number);
        self.sender_keys.retain(|(of, ..), _| *of != number);
        Ok(forgotten)
    }

    /// Decrypts a group message of `from`.
    pub(super) fn phone_group_decrypt(
        &mut self,
        number: Number,
        chat: &str,
        from: DeviceAddr,
        sealed: &[u8],
    ) -> Result<Vec<u8>> {
        let mut state = self.sender_key_box(number, chat, from)?;
        let name = sender_key_name(chat, from);
        let opened = ready(group_decrypt(sealed, &mut state, &name))?;
        self.keep_sender_key(number, chat, from, state)?;
        Ok(opened)
    }

    /// Stores a member's sender key.
    pub(super) fn phone_take_sender_key(
        &mut self,
        number: Number,
        chat: &str,
        from: DeviceAddr,
        distribution: &[u8],
    ) -> Result<()> {
        let distribution = SenderKeyDistributionMessage::try_from(distribution)?;
        let mut state = self.sender_key_box(number, chat, from)?;
        let name = sender_key_name(chat, from);
        ready(process_sender_key_distribution_message(&name, &distribution, &mut state))?;
        self.keep_sender_key(number, chat, from, state)
    }

    /// Encrypts for a group with the phone's own sender key: the distribution, the ciphertext.
    pub(super) fn phone_group_encrypt(
        &mut self,
        number: Number,
        chat: &str,
        plain: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>)> {
        let own = DeviceAddr::phone(number);
        let mut state = self.sender_key_box(number, chat, own)?;
        let name = sender_key_name(chat, own);
        let distribution =
            ready(create_sender_key_distribution_message(&name, &mut state, &mut clock::rng()))?;
        let sealed = ready(group_encrypt(&mut state, &name, plain, &mut clock::rng()))?;
        self.keep_sender_key(number, chat, own, state)?;
        Ok((distribution.serialized().to_vec(), sealed.serialized().to_vec()))
    }

    fn sender_key_box(
        &mut self,
        number: Number,
        chat: &str,
        peer: DeviceAddr,
    ) -> Result<SignalBox> {
        let cached = self.sender_keys.remove(&(number, chat.to_owned(), peer));
        let sender_key = match cached {
            Some(record) => Some(record),
            None => self.stored_sender_key(number, chat, peer)?,
        };
        Ok(SignalBox { keys: self.keys_of(number)?, session: None, sender_key })
    }

    fn stored_sender_key(
        &self,
        number: Number,
        chat: &str,
        peer: DeviceAddr,
    ) -> Result<Option<SenderKeyRecord>> {
        let sql = "SELECT record FROM sender_keys \
                   WHERE number = ?1 AND chat = ?2 AND peer = ?3 AND peer_device = ?4";
        let key = params![number.sql(), chat, peer.number.sql(), peer.device];
        let stored: Option<Vec<u8>> =
            self.db.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let mut record = SenderKeyRecord::deserialize(&stored)?;
        record.waive_counter_lease()?;
        Ok(Some(record))
    }

    fn keep_sender_key(
        &mut self,
        number: Number,
        chat: &str,
        peer: DeviceAddr,
        state: SignalBox,
    ) -> Result<()> {
        let Some(mut record) = state.sender_key else {
            return Ok(());
        };
        record.waive_counter_lease()?;
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO sender_keys (number, chat, peer, peer_device, record) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                number.sql(),
                chat,
                peer.number.sql(),
                peer.device,
                record.serialize()?
            ])?;
        self.sender_keys.insert((number, chat.to_owned(), peer), record);
        Ok(())
    }
}

impl SignalBox {
    /// The same phone, for the library's further store arguments.
    fn view(&self) -> SignalBox {
        SignalBox { keys: self.keys.clone(), session: None, sender_key: None }
    }

    fn begin(&mut self, with: DeviceAddr, bundle: Bundle) -> Result<()> {
        let one_time = match bundle.one_time {
            Some((id, key)) => {
                Some((PreKeyId::from(id), PublicKey::from_djb_public_key_bytes(&key)?))
            }
            None => None,
        };
        let bundle = PreKeyBundle::new(
            bundle.registration_id,
            DeviceId::new(u32::from(with.device)),
            one_time,
            SignedPreKeyId::from(bundle.signed_id),
            PublicKey::from_djb_public_key_bytes(&bundle.signed)?,
            bundle.signature,
            IdentityKey::new(PublicKey::from_djb_public_key_bytes(&bundle.identity)?),
        )?;
        let mut identities = self.view();
        ready(process_prekey_bundle(
            &protocol_address(with),
            self,
            &mut identities,
            &bundle,
            &mut clock::rng(),
            UsePQRatchet::No,
        ))?;
        Ok(())
    }
}

#[async_trait::async_trait]
impl IdentityKeyStore for SignalBox {
    async fn get_identity_key_pair(&self) -> SignalResult<IdentityKeyPair> {
        Ok(self.keys.identity.clone())
    }

    async fn get_local_registration_id(&self) -> SignalResult<u32> {
        Ok(self.keys.registration_id())
    }

    async fn save_identity(
        &mut self,
        _: &ProtocolAddress,
        _: &IdentityKey,
    ) -> SignalResult<IdentityChange> {
        Ok(IdentityChange::NewOrUnchanged)
    }

    /// Always true: the server that certified the key is this process.
    async fn is_trusted_identity(
        &self,
        _: &ProtocolAddress,
        _: &IdentityKey,
        _: Direction,
    ) -> SignalResult<bool> {
        Ok(true)
    }

    async fn get_identity(&self, _: &ProtocolAddress) -> SignalResult<Option<IdentityKey>> {
        Ok(None)
    }
}

#[async_trait::async_trait]
impl PreKeyStore for SignalBox {
    async fn get_pre_key(&self, id: PreKeyId) -> SignalResult<PreKeyRecord> {
        let invalid = |_| SignalProtocolError::InvalidPreKeyId;
        self.keys.prekey(id.into()).map_err(invalid)
    }

    async fn save_pre_key(&mut self, _: PreKeyId, _: &PreKeyRecord) -> SignalResult<()> {
        Ok(())
    }

    async fn remove_pre_key(&mut self, _: PreKeyId) -> SignalResult<()> {
        Ok(())
    }
}

#[async_trait::async_trait]
impl SignedPreKeyStore for SignalBox {
    async fn get_signed_pre_key(&self, id: SignedPreKeyId) -> SignalResult<SignedPreKeyRecord> {
        if u32::from(id) != crate::keys::SIGNED_PREKEY_ID {
            return Err(SignalProtocolError::InvalidSignedPreKeyId);
        }
        let invalid = |_| SignalProtocolError::InvalidSignedPreKeyId;
        self.keys.signed_prekey_record().map_err(invalid)
    }

    async fn save_signed_pre_key(
        &mut self,
        _: SignedPreKeyId,
        _: &SignedPreKeyRecord,
    ) -> SignalResult<()> {
        Ok(())
    }
}

#[async_trait::async_trait]
impl SessionStore for SignalBox {
    async fn load_session(&self, _: &ProtocolAddress) -> SignalResult<Option<SessionRecord>> {
        Ok(self.session.clone())
    }

    async fn has_session(&self, _: &ProtocolAddress) -> SignalResult<bool> {
        Ok(self.session.is_some())
    }

    async fn store_session(
        &mut self,
        _: &ProtocolAddress,
        record: SessionRecord,
    ) -> SignalResult<()> {
        self.session = Some(record);
        Ok(())
    }
}

#[async_trait::async_trait]
impl SenderKeyStore for SignalBox {
    async fn store_sender_key(
        &mut self,
        _: &SenderKeyName,
        record: SenderKeyRecord,
    ) -> SignalResult<()> {
        self.sender_key = Some(record);
        Ok(())
    }

    async fn load_sender_key(&self, _: &SenderKeyName) -> SignalResult<Option<SenderKeyRecord>> {
        Ok(self.sender_key.clone())
    }
}

/// The result of a future that is ready at once.
fn ready<T>(future: impl Future<Output = SignalResult<T>>) -> Result<T> {
    let outcome = future
        .now_or_never()
        .ok_or_else(|| SimulatorError::Internal("a Signal store waited".into()))?;
    Ok(outcome?)
}

fn protocol_address(addr: DeviceAddr) -> ProtocolAddress {
    ProtocolAddress::new(&addr.number.to_string(), DeviceId::new(u32::from(addr.device)))
}

fn sender_key_name(chat: &str, from: DeviceAddr) -> SenderKeyName {
    SenderKeyName::from_parts(chat, &from.to_string())
}

#[cfg(test)]
mod test_signal;
#[cfg(test)]
pub(crate) use test_signal::TestSignal;
