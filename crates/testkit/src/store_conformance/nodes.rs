//! Nodes, their shares, and writes of nodes that have lost a device.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::contact::Spelling;
use domain::device::{DevicePatch, DeviceStatus, StatusChange};
use domain::error::StoreError;
use domain::ids::MessageId;
use domain::leases::Leases;
use domain::message::{MessageEvent, Receipt};
use domain::node::{LEASE, NewNode, OwnedDevice, Registration};
use domain::phone::PhoneNumber;
use domain::ports::{ProtocolWrite, Store};
use domain::webhook::{DeliveryOutcome, DeliveryState, EventKind, WebhookPatch};

use super::lists::incoming;
use super::{NOW, World, later, new_device, new_messages, progress};

/// A node of this name.
pub fn node(name: &str) -> NewNode {
    NewNode {
        name: name.to_owned(),
        url: format!("http://{name}:8080"),
        capacity: 100,
        version: "1".into(),
    }
}

async fn register(store: &Arc<dyn Store>, name: &str) -> Registration {
    store.register_node(&node(name), LEASE).await.unwrap()
}

/// One that has expired at once.
async fn register_expired(store: &Arc<dyn Store>, name: &str) -> Registration {
    store.register_node(&node(name), Duration::ZERO).await.unwrap()
}

/// Writes as a node from now on.
fn become_node(leases: &Leases, registration: Registration) {
    leases.renewed(registration, Instant::now() + Duration::from_secs(3_600));
}

/// A node is found as it was registered, and void once another process has its name.
pub async fn a_node_is_registered_and_renewed(store: Arc<dyn Store>) {
    let first = register(&store, "a").await;
    assert!(store.renew_node(first, LEASE).await.unwrap());
    let nodes = store.nodes().await.unwrap();
    assert_eq!((nodes.len(), nodes[0].id, &*nodes[0].url), (1, first.node, "http://a:8080"));
    assert!(nodes[0].is_live && nodes[0].drain_per_s.is_none());
    let again = register(&store, "a").await;
    assert_eq!((again.node, again.epoch), (first.node, first.epoch + 1));
    assert!(!store.renew_node(first, LEASE).await.unwrap(), "it is void");
    assert_eq!(store.fleet(first).await.unwrap(), None);
    assert!(store.renew_node(again, LEASE).await.unwrap());
    assert!(!store.remove_node(again.node).await.unwrap(), "it is live");
    store.leave_node(again).await.unwrap();
    assert!(!store.nodes().await.unwrap()[0].is_live);
    assert!(store.remove_node(again.node).await.unwrap());
    assert!(store.nodes().await.unwrap().is_empty());
    assert!(!store.remove_node(again.node).await.unwrap());
    assert!(!store.renew_node(again, LEASE).await.unwrap(), "it is void");
}

/// Devices that no live node owns are claimed once, up to a limit, each time under a new epoch.
pub async fn devices_without_a_live_owner_are_claimed_once(store: Arc<dyn Store>) {
    let world = World::new(store.clone()).await;
    let second = new_device(&store, &world.account, 50).await;
    let a = register_expired(&store, "a").await;
    assert_eq!(store.claim_devices(a, 9).await.unwrap(), 0, "it is not live");
    let a = register(&store, "a").await;
    assert_eq!(store.claim_devices(a, 1).await.unwrap(), 1);
    assert_eq!(store.claim_devices(a, 9).await.unwrap(), 1);
    let owned = store.owned_devices(a).await.unwrap();
    assert_eq!(owned.len(), 2);
    let b = register(&store, "b").await;
    assert_eq!(store.claim_devices(b, 9).await.unwrap(), 0, "a is live");
    assert_eq!(store.owner_of(second.id).await.unwrap().unwrap().id, a.node);
    store.renew_node(a, Duration::ZERO).await.unwrap();
    assert_eq!(store.owner_of(second.id).await.unwrap(), None);
    assert_eq!(store.claim_devices(b, 9).await.unwrap(), 2);
    assert!(store.owned_devices(a).await.unwrap().is_empty());
    for taken in store.owned_devices(b).await.unwrap() {
        let before = owned.iter().find(|owned| owned.device == taken.device).unwrap();
        assert!(taken.epoch > before.epoch);
    }
}

