//! What a list would send, before it goes: each number as it is understood, and what looks wrong about it.

use std::collections::{BTreeMap, BTreeSet};

use domain::content::Content;
use domain::media::MediaSource;
use domain::phone::Recipient;
use domain::service::SendRequest;
use maud::{Markup, html};

use super::caller::csrf_field;
use super::contents::SendForm;
use super::send::Sender;
use super::show::with;
use super::table::{self, Column};
use super::words::{Words, words};

/// Most receivers of a list that are shown before it goes.
const PREVIEW_ROWS: usize = 20;
/// Most numbers that a warning names.
const NAMED_MAX: usize = 10;

words! {
    /// The texts of the preview.
    PreviewWords
    abroad: "Numbers outside your country (+{}): ", "Nomor di luar negara Anda (+{}): ";
    abroad_help: "Check them: a spreadsheet drops the leading 0, and 8123456789 is then a number abroad. Write them as +62812… or as text with their 0.", "Periksa: spreadsheet menghapus angka 0 di depan, sehingga 8123456789 menjadi nomor luar negeri. Tulis sebagai +62812… atau sebagai teks dengan angka 0-nya.";
    repeated: "These stand in the list more than once and get a message each time: ", "Ini tercantum lebih dari sekali dan mendapat pesan setiap kali: ";
    and_more: "and {} more", "dan {} lagi";
    rows_left: "and {} more messages", "dan {} pesan lagi";
}

/// A receiver as the gateway understands it.
fn understood(to: &str, country: &str) -> String {
    match Recipient::parse(to, country) {
        Ok(Recipient::Person(phone)) => format!("+{phone}"),
        _ => to.to_owned(),
    }
}

/// What looks wrong about a list.
struct Doubts {
    abroad: BTreeSet<String>,
    repeated: Vec<String>,
}

impl Doubts {
    fn of(receivers: &[String], country: &str) -> Self {
        let own = format!("+{country}");
        let is_abroad =
            |to: &&String| !country.is_empty() && to.starts_with('+') && !to.starts_with(&own);
        let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
        for receiver in receivers {
            *counts.entry(receiver).or_default() += 1;
        }
        let repeated = counts.into_iter().filter(|(_, count)| *count > 1);
        Self {
            abroad: receivers.iter().filter(is_abroad).cloned().collect(),
            repeated: repeated.map(|(to, count)| format!("{to} ({count}×)")).collect(),
        }
    }

    fn render(&self, own: &PreviewWords, country: &str) -> Markup {
        html! {
            @if !self.abroad.is_empty() {
                p.warning {
                    (with(own.abroad, country)) (some_of(own, self.abroad.iter())) ". " (own.abroad_help)
                }
            }
            @if !self.repeated.is_empty() {
                p.warning { (own.repeated) (some_of(own, self.repeated.iter())) "." }
            }
        }
    }
}

/// The first of some names, and how many are left.
fn some_of<'a>(own: &PreviewWords, names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let left = names.len().saturating_sub(NAMED_MAX);
    let mut shown: Vec<String> = names.take(NAMED_MAX).cloned().collect();
    if left > 0 {
        shown.push(with(own.and_more, left));
    }
    shown.join(", ")
}

/// The title of a preview of so many messages.
pub(super) fn preview_title(words: &Words, count: usize) -> String {
    if count == 1 { words.preview_one.to_owned() } else { with(words.preview_title, count) }
}

/// What would be sent, and the form once more.
pub(super) fn preview(
    sender: &Sender<'_>,
    title: &str,
    form: &SendForm,
    requests: &[SendRequest],
) -> Markup {
    let words = sender.lang.words();
    let columns = [Column::Clear(words.to), Column::Text(words.what)];
    let own = PreviewWords::of(sender.lang);
    let country = sender.principal.account().map_or("", |account| &account.default_country);
    let receivers: Vec<String> =
        requests.iter().map(|request| understood(&request.to, country)).collect();
    let row = |(to, request): (&String, &SendRequest)| [html! { (to) }, html! { (what(request)) }];
    let rows = receivers.iter().zip(requests).take(PREVIEW_ROWS).map(row);
    html! {
        h1 { (title) }
        (Doubts::of(&receivers, country).render(own, country))
        (table::table(words.preview, &columns, rows))
        @if requests.len() > PREVIEW_ROWS {
            p.quiet { (with(own.rows_left, requests.len() - PREVIEW_ROWS)) }
        }
        form.row method="post" action=(sender.action) enctype="multipart/form-data" {
            (csrf_field(sender.csrf))
            input type="hidden" name="key" value=(form.key);
            (hidden(form))
            button name="act" value="all" { (words.send_all) }
            button.plain name="act" value="code" { (words.change) }
        }
    }
}

/// The form once more, unseen.
fn hidden(form: &SendForm) -> Markup {
    let fields = serde_json::to_value(form).unwrap_or_default();
    let fields = fields.as_object().into_iter().flatten();
    let fields = fields.filter_map(|(name, value)| Some((name, value.as_str()?)));
    html! {
        @for (name, value) in fields.filter(|(_, value)| !value.is_empty()) {
            input type="hidden" name=(name) value=(value);
        }
    }
}

/// What a request carries, in a line.
fn what(request: &SendRequest) -> String {
    match &request.content {
        Content::Text(text) => text.to_string(),
        Content::File(file) => match &file.source {
            MediaSource::Url(url) => format!("{url} {}", file.caption),
            MediaSource::Inline(_) => {
                format!("{} {}", file.filename.as_deref().unwrap_or_default(), file.caption)
            }
        },
        Content::Location(place) => {
            format!(
                "{}, {} {}",
                place.latitude,
                place.longitude,
                place.name.as_deref().unwrap_or_default()
            )
        }
        Content::Contacts(contacts) => {
            contacts.iter().map(|contact| contact.name.as_str()).collect::<Vec<_>>().join(", ")
        }
        Content::Poll(poll) => format!("{} {}", poll.question, poll.options.join(" · ")),
        _ => String::new(),
    }
}
