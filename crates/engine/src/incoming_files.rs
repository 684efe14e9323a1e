//! Fetches files that came in, and removes them when their time is over.
//!
//! A file is `pending` from the commit of its message until it is in the media store and that is written:
//! one that was being fetched when the process ended is fetched again. Its name in the media store follows
//! from its message, so that a repeat replaces what an earlier attempt left.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use domain::content::Content;
use domain::error::{Error, Result};
use domain::fair_semaphore::FairSemaphore;
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::incoming_file::{
    FileOutcome, FileReference, FileState, IncomingFile, OFFLINE_PAUSE, device_blobs, pause_after,
};
use domain::message::IncomingMessage;
use domain::ports::{
    BlobError, BlobStore, FetchError, FileStore, MARKER_BLOB, Recorded, StoreResult,
};
use domain::request_file::is_blob_key;
use domain::webhook::{SealedSecret, SecretRow};

use crate::context::EngineContext;
use crate::timing::{SLEEP_MAX, STORE_PAUSE, pause, until, within};

/// Most files that are fetched at a time.
const FETCHES_MAX: usize = 8;
/// Most of one account.
const FETCHES_PER_ACCOUNT_MAX: usize = 4;
/// Most files of an account that are known to wait for a permit.
const LINED_UP_PER_ACCOUNT_MAX: u32 = 8;
/// How long the disk may stay too full before files are tried again.
const FULL_PAUSE: Duration = Duration::from_secs(60);
/// Files whose rows are looked up at a time when the media store is swept.
const SWEPT_AT_ONCE: usize = 500;
/// Most bites in which old files are ended in one clean-up.
const EXPIRIES_MAX: usize = 200;
/// A file that no row names is removed once it is this old: younger ones may be about to be written down.
const ORPHAN_AGE: SignedDuration = SignedDuration::from_hours(1);

/// The files that are being fetched or wait for a permit, and whose they are.
type Running = HashMap<MessageId, AccountId>;

/// What the tasks around incoming files share.
pub(crate) struct IncomingFiles {
    /// Something may be due.
    due: Notify,
    /// Requests that wait for a file.
    waiting: Mutex<HashMap<MessageId, Arc<Notify>>>,
    permits: Arc<FairSemaphore>,
}

impl Default for IncomingFiles {
    fn default() -> Self {
        Self {
            due: Notify::new(),
            waiting: Mutex::default(),
            permits: FairSemaphore::new(FETCHES_MAX, FETCHES_PER_ACCOUNT_MAX),
        }
    }
}

impl IncomingFiles {
    /// New files may have come in.
    pub(crate) fn nudge(&self, received: &[Recorded]) {
        let is_pending = |recorded: &Recorded| {
            recorded.message.media().is_some_and(|media| media.state == Some(FileState::Pending))
        };
        if received.iter().any(is_pending) {
            self.due.notify_one();
        }
    }

    fn waiter(&self, message: MessageId) -> Arc<Notify> {
        self.waiting.lock().entry(message).or_default().clone()
    }

    fn ended(&self, message: MessageId) {
        if let Some(waiter) = self.waiting.lock().remove(&message) {
            waiter.notify_waiters();
        }
    }
}

/// Seals what fetches the files of messages that are about to be stored.
pub(crate) fn seal(context: &EngineContext, device: DeviceId, messages: &mut [IncomingMessage]) {
    for message in messages {
        let Content::File(file) = &mut message.content else { continue };
        let Some(reference) = file.media.reference.take() else { continue };
        let Ok(text) = std::str::from_utf8(&reference.0) else { continue };
        let sealed = context.cipher().seal(SecretRow::File { device }, text);
        file.media.reference = Some(FileReference(sealed.0.into()));
    }
}

/// Fetches what is due, until the gateway stops.
pub(crate) async fn fetch_all(context: Arc<EngineContext>) {
    let mut stop = context.stopping();
    let mut running = Running::new();
    let mut tasks: JoinSet<MessageId> = JoinSet::new();
    loop {
        let wake = match start_due(&context, &mut running, &mut tasks).await {
            Ok(wake) => wake,
            Err(error) => {
                tracing::warn!(%error, "cannot read which files are to be fetched yet");
                STORE_PAUSE
            }
        };
        tokio::select! {
            () = context.incoming_files().due.notified() => {}
            Some(ended) = tasks.join_next() => {
                match ended {
                    Ok(message) => drop(running.remove(&message)),
                    // Which one is not known. A file that is fetched twice replaces itself.
                    Err(_) => running.clear(),
                }
            }
            () = pause(wake) => {}
            _ = stop.wait_for(|is_stopping| *is_stopping) => return,
        }
    }
}

