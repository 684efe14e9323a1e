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
use super::layout::{self, Place};
use super::show;
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
    let may_send = person.visitor.role() >= Role::Member;
    let body = html! {
        h1 { (words.scheduled) }
        div #scheduled data-live="message tick" {
            @if page.items.is_empty() { p.empty { (words.no_scheduled) } }
            @else { (table(&person, &page.items, may_send)) }
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

fn table(person: &Person, messages: &[Message], may_send: bool) -> Markup {
    let words = person.words();
    html! {
        div.wide role="group" aria-label=(words.scheduled) tabindex="0" {
            table.rows {
                thead { tr {
                    th { (words.goes_at) } th { (words.number_or_group) } th { (words.what) }
                    @if may_send { th { span.hidden { (words.cancel) } } }
                } }
                tbody { @for message in messages { tr {
                    td { a href={ "/app/messages/" (message.id) } { (show::time_for(person, message.due_at)) } }
                    td { (show::chat(&message.chat)) }
                    td.what { (show::summary(words, message)) }
                    @if may_send { td {
                        form method="post" action={ "/app/messages/" (message.id) "/cancel" } {
                            (person.csrf())
                            button.plain aria-label={ (words.cancel) " " (show::chat(&message.chat)) } { (words.cancel) }
                        }
                    } }
                } } }
            }
        }
    }
}
