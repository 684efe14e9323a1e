//! The whole engine under seeded disorder, life after life: each ends as with `kill -9`, in the
//! middle of whatever it does. Waits, files, receipts and webhooks go on meanwhile. A failure
//! prints its seed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::content::Content;
use domain::context::Context;
use domain::device::{DeviceStatus, DisconnectReason};
use domain::ids::{DeliveryId, DeviceId, WebhookId, WhatsappId};
use domain::media::{FileRequest, MediaSource};
use domain::message::{
    Address, Failure, IncomingMessage, Message, MessageState, Receipt, ReceivedOrigin,
};
use domain::phone::PhoneNumber;
use domain::ports::{Clock, Dispatcher, MessageStore, MessengerEvents, PageRequest, WebhookStore};
use domain::service::{NewWebhookRequest, SendRequest};
use domain::webhook::{DeliveryState, Event};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use testkit::fake_outbound::answer;
use testkit::flaky_store::Outage;
use testkit::scripted_messenger::Answer;
use tokio::task::JoinHandle;

use crate::test_gateway::TestGateway;

const HOOK: &str = "https://hooks.example.com/one";
const FILE: &str = "https://files.example.com/cat.png";
const LIVES: usize = 4;
const DEEDS: usize = 40;
const PATIENCE: Duration = Duration::from_secs(4);

type Waiting = JoinHandle<domain::error::Result<Option<Message>>>;

struct World {
    seed: u64,
    rng: StdRng,
    gateway: TestGateway,
    device: DeviceId,
    webhook: WebhookId,
    accepted: Vec<Message>,
    /// Messages that were answered as not sent, and how often each had been on the wire.
    withdrawn: Vec<(WhatsappId, usize)>,
    /// What was on the wire in earlier lives.
    wire: Vec<WhatsappId>,
    count: u32,
}

/// How often the receiver refuses an event before it takes it: never so often that it is passed.
fn refusals(event: &Event) -> usize {
    event.id.bytes().map(usize::from).sum::<usize>() % 3
}

impl World {
    async fn new(seed: u64) -> Self {
        let gateway = TestGateway::new().await;
        let device = gateway.linked_device("62811").await;
        let request = NewWebhookRequest { url: HOOK.into(), ..Default::default() };
        let webhook = gateway.core.create_webhook(&gateway.principal, request).await.unwrap().0.id;
        gateway.outside.fake.put_file(FILE, b"png", "image/png");
        gateway.outside.fetch_takes(FILE, Duration::from_millis(700));
        gateway.outside.receive(HOOK, |event, nth| {
            let takes = Duration::from_millis(refusals(event) as u64 * 300);
            (takes, answer(if nth > refusals(event) { 200 } else { 500 }))
        });
        gateway.store.writes_take(Duration::from_millis(20));
        let (rng, accepted, withdrawn) = (StdRng::seed_from_u64(seed), Vec::new(), Vec::new());
        let wire = Vec::new();
        Self { seed, rng, gateway, device, webhook, accepted, withdrawn, wire, count: 0 }
    }

    fn on_the_wire(&self, id: &WhatsappId) -> usize {
        let sent = self.gateway.messenger.sent();
        let now = sent.iter().map(|(_, message)| &message.whatsapp_id);
        self.wire.iter().chain(now).filter(|other| *other == id).count()
    }

    async fn send(&mut self) -> Option<Waiting> {
        self.count += 1;
        let source = MediaSource::Url(FILE.into());
        let text = self.count.to_string();
        let content = match self.rng.random_range(0..4) {
            0 => Content::File(FileRequest { caption: text.into(), ..FileRequest::new(source) }),
            _ => Content::Text(text.into()),
        };
        let request = SendRequest {
            device: Some(self.device.into()),
            to: format!("62812000000{}", self.rng.random_range(0..4)),
            content,
            ..Default::default()
        };
        // Refused while nothing can be written.
        let sent =
            self.gateway.core.send(&self.gateway.principal, vec![request], None).await.ok()?;
        let message = sent.messages.into_iter().next().unwrap();
        self.accepted.push(message.clone());
        let (engine, device) = (self.gateway.engine.clone(), self.device);
        let waits = self.rng.random_range(0..2) == 0;
        let account = self.gateway.account;
        let wait = async move { engine.wait(account, device, message.id, PATIENCE).await };
        waits.then(|| tokio::spawn(wait))
    }

    async fn receive(&mut self) {
        self.count += 1;
        let from = format!("62812000000{}", self.rng.random_range(0..4));
        let message = IncomingMessage {
            whatsapp_id: WhatsappId(format!("IN{}", self.count)),
            chat: format!("{from}@s.whatsapp.net").into(),
            sender: Address { phone: Some(PhoneNumber::from_digits(&*from)), lid: None },
            origin: ReceivedOrigin::Incoming,
            context: Context::default(),
            content: Content::Text("hi".into()),
            at: self.gateway.clock.now(),
        };
        // Otherwise WhatsApp would deliver it again.
        let _ = self.gateway.engine.received(self.device, vec![message]).await;
    }

