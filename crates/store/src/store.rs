//! The ports of the domain: each call runs its operation on the right connection.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use domain::chat::ChatId;
use domain::contact::{Identity, Spelling};
use domain::context::MessageName;
use domain::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use domain::message::{IncomingMessage, Message, MessageState, Receipt};
use domain::phone::PhoneNumber;
use domain::ports::{
    Acceptance, Accepted, CountedPage, HourUsage, IdempotencyKey, MessageBatch, MessageCounts,
    MessageFilter, MessageStore, OldMessage, OutboxEntry, Page, PageRequest, Progress, Recorded,
    StoreResult,
};
use domain::request_file::WaitingFile;
use domain::webhook::Event;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{Mutex, oneshot};

use crate::OpenError;
use crate::cache::Cache;
use crate::job::{GROUP_BYTES_MAX, GroupItem, Reply};
use crate::messages::accept_request::{AcceptReply, AcceptRequest};
use crate::messages::receive::Arrival;
use crate::messages::record::Report;
use crate::messages::{
    clean, counts, find, idempotency, identities, list, outbox, people_known, record, spellings,
};
use crate::own_accepts::{OwnAccepts, Stretch};
use crate::postgres::PostgreSql;
use crate::sql::{SqlResult, Tx};
use crate::sqlite::Sqlite;
use crate::unheard::Unheard;

/// The store. Dropping the last handle closes it too, but only [`SqlStore::close`] waits.
pub struct SqlStore {
    engine: Engine,
    /// Held by the one request beyond [`GROUP_BYTES_MAX`] that may queue for its commit.
    large_accepts: Mutex<()>,
    own_accepts: Arc<OwnAccepts>,
    unheard: Unheard,
}

enum Engine {
    Sqlite(Sqlite),
    Postgres(PostgreSql),
}

impl SqlStore {
    pub(crate) async fn open_sqlite(path: PathBuf) -> Result<Self, OpenError> {
        let opened = tokio::task::spawn_blocking(move || Sqlite::open(&path)).await;
        let opened = opened.map_err(|error| OpenError::Database(error.to_string()))?;
        opened.map(|sqlite| Self::over(Engine::Sqlite(sqlite)))
    }

    pub(crate) async fn open_postgres(url: &str, notify: bool) -> Result<Self, OpenError> {
        Ok(Self::over(Engine::Postgres(PostgreSql::open(url, notify).await?)))
    }

    fn over(engine: Engine) -> Self {
        Self {
            engine,
            large_accepts: Mutex::default(),
            own_accepts: Arc::default(),
            unheard: Unheard::default(),
        }
    }

    /// Finishes what is queued, then closes every connection. Calls from then on fail
    /// with [`domain::error::StoreError::Unavailable`].
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Postgres(postgres) => postgres.close().await,
        }
    }

    fn cache(&self) -> &Cache {
        match &self.engine {
            Engine::Sqlite(sqlite) => &sqlite.cache,
            Engine::Postgres(postgres) => &postgres.cache,
        }
    }

    /// How many stored rows could not be read, in whole or in part, by table.
    pub fn unreadable_rows(&self) -> BTreeMap<&'static str, u64> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.unreadable.counts(),
            Engine::Postgres(postgres) => postgres.unreadable().counts(),
        }
    }

    async fn queue(&self, item: GroupItem) -> SqlResult<()> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.queue(item).await,
            Engine::Postgres(postgres) => postgres.queue(item).await,
        }
    }

    async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> GroupItem) -> StoreResult<T> {
        Ok(match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.ask(ask).await?,
            Engine::Postgres(postgres) => postgres.ask(ask).await?,
        })
    }

    async fn read<T, F>(&self, work: F) -> SqlResult<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>> + Send + 'static,
    {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.read(work).await,
            Engine::Postgres(postgres) => postgres.read(work).await,
        }
    }

    /// Reads a few rows by their keys with one statement, which takes microseconds: SQLite runs it on the
    /// caller's thread.
    async fn look_up<T, F>(&self, work: F) -> SqlResult<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>> + Send + 'static,
    {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.look_up(work).await,
            Engine::Postgres(postgres) => postgres.read(work).await,
        }
    }

    async fn write<T, F>(&self, work: F) -> SqlResult<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>> + Send + 'static,
    {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.write(work).await,
            Engine::Postgres(postgres) => postgres.write(work).await,
        }
    }

    /// The same for what may take long, such as all rows of an account.
    async fn write_long<T, F>(&self, work: F) -> SqlResult<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>> + Send + 'static,
    {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.write(work).await,
            Engine::Postgres(postgres) => postgres.write_long(work).await,
        }
    }
}

