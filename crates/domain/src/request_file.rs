//! Files that came with requests: in the media store until their messages have left the outbox.

use sha2::{Digest as _, Sha256};

use crate::ids::{AccountId, DeviceId, WhatsappId};
use crate::incoming_file::device_blobs;
use crate::message::Message;

/// What the last part of their names begins with; that of a file that came in is a number.
const PREFIX: &str = "request-";

/// What such a file is recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFile {
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

impl RequestFile {
    /// What a file of these bytes is recognised by.
    pub fn of(bytes: &[u8]) -> Self {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self { size, sha256: Sha256::digest(bytes).into() }
    }
}

/// Where the file of a waiting message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingFile {
    /// In the media store, under [`blob_key`].
    Blob(RequestFile),
    /// In the database, where an earlier release has put it.
    Bytes(Vec<u8>),
}

/// The name in the media store of the file of a message. The id is drawn at its acceptance: no two
/// acceptances share a file.
pub fn blob_key(account: AccountId, device: DeviceId, whatsapp_id: &WhatsappId) -> String {
    format!("{}{PREFIX}{}", device_blobs(account, device), whatsapp_id.0)
}

/// The same of a message that may have such a file.
pub fn blob_key_of(message: &Message) -> Option<String> {
    let media = message.media()?;
    let came_along = media.url.is_none() && media.state.is_none();
    came_along.then(|| blob_key(message.account_id, message.device_id, &message.whatsapp_id))
}

/// Whether a name in the media store, or the last part of one, is that of such a file.
pub fn is_blob_key(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|last| last.starts_with(PREFIX))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::content::{Content, ContentKind, File};
    use crate::context::Context;
    use crate::incoming_file::FileState;
    use crate::media::Media;
    use crate::message::{Address, IncomingMessage, ReceivedOrigin};

    #[test]
    fn names_are_those_of_their_acceptance_and_of_no_file_that_came_in() {
        let device = DeviceId(Uuid::nil());
        let key = |id: u8| blob_key(AccountId(7), device, &WhatsappId::from_random([id; 8]));
        assert!(key(1).starts_with(&device_blobs(AccountId(7), device)));
        assert_ne!(key(1), key(2));
        assert!(is_blob_key(&key(1)) && is_blob_key("request-3EB0"));
        for other in ["7/00000000-0000-0000-0000-000000000000/12", "request-/12", ""] {
            assert!(!is_blob_key(other), "{other}");
        }
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let file = RequestFile::of(b"abc");
        assert_eq!((file.size, hex::encode(file.sha256).as_str()), (3, sha256));
    }

    #[test]
    fn only_a_file_without_another_place_came_with_its_request() {
        let (device, id) = (DeviceId(Uuid::nil()), crate::ids::MessageId(1));
        let whatsapp_id = WhatsappId::from_random([1; 8]);
        let named = |content: Content| {
            let message = IncomingMessage {
                whatsapp_id: whatsapp_id.clone(),
                chat: "628111@s.whatsapp.net".into(),
                sender: Address::default(),
                origin: ReceivedOrigin::Phone,
                content,
                context: Context::default(),
                at: Timestamp::UNIX_EPOCH,
            };
            let now = Timestamp::UNIX_EPOCH;
            blob_key_of(&message.received(id, AccountId(7), device, now))
        };
        let file = |url: Option<&str>, state| {
            let media = Media { url: url.map(str::to_owned), state, ..Media::default() };
            Content::File(File { kind: ContentKind::Image, caption: "".into(), media })
        };
        let key = blob_key(AccountId(7), device, &whatsapp_id);
        assert_eq!(named(file(None, None)), Some(key));
        assert_eq!(named(file(Some("https://file.example/a.png"), None)), None);
        assert_eq!(named(file(None, Some(FileState::Stored))), None);
        assert_eq!(named(Content::Text("halo".into())), None);
    }
}
