//! The frame of the pages.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode};
use domain::person::Role;
use maud::{DOCTYPE, Markup, html};

use super::account_settings::SETTINGS_PATH;
use super::assets::{SCRIPT_PATH, STYLE_PATH};
use super::caller::Person;
use super::show::with;
use super::words::{Lang, Words};
use crate::html::HTML;
use crate::reply::bytes_reply;

/// The pages that the navigation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Start,
    Devices,
    Send,
    Messages,
    Chats,
    Scheduled,
    Usage,
    Webhooks,
    Keys,
    People,
    Accounts,
    Groups,
    Plans,
    Vouchers,
    Audit,
    Gateway,
    Api,
    Security,
}

impl Place {
    fn path(self) -> &'static str {
        match self {
            Self::Start => "/app",
            Self::Devices => "/app/devices",
            Self::Send => "/app/send",
            Self::Messages => "/app/messages",
            Self::Chats => "/app/chats",
            Self::Scheduled => "/app/scheduled",
            Self::Usage => "/app/usage",
            Self::Webhooks => "/app/webhooks",
            Self::Keys => "/app/keys",
            Self::People => "/app/people",
            Self::Accounts => "/app/accounts",
            Self::Groups => "/app/groups",
            Self::Plans => "/app/plans",
            Self::Vouchers => "/app/vouchers",
            Self::Audit => "/app/audit",
            Self::Gateway => "/app/gateway",
            Self::Api => "/app/api",
            Self::Security => "/app/security",
        }
    }

    fn name(self, words: &Words) -> &'static str {
        match self {
            Self::Start => words.start,
            Self::Devices => words.devices,
            Self::Send => words.send,
            Self::Messages => words.messages,
            Self::Chats => words.chats,
            Self::Scheduled => words.scheduled,
            Self::Usage => words.usage,
            Self::Webhooks => words.webhooks,
            Self::Keys => words.keys,
            Self::People => words.people,
            Self::Accounts => words.accounts,
            Self::Groups => words.groups,
            Self::Plans => words.plans,
            Self::Vouchers => words.vouchers,
            Self::Audit => words.audit,
            Self::Gateway => "Gateway",
            Self::Api => "API",
            Self::Security => words.security,
        }
    }

    /// Those that somebody may see.
    fn of(person: &Person) -> Vec<Self> {
        let mut places = Vec::new();
        if person.visitor.account().is_some() {
            places.extend([Self::Start, Self::Devices]);
            if person.visitor.role() >= Role::Member {
                places.push(Self::Send);
            }
            places.extend([
                Self::Chats,
                Self::Messages,
                Self::Groups,
                Self::Scheduled,
                Self::Usage,
            ]);
            if person.visitor.role() == Role::Owner {
                places.extend([Self::Webhooks, Self::Keys]);
            }
            places.push(Self::Api);
        }
        if person.visitor.role() == Role::Owner {
            places.extend([Self::People, Self::Audit]);
        }
        if person.visitor.is_operator() {
            places.extend([Self::Accounts, Self::Plans, Self::Vouchers, Self::Gateway]);
        }
        places.push(Self::Security);
        places
    }
}

/// What a page says besides its body.
#[derive(Default)]
pub(super) struct Head {
    /// Seconds after which it is loaded again where there is no JavaScript.
    pub(super) reload_s: Option<u32>,
    /// The stream that says what changes; that of the session unless given.
    pub(super) stream: Option<String>,
}

/// A page for somebody who has signed in.
pub(super) fn page(person: &Person, place: Place, title: &str, body: &Markup) -> Response<Body> {
    page_with(StatusCode::OK, person, place, title, &Head::default(), body)
}

