//! Files that come in, in a bucket of a server that speaks as S3 does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::api::Api;
use crate::support::env;
use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const OURS: &str = "628119000003";
const BUDI: &str = "6281290000002";
const PREFIX: &str = "some/prefix/";
/// More than what is uploaded in one piece.
const LARGE: usize = 11 << 20;

/// The server, and a front of it that can answer 503 in its place.
struct Bucket {
    address: String,
    endpoint: String,
    is_down: Arc<AtomicBool>,
    _server: Process,
}

impl Bucket {
    async fn start() -> Self {
        let mut command = Command::new(env::required("GERBANG_TEST_MOTO"));
        command.args(["-H", "127.0.0.1", "-p", "0"]).env("PYTHONUNBUFFERED", "1");
        let mut server = Process::start("moto", command);
        let address = |line: &str| {
            let (_, address) = line.split_once("Running on ")?;
            Some(address.trim().trim_end_matches('/').to_owned())
        };
        let address = server.line("its address", address).await;
        let made = client().put(format!("{address}/files")).send().await.unwrap();
        assert!(made.status().is_success());
        let is_down = Arc::new(AtomicBool::new(false));
        let front = Front { address: address.clone(), is_down: is_down.clone(), client: client() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass_on).with_state(Arc::new(front));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, endpoint, is_down, _server: server }
    }

    /// The names in it.
    async fn names(&self) -> Vec<String> {
        let url = format!("{}/files?list-type=2", self.address);
        let list = client().get(url).send().await.unwrap().text().await.unwrap();
        let keys = list.split("<Key>").skip(1).filter_map(|key| key.split_once("</Key>"));
        keys.map(|(key, _)| key.to_owned()).collect()
    }
}

fn client() -> Client {
    // Plain HTTP only, but the client wants to know which cryptography it would use.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

struct Front {
    address: String,
    is_down: Arc<AtomicBool>,
    client: Client,
}

async fn pass_on(State(front): State<Arc<Front>>, request: Request) -> Response {
    if front.is_down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("{}{path}", front.address);
    let body: Bytes = axum::body::to_bytes(body, 2 * LARGE).await.unwrap();
    parts.headers.remove(HOST);
    let sent = front.client.request(parts.method, url).headers(parts.headers).body(body);
    let answer = sent.send().await.unwrap();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response.headers_mut().remove(CONNECTION);
    response.headers_mut().remove(TRANSFER_ENCODING);
    *response.body_mut() = Body::from(answer.bytes().await.unwrap());
    response
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n * 31 % 251) as u8).collect()
}

/// A phone sends a photo.
async fn send_photo(simulator: &Simulator, caption: &str, bytes: &[u8]) {
    let media = json!({ "kind": "image", "mimetype": "image/jpeg", "caption": caption,
        "base64": STANDARD.encode(bytes) });
    let path = format!("/phones/{BUDI}/send");
    simulator.control().post(&path, json!({ "to": OURS, "media": media })).await;
}

async fn received(account: &Api, text: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    until(format!("{text} has come in"), 60, async || {
        let rows = account.all("/v1/messages?direction=in").await;
        rows.into_iter().find(|row| row["text"] == text && is_it(row))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_kept_in_a_bucket_and_wait_while_it_is_down() {
    let bucket = Bucket::start().await;
    let simulator = Simulator::start().await;
    let store = format!("s3://files/{PREFIX}");
    let settings = [
        ("GERBANG_ALLOWED_PRIVATE_NETS", "127.0.0.0/8"),
        ("GERBANG_MEDIA_STORE", &store),
        ("AWS_ENDPOINT", &bucket.endpoint),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
    ];
    let gateway = Gateway::start(&simulator, &settings).await;
    let operator = gateway.operator();
    let account = operator.make_account("buckets", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    let is_stored = |row: &Value| row["media"]["state"] == "stored";
    for (caption, size) in [("small", 20_000), ("large", LARGE)] {
        let photo = bytes(size);
        send_photo(&simulator, caption, &photo).await;
        let row = received(&account, caption, is_stored).await;
        let url = row["media"]["url"].as_str().unwrap();
        assert!(
            client().get(url).send().await.unwrap().bytes().await.unwrap() == photo,
            "{caption}"
        );
        let part = client().get(url).header("range", "bytes=100-199").send().await.unwrap();
        assert!(part.bytes().await.unwrap() == photo[100..200], "{caption}");
    }
    let names = bucket.names().await;
    assert_eq!(names.len(), 2);
    assert!(names.iter().all(|name| name.starts_with(PREFIX)), "{names:?}");

    bucket.is_down.store(true, Ordering::SeqCst);
    let photo = bytes(30_000);
    send_photo(&simulator, "during", &photo).await;
    let row = received(&account, "during", |row| row["media"]["state"] == "pending").await;
    let body = json!({ "to": OURS, "text": "messages go on" });
    simulator.control().post(&format!("/phones/{BUDI}/send"), body).await;
    received(&account, "messages go on", |_| true).await;
    let file = json!({ "base64": STANDARD.encode("a note"), "filename": "note.txt" });
    let ask = json!({ "device": device, "to": BUDI, "media": file });
    let refused = account.call("POST", "/v1/messages", Some(ask.clone())).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let text = json!({ "device": device, "to": BUDI, "text": "this goes on, too" });
    account.post("/v1/messages", text).await;
    bucket.is_down.store(false, Ordering::SeqCst);
    // A request makes it due now, and waits; one that comes too early finds it waiting still.
    let url = row["media"]["url"].as_str().unwrap();
    until("the file is there", 60, async || {
        let answer = client().get(url).send().await.unwrap();
        (answer.status() == StatusCode::OK).then_some(())
    })
    .await;
    let answer = client().get(url).send().await.unwrap();
    assert!(answer.bytes().await.unwrap() == photo);
    let id = account.post("/v1/messages", ask).await["id"].clone();
    let note = until("the note has left, and the bucket", 60, async || {
        let note = account.get(&format!("/v1/messages/{id}")).await;
        let waits = matches!(note["status"].as_str(), Some("scheduled" | "queued" | "sending"));
        (!waits && bucket.names().await.len() == 3).then_some(note)
    })
    .await;
    assert_ne!(note["status"], "failed", "{note}");

    let id = account.get("/v1/me").await["account"]["id"].clone();
    operator.call("DELETE", &format!("/v1/accounts/{id}"), None).await.ok();
    assert_eq!(bucket.names().await, Vec::<String>::new(), "erased with their account");
}
