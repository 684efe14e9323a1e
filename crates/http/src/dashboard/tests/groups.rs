//! The pages of groups.

use domain::chat::{ChatFacts, ChatId, GroupId, Lid};
use domain::device::Group;
use domain::group::{
    GroupAnswer, GroupDetails, GroupRequest, GroupRole, GroupSetting, MemberChange, MemberOutcome,
    Participant,
};
use domain::ids::MessageId;
use domain::message::{Address, Failure, MessageEvent};
use domain::phone::PhoneNumber;
use testkit::fake_dispatcher::DispatcherCall;

use super::*;

const ID: &str = "120363041234567890@g.us";

fn details() -> GroupAnswer {
    let owner = Address { phone: Some(PhoneNumber::from_digits("6281")), lid: None };
    let hidden = Address { phone: None, lid: Some(Lid::from_user("77")) };
    GroupAnswer::Details(Box::new(GroupDetails {
        group: Group { id: GroupId::from_jid(ID), name: "<b>Tim</b>".into() },
        description: Some("<script>x</script>\nTwo".into()),
        creator: None,
        created_at: None,
        is_announcement: true,
        is_locked: false,
        is_community: false,
        community: None,
        ephemeral_s: 0,
        participants: vec![
            Participant { who: owner, role: GroupRole::Owner },
            Participant { who: hidden, role: GroupRole::Member },
        ],
    }))
}

fn asked(app: &App) -> Vec<GroupRequest> {
    let group = |call| match call {
        DispatcherCall::Group(_, request) if !request.is_question() => Some(request),
        _ => None,
    };
    app.dispatcher.take_calls().into_iter().filter_map(group).collect()
}

fn person(digits: &str) -> ChatId {
    ChatId::Person(PhoneNumber::from_digits(digits))
}

#[tokio::test]
async fn groups_are_listed_and_created_once() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let group = Group { id: GroupId::from_jid(ID), name: "<b>Tim</b>".into() };
    app.dispatcher.set_groups(vec![group]);
    let device = app.front.id().to_string();
    let list = owner.get(&format!("/app/groups?device={device}")).await.expect(200).text();
    assert!(list.contains("&lt;b&gt;Tim") && !list.contains("<b>Tim"), "{list}");
    assert!(list.contains(&format!("/app/groups/{device}/{ID}")));
    let unlinked = app.unlinked.id();
    let none = owner.get(&format!("/app/groups?device={unlinked}")).await.expect(200).text();
    assert!(none.contains("Link it first"), "{none}");
    for (name, people, field) in [("", "0812345678", "name"), ("Tim", " ,\n", "people")] {
        let fields =
            [("device", device.as_str()), ("name", name), ("people", people), ("key", "a")];
        let page = owner.post("/app/groups", &fields).await.expect(422).text();
        assert!(page.contains(&format!("id=\"{field}-fault\"")), "{field}: {page}");
    }
    assert_eq!(asked(&app), []);
    app.dispatcher.answer_about_group(details());
    let people = "0812-3456-7890\r\n628111000111";
    let fields = [("device", device.as_str()), ("name", "Tim"), ("people", people), ("key", "b")];
    let made = owner.post("/app/groups", &fields).await.expect(303);
    assert_eq!(made.header("location"), format!("/app/groups/{device}/{ID}"));
    owner.post("/app/groups", &fields).await.expect(303);
    let members = vec![person("6281234567890"), person("628111000111")];
    assert_eq!(asked(&app), [GroupRequest::Create("Tim".into(), members)]);
}

