//! The third column of a conversation: who it is with.

use domain::chat::{Chat, ChatId};
use domain::error::Error;
use domain::group::{GroupDetails, GroupRole};
use domain::message::Address;
use maud::{Markup, html};

use super::caller::Person;
use super::chats::{ChatWords, chat_name};
use super::failure::describe;
use super::groups::group_path;
use super::show::{self, with};
use crate::state::AppState;

/// Most members that are shown here; the group's page has all.
const MEMBERS_SHOWN: usize = 100;

/// The column, with the ways back to the messages and to what WhatsApp is asked for: only when somebody wants
/// to know, not each time that something changes.
pub(super) async fn column(
    state: &AppState,
    person: &Person,
    chat: &Chat,
    (back, asking): (&str, &str),
    is_asked: bool,
) -> Result<Markup, Error> {
    let (words, own) = (person.words(), ChatWords::of(person.lang));
    let device = state.core().device(person.principal(), chat.device_id).await?;
    let (id, short) = (chat.device_id, chat.chat.short());
    Ok(html! {
        section.about aria-label=(own.facts) {
            p.crumbs.narrow-only { a href=(back) { (own.back_to_chat) } }
            // On narrow screens it is a page of its own.
            @if is_asked { h1.title { (chat_name(chat)) } } @else { h2.title { (chat_name(chat)) } }
            dl.facts {
                @match &chat.chat {
                    ChatId::Person(phone) => { dt { (own.number) } dd { "+" (phone) } }
                    ChatId::Lid(lid) => {
                        dt { (own.number) } dd.quiet { (own.hidden_number) }
                        dt { (own.address) } dd { code { (lid) } }
                    }
                    _ => { dt { (own.address) } dd { code { (chat.chat) } } }
                }
                dt { (words.device) }
                dd { a href=(show::device_path(&device)) { (show::device_name(&device)) } }
            }
            ul.plain-list {
                li { a href={ "/app/messages?device=" (id) "&chat=" (short) } { (own.all_messages) } }
                @if !matches!(chat.chat, ChatId::Other(_)) {
                    li { a href={ "/app/send?device=" (id) "&to=" (short) } { (own.send_other) } }
                }
            }
            @if chat.chat.is_group() { (group(state, person, chat, asking, is_asked).await) }
        }
    })
}

async fn group(
    state: &AppState,
    person: &Person,
    chat: &Chat,
    asking: &str,
    is_asked: bool,
) -> Markup {
    let own = ChatWords::of(person.lang);
    if !is_asked {
        return html! { p { a.button.plain href=(asking) { (own.ask_group) } } };
    }
    match state.core().group(person.principal(), chat.device_id, chat.chat.short()).await {
        Ok(details) => html! {
            h2 { (details.group.name) }
            @if let Some(text) = &details.description { p.said { (text) } }
            h2 { (with(own.members, details.participants.len())) }
            (members(own, &details))
            p { a href=(group_path(chat.device_id, &details.group)) { (own.group_page) } }
        },
        Err(error) => {
            html! { p.fault role="alert" { (describe(&error.into(), person.words())) } }
        }
    }
}

fn members(own: &ChatWords, details: &GroupDetails) -> Markup {
    html! {
        ul.plain-list {
            @for member in details.participants.iter().take(MEMBERS_SHOWN) {
                li {
                    (named(&member.who))
                    @if member.role != GroupRole::Member { " " span.quiet { (own.admin) } }
                }
            }
            @if details.participants.len() > MEMBERS_SHOWN { li { "…" } }
        }
    }
}

fn named(who: &Address) -> String {
    who.phone.as_ref().map_or_else(|| who.key().to_owned(), |phone| format!("+{phone}"))
}
