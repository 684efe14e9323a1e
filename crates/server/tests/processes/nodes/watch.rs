//! What an account sees of its devices while nodes come and go.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::crash::{Device, load};
use crate::support::api::Api;
use crate::support::wait::moment;

const PAUSE: Duration = Duration::from_millis(50);

/// Asks again and again.
pub struct Watch {
    task: JoinHandle<Seen>,
    has_ended: Arc<AtomicBool>,
}

/// What was seen.
#[derive(Default)]
pub struct Seen {
    /// The longest time that a device was not connected.
    offline: Duration,
    /// Requests that only the owner of a device can answer.
    hops: usize,
    /// Those that were to be tried again.
    again: usize,
    /// Answers that should not have come.
    wrong: Vec<String>,
}

impl Watch {
    pub fn start(account: Api, devices: Vec<Device>) -> Self {
        let has_ended = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(watch(account, devices, has_ended.clone()));
        Self { task, has_ended }
    }

    /// Once every device is connected.
    pub async fn end(self) -> Seen {
        self.has_ended.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

impl Seen {
    /// What was seen at two times as one.
    pub fn and(self, later: Self) -> Self {
        Self {
            offline: self.offline.max(later.offline),
            hops: self.hops + later.hops,
            again: self.again + later.again,
            wrong: [self.wrong, later.wrong].concat(),
        }
    }

    /// # Panics
    /// When a device was offline longer than that, or a request failed otherwise than with "try again".
    pub fn check(&self, offline_max: Duration) {
        assert!(self.wrong.is_empty(), "{:?}", self.wrong);
        assert!(self.offline <= offline_max, "a device was offline for {:?}", self.offline);
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offline, hops, again, .. } = self;
        write!(
            f,
            "offline for {offline:.1?} at most; {again} of {hops} requests were to be tried again"
        )
    }
}

async fn watch(account: Api, devices: Vec<Device>, has_ended: Arc<AtomicBool>) -> Seen {
    let (mut seen, mut since) = (Seen::default(), HashMap::new());
    loop {
        let is_last = has_ended.load(Ordering::Relaxed);
        for device in &devices {
            let path = format!("/v1/devices/{}", device.id);
            let shown = account.get(&path).await;
            let began: &mut Option<Instant> = since.entry(&device.id).or_default();
            if shown["status"] == "connected" {
                seen.offline =
                    seen.offline.max(began.take().map_or(Duration::ZERO, |at| at.elapsed()));
            } else {
                began.get_or_insert_with(Instant::now);
            }
            let number = format!("{path}/numbers/{}", load::recipient(0));
            let reply = account.call("GET", &number, None).await;
            seen.hops += 1;
            match reply.status {
                200 => {}
                503 => seen.again += 1,
                // Between two connections: the request is refused before anything is done.
                409 if reply.body["code"] == "device_not_connected" => seen.again += 1,
                _ => seen.wrong.push(format!("{number}: {reply:?}")),
            }
        }
        if is_last && since.values().all(Option::is_none) {
            return seen;
        }
        moment(PAUSE).await;
    }
}
