//! People, sessions and links.

use async_trait::async_trait;
use domain::ids::{AccountId, NodeId, UserId};
use domain::key::KeyHash;
use domain::person::{
    INVITATIONS_MAX, Invitation, Link, Place, Role, SESSION_MAX, Session, USERS_MAX, User,
};
use domain::ports::{
    CreatedUser, FactorProof, FormClaim, FormHash, NewLink, NewSession, NewUser, PeopleStore,
    SecondFactor, StoreResult,
};
use jiff::Timestamp;

use super::messages::forgotten_before;
use super::{MemoryStore, State, stored};

#[async_trait]
impl PeopleStore for MemoryStore {
    async fn create_user(&self, user: NewUser, now: Timestamp) -> StoreResult<CreatedUser> {
        let mut state = self.state();
        let NewUser { email, password, place } = user;
        let account = place.account();
        let count = state.users.iter().filter(|(user, _)| user.place.account() == account).count();
        let is_gone = account.is_some_and(|id| !state.accounts.contains_key(&id));
        if is_gone || count >= usize::try_from(USERS_MAX).expect("a small limit") {
            return Ok(CreatedUser::LimitReached);
        }
        if state.users.iter().any(|(user, _)| user.email == email) {
            return Ok(CreatedUser::EmailTaken);
        }
        let user =
            User { id: UserId(state.next_id("users")), email, place, created_at: stored(now) };
        state.users.push((user.clone(), password));
        Ok(CreatedUser::Created(user))
    }

    async fn user_by_email(&self, email: &str) -> StoreResult<Option<(User, String)>> {
        Ok(self.state().users.iter().find(|(user, _)| user.email == email).cloned())
    }

    async fn users(&self, account: Option<AccountId>) -> StoreResult<Vec<User>> {
        let state = self.state();
        let of_account = state.users.iter().filter(|(user, _)| user.place.account() == account);
        Ok(of_account.map(|(user, _)| user.clone()).collect())
    }

    async fn delete_user(&self, account: Option<AccountId>, id: UserId) -> StoreResult<bool> {
        let mut state = self.state();
        let before = state.users.len();
        state.retain_people(|user| user.id != id || user.place.account() != account);
        let is_deleted = state.users.len() < before;
        state.links.retain(|link| {
            let is_of_account =
                matches!(link.link, Link::Join(Place::Account(id, _)) if Some(id) == account);
            !is_deleted || (link.made_by != Some(id) && (link.made_by.is_some() || !is_of_account))
        });
        Ok(is_deleted)
    }

    async fn set_role(&self, account: AccountId, id: UserId, role: Role) -> StoreResult<bool> {
        let mut state = self.state();
        let is_it = |user: &User| user.id == id && user.place.account() == Some(account);
        let place = Place::Account(account, role);
        let Some((user, _)) = state.users.iter_mut().find(|(user, _)| is_it(user)) else {
            return Ok(false);
        };
        user.place = place;
        state.links.retain(|link| link.made_by != Some(id));
        for session in state.sessions.iter_mut().filter(|session| session.user.id == id) {
            session.user.place = place;
        }
        Ok(true)
    }

    async fn set_password(
        &self,
        id: UserId,
        password: &str,
        kept: Option<KeyHash>,
    ) -> StoreResult<bool> {
        let mut state = self.state();
        let Some((_, known)) = state.users.iter_mut().find(|(user, _)| user.id == id) else {
            return Ok(false);
        };
        password.clone_into(known);
        state.sessions.retain(|session| session.user.id != id || Some(session.hash) == kept);
        let is_for =
            |link: Link| matches!(link, Link::SignIn(user) | Link::Reset(user) if user == id);
        state.links.retain(|link| !is_for(link.link));
        Ok(true)
    }

    async fn reset_password(
        &self,
        hash: KeyHash,
        password: &str,
        now: Timestamp,
    ) -> StoreResult<Option<User>> {
        let Some(Link::Reset(id)) = self.link(hash, now).await? else { return Ok(None) };
        self.set_password(id, password, None).await?;
        let state = self.state();
        Ok(state.users.iter().find(|(user, _)| user.id == id).map(|(user, _)| user.clone()))
    }

    async fn create_link(&self, link: NewLink, now: Timestamp) -> StoreResult<bool> {
        let mut state = self.state();
        if let Some(maker) = link.made_by
            && !state.users.iter().any(|(user, _)| user.id == maker)
        {
            return Ok(false);
        }
        state.links.retain(|link| link.expires_at > now);
        state.links.push(link);
        Ok(true)
    }

    async fn invitations(
        &self,
        account: Option<AccountId>,
        now: Timestamp,
    ) -> StoreResult<Vec<Invitation>> {
        let state = self.state();
        let email = |id| state.users.iter().find(|(user, _)| Some(user.id) == id);
        let open = state.links.iter().filter(|link| link.expires_at > now);
        let open = open.filter_map(|link| match link.link {
            Link::Join(place) if place.account() == account => Some(Invitation {
                hash: link.hash,
                place,
                made_by: email(link.made_by).map(|(user, _)| user.email.clone()),
                expires_at: stored(link.expires_at),
            }),
            _ => None,
        });
        let mut open: Vec<_> = open.collect();
        open.sort_by_key(|link| (std::cmp::Reverse(link.expires_at), link.hash.0));
        open.truncate(INVITATIONS_MAX);
        Ok(open)
    }

