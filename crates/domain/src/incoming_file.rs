//! Files that come in: where each is, and what is needed to fetch it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::content::Content;
use crate::ids::{AccountId, DeviceId, MessageId};
use crate::media::Media;
use crate::ports::MediaLinks;

/// Pauses before a file is fetched again that could not be fetched.
const PAUSES_S: [u64; 6] = [5, 30, 2 * 60, 10 * 60, 60 * 60, 6 * 60 * 60];
/// Pause before a file is fetched again whose device was not connected.
pub const OFFLINE_PAUSE: Duration = Duration::from_secs(30);

/// Why a file is gone whose time is over.
pub const EXPIRED: &str = "the file was kept for as long as files are kept";
/// Why a file is gone that made room for newer ones.
pub const OVER_LIMIT: &str =
    "the stored files of the account had reached their limit, and newer ones took its place";

/// Where a file is that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileState {
    /// It is being fetched, or will be.
    Pending,
    /// It is in the media store.
    Stored,
    /// It is fetched when it is asked for.
    OnDemand,
    /// It was here, or could have been, and is not any more.
    Gone,
    /// It could not be fetched.
    Failed,
}

impl FileState {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Stored, Self::OnDemand, Self::Gone, Self::Failed];

    /// Its name in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Stored => "stored",
            Self::OnDemand => "on_demand",
            Self::Gone => "gone",
            Self::Failed => "failed",
        }
    }

    /// Reads a name back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// Which files a device fetches of the messages that come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MediaDownload {
    /// Each, at once.
    #[default]
    Auto,
    /// Those that are asked for.
    OnDemand,
    /// None.
    Off,
}

impl MediaDownload {
    /// Every setting.
    pub const ALL: [Self; 3] = [Self::Auto, Self::OnDemand, Self::Off];

    /// Its name in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::OnDemand => "on_demand",
            Self::Off => "off",
        }
    }

    /// Reads a name back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.as_str() == name)
    }

    /// Where the file of a message is that has just come in, and why it will never be here.
    pub fn first_state(self) -> (FileState, Option<&'static str>) {
        match self {
            Self::Auto => (FileState::Pending, None),
            Self::OnDemand => (FileState::OnDemand, None),
            Self::Off => (FileState::Gone, Some("the device fetches no files (media_download)")),
        }
    }
}

/// Decides where the file of a message begins that has just come in; what fetches it is taken out of the
/// message. `None` where there is no such file.
pub fn begin(
    media: &mut Media,
    setting: MediaDownload,
) -> Option<(FileState, Option<FileReference>)> {
    media.state?;
    let Some(reference) = media.reference.take() else {
        media.state = Some(FileState::Failed);
        return Some((FileState::Failed, None));
    };
    let (state, reason) = setting.first_state();
    media.state = Some(state);
    media.reason = reason.map(str::to_owned);
    Some((state, (state != FileState::Gone).then_some(reference)))
}

/// What the messenger needs to fetch a file, which only it can read: in clear text on its way from and to
/// the messenger, sealed wherever it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct FileReference(pub Arc<[u8]>);

impl fmt::Debug for FileReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileReference(…)")
    }
}

/// A file that came in, as it is stored beside its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingFile {
    /// The message that carries it.
    pub message: MessageId,
    /// Whose it is.
    pub account: AccountId,
    /// The device that received it.
    pub device: DeviceId,
    /// Where it is.
    pub state: FileState,
    /// Why it failed, is gone or could not be fetched yet; safe to show.
    pub reason: Option<String>,
    /// What it is fetched by, sealed; `None` once it is not needed any more.
    pub reference: Option<FileReference>,
    /// How often it could not be fetched.
    pub attempts: u32,
}

impl IncomingFile {
    /// Its name in the media store: the files of an account and of a device have one beginning.
    pub fn blob_key(&self) -> String {
        let Self { account, device, message, .. } = self;
        format!("{}{}", device_blobs(*account, *device), message.0)
    }
}

/// What the names of all files of an account begin with.
pub fn account_blobs(account: AccountId) -> String {
    format!("{}/", account.0)
}

/// What the names of all files of a device begin with.
pub fn device_blobs(account: AccountId, device: DeviceId) -> String {
    format!("{}{}/", account_blobs(account), device)
}

/// What became of an attempt to fetch a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOutcome {
    /// It is in the media store, with this many bytes.
    Stored(u64),
    /// It is to be fetched again then; the attempt counts or not.
    Again {
        /// When.
        at: Timestamp,
        /// Whether it was an attempt.
        counts: bool,
        /// Why it is not here yet; safe to show.
        reason: String,
    },
    /// It ends in this state, for this reason.
    Ended(FileState, String),
}

