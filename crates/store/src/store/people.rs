//! The port of people, sessions and links.

use async_trait::async_trait;
use domain::ids::{AccountId, NodeId, UserId};
use domain::key::KeyHash;
use domain::person::{Invitation, Link, Role, Session, User};
use domain::ports::{
    CreatedUser, FactorProof, FormClaim, FormHash, NewLink, NewSession, NewUser, PeopleStore,
    SecondFactor, StoreResult,
};
use jiff::Timestamp;

use super::SqlStore;
use crate::{forms, people, second_factors};

#[async_trait]
impl PeopleStore for SqlStore {
    async fn create_user(&self, user: NewUser, now: Timestamp) -> StoreResult<CreatedUser> {
        run!(self.write, people::create_user, user, now)
    }

    async fn user_by_email(&self, email: &str) -> StoreResult<Option<(User, String)>> {
        let email = email.to_owned();
        run!(self.read, people::user_by_email, email)
    }

    async fn users(&self, account: Option<AccountId>) -> StoreResult<Vec<User>> {
        run!(self.read, people::users, account)
    }

    async fn delete_user(&self, account: Option<AccountId>, id: UserId) -> StoreResult<bool> {
        run!(self.write, people::delete_user, account, id)
    }

    async fn set_role(&self, account: AccountId, id: UserId, role: Role) -> StoreResult<bool> {
        run!(self.write, people::set_role, account, id, role)
    }

    async fn set_password(
        &self,
        id: UserId,
        password: &str,
        kept: Option<KeyHash>,
    ) -> StoreResult<bool> {
        let password = password.to_owned();
        run!(self.write, people::set_password, id, password, kept)
    }

    async fn reset_password(
        &self,
        hash: KeyHash,
        password: &str,
        now: Timestamp,
    ) -> StoreResult<Option<User>> {
        let password = password.to_owned();
        run!(self.write, people::reset_password, hash, password, now)
    }

    async fn create_link(&self, link: NewLink, now: Timestamp) -> StoreResult<bool> {
        run!(self.write, people::create_link, link, now)
    }

    async fn invitations(
        &self,
        account: Option<AccountId>,
        now: Timestamp,
    ) -> StoreResult<Vec<Invitation>> {
        run!(self.read, people::invitations, account, now)
    }

    async fn delete_invitation(
        &self,
        account: Option<AccountId>,
        hash: KeyHash,
    ) -> StoreResult<Option<Link>> {
        run!(self.write, people::delete_invitation, account, hash)
    }

    async fn link(&self, hash: KeyHash, now: Timestamp) -> StoreResult<Option<Link>> {
        run!(self.read, people::link, hash, now)
    }

    async fn take_link(&self, hash: KeyHash, now: Timestamp) -> StoreResult<Option<Link>> {
        run!(self.write, people::take_link, hash, now)
    }

    async fn join(
        &self,
        hash: KeyHash,
        email: &str,
        password: &str,
        now: Timestamp,
    ) -> StoreResult<Option<CreatedUser>> {
        let names = (email.to_owned(), password.to_owned());
        run!(self.write, people::join, hash, names, now)
    }

    async fn create_session(&self, session: NewSession, now: Timestamp) -> StoreResult<()> {
        run!(self.write, people::create_session, session, now)
    }

    async fn session(&self, hash: KeyHash) -> StoreResult<Option<Session>> {
        run!(self.read, people::session, hash)
    }

    async fn touch_session(&self, hash: KeyHash, now: Timestamp) -> StoreResult<()> {
        run!(self.write, people::touch_session, hash, now)
    }

    async fn enter_account(&self, hash: KeyHash, account: Option<AccountId>) -> StoreResult<()> {
        run!(self.write, people::enter_account, hash, account)
    }

    async fn delete_session(&self, hash: KeyHash) -> StoreResult<()> {
        run!(self.write, people::delete_session, hash)
    }

    async fn second_factor(&self, user: UserId) -> StoreResult<Option<SecondFactor>> {
        run!(self.read, second_factors::second_factor, user)
    }

    async fn set_second_factor(&self, user: UserId, factor: SecondFactor) -> StoreResult<bool> {
        run!(self.write, second_factors::set, user, factor)
    }

    async fn use_second_factor(&self, user: UserId, proof: FactorProof) -> StoreResult<bool> {
        run!(self.write, second_factors::use_up, user, proof)
    }

    async fn delete_second_factor(&self, user: UserId) -> StoreResult<bool> {
        run!(self.write, second_factors::delete, user)
    }

    async fn claim_form(
        &self,
        form: FormHash,
        node: Option<NodeId>,
        now: Timestamp,
    ) -> StoreResult<FormClaim> {
        run!(self.write, forms::claim, form, node, now)
    }

    async fn release_form(&self, form: FormHash) -> StoreResult<()> {
        run!(self.write, forms::release, form)
    }
}
