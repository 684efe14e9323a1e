//! Accounts, plans and keys.

use std::sync::Arc;

use async_trait::async_trait;
use domain::account::{Account, AccountPatch, Caller, KEYS_MAX, Key, KeyRights, NewAccount};
use domain::ids::{AccountId, DeviceId, KeyId};
use domain::key::KeyHash;
use domain::plan::Plan;
use domain::policy::quota::{Period, Usage};
use domain::ports::{
    AccountRefusal, AccountStore, CreatedKey, KeyHolder, KeyStore, NewKey, Page, PageRequest,
    StoreResult,
};
use jiff::Timestamp;

use super::{MemoryStore, State, page_of, stored};

const NOTHING_USED: Usage =
    Usage { period: Period { day: 0, month: 0 }, day_used: 0, month_used: 0 };

#[async_trait]
impl AccountStore for MemoryStore {
    async fn create_account(
        &self,
        account: NewAccount,
        key: NewKey,
        now: Timestamp,
    ) -> StoreResult<Result<Account, AccountRefusal>> {
        let mut state = self.state();
        if !state.plans.contains_key(&account.plan) {
            return Ok(Err(AccountRefusal::PlanGone));
        }
        if state.has_email(&account.email, None) {
            return Ok(Err(AccountRefusal::EmailTaken));
        }
        let id = AccountId(state.next_id("accounts"));
        let NewAccount { name, email, plan, default_country, timezone } = account;
        let created_at = stored(now);
        let timezone = timezone.into();
        let account = Account { id, name, email, plan, default_country, timezone, created_at };
        state.accounts.insert(id, account.clone());
        state.usage.insert(id, NOTHING_USED);
        state.add_key(id, KeyRights::ALL, key, now);
        Ok(Ok(account))
    }

    async fn account(&self, id: AccountId) -> StoreResult<Option<Account>> {
        Ok(self.state().accounts.get(&id).cloned())
    }

    async fn accounts(&self, page: PageRequest) -> StoreResult<Page<Account>> {
        let before = AccountId(page.before.unwrap_or(i64::MAX));
        let state = self.state();
        let items = state.accounts.range(..before).rev().map(|(_, account)| account.clone());
        Ok(page_of(items.collect(), page.limit))
    }

    async fn update_account(
        &self,
        id: AccountId,
        patch: AccountPatch,
    ) -> StoreResult<Option<Result<Account, AccountRefusal>>> {
        let mut state = self.state();
        let is_plan_gone = patch.plan.as_ref().is_some_and(|plan| !state.plans.contains_key(plan));
        let is_taken = patch.email.as_ref().is_some_and(|email| state.has_email(email, Some(id)));
        let Some(account) = state.accounts.get_mut(&id) else { return Ok(None) };
        if is_plan_gone {
            return Ok(Some(Err(AccountRefusal::PlanGone)));
        }
        if is_taken {
            return Ok(Some(Err(AccountRefusal::EmailTaken)));
        }
        let fields = [
            (patch.name, &mut account.name),
            (patch.email, &mut account.email),
            (patch.plan, &mut account.plan),
            (patch.default_country, &mut account.default_country),
        ];
        for (new, field) in fields {
            if let Some(new) = new {
                *field = new;
            }
        }
        if let Some(name) = patch.timezone {
            account.timezone = name.into();
        }
        Ok(Some(Ok(account.clone())))
    }

    async fn delete_account(&self, id: AccountId) -> StoreResult<bool> {
        let mut state = self.state();
        let existed = state.accounts.remove(&id).is_some();
        let devices: Vec<DeviceId> =
            state.devices.iter().filter(|device| device.account_id == id).map(|d| d.id).collect();
        state.usage.remove(&id);
        state.grants.retain(|(owner, _)| *owner != id);
        let gone: Vec<_> =
            state.webhooks.iter().filter(|w| w.account_id == id).map(|w| w.id).collect();
        state.webhooks.retain(|webhook| !gone.contains(&webhook.id));
        state.deliveries.retain(|delivery| !gone.contains(&delivery.webhook_id));
        state.keys.retain(|(_, key)| key.account_id != id);
        state.devices.retain(|device| device.account_id != id);
        state.waiting.retain(|_, waiting| waiting.message.account_id != id);
        let State { inline, waiting, .. } = &mut *state;
        inline.retain(|message, _| waiting.contains_key(message));
        state.history.retain(|_, message| message.account_id != id);
        state.forget_files();
        state.idempotency.retain(|(account, ..), _| *account != id);
        state.contacts.retain(|(device, _), _| !devices.contains(device));
        state.session.retain(|(device, ..), _| !devices.contains(device));
        state.portal_links.retain(|(_, link)| link.account_id != id);
        state.audit.retain(|entry| entry.account_id != Some(id));
        state.retain_people(|user| user.place.account() != Some(id));
        Ok(existed)
    }

    async fn plans(&self) -> StoreResult<Vec<Plan>> {
        Ok(self.state().plans.values().cloned().collect())
    }

