//! Old messages are archived and deleted while the gateway serves, and an account's archive goes with it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};

use crate::clock::WallClock;
use crate::support::database::Database;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const SHOP: &str = "6281100000041";
const CUSTOMER: &str = "6281200000041";
const MESSAGES: usize = 30;
const DAY_S: i64 = 86_400;

/// Every line of every file, by the account's folder.
fn archived(dir: &Path) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let folders = std::fs::read_dir(dir).into_iter().flatten().flatten();
    for folder in folders.filter(|entry| entry.path().is_dir()) {
        let name = folder.file_name().into_string().unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let file = std::fs::File::open(file.unwrap().path()).unwrap();
            let lines = BufReader::new(MultiGzDecoder::new(file)).lines();
            let rows = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap());
            found.entry(name.clone()).or_default().extend(rows);
        }
    }
    found
}

/// Lets a stopped gateway's messages be so many days older.
enum Age {
    /// By its clock.
    Clock(WallClock, i64),
    /// On PostgreSQL it is compared with the database's clock: there the rows are changed.
    Rows(Database),
}

impl Age {
    async fn add_days(&mut self, days: i64) {
        match self {
            Self::Clock(clock, ahead) => {
                *ahead += days;
                clock.set_ahead_s(*ahead * DAY_S);
            }
            Self::Rows(database) => {
                let sql = format!(
                    "UPDATE messages SET created_at = created_at - {}",
                    days * DAY_S * 1_000
                );
                database.execute(&sql).await;
            }
        }
    }
}

async fn check(age: &mut Age) {
    let simulator = Simulator::start().await;
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    let mut settings = vec![
        ("GERBANG_ARCHIVE_DIR", archive.to_str().unwrap().to_owned()),
        ("GERBANG_MESSAGE_DAYS", "10".to_owned()),
    ];
    match age {
        Age::Clock(clock, _) => {
            settings
                .extend(clock.settings().into_iter().map(|(name, value)| (name, value.to_owned())));
        }
        Age::Rows(database) => settings.push(("GERBANG_DATABASE_URL", database.url())),
    }
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, &**value)).collect();
    let mut gateway = Gateway::start(&simulator, &settings).await;
    let account = gateway.operator().make_account("archived", "unlimited").await;
    let id = account.get("/v1/me").await["account"]["id"].to_string();
    let device = account.make_linked_device(&simulator, SHOP).await;
    for n in 0..MESSAGES {
        let body = json!({ "device": device, "to": CUSTOMER, "text": format!("old {n}") });
        account.post("/v1/messages", body).await;
    }
    simulator.send(CUSTOMER, SHOP, "from a customer").await;
    let count = MESSAGES + 1;
    until("all are through", 60, async || {
        let sent = account.all("/v1/messages?direction=out&status=read").await.len();
        (sent == MESSAGES && account.all("/v1/messages").await.len() == count).then_some(())
    })
    .await;
    let shown = account.all("/v1/messages").await;
    gateway.process.kill().await;
    // A start looks for what is old.
    age.add_days(9).await;
    gateway.restart().await;
    account.wait_for_status(&device, "connected").await;
    account.post("/v1/messages", json!({ "device": device, "to": CUSTOMER, "text": "new" })).await;
    until("the new one is through", 60, async || {
        (account.all("/v1/messages?direction=out&status=read").await.len() == count).then_some(())
    })
    .await;
    assert!(archived(&archive).is_empty());
    gateway.process.kill().await;
    age.add_days(2).await;
    gateway.restart().await;
    until("the old ones are deleted", 60, async || {
        (account.all("/v1/messages").await.len() == 1).then_some(())
    })
    .await;
    let mut rows = archived(&archive);
    let rows = rows.remove(&id).unwrap_or_default();
    assert_eq!(rows.len(), count);
    for message in shown {
        let row = rows.iter().find(|row| row["id"] == message["id"]).expect("an archived row");
        assert_eq!(row["text"], message["text"]);
        assert_eq!(row["state"], message["status"]);
        assert_eq!(row["device_id"], device.as_str());
        if matches!(age, Age::Clock(..)) {
            assert_eq!(row["created_at"], message["created_at"], "{row}");
        }
    }
    gateway.operator().call("DELETE", &format!("/v1/accounts/{id}"), None).await.ok();
    until("the archive of the account is gone", 30, async || {
        (!archive.join(&id).exists()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_messages_are_archived_on_sqlite() {
    check(&mut Age::Clock(WallClock::new(), 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_messages_are_archived_on_postgresql() {
    let mut age = Age::Rows(Database::create().await);
    check(&mut age).await;
    if let Age::Rows(database) = age {
        database.drop().await;
    }
}
