//! Groups: their list, and messages out and in.

use domain::chat::{ChatId, GroupId};
use domain::content::{Content, ContentKind};
use domain::context::{Context, Mentions, Quote};
use domain::device::Group;
use domain::group::{
    GroupAnswer, GroupChange, GroupDetails, GroupPicture, GroupRequest, GroupRole, GroupSetting,
    MemberChange, MemberOutcome, ParticipantAction,
};
use domain::ids::DeviceId;
use domain::message::{Address, Failure, Receipt};
use domain::ports::{Messenger, MessengerEvent, SendError};
use serde_json::json;

use crate::world::{OURS, THEIRS, World, chat, new_id};

const OTHERS: &str = "628330000003";

#[tokio::test]
async fn the_groups_of_the_number_are_listed_by_name() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    assert_eq!(world.messenger.groups(device).await, Ok(Vec::new()));
    let team = world.sim.group("Tim", &[THEIRS, OURS], false).await;
    let family = world.sim.group("Keluarga", &[OURS, THEIRS], true).await;
    world.sim.group("Tanpa kami", &[THEIRS, OTHERS], false).await;
    let group = |id: String, name: &str| Group { id: GroupId::from_jid(id), name: name.to_owned() };
    let expected = vec![group(family, "Keluarga"), group(team, "Tim")];
    assert_eq!(world.messenger.groups(device).await, Ok(expected));
    world.messenger.disconnect(device).await;
    assert_eq!(world.messenger.groups(device).await, Err(SendError::NotConnected));
}

#[tokio::test]
async fn a_group_gets_messages_and_answers() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for by_lid in [false, true] {
        let group = world.sim.group("Tim", &[OURS, THEIRS, OTHERS], by_lid).await;
        // The second one goes out with the keys that the first one has brought.
        for text in ["Halo tim", "Halo lagi"] {
            let id = world.send(device, &group, text).await;
            world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
            world.recorder.receipt(device, &id, Receipt::Read).await;
            for phone in [THEIRS, OTHERS] {
                let mail = world.sim.mail(phone, &id).await;
                assert_eq!((&mail["text"], &mail["chat"]), (&json!(text), &json!(group)));
            }
        }
        let answer = world.sim.write(THEIRS, &group, "Halo juga").await;
        let message = world.recorder.message(&answer).await;
        assert_eq!(
            (message.chat.to_string(), message.content.text()),
            (group.clone(), "Halo juga")
        );
        assert_eq!(message.sender.phone.unwrap().as_str(), THEIRS, "by LID: {by_lid}");
        if by_lid {
            assert_eq!(message.sender.lid, Some(world.sim.lid(THEIRS).await));
        }
    }
}

/// A group, and how it names a member: behind an `@`, and by JID.
async fn group_and_name(world: &World, by_lid: bool) -> (String, String, String) {
    let group = world.sim.group("Tim", &[OURS, THEIRS, OTHERS], by_lid).await;
    let lid = world.sim.lid(THEIRS).await;
    match by_lid {
        true => (group, lid.user().to_owned(), lid.as_str().to_owned()),
        false => (group, THEIRS.to_owned(), format!("{THEIRS}@s.whatsapp.net")),
    }
}

#[tokio::test]
async fn a_group_reads_whom_a_message_mentions_as_it_names_its_members() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for by_lid in [false, true] {
        let (group, named, jid) = group_and_name(&world, by_lid).await;
        let first = world.sim.write(THEIRS, &group, "Halo").await;
        world.recorder.message(&first).await;
        let mentions = Mentions { people: vec![THEIRS.to_owned()], all: false };
        let context = Context { mentions, ..Context::default() };
        let content = Content::Text(format!("Halo @{THEIRS}").into());
        let mail = world.send_and_read(device, &group, content, context, OTHERS).await;
        assert_eq!(mail["text"], json!(format!("Halo @{named}")), "by LID: {by_lid}");
        assert_eq!(mail["mentions"], json!([jid]));
        let mentioned = if by_lid { jid } else { THEIRS.to_owned() };
        let answer =
            json!({ "to": group, "text": format!("Ya @{named}"), "mentions": [mentioned] });
        let id = world.sim.phone_sends(OTHERS, answer).await;
        let read = world.recorder.message(&id).await;
        assert_eq!(read.content.text(), format!("Ya @{THEIRS}"), "by LID: {by_lid}");
        assert_eq!(read.context.mentions.people, [THEIRS]);
    }
}

