//! The use cases. Every API translates into these calls and decides nothing itself.

mod accounts;
mod amend;
mod audit;
mod batches;
mod calls;
mod chats;
mod content;
mod context;
mod deliveries;
mod device_choice;
mod devices;
mod files;
mod grants;
mod groups;
mod keys;
mod lent;
mod limits;
mod live;
mod login_tries;
mod messages;
mod nodes;
mod pairing;
mod passwords;
mod people;
mod portal;
mod request_files;
mod resend;
mod second_factor;
mod send;
mod shared_rates;
mod usage;
mod wait;
mod webhooks;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use jiff::Timestamp;

use crate::account::{Account, Caller};
use crate::client::ConnectedAs;
use crate::device::Device;
use crate::error::{Error, Result, StoreError};
use crate::ids::{AccountId, DeviceId};
use crate::key::{KeyHash, KeyKind, Secret};
use crate::media::cleaned_url;
use crate::plan::{Feature, Plan};
use crate::policy::quota::Period;
use crate::policy::rate::RateState;
use crate::ports::{
    BlobStore, Clock, Dispatcher, Entropy, EventFormats, KeyHolder, MediaLinks, NewKey, Outbound,
    SecretCipher, Store, UrlRefusal,
};
use crate::scope::{Scope, Scopes};

pub use accounts::{ACCOUNTS_PAGE_MAX, NewAccountRequest};
pub use amend::Revocation;
pub use audit::{AUDIT_PAGE_MAX, AuditNames};
pub use batches::BatchProgress;
pub use content::DOWNLOAD_FAILED;
pub use device_choice::DeviceCounts;
pub use devices::{DeviceAccess, DeviceChange, DeviceName};
pub use files::{FileFound, OpenFile};
pub use grants::days_later;
pub use keys::NewKeyRequest;
pub use lent::LentKey;
pub use limits::{
    STREAMS_MAX, STREAMS_PER_ACCOUNT_MAX, WAITS_MAX, WAITS_PER_ACCOUNT_MAX, WRONG_KEYS_MAX,
};
pub use live::PageChange;
pub use login_tries::LOGIN_TRIES_MAX;
pub use messages::{COUNTED_MESSAGES_MAX, SOUGHT_CHARS_MAX};
pub use nodes::{DRAIN_PER_S, DRAIN_PER_S_MAX};
pub use people::Visitor;
pub use portal::PortalVisitor;
pub use resend::{BatchOutcome, CANCELLABLE, CANCELLED_MAX, RESENDABLE, not_resendable};
pub use send::{AcceptedMessages, RETRY_INTERVAL_S_MAX, SendRefusal, SendRequest, SendingDevice};
pub use usage::{DayUsage, DeviceFigures, USAGE_DAYS_MAX, UsageFigures, UsageReport};
pub use wait::{SendOutcome, SyncWait};
pub use webhooks::{NewWebhookRequest, OWN_FORMAT, WebhookChange};

/// Longest name of anything, in characters.
pub const NAME_CHARS_MAX: usize = 200;

/// What the use cases need from outside.
pub struct CoreParts {
    /// Where things are kept.
    pub store: Arc<dyn Store>,
    /// What sends them.
    pub dispatcher: Arc<dyn Dispatcher>,
    /// What makes requests of ours.
    pub outbound: Arc<dyn Outbound>,
    /// The formats in which events are rendered.
    pub formats: Arc<dyn EventFormats>,
    /// What keeps secrets unreadable.
    pub sealer: Arc<dyn SecretCipher>,
    /// Where files that came in are kept, and those that came with requests.
    pub blobs: Arc<dyn BlobStore>,
    /// The addresses of those files.
    pub links: Arc<dyn MediaLinks>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The operator key's hash.
    pub operator: KeyHash,
    /// The hash of the key of this process alone, for commands on its machine.
    pub console: Option<KeyHash>,
    /// How long a request waits for its message to be sent.
    pub sync_wait: SyncWait,
}

/// The use cases. Its parts are private: what another crate needs of them is a method.
pub struct Core {
    store: Arc<dyn Store>,
    dispatcher: Arc<dyn Dispatcher>,
    outbound: Arc<dyn Outbound>,
    formats: Arc<dyn EventFormats>,
    sealer: Arc<dyn SecretCipher>,
    blobs: Arc<dyn BlobStore>,
    links: Arc<dyn MediaLinks>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    operator: KeyHash,
    console: Option<KeyHash>,
    sync_wait: SyncWait,
    rates: limits::RateLimiter,
    shared_rates: shared_rates::SharedRates,
    waits: limits::Waits,
    streams: limits::Streams,
    wrong_keys: limits::WrongKeys,
    login_tries: login_tries::LoginTries,
    key_uses: keys::KeyUses,
    lent: lent::LentKeys,
}

