//! What the use cases need from the outside. Adapters implement these; nothing here knows how.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use jiff::Timestamp;

mod access;
mod archive;
mod backups;
mod chats;
mod devices;
mod files;
mod messages;
mod messenger;
mod nodes;
mod outside;
mod page;
mod people;
mod webhooks;

use crate::account::{Account, AccountPatch, Caller, Key, KeyRights, NewAccount};
use crate::call::Call;
use crate::client::ConnectedAs;
use crate::device::{DeviceNotice, Group, PairMethod, PairOffer};
use crate::error::{Result, StoreError};
use crate::fair_semaphore::Permit;
use crate::group::{GroupAnswer, GroupRequest};
use crate::ids::{AccountId, DeviceId, KeyId, MessageId};
use crate::key::KeyHash;
use crate::media::MediaSource;
use crate::message::{Message, Waiting};
use crate::passkey::Assertion;
use crate::phone::PhoneNumber;
use crate::plan::Plan;
use crate::policy::quota::Usage;
use crate::scope::Scopes;
use crate::webhook::Event;

pub use access::{AuditStore, NewPortalLink, PortalStore};
pub use archive::{ArchiveError, MessageArchive, OldMessage};
pub use backups::{Backup, BackupError, Backups};
pub use chats::{ChatFilter, ChatStore};
pub use devices::{CreatedDevice, DeviceStore, MovedDevice};
pub use files::{
    Blob, BlobError, BlobStore, FilePart, FileStore, MARKER_BLOB, MediaLinks, NotKept,
};
pub use messages::{
    Acceptance, Accepted, CountedPage, HourUsage, IDEMPOTENCY_HOURS, IdempotencyKey, MessageBatch,
    MessageCounts, MessageFilter, MessageStore, OutboxEntry, Progress, REPEATED_BYTES_MAX,
    Recorded,
};
pub use messenger::{
    FetchError, Messenger, MessengerEvent, MessengerEvents, OutgoingMessage, SendError,
};
pub use nodes::{LoadedOutbox, NodeStore};
pub use outside::{
    EventFormats, FileError, FormatRules, MediaCodec, Outbound, SecretCipher, UrlRefusal,
    WebhookAnswer, WebhookRequest,
};
pub use page::{PAGE_BYTES_MAX, Page, PageRequest};
pub use people::{
    CreatedUser, FactorProof, FormClaim, FormHash, NewLink, NewSession, NewUser, PeopleStore,
    SecondFactor,
};
pub use webhooks::{GrantStore, WebhookStore};

/// What a store call returns.
pub type StoreResult<T> = std::result::Result<T, StoreError>;

/// The time. The only way anything learns it.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Randomness. The only way anything gets it.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` from a cryptographic source.
    fn fill(&self, bytes: &mut [u8]);
}

/// Who holds a key, with what a request needs of the account.
#[derive(Debug, Clone)]
pub struct KeyHolder {
    /// Who.
    pub caller: Caller,
    /// The account.
    pub account: Account,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// What the key may do.
    pub scopes: Scopes,
    /// Until when the key is valid; `None` for ever.
    pub expires_at: Option<Timestamp>,
}

