//! How the file of a message is made ready.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use domain::error::StoreError;
use domain::ids::MessageId;
use domain::media::{MediaWish, ReadyMedia};
use domain::message::{Failure, Message};

use crate::device::{DeviceTask, Done};
use crate::run::within;
use crate::shared::Shared;

/// Most files, of all devices, that are being made ready, or are ready and not handed over. How
/// many of them may be one device's is [`crate::queue::FILE_PLACES_MAX`].
pub(crate) const FILES_MAX: usize = 64;
/// How long fetching and converting a file may take.
const PREPARE_WAIT: Duration = Duration::from_secs(180);

/// A file that is ready, and the place it takes.
pub(crate) struct ReadyFile {
    pub(crate) media: ReadyMedia,
    pub(crate) place: OwnedSemaphorePermit,
}

/// Why a file is not ready.
pub(crate) enum NotReady {
    /// The store does not answer; later it may.
    Store(StoreError),
    /// It never will be.
    Never(Failure),
}

impl From<StoreError> for NotReady {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for NotReady {
    fn from(failure: Failure) -> Self {
        Self::Never(failure)
    }
}

impl DeviceTask {
    /// Begins to make the file of a message ready, if there is a place for it.
    pub(crate) fn fetch_file(&mut self, message: Box<Message>) {
        let (id, now) = (message.id, self.now());
        if !self.queue.needs_file(id, now) || !self.fetching.insert(id) {
            return;
        }
        let shared = self.shared.clone();
        self.begin(async move { Done::FileReady(id, make_ready(&shared, *message).await) });
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
            Err(NotReady::Never(failure)) => {
                self.shared.stats.media_failed.fetch_add(1, Relaxed);
                self.queue.file_failed(id, failure, now);
            }
            Err(NotReady::Store(error)) => {
                self.queue.file_put_off(id, now);
                self.read_failed(&error);
            }
        }
    }

    /// Forgets the files of messages that are not on their way any more.
    pub(crate) fn forget_files(&mut self) {
        let queue = &self.queue;
        self.files.retain(|id, _| queue.wants_file(*id));
        self.kinds.retain(|id, _| queue.is_on_its_way(*id));
    }
}

async fn make_ready(shared: &Arc<Shared>, message: Message) -> Result<ReadyFile, NotReady> {
    let place = shared.files.clone().acquire_owned().await;
    let place = place.map_err(|_| StoreError::Unavailable("the gateway is stopping".into()))?;
    let late = || Failure::new(Failure::MEDIA, "making the file ready took too long");
    let media = within(PREPARE_WAIT, prepare(shared, message)).await.ok_or_else(late)??;
    Ok(ReadyFile { media, place })
}

async fn prepare(shared: &Shared, message: Message) -> Result<ReadyMedia, NotReady> {
    let media = message.media.unwrap_or_default();
    let mut wish = MediaWish {
        kind: media.is_kind_given.then_some(message.kind),
        filename: media.filename,
        mimetype: media.mimetype,
        ..MediaWish::default()
    };
    let file = if let Some(url) = &media.url {
        let fetched = shared.outbound.fetch(url).await?;
        wish.content_type = fetched.content_type;
        wish.source_name = fetched.filename;
        fetched.file
    } else {
        let bytes = shared.store.inline_media(message.id).await?;
        let gone = || Failure::new(Failure::MEDIA, "the file is not there any more");
        shared.outbound.keep(bytes.ok_or_else(gone)?).await?
    };
    Ok(shared.codec.prepare(file, wish).await?)
}
