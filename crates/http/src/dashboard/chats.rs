//! `/app/chats`: conversations, and beside them the one that is read ([`super::chat`]).

use std::collections::BTreeSet;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::chat::{Chat, ChatId};
use domain::device::Device;
use domain::error::Error;
use domain::ids::DeviceId;
use domain::ports::{ChatFilter, PageRequest};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::caller::{Asked, InAccount, Person, id};
use super::device_choice;
use super::failure::PageResult;
use super::layout::{self, Place};
use super::show;
use super::words::words;
use crate::state::AppState;

/// Conversations of a page.
const CHATS_SHOWN: u32 = 40;

words! {
    /// The texts of the conversations.
    ChatWords
    title: "Chats", "Obrolan";
    conversations: "Conversations", "Percakapan";
    search: "Name or number", "Nama atau nomor";
    search_go: "Search", "Cari";
    unread_only: "Unread only", "Hanya yang belum dibaca";
    unread: "{} unread", "{} belum dibaca";
    none: "No conversation yet. Send a message, or wait until somebody writes to you.", "Belum ada percakapan. Kirim pesan, atau tunggu sampai ada yang menulis.";
    none_found: "No conversation matches.", "Tidak ada percakapan yang cocok.";
    choose: "Choose a conversation.", "Pilih percakapan.";
    facts: "Facts", "Keterangan";
    back: "All conversations", "Semua percakapan";
    back_to_chat: "Back to the messages", "Kembali ke pesan";
    mark_read: "Mark {} as read", "Tandai {} sudah dibaca";
    find: "Search in this conversation", "Cari di percakapan ini";
    found: "{} of the newest messages match.", "{} pesan terbaru yang cocok.";
    whole: "The whole conversation", "Seluruh percakapan";
    answer: "Reply or react", "Balas atau beri reaksi";
    answering: "Reply to", "Balas";
    no_answer: "Without a reply", "Tanpa membalas";
    react: "React with {}", "Beri reaksi {}";
    no_reaction: "Remove the reaction", "Hapus reaksi";
    write: "Message", "Pesan";
    you: "You", "Anda";
    votes: "votes: {}", "suara: {}";
    view_once: "view once", "sekali lihat";
    download: "Download {}", "Unduh {}";
    file: "file", "berkas";
    file_gone: "The file is not kept any more.", "Berkas tidak disimpan lagi.";
    file_failed: "The file could not be fetched.", "Berkas tidak dapat diambil.";
    picture_of: "Picture from {}", "Gambar dari {}";
    no_writing: "Nothing can be written here.", "Tidak dapat menulis di sini.";
    hidden_number: "hidden by WhatsApp", "disembunyikan WhatsApp";
    address: "Address", "Alamat";
    number: "Number", "Nomor";
    all_messages: "All messages as a list", "Semua pesan sebagai daftar";
    send_other: "Send a file, a poll, …", "Kirim berkas, polling, …";
    group_page: "Change the group", "Ubah grup";
    ask_group: "Show its members", "Tampilkan anggotanya";
    members: "{} members", "{} anggota";
    admin: "admin", "admin";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/chats", get(list))
}

/// What is looked for among the conversations; it stays while one of them is read.
#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(super) struct ChatsQuery {
    pub(super) q: String,
    pub(super) device: String,
    pub(super) unread: String,
    pub(super) older: Option<i64>,
}

impl ChatsQuery {
    fn filter(&self) -> Result<ChatFilter, Error> {
        let device = match self.device.as_str() {
            "" => None,
            text => Some(id(text, "device")?),
        };
        let (is_unread, search) = (!self.unread.is_empty(), self.q.clone());
        Ok(ChatFilter { device, is_unread, search, ..ChatFilter::default() })
    }

    fn is_narrowed(&self) -> bool {
        !self.q.trim().is_empty() || !self.device.is_empty() || !self.unread.is_empty()
    }

    /// The same search at another address.
    fn path(&self, page: &str, older: Option<i64>) -> String {
        self.address(page, older, &[])
    }

    /// The hidden fields of a form that leads to the same page of it.
    pub(super) fn fields(&self) -> Markup {
        let older = self.older.map(|older| older.to_string()).unwrap_or_default();
        let fields =
            [("q", &self.q), ("device", &self.device), ("unread", &self.unread), ("older", &older)];
        html! {
            @for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
                input type="hidden" name=(name) value=(value);
            }
        }
    }

    /// The same page of it at another address, which takes these fields, too.
    pub(super) fn beside(&self, page: &str, fields: &[(&str, &str)]) -> String {
        self.address(page, self.older, fields)
    }

    fn address(&self, page: &str, older: Option<i64>, more: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let fields = [("q", &self.q), ("device", &self.device), ("unread", &self.unread)];
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        if let Some(older) = older {
            query.append_pair("older", &older.to_string());
        }
        query.extend_pairs(more);
        match query.finish() {
            query if query.is_empty() => page.to_owned(),
            query => format!("{page}?{query}"),
        }
    }
}