/// Starts what is due and does not run yet; how long until more may be due.
async fn start_due(
    context: &Arc<EngineContext>,
    running: &mut Running,
    tasks: &mut JoinSet<MessageId>,
) -> StoreResult<Duration> {
    if !has_room(context).await? {
        return Ok(FULL_PAUSE);
    }
    let now = context.now();
    let except: Vec<MessageId> = running.keys().copied().collect();
    let due = context.store().due_files(now, LINED_UP_PER_ACCOUNT_MAX, &except).await?;
    let mut lined_up: HashMap<AccountId, u32> = HashMap::new();
    for account in running.values() {
        *lined_up.entry(*account).or_default() += 1;
    }
    for file in due {
        let count = lined_up.entry(file.account).or_default();
        if *count >= LINED_UP_PER_ACCOUNT_MAX {
            continue;
        }
        *count += 1;
        running.insert(file.message, file.account);
        let context = context.clone();
        tasks.spawn(async move {
            let message = file.message;
            fetch_in_turn(&context, file).await;
            message
        });
    }
    let next = context.store().next_file_due(now).await?;
    Ok(next.map_or(SLEEP_MAX, |next| until(now, next)))
}

async fn has_room(context: &EngineContext) -> StoreResult<bool> {
    let reusable = context.store().reusable_bytes().await?;
    Ok(context.outbound().has_room(reusable))
}

async fn fetch_in_turn(context: &EngineContext, file: IncomingFile) {
    let _permit = context.incoming_files().permits.acquire(file.account).await;
    let message = file.message;
    let outcome = fetch(context, &file).await;
    let is_over = !matches!(outcome, FileOutcome::Again { .. });
    log(&file, &outcome);
    let account_max = context.file_limits().account_bytes_max;
    let recorded = context.store().record_file(message, outcome, account_max, context.now()).await;
    match recorded {
        Ok(Some(removed)) => delete_blobs(context, &removed).await,
        Ok(None) => remove_unless_stored(context.store().as_ref(), context.blobs(), &file).await,
        Err(error) => {
            tracing::warn!(message_id = message.0, %error, "a file cannot be written down yet");
            pause(STORE_PAUSE).await;
            return;
        }
    }
    if is_over {
        context.incoming_files().ended(message);
    }
}

/// Removes what was fetched for a row that does not wait any more: it was deleted, or has ended. Another node
/// that has taken over the device may have stored the same file under the same name; that one stays.
async fn remove_unless_stored(rows: &dyn FileStore, blobs: &dyn BlobStore, file: &IncomingFile) {
    match rows.stored_files(&[file.message]).await {
        Ok(stored) if stored.is_empty() => drop(blobs.delete(&file.blob_key()).await),
        Ok(_) => {}
        // If no row names it, the sweep removes it.
        Err(error) => tracing::debug!(message_id = file.message.0, %error, "a file stays for now"),
    }
}

fn log(file: &IncomingFile, outcome: &FileOutcome) {
    let (message_id, device) = (file.message.0, file.device);
    match outcome {
        FileOutcome::Stored(size) => tracing::debug!(message_id, %device, size, "file stored"),
        FileOutcome::Again { at, counts, reason } => {
            tracing::debug!(message_id, %device, %at, counts, reason, "file is fetched again later");
        }
        FileOutcome::Ended(state, reason) => {
            let state = state.as_str();
            tracing::info!(message_id, %device, state, reason, "file could not be fetched");
        }
    }
}

/// Fetches one file and puts it into the media store.
async fn fetch(context: &EngineContext, file: &IncomingFile) -> FileOutcome {
    let failed = |reason: &str| FileOutcome::Ended(FileState::Failed, reason.to_owned());
    let Some(reference) = opened(context, file) else {
        return failed("what fetches the file cannot be read");
    };
    let draft = match context.blobs().draft().await {
        Ok(draft) => draft,
        Err(BlobError(error)) => {
            tracing::warn!(error, "the media store takes no file");
            return later(context, FULL_PAUSE, "the media store takes no file");
        }
    };
    match context.messenger().fetch_file(file.device, &reference, &draft).await {
        Ok(size) => match context.blobs().put(&file.blob_key(), draft).await {
            Ok(()) => FileOutcome::Stored(size),
            // Our own trouble: as long as it lasts, files wait.
            Err(BlobError(error)) => {
                tracing::warn!(error, "the media store takes no file");
                later(context, FULL_PAUSE, "the media store takes no file")
            }
        },
        Err(FetchError::NotConnected) => {
            later(context, OFFLINE_PAUSE, "the device is not connected")
        }
        Err(FetchError::Local(why)) => {
            tracing::warn!(why, "a file cannot be written to the disk");
            later(context, FULL_PAUSE, "the file could not be written to the disk")
        }
        Err(FetchError::Temporary(why)) => again(context, file, &why),
        Err(FetchError::Gone) => FileOutcome::Ended(FileState::Gone, FetchError::Gone.to_string()),
        Err(FetchError::Permanent(why)) => failed(&why),
    }
}