#[tokio::test]
async fn an_edit_mentions_people_as_its_group_names_its_members() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for by_lid in [false, true] {
        let (group, named, jid) = group_and_name(&world, by_lid).await;
        let theirs = world.sim.write(OTHERS, &group, "Ya").await;
        world.recorder.message(&theirs).await;
        let ours = world.send(device, &group, "Halo").await;
        world.heard(device, MessengerEvent::Acknowledged(ours.clone())).await;
        let quote = Quote {
            whatsapp_id: ours,
            is_ours: Some(true),
            sender: None,
            kind: ContentKind::Text,
            text: "Halo".to_owned(),
        };
        let mentions = Mentions { people: vec![THEIRS.to_owned()], all: true };
        let context = Context { reply_to: Some(quote), mentions, ..Context::default() };
        let content = Content::Edit(format!("Halo @{THEIRS}").into());
        let mail = world.send_and_read(device, &group, content, context, OTHERS).await;
        assert_eq!(mail["kind"], "edit");
        assert_eq!(mail["text"], json!(format!("Halo @{named}")), "by LID: {by_lid}");
        assert_eq!(mail["mentions"], json!([jid, "all"]));
        let mentioned = if by_lid { jid } else { THEIRS.to_owned() };
        let edit = json!({ "message": theirs.as_str(), "text": format!("Ya @{named}") });
        let edit = json!({ "to": group, "edit": edit, "mentions": [mentioned] });
        let id = world.sim.phone_sends(OTHERS, edit).await;
        let read = world.recorder.message(&id).await;
        assert_eq!(read.content, Content::Edit(format!("Ya @{THEIRS}").into()));
        assert_eq!(read.context.mentions.people, [THEIRS], "by LID: {by_lid}");
    }
}

#[tokio::test]
async fn a_group_without_us_is_refused_for_good() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let group = world.sim.group("Tanpa kami", &[THEIRS, OTHERS], false).await;
    for group in [&*group, "120363000000000000@g.us"] {
        let refused = world.try_send(device, group, &new_id(), "x").await.unwrap_err();
        let SendError::Permanent(failure) = refused else { panic!("{refused:?}") };
        assert_eq!(failure.code, "group_not_available");
    }
}

async fn ask(world: &World, device: DeviceId, request: GroupRequest) -> GroupAnswer {
    world.messenger.group(device, request).await.unwrap()
}

async fn show(world: &World, device: DeviceId, group: &GroupId) -> GroupDetails {
    match ask(world, device, GroupRequest::Show(group.clone())).await {
        GroupAnswer::Details(details) => *details,
        other => panic!("{other:?}"),
    }
}

/// The numbers of a group's participants and what they may do.
fn roles(group: &GroupDetails) -> Vec<(&str, GroupRole)> {
    let number = |participant: &'_ domain::group::Participant| participant.who.phone.is_some();
    assert!(group.participants.iter().all(number), "{group:?}");
    let roles = group
        .participants
        .iter()
        .map(|participant| (participant.who.phone.as_ref().unwrap().as_str(), participant.role));
    let mut roles: Vec<_> = roles.collect();
    roles.sort_unstable();
    roles
}

/// Who was changed, and the code of what spoke against it.
fn outcomes(answer: GroupAnswer) -> Vec<(String, Option<String>)> {
    let GroupAnswer::Members(outcomes) = answer else { panic!("{answer:?}") };
    let plain = |MemberOutcome { who, refused }| (user(&who), refused.map(|refused| refused.code));
    outcomes.into_iter().map(plain).collect()
}

fn user(who: &ChatId) -> String {
    who.user().to_owned()
}

#[tokio::test]
async fn a_group_is_created_described_and_left() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let create = GroupRequest::Create("Panitia".into(), vec![chat(THEIRS), chat(OTHERS)]);
    let GroupAnswer::Details(made) = ask(&world, device, create).await else { panic!() };
    let id = made.group.id.clone();
    assert_eq!(made.group.name, "Panitia");
    let owner = (OURS, GroupRole::Owner);
    let members = [(THEIRS, GroupRole::Member), (OTHERS, GroupRole::Member)];
    assert_eq!(roles(&made), sorted([owner, members[0], members[1]]));
    let text = world.send(device, id.as_str(), "Selamat datang").await;
    world.heard(device, MessengerEvent::Acknowledged(text)).await;
    for setting in [
        GroupSetting::Name("Panitia 2027".into()),
        GroupSetting::Description(Some("Rapat hari Senin".into())),
        // The second one names the first as the one it replaces.
        GroupSetting::Description(Some("Rapat hari Selasa".into())),
        GroupSetting::Announcement(true),
        GroupSetting::Locked(true),
    ] {
        assert_eq!(
            ask(&world, device, GroupRequest::Set(id.clone(), setting)).await,
            GroupAnswer::Done
        );
    }
    let shown = show(&world, device, &id).await;
    assert_eq!(shown.group.name, "Panitia 2027");
    assert_eq!(shown.description.as_deref(), Some("Rapat hari Selasa"));
    assert!(shown.is_announcement && shown.is_locked);
    for setting in [
        GroupSetting::Description(None),
        GroupSetting::Announcement(false),
        GroupSetting::Locked(false),
    ] {
        ask(&world, device, GroupRequest::Set(id.clone(), setting)).await;
    }
    let shown = show(&world, device, &id).await;
    assert_eq!(shown.description, None);
    assert!(!shown.is_announcement && !shown.is_locked);
    assert_eq!(ask(&world, device, GroupRequest::Leave(id.clone())).await, GroupAnswer::Done);
    let rename = GroupRequest::Set(id.clone(), GroupSetting::Name("Tim".into()));
    let add = GroupRequest::Change(id.clone(), MemberChange::Add, vec![chat(OTHERS)]);
    let invite = GroupRequest::Invite(id.clone(), false);
    for request in [GroupRequest::Show(id.clone()), GroupRequest::Leave(id), rename, add, invite] {
        let refused = world.messenger.group(device, request).await;
        assert_eq!(code(refused), Failure::GROUP_NOT_AVAILABLE);
    }
}

