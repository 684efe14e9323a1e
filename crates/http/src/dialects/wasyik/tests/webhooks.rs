//! Webhooks of this dialect: what is response, and what is not.

use domain::chat::{ChatId, Lid};
use domain::content::{Contact, Content, ContentKind, File, Location};
use domain::context::Context;
use domain::device::DeviceStatus;
use domain::ids::{AccountId, DeviceId, DeviceNumber, MessageId, WhatsappId};
use domain::media::Media;
use domain::message::{Address, Direction, MessageState};
use domain::phone::PhoneNumber;
use domain::ports::{EventFormats, WebhookRequest};
use domain::service::NewWebhookRequest;
use domain::structured::{Answer, AnswerKind, LiveLocation, Structured, Unnamed};
use domain::webhook::{
    Event, EventDevice, EventKind, EventMessage, EventStatus, FormatName, Subject,
};
use jiff::Timestamp;

use crate::formats::Formats;
use crate::tests::app::App;

const DEVICE: &str = "11111111-2222-4333-8444-555555555555";
const SECRET: &str = "the webhook's secret";

fn encoded(event: &Event, secret: &str) -> Option<WebhookRequest> {
    let format = FormatName("wasyik".to_owned());
    Formats.encode(
        &format,
        "https://shop.example/hook",
        event,
        secret.into(),
        Timestamp::UNIX_EPOCH,
    )
}

fn event(kind: EventKind, subject: Subject) -> Event {
    Event {
        id: "evt_1".to_owned(),
        kind,
        at: "2026-03-28T16:00:00Z".parse().unwrap(),
        account_id: AccountId(1),
        device: EventDevice {
            id: DeviceId(DEVICE.parse().unwrap()),
            number_id: DeviceNumber(7),
            name: "CS 1".to_owned(),
            phone: Some(PhoneNumber::from_digits("628123000000")),
            lid: Some(Lid::from_user("99")),
        },
        subject,
    }
}

