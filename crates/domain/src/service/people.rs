//! The people of the dashboard: links that let them in, sessions, and what they may do.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::accounts::check_email;
use super::{Core, Principal};
use crate::account::{Account, Caller};
use crate::audit::Action;
use crate::error::{Error, Result, StoreError};
use crate::ids::{AccountId, KeyId, UserId};
use crate::key::{KeyHash, KeyKind, Secret};
use crate::person::{
    INVITATIONS_MAX, INVITE_MAX, Invitation, Link, Place, Role, SETUP_LINK_MAX, Session, User,
};
use crate::plan::Plan;
use crate::ports::{CreatedUser, KeyHolder, NewLink, NewSession, NewUser};
use crate::scope::Scopes;

/// Sessions are written at most so often.
const TOUCH_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Somebody with a session, as the use cases see them.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The session.
    pub session: Session,
    /// Whom it stands for: the account that is looked at, else the operator.
    pub principal: Principal,
}

impl Visitor {
    /// The account that is looked at.
    pub fn account(&self) -> Option<&Account> {
        self.principal.holder.as_deref().map(|holder| &holder.account)
    }

    /// Whether it is an operator.
    pub fn is_operator(&self) -> bool {
        self.session.user.place == Place::Operator
    }

    /// What the person may do in the account that is looked at.
    pub fn role(&self) -> Role {
        self.session.user.place.role()
    }

    /// Lets people pass who have at least this role.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn require(&self, role: Role) -> Result<()> {
        (self.role() >= role).then_some(()).ok_or(Error::Forbidden)
    }

    /// Lets operators pass.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn require_operator(&self) -> Result<()> {
        self.is_operator().then_some(()).ok_or(Error::Forbidden)
    }
}

impl Core {
    /// A link that makes the first operator; `None` when there is one. For the one who starts the
    /// gateway.
    ///
    /// # Errors
    /// The store's.
    pub async fn first_setup_link(&self) -> Result<Option<Secret>> {
        match self.store.users(None).await?.is_empty() {
            true => {
                self.new_link(Link::Join(Place::Operator), SETUP_LINK_MAX, None).await.map(Some)
            }
            false => Ok(None),
        }
    }

    /// A link that makes a person of the account that is looked at, or an operator.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for anybody but owners and operators, [`Error::Conflict`] when as many
    /// invitations are open as may be.
    pub async fn invite(&self, visitor: &Visitor, role: Role) -> Result<Secret> {
        if self.invitations(visitor).await?.len() >= INVITATIONS_MAX {
            return Err(Error::Conflict(TOO_MANY_INVITATIONS));
        }
        let place = match visitor.account() {
            Some(account) => Place::Account(account.id, role),
            None => Place::Operator,
        };
        let maker = Some(visitor.session.user.id);
        let link = self.new_link(Link::Join(place), INVITE_MAX, maker).await?;
        let role = place.account().map_or("operator", |_| role.as_str());
        self.note(&visitor.principal, Action::PersonInvited, role).await;
        Ok(link)
    }

    /// The open invitations to the account that is looked at, or to the operators; the newest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for anybody but owners and operators.
    pub async fn invitations(&self, visitor: &Visitor) -> Result<Vec<Invitation>> {
        visitor.require(Role::Owner)?;
        let account = visitor.account().map(|account| account.id);
        Ok(self.store.invitations(account, self.clock.now()).await?)
    }

