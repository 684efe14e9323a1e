//! An installation moves from SQLite to PostgreSQL, with its devices.

use serde_json::json;

use crate::support::database::Database;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const SHOP: &str = "6281100000004";
const CUSTOMER: &str = "6281200000004";

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_installation_moves_to_postgresql_and_goes_on() {
    let (simulator, database) = (Simulator::start().await, Database::create().await);
    let mut gateway = Gateway::start(&simulator, &[]).await;
    let account = gateway.operator().make_account("moving", "unlimited").await;
    let device = account.make_linked_device(&simulator, SHOP).await;
    let send = async |text: &str| {
        let body = json!({ "device": device, "to": CUSTOMER, "text": text });
        let message = account.post("/v1/messages", body).await;
        let path = format!("/v1/messages/{}", message["id"]);
        until(format!("{text} is read"), 60, async || {
            (account.get(&path).await["status"] == "read").then_some(())
        })
        .await;
    };
    send("before").await;
    let url = database.url();
    let move_it = ["migrate", "--to", &url];
    gateway.command(&move_it).await.refused(75, &["in use by another gateway"]);
    assert!(gateway.process.stop().await.success());
    gateway.command(&["migrate", "--to", "sqlite:other"]).await.refused(78, &["postgres://"]);
    let printed = gateway.command(&move_it).await.ok();
    for table in ["accounts ", "devices ", "keys ", "messages ", "session ", "settings "] {
        let line = printed.lines().find(|line| line.starts_with(table)).expect(table);
        assert!(line.ends_with("equal in both") && !line.contains(" 0 rows"), "{line}");
    }
    gateway.command(&["serve"]).await.refused(65, &["was moved to postgres://"]);
    gateway.command(&move_it).await.refused(65, &["was moved to postgres://"]);
    gateway.command(&["backup", "kept.tar.gz"]).await.refused(65, &["was moved to postgres://"]);
    gateway.restart_with(&[("GERBANG_DATABASE_URL", &url)]).await;
    account.wait_for_status(&device, "connected").await;
    send("after").await;
    let inbox = simulator.inbox(CUSTOMER).await;
    let texts: Vec<_> = inbox.iter().map(|mail| mail["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["before", "after"]);
    gateway.process.kill().await;
    database.drop().await;
}
