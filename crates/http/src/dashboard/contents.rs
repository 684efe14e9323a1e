//! What the form of the page Send holds, as requests to send.

use std::sync::Arc;

use axum::http::StatusCode;
use domain::account::Account;
use domain::content::{Content, ContentKind, ContentRequest, Location, Poll};
use domain::error::Error;
use domain::ids::DeviceId;
use domain::media::{FileRequest, INLINE_MEDIA_BYTES_MAX, MediaSource};
use domain::message::TEXT_CHARS_MAX;
use domain::service::{SendRefusal, SendRequest};
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::caller::id;
use super::compose::SendWords;
use super::failure::describe;
use super::named_people::{contacts_of, faulty_contact, mentions_of};
use super::recipients::{LineFault, List, Receiver};
use super::show::{Fault, with};
use super::words::Lang;
use crate::forms::FormFile;

/// Most bytes of an uploaded file for all receivers of a list together: each message waits with its own.
const COPIES_BYTES_MAX: usize = 2 * INLINE_MEDIA_BYTES_MAX;

/// What is to be sent.
#[derive(Deserialize, Serialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Carries {
    /// A text.
    #[default]
    Text,
    /// A file, from the browser or from its address.
    File,
    /// A location.
    Location,
    /// A contact.
    Contact,
    /// A poll.
    Poll,
}

impl Carries {
    /// All of them, as the form offers them.
    pub(super) const ALL: [Self; 5] =
        [Self::Text, Self::File, Self::Location, Self::Contact, Self::Poll];

    /// Its name in the form.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::File => "file",
            Self::Location => "location",
            Self::Contact => "contact",
            Self::Poll => "poll",
        }
    }
}

/// The fields of the form.
#[derive(Deserialize, Serialize, Default, Clone)]
#[serde(default)]
pub(super) struct SendForm {
    pub(super) device: String,
    pub(super) to: String,
    /// A list that came as a file.
    pub(super) list: String,
    pub(super) kind: Carries,
    /// The text, or the caption of a file.
    pub(super) text: String,
    /// The address of a file.
    pub(super) url: String,
    pub(super) file_kind: String,
    /// What names a file that came before, and what it is called.
    pub(super) held: String,
    pub(super) held_name: String,
    /// Whether the file can be looked at once only.
    pub(super) view_once: String,
    /// Whether nothing is shown of where a link in the text leads.
    pub(super) no_preview: String,
    /// A latitude and a longitude, as maps show them.
    pub(super) point: String,
    pub(super) place: String,
    pub(super) address: String,
    pub(super) contact: String,
    pub(super) phone: String,
    pub(super) organization: String,
    /// Further contacts, one a line.
    pub(super) contacts: String,
    /// Whom the text or the caption mentions, one a line.
    pub(super) mentions: String,
    pub(super) question: String,
    /// The answers, one a line.
    pub(super) options: String,
    /// Whether several answers may be chosen.
    pub(super) several: String,
    pub(super) schedule_at: String,
    /// What makes a repeated form recognisable.
    #[serde(skip_serializing)]
    pub(super) key: String,
    /// What is to be done: send, show as code, or go on after a look at the list.
    #[serde(skip_serializing)]
    pub(super) act: String,
    /// The language of the code.
    #[serde(skip_serializing)]
    pub(super) sample: String,
}

impl SendForm {
    /// The receivers as they were written, or came as a file.
    pub(super) fn receivers(&self) -> &str {
        if self.list.is_empty() { &self.to } else { &self.list }
    }
}

/// Why nothing is sent.
pub(super) enum Refusal {
    Field(Fault),
    Lines(List),
}

