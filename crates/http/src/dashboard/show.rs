//! Small parts that pages share.

use axum::http::StatusCode;
use domain::account::Account;
use domain::chat::ChatId;
use domain::device::{Device, DeviceStatus};
use domain::message::{Message, MessageState};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::caller::Person;
use super::words::Words;

/// A fault beside a field.
pub(super) struct Fault {
    field: &'static str,
    message: String,
}

impl Fault {
    /// What is wrong with a field.
    pub(super) fn of(field: &'static str, message: String) -> Self {
        Self { field, message }
    }

    /// Whether it is this field's.
    pub(super) fn is_of(&self, field: &str) -> bool {
        self.field == field
    }

    /// The status of a page with a form, which may be at fault.
    pub(super) fn status(fault: Option<&Self>) -> StatusCode {
        if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }
    }

    /// The fault of this field, where it is at fault; `aria-describedby` names it.
    pub(super) fn beside(fault: Option<&Self>, field: &str) -> Markup {
        let here = fault.filter(|fault| fault.field == field);
        html! {
            @if let Some(fault) = here {
                span.fault id={ (field) "-fault" } role="alert" { (fault.message) }
            }
        }
    }

    /// The fault above a form whose fields do not show it.
    pub(super) fn above(fault: Option<&Self>, fields: &[&str]) -> Markup {
        let elsewhere = fault.filter(|fault| !fields.contains(&fault.field));
        html! { @if let Some(fault) = elsewhere { p.fault role="alert" { (fault.message) } } }
    }
}

/// Puts a value into the place `{}` of a text.
pub(super) fn with(text: &str, value: impl std::fmt::Display) -> String {
    text.replacen("{}", &value.to_string(), 1)
}

/// A moment in the account's time zone.
pub(super) fn time(account: &Account, at: Timestamp) -> Markup {
    let there = at.to_zoned(account.timezone.zone().clone());
    let text = there.strftime("%Y-%m-%d %H:%M:%S").to_string();
    html! { time datetime=(format!("{at:.0}")) { (text) } }
}

/// The label of a field for a date or a time, with the zone it is read in.
pub(super) fn zoned(label: &str, account: Option<&Account>) -> String {
    match account {
        Some(account) => format!("{label} ({})", account.timezone.name()),
        None => label.to_owned(),
    }
}

/// A moment, where there is an account.
pub(super) fn time_for(person: &Person, at: Timestamp) -> Markup {
    match person.visitor.account() {
        Some(account) => time(account, at),
        None => html! { time datetime=(format!("{at:.0}")) { (format!("{at:.0}")) } },
    }
}

/// A moment in a few characters: the time of today, else the day.
pub(super) fn short_time(person: &Person, at: Timestamp) -> Markup {
    let Some(account) = person.visitor.account() else { return time_for(person, at) };
    let zone = account.timezone.zone();
    let (there, now) = (at.to_zoned(zone.clone()), person.now.to_zoned(zone.clone()));
    let format = if there.date() == now.date() { "%H:%M" } else { "%Y-%m-%d" };
    let whole = there.strftime("%Y-%m-%d %H:%M:%S").to_string();
    html! {
        time datetime=(format!("{at:.0}")) title=(whole) { (there.strftime(format).to_string()) }
    }
}

/// A moment that was written in the account's time zone, as a field for a date and a time has it.
pub(super) fn moment(person: &Person, text: &str) -> Option<Timestamp> {
    let there: jiff::civil::DateTime = text.trim().parse().ok()?;
    let zone = person.visitor.account()?.timezone.zone().clone();
    Some(there.to_zoned(zone).ok()?.timestamp())
}

/// The word for a device's status.
pub(super) fn device_status_word(words: &Words, status: DeviceStatus) -> &'static str {
    match status {
        DeviceStatus::Unpaired => words.status_unpaired,
        DeviceStatus::Pairing => words.status_pairing,
        DeviceStatus::Connecting => words.status_connecting,
        DeviceStatus::Connected => words.status_connected,
        DeviceStatus::Disconnected => words.status_disconnected,
        DeviceStatus::LoggedOut => words.status_logged_out,
    }
}

/// A moment as a field for a date and a time has it, in the account's time zone.
pub(super) fn field_moment(person: &Person, at: Timestamp) -> String {
    let zone = person.visitor.account().map(|account| account.timezone.zone().clone());
    let there = at.to_zoned(zone.unwrap_or(TimeZone::UTC));
    there.strftime("%Y-%m-%dT%H:%M:%S.%3f").to_string()
}