impl KeyHolder {
    /// Whether the key is valid at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}

/// Accounts and plans.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Makes an account with its first key.
    async fn create_account(
        &self,
        account: NewAccount,
        key: NewKey,
        now: Timestamp,
    ) -> StoreResult<std::result::Result<Account, AccountRefusal>>;
    /// One account.
    async fn account(&self, id: AccountId) -> StoreResult<Option<Account>>;
    /// All accounts, newest first.
    async fn accounts(&self, page: PageRequest) -> StoreResult<Page<Account>>;
    /// Changes an account. `Ok(None)` when there is none.
    async fn update_account(
        &self,
        id: AccountId,
        patch: AccountPatch,
    ) -> StoreResult<Option<std::result::Result<Account, AccountRefusal>>>;
    /// Erases an account with everything it owns; false when there was none.
    async fn delete_account(&self, id: AccountId) -> StoreResult<bool>;
    /// All plans, by name.
    async fn plans(&self) -> StoreResult<Vec<Plan>>;
    /// Makes or replaces a plan.
    async fn put_plan(&self, plan: Plan) -> StoreResult<()>;
    /// Deletes a plan; false when there is none, or an account has it.
    async fn delete_plan(&self, name: &str) -> StoreResult<bool>;
    /// How many accounts have a plan.
    async fn accounts_of_plan(&self, name: &str) -> StoreResult<i64>;
    /// What an account has used up, as last written; see [`Usage::at`].
    async fn usage(&self, id: AccountId) -> StoreResult<Usage>;
}

/// Why an account is not made, or not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountRefusal {
    /// Another account has that address.
    EmailTaken,
    /// There is no such plan any more.
    PlanGone,
}

/// A key that is to be stored.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What its owner calls it.
    pub name: String,
    /// The hash of its secret.
    pub hash: KeyHash,
    /// The secret's last four characters.
    pub last_four: String,
}

/// What became of a key that was to be made.
#[derive(Debug, Clone)]
pub enum CreatedKey {
    /// The key.
    Created(Key),
    /// The account has [`crate::account::KEYS_MAX`] already.
    LimitReached,
    /// The device that it is for is gone.
    DeviceGone,
}

/// Account keys and device tokens. A device has at most one token.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Who holds the key with this hash. On the path of every request: answers from memory where
    /// it can, and never from before a revocation.
    async fn key_holder(&self, hash: &KeyHash) -> StoreResult<Option<Arc<KeyHolder>>>;
    /// Adds a key of an account.
    async fn create_key(
        &self,
        account: AccountId,
        key: NewKey,
        rights: KeyRights,
        now: Timestamp,
    ) -> StoreResult<CreatedKey>;
    /// Notes when keys were last used; unknown ones are skipped.
    async fn note_key_uses(&self, uses: &[(KeyId, Timestamp)]) -> StoreResult<()>;
    /// The keys of an account, device tokens included, newest first.
    async fn keys(&self, account: AccountId, page: PageRequest) -> StoreResult<Page<Key>>;
    /// Revokes a key; false when the account has no such key.
    async fn delete_key(&self, account: AccountId, id: KeyId) -> StoreResult<bool>;
    /// Puts a new token in the place of the device's old one; false when there is no such device.
    async fn replace_device_token(
        &self,
        account: AccountId,
        device: DeviceId,
        token: NewKey,
        now: Timestamp,
    ) -> StoreResult<bool>;
}

/// One change of a device's protocol state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolWrite {
    /// Which part of the state, such as `session` or `prekey`.
    pub space: &'static str,
    /// Which entry of it.
    pub key: String,
    /// Its value; `None` removes it.
    pub value: Option<Vec<u8>>,
}

/// The protocol state of every device: keys and ratchets, opaque here.
#[async_trait]
pub trait ProtocolStore: Send + Sync {
    /// One entry.
    async fn protocol_get(
        &self,
        device: DeviceId,
        space: &'static str,
        key: &str,
    ) -> StoreResult<Option<Vec<u8>>>;
    /// Several entries; absent ones are left out.
    async fn protocol_get_many(
        &self,
        device: DeviceId,
        space: &'static str,
        keys: &[String],
    ) -> StoreResult<Vec<(String, Vec<u8>)>>;
    /// Every entry whose key starts with `prefix`, by key.
    async fn protocol_scan(
        &self,
        device: DeviceId,
        space: &'static str,
        prefix: &str,
    ) -> StoreResult<Vec<(String, Vec<u8>)>>;
    /// Applies changes, all or none; durable when this returns. Nothing is kept of a device that
    /// has been erased.
    async fn protocol_write(&self, device: DeviceId, writes: Vec<ProtocolWrite>)
    -> StoreResult<()>;
    /// Removes everything of a device.
    async fn protocol_clear(&self, device: DeviceId) -> StoreResult<()>;
}

