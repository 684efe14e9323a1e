//! Receivers of webhooks that do harm: they delay nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::gateway::Gateway;
use crate::support::receiver::Receiver;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};
use crate::support::{env, figures};

const HARMED: &str = "628110000778";
const NEIGHBOUR: &str = "628110000779";
/// Chats that write to the device with the hostile receivers: events of each are posted at the same time.
const CHATS: u64 = 12;
/// Longest wait of an event for its own receiver, in seconds; a post to one that drips takes three times as long.
const ARRIVAL_S_MAX: u64 = 5;
const DRIP_EVERY: Duration = Duration::from_millis(200);
static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// What a receiver does to those who post to it.
#[derive(Debug, Clone, Copy)]
enum Harm {
    /// It answers a byte now and then, and never ends.
    Drip,
    /// It ends the connection with what was sent unread, which resets it.
    Reset,
    /// Its answer has no end.
    Endless,
    /// It leads to itself.
    Loop,
}

impl Harm {
    const ALL: [Self; 4] = [Self::Drip, Self::Reset, Self::Endless, Self::Loop];

    /// Starts one. Returns its address, and how often it was connected to.
    async fn start(self) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (own, count) = (url.clone(), Arc::new(AtomicUsize::new(0)));
        let connections = count.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                let own = own.clone();
                // It ends when the gateway has had enough.
                tokio::spawn(async move {
                    let _ = self.answer(stream, &own).await;
                });
            }
        });
        (url, count)
    }

    async fn answer(self, mut stream: TcpStream, own: &str) -> std::io::Result<()> {
        if matches!(self, Self::Reset) {
            stream.readable().await?;
            return Ok(());
        }
        let mut request = [0; 1_024];
        let _ = stream.read(&mut request).await?;
        match self {
            Self::Drip => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nx-drip: ").await?;
                loop {
                    stream.write_all(b"x").await?;
                    moment(DRIP_EVERY).await;
                }
            }
            Self::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                loop {
                    stream.write_all(&PIECE).await?;
                }
            }
            Self::Loop | Self::Reset => {
                let head = format!("HTTP/1.1 302 Found\r\nlocation: {own}\r\n");
                let rest = "content-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(format!("{head}{rest}").as_bytes()).await
            }
        }
    }
}

fn person(n: u64) -> String {
    format!("62812{n:08}")
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_do_harm_delay_no_one_else() {
    let simulator = Simulator::start().await;
    let loopback = [("GERBANG_ALLOWED_PRIVATE_NETS", "127.0.0.0/8")];
    let mut gateway = Gateway::start(&simulator, &loopback).await;
    let harmed = gateway.operator().make_account("harmed", "unlimited").await;
    harmed.make_linked_device(&simulator, HARMED).await;
    let mut receivers = Vec::new();
    for harm in Harm::ALL {
        let (url, connections) = harm.start().await;
        harmed.post("/v1/webhooks", json!({ "url": url })).await;
        receivers.push((harm, connections));
    }
    let neighbour = gateway.operator().make_account("neighbour", "unlimited").await;
    neighbour.make_linked_device(&simulator, NEIGHBOUR).await;
    let receiver = Receiver::start(0).await;
    neighbour.post("/v1/webhooks", json!({ "url": receiver.url("/") })).await;
    let mut slowest = Duration::ZERO;
    let events = if env::is_long() { 1_000 } else { 50 };
    for n in 0..events {
        let from = person(n % CHATS);
        simulator.send(&from, HARMED, &format!("to the harmed one {n}")).await;
        let text = format!("to the neighbour {n}.");
        let since = Instant::now();
        simulator.send(&from, NEIGHBOUR, &text).await;
        until("the neighbour hears of it", ARRIVAL_S_MAX, async || {
            let hooks = receiver.taken();
            let is_it = |body: &[u8]| String::from_utf8_lossy(body).contains(&text);
            hooks.iter().any(|hook| is_it(&hook.body)).then_some(())
        })
        .await;
        slowest = slowest.max(since.elapsed());
    }
    for (harm, connections) in receivers {
        let count = connections.load(Ordering::Relaxed);
        println!("{harm:?}: {count} connections");
        assert!(count > 0, "{harm:?} was never posted to");
    }
    assert!(gateway.process.stop().await.success());
    figures::report(
        "webhooks beside receivers that do harm",
        format_args!("{events} events of a neighbour, each after {slowest:.1?} at most"),
    );
}
