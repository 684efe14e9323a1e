//! The webhooks that get a device's events, on its page: what they are, a test post, and another one.

use domain::device::Device;
use domain::error::Error;
use domain::webhook::Webhook;
use maud::{Markup, html};

use super::caller::Person;
use super::table::{self, Column};
use super::webhooks::{HookForm, account_webhooks, hook_status, url_field, webhook_path};
use super::words::words;
use crate::state::AppState;

words! {
    /// The texts of this part.
    HookWords
    none: "No webhook gets the events of this device.", "Tidak ada webhook yang menerima kejadian perangkat ini.";
    of_all: "gets the events of all devices", "menerima kejadian semua perangkat";
    add: "Add a webhook of this device", "Tambah webhook untuk perangkat ini";
    add_help: "It gets all events that the plan allows, in the format of /v1. Events, other formats and a secret of your own can be chosen under", "Ia menerima semua kejadian yang diizinkan paket, dalam format /v1. Kejadian, format lain, dan rahasia sendiri dapat dipilih di";
}

/// The webhooks that get its events, for an owner.
pub(super) async fn section(
    state: &AppState,
    person: &Person,
    device: &Device,
) -> Result<Markup, Error> {
    let (words, own) = (person.words(), HookWords::of(person.lang));
    let is_its = |webhook: &Webhook| webhook.device_id.is_none_or(|id| id == device.id);
    let webhooks = account_webhooks(state, person).await?.into_iter().filter(is_its);
    let webhooks: Vec<_> = webhooks.collect();
    Ok(html! {
        section.card #webhooks {
            h2 { (words.webhooks) }
            @if webhooks.is_empty() { p.quiet { (own.none) } }
            @else { (table(person, &webhooks)) }
            h3 { (own.add) }
            p.quiet { (own.add_help) " " a href="/app/webhooks" { (words.webhooks) } "." }
            form.stack method="post" action="/app/webhooks" {
                (person.csrf())
                input type="hidden" name="device" value=(device.id);
                (url_field(words, &HookForm::default(), None))
                button { (words.add) }
            }
        }
    })
}

fn table(person: &Person, webhooks: &[Webhook]) -> Markup {
    let (words, own) = (person.words(), HookWords::of(person.lang));
    let columns = [
        Column::Text(words.address),
        Column::Clear(words.format),
        Column::Clear(words.status),
        Column::Acts(words.test_post),
    ];
    let row = |webhook: &Webhook| {
        let path = webhook_path(webhook);
        [
            html! {
                a href=(path) { (webhook.url) }
                @if webhook.device_id.is_none() { " " span.quiet { "(" (own.of_all) ")" } }
            },
            html! { (webhook.format.0) },
            hook_status(words, webhook),
            html! { form method="post" action={ (path) "/test" } {
                (person.csrf())
                button.plain aria-label={ (words.test_post) " " (webhook.url) } { (words.test_post) }
            } },
        ]
    };
    table::table(words.webhooks, &columns, webhooks.iter().map(row))
}
