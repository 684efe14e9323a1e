//! What may still be sent, and what is used of it: as figures of an account, and in a line of a device.

use domain::grant::Quota;
use domain::ids::DeviceId;
use domain::policy::quota::NO_LIMIT;
use maud::{Markup, html};

use super::caller::Person;
use super::show;
use super::words::words;

words! {
    /// The texts of quotas.
    QuotaWords
    left: "Quota left", "Sisa kuota";
    no_limit: "no limit", "tanpa batas";
    used_today: "Used today", "Terpakai hari ini";
    used_month: "Used this month", "Terpakai bulan ini";
    granted: "Granted beside the plan", "Tambahan di luar paket";
    today: "today", "hari ini";
    month: "this month", "bulan ini";
    of_all: "Used by all devices of the account", "Dipakai semua perangkat akun";
    until: "until", "sampai";
}

/// How many more messages are accepted now; `None` for no limit.
fn left(quota: &Quota) -> Option<i64> {
    Some(quota.remaining()).filter(|left| *left != NO_LIMIT)
}

/// How many more messages are accepted now, among other figures.
pub(super) fn figure_left(person: &Person, quota: &Quota) -> Markup {
    let own = QuotaWords::of(person.lang);
    html! {
        div { dt { (own.left) } dd {
            @match left(quota) { Some(left) => (left), None => (own.no_limit) }
        } }
    }
}

/// The figures of an account.
pub(super) fn figures(person: &Person, quota: &Quota) -> Markup {
    let own = QuotaWords::of(person.lang);
    let (total, used) = quota.granted();
    let (day, month) = (quota.usage.day_used, quota.usage.month_used);
    html! {
        dl.figures {
            div { dt { (own.used_today) } dd { (of(day, quota.plan.messages_per_day)) } }
            div { dt { (own.used_month) } dd { (of(month, quota.plan.messages_per_month)) } }
            @if total > used { div { dt { (own.granted) } dd { (total - used) } } }
            (figure_left(person, quota))
        }
    }
}

fn of(used: i64, limit: Option<i64>) -> Markup {
    html! { (used) @if let Some(limit) = limit { " / " (limit) } }
}

/// What is used of what one device may send: nothing where there is no limit and nothing was granted.
pub(super) fn of_device(person: &Person, quota: &Quota, device: DeviceId) -> Markup {
    let (own, quota) = (QuotaWords::of(person.lang), quota.of_device(device));
    let periods = [
        (own.today, quota.usage.day_used, quota.plan.messages_per_day),
        (own.month, quota.usage.month_used, quota.plan.messages_per_month),
    ];
    let limited: Vec<_> =
        periods.into_iter().filter_map(|(word, used, limit)| Some((word, used, limit?))).collect();
    let (total, used) = quota.granted();
    html! {
        @if !limited.is_empty() || total > 0 {
            dl.quota {
                dt { (own.left) }
                dd { strong { @match left(&quota) { Some(left) => (left), None => (own.no_limit) } } }
                @if !limited.is_empty() {
                    dt { (own.of_all) }
                    dd { @for (n, (word, used, limit)) in limited.iter().enumerate() {
                        @if n > 0 { " · " }
                        span { (used) " / " (limit) " " (word) }
                    } }
                }
                @if total > 0 {
                    dt { (own.granted) }
                    dd {
                        (used) " / " (total)
                        @if let Some(until) = quota.granted_until() {
                            " " (own.until) " " (show::time_for(person, until))
                        }
                    }
                }
            }
        }
    }
}
