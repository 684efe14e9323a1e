//! Accepting messages: rows, quota and idempotency keys.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::content::{Contact, Content, ContentKind, File, Location, Poll};
use domain::context::{Changes, Context, EarlierText, Mentions, Quote};
use domain::ids::{DeviceId, WhatsappId};
use domain::media::Media;
use domain::message::{
    Address, Direction, Message, MessageEvent, MessageState, NewMessage, Origin,
};
use domain::phone::PhoneNumber;
use domain::policy::queue::{QueueFull, QueueLimits, QueueSize, WAITING_MESSAGES_MAX};
use domain::policy::quota::{NO_LIMIT, Period, QuotaKind, QuotaReceipt};
use domain::ports::{Acceptance, Accepted, IdempotencyKey, OutboxEntry, REPEATED_BYTES_MAX, Store};
use domain::request_file::{RequestFile, WaitingFile, blob_key_of};
use uuid::Uuid;

use super::{NOW, TODAY, World, idempotency, later, new_device, new_messages, plan, stored};

pub async fn an_accepted_message_is_read_unchanged(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let scheduled = NewMessage {
        chat: "120363041234567890@g.us".into(),
        content: Content::Text("Halo 👨‍👩‍👧‍👦 \u{202e}”\t\r\n\\u0041 $1 ?1 {}[]".into()),
        typing: false,
        priority: -100,
        due_at: later(3_600),
        is_scheduled: true,
        expires_at: later(7_200),
        retry_interval_s: Some(86_400),
        ..world.text(1)
    };
    let place = Location {
        latitude: -6.2088,
        longitude: 106.8456,
        name: Some("Monas 🗼".into()),
        address: Some("Gambir, \"Jakarta\"".into()),
    };
    let place = Content::Location(place);
    let located = NewMessage { content: place.clone(), ..world.text(3) };
    let others: Vec<NewMessage> = [poll(), contacts(), Content::Reaction("👍".into())]
        .into_iter()
        .zip(4..)
        .map(|(content, n)| NewMessage { content, context: answer(), ..world.text(n) })
        .collect();
    let messages = [vec![scheduled.clone(), world.text(2), located], others.clone()].concat();
    let request = world.request(messages);
    let made = new_messages(store.accept(request).await.unwrap());
    let first = &made[0];
    assert_eq!((&made[2].content, made[2].text()), (&place, "Monas 🗼"));
    for (made, asked) in made[3..].iter().zip(&others) {
        assert_eq!((&made.content, &made.context), (&asked.content, &asked.context));
    }
    assert_eq!((first.account_id, first.device_id), (world.account.id, world.device.id));
    assert_eq!((first.direction(), first.sender.as_ref()), (Direction::Out, None));
    assert_eq!((&first.chat, &first.content), (&scheduled.chat, &scheduled.content));
    assert_eq!((first.state, made[1].state), (MessageState::Scheduled, MessageState::Queued));
    assert_eq!((first.typing, first.priority, first.attempts), (false, -100, 0));
    assert_eq!(
        (first.due_at, first.expires_at),
        (stored(later(3_600)), Some(stored(later(7_200))))
    );
    assert_eq!((first.retry_interval_s, first.created_at), (Some(86_400), stored(NOW)));
    assert_eq!(first.whatsapp_id, scheduled.whatsapp_id);
    assert_eq!((first.history.len(), first.reached(first.state)), (1, Some(stored(NOW))));
    let receipt = QuotaReceipt { kind: QuotaKind::Plan, remaining: NO_LIMIT };
    assert_eq!((first.origin, first.failure.as_ref()), (Origin::Api(receipt), None));
    for message in &made {
        assert_eq!(store.waiting_message(message.id).await.unwrap().as_ref(), Some(message));
        let read = store.message(world.account.id, message.id).await.unwrap();
        assert_eq!(read.as_ref(), Some(message));
    }
    let entries: Vec<OutboxEntry> = made.iter().map(OutboxEntry::from).collect();
    assert_eq!(store.outbox().await.unwrap(), entries);
}

