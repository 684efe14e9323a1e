//! `/app/audit`: what people and keys have changed, in the account that is looked at or in all.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::audit::AuditEntry;
use domain::ids::KeyId;
use domain::person::Role;
use domain::ports::PageRequest;
use domain::service::{AUDIT_PAGE_MAX, AuditNames};
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{Asked, Person};
use super::failure::PageResult;
use super::layout::{self, Place};
use super::people::role_word;
use super::show;
use super::table::{self, Column};
use super::words::{Lang, words};
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
    key: "key", "kunci";
    token_of: "token of", "token perangkat";
    portal_link: "portal link", "tautan portal";
    operator_key: "operator key", "kunci operator";
}

/// What is done, by its name in the log.
const ACTIONS: [(&str, &str, &str); 45] = [
    ("account.created", "account created", "akun dibuat"),
    ("account.changed", "account changed", "akun diubah"),
    ("account.deleted", "account deleted", "akun dihapus"),
    ("account.entered", "account entered by an operator", "akun dibuka operator"),
    ("account.left", "account left by an operator", "akun ditinggalkan operator"),
    ("plan.saved", "plan saved", "paket disimpan"),
    ("plan.deleted", "plan deleted", "paket dihapus"),
    ("grant.added", "messages granted", "pesan ditambahkan"),
    ("vouchers.created", "vouchers made", "voucher dibuat"),
    ("voucher.redeemed", "voucher redeemed", "voucher ditukar"),
    ("key.created", "key made", "kunci dibuat"),
    ("key.revoked", "key revoked", "kunci dicabut"),
    ("device.created", "device added", "perangkat ditambahkan"),
    ("device.changed", "settings of a device changed", "pengaturan perangkat diubah"),
    ("device.pairing", "linking begun", "penautan dimulai"),
    ("device.unlinked", "device unlinked", "tautan perangkat dilepas"),
    ("device.deleted", "device deleted", "perangkat dihapus"),
    ("device.token_replaced", "token of a device replaced", "token perangkat diganti"),
    ("portal_link.created", "portal link made", "tautan portal dibuat"),
    ("portal_link.revoked", "portal link revoked", "tautan portal dicabut"),
    ("webhook.created", "webhook added", "webhook ditambahkan"),
    ("webhook.changed", "webhook changed", "webhook diubah"),
    ("webhook.secret_replaced", "secret of a webhook replaced", "rahasia webhook diganti"),
    ("webhook.deleted", "webhook deleted", "webhook dihapus"),
    ("group.created", "group created", "grup dibuat"),
    ("group.changed", "group changed", "grup diubah"),
    ("group.members_changed", "members of a group changed", "anggota grup diubah"),
    ("group.left", "group left", "keluar dari grup"),
    ("group.invite_renewed", "invite link of a group renewed", "tautan undangan grup diganti"),
    ("setup_link.created", "link for an operator made", "tautan operator dibuat"),
    ("backup.made", "backup made", "cadangan dibuat"),
    ("node.drained", "node drained", "node dikosongkan"),
    ("node.resumed", "node takes devices again", "node menerima perangkat lagi"),
    ("node.removed", "node removed", "node dihapus"),
    ("person.invited", "person invited", "orang diundang"),
    ("invitation.withdrawn", "invitation withdrawn", "undangan ditarik"),
    ("person.joined", "person joined", "orang bergabung"),
    ("person.removed", "person removed", "orang dikeluarkan"),
    ("person.signed_in", "signed in", "masuk"),
    ("person.role_changed", "role changed", "peran diubah"),
    ("password.changed", "password changed", "kata sandi diganti"),
    (
        "password.reset_link_created",
        "link for a new password made",
        "tautan kata sandi baru dibuat",
    ),
    ("password.reset", "password set by a link", "kata sandi diatur lewat tautan"),
    ("second_factor.set", "second step switched on", "langkah kedua diaktifkan"),
    ("second_factor.removed", "second step switched off", "langkah kedua dinonaktifkan"),
];

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
    let names = state.core().audit_names(&entries.items).await?;
    let last = entries.items.last().filter(|_| entries.has_more);
    let body = html! {
        h1 { (own.title) }
        p.quiet { (own.help) }
        @if entries.items.is_empty() { p.empty { (own.none) } }
        @else { (table(&person, own, &entries.items, &names)) }
        @if let Some(last) = last {
            p { a.button.plain href={ "?before=" (last.id) } { (person.words().older) } }
        }
    };
    Ok(layout::page(&person, Place::Audit, own.title, &body))
}

