//! `/v1/devices/{id}/groups`: what is asked of the dispatcher, and how its answers are shown.

use axum::http::Method;
use domain::chat::{ChatId, GroupId, Lid};
use domain::device::Group;
use domain::group::{
    GroupAnswer, GroupDetails, GroupPicture, GroupRequest, GroupRole, GroupSetting, MemberChange,
    MemberOutcome, Participant,
};
use domain::message::{Address, Failure};
use domain::phone::PhoneNumber;
use serde_json::{Value, json};
use testkit::fake_dispatcher::DispatcherCall;

use super::app::App;
use super::exchange::{Ask, TestResponse};

async fn answer_to(app: &App, ask: Ask, key: &str) -> TestResponse {
    ask.key(key).of(&app.router).await
}

const ID: &str = "120363041234567890@g.us";
const H: &str = "https://files.example/a.jpg";

fn details() -> GroupAnswer {
    let owner = Address { phone: Some(PhoneNumber::from_digits("6281")), lid: None };
    let hidden = Address { phone: None, lid: Some(Lid::from_user("77")) };
    GroupAnswer::Details(Box::new(GroupDetails {
        group: Group { id: GroupId::from_jid(ID), name: "Tim".into() },
        description: Some("Rapat".into()),
        creator: Some(owner.clone()),
        created_at: None,
        is_announcement: true,
        is_locked: false,
        is_community: false,
        community: None,
        ephemeral_s: 86_400,
        participants: vec![
            Participant { who: owner, role: GroupRole::Owner },
            Participant { who: hidden, role: GroupRole::Member },
        ],
    }))
}

fn shown() -> Value {
    json!({
        "id": ID, "name": "Tim", "subject": "Tim", "description": "Rapat",
        "creator": {"phone": "6281", "lid": null}, "created_at": null, "announce": true,
        "locked": false, "is_community": false, "community": null, "ephemeral_s": 86_400,
        "participants": [
            {"phone": "6281", "lid": null, "role": "owner"},
            {"phone": null, "lid": "77@lid", "role": "member"},
        ],
    })
}

fn patch(path: &str, body: Value) -> Ask {
    Ask::new(Method::PATCH, path).json(body)
}

fn path(app: &App, rest: &str) -> String {
    format!("/v1/devices/{}/groups{rest}", app.front.id())
}

fn asked(app: &App) -> Vec<GroupRequest> {
    let group = |call| match call {
        DispatcherCall::Group(_, request) => Some(request),
        _ => None,
    };
    app.dispatcher.take_calls().into_iter().filter_map(group).collect()
}

#[tokio::test]
async fn a_group_is_created_shown_and_changed() {
    let app = App::new().await;
    for _ in 0..3 {
        app.dispatcher.answer_about_group(details());
    }
    let body =
        json!({"subject": " Tim ", "participants": ["0812-3456-7890", 628111000111i64, "77@lid"]});
    let made = answer_to(&app, Ask::post(path(&app, ""), body), &app.shop.key).await;
    assert_eq!(made.expect(201).json(), shown());
    let one = path(&app, &format!("/{ID}"));
    let found = answer_to(&app, Ask::get(&one), &app.shop.key).await;
    assert_eq!(found.expect(200).json(), shown());
    app.dispatcher.answer_about_group(GroupAnswer::Done);
    app.dispatcher.answer_about_group(details());
    let body = json!({"announce": false, "description": " Rapat\r\nSenin\n"});
    let changed = answer_to(&app, patch(&one, body), &app.shop.key).await;
    assert_eq!(changed.expect(200).json(), shown());
    let group = || GroupId::from_jid(ID);
    let people =
        ["6281234567890", "628111000111"].map(|n| ChatId::Person(PhoneNumber::from_digits(n)));
    let people = people.into_iter().chain([ChatId::Lid(Lid::from_user("77"))]).collect();
    assert_eq!(
        asked(&app),
        [
            GroupRequest::Create("Tim".into(), people),
            GroupRequest::Show(group()),
            GroupRequest::Set(group(), GroupSetting::Description(Some("Rapat\nSenin".into()))),
            GroupRequest::Set(group(), GroupSetting::Announcement(false)),
            GroupRequest::Show(group()),
        ]
    );
}

