//! What happens to messages after they were accepted.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::content::{Content, ContentKind, File};
use domain::ids::{DeviceId, MessageId};
use domain::media::{FileFacts, Media};
use domain::message::{Failure, Message, MessageEvent, MessageState, NewMessage, Receipt};
use domain::policy::quota::Period;
use domain::ports::{Acceptance, Progress, Store};
use uuid::Uuid;

use super::lists::incoming;
use super::{NOW, TODAY, World, later, messages_of, new_messages, progress, stored};
use MessageEvent::{Acknowledged, AttemptFailed, Expired, Failed, Submitted, Withdrawn};

async fn scheduled(world: &World) -> Message {
    let later = NewMessage { due_at: later(5), is_scheduled: true, ..world.text(1) };
    new_messages(world.store.accept(world.request(vec![later])).await.unwrap()).remove(0)
}

fn states(message: &Message) -> Vec<MessageState> {
    message.history.iter().map(|change| change.state).collect()
}

pub async fn an_acknowledged_message_moves_to_the_history(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let waiting = world.send(1).await;
    let recorded = world.record(waiting.id, &[Submitted, Acknowledged]).await;
    let sent = recorded[0].clone();
    use MessageState::{Queued, Sending, Sent};
    assert_eq!((sent.state, states(&sent)), (Sent, vec![Queued, Sending, Sent]));
    assert_eq!((sent.attempts, sent.reached(Sent)), (1, Some(stored(later(10)))));
    let history = sent.history.clone();
    assert_eq!(Message { state: Sent, attempts: 1, history, ..waiting }, sent);
    assert!(store.waiting_message(sent.id).await.unwrap().is_none());
    assert!(store.outbox().await.unwrap().is_empty());
    assert_eq!(store.message(world.account.id, sent.id).await.unwrap(), Some(sent));
    assert_eq!(store.usage(world.account.id).await.unwrap().day_used, 1, "paid");
}

pub async fn a_failed_attempt_waits_for_the_next(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.send(1).await.id;
    let failure = Failure::new("timeout", "no answer 👋");
    let failed = Progress {
        failure: Some(failure.clone()),
        next_attempt_at: Some(later(40)),
        ..progress(id, &[Submitted, AttemptFailed])
    };
    let message = messages_of(store.record(vec![failed.clone()]).await.unwrap()).remove(0);
    assert_eq!((message.state, message.attempts), (MessageState::Queued, 1));
    assert_eq!((message.due_at, message.failure.as_ref()), (stored(later(40)), Some(&failure)));
    assert_eq!(message.history.last().unwrap().reason.as_deref(), Some("no answer 👋"));
    assert_eq!(store.waiting_message(id).await.unwrap(), Some(message));
    messages_of(store.record(vec![failed]).await.unwrap());
    let sent = world.record(id, &[Submitted, Acknowledged]).await.remove(0);
    assert_eq!((sent.state, sent.attempts, sent.failure), (MessageState::Sent, 3, None));
    let postponed = Progress { next_attempt_at: Some(later(99)), ..progress(id, &[]) };
    assert!(
        messages_of(store.record(vec![postponed.clone()]).await.unwrap()).is_empty(),
        "it has left"
    );
    let id = world.send(2).await.id;
    let message =
        messages_of(store.record(vec![Progress { id, ..postponed }]).await.unwrap()).remove(0);
    assert_eq!((message.due_at, message.attempts), (stored(later(99)), 0));
    assert_eq!(store.outbox().await.unwrap()[0].due_at, stored(later(99)));
}

pub async fn a_scheduled_message_becomes_due_first(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let message = scheduled(&world).await;
    let sent = world.record(message.id, &[Submitted, Acknowledged]).await.remove(0);
    use MessageState::{Queued, Scheduled, Sending, Sent};
    assert_eq!(states(&sent), [Scheduled, Queued, Sending, Sent]);
    assert_eq!(sent.reached(Queued), Some(stored(later(5))));
}

