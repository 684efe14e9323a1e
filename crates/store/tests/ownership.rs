//! Deleting an account or a device deletes all it owns. The tables are found in the schema, so that
//! one which is added later fails here until it is handled.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::collections::BTreeMap;

use domain::audit::{Action, NewAuditEntry};
use domain::chat::{ChatId, Lid};
use domain::contact::{Identity, Spelling};
use domain::content::{Content, ContentKind, File};
use domain::context::{Context, Quote};
use domain::grant::NewGrant;
use domain::ids::{MessageId, WhatsappId};
use domain::incoming_file::{FileOutcome, FileReference, FileState};
use domain::key::{KeyHash, Secret};
use domain::media::Media;
use domain::message::{Address, IncomingMessage, NewMessage, ReceivedOrigin};
use domain::person::{Link, Place, Role};
use domain::phone::PhoneNumber;
use domain::portal::Permission;
use domain::ports::{
    CreatedUser, NewLink, NewPortalLink, NewSession, NewUser, ProtocolWrite, SecondFactor,
};
use domain::request_file::RequestFile;
use domain::webhook::{EventKind, SealedSecret};
use support::Database;
use testkit::store_conformance::lists::incoming;
use testkit::store_conformance::{NOW, World, idempotency, later, new_device, new_messages};

on_both_databases!(a_deleted_account_leaves_nothing, a_deleted_device_leaves_its_history);

/// Tables whose rows belong to no account.
const WITHOUT_OWNER: [&str; 10] = [
    "cache_changes",
    "counters",
    "nodes",
    "plans",
    "rate_windows",
    "schema_migrations",
    "schema_version",
    "sent_forms",
    "settings",
    "vouchers",
];
/// Tables in which rows of a deleted device stay.
const OF_DEVICES_KEPT: [&str; 3] = ["messages", "message_counts", "message_hours"];

/// The tables and their columns.
async fn schema(database: &Database) -> BTreeMap<String, Vec<String>> {
    let (tables, columns) = match database {
        Database::Sqlite(_) => (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            "SELECT name FROM pragma_table_info('TABLE')",
        ),
        Database::Postgres(_) => (
            "SELECT table_name::text FROM information_schema.tables
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'",
            "SELECT column_name::text FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name = 'TABLE'",
        ),
    };
    let mut found = BTreeMap::new();
    for table in database.texts(tables).await {
        let columns = database.texts(&columns.replace("TABLE", &table)).await;
        found.insert(table, columns);
    }
    found
}

/// What an account or a device is known by in each column that names an owner.
#[derive(Default)]
struct Owned {
    accounts: Vec<String>,
    devices: Vec<String>,
    messages: Vec<String>,
    webhooks: Vec<String>,
    users: Vec<String>,
}

impl Owned {
    async fn by_account(database: &Database, world: &World) -> Self {
        let account = world.account.id;
        let ids = |table: &str| {
            format!("SELECT CAST(id AS TEXT) FROM {table} WHERE account_id = {account}")
        };
        let mut messages = database.texts(&ids("outbox")).await;
        messages.extend(database.texts(&ids("messages")).await);
        Self {
            accounts: vec![account.to_string()],
            devices: database.texts(&ids("devices")).await,
            messages,
            webhooks: database.texts(&ids("webhooks")).await,
            users: database.texts(&ids("users")).await,
        }
    }

    async fn by_device(database: &Database, world: &World) -> Self {
        let device = world.device.id.to_string();
        let ids = |table: &str| {
            format!("SELECT CAST(id AS TEXT) FROM {table} WHERE device_id = '{device}'")
        };
        Self {
            accounts: Vec::new(),
            messages: database.texts(&ids("outbox")).await,
            webhooks: database.texts(&ids("webhooks")).await,
            devices: vec![device],
            users: Vec::new(),
        }
    }