    async fn delete_invitation(
        &self,
        account: Option<AccountId>,
        hash: KeyHash,
    ) -> StoreResult<Option<Link>> {
        let mut state = self.state();
        let place = state.links.iter().position(|link| {
            let is_invitation = matches!(link.link, Link::Join(to) if to.account() == account);
            link.hash == hash && is_invitation
        });
        Ok(place.map(|place| state.links.remove(place).link))
    }

    async fn link(&self, hash: KeyHash, now: Timestamp) -> StoreResult<Option<Link>> {
        let state = self.state();
        let mut valid = state.links.iter().filter(|link| link.expires_at > now);
        Ok(valid.find(|link| link.hash == hash).map(|link| link.link))
    }

    async fn take_link(&self, hash: KeyHash, now: Timestamp) -> StoreResult<Option<Link>> {
        let found = self.link(hash, now).await?;
        self.state().links.retain(|link| found.is_none() || link.hash != hash);
        Ok(found)
    }

    async fn join(
        &self,
        hash: KeyHash,
        email: &str,
        password: &str,
        now: Timestamp,
    ) -> StoreResult<Option<CreatedUser>> {
        let Some(Link::Join(place)) = self.link(hash, now).await? else { return Ok(None) };
        let (email, password) = (email.to_owned(), password.to_owned());
        let created = self.create_user(NewUser { email, password, place }, now).await?;
        if let CreatedUser::Created(_) = created {
            self.state().links.retain(|link| link.hash != hash);
        }
        Ok(Some(created))
    }

    async fn create_session(&self, session: NewSession, now: Timestamp) -> StoreResult<()> {
        let mut state = self.state();
        state.sessions.retain(|session| now.duration_since(session.created_at) < SESSION_MAX);
        let user = state.users.iter().find(|(user, _)| user.id == session.user).cloned();
        if let Some((user, _)) = user {
            let (NewSession { hash, entered, .. }, at) = (session, stored(now));
            state.sessions.push(Session { hash, user, entered, created_at: at, seen_at: at });
        }
        Ok(())
    }

    async fn session(&self, hash: KeyHash) -> StoreResult<Option<Session>> {
        Ok(self.state().sessions.iter().find(|session| session.hash == hash).cloned())
    }

    async fn touch_session(&self, hash: KeyHash, now: Timestamp) -> StoreResult<()> {
        self.state().change_session(hash, |session| session.seen_at = stored(now));
        Ok(())
    }

    async fn enter_account(&self, hash: KeyHash, account: Option<AccountId>) -> StoreResult<()> {
        self.state().change_session(hash, |session| session.entered = account);
        Ok(())
    }

    async fn delete_session(&self, hash: KeyHash) -> StoreResult<()> {
        self.state().sessions.retain(|session| session.hash != hash);
        Ok(())
    }

    async fn second_factor(&self, user: UserId) -> StoreResult<Option<SecondFactor>> {
        Ok(self.state().second_factors.get(&user).cloned())
    }

    async fn set_second_factor(&self, user: UserId, factor: SecondFactor) -> StoreResult<bool> {
        let mut state = self.state();
        let is_known = state.users.iter().any(|(known, _)| known.id == user);
        let may_be_set = is_known && !state.second_factors.contains_key(&user);
        if may_be_set {
            state.second_factors.insert(user, factor);
        }
        Ok(may_be_set)
    }

    async fn use_second_factor(&self, user: UserId, proof: FactorProof) -> StoreResult<bool> {
        let mut state = self.state();
        let Some(factor) = state.second_factors.get_mut(&user) else { return Ok(false) };
        Ok(match proof {
            FactorProof::Step(step) => {
                let is_new = step > factor.last_step;
                factor.last_step = factor.last_step.max(step);
                is_new
            }
            FactorProof::Recovery(code) => {
                let before = factor.recovery.len();
                factor.recovery.retain(|known| *known != code);
                factor.recovery.len() < before
            }
        })
    }

    async fn delete_second_factor(&self, user: UserId) -> StoreResult<bool> {
        Ok(self.state().second_factors.remove(&user).is_some())
    }

    async fn claim_form(
        &self,
        form: FormHash,
        node: Option<NodeId>,
        now: Timestamp,
    ) -> StoreResult<FormClaim> {
        let mut state = self.state();
        state.sent_forms.retain(|_, (_, sent_at)| *sent_at > forgotten_before(now));
        if let Some((node, _)) = state.sent_forms.get(&form) {
            return Ok(FormClaim::Before(*node));
        }
        state.sent_forms.insert(form, (node, stored(now)));
        Ok(FormClaim::First)
    }

    async fn release_form(&self, form: FormHash) -> StoreResult<()> {
        self.state().sent_forms.remove(&form);
        Ok(())
    }
}

impl State {
    /// Erases people, with their sessions and links.
    pub(super) fn retain_people(&mut self, keep: impl Fn(&User) -> bool) {
        self.users.retain(|(user, _)| keep(user));
        let users = &self.users;
        let is_known = |id: UserId| users.iter().any(|(user, _)| user.id == id);
        self.sessions.retain(|session| is_known(session.user.id));
        self.second_factors.retain(|user, _| is_known(*user));
        let accounts = &self.accounts;
        self.links.retain(|link| match link.link {
            Link::SignIn(user) | Link::Reset(user) => is_known(user),
            Link::Join(place) => place.account().is_none_or(|id| accounts.contains_key(&id)),
        });
    }

    fn change_session(&mut self, hash: KeyHash, change: impl FnOnce(&mut Session)) {
        if let Some(session) = self.sessions.iter_mut().find(|session| session.hash == hash) {
            change(session);
        }
    }
}
