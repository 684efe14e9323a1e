//! Passwords that are changed or reset, and roles that are given anew.

use super::{Core, Visitor};
use crate::audit::Action;
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::key::Secret;
use crate::person::{Link, Place, RESET_MAX, Role, User};

impl Core {
    /// Sets one's own password, of somebody who has shown the current one; all other sessions end. `password`
    /// is its hash.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the person was removed meanwhile.
    pub async fn change_password(&self, visitor: &Visitor, password: &str) -> Result<()> {
        let user = &visitor.session.user;
        let kept = Some(visitor.session.hash);
        let changed = self.store.set_password(user.id, password, kept).await?;
        changed.then_some(()).ok_or(Error::NotFound("user"))?;
        self.end_streams_of(user).await;
        self.note(&visitor.principal, Action::PasswordChanged, &user.email).await;
        Ok(())
    }

    /// A link that sets a new password for somebody of the account that is looked at, or for an operator.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for anybody but owners and operators, [`Error::NotFound`], [`Error::Conflict`] for
    /// oneself.
    pub async fn password_reset_link(&self, visitor: &Visitor, id: UserId) -> Result<Secret> {
        let user = self.other_person(visitor, id, OWN_PASSWORD).await?;
        let maker = Some(visitor.session.user.id);
        let link = self.new_link(Link::Reset(id), RESET_MAX, maker).await?;
        self.note(&visitor.principal, Action::PasswordResetLinkCreated, &user.email).await;
        Ok(link)
    }

    /// Sets the password of the person that a link is for, and ends its sessions; who it is. `password` is its
    /// hash.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the link is used up, too old or none of ours.
    pub async fn reset_password(&self, link: &Secret, password: &str) -> Result<User> {
        let now = self.clock.now();
        let user = self.store.reset_password(link.hash(), password, now).await?;
        let user = user.ok_or(Error::NotFound("link"))?;
        self.end_streams_of(&user).await;
        let (account, email) = (user.place.account(), &user.email);
        self.write_note(account, email.clone(), Action::PasswordReset, email).await;
        Ok(user)
    }

    /// Gives somebody of the account that is looked at another role; the invitations it made end. Not oneself,
    /// so that an owner stays.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for anybody but owners and operators, [`Error::NotFound`], [`Error::Conflict`].
    pub async fn change_role(&self, visitor: &Visitor, id: UserId, role: Role) -> Result<()> {
        let user = self.other_person(visitor, id, OWN_ROLE).await?;
        let account = user.place.account().ok_or(Error::NotFound("user"))?;
        let changed = self.store.set_role(account, id, role).await?;
        changed.then_some(()).ok_or(Error::NotFound("user"))?;
        self.end_streams_of(&user).await;
        let subject = format!("{} {}", user.email, role.as_str());
        self.note(&visitor.principal, Action::PersonRoleChanged, subject).await;
        Ok(())
    }

    /// The name of the account that a place is in; an operator's is in none.
    ///
    /// # Errors
    /// The store's.
    pub async fn account_name(&self, place: Place) -> Result<Option<String>> {
        let Some(id) = place.account() else { return Ok(None) };
        Ok(self.store.account(id).await?.map(|account| account.name))
    }

    async fn other_person(
        &self,
        visitor: &Visitor,
        id: UserId,
        not_oneself: &'static str,
    ) -> Result<User> {
        let people = self.people(visitor).await?;
        if visitor.session.user.id == id {
            return Err(Error::Conflict(not_oneself));
        }
        people.into_iter().find(|user| user.id == id).ok_or(Error::NotFound("user"))
    }

    async fn end_streams_of(&self, user: &User) {
        if let Some(account) = user.place.account() {
            self.end_revoked_streams(account).await;
        }
    }
}

const OWN_PASSWORD: &str = "your own password is changed with the current one";
const OWN_ROLE: &str = "you cannot change your own role";
