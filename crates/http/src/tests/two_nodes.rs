//! What requests cost at a node of two that does not run the device they name: no statement more than at one that
//! has the database for itself.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use domain::ids::DeviceId;
use domain::node::{LEASE, Registration};
use domain::ports::{NodeStore as _, Store};
use serde_json::{Value, json};
use testkit::fake_dispatcher::Ending;
use testkit::store_conformance::nodes::node;

use super::app::App;
use super::database::Database;
use super::exchange::Ask;
use crate::dialects::ALL;
use crate::state::HttpConfig;

/// BEGIN, the locks on the accounts, what is read, what is written, COMMIT.
const OF_A_SEND: u64 = 5;
/// Of so many the cheapest counts: nodes also read what others have changed, and draw message ids.
const TRIES: usize = 6;

/// Sends in every API, with the device named in every way.
fn sends(app: &App) -> Vec<Ask> {
    let mut sends = Vec::new();
    for dialect in ALL {
        let contract = dialect.contract();
        for key in [&app.shop.key, &app.front.token] {
            let samples = (contract.sends)(app).into_iter();
            sends.extend(samples.map(|sample| (contract.with_key)(sample.ask, key)));
        }
    }
    let (id, number) = (app.front.id(), app.front.device.number_id);
    let phone = app.front.device.phone.as_ref().unwrap().as_str();
    let keyed = |ask: Ask| ask.key(&app.shop.key).header("apikey", &app.shop.key);
    let native = |device: Value| json!({"device": device, "to": "628999111222", "text": "hi"});
    sends.extend([
        keyed(Ask::post("/v1/messages", native(json!(id)))),
        keyed(Ask::post("/v1/messages", native(json!(number)))),
        keyed(Ask::post(
            "/v1/messages/batch",
            json!({"messages": [native(json!(id)), native(json!(number))]}),
        )),
        keyed(Ask::post(
            format!("/{number}/send"),
            json!({"phone": "628999111222", "message": "hi"}),
        )),
        keyed(Ask::post(
            "/wachat_api/1.0/message",
            json!({"sender": phone, "destination": "628999111222", "message": "hi"}),
        )),
    ]);
    // The account's only device.
    let keyed = |ask: Ask| ask.key(&app.rival.key).header("apikey", &app.rival.key);
    sends.extend([
        keyed(Ask::post(
            "/api/v1/send-message",
            json!({"recipient": "628999111222", "message": "hi"}),
        )),
        keyed(Ask::post(
            "/wachat_api/1.0/message",
            json!({"destination": "628999111222", "message": "hi"}),
        )),
    ]);
    sends
}

/// Lists of one device's messages.
fn lists(app: &App) -> Vec<Ask> {
    let id: DeviceId = app.front.id();
    let lists = [format!("/v1/messages?device={id}"), format!("/api/v1/messages?device_id={id}")];
    lists.into_iter().map(|path| Ask::get(path).key(&app.shop.key)).collect()
}

/// The statements of each request, once what it names is remembered.
async fn costs(app: &App, asks: &[Ask]) -> Vec<(String, u64)> {
    let mut costs = Vec::new();
    for ask in asks {
        let what = format!(
            "{} {} {:?}",
            ask.method,
            ask.path,
            ask.body.as_deref().map(String::from_utf8_lossy)
        );
        let mut fewest = u64::MAX;
        for _ in 0..TRIES {
            let before = store::ROUND_TRIPS.load(Ordering::Relaxed);
            let response = ask.clone().of(&app.router).await;
            let after = store::ROUND_TRIPS.load(Ordering::Relaxed);
            assert!(response.status.is_success(), "{what}: {}", response.text());
            fewest = fewest.min(after - before);
        }
        costs.push((what, fewest));
    }
    costs
}

async fn join(store: &dyn Store, name: &str) -> Registration {
    let registration = store.register_node(&node(name), LEASE).await.unwrap();
    store.leases().renewed(registration, Instant::now() + Duration::from_secs(3_600));
    store.leases().set_shared(true);
    registration
}

// The runner gives each test a process of its own: what is counted is the process's.
#[tokio::test]
async fn no_api_reads_a_device_that_another_node_runs_for_every_request() {
    let (database, url) = Database::postgres().await;
    let config = HttpConfig::new(Some("http://gerbang.test"));
    let app = App::over(database, config, "unlimited").await;
    // An outcome is written by the node that runs the device.
    app.dispatcher.set_ending(Ending::Pending);
    let (sends, lists) = (sends(&app), lists(&app));
    for (what, cost) in costs(&app, &sends).await {
        assert_eq!(cost, OF_A_SEND, "alone: {what}");
    }
    let lists_alone = costs(&app, &lists).await;

    let other = store::open(&url).await.unwrap();
    let registration = join(&*other, "other").await;
    assert_eq!(other.claim_devices(registration, 9).await.unwrap(), 4);
    join(&*app.store, "own").await;
    assert!(!app.store.leases().owns(app.front.id()), "another node runs it");
    for (what, cost) in costs(&app, &sends).await {
        assert_eq!(cost, OF_A_SEND, "with two nodes: {what}");
    }
    assert_eq!(costs(&app, &lists).await, lists_alone);
    other.close().await;
}