/// Who is calling, with what is known of the account. Made by [`Core::authenticate`] and
/// [`Core::visitor`] only.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Who.
    pub caller: Caller,
    /// What is known of the key's account; the operator has none.
    pub holder: Option<Arc<KeyHolder>>,
    /// The hash of its key; its streams end with it.
    pub key: KeyHash,
    /// Where its key stands; `None` when there is no limit.
    pub rate: Option<RateState>,
    /// Who it is, where it is no key: the address of a person, or what names a link.
    pub person: Option<Arc<str>>,
}

impl Principal {
    /// The caller's account.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for the operator, who has none.
    pub fn account(&self) -> Result<&Account> {
        self.holder.as_deref().map(|holder| &holder.account).ok_or(Error::Forbidden)
    }

    /// The caller's plan.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for the operator, who has none.
    pub fn plan(&self) -> Result<&Arc<Plan>> {
        self.holder.as_deref().map(|holder| &holder.plan).ok_or(Error::Forbidden)
    }

    /// The id of the caller's account.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for the operator, who has none.
    pub fn account_id(&self) -> Result<AccountId> {
        self.caller.account().ok_or(Error::Forbidden)
    }

    /// Lets callers pass whose plan includes a feature.
    ///
    /// # Errors
    /// [`Error::FeatureMissing`], [`Error::Forbidden`] for the operator.
    pub fn require_feature(&self, feature: Feature) -> Result<()> {
        self.plan()?.has(feature).then_some(()).ok_or(Error::FeatureMissing(feature))
    }

    /// What the caller may do in its account; the operator, who has none, may do nothing there.
    pub fn scopes(&self) -> Scopes {
        self.holder.as_deref().map_or_else(|| [].into_iter().collect(), |holder| holder.scopes)
    }

    /// Lets callers pass who have a scope.
    ///
    /// # Errors
    /// [`Error::ScopeMissing`]; [`Error::Forbidden`] for the operator, who has no account.
    pub fn require(&self, scope: Scope) -> Result<()> {
        let holder = self.holder.as_deref().ok_or(Error::Forbidden)?;
        holder.scopes.has(scope).then_some(()).ok_or(Error::ScopeMissing(scope))
    }

    /// Lets callers pass who may do everything: what they make may do that, too.
    ///
    /// # Errors
    /// As [`Principal::require`].
    pub fn require_all_scopes(&self) -> Result<()> {
        Scope::ALL.into_iter().try_for_each(|scope| self.require(scope))
    }

    /// Lets the operator pass.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for anybody else.
    pub fn require_operator(&self) -> Result<()> {
        (self.caller == Caller::Operator).then_some(()).ok_or(Error::Forbidden)
    }

    /// Lets a key of the whole account pass, a device token not.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a device token and the operator.
    pub fn require_account_key(&self) -> Result<AccountId> {
        match self.caller {
            Caller::Account(account, _) => Ok(account),
            Caller::Operator | Caller::Device(..) => Err(Error::Forbidden),
        }
    }

    /// The account, if the caller may use `device` of it.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a token of another device, so that nothing is revealed.
    pub fn require_device(&self, device: DeviceId) -> Result<AccountId> {
        let account = self.account_id()?;
        match self.caller.bound_device() {
            Some(bound) if bound != device => Err(Error::NotFound("device")),
            _ => Ok(account),
        }
    }
}

impl Core {
    /// The use cases over these parts.
    pub fn new(parts: CoreParts) -> Self {
        let CoreParts {
            store,
            dispatcher,
            outbound,
            formats,
            sealer,
            blobs,
            links,
            clock,
            entropy,
            operator,
            console,
            sync_wait,
        } = parts;
        Self {
            store,
            dispatcher,
            outbound,
            formats,
            sealer,
            blobs,
            links,
            clock,
            entropy,
            operator,
            console,
            sync_wait,
            rates: limits::RateLimiter::default(),
            shared_rates: shared_rates::SharedRates::default(),
            waits: limits::Waits::default(),
            streams: limits::Streams::default(),
            wrong_keys: limits::WrongKeys::default(),
            login_tries: login_tries::LoginTries::default(),
            key_uses: keys::KeyUses::default(),
            lent: lent::LentKeys::default(),
        }
    }

    /// The time by the clock of the use cases.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Fills a buffer with randomness.
    pub fn fill_random(&self, bytes: &mut [u8]) {
        self.entropy.fill(bytes);
    }