fn message(text: &str) -> EventMessage {
    let phone = PhoneNumber::from_digits("628987600000");
    EventMessage {
        id: MessageId(1),
        whatsapp_id: WhatsappId("3EB0CABA1D0D7BFC2500".to_owned()),
        direction: Direction::In,
        chat: ChatId::Person(phone.clone()),
        sender: Some(Address { phone: Some(phone), lid: None }),
        context: Context::default(),
        content: Content::Text(text.into()),
        state: MessageState::Delivered,
        failure: None,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

fn body_of(kind: EventKind, message: EventMessage) -> Option<String> {
    let request = encoded(&event(kind, Subject::Message(Box::new(message))), SECRET)?;
    Some(String::from_utf8(request.body).unwrap())
}

/// An incoming text, as it is response.
pub(super) fn encoded_text(text: &str, secret: &str) -> WebhookRequest {
    let subject = Subject::Message(Box::new(message(text)));
    encoded(&event(EventKind::MessageReceived, subject), secret).unwrap()
}

#[test]
fn an_incoming_message_to_the_byte() {
    let request = encoded_text("Hello, I need help! 1/2 😀", SECRET);
    assert_eq!(
        String::from_utf8(request.body).unwrap(),
        concat!(
            r#"{"data":{"event":"messaging.whatsapp.message.incoming","#,
            r#""accountId":"11111111-2222-4333-8444-555555555555","#,
            r#""whatsapp_number":"628123000000","from":"628987600000","#,
            r#""messageType":"conversation","text":{"body":"Hello, I need help! 1\/2 \ud83d\ude00"},"#,
            r#""timestamp":"2026-03-28T16:00:00.000000Z"}}"#,
        )
    );
    assert_eq!(request.content_type, "application/json");
    assert_eq!(request.url, "https://shop.example/hook");
    let [(header, signature)] = &request.headers[..] else { panic!("one header") };
    assert_eq!(*header, "x-zuwinda-signature");
    // echo -n "$body" | openssl dgst -sha256 -hmac "$secret"
    assert_eq!(signature, "cf08f4d3b0f20fe7d868bffb3b8adde3e825cb416094e4fc512e9d264290c04d");
}

#[test]
fn in_a_group_the_sender_and_the_group_are_named() {
    let mut message = message("hi");
    message.chat = "120363041234567890@g.us".into();
    message.sender = Some(Address { phone: None, lid: Some(Lid::from_user("4711")) });
    message.content = Content::File(File {
        kind: ContentKind::Image,
        caption: "hi".into(),
        media: Media::default(),
    });
    let body = body_of(EventKind::MessageReceived, message).unwrap();
    let fields = r#""from":"4711@lid","groupId":"120363041234567890@g.us","messageType":"imageMessage","text":{"body":"hi"}"#;
    assert!(body.contains(fields), "{body}");
}

#[test]
fn each_kind_has_the_name_that_the_field_gives_it() {
    let place = Location { latitude: -6.2, longitude: 106.8, name: None, address: None };
    let live = LiveLocation {
        place: place.clone(),
        accuracy_m: None,
        heading: None,
        speed: None,
        sequence: 1,
    };
    let contact = || Contact { name: "Ani".into(), ..Contact::default() };
    let structured = |content| Content::Structured(Box::new(content));
    let answer = |kind| {
        structured(Structured::Answer(Answer { kind, id: None, text: "Ya".into(), params: None }))
    };
    let unnamed = |text: &str| {
        structured(Structured::Unnamed(Unnamed {
            name: "productMessage".into(),
            text: text.into(),
        }))
    };
    for (content, name, text) in [
        (Content::Location(place), "locationMessage", "-6.2, 106.8"),
        (structured(Structured::LiveLocation(live)), "liveLocationMessage", "-6.2, 106.8"),
        (Content::Contacts(vec![contact()]), "contactMessage", "Ani"),
        (Content::Contacts(vec![contact(), contact()]), "contactsArrayMessage", "Ani, Ani"),
        (answer(AnswerKind::Button), "buttonsResponseMessage", "Ya"),
        (answer(AnswerKind::List), "listResponseMessage", "Ya"),
        (answer(AnswerKind::Template), "templateButtonReplyMessage", "Ya"),
        (answer(AnswerKind::Interactive), "interactiveResponseMessage", "Ya"),
        (unnamed(""), "productMessage", ""),
        (unnamed("Kemeja"), "productMessage", "Kemeja"),
        (Content::unreadable(), "unknown", ""),
    ] {
        let message = EventMessage { content, ..message("") };
        let body = body_of(EventKind::MessageReceived, message).unwrap();
        let fields = format!(r#""messageType":"{name}","text":{{"body":"{text}"}}"#);
        assert!(body.contains(&fields), "{body}");
    }
}

#[test]
fn an_edit_and_a_deletion_are_no_messages_of_their_own() {
    for content in [Content::Edit("x".into()), Content::Revoke] {
        let message = EventMessage { content, direction: Direction::Out, ..message("") };
        assert_eq!(body_of(EventKind::MessageSent, message), None);
    }
}

#[test]
fn an_update_to_the_byte() {
    let status_of = [
        (EventKind::MessageSent, "sent"),
        (EventKind::MessageDelivered, "delivered"),
        (EventKind::MessageRead, "read"),
        (EventKind::MessagePlayed, "played"),
    ];
    for (kind, status) in status_of {
        let expected = [
            r#"{"data":{"event":"messaging.whatsapp.message.update","#,
            r#""accountId":"11111111-2222-4333-8444-555555555555","#,
            r#""messageId":"3EB0CABA1D0D7BFC2500","remoteJid":"628987600000@s.whatsapp.net","#,
            &format!(r#""status":"{status}","timestamp":"2026-03-28T16:00:00.000000Z"}}}}"#),
        ];
        assert_eq!(body_of(kind, message("x")).unwrap(), expected.concat());
    }
}

#[test]
fn a_lost_device_to_the_byte() {
    let cases = [
        (EventKind::DeviceDisconnected, DeviceStatus::Connecting, Some(515), true, 515),
        (EventKind::DeviceDisconnected, DeviceStatus::Disconnected, None, false, 428),
        (EventKind::DeviceLoggedOut, DeviceStatus::LoggedOut, Some(401), false, 401),
        (EventKind::DeviceLoggedOut, DeviceStatus::LoggedOut, None, false, 401),
    ];
    for (kind, status, code, should_reconnect, reason) in cases {
        let status =
            EventStatus { status, reason: None, code, should_reconnect, restricted_until: None };
        let request = encoded(&event(kind, Subject::Device(status)), SECRET).unwrap();
        let expected = [
            r#"{"data":{"event":"device.disconnected","#,
            r#""accountId":"11111111-2222-4333-8444-555555555555","#,
            r#""whatsapp_number":"628123000000","#,
            &format!(r#""reason":{reason},"shouldReconnect":{should_reconnect},"#),
            r#""timestamp":"2026-03-28T16:00:00.000000Z"}}"#,
        ];
        assert_eq!(String::from_utf8(request.body).unwrap(), expected.concat());
    }
}

#[test]
fn what_has_no_shape_is_not_encoded() {
    for kind in EventKind::ALL {
        let subject = if kind.is_of_device() {
            let (status, reason, code) = (DeviceStatus::Connected, None, None);
            Subject::Device(EventStatus {
                status,
                reason,
                code,
                should_reconnect: false,
                restricted_until: None,
            })
        } else {
            Subject::Message(Box::new(message("x")))
        };
        let format = FormatName("wasyik".to_owned());
        let is_known = Formats.rules(&format).unwrap().events.contains(&kind);
        assert_eq!(encoded(&event(kind, subject), SECRET).is_some(), is_known, "{kind:?}");
    }
}

async fn register(app: &App, format: &str, secret: Option<&str>) -> String {
    let principal = app.core.authenticate(&app.shop.key).await.unwrap();
    let request = NewWebhookRequest {
        url: "https://shop.example/hook".to_owned(),
        format: Some(format.to_owned()),
        secret: secret.map(str::to_owned),
        ..NewWebhookRequest::default()
    };
    app.core.create_webhook(&principal, request).await.unwrap().1
}

#[tokio::test]
async fn webhooks_of_an_account_share_a_secret_unless_one_is_given() {
    let app = App::new().await;
    let made = register(&app, "wasyik", None).await;
    assert!(made.len() >= 32);
    assert_eq!(register(&app, "wasyik", None).await, made);
    assert_eq!(register(&app, "wasyik", Some("one of my own")).await, "one of my own");
    assert_eq!(register(&app, "wasyik", None).await, made);
    assert_ne!(register(&app, "gerbang", None).await, made);
}