    /// Withdraws one of them: its link is over at once.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn withdraw_invitation(&self, visitor: &Visitor, hash: KeyHash) -> Result<()> {
        visitor.require(Role::Owner)?;
        let account = visitor.account().map(|account| account.id);
        let withdrawn = self.store.delete_invitation(account, hash).await?;
        let Some(Link::Join(place)) = withdrawn else { return Err(Error::NotFound("invitation")) };
        let role = place.account().map_or("operator", |_| place.role().as_str());
        self.note(&visitor.principal, Action::InvitationWithdrawn, role).await;
        Ok(())
    }

    /// A link that makes an operator, for the operator key and for commands on this machine.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for anybody else.
    pub async fn setup_link(&self, principal: &Principal) -> Result<(Secret, Timestamp)> {
        principal.require_operator()?;
        let expires_at = self.clock.now().saturating_add(SETUP_LINK_MAX).unwrap_or(Timestamp::MAX);
        let link = self.new_link(Link::Join(Place::Operator), SETUP_LINK_MAX, None).await?;
        self.note(principal, Action::SetupLinkCreated, "").await;
        Ok((link, expires_at))
    }

    /// A link that signs in as the operator with this address, who is made when missing and has no
    /// password. For the demo.
    ///
    /// # Errors
    /// The store's.
    pub async fn demo_link(&self, email: &str) -> Result<Secret> {
        let known = self.store.user_by_email(email).await?;
        let user = match known {
            Some((user, _)) => user,
            None => self.make_user(email.to_owned(), String::new(), Place::Operator).await?,
        };
        self.new_link(Link::SignIn(user.id), SETUP_LINK_MAX, None).await
    }

    pub(super) async fn new_link(
        &self,
        link: Link,
        lasts: SignedDuration,
        made_by: Option<UserId>,
    ) -> Result<Secret> {
        let secret = Secret::from_random(KeyKind::Link, self.random());
        let now = self.clock.now();
        let expires_at = now.saturating_add(lasts).unwrap_or(Timestamp::MAX);
        let new = NewLink { hash: secret.hash(), link, made_by, expires_at };
        let made = self.store.create_link(new, now).await?;
        made.then_some(secret).ok_or(Error::Unauthorized)
    }

    /// What a link does.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is used up, too old or none of ours.
    pub async fn link(&self, link: &Secret) -> Result<Link> {
        let found = self.store.link(link.hash(), self.clock.now()).await?;
        found.ok_or(Error::NotFound("link"))
    }

    /// Makes the person that a link stands for and signs it in. `password` is its hash.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the link, [`Error::Invalid`], [`Error::Conflict`].
    pub async fn join(&self, link: &Secret, email: &str, password: String) -> Result<Secret> {
        let email = check_email(email)?;
        let joined = self.store.join(link.hash(), &email, &password, self.clock.now()).await?;
        let user = made(joined.ok_or(Error::NotFound("link"))?)?;
        let account = user.place.account();
        self.write_note(account, user.email.clone(), Action::PersonJoined, &user.email).await;
        self.open_session(&user, None).await
    }

    async fn make_user(&self, email: String, password: String, place: Place) -> Result<User> {
        let new = NewUser { email, password, place };
        made(self.store.create_user(new, self.clock.now()).await?)
    }

    /// Signs in by a link; the operator of the demo looks at the newest account at once.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn sign_in_by_link(&self, link: &Secret) -> Result<Secret> {
        let Link::SignIn(_) = self.link(link).await? else { return Err(Error::NotFound("link")) };
        let Some(Link::SignIn(id)) = self.store.take_link(link.hash(), self.clock.now()).await?
        else {
            return Err(Error::NotFound("link"));
        };
        let users = self.store.users(None).await?;
        let user = users.into_iter().find(|user| user.id == id).ok_or(Error::NotFound("link"))?;
        let page = crate::ports::PageRequest { before: None, limit: 1 };
        let newest = self.store.accounts(page).await?.items.pop();
        self.open_session(&user, newest.map(|account| account.id)).await
    }

    /// Counts a try to sign in, until [`Core::forget_tries`]: one that is cut off counts, too.
    ///
    /// # Errors
    /// [`Error::TooManyTries`].
    pub fn count_try(&self, email: &str, client: Option<IpAddr>) -> Result<()> {
        self.login_tries.count(email, client, self.clock.now())
    }

    /// Forgets the tries of somebody who knew the password.
    pub fn forget_tries(&self, email: &str, client: Option<IpAddr>) {
        self.login_tries.forget(email, client);
    }

    /// The person with this address, and the stored password.
    ///
    /// # Errors
    /// The store's.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<(User, String)>> {
        match check_email(email) {
            Ok(email) => Ok(self.store.user_by_email(&email).await?),
            Err(_) => Ok(None),
        }
    }

    /// Begins a session; its secret is for the cookie.
    ///
    /// # Errors
    /// The store's.
    pub async fn open_session(&self, user: &User, entered: Option<AccountId>) -> Result<Secret> {
        let secret = Secret::from_random(KeyKind::Session, self.random());
        let new = NewSession { hash: secret.hash(), user: user.id, entered };
        self.store.create_session(new, self.clock.now()).await?;
        Ok(secret)
    }

    /// Who holds this session.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] when there is none, or it has ended.
    pub async fn visitor(&self, cookie: &Secret) -> Result<Visitor> {
        let now = self.clock.now();
        let session = self.store.session(cookie.hash()).await?.ok_or(Error::Unauthorized)?;
        if !session.holds(now) {
            self.store.delete_session(session.hash).await?;
            return Err(Error::Unauthorized);
        }
        if now.duration_since(session.seen_at) >= TOUCH_EVERY {
            match self.store.touch_session(session.hash, now).await {
                // A full disk must not lock people out.
                Ok(()) | Err(StoreError::Unavailable(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let account = session.user.place.account().or(session.entered);
        let holder = match account {
            Some(account) => {
                self.holder_of(account, Scopes::of_role(session.user.place.role())).await?
            }
            None => None,
        };
        let caller = match &holder {
            Some(holder) => holder.caller,
            None if session.user.place == Place::Operator => Caller::Operator,
            None => return Err(Error::Unauthorized),
        };
        let person = Some(session.user.email.as_str().into());
        let principal = Principal { caller, holder, key: session.hash, rate: None, person };
        Ok(Visitor { session, principal })
    }

    /// The operator in the place of an account's owner.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for anybody else, [`Error::NotFound`].
    pub async fn in_account(&self, operator: &Principal, id: AccountId) -> Result<Principal> {
        operator.require_operator()?;
        let holder = self.holder_of(id, Scopes::ALL).await?.ok_or(Error::NotFound("account"))?;
        let person = operator.person.clone().or_else(|| Some("operator".into()));
        let (caller, key) = (holder.caller, operator.key);
        Ok(Principal { caller, holder: Some(holder), key, rate: None, person })
    }

    /// What is known of an account; `None` when it is gone.
    pub(super) async fn holder_of(
        &self,
        id: AccountId,
        scopes: Scopes,
    ) -> Result<Option<Arc<KeyHolder>>> {
        let Some(account) = self.store.account(id).await? else { return Ok(None) };
        let plans = self.store.plans().await?;
        let plan = plans.into_iter().find(|plan| plan.name == account.plan);
        // A session is no key, and ids of keys begin with 1.
        let caller = Caller::Account(id, KeyId(0));
        let holder =
            |plan: Plan| KeyHolder { caller, account, plan: plan.into(), scopes, expires_at: None };
        Ok(plan.map(|plan| Arc::new(holder(plan))))
    }

    /// Lets an operator look at an account, or at none.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn enter(&self, visitor: &Visitor, account: Option<AccountId>) -> Result<()> {
        visitor.require_operator()?;
        if let Some(id) = account {
            self.store.account(id).await?.ok_or(Error::NotFound("account"))?;
        }
        self.store.enter_account(visitor.session.hash, account).await?;
        let left = visitor.account().map(|account| account.id);
        let (concerned, action) = match account {
            Some(_) => (account, Action::AccountEntered),
            None => (left, Action::AccountLeft),
        };
        if let Some(id) = concerned {
            self.note_in(&visitor.principal, Some(id), action, id).await;
        }
        Ok(())
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The store's.
    pub async fn sign_out(&self, visitor: &Visitor) -> Result<()> {
        self.store.delete_session(visitor.session.hash).await?;
        if let Some(account) = visitor.account() {
            self.end_revoked_streams(account.id).await;
        }
        Ok(())
    }

    /// The people of the account that is looked at, or the operators.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for anybody but owners and operators.
    pub async fn people(&self, visitor: &Visitor) -> Result<Vec<User>> {
        visitor.require(Role::Owner)?;
        Ok(self.store.users(visitor.account().map(|account| account.id)).await?)
    }

    /// Erases one of them with the invitations it made, but not oneself, so that an owner and an
    /// operator stay.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Conflict`].
    pub async fn remove_person(&self, visitor: &Visitor, id: UserId) -> Result<()> {
        visitor.require(Role::Owner)?;
        if visitor.session.user.id == id {
            return Err(Error::Conflict(NOT_ONESELF));
        }
        let account = visitor.account().map(|account| account.id);
        let people = self.store.users(account).await?;
        let user = people.into_iter().find(|user| user.id == id).ok_or(Error::NotFound("user"))?;
        let deleted = self.store.delete_user(account, id).await?;
        deleted.then_some(()).ok_or(Error::NotFound("user"))?;
        if let Some(account) = account {
            self.end_revoked_streams(account).await;
        }
        let removed = format!("{id} {}", user.email);
        self.note(&visitor.principal, Action::PersonRemoved, removed).await;
        Ok(())
    }

    /// Begins the session of somebody who knew the password.
    ///
    /// # Errors
    /// The store's.
    pub async fn sign_in(&self, user: &User) -> Result<Secret> {
        let session = self.open_session(user, None).await?;
        let (account, email) = (user.place.account(), &user.email);
        self.write_note(account, email.clone(), Action::PersonSignedIn, email).await;
        Ok(session)
    }
}

fn made(created: CreatedUser) -> Result<User> {
    match created {
        CreatedUser::Created(user) => Ok(user),
        CreatedUser::EmailTaken => Err(Error::Conflict(EMAIL_TAKEN)),
        CreatedUser::LimitReached => Err(Error::Conflict(TOO_MANY_PEOPLE)),
    }
}

const EMAIL_TAKEN: &str = "somebody else signs in with this email address";
const TOO_MANY_PEOPLE: &str = "there are as many people as there may be";
const TOO_MANY_INVITATIONS: &str =
    "as many invitations are open as there may be; withdraw some of them";
const NOT_ONESELF: &str = "you cannot remove yourself";
