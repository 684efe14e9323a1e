//! `/app/audit`: what people and keys have changed, in the account that is looked at or in all.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::audit::AuditEntry;
use domain::ports::PageRequest;
use domain::service::AUDIT_PAGE_MAX;
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{Asked, Person};
use super::failure::PageResult;
use super::layout::{self, Place};
use super::show;
use super::table::{self, Column};
use super::words::words;
use crate::state::AppState;

words! {
    /// The texts of the audit log.
    AuditWords
    title: "Audit log", "Log audit";
    help: "What people and keys have changed, newest first; kept for 90 days, at most 5,000 entries an account.", "Perubahan oleh orang dan kunci, yang terbaru dahulu; disimpan 90 hari, paling banyak 5.000 per akun.";
    none: "Nothing was changed yet.", "Belum ada perubahan.";
    by: "Who", "Siapa";
    action: "What", "Apa";
    subject: "Of what", "Pada";
    account: "Account", "Akun";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/audit", get(list))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AuditQuery {
    before: Option<i64>,
}

async fn list(
    State(state): State<AppState>,
    person: Person,
    Asked(query): Asked<AuditQuery>,
) -> PageResult {
    let own = AuditWords::of(person.lang);
    let page = PageRequest { before: query.before, limit: AUDIT_PAGE_MAX };
    let entries = state.core().audit(&person.visitor, page).await?;
    let last = entries.items.last().filter(|_| entries.has_more);
    let body = html! {
        h1 { (own.title) }
        p.quiet { (own.help) }
        @if entries.items.is_empty() { p.empty { (own.none) } }
        @else { (table(&person, own, &entries.items)) }
        @if let Some(last) = last {
            p { a.button.plain href={ "?before=" (last.id) } { (person.words().older) } }
        }
    };
    Ok(layout::page(&person, Place::Audit, own.title, &body))
}

fn table(person: &Person, own: &AuditWords, entries: &[AuditEntry]) -> Markup {
    let mut columns = vec![
        Column::Clear(person.words().time),
        Column::Clear(own.by),
        Column::Clear(own.action),
        Column::Text(own.subject),
    ];
    let is_of_all = person.visitor.account().is_none();
    if is_of_all {
        columns.push(Column::Named(own.account));
    }
    let row = |entry: &AuditEntry| {
        let mut row = vec![
            show::time_for(person, entry.at),
            html! { (entry.by) },
            html! { code { (entry.action) } },
            html! { (entry.subject) },
        ];
        if is_of_all {
            row.push(html! { @if let Some(account) = entry.account_id {
                a href={ "/app/accounts/" (account) } { (account) }
            } });
        }
        row
    };
    table::table(own.title, &columns, entries.iter().map(row))
}
