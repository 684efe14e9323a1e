//! What is logged: enough to see the handshakes, when they are asked for, and never a secret.

use std::io::Write;
use std::sync::{Arc, Mutex};

use domain::device::{PairMethod, PairOffer};
use domain::phone::PhoneNumber;
use domain::ports::{Messenger, MessengerEvent};
use serde_json::json;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::world::{OURS, THEIRS, World, chat, new_device};

/// Everything that is logged from now on.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Starts logging; the filter holds for the whole process, so there is one such test in each.
    fn start(filter: &str) -> Self {
        let log = Self::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        tracing_subscriber::registry()
            .with(filter.parse::<Targets>().unwrap())
            .with(lines.with_ansi(false))
            .try_init()
            .expect("run by cargo nextest, a process for each test");
        log
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

#[tokio::test]
async fn a_restart_resumes_with_the_short_handshake() {
    let log = Log::start("off,whatsapp_rust::handshake=info");
    let mut world = World::new().await;
    let device = world.link(OURS).await;
    assert!(!log.text().contains("(IK)"), "{}", log.text());
    world.restart().await;
    world.messenger.connect(device).await.unwrap();
    world.connected(device).await;
    assert!(log.text().contains("Handshake complete (IK)"), "{}", log.text());
}

#[tokio::test]
async fn no_secret_is_logged_even_at_the_lowest_level() {
    let log = Log::start(&format!("trace,{}", whatsapp::LOG_FILTER));
    let world = World::new().await;
    let device = new_device();
    world.messenger.pair(device, PairMethod::Qr).await.unwrap();
    let qr = world.qr(device).await;
    world.messenger.pair(device, PairMethod::Code(PhoneNumber::from_digits(OURS))).await.unwrap();
    let read = |event: &MessengerEvent| match event {
        MessengerEvent::Offer(PairOffer::Code { code, .. }) => Some(code.clone()),
        _ => None,
    };
    let code = world.recorder.event(device, "code", read).await;
    // The simulator would log in our process; what it and the test's HTTP client say is not ours.
    world.sim.call("POST", &format!("/phones/{OURS}/enter-code"), json!({ "code": code })).await;
    world.connected(device).await;
    let id = world.send(device, &chat(THEIRS), "rahasia sekali").await;
    world.heard(device, MessengerEvent::Acknowledged(id)).await;
    let answer = world.sim.write(THEIRS, OURS, "rahasia juga").await;
    world.recorder.message(&answer).await;
    world.messenger.logout(device).await.unwrap();

    let not_ours = ["simulator", "hyper", "reqwest", "axum", "tower", "tokio_websockets"];
    let text = log.text();
    let ours = text.lines().filter(|line| {
        !line.split_whitespace().any(|word| not_ours.iter().any(|name| word.starts_with(name)))
    });
    for line in ours {
        for secret in [&*qr, &*code, "rahasia", OURS, THEIRS] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}
