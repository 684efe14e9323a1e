//! What only databases do: they survive, they refuse, they lock.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use domain::content::{Content, ContentKind, File};
use domain::device::{DeviceStatus, StatusChange};
use domain::error::StoreError;
use domain::grant::{NewGrant, Redeemed};
use domain::ids::{MessageId, WhatsappId};
use domain::media::Media;
use domain::message::{MessageEvent, MessageState, NewMessage, Receipt};
use domain::ports::{
    Accepted, AccountStore as _, MessageFilter, MessageStore as _, NodeStore as _, PageRequest,
    ProtocolStore as _, ProtocolWrite, Store, StoreResult,
};
use domain::request_file::{RequestFile, WaitingFile};
use domain::webhook::EventKind;
use rusqlite::Connection;
use sqlx::{Connection as _, PgConnection};
use store::OpenError;
use support::{Database, Schema, SqliteFile};
use testkit::store_conformance::grants::voucher;
use testkit::store_conformance::lists::incoming;
use testkit::store_conformance::nodes::node;
use testkit::store_conformance::{
    ALL, NOW, World, hash, idempotency, later, new_messages, progress,
};

on_both_databases!(
    a_write_that_is_refused_fails_alone,
    a_migration_that_was_changed_is_refused,
    a_database_without_checksums_gets_them,
    a_search_looks_at_a_limited_number_of_rows_at_once,
);

async fn a_search_looks_at_a_limited_number_of_rows_at_once(database: &Database) {
    let store: Arc<dyn Store> = database.open().await;
    let world = World::new(Arc::clone(&store)).await;
    let mut needle = incoming("N", "628111");
    needle.content = Content::Text("Jarum".into());
    store.receive(world.device.id, vec![needle], NOW).await.unwrap();
    for thousand in 0..21 {
        let straw = |n: i64| incoming(&format!("{}", thousand * 1_000 + n), "628111");
        store.receive(world.device.id, (0..1_000).map(straw).collect(), NOW).await.unwrap();
    }
    for device in [None, Some(world.device.id)] {
        let search = |text: &str| MessageFilter {
            device,
            text: Some(text.to_owned()),
            ..MessageFilter::default()
        };
        let page = |before| PageRequest { before, limit: 10 };
        let list = async |filter: &MessageFilter, before| {
            store.messages(world.account.id, filter, page(before)).await.unwrap()
        };
        let first = list(&search("jarum"), None).await;
        assert!(first.items.is_empty(), "{first:?}");
        let next = first.next(|message| message.id.0);
        let last = list(&search("jarum"), next).await;
        let texts: Vec<&str> = last.items.iter().map(|message| message.content.text()).collect();
        assert_eq!(texts, ["Jarum"]);
        assert_eq!(last.next(|message| message.id.0), None);
        // A page that is full ends at its last row.
        let full = list(&search("foto"), None).await;
        assert_eq!((full.items.len(), full.has_more, full.looked_to), (10, true, None));
        let whole = list(&MessageFilter { device, ..MessageFilter::default() }, None).await;
        assert_eq!((whole.items.len(), whole.looked_to), (10, None));
    }
}

const CHECKSUMS: &str =
    "SELECT CAST(version AS TEXT) || ' ' || checksum FROM schema_migrations ORDER BY version";

async fn a_migration_that_was_changed_is_refused(database: &Database) {
    database.open().await.close().await;
    let checksums = database.texts(CHECKSUMS).await;
    assert_eq!(checksums.len(), store::newest_schema());
    let changed = "UPDATE schema_migrations SET checksum = 'another' WHERE version = 3";
    database.execute(changed).await;
    let error = store::open(&database.url()).await.err().unwrap();
    assert!(matches!(error, OpenError::Changed { version: 3 }), "{error}");
    let now = database.texts(CHECKSUMS).await;
    assert_eq!(now.iter().filter(|row| !checksums.contains(row)).count(), 1, "left as it is");
}

