//! Files that come in: what is needed to fetch each, and the fetching.
//!
//! A message's own address of its file is never asked: the library asks the hosts that WhatsApp names for
//! the session, one after the other, through the device's proxy. What they have no longer is asked of the
//! owner's phone, which uploads it once more.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::content::Content;
use domain::incoming_file::{FileReference, FileState};
use domain::media::{MEDIA_BYTES_MAX, Media, THUMBNAIL_BYTES_MAX, TempMedia};
use domain::ports::FetchError;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use wacore::types::message::MessageInfo;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::download::{DownloadParams, Downloadable, MediaType};
use whatsapp_rust::features::{MediaRetryResult, MediaReuploadError, MediaReuploadRequest};
use whatsapp_rust::{Client, ErrorChainExt};

use crate::incoming::int32;
use crate::limits::FETCH_MAX;

/// What fetches a file, as it is kept.
#[derive(Serialize, Deserialize)]
struct Reference {
    kind: String,
    path: String,
    key: Vec<u8>,
    sha256: Vec<u8>,
    encrypted_sha256: Vec<u8>,
    length: u64,
    /// Which message the phone is asked about; unknown to earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<Carrier>,
}

/// The message that carries a file, as WhatsApp names it.
#[derive(Serialize, Deserialize)]
struct Carrier {
    id: String,
    chat: String,
    is_from_me: bool,
    /// Who wrote it into a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    participant: Option<String>,
}

impl Carrier {
    fn of(info: &MessageInfo) -> Self {
        let source = &info.source;
        Self {
            id: info.id.clone(),
            chat: source.chat.to_string(),
            is_from_me: source.is_from_me,
            participant: source.is_group.then(|| source.sender.to_non_ad().to_string()),
        }
    }
}

/// Adds to the file of a message what the message says of it, and what fetches it.
pub(crate) fn describe(content: &mut Content, message: &wa::Message, info: &MessageInfo) {
    let Content::File(file) = content else { return };
    let media = &mut file.media;
    let refer = |media: &mut Media, message: &dyn Downloadable| refer(media, message, info);
    if let Some(m) = message.image_message.as_option() {
        media.dimensions = int32(m.width).zip(int32(m.height));
        media.thumbnail = thumbnail(m.jpeg_thumbnail.as_deref());
        refer(media, m);
    } else if let Some(m) = message.video_message.as_option().or(message.ptv_message.as_option()) {
        media.dimensions = int32(m.width).zip(int32(m.height));
        media.seconds = int32(m.seconds);
        media.thumbnail = thumbnail(m.jpeg_thumbnail.as_deref());
        refer(media, m);
    } else if let Some(m) = message.audio_message.as_option() {
        media.seconds = int32(m.seconds);
        refer(media, m);
    } else if let Some(m) = message.sticker_message.as_option() {
        media.dimensions = int32(m.width).zip(int32(m.height));
        refer(media, m);
    } else if let Some(m) = message.document_message.as_option() {
        media.pages = int32(m.page_count).filter(|pages| *pages > 0);
        media.thumbnail = thumbnail(m.jpeg_thumbnail.as_deref());
        refer(media, m);
    }
}

/// The small picture that a sender adds to a file; what is none, or larger than one, is not kept.
fn thumbnail(jpeg: Option<&[u8]>) -> Option<Arc<str>> {
    const BEGINNING: &[u8] = b"\xff\xd8\xff";
    let is_picture =
        |jpeg: &&[u8]| jpeg.starts_with(BEGINNING) && jpeg.len() <= THUMBNAIL_BYTES_MAX;
    jpeg.filter(is_picture).map(|jpeg| STANDARD.encode(jpeg).into())
}

fn refer(media: &mut Media, message: &dyn Downloadable, info: &MessageInfo) {
    media.sha256 = message.file_sha256().filter(|hash| hash.len() == 32).map(hex::encode);
    match reference(message, info) {
        Ok(reference) => {
            media.reference = Some(reference);
            media.state = Some(FileState::Pending);
        }
        Err(lacking) => {
            media.state = Some(FileState::Failed);
            media.reason =
                Some(format!("the message does not say how to fetch its file: {lacking}"));
        }
    }
}

