use jiff::SignedDuration;
use uuid::Uuid;

use super::*;
use crate::call::Call;
use crate::chat::GroupId;
use crate::content::{ContentKind, File};
use crate::group::{GroupChange, ParticipantAction};
use crate::incoming_file::{FileState, MediaDownload};
use crate::media::Media;
use crate::message::{StateChange, whole_millis};
use crate::policy::quota::{QuotaKind, QuotaReceipt};
use crate::structured::Vote;

const AT: Timestamp = Timestamp::UNIX_EPOCH;
const DEVICE: DeviceId = DeviceId(Uuid::from_u128(7));
const API: Origin = Origin::Api(QuotaReceipt { kind: QuotaKind::Plan, remaining: 1 });

fn device(status: DeviceStatus) -> Device {
    Device {
        id: DEVICE,
        number_id: DeviceNumber(3),
        account_id: AccountId(1),
        name: "Toko".into(),
        status,
        reason: None,
        phone: None,
        lid: None,
        pacing: None,
        shown_as: crate::client::ShownAs::default(),
        proxy: None,
        media_download: MediaDownload::Auto,
        incoming: crate::device::IncomingSettings::default(),
        restricted_until: None,
        banned_until: None,
        paired_at: None,
        connected_at: None,
        last_seen_at: None,
        created_at: AT,
    }
}

fn message(origin: Origin, states: &[MessageState]) -> Message {
    let step = |(state, second): (&MessageState, i64)| StateChange {
        state: *state,
        at: AT + SignedDuration::from_secs(second),
        reason: None,
    };
    Message {
        id: MessageId(5),
        account_id: AccountId(1),
        device_id: DEVICE,
        origin,
        chat: "628111@s.whatsapp.net".into(),
        sender: None,
        content: Content::Text("halo".into()),
        context: Context::default(),
        whatsapp_id: WhatsappId("3EB0".into()),
        state: states.last().copied().unwrap_or(MessageState::Queued),
        failure: None,
        typing: false,
        priority: 0,
        attempts: 0,
        due_at: AT,
        expires_at: None,
        retry_interval_s: None,
        created_at: AT,
        history: states.iter().zip(0..).map(step).collect(),
    }
}

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(|event| event.kind).collect()
}

#[test]
fn names_lead_back() {
    for kind in EventKind::ALL {
        assert_eq!(EventKind::from_name(kind.as_str()), Some(kind));
    }
    assert_eq!(EventKind::from_name("message.lost"), None);
    use DeliveryState::{Dead, Delivered, Pending};
    for (state, name) in [(Pending, "pending"), (Delivered, "delivered"), (Dead, "dead")] {
        assert_eq!((state.as_str(), DeliveryState::from_name(name)), (name, Some(state)));
    }
    assert_eq!(DeliveryState::from_name("lost"), None);
}

#[test]
fn what_a_plan_must_include() {
    for kind in EventKind::ALL {
        let feature = match kind.as_str() {
            "message.received" | "message.edited" | "message.revoked" | "contact.identified"
            | "call.received" | "group.updated" | "group.participants" => Feature::IncomingWebhook,
            name if name.starts_with("device.") => Feature::DowntimeNotification,
            _ => Feature::AdvanceWebhook,
        };
        assert_eq!(kind.feature(), feature, "{kind:?}");
    }
}

#[test]
fn a_webhook_gets_what_it_asks_for_and_the_plan_includes() {
    let hook = Webhook {
        id: WebhookId(1),
        account_id: AccountId(1),
        device_id: Some(DEVICE),
        url: "https://hook.example".into(),
        format: FormatName("gerbang".into()),
        events: vec![EventKind::MessageReceived],
        secret: SealedSecret(Vec::new()),
        disabled: None,
        created_at: AT,
    };
    let plan = |name| Plan::built_in().into_iter().find(|plan| plan.name == name).unwrap();
    let wants = |hook: &Webhook, plan_name| {
        let plan = plan(plan_name);
        let other = DeviceId(Uuid::from_u128(8));
        [
            hook.wants(EventKind::MessageReceived, DEVICE, &plan),
            hook.wants(EventKind::MessageReceived, other, &plan),
            hook.wants(EventKind::MessageSent, DEVICE, &plan),
        ]
    };
    assert_eq!(wants(&hook, "unlimited"), [true, false, false]);
    assert_eq!(wants(&hook, "free"), [false; 3], "its plan has no webhooks");
    let of_all = Webhook { device_id: None, ..hook.clone() };
    assert_eq!(wants(&of_all, "unlimited"), [true, true, false]);
    let disabled = Webhook { disabled: Some("it never answers".into()), ..of_all };
    assert_eq!(wants(&disabled, "unlimited"), [false; 3]);
}

