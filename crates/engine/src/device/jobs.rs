//! What a task has begun and waits for.

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use domain::device::{LinkedNumber, PairOffer};
use domain::error::Result;
use domain::ids::{AccountId, MessageId};
use domain::message::Message;
use domain::ports::{SendError, StoreResult};

use super::files::{FileNotReady, ReadyFile};
use super::records::Written;
use super::settings::LoadedSettings;
use crate::reply::Reply;

/// What a job came to.
pub(super) enum Done {
    /// The body of a message was read; `None` when it does not wait any more.
    Loaded(MessageId, StoreResult<Option<Box<Message>>>),
    /// The file of a message was prepared, or was not.
    FilePrepared(MessageId, std::result::Result<Box<ReadyFile>, FileNotReady>),
    /// The messenger took a message, or did not.
    Sent(MessageId, std::result::Result<(), SendError>),
    /// A batch of the journal was written, or was not.
    Written(StoreResult<Written>),
    /// The device's row and settings were read; `None` when there is no such device any more.
    Configured(Option<Box<LoadedSettings>>, Vec<Reply<()>>),
    /// A ban may be over.
    BanWaited,
    /// It is this device's turn to connect.
    ConnectTurn(OwnedSemaphorePermit),
    /// The messenger was asked to connect.
    ConnectAsked(Result<()>),
    /// The messenger has read which number the device is linked to.
    LinkRead(Option<LinkedNumber>),
    /// WhatsApp was asked until when it takes no first contacts.
    RestrictionAsked(std::result::Result<Option<Timestamp>, SendError>),
    /// The messenger was asked to pair the device, for the n-th time.
    PairAsked(u64, Result<()>),
    /// WhatsApp took the answer to its challenge, or did not.
    PasskeyGiven(Result<()>, Reply<PairOffer>),
    /// The code of a passkey was confirmed, or was not.
    PasskeyConfirmed(Result<()>, Reply<()>),
    /// The device was unpaired, or was not.
    Unpaired(Result<()>, Reply<()>),
    /// The device of this account was stopped for good.
    Stopped(AccountId, Reply<()>),
    /// Nothing has to follow.
    Nothing,
}

/// The jobs that run.
#[derive(Default)]
pub(super) struct Jobs(FuturesUnordered<BoxFuture<'static, Done>>);

impl Jobs {
    pub(super) fn begin(&self, job: impl Future<Output = Done> + Send + 'static) {
        self.0.push(Box::pin(job));
    }

    /// The next job that ends; `None` while none runs.
    pub(super) async fn next(&mut self) -> Option<Done> {
        self.0.next().await
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
