//! App state: snapshots and patches whose MACs hold, and patches that are refused.

use std::sync::Arc;

use wacore::appstate::hash::{HashState, generate_patch_mac};
use wacore::appstate::{
    ExpandedAppStateKeys, encode_record, expand_app_state_keys, process_patch, process_snapshot,
};
use wacore::download::{DownloadUtils, MediaType};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp as wa;
use waproto::whatsapp::syncd_mutation::SyncdOperation;

use super::client::{attr, bytes};
use super::http::{call, serve};
use super::{Client, number, simulator};
use crate::Simulator;

const NAME: &str = "critical_block";
const OURS: &str = "628111";

/// Asks for the collection; what its answer holds.
async fn sync(client: &mut Client, collection: NodeBuilder) -> Node {
    let sync = NodeBuilder::new("sync").children([collection.attr("name", NAME).build()]).build();
    let answer = client.query("w:sync:app:state", "set", [sync]).await;
    answer.get_optional_child_by_tag(&["sync", "collection"]).unwrap().clone()
}

fn at(version: u64) -> NodeBuilder {
    NodeBuilder::new("collection").attr("version", version.to_string())
}

fn code(collection: &Node) -> String {
    collection.get_optional_child("error").map(|error| attr(error, "code")).unwrap_or_default()
}

async fn keys(simulator: &Simulator) -> ([u8; 6], Arc<ExpandedAppStateKeys>) {
    let keys = simulator.switchboard().run(|sb| sb.keys_of(number(OURS)));
    let (id, key) = keys.await.unwrap().app_state_key().unwrap();
    (id, Arc::new(expand_app_state_keys(&key)))
}

async fn set_name(address: &str, name: &str) {
    let body = format!(r#"{{"push_name":"{name}"}}"#);
    let (status, _, answer) = call(address, "PUT", &format!("/phones/{OURS}"), &body).await;
    assert_eq!(status, 200, "{answer}");
}

/// A device's patch that sets the owner's name on top of a state, which it changes.
fn patch(
    state: &mut HashState,
    (id, keys): &([u8; 6], Arc<ExpandedAppStateKeys>),
    name: &str,
    previous: Option<Vec<u8>>,
) -> wa::SyncdPatch {
    let value = wa::SyncActionValue {
        push_name_setting: MessageField::some(wa::sync_action_value::PushNameSetting {
            name: Some(name.to_owned()),
        }),
        ..Default::default()
    };
    let index = b"[\"setting_pushName\"]";
    let (mutation, _) = encode_record(SyncdOperation::SET, index, &value, keys, id, &[7; 16], 1);
    state.version += 1;
    state.update_hash(std::slice::from_ref(&mutation), |_, _| Ok(previous.clone())).1.unwrap();
    let mut patch = wa::SyncdPatch {
        mutations: vec![mutation],
        snapshot_mac: Some(state.generate_snapshot_mac(NAME, &keys.snapshot_mac)),
        key_id: MessageField::some(wa::KeyId { id: Some(id.to_vec()) }),
        ..Default::default()
    };
    patch.patch_mac = Some(generate_patch_mac(&patch, NAME, &keys.patch_mac, state.version));
    patch
}

#[tokio::test]
async fn a_snapshot_and_the_patches_after_it_hold() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let mut client = Client::paired(&simulator, number(OURS), 1).await;
    client.take_mail().await;
    let empty = sync(&mut client, at(0).attr("return_snapshot", "true")).await;
    assert_eq!((attr(&empty, "version"), empty.children().is_none()), ("0".into(), true));
    set_name(&address, "Budi").await;
    let news = client.expect("notification").await;
    assert_eq!(attr(&news, "type"), "server_sync");
    let collection = sync(&mut client, at(0).attr("return_snapshot", "true")).await;
    let reference = bytes(collection.get_optional_child("snapshot").unwrap());
    let reference = wa::ExternalBlobReference::decode_from_slice(&reference).unwrap();
    let (file, _) = simulator.media().open_file(&reference.direct_path.unwrap()).await.unwrap();
    let (key, file) = (reference.media_key.unwrap(), file.into_std().await);
    let plain = DownloadUtils::decrypt_stream(file, &key, MediaType::AppState).unwrap();
    let snapshot = wa::SyncdSnapshot::decode_from_slice(&plain).unwrap();
    let (_, keys) = keys(&simulator).await;
    let mut state = HashState::default();
    let known = |_: &[u8]| Ok(keys.clone());
    let processed = process_snapshot(&snapshot, &mut state, known, true, NAME).unwrap();
    let named = |mutation: &wacore::appstate::Mutation| {
        let value = mutation.action_value.as_ref().unwrap();
        value.push_name_setting.name.clone()
    };
    assert_eq!(named(&processed.mutations[0]).as_deref(), Some("Budi"));

    set_name(&address, "Siti").await;
    let collection = sync(&mut client, at(1)).await;
    assert_eq!(attr(&collection, "version"), "2");
    let patch = collection.get_optional_child_by_tag(&["patches", "patch"]).map(bytes).unwrap();
    let patch = wa::SyncdPatch::decode_from_slice(&patch).unwrap();
    let previous = processed.mutation_macs[0].value_mac.to_vec();
    let before = |_: &[u8]| Ok(Some(previous.clone()));
    let patched = process_patch(&patch, &mut state, known, before, true, NAME).unwrap();
    assert!(!state.mac_mismatch_fatal);
    assert_eq!(named(&patched.mutations[0]).as_deref(), Some("Siti"));
}

#[tokio::test]
async fn patches_of_devices_are_checked_and_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number(OURS), 1).await;
    let mut other = Client::paired(&simulator, number(OURS), 2).await;
    client.take_mail().await;
    other.take_mail().await;
    let keys = keys(&simulator).await;
    let mut state = HashState::default();
    let first = patch(&mut state, &keys, "Budi", None);
    let upload = |version, patch: &wa::SyncdPatch| {
        let patch = NodeBuilder::new("patch").bytes(patch.encode_to_vec()).build();
        at(version).children([patch])
    };
    let forged = wa::SyncdPatch { patch_mac: Some(vec![1; 32]), ..first.clone() };
    assert_eq!(code(&sync(&mut client, upload(0, &forged)).await), "400");
    let unsigned = wa::SyncdPatch { patch_mac: None, ..first.clone() };
    assert_eq!(code(&sync(&mut client, upload(0, &unsigned)).await), "400");
    let taken = sync(&mut client, upload(0, &first)).await;
    assert_eq!((code(&taken), attr(&taken, "version")), (String::new(), "1".into()));
    let news = other.expect("notification").await;
    let collection = news.get_optional_child("collection").unwrap();
    assert_eq!((attr(collection, "name"), attr(collection, "version")), (NAME.into(), "1".into()));
    // It was made without the first one.
    let late = sync(&mut other, upload(0, &first)).await;
    assert_eq!(code(&late), "409");
    assert!(late.get_optional_child_by_tag(&["patches", "patch"]).is_some());
    let unknown = NodeBuilder::new("sync")
        .children([NodeBuilder::new("collection").attr("name", "what").build()])
        .build();
    let answer = client.query("w:sync:app:state", "set", [unknown]).await;
    let collection = answer.get_optional_child_by_tag(&["sync", "collection"]).unwrap();
    assert_eq!(code(collection), "400");
}