async fn a_database_without_checksums_gets_them(database: &Database) {
    database.open().await.close().await;
    let checksums = database.texts(CHECKSUMS).await;
    database.execute("DROP TABLE schema_migrations").await;
    database.open().await.close().await;
    assert_eq!(database.texts(CHECKSUMS).await, checksums);
}

/// Many writes share a commit: one that the database refuses takes none of the others with it.
async fn a_write_that_is_refused_fails_alone(database: &Database) {
    let store = database.open().await;
    let world = World::new(store.clone()).await;
    database
        .execute(match database {
            Database::Sqlite(_) => {
                "CREATE TRIGGER refuse BEFORE INSERT ON outbox
            WHEN new.text = 'poison' BEGIN SELECT RAISE(ABORT, 'refused'); END"
            }
            Database::Postgres(_) => {
                "ALTER TABLE outbox ADD CONSTRAINT refuse CHECK (text <> 'poison')"
            }
        })
        .await;
    let poison = |n: u64| [40, 41, 90].contains(&n).then_some("poison");
    let nul = |n: u64| [7, 60].contains(&n).then_some("a\0b");
    let write = async |n: u64| {
        let write = ProtocolWrite { space: "s", key: format!("k{n}"), value: Some(vec![1]) };
        let device = world.device.id;
        let text = poison(n).or(nul(n)).map(|text| Content::Text(text.into()));
        let message =
            NewMessage { content: text.unwrap_or(world.text(n).content), ..world.text(n) };
        let bad_write = ProtocolWrite { key: "k\0".into(), ..write.clone() };
        let writes = if n == 50 { vec![bad_write] } else { vec![write] };
        let accept = store.accept(world.request(vec![message]));
        tokio::join!(accept, store.protocol_write(device, writes))
    };
    let outcomes = join_all((0..100).map(write)).await;
    let refused = |is_refused: &dyn Fn(usize) -> bool| -> Vec<usize> {
        (0..outcomes.len()).filter(|n| is_refused(*n)).collect()
    };
    assert_eq!(refused(&|n| outcomes[n].0.is_err()), [7, 40, 41, 60, 90]);
    assert_eq!(refused(&|n| outcomes[n].1.is_err()), [50]);
    assert_eq!(store.outbox().await.unwrap().len(), 95);
    assert_eq!(store.usage(world.account.id).await.unwrap().day_used, 95);
    assert_eq!(store.protocol_scan(world.device.id, "s", "k").await.unwrap().len(), 99);
    store.close().await;
}

/// Writes a row of every kind, and returns what a later start must find.
async fn fill(store: Arc<dyn Store>) -> World {
    let world = World::new(store).await;
    world.sent(1).await;
    world.send(2).await;
    let mut request = world.request(vec![world.text(3)]);
    request.idempotency = Some(idempotency("k", 1));
    new_messages(world.store.accept(request).await.unwrap());
    let write = ProtocolWrite { space: "s", key: "k".into(), value: Some(vec![1, 2]) };
    world.store.protocol_write(world.device.id, vec![write]).await.unwrap();
    world.store.setting("operator", vec![9]).await.unwrap();
    let webhook = world.webhook(None, &EventKind::ALL).await;
    let media = Media { size: Some(3), ..Media::default() };
    let content = Content::File(File { kind: ContentKind::Document, caption: "".into(), media });
    let with_file =
        NewMessage { content, inline_file: Some(RequestFile::of(&[1, 2, 3])), ..world.text(5) };
    let (account_id, device_id) = (world.account.id, None);
    let grant = NewGrant { account_id, device_id, messages: 2, expires_at: None };
    world.store.add_grant(grant, NOW).await.unwrap().unwrap();
    world.store.create_vouchers(vec![voucher(1, 5, None)], NOW).await.unwrap();
    world.accept(with_file).await;
    world.sent(6).await;
    assert_eq!(world.pending(&webhook).await.len(), 1);
    world
}