    /// What a device is to WhatsApp; `None` while it is not connected here.
    pub fn connected_as(&self, device: &Device) -> Option<ConnectedAs> {
        self.dispatcher.connected_as(device.id)
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// The store's.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    /// Checks the form of a URL that is to be fetched, without asking anybody.
    ///
    /// # Errors
    /// Why it must not be fetched.
    pub fn check_url(&self, url: &str) -> Result<(), UrlRefusal> {
        self.outbound.check_url(&cleaned_url(url.to_owned()))
    }

    /// Who holds a key. Counts as one of its requests.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] when there is no such key, [`Error::RateLimited`].
    pub async fn authenticate(&self, key: &str) -> Result<Principal> {
        let hash = Secret::new(key).hash();
        let is_console = self.console == Some(hash);
        if hash == self.operator || is_console {
            let person = is_console.then(|| "gerbang admin".into());
            let caller = Caller::Operator;
            return Ok(Principal { caller, holder: None, key: hash, rate: None, person });
        }
        let (now, holder) = (self.clock.now(), self.store.key_holder(&hash).await?);
        let Some(holder) = holder.filter(|holder| holder.holds(now)) else {
            return self.lent.holder(&hash).ok_or(Error::Unauthorized);
        };
        if let Some(key) = holder.caller.key() {
            self.key_uses.note(key, now);
        }
        let rate = match holder.plan.requests_per_minute {
            Some(limit) => Some(self.count_request(holder.caller, limit, now).await?),
            None => None,
        };
        let caller = holder.caller;
        Ok(Principal { caller, holder: Some(holder), key: hash, rate, person: None })
    }

    /// Counts a request, with those at other nodes where there are any.
    async fn count_request(&self, caller: Caller, limit: i64, now: Timestamp) -> Result<RateState> {
        if !self.is_shared() {
            return self.rates.count(caller, limit, now);
        }
        match self.shared_rates.count(self.store.as_ref(), caller, limit, now).await {
            // While the database does not answer, this node's own count must do.
            Err(Error::Store(_)) => self.rates.count(caller, limit, now),
            counted => counted,
        }
    }

    /// The error of a wrong key from this address, which is slowed when it has tried many. A right key
    /// never comes here.
    pub fn wrong_key(&self, address: IpAddr) -> Error {
        self.wrong_keys.count(address, self.clock.now())
    }

    /// A device the caller may use.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, or it is somebody else's.
    pub async fn device(&self, principal: &Principal, id: DeviceId) -> Result<Arc<Device>> {
        let account = principal.require_device(id)?;
        self.store.device(account, id).await?.ok_or(Error::NotFound("device"))
    }

    /// A device the caller may use, for what does not show its state. One that is remembered as linked costs no read,
    /// also where another node runs it: what that one has changed is known a second later. Any other is read anew
    /// before it is refused.
    ///
    /// # Errors
    /// Those of [`Core::device`].
    pub async fn remembered_device(
        &self,
        principal: &Principal,
        id: DeviceId,
    ) -> Result<Arc<Device>> {
        let account = principal.require_device(id)?;
        self.remembered(account, id).await?.ok_or(Error::NotFound("device"))
    }

    async fn remembered(&self, account: AccountId, id: DeviceId) -> Result<Option<Arc<Device>>> {
        let known = self.store.known_device(account, id);
        match known.filter(|device| device.status.is_paired()) {
            Some(device) => Ok(Some(device)),
            None => Ok(self.store.device(account, id).await?),
        }
    }

    /// Counts a stream as one of the account's until it is dropped. It ends with its key.
    async fn as_live<T: Send + 'static>(
        &self,
        principal: &Principal,
        stream: BoxStream<'static, T>,
    ) -> Result<BoxStream<'static, T>> {
        let stream = self.streams.open(principal.account_id()?, principal.key, stream)?;
        // The key may have been revoked since it was looked up, before this stream was listed.
        let is_valid = matches!(self.has_ended(principal.key).await, Ok(false));
        is_valid.then_some(stream).ok_or(Error::Unauthorized)
    }

    /// Whether a key, a session or a portal link is gone or has expired.
    async fn has_ended(&self, key: KeyHash) -> Result<bool, StoreError> {
        let now = self.clock.now();
        if let Some(holder) = self.store.key_holder(&key).await? {
            return Ok(!holder.holds(now));
        }
        if let Some(session) = self.store.session(key).await? {
            return Ok(!session.holds(now));
        }
        Ok(self.store.portal_link(key, now).await?.is_none())
    }

    /// Ends the live streams of an account whose key, session or link is gone or has expired.
    async fn end_revoked_streams(&self, account: AccountId) {
        let mut gone = HashSet::new();
        for key in self.streams.keys(account) {
            if matches!(self.has_ended(key).await, Ok(true)) {
                gone.insert(key);
            }
        }
        self.streams.end(account, &gone);
    }

    fn new_secret(&self, kind: KeyKind, name: &str) -> (Secret, NewKey) {
        let secret = Secret::from_random(kind, self.random());
        let key =
            NewKey { name: name.to_owned(), hash: secret.hash(), last_four: secret.last_four() };
        (secret, key)
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    fn period(&self, account: &Account) -> Period {
        Period::of(self.clock.now(), account.timezone.zone())
    }
}

/// Takes a name that people will read.
fn check_name(field: &'static str, name: &str) -> Result<String> {
    let name = name.trim();
    let length = name.chars().count();
    if length == 0 || length > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        let message = format!("must have 1 to {NAME_CHARS_MAX} characters and no control ones");
        return Err(Error::invalid(field, message));
    }
    Ok(name.to_owned())
}