/// Runs an operation on one of the store's connections.
macro_rules! run {
    ($store:ident.$way:ident, $operation:path $(, $argument:expr)*) => {
        Ok($store.$way(move |tx| Box::pin($operation(tx $(, $argument)*))).await?)
    };
}

mod access;
mod accounts;
mod chats;
mod clean_up;
mod devices;
mod files;
mod keys;
mod nodes;
mod people;
mod protocol;
mod upkeep;
mod webhooks;

#[async_trait]
impl MessageStore for SqlStore {
    async fn accept(&self, acceptance: Acceptance) -> StoreResult<Accepted> {
        let account = acceptance.account_id;
        let request = AcceptRequest::of(acceptance)?;
        // Others get their turn between two requests that have a commit of their own.
        let _turn = match request.bytes() > GROUP_BYTES_MAX {
            true => Some(self.large_accepts.lock().await),
            false => None,
        };
        let (reply, answer) = oneshot::channel();
        self.queue(GroupItem::Accept(Box::new(request), reply)).await?;
        let AcceptReply { accepted, after } = self.unheard.answer(answer).await?;
        // From here to the queue of the device nothing waits: a caller can hang up before, not between.
        if let Accepted::New(messages) = &accepted
            && let Some(last) = messages.last()
        {
            self.own_accepts.add(account, Stretch { after, last: last.id });
        }
        Ok(accepted)
    }

    async fn unheard(&self) -> Vec<OutboxEntry> {
        self.unheard.next().await
    }