pub async fn ids_grow(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let mut last = 0;
    for n in 0..5 {
        let request = world.request(vec![world.text(2 * n), world.text(2 * n + 1)]);
        for message in new_messages(store.accept(request).await.unwrap()) {
            assert!(message.id.0 > last, "{} after {last}", message.id);
            last = message.id.0;
        }
    }
}

pub async fn a_batch_is_all_or_nothing(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let batch = || Acceptance {
        plan: plan(Some(5), None).into(),
        ..world.request((0..3).map(|n| world.text(n)).collect())
    };
    let made = new_messages(store.accept(batch()).await.unwrap());
    let remaining: Vec<_> = made.iter().map(|m| m.quota().unwrap().remaining).collect();
    assert_eq!(remaining, [4, 3, 2]);
    assert!(matches!(store.accept(batch()).await.unwrap(), Accepted::QuotaExhausted { .. }));
    assert_eq!(store.outbox().await.unwrap().len(), 3);
    assert_eq!(store.usage(world.account.id).await.unwrap().day_used, 3);
}

pub async fn quota_is_spent_and_starts_again_each_day(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let send = |period: Period| {
        let plan = plan(Some(2), Some(3)).into();
        store.accept(Acceptance { plan, period, ..world.request(vec![world.text(1)]) })
    };
    let tomorrow = Period { day: TODAY.day + 1, ..TODAY };
    let next_month = Period { day: 20_261_201, month: 202_612 };
    new_messages(send(TODAY).await.unwrap());
    new_messages(send(TODAY).await.unwrap());
    assert!(matches!(send(TODAY).await.unwrap(), Accepted::QuotaExhausted { .. }));
    new_messages(send(tomorrow).await.unwrap());
    assert!(
        matches!(send(tomorrow).await.unwrap(), Accepted::QuotaExhausted { .. }),
        "the month's"
    );
    new_messages(send(next_month).await.unwrap());
    let usage = store.usage(world.account.id).await.unwrap();
    assert_eq!((usage.period, usage.day_used, usage.month_used), (next_month, 1, 1));
}

pub async fn a_request_from_before_midnight_counts_in_the_new_day(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let send = |period: Period| {
        let plan = plan(Some(2), None).into();
        store.accept(Acceptance { plan, period, ..world.request(vec![world.text(1)]) })
    };
    let tomorrow = Period { day: TODAY.day + 1, ..TODAY };
    new_messages(send(tomorrow).await.unwrap());
    let late = new_messages(send(TODAY).await.unwrap()).remove(0);
    assert!(matches!(send(tomorrow).await.unwrap(), Accepted::QuotaExhausted { .. }));
    let usage = store.usage(world.account.id).await.unwrap();
    assert_eq!((usage.period, usage.day_used, usage.month_used), (tomorrow, 2, 2));
    world.record(late.id, &[MessageEvent::Withdrawn]).await;
    let usage = store.usage(world.account.id).await.unwrap();
    assert_eq!((usage.period, usage.day_used, usage.month_used), (tomorrow, 1, 1));
}

pub async fn one_refusal_affects_no_other_request(store: Arc<dyn Store>) {
    let one = World::with(Arc::clone(&store), 10).await;
    let two = World::with(Arc::clone(&store), 20).await;
    let mut requests = Vec::new();
    for n in 0..20 {
        let world = if n % 2 == 0 { &one } else { &two };
        let day = if n % 2 == 0 { None } else { Some(3) };
        let request =
            Acceptance { plan: plan(day, None).into(), ..world.request(vec![world.text(n)]) };
        let store = Arc::clone(&store);
        requests.push(async move { store.accept(request).await.unwrap() });
    }
    let answers = futures_util::future::join_all(requests).await;
    let count = answers.iter().filter(|answer| matches!(answer, Accepted::New(_))).count();
    assert_eq!(count, 13);
    assert_eq!(store.outbox().await.unwrap().len(), 13);
}