/// What fetches a file, in clear text.
fn opened(context: &EngineContext, file: &IncomingFile) -> Option<FileReference> {
    let sealed = SealedSecret(file.reference.as_ref()?.0.to_vec());
    let text = context.cipher().open(SecretRow::File { device: file.device }, &sealed)?;
    Some(FileReference(text.into_bytes().into()))
}

fn later(context: &EngineContext, pause: Duration, why: &str) -> FileOutcome {
    FileOutcome::Again {
        at: context.now().saturating_add(pause).unwrap_or(Timestamp::MAX),
        counts: false,
        reason: why.to_owned(),
    }
}

fn again(context: &EngineContext, file: &IncomingFile, why: &str) -> FileOutcome {
    let Some(pause) = pause_after(file.attempts.saturating_add(1)) else {
        return FileOutcome::Ended(FileState::Failed, why.to_owned());
    };
    let at = context.now().saturating_add(pause).unwrap_or(Timestamp::MAX);
    FileOutcome::Again { at, counts: true, reason: why.to_owned() }
}

/// Makes the files due now that wait for a device.
pub(crate) async fn hasten(context: &EngineContext, device: DeviceId) {
    match context.store().hasten_files(device, context.now()).await {
        Ok(true) => context.incoming_files().due.notify_one(),
        Ok(false) => {}
        Err(error) => tracing::debug!(%device, %error, "files of a device wait for their time"),
    }
}

/// Fetches a file now, and waits until it is stored or has failed.
pub(crate) async fn fetch_now(
    context: &EngineContext,
    account: AccountId,
    message: MessageId,
    patience: Duration,
) -> Result<()> {
    let waiter = context.incoming_files().waiter(message);
    let ended = waiter.notified();
    tokio::pin!(ended);
    // Before the request: what ends at once must not be missed.
    ended.as_mut().enable();
    context.store().request_file(account, message, context.now()).await.map_err(Error::Store)?;
    context.incoming_files().due.notify_one();
    if within(patience, ended).await.is_none() {
        let mut waiting = context.incoming_files().waiting.lock();
        // The map's, and ours: nobody else waits.
        if waiting.get(&message).is_some_and(|waiter| Arc::strong_count(waiter) <= 2) {
            waiting.remove(&message);
        }
    }
    Ok(())
}

/// Removes the files of a device that was erased, and their rows with it.
pub(crate) async fn erase_device(context: &EngineContext, account: AccountId, device: DeviceId) {
    if let Err(error) = context.blobs().delete_all(&device_blobs(account, device)).await {
        tracing::warn!(%device, %error, "the files of a removed device cannot be deleted yet");
    }
}

/// Ends and removes files whose time is over; how many there were.
pub(crate) async fn end_old(context: &EngineContext) -> StoreResult<u64> {
    let limits = context.file_limits();
    let before = context.now().saturating_sub(limits.kept).unwrap_or(Timestamp::MIN);
    let mut ended = 0;
    for _ in 0..EXPIRIES_MAX {
        let expired = context.store().expire_files(before, limits.account_bytes_max).await?;
        if expired.is_empty() {
            break;
        }
        ended += u64::try_from(expired.len()).unwrap_or(u64::MAX);
        delete_blobs(context, &expired).await;
    }
    Ok(ended)
}

async fn delete_blobs(context: &EngineContext, files: &[IncomingFile]) {
    for file in files {
        if let Err(error) = context.blobs().delete(&file.blob_key()).await {
            tracing::warn!(%error, "an old file cannot be deleted yet");
        }
    }
}