/// A process that takes a node's name owns its devices at once, under new epochs.
pub async fn a_restarted_node_has_its_devices_back(store: Arc<dyn Store>) {
    World::new(store.clone()).await;
    let before = register(&store, "a").await;
    store.claim_devices(before, 9).await.unwrap();
    let owned = store.owned_devices(before).await.unwrap();
    let after = register(&store, "a").await;
    assert!(store.owned_devices(before).await.unwrap().is_empty());
    let again = store.owned_devices(after).await.unwrap();
    assert_eq!(again.len(), 1);
    assert!(again[0].epoch > owned[0].epoch);
}

/// How a node sees all of them, and what draining does to that.
pub async fn a_node_sees_the_others_and_is_drained(store: Arc<dyn Store>) {
    let world = World::new(store.clone()).await;
    let a = register(&store, "a").await;
    let b = register(&store, "b").await;
    let fleet = store.fleet(b).await.unwrap().unwrap();
    assert_eq!((fleet.live, fleet.taking, fleet.devices), (2, 2, 1));
    assert_eq!((fleet.owned, fleet.unowned, fleet.is_eldest), (0, 1, false));
    store.claim_devices(b, 1).await.unwrap();
    let owned = store.fleet(b).await.unwrap().unwrap();
    assert_eq!((owned.owned, owned.unowned), (1, 0));
    store.update_device(world.account.id, world.device.id, DevicePatch::default()).await.unwrap();
    let changed = store.fleet(b).await.unwrap().unwrap();
    assert_ne!(changed.fingerprint, owned.fingerprint, "settings have changed");
    assert!(store.drain_node(b.node, Some(7)).await.unwrap());
    let fleet = store.fleet(b).await.unwrap().unwrap();
    assert_eq!((fleet.live, fleet.taking, fleet.drain_per_s), (2, 1, Some(7)));
    assert!(store.fleet(a).await.unwrap().unwrap().is_eldest);
    let released = store.owned_devices(b).await.unwrap();
    store.release_devices(b, &released).await.unwrap();
    assert_eq!(store.claim_devices(a, 1).await.unwrap(), 1);
    // Of a device that is not owned any more nothing is released.
    store.release_devices(b, &released).await.unwrap();
    assert_eq!(store.owned_devices(a).await.unwrap().len(), 1);
    assert!(store.drain_node(b.node, None).await.unwrap());
    assert_eq!(store.fleet(b).await.unwrap().unwrap().taking, 2);
    assert!(!store.drain_node(domain::ids::NodeId(99), None).await.unwrap());
}

/// A node that makes a device owns it.
pub async fn a_new_device_belongs_to_the_node_that_makes_it(store: Arc<dyn Store>) {
    let world = World::new(store.clone()).await;
    let (leases, a) = (store.leases(), register(&store, "a").await);
    become_node(&leases, a);
    let device = new_device(&store, &world.account, 50).await;
    assert!(leases.owns(device.id) && !leases.owns(world.device.id));
    let owned = store.owned_devices(a).await.unwrap();
    assert_eq!(owned, [leases.held(device.id).unwrap()]);
}

/// After another node has claimed a device, nothing is written for it under the former epoch.
pub async fn a_stale_owner_writes_nothing(store: Arc<dyn Store>) {
    let world = World::new(store.clone()).await;
    let sent = world.sent(1).await;
    let waiting = new_messages(store.accept(world.request(vec![world.text(2)])).await.unwrap());
    let (leases, a) = (store.leases(), register(&store, "a").await);
    become_node(&leases, a);
    store.claim_devices(a, 9).await.unwrap();
    let held = store.owned_devices(a).await.unwrap()[0];
    leases.hold(a, held);
    write_all(&world, waiting[0].id, &sent.whatsapp_id, true).await;
    // Claimed by another, which this process does not know yet.
    let waiting = new_messages(store.accept(world.request(vec![world.text(3)])).await.unwrap());
    store.renew_node(a, Duration::ZERO).await.unwrap();
    let b = register(&store, "b").await;
    assert_eq!(store.claim_devices(b, 9).await.unwrap(), 1);
    let before = store.waiting_message(waiting[0].id).await.unwrap();
    write_all(&world, waiting[0].id, &sent.whatsapp_id, false).await;
    assert_eq!(store.waiting_message(waiting[0].id).await.unwrap(), before);
    assert!(leases.refused() > 0);
    assert_eq!(leases.take_lost(), [world.device.id].into());
    // Under its own epoch the new owner writes.
    become_node(&leases, b);
    leases.hold(b, store.owned_devices(b).await.unwrap()[0]);
    write_all(&world, waiting[0].id, &sent.whatsapp_id, true).await;
    leases.drop_device(world.device.id);
    write_all(&world, waiting[0].id, &sent.whatsapp_id, false).await;
}