async fn assert_filled(store: &dyn Store, world: &World) {
    let (account, device) = (world.account.id, world.device.id);
    assert_eq!(store.account(account).await.unwrap().as_ref(), Some(&world.account));
    assert_eq!(store.device(account, device).await.unwrap().as_deref(), Some(&world.device));
    assert!(store.key_holder(&hash(10)).await.unwrap().is_some());
    let listed = store.messages(account, &MessageFilter::default(), ALL).await.unwrap().items;
    assert_eq!(listed.len(), 5);
    let outbox = store.outbox().await.unwrap();
    assert_eq!(outbox.len(), 3);
    let mut again = world.request(vec![world.text(3)]);
    again.idempotency = Some(idempotency("k", 1));
    let again = store.accept(again).await.unwrap();
    let Accepted::Repeated(again) = again else { panic!("the key is forgotten: {again:?}") };
    assert_eq!(again[0].id, outbox[1].id);
    let kept = WaitingFile::Blob(RequestFile::of(&[1, 2, 3]));
    assert_eq!(store.inline_media(outbox[2].id).await.unwrap(), Some(kept));
    let [webhook] = store.active_webhooks().await.unwrap().try_into().unwrap();
    let [delivery] =
        store.pending_deliveries(webhook.id, &[], 9).await.unwrap().items.try_into().unwrap();
    assert_eq!(delivery.event.kind, EventKind::MessageSent);
    let [grant] = store.grants(account).await.unwrap().try_into().unwrap();
    assert_eq!((grant.total, grant.used), (2, 2));
    let redeemed = store.redeem_voucher(account, device, &hash(1), NOW).await.unwrap();
    assert!(matches!(redeemed, Redeemed::Granted { messages: 5, .. }), "{redeemed:?}");
    assert_eq!(store.usage(account).await.unwrap().day_used, 3);
    assert_eq!(store.contacts(device, NOW).await.unwrap().1, 2);
    assert_eq!(store.protocol_get(device, "s", "k").await.unwrap(), Some(vec![1, 2]));
    assert_eq!(store.setting("operator", vec![1]).await.unwrap(), [9]);
    let next = new_messages(store.accept(world.request(vec![world.text(4)])).await.unwrap());
    assert!(next[0].id > listed[0].id, "ids go on");
    store.record(vec![progress(next[0].id, &[MessageEvent::Withdrawn])]).await.unwrap();
}

#[tokio::test]
async fn sqlite_keeps_everything_over_a_restart() {
    let file = SqliteFile::new();
    let first = store::open(&file.url()).await.unwrap();
    let world = fill(first.clone()).await;
    first.close().await;
    let closed = first.ping().await;
    assert!(matches!(closed, Err(StoreError::Unavailable(_))), "closed is closed: {closed:?}");
    let second = store::open(&file.url()).await.unwrap();
    assert_filled(&*second, &world).await;
    second.close().await;
}

#[tokio::test]
async fn postgres_keeps_everything_over_a_restart() {
    let schema = Schema::new().await;
    let first = store::open(&schema.url()).await.unwrap();
    let world = fill(first.clone()).await;
    first.close().await;
    let closed = first.ping().await;
    assert!(matches!(closed, Err(StoreError::Unavailable(_))), "closed is closed: {closed:?}");
    let second = store::open(&schema.url()).await.unwrap();
    assert_filled(&*second, &world).await;
    second.close().await;
    schema.drop().await;
}

/// The files as they are on the disk while the process lives are what a kill would leave.
#[tokio::test]
async fn sqlite_survives_a_kill() {
    let file = SqliteFile::new();
    let living = store::open(&file.url()).await.unwrap();
    let world = fill(living.clone()).await;
    let copy = SqliteFile::new();
    for name in ["test.db", "test.db-wal"] {
        std::fs::copy(file.0.path().join(name), copy.0.path().join(name)).unwrap();
    }
    let risen = store::open(&copy.url()).await.unwrap();
    assert_filled(&*risen, &world).await;
    risen.close().await;
    living.close().await;
}

/// The database's own refusal, not a lost connection.
fn assert_refused<T: std::fmt::Debug>(outcome: StoreResult<T>) {
    assert!(matches!(outcome, Err(StoreError::Fault(_))), "{outcome:?}");
}

