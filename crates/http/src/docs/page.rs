//! One page: the guide, the programs at their places in it, and the reference.

use maud::{Markup, html};
use serde_json::Value;

use super::guide::{self, Section};
use super::reference::Group;
use super::{Sources, reference, samples};
use crate::api::Api;
use crate::html::{self, inline, scrolling};
use crate::native::problem::Kind;

/// The section of a guide behind which the receivers are shown.
const WEBHOOKS: &str = "Webhooks";
/// What stands for the server's address in guides.
const ADDRESS_IN_GUIDES: &str = "http://127.0.0.1:8080";

/// A part of a page under a heading of its own.
pub(super) struct Part {
    pub id: String,
    pub title: String,
    pub html: Markup,
    /// What the list of contents names inside it: ids and titles.
    pub inner: Vec<(String, String)>,
}

impl Part {
    pub(super) fn new(id: &str, title: &str, html: Markup) -> Self {
        Self { id: id.to_owned(), title: title.to_owned(), html, inner: Vec::new() }
    }
}

/// The path of an API's page.
pub(super) fn page_path(api: &Api) -> String {
    format!("/docs/{}", api.name)
}

/// The page of an API among those that are served, and those of its groups of calls, with their names;
/// `address` is where its reader reaches the server.
pub(super) fn pages(
    apis: &[&Api],
    api: &Api,
    document: &Value,
    address: &str,
) -> (Markup, Vec<(String, Markup)>) {
    let guide = Sources::of(api.name).guide.replace(ADDRESS_IN_GUIDES, address);
    let (intro, sections) = guide::sections(&guide);
    let mut parts = guide_parts(apis, api, sections, address);
    let (reference, groups) = reference::parts(api, document);
    parts.extend(reference);
    if !api.codes.is_empty() {
        parts.push(Part::new("errors", "Errors", codes(api.codes)));
    }
    let content = html! {
        h1 { (api.title) }
        p.at {
            "Address " code { (address) } " "
            a href=(openapi_path(apis, api)) { "OpenAPI" }
        }
        @if guide.is_empty() { p { (inline(api.about)) } } @else { (intro) }
        @for part in &parts {
            h2 id=(part.id) { (part.title) }
            (part.html)
        }
    };
    let page = framed(apis, api, api.title, &contents(&parts), &content);
    let groups = groups.into_iter().map(|group| group_page(apis, api, group)).collect();
    (page, groups)
}

fn group_page(apis: &[&Api], api: &Api, group: Group) -> (String, Markup) {
    let Group { name, title, part } = group;
    let content = html! {
        p.at { a href={ (page_path(api)) "#reference" } { (api.title) } }
        h1 { (title) }
        h2 id=(part.id) { (part.title) }
        (part.html)
    };
    let title = format!("{}: {title}", api.title);
    let page = framed(apis, api, &title, &contents(std::slice::from_ref(&part)), &content);
    (name, page)
}

/// A page with the way to the other APIs and its list of contents.
fn framed(apis: &[&Api], api: &Api, title: &str, contents: &Markup, content: &Markup) -> Markup {
    let body = html! {
        a.skip href="#content" { "Skip to the content" }
        header {
            a.brand href="/docs" { "Gerbang" }
            nav aria-label="APIs" { (api_links(apis, api)) }
        }
        div.columns {
            nav.contents aria-label="On this page" { (contents) }
            main #content { (content) }
        }
    };
    html::page(&format!("{title} – documentation"), &body)
}

fn openapi_path(apis: &[&Api], api: &Api) -> String {
    let is_first = apis.first().is_some_and(|first| first.name == api.name);
    if is_first {
        "/openapi.json".to_owned()
    } else {
        format!("/openapi.json?dialect={}", api.name)
    }
}

fn api_links(apis: &[&Api], shown: &Api) -> Markup {
    html! {
        @for api in apis {
            @let current = (api.name == shown.name).then_some("page");
            a href={ "/docs/" (api.name) } aria-current=[current] { (api.name) }
        }
    }
}

fn contents(parts: &[Part]) -> Markup {
    html! {
        ul {
            @for part in parts {
                li {
                    a href={ "#" (part.id) } { (part.title) }
                    @if !part.inner.is_empty() {
                        ul.inner {
                            @for (id, title) in &part.inner { li { a href={ "#" (id) } { (title) } } }
                        }
                    }
                }
            }
        }
    }
}

/// The guide's sections. Clients follow the first, receivers the one about webhooks.
fn guide_parts(apis: &[&Api], api: &Api, sections: Vec<Section<'_>>, address: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let folder = format!("{address}/docs/{}", api.name);
    let mut sections = sections.into_iter();
    parts.extend(sections.next().map(section_part));
    let clients: Vec<_> = Sources::of(api.name).clients.iter().collect();
    if !clients.is_empty() {
        let html = samples::clients(&clients, address, &folder);
        parts.push(Part::new("samples", "Sample clients", html));
    }
    match apis {
        [first, others @ ..] if first.name == api.name && !others.is_empty() => {
            parts.push(Part::new("others", "Coming from another service", other_apis(others)));
        }
        _ => {}
    }
    for section in sections {
        let mut part = section_part(section);
        if part.title == WEBHOOKS {
            add_receivers(&mut part, api, address, &folder);
        }
        parts.push(part);
    }
    parts
}

fn section_part(section: Section<'_>) -> Part {
    Part::new(&slug(section.title), section.title, section.html)
}

/// `decided-where-the-source-is-silent`
fn slug(title: &str) -> String {
    title.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

fn add_receivers(part: &mut Part, api: &Api, address: &str, folder: &str) {
    let format = api.format.into_iter();
    let files: Vec<_> = format.flat_map(|format| super::receivers(format.rules.name)).collect();
    if files.is_empty() {
        return;
    }
    let (id, title) = ("receivers", "A receiver to begin with");
    part.html = html! {
        (part.html)
        h3 id=(id) { (title) }
        (samples::receivers(&files, address, folder))
    };
    part.inner.push((id.to_owned(), "A receiver".to_owned()));
}

fn other_apis(apis: &[&Api]) -> Markup {
    html! {
        p { "Code written for one of these changes its host and key; its page says how." }
        ul.others {
            @for api in apis {
                li { a href={ "/docs/" (api.name) } { b { (api.name) } } br; (inline(api.about)) }
            }
        }
    }
}

/// Where the `type` of problems points.
fn codes(codes: &[&Kind]) -> Markup {
    html! {
        p {
            "The " code { "code" } " of a problem stays as it is; its " code { "detail" }
            " may change."
        }
        (scrolling("Error codes", &html! {
            table {
                thead { tr { th scope="col" { "status" } th scope="col" { "code" } th scope="col" { "meaning" } } }
                tbody {
                    @for kind in codes {
                        tr id=(kind.code) {
                            td { (kind.status) }
                            td { code { (kind.code) } }
                            td { (kind.title) }
                        }
                    }
                }
            }
        }))
    }
}
