//! How the file of a message is made ready.
//!
//! What there is little of is shared by all accounts, and no account may have all of it: however
//! slow the files of one are, those of another come through. Whoever waits for a turn uses up no
//! time limit.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{AbortHandle, abortable};

use domain::content::{Content, File};
use domain::error::StoreError;
use domain::fair_semaphore::{FairSemaphore, Permit};
use domain::ids::MessageId;
use domain::media::{MediaWish, ReadyMedia};
use domain::message::{ContentKind, Failure, Message};
use domain::ports::{FileError, StoreResult};

use crate::context::Shared;
use crate::device::{DeviceTask, Done};
use crate::fair_semaphore::acquire;
use crate::timing::within;

/// Most files that are being made ready, or are ready and not handed over: what bounds the disk. How
/// many of them may be one device's is [`crate::queue::FILE_PLACES_MAX`].
const FILES_MAX: usize = 64;
/// The same of one account.
const FILES_PER_ACCOUNT_MAX: usize = 16;
/// Most downloads at a time.
const DOWNLOADS_MAX: usize = 16;
/// The same of one account.
const DOWNLOADS_PER_ACCOUNT_MAX: usize = 4;
/// Most files that are read from the store at a time: each is in memory as a whole.
const READS_MAX: usize = 2;
/// The same of one account.
const READS_PER_ACCOUNT_MAX: usize = 1;
/// Most conversions at a time; each keeps a processor busy.
const CONVERSIONS_MAX: usize = 2;
/// The same of one account.
const CONVERSIONS_PER_ACCOUNT_MAX: usize = 1;
/// Most files that are handed over at a time; the messenger uploads no more than that.
const UPLOADS_MAX: usize = 4;
/// The same of one account.
const UPLOADS_PER_ACCOUNT_MAX: usize = 2;
/// How long a download may take; the outbound client's own limit is shorter.
const FETCH_WAIT: Duration = Duration::from_secs(60);
/// How long looking at a file and converting it may take; the codec's own limit is shorter.
const PREPARE_WAIT: Duration = Duration::from_secs(240);

/// What files need, shared by the accounts.
pub(crate) struct FileShares {
    places: Arc<FairSemaphore>,
    downloads: Arc<FairSemaphore>,
    reads: Arc<FairSemaphore>,
    conversions: Arc<FairSemaphore>,
    pub(crate) uploads: Arc<FairSemaphore>,
}

impl Default for FileShares {
    fn default() -> Self {
        Self {
            places: FairSemaphore::new(FILES_MAX, FILES_PER_ACCOUNT_MAX),
            downloads: FairSemaphore::new(DOWNLOADS_MAX, DOWNLOADS_PER_ACCOUNT_MAX),
            reads: FairSemaphore::new(READS_MAX, READS_PER_ACCOUNT_MAX),
            conversions: FairSemaphore::new(CONVERSIONS_MAX, CONVERSIONS_PER_ACCOUNT_MAX),
            uploads: FairSemaphore::new(UPLOADS_MAX, UPLOADS_PER_ACCOUNT_MAX),
        }
    }
}

/// A file that is ready, and the place it takes.
pub(crate) struct ReadyFile {
    pub(crate) media: ReadyMedia,
    pub(crate) place: Permit,
}

/// Why a file is not ready.
pub(crate) enum NotReady {
    /// The store does not answer; later it may.
    Store(StoreError),
    /// It cannot be had, or not now.
    File(FileError),
    /// It was not wanted any more.
    Dropped,
}

impl From<StoreError> for NotReady {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<FileError> for NotReady {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl DeviceTask {
    /// Begins to make the file of a message ready, if there is a place for it.
    pub(crate) fn fetch_file(&mut self, message: Box<Message>) {
        let (id, now) = (message.id, self.now());
        if !self.queue.needs_file(id, now) || self.fetching.contains_key(&id) {
            return;
        }
        let shared = self.shared.clone();
        let (job, handle) = abortable(async move { make_ready(&shared, *message).await });
        self.fetching.insert(id, handle);
        self.begin(async move { Done::FileReady(id, job.await.unwrap_or(Err(NotReady::Dropped))) });
    }

