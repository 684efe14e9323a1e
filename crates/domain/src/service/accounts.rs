//! Accounts and plans.

use jiff::tz::TimeZone;

use super::{Core, Principal, check_name};
use crate::account::{Account, AccountPatch, NewAccount};
use crate::audit::Action;
use crate::error::{Error, Result};
use crate::ids::AccountId;
use crate::key::{KeyKind, Secret};
use crate::plan::{DEFAULT_PLAN, Plan};
use crate::ports::{AccountRefusal, Page, PageRequest};
use crate::scope::Scope;

/// The country code a leading zero stands for, unless an account says otherwise.
const COUNTRY_DEFAULT: &str = "62";
/// The time zone of an account, unless it says otherwise.
const TIMEZONE_DEFAULT: &str = "Asia/Jakarta";
/// Most rows of one page of a list.
pub const ACCOUNTS_PAGE_MAX: u32 = 100;

/// What is asked for when an account is made.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields are those of `Account`")]
pub struct NewAccountRequest {
    pub name: String,
    pub email: String,
    pub plan: Option<String>,
    pub default_country: Option<String>,
    pub timezone: Option<String>,
}

impl Core {
    /// Makes an account; its first key is shown only now.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for anybody but the operator, [`Error::Invalid`] for a faulty field,
    /// [`Error::Conflict`] when the e-mail address is taken.
    pub async fn create_account(
        &self,
        principal: &Principal,
        request: NewAccountRequest,
    ) -> Result<(Account, Secret)> {
        principal.require_operator()?;
        let account = NewAccount {
            name: check_name("name", &request.name)?,
            email: check_email(&request.email)?,
            plan: self.check_plan(request.plan.as_deref().unwrap_or(DEFAULT_PLAN)).await?,
            default_country: check_country(
                request.default_country.as_deref().unwrap_or(COUNTRY_DEFAULT),
            )?,
            timezone: check_timezone(request.timezone.as_deref().unwrap_or(TIMEZONE_DEFAULT))?,
        };
        let (secret, key) = self.new_secret(KeyKind::Account, "first key");
        let created = self.store.create_account(account, key, self.clock.now()).await?;
        let account = created.map_err(refused)?;
        self.note_in(principal, Some(account.id), Action::AccountCreated, named(&account)).await;
        Ok((account, secret))
    }

