//! The port of accounts and plans.

use async_trait::async_trait;
use domain::account::{Account, AccountPatch, NewAccount};
use domain::ids::AccountId;
use domain::plan::Plan;
use domain::policy::quota::Usage;
use domain::ports::{AccountRefusal, AccountStore, NewKey, Page, PageRequest, StoreResult};
use jiff::Timestamp;

use super::SqlStore;
use crate::accounts;
use crate::sql::SqlError;

#[async_trait]
impl AccountStore for SqlStore {
    async fn create_account(
        &self,
        account: NewAccount,
        key: NewKey,
        now: Timestamp,
    ) -> StoreResult<Result<Account, AccountRefusal>> {
        run!(self.write, accounts::create_account, account, key, now)
    }

    async fn account(&self, id: AccountId) -> StoreResult<Option<Account>> {
        run!(self.read, accounts::account, id)
    }

    async fn accounts(&self, page: PageRequest) -> StoreResult<Page<Account>> {
        run!(self.read, accounts::accounts, page)
    }

    async fn update_account(
        &self,
        id: AccountId,
        patch: AccountPatch,
    ) -> StoreResult<Option<Result<Account, AccountRefusal>>> {
        let updated = self.write(move |tx| Box::pin(accounts::update_account(tx, id, patch))).await;
        match updated {
            // Of two concurrent changes, the other one took the address.
            Err(SqlError::Unique(_)) => Ok(Some(Err(AccountRefusal::EmailTaken))),
            other => Ok(other?),
        }
    }

    async fn delete_account(&self, id: AccountId) -> StoreResult<bool> {
        run!(self.write_long, accounts::delete_account, id)
    }

    async fn plans(&self) -> StoreResult<Vec<Plan>> {
        run!(self.read, accounts::plans)
    }

    async fn accounts_of_plan(&self, name: &str) -> StoreResult<i64> {
        let name = name.to_owned();
        run!(self.read, accounts::accounts_of_plan, name)
    }

    async fn put_plan(&self, plan: Plan) -> StoreResult<()> {
        run!(self.write, accounts::put_plan, plan)
    }

    async fn delete_plan(&self, name: &str) -> StoreResult<bool> {
        let name = name.to_owned();
        run!(self.write, accounts::delete_plan, name)
    }

    async fn usage(&self, id: AccountId) -> StoreResult<Usage> {
        run!(self.read, accounts::usage, id)
    }
}