/// What fetches the file, or what the message lacks of it. The length is only a hint.
fn reference(
    message: &dyn Downloadable,
    info: &MessageInfo,
) -> Result<FileReference, &'static str> {
    let of_32 = |bytes: Option<&[u8]>| bytes.filter(|bytes| bytes.len() == 32).map(<[u8]>::to_vec);
    let path = message.direct_path().filter(|path| path.starts_with('/'));
    let reference = Reference {
        kind: message.app_info().mms_type().to_owned(),
        path: path.ok_or("it has no path")?.to_owned(),
        key: of_32(message.media_key()).ok_or("it has no key")?,
        sha256: of_32(message.file_sha256()).ok_or("it has no hash")?,
        encrypted_sha256: of_32(message.file_enc_sha256()).ok_or("it has no hash")?,
        length: message.file_length().unwrap_or_default(),
        message: Some(Carrier::of(info)),
    };
    let bytes = serde_json::to_vec(&reference).map_err(|_| "it cannot be written down")?;
    Ok(FileReference(bytes.into()))
}

fn media_type(name: &str) -> Option<MediaType> {
    let known = [
        MediaType::Image,
        MediaType::Video,
        MediaType::Audio,
        MediaType::Document,
        MediaType::Sticker,
    ];
    known.into_iter().find(|kind| kind.mms_type() == name)
}

/// The paths of files that are being fetched: by them a file is distinguished from a history.
#[derive(Default)]
pub(crate) struct FilesOnTheirWay(Mutex<Vec<String>>);

impl FilesOnTheirWay {
    fn begin(self: &Arc<Self>, path: &str) -> OnItsWay {
        self.0.lock().push(path.to_owned());
        OnItsWay { all: self.clone(), path: path.to_owned() }
    }

    /// Whether the address is of one of them.
    pub(crate) fn has(&self, url: &str) -> bool {
        self.0.lock().iter().any(|path| url.contains(path))
    }
}

struct OnItsWay {
    all: Arc<FilesOnTheirWay>,
    path: String,
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        let mut paths = self.all.0.lock();
        if let Some(index) = paths.iter().position(|path| *path == self.path) {
            paths.swap_remove(index);
        }
    }
}

/// Fetches a file into a draft; its size.
pub(crate) async fn fetch(
    client: &Arc<Client>,
    files: &Arc<FilesOnTheirWay>,
    reference: &FileReference,
    draft: &TempMedia,
) -> Result<u64, FetchError> {
    let unreadable = || FetchError::Permanent("what fetches the file cannot be read".to_owned());
    let reference: Reference = serde_json::from_slice(&reference.0).map_err(|_| unreadable())?;
    let kind = media_type(&reference.kind).ok_or_else(unreadable)?;
    if reference.length > MEDIA_BYTES_MAX {
        return Err(too_large());
    }
    let corrupt = match fetch_from(client, files, &reference.path, &reference, kind, draft).await {
        Ok(size) => return Ok(size),
        Err(Fault::Gone) => None,
        Err(Fault::Corrupt(why)) => Some(Fault::Corrupt(why)),
        Err(fault) => return Err(fault.into()),
    };
    let path = match (upload_again(client, &reference).await, corrupt) {
        (Ok(path), _) => path,
        (Err(FetchError::NotConnected), _) => return Err(FetchError::NotConnected),
        // What the servers have will not become another file.
        (Err(_), Some(corrupt)) => return Err(corrupt.into()),
        (Err(error), None) => return Err(error),
    };
    fetch_from(client, files, &path, &reference, kind, draft).await.map_err(FetchError::from)
}

fn too_large() -> FetchError {
    FetchError::Permanent("the file is larger than 100 MB".to_owned())
}

/// Why a file could not be fetched from one path.
enum Fault {
    /// The servers have it no longer.
    Gone,
    /// What they have is not what was sent, or cannot be decrypted.
    Corrupt(&'static str),
    Other(FetchError),
}

impl From<Fault> for FetchError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Gone => Self::Gone,
            Fault::Corrupt(why) => Self::Permanent(why.to_owned()),
            Fault::Other(error) => error,
        }
    }
}