#[tokio::test]
async fn what_is_scheduled_and_the_audit_log_name_groups() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let (device, group) = (app.front.id(), ChatId::Group(GroupId::from_jid(ID)));
    let send = async |extra: serde_json::Value| {
        let mut body = serde_json::json!({ "device": device, "to": ID, "text": "x" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let made = Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await;
        MessageId(made.expect(202).json()["id"].as_i64().unwrap())
    };
    let tomorrow = app.core.now() + jiff::SignedDuration::from_hours(24);
    send(serde_json::json!({ "schedule_at": tomorrow })).await;
    // Nothing has gone to it yet: only WhatsApp knows what it is called.
    app.dispatcher.set_groups(vec![Group { id: GroupId::from_jid(ID), name: "<b>Tim</b>".into() }]);
    for path in ["/app/scheduled", "/app/messages"] {
        let page = owner.get(path).await.expect(200).text();
        assert!(page.contains("&lt;b&gt;Tim&lt;/b&gt;") && !page.contains(ID), "{path}: {page}");
    }
    app.dispatcher.answer_about_group(details());
    let id = device.to_string();
    let fields = [("device", id.as_str()), ("name", "Tim"), ("people", "0812345678"), ("key", "a")];
    owner.post("/app/groups", &fields).await.expect(303);
    let log = owner.get("/app/audit").await.expect(200).text();
    // By its name, and by the id that finds it in programs.
    assert!(
        log.contains(&format!("<td class=\"what\">&lt;b&gt;Tim&lt;/b&gt; ({ID})</td>")),
        "{log}"
    );

    let sent = send(serde_json::json!({})).await;
    for event in [MessageEvent::Submitted, MessageEvent::Acknowledged] {
        app.follow(sent, event).await;
    }
    let facts = ChatFacts { name: Some("Keluarga besar".into()), ..ChatFacts::default() };
    assert!(app.store.describe_chat(device, &group, &facts).await.unwrap());
    owner.post(&format!("/app/groups/{device}/{ID}/leave"), &[]).await.expect(303);
    let log = owner.get("/app/audit").await.expect(200).text();
    assert!(log.contains(&format!("<td class=\"what\">Keluarga besar ({ID})</td>")), "{log}");
}

#[tokio::test]
async fn whatsapp_is_asked_for_the_groups_of_all_devices_at_once() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    for device in [app.front.id(), app.back.id()] {
        let body = serde_json::json!({ "device": device, "to": ID, "text": "x" });
        Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await.expect(202);
    }
    app.dispatcher.set_groups(vec![Group { id: GroupId::from_jid(ID), name: "Tim".into() }]);
    // None of them is answered before both are asked.
    app.dispatcher.answer_groups_together(2);
    let page = owner.get("/app/messages").await.expect(200).text();
    assert!(page.matches(">Tim<").count() == 2 && !page.contains(ID), "{page}");
}

#[tokio::test]
async fn deliveries_name_groups() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let (webhook, path) = webhooks::made(&app, &owner).await;
    let body = serde_json::json!({ "device": app.front.id(), "to": ID, "text": "x" });
    let sent = Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await;
    let sent = MessageId(sent.expect(202).json()["id"].as_i64().unwrap());
    for event in [MessageEvent::Submitted, MessageEvent::Acknowledged] {
        app.follow(sent, event).await;
    }
    app.dispatcher.set_groups(vec![Group { id: GroupId::from_jid(ID), name: "<b>Tim</b>".into() }]);
    let page = owner.get(&path).await.expect(200).text();
    assert!(page.contains("&lt;b&gt;Tim&lt;/b&gt;") && !page.contains(ID), "{page}");
    let delivery = webhooks::log(&app, &webhook).await.remove(0);
    let page = owner.get(&format!("{path}/deliveries/{}", delivery.id)).await.expect(200).text();
    assert!(page.contains("message.sent &lt;b&gt;Tim&lt;/b&gt;</h1>"), "{page}");
}