    /// A receipt that was taken is durable, however soon the process is killed.
    async fn receipt(&mut self) {
        let sent = self.gateway.messenger.sent();
        let Some((_, message)) = sent.get(self.rng.random_range(0..sent.len().max(1))) else {
            return;
        };
        let id = message.whatsapp_id.clone();
        let (ids, at) = (vec![id.clone()], self.gateway.clock.now());
        let event = domain::ports::MessengerEvent::Receipt(ids, Receipt::Read, at);
        if self.gateway.engine.event(self.device, event).await.is_ok() {
            let of = self.accepted.iter().find(|message| message.whatsapp_id == id).unwrap();
            let stored = self.gateway.stored(of.id).await;
            let is_open = !stored.state.is_waiting();
            assert!(is_open, "seed {}: a receipt is lost, {:?}", self.seed, stored.state);
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    async fn live(&mut self) {
        self.gateway.start().await;
        let mut waiting: Vec<Waiting> = Vec::new();
        for _ in 0..DEEDS {
            let rule = match self.rng.random_range(0..6) {
                0 => Answer::LoseAck,
                1 => Answer::Refuse(503),
                2..4 => Answer::AcknowledgeAfter(Duration::from_millis(500)),
                _ => Answer::Acknowledge,
            };
            self.gateway.messenger.answer_all(rule);
            match self.rng.random_range(0..12) {
                0..=5 => waiting.extend(self.send().await),
                6 => {
                    let reason = DisconnectReason::ConnectionLost;
                    self.gateway.messenger.go_offline(self.device, reason);
                }
                7..=8 => self.gateway.messenger.go_online(self.device),
                9 => self.receive().await,
                10 => self.receipt().await,
                _ => {
                    let outage = if self.chance(50) { Outage::Writes } else { Outage::None };
                    self.gateway.store.fail(outage);
                }
            }
            let pause_ms = self.rng.random_range(0..1_500);
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            let (over, open) = waiting.into_iter().partition(|waiting| waiting.is_finished());
            waiting = open;
            for waiting in Vec::<Waiting>::into_iter(over) {
                self.check_wait(waiting.await.unwrap()).await;
            }
        }
        waiting.iter().for_each(JoinHandle::abort);
        self.gateway.store.fail(Outage::None);
    }

    async fn check_wait(&mut self, ended: domain::error::Result<Option<Message>>) {
        let seed = self.seed;
        let Ok(Some(message)) = ended else { return };
        let stored = self.gateway.stored(message.id).await;
        assert!(stored.state >= message.state, "seed {seed}: answered before it was durable");
        assert!(!message.state.is_waiting(), "seed {seed}: it still waits");
        if message.state == MessageState::Cancelled {
            let code = message.failure.map(|failure| failure.code);
            assert_eq!(code.as_deref(), Some(Failure::NOT_CONNECTED), "seed {seed}");
            let times = self.on_the_wire(&message.whatsapp_id);
            self.withdrawn.push((message.whatsapp_id, times));
        }
    }

    /// Everything works from now on: all of it comes to its end.
    async fn calm_down(&mut self) {
        self.gateway.start().await;
        self.gateway.until_status(self.device, DeviceStatus::Connected).await;
        let gateway = &self.gateway;
        gateway
            .until(async || gateway.store.outbox().await.unwrap().is_empty().then_some(()))
            .await;
        let waits = Some(DeliveryState::Pending);
        let page = PageRequest { before: None, limit: 1 };
        let pending = async || {
            gateway.store.deliveries(gateway.account, self.webhook, waits, page).await.unwrap()
        };
        gateway.until(async || pending().await.items.is_empty().then_some(())).await;
    }

    async fn check_end(&self) {
        let seed = self.seed;
        for message in &self.accepted {
            let stored = self.gateway.stored(message.id).await;
            assert!(!stored.state.is_waiting(), "seed {seed}: {} waits", message.id);
            let times = self.on_the_wire(&message.whatsapp_id);
            let has_left =
                stored.state >= MessageState::Sent && stored.state < MessageState::Failed;
            assert!(!has_left || times > 0, "seed {seed}: {} never left", message.id);
        }
        for (id, times) in &self.withdrawn {
            assert_eq!(self.on_the_wire(id), *times, "seed {seed}: sent behind the caller's back");
        }
        self.check_posted().await;
    }

    /// Every event arrived, and of each lane none before the one before it was taken.
    async fn check_posted(&self) {
        let seed = self.seed;
        let page = PageRequest { before: None, limit: 10_000 };
        let deliveries =
            self.gateway.store.deliveries(self.gateway.account, self.webhook, None, page);
        let mut deliveries = deliveries.await.unwrap().items;
        deliveries.sort_by_key(|delivery| delivery.id);
        assert!(!deliveries.is_empty(), "seed {seed}");
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, event) in self.gateway.outside.arrived(HOOK).into_iter().enumerate() {
            places.entry(event.id).or_default().push(place);
        }
        let mut last_of: HashMap<String, (DeliveryId, usize)> = HashMap::new();
        for delivery in deliveries {
            let event = delivery.event;
            assert_eq!(delivery.state, DeliveryState::Delivered, "seed {seed}: {}", event.id);
            let places = places.get(&event.id).unwrap_or_else(|| {
                panic!("seed {seed}: {} was not posted", event.id);
            });
            let taken = places[refusals(&event)];
            let last = last_of.insert(event.lane(), (delivery.id, taken));
            let is_in_order = last.is_none_or(|(_, before)| before < places[0]);
            assert!(is_in_order, "seed {seed}: {} came before {last:?} was taken", event.id);
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

fn run(seed: u64) {
    let mut world = runtime().block_on(World::new(seed));
    let mut now: Timestamp = testkit::clock::ManualClock::default().now();
    for life in 0..=LIVES {
        let runtime = runtime();
        runtime.block_on(async {
            let before = Arc::clone(&world.gateway.messenger);
            world.wire.extend(before.sent().into_iter().map(|(_, message)| message.whatsapp_id));
            world.gateway = world.gateway.after_crash(now);
            if life == LIVES {
                world.calm_down().await;
                world.check_end().await;
            } else {
                world.live().await;
            }
            now = world.gateway.clock.now();
        });
        // As with `kill -9`: every task is gone, wherever it was.
        drop(runtime);
    }
}

#[test]
fn nothing_is_lost_doubled_or_posted_out_of_order_whatever_is_killed_when() {
    for seed in crate::seeds(30) {
        run(seed);
    }
}
