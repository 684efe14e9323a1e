//! What needs somebody, on the page Start.

use domain::device::{Device, DeviceStatus};
use domain::error::Error;
use domain::grant::Quota;
use domain::ids::WebhookId;
use domain::person::Role;
use domain::policy::quota::NO_LIMIT;
use domain::webhook::{DeliveryState, Webhook};
use jiff::SignedDuration;
use maud::{Markup, html};

use super::caller::Person;
use super::devices::restricted;
use super::reasons::said;
use super::show::{self, device_name};
use super::webhooks::{account_webhooks, hook_status, webhook_path};
use super::words::words;
use crate::state::AppState;

/// For how long a delivery that has failed is news.
const NEWS_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Little is left of a quota of which only one part in so many is.
const LITTLE: i64 = 10;

words! {
    /// The texts of this part.
    AttentionWords
    deliveries_failed: "Deliveries have failed since yesterday", "Ada kiriman yang gagal sejak kemarin";
    quota_little: "Less than a tenth of the message quota is left.", "Kuota pesan tersisa kurang dari sepersepuluh.";
}

/// A card with what needs attention; nothing where nothing does.
pub(super) async fn card(
    state: &AppState,
    person: &Person,
    devices: &[Device],
    quota: &Quota,
) -> Result<Markup, Error> {
    let mut rows = of_quota(person, quota);
    rows.extend(devices.iter().filter_map(|device| of_device(state, person, device)));
    if person.visitor.role() == Role::Owner {
        let since = person.now.saturating_sub(NEWS_FOR).unwrap_or(person.now);
        let failed = state.core().failed_webhooks(person.principal(), since).await?;
        let webhooks = account_webhooks(state, person).await?;
        rows.extend(webhooks.iter().filter_map(|one| of_webhook(person, one, &failed)));
    }
    Ok(html! {
        @if !rows.is_empty() {
            section.card {
                h2 { (person.words().needs_attention) }
                ul.plain-list { @for row in rows { li { (row) } } }
            }
        }
    })
}

fn of_device(state: &AppState, person: &Person, device: &Device) -> Option<Markup> {
    let is_off = matches!(device.status, DeviceStatus::Disconnected | DeviceStatus::LoggedOut);
    let is_restricted = state.core().restricted_until(device).is_some();
    (is_off || is_restricted).then(|| {
        html! {
            a href=(show::device_path(device)) { (device_name(device)) } " "
            (show::device_status(person.words(), device.status))
            @if let (true, Some(reason)) = (is_off, &device.reason) { " " span.quiet { (said(person.lang, reason)) } }
            (restricted(state, person, device))
        }
    })
}

fn of_quota(person: &Person, quota: &Quota) -> Vec<Markup> {
    let (words, own) = (person.words(), AttentionWords::of(person.lang));
    let left = quota.remaining();
    let limits = [quota.plan.messages_per_day, quota.plan.messages_per_month];
    let smallest = limits.into_iter().flatten().min();
    let text = match smallest {
        _ if left == NO_LIMIT => return Vec::new(),
        _ if left == 0 => words.quota_exhausted,
        Some(limit) if left.saturating_mul(LITTLE) < limit => own.quota_little,
        _ => return Vec::new(),
    };
    vec![html! { a href="/app/usage" { (text) } }]
}

fn of_webhook(person: &Person, webhook: &Webhook, failed: &[WebhookId]) -> Option<Markup> {
    let (words, own) = (person.words(), AttentionWords::of(person.lang));
    let path = webhook_path(webhook);
    if webhook.disabled.is_some() {
        return Some(html! { a href=(path) { (webhook.url) } " " (hook_status(words, webhook)) });
    }
    failed.contains(&webhook.id).then(|| {
        html! {
            a href={ (path) "?state=" (DeliveryState::Dead.as_str()) } { (webhook.url) } " "
            span.badge data-tone="bad" { (words.delivery_dead) } " " span.quiet { (own.deliveries_failed) }
        }
    })
}
