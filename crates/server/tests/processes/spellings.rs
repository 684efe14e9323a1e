//! A number that WhatsApp knows by another spelling: one person, one chat.

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const OURS: &str = "628119000005";
/// Brazil's ninth digit, Mexico's 1 and Argentina's 9: as people write them, and as WhatsApp knows them.
const SPELLINGS: [[&str; 2]; 4] = [
    ["5511987654321", "551187654321"],
    ["525512345678", "5215512345678"],
    ["5215587654321", "525587654321"],
    ["541123456789", "5491123456789"],
];

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
    let put = async |phone: &str, patch: Value| {
        simulator.control().put(&format!("/phones/{phone}"), patch).await;
    };
    put(OURS, json!({ "migrated": is_migrated })).await;
    for [written, known] in SPELLINGS {
        put(known, json!({ "migrated": is_migrated })).await;
        put(written, json!({ "answers_as": known })).await;
    }
    let mut gateway = Gateway::start(&simulator, &[]).await;
    let account = gateway.operator().make_account("spellings", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    let send = async |to: &str, text: &str| {
        let body = json!({ "device": device, "to": to, "text": text });
        let id = account.post("/v1/messages", body).await["id"].clone();
        until(format!("{text} to {to} has arrived"), 60, async || {
            let shown = account.get(&format!("/v1/messages/{id}")).await;
            ["delivered", "read"].iter().any(|state| shown["status"] == *state).then_some(shown)
        })
        .await
    };
    for [written, known] in SPELLINGS {
        let chat = chat_of(known);
        // What is written before it is known is in the chat once it is on its way.
        assert_eq!(send(written, "um").await["chat"], chat);
        // It is one chat whichever spelling a message comes from.
        simulator.send(known, OURS, "dois").await;
        simulator.send(written, OURS, "três").await;
        assert_eq!(send(known, "quatro").await["chat"], chat);
        assert_eq!(send(written, "cinco").await["chat"], chat);
        let listed = async || account.all(&format!("/v1/messages?chat={written}")).await;
        until("all five are listed", 60, async || (listed().await.len() == 5).then_some(())).await;
        assert_eq!(
            (simulator.inbox(known).await.len(), simulator.inbox(written).await.len()),
            (3, 0)
        );
    }
    let shown = account.all("/v1/chats").await;
    let mut chats: Vec<_> =
        shown.iter().map(|chat| (chat["chat"].as_str().unwrap(), chat["unread"].clone())).collect();
    chats.sort_by_key(|(chat, _)| *chat);
    let mut expected = SPELLINGS.map(|[_, known]| chat_of(known));
    expected.sort();
    assert_eq!(chats, expected.each_ref().map(|chat| (chat.as_str(), json!(2))));
    // It is known after a restart as well.
    gateway.process.kill().await;
    gateway.restart().await;
    account.wait_for_status(&device, "connected").await;
    for [written, known] in SPELLINGS {
        let body = json!({ "device": device, "to": written, "text": "seis" });
        assert_eq!(account.post("/v1/messages", body).await["chat"], chat_of(known));
    }
}

fn chat_of(number: &str) -> String {
    format!("{number}@s.whatsapp.net")
}