impl Refusal {
    /// The status of a page with a form, which may be refused.
    pub(super) fn status(refusal: Option<&Self>) -> StatusCode {
        if refusal.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }
    }

    pub(super) fn of(field: &'static str, message: &str) -> Self {
        Self::Field(Fault::of(field, message.to_owned()))
    }

    /// What a use case says, beside the field that it means.
    pub(super) fn by(error: Error, lang: Lang) -> Self {
        let contact = match &error {
            Error::Invalid { field, .. } => further_contact(field),
            _ => None,
        };
        let field = match &error {
            Error::Invalid { field, .. } => field_of(field),
            Error::DeviceNotConnected(_) => "device",
            Error::Media(_) => "url",
            _ => "text",
        };
        let why = describe(&error.into(), lang.words());
        let why = match contact {
            Some(number) => format!("{} {number}: {why}", SendWords::of(lang).a_contact),
            None => why,
        };
        Self::Field(Fault::of(field, why))
    }
}

/// Which contact a path in the content means, counted from 1; `None` for the first, which has fields of its own.
fn further_contact(path: &str) -> Option<usize> {
    let (index, _) = path.strip_prefix("contacts[")?.split_once(']')?;
    let index: usize = index.parse().ok()?;
    (index > 0).then_some(index + 1)
}

/// The field of the form that a path in the content means.
fn field_of(path: &str) -> &'static str {
    const FIELDS: [(&str, &str); 11] = [
        ("to", "to"),
        ("schedule_at", "schedule_at"),
        ("mentions", "mentions"),
        ("media.url", "url"),
        ("media.base64", "file"),
        ("media.filename", "file"),
        ("location.name", "place"),
        ("location.address", "address"),
        ("contacts[0].name", "contact"),
        ("contacts[0].phone", "phone"),
        ("contacts[0].organization", "organization"),
    ];
    match path {
        "poll.question" => "question",
        "poll.options" => "options",
        "location.latitude" | "location.longitude" => "point",
        path => match FIELDS.iter().find(|(known, _)| *known == path) {
            Some(&(_, field)) => field,
            None if path.starts_with("contacts") => "contacts",
            None => "text",
        },
    }
}

/// What a form asks for.
pub(super) struct Batch {
    /// A request for each receiver.
    pub(super) requests: Vec<SendRequest>,
    /// The line of each.
    lines: Vec<usize>,
    /// Whether it goes to a list, which is looked at before it goes.
    pub(super) is_list: bool,
}

impl Batch {
    /// What the gateway says of one of its messages, with the line that it means.
    pub(super) fn refusal(lines: &[(usize, String)], refusal: SendRefusal, lang: Lang) -> Refusal {
        match refusal.index.and_then(|index| lines.get(index)) {
            Some((line, to)) => {
                let why = describe(&refusal.error.into(), lang.words());
                let faults = vec![(*line, to.clone(), LineFault::Refused(why))];
                Refusal::Lines(List { faults, ..List::default() })
            }
            None => Refusal::by(refusal.error, lang),
        }
    }

    /// The lines of a list, with their receivers.
    pub(super) fn lines(&self) -> Vec<(usize, String)> {
        let all = self.lines.iter().zip(&self.requests).filter(|_| self.is_list);
        all.map(|(line, request)| (*line, request.to.clone())).collect()
    }
}

/// The requests of a form, one for each receiver.
pub(super) fn requests(
    lang: Lang,
    account: &Account,
    form: &SendForm,
    file: Option<FormFile>,
    now: Timestamp,
) -> Result<Batch, Refusal> {
    let (words, own) = (lang.words(), SendWords::of(lang));
    let device: DeviceId =
        id(&form.device, "device").map_err(|_| Refusal::of("device", words.no_linked_device))?;
    if !form.to.trim().is_empty() && !form.list.is_empty() {
        return Err(Refusal::of("list", own.list_twice));
    }
    if !form.list.is_empty() && form.list.trim().is_empty() {
        return Err(Refusal::of("list", own.list_empty));
    }
    let list = List::read(form.receivers(), &account.default_country);
    if !list.faults.is_empty() {
        return Err(Refusal::Lines(list));
    }
    if list.receivers.is_empty() {
        return Err(Refusal::of("to", words.to_missing));
    }
    if let Some(file) = &file {
        check_copies(own, file, list.receivers.len())?;
    }
    let unknown = list.unknown_variables(&form.text);
    if let (Some(name), false) = (unknown.first(), list.columns.is_empty()) {
        return Err(Refusal::of("text", &with(words.unknown_variable, name)));
    }
    let content = content(lang, form, file)?;
    check_filled(&list, &content)?;
    let schedule_at = match form.schedule_at.as_str() {
        "" => None,
        text => Some(
            moment(text, account, now)
                .ok_or_else(|| Refusal::of("schedule_at", words.schedule_wrong))?,
        ),
    };
    let mentions = mentions_of(form);
    let requests = list.receivers.iter().map(|receiver| SendRequest {
        device: Some(device.into()),
        to: receiver.to.clone(),
        content: filled(&content, receiver),
        mentions: mentions.clone(),
        schedule_at,
        link_preview: (!form.no_preview.is_empty()).then_some(false),
        ..SendRequest::default()
    });
    let lines = list.receivers.iter().map(|receiver| receiver.line).collect();
    Ok(Batch { requests: requests.collect(), lines, is_list: list.is_list() })
}

