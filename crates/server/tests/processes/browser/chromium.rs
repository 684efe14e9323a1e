//! Headless Chromium, driven through its DevTools protocol.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_websockets::{ClientBuilder, Limits, MaybeTlsStream, Message, WebSocketStream};

use crate::support::api::Api;
use crate::support::env;
use crate::support::process::Process;

/// Judging a long page takes a while on a busy machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// A browser with one page.
pub struct Chromium {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
    complaints: Vec<String>,
    _process: Process,
    _profile: TempDir,
}

impl Chromium {
    /// Starts it with a fresh profile and an empty page.
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(env::required("GERBANG_TEST_CHROMIUM"));
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]);
        command.args(["--disable-dev-shm-usage", "--disable-background-networking"]);
        command.arg("--remote-debugging-port=0").arg("about:blank");
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        let mut process = Process::start("chromium", command);
        let port = process
            .line("its DevTools address", |line| {
                let rest = line.split_once("DevTools listening on ws://127.0.0.1:")?.1;
                Some(rest.split('/').next()?.to_owned())
            })
            .await;
        let pages = Api::new(format!("http://127.0.0.1:{port}"));
        let page = pages.put("/json/new?about:blank", Value::Null).await;
        let address = page["webSocketDebuggerUrl"].as_str().unwrap();
        let client = ClientBuilder::new().limits(Limits::unlimited()).uri(address).unwrap();
        let (socket, _) = client.connect().await.unwrap();
        let (last_id, complaints) = (0, Vec::new());
        let mut browser =
            Self { socket, last_id, complaints, _process: process, _profile: profile };
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// How pages look from now on: the colour scheme the reader prefers, and the screen's width.
    pub async fn show_as(&mut self, scheme: &str, width: u32) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
        let screen = json!({
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", screen).await;
    }

    /// Goes to an address.
    pub async fn open(&mut self, url: &str) {
        let answer = self.call("Page.navigate", json!({ "url": url })).await;
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
    }

    /// The value of an expression in the page.
    pub async fn evaluate(&mut self, script: &str) -> Value {
        let params = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", params).await;
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits, inside the page, until an expression is true.
    pub async fn wait_for(&mut self, expression: &str) {
        let script = format!(
            "new Promise(done => {{
                const look = () => ({expression}) ? done(true) : setTimeout(look, 20);
                look();
                setTimeout(() => done(false), 20000);
            }})"
        );
        if self.evaluate(&script).await != true {
            let text = self.evaluate("document.body.innerText").await;
            panic!("never true: {expression}\nthe page says: {text}");
        }
    }

    /// Errors the page has logged, blocked scripts and styles among them.
    pub async fn complaints(&mut self) -> Vec<String> {
        // One more question, so that everything logged before its answer has been read.
        self.evaluate("1").await;
        std::mem::take(&mut self.complaints)
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let message = json!({ "id": id, "method": method, "params": params });
        self.socket.send(Message::text(message.to_string())).await.unwrap();
        let answer = async {
            loop {
                let message = self.socket.next().await.expect("Chromium is gone").unwrap();
                let Some(text) = message.as_text() else { continue };
                let Ok(message) = serde_json::from_str::<Value>(text) else { continue };
                if message["id"] == id {
                    return message;
                }
                self.complaints.extend(complaint(&message));
            }
        };
        let Ok(mut answer) = tokio::time::timeout(ANSWER_TIMEOUT, answer).await else {
            panic!("Chromium did not answer {method}");
        };
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].take()
    }
}

fn complaint(event: &Value) -> Option<String> {
    let is_error = match event["method"].as_str()? {
        "Log.entryAdded" => event["params"]["entry"]["level"] == "error",
        "Runtime.exceptionThrown" => true,
        _ => false,
    };
    is_error.then(|| event["params"].to_string())
}