pub async fn the_queue_has_a_limit(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let chunk = 4_000;
    for start in (0..WAITING_MESSAGES_MAX).step_by(chunk) {
        let numbers = u64::try_from(start).unwrap()..;
        let messages = numbers.take(chunk).map(|n| world.text(n)).collect();
        new_messages(store.accept(world.request(messages)).await.unwrap());
    }
    let request = world.request(vec![world.text(1)]);
    assert!(matches!(store.accept(request.clone()).await.unwrap(), Accepted::QueueFull(_)));
    let outbox = store.outbox().await.unwrap();
    assert_eq!(i64::try_from(outbox.len()).unwrap(), WAITING_MESSAGES_MAX);
    world.record(outbox[0].id, &[MessageEvent::Withdrawn]).await;
    new_messages(store.accept(request).await.unwrap());
}

pub async fn waiting_bytes_have_limits(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let limits = QueueLimits(QueueSize { messages: 100, text_bytes: 1_000, file_bytes: 500 });
    let text = |n: u64, bytes: usize| {
        let content = Content::Text("é".repeat(bytes / 2).into());
        NewMessage { content, ..world.text(n) }
    };
    let file = |n: u64, bytes: usize| NewMessage {
        inline_file: Some(RequestFile::of(&vec![1; bytes])),
        ..inline_of(&world, n)
    };
    let accept = |messages| store.accept(Acceptance { limits, ..world.request(messages) });
    let full = |accepted: Accepted| match accepted {
        Accepted::QueueFull(full) => full,
        other => panic!("not refused: {other:?}"),
    };
    let made = new_messages(accept(vec![text(1, 600), text(2, 400)]).await.unwrap());
    let files = new_messages(accept(vec![file(3, 300), file(4, 200)]).await.unwrap());
    for _ in 0..2 {
        let refused = accept(vec![text(5, 2)]).await.unwrap();
        assert_eq!(full(refused), QueueFull::TextBytes(1_000));
        let refused = accept(vec![file(5, 1)]).await.unwrap();
        assert_eq!(full(refused), QueueFull::FileBytes(500));
    }
    // An attempt that failed gives nothing back; an end gives back exactly its own.
    world.record(made[0].id, &[MessageEvent::Submitted, MessageEvent::AttemptFailed]).await;
    assert!(matches!(accept(vec![text(5, 2)]).await.unwrap(), Accepted::QueueFull(_)));
    world.record(made[1].id, &[MessageEvent::Submitted, MessageEvent::Acknowledged]).await;
    world.record(files[0].id, &[MessageEvent::Withdrawn]).await;
    assert!(matches!(accept(vec![text(5, 402)]).await.unwrap(), Accepted::QueueFull(_)));
    assert!(matches!(accept(vec![file(6, 301)]).await.unwrap(), Accepted::QueueFull(_)));
    new_messages(accept(vec![text(5, 400)]).await.unwrap());
    new_messages(accept(vec![file(6, 300)]).await.unwrap());
    store.delete_device(world.account.id, world.device.id, later(9)).await.unwrap().unwrap();
    let device_id = new_device(&store, &world.account, 77).await.id;
    let again = [text(7, 1_000), file(8, 500)];
    let again = again.into_iter().map(|new| NewMessage { device_id, ..new }).collect();
    new_messages(accept(again).await.unwrap());
}

/// A message with a file and no caption.
fn inline_of(world: &World, n: u64) -> NewMessage {
    let media = Media { size: Some(1), ..Media::default() };
    let file = File { kind: ContentKind::Document, caption: "".into(), media };
    NewMessage { content: Content::File(file), ..world.text(n) }
}

pub async fn a_repeat_reads_few_bytes(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let text: Arc<str> = "a long text ".repeat(REPEATED_BYTES_MAX / 30).into();
    let messages =
        (0..5).map(|n| NewMessage { content: Content::Text(text.clone()), ..world.text(n) });
    let request = Acceptance {
        idempotency: Some(idempotency("long", 1)),
        ..world.request(messages.collect())
    };
    let made = new_messages(store.accept(request.clone()).await.unwrap());
    let Accepted::Repeated(repeated) = store.accept(request).await.unwrap() else {
        panic!("not repeated")
    };
    let ids = |messages: &[Message]| messages.iter().map(|m| m.id).collect::<Vec<_>>();
    assert_eq!(ids(&repeated), ids(&made));
    let bytes: usize = repeated.iter().map(|message| message.text().len()).sum();
    assert!((1..=REPEATED_BYTES_MAX).contains(&bytes), "{bytes}");
}