/// Refuses a file that is too much when it is kept once for each receiver.
fn check_copies(own: &SendWords, file: &FormFile, receivers: usize) -> Result<(), Refusal> {
    let size = file.bytes.len();
    if receivers < 2 || size.saturating_mul(receivers) <= COPIES_BYTES_MAX {
        return Ok(());
    }
    let why = with(&with(own.file_for_fewer, receivers), COPIES_BYTES_MAX / size);
    Err(Refusal::of("file", &why))
}

/// Refuses a list with lines of which nothing, or too much, is left to send.
fn check_filled(list: &List, content: &ContentRequest) -> Result<(), Refusal> {
    if list.columns.is_empty() {
        return Ok(());
    }
    let fault = |receiver: &Receiver| match filled(content, receiver) {
        Content::Text(text) if text.trim().is_empty() => Some(LineFault::NoText),
        Content::Text(text) if is_long(&text) => Some(LineFault::LongText),
        Content::File(file) if is_long(&file.caption) => Some(LineFault::LongText),
        _ => None,
    };
    let faults = list
        .receivers
        .iter()
        .filter_map(|receiver| Some((receiver.line, receiver.to.clone(), fault(receiver)?)));
    let faults: Vec<_> = faults.collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(Refusal::Lines(List { faults, ..List::default() }))
}

fn is_long(text: &str) -> bool {
    text.chars().count() > TEXT_CHARS_MAX
}

/// The content, with the values of a receiver's line.
fn filled(content: &ContentRequest, receiver: &Receiver) -> ContentRequest {
    match content {
        Content::Text(text) => Content::Text(receiver.filled(text).into()),
        Content::File(file) => {
            let caption: Arc<str> = receiver.filled(&file.caption).into();
            Content::File(FileRequest { caption, ..file.clone() })
        }
        other => other.clone(),
    }
}

fn content(lang: Lang, form: &SendForm, file: Option<FormFile>) -> Result<ContentRequest, Refusal> {
    let (words, own) = (lang.words(), SendWords::of(lang));
    let required = |field, text: &str, message| {
        (!text.trim().is_empty()).then_some(()).ok_or_else(|| Refusal::of(field, message))
    };
    Ok(match form.kind {
        Carries::Text => {
            required("text", &form.text, words.text_missing)?;
            Content::Text(form.text.as_str().into())
        }
        Carries::File => Content::File(file_of(form, file, own)?),
        Carries::Location => {
            let (latitude, longitude) =
                point(&form.point).ok_or_else(|| Refusal::of("point", own.point_wrong))?;
            let (name, address) = (given(&form.place), given(&form.address));
            Content::Location(Location { latitude, longitude, name, address })
        }
        Carries::Contact => {
            required("contact", &form.contact, own.contact_missing)?;
            required("phone", &form.phone, words.phone_wrong)?;
            if let Some(line) = faulty_contact(form) {
                return Err(Refusal::of("contacts", &with(own.contact_line, line)));
            }
            Content::Contacts(contacts_of(form))
        }
        Carries::Poll => {
            required("question", &form.question, own.question_missing)?;
            let poll = poll_of(form);
            if poll.options.len() < 2 {
                return Err(Refusal::of("options", own.options_missing));
            }
            Content::Poll(poll)
        }
    })
}