/// Tries every change that has events, while nothing can be put into the outbox of webhooks: all of
/// them fail, and change nothing.
async fn assert_nothing_happens(world: &World, sent: &WhatsappId, waiting: MessageId) {
    let (store, device) = (&world.store, world.device.id);
    let steps = [MessageEvent::Submitted, MessageEvent::Acknowledged];
    assert_refused(store.record(vec![progress(waiting, &steps)]).await);
    let ids = std::slice::from_ref(sent);
    assert_refused(store.record_receipts(device, ids, Receipt::Read, NOW).await);
    assert_refused(store.receive(device, vec![incoming("X1", "6281")], NOW).await);
    let up = StatusChange::new(DeviceStatus::Connected, NOW);
    assert_refused(store.set_device_status(device, &up).await);
    assert_refused(store.delete_device(world.account.id, device, NOW).await);
    let filter = MessageFilter::default();
    let messages = store.messages(world.account.id, &filter, ALL).await.unwrap().items;
    let states: Vec<MessageState> = messages.iter().map(|message| message.state).collect();
    assert_eq!(states, [MessageState::Queued, MessageState::Sent]);
    let device = store.device(world.account.id, device).await.unwrap().unwrap();
    assert_eq!(device.status, DeviceStatus::Unpaired);
}

/// Repeats these changes once the outbox accepts rows: each has one event.
async fn assert_each_has_an_event(world: &World, sent: &WhatsappId, waiting: MessageId) {
    let (store, device) = (&world.store, world.device.id);
    world.record(waiting, &[MessageEvent::Submitted, MessageEvent::Acknowledged]).await;
    let ids = std::slice::from_ref(sent);
    store.record_receipts(device, ids, Receipt::Read, NOW).await.unwrap();
    store.receive(device, vec![incoming("X1", "6281")], NOW).await.unwrap();
    let up = StatusChange::new(DeviceStatus::Connected, NOW);
    store.set_device_status(device, &up).await.unwrap();
    let [webhook] = store.active_webhooks().await.unwrap().try_into().unwrap();
    let events: Vec<EventKind> =
        world.pending(&webhook).await.iter().map(|delivery| delivery.event.kind).collect();
    use EventKind::{DeviceConnected, MessageRead, MessageReceived, MessageSent};
    assert_eq!(events, [MessageSent, MessageSent, MessageRead, MessageReceived, DeviceConnected]);
}

