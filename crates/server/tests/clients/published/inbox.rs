//! wachat's receivers of incoming messages, as published in PHP and in Python.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use super::{all_between, text};
use crate::receivers::free_port;
use crate::support::api::Api;
use crate::support::env;
use crate::support::process::Process;
use crate::support::wait::until;
use crate::world::{OURS, World};

const THEIRS: &str = "628293000001";
const WORDS: &str = "Halo 👋 \"a/b\" & c=d";
/// The path of the published route.
const CALLBACK: &str = "/your_callback_url";

#[tokio::test(flavor = "multi_thread")]
async fn wachats_inbox_in_php() {
    let Some(text) = text("wachat.txt") else { return };
    let samples = all_between(&text, "<?php\n\n$id = $_POST[\"id\"];", "fclose($myfile);");
    let [sample] = <[String; 1]>::try_from(samples).unwrap();
    // One name is misspelt as printed, which is fatal.
    let code = sample.replace("$mufile", "$myfile");
    assert_ne!(code, sample, "repaired in vain");
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("index.php"), code).unwrap();
    let port = free_port().await;
    let mut php = Command::new("php");
    php.args(["-S", &format!("127.0.0.1:{port}")]);
    push_to(php, folder.path(), port).await;
    let inbox = std::fs::read_to_string(folder.path().join("inbox.txt")).unwrap();
    assert!(inbox.contains(&format!("Gateway No: {OURS}\nSender: {THEIRS}\n")), "{inbox}");
    assert!(inbox.ends_with(&format!("Message: {WORDS}\n")), "{inbox}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wachats_inbox_in_python() {
    let Some(text) = text("wachat.txt") else { return };
    let start = "import json\nfrom flask import Flask, request";
    let samples = all_between(&text, start, "return json.dumps(callback_data)");
    let [sample] = <[String; 1]>::try_from(samples).unwrap();
    // The text has lost the indentation of the function's body.
    let (head, body) = sample.split_once("():\n").unwrap();
    let body: Vec<String> = body.lines().map(|line| format!("    {line}")).collect();
    // What came is kept beside, since only the sender sees the answer.
    let keep = "    open('came.json', 'w').write(json.dumps(callback_data))";
    let (last, rest) = body.split_last().unwrap();
    let code = format!("{head}():\n{}\n{keep}\n{last}\n", rest.join("\n"));
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("sample.py"), code).unwrap();
    let port = free_port().await;
    let mut flask = Command::new(env::required("GERBANG_TEST_PYTHON"));
    flask.args(["-m", "flask", "--app", "sample", "run", "--port", &port.to_string()]);
    push_to(flask, folder.path(), port).await;
    let came = std::fs::read(folder.path().join("came.json")).unwrap();
    let came: serde_json::Value = serde_json::from_slice(&came).unwrap();
    assert_eq!(came["gateway_no"], OURS);
    assert_eq!(came["sender"], THEIRS);
    assert_eq!(came["message"], WORDS);
    assert!(came["id"].as_str().is_some() && came["receive_date"].as_str().is_some(), "{came}");
}

/// Starts a receiver, writes to our device, and waits until the receiver has taken the message.
async fn push_to(mut receiver: Command, folder: &Path, port: u16) {
    let world = World::start().await;
    receiver.current_dir(folder);
    let _receiver = Process::start("a published receiver", receiver);
    let url = format!("http://127.0.0.1:{port}");
    let client = Api::new(&url);
    until("the receiver answers", 60, async || client.try_call("GET", "/x", None).await.ok()).await;
    let webhook = json!({ "url": format!("{url}{CALLBACK}"), "format": "wachat" });
    let webhook = world.account.post("/v1/webhooks", webhook).await;
    world.simulator.send(THEIRS, OURS, WORDS).await;
    let path = format!("/v1/webhooks/{}/deliveries?state=delivered", webhook["id"]);
    until("the message is pushed", 60, async || {
        let list = world.account.get(&path).await;
        (list["data"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
}