pub async fn a_missing_device_refuses_the_request(store: Arc<dyn Store>) {
    let world = World::with(Arc::clone(&store), 10).await;
    let stranger = World::with(Arc::clone(&store), 20).await;
    for device in [DeviceId(Uuid::nil()), stranger.device.id] {
        let lost = NewMessage { device_id: device, ..world.text(2) };
        let request = world.request(vec![world.text(1), lost]);
        assert!(matches!(store.accept(request).await.unwrap(), Accepted::DeviceGone));
    }
    assert!(store.outbox().await.unwrap().is_empty());
    assert_eq!(store.usage(world.account.id).await.unwrap().day_used, 0);
}

fn keyed(world: &World, n: u64, key: IdempotencyKey) -> Acceptance {
    let messages = vec![world.text(n), world.text(n + 1)];
    Acceptance { idempotency: Some(key), ..world.request(messages) }
}

pub async fn a_repeated_request_gives_the_same_messages(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let request = keyed(&world, 1, idempotency("k'\"👋", 1));
    let mut made = new_messages(store.accept(request.clone()).await.unwrap());
    let again = Acceptance { now: later(60), ..keyed(&world, 5, idempotency("k'\"👋", 1)) };
    let Accepted::Repeated(repeated) = store.accept(again.clone()).await.unwrap() else {
        panic!("not repeated")
    };
    assert_eq!(repeated, made);
    made[0] = world.record(made[0].id, &[MessageEvent::Withdrawn]).await.remove(0);
    let Accepted::Repeated(repeated) = store.accept(again).await.unwrap() else {
        panic!("not repeated")
    };
    assert_eq!(repeated, made, "as they are now");
    let key = idempotency("k'\"👋", 1);
    let looked_up = store.repeated(world.account.id, &key, later(60)).await.unwrap();
    let Some(Accepted::Repeated(looked_up)) = looked_up else { panic!("not found") };
    assert_eq!(looked_up, made);
    assert_eq!(store.usage(world.account.id).await.unwrap().day_used, 1);
    assert_eq!(store.outbox().await.unwrap().len(), 1);
}

pub async fn another_request_is_a_mismatch(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    new_messages(store.accept(keyed(&world, 1, idempotency("k", 1))).await.unwrap());
    let other = keyed(&world, 3, idempotency("k", 2));
    assert!(matches!(store.accept(other).await.unwrap(), Accepted::Mismatch));
    let account = world.account.id;
    let looked_up = |key: IdempotencyKey| {
        let store = Arc::clone(&store);
        async move { store.repeated(account, &key, later(1)).await.unwrap() }
    };
    assert!(matches!(looked_up(idempotency("k", 2)).await, Some(Accepted::Mismatch)));
    assert!(looked_up(idempotency("K", 1)).await.is_none());
    assert_eq!(store.outbox().await.unwrap().len(), 2);
}

pub async fn a_key_belongs_to_its_account_and_route(store: Arc<dyn Store>) {
    let one = World::with(Arc::clone(&store), 10).await;
    let two = World::with(Arc::clone(&store), 20).await;
    let elsewhere = IdempotencyKey { route: "POST /other".into(), ..idempotency("k", 1) };
    new_messages(store.accept(keyed(&one, 1, idempotency("k", 1))).await.unwrap());
    new_messages(store.accept(keyed(&two, 3, idempotency("k", 1))).await.unwrap());
    new_messages(store.accept(keyed(&one, 5, elsewhere)).await.unwrap());
    new_messages(store.accept(keyed(&one, 7, idempotency("K", 1))).await.unwrap());
}

