//! `/app/messages`: the list, with its filters in the address.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::chat::Chat;
use domain::error::Error;
use domain::message::{ContentKind, Direction, Message, MessageState};
use domain::person::Role;
use domain::phone::Recipient;
use domain::ports::{ChatFilter, MessageFilter, Page, PageRequest};
use domain::service::{BatchOutcome, CANCELLABLE, NAME_CHARS_MAX, RESENDABLE, SOUGHT_CHARS_MAX};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{Asked, InAccount, Person, id};
use super::device_choice;
use super::failure::{Failure, PageResult};
use super::group_names::{GroupNames, group_names, shown};
use super::layout::{self, Head, Place};
use super::show::{self, Fault};
use super::table::{self, Column};
use super::words::{Words, words};
use crate::state::AppState;

/// Messages of a page.
const MESSAGES_SHOWN: u32 = 50;
/// Chats that the field of a number suggests.
const CHATS_SUGGESTED: u32 = 50;
/// Chats that are offered for a name that was written there.
const CHATS_MEANT: usize = 5;

/// States that are looked for together, by what stands for them in an address.
const TOGETHER: [(&str, &[MessageState]); 2] =
    [("waiting", &CANCELLABLE), ("not_sent", &[MessageState::Failed, MessageState::Expired])];

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/messages", get(list))
}

words! {
    /// The texts of the list.
    ListWords
    meant: "Chats of that name:", "Obrolan dengan nama itu:";
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(super) struct ListQuery {
    device: String,
    direction: String,
    status: String,
    chat: String,
    kind: String,
    text: String,
    since: String,
    until: String,
    before: Option<i64>,
    done: Option<usize>,
    skipped: Option<usize>,
    more: String,
}

impl ListQuery {
    /// What is asked for. A part that cannot be understood is refused: an act without it would be on
    /// more messages.
    pub(super) fn filter(&self, person: &Person) -> Result<MessageFilter, Failure> {
        let country = person.visitor.account().map_or("", |account| &account.default_country);
        let chat = match self.chat.trim() {
            "" => None,
            text => {
                let recipient = Recipient::parse(text, country);
                let wrong = |_| Error::invalid("chat", person.words().phone_wrong);
                Some(recipient.map_err(wrong)?.into())
            }
        };
        let device = match self.device.as_str() {
            "" => None,
            text => Some(id(text, "device")?),
        };
        Ok(MessageFilter {
            direction: match self.direction.as_str() {
                "in" => Some(Direction::In),
                "out" => Some(Direction::Out),
                "" => None,
                _ => return Err(Error::NotFound("direction").into()),
            },
            device,
            states: states_named(&self.status)?,
            chat,
            kinds: match self.kind.as_str() {
                "" => Vec::new(),
                name => vec![ContentKind::named(name).ok_or(Error::NotFound("kind"))?],
            },
            text: self.sought()?,
            since: moment_of(person, "since", &self.since)?,
            until: moment_of(person, "until", &self.until)?,
            ..MessageFilter::default()
        })
    }

    fn sought(&self) -> Result<Option<String>, Error> {
        let text = self.text.trim();
        if text.chars().count() > SOUGHT_CHARS_MAX {
            let message = format!("must have 1 to {SOUGHT_CHARS_MAX} characters");
            return Err(Error::invalid("text", message));
        }
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }

    /// A page with the same filter, and with what became of an act on what matches.
    pub(super) fn path(&self, page: &str, outcome: Option<BatchOutcome>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let fields = [
            ("device", &self.device),
            ("direction", &self.direction),
            ("status", &self.status),
            ("chat", &self.chat),
            ("kind", &self.kind),
            ("text", &self.text),
            ("since", &self.since),
            ("until", &self.until),
        ];
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        if let Some(BatchOutcome { done, skipped, has_more }) = outcome {
            query.append_pair("done", &done.to_string());
            query.append_pair("skipped", &skipped.to_string());
            query.append_pair("more", if has_more { "1" } else { "" });
        }
        match query.finish() {
            query if query.is_empty() => page.to_owned(),
            query => format!("{page}?{query}"),
        }
    }

    /// The address of the page after this one.
    fn older(&self, before: i64) -> String {
        let path = self.path("/app/messages", None);
        let mark = if path.contains('?') { '&' } else { '?' };
        format!("{path}{mark}before={before}")
    }
}

fn states_named(name: &str) -> Result<Vec<MessageState>, Error> {
    if name.is_empty() {
        return Ok(Vec::new());
    }
    match TOGETHER.iter().find(|(known, _)| *known == name) {
        Some((_, states)) => Ok(states.to_vec()),
        None => Ok(vec![MessageState::from_name(name).ok_or(Error::NotFound("state"))?]),
    }
}

fn moment_of(
    person: &Person,
    field: &'static str,
    text: &str,
) -> Result<Option<Timestamp>, Failure> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let wrong = || Error::invalid(field, person.words().moment_wrong);
    Ok(Some(show::moment(person, text).ok_or_else(wrong)?))
}

