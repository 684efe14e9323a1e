//! How the file of a message is prepared.
//!
//! Scarce resources are shared by all accounts, and no account may have all of them: however slow
//! the files of one are, those of another come through. Waiting for a permit uses up no time limit.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::future::abortable;
use tracing::Instrument as _;

use domain::content::{Content, File};
use domain::error::StoreError;
use domain::fair_semaphore::{FairSemaphore, Permit};
use domain::ids::{AccountId, MessageId};
use domain::media::{FileFacts, MediaWish, ReadyMedia};
use domain::message::{ContentKind, Message};
use domain::ports::FileError;
use domain::request_file::blob_key;

use super::DeviceTask;
use super::jobs::Done;
use crate::context::EngineContext;
use crate::request_files;
use crate::timing::within;

/// Most files that are being prepared, or are ready and not submitted: what bounds the disk. How many
/// of them may be one device's is [`crate::queue::FILE_SLOTS_MAX`].
const FILES_MAX: usize = 64;
/// The same of one account.
const FILES_PER_ACCOUNT_MAX: usize = 16;
/// Most downloads at a time.
const DOWNLOADS_MAX: usize = 16;
/// The same of one account.
const DOWNLOADS_PER_ACCOUNT_MAX: usize = 4;
/// Most files that are read from the media store at a time: each is in memory as a whole.
const READS_MAX: usize = 2;
/// The same of one account.
const READS_PER_ACCOUNT_MAX: usize = 1;
/// Most conversions at a time; each keeps a processor busy.
const CONVERSIONS_MAX: usize = 2;
/// The same of one account.
const CONVERSIONS_PER_ACCOUNT_MAX: usize = 1;
/// Most files that are submitted at a time; the messenger uploads no more than that.
const UPLOADS_MAX: usize = 4;
/// The same of one account.
const UPLOADS_PER_ACCOUNT_MAX: usize = 2;
/// How long a download may take; the outbound client's own limit is shorter.
const FETCH_WAIT: Duration = Duration::from_secs(60);
/// How long looking at a file and converting it may take; the codec's own limit is shorter.
const PREPARE_WAIT: Duration = Duration::from_secs(240);

/// What files need, shared by the accounts.
pub(crate) struct FileLimits {
    files: Arc<FairSemaphore>,
    downloads: Arc<FairSemaphore>,
    reads: Arc<FairSemaphore>,
    conversions: Arc<FairSemaphore>,
    uploads: Arc<FairSemaphore>,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self {
            files: FairSemaphore::new(FILES_MAX, FILES_PER_ACCOUNT_MAX),
            downloads: FairSemaphore::new(DOWNLOADS_MAX, DOWNLOADS_PER_ACCOUNT_MAX),
            reads: FairSemaphore::new(READS_MAX, READS_PER_ACCOUNT_MAX),
            conversions: FairSemaphore::new(CONVERSIONS_MAX, CONVERSIONS_PER_ACCOUNT_MAX),
            uploads: FairSemaphore::new(UPLOADS_MAX, UPLOADS_PER_ACCOUNT_MAX),
        }
    }
}

impl FileLimits {
    /// Waits for a permit to look at a page; pages share them with downloads.
    pub(crate) async fn look(&self, account: AccountId) -> Permit {
        self.downloads.acquire(account).await
    }

    /// Waits for a permit to convert a file.
    pub(crate) async fn convert(&self, account: AccountId) -> Permit {
        self.conversions.acquire(account).await
    }

    /// Waits for a permit to upload.
    pub(super) async fn upload(&self, account: AccountId) -> Permit {
        self.uploads.acquire(account).await
    }
}

/// A file that is ready, and the permit that bounds how many there are.
pub(super) struct ReadyFile {
    media: ReadyMedia,
    permit: Permit,
}

impl ReadyFile {
    /// What it has turned out to be.
    pub(super) fn facts(&self) -> FileFacts {
        FileFacts::from(&self.media)
    }

    pub(super) fn into_parts(self) -> (ReadyMedia, Permit) {
        (self.media, self.permit)
    }
}

/// Why a file is not ready.
pub(super) enum FileNotReady {
    /// The store does not answer; later it may.
    Store(StoreError),
    /// It could not be fetched or cannot be sent, or not now.
    File(FileError),
    /// It was not wanted any more.
    Aborted,
}

