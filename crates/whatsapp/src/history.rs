//! The history that a phone gives a device that it has just linked. The library takes the tokens and
//! LIDs out of it; here the chats are read, and nothing else is kept.
//!
//! Invariant: of all devices at most [`HISTORIES_MAX`](crate::limits::HISTORIES_MAX) hold a history in
//! memory; it stays compressed, and is read chat by chat.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use domain::chat::{ChatId, Lid};
use domain::ids::DeviceId;
use domain::phone::PhoneNumber;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use wacore::history_sync::HistorySyncStream;
use wacore::net::{HttpClient, HttpRequest, HttpResponse, StreamingHttpResponse, UploadBody};
use wacore_binary::{Jid, Server};
use whatsapp_rust::Client;

use crate::download::FilesOnTheirWay;
use crate::http_client::GuardedHttpClient;
use crate::identities::Events;
use crate::limits::{HISTORY_CHATS_PER_REPORT_MAX, HISTORY_TURN_MAX, SMALL_DOWNLOAD_BYTES};

/// The turn of one device to hold a history.
#[derive(Default)]
pub(crate) struct HistoryTurn(Mutex<(u64, Option<OwnedSemaphorePermit>)>);

impl HistoryTurn {
    /// The history is gone.
    pub(crate) fn end(&self) {
        self.0.lock().1 = None;
    }

    fn begin(&self, permit: OwnedSemaphorePermit) -> u64 {
        let mut turn = self.0.lock();
        *turn = (turn.0 + 1, Some(permit));
        turn.0
    }

    fn end_the(&self, number: u64) {
        let mut turn = self.0.lock();
        if turn.0 == number {
            turn.1 = None;
        }
    }
}

/// The HTTP client of one device: large downloads of histories wait for their turn.
pub(crate) struct TurnedHttpClient {
    pub(crate) http: Arc<GuardedHttpClient>,
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) turn: Arc<HistoryTurn>,
    /// The downloads that are no histories.
    pub(crate) files: Arc<FilesOnTheirWay>,
}

#[async_trait]
impl HttpClient for TurnedHttpClient {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        self.http.execute(request).await
    }

    fn supports_streaming(&self) -> bool {
        true
    }

    fn execute_streaming(&self, request: HttpRequest) -> anyhow::Result<StreamingHttpResponse> {
        let is_history = !self.files.has(&request.url);
        let (response, length) = self.http.stream(request)?;
        if is_history && length.is_none_or(|length| length > SMALL_DOWNLOAD_BYTES) {
            let runtime = Handle::try_current()?;
            let permit = runtime.block_on(self.turns.clone().acquire_owned())?;
            let (turn, number) = (self.turn.clone(), self.turn.begin(permit));
            // A history that cannot be read ends without an event.
            runtime.spawn(async move {
                sleep(HISTORY_TURN_MAX).await;
                turn.end_the(number);
            });
        }
        Ok(response)
    }

    fn supports_upload_streaming(&self) -> bool {
        self.http.supports_upload_streaming()
    }

    fn execute_upload(
        &self,
        request: HttpRequest,
        body: UploadBody,
        content_length: u64,
    ) -> anyhow::Result<HttpResponse> {
        self.http.execute_upload(request, body, content_length)
    }
}

/// A history, as the library hands it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) compressed: Bytes,
    /// Its size when it is not compressed, in bytes.
    pub(crate) size: usize,
    /// The request that it answers, as the phone names it, where it was asked for.
    pub(crate) asked: Option<String>,
}

/// Reports the chats of a history.
pub(crate) async fn report_chats(
    events: Events,
    device: DeviceId,
    client: Arc<Client>,
    history: History,
) {
    let read = tokio::task::spawn_blocking(move || chats_of(&history)).await;
    let Ok(jids) = read else { return };
    let mut chats = Vec::with_capacity(jids.len());
    for jid in jids {
        chats.push(chat_of(&client, &jid).await);
    }
    let Some(events) = events.get() else { return };
    for some in chats.chunks(HISTORY_CHATS_PER_REPORT_MAX) {
        if let Err(error) = events.chats_known(device, some.to_vec()).await {
            tracing::warn!(%device, %error, "the chats of a history are not stored");
            return;
        }
    }
}

async fn chat_of(client: &Client, jid: &Jid) -> ChatId {
    if jid.is_pn() {
        return ChatId::Person(PhoneNumber::from_digits(&*jid.user));
    }
    match client.get_lid_pn_entry(jid).await {
        Ok(Some(entry)) => ChatId::Person(PhoneNumber::from_digits(&*entry.phone_number)),
        _ => ChatId::Lid(Lid::from_user(&jid.user)),
    }
}