/// The same, with a status and what stands in its head.
pub(super) fn page_with(
    status: StatusCode,
    person: &Person,
    place: Place,
    title: &str,
    head: &Head,
    body: &Markup,
) -> Response<Body> {
    let words = person.words();
    let inner = html! {
        a.skip href="#main" { (words.skip) }
        header.top {
            a.brand href="/app" { "Gerbang" }
            (whose(person))
            (language_switch(person.lang))
            form method="post" action="/logout" {
                (person.csrf())
                button.plain title=(person.visitor.session.user.email) { (words.sign_out) }
            }
        }
        div.shell {
            nav.side aria-label=(words.pages) {
                ul {
                    @for item in Place::of(person) {
                        li {
                            a href=(item.path()) aria-current=[(item == place).then_some("page")] {
                                (item.name(words))
                            }
                        }
                    }
                    li { a href="/docs" { (words.docs) } }
                }
            }
            main #main data-stream=(head.stream.as_deref().unwrap_or("/app/stream")) {
                (stream_state(words))
                (body)
                (zone(person))
            }
        }
    };
    respond(status, person.lang, title, head, &inner)
}

/// Where the page says that it hears nothing of the server, and that the server was restarted.
fn stream_state(words: &Words) -> Markup {
    html! {
        p.warning #stream-state role="status" hidden
            data-lost=(words.stream_lost) data-full=(words.stream_full) data-restarted=(words.stream_restarted) {}
    }
}

/// The zone of the times of a page, and for owners the way to change it.
fn zone(person: &Person) -> Markup {
    let words = person.words();
    html! {
        @if let Some(account) = person.visitor.account() {
            p.quiet #zone {
                (with(words.times_in, account.timezone.name()))
                @if person.visitor.role() == Role::Owner {
                    " " a href=(SETTINGS_PATH) { (words.settings) }
                }
            }
        }
    }
}

/// The account that is looked at; an operator sees that it is another's, and the way out.
fn whose(person: &Person) -> Markup {
    let words = person.words();
    html! {
        @match (person.visitor.account(), person.visitor.is_operator()) {
            (Some(account), true) => {
                form.entered method="post" action="/app/leave" {
                    (person.csrf())
                    span { (words.operator_in) " " strong { (account.name) } }
                    button.plain { (words.leave) }
                }
            }
            (Some(account), false) => { span.entered { strong { (account.name) } } }
            (None, _) => { span.entered { (words.operator) } }
        }
    }
}

fn language_switch(lang: Lang) -> Markup {
    html! {
        span.languages {
            @for other in [Lang::Id, Lang::En] {
                @if other == lang {
                    span aria-current="true" { (other.code().to_uppercase()) }
                } @else {
                    a href={ "/app/language/" (other.code()) } lang=(other.code()) hreflang=(other.code())
                        title=(other.name()) { (other.code().to_uppercase()) }
                }
            }
        }
    }
}

/// A page for those who have not signed in.
pub(super) fn bare(status: StatusCode, lang: Lang, title: &str, body: &Markup) -> Response<Body> {
    let inner = html! {
        header.top {
            a.brand href="/app" { "Gerbang" }
            span.entered {}
            (language_switch(lang))
        }
        main.alone #main { (body) }
    };
    respond(status, lang, title, &Head::default(), &inner)
}

/// A page for somebody with a link, who has no account.
pub(super) fn visiting(
    status: StatusCode,
    lang: Lang,
    title: &str,
    head: &Head,
    body: &Markup,
) -> Response<Body> {
    let inner = html! {
        header.top {
            span.brand { "Gerbang" }
            span.entered {}
            (language_switch(lang))
        }
        main.visiting #main data-stream=[&head.stream] {
            (stream_state(lang.words()))
            (body)
        }
    };
    respond(status, lang, title, head, &inner)
}

fn respond(
    status: StatusCode,
    lang: Lang,
    title: &str,
    head: &Head,
    inner: &Markup,
) -> Response<Body> {
    let page = html! {
        (DOCTYPE)
        html lang=(lang.code()) {
            head {
                meta charset="utf-8";
                title { (title) " · Gerbang" }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" type="image/svg+xml" href="/favicon.ico";
                link rel="stylesheet" href=(*STYLE_PATH);
                script type="module" src=(*SCRIPT_PATH) {}
                @if let Some(seconds) = head.reload_s {
                    noscript { meta http-equiv="refresh" content=(seconds); }
                }
            }
            body { (inner) }
        }
    };
    bytes_reply(status, HeaderValue::from_static(HTML), page.into_string())
}
