//! The page Chats: what is shown, answering, reacting, reading, searching.

use domain::chat::{ChatId, GroupId};
use domain::content::{Content, ContentKind, File};
use domain::context::Context;
use domain::ids::{MessageId, WhatsappId};
use domain::incoming_file::{FileOutcome, FileReference, FileState};
use domain::media::Media;
use domain::message::{Address, Direction, IncomingMessage, Message, MessageEvent, ReceivedOrigin};
use domain::phone::PhoneNumber;
use domain::ports::{Clock as _, MessageFilter};
use testkit::fake_dispatcher::DispatcherCall;

use super::*;
use crate::tests::app::ALL;

const BUDI: &str = "628999111222";

fn incoming(app: &App, id: &str, chat: ChatId, content: Content) -> IncomingMessage {
    IncomingMessage {
        whatsapp_id: WhatsappId(id.into()),
        chat,
        sender: Address { phone: Some(PhoneNumber::from_digits(BUDI)), lid: None },
        origin: ReceivedOrigin::Incoming,
        content,
        context: Context { sender_name: Some("<i>Budi".into()), ..Context::default() },
        at: app.clock.hands.now(),
    }
}

fn budi() -> ChatId {
    ChatId::Person(PhoneNumber::from_digits(BUDI))
}

async fn receive(app: &App, id: &str, content: Content) -> MessageId {
    receive_in(app, incoming(app, id, budi(), content)).await
}

async fn receive_in(app: &App, message: IncomingMessage) -> MessageId {
    let now = app.clock.hands.now();
    app.store.receive(app.front.id(), vec![message], now).await.unwrap()[0].message.id
}

async fn become_of(app: &App, message: MessageId, outcome: FileOutcome) {
    let now = app.clock.hands.now();
    assert!(app.store.record_file(message, outcome, u64::MAX, now).await.unwrap().is_some());
}

fn picture(mimetype: &str) -> Content {
    let media = Media {
        mimetype: Some(mimetype.into()),
        filename: Some("<b>.jpg".into()),
        state: Some(FileState::Pending),
        reference: Some(FileReference(b"ref"[..].into())),
        ..Media::default()
    };
    Content::File(File { kind: ContentKind::Image, caption: "Lihat".into(), media })
}

fn talk(app: &App) -> String {
    super::super::chats::chat_path(app.front.id(), &budi())
}

async fn sent(app: &App) -> Vec<Message> {
    let filter = MessageFilter { direction: Some(Direction::Out), ..MessageFilter::default() };
    app.store.messages(app.shop.id, &filter, ALL).await.unwrap().items
}

#[tokio::test]
async fn a_conversation_is_listed_found_and_shown() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let none = viewer.get("/app/chats").await.expect(200).text();
    assert!(none.contains("No conversation yet"), "{none}");
    receive(&app, "A1", Content::Text("<script>hi".into())).await;
    let list = viewer.get("/app/chats").await.expect(200).text();
    assert!(list.contains("&lt;i&gt;Budi") && !list.contains("<i>Budi"), "{list}");
    assert!(list.contains("title=\"1 unread\"") && list.contains("&lt;script&gt;hi"));
    let (before, _) = list.split_once("&lt;i&gt;Budi").unwrap();
    let path = before.rsplit_once("href=\"").unwrap().1.split('"').next().unwrap();
    assert_eq!(path, talk(&app));
    for (query, is_found) in
        [("q=budi", true), ("q=%2B628999", true), ("q=ani", false), ("unread=1", true)]
    {
        let found = viewer.get(&format!("/app/chats?{query}")).await.expect(200).text();
        assert_eq!(found.contains("&lt;i&gt;Budi"), is_found, "{query}");
    }
    let page = viewer.get(path).await.expect(200).text();
    assert!(page.contains("&lt;script&gt;hi") && !page.contains("<script>hi"), "{page}");
    assert!(page.contains("aria-current=\"page\"") && page.contains("+628999111222"));
    assert!(
        !page.contains("name=\"text\"") && !page.contains("/read\""),
        "a viewer writes nothing"
    );
    for (text, count) in [("HI", "1 of"), ("nothing", "0 of")] {
        let found = viewer.get(&format!("{path}?find={text}")).await.expect(200).text();
        assert!(found.contains(count), "{text}: {found}");
        assert_eq!(found.contains("<li id=\"m"), count == "1 of", "{text}");
    }
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    rival.get(path).await.expect(404);
    assert!(!rival.get("/app/chats").await.expect(200).text().contains("Budi"));
    let back = super::super::chats::chat_path(app.back.id(), &budi());
    viewer.get(&back).await.expect(404);
}