fn table(person: &Person, own: &AuditWords, entries: &[AuditEntry], names: &AuditNames) -> Markup {
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
            html! { (by(own, names, &entry.by)) },
            html! { span title=(entry.action) { (action_word(person.lang, &entry.action)) } },
            html! { (subject(person, names, entry)) },
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

/// Who did it: people by their address, keys by their names.
fn by(own: &AuditWords, names: &AuditNames, by: &str) -> String {
    if let Some(key) = by.strip_prefix("key ") {
        return format!("{} {}", own.key, named_key(names, key));
    }
    if let Some(device) = by.strip_prefix("token of device ") {
        return format!("{} {}", own.token_of, named_device(names, device));
    }
    if let Some(link) = by.strip_prefix("portal link ") {
        return format!("{} {link}", own.portal_link);
    }
    match by {
        "operator key" => own.operator_key.to_owned(),
        by => by.to_owned(),
    }
}

/// To what: by its name where the entry has it, or where it still has one.
fn subject(person: &Person, names: &AuditNames, entry: &AuditEntry) -> String {
    let subject = entry.subject.as_str();
    match entry.action.split('.').next().unwrap_or_default() {
        "device" => named_device(names, subject),
        "key" => named_key(names, subject),
        // What was noted before its name went with it has its id only.
        "account" | "group" | "webhook" => {
            named(subject).map_or_else(|| subject.to_owned(), with_id)
        }
        "portal_link" => match subject.split_once(" of ") {
            Some((id, device)) => format!("{id}, {}", named_device(names, device)),
            None => subject.to_owned(),
        },
        "person" | "invitation" => {
            let words = person.words();
            let word = |word: &str| match (Role::from_name(word), word) {
                (Some(role), _) => role_word(words, role).to_owned(),
                (None, "operator") => words.operator.to_owned(),
                (None, word) => word.to_owned(),
            };
            subject.split(' ').map(word).collect::<Vec<_>>().join(" ")
        }
        _ => subject.to_owned(),
    }
}

/// The id and the name in a text that has both.
fn named(text: &str) -> Option<(&str, &str)> {
    text.split_once(' ').filter(|(_, name)| !name.is_empty())
}

fn with_id((id, name): (&str, &str)) -> String {
    format!("{name} ({id})")
}

fn named_key(names: &AuditNames, text: &str) -> String {
    let known = text.parse().ok().and_then(|id| names.keys.get(&KeyId(id)));
    match (named(text), known) {
        (Some(named), _) => with_id(named),
        (None, Some(name)) => with_id((text, name)),
        (None, None) => text.to_owned(),
    }
}

fn named_device(names: &AuditNames, text: &str) -> String {
    let known = text.parse().ok().and_then(|id| names.devices.get(&id));
    match (named(text), known) {
        (Some((_, name)), _) => name.to_owned(),
        (None, Some(name)) => name.clone(),
        (None, None) => text.to_owned(),
    }
}

/// What was done, in words; an action that only a later release has by its name.
fn action_word(lang: Lang, action: &str) -> &str {
    let known = ACTIONS.iter().find(|(name, ..)| *name == action);
    known.map_or(action, |(_, english, indonesian)| match lang {
        Lang::En => english,
        Lang::Id => indonesian,
    })
}

#[cfg(test)]
mod tests {
    use domain::audit::Action;

    use super::*;

    #[test]
    fn every_action_has_words() {
        for action in Action::ALL {
            let name = action.as_str();
            let words = [Lang::En, Lang::Id].map(|lang| action_word(lang, name));
            assert!(!words.contains(&name) && words[0] != words[1], "{name}");
        }
        assert_eq!(ACTIONS.len(), Action::ALL.len());
        assert_eq!(action_word(Lang::Id, "thing.done"), "thing.done");
    }
}