#[test]
fn events_of_a_message_are_its_new_steps() {
    use MessageState::{Delivered, Queued, Read, Sent};
    let of = |origin, states: &[MessageState], since| {
        let events = Event::of_message(
            &message(origin, states),
            &(&device(DeviceStatus::Connected)).into(),
            since,
        );
        kinds(&events)
    };
    let sent = &[Queued, Sent, Delivered, Read];
    use EventKind::{MessageDelivered, MessageRead, MessageReceived, MessageSent};
    assert_eq!(of(API, sent, 0), [MessageSent, MessageDelivered, MessageRead]);
    assert_eq!(of(API, sent, 3), [MessageRead]);
    assert_eq!(of(API, sent, 4), []);
    assert_eq!(of(Origin::Phone, sent, 0), [], "it was not sent by us");
    assert_eq!(of(Origin::Incoming, &[Delivered, Read], 0), [MessageReceived], "once");
}

#[test]
fn an_edit_and_a_deletion_are_events_and_a_vote_is_none() {
    let message = message(Origin::Incoming, &[MessageState::Delivered]);
    let of = |change| {
        let amendment = Amendment {
            chat: message.chat.clone(),
            whatsapp_id: message.whatsapp_id.clone(),
            author: None,
            change,
            at: AT,
        };
        let device = (&device(DeviceStatus::Connected)).into();
        Event::of_change(&message, &device, &amendment).map(|event| event.kind)
    };
    let edited = Change::Edited { text: "hai".into(), mentions: None };
    assert_eq!(of(edited), Some(EventKind::MessageEdited));
    assert_eq!(of(Change::Revoked), Some(EventKind::MessageRevoked));
    let vote = Vote { voter: String::new(), digests: Vec::new(), at: AT };
    assert_eq!(of(Change::Voted(vote)), None);
}

#[test]
fn a_device_reports_what_is_news() {
    use DeviceStatus::{Connected, Connecting, Disconnected, LoggedOut, Pairing, Unpaired};
    use EventKind::{DeviceConnected, DeviceDisconnected, DeviceLoggedOut, DevicePaired};
    let of = |before, change: &StatusChange| {
        kinds(&Event::of_device(before, &device(change.status), change))
    };
    let cases: [(_, _, &[EventKind]); 14] = [
        (Pairing, Connected, &[DeviceConnected]),
        (Connecting, Connected, &[DeviceConnected]),
        (Connected, Connected, &[]),
        (Connected, Connecting, &[DeviceDisconnected]),
        (Disconnected, Connecting, &[]),
        (Unpaired, Connecting, &[]),
        (Connected, Disconnected, &[DeviceDisconnected]),
        (Connecting, Disconnected, &[DeviceDisconnected]),
        (Disconnected, Disconnected, &[]),
        (Pairing, Disconnected, &[]),
        (Connected, LoggedOut, &[DeviceLoggedOut]),
        (Disconnected, LoggedOut, &[DeviceLoggedOut]),
        (LoggedOut, LoggedOut, &[]),
        (LoggedOut, Pairing, &[]),
    ];
    for (before, after, expected) in cases {
        assert_eq!(of(before, &StatusChange::new(after, AT)), expected, "{before:?} {after:?}");
    }
    let phone = PhoneNumber::from_digits("628111");
    let linked = Some(crate::device::LinkedNumber { phone, lid: None });
    let paired = StatusChange { linked, ..StatusChange::new(Connected, AT) };
    assert_eq!(of(Pairing, &paired), [DevicePaired, DeviceConnected]);
}

#[test]
fn order_counts_within_a_chat_or_a_device() {
    let device = device(DeviceStatus::Connected);
    let written = message(API, &[MessageState::Sent]);
    let sent = Event::of_message(&written, &(&device).into(), 0).remove(0);
    let change = StatusChange::new(DeviceStatus::Connected, AT);
    let connected = Event::of_device(DeviceStatus::Connecting, &device, &change).remove(0);
    let identity =
        Identity { phone: PhoneNumber::from_digits("628111"), lid: Lid::from_user("200") };
    let from = Address { phone: Some(PhoneNumber::from_digits("628222")), lid: None };
    let call = Call {
        id: "c1".into(),
        from,
        is_video: false,
        is_group: false,
        at: AT,
        reference: String::new(),
    };
    let chat = format!("{DEVICE}/628111@s.whatsapp.net");
    for (event, lane) in [
        (sent, chat.clone()),
        (connected, DEVICE.to_string()),
        (Event::of_contact(identity, &device, AT), chat),
        (Event::of_call(CallReport::of(&call, false), &device), format!("{DEVICE}/call 628222")),
        (group_event(GroupChange::Locked(true)), format!("{DEVICE}/120363@g.us")),
    ] {
        assert_eq!(event.lane(), lane, "{:?}", event.kind);
    }
}

