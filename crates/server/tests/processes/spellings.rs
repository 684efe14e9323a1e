//! A number that WhatsApp knows by another spelling: one person, one chat.

use serde_json::json;

use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const OURS: &str = "628119000005";
/// Brazil's ninth digit: as people write it, and as WhatsApp knows it.
const WRITTEN: &str = "5511987654321";
const KNOWN: &str = "551187654321";

#[tokio::test(flavor = "multi_thread")]
async fn both_spellings_of_a_number_are_one_chat() {
    one_chat(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_spellings_of_a_number_are_one_chat_of_a_migrated_account() {
    one_chat(true).await;
}

async fn one_chat(is_migrated: bool) {
    let simulator = Simulator::start().await;
    for (phone, patch) in [
        (OURS, json!({ "migrated": is_migrated })),
        (KNOWN, json!({ "migrated": is_migrated })),
        (WRITTEN, json!({ "answers_as": KNOWN })),
    ] {
        let path = format!("/phones/{phone}");
        simulator.control().call("PUT", &path, Some(patch)).await.ok();
    }
    let mut gateway = Gateway::start(&simulator, &[]).await;
    let account = gateway.operator().make_account("spellings", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    let chat = format!("{KNOWN}@s.whatsapp.net");
    let send = async |to: &str, text: &str| {
        let body = json!({ "device": device, "to": to, "text": text });
        let id = account.post("/v1/messages", body).await["id"].clone();
        until(format!("{text} has arrived"), 60, async || {
            let shown = account.get(&format!("/v1/messages/{id}")).await;
            ["delivered", "read"].iter().any(|state| shown["status"] == *state).then_some(shown)
        })
        .await
    };
    // What is written before it is known is in the chat once it is on its way.
    assert_eq!(send(WRITTEN, "um").await["chat"], chat);
    simulator.send(KNOWN, OURS, "dois").await;
    assert_eq!(send(KNOWN, "três").await["chat"], chat);
    assert_eq!(send(WRITTEN, "quatro").await["chat"], chat);
    let listed = async || account.all(&format!("/v1/messages?chat={WRITTEN}")).await;
    until("all four are listed", 60, async || (listed().await.len() == 4).then_some(())).await;
    let chats = account.all("/v1/chats").await;
    assert_eq!(chats.len(), 1, "{chats:?}");
    assert_eq!((&chats[0]["chat"], &chats[0]["unread"]), (&json!(chat), &json!(1)));
    assert_eq!(simulator.inbox(KNOWN).await.len(), 3);
    // It is known after a restart as well.
    gateway.process.kill().await;
    gateway.restart().await;
    account.wait_for_status(&device, "connected").await;
    let body = json!({ "device": device, "to": WRITTEN, "text": "cinco" });
    assert_eq!(account.post("/v1/messages", body).await["chat"], chat);
}
