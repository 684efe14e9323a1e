//! What comes in: messages that are read unasked, calls that are rejected, groups that change, files that waited.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use domain::call::Call as IncomingCall;
use domain::chat::{ChatId, GroupId};
use domain::content::{Content, ContentKind, File};
use domain::context::{Context, Quote};
use domain::device::{DeviceStatus, DisconnectReason, Group};
use domain::group::{
    GroupAnswer, GroupChange, GroupDetails, GroupReport, GroupRequest, GroupRole, Participant,
    ParticipantAction,
};
use domain::ids::{DeviceId, WhatsappId};
use domain::incoming_file::{FileOutcome, FileReference, FileState};
use domain::media::Media;
use domain::message::{Address, IncomingMessage, MessageState, ReceivedOrigin};
use domain::phone::PhoneNumber;
use domain::ports::{
    ChatFilter, ChatStore, Clock, FileStore, MessageFilter, MessageStore, MessengerEvent,
    MessengerEvents, PageRequest,
};
use domain::service::DeviceChange;
use domain::webhook::{Event, EventKind, Subject};
use futures_util::StreamExt as _;
use testkit::scripted_messenger::Call;

use crate::test_gateway::TestGateway;

const BUDI: &str = "628222000222";
const GROUP: &str = "120363000000000001@g.us";
const PAGE: PageRequest = PageRequest { before: None, limit: 50 };

fn budi() -> Address {
    Address { phone: Some(PhoneNumber::from_digits(BUDI)), lid: None }
}

fn message(gateway: &TestGateway, id: &str, content: Content) -> IncomingMessage {
    IncomingMessage {
        whatsapp_id: WhatsappId(id.into()),
        chat: ChatId::Person(PhoneNumber::from_digits(BUDI)),
        sender: budi(),
        origin: ReceivedOrigin::Incoming,
        content,
        context: Context::default(),
        at: gateway.clock.now(),
    }
}