/// The page of a conversation.
pub(super) fn chat_path(device: DeviceId, chat: &ChatId) -> String {
    let jid = chat.jid();
    format!("/app/chats/{device}/{}", utf8_percent_encode(&jid, NON_ALPHANUMERIC))
}

/// What a conversation is called.
pub(super) fn chat_name(chat: &Chat) -> String {
    chat.name.clone().unwrap_or_else(|| show::chat(&chat.chat))
}

/// The column that is seen where only one has room.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    List,
    Chat,
    Facts,
}

impl Column {
    fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Chat => "chat",
            Self::Facts => "facts",
        }
    }
}

/// The three columns.
pub(super) fn columns(column: Column, list: &Markup, chat: &Markup, facts: &Markup) -> Markup {
    html! { div.chats data-column=(column.as_str()) { (list) (chat) (facts) } }
}

async fn list(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Asked(query): Asked<ChatsQuery>,
) -> PageResult {
    let own = ChatWords::of(person.lang);
    let list = conversations(&state, &person, &query, None).await?;
    let chat =
        html! { section.talk aria-label=(person.words().messages) { p.empty { (own.choose) } } };
    let facts = html! { section.about aria-label=(own.facts) {} };
    let body = html! {
        h1 { (own.title) }
        (columns(Column::List, &list, &chat, &facts))
    };
    Ok(layout::page(&person, Place::Chats, own.title, &body))
}

/// The first column; the conversation that is read is marked in it.
pub(super) async fn conversations(
    state: &AppState,
    person: &Person,
    query: &ChatsQuery,
    read: Option<(DeviceId, &ChatId)>,
) -> Result<Markup, Error> {
    let (words, own) = (person.words(), ChatWords::of(person.lang));
    let core = state.core();
    let page = PageRequest { before: query.older, limit: CHATS_SHOWN };
    let filter = query.filter()?;
    let offered = device_choice::devices(state, person, filter.device).await?;
    let chats = core.chats(person.principal(), filter, page).await?;
    let named: BTreeSet<DeviceId> = chats.items.iter().map(|chat| chat.device_id).collect();
    let devices = device_choice::with_named(state, person, offered.clone(), named).await?;
    let last = chats.items.last().filter(|_| chats.has_more);
    Ok(html! {
        section.conversations aria-label=(own.conversations) {
            (search_form(person, query, &offered))
            div #conversations data-live=[query.older.is_none().then_some("message contact")] {
                @if chats.items.is_empty() {
                    p.empty { @if query.is_narrowed() { (own.none_found) } @else { (own.none) } }
                }
                ul.talks {
                    @for chat in &chats.items {
                        @let is_read = read == Some((chat.device_id, &chat.chat));
                        li { (entry(person, query, chat, &devices, is_read)) }
                    }
                }
            }
            @if let Some(last) = last {
                p { a.button.plain href=(query.path("/app/chats", Some(last.last_message_id.0))) {
                    (words.older)
                } }
            }
        }
    })
}

fn search_form(person: &Person, query: &ChatsQuery, devices: &[Device]) -> Markup {
    let (words, own) = (person.words(), ChatWords::of(person.lang));
    html! {
        form.find method="get" action="/app/chats" role="search" aria-label=(own.conversations) {
            label.hidden for="q" { (own.search) }
            input #q name="q" type="search" value=(query.q) placeholder=(own.search);
            @if devices.len() > 1 {
                label.hidden for="device" { (words.device) }
                select #device name="device" {
                    option value="" { (words.devices) ": " (words.all) }
                    (device_choice::options(person.lang, devices, &query.device))
                }
            }
            label.check { input type="checkbox" name="unread" value="1" checked[!query.unread.is_empty()];
                (own.unread_only) }
            button.plain { (own.search_go) }
        }
    }
}

fn entry(
    person: &Person,
    query: &ChatsQuery,
    chat: &Chat,
    devices: &[Device],
    is_read: bool,
) -> Markup {
    let (words, own) = (person.words(), ChatWords::of(person.lang));
    let device = devices.iter().find(|device| device.id == chat.device_id);
    html! {
        a href=(query.beside(&chat_path(chat.device_id, &chat.chat), &[]))
            aria-current=[is_read.then_some("page")] {
            span.head {
                strong { (chat_name(chat)) }
                @if let Some(last) = &chat.last { (show::short_time(person, last.created_at)) }
            }
            span.head {
                span.last { @if let Some(last) = &chat.last { (show::summary(words, last)) } }
                @if chat.unread > 0 {
                    span.badge data-tone="good" title=(show::with(own.unread, chat.unread)) { (chat.unread) }
                }
            }
            @if let (true, Some(device)) = (devices.len() > 1, device) { span.quiet { (device.name) } }
        }
    }
}