async fn list(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Asked(query): Asked<ListQuery>,
) -> PageResult {
    let words = person.words();
    let page = PageRequest { before: query.before, limit: MESSAGES_SHOWN };
    let (messages, fault) = match query.filter(&person) {
        Ok(filter) => (state.core().messages(person.principal(), filter, page).await?, None),
        Err(failure) => (
            Page { items: Vec::new(), has_more: false, looked_to: None },
            Some(failure.into_fault(person.lang)?),
        ),
    };
    let next = messages.next(|message| message.id.0);
    let groups = group_names(&state, person.principal(), &messages.items).await?;
    let filters = filters(&state, &person, &query, fault.as_ref()).await?;
    let body = html! {
        h1 { (words.messages) }
        (outcome(words, &query))
        (filters)
        @if person.visitor.role() >= Role::Member && !messages.items.is_empty() {
            (acts(words, &query))
        }
        div #messages data-live=[query.before.is_none().then_some("message contact tick")] {
            @if fault.is_some() {}
            @else if messages.items.is_empty() { p.empty { (words.no_messages) } }
            @else { (table(words, &messages.items, &groups, |message| link(&person, message))) }
        }
        @if let Some(before) = next {
            p { a.button.plain href=(query.older(before)) { (words.older) } }
        }
    };
    let (status, head) = (Fault::status(fault.as_ref()), Head::default());
    Ok(layout::page_with(status, &person, Place::Messages, words.messages, &head, &body))
}

/// What became of an act on all that match.
fn outcome(words: &Words, query: &ListQuery) -> Markup {
    html! {
        @if let Some(done) = query.done {
            p.success role="status" {
                (show::with(words.batch_done, done))
                @if let Some(skipped @ 1..) = query.skipped { " " (show::with(words.batch_skipped, skipped)) }
                @if !query.more.is_empty() { " " (words.batch_more) }
            }
        }
    }
}

/// What can be done to all that match.
fn acts(words: &Words, query: &ListQuery) -> Markup {
    let sought = states_named(&query.status).unwrap_or_default();
    let may_be = |states: &[MessageState]| {
        query.direction != "in"
            && (sought.is_empty() || sought.iter().any(|state| states.contains(state)))
    };
    html! {
        p.row {
            @if may_be(&CANCELLABLE) {
                a.button.plain.danger-text href=(query.path("/app/messages/cancel", None)) { (words.cancel_all) }
            }
            @if may_be(&RESENDABLE) {
                a.button.plain href=(query.path("/app/messages/resend", None)) { (words.resend_all) }
            }
        }
    }
}

/// Messages as a table; `when` shows the time of one.
pub(super) fn table(
    words: &Words,
    messages: &[Message],
    groups: &GroupNames,
    when: impl Fn(&Message) -> Markup,
) -> Markup {
    let columns = [
        Column::Clear(words.time),
        Column::Clear(words.direction),
        Column::Clear(words.number_or_group),
        Column::Text(words.what),
        Column::Clear(words.status),
    ];
    let row = |message: &Message| {
        let is_incoming = message.direction() == Direction::In;
        let direction = if is_incoming { words.incoming } else { words.outgoing };
        [
            when(message),
            html! { (direction) },
            html! { (shown(groups, message)) },
            show::summary(words, message),
            show::state(words, message.state),
        ]
    };
    table::table(words.messages, &columns, messages.iter().map(row))
}

