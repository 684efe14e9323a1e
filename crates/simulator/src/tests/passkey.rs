//! Linking when the account demands a passkey.

use wacore::shortcake::ShortcakeUtils;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use wacore_libsignal::protocol::PublicKey;
use waproto::whatsapp::device_props::PlatformType;

use super::client::attr;
use super::{Client, number, simulator};
use crate::phone::pairing::{PairingOutcome, QrCode};

fn leaf(tag: &'static str, bytes: impl Into<Vec<u8>>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

fn content(node: &Node, tag: &str) -> Vec<u8> {
    match node.get_optional_child(tag).and_then(|child| child.content.clone()) {
        Some(wacore_binary::NodeContent::Bytes(bytes)) => bytes,
        Some(wacore_binary::NodeContent::String(text)) => text.as_bytes().to_vec(),
        _ => panic!("no {tag}"),
    }
}

#[tokio::test]
async fn a_passkey_leads_to_the_same_code_on_both_sides_and_to_a_device() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let owner = number("628111");
    let patch = serde_json::from_str(r#"{"passkey":true}"#).unwrap();
    let change = simulator.switchboard().run(move |sb| sb.change_phone(owner, patch));
    change.await.unwrap();
    let mut client = Client::unpaired(&simulator, owner, 1).await;
    let qr = QrCode::parse(&client.qr().await).unwrap();
    let scanned = simulator.switchboard().run(move |sb| sb.scan(owner, &qr)).await.unwrap();
    assert_eq!(scanned.await.unwrap().unwrap(), PairingOutcome::PasskeyDemanded);
    let asked = client.expect("notification").await;
    assert_eq!(attr(&asked, "type"), "passkey_prologue_request");
    let options: serde_json::Value =
        serde_json::from_slice(&content(&asked, "passkey_request_options")).unwrap();
    assert!(options["challenge"].is_string());

    let answer = client.query("md", "get", [NodeBuilder::new("ref").build()]).await;
    let reference = String::from_utf8(content(&answer, "ref")).unwrap();
    let pair = ShortcakeUtils::generate_companion_ephemeral_keypair();
    let nonce = ShortcakeUtils::generate_companion_nonce();
    let public = pair.public_key.public_key_bytes().try_into().unwrap();
    let identity = ShortcakeUtils::build_companion_ephemeral_identity(
        &public,
        PlatformType::CHROME,
        &reference,
    );
    let commitment = ShortcakeUtils::commitment_hash(&identity, &nonce);
    let prologue = NodeBuilder::new("passkey_prologue").children([
        leaf("credential_id", *b"credential"),
        leaf("webauthn_assertion", *br#"{"id":"credential","type":"public-key"}"#),
        leaf("prologue_payload", ShortcakeUtils::build_prologue_payload(&identity, &commitment)),
    ]);
    let answer = client.query("md", "set", [prologue.build()]).await;
    assert_eq!(attr(&answer, "type"), "result");
    let go_on = client.expect("notification").await;
    let primary = content(&go_on, "primary_ephemeral_identity");
    let primary = ShortcakeUtils::parse_primary_ephemeral_identity(&primary).unwrap();
    client.query("md", "set", [leaf("companion_nonce", nonce)]).await;
    let code =
        ShortcakeUtils::derive_verification_code(&nonce, &primary.public_key, &primary.nonce);
    let shown = simulator.switchboard().run(move |sb| Ok(sb.passkey_code(owner)));
    assert_eq!(shown.await.unwrap(), Some(format!("{}-{}", &code[..4], &code[4..])));

    assert!(PublicKey::from_djb_public_key_bytes(&primary.public_key).is_ok());
    let key = ShortcakeUtils::derive_encryption_key(
        &pair,
        &primary.public_key,
        PlatformType::CHROME,
        &reference,
    )
    .unwrap();
    let request = ShortcakeUtils::build_pairing_request(&[1; 32], &client.identity(), &[6; 32]);
    let sealed = ShortcakeUtils::encrypt_pairing_request(&request, &key).unwrap();
    let sealed = ShortcakeUtils::build_encrypted_pairing_request(&sealed);
    let answer = client.query("md", "set", [leaf("encrypted_pairing_request", sealed)]).await;
    assert_eq!(attr(&answer, "type"), "result");
    client.sign().await;
    assert_eq!(attr(&client.expect("stream:error").await, "code"), "515");
}