/// Makes every write that only the owner of a device may.
async fn write_all(
    world: &World,
    waiting: MessageId,
    sent: &domain::ids::WhatsappId,
    is_owner: bool,
) {
    let (store, device) = (&world.store, world.device.id);
    let state = ProtocolWrite { space: "s", key: "k".into(), value: Some(vec![1]) };
    let change = StatusChange::new(DeviceStatus::Connecting, NOW);
    let steps = [MessageEvent::Submitted, MessageEvent::Acknowledged];
    let outcome = progress(waiting, &steps);
    let name = format!("in-{waiting}-{is_owner}");
    let [one, other] = ["5511987654321", "551187654321"].map(PhoneNumber::from_digits);
    let spelling = Spelling { spelling: one, phone: other };
    let results = [
        ("receive", store.receive(device, vec![incoming(&name, "628222")], NOW).await.map(drop)),
        (
            "record_receipts",
            store
                .record_receipts(device, std::slice::from_ref(sent), Receipt::Read, NOW)
                .await
                .map(drop),
        ),
        ("identify", store.identify(device, Vec::new(), NOW).await.map(drop)),
        ("spell", store.spell(device, spelling).await),
        ("add_contacts", store.add_contacts(device, Vec::new()).await),
        ("set_device_status", store.set_device_status(device, &change).await.map(drop)),
        ("restrict_device", store.restrict_device(device, None, NOW).await.map(drop)),
        ("protocol_write", store.protocol_write(device, vec![state]).await),
        ("record", store.record(vec![outcome]).await.map(drop)),
    ];
    for (call, result) in results {
        match (is_owner, result) {
            (true, result) => result.unwrap(),
            (false, Err(StoreError::NotOwner)) => {}
            // What has ended is no longer waiting, and there is nothing to refuse.
            (false, Ok(())) if call == "record" && is_ended(world, waiting).await => {}
            (false, other) => panic!("{call}: {other:?}"),
        }
    }
}

async fn is_ended(world: &World, id: MessageId) -> bool {
    world.store.waiting_message(id).await.unwrap().is_none()
}

/// A webhook is posted to by one node, which sees what waits for it and what changes.
pub async fn a_webhook_belongs_to_one_node(store: Arc<dyn Store>) {
    let world = World::new(store.clone()).await;
    let webhook = world.webhook(None, &[EventKind::MessageSent]).await;
    let (a, b) = (register(&store, "a").await, register(&store, "b").await);
    let fleet = store.fleet(a).await.unwrap().unwrap();
    assert_eq!((fleet.webhooks, fleet.unowned_webhooks, fleet.owned_webhooks), (1, 1, 0));
    assert_eq!(store.claim_webhooks(a, 9).await.unwrap(), 1);
    assert_eq!(store.claim_webhooks(b, 9).await.unwrap(), 0);
    let owned = store.owned_webhooks(a).await.unwrap();
    assert_eq!((owned.len(), owned[0].webhook, owned[0].newest), (1, webhook.id, None));
    world.sent(1).await;
    let waits = store.owned_webhooks(a).await.unwrap()[0];
    assert!(waits.newest.is_some());
    let off = WebhookPatch { disabled: Some(Some("off".into())), ..WebhookPatch::default() };
    store.update_webhook(world.account.id, webhook.id, off).await.unwrap().unwrap();
    assert!(store.owned_webhooks(a).await.unwrap().is_empty(), "switched off");
    let on = WebhookPatch { disabled: Some(None), ..WebhookPatch::default() };
    store.update_webhook(world.account.id, webhook.id, on).await.unwrap().unwrap();
    let changed = store.owned_webhooks(a).await.unwrap()[0];
    assert!(changed.revision > waits.revision && changed.epoch == waits.epoch);
    store.release_webhooks(a, &[changed]).await.unwrap();
    assert_eq!(store.claim_webhooks(b, 9).await.unwrap(), 1);
    assert!(store.owned_webhooks(b).await.unwrap()[0].epoch > changed.epoch);
    assert!(store.owned_webhooks(a).await.unwrap().is_empty());
}