pub async fn a_withdrawn_message_keeps_its_schedule(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let message = scheduled(&world).await;
    let cancelled = world.record(message.id, &[Withdrawn]).await.remove(0);
    assert_eq!(states(&cancelled), [MessageState::Scheduled, MessageState::Cancelled]);
    let message = scheduled(&world).await;
    let expired = world.record(message.id, &[Expired]).await.remove(0);
    assert_eq!(states(&expired), [MessageState::Scheduled, MessageState::Expired]);
}

pub async fn unsent_messages_are_refunded(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let ends = [
        (Withdrawn, MessageState::Cancelled),
        (Expired, MessageState::Expired),
        (Failed, MessageState::Failed),
    ];
    for (n, (event, state)) in (1..).zip(ends) {
        world.sent(10 * n).await;
        let id = world.send(n).await.id;
        let failure = Some(Failure::new("why", "words"));
        let end = Progress { failure: failure.clone(), ..progress(id, &[event]) };
        let ended = messages_of(store.record(vec![end]).await.unwrap()).remove(0);
        assert_eq!((ended.state, &ended.failure), (state, &failure));
        assert_eq!(store.message(world.account.id, id).await.unwrap(), Some(ended));
        let usage = store.usage(world.account.id).await.unwrap();
        assert_eq!(
            (usage.day_used, usage.month_used),
            (i64::try_from(n).unwrap(), i64::try_from(n).unwrap())
        );
        assert!(world.record(id, &[Acknowledged]).await.is_empty(), "it has ended");
    }
}

pub async fn a_refund_stays_in_its_period(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let old = world.send(1).await;
    let period = Period { day: TODAY.day + 1, ..TODAY };
    let next_day = Acceptance { period, ..world.request(vec![world.text(2)]) };
    new_messages(store.accept(next_day).await.unwrap());
    world.record(old.id, &[Withdrawn]).await;
    let usage = store.usage(world.account.id).await.unwrap();
    assert_eq!((usage.period, usage.day_used, usage.month_used), (period, 1, 1));
}

pub async fn an_unended_attempt_is_queued_again(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.send(1).await.id;
    let message = world.record(id, &[Submitted]).await.remove(0);
    assert_eq!((message.state, message.attempts), (MessageState::Queued, 1));
    assert_eq!(store.waiting_message(id).await.unwrap(), Some(message));
}

pub async fn unknown_messages_are_skipped(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = world.send(1).await.id;
    let unknown = progress(MessageId(id.0 + 1_000), &[Withdrawn]);
    let known = progress(id, &[Withdrawn]);
    let recorded = messages_of(store.record(vec![unknown, known]).await.unwrap());
    assert_eq!(recorded.iter().map(|message| message.id).collect::<Vec<_>>(), [id]);
    assert!(messages_of(store.record(vec![]).await.unwrap()).is_empty());
}

pub async fn several_messages_are_recorded_together(store: Arc<dyn Store>) {
    let one = World::with(Arc::clone(&store), 10).await;
    let two = World::with(Arc::clone(&store), 20).await;
    let mut all = Vec::new();
    for n in 0..50 {
        let world = if n % 2 == 0 { &one } else { &two };
        let steps: &[MessageEvent] = match n % 3 {
            0 => &[Submitted, Acknowledged],
            1 => &[Submitted, AttemptFailed],
            _ => &[Withdrawn],
        };
        all.push(progress(world.send(n).await.id, steps));
    }
    let recorded = messages_of(store.record(all).await.unwrap());
    assert_eq!(recorded.len(), 50);
    assert_eq!(store.outbox().await.unwrap().len(), 17);
    for world in [&one, &two] {
        let cancelled = recorded.iter().filter(|message| {
            message.account_id == world.account.id && message.state == MessageState::Cancelled
        });
        let used = store.usage(world.account.id).await.unwrap().day_used;
        assert_eq!(used, 25 - i64::try_from(cancelled.count()).unwrap());
    }
}