    async fn repeated(
        &self,
        account: AccountId,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> StoreResult<Option<Accepted>> {
        let key = key.clone();
        match &self.engine {
            // The connection that writes knows where the recent keys are.
            Engine::Sqlite(_) => run!(self.write, idempotency::repeated, account, key, now),
            Engine::Postgres(_) => run!(self.read, idempotency::repeated, account, key, now),
        }
    }

    async fn outbox(&self) -> StoreResult<Vec<OutboxEntry>> {
        run!(self.read, outbox::outbox)
    }

    async fn outbox_of(
        &self,
        account: AccountId,
        device: DeviceId,
    ) -> StoreResult<Vec<OutboxEntry>> {
        run!(self.read, outbox::outbox_of, account, device)
    }

    async fn cancel_unreadable(
        &self,
        account: AccountId,
        device: Option<DeviceId>,
        id: MessageId,
        now: Timestamp,
    ) -> StoreResult<Option<Recorded>> {
        run!(self.write, record::cancel_unreadable, account, device, id, now)
    }

    async fn identify(
        &self,
        device: DeviceId,
        identities: Vec<Identity>,
        now: Timestamp,
    ) -> StoreResult<Vec<Event>> {
        run!(self.write, identities::identify, device, identities, now)
    }

    async fn spell(&self, device: DeviceId, spelling: Spelling) -> StoreResult<()> {
        run!(self.write, spellings::spell, device, spelling)
    }

    async fn number_of(
        &self,
        account: AccountId,
        chat: &ChatId,
    ) -> StoreResult<Option<PhoneNumber>> {
        let chat = chat.clone();
        run!(self.read, spellings::number_of, account, chat)
    }

    async fn add_contacts(&self, device: DeviceId, chats: Vec<ChatId>) -> StoreResult<()> {
        run!(self.write, identities::add_known_chats, device, chats)
    }

    async fn waiting_message(&self, id: MessageId) -> StoreResult<Option<Message>> {
        run!(self.look_up, list::waiting_message, id)
    }

    async fn inline_media(&self, id: MessageId) -> StoreResult<Option<WaitingFile>> {
        run!(self.read, list::inline_media, id)
    }

    async fn record(&self, progress: Vec<Progress>) -> StoreResult<Vec<Recorded>> {
        self.ask(|reply| GroupItem::Record(progress, reply)).await
    }

    async fn record_receipts(
        &self,
        device: DeviceId,
        ids: &[WhatsappId],
        receipt: Receipt,
        at: Timestamp,
    ) -> StoreResult<Vec<Recorded>> {
        let report = Report { device, ids: ids.to_vec(), receipt, at };
        self.ask(|reply| GroupItem::Report(report, reply)).await
    }

    async fn receive(
        &self,
        device: DeviceId,
        messages: Vec<IncomingMessage>,
        now: Timestamp,
    ) -> StoreResult<Vec<Recorded>> {
        let arrival = Arrival { device, messages, now };
        self.ask(|reply| GroupItem::Receive(arrival, reply)).await
    }

    async fn message(&self, account: AccountId, id: MessageId) -> StoreResult<Option<Message>> {
        run!(self.read, find::message, account, id)
    }

    async fn message_named(
        &self,
        account: AccountId,
        device: DeviceId,
        name: &MessageName,
    ) -> StoreResult<Option<Message>> {
        let name = name.clone();
        run!(self.read, find::message_named, account, device, name)
    }

    async fn has_message(&self, device: DeviceId, id: &WhatsappId) -> StoreResult<bool> {
        let id = id.clone();
        run!(self.read, find::has_message, device, id)
    }

    async fn messages(
        &self,
        account: AccountId,
        filter: &MessageFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Message>> {
        let filter = filter.clone();
        run!(self.read, list::messages, account, filter, page)
    }

    async fn counted_messages(
        &self,
        account: AccountId,
        filter: &MessageFilter,
        offset: u32,
        limit: u32,
    ) -> StoreResult<CountedPage<Message>> {
        let filter = filter.clone();
        run!(self.read, list::counted_messages, account, filter, offset, limit)
    }

    async fn count_batch(
        &self,
        account: AccountId,
        batch: MessageBatch,
        now: Timestamp,
    ) -> StoreResult<Vec<(MessageState, i64)>> {
        run!(self.read, counts::count_batch, account, batch, now)
    }

    async fn message_counts(
        &self,
        account: AccountId,
        device: DeviceId,
    ) -> StoreResult<MessageCounts> {
        run!(self.read, counts::message_counts, account, device)
    }

    async fn contacts(
        &self,
        device: DeviceId,
        since: Timestamp,
    ) -> StoreResult<(Vec<ChatId>, u32)> {
        run!(self.read, people_known::contacts, device, since)
    }

    async fn usage_by_hour(
        &self,
        account: AccountId,
        device: Option<DeviceId>,
        since: Timestamp,
    ) -> StoreResult<Vec<HourUsage>> {
        let device = device.map(|device| device.to_string()).unwrap_or_default();
        run!(self.read, counts::usage_by_hour, account, device, since)
    }

    async fn clean_up(&self, now: Timestamp, keep_messages_since: Timestamp) -> StoreResult<u64> {
        self.clean_up_beside_messages(now, keep_messages_since).await
    }

    async fn old_messages(&self, since: Timestamp) -> StoreResult<Vec<OldMessage>> {
        run!(self.read, clean::old_messages, since)
    }

    async fn delete_messages(&self, ids: &[MessageId]) -> StoreResult<u64> {
        let ids = ids.iter().map(|id| id.0).collect();
        run!(self.write_long, clean::delete, ids)
    }

    async fn delete_old_messages(&self, since: Timestamp) -> StoreResult<u64> {
        self.delete_messages_before(since).await
    }
}