    async fn accounts_of_plan(&self, name: &str) -> StoreResult<i64> {
        let state = self.state();
        let count = state.accounts.values().filter(|account| account.plan == name).count();
        Ok(i64::try_from(count).unwrap_or(i64::MAX))
    }

    async fn put_plan(&self, plan: Plan) -> StoreResult<()> {
        self.state().plans.insert(plan.name.clone(), plan);
        Ok(())
    }

    async fn delete_plan(&self, name: &str) -> StoreResult<bool> {
        let mut state = self.state();
        let is_used = state.accounts.values().any(|account| account.plan == name);
        Ok(!is_used && state.plans.remove(name).is_some())
    }

    async fn usage(&self, id: AccountId) -> StoreResult<Usage> {
        Ok(self.state().usage.get(&id).copied().unwrap_or(NOTHING_USED))
    }
}

impl State {
    fn has_email(&self, email: &str, except: Option<AccountId>) -> bool {
        self.accounts.values().any(|other| other.email == email && Some(other.id) != except)
    }

    pub(super) fn add_key(
        &mut self,
        account_id: AccountId,
        rights: KeyRights,
        key: NewKey,
        now: Timestamp,
    ) -> Key {
        let NewKey { name, hash, last_four } = key;
        let key = Key {
            id: KeyId(self.next_id("keys")),
            account_id,
            device_id: rights.device,
            name,
            last_four,
            is_token: false,
            scopes: rights.scopes,
            expires_at: rights.expires_at.map(stored),
            last_used_at: None,
            created_at: stored(now),
        };
        self.keys.push((hash, key.clone()));
        key
    }

    pub(super) fn add_token(
        &mut self,
        account: AccountId,
        device: DeviceId,
        token: NewKey,
        now: Timestamp,
    ) {
        let rights = KeyRights { device: Some(device), ..KeyRights::ALL };
        self.add_key(account, rights, token, now);
        if let Some((_, key)) = self.keys.last_mut() {
            key.is_token = true;
        }
    }
}

#[async_trait]
impl KeyStore for MemoryStore {
    async fn key_holder(&self, hash: &KeyHash) -> StoreResult<Option<Arc<KeyHolder>>> {
        let state = self.state();
        let Some((_, key)) = state.keys.iter().find(|(known, _)| known == hash) else {
            return Ok(None);
        };
        let caller = match key.device_id {
            Some(device) => Caller::Device(key.account_id, device, key.id),
            None => Caller::Account(key.account_id, key.id),
        };
        let account = state.accounts[&key.account_id].clone();
        let plan = state.plans[&account.plan].clone().into();
        let (scopes, expires_at) = (key.scopes, key.expires_at);
        Ok(Some(Arc::new(KeyHolder { caller, account, plan, scopes, expires_at })))
    }

    async fn create_key(
        &self,
        account: AccountId,
        key: NewKey,
        rights: KeyRights,
        now: Timestamp,
    ) -> StoreResult<CreatedKey> {
        let mut state = self.state();
        let of_account = |key: &Key| key.account_id == account && !key.is_token;
        let count = state.keys.iter().filter(|(_, key)| of_account(key)).count();
        if !i64::try_from(count).is_ok_and(|count| count < KEYS_MAX) {
            return Ok(CreatedKey::LimitReached);
        }
        if rights.device.is_some_and(|device| state.owned(account, device).is_none()) {
            return Ok(CreatedKey::DeviceGone);
        }
        Ok(CreatedKey::Created(state.add_key(account, rights, key, now)))
    }

    async fn note_key_uses(&self, uses: &[(KeyId, Timestamp)]) -> StoreResult<()> {
        let mut state = self.state();
        for (id, at) in uses {
            let found = state.keys.iter_mut().find(|(_, key)| key.id == *id);
            if let Some((_, key)) = found {
                key.last_used_at = Some(stored(*at));
            }
        }
        Ok(())
    }

    async fn keys(&self, account: AccountId, page: PageRequest) -> StoreResult<Page<Key>> {
        let before = page.before.unwrap_or(i64::MAX);
        let state = self.state();
        let keys = state.keys.iter().rev().map(|(_, key)| key);
        let keys = keys.filter(|key| key.account_id == account && key.id.0 < before).cloned();
        Ok(page_of(keys.collect(), page.limit))
    }

    async fn delete_key(&self, account: AccountId, id: KeyId) -> StoreResult<bool> {
        let mut state = self.state();
        let before = state.keys.len();
        state.keys.retain(|(_, key)| key.account_id != account || key.id != id);
        Ok(state.keys.len() < before)
    }

    async fn replace_device_token(
        &self,
        account: AccountId,
        device: DeviceId,
        token: NewKey,
        now: Timestamp,
    ) -> StoreResult<bool> {
        let mut state = self.state();
        let is_owned =
            state.devices.iter().any(|other| other.id == device && other.account_id == account);
        if is_owned {
            state.keys.retain(|(_, key)| !key.is_token || key.device_id != Some(device));
            state.add_token(account, device, token, now);
        }
        Ok(is_owned)
    }
}