fn group_event(change: GroupChange) -> Event {
    let group = GroupId::from_user("120363");
    let report = GroupReport { id: "g1".into(), group, by: None, change, at: AT };
    Event::of_group(report, &device(DeviceStatus::Connected))
}

#[test]
fn who_is_in_a_group_is_an_event_of_its_own() {
    let joined = GroupChange::Participants(ParticipantAction::Add, Vec::new());
    assert_eq!(group_event(joined).kind, EventKind::GroupParticipants);
    assert_eq!(group_event(GroupChange::Name("Arisan".into())).kind, EventKind::GroupUpdated);
}

struct Links;

impl MediaLinks for Links {
    fn url(&self, account: AccountId, message: MessageId, _: Timestamp) -> String {
        format!("https://gerbang.example/{account}/{message}")
    }

    fn read(&self, _: &str, _: Timestamp) -> Option<(AccountId, MessageId)> {
        None
    }
}

#[test]
fn an_event_names_the_address_of_a_file_that_came_in() {
    let media = Media { state: Some(FileState::Stored), ..Media::default() };
    let file = File { kind: ContentKind::Image, caption: "".into(), media };
    let received = Message {
        content: Content::File(file),
        ..message(Origin::Incoming, &[MessageState::Delivered])
    };
    let device = (&device(DeviceStatus::Connected)).into();
    let mut event = Event::of_message(&received, &device, 0).remove(0);
    event.link_file(&Links);
    let Subject::Message(linked) = &event.subject else { panic!("a message") };
    let url = linked.content.media().and_then(|media| media.url.as_deref());
    assert_eq!(url, Some("https://gerbang.example/1/5"));
}

#[test]
fn what_has_ended_since_then_is_replayed() {
    use DeliveryState::{Dead, Delivered, Pending};
    let written = message(API, &[MessageState::Sent]);
    let device = (&device(DeviceStatus::Connected)).into();
    let event = Event::of_message(&written, &device, 0).remove(0);
    let delivery = |state, second| Delivery {
        id: crate::ids::DeliveryId(1),
        webhook_id: WebhookId(1),
        event: event.clone(),
        state,
        attempts: 1,
        due_at: AT,
        last_status: None,
        last_error: None,
        created_at: AT + SignedDuration::from_secs(second),
        ended_at: None,
    };
    let since = AT + SignedDuration::from_secs(10);
    for (state, second, of_dead, of_all) in [
        (Dead, 9, false, false),
        (Dead, 10, true, true),
        (Dead, 11, true, true),
        (Delivered, 9, false, false),
        (Delivered, 11, false, true),
        (Pending, 11, false, false),
    ] {
        for (includes_delivered, expected) in [(false, of_dead), (true, of_all)] {
            let range = ReplayRange { since, includes_delivered };
            let is_included = range.includes(&delivery(state, second));
            assert_eq!(is_included, expected, "{state:?} {second} {includes_delivered}");
        }
    }
}

#[test]
fn more_is_kept_of_an_answer_that_refuses() {
    let took = std::time::Duration::from_millis(12);
    let at = AT + SignedDuration::from_nanos(1_999_999);
    for (status, success, kept) in [
        (None, false, 2_000),
        (Some(199), false, 2_000),
        (Some(200), true, 200),
        (Some(299), true, 200),
        (Some(300), false, 2_000),
        (Some(500), false, 2_000),
    ] {
        let body = "\0é".repeat(3_000).into_bytes();
        let answer =
            crate::ports::WebhookAnswer { status, retry_after: None, error: None, took, body };
        assert_eq!(answer.is_success(), success, "{status:?}");
        let tried = DeliveryTry::of(&answer, at);
        assert_eq!((tried.answer, tried.ms), ("é".repeat(kept), 12), "{status:?}");
        assert_eq!(tried.at, whole_millis(at));
    }
}