fn sorted<const N: usize>(mut roles: [(&str, GroupRole); N]) -> [(&str, GroupRole); N] {
    roles.sort_unstable();
    roles
}

fn code(refused: Result<GroupAnswer, SendError>) -> String {
    match refused {
        Err(SendError::Permanent(failure)) => failure.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn members_come_and_go_and_become_admins() {
    const NEW: &str = "628330000004";
    const NOWHERE: &str = "628330000005";
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.put_phone(NOWHERE, json!({ "registered": false })).await;
    for by_lid in [false, true] {
        let id = GroupId::from_jid(world.sim.group("Tim", &[OURS, THEIRS, OTHERS], by_lid).await);
        let change = |change, people: &[&str]| {
            let people = people.iter().map(|who| chat(who)).collect();
            ask(&world, device, GroupRequest::Change(id.clone(), change, people))
        };
        let done = |who: &str| (who.to_owned(), None);
        let refused = |who: &str, code: &str| (who.to_owned(), Some(code.to_owned()));
        let added = outcomes(change(MemberChange::Add, &[NEW, THEIRS, NOWHERE]).await);
        let expected =
            [done(NEW), refused(THEIRS, "already_a_member"), refused(NOWHERE, "not_on_whatsapp")];
        assert_eq!(added, expected, "by LID: {by_lid}");
        let promoted = outcomes(change(MemberChange::Promote, &[NEW, NOWHERE]).await);
        assert_eq!(promoted, [done(NEW), refused(NOWHERE, "not_a_member")]);
        let removed = outcomes(change(MemberChange::Remove, &[OTHERS]).await);
        assert_eq!(removed, [done(OTHERS)]);
        let roles_now =
            |new| sorted([(OURS, GroupRole::Owner), (THEIRS, GroupRole::Member), (NEW, new)]);
        assert_eq!(roles(&show(&world, device, &id).await), roles_now(GroupRole::Admin));
        assert_eq!(outcomes(change(MemberChange::Demote, &[NEW]).await), [done(NEW)]);
        assert_eq!(roles(&show(&world, device, &id).await), roles_now(GroupRole::Member));
        // Who has joined can open what is written from then on, and who was removed gets no more.
        let text = world.send(device, id.as_str(), "Halo semua").await;
        world.heard(device, MessengerEvent::Acknowledged(text.clone())).await;
        for member in [THEIRS, NEW] {
            assert_eq!(world.sim.mail(member, &text).await["text"], "Halo semua");
        }
    }
}

#[tokio::test]
async fn only_admins_administer_a_group() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let id = GroupId::from_jid(world.sim.group("Tim", &[THEIRS, OURS], false).await);
    let add = GroupRequest::Change(id.clone(), MemberChange::Add, vec![chat(OTHERS)]);
    let announce = GroupRequest::Set(id.clone(), GroupSetting::Announcement(true));
    for request in [add, announce, GroupRequest::Invite(id.clone(), false)] {
        let refused = world.messenger.group(device, request).await;
        assert_eq!(code(refused), Failure::GROUP_FORBIDDEN);
    }
    // Everybody may rename a group that is not locked.
    let rename = GroupRequest::Set(id.clone(), GroupSetting::Name("Tim B".into()));
    assert_eq!(ask(&world, device, rename).await, GroupAnswer::Done);
    assert_eq!(show(&world, device, &id).await.group.name, "Tim B");
}

#[tokio::test]
async fn a_link_invites_until_it_is_renewed() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let id = GroupId::from_jid(world.sim.group("Tim", &[OURS, THEIRS], false).await);
    let link =
        async |is_new| match ask(&world, device, GroupRequest::Invite(id.clone(), is_new)).await {
            GroupAnswer::Link(link) => link,
            other => panic!("{other:?}"),
        };
    let first = link(false).await;
    assert!(first.starts_with("https://chat.whatsapp.com/"), "{first}");
    assert_eq!(link(false).await, first);
    let second = link(true).await;
    assert_ne!(second, first);
    assert_eq!(link(false).await, second);
}