    /// One account, for the operator.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn account(&self, principal: &Principal, id: AccountId) -> Result<Account> {
        principal.require_operator()?;
        self.store.account(id).await?.ok_or(Error::NotFound("account"))
    }

    /// All accounts, for the operator.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn accounts(
        &self,
        principal: &Principal,
        page: PageRequest,
    ) -> Result<Page<Account>> {
        principal.require_operator()?;
        Ok(self.store.accounts(page).await?)
    }

    /// Changes an account, for the operator.
    ///
    /// # Errors
    /// As [`Core::create_account`], and [`Error::NotFound`].
    pub async fn update_account(
        &self,
        principal: &Principal,
        id: AccountId,
        patch: AccountPatch,
    ) -> Result<Account> {
        principal.require_operator()?;
        self.change_account(principal, id, patch).await
    }

    /// Changes what the people of an account choose themselves: its time zone, and the country that a
    /// leading zero stands for.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::ScopeMissing`], [`Error::Invalid`].
    pub async fn update_own_account(
        &self,
        principal: &Principal,
        timezone: String,
        default_country: String,
    ) -> Result<Account> {
        principal.require(Scope::Manage)?;
        let id = principal.require_account_key()?;
        let (timezone, default_country) = (Some(timezone), Some(default_country));
        let patch = AccountPatch { timezone, default_country, ..AccountPatch::default() };
        self.change_account(principal, id, patch).await
    }

    async fn change_account(
        &self,
        principal: &Principal,
        id: AccountId,
        patch: AccountPatch,
    ) -> Result<Account> {
        let plan = match patch.plan {
            Some(name) => Some(self.check_plan(&name).await?),
            None => None,
        };
        let patch = AccountPatch {
            name: patch.name.map(|name| check_name("name", &name)).transpose()?,
            email: patch.email.map(|email| check_email(&email)).transpose()?,
            plan,
            default_country: patch.default_country.map(|c| check_country(&c)).transpose()?,
            timezone: patch.timezone.map(|zone| check_timezone(&zone)).transpose()?,
        };
        match self.store.update_account(id, patch).await? {
            Some(Ok(account)) => {
                self.note_in(principal, Some(id), Action::AccountChanged, named(&account)).await;
                Ok(account)
            }
            Some(Err(refusal)) => Err(refused(refusal)),
            None => Err(Error::NotFound("account")),
        }
    }

    /// Unlinks and erases every device of an account, then the account with all it owns.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn delete_account(&self, principal: &Principal, id: AccountId) -> Result<()> {
        principal.require_operator()?;
        let subject = match self.store.account(id).await {
            Ok(Some(account)) => named(&account),
            _ => id.to_string(),
        };
        let is_full = self.store.make_room().await;
        let mut page = PageRequest { before: None, limit: ACCOUNTS_PAGE_MAX };
        loop {
            let devices = self.store.devices(id, page).await?;
            for device in &devices.items {
                if is_full {
                    self.store.discard_waiting(id, device.id).await?;
                }
                match self.dispatcher.remove(id, device.id).await {
                    // Erased by somebody else meanwhile.
                    Ok(()) | Err(Error::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
                page.before = Some(device.number_id.0);
            }
            if !devices.has_more {
                break;
            }
        }
        let deleted = self.store.delete_account(id).await?;
        self.dispatcher.account_erased(id);
        self.end_revoked_streams(id).await;
        deleted.then_some(()).ok_or(Error::NotFound("account"))?;
        self.note_in(principal, None, Action::AccountDeleted, subject).await;
        Ok(())
    }

    /// All plans.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for anybody but the operator.
    pub async fn plans(&self, principal: &Principal) -> Result<Vec<Plan>> {
        principal.require_operator()?;
        Ok(self.store.plans().await?)
    }

    /// How many accounts have a plan.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for anybody but the operator.
    pub async fn accounts_of_plan(&self, principal: &Principal, name: &str) -> Result<i64> {
        principal.require_operator()?;
        Ok(self.store.accounts_of_plan(name).await?)
    }

    /// Makes or replaces a plan.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Invalid`].
    pub async fn put_plan(&self, principal: &Principal, mut plan: Plan) -> Result<Plan> {
        principal.require_operator()?;
        let is_name_char =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if plan.name.is_empty() || plan.name.len() > 40 || !plan.name.chars().all(is_name_char) {
            return Err(Error::invalid("name", "must have 1 to 40 of a-z, 0-9, - and _"));
        }
        let limits = [
            ("device_limit", plan.device_limit),
            ("messages_per_day", plan.messages_per_day),
            ("messages_per_month", plan.messages_per_month),
            ("requests_per_minute", plan.requests_per_minute),
        ];
        for (field, limit) in limits {
            if limit.is_some_and(|limit| !(0..i64::from(i32::MAX)).contains(&limit)) {
                return Err(Error::invalid(field, "must be null or 0 to 2147483646"));
            }
        }
        plan.features.sort_unstable();
        plan.features.dedup();
        self.store.put_plan(plan.clone()).await?;
        self.note(principal, Action::PlanSaved, &plan.name).await;
        Ok(plan)
    }

    /// Deletes a plan that no account has.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Conflict`] while an account has it, and for the plan of
    /// accounts that are made without naming one.
    pub async fn delete_plan(&self, principal: &Principal, name: &str) -> Result<()> {
        principal.require_operator()?;
        if name == DEFAULT_PLAN {
            return Err(Error::Conflict("accounts made without a plan get this one: it stays"));
        }
        if !self.store.delete_plan(name).await? {
            if self.store.accounts_of_plan(name).await? > 0 {
                return Err(Error::Conflict(
                    "accounts have this plan: give them another one first",
                ));
            }
            return Err(Error::NotFound("plan"));
        }
        self.note(principal, Action::PlanDeleted, name).await;
        Ok(())
    }

    async fn check_plan(&self, name: &str) -> Result<String> {
        let plans = self.store.plans().await?;
        if plans.iter().any(|plan| plan.name == name) {
            return Ok(name.to_owned());
        }
        let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
        Err(Error::invalid("plan", format!("must be one of {}", names.join(", "))))
    }
}

/// What names an account in the audit log, also when it is gone.
fn named(account: &Account) -> String {
    format!("{} {}", account.id, account.name)
}

fn refused(refusal: AccountRefusal) -> Error {
    match refusal {
        AccountRefusal::EmailTaken => Error::Conflict("another account has this email address"),
        AccountRefusal::PlanGone => {
            Error::invalid("plan", "was deleted just now: choose another one")
        }
    }
}

pub(super) fn check_email(email: &str) -> Result<String> {
    let email = email.trim().to_lowercase();
    let fits = email.len() <= 254
        && !email.chars().any(|c| c.is_whitespace() || c.is_control())
        && email.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !host.is_empty() && !host.contains('@')
        });
    fits.then_some(email).ok_or_else(|| Error::invalid("email", "must be an email address"))
}

fn check_country(code: &str) -> Result<String> {
    let fits = (1..=3).contains(&code.len())
        && code.bytes().all(|b| b.is_ascii_digit())
        && !code.starts_with('0');
    let message = "must be a country's calling code, 1 to 3 digits, such as 62";
    fits.then(|| code.to_owned()).ok_or_else(|| Error::invalid("default_country", message))
}

fn check_timezone(name: &str) -> Result<String> {
    let zone = TimeZone::get(name);
    let message = "must be an IANA time zone, such as Asia/Jakarta";
    zone.map(|_| name.to_owned()).map_err(|_| Error::invalid("timezone", message))
}