/// The whole store.
#[async_trait]
pub trait Store:
    AccountStore
    + KeyStore
    + DeviceStore
    + MessageStore
    + ChatStore
    + FileStore
    + WebhookStore
    + GrantStore
    + ProtocolStore
    + PeopleStore
    + PortalStore
    + AuditStore
    + NodeStore
{
    /// Whether it can be read and written now.
    async fn ping(&self) -> StoreResult<()>;
    /// How many bytes on the disk it has for new rows without growing; 0 where the disk is another
    /// machine's.
    async fn reusable_bytes(&self) -> StoreResult<u64> {
        Ok(0)
    }
    /// Before something is deleted: on a full disk it uses the space that was kept for that. Whether
    /// the disk is full.
    async fn make_room(&self) -> bool {
        false
    }
    /// Erases what waits for a device of an account that is being deleted, where it cannot first be
    /// moved into the history.
    async fn discard_waiting(&self, account: AccountId, device: DeviceId) -> StoreResult<()>;
    /// Replaces such a value.
    async fn replace_setting(&self, name: &str, value: Vec<u8>) -> StoreResult<()>;
    /// A value that must be the same at every start, such as the operator key's hash; `make` is
    /// stored when there is none yet.
    async fn setting(&self, name: &str, make: Vec<u8>) -> StoreResult<Vec<u8>>;
}

/// What became of a wish to cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancellation {
    /// The message will not be sent.
    Cancelled(Box<Message>),
    /// It has left, or is on its way, or ended otherwise.
    TooLate,
}

