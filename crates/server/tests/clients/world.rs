//! A gateway with one linked device, the simulator behind it, and a server of files to send.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::api::Api;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

/// The device's phone number.
pub const OURS: &str = "628110000001";
/// The account's email address.
pub const EMAIL: &str = "clients@example.com";
/// How long a message may take to its phone.
const ARRIVAL_S_MAX: u64 = 30;
/// The smallest picture there is.
const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Everything a client needs.
pub struct World {
    pub simulator: Simulator,
    pub gateway: Gateway,
    /// `/v1` with the account's key.
    pub account: Api,
    /// The device's id.
    pub device: String,
    /// The device's token.
    pub token: String,
    files: Files,
}

impl World {
    pub async fn start() -> Self {
        let files = Files::serve().await;
        let simulator = Simulator::start().await;
        let settings = [("GERBANG_ALLOWED_PRIVATE_NETS", "127.0.0.0/8")];
        let gateway = Gateway::start(&simulator, &settings).await;
        let account = gateway.operator().make_account("clients", "unlimited").await;
        let device = account.make_linked_device(&simulator, OURS).await;
        let token = account.post(&format!("/v1/devices/{device}/token"), Value::Null).await;
        let token = token["token"].as_str().unwrap().to_owned();
        Self { simulator, gateway, account, device, token, files }
    }

    /// Where the gateway is: `http://HOST:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.gateway.address())
    }

    /// The account's key.
    pub fn key(&self) -> &str {
        self.account.key().unwrap()
    }

    /// The address of a file; see [`Files`].
    pub fn file(&self, name: &str) -> String {
        format!("http://{}/{name}", self.files.address)
    }

    /// Waits until a phone has so many messages, all of which `/v1` knows as read; shows them.
    pub async fn arrived(&self, phone: &str, count: usize) -> Vec<Value> {
        let what = format!("{phone} has read {count} messages");
        until(what, ARRIVAL_S_MAX, async || {
            let inbox = self.simulator.inbox(phone).await;
            let messages = self.account.all("/v1/messages?direction=out").await;
            let is_read = |mail: &&Value| {
                messages.iter().any(|message| {
                    message["whatsapp_id"] == mail["id"] && message["status"] == "read"
                })
            };
            (inbox.iter().filter(is_read).count() == count && inbox.len() == count).then_some(inbox)
        })
        .await
    }

    /// Waits for the one message with this text or caption on a phone.
    pub async fn mail(&self, phone: &str, words: &str) -> Value {
        let what = format!("{phone} has {words:?}");
        let mut found = until(what, ARRIVAL_S_MAX, async || {
            let mut inbox = self.simulator.inbox(phone).await;
            inbox.retain(|mail| mail["text"] == words || mail["caption"] == words);
            (!inbox.is_empty()).then_some(inbox)
        })
        .await;
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}

/// Asserts that a message carries the picture, byte by byte.
pub fn assert_is_picture(mail: &Value) {
    assert_eq!(mail["kind"], "image", "{mail}");
    assert_eq!(mail["sha256"], hex::encode(Sha256::digest(picture())), "{mail}");
}

fn picture() -> Vec<u8> {
    STANDARD.decode(PICTURE).unwrap()
}

/// Writes the picture into a folder.
pub fn write_picture(file: &std::path::Path) {
    std::fs::write(file, picture()).unwrap();
}

/// A server of `picture.png`, `invoice.pdf` and `voice.wav`.
struct Files {
    address: std::net::SocketAddr,
    server: JoinHandle<()>,
}

impl Files {
    async fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let file = |kind: &'static str, bytes: Vec<u8>| {
            get(async move || ([(CONTENT_TYPE, kind)], bytes.clone()))
        };
        let router = Router::new()
            .route("/picture.png", file("image/png", picture()))
            .route("/invoice.pdf", file("application/pdf", b"%PDF-1.4\n%%EOF\n".to_vec()))
            .route("/voice.wav", file("audio/wav", tone()));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, server }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A second of a square wave: 8,000 samples of 16 bits, one channel.
fn tone() -> Vec<u8> {
    const RATE: u32 = 8_000;
    let size = RATE * 2;
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + size).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend(1_u16.to_le_bytes());
    wav.extend(1_u16.to_le_bytes());
    wav.extend(RATE.to_le_bytes());
    wav.extend((RATE * 2).to_le_bytes());
    wav.extend(2_u16.to_le_bytes());
    wav.extend(16_u16.to_le_bytes());
    wav.extend(b"data");
    wav.extend(size.to_le_bytes());
    for at in 0..RATE {
        let sample: i16 = if at / 10 % 2 == 0 { 8_000 } else { -8_000 };
        wav.extend(sample.to_le_bytes());
    }
    wav
}
