//! One page: the guide, the programs at their places in it, and the reference.

use std::fmt::Write as _;

use super::guide::{self, Section};
use super::html::{escape, inline};
use super::{Shown, reference, samples};
use crate::api::Api;
use crate::native::problem::Kind;
use crate::state::AppState;

/// The section of a guide behind which the receivers are shown.
const WEBHOOKS: &str = "Webhooks";
/// What stands for the server's address in guides.
const ADDRESS_IN_GUIDES: &str = "http://127.0.0.1:8080";

/// A page that is being written, with the list of its parts.
pub(super) struct Page {
    html: String,
    contents: String,
}

impl Page {
    /// Goes on under a heading, which the list names too.
    pub(super) fn part(&mut self, id: &str, title: &str) {
        let (id, title) = (escape(id), escape(title));
        let _ = writeln!(self.html, "<h2 id=\"{id}\">{title}</h2>");
        let _ = writeln!(self.contents, "<li><a href=\"#{id}\">{title}</a></li>");
    }

    /// Has the list name something inside a part.
    pub(super) fn note(&mut self, id: &str, title: &str) {
        let (id, title) = (escape(id), escape(title));
        let _ = writeln!(self.contents, "<li class=\"inner\"><a href=\"#{id}\">{title}</a></li>");
    }

    /// Goes on with this HTML.
    pub(super) fn push(&mut self, html: &str) {
        self.html.push_str(html);
    }
}

/// The page of an API; `address` is where its reader reaches the server.
pub(super) fn page(state: &AppState, api: &Shown, address: &str) -> String {
    let is_first = state.apis()[0].name == api.api.name;
    let mut page = Page { html: String::new(), contents: String::new() };
    guide(&mut page, state, api, address, is_first);
    reference::add(&mut page, api);
    if !api.api.codes.is_empty() {
        problems(&mut page, api.api.codes);
    }
    let query = if is_first { String::new() } else { format!("?dialect={}", api.api.name) };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>{title} – Gerbang</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"stylesheet\" href=\"/assets/docs.css\"></head><body>\n\
         <header><a class=\"brand\" href=\"/docs\">Gerbang</a>\n\
         <nav aria-label=\"APIs\">{apis}</nav></header>\n\
         <div class=\"columns\">\n\
         <nav class=\"contents\" aria-label=\"On this page\"><ul>\n{contents}</ul></nav>\n\
         <main><h1>{title}</h1>\n\
         <p class=\"at\">Address <code>{address}</code> <a href=\"/openapi.json{query}\">OpenAPI</a></p>\n\
         {html}</main></div></body></html>\n",
        title = escape(&api.api.title),
        apis = apis(state, api),
        contents = page.contents,
        address = escape(address),
        html = page.html,
    )
}

fn apis(state: &AppState, shown: &Shown) -> String {
    let mut html = String::new();
    for Api { name, .. } in state.apis() {
        let current = if *name == shown.api.name { " aria-current=\"page\"" } else { "" };
        let _ = write!(html, "<a href=\"/docs/{name}\"{current}>{name}</a>");
    }
    html
}

/// The guide, with the clients behind its first section.
fn guide(page: &mut Page, state: &AppState, api: &Shown, address: &str, is_first: bool) {
    let guide = api.sources().guide.replace(ADDRESS_IN_GUIDES, address);
    let (intro, sections) = guide::sections(&guide);
    let about = api.document.info.description.as_deref().unwrap_or_default();
    page.push(&if intro.is_empty() { format!("<p>{}</p>\n", inline(about)) } else { intro });
    let (first, rest) = sections.split_at(sections.len().min(1));
    first.iter().for_each(|section| add_section(page, section));
    clients(page, api, address);
    if is_first {
        others(page, state);
    }
    for section in rest {
        add_section(page, section);
        if section.title == WEBHOOKS {
            receivers(page, api, address);
        }
    }
}

fn add_section(page: &mut Page, section: &Section<'_>) {
    page.part(&slug(section.title), section.title);
    page.push(&section.html);
}

/// `decided-where-the-source-is-silent`
fn slug(title: &str) -> String {
    title.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

fn clients(page: &mut Page, api: &Shown, address: &str) {
    let files: Vec<_> = api.sources().clients.iter().collect();
    if files.is_empty() {
        return;
    }
    page.part("samples", "Sample clients");
    page.push(
        "<p>Each is one short file that needs nothing but its language (PHP: with its curl extension). \
         Set these, then fetch and run the one you like.</p>\n",
    );
    page.push(&samples::settings(&files, address));
    page.push(&samples::tabs("client", &files, &folder(api, address)));
}

fn receivers(page: &mut Page, api: &Shown, address: &str) {
    let files = api.receivers();
    if files.is_empty() {
        return;
    }
    page.push("<h3 id=\"receivers\">A receiver to begin with</h3>\n");
    page.note("receivers", "A receiver");
    page.push("<p>It listens on port 8000, checks what it gets, and prints it.</p>\n");
    page.push(&samples::settings(&files, address));
    page.push(&samples::tabs("receiver", &files, &folder(api, address)));
}

/// The dialects that are served.
fn others(page: &mut Page, state: &AppState) {
    if state.apis().len() == 1 {
        return;
    }
    page.part("others", "Coming from another service");
    page.push(
        "<p>Code written for one of these changes its host and key; its page says how.</p>\n\
         <ul class=\"others\">\n",
    );
    for dialect in &state.apis()[1..] {
        let (name, about) = (escape(dialect.name), escape(dialect.about));
        page.push(&format!("<li><a href=\"/docs/{name}\"><b>{name}</b></a><br>{about}</li>\n"));
    }
    page.push("</ul>\n");
}

/// Where the files of an API are.
fn folder(api: &Shown, address: &str) -> String {
    format!("{address}/docs/{}", api.api.name)
}

/// Where the `type` of our own problems points.
fn problems(page: &mut Page, codes: &[&Kind]) {
    page.part("errors", "Errors");
    page.push("<p>The <code>code</code> of a problem stays as it is; its <code>detail</code> may not.</p>\n");
    page.push(
        "<div class=\"wide\"><table>\n<tr><th>status</th><th>code</th><th>meaning</th></tr>\n",
    );
    for kind in codes {
        page.push(&format!(
            "<tr id=\"{code}\"><td>{status}</td><td><code>{code}</code></td><td>{title}</td></tr>\n",
            code = kind.code,
            status = kind.status,
            title = escape(kind.title),
        ));
    }
    page.push("</table></div>\n");
}