#[tokio::test]
async fn a_group_is_shown_changed_and_left() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let path = format!("/app/groups/{}/{ID}", app.front.id());
    let group = || GroupId::from_jid(ID);
    app.dispatcher.answer_about_group(details());
    let page = owner.get(&path).await.expect(200).text();
    assert!(!page.contains("<script>x") && !page.contains("<b>Tim"), "{page}");
    assert!(page.contains("Members (2)") && page.contains("+6281") && page.contains("77@lid"));

    for _ in 0..2 {
        app.dispatcher.answer_about_group(details());
    }
    asked(&app);
    let same = "<script>x</script>\r\nTwo";
    let fields = [("name", "New"), ("description", same), ("locked", "1")];
    app.dispatcher.answer_about_group(GroupAnswer::Done);
    owner.post(&path, &fields).await.expect(303);
    let expected = [
        GroupRequest::Set(group(), GroupSetting::Name("New".into())),
        GroupRequest::Set(group(), GroupSetting::Announcement(false)),
        GroupRequest::Set(group(), GroupSetting::Locked(true)),
    ];
    assert_eq!(asked(&app), expected);

    let refused = Failure::new("must_be_invited", "can only be <i>invited");
    let outcome = MemberOutcome { who: person("628111000111"), refused: Some(refused) };
    app.dispatcher.answer_about_group(GroupAnswer::Members(vec![outcome]));
    app.dispatcher.answer_about_group(details());
    let fields = [("people", "628111000111"), ("act", "promote")];
    let page = owner.post(&format!("{path}/members"), &fields).await.expect(200).text();
    assert!(page.contains("can only be &lt;i&gt;invited"), "{page}");
    let change = GroupRequest::Change(group(), MemberChange::Promote, vec![person("628111000111")]);
    assert_eq!(asked(&app), [change]);
    let none = owner.post(&format!("{path}/members"), &[("act", "add")]).await.expect(422);
    assert!(none.text().contains("Write one number at least"));

    let remove = [("people", "0811, 0812 <b>"), ("act", "remove")];
    app.dispatcher.answer_about_group(details());
    let question = owner.post(&format!("{path}/members"), &remove).await.expect(200).text();
    assert!(question.contains("removed: 2") && !question.contains("<b>"), "{question}");
    assert_eq!(asked(&app), [], "asked first");
    app.dispatcher.answer_about_group(GroupAnswer::Members(Vec::new()));
    app.dispatcher.answer_about_group(details());
    let sure = [("people", "628111000111"), ("act", "remove"), ("sure", "1")];
    owner.post(&format!("{path}/members"), &sure).await.expect(200);
    let change = GroupRequest::Change(group(), MemberChange::Remove, vec![person("628111000111")]);
    assert_eq!(asked(&app), [change]);

    app.dispatcher.answer_about_group(details());
    let asked_first = owner.get(&format!("{path}/new-invite")).await.expect(200).text();
    assert!(asked_first.contains("The earlier link is void then."), "{asked_first}");
    assert_eq!(asked(&app), []);
    app.dispatcher.answer_about_group(GroupAnswer::Link("https://chat.whatsapp.com/x".into()));
    let page = owner.post(&format!("{path}/new-invite"), &[]).await.expect(200).text();
    assert!(page.contains("https://chat.whatsapp.com/x"), "{page}");
    assert_eq!(asked(&app), [GroupRequest::Invite(group(), true)]);

    app.dispatcher.answer_about_group(details());
    let question = owner.get(&format!("{path}/leave")).await.expect(200).text();
    assert!(question.contains("its 2 members"), "{question}");
    assert_eq!(asked(&app), []);
    owner.post(&format!("{path}/leave"), &[]).await.expect(303);
    assert_eq!(asked(&app), [GroupRequest::Leave(group())]);
}

#[tokio::test]
async fn a_form_of_a_group_keeps_what_was_written() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let path = format!("/app/groups/{}/{ID}", app.front.id());
    app.dispatcher.answer_about_group(details());
    let fields = [("people", "0812-3456-7890\r\nSri"), ("act", "add")];
    let page = owner.post(&format!("{path}/members"), &fields).await.expect(422).text();
    assert!(page.contains("id=\"people-fault\""), "{page}");
    assert!(page.contains("0812-3456-7890\r\nSri</textarea>"), "{page}");

    for _ in 0..2 {
        app.dispatcher.answer_about_group(details());
    }
    let long = "x".repeat(101);
    let fields = [("name", long.as_str()), ("description", "Rapat Senin"), ("locked", "1")];
    let page = owner.post(&path, &fields).await.expect(422).text();
    assert!(page.contains("id=\"name-fault\"") && page.contains(&long), "{page}");
    assert!(page.contains("Rapat Senin</textarea>"), "{page}");
    let locked = "name=\"locked\" value=\"1\" checked";
    assert!(page.contains(locked) && !page.contains("name=\"announce\" value=\"1\" checked"));
    assert_eq!(asked(&app), []);
}

#[tokio::test]
async fn groups_are_changed_by_those_who_may_send() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    let device = app.front.id().to_string();
    let path = format!("/app/groups/{device}/{ID}");
    let create =
        [("device", device.as_str()), ("name", "x"), ("people", "0812345678"), ("key", "k")];
    viewer.get(&path).await.expect(200);
    viewer.get(&format!("{path}/leave")).await.expect(403);
    viewer.post("/app/groups", &create).await.expect(403);
    rival.get(&path).await.expect(404);
    rival.get(&format!("/app/groups?device={device}")).await.expect(404);
    rival.get(&format!("{path}/leave")).await.expect(404);
    rival.post("/app/groups", &create).await.expect(404);
    for act in ["", "/members", "/invite", "/new-invite", "/leave"] {
        let fields = [("people", "0812345678"), ("name", "x")];
        viewer.post(&format!("{path}{act}"), &fields).await.expect(403);
        rival.post(&format!("{path}{act}"), &fields).await.expect(404);
    }
    assert_eq!(asked(&app), []);
}
