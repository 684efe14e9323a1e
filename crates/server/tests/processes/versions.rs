//! `GERBANG_WHATSAPP_VERSION` is the version that WhatsApp sees, and no other is asked for.

use serde_json::json;

use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const SETTING: &str = "GERBANG_WHATSAPP_VERSION";
const OUTDATED: &str = "2.3000.1036000000";
const OLDEST: &str = "2.3000.1036000001";
const NEWER: &str = "2.3000.1036000002";

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_set_is_used_until_another_is_set() {
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, &[(SETTING, OUTDATED)]).await;
    let account = gateway.operator().make_account("versions", "unlimited").await;
    let device = account.make_linked_device(&simulator, "628119000009").await;
    let shown = async || account.get(&format!("/v1/devices/{device}")).await;
    assert_eq!(shown().await["version"], OUTDATED);
    let logins = simulator.counter("logins").await;
    // WhatsApp publishes this one from now on, and takes none before it.
    simulator.control().put("/server", json!({ "min_version": OLDEST })).await;
    until("the device says which version is refused", 60, async || {
        let reason = shown().await["reason"].as_str().unwrap_or_default().to_owned();
        (reason.contains("(405)") && reason.contains(SETTING)).then_some(())
    })
    .await;
    assert_eq!(simulator.counter("logins").await, logins + 1);
    gateway.process.kill().await;
    gateway.restart_with(&[(SETTING, NEWER)]).await;
    account.wait_for_status(&device, "connected").await;
    assert_eq!(shown().await["version"], NEWER);
    assert_eq!(simulator.counter("logins").await, logins + 2);
    assert_eq!(simulator.counter("versions_asked").await, 0);
    assert!(gateway.process.stop().await.success());
}
