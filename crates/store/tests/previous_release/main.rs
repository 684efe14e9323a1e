//! Data goes from the previous release to this one, and back where nothing new was used.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod frozen;
mod moving;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::content::{Content, ContentKind, File, Location};
use domain::device::{DevicePatch, DeviceStatus, LinkedNumber, StatusChange};
use domain::ids::AccountId;
use domain::media::Media;
use domain::message::Receipt;
use domain::message::{Direction, Failure, MessageEvent, MessageState, NewMessage};
use domain::phone::PhoneNumber;
use domain::policy::pacing::{Pacing, QuietHours};
use domain::ports::{
    AccountStore as _, DeviceStore as _, GrantStore as _, KeyStore as _, MessageFilter,
    MessageStore as _, Progress, WebhookStore as _,
};
use domain::request_file::WaitingFile;
use domain::webhook::EventKind;
use jiff::civil::Time;
use rusqlite::types::ValueRef;
use store::SqlStore;
use support::SqliteFile;
use testkit::store_conformance::lists::incoming;
use testkit::store_conformance::{ALL, NOW, World, idempotency, later, new_messages, progress};

const KEPT: &[u8] = include_bytes!("../data/fb46800.sqlite");
/// The account of the kept database.
const ACCOUNT: AccountId = AccountId(1);

/// The kept database, opened by this release.
async fn kept() -> (SqliteFile, Arc<SqlStore>) {
    let file = SqliteFile::new();
    std::fs::write(file.path(), KEPT).unwrap();
    let store = store::open(&file.url()).await.unwrap();
    (file, store)
}

/// The world of the kept database: its account, and its device that is linked.
async fn world(store: &Arc<SqlStore>) -> World {
    let account = store.account(ACCOUNT).await.unwrap().unwrap();
    let mut devices = store.all_devices().await.unwrap();
    World { store: store.clone(), account, device: devices.remove(0) }
}

#[tokio::test]
async fn messages_of_the_previous_release_are_read() {
    let (_file, store) = kept().await;
    let mut messages = store.messages(ACCOUNT, &MessageFilter::default(), ALL).await.unwrap().items;
    messages.reverse();
    let found: Vec<_> =
        messages.iter().map(|m| (m.id.0, m.direction(), m.kind(), m.state)).collect();
    use ContentKind::{Document, Image, Text, Voice};
    use Direction::{In, Out};
    use MessageState::{Cancelled, Delivered, Failed, Read, Scheduled};
    let expected = [
        (1, Out, Text, Read),
        (2, Out, Image, Read),
        (3, Out, Voice, Read),
        (4, Out, Document, Read),
        (5, Out, Text, Scheduled),
        (6, Out, Text, Cancelled),
        (7, Out, Document, Scheduled),
        (8, Out, Document, Scheduled),
        (9, Out, Text, Failed),
        (10, Out, Image, Failed),
        (11, In, Text, Delivered),
        (12, In, Document, Delivered),
        (13, In, Text, Delivered),
        (14, Out, Text, Read),
    ];
    assert_eq!(found, expected);
    assert_eq!(messages[0].text(), "plain 👋🏽 \"quoted\" \\ back");
    assert_eq!(messages[0].history.len(), 5);
    assert_eq!(messages[8].failure.as_ref().unwrap().code, Failure::NOT_ON_WHATSAPP);
    let sender = messages[12].sender.as_ref().unwrap();
    assert_eq!(sender.phone.as_ref().unwrap().as_str(), "628123456789");
    assert!(sender.lid.is_some() && messages[12].is_in_group());
    assert_eq!(store.outbox().await.unwrap().len(), 3);
    for message in messages.iter().filter(|message| message.state == Scheduled) {
        assert_eq!(store.waiting_message(message.id).await.unwrap().as_ref(), Some(message));
    }
    let file = store.inline_media(messages[6].id).await.unwrap();
    assert_eq!(file, Some(WaitingFile::Bytes(b"later".to_vec())));
    assert_eq!(store.unreadable_rows(), BTreeMap::new());
    store.close().await;
}

#[tokio::test]
async fn settings_of_the_previous_release_are_read() {
    let (_file, store) = kept().await;
    let devices = store.all_devices().await.unwrap();
    let quiet_hours =
        QuietHours { from: Time::constant(21, 0, 0, 0), until: Time::constant(7, 30, 0, 0) };
    let between = Pacing { warm_up: false, ..Pacing::between(3, 8).unwrap() };
    let paced = Pacing { quiet_hours: Some(quiet_hours), ..between };
    let own = Pacing { first_contacts_per_day: Some(200), ..Pacing::off() };
    let pacing: Vec<_> = devices.into_iter().map(|device| device.pacing).collect();
    assert_eq!(pacing, [Some(own), None, Some(paced)]);
    let plans: Vec<_> =
        store.plans().await.unwrap().into_iter().map(|plan| plan.features.len()).collect();
    assert_eq!(plans, [9, 0, 2, 5, 9]);
    let webhooks = store.active_webhooks().await.unwrap();
    let formats: Vec<&str> = webhooks.iter().map(|webhook| webhook.format.0.as_str()).collect();
    assert_eq!(formats, ["gerbang", "wagy", "wachat", "wasyik", "gerbang"]);
    assert_eq!(webhooks[0].events, EventKind::ALL[..12]);
    let mut pending = Vec::new();
    for webhook in &webhooks {
        pending.push(store.pending_deliveries(webhook.id, &[], 1_000).await.unwrap().items.len());
    }
    assert_eq!(pending, [21, 18, 3, 18, 5]);
    assert_eq!(store.grants(ACCOUNT).await.unwrap().len(), 2);
    assert_eq!(store.keys(ACCOUNT, ALL).await.unwrap().items.len(), 4);
    assert_eq!(store.unreadable_rows(), BTreeMap::new());
    store.close().await;
}

