//! The production binary: it has no simulator in it and accepts WhatsApp's certificate only.

use serde_json::json;
use tokio::process::Command;

use crate::support::env;
use crate::support::gateway::{Gateway, OPERATOR_KEY};
use crate::support::process::Process;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

#[tokio::test]
async fn it_has_neither_demo_nor_simulator() {
    let help = Command::new(env::production_binary()).arg("--help").output().await.unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("serve"), "{help}");
    for command in ["demo", "simulator"] {
        let is_listed = help.lines().any(|line| line.trim().split(' ').next() == Some(command));
        assert!(!is_listed, "{command} is listed:\n{help}");
        let tried = Command::new(env::production_binary()).arg(command).output().await.unwrap();
        assert!(!tried.status.success(), "{command} exists");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_refuses_the_simulators_certificates() {
    let simulator = Simulator::start().await;
    let settings = [("GERBANG_WHATSAPP_URL", simulator.url()), ("RUST_LOG", "info")];
    let gateway = Gateway::start_with(&env::production_binary(), &settings).await;
    let account = gateway.operator().make_account("production", "unlimited").await;
    let device = account.make_device("refuses").await;
    let path = format!("/v1/devices/{device}/pair");
    let reply = account.call("POST", &path, Some(json!({}))).await;
    assert!(reply.body["qr"].is_null(), "it took the simulator for WhatsApp: {reply:?}");
    assert!(reply.status >= 400, "{reply:?}");
    until("the log or the answer names the certificate", 30, async || {
        let output = format!("{} {}", gateway.process.output(), reply.body).to_lowercase();
        output.contains("cert").then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_simulator_build_never_speaks_to_whatsapp() {
    for url in [None, Some("wss://web.whatsapp.com/ws/chat"), Some("ws://203.0.113.7/ws/chat")] {
        let data = tempfile::tempdir().unwrap();
        let mut command = Command::new(env::gerbang());
        command.arg("serve").current_dir(&data).env("GERBANG_ADMIN_KEY", OPERATOR_KEY);
        command.env("GERBANG_LISTEN", "127.0.0.1:0").env("GERBANG_DATA_DIR", data.path());
        if let Some(url) = url {
            command.env("GERBANG_WHATSAPP_URL", url);
        }
        let mut process = Process::start("gerbang serve", command);
        assert!(!process.exit().await.success(), "it started with {url:?}");
    }
}