impl From<StoreError> for FileNotReady {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<FileError> for FileNotReady {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl DeviceTask {
    /// Begins to prepare the file of a message, if the queue has a place for it.
    pub(super) fn prepare_file(&mut self, message: Box<Message>) {
        let (id, now) = (message.id, self.now());
        let is_wanted = self.outbox.queue_mut().needs_file(id, now);
        // One that was aborted has not reported yet: the queue is asked again when it has.
        if !is_wanted || self.outbox.in_flight().is_preparing_file(id) {
            return;
        }
        tracing::debug!(message_id = %id, "file is being prepared");
        let context = self.context.clone();
        let (job, handle) = abortable(async move { prepare(&context, *message).await });
        self.outbox.in_flight_mut().file_job_began(id, handle);
        self.begin(async move {
            let file = job.await.unwrap_or(Err(FileNotReady::Aborted));
            Done::FilePrepared(id, file.map(Box::new))
        });
    }

    /// The file of a message is ready, or is not.
    pub(super) fn file_prepared(
        &mut self,
        id: MessageId,
        file: Result<Box<ReadyFile>, FileNotReady>,
    ) {
        let now = self.now();
        let stats = self.context.stats();
        self.outbox.in_flight_mut().file_job_ended(id);
        match file {
            Ok(file) => {
                stats.media_prepared.fetch_add(1, Relaxed);
                tracing::debug!(message_id = %id, kind = file.media.kind.as_str(), "file ready");
                self.records.store_answered();
                self.outbox.file_ready(id, file, now);
            }
            Err(FileNotReady::File(FileError::Permanent(failure))) => {
                stats.media_failed.fetch_add(1, Relaxed);
                self.outbox.queue_mut().file_failed(id, failure, now);
            }
            Err(FileNotReady::File(FileError::Temporary(why))) => {
                tracing::warn!(message_id = %id, why, "a file is delayed");
                self.outbox.queue_mut().file_delayed(id, why, now);
            }
            Err(FileNotReady::Store(error)) => {
                self.outbox.queue_mut().file_put_off(id, now);
                self.read_failed(&error);
            }
            // It may be wanted again by now.
            Err(FileNotReady::Aborted) => self.outbox.queue_mut().file_put_off(id, now),
        }
    }
}

/// The permit for the file comes last of what is waited for, so that slow downloads do not hold all
/// of them.
async fn prepare(context: &EngineContext, message: Message) -> Result<ReadyFile, FileNotReady> {
    let (account, limits) = (message.account_id, context.files());
    let Content::File(File { kind, media, .. }) = message.content else {
        return Err(FileNotReady::Aborted);
    };
    let mut wish = MediaWish {
        kind: media.is_kind_given.then_some(kind),
        filename: media.filename,
        mimetype: media.mimetype,
        ..MediaWish::default()
    };
    let (file, permit) = if let Some(url) = &media.url {
        let _download = limits.downloads.acquire(account).await;
        let permit = limits.files.acquire(account).await;
        // Names the message on the lines that say why its file could not be fetched.
        let span = tracing::error_span!("file", message_id = %message.id);
        let fetched = in_time(FETCH_WAIT, context.outbound().fetch(url)).instrument(span).await?;
        wish.content_type = fetched.content_type;
        wish.source_name = fetched.filename;
        wish.url_names = fetched.url_names;
        (fetched.file, permit)
    } else {
        let _read = limits.reads.acquire(account).await;
        let permit = limits.files.acquire(account).await;
        let key = blob_key(account, message.device_id, &message.whatsapp_id);
        let bytes = request_files::read(context, message.id, &key);
        let bytes = within(FETCH_WAIT, bytes).await.unwrap_or_else(|| Ok(Err(late())))??;
        (in_time(FETCH_WAIT, context.outbound().keep(bytes)).await?, permit)
    };
    let _conversion = match wish.kind {
        Some(ContentKind::Voice | ContentKind::Sticker) => {
            Some(limits.conversions.acquire(account).await)
        }
        _ => None,
    };
    let media = in_time(PREPARE_WAIT, context.codec().prepare(file, wish)).await?;
    Ok(ReadyFile { media, permit })
}

/// A client or codec that exceeds our limit in spite of its own is busy, and may be quicker another
/// time.
async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, FileError>>,
) -> Result<T, FileError> {
    within(limit, work).await.unwrap_or_else(|| Err(late()))
}

fn late() -> FileError {
    FileError::Temporary("making the file ready took too long".to_owned())
}