/// The engine, as the use cases see it.
#[async_trait]
pub trait Dispatcher: Send + Sync {
    /// These messages have just been committed and wait to be sent.
    fn accepted(&self, entries: Vec<OutboxEntry>);
    /// Whether this node runs a device, where several share the devices.
    fn runs(&self, device: DeviceId) -> bool;
    /// Takes a message back if it has not been handed to WhatsApp.
    async fn cancel(&self, device: DeviceId, id: MessageId) -> Result<Cancellation>;
    /// Waits until an accepted message has left the queue, at most `patience`: the message as it is
    /// then. `None` when it still waits, behind pacing or unacknowledged; at once when pacing has
    /// put it beyond `patience` already. A message whose device does not connect in that time is
    /// withdrawn, with [`NOT_CONNECTED`](crate::message::Failure::NOT_CONNECTED). Dropping the future changes nothing.
    async fn wait(
        &self,
        account: AccountId,
        device: DeviceId,
        id: MessageId,
        patience: Duration,
    ) -> Result<Option<Message>>;
    /// Why messages of a device wait, and until when; only those of which that is known.
    async fn waiting(&self, device: DeviceId, ids: Vec<MessageId>) -> Vec<(MessageId, Waiting)>;
    /// Whether the message is with WhatsApp at this moment, unacknowledged.
    fn is_sending(&self, device: DeviceId, id: MessageId) -> bool;
    /// Begins to link a device, or shows the running attempt's offer.
    async fn pair(&self, device: DeviceId, method: PairMethod) -> Result<PairOffer>;
    /// What is on offer while a device is being linked; `None` when it is not.
    async fn pairing(&self, device: DeviceId) -> Result<Option<PairOffer>>;
    /// Answers WhatsApp's challenge, and waits a little for the code that the phone shows, too.
    async fn give_passkey(&self, device: DeviceId, assertion: Assertion) -> Result<PairOffer>;
    /// Confirms that the phone shows the same code, and waits a little for the link.
    async fn confirm_passkey(&self, device: DeviceId) -> Result<()>;
    /// Unlinks a device; waiting messages stay until they expire.
    async fn logout(&self, device: DeviceId) -> Result<()>;
    /// Connects a linked device now that has stopped or waits to try again; one that is connected
    /// stays so.
    async fn connect(&self, device: DeviceId) -> Result<()>;
    /// Stops a device of an account, unlinking it when it is linked, and erases it; what waits is
    /// cancelled.
    async fn remove(&self, account: AccountId, device: DeviceId) -> Result<()>;
    /// The device's settings have changed.
    async fn reload(&self, device: DeviceId);
    /// As [`Messenger::alive_at`].
    fn alive_at(&self, device: DeviceId) -> Option<Timestamp>;
    /// As [`Messenger::connected_as`].
    fn connected_as(&self, device: DeviceId) -> Option<ConnectedAs>;
    /// As [`Messenger::find_number`], through a connected device.
    async fn find_number(
        &self,
        device: DeviceId,
        phone: &PhoneNumber,
    ) -> Result<Option<PhoneNumber>>;
    /// The groups the number of a connected device is in, by name.
    async fn groups(&self, device: DeviceId) -> Result<Vec<Group>>;
    /// As [`Messenger::group`], through a connected device.
    async fn group(&self, device: DeviceId, request: GroupRequest) -> Result<GroupAnswer>;
    /// Marks messages of one chat that came in to a connected device as read.
    async fn mark_read(&self, device: DeviceId, messages: &[Message]) -> Result<()>;
    /// As [`Messenger::ask_history`], through a connected device.
    async fn ask_history(
        &self,
        device: DeviceId,
        before: &Message,
        count: u32,
    ) -> Result<Option<u64>>;
    /// Makes the picture of a group of what was asked for.
    async fn make_picture(&self, account: AccountId, source: &MediaSource) -> Result<Vec<u8>>;
    /// What happens to a device from now on. A slow reader misses notices rather than delay anyone.
    fn watch(&self, device: DeviceId) -> BoxStream<'static, DeviceNotice>;
    /// What happens in an account from now on; a slow reader misses events rather than delay anyone.
    fn watch_account(&self, account: AccountId) -> BoxStream<'static, Event>;
    /// Waits for a permit to post to a webhook of an account: deliveries, tests and challenges share
    /// them.
    async fn webhook_permit(&self, account: AccountId) -> Permit;
    /// Fetches a file that came in and is not here yet, and waits until it is stored or has failed, at
    /// most `patience`.
    async fn fetch_file(
        &self,
        _account: AccountId,
        _message: MessageId,
        _patience: Duration,
    ) -> Result<()> {
        Ok(())
    }
    /// A webhook was made, changed or erased, or a delivery of it is to be tried again.
    fn webhooks_changed(&self, account: AccountId);
    /// An account was erased: what is kept of it outside of the store goes, too.
    fn account_erased(&self, account: AccountId);
}

/// The use cases, as the engine sees them.
#[async_trait]
pub trait CallReplies: Send + Sync {
    /// Accepts the text that a device answers a rejected call with; one for each call.
    async fn reply_to_call(
        &self,
        account: AccountId,
        device: DeviceId,
        call: &Call,
        text: &str,
    ) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_valid_until_its_end() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let holder = |expires_at| KeyHolder {
            caller: Caller::Account(AccountId(1), KeyId(1)),
            account: Account {
                id: AccountId(1),
                name: "Toko".into(),
                email: "toko@b.example".into(),
                plan: "free".into(),
                default_country: "62".into(),
                timezone: "UTC".to_owned().into(),
                created_at: at(0),
            },
            plan: Arc::new(Plan::built_in().remove(0)),
            scopes: Scopes::ALL,
            expires_at,
        };
        for (now, is_valid) in [(9, true), (10, false), (11, false)] {
            assert_eq!(holder(Some(at(10))).holds(at(now)), is_valid, "{now}");
            assert!(holder(None).holds(at(now)), "for ever");
        }
    }
}