/// Removes files that no row names: of deleted accounts, of attempts that a crash has cut off, and of requests
/// that were not accepted.
pub(crate) async fn sweep(context: &EngineContext) -> StoreResult<()> {
    let before = context.now().saturating_sub(ORPHAN_AGE).unwrap_or(Timestamp::MIN);
    let mut names = context.blobs().older_than(before).chunks(SWEPT_AT_ONCE);
    while let Some(names) = names.next().await {
        let known = names.into_iter().filter_map(|name| {
            name.inspect_err(|error| tracing::warn!(%error, "cannot list files")).ok()
        });
        let names: Vec<String> = known.filter(|name| name != MARKER_BLOB).collect();
        let ids: Vec<MessageId> = names.iter().filter_map(|name| id_in(name)).collect();
        let stored: HashSet<MessageId> =
            context.store().stored_files(&ids).await?.into_iter().collect();
        let of_requests: Vec<String> =
            names.iter().filter(|name| is_blob_key(name)).cloned().collect();
        let waiting: HashSet<String> =
            context.store().waiting_files(&of_requests).await?.into_iter().collect();
        for name in names {
            let is_stored = id_in(&name).is_some_and(|id| stored.contains(&id));
            if !is_stored && !waiting.contains(&name) {
                tracing::debug!(name, "a file that belongs to no message is deleted");
                drop(context.blobs().delete(&name).await);
            }
        }
    }
    Ok(())
}

/// The message whose file came in under this name.
fn id_in(name: &str) -> Option<MessageId> {
    name.rsplit('/').next()?.parse().ok().map(MessageId)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use domain::media::TempMedia;
    use domain::ports::{Blob, FilePart, NotKept};
    use futures_util::stream::{self, BoxStream};
    use uuid::Uuid;

    use super::*;

    /// Rows of which one is stored.
    struct Rows(MessageId);

    #[async_trait]
    impl FileStore for Rows {
        async fn file(&self, _: AccountId, _: MessageId) -> StoreResult<Option<IncomingFile>> {
            Ok(None)
        }

        async fn due_files(
            &self,
            _: Timestamp,
            _: u32,
            _: &[MessageId],
        ) -> StoreResult<Vec<IncomingFile>> {
            Ok(Vec::new())
        }

        async fn next_file_due(&self, _: Timestamp) -> StoreResult<Option<Timestamp>> {
            Ok(None)
        }

        async fn request_file(&self, _: AccountId, _: MessageId, _: Timestamp) -> StoreResult<()> {
            Ok(())
        }

        async fn hasten_files(&self, _: DeviceId, _: Timestamp) -> StoreResult<bool> {
            Ok(false)
        }

        async fn record_file(
            &self,
            _: MessageId,
            _: FileOutcome,
            _: u64,
            _: Timestamp,
        ) -> StoreResult<Option<Vec<IncomingFile>>> {
            Ok(None)
        }

        async fn stored_files(&self, messages: &[MessageId]) -> StoreResult<Vec<MessageId>> {
            Ok(messages.iter().copied().filter(|message| *message == self.0).collect())
        }

        async fn waiting_files(&self, _: &[String]) -> StoreResult<Vec<String>> {
            Ok(Vec::new())
        }

        async fn expire_files(&self, _: Timestamp, _: u64) -> StoreResult<Vec<IncomingFile>> {
            Ok(Vec::new())
        }
    }

    /// A media store that knows what was deleted.
    #[derive(Default)]
    struct Blobs(Mutex<Vec<String>>);

    #[async_trait]
    impl BlobStore for Blobs {
        async fn draft(&self) -> std::result::Result<TempMedia, BlobError> {
            Err(BlobError("a test".into()))
        }

        async fn put(&self, _: &str, _: TempMedia) -> std::result::Result<(), BlobError> {
            Ok(())
        }

        async fn put_bytes(&self, _: &str, _: Vec<u8>) -> std::result::Result<(), NotKept> {
            Ok(())
        }

        async fn open(
            &self,
            _: &str,
            _: Option<FilePart>,
        ) -> std::result::Result<Option<Blob>, BlobError> {
            Ok(None)
        }

        async fn delete(&self, key: &str) -> std::result::Result<(), BlobError> {
            self.0.lock().push(key.to_owned());
            Ok(())
        }

        async fn delete_all(&self, _: &str) -> std::result::Result<(), BlobError> {
            Ok(())
        }

        fn older_than(
            &self,
            _: Timestamp,
        ) -> BoxStream<'static, std::result::Result<String, BlobError>> {
            stream::empty().boxed()
        }
    }

    #[tokio::test]
    async fn a_file_that_another_node_has_stored_meanwhile_stays() {
        let file = |id| IncomingFile {
            message: MessageId(id),
            account: AccountId(1),
            device: DeviceId(Uuid::nil()),
            state: FileState::Pending,
            reason: None,
            reference: None,
            attempts: 0,
        };
        let (rows, blobs) = (Rows(MessageId(1)), Blobs::default());
        for id in [1, 2] {
            remove_unless_stored(&rows, &blobs, &file(id)).await;
        }
        assert_eq!(*blobs.0.lock(), [file(2).blob_key()]);
    }
}