/// After another node has claimed a webhook, the former one writes nothing of what became of its posts.
pub async fn a_stale_node_writes_no_outcomes_of_posts(store: Arc<dyn Store>) {
    let world = World::new(store.clone()).await;
    let webhook = world.webhook(None, &[EventKind::MessageSent]).await;
    world.sent(1).await;
    let pending = store.pending_deliveries(webhook.id, &[], 9).await.unwrap().items;
    let delivery = pending[0].id;
    let tried = |attempts| DeliveryOutcome {
        id: delivery,
        state: DeliveryState::Pending,
        attempts,
        due_at: later(60),
        last_status: Some(500),
        last_error: None,
        ended_at: None,
        tried: None,
    };
    let (leases, a) = (store.leases(), register(&store, "a").await);
    become_node(&leases, a);
    store.claim_webhooks(a, 9).await.unwrap();
    let refused = store.record_deliveries(vec![tried(1)]).await;
    assert!(matches!(refused, Err(StoreError::NotOwner)), "{refused:?}");
    let held = store.owned_webhooks(a).await.unwrap()[0];
    // Also once nothing is posted to it any more.
    leases.hold_webhooks(a, [(held, false)].into_iter());
    store.record_deliveries(vec![tried(1)]).await.unwrap();
    store.renew_node(a, Duration::ZERO).await.unwrap();
    let b = register(&store, "b").await;
    assert_eq!(store.claim_webhooks(b, 9).await.unwrap(), 1);
    let refused = store.record_deliveries(vec![tried(2)]).await;
    assert!(matches!(refused, Err(StoreError::NotOwner)), "{refused:?}");
    assert_eq!(leases.refused(), 2);
    let stored = store.pending_deliveries(webhook.id, &[], 9).await.unwrap().items;
    assert_eq!(stored[0].attempts, 1);
    become_node(&leases, b);
    leases.hold_webhooks(b, [(store.owned_webhooks(b).await.unwrap()[0], true)].into_iter());
    store.record_deliveries(vec![tried(3)]).await.unwrap();
    let stored = store.pending_deliveries(webhook.id, &[], 9).await.unwrap().items;
    assert_eq!(stored[0].attempts, 3);
    // What was erased has nothing to be written.
    store.delete_webhook(world.account.id, webhook.id).await.unwrap();
    store.record_deliveries(vec![tried(4)]).await.unwrap();
}

/// What another node has accepted is found by its account, after what is known.
pub async fn new_messages_of_an_account_are_found(store: Arc<dyn Store>) {
    let world = World::new(store.clone()).await;
    let other = World::with(store.clone(), 30).await;
    let first = new_messages(store.accept(world.request(vec![world.text(1)])).await.unwrap());
    let owned =
        OwnedDevice { device: world.device.id, account: world.account.id, epoch: 1, revision: 0 };
    let loaded = store.outbox_of_devices(&[owned]).await.unwrap();
    assert_eq!(loaded.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [first[0].id]);
    assert_eq!(loaded.last_ids, [(world.account.id, first[0].id)]);
    let nothing = store.outbox_since(&loaded.last_ids).await.unwrap();
    assert!(nothing.entries.is_empty() && nothing.last_ids.is_empty());
    store.accept(other.request(vec![other.text(2)])).await.unwrap();
    let second = new_messages(store.accept(world.request(vec![world.text(3)])).await.unwrap());
    let new = store.outbox_since(&loaded.last_ids).await.unwrap();
    assert_eq!(new.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [second[0].id]);
    assert_eq!(new.last_ids, [(world.account.id, second[0].id)]);
    let devices = store.devices_by_id(&[world.device.id]).await.unwrap();
    assert_eq!(devices.iter().map(|device| device.id).collect::<Vec<_>>(), [world.device.id]);
}

/// What one node has taken the others do not take.
pub async fn nodes_share_the_requests_of_a_minute(store: Arc<dyn Store>) {
    let take = async |subject: &str, wanted, seconds| {
        store.take_requests(subject, 100, wanted, later(seconds)).await.unwrap()
    };
    assert_eq!(take("key 1", 60, 0).await.unwrap().count, 60);
    let rest = take("key 1", 60, 10).await.unwrap();
    assert_eq!((rest.count, rest.state.remaining), (40, 0));
    assert_eq!(take("key 1", 1, 59).await.unwrap_err().reset_s, 1);
    assert_eq!(take("key 2", 1, 59).await.unwrap().count, 1);
    assert_eq!(take("key 1", 100, 60).await.unwrap().count, 60);
}
