//! A linked device's own Signal state, for tests that play clients.

use std::collections::HashMap;

use super::*;

/// Its sessions and sender keys.
pub(crate) struct TestSignal {
    keys: Arc<PhoneKeys>,
    sessions: HashMap<DeviceAddr, SignalBox>,
    sender_keys: HashMap<(String, DeviceAddr), SignalBox>,
}

impl TestSignal {
    pub(crate) fn new(keys: Arc<PhoneKeys>) -> Self {
        TestSignal { keys, sessions: HashMap::new(), sender_keys: HashMap::new() }
    }

    pub(crate) fn knows(&self, peer: DeviceAddr) -> bool {
        self.sessions.contains_key(&peer)
    }

    pub(crate) fn begin(&mut self, with: DeviceAddr, bundle: Bundle) {
        self.session(with).begin(with, bundle).unwrap();
    }

    pub(crate) fn seal(&mut self, to: DeviceAddr, plain: &[u8]) -> (EncType, Vec<u8>) {
        let session = self.session(to);
        let mut identities = session.view();
        let address = protocol_address(to);
        let sealed = ready(message_encrypt(plain, &address, session, &mut identities)).unwrap();
        let kind = match &sealed {
            CiphertextMessage::PreKeySignalMessage(_) => EncType::PreKey,
            _ => EncType::Message,
        };
        (kind, sealed.serialize().to_vec())
    }

    pub(crate) fn open(&mut self, from: DeviceAddr, kind: EncType, sealed: &[u8]) -> Vec<u8> {
        let message = match kind {
            EncType::PreKey => CiphertextMessage::PreKeySignalMessage(sealed.try_into().unwrap()),
            _ => CiphertextMessage::SignalMessage(sealed.try_into().unwrap()),
        };
        let session = self.session(from);
        let (mut identities, mut prekeys) = (session.view(), session.view());
        let signed = session.view();
        let opened = ready(message_decrypt(
            &message,
            &protocol_address(from),
            session,
            &mut identities,
            &mut prekeys,
            &signed,
            &mut clock::rng(),
            UsePQRatchet::No,
        ));
        opened.unwrap().plaintext
    }

    /// For a group: the distribution, the ciphertext.
    pub(crate) fn group_seal(
        &mut self,
        own: DeviceAddr,
        chat: &str,
        plain: &[u8],
    ) -> (Vec<u8>, Vec<u8>) {
        let name = sender_key_name(chat, own);
        let state = self.sender_key(chat, own);
        let mut rng = clock::rng();
        let key = ready(create_sender_key_distribution_message(&name, state, &mut rng)).unwrap();
        let key = key.serialized().to_vec();
        let sealed = ready(group_encrypt(state, &name, plain, &mut clock::rng())).unwrap();
        (key, sealed.serialized().to_vec())
    }

    pub(crate) fn group_open(
        &mut self,
        from: DeviceAddr,
        chat: &str,
        key: &[u8],
        sealed: &[u8],
    ) -> Vec<u8> {
        let name = sender_key_name(chat, from);
        let state = self.sender_key(chat, from);
        let key = SenderKeyDistributionMessage::try_from(key).unwrap();
        ready(process_sender_key_distribution_message(&name, &key, state)).unwrap();
        ready(group_decrypt(sealed, state, &name)).unwrap()
    }

    fn session(&mut self, peer: DeviceAddr) -> &mut SignalBox {
        let keys = &self.keys;
        self.sessions.entry(peer).or_insert_with(|| empty(keys))
    }

    fn sender_key(&mut self, chat: &str, peer: DeviceAddr) -> &mut SignalBox {
        let keys = &self.keys;
        self.sender_keys.entry((chat.to_owned(), peer)).or_insert_with(|| empty(keys))
    }
}

fn empty(keys: &Arc<PhoneKeys>) -> SignalBox {
    SignalBox { keys: keys.clone(), session: None, sender_key: None }
}