pub async fn a_token_does_not_meet_the_keys_of_other_devices(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let other = new_device(&store, &world.account, 12).await.id;
    let send = async |device: DeviceId, is_token: bool, request: u8, seconds: i64| {
        let key = idempotency("k", request);
        let key = IdempotencyKey { token_of: is_token.then_some(device), ..key };
        let message = NewMessage { device_id: device, ..world.text(1) };
        let sent = Acceptance {
            idempotency: Some(key.clone()),
            now: later(seconds),
            ..world.request(vec![message])
        };
        let looked_up = store.repeated(world.account.id, &key, later(seconds)).await.unwrap();
        let accepted = store.accept(sent).await.unwrap();
        match &accepted {
            Accepted::Repeated(_) | Accepted::Mismatch => {
                let looked_up = looked_up.map(|earlier| std::mem::discriminant(&earlier));
                assert_eq!(looked_up, Some(std::mem::discriminant(&accepted)));
            }
            _ => assert!(looked_up.is_none()),
        }
        accepted
    };
    let (front, back) = (world.device.id, other);
    let first = new_messages(send(front, true, 1, 0).await);
    // Another token's request with the same key is one of its own, and is remembered.
    let second = new_messages(send(back, true, 2, 3_600).await);
    let is_repeat_of = |accepted: Accepted, messages: &[Message]| {
        let Accepted::Repeated(repeated) = accepted else { panic!("{accepted:?}") };
        assert_eq!(repeated[0].id, messages[0].id);
    };
    is_repeat_of(send(front, true, 1, 7_200).await, &first);
    is_repeat_of(send(back, true, 2, 7_200).await, &second);
    assert!(matches!(send(back, true, 3, 7_200).await, Accepted::Mismatch));
    // The account sees what the key was used for first.
    is_repeat_of(send(front, false, 1, 7_200).await, &first);
    assert!(matches!(send(back, false, 2, 7_200).await, Accepted::Mismatch));
    // It holds for a day after its own request.
    is_repeat_of(send(back, true, 2, 87_000).await, &second);
    new_messages(send(front, true, 4, 87_000).await);
    assert!(matches!(send(front, true, 1, 87_000).await, Accepted::Mismatch));
}

pub async fn an_idempotency_key_expires_after_a_day(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let at = |seconds, request| Acceptance {
        now: later(seconds),
        ..keyed(&world, 1, idempotency("k", request))
    };
    new_messages(store.accept(at(0, 1)).await.unwrap());
    assert!(matches!(store.accept(at(86_399, 1)).await.unwrap(), Accepted::Repeated(_)));
    let second = new_messages(store.accept(at(86_400, 2)).await.unwrap());
    let Accepted::Repeated(repeated) = store.accept(at(90_000, 2)).await.unwrap() else {
        panic!("the new request is not remembered")
    };
    assert_eq!(repeated, second);
    let key = idempotency("k", 2);
    // One that has waited since before; the first request is less than a day old for it.
    let Accepted::Repeated(repeated) = store.accept(at(86_399, 2)).await.unwrap() else {
        panic!("the older request is remembered in place of the new one")
    };
    assert_eq!(repeated, second);
    let looked_up = store.repeated(world.account.id, &key, later(86_399)).await.unwrap();
    assert!(matches!(looked_up, Some(Accepted::Repeated(_))), "{looked_up:?}");
    assert!(store.repeated(world.account.id, &key, later(180_000)).await.unwrap().is_none());
}

pub async fn a_refusal_is_not_remembered(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let request = keyed(&world, 1, idempotency("k", 1));
    let poor = Acceptance { plan: plan(Some(1), None).into(), ..request.clone() };
    assert!(matches!(store.accept(poor).await.unwrap(), Accepted::QuotaExhausted { .. }));
    new_messages(store.accept(request).await.unwrap());
}

fn document(media: Media) -> Content {
    Content::File(File { kind: ContentKind::Document, caption: "nota".into(), media })
}