/// The next changes of a group: by whom, and what.
async fn changes(world: &World, device: DeviceId, group: &GroupId, count: usize) -> Vec<Reported> {
    let read = |event: &MessengerEvent| match event {
        MessengerEvent::GroupChanged(report) if report.group == *group => {
            let by = report.by.as_ref().map(|by| by.key().to_owned());
            Some((by, report.change.clone()))
        }
        _ => None,
    };
    let mut changes = Vec::new();
    while changes.len() < count {
        changes.push(world.recorder.event(device, "change of the group", read).await);
    }
    changes
}

type Reported = (Option<String>, GroupChange);

#[tokio::test]
async fn what_others_change_about_a_group_is_reported() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for by_lid in [false, true] {
        let group = world.sim.group("Tim", &[THEIRS, OURS], by_lid).await;
        let path = format!("/groups/{group}");
        let by = json!(THEIRS);
        for change in [
            json!({"subject": "Regu"}),
            json!({"description": "Rapat Senin"}),
            json!({"description": ""}),
            json!({"announcement": true}),
            json!({"locked": true}),
            json!({"picture": "/9j/"}),
            json!({"picture": ""}),
        ] {
            let mut change = change;
            change["by"] = by.clone();
            world.sim.call("PUT", &path, change).await;
        }
        let member = |number: &str| format!("{path}/members/{number}");
        world.sim.call("PUT", &member(OTHERS), json!({"by": by})).await;
        world.sim.call("PUT", &member(OTHERS), json!({"admin": true, "by": by})).await;
        world.sim.call("PUT", &member(OTHERS), json!({"admin": false, "by": by})).await;
        world.sim.call("DELETE", &member(OTHERS), json!({"by": by})).await;
        world.sim.call("PUT", &member(OTHERS), json!({"by": by})).await;
        world.sim.call("DELETE", &member(OTHERS), json!({"by": OTHERS})).await;
        let group = GroupId::from_jid(group);
        let found = changes(&world, device, &group, 14).await;
        let shown: Vec<GroupChange> = found
            .iter()
            .map(|(_, change)| match change {
                GroupChange::Participants(action, people) => {
                    let phones =
                        people.iter().map(|who| Address { phone: who.phone.clone(), lid: None });
                    GroupChange::Participants(*action, phones.collect())
                }
                change => change.clone(),
            })
            .collect();
        let person = |number: &str| Address {
            phone: Some(domain::phone::PhoneNumber::from_digits(number)),
            lid: None,
        };
        let of = |action, number: &str| GroupChange::Participants(action, vec![person(number)]);
        use ParticipantAction::{Add, Demote, Leave, Promote, Remove};
        let expected = [
            of(Add, OURS),
            GroupChange::Name("Regu".into()),
            GroupChange::Description(Some("Rapat Senin".into())),
            GroupChange::Description(None),
            GroupChange::Announcement(true),
            GroupChange::Locked(true),
            GroupChange::Picture(true),
            GroupChange::Picture(false),
            of(Add, OTHERS),
            of(Promote, OTHERS),
            of(Demote, OTHERS),
            of(Remove, OTHERS),
            of(Add, OTHERS),
            of(Leave, OTHERS),
        ];
        assert_eq!(shown, expected, "by LID: {by_lid}");
        let authors: Vec<_> = found[1..13].iter().map(|(by, _)| by.clone().unwrap()).collect();
        assert!(authors.iter().all(|by| by == THEIRS), "{authors:?}");
        assert_eq!(found[13].0.as_deref(), Some(OTHERS));
    }
}

#[tokio::test]
async fn a_picture_is_set_and_removed() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let group = world.sim.group("Tim", &[OURS, THEIRS], false).await;
    let id = GroupId::from_jid(group.clone());
    for (picture, bytes) in [(Some(vec![0xff; 2_000]), 2_000), (None, 0)] {
        let setting = GroupSetting::Picture(picture.map(GroupPicture::Jpeg));
        ask(&world, device, GroupRequest::Set(id.clone(), setting)).await;
        let groups = world.sim.call("GET", "/groups", json!({})).await;
        let shown = groups.as_array().unwrap().iter().find(|one| one["id"] == json!(group));
        assert_eq!(shown.unwrap()["picture_bytes"], bytes);
    }
}