async fn change(gateway: &TestGateway, device: DeviceId, change: DeviceChange) {
    gateway.core.update_device(&gateway.principal, device, change).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_device_reads_at_once_if_it_is_set_to() {
    let (gateway, device) = TestGateway::with_device().await;
    let text = |id: &str| message(&gateway, id, Content::Text("Halo".into()));
    let reaction = message(&gateway, "R1", Content::Reaction("👍".into()));
    gateway.engine.received(device, vec![text("M0")]).await.unwrap();
    let reads = DeviceChange { reads_at_once: Some(true), ..DeviceChange::default() };
    change(&gateway, device, reads).await;
    gateway.engine.received(device, vec![text("M1"), reaction, text("M2")]).await.unwrap();
    let states = gateway
        .until(async || {
            let filter = MessageFilter::default();
            let page = gateway.store.messages(gateway.account, &filter, PAGE).await.unwrap();
            let state = |id: &str| {
                let mut all = page.items.iter();
                all.find(|one| one.whatsapp_id.as_str() == id).map(|one| one.state)
            };
            let states = ["M0", "M1", "M2", "R1"].map(state);
            (states[1] == Some(MessageState::Read)).then_some(states)
        })
        .await;
    let (delivered, read) = (Some(MessageState::Delivered), Some(MessageState::Read));
    assert_eq!(states, [delivered, read, read, delivered], "what came before stays, and reactions");
    let reads = gateway.messenger.calls().into_iter().filter_map(|call| match call {
        Call::MarkRead(of, ids) => Some((of, ids)),
        _ => None,
    });
    let ids = ["M1", "M2"].map(|id| WhatsappId(id.into())).to_vec();
    assert_eq!(reads.collect::<Vec<_>>(), [(device, ids)]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_came_is_counted_once() {
    let (gateway, device) = TestGateway::with_device().await;
    let text = || Content::Text("Halo".into());
    let counted = || {
        let stats = gateway.engine.stats();
        (stats.received.load(Relaxed), stats.unreadable.load(Relaxed))
    };
    let came = async |id, content| {
        let message = message(&gateway, id, content);
        gateway.engine.received(device, vec![message]).await.unwrap();
    };
    came("M1", Content::unreadable()).await;
    came("M2", text()).await;
    assert_eq!(counted(), (2, 1));
    // It comes after all, it comes again, and it is edited.
    came("M1", text()).await;
    came("M2", text()).await;
    let mut edit = message(&gateway, "E1", Content::Edit("Halo!".into()));
    edit.context.reply_to = Some(Quote {
        whatsapp_id: WhatsappId("M2".into()),
        is_ours: Some(false),
        sender: Some(budi()),
        kind: ContentKind::Text,
        text: String::new(),
    });
    gateway.engine.received(device, vec![edit]).await.unwrap();
    assert_eq!(counted(), (2, 1));
}

fn call(gateway: &TestGateway, id: &str, is_group: bool) -> MessengerEvent {
    MessengerEvent::Call(IncomingCall {
        id: id.into(),
        from: budi(),
        is_video: false,
        is_group,
        at: gateway.clock.now(),
        reference: String::new(),
    })
}

/// Waits for the next call that is reported: whether it was rejected.
async fn reported(events: &mut (impl futures_util::Stream<Item = Event> + Unpin)) -> bool {
    loop {
        let event = events.next().await.unwrap();
        if let Subject::Call(report) = event.subject {
            return report.is_rejected;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_rejects_calls_and_answers_them_if_it_is_set_to() {
    use domain::ports::Dispatcher as _;
    let (gateway, device) = TestGateway::with_device().await;
    let mut events = gateway.engine.watch_account(gateway.account);
    gateway.messenger.emit(device, call(&gateway, "C1", false));
    assert!(!reported(&mut events).await);
    let rejects = DeviceChange { rejects_calls: Some(true), ..DeviceChange::default() };
    change(&gateway, device, rejects).await;
    gateway.messenger.emit(device, call(&gateway, "C2", false));
    assert!(reported(&mut events).await);
    let text = Some(Some("Tulis saja, ya".to_owned()));
    let answers = DeviceChange { reject_text: text, ..DeviceChange::default() };
    change(&gateway, device, answers).await;
    gateway.messenger.emit(device, call(&gateway, "G1", true));
    assert!(reported(&mut events).await);
    // One that is reported again is answered once.
    for _ in 0..2 {
        gateway.messenger.emit(device, call(&gateway, "C3", false));
        assert!(reported(&mut events).await);
    }
    let sent = gateway.messenger.until_sent(1).await;
    assert_eq!(sent[0].1.chat.short(), BUDI);
    // Who rings again and again is sent one text in ten minutes.
    for id in ["C4", "C5", "C6"] {
        gateway.messenger.emit(device, call(&gateway, id, false));
        assert!(reported(&mut events).await);
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    gateway.messenger.emit(device, call(&gateway, "C7", false));
    gateway.messenger.until_sent(2).await;
    assert_eq!(gateway.texts(), ["Tulis saja, ya"; 2]);
    let rejected = gateway.messenger.calls().into_iter().filter_map(|call| match call {
        Call::RejectCall(_, id) => Some(id),
        _ => None,
    });
    assert_eq!(rejected.collect::<Vec<_>>(), ["C2", "G1", "C3", "C3", "C4", "C5", "C6", "C7"]);
}

fn details(is_announcement: bool, role: GroupRole) -> GroupAnswer {
    let own = Address { phone: Some(PhoneNumber::from_digits("62811")), lid: None };
    GroupAnswer::Details(Box::new(GroupDetails {
        group: Group { id: GroupId::from_jid(GROUP), name: "Tim".into() },
        description: None,
        creator: None,
        created_at: None,
        is_announcement,
        is_locked: false,
        is_community: false,
        community: None,
        ephemeral_s: 604_800,
        participants: vec![Participant { who: own, role }],
    }))
}

#[tokio::test(start_paused = true)]
async fn a_group_is_asked_once_and_again_when_what_the_number_may_do_has_changed() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.set_group_answer(Ok(details(false, GroupRole::Member)));
    let in_group = |id: &str| {
        let text = message(&gateway, id, Content::Text("Halo".into()));
        IncomingMessage { chat: ChatId::Group(GroupId::from_jid(GROUP)), ..text }
    };
    let shown = async |can_send: bool| {
        gateway
            .until(async || {
                let page = gateway
                    .store
                    .chats(gateway.account, &ChatFilter::default(), PAGE)
                    .await
                    .unwrap();
                let chat = page.items.into_iter().next()?;
                let is_so = chat.name.is_some() && chat.can_send() == can_send;
                is_so.then_some((chat.name, chat.ephemeral_s))
            })
            .await
    };
    gateway.engine.received(device, vec![in_group("M1")]).await.unwrap();
    assert_eq!(shown(true).await, (Some("Tim".into()), 604_800));
    gateway.engine.received(device, vec![in_group("M2")]).await.unwrap();
    let report = |id: &str, change| {
        let (id, group, at) = (id.into(), GroupId::from_jid(GROUP), gateway.clock.now());
        MessengerEvent::GroupChanged(GroupReport { id, group, by: Some(budi()), change, at })
    };
    gateway.messenger.emit(device, report("1", GroupChange::Name("Regu".into())));
    gateway.messenger.set_group_answer(Ok(details(true, GroupRole::Member)));
    gateway.messenger.emit(device, report("2", GroupChange::Announcement(true)));
    shown(false).await;
    gateway.messenger.set_group_answer(Ok(details(true, GroupRole::Admin)));
    let own = Address { phone: Some(PhoneNumber::from_digits("62811")), lid: None };
    let promoted = GroupChange::Participants(ParticipantAction::Promote, vec![own.clone()]);
    gateway.messenger.emit(device, report("3", promoted));
    shown(true).await;
    let gone = domain::message::Failure::new(domain::message::Failure::GROUP_NOT_AVAILABLE, "x");
    gateway.messenger.set_group_answer(Err(domain::ports::SendError::Permanent(gone)));
    let removed = GroupChange::Participants(ParticipantAction::Remove, vec![own]);
    gateway.messenger.emit(device, report("4", removed));
    shown(false).await;
    let asked = gateway
        .messenger
        .calls()
        .into_iter()
        .filter(|call| matches!(call, Call::Group(of, GroupRequest::Show(_)) if *of == device));
    assert_eq!(asked.count(), 4, "once at first, and for each change that concerns the number");
}

#[tokio::test(start_paused = true)]
async fn a_group_to_which_a_message_has_gone_is_asked_what_it_is_called() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.set_group_answer(Ok(details(false, GroupRole::Member)));
    for text in ["one", "two"] {
        let message = gateway.send(device, GROUP, text).await;
        gateway.until_state(message.id, MessageState::Sent).await;
    }
    let name = async || {
        let chats = gateway.store.chats(gateway.account, &ChatFilter::default(), PAGE).await;
        chats.unwrap().items.into_iter().next()?.name
    };
    assert_eq!(gateway.until(name).await, "Tim");
    let is_question = |call: &Call| matches!(call, Call::Group(_, GroupRequest::Show(_)));
    let asked = gateway.messenger.calls().into_iter().filter(is_question);
    assert_eq!(asked.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn files_that_waited_for_their_device_are_due_when_it_connects() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    gateway.until_status(device, DeviceStatus::Disconnected).await;
    let reference = Some(FileReference(b"where it is".as_slice().into()));
    let media = Media { reference, state: Some(FileState::Pending), ..Media::default() };
    let file = File { kind: ContentKind::Image, caption: "".into(), media };
    let with_file = message(&gateway, "F1", Content::File(file));
    let now = gateway.clock.now();
    // Stored without the engine, which would try at once.
    let new = gateway.store.receive(device, vec![with_file], now).await.unwrap();
    let id = new[0].message.id;
    let later = now.saturating_add(Duration::from_secs(900)).unwrap();
    let again = FileOutcome::Again { at: later, counts: false, reason: "x".into() };
    gateway.store.record_file(id, again, u64::MAX, now).await.unwrap();
    assert_eq!(gateway.store.due_files(now, 9, &[]).await.unwrap(), []);
    gateway.messenger.go_online(device);
    gateway
        .until(async || {
            let file = gateway.store.file(gateway.account, id).await.unwrap().unwrap();
            // What this test has stored cannot be opened.
            (file.state == FileState::Failed).then_some(())
        })
        .await;
    assert!(gateway.clock.now() < later, "it was tried before its time");
}

#[tokio::test(start_paused = true)]
async fn older_messages_make_no_events_and_are_not_read_unasked() {
    use domain::ports::Dispatcher as _;
    let (gateway, device) = TestGateway::with_device().await;
    let reads = DeviceChange { reads_at_once: Some(true), ..DeviceChange::default() };
    change(&gateway, device, reads).await;
    let mut events = gateway.engine.watch_account(gateway.account);
    let old = ["H2", "H1"].map(|id| message(&gateway, id, Content::Text(id.into()))).to_vec();
    assert_eq!(gateway.engine.history(device, old.clone()).await.unwrap(), 2);
    assert_eq!(gateway.engine.history(device, old).await.unwrap(), 0);
    gateway.messenger.emit(device, call(&gateway, "C1", false));
    let first = events.next().await.unwrap();
    assert_eq!(first.kind, EventKind::CallReceived, "the first of all");
    let read = |call: &Call| matches!(call, Call::MarkRead(..));
    assert!(!gateway.messenger.calls().iter().any(read));
}
