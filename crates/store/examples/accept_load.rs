//! How many messages a second are accepted durably: `accept_load [URL] [SECONDS] [TASKS]`.
//!
//! Only comparisons within one run of one machine mean anything. With `keyed` as a fourth
//! argument every request has an idempotency key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::ports::{Accepted, MessageStore as _, Store};
use testkit::store_conformance::{World, idempotency};

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let directory = tempfile::tempdir_in(".").expect("a directory on a real disk");
    let file = format!("sqlite:{}", directory.path().join("load.db").display());
    let url = args.next().filter(|url| url != "-").unwrap_or(file);
    let mut number = |default| args.next().and_then(|arg| arg.parse().ok()).unwrap_or(default);
    let (seconds, tasks) = (number(5), number(64));
    let is_keyed = args.next().as_deref() == Some("keyed");
    let store = store::open(&url).await.expect("a database");
    let world = Arc::new(World::new(Arc::clone(&store) as Arc<dyn Store>).await);
    let counter = Arc::new(AtomicU64::new(1));
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let load = (0..tasks).map(|_| {
        let (world, counter) = (Arc::clone(&world), Arc::clone(&counter));
        tokio::spawn(async move { send_until(&world, &counter, end, is_keyed).await })
    });
    let mut latencies_us = Vec::new();
    for task in load.collect::<Vec<_>>() {
        latencies_us.append(&mut task.await.expect("a task"));
    }
    let rate = latencies_us.len() as f64 / start.elapsed().as_secs_f64();
    latencies_us.sort_unstable();
    let at = |percent: usize| latencies_us[(latencies_us.len() - 1) * percent / 100];
    println!("{rate:.0} accepts/s, p50 {} µs, p99 {} µs", at(50), at(99));
    let rows = store.outbox().await.expect("the outbox").len();
    assert_eq!(rows, latencies_us.len(), "every acceptance is a row");
    store.close().await;
}

async fn send_until(world: &World, counter: &AtomicU64, end: Instant, is_keyed: bool) -> Vec<u64> {
    let mut latencies_us = Vec::new();
    while Instant::now() < end {
        let n = counter.fetch_add(1, Ordering::Relaxed);
        let mut request = world.request(vec![world.text(n)]);
        request.idempotency = is_keyed.then(|| idempotency(&format!("key-{n}"), 1));
        let start = Instant::now();
        match world.store.accept(request).await {
            Ok(Accepted::New(_)) => {}
            // The queue of the one account is full: enough for today.
            Ok(Accepted::QueueFull(_)) => return latencies_us,
            other => panic!("{other:?}"),
        }
        latencies_us.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    latencies_us
}
