//! The second step of signing in: a code of an authenticator app, or one of the recovery codes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};

use super::{Core, Visitor};
use crate::audit::Action;
use crate::error::{Error, Result};
use crate::ids::UserId;
use crate::key::Secret;
use crate::person::{Role, User};
use crate::ports::{FactorProof, SecondFactor};
use crate::totp::{RECOVERY_CODES, TotpSecret, cleaned_code, recovery_code};
use crate::webhook::{SealedSecret, SecretRow};

/// How long somebody who knew the password has for the code.
const TICKET: SignedDuration = SignedDuration::from_mins(5);
const TICKET_MARK: &str = "ticket";
const TOTP_MARK: &str = "totp";

impl Core {
    /// A secret for an app that is set up.
    pub fn new_totp(&self) -> TotpSecret {
        TotpSecret::from_random(self.random())
    }

    /// Whether somebody signs in with a second step.
    ///
    /// # Errors
    /// The store's.
    pub async fn has_second_factor(&self, user: UserId) -> Result<bool> {
        Ok(self.store.second_factor(user).await?.is_some())
    }

    /// Asks for a second step from now on, once an app has shown a right code: the recovery codes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a wrong code, [`Error::Conflict`] when there is one already.
    pub async fn enable_totp(
        &self,
        visitor: &Visitor,
        totp: &TotpSecret,
        code: &str,
    ) -> Result<Vec<String>> {
        let user = visitor.session.user.id;
        let step = totp.step_of(&cleaned_code(code), self.clock.now());
        let last_step = step.ok_or_else(|| Error::invalid("code", WRONG_CODE))?;
        let codes: Vec<String> =
            (0..RECOVERY_CODES).map(|_| recovery_code(self.random())).collect();
        let text = format!("{TOTP_MARK} {}", totp.to_text());
        let factor = SecondFactor {
            secret: self.sealer.seal(SecretRow::Person { user }, &text),
            last_step,
            recovery: codes.iter().map(|code| Secret::new(cleaned_code(code)).hash()).collect(),
        };
        if !self.store.set_second_factor(user, factor).await? {
            return Err(Error::Conflict(SET_ALREADY));
        }
        self.note(&visitor.principal, Action::SecondFactorSet, &visitor.session.user.email).await;
        Ok(codes)
    }

    /// Asks for no second step any more, of somebody who shows a right code.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a wrong code.
    pub async fn disable_totp(&self, visitor: &Visitor, code: &str) -> Result<()> {
        let user = &visitor.session.user;
        if !self.is_second_factor(user.id, code).await? {
            return Err(Error::invalid("code", WRONG_CODE));
        }
        self.store.delete_second_factor(user.id).await?;
        self.note(&visitor.principal, Action::SecondFactorRemoved, &user.email).await;
        Ok(())
    }

    /// Takes the second step away from somebody who has lost it: of the account that is looked at, or an
    /// operator. Not from oneself: that takes a code.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Conflict`].
    pub async fn reset_second_factor(&self, visitor: &Visitor, id: UserId) -> Result<()> {
        visitor.require(Role::Owner)?;
        if visitor.session.user.id == id {
            return Err(Error::Conflict(NOT_ONESELF));
        }
        let people = self.people(visitor).await?;
        let user = people.into_iter().find(|user| user.id == id).ok_or(Error::NotFound("user"))?;
        self.store.delete_second_factor(id).await?;
        self.note(&visitor.principal, Action::SecondFactorRemoved, &user.email).await;
        Ok(())
    }

    /// Whether a code is right, and uses it up: none counts twice.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_second_factor(&self, user: UserId, code: &str) -> Result<bool> {
        let Some(factor) = self.store.second_factor(user).await? else { return Ok(false) };
        let text = self.sealer.open(SecretRow::Person { user }, &factor.secret);
        let totp = text.as_deref().and_then(|text| text.strip_prefix(TOTP_MARK)?.strip_prefix(' '));
        let code = cleaned_code(code);
        let step =
            totp.and_then(TotpSecret::parse).and_then(|totp| totp.step_of(&code, self.clock.now()));
        let proof = match step {
            Some(step) => FactorProof::Step(step),
            None => FactorProof::Recovery(Secret::new(code).hash()),
        };
        Ok(self.store.use_second_factor(user, proof).await?)
    }

    /// What somebody who knew the password shows with the code.
    pub fn sign_in_ticket(&self, user: &User) -> String {
        let until = self.clock.now().saturating_add(TICKET).unwrap_or(Timestamp::MAX);
        let text = format!("{TICKET_MARK} {} {}", until.as_second(), user.email);
        let sealed = self.sealer.seal(SecretRow::Person { user: user.id }, &text);
        format!("{}.{}", user.id, URL_SAFE_NO_PAD.encode(sealed.0))
    }

    /// Whose ticket it is, while it is valid.
    ///
    /// # Errors
    /// The store's.
    pub async fn ticket_holder(&self, ticket: &str) -> Result<Option<User>> {
        let read = || {
            let (user, sealed) = ticket.split_once('.')?;
            let user = UserId(user.parse().ok()?);
            let sealed = SealedSecret(URL_SAFE_NO_PAD.decode(sealed).ok()?);
            let text = self.sealer.open(SecretRow::Person { user }, &sealed)?;
            let rest = text.strip_prefix(TICKET_MARK)?.strip_prefix(' ')?;
            let (until, email) = rest.split_once(' ')?;
            let holds = self.clock.now().as_second() < until.parse().ok()?;
            holds.then(|| (user, email.to_owned()))
        };
        let Some((id, email)) = read() else { return Ok(None) };
        let found = self.user_by_email(&email).await?;
        Ok(found.map(|(user, _)| user).filter(|user| user.id == id))
    }
}

const WRONG_CODE: &str = "is not a code of the app's now";
const SET_ALREADY: &str = "there is a second step already";
const NOT_ONESELF: &str = "your own second step is switched off with a code";