/// A device's status as a coloured word.
pub(super) fn device_status(words: &Words, status: DeviceStatus) -> Markup {
    let tone = match status {
        DeviceStatus::Unpaired => "idle",
        DeviceStatus::Pairing | DeviceStatus::Connecting => "wait",
        DeviceStatus::Connected => "good",
        DeviceStatus::Disconnected | DeviceStatus::LoggedOut => "bad",
    };
    html! { span.badge data-tone=(tone) { (device_status_word(words, status)) } }
}

/// The word for a message's state.
pub(super) fn state_word(words: &Words, state: MessageState) -> &'static str {
    match state {
        MessageState::Scheduled => words.state_scheduled,
        MessageState::Queued => words.state_queued,
        MessageState::Sending => words.state_sending,
        MessageState::Sent => words.state_sent,
        MessageState::Delivered => words.state_delivered,
        MessageState::Read => words.state_read,
        MessageState::Played => words.state_played,
        MessageState::Failed => words.state_failed,
        MessageState::Expired => words.state_expired,
        MessageState::Cancelled => words.state_cancelled,
    }
}

/// A message's state as a coloured word.
pub(super) fn state(words: &Words, state: MessageState) -> Markup {
    use MessageState::{
        Cancelled, Delivered, Expired, Failed, Played, Queued, Read, Scheduled, Sending, Sent,
    };
    let tone = match state {
        Read | Played | Delivered => "good",
        Sent => "idle",
        Scheduled | Queued | Sending => "wait",
        Failed | Expired => "bad",
        Cancelled => "idle",
    };
    html! { span.badge data-tone=(tone) { (state_word(words, state)) } }
}

/// A chat as people know it.
pub(super) fn chat(chat: &ChatId) -> String {
    match chat {
        ChatId::Person(phone) => format!("+{phone}"),
        other => other.jid().into_owned(),
    }
}

/// The page of a device.
pub(super) fn device_path(device: &Device) -> String {
    format!("/app/devices/{}", device.id)
}

/// A device as people know it.
pub(super) fn device_name(device: &Device) -> String {
    match &device.phone {
        Some(phone) => format!("{} (+{phone})", device.name),
        None => device.name.clone(),
    }
}

/// What a message carries, in a line; of one that was deleted for everyone, only that.
pub(super) fn summary(words: &Words, message: &Message) -> Markup {
    use domain::message::ContentKind;
    let text: String = message.shown_text().chars().take(140).collect();
    let (kind, changes) = (message.kind(), &message.context.changes);
    html! {
        @if kind != ContentKind::Text { span.kind { (kind_word(words, kind)) } " " }
        @if changes.revoked_at.is_some() { span.quiet { (words.revoked) } }
        @else {
            (text)
            @if changes.edited_at.is_some() { " " span.quiet { (words.edited) } }
        }
    }
}

/// The word for a kind of content.
pub(super) fn kind_word(words: &Words, kind: domain::message::ContentKind) -> &'static str {
    use domain::message::ContentKind as K;
    match kind {
        K::Text => words.kind_text,
        K::Image => words.kind_image,
        K::Video => words.kind_video,
        K::Audio => words.kind_audio,
        K::Voice => words.kind_voice,
        K::Document => words.kind_document,
        K::Sticker => words.kind_sticker,
        K::Location => words.kind_location,
        K::Contact => words.kind_contact,
        K::Poll => words.kind_poll,
        K::Reaction => words.kind_reaction,
        K::PollVote => words.kind_vote,
        K::Answer => words.kind_answer,
        K::Order => words.kind_order,
        K::GroupInvite => words.kind_invite,
        K::Event => words.kind_event,
        K::Album => words.kind_album,
        K::Edit => words.kind_edit,
        K::Revoke => words.kind_revoke,
        K::Unreadable => words.kind_unreadable,
        K::Other => words.kind_other,
    }
}

/// A secret that is shown once.
pub(super) fn secret(words: &Words, label: &str, text: &str) -> Markup {
    html! {
        section.secret role="status" {
            h2 { (label) }
            p { (words.shown_once) }
            pre tabindex="0" { code { (text) } }
        }
    }
}

/// A question before something that cannot be undone.
pub(super) struct Confirm<'a> {
    pub(super) title: &'a str,
    pub(super) what: Markup,
    pub(super) action: &'a str,
    pub(super) button: &'a str,
    pub(super) back: &'a str,
}

impl Confirm<'_> {
    /// The question with its form.
    pub(super) fn render(&self, person: &Person) -> Markup {
        html! {
            h1 { (self.title) }
            (self.what)
            form.row method="post" action=(self.action) {
                (person.csrf())
                button.danger { (self.button) }
                a.button.plain href=(self.back) { (person.words().keep) }
            }
        }
    }
}