#[tokio::test]
async fn participants_are_changed_one_by_one() {
    let app = App::new().await;
    let person = |digits: &str| ChatId::Person(PhoneNumber::from_digits(digits));
    let refused = Failure::new("must_be_invited", "can only be invited");
    app.dispatcher.answer_about_group(GroupAnswer::Members(vec![
        MemberOutcome { who: person("628111000111"), refused: None },
        MemberOutcome { who: person("628222000222"), refused: Some(refused) },
    ]));
    let participants = path(&app, &format!("/{ID}/participants"));
    let body = json!({"add": ["628111000111", "628222000222", "628111000111"]});
    let answer = answer_to(&app, Ask::post(&participants, body), &app.shop.key).await;
    let expected = json!({"data": [
        {"participant": "628111000111", "done": true, "error": null},
        {"participant": "628222000222", "done": false,
         "error": {"code": "must_be_invited", "message": "can only be invited"}},
    ], "next_cursor": null});
    assert_eq!(answer.expect(200).json(), expected);
    let people = vec![person("628111000111"), person("628222000222")];
    let change = GroupRequest::Change(GroupId::from_jid(ID), MemberChange::Add, people);
    assert_eq!(asked(&app), [change]);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_by_name() {
    let app = App::new().await;
    let one = path(&app, &format!("/{ID}"));
    let participants = format!("{one}/participants");
    let many = |n: i64| (0..n).map(|at| 6_281_110_000_000 + at).collect::<Vec<_>>();
    let cases = [
        (
            Ask::post(path(&app, ""), json!({"subject": " ", "participants": ["628111000111"]})),
            "subject",
        ),
        (Ask::post(path(&app, ""), json!({"subject": "Tim", "participants": []})), "participants"),
        (
            Ask::post(path(&app, ""), json!({"subject": "Tim", "participants": ["x"]})),
            "participants",
        ),
        (patch(&one, json!({"subject": "x".repeat(101)})), "subject"),
        (patch(&one, json!({"subject": "a\nb"})), "subject"),
        (patch(&one, json!({"subject": "a\u{7}b"})), "subject"),
        (patch(&one, json!({"subject": "a\u{202e}b"})), "subject"),
        (patch(&one, json!({"description": "a\0b"})), "description"),
        (
            Ask::post(path(&app, ""), json!({"subject": "Tim", "participants": many(1_024)})),
            "participants",
        ),
        (
            Ask::post(path(&app, ""), json!({"subject": "Tim", "participants": many(1)}))
                .header("idempotency-key", "k"),
            "Idempotency-Key",
        ),
        (patch(&one, json!({"description": "x".repeat(2_049)})), "description"),
        (patch(&one, json!({"picture": {}})), "picture"),
        (patch(&one, json!({"picture": {"url": H, "base64": "AAAA"}})), "picture"),
        (patch(&one, json!({"picture": {"url": "ftp://a.example/x"}})), "picture"),
        (patch(&one, json!({"picture": {"base64": "!"}})), "picture.base64"),
        (patch(&one, json!({"picture": {"url": H, "kind": "image"}})), "picture.kind"),
        (Ask::post(&participants, json!({})), "add"),
        (
            Ask::post(&participants, json!({"add": ["628111000111"], "remove": ["628111000111"]})),
            "remove",
        ),
        (Ask::post(&participants, json!({"demote": [ID]})), "demote"),
    ];
    for (ask, field) in cases {
        let refused = answer_to(&app, ask, &app.shop.key).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    assert_eq!(asked(&app), []);
    for rest in ["/me", "/120363041234567890@s.whatsapp.net", "/628111@lid", "/%20"] {
        answer_to(&app, Ask::get(path(&app, rest)), &app.shop.key).await.expect(404);
    }
    let unlinked = format!("/v1/devices/{}/groups/{ID}", app.unlinked.id());
    let refused = answer_to(&app, Ask::get(unlinked), &app.shop.key).await.expect(409).json();
    assert_eq!(refused["code"], "device_not_connected");
}

#[tokio::test]
async fn a_link_is_shown_and_renewed_and_a_group_left() {
    let app = App::new().await;
    let invite = path(&app, &format!("/{ID}/invite"));
    let link = json!({"link": "https://chat.whatsapp.com/abc"});
    for (ask, is_new) in [(Ask::get(&invite), false), (Ask::delete(&invite), true)] {
        let answer = GroupAnswer::Link("https://chat.whatsapp.com/abc".into());
        app.dispatcher.answer_about_group(answer);
        assert_eq!(answer_to(&app, ask, &app.shop.key).await.expect(200).json(), link);
        let last = asked(&app).pop();
        assert_eq!(last, Some(GroupRequest::Invite(GroupId::from_jid(ID), is_new)));
    }
    app.dispatcher.answer_about_group(GroupAnswer::Done);
    let leave = Ask::post(path(&app, &format!("/{ID}/leave")), json!({}));
    answer_to(&app, leave, &app.shop.key).await.expect(204);
    assert_eq!(asked(&app).pop(), Some(GroupRequest::Leave(GroupId::from_jid(ID))));
}

#[tokio::test]
async fn a_group_has_a_picture_and_loses_it() {
    let app = App::new().await;
    let one = path(&app, &format!("/{ID}"));
    let made = GroupPicture::Jpeg(b"a picture".to_vec());
    for (picture, expected) in [
        (json!({"url": H}), Some(made.clone())),
        (json!({"base64": "AAAA"}), Some(made)),
        (Value::Null, None),
    ] {
        app.dispatcher.answer_about_group(GroupAnswer::Done);
        app.dispatcher.answer_about_group(details());
        let changed = answer_to(&app, patch(&one, json!({"picture": picture})), &app.shop.key);
        assert_eq!(changed.await.expect(200).json(), shown());
        let group = || GroupId::from_jid(ID);
        let set = GroupRequest::Set(group(), GroupSetting::Picture(expected));
        assert_eq!(asked(&app), [set, GroupRequest::Show(group())]);
    }
}