fn file_of(
    form: &SendForm,
    file: Option<FormFile>,
    own: &SendWords,
) -> Result<FileRequest, Refusal> {
    let kind = given(&form.file_kind).map(|kind| ContentKind::from_name(&kind));
    let (source, filename) = match (file, given(&form.url)) {
        (Some(file), None) if file.bytes.len() > INLINE_MEDIA_BYTES_MAX => {
            return Err(Refusal::of("file", own.file_too_large));
        }
        (Some(file), None) if file.bytes.is_empty() => {
            return Err(Refusal::of("file", own.file_empty));
        }
        (Some(file), None) => (MediaSource::Inline(file.bytes.into()), Some(file.name)),
        (None, Some(url)) => (MediaSource::Url(url), None),
        (None, None) => return Err(Refusal::of("file", own.file_missing)),
        (Some(_), Some(_)) => return Err(Refusal::of("url", own.file_twice)),
    };
    let is_view_once = !form.view_once.is_empty();
    let may_be_viewed_once =
        matches!(kind, Some(ContentKind::Image | ContentKind::Video | ContentKind::Voice));
    if is_view_once && !may_be_viewed_once {
        return Err(Refusal::of("file_kind", own.view_once_kind));
    }
    let is_sticker = kind == Some(ContentKind::Sticker);
    if is_sticker && !form.text.trim().is_empty() {
        return Err(Refusal::of("text", own.sticker_text));
    }
    let caption = form.text.trim().into();
    Ok(FileRequest { kind, filename, caption, is_view_once, ..FileRequest::new(source) })
}

/// The poll of a form.
pub(super) fn poll_of(form: &SendForm) -> Poll {
    let options = form.options.lines().map(str::trim).filter(|option| !option.is_empty());
    Poll {
        question: form.question.trim().to_owned(),
        options: options.map(str::to_owned).collect(),
        selectable: if form.several.is_empty() { 1 } else { 0 },
        ..Poll::default()
    }
}

/// A latitude and a longitude, with a comma, a semicolon or white space between.
pub(super) fn point(text: &str) -> Option<(f64, f64)> {
    let is_between = |c: char| c.is_whitespace() || c == ',' || c == ';';
    let mut numbers = text.split(is_between).filter(|part| !part.is_empty());
    let mut next = |limit: f64| {
        let number: f64 = numbers.next()?.parse().ok()?;
        (-limit..=limit).contains(&number).then_some(number)
    };
    let point = (next(90.0)?, next(180.0)?);
    numbers.next().is_none().then_some(point)
}

/// What was filled in; `None` for nothing.
pub(super) fn given(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A time of the account's time zone that is to come.
pub(super) fn moment(text: &str, account: &Account, now: Timestamp) -> Option<Timestamp> {
    let there: DateTime = text.parse().ok()?;
    let at = there.to_zoned(account.timezone.zone().clone()).ok()?.timestamp();
    (at > now).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_the_content_means_a_field_of_the_form() {
        for (path, field, contact) in [
            ("contacts[0].phone", "phone", None),
            ("contacts[3].phone", "contacts", Some(4)),
            ("contacts", "contacts", None),
            ("mentions", "mentions", None),
            ("media.caption", "text", None),
        ] {
            assert_eq!((field_of(path), further_contact(path)), (field, contact), "{path}");
        }
    }

    #[test]
    fn points_as_maps_show_them() {
        for (text, expected) in [
            ("-6.175392, 106.827153", Some((-6.175_392, 106.827_153))),
            (" -6.175392;106.827153\n", Some((-6.175_392, 106.827_153))),
            ("0 0", Some((0.0, 0.0))),
            ("-6.175392", None),
            ("1, 2, 3", None),
            ("-91, 0", None),
            ("0, 181", None),
            ("NaN, 0", None),
            ("Monas", None),
            ("", None),
        ] {
            assert_eq!(point(text), expected, "{text}");
        }
    }
}