#[tokio::test]
async fn pictures_are_shown_and_all_else_is_a_download() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    for (id, mimetype) in [("A1", "image/jpeg"), ("A2", "image/svg+xml"), ("A3", "text/html")] {
        let message = receive(&app, id, picture(mimetype)).await;
        become_of(&app, message, FileOutcome::Stored(9)).await;
    }
    let message = receive(&app, "A4", picture("image/png")).await;
    become_of(&app, message, FileOutcome::Ended(FileState::Failed, "gone".into())).await;
    let page = viewer.get(&talk(&app)).await.expect(200).text();
    assert_eq!(page.matches("<img src=\"/media/").count(), 1, "{page}");
    assert_eq!(page.matches("download=\"&lt;b&gt;.jpg\"").count(), 2, "{page}");
    assert!(page.contains("could not be fetched") && !page.contains("<b>.jpg"));
}

#[tokio::test]
async fn a_message_is_answered_once_and_reactions_are_on_their_message() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let asked = receive(&app, "A1", Content::Text("Buka?".into())).await.to_string();
    let path = talk(&app);
    let page = member.get(&format!("{path}?to={asked}")).await.expect(200).text();
    assert!(page.contains("<blockquote>") && page.contains("value=\"👍\""), "{page}");
    let answer = [("text", "Ya\r\nbuka"), ("to", asked.as_str()), ("key", "k")];
    viewer.post(&path, &answer).await.expect(403);
    post(&path, &answer).header("cookie", &member.cookie).of(&app.router).await.expect(403);
    for _ in 0..2 {
        let went = member.post(&path, &answer).await.expect(303);
        assert_eq!(went.header("location"), path);
        assert_eq!(sent(&app).await.len(), 1, "sent twice, it acts once");
    }
    let went = &sent(&app).await[0];
    assert_eq!((went.text(), &went.chat), ("Ya\nbuka", &budi()));
    assert_eq!(went.context.reply_to.as_ref().unwrap().text, "Buka?");
    for emoji in ["👍", "❤️"] {
        let reaction = [("emoji", emoji), ("to", asked.as_str()), ("key", "k")];
        member.post(&path, &reaction).await.expect(303);
        let id = sent(&app).await[0].id;
        app.follow(id, MessageEvent::Submitted).await;
        app.follow(id, MessageEvent::Acknowledged).await;
    }
    let page = member.get(&path).await.expect(200).text();
    assert!(page.contains("<p class=\"reactions\"><span>❤️</span></p>"), "{page}");
    assert_eq!(page.matches("<li id=\"m").count(), 2, "a reaction is no line of its own");
    let empty = [("text", " "), ("key", "e")];
    let refused = member.post(&path, &empty).await.expect(422).text();
    assert!(refused.contains("id=\"text-fault\""), "{refused}");
    let foreign = [("text", "x"), ("to", "4711"), ("key", "f")];
    member.post(&path, &foreign).await.expect(422);
}

#[tokio::test]
async fn a_conversation_is_marked_as_read() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let id = receive(&app, "A1", Content::Text("a".into())).await;
    let read = talk(&app) + "/read";
    assert!(member.get(&talk(&app)).await.text().contains("Mark 1 as read"));
    viewer.post(&read, &[]).await.expect(403);
    app.dispatcher.take_calls();
    member.post(&read, &[]).await.expect(303);
    assert_eq!(app.dispatcher.take_calls(), [DispatcherCall::MarkRead(app.front.id(), vec![id])]);
    assert!(!member.get(&talk(&app)).await.text().contains("Mark 1"));
}

#[tokio::test]
async fn a_group_is_asked_about_only_when_somebody_wants_to_know() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let group = ChatId::Group(GroupId::from_jid("120363041234567890@g.us"));
    let message = incoming(&app, "G1", group.clone(), Content::Text("halo".into()));
    receive_in(&app, message).await;
    let path = super::super::chats::chat_path(app.front.id(), &group);
    app.dispatcher.take_calls();
    let page = member.get(&path).await.expect(200).text();
    assert!(page.contains("Show its members") && page.contains("<strong>&lt;i&gt;Budi"), "{page}");
    assert_eq!(app.dispatcher.take_calls(), []);
    let page = member.get(&format!("{path}?show=facts")).await.expect(200).text();
    assert!(page.contains("data-column=\"facts\""), "{page}");
    assert!(!app.dispatcher.take_calls().is_empty());
}

#[tokio::test]
async fn a_name_in_place_of_a_number_leads_to_the_chat() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    receive(&app, "A1", Content::Text("halo".into())).await;
    let page = viewer.get("/app/messages?chat=budi&direction=in").await.expect(422).text();
    assert!(page.contains("Chats of that name:") && page.contains("&lt;i&gt;Budi"), "{page}");
    let link = format!("/app/messages?direction=in&amp;chat={BUDI}");
    assert!(page.contains(&link), "{page}");
    let page = viewer.get("/app/messages?chat=nobody").await.expect(422).text();
    assert!(!page.contains("Chats of that name:"), "{page}");
}