/// The chats with people in a history, as far as it can be read.
fn chats_of(history: &History) -> Vec<Jid> {
    let size = u64::try_from(history.size).unwrap_or(u64::MAX);
    let mut stream = HistorySyncStream::new(&history.compressed, size);
    let mut chats = Vec::new();
    while let Ok(Some(conversation)) = stream.next_conversation_bytes() {
        let jid: Option<Jid> = id_of(conversation).and_then(|id| id.parse().ok());
        chats.extend(jid.filter(|jid| matches!(jid.server, Server::Pn | Server::Lid)));
    }
    chats
}

/// The id of an encoded conversation: its first field. Decoding all of it would hold its messages.
fn id_of(conversation: &[u8]) -> Option<&str> {
    const ID_TAG: u8 = 0x0A;
    let [ID_TAG, length, rest @ ..] = conversation else { return None };
    // Longer ones than one byte can say are no addresses.
    let id = rest.get(..usize::from(*length)).filter(|_| *length < 0x80)?;
    std::str::from_utf8(id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use waproto::buffa::Message as _;
    use waproto::whatsapp as wa;

    use crate::config::Endpoint;
    use crate::limits::HISTORIES_MAX;

    #[test]
    fn the_id_of_a_conversation_is_read_without_the_rest() {
        let conversation = wa::Conversation {
            id: "628222@s.whatsapp.net".to_owned(),
            unread_count: Some(7),
            ..Default::default()
        };
        let bytes = conversation.encode_to_vec();
        assert_eq!(id_of(&bytes), Some("628222@s.whatsapp.net"));
        assert_eq!(id_of(&bytes[..9]), None, "cut off");
        assert_eq!(id_of(&[0x0A, 0xFF, 1]), None);
        assert_eq!(id_of(&[]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_ends_by_itself_but_no_later_one_with_it() {
        let turns = Arc::new(Semaphore::new(1));
        let turn = HistoryTurn::default();
        let first = turn.begin(turns.clone().acquire_owned().await.unwrap());
        assert_eq!(turns.available_permits(), 0);
        turn.end();
        let _second = turn.begin(turns.clone().acquire_owned().await.unwrap());
        turn.end_the(first);
        assert_eq!(turns.available_permits(), 0, "the second has not ended");
        turn.end();
        assert_eq!(turns.available_permits(), 1);
    }

    /// Begins to answer every request with a file that is no small one.
    async fn serve_histories(listener: TcpListener) {
        let length = SMALL_DOWNLOAD_BYTES + 1;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        let mut open = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert!(socket.read_buf(&mut request).await.unwrap() > 0, "the connection broke");
            }
            socket.write_all(head.as_bytes()).await.unwrap();
            open.push(socket);
        }
    }

    #[tokio::test]
    async fn no_more_histories_are_held_than_have_their_turn() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(serve_histories(listener));
        let simulator = Some(host.clone());
        let endpoint = Endpoint { url: String::new(), simulator, versions: String::new() };
        let http = Arc::new(GuardedHttpClient::new(&endpoint).unwrap());
        let turns = Arc::new(Semaphore::new(HISTORIES_MAX));
        let fetch = |turn: &Arc<HistoryTurn>| {
            let (http, turns, turn) = (http.clone(), turns.clone(), turn.clone());
            let client = TurnedHttpClient { http, turns, turn, files: Arc::default() };
            let request = HttpRequest::get(format!("https://{host}/mms/md-msg-hist/t"));
            tokio::task::spawn_blocking(move || {
                client.execute_streaming(request).map(|answer| answer.status_code)
            })
        };
        let mut held: Vec<Arc<HistoryTurn>> = Vec::new();
        for _ in 0..HISTORIES_MAX {
            held.push(Arc::default());
            let fetched = fetch(held.last().unwrap()).await.unwrap();
            assert_eq!(fetched.unwrap(), 200);
        }
        assert_eq!(turns.available_permits(), 0);
        let last = Arc::default();
        let waits = fetch(&last);
        held[0].end();
        assert_eq!(waits.await.unwrap().unwrap(), 200);
        assert_eq!(turns.available_permits(), 0, "it has the turn of the first");
        last.end();
        assert_eq!(turns.available_permits(), 1);
    }
}
