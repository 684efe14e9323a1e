//! A row of every shape as it is in the databases of today, and what a later release may add.

use domain::chat::Lid;
use domain::contact::Identity;
use domain::content::{Contact, Content, ContentKind, File, Location, Poll, Unsupported};
use domain::context::{Changes, Context, EarlierText, Mentions, Quote};
use domain::device::DeviceStatus;
use domain::ids::{AccountId, DeviceId, DeviceNumber, MessageId, WhatsappId};
use domain::media::Media;
use domain::message::{Address, Direction, Failure, MessageState, StateChange};
use domain::phone::PhoneNumber;
use domain::plan::{Feature, Plan};
use domain::policy::pacing::{Pacing, QuietHours};
use domain::structured::{
    Album, Answer, AnswerKind, CalendarEvent, GroupInvite, LiveLocation, Order, PollVote,
    Structured, Unnamed, Vote,
};
use domain::webhook::{Event, EventDevice, EventKind, EventMessage, EventStatus, Subject};
use jiff::Timestamp;
use jiff::civil::Time;
use uuid::Uuid;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The text is read as the value, and the value is written as the text.
macro_rules! golden {
    ($module:ident, $text:expr, $value:expr) => {
        let value = $value;
        assert_eq!($module::read($text).unwrap(), value);
        assert_eq!($module::write(&value).unwrap(), $text);
    };
}

#[test]
fn a_history() {
    let step = |state, time, reason: Option<&str>| StateChange {
        state,
        at: at(time),
        reason: reason.map(str::to_owned),
    };
    golden!(
        history,
        r#"[{"state":"scheduled","at":"2026-11-21T02:00:00Z"},{"state":"queued","at":"2026-11-21T03:00:00.25Z"},{"state":"failed","at":"2026-11-21T03:00:01Z","reason":"said \"no\""}]"#,
        [
            step(MessageState::Scheduled, "2026-11-21T02:00:00Z", None),
            step(MessageState::Queued, "2026-11-21T03:00:00.25Z", None),
            step(MessageState::Failed, "2026-11-21T03:00:01Z", Some("said \"no\"")),
        ]
    );
    golden!(history, "[]", []);
}

