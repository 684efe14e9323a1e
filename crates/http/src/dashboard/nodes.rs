//! The nodes that share the gateway's database, on its page; `/app/gateway/nodes/{id}/drain`: handing a
//! node's devices over to the others.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use domain::error::Error;
use domain::ids::NodeId;
use domain::node::Node;
use domain::service::{DRAIN_PER_S, DRAIN_PER_S_MAX};
use maud::{Markup, html};
use serde::Deserialize;

use super::accounts::operator;
use super::caller::{Nothing, Person, Posted, id};
use super::failure::{PageResult, redirect};
use super::layout::{self, Head, Place};
use super::show::{self, Fault, with};
use super::table::{self, Column};
use super::words::words;
use crate::state::AppState;

words! {
    /// The texts of nodes.
    NodeWords
    title: "Nodes", "Node";
    clock: "The processes that share the database. Times are those of the database's clock.", "Proses yang berbagi basis data. Waktu menurut jam basis data.";
    name: "Name", "Nama";
    state: "State", "Keadaan";
    devices: "Devices", "Perangkat";
    webhooks: "Webhooks", "Webhook";
    lease: "Lease until", "Sewa sampai";
    started: "Started", "Mulai";
    version: "Version", "Versi";
    live: "live", "aktif";
    draining: "draining, {} a second", "dikosongkan, {} per detik";
    gone: "gone", "hilang";
    drain: "Drain", "Kosongkan";
    drain_title: "Hand over the devices of {}?", "Alihkan perangkat {}?";
    drain_warning: "The other nodes take its devices, {} now, and it gets no new ones. Each is offline for a moment; no message is lost.", "Node lain mengambil perangkatnya, kini {}, dan ia tidak mendapat yang baru. Tiap perangkat terputus sejenak; tidak ada pesan yang hilang.";
    nobody: "No other node takes devices now: they stay where they are until one does.", "Kini tidak ada node lain yang menerima perangkat: semuanya tetap di tempatnya sampai ada.";
    per_s: "Devices a second", "Perangkat per detik";
    per_s_wrong: "Write a number from 1 to {}.", "Isi angka 1 sampai {}.";
    resume: "Take devices again", "Terima perangkat lagi";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/gateway/nodes/{id}/drain", get(ask_drain).post(drain))
        .route("/app/gateway/nodes/{id}/resume", post(resume))
}

fn drain_path(node: &Node) -> String {
    format!("/app/gateway/nodes/{}/drain", node.id.0)
}

/// The nodes, where there is more than one: a gateway of one process is not bothered with them.
pub(super) async fn section(state: &AppState, person: &Person) -> Result<Markup, Error> {
    let own = NodeWords::of(person.lang);
    let nodes = state.core().nodes(&operator(person)?).await?;
    if nodes.len() < 2 {
        return Ok(html! {});
    }
    Ok(html! {
        section #nodes {
            h2 { (own.title) }
            p.quiet { (own.clock) }
            (table(person, own, &nodes))
        }
    })
}

fn table(person: &Person, own: &NodeWords, nodes: &[Node]) -> Markup {
    let columns = [
        Column::Clear(own.name),
        Column::Clear(own.state),
        Column::Named(own.devices),
        Column::Named(own.webhooks),
        Column::Named(own.lease),
        Column::Named(own.started),
        Column::Named(own.version),
        Column::Acts(own.drain),
    ];
    let row = |node: &Node| {
        [
            html! { (node.name) br; code.quiet { (node.url) } },
            state_badge(own, node),
            html! { (node.devices) " / " (node.capacity) },
            html! { (node.webhooks) },
            show::time_for(person, node.expires_at),
            show::time_for(person, node.started_at),
            html! { (node.version) },
            act(person, own, node),
        ]
    };
    table::table(own.title, &columns, nodes.iter().map(row))
}

/// Handing over a node's devices, or ending that.
fn act(person: &Person, own: &NodeWords, node: &Node) -> Markup {
    html! {
        @match (node.is_live, node.drain_per_s) {
            (false, _) => {}
            (true, None) => {
                a.button.plain href=(drain_path(node)) aria-label={ (own.drain) " " (node.name) } {
                    (own.drain)
                }
            }
            (true, Some(_)) => {
                form method="post" action={ "/app/gateway/nodes/" (node.id.0) "/resume" } {
                    (person.csrf())
                    button.plain aria-label={ (own.resume) ": " (node.name) } { (own.resume) }
                }
            }
        }
    }
}

fn state_badge(own: &NodeWords, node: &Node) -> Markup {
    let (word, tone) = match (node.is_live, node.drain_per_s) {
        (false, _) => (own.gone.to_owned(), "bad"),
        (true, Some(per_s)) => (with(own.draining, per_s), "wait"),
        (true, None) => (own.live.to_owned(), "good"),
    };
    html! { span.badge data-tone=(tone) { (word) } }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DrainForm {
    per_s: String,
}

async fn ask_drain(
    State(state): State<AppState>,
    person: Person,
    Path(text): Path<String>,
) -> PageResult {
    drain_page(&state, &person, &text, &DRAIN_PER_S.to_string(), None).await
}

async fn drain_page(
    state: &AppState,
    person: &Person,
    text: &str,
    per_s: &str,
    fault: Option<&Fault>,
) -> PageResult {
    let (words, own) = (person.words(), NodeWords::of(person.lang));
    let wanted = NodeId(id(text, "node")?);
    let nodes = state.core().nodes(&operator(person)?).await?;
    let takes = |node: &&Node| node.is_live && node.drain_per_s.is_none() && node.id != wanted;
    let others = nodes.iter().filter(takes).count();
    let node = nodes.iter().find(|node| node.id == wanted).ok_or(Error::NotFound("node"))?;
    let title = with(own.drain_title, &node.name);
    let body = html! {
        p.crumbs { a href="/app/gateway" { "Gateway" } }
        h1 { (title) }
        p { (with(own.drain_warning, node.devices)) }
        @if others == 0 { p.warning { (own.nobody) } }
        form.row method="post" action=(drain_path(node)) {
            (person.csrf())
            div.field {
                label for="per_s" { (own.per_s) }
                input #per_s name="per_s" type="number" required min="1" max=(DRAIN_PER_S_MAX)
                    value=(per_s) aria-describedby="per_s-fault";
                (Fault::beside(fault, "per_s"))
            }
            button.danger { (own.drain) }
            a.button.plain href="/app/gateway" { (words.keep) }
        }
    };
    let status = Fault::status(fault);
    Ok(layout::page_with(status, person, Place::Gateway, &title, &Head::default(), &body))
}

async fn drain(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form }: Posted<DrainForm>,
) -> PageResult {
    let principal = operator(&person)?;
    let per_s = form.per_s.trim().parse().ok().filter(|n| (1..=DRAIN_PER_S_MAX).contains(n));
    let Some(per_s) = per_s else {
        let message = with(NodeWords::of(person.lang).per_s_wrong, DRAIN_PER_S_MAX);
        let fault = Fault::of("per_s", message);
        return drain_page(&state, &person, &text, &form.per_s, Some(&fault)).await;
    };
    state.core().drain_node(&principal, NodeId(id(&text, "node")?), per_s).await?;
    Ok(redirect("/app/gateway"))
}

async fn resume(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let principal = operator(&person)?;
    state.core().drain_node(&principal, NodeId(id(&text, "node")?), 0).await?;
    Ok(redirect("/app/gateway"))
}
