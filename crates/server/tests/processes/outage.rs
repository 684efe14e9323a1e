//! PostgreSQL crashes again and again under load: nothing is lost, and each time the gateway goes on
//! within seconds of its return, with its devices.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::support::api::Api;
use crate::support::env;
use crate::support::gateway::Gateway;
use crate::support::postgres::OwnPostgres;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};

const SHOP: &str = "6281100000001";
const CUSTOMER: &str = "6281200000001";
/// How long the gateway may take once the database is back, in seconds.
const RETURN_S_MAX: u64 = 10;
/// How often it crashes; pauses that double would be beyond [`RETURN_S_MAX`] by then.
const CRASHES: usize = 5;
/// In the long form.
const LONG_CRASHES: usize = 30;

/// Accepts and sends: done when the phone has read it.
async fn sends(account: &Api, device: &str, text: &str) -> Option<()> {
    let body = json!({ "device": device, "to": CUSTOMER, "text": text });
    let accepted = account.try_call("POST", "/v1/messages", Some(body)).await.ok()?;
    let path = format!("/v1/messages/{}", accepted.body["id"].as_u64()?);
    until("the message is sent", RETURN_S_MAX, async || {
        let message = account.try_call("GET", &path, None).await.ok()?;
        matches!(message.body["status"].as_str(), Some("sent" | "delivered" | "read")).then_some(())
    })
    .await;
    Some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_goes_on_within_seconds_of_the_database() {
    let postgres = OwnPostgres::start().await;
    let simulator = Simulator::start().await;
    let url = postgres.url();
    let mut gateway = Gateway::start(&simulator, &[("GERBANG_DATABASE_URL", &url)]).await;
    let account = gateway.operator().make_account("outage", "unlimited").await;
    let device = account.make_linked_device(&simulator, SHOP).await;
    let crashes = if env::is_long() { LONG_CRASHES } else { CRASHES };
    let (mut random, mut slowest) = (StdRng::seed_from_u64(env::seed()), Duration::ZERO);
    for crash in 0..crashes {
        let (back, text) = (format!("back after crash {crash}"), format!("hello {crash}"));
        // What comes in cannot be stored: the connection to WhatsApp is dropped and made again.
        let (sender, incoming) = (simulator.control().clone(), format!("to us {crash}"));
        let body = json!({ "to": SHOP, "text": incoming });
        let path = format!("/phones/{CUSTOMER}/send");
        postgres.crash().await;
        let incoming = tokio::spawn(async move {
            let _ = sender.try_call("POST", &path, Some(body)).await;
        });
        // Long enough for the driver to notice.
        moment(Duration::from_millis(random.random_range(800..1_500))).await;
        postgres.resume().await;
        let resumed_at = Instant::now();
        until(back, RETURN_S_MAX, async || sends(&account, &device, &text).await).await;
        slowest = slowest.max(resumed_at.elapsed());
        incoming.await.unwrap();
    }
    until("all that came in meanwhile is there", 60, async || {
        let received = account.get("/v1/messages?direction=in&limit=100").await;
        (received["data"].as_array()?.len() == crashes).then_some(())
    })
    .await;
    println!("{crashes} crashes of the database, lost 0, back after {slowest:?} at most");
    assert!(gateway.process.stop().await.success());
}
