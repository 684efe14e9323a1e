//! The request of a form as calls of our own API and of the other gateways' formats, where they have one.

use domain::content::Contact;
use domain::device::Device;
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::contents::{Carries, SendForm, point, poll_of};
use super::named_people::{contacts_of, mentions_of};
use super::recipients::List;
use super::samples::{Call, Language};

const ACCOUNT_KEY: &str = "YOUR_ACCOUNT_KEY";
const DEVICE_TOKEN: &str = "YOUR_DEVICE_TOKEN";
/// Stands for a file that was not given by its address.
const EXAMPLE_FILE: &str = "https://example.com/photo.jpg";

/// The request in every format, in the language of the form.
pub(super) fn blocks(calls: &[Call], language: Language, copy: &str) -> Markup {
    html! {
        @for (n, call) in calls.iter().enumerate() {
            details open[n == 0] {
                summary { (call.api) }
                pre tabindex="0" data-copy=(copy) { code { (call.sample(language)) } }
            }
        }
    }
}

/// What a call needs of the form.
struct Asked<'a> {
    address: &'a str,
    device: String,
    phone: &'a str,
    to: &'a str,
    text: &'a str,
    file: Option<&'a str>,
    /// When it is to be sent.
    at: Option<Timestamp>,
}

/// The calls that send what a form holds; `at` is the time of its schedule.
pub(super) fn calls(
    address: &str,
    device: &Device,
    form: &SendForm,
    at: Option<Timestamp>,
) -> Vec<Call> {
    // Of a list the first message. Its country only decides which lines are at fault.
    let list = List::read(form.receivers(), "62");
    let first = list.receivers.first();
    let to = first.map_or("6281234567890", |first| &first.to);
    let text = first.map_or_else(|| form.text.clone(), |first| first.filled(&form.text));
    let text = match (form.kind, text.as_str()) {
        (Carries::Text, "") => "Hello",
        (_, text) => text,
    };
    let url = Some(form.url.trim()).filter(|url| !url.is_empty()).unwrap_or(EXAMPLE_FILE);
    let asked = Asked {
        address,
        device: device.id.to_string(),
        phone: device.phone.as_ref().map_or("", |phone| phone.as_str()),
        to,
        text,
        file: (form.kind == Carries::File).then_some(url),
        at,
    };
    let own = asked.own(form);
    let others = match form.kind {
        Carries::Text | Carries::File if at.is_some() => vec![asked.wasyik_schedule(form)],
        Carries::Text | Carries::File => asked.others(form),
        Carries::Location | Carries::Contact | Carries::Poll => Vec::new(),
    };
    [own].into_iter().chain(others).collect()
}

