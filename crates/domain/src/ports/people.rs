//! The people of the dashboard, their sessions and links.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreResult;
use crate::ids::{AccountId, NodeId, UserId};
use crate::key::KeyHash;
use crate::person::{Invitation, Link, Place, Role, Session, User};
use crate::webhook::SealedSecret;

/// A person to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The address, in lower case.
    pub email: String,
    /// The password as it is stored: a hash with its parameters; an empty one fits no password.
    pub password: String,
    /// Where the person belongs.
    pub place: Place,
}

/// What became of a person to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreatedUser {
    /// The person.
    Created(User),
    /// Somebody has that address.
    EmailTaken,
    /// The account is gone, or has too many people.
    LimitReached,
}

/// A link to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewLink {
    /// The hash of its secret.
    pub hash: KeyHash,
    /// What it does.
    pub link: Link,
    /// The person who made it: when that person is removed, so is the link.
    pub made_by: Option<UserId>,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A session to be begun.
#[derive(Debug, Clone, Copy)]
pub struct NewSession {
    /// The hash of its secret.
    pub hash: KeyHash,
    /// Whose.
    pub user: UserId,
    /// The account an operator enters at once.
    pub entered: Option<AccountId>,
}

/// What somebody signs in with beside the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// The secret of the app.
    pub secret: SealedSecret,
    /// The step of the last code that was used; neither it nor an earlier one counts again.
    pub last_step: i64,
    /// The hashes of the recovery codes that were not used.
    pub recovery: Vec<KeyHash>,
}

/// What shows the second factor; it is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorProof {
    /// The code of this step.
    Step(i64),
    /// The recovery code with this hash.
    Recovery(KeyHash),
}

/// What makes a form of the dashboard recognisable when it comes again: a hash of whose it is, where it goes
/// and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FormHash(pub [u8; 32]);

/// Whether a form may be acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormClaim {
    /// It came for the first time.
    First,
    /// It came before, to this node; `None` where the database is shared with no other process.
    Before(Option<NodeId>),
}

/// People, sessions and links. Nothing here is on the path of a request of an API.
#[async_trait]
pub trait PeopleStore: Send + Sync {
    /// Makes a person.
    async fn create_user(&self, user: NewUser, now: Timestamp) -> StoreResult<CreatedUser>;
    /// The person with this address, and the stored password.
    async fn user_by_email(&self, email: &str) -> StoreResult<Option<(User, String)>>;
    /// The people of an account, or the operators, by id.
    async fn users(&self, account: Option<AccountId>) -> StoreResult<Vec<User>>;
    /// Erases a person with all sessions and the links it made; false when there is none in that account.
    async fn delete_user(&self, account: Option<AccountId>, id: UserId) -> StoreResult<bool>;
    /// Gives a person of an account another role, and erases the links it made; false when there is none in
    /// that account.
    async fn set_role(&self, account: AccountId, id: UserId, role: Role) -> StoreResult<bool>;
    /// Sets a password, as in [`NewUser`]; all sessions of the person but one end, and the links that are for
    /// it are erased. False when there is no such person.
    async fn set_password(
        &self,
        id: UserId,
        password: &str,
        kept: Option<KeyHash>,
    ) -> StoreResult<bool>;
    /// The same for the person that a link is for, and no session stays: who that is; `None` when there is no
    /// such link.
    async fn reset_password(
        &self,
        hash: KeyHash,
        password: &str,
        now: Timestamp,
    ) -> StoreResult<Option<User>>;
    /// Keeps a link; those that have expired are erased. False when the person who made it is gone.
    async fn create_link(&self, link: NewLink, now: Timestamp) -> StoreResult<bool>;
    /// The open invitations to an account, or to the operators: at most
    /// [`crate::person::INVITATIONS_MAX`], the newest first.
    async fn invitations(
        &self,
        account: Option<AccountId>,
        now: Timestamp,
    ) -> StoreResult<Vec<Invitation>>;
    /// Withdraws one of them; it, or `None` when there is no such invitation.
    async fn delete_invitation(
        &self,
        account: Option<AccountId>,
        hash: KeyHash,
    ) -> StoreResult<Option<Link>>;
    /// What a valid link does.
    async fn link(&self, hash: KeyHash, now: Timestamp) -> StoreResult<Option<Link>>;
    /// The same, and the link is used up: of two concurrent calls one gets it.
    async fn take_link(&self, hash: KeyHash, now: Timestamp) -> StoreResult<Option<Link>>;
    /// Makes the person that a link stands for, and the link is used up. It stays valid when none is made;
    /// `None` when there is no such link. `password` is as in [`NewUser`].
    async fn join(
        &self,
        hash: KeyHash,
        email: &str,
        password: &str,
        now: Timestamp,
    ) -> StoreResult<Option<CreatedUser>>;
    /// Begins a session; those that have ended are erased.
    async fn create_session(&self, session: NewSession, now: Timestamp) -> StoreResult<()>;
    /// A session that was begun and not ended; whether it still holds is the caller's question.
    async fn session(&self, hash: KeyHash) -> StoreResult<Option<Session>>;
    /// Notes that a session is used.
    async fn touch_session(&self, hash: KeyHash, now: Timestamp) -> StoreResult<()>;
    /// Notes which account an operator has entered.
    async fn enter_account(&self, hash: KeyHash, account: Option<AccountId>) -> StoreResult<()>;
    /// Ends a session.
    async fn delete_session(&self, hash: KeyHash) -> StoreResult<()>;
    /// What a person signs in with beside the password.
    async fn second_factor(&self, user: UserId) -> StoreResult<Option<SecondFactor>>;
    /// Sets it; false when there is one, or no such person.
    async fn set_second_factor(&self, user: UserId, factor: SecondFactor) -> StoreResult<bool>;
    /// Uses it up; false when it does not count, or not any more: of two concurrent calls one does.
    async fn use_second_factor(&self, user: UserId, proof: FactorProof) -> StoreResult<bool>;
    /// Erases it; false when there was none.
    async fn delete_second_factor(&self, user: UserId) -> StoreResult<bool>;
    /// Claims a form for a node: of all calls within [`IDEMPOTENCY_HOURS`](super::IDEMPOTENCY_HOURS) one
    /// gets it.
    async fn claim_form(
        &self,
        form: FormHash,
        node: Option<NodeId>,
        now: Timestamp,
    ) -> StoreResult<FormClaim>;
    /// Gives a claim back: the form changed nothing.
    async fn release_form(&self, form: FormHash) -> StoreResult<()>;
}
