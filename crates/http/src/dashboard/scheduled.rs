//! `/app/scheduled`: what is to be sent later, the next first.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::message::{Direction, Message, MessageState};
use domain::person::Role;
use domain::ports::{MessageFilter, PageRequest};
use maud::{Markup, html};

use super::caller::{InAccount, Person};
use super::failure::PageResult;
use super::group_names::{GroupNames, group_names, shown};
use super::layout::{self, Place};
use super::show;
use super::table::{self, Column};
use crate::state::AppState;

/// Messages of the page.
const MESSAGES_SHOWN: u32 = 500;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/scheduled", get(list))
}

async fn list(State(state): State<AppState>, InAccount(person): InAccount) -> PageResult {
    let words = person.words();
    let filter = MessageFilter {
        direction: Some(Direction::Out),
        states: vec![MessageState::Scheduled],
        ..MessageFilter::default()
    };
    let page = PageRequest { before: None, limit: MESSAGES_SHOWN };
    let mut page = state.core().messages(person.principal(), filter, page).await?;
    page.items.sort_by_key(|message| (message.due_at, message.id));
    let groups = group_names(&state, person.principal(), &page.items).await?;
    let may_send = person.visitor.role() >= Role::Member;
    let body = html! {
        h1 { (words.scheduled) }
        div #scheduled data-live="message tick" {
            @if page.items.is_empty() { p.empty { (words.no_scheduled) } }
            @else { (table(&person, &page.items, &groups, may_send)) }
        }
        @if page.has_more {
            p.quiet { (words.more_scheduled) " " a href="/app/messages?status=scheduled" { (words.messages) } }
        }
        p.row {
            @if may_send {
                a.button href="/app/send" { (words.send) }
                @if !page.items.is_empty() {
                    a.button.plain.danger-text href="/app/messages/cancel?status=scheduled" { (words.cancel_all) }
                }
            }
        }
    };
    Ok(layout::page(&person, Place::Scheduled, words.scheduled, &body))
}

fn table(person: &Person, messages: &[Message], groups: &GroupNames, may_send: bool) -> Markup {
    let words = person.words();
    let mut columns = vec![
        Column::Clear(words.goes_at),
        Column::Clear(words.number_or_group),
        Column::Text(words.what),
    ];
    if may_send {
        columns.push(Column::Acts(words.cancel));
    }
    let row = |message: &Message| {
        let path = format!("/app/messages/{}", message.id);
        let chat = shown(groups, message);
        let mut row = vec![
            html! { a href=(path) { (show::time_for(person, message.due_at)) } },
            html! { (chat) },
            show::summary(words, message),
        ];
        if may_send {
            row.push(html! {
                a.button.plain.danger-text href={ (path) "/cancel" } aria-label={ (words.cancel) " " (chat) } {
                    (words.cancel)
                }
            });
        }
        row
    };
    table::table(words.scheduled, &columns, messages.iter().map(row))
}
