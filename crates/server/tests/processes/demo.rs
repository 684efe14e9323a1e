//! `gerbang demo` as a newcomer meets it: start, paste, look, answer, stop, start again.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::api::Api;
use crate::support::env;
use crate::support::process::Process;
use crate::support::wait::until;

/// A running demo, and what it printed.
pub struct Demo {
    pub process: Process,
    /// `http://HOST:PORT`
    pub base: String,
    /// The simulated phone the printed commands write to.
    pub phone: String,
    /// The address of its page.
    pub phone_page: String,
    pub account_key: String,
    /// The one-time link to the dashboard.
    pub dashboard: String,
    /// Everything that must be the same at the next start.
    pub keys: Vec<String>,
    pub curls: Vec<String>,
}

/// How many APIs have a printed line: our own, and the five dialects.
pub const APIS: usize = 6;

impl Demo {
    /// Starts it and waits until it has said everything.
    pub async fn start(data: &Path) -> Self {
        Self::start_at(data, "127.0.0.1:0").await
    }

    /// The same at an address.
    pub async fn start_at(data: &Path, listen: &str) -> Self {
        let mut command = Command::new(env::gerbang());
        command.args(["demo", "--listen", listen, "--data-dir"]).arg(data.join("demo"));
        command.current_dir(data);
        let mut process = Process::start("gerbang demo", command);
        let after = |label: &'static str| {
            move |line: &str| Some(line.trim().strip_prefix(label)?.trim().to_owned())
        };
        let dashboard = process.line("the dashboard's link", after("Dashboard")).await;
        let phone_page = process.line("the phone's page", after("Simulated phone")).await;
        let operator = process.line("the operator key", after("Operator key")).await;
        let account_key = process.line("the account key", after("Account key")).await;
        let device = process.line("the device", after("Device")).await;
        let token = process.line("the device token", after("Device token")).await;
        let mut curls = Vec::new();
        for _ in 0..APIS {
            let is_curl = |line: &str| line.starts_with("curl ").then(|| line.to_owned());
            curls.push(process.line("a curl line", is_curl).await);
        }
        let (base, _) = phone_page.split_once("/simulator").expect("an address");
        let (_, phone) = phone_page.rsplit_once('/').expect("a phone number");
        Self {
            base: base.to_owned(),
            phone: phone.to_owned(),
            keys: vec![operator, account_key.clone(), device, token],
            phone_page,
            account_key,
            dashboard,
            curls,
            process,
        }
    }

    /// A client of the gateway with the account's key.
    pub fn account(&self) -> Api {
        Api::new(&self.base).with_key(&self.account_key)
    }

    /// The simulator's control API.
    pub fn simulator(&self) -> Api {
        Api::new(format!("{}/simulator", self.base))
    }

    /// Runs a printed line as a newcomer does: in a shell.
    pub async fn paste(&self, line: &str) -> Value {
        let output = Command::new("sh").args(["-c", line]).output().await.unwrap();
        assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{line}\n{answer}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_lines_work_and_everything_is_there_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(data.path()).await;
    let mut last = 0;
    for line in &demo.curls {
        let answer = demo.paste(line).await;
        let id = newest(&demo).await;
        assert!(id > last, "{line}\nwas answered {answer}");
        sees_it_read(&demo, id).await;
        last = id;
    }
    an_answer_comes_in(&demo).await;

    let paired_at = the_device(&demo).await["paired_at"].clone();
    demo.account().post("/v1/devices", json!({ "name": "Another" })).await;
    assert!(demo.process.stop().await.success());
    let mut again = Demo::start(data.path()).await;
    assert_eq!(again.keys, demo.keys, "the keys have changed");
    let device = the_device(&again).await;
    again.account().wait_for_status(device["id"].as_str().unwrap(), "connected").await;
    assert_eq!(the_device(&again).await["paired_at"], paired_at, "it was linked again");
    let answer = again.paste(&again.curls[0]).await;
    sees_it_read(&again, answer["id"].as_i64().unwrap()).await;
    assert!(again.process.stop().await.success());
}

/// The id of the message that was accepted last.
async fn newest(demo: &Demo) -> i64 {
    let list = demo.account().get("/v1/messages?direction=out&limit=1").await;
    list["data"][0]["id"].as_i64().unwrap_or_default()
}

/// The message is on the phone, and `/v1` says that it was read.
async fn sees_it_read(demo: &Demo, id: i64) {
    let path = format!("/v1/messages/{id}");
    let message = until(format!("message {id} is read"), 30, async || {
        let message = demo.account().get(&path).await;
        (message["status"] == "read").then_some(message)
    })
    .await;
    let inbox = demo.simulator().get(&format!("/phones/{}/inbox", demo.phone)).await;
    let rows = inbox.as_array().unwrap();
    let row = rows.iter().find(|row| row["id"] == message["whatsapp_id"]);
    assert_eq!(row.expect("not in the inbox")["text"], message["text"]);
}

async fn an_answer_comes_in(demo: &Demo) {
    let device = the_device(demo).await;
    let body = json!({ "to": device["phone"], "text": "thanks!" });
    demo.simulator().post(&format!("/phones/{}/send", demo.phone), body).await;
    until("the answer comes in", 30, async || {
        let list = demo.account().get("/v1/messages?direction=in").await;
        let rows = list["data"].as_array().unwrap().clone();
        rows.iter().any(|row| row["text"] == "thanks!").then_some(())
    })
    .await;
}

pub async fn the_device(demo: &Demo) -> Value {
    let list = demo.account().get("/v1/devices").await;
    let mut rows = list["data"].as_array().unwrap().iter();
    rows.find(|row| row["name"] == "Demo shop").expect("the demo's device").clone()
}