    /// The file of a message is ready, or is not.
    pub(crate) fn file_ready(&mut self, id: MessageId, file: Result<ReadyFile, NotReady>) {
        use std::sync::atomic::Ordering::Relaxed;
        let now = self.now();
        self.fetching.remove(&id);
        match file {
            Ok(file) => {
                self.is_store_down = false;
                self.shared.stats.media_prepared.fetch_add(1, Relaxed);
                if self.queue.file_ready(id, now) {
                    self.kinds.insert(id, file.media.kind);
                    self.files.insert(id, file);
                }
            }
            Err(NotReady::File(FileError::Permanent(failure))) => {
                self.shared.stats.media_failed.fetch_add(1, Relaxed);
                self.queue.file_failed(id, failure, now);
            }
            Err(NotReady::File(FileError::Temporary(why))) => {
                tracing::warn!(device = %self.id, message = %id, why, "a file is put off");
                self.queue.file_delayed(id, why, now);
            }
            Err(NotReady::Store(error)) => {
                self.queue.file_put_off(id, now);
                self.read_failed(&error);
            }
            // It may be wanted again by now.
            Err(NotReady::Dropped) => self.queue.file_put_off(id, now),
        }
    }

    /// Forgets the files of messages that are not on their way any more, and stops making them
    /// ready.
    pub(crate) fn forget_files(&mut self) {
        let queue = &self.queue;
        self.files.retain(|id, _| queue.wants_file(*id));
        self.kinds.retain(|id, _| queue.is_on_its_way(*id));
        let unwanted = self.fetching.iter().filter(|(id, _)| !queue.wants_file(**id));
        unwanted.for_each(|(_, job)| AbortHandle::abort(job));
    }
}

/// The place comes last of what is waited for, so that slow downloads do not hold all of them.
async fn make_ready(shared: &Arc<Shared>, message: Message) -> Result<ReadyFile, NotReady> {
    let (account, shares) = (message.account_id, &shared.files);
    let Content::File(File { kind, media, .. }) = message.content else {
        return Err(NotReady::Dropped);
    };
    let mut wish = MediaWish {
        kind: media.is_kind_given.then_some(kind),
        filename: media.filename,
        mimetype: media.mimetype,
        ..MediaWish::default()
    };
    let (file, place) = if let Some(url) = &media.url {
        let _turn = acquire(&shares.downloads, account).await;
        let place = acquire(&shares.places, account).await;
        let fetched = in_time(FETCH_WAIT, shared.outbound.fetch(url)).await?;
        wish.content_type = fetched.content_type;
        wish.source_name = fetched.filename;
        (fetched.file, place)
    } else {
        let _turn = acquire(&shares.reads, account).await;
        let place = acquire(&shares.places, account).await;
        let bytes: StoreResult<Option<Vec<u8>>> = shared.store.inline_media(message.id).await;
        let gone = || Failure::new(Failure::MEDIA, "the file is not there any more");
        let bytes = bytes?.ok_or_else(|| FileError::Permanent(gone()))?;
        (in_time(FETCH_WAIT, shared.outbound.keep(bytes)).await?, place)
    };
    let _turn = match wish.kind {
        Some(ContentKind::Voice) => Some(acquire(&shares.conversions, account).await),
        _ => None,
    };
    let media = in_time(PREPARE_WAIT, shared.codec.prepare(file, wish)).await?;
    Ok(ReadyFile { media, place })
}

/// Whoever exceeds our limit in spite of its own is busy, and may be quicker another time.
async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, FileError>>,
) -> Result<T, FileError> {
    let late = || Err(FileError::Temporary("making the file ready took too long".to_owned()));
    within(limit, work).await.unwrap_or_else(late)
}