/// Asks the owner's phone to upload a file once more; its new path.
async fn upload_again(client: &Arc<Client>, reference: &Reference) -> Result<String, FetchError> {
    let Some(carrier) = &reference.message else { return Err(FetchError::Gone) };
    let jid = |text: &str| text.parse::<Jid>().map_err(|_| FetchError::Gone);
    let participant = carrier.participant.as_deref().map(jid).transpose()?;
    let request = MediaReuploadRequest {
        msg_id: &carrier.id,
        chat_jid: &jid(&carrier.chat)?,
        media_key: &reference.key,
        is_from_me: carrier.is_from_me,
        participant: participant.as_ref(),
    };
    let cannot = || FetchError::Temporary("the phone could not upload the file again".to_owned());
    match client.media_reupload().request(&request).await {
        Ok(MediaRetryResult::Success { direct_path }) if direct_path.starts_with('/') => {
            Ok(direct_path)
        }
        Ok(MediaRetryResult::NotFound) => Err(FetchError::Gone),
        Err(MediaReuploadError::Timeout) => Err(FetchError::Temporary(
            "WhatsApp has the file no longer, and the phone does not answer".to_owned(),
        )),
        Err(MediaReuploadError::NotLoggedIn | MediaReuploadError::Client(_)) => {
            Err(FetchError::NotConnected)
        }
        _ => Err(cannot()),
    }
}

/// Fetches from this path into a draft; the size.
async fn fetch_from(
    client: &Arc<Client>,
    files: &Arc<FilesOnTheirWay>,
    path: &str,
    reference: &Reference,
    kind: MediaType,
    draft: &TempMedia,
) -> Result<u64, Fault> {
    let Reference { key, sha256, encrypted_sha256, length, .. } = reference;
    let _on_its_way = files.begin(path);
    let wanted = DownloadParams::encrypted(path, key, sha256, encrypted_sha256, *length, kind);
    let disk = |error: io::Error| Fault::Other(FetchError::Local(error.kind().to_string()));
    let temporary = |why: &str| Fault::Other(FetchError::Temporary(why.to_owned()));
    let options = File::options().read(true).write(true).truncate(true).to_owned();
    let file = options.open(&draft.path).map_err(disk)?;
    let work = async {
        let written = client.download_from_params_to_writer(&wanted, file).await;
        let file = written.map_err(|error| fault(&error))?;
        let draft = draft.clone();
        let hashed = tokio::task::spawn_blocking(move || hash(file, &draft)).await;
        let (size, hash) =
            hashed.map_err(|_| temporary("the file could not be read"))?.map_err(disk)?;
        if hash != *sha256 {
            return Err(Fault::Corrupt("the file is not the one that was sent: its hash differs"));
        }
        if size > MEDIA_BYTES_MAX {
            return Err(Fault::Other(too_large()));
        }
        Ok(size)
    };
    let late = || temporary("WhatsApp's file server took too long");
    timeout(FETCH_MAX, work).await.unwrap_or_else(|_| Err(late()))
}

/// The size and the hash of what was written. The draft is held, so that it is not removed meanwhile.
fn hash(file: File, draft: &TempMedia) -> io::Result<(u64, Vec<u8>)> {
    drop(file);
    let mut hasher = Sha256::new();
    let size = io::copy(&mut File::open(&draft.path)?, &mut HashWriter(&mut hasher))?;
    Ok((size, hasher.finalize().to_vec()))
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the library says of bytes that cannot be decrypted; it has no type for it.
const UNDECRYPTABLE: [&str; 4] = [
    "Invalid final media size",
    "MAC mismatch",
    "Invalid PKCS7 padding",
    "Bad PKCS7 padding bytes",
];

/// Why a file could not be fetched. The library's own text may name hosts and paths with tokens.
fn fault(error: &anyhow::Error) -> Fault {
    let text = error.to_string();
    let error: &(dyn std::error::Error + 'static) = error.as_ref();
    if error.is_transport_unavailable() {
        return Fault::Other(FetchError::NotConnected);
    }
    let io = ErrorChainExt::sources(error).find_map(|cause| cause.downcast_ref::<io::Error>());
    match io.map(io::Error::kind) {
        Some(kind @ (ErrorKind::StorageFull | ErrorKind::QuotaExceeded)) => {
            return Fault::Other(FetchError::Local(kind.to_string()));
        }
        Some(ErrorKind::FileTooLarge) => return Fault::Other(too_large()),
        _ => {}
    }
    if UNDECRYPTABLE.contains(&text.as_str()) {
        return Fault::Corrupt("the file cannot be decrypted with the key that came with it");
    }
    let why = match error.http_status() {
        Some(404 | 410) => return Fault::Gone,
        Some(status) => format!("WhatsApp's file server failed ({status})"),
        None => "the file could not be fetched whole".to_owned(),
    };
    Fault::Other(FetchError::Temporary(why))
}
