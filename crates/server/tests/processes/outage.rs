//! PostgreSQL crashes again and again under load: nothing is lost, and each time the gateway goes on
//! within seconds of its return, with its devices.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::api::Api;
use crate::support::gateway::Gateway;
use crate::support::postgres::OwnPostgres;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};
use crate::support::{counters, env, figures};

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
    assert!(gateway.process.stop().await.success());
    counters::agree(&gateway).await;
    figures::report(
        "crashes of PostgreSQL",
        format_args!("{crashes} crashes, lost 0, back after {slowest:.1?} at most"),
    );
}

/// How long the gateway may take when its connections to the database fall silent, in seconds: it waits for
/// answers on each, and then closes them.
const SILENCE_S_MAX: u64 = 60;

/// Forwards connections. Those that are there when it falls silent are neither closed nor heard of any more.
async fn forward(to: String, silence: watch::Receiver<u32>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            let (to, mut silence) = (to.clone(), silence.clone());
            silence.mark_unchanged();
            tokio::spawn(async move {
                let mut there = TcpStream::connect(to).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut here, &mut there) => {}
                    _ = silence.changed() => std::future::pending::<()>().await,
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_the_database_that_fall_silent_are_left() {
    let postgres = OwnPostgres::start().await;
    let simulator = Simulator::start().await;
    let (silence, heard) = watch::channel(0);
    let url = postgres.url();
    let (_, server) = url.split_once('@').unwrap();
    let (server, _) = server.split_once('/').unwrap();
    let url = url.replace(server, &forward(server.to_owned(), heard).await);
    let gateway = Gateway::start(&simulator, &[("GERBANG_DATABASE_URL", &url)]).await;
    let account = gateway.operator().make_account("silence", "unlimited").await;
    let device = account.make_linked_device(&simulator, SHOP).await;
    let load = tokio::spawn({
        let (account, device) = (account.clone(), device.clone());
        async move {
            for n in 0.. {
                let body = json!({ "device": device, "to": CUSTOMER, "text": format!("load {n}") });
                let _ = account.try_call("POST", "/v1/messages", Some(body)).await;
            }
        }
    });
    moment(Duration::from_secs(1)).await;
    silence.send_modify(|count| *count += 1);
    let silent_at = Instant::now();
    // What is sent afterwards waits behind all of it.
    load.abort();
    until("it sends again", SILENCE_S_MAX, async || {
        let sent = sends(&account, &device, "after the silence");
        tokio::time::timeout(Duration::from_secs(5), sent).await.ok().flatten()
    })
    .await;
    let back = silent_at.elapsed();
    figures::report(
        "connections to PostgreSQL that fall silent",
        format_args!("back after {back:.1?}"),
    );
}