#[test]
fn every_state_in_a_history() {
    for state in MessageState::ALL {
        let text = format!(r#"[{{"state":"{}","at":"2026-11-21T02:00:00Z"}}]"#, state.as_str());
        let change = StateChange { state, at: at("2026-11-21T02:00:00Z"), reason: None };
        golden!(history, text.as_str(), [change]);
    }
}

#[test]
fn a_failure() {
    golden!(
        failure,
        r#"{"code":"not_on_whatsapp","message":"the number is not on WhatsApp"}"#,
        Failure::new(Failure::NOT_ON_WHATSAPP, "the number is not on WhatsApp")
    );
}

#[test]
fn a_sender() {
    let phone = Some(PhoneNumber::from_digits("628123456789"));
    let lid = Some(Lid::from_user("123456789"));
    golden!(
        address,
        r#"{"phone":"628123456789","lid":"123456789@lid"}"#,
        Address { phone: phone.clone(), lid: lid.clone() }
    );
    golden!(address, r#"{"phone":null,"lid":"123456789@lid"}"#, Address { phone: None, lid });
    golden!(address, r#"{"phone":"628123456789","lid":null}"#, Address { phone, lid: None });
}

/// The columns kind, text and media are read as the content, and it is written as them.
fn golden_content(kind: &str, text: &str, media: Option<&str>, content: &Content) {
    golden_message(kind, text, media, content, Context::default());
}

fn golden_message(
    kind: &str,
    text: &str,
    media: Option<&str>,
    content: &Content,
    context: Context,
) {
    assert_eq!((content.kind().as_str(), content.text()), (kind, text));
    assert_eq!(content::write(content, &context).unwrap().as_deref(), media);
    assert_eq!(content::read(kind, text.into(), media), Ok((content.clone(), context)));
}

#[test]
fn contacts_polls_and_reactions() {
    let ani = Contact { name: "Ani".into(), phone: Some("62811".into()), organization: None };
    let text = r#"{"v":1,"contacts":[{"name":"Ani","phone":"62811"}]}"#;
    golden_content("contact", "Ani", Some(text), &Content::Contacts(vec![ani]));
    let options = vec!["Nasi".into(), "Soto".into()];
    let poll = Poll { question: "Makan?".into(), options, selectable: 1, ..Poll::default() };
    let text = r#"{"v":1,"poll":{"options":["Nasi","Soto"],"selectable":1}}"#;
    golden_content("poll", "Makan?", Some(text), &Content::Poll(poll));
    golden_content("reaction", "👍", None, &Content::Reaction("👍".into()));
}

fn golden_structured(kind: &str, text: &str, fields: &str, structured: Structured) {
    let media = format!(r#"{{"v":1,"structured":{fields}}}"#);
    golden_content(kind, text, Some(&media), &Content::Structured(Box::new(structured)));
}

#[test]
fn what_only_comes_in() {
    let at: jiff::Timestamp = "2026-11-21T03:00:00Z".parse().unwrap();
    let place =
        Location { latitude: -6.5, longitude: 106.5, name: Some("Budi".into()), address: None };
    let live = LiveLocation {
        place,
        accuracy_m: Some(7),
        heading: Some(90),
        speed: Some(1.5),
        sequence: 3,
    };
    let fields = r#"{"live_location":{"latitude":-6.5,"longitude":106.5,"name":"Budi","accuracy_m":7,"heading":90,"speed":1.5,"sequence":3}}"#;
    golden_structured("location", "Budi", fields, Structured::LiveLocation(live));
    let vote = PollVote::new(vec!["aa".into()], vec!["Soto".into()]);
    let fields = r#"{"poll_vote":{"digests":["aa"],"options":["Soto"]}}"#;
    golden_structured("poll_vote", "Soto", fields, Structured::PollVote(vote));
    let answer = Answer {
        kind: AnswerKind::List,
        id: Some("row-1".into()),
        text: "Soto".into(),
        params: Some("{}".into()),
    };
    let fields = r#"{"answer":{"kind":"list","id":"row-1","text":"Soto","params":"{}"}}"#;
    golden_structured("answer", "Soto", fields, Structured::Answer(answer));
    let order = Order {
        id: "7".into(),
        title: Some("Toko".into()),
        text: "tolong".into(),
        items: Some(2),
        total_1000: Some(1_500),
        currency: Some("IDR".into()),
    };
    let fields = r#"{"order":{"id":"7","title":"Toko","text":"tolong","items":2,"total_1000":1500,"currency":"IDR"}}"#;
    golden_structured("order", "tolong", fields, Structured::Order(order));
    let invite = GroupInvite {
        group: "1@g.us".into(),
        name: Some("Tim".into()),
        code: Some("abc".into()),
        expires_at: Some(at),
        text: String::new(),
    };
    let fields = r#"{"group_invite":{"group":"1@g.us","name":"Tim","code":"abc","expires_at":"2026-11-21T03:00:00Z","text":""}}"#;
    golden_structured("group_invite", "Tim", fields, Structured::GroupInvite(invite));
    let event = CalendarEvent {
        name: "Rapat".into(),
        description: Some("bulanan".into()),
        starts_at: Some(at),
        ends_at: Some(at),
        place: Some("Kantor".into()),
        link: Some("https://example.com".into()),
        is_cancelled: true,
    };
    let fields = r#"{"event":{"name":"Rapat","description":"bulanan","starts_at":"2026-11-21T03:00:00Z","ends_at":"2026-11-21T03:00:00Z","place":"Kantor","link":"https://example.com","is_cancelled":true}}"#;
    golden_structured("event", "Rapat", fields, Structured::Event(event));
    let album = Album { images: 2, videos: 1 };
    golden_structured(
        "album",
        "",
        r#"{"album":{"images":2,"videos":1}}"#,
        Structured::Album(album),
    );
    let unnamed = Unnamed { name: "productMessage".into(), text: String::new() };
    let fields = r#"{"unnamed":{"name":"productMessage","text":""}}"#;
    golden_structured("unsupported", "productMessage", fields, Structured::Unnamed(unnamed));
    let votes = vec![Vote { voter: "628".into(), digests: vec!["aa".into()], at }];
    let options = vec!["Nasi".into(), "Soto".into()];
    let poll = Poll { question: "Makan?".into(), options, selectable: 1, votes };
    let text = r#"{"v":1,"poll":{"options":["Nasi","Soto"],"selectable":1,"votes":[{"voter":"628","digests":["aa"],"at":"2026-11-21T03:00:00Z"}]}}"#;
    golden_content("poll", "Makan?", Some(text), &Content::Poll(poll));
    // What a later release adds is shown by its kind and text.
    let later = r#"{"v":1,"structured":{"hologram":{}}}"#;
    let unnamed = Unsupported { kind: ContentKind::Other, text: "x".into() };
    let unnamed = (Content::Unsupported(unnamed), Context::default());
    assert_eq!(content::read("hologram", "x".into(), Some(later)), Ok(unnamed));
}

#[test]
fn what_a_message_refers_to() {
    let quote = Quote {
        whatsapp_id: WhatsappId("3EB0FF".into()),
        is_ours: Some(false),
        sender: Some(Address { phone: Some(PhoneNumber::from_digits("62811")), lid: None }),
        kind: ContentKind::Image,
        text: "look".into(),
    };
    let mentions = Mentions { people: vec!["62811".into(), "9@lid".into()], all: true };
    let context =
        Context { reply_to: Some(quote), mentions, is_forwarded: true, ..Context::default() };
    let text = r#"{"v":1,"context":{"reply_to":{"whatsapp_id":"3EB0FF","is_ours":false,"sender":{"phone":"62811","lid":null},"kind":"image","text":"look"},"mentions":["62811","9@lid"],"mentions_all":true,"is_forwarded":true}}"#;
    golden_message("text", "x", Some(text), &Content::Text("x".into()), context);
    let forwarded = Context { is_forwarded: true, ..Context::default() };
    let text = r#"{"v":1,"context":{"is_forwarded":true}}"#;
    golden_message("text", "x", Some(text), &Content::Text("x".into()), forwarded);
    let named = Context { sender_name: Some("Budi".into()), ..Context::default() };
    let text = r#"{"v":1,"context":{"sender_name":"Budi"}}"#;
    golden_message("text", "x", Some(text), &Content::Text("x".into()), named);
}

#[test]
fn whom_an_edit_mentions_that_waits_for_its_message() {
    golden!(
        mentions,
        r#"{"people":["62811","9@lid"],"all":true}"#,
        Mentions { people: vec!["62811".into(), "9@lid".into()], all: true }
    );
    golden!(mentions, r#"{"people":[],"all":false}"#, Mentions::default());
}

#[test]
fn how_a_message_was_changed() {
    let [edited, revoked] = ["2026-11-21T03:00:00.5Z", "2026-11-21T04:00:00Z"]
        .map(|at| at.parse::<jiff::Timestamp>().unwrap());
    let earlier = vec![EarlierText { text: "hallo".into(), until: edited }];
    let changes = Changes { edited_at: Some(edited), revoked_at: Some(revoked), earlier };
    let context = Context { changes, ..Context::default() };
    let text = r#"{"v":1,"context":{"edited_at":"2026-11-21T03:00:00.5Z","revoked_at":"2026-11-21T04:00:00Z","earlier":[{"text":"hallo","until":"2026-11-21T03:00:00.5Z"}]}}"#;
    golden_message("text", "x", Some(text), &Content::Text("x".into()), context);
    golden_content("edit", "halo", None, &Content::Edit("halo".into()));
    golden_content("revoke", "", None, &Content::Revoke);
}

fn file(kind: ContentKind, caption: &str, media: Media) -> Content {
    Content::File(File { kind, caption: caption.into(), media })
}

#[test]
fn contents() {
    golden_content("text", "line\none", None, &Content::Text("line\none".into()));
    for kind in [ContentKind::Location, ContentKind::Contact, ContentKind::Poll] {
        let unsupported = Unsupported { kind, text: "x".into() };
        golden_content(kind.as_str(), "x", None, &Content::Unsupported(unsupported));
    }
    let nothing = file(ContentKind::Voice, "", Media::default());
    golden_content("voice", "", Some(r#"{"v":1,"is_kind_given":false}"#), &nothing);
    let known = Media {
        url: Some("https://files.example/a.png".into()),
        is_kind_given: true,
        filename: Some("a.png".into()),
        mimetype: Some("image/png".into()),
        size: Some(123),
        is_view_once: true,
        is_gif: true,
        ..Media::default()
    };
    golden_content(
        "image",
        "look",
        Some(
            r#"{"v":1,"url":"https://files.example/a.png","is_kind_given":true,"filename":"a.png","mimetype":"image/png","size":123,"view_once":true,"gif":true}"#,
        ),
        &file(ContentKind::Image, "look", known),
    );
}

#[test]
fn what_is_shown_of_a_file_before_it_is_fetched() {
    let media = Media {
        dimensions: Some((3, 4)),
        pages: Some(7),
        thumbnail: Some("/9j/".into()),
        ..Media::default()
    };
    let stored = r#"{"v":1,"is_kind_given":false,"dimensions":[3,4],"pages":7,"thumbnail":"/9j/"}"#;
    golden_content("document", "", Some(stored), &file(ContentKind::Document, "", media));
}

#[test]
fn names_of_files_from_before_are_read_as_they_are_seen() {
    let stored = r#"{"v":1,"is_kind_given":true,"filename":"Faktur\u202efdp.exe"}"#;
    let Ok((Content::File(read), _)) = content::read("document", String::new(), Some(stored))
    else {
        panic!("not a file")
    };
    assert_eq!(read.media.filename.as_deref(), Some("Fakturfdp.exe"));
}

#[test]
fn places() {
    let here = Location {
        latitude: -6.2088,
        longitude: 106.8456,
        name: Some("Monas".into()),
        address: Some("Jakarta".into()),
    };
    let text = r#"{"v":1,"location":{"latitude":-6.2088,"longitude":106.8456,"name":"Monas","address":"Jakarta"}}"#;
    golden_content("location", "Monas", Some(text), &Content::Location(here));
    let bare = Location { latitude: 0.0, longitude: -180.0, name: None, address: None };
    let text = r#"{"v":1,"location":{"latitude":0.0,"longitude":-180.0}}"#;
    golden_content("location", "", Some(text), &Content::Location(bare));
    let nowhere = r#"{"v":1,"location":{"latitude":999,"longitude":-999}}"#;
    let kept = Unsupported { kind: ContentKind::Location, text: "Monas".into() };
    assert_eq!(content::read("location", "Monas".into(), Some(nowhere)), Err(kept));
    let exact = r#"{"v":1,"location":{"latitude":26.815419564646362,"longitude":0.0}}"#;
    let Ok((Content::Location(read), _)) = content::read("location", String::new(), Some(exact))
    else {
        panic!("not a location")
    };
    assert_eq!(read.latitude.to_string(), "26.815419564646362");
}

#[test]
fn files_of_the_first_release_have_no_version() {
    let sized = file(ContentKind::Image, "look", Media { size: Some(9), ..Media::default() });
    let first = r#"{"is_kind_given":false,"size":9}"#;
    assert_eq!(content::read("image", "look".into(), Some(first)), Ok((sized, Context::default())));
    let bare = file(ContentKind::Sticker, "", Media::default());
    assert_eq!(content::read("sticker", String::new(), None), Ok((bare, Context::default())));
}

#[test]
fn what_a_later_release_knows_is_shown_by_kind_and_text() {
    let kept = Unsupported { kind: ContentKind::Image, text: "look".into() };
    for media in [r#"{"v":2,"url":"https://a.example"}"#, "no JSON", r#"{"url":7}"#] {
        assert_eq!(content::read("image", "look".into(), Some(media)), Err(kept.clone()));
    }
    let unnamed = Unsupported { kind: ContentKind::Other, text: "x".into() };
    let unnamed = (Content::Unsupported(unnamed), Context::default());
    assert_eq!(content::read("hologram", "x".into(), None), Ok(unnamed));
}

#[test]
fn a_pacing() {
    golden!(
        pacing,
        r#"{"min_s":0,"max_s":0,"typing":false,"first_contacts_per_day":null,"quiet_hours":null}"#,
        Pacing::off()
    );
    let quiet_hours =
        QuietHours { from: Time::constant(21, 0, 0, 0), until: Time::constant(7, 30, 0, 0) };
    golden!(
        pacing,
        r#"{"min_s":3,"max_s":8,"typing":true,"first_contacts_per_day":50,"quiet_hours":{"from":"21:00:00","until":"07:30:00"}}"#,
        Pacing { quiet_hours: Some(quiet_hours), warm_up: false, ..Pacing::between(3, 8).unwrap() }
    );
    golden!(
        pacing,
        r#"{"min_s":3,"max_s":8,"typing":true,"first_contacts_per_day":50,"warm_up":true,"quiet_hours":null}"#,
        Pacing::between(3, 8).unwrap()
    );
}

#[test]
fn the_features_of_plans() {
    let all = r#"["groups","broadcast","schedule","send_image","send_document","send_group_media","incoming_webhook","advance_webhook","downtime_notification"]"#;
    assert_eq!(names::write(&Feature::ALL, Feature::as_str).unwrap(), all);
    assert_eq!(names::read(all, Feature::from_name).unwrap().items, Feature::ALL);
    let hobby = &Plan::built_in()[1];
    let text = names::write(&hobby.features, Feature::as_str).unwrap();
    assert_eq!(text, r#"["groups","incoming_webhook"]"#);
}

#[test]
fn the_events_of_webhooks() {
    let all = r#"["message.received","message.sent","message.delivered","message.read","message.played","message.failed","message.expired","message.cancelled","device.connected","device.disconnected","device.logged_out","device.paired","device.restricted","contact.identified","message.edited","message.revoked","call.received","group.updated","group.participants"]"#;
    assert_eq!(names::write(&EventKind::ALL, EventKind::as_str).unwrap(), all);
    let known = names::read(all, EventKind::from_name).unwrap();
    assert_eq!(known.items, EventKind::ALL);
    assert!(!known.has_unknown);
}

#[test]
fn the_messages_of_an_idempotency_key() {
    let ids = [MessageId(7), MessageId(8)];
    assert_eq!(ids::write(ids.iter().copied()).unwrap(), "[7,8]");
    assert_eq!(ids::read("[7,8]").unwrap(), ids);
}

fn device() -> EventDevice {
    EventDevice {
        id: DeviceId(Uuid::from_u128(0x5150)),
        number_id: DeviceNumber(3),
        name: "Shop \"1\"".into(),
        phone: Some(PhoneNumber::from_digits("628123456789")),
        lid: None,
    }
}

#[test]
fn a_queued_event_of_a_message() {
    let message = EventMessage {
        id: MessageId(41),
        whatsapp_id: WhatsappId("3EB00000000000000001".into()),
        direction: Direction::In,
        chat: "120363000000000000@g.us".into(),
        sender: Some(Address { phone: None, lid: Some(Lid::from_user("9")) }),
        context: Context::default(),
        content: file(ContentKind::Image, "line\none", Media { size: Some(9), ..Media::default() }),
        state: MessageState::Delivered,
        failure: Some(Failure::new("media", "no")),
        created_at: at("2026-11-21T03:00:00Z"),
    };
    let event = Event {
        id: "evt_41_message_received".into(),
        kind: EventKind::MessageReceived,
        at: at("2026-11-21T03:00:00.5Z"),
        account_id: AccountId(2),
        device: device(),
        subject: Subject::Message(Box::new(message)),
    };
    golden!(
        event,
        r#"{"id":"evt_41_message_received","kind":"message.received","at":"2026-11-21T03:00:00.5Z","account_id":2,"device":{"id":"00000000-0000-0000-0000-000000005150","number_id":3,"name":"Shop \"1\"","phone":"628123456789","lid":null},"subject":{"message":{"id":41,"whatsapp_id":"3EB00000000000000001","direction":"in","chat":"120363000000000000@g.us","sender":{"phone":null,"lid":"9@lid"},"kind":"image","text":"line\none","media":{"v":1,"is_kind_given":false,"size":9},"state":"delivered","failure":{"code":"media","message":"no"},"created_at":"2026-11-21T03:00:00Z"}}}"#,
        event
    );
}

#[test]
fn a_queued_event_of_a_device() {
    let status = EventStatus {
        status: DeviceStatus::LoggedOut,
        reason: Some("unlinked".into()),
        code: Some(401),
        should_reconnect: false,
        restricted_until: None,
    };
    let event = Event {
        id: "evt_d3_device_logged_out_1763694000500".into(),
        kind: EventKind::DeviceLoggedOut,
        at: at("2026-11-21T03:00:00.5Z"),
        account_id: AccountId(2),
        device: device(),
        subject: Subject::Device(status),
    };
    golden!(
        event,
        r#"{"id":"evt_d3_device_logged_out_1763694000500","kind":"device.logged_out","at":"2026-11-21T03:00:00.5Z","account_id":2,"device":{"id":"00000000-0000-0000-0000-000000005150","number_id":3,"name":"Shop \"1\"","phone":"628123456789","lid":null},"subject":{"device":{"status":"logged_out","reason":"unlinked","code":401,"should_reconnect":false}}}"#,
        event
    );
}

#[test]
fn queued_events_of_a_restriction_and_of_a_person() {
    let status = EventStatus {
        status: DeviceStatus::Connected,
        reason: Some("no new contacts".into()),
        code: None,
        should_reconnect: false,
        restricted_until: Some(at("2026-11-22T03:00:00Z")),
    };
    let restricted = Event {
        id: "evt_d3_device_restricted_1763694000500".into(),
        kind: EventKind::DeviceRestricted,
        at: at("2026-11-21T03:00:00.5Z"),
        account_id: AccountId(2),
        device: device(),
        subject: Subject::Device(status),
    };
    golden!(
        event,
        r#"{"id":"evt_d3_device_restricted_1763694000500","kind":"device.restricted","at":"2026-11-21T03:00:00.5Z","account_id":2,"device":{"id":"00000000-0000-0000-0000-000000005150","number_id":3,"name":"Shop \"1\"","phone":"628123456789","lid":null},"subject":{"device":{"status":"connected","reason":"no new contacts","code":null,"should_reconnect":false,"restricted_until":"2026-11-22T03:00:00Z"}}}"#,
        restricted.clone()
    );
    let identity = Identity { phone: PhoneNumber::from_digits("628222"), lid: Lid::from_user("9") };
    let identified = Event {
        id: "evt_d3_contact_9_1763694000500".into(),
        kind: EventKind::ContactIdentified,
        subject: Subject::Contact(identity),
        ..restricted
    };
    golden!(
        event,
        r#"{"id":"evt_d3_contact_9_1763694000500","kind":"contact.identified","at":"2026-11-21T03:00:00.5Z","account_id":2,"device":{"id":"00000000-0000-0000-0000-000000005150","number_id":3,"name":"Shop \"1\"","phone":"628123456789","lid":null},"subject":{"contact":{"phone":"628222","lid":"9@lid"}}}"#,
        identified
    );
}

/// Adds an unknown field to every object of a text.
fn with_unknown_fields(text: &str) -> String {
    text.replace('{', r#"{"later":{"x":[1]},"#)
}

#[test]
fn unknown_fields_are_ignored() {
    let texts = [r#"[{"state":"queued","at":"2026-11-21T02:00:00Z"}]"#];
    for text in texts {
        let later = history::read(&with_unknown_fields(text)).unwrap();
        assert_eq!(later, history::read(text).unwrap());
    }
    let text = r#"{"code":"x","message":"y"}"#;
    assert_eq!(failure::read(&with_unknown_fields(text)).unwrap(), failure::read(text).unwrap());
    let text = r#"{"phone":"628123456789","lid":"1@lid"}"#;
    assert_eq!(address::read(&with_unknown_fields(text)).unwrap(), address::read(text).unwrap());
    let read = |media: &str| content::read("image", String::new(), Some(media)).unwrap();
    let text = r#"{"v":1,"is_kind_given":true,"size":1}"#;
    assert_eq!(read(&with_unknown_fields(text)), read(text));
    let text = r#"{"min_s":3,"max_s":8,"typing":true,"first_contacts_per_day":null,"quiet_hours":{"from":"21:00:00","until":"07:30:00"}}"#;
    assert_eq!(pacing::read(&with_unknown_fields(text)).unwrap(), pacing::read(text).unwrap());
}

/// An enum of another name than a field: only the objects inside may grow.
#[test]
fn unknown_fields_of_events_are_ignored() {
    let text = r#"{"id":"e","kind":"device.paired","at":"2026-11-21T03:00:00Z","account_id":2,"device":{"id":"00000000-0000-0000-0000-000000005150","number_id":3,"name":"n","phone":null,"lid":null},"subject":{"device":{"status":"connected","reason":null,"code":null,"should_reconnect":false}}}"#;
    let later =
        with_unknown_fields(text).replace(r#""subject":{"later":{"x":[1]},"#, r#""subject":{"#);
    assert_eq!(event::read(&later).unwrap(), event::read(text).unwrap());
}

#[test]
fn unknown_names() {
    let known = names::read(r#"["groups","telepathy"]"#, Feature::from_name).unwrap();
    assert_eq!((known.items, known.has_unknown), (vec![Feature::Groups], true));
    assert!(history::read(r#"[{"state":"boiled","at":"2026-11-21T02:00:00Z"}]"#).is_err());
    let of_kind = |kind: &str| {
        format!(
            r#"{{"id":"e","kind":"{kind}","at":"2026-11-21T03:00:00Z","account_id":2,"device":{{"id":"00000000-0000-0000-0000-000000005150","number_id":3,"name":"n","phone":null,"lid":null}},"subject":{{"device":{{"status":"connected","reason":null,"code":null,"should_reconnect":false}}}}}}"#
        )
    };
    assert!(event::read(&of_kind("device.paired")).is_ok());
    assert!(event::read(&of_kind("device.boiled")).is_err());
}

#[test]
fn what_makes_no_sense_is_refused_without_showing_it() {
    let secret = r#"{"code":"secret"#;
    let errors = [
        history::read(secret).map(drop).unwrap_err(),
        failure::read(secret).map(drop).unwrap_err(),
        address::read(secret).map(drop).unwrap_err(),
        pacing::read(secret).map(drop).unwrap_err(),
        event::read(secret).map(drop).unwrap_err(),
        ids::read(secret).map(drop).unwrap_err(),
        names::read(secret, Feature::from_name).map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let reversed =
        r#"{"min_s":8,"max_s":3,"typing":true,"first_contacts_per_day":null,"quiet_hours":null}"#;
    assert!(pacing::read(reversed).is_err());
}
