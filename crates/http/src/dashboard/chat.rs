//! `/app/chats/{device}/{chat}`: a conversation: its messages, answering them, reading them, and facts.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use domain::chat::{Chat, ChatId};
use domain::content::Content;
use domain::error::Error;
use domain::ids::{DeviceId, MessageId};
use domain::message::Message;
use domain::person::Role;
use domain::ports::{IdempotencyKey, MessageFilter, PageRequest};
use domain::service::SendRequest;
use maud::{Markup, html};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::bubbles::{Bubbles, writer};
use super::caller::{Asked, InAccount, Nothing, Person, Posted, csrf_field, id};
use super::chat_facts;
use super::chats::{ChatWords, ChatsQuery, Column, chat_name, chat_path, columns, conversations};
use super::failure::{Failure, PageResult, describe, redirect};
use super::layout::{self, Head, Place};
use super::once::{self, new_key};
use super::show::{self, Fault, with};
use crate::state::AppState;

/// Messages of a page.
const MESSAGES_SHOWN: u32 = 40;
/// How many of the newest messages of a conversation are searched.
const SEARCHED_MAX: usize = 1_000;
/// How many of them are read at a time.
const SEARCHED_PAGE: u32 = 100;
/// What can be chosen with a click.
const EMOJI: [&str; 6] = ["👍", "❤️", "😂", "😮", "😢", "🙏"];

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/chats/{device}/{chat}", get(show_chat).post(send))
        .route("/app/chats/{device}/{chat}/read", post(read))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ChatQuery {
    before: Option<i64>,
    /// A text that messages are searched for.
    find: String,
    /// The message that is answered.
    to: String,
    /// `facts`: the third column, with what WhatsApp is asked for.
    show: String,
}

/// What a page shows beside the conversation.
#[derive(Default)]
struct Shown {
    query: ChatQuery,
    chats: ChatsQuery,
    form: WriteForm,
    fault: Option<Fault>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WriteForm {
    text: String,
    to: String,
    emoji: Option<String>,
    key: String,
}

/// A conversation that somebody may see.
struct Talk {
    person: Person,
    chat: Chat,
    path: String,
}

impl Talk {
    async fn of(state: &AppState, person: Person, names: &(String, String)) -> Result<Self, Error> {
        let device: DeviceId = id(&names.0, "device")?;
        let named = ChatId::from(names.1.as_str());
        let chat = state.core().chat(person.principal(), device, named).await?;
        let path = chat_path(device, &chat.chat);
        Ok(Self { person, chat, path })
    }

    fn may_write(&self) -> bool {
        self.person.visitor.role() >= Role::Member && !matches!(self.chat.chat, ChatId::Other(_))
    }

