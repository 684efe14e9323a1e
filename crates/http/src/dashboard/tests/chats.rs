//! The page Chats: what is shown, answering, reacting, reading, searching.

use domain::chat::{ChatFacts, ChatId, GroupId};
use domain::content::{Content, ContentKind, File, Poll};
use domain::context::{Context, Quote};
use domain::ids::{MessageId, WhatsappId};
use domain::incoming_file::{FileOutcome, FileReference, FileState};
use domain::media::Media;
use domain::message::{Address, Direction, IncomingMessage, Message, MessageEvent, ReceivedOrigin};
use domain::phone::PhoneNumber;
use domain::ports::{Clock as _, MessageFilter};
use domain::structured::Vote;
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

/// Something that is done to the message A1.
async fn change(app: &App, id: &str, content: Content) {
    app.clock.hands.advance(jiff::SignedDuration::from_secs(1));
    let mut message = incoming(app, id, budi(), content);
    message.context.reply_to = Some(Quote {
        whatsapp_id: WhatsappId("A1".into()),
        is_ours: Some(false),
        sender: None,
        kind: ContentKind::Other,
        text: String::new(),
    });
    let now = app.clock.hands.now();
    app.store.receive(app.front.id(), vec![message], now).await.unwrap();
}

#[tokio::test]
async fn what_became_of_a_message_is_on_its_page_and_in_the_list() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let id = receive(&app, "A1", Content::Text("<b>buka jam 9".into())).await;
    let path = format!("/app/messages/{id}");
    change(&app, "A2", Content::Edit("buka jam 8".into())).await;
    let page = viewer.get(&path).await.expect(200).text();
    let (before, timeline) = page.split_once("class=\"timeline\"").unwrap();
    assert!(before.contains("buka jam 8") && !before.contains("buka jam 9"), "{page}");
    assert!(timeline.contains(">edited<"), "{timeline}");
    assert!(timeline.contains("before: &lt;b&gt;buka jam 9"), "{timeline}");
    let list = viewer.get("/app/messages").await.expect(200).text();
    assert!(list.contains("buka jam 8 <span class=\"quiet\">edited</span>"), "{list}");

    change(&app, "A3", Content::Revoke).await;
    let page = viewer.get(&path).await.expect(200).text();
    let (before, timeline) = page.split_once("class=\"timeline\"").unwrap();
    assert!(before.contains("deleted for everyone"), "{page}");
    assert!(timeline.contains(">edited<") && timeline.contains(">deleted for everyone<"));
    for page in [page, viewer.get("/app/messages").await.expect(200).text()] {
        assert!(page.contains("deleted for everyone") && !page.contains("buka jam"), "{page}");
    }
}

#[tokio::test]
async fn a_page_of_a_message_shows_all_that_it_carries() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let shown =
        async |id: MessageId| viewer.get(&format!("/app/messages/{id}")).await.expect(200).text();
    let vote = Vote {
        voter: BUDI.into(),
        digests: vec![Poll::digest("<i>nasi")],
        at: app.clock.hands.now(),
    };
    let poll = Poll {
        question: "Makan?".into(),
        options: vec!["<i>nasi".into(), "mie".into()],
        selectable: 1,
        votes: vec![vote],
    };
    let poll = receive(&app, "A1", Content::Poll(poll)).await;
    for page in [shown(poll).await, viewer.get(&talk(&app)).await.expect(200).text()] {
        assert!(page.contains("&lt;i&gt;nasi <span class=\"quiet\">votes: 1</span>"), "{page}");
        assert!(page.contains("mie <span class=\"quiet\">votes: 0</span>"), "{page}");
    }
    let contact = domain::content::Contact {
        name: "Ani".into(),
        phone: Some("+62811".into()),
        ..Default::default()
    };
    let contact = receive(&app, "A2", Content::Contacts(vec![contact])).await;
    let page = shown(contact).await;
    assert!(page.contains("Ani +62811"), "{page}");
    let contact = |phone: &str, organization: Option<&str>| domain::content::Contact {
        name: "Budi".into(),
        phone: Some(phone.into()),
        organization: organization.map(str::to_owned),
    };
    let contacts = vec![contact("62812345678", Some("<b>Toko</b>")), contact("112", None)];
    let page = shown(receive(&app, "A4", Content::Contacts(contacts)).await).await;
    assert!(page.contains("Budi 62812345678 · &lt;b&gt;Toko&lt;/b&gt;</p>"), "{page}");
    assert!(page.contains("Budi 112</p>"), "{page}");
    let file = receive(&app, "A3", picture("text/html")).await;
    become_of(&app, file, FileOutcome::Stored(9)).await;
    let page = shown(file).await;
    assert!(
        page.contains("href=\"/media/") && page.contains("download=\"&lt;b&gt;.jpg\""),
        "{page}"
    );
}

#[tokio::test]
async fn of_a_message_in_a_group_the_writer_and_the_groups_name_are_shown() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let id = "120363041234567890@g.us";
    let group = ChatId::Group(GroupId::from_jid(id));
    let message = incoming(&app, "G1", group.clone(), Content::Text("halo".into()));
    let message = receive_in(&app, message).await;
    let path = format!("/app/messages/{message}");
    let page = viewer.get(&path).await.expect(200).text();
    assert!(page.contains("<dd>&lt;i&gt;Budi (+628999111222)</dd>"), "{page}");
    assert!(page.contains(&format!(">{id}</a>")), "its address, where it has no name: {page}");
    let facts = ChatFacts { name: Some("Keluarga <b>".into()), ..ChatFacts::default() };
    assert!(app.store.describe_chat(app.front.id(), &group, &facts).await.unwrap());
    for path in [path.as_str(), "/app/messages"] {
        let page = viewer.get(path).await.expect(200).text();
        assert!(page.contains("Keluarga &lt;b&gt;"), "{path}: {page}");
        assert!(!page.contains(&format!(">{id}<")), "{path}: {page}");
    }
}

#[tokio::test]
async fn the_lists_search_stays_while_one_reads_and_writes() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let asked = receive(&app, "A1", Content::Text("Buka?".into())).await;
    let query = "?q=budi&unread=1";
    let here = format!("{}{query}", talk(&app));
    let html = here.replace('&', "&amp;");
    let page = member.get(&format!("{here}&to={asked}")).await.expect(200).text();
    assert_eq!(page.matches(&format!("action=\"{html}\"")).count(), 2, "{page}");
    for more in ["show=facts", "to="] {
        assert!(page.contains(&format!("href=\"{html}&amp;{more}")), "{more}: {page}");
    }
    assert!(page.contains(&format!("href=\"/app/chats{}\"", query.replace('&', "&amp;"))));
    assert!(page.contains("<input type=\"hidden\" name=\"q\" value=\"budi\">"), "{page}");
    let went = member.post(&here, &[("text", "Ya"), ("key", "k")]).await.expect(303);
    assert_eq!(went.header("location"), here);
    let read = here.replace('?', "/read?");
    let went = member.post(&read, &[]).await.expect(303);
    assert_eq!(went.header("location"), here);
}

#[tokio::test]
async fn a_conversation_has_one_title_in_each_of_its_columns() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    receive(&app, "A1", Content::Text("Buka?".into())).await;
    for query in ["", "?show=facts"] {
        let page = viewer.get(&format!("{}{query}", talk(&app))).await.expect(200).text();
        assert_eq!(page.matches("<h1").count(), 1, "{query}: {page}");
        assert_eq!(page.matches("class=\"title\"").count(), 2, "{query}: {page}");
    }
}