    /// What makes a row of a table one of these; `None` for a table without owners.
    fn condition(&self, table: &str, columns: &[String]) -> Option<String> {
        let owners = |column: &str| match (table, column) {
            ("accounts", "id") | (_, "account_id") => Some(&self.accounts),
            ("devices", "id") | (_, "device_id") => Some(&self.devices),
            ("outbox", "id") | (_, "message_id") => Some(&self.messages),
            ("webhooks", "id") | (_, "webhook_id") => Some(&self.webhooks),
            ("users", "id") | (_, "user_id") => Some(&self.users),
            _ => None,
        };
        let is = |column: &String| {
            let ids: Vec<String> = owners(column)?.iter().map(|id| format!("'{id}'")).collect();
            let ids = if ids.is_empty() { "NULL".into() } else { ids.join(",") };
            Some(format!("CAST({column} AS TEXT) IN ({ids})"))
        };
        let conditions: Vec<String> = columns.iter().filter_map(is).collect();
        (!conditions.is_empty()).then(|| conditions.join(" OR "))
    }

    /// How many rows each table has of these.
    async fn rows(&self, database: &Database) -> BTreeMap<String, usize> {
        let mut rows = BTreeMap::new();
        for (table, columns) in schema(database).await {
            let Some(condition) = self.condition(&table, &columns) else {
                assert!(
                    WITHOUT_OWNER.contains(&table.as_str()),
                    "{table} has rows without an owner"
                );
                continue;
            };
            let count = format!("SELECT CAST(count(*) AS TEXT) FROM {table} WHERE {condition}");
            rows.insert(table, database.texts(&count).await.remove(0).parse().unwrap());
        }
        rows
    }
}

/// Writes a row into every table that has owners.
async fn fill(world: &World) {
    let (account_id, store) = (world.account.id, &world.store);
    for device in [None, Some(world.device.id)] {
        world.webhook(device, &EventKind::ALL).await;
        let grant = NewGrant { account_id, device_id: device, messages: 9, expires_at: None };
        store.add_grant(grant, NOW).await.unwrap().unwrap();
    }
    world.sent(1).await;
    let media = Media { size: Some(3), ..Media::default() };
    let content = Content::File(File { kind: ContentKind::Document, caption: "".into(), media });
    let with_file =
        NewMessage { content, inline_file: Some(RequestFile::of(&[1, 2, 3])), ..world.text(2) };
    let mut request = world.request(vec![with_file]);
    request.idempotency = Some(idempotency(&world.device.id.to_string(), 1));
    new_messages(store.accept(request).await.unwrap());
    let write = ProtocolWrite { space: "s", key: "k".into(), value: Some(vec![1]) };
    store.protocol_write(world.device.id, vec![write]).await.unwrap();
    store.beat(&[world.device.id], NOW).await.unwrap();
    let quote = Quote {
        whatsapp_id: WhatsappId("unknown".into()),
        is_ours: Some(false),
        sender: None,
        kind: ContentKind::Other,
        text: String::new(),
    };
    let early = IncomingMessage {
        content: Content::Edit("x".into()),
        context: Context { reply_to: Some(quote), ..Context::default() },
        ..incoming("early", "628222")
    };
    store.receive(world.device.id, vec![early], NOW).await.unwrap();
    receive_files(world).await;
    let person = Identity { phone: PhoneNumber::from_digits("628222"), lid: Lid::from_user("9") };
    store.identify(world.device.id, vec![person], NOW).await.unwrap();
    let [spelling, phone] = ["5511987654321", "551187654321"].map(PhoneNumber::from_digits);
    store.spell(world.device.id, Spelling { spelling, phone }).await.unwrap();
    let place = Place::Account(account_id, Role::Owner);
    let email = format!("{}@example.com", world.device.id);
    let user = NewUser { email, password: String::new(), place };
    let CreatedUser::Created(user) = store.create_user(user, NOW).await.unwrap() else { panic!() };
    let hash = Secret::new(world.device.id.to_string()).hash();
    store.create_session(NewSession { hash, user: user.id, entered: None }, NOW).await.unwrap();
    let factor = SecondFactor {
        secret: SealedSecret(vec![1]),
        last_step: 1,
        recovery: vec![KeyHash([2; 32])],
    };
    assert!(store.set_second_factor(user.id, factor).await.unwrap());
    let link = NewLink { hash, link: Link::Join(place), made_by: None, expires_at: later(60) };
    store.create_link(link, NOW).await.unwrap();
    let portal = NewPortalLink {
        hash,
        account_id,
        device_id: world.device.id,
        may: vec![Permission::Read],
        expires_at: later(60),
    };
    store.create_portal_link(portal, NOW).await.unwrap().unwrap();
    let entry = NewAuditEntry {
        account_id: Some(account_id),
        by: "a@example.com".into(),
        action: Action::DeviceCreated,
        subject: String::new(),
    };
    store.write_audit(entry, NOW).await.unwrap();
}