/// Uses everything that writes JSON.
async fn use_everything(world: &World) {
    let (account, device, store) = (world.account.id, world.device.id, &world.store);
    world.webhook(None, &EventKind::ALL[..12]).await;
    let sent = world.sent(1).await;
    let ids = [sent.whatsapp_id];
    store.record_receipts(device, &ids, Receipt::Read, later(20)).await.unwrap();
    let mut request = world.request(vec![world.text(2), world.text(3)]);
    request.idempotency = Some(idempotency("new", 1));
    let new = new_messages(store.accept(request).await.unwrap());
    let failure = Failure::new("refused", "WhatsApp said \"no\"");
    let steps = [MessageEvent::Submitted, MessageEvent::Failed];
    let failed = Progress { failure: Some(failure), ..progress(new[0].id, &steps) };
    store.record(vec![failed]).await.unwrap();
    let media = Media {
        url: Some("https://files.example/a.png".into()),
        is_kind_given: true,
        filename: Some("a.png".into()),
        mimetype: Some("image/png".into()),
        size: Some(1),
        ..Media::default()
    };
    let content = Content::File(File { kind: ContentKind::Image, caption: "look".into(), media });
    world.accept(NewMessage { content, ..world.text(4) }).await;
    let place = Location { latitude: 1.5, longitude: 2.0, name: None, address: None };
    world.accept(NewMessage { content: Content::Location(place), ..world.text(5) }).await;
    store.receive(device, vec![incoming("NEW", "628123")], NOW).await.unwrap();
    let quiet_hours =
        QuietHours { from: Time::constant(22, 0, 0, 0), until: Time::constant(6, 0, 0, 0) };
    let between = Pacing { warm_up: false, ..Pacing::between(1, 2).unwrap() };
    let pacing = Pacing { quiet_hours: Some(quiet_hours), ..between };
    let patch = DevicePatch { pacing: Some(Some(pacing)), ..DevicePatch::default() };
    store.update_device(account, device, patch).await.unwrap().unwrap();
    for status in [DeviceStatus::Disconnected, DeviceStatus::LoggedOut, DeviceStatus::Connected] {
        let linked = LinkedNumber { phone: PhoneNumber::from_digits("628111"), lid: None };
        let change = StatusChange { linked: Some(linked), ..StatusChange::new(status, NOW) };
        store.set_device_status(device, &change).await.unwrap().unwrap();
    }
    let mut plan = store.plans().await.unwrap().remove(0);
    plan.messages_per_day = Some(1);
    store.put_plan(plan).await.unwrap();
}

#[tokio::test]
async fn work_goes_on_with_the_data_of_the_previous_release() {
    let (_file, store) = kept().await;
    let world = world(&store).await;
    use_everything(&world).await;
    let waiting = store.outbox().await.unwrap();
    let withdrawn = world.record(waiting[0].id, &[MessageEvent::Withdrawn]).await;
    assert_eq!(withdrawn[0].state, MessageState::Cancelled);
    let sent = world.sent(9).await;
    assert!(sent.id.0 > 14, "ids go on");
    assert_eq!(store.unreadable_rows(), BTreeMap::new());
    store.close().await;
}

/// Reads every text of every table as the previous release does; how many of each column.
fn read_back(file: &SqliteFile) -> BTreeMap<(String, String), usize> {
    let connection = file.connection();
    let names = "SELECT name FROM sqlite_master WHERE type = 'table'";
    let mut tables = connection.prepare(names).unwrap();
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut read = BTreeMap::new();
    for table in tables {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for (index, column) in columns.iter().enumerate() {
                let ValueRef::Text(text) = row.get_ref(index).unwrap() else { continue };
                let text = std::str::from_utf8(text).unwrap();
                // What several webhooks get is stored once, in a table of its own.
                let is_shared = (&*table, &**column) == ("deliveries", "event") && text.is_empty();
                if is_shared {
                    continue;
                }
                let table = match &*table {
                    "events" => "deliveries",
                    "recent_keys" => "idempotency",
                    table => table,
                };
                if frozen::read(table, column, text) {
                    *read.entry((table.to_owned(), column.clone())).or_default() += 1;
                } else {
                    let is_json = text.starts_with(['{', '[']);
                    assert!(
                        !is_json,
                        "{table}.{column} is JSON that the frozen reader does not know"
                    );
                }
            }
        }
    }
    read
}

#[tokio::test]
async fn the_previous_release_reads_what_this_one_writes() {
    let (file, store) = kept().await;
    use_everything(&world(&store).await).await;
    use_everything(&World::with(store.clone(), 70).await).await;
    store.close().await;
    let read: Vec<(String, String)> = read_back(&file).into_keys().collect();
    let expected = [
        ("deliveries", "event"),
        ("devices", "pacing"),
        ("idempotency", "message_ids"),
        ("messages", "failure"),
        ("messages", "history"),
        ("messages", "media"),
        ("messages", "sender"),
        ("outbox", "history"),
        ("outbox", "media"),
        ("plans", "features"),
        ("webhooks", "events"),
    ];
    assert_eq!(read, expected.map(|(table, column)| (table.into(), column.into())));
}