/// How long to wait after this many failed attempts; `None` when there is no further one.
pub fn pause_after(attempts: u32) -> Option<Duration> {
    let index = usize::try_from(attempts.saturating_sub(1)).ok()?;
    PAUSES_S.get(index).copied().map(Duration::from_secs)
}

/// Puts the address of its file into the content of a message that came in.
pub fn link(
    content: &mut Content,
    links: &dyn MediaLinks,
    account: AccountId,
    message: MessageId,
    created_at: Timestamp,
) {
    let Content::File(file) = content else { return };
    let is_obtainable = |state| !matches!(state, FileState::Gone | FileState::Failed);
    if file.media.state.is_some_and(is_obtainable) {
        file.media.url = Some(links.url(account, message, created_at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{ContentKind, File};

    #[test]
    fn names_lead_back() {
        for state in FileState::ALL {
            assert_eq!(FileState::from_name(state.as_str()), Some(state));
        }
        for setting in MediaDownload::ALL {
            assert_eq!(MediaDownload::from_name(setting.as_str()), Some(setting));
        }
    }

    #[test]
    fn attempts_end() {
        let pauses_s = (1..=7).map(|attempts| pause_after(attempts).map(|pause| pause.as_secs()));
        let pauses_s: Vec<_> = pauses_s.collect();
        let expected = [5, 30, 120, 600, 3_600, 21_600].map(Some);
        assert_eq!(pauses_s, [&expected[..], &[None]].concat());
    }

    #[test]
    fn a_file_begins_as_the_device_is_set() {
        use FileState::{Failed, Gone, OnDemand, Pending};
        let reference = || Some(FileReference([7][..].into()));
        for (setting, given, state, kept) in [
            (MediaDownload::Auto, reference(), Pending, reference()),
            (MediaDownload::OnDemand, reference(), OnDemand, reference()),
            (MediaDownload::Off, reference(), Gone, None),
            (MediaDownload::Auto, None, Failed, None),
            (MediaDownload::Off, None, Failed, None),
        ] {
            let mut media = Media { state: Some(Pending), reference: given, ..Media::default() };
            assert_eq!(begin(&mut media, setting), Some((state, kept)));
            assert_eq!((media.state, media.reference), (Some(state), None));
            assert_eq!(media.reason.is_some(), state == Gone, "{setting:?}");
        }
        let mut sent = Media { reference: reference(), ..Media::default() };
        assert_eq!(begin(&mut sent, MediaDownload::Auto), None);
        assert_eq!((sent.state, sent.reference), (None, reference()));
    }

    #[test]
    fn names_in_the_media_store_begin_with_their_account_and_device() {
        let (account, device) = (AccountId(7), DeviceId(uuid::Uuid::nil()));
        let message = MessageId(12);
        let (state, reason, reference) = (FileState::Stored, None, None);
        let file = IncomingFile { message, account, device, state, reason, reference, attempts: 0 };
        assert_eq!(account_blobs(account), "7/");
        assert_eq!(device_blobs(account, device), "7/00000000-0000-0000-0000-000000000000/");
        assert_eq!(file.blob_key(), "7/00000000-0000-0000-0000-000000000000/12");
    }

    struct Links;

    impl MediaLinks for Links {
        fn url(&self, account: AccountId, message: MessageId, created_at: Timestamp) -> String {
            format!("https://a.example/{account}/{message}/{}", created_at.as_second())
        }

        fn read(&self, _: &str, _: Timestamp) -> Option<(AccountId, MessageId)> {
            None
        }
    }

    #[test]
    fn files_that_can_be_fetched_have_an_address() {
        let linked = Some("https://a.example/7/12/60");
        let created_at = Timestamp::from_second(60).unwrap();
        for (state, url) in [
            (Some(FileState::Pending), linked),
            (Some(FileState::Stored), linked),
            (Some(FileState::OnDemand), linked),
            (Some(FileState::Gone), None),
            (Some(FileState::Failed), None),
            (None, None),
        ] {
            let media = Media { state, ..Media::default() };
            let kind = ContentKind::Image;
            let mut content = Content::File(File { kind, caption: "".into(), media });
            link(&mut content, &Links, AccountId(7), MessageId(12), created_at);
            assert_eq!(content.media().and_then(|media| media.url.as_deref()), url, "{state:?}");
        }
    }
}