pub async fn receipts_only_move_forward(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let (one, two) = (world.sent(1).await, world.sent(2).await);
    let waiting = world.send(3).await;
    let ids = [&one, &two, &waiting].map(|message| message.whatsapp_id.clone());
    let record = async |device: DeviceId, count: usize, receipt, seconds| {
        messages_of(
            store.record_receipts(device, &ids[..count], receipt, later(seconds)).await.unwrap(),
        )
    };
    let device = world.device.id;
    assert_eq!(record(device, 1, Receipt::Read, 20).await[0].state, MessageState::Read);
    let changed = record(device, 3, Receipt::Delivered, 21).await;
    assert_eq!(changed.iter().map(|message| message.id).collect::<Vec<_>>(), [two.id]);
    assert!(record(DeviceId(Uuid::nil()), 3, Receipt::Played, 22).await.is_empty());
    assert!(record(device, 2, Receipt::Delivered, 23).await.is_empty());
    assert_eq!(record(device, 2, Receipt::Played, 24).await.len(), 2);
    let read = store.message(world.account.id, one.id).await.unwrap().unwrap();
    assert_eq!(read.state, MessageState::Played);
    assert_eq!(read.reached(MessageState::Read), Some(stored(later(20))));
    assert_eq!(store.message(world.account.id, waiting.id).await.unwrap(), Some(waiting));
    assert!(
        messages_of(store.record_receipts(device, &[], Receipt::Read, NOW).await.unwrap())
            .is_empty()
    );
}

pub async fn receipts_leave_incoming_messages_alone(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let device = world.device.id;
    let received =
        messages_of(store.receive(device, vec![incoming("X1", "6281")], NOW).await.unwrap());
    let ids = [received[0].whatsapp_id.clone()];
    let changed =
        messages_of(store.record_receipts(device, &ids, Receipt::Read, NOW).await.unwrap());
    assert!(changed.is_empty());
    let read = store.message(world.account.id, received[0].id).await.unwrap();
    assert_eq!(read.as_ref(), received.first());
}

pub async fn contacts_are_those_written_to(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let device = world.device.id;
    let (first, second, third) = (world.sent(1).await, world.sent(2).await, world.send(3).await);
    world.sent(1).await;
    world.record(third.id, &[Withdrawn]).await;
    messages_of(store.receive(device, vec![incoming("X1", "6289")], NOW).await.unwrap());
    let (mut chats, new) = store.contacts(device, later(10)).await.unwrap();
    chats.sort_unstable();
    assert_eq!((chats, new), (vec![first.chat, second.chat], 2));
    assert_eq!(store.contacts(device, later(11)).await.unwrap().1, 0);
    assert!(store.contacts(DeviceId(Uuid::nil()), NOW).await.unwrap().0.is_empty());
}

pub async fn a_guessed_kind_is_corrected(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let guess = File {
        kind: ContentKind::Document,
        caption: "look".into(),
        media: Media { url: Some("https://example.com/a".into()), ..Media::default() },
    };
    let content = Content::File(guess);
    let id = world.accept(NewMessage { content, ..world.text(1) }).await.id;
    let facts = FileFacts {
        kind: ContentKind::Image,
        filename: None,
        mimetype: "image/png".into(),
        size: 7,
        seconds: None,
        dimensions: Some((2, 3)),
        pages: None,
    };
    let file = Some(Box::new(facts));
    let image = Progress { file: file.clone(), ..progress(id, &[Submitted, AttemptFailed]) };
    let waiting = messages_of(store.record(vec![image]).await.unwrap()).remove(0);
    assert_eq!(waiting.kind(), ContentKind::Image);
    let media = waiting.content.media().unwrap();
    assert_eq!(
        (&media.mimetype, media.size),
        (&None, None),
        "it is tried again as it was asked for"
    );
    assert_eq!(store.waiting_message(id).await.unwrap(), Some(waiting));
    let sent = Progress { file, ..progress(id, &[Submitted, Acknowledged]) };
    let sent = messages_of(store.record(vec![sent]).await.unwrap()).remove(0);
    assert_eq!(sent.kind(), ContentKind::Image);
    let media = sent.content.media().unwrap();
    assert_eq!((media.mimetype.as_deref(), media.size), (Some("image/png"), Some(7)));
    assert_eq!(media.dimensions, Some((2, 3)));
    assert_eq!(store.message(world.account.id, id).await.unwrap(), Some(sent));
}
