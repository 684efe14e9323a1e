//! `/app/messages`: the list, with its filters in the address.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::message::{Direction, Message, MessageState};
use domain::phone::Recipient;
use domain::ports::{MessageFilter, PageRequest};
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{Asked, InAccount, Person, id};
use super::failure::PageResult;
use super::layout::{self, Place};
use super::show;
use crate::state::AppState;

/// Messages of a page.
const MESSAGES_SHOWN: u32 = 50;
/// Devices to choose from.
const DEVICES_SHOWN: u32 = 100;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/messages", get(list))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ListQuery {
    device: String,
    direction: String,
    status: String,
    chat: String,
    before: Option<i64>,
    sent: Option<u32>,
}

impl ListQuery {
    fn filter(&self, person: &Person) -> Result<MessageFilter, super::failure::Failure> {
        let country = person.visitor.account().map_or("", |account| &account.default_country);
        let device = match self.device.as_str() {
            "" => None,
            text => Some(id(text, "device")?),
        };
        Ok(MessageFilter {
            direction: match self.direction.as_str() {
                "in" => Some(Direction::In),
                "out" => Some(Direction::Out),
                _ => None,
            },
            device,
            states: MessageState::from_name(&self.status).into_iter().collect(),
            chat: Recipient::parse(&self.chat, country).ok().map(Into::into),
            ..MessageFilter::default()
        })
    }

    /// The address of the page after this one.
    fn older(&self, last: &Message) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let fields = [
            ("device", &self.device),
            ("direction", &self.direction),
            ("status", &self.status),
            ("chat", &self.chat),
        ];
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        query.append_pair("before", &last.id.to_string());
        format!("/app/messages?{}", query.finish())
    }
}

async fn list(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Asked(query): Asked<ListQuery>,
) -> PageResult {
    let words = person.words();
    let page = PageRequest { before: query.before, limit: MESSAGES_SHOWN };
    let filter = query.filter(&person)?;
    let messages = state.core().messages(person.principal(), filter, page).await?;
    let last = messages.items.last().filter(|_| messages.has_more);
    let filters = filters(&state, &person, &query).await?;
    let body = html! {
        h1 { (words.messages) }
        @if let Some(count) = query.sent {
            p.success role="status" { (show::with(words.sent_list, count)) }
        }
        (filters)
        div #messages data-live=[query.before.is_none().then_some("3")] {
            @if messages.items.is_empty() { p.empty { (words.no_messages) } }
            @else { (table(&person, &messages.items)) }
        }
        @if let Some(last) = last {
            p { a.button.plain href=(query.older(last)) { (words.older) } }
        }
    };
    Ok(layout::page(&person, Place::Messages, words.messages, &body))
}

fn table(person: &Person, messages: &[Message]) -> Markup {
    let words = person.words();
    html! {
        div.wide role="group" aria-label=(words.messages) tabindex="0" {
            table.rows {
                thead { tr {
                    th { (words.time) } th { (words.direction) } th { (words.number_or_group) }
                    th { (words.what) } th { (words.status) }
                } }
                tbody { @for message in messages { tr {
                    td { a href={ "/app/messages/" (message.id) } {
                        (show::time_for(person, message.created_at))
                    } }
                    td { @if message.direction() == Direction::In { (words.incoming) } @else { (words.outgoing) } }
                    td { (show::chat(&message.chat)) }
                    td.what { (show::summary(words, message)) }
                    td { (show::state(words, message.state)) }
                } } }
            }
        }
    }
}

async fn filters(
    state: &AppState,
    person: &Person,
    query: &ListQuery,
) -> Result<Markup, domain::error::Error> {
    let words = person.words();
    let page = PageRequest { before: None, limit: DEVICES_SHOWN };
    let devices = state.core().devices(person.principal(), page).await?.items;
    let directions = [("in", words.incoming), ("out", words.outgoing)];
    Ok(html! {
        form.row method="get" action="/app/messages" {
            div.field {
                label for="device" { (words.device) }
                select #device name="device" {
                    option value="" { (words.all) }
                    @for device in &devices {
                        option value=(device.id) selected[device.id.to_string() == query.device] {
                            (show::device_name(device))
                        }
                    }
                }
            }
            div.field {
                label for="direction" { (words.direction) }
                select #direction name="direction" {
                    option value="" { (words.all) }
                    @for (value, word) in directions {
                        option value=(value) selected[value == query.direction] { (word) }
                    }
                }
            }
            div.field {
                label for="status" { (words.status) }
                select #status name="status" {
                    option value="" { (words.all) }
                    @for state in MessageState::ALL {
                        @if state != MessageState::Sending {
                            option value=(state.as_str()) selected[state.as_str() == query.status] {
                                (show::state_word(words, state))
                            }
                        }
                    }
                }
            }
            div.field {
                label for="chat" { (words.number_or_group) }
                input #chat name="chat" value=(query.chat);
            }
            button { (words.filter) }
        }
    })
}