#[tokio::test]
async fn sqlite_writes_events_in_the_transaction_of_the_change() {
    let file = SqliteFile::new();
    let store = store::open(&file.url()).await.unwrap();
    let world = World::new(store.clone()).await;
    world.webhook(None, &EventKind::ALL).await;
    let (sent, waiting) = (world.sent(1).await.whatsapp_id, world.send(2).await.id);
    let tool = Connection::open(file.0.path().join("test.db")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON deliveries
        BEGIN SELECT RAISE(ABORT, 'refused'); END";
    tool.execute(refuse, []).unwrap();
    assert_nothing_happens(&world, &sent, waiting).await;
    tool.execute("DROP TRIGGER refuse", []).unwrap();
    assert_each_has_an_event(&world, &sent, waiting).await;
    store.close().await;
}

#[tokio::test]
async fn postgres_writes_events_in_the_transaction_of_the_change() {
    let schema = Schema::new().await;
    let store = store::open(&schema.url()).await.unwrap();
    let world = World::new(store.clone()).await;
    world.webhook(None, &EventKind::ALL).await;
    let (sent, waiting) = (world.sent(1).await.whatsapp_id, world.send(2).await.id);
    let refuse = "ALTER TABLE deliveries ADD CONSTRAINT refuse CHECK (false) NOT VALID";
    schema.execute(refuse).await;
    assert_nothing_happens(&world, &sent, waiting).await;
    schema.execute("ALTER TABLE deliveries DROP CONSTRAINT refuse").await;
    assert_each_has_an_event(&world, &sent, waiting).await;
    store.close().await;
    schema.drop().await;
}

#[tokio::test]
async fn postgres_commits_to_the_disk_whatever_the_role_is_set_to() {
    const HELD: &str = "CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO seen_setting VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
        CREATE TABLE seen_setting (value TEXT);
        CREATE TRIGGER seen AFTER INSERT ON accounts EXECUTE FUNCTION seen()";
    let schema = Schema::new().await;
    let url = format!("{}%20-csynchronous_commit%3Doff", schema.url());
    let store = store::open(&url).await.unwrap();
    schema.execute(HELD).await;
    World::new(store.clone()).await;
    assert_eq!(schema.texts("SELECT DISTINCT value FROM seen_setting").await, ["on"]);
    store.close().await;
    schema.drop().await;
}

#[tokio::test]
async fn message_ids_are_not_used_again() {
    let file = SqliteFile::new();
    let first = store::open(&file.url()).await.unwrap();
    let world = World::new(first.clone()).await;
    let last: MessageId = world.sent(1).await.id;
    first.delete_old_messages(later(1_000)).await.unwrap();
    first.close().await;
    let second = store::open(&file.url()).await.unwrap();
    assert_eq!(second.message(world.account.id, last).await.unwrap(), None);
    let world = World { store: second.clone(), ..world };
    assert!(world.send(2).await.id > last);
    second.close().await;
}

#[tokio::test]
async fn plans_stay_the_operators() {
    let file = SqliteFile::new();
    let first = store::open(&file.url()).await.unwrap();
    let mut plan = first.plans().await.unwrap().remove(0);
    plan.messages_per_day = Some(12_345);
    first.put_plan(plan.clone()).await.unwrap();
    first.close().await;
    let second = store::open(&file.url()).await.unwrap();
    assert!(second.plans().await.unwrap().contains(&plan));
    second.close().await;
}

const NEWER: &str = "UPDATE schema_version SET version = 99";

/// What a backup begins with: it is refused where a start is, and nowhere else.
#[tokio::test]
async fn what_is_known_of_a_database_for_a_backup_is_refused_where_a_start_is() {
    let (file, schema) = (SqliteFile::new(), Schema::new().await);
    let copies = tempfile::tempdir().unwrap();
    let copy = |name: &str| store::copy(&file.path(), &copies.path().join(name), "none");
    for url in [file.url(), schema.url()] {
        store::open(&url).await.unwrap().close().await;
    }
    file.connection().execute(NEWER, []).unwrap();
    schema.execute(NEWER).await;
    let oldest = i64::try_from(store::newest_schema()).unwrap();
    for facts in [copy("a").unwrap(), store::facts(&schema.url(), "none").await.unwrap()] {
        assert_eq!((facts.schema, facts.setting), (99, None));
        assert!(facts.oldest <= oldest, "{}", facts.oldest);
    }
    let newer = "UPDATE settings SET value = CAST('99' AS BLOB) WHERE name = 'schema_oldest'";
    file.connection().execute(newer, []).unwrap();
    schema.execute("UPDATE settings SET value = '99' WHERE name = 'schema_oldest'").await;
    for refused in [copy("b"), store::facts(&schema.url(), "none").await] {
        assert!(matches!(refused, Err(OpenError::Newer { found: 99, .. })), "{refused:?}");
    }
    assert!(!copies.path().join("b").exists());
    schema.drop().await;
}

#[tokio::test]
async fn sqlite_of_a_newer_version_is_refused_when_this_one_has_to_know_what_changed() {
    let file = SqliteFile::new();
    store::open(&file.url()).await.unwrap().close().await;
    let execute = |sql| file.connection().execute(sql, []).unwrap();
    execute(NEWER);
    store::open(&file.url()).await.unwrap().close().await;
    execute("UPDATE settings SET value = CAST('99' AS BLOB) WHERE name = 'schema_oldest'");
    let error = store::open(&file.url()).await.err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[tokio::test]
async fn postgres_of_a_newer_version_is_refused_when_this_one_has_to_know_what_changed() {
    let schema = Schema::new().await;
    store::open(&schema.url()).await.unwrap().close().await;
    schema.execute(NEWER).await;
    store::open(&schema.url()).await.unwrap().close().await;
    schema.execute("UPDATE settings SET value = '99' WHERE name = 'schema_oldest'").await;
    let error = store::open(&schema.url()).await.err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    schema.drop().await;
}

#[tokio::test]
async fn what_running_nodes_would_notice_is_not_changed_under_them() {
    let schema = Schema::new().await;
    let first = store::open(&schema.url()).await.unwrap();
    first.register_node(&node("old"), Duration::from_secs(3_600)).await.unwrap();
    first.close().await;
    // As if 0035, the last migration that contracts, and what follows were still to come.
    schema.execute("UPDATE schema_version SET version = version - 1").await;
    let error = store::open(&schema.url()).await.err().unwrap();
    assert!(matches!(&error, OpenError::NodesRun { nodes } if nodes == "old (1)"), "{error}");
    schema.execute("UPDATE schema_version SET version = version + 1").await;
    store::open(&schema.url()).await.unwrap().close().await;
    schema.drop().await;
}

#[tokio::test]
async fn a_second_gateway_is_refused_on_sqlite() {
    let file = SqliteFile::new();
    let first = store::open(&file.url()).await.unwrap();
    let error = store::open(&file.url()).await.err().unwrap();
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
    assert!(error.to_string().contains("in use by another gateway"), "{error}");
    first.close().await;
    store::open(&file.url()).await.unwrap().close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_locked_whatever_link_it_is_opened_by() {
    let file = SqliteFile::new();
    let at = |name: &str| file.0.path().join(name);
    let url = |name: &str| format!("sqlite:{}", at(name).display());
    // It leads nowhere yet.
    std::os::unix::fs::symlink(file.path(), at("link.db")).unwrap();
    let first = store::open(&url("link.db")).await.unwrap();
    for name in ["test.db", "link.db"] {
        let error = store::open(&url(name)).await.err().unwrap();
        assert!(matches!(error, OpenError::InUse(_)), "{name}: {error}");
    }
    first.close().await;
    std::fs::hard_link(file.path(), at("hard.db")).unwrap();
    for name in ["test.db", "hard.db"] {
        let error = store::open(&url(name)).await.err().unwrap();
        assert!(matches!(error, OpenError::Path(..)), "{name}: {error}");
    }
    std::fs::remove_file(at("hard.db")).unwrap();
    store::open(&file.url()).await.unwrap().close().await;
}

#[tokio::test]
async fn an_earlier_release_on_the_same_postgres_is_refused() {
    const LOCK: &str = "SELECT pg_advisory_lock(hashtext('gerbang'), hashtext(current_schema()))";
    let (schema, other) = (Schema::new().await, Schema::new().await);
    let mut earlier = PgConnection::connect(&schema.url()).await.unwrap();
    sqlx::query(LOCK).execute(&mut earlier).await.unwrap();
    let error = store::open(&schema.url()).await.err().unwrap();
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
    store::open(&other.url()).await.unwrap().close().await;
    earlier.close().await.unwrap();
    let first = store::open(&schema.url()).await.unwrap();
    let second = store::open(&schema.url()).await.unwrap();
    first.close().await;
    second.close().await;
    schema.drop().await;
    other.drop().await;
}

#[tokio::test]
async fn what_is_no_database_is_refused_clearly() {
    for url in ["", "sqlite:", "mysql://x", "test.db", "postgres://u:secret@h:notaport/d"] {
        let error = store::open(url).await.err().unwrap();
        assert!(matches!(error, OpenError::Url), "{url}: {error}");
        assert!(!error.to_string().contains("secret"));
    }
    let error = store::open("sqlite:/nonexistent/dir/x.db").await.err().unwrap();
    assert!(matches!(error, OpenError::Path(..)), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = SqliteFile::new();
    let store = store::open(&file.url()).await.unwrap();
    for name in ["test.db", "test.db-wal", "test.db.lock"] {
        let mode = std::fs::metadata(file.0.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
    store.close().await;
}
