//! Headless Chromium, driven through its DevTools protocol.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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
/// Errors of a question whose page gave way to another.
const PAGE_GONE: [&str; 3] =
    ["navigated or closed", "context was destroyed", "Cannot find default execution context"];

/// A browser with one page.
pub struct Chromium {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
    complaints: Vec<String>,
    /// The loader of the page that was loaded last.
    loaded: Value,
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
        let mut browser = Self {
            socket,
            last_id: 0,
            complaints: Vec::new(),
            loaded: Value::Null,
            _process: process,
            _profile: profile,
        };
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser.call("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
        browser.call("Page.setLifecycleEventsEnabled", json!({ "enabled": true })).await;
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

    /// Goes to an address, and waits until its page has been loaded.
    pub async fn open(&mut self, url: &str) {
        let answer = self.call("Page.navigate", json!({ "url": url })).await;
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        while self.loaded != answer["loaderId"] {
            self.hear(url, is_load).await;
        }
    }

    /// The value of an expression in the page.
    pub async fn evaluate(&mut self, script: &str) -> Value {
        self.try_evaluate(script).await.unwrap_or_else(|gone| panic!("{script}: {gone}"))
    }

    /// The value of an expression, unless the page goes while it is worked out.
    async fn try_evaluate(&mut self, script: &str) -> Result<Value, String> {
        let params = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let answer = self.try_call("Runtime.evaluate", params).await?;
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        Ok(answer["result"]["value"].clone())
    }

    /// Waits, inside the page or the one that takes its place, until an expression is true.
    pub async fn wait_for(&mut self, expression: &str) {
        let script = format!(
            "new Promise(done => {{
                // A page that has just begun to load has no body.
                const look = () => (document.body && ({expression})) ? done(true) : setTimeout(look, 20);
                look();
                setTimeout(() => done(false), 20000);
            }})"
        );
        let seen = loop {
            match self.try_evaluate(&script).await {
                Ok(seen) => break seen,
                Err(gone) if PAGE_GONE.iter().any(|words| gone.contains(words)) => {}
                Err(fault) => panic!("{expression}: {fault}"),
            }
        };
        if seen != true {
            let text = self.evaluate("location.href + '\\n' + document.body.innerText").await;
            panic!("never true: {expression}\nthe page says: {text}");
        }
    }

    /// Runs what makes the browser load another page, and waits until it is there; pages need no scripts.
    pub async fn go_by(&mut self, script: &str) {
        let before = self.loaded.clone();
        self.evaluate(script).await;
        while self.loaded == before {
            self.hear(script, is_load).await;
        }
    }

    /// A picture of the whole page, as PNG.
    pub async fn picture(&mut self) -> Vec<u8> {
        let params = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.call("Page.captureScreenshot", params).await;
        STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
    }

    /// Sets whether pages may run scripts; [`Chromium::evaluate`] works all the same.
    pub async fn allow_scripts(&mut self, is_allowed: bool) {
        let params = json!({ "value": !is_allowed });
        self.call("Emulation.setScriptExecutionDisabled", params).await;
    }

    /// Errors the page has logged, blocked scripts and styles among them.
    pub async fn complaints(&mut self) -> Vec<String> {
        // One more question, so that everything logged before its answer has been read.
        self.evaluate("1").await;
        std::mem::take(&mut self.complaints)
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.try_call(method, params).await.unwrap_or_else(|fault| panic!("{method}: {fault}"))
    }

    async fn try_call(&mut self, method: &str, params: Value) -> Result<Value, String> {
        self.last_id += 1;
        let id = self.last_id;
        let message = json!({ "id": id, "method": method, "params": params });
        self.socket.send(Message::text(message.to_string())).await.unwrap();
        let mut answer = self.hear(method, |message| message["id"] == id).await;
        match answer["error"]["message"].as_str() {
            Some(fault) => Err(fault.to_owned()),
            None => Ok(answer["result"].take()),
        }
    }

    /// Reads until the message that is waited for, and keeps what the others say.
    async fn hear(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let heard = async {
            loop {
                let message = self.socket.next().await.expect("Chromium is gone").unwrap();
                let Some(text) = message.as_text() else { continue };
                let Ok(message) = serde_json::from_str::<Value>(text) else { continue };
                if is_load(&message) {
                    self.loaded = message["params"]["loaderId"].clone();
                }
                if is_it(&message) {
                    return message;
                }
                self.complaints.extend(complaint(&message));
            }
        };
        let heard = tokio::time::timeout(ANSWER_TIMEOUT, heard).await;
        heard.unwrap_or_else(|_| panic!("Chromium did not answer {what}"))
    }
}

/// Whether it is the event of a page that has been loaded.
fn is_load(event: &Value) -> bool {
    event["method"] == "Page.lifecycleEvent" && event["params"]["name"] == "load"
}

fn complaint(event: &Value) -> Option<String> {
    let is_error = match event["method"].as_str()? {
        "Log.entryAdded" => event["params"]["entry"]["level"] == "error",
        "Runtime.exceptionThrown" => true,
        _ => false,
    };
    is_error.then(|| event["params"].to_string())
}