/// SQLite writes idempotency keys into one of these tables, and PostgreSQL into the other.
async fn fill_keys(database: &Database, world: &World) {
    let account = world.account.id;
    for (table, id, its) in
        [("idempotency", "", String::new()), ("recent_keys", ", id", format!(", -{account}"))]
    {
        let insert = format!(
            "INSERT INTO {table} (account_id, name, request_hash, message_ids, created_at{id})
             VALUES ({account}, 'a key', '', '[]', 0{its})"
        );
        database.execute(&insert).await;
    }
}

/// Photos that came in: one waits to be fetched, one is stored.
async fn receive_files(world: &World) {
    receive_file(world, "PHOTO").await;
    let id = receive_file(world, "STORED").await;
    let outcome = FileOutcome::Stored(9);
    world.store.record_file(id, outcome, u64::MAX, NOW).await.unwrap().unwrap();
}

async fn receive_file(world: &World, id: &str) -> MessageId {
    let media = Media {
        state: Some(FileState::Pending),
        reference: Some(FileReference([1, 2, 3].as_slice().into())),
        ..Media::default()
    };
    let person = PhoneNumber::from_digits("628223");
    let message = IncomingMessage {
        whatsapp_id: WhatsappId(id.into()),
        chat: ChatId::Person(person.clone()),
        sender: Address { phone: Some(person), lid: None },
        origin: ReceivedOrigin::Incoming,
        content: Content::File(File { kind: ContentKind::Image, caption: "".into(), media }),
        context: Context::default(),
        at: NOW,
    };
    world.store.receive(world.device.id, vec![message], NOW).await.unwrap().remove(0).message.id
}

async fn two_accounts(database: &Database) -> (World, World) {
    let store = database.open().await;
    let world = World::new(store.clone()).await;
    let other = World::with(store, 30).await;
    for world in [&world, &other] {
        fill(world).await;
        fill_keys(database, world).await;
    }
    (world, other)
}

async fn a_deleted_account_leaves_nothing(database: &Database) {
    let (world, other) = two_accounts(database).await;
    let (owned, others) =
        (Owned::by_account(database, &world).await, Owned::by_account(database, &other).await);
    let before = others.rows(database).await;
    for (table, count) in owned.rows(database).await.iter().chain(&before) {
        assert!(*count > 0, "the test leaves nothing in {table}");
    }
    assert!(world.store.delete_account(world.account.id).await.unwrap());
    for (table, count) in owned.rows(database).await {
        assert_eq!(count, 0, "{table} keeps something of a deleted account");
    }
    assert_eq!(others.rows(database).await, before, "the other account is untouched");
}

async fn a_deleted_device_leaves_its_history(database: &Database) {
    let (world, other) = two_accounts(database).await;
    let second = new_device(&world.store, &world.account, 50).await;
    let second =
        World { device: second, account: world.account.clone(), store: world.store.clone() };
    fill(&second).await;
    let owned = Owned::by_device(database, &world).await;
    let others =
        [Owned::by_device(database, &second).await, Owned::by_account(database, &other).await];
    let before = [others[0].rows(database).await, others[1].rows(database).await];
    let filled = owned.rows(database).await;
    let device = world.device.id;
    world.store.delete_device(world.account.id, device, NOW).await.unwrap().unwrap();
    for (table, count) in owned.rows(database).await {
        if OF_DEVICES_KEPT.contains(&table.as_str()) {
            assert!(count > filled[&table], "what waited is in the history too");
        } else {
            assert_eq!(count, 0, "{table} keeps something of a deleted device");
        }
    }
    let after = [others[0].rows(database).await, others[1].rows(database).await];
    assert_eq!(after, before, "others are untouched");
}