impl Asked<'_> {
    fn call(
        &self,
        api: &'static str,
        path: &str,
        key: Option<(&'static str, String)>,
        body: Value,
    ) -> Call {
        Call { api, url: format!("{}{path}", self.address), key, body: without_blanks(body) }
    }

    fn is_group(&self) -> bool {
        self.to.ends_with("@g.us")
    }

    fn own(&self, form: &SendForm) -> Call {
        let mut body = json!({ "device": self.device, "to": self.to });
        let (field, content) = own_content(form, self.text, self.file);
        body[field] = content;
        let mentions = mentions_of(form);
        if !mentions.is_empty() {
            body["mentions"] = json!(mentions);
        }
        if !form.no_preview.is_empty() {
            body["link_preview"] = json!(false);
        }
        if let Some(at) = self.at {
            body["schedule_at"] = json!(format!("{at:.0}"));
        }
        self.call("Gerbang /v1", "/v1/messages", bearer(ACCOUNT_KEY), body)
    }

    fn others(&self, form: &SendForm) -> Vec<Call> {
        vec![self.wagy(form), self.wachat(), self.wagate(form), self.wasyik(form), self.mpwa(form)]
    }

    fn wagy(&self, form: &SendForm) -> Call {
        let mut body = json!({ "phone": self.to, "message": self.text });
        if let Some(url) = self.file {
            body["media_url"] = json!(url);
            body["media_type"] = json!(plain_kind(&form.file_kind));
            // The format wants one, also below a file.
            body["message"] = json!(if self.text.trim().is_empty() { "Hello" } else { self.text });
        }
        self.call("wagy", &format!("/{}/send", self.device), bearer(DEVICE_TOKEN), body)
    }

    fn wachat(&self) -> Call {
        let key = Some(("APIKey", ACCOUNT_KEY.to_owned()));
        let mut body = json!({ "queue": self.device, "destination": self.to });
        if self.is_group() {
            body["is_group"] = json!(true);
        }
        match self.file {
            None => {
                body["message"] = json!(self.text);
                self.call("WAChat", "/wachat_api/1.0/message", key, body)
            }
            Some(url) => {
                body["media_url"] = json!(url);
                body["caption"] = json!(self.text);
                self.call("WAChat", "/wachat_api/1.0/media", key, body)
            }
        }
    }

    fn wagate(&self, form: &SendForm) -> Call {
        let key = bearer(DEVICE_TOKEN);
        let Some(url) = self.file else {
            let body = json!({ "recipient": self.to, "message": self.text });
            return self.call("WAGate", "/api/v1/send-message", key, body);
        };
        let kind = plain_kind(&form.file_kind);
        let body = json!({
            "recipient": self.to, "media_url": url, "media_type": kind, "caption": self.text
        });
        self.call("WAGate", "/api/v1/send-media", key, body)
    }

    fn wasyik(&self, form: &SendForm) -> Call {
        let path = |call: &str| format!("/api/v2/messaging/whatsapp{call}");
        let (key, kind) = (bearer(ACCOUNT_KEY), wasyik_kind(form));
        let mut body = json!({ "accountId": self.device });
        body[if self.is_group() { "groupId" } else { "to" }] = json!(self.to);
        let Some(url) = self.file else {
            body["text"] = json!(self.text);
            let call = if self.is_group() { "/send-group" } else { "/send-text" };
            return self.call("WAsyik", &path(call), key, body);
        };
        body["messageType"] = json!(kind);
        body["url"] = json!(url);
        body["caption"] = json!(self.text);
        let call = if self.is_group() { "/send-group-media" } else { "/message" };
        self.call("WAsyik", &path(call), key, body)
    }

    fn wasyik_schedule(&self, form: &SendForm) -> Call {
        let at = self.at.map(|at| format!("{at:.0}")).unwrap_or_default();
        let body = json!({
            "accountId": self.device, "to": self.to, "messageType": wasyik_kind(form),
            "content": self.text, "url": self.file.unwrap_or_default(), "scheduled_at": at
        });
        let path = "/api/v2/messaging/whatsapp/schedule";
        self.call("WAsyik", path, bearer(ACCOUNT_KEY), body)
    }

    fn mpwa(&self, form: &SendForm) -> Call {
        let mut body = json!({ "api_key": ACCOUNT_KEY, "sender": self.phone, "number": self.to });
        let Some(url) = self.file else {
            body["message"] = json!(self.text);
            return self.call("MPWA", "/send-message", None, body);
        };
        body["url"] = json!(url);
        let kind = Some(plain_kind(&form.file_kind)).filter(|kind| !kind.is_empty());
        body["media_type"] = json!(kind.unwrap_or("document"));
        body["caption"] = json!(self.text);
        self.call("MPWA", "/send-media", None, body)
    }
}

fn bearer(key: &str) -> Option<(&'static str, String)> {
    Some(("Authorization", format!("Bearer {key}")))
}

/// The content of a form in our own API: its field and what stands there.
fn own_content(form: &SendForm, text: &str, file: Option<&str>) -> (&'static str, Value) {
    match form.kind {
        Carries::Text => ("text", json!(text)),
        Carries::File => {
            let mut media = json!({ "url": file, "kind": form.file_kind, "caption": text });
            if !form.view_once.is_empty() {
                media["view_once"] = json!(true);
            }
            ("media", without_blanks(media))
        }
        Carries::Location => {
            let (latitude, longitude) = point(&form.point).unwrap_or((-6.175_4, 106.827_2));
            let location = json!({
                "latitude": latitude, "longitude": longitude, "name": form.place,
                "address": form.address
            });
            ("location", without_blanks(location))
        }
        Carries::Contact => {
            let contact = |contact: Contact| {
                without_blanks(json!({
                    "name": contact.name, "phone": contact.phone,
                    "organization": contact.organization
                }))
            };
            ("contacts", contacts_of(form).into_iter().map(contact).collect())
        }
        Carries::Poll => {
            let poll = poll_of(form);
            let poll = json!({
                "question": poll.question, "options": poll.options, "selectable": poll.selectable
            });
            ("poll", poll)
        }
    }
}

/// A kind of file as the other formats name it: they have no voice notes.
fn plain_kind(kind: &str) -> &str {
    if kind == "voice" { "audio" } else { kind }
}

fn wasyik_kind(form: &SendForm) -> &str {
    match form.kind {
        Carries::Text => "text",
        _ if form.file_kind.is_empty() => "document",
        _ => plain_kind(&form.file_kind),
    }
}

/// Leaves out what was not filled in.
fn without_blanks(body: Value) -> Value {
    let Value::Object(fields) = body else { return body };
    let is_given = |value: &Value| !value.is_null() && value.as_str() != Some("");
    Value::Object(fields.into_iter().filter(|(_, value)| is_given(value)).collect::<Map<_, _>>())
}