pub async fn a_file_waits_with_its_message(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let media = Media {
        url: None,
        is_kind_given: true,
        filename: Some("nota 👋.pdf".into()),
        mimetype: Some("application/pdf".into()),
        size: Some(4),
        is_view_once: true,
        is_gif: true,
        ..Media::default()
    };
    let inline = |n: u64| NewMessage {
        content: document(media.clone()),
        inline_file: Some(RequestFile::of(&[0, 255, 10, u8::try_from(n).unwrap()])),
        ..world.text(n)
    };
    let url = Media { url: Some("https://example.com/a.jpg".into()), ..Media::default() };
    let linked = NewMessage { content: document(url.clone()), ..world.text(4) };
    let refused = Acceptance { plan: plan(Some(0), None).into(), ..world.request(vec![inline(9)]) };
    assert!(matches!(store.accept(refused).await.unwrap(), Accepted::QuotaExhausted { .. }));
    let request = world.request(vec![inline(1), inline(2), inline(3), linked]);
    let made = new_messages(store.accept(request).await.unwrap());
    assert_eq!((made[0].media(), made[3].media()), (Some(&media), Some(&url)));
    for (n, message) in (1..).zip(&made[..3]) {
        let file = store.inline_media(message.id).await.unwrap();
        assert_eq!(file, Some(WaitingFile::Blob(RequestFile::of(&[0, 255, 10, n]))));
        let read = store.message(world.account.id, message.id).await.unwrap();
        assert_eq!(read.as_ref(), Some(message));
    }
    assert_eq!(store.inline_media(made[3].id).await.unwrap(), None);
    let keys: Vec<String> = made[..3].iter().filter_map(blob_key_of).collect();
    let asked = [keys.clone(), vec!["1/of-nothing/request-x".into()]].concat();
    let waiting = async || {
        let mut found = store.waiting_files(&asked).await.unwrap();
        found.sort();
        found
    };
    assert_eq!(waiting().await, keys);
    assert!(store.waiting_files(&[]).await.unwrap().is_empty());
    use MessageEvent::{Acknowledged, AttemptFailed, Submitted, Withdrawn};
    world.record(made[0].id, &[Submitted, AttemptFailed]).await;
    assert!(store.inline_media(made[0].id).await.unwrap().is_some(), "for the next attempt");
    let sent = world.record(made[0].id, &[Submitted, Acknowledged]).await.remove(0);
    assert_eq!(store.inline_media(made[0].id).await.unwrap(), None);
    assert_eq!(store.message(world.account.id, sent.id).await.unwrap(), Some(sent.clone()));
    assert_eq!(sent.content, document(media));
    assert_eq!(waiting().await, keys[1..]);
    world.record(made[1].id, &[Withdrawn]).await;
    assert_eq!(store.inline_media(made[1].id).await.unwrap(), None);
    assert_eq!(waiting().await, keys[2..]);
    store.delete_account(world.account.id).await.unwrap();
    assert_eq!(store.inline_media(made[2].id).await.unwrap(), None);
    assert!(waiting().await.is_empty());
}

fn poll() -> Content {
    let options = vec!["Nasi \"goreng\"".into(), "Soto".into()];
    Content::Poll(Poll { question: "Makan apa?".into(), options, ..Poll::default() })
}

fn contacts() -> Content {
    let budi = Contact { name: "Budi".into(), phone: Some("62811".into()), organization: None };
    let named = Contact { name: "Ani".into(), phone: None, organization: Some("Toko".into()) };
    Content::Contacts(vec![budi, named])
}

fn answer() -> Context {
    let quote = Quote {
        whatsapp_id: WhatsappId("3EB0FF".into()),
        is_ours: Some(false),
        sender: Some(Address { phone: Some(PhoneNumber::from_digits("62811")), lid: None }),
        kind: ContentKind::Image,
        text: "look".into(),
    };
    let mentions = Mentions { people: vec!["62811".into(), "9@lid".into()], all: true };
    let at = jiff::Timestamp::UNIX_EPOCH;
    let earlier = vec![EarlierText { text: "hallo".into(), until: at }];
    let changes = Changes { edited_at: Some(at), revoked_at: Some(at), earlier };
    let (is_forwarded, is_without_preview) = (true, true);
    let sender_name = Some("Budi".into());
    let reply_to = Some(quote);
    Context { reply_to, mentions, is_forwarded, is_without_preview, changes, sender_name }
}