    /// The message of this conversation that is answered.
    async fn answered(&self, state: &AppState, name: &str) -> Result<Option<Message>, Error> {
        let Ok(number) = name.parse() else { return Ok(None) };
        match state.core().message(self.person.principal(), MessageId(number)).await {
            Ok(message) => Ok(Some(message).filter(|message| {
                message.device_id == self.chat.device_id && message.chat == self.chat.chat
            })),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

async fn show_chat(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(names): Path<(String, String)>,
    Asked(query): Asked<ChatQuery>,
    Asked(chats): Asked<ChatsQuery>,
) -> PageResult {
    let talk = Talk::of(&state, person, &names).await?;
    page(&state, &talk, &Shown { query, chats, ..Shown::default() }).await
}

impl Shown {
    /// This conversation, with the same list beside it.
    fn here(&self, talk: &Talk, fields: &[(&str, &str)]) -> String {
        self.chats.beside(&talk.path, fields)
    }
}

async fn page(state: &AppState, talk: &Talk, shown: &Shown) -> Result<Response, Failure> {
    let (person, chat) = (&talk.person, &talk.chat);
    let read = Some((chat.device_id, &chat.chat));
    let list = conversations(state, person, &shown.chats, read).await?;
    let messages = messages(state, talk, shown).await?;
    let is_asked = shown.query.show == "facts";
    let ways = (shown.here(talk, &[]), shown.here(talk, &[("show", "facts")]));
    let facts = chat_facts::column(state, person, chat, (&ways.0, &ways.1), is_asked).await?;
    let column = if is_asked { Column::Facts } else { Column::Chat };
    let (name, head) = (chat_name(chat), Head::default());
    let body = columns(column, &list, &messages, &facts);
    let status = Fault::status(shown.fault.as_ref());
    Ok(layout::page_with(status, person, Place::Chats, &name, &head, &body))
}

async fn messages(state: &AppState, talk: &Talk, page: &Shown) -> Result<Markup, Failure> {
    let Shown { query, form, fault, chats } = page;
    let fault = fault.as_ref();
    let (person, own) = (&talk.person, ChatWords::of(talk.person.lang));
    let is_search = !query.find.trim().is_empty();
    let (shown, older) = match is_search {
        true => (found(state, talk, &query.find).await?, None),
        false => newest(state, talk, query.before).await?,
    };
    let name = if form.to.is_empty() { &query.to } else { &form.to };
    let answered = if talk.may_write() { talk.answered(state, name).await? } else { None };
    let answer = page.here(talk, &[("to", "")]);
    let bubbles = Bubbles { person, answer, messages: &shown, is_answerable: talk.may_write() };
    let is_asked = query.show == "facts";
    let is_live = !is_search && query.before.is_none();
    Ok(html! {
        section.talk aria-label=(person.words().messages) {
            p.crumbs.phone-only { a href=(chats.beside("/app/chats", &[])) { (own.back) } }
            div.head {
                @if is_asked { h2.title { (chat_name(&talk.chat)) } }
                @else { h1.title { (chat_name(&talk.chat)) } }
                a.button.plain.narrow-only href=(page.here(talk, &[("show", "facts")])) { (own.facts) }
                (read_form(talk, chats))
            }
            (find_form(talk, page, is_search.then_some(shown.len())))
            (Fault::above(fault, &["text"]))
            div.scroll role="group" aria-label=(person.words().messages) tabindex="0" {
                div {
                    @if let Some(older) = older {
                        p { a.button.plain href=(page.here(talk, &[("before", &older.to_string())])) { (person.words().older) } }
                    }
                    div #messages data-live=[is_live.then_some("message contact")] { (bubbles.render()) }
                }
            }
            @if talk.may_write() { (composer(state, talk, answered.as_ref(), page)) }
            @else if person.visitor.role() >= Role::Member { p.quiet { (own.no_writing) } }
        }
    })
}

/// A page of the conversation, oldest first, and where the one before it begins.
async fn newest(
    state: &AppState,
    talk: &Talk,
    before: Option<i64>,
) -> Result<(Vec<Message>, Option<i64>), Error> {
    let page = PageRequest { before, limit: MESSAGES_SHOWN };
    let found = state.core().messages(talk.person.principal(), filter(talk), page).await?;
    let older = found.next(|message| message.id.0);
    let mut items = found.items;
    items.reverse();
    Ok((items, older))
}

fn filter(talk: &Talk) -> MessageFilter {
    MessageFilter {
        device: Some(talk.chat.device_id),
        chat: Some(talk.chat.chat.clone()),
        ..MessageFilter::default()
    }
}

/// The newest messages with a text in them, oldest first.
async fn found(state: &AppState, talk: &Talk, text: &str) -> Result<Vec<Message>, Error> {
    let wanted = text.trim().to_lowercase();
    let (mut found, mut before, mut looked) = (Vec::new(), None, 0);
    while looked < SEARCHED_MAX {
        let page = PageRequest { before, limit: SEARCHED_PAGE };
        let page = state.core().messages(talk.person.principal(), filter(talk), page).await?;
        looked += page.items.len();
        before = page.next(|message| message.id.0);
        let names = |message: &Message| {
            let media = message.media().and_then(|media| media.filename.as_deref());
            format!("{}\n{}", message.text(), media.unwrap_or_default()).to_lowercase()
        };
        found.extend(page.items.into_iter().filter(|message| names(message).contains(&wanted)));
        if before.is_none() {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

fn read_form(talk: &Talk, chats: &ChatsQuery) -> Markup {
    let own = ChatWords::of(talk.person.lang);
    let may_read = talk.person.visitor.role() >= Role::Member && talk.chat.unread > 0;
    html! {
        div #unread data-live="message" {
            @if may_read {
                form method="post" action=(chats.beside(&format!("{}/read", talk.path), &[])) {
                    (talk.person.csrf())
                    button.plain { (with(own.mark_read, talk.chat.unread)) }
                }
            }
        }
    }
}

fn find_form(talk: &Talk, page: &Shown, count: Option<usize>) -> Markup {
    let own = ChatWords::of(talk.person.lang);
    html! {
        form.find method="get" action=(talk.path) role="search" aria-label=(own.find) {
            label.hidden for="find" { (own.find) }
            (page.chats.fields())
            input #find name="find" type="search" value=(page.query.find) placeholder=(own.find);
            button.plain { (own.search_go) }
        }
        @if let Some(count) = count {
            p role="status" { (with(own.found, count)) " " a href=(page.here(talk, &[])) { (own.whole) } }
        }
    }
}

fn composer(state: &AppState, talk: &Talk, answered: Option<&Message>, page: &Shown) -> Markup {
    let (form, fault, here) = (&page.form, page.fault.as_ref(), page.here(talk, &[]));
    let (person, own) = (&talk.person, ChatWords::of(talk.person.lang));
    let key = if form.key.is_empty() { new_key(state) } else { form.key.clone() };
    let hidden = html! {
        (csrf_field(&person.csrf))
        (once::field(&key))
        @if let Some(message) = answered { input type="hidden" name="to" value=(message.id); }
    };
    html! {
        div.write #write {
            @if let Some(message) = answered {
                blockquote {
                    strong { (own.answering) " " (writer(person, message)) }
                    p { (show::summary(person.words(), message)) }
                }
                form.row.emoji method="post" action=(here) {
                    (hidden)
                    @for emoji in EMOJI {
                        button.plain name="emoji" value=(emoji) aria-label=(with(own.react, emoji)) { (emoji) }
                    }
                    button.plain name="emoji" value="" { (own.no_reaction) }
                    a href=(here) { (own.no_answer) }
                }
            }
            form method="post" action=(here) {
                (hidden)
                label.hidden for="text" { (own.write) }
                textarea #text name="text" rows="2" required placeholder=(own.write)
                    aria-describedby="text-fault" { (form.text) }
                (Fault::beside(fault, "text"))
                button { (person.words().send) }
            }
        }
    }
}

async fn send(
    State(state): State<AppState>,
    Path(names): Path<(String, String)>,
    Asked(chats): Asked<ChatsQuery>,
    Posted { person, form }: Posted<WriteForm>,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    let talk = Talk::of(&state, person, &names).await?;
    let content = match &form.emoji {
        Some(emoji) => Content::Reaction(emoji.clone()),
        None => Content::Text(form.text.replace("\r\n", "\n").as_str().into()),
    };
    let request = SendRequest {
        device: Some(talk.chat.device_id.into()),
        to: show::chat(&talk.chat.chat),
        content,
        reply_to: (!form.to.is_empty()).then(|| form.to.clone()),
        ..SendRequest::default()
    };
    let key = Some(idempotency(&talk, &form));
    match state.core().send(talk.person.principal(), vec![request], key).await {
        Ok(_) => Ok(redirect(&chats.beside(&talk.path, &[]))),
        Err(error @ (Error::NotFound(_) | Error::Store(_))) => Err(error.into()),
        Err(error) => {
            let field = if form.emoji.is_some() { "emoji" } else { "text" };
            let fault = Some(Fault::of(field, describe(&error.into(), talk.person.words())));
            page(&state, &talk, &Shown { form, fault, chats, ..Shown::default() }).await
        }
    }
}

/// A form that was changed is another request.
fn idempotency(talk: &Talk, form: &WriteForm) -> IdempotencyKey {
    let what = [&talk.path, &form.text, &form.to, form.emoji.as_deref().unwrap_or("\n")].join("\0");
    let request_hash: [u8; 32] = Sha256::digest(what).into();
    let key: String = form.key.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    IdempotencyKey {
        route: "POST /app/chats/{device}/{chat}".to_owned(),
        key: format!("{key}-{}", hex::encode(&request_hash[..16])),
        request_hash,
        token_of: None,
    }
}

async fn read(
    State(state): State<AppState>,
    Path(names): Path<(String, String)>,
    Asked(chats): Asked<ChatsQuery>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    let talk = Talk::of(&state, person, &names).await?;
    let (device, chat) = (talk.chat.device_id, talk.chat.chat.clone());
    match state.core().read_chat(talk.person.principal(), device, chat).await {
        Ok(_) => Ok(redirect(&chats.beside(&talk.path, &[]))),
        Err(error @ (Error::DeviceNotConnected(_) | Error::Whatsapp(_))) => {
            let fault = Some(Fault::of("read", describe(&error.into(), talk.person.words())));
            page(&state, &talk, &Shown { fault, chats, ..Shown::default() }).await
        }
        Err(error) => Err(error.into()),
    }
}