/// The time of a message, which leads to it.
pub(super) fn link(person: &Person, message: &Message) -> Markup {
    html! { a href={ "/app/messages/" (message.id) } { (show::time_for(person, message.created_at)) } }
}

/// The chats that somebody may mean who has written a name in place of a number.
fn meant(person: &Person, query: &ListQuery, chats: &[Chat]) -> Markup {
    html! {
        @if !chats.is_empty() {
            span.help {
                (ListWords::of(person.lang).meant)
                @for chat in chats.iter().take(CHATS_MEANT) {
                    @let of_chat = ListQuery { chat: chat.chat.short().to_owned(), ..query.clone() };
                    " " a href=(of_chat.path("/app/messages", None)) {
                        (chat.name.clone().unwrap_or_else(|| show::chat(&chat.chat)))
                    }
                }
            }
        }
    }
}

async fn filters(
    state: &AppState,
    person: &Person,
    query: &ListQuery,
    fault: Option<&Fault>,
) -> Result<Markup, Error> {
    let words = person.words();
    let devices = device_choice::devices_with(state, person, &query.device).await?;
    let page = PageRequest { before: None, limit: CHATS_SUGGESTED };
    // A name in place of a number finds the chats that are called so.
    let is_name = fault.is_some_and(|fault| fault.is_of("chat"));
    let name =
        if is_name { query.chat.chars().take(NAME_CHARS_MAX).collect() } else { String::new() };
    let filter = ChatFilter { search: name, ..ChatFilter::default() };
    let chats = state.core().chats(person.principal(), filter, page).await?.items;
    let directions = [("in", words.incoming), ("out", words.outgoing)];
    let together = TOGETHER.map(|(name, _)| name).into_iter();
    let together = together.zip([words.delivery_pending, words.not_sent]);
    Ok(html! {
        form.row method="get" action="/app/messages" {
            div.field {
                label for="device" { (words.device) }
                select #device name="device" {
                    option value="" { (words.all) }
                    (device_choice::options(person.lang, &devices, &query.device))
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
                    @for (name, word) in together {
                        option value=(name) selected[name == query.status] { (word) }
                    }
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
                input #chat name="chat" value=(query.chat) list="known-chats" autocomplete="off"
                    aria-describedby="chat-fault";
                (Fault::beside(fault, "chat"))
                @if is_name { (meant(person, query, &chats)) }
                datalist #known-chats {
                    @for chat in &chats {
                        option value=(chat.chat.short()) { (chat.name.as_deref().unwrap_or_default()) }
                    }
                }
            }
            div.field {
                label for="since" { (show::zoned(words.since, person.visitor.account())) }
                input #since name="since" type="datetime-local" value=(query.since)
                    aria-describedby="since-fault";
                (Fault::beside(fault, "since"))
            }
            div.field {
                label for="until" { (show::zoned(words.until, person.visitor.account())) }
                input #until name="until" type="datetime-local" value=(query.until)
                    aria-describedby="until-fault";
                (Fault::beside(fault, "until"))
            }
            div.field {
                label for="kind" { (words.kind) }
                select #kind name="kind" {
                    option value="" { (words.all) }
                    @for kind in ContentKind::ALL {
                        option value=(kind.as_str()) selected[kind.as_str() == query.kind] {
                            (show::kind_word(words, kind))
                        }
                    }
                }
            }
            div.field {
                label for="text" { (words.contains) }
                input #text name="text" maxlength=(SOUGHT_CHARS_MAX) value=(query.text)
                    aria-describedby="text-fault";
                (Fault::beside(fault, "text"))
            }
            button { (words.filter) }
        }
    })
}
