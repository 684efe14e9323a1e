//! `/app/send`: anything to a number, a group or a pasted list; and the same request as code.
//!
//! A list is looked at first, and goes as a whole or not at all. The form carries an idempotency key: sent
//! twice, it acts once; changed in between, it is another request.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use domain::error::Error;
use domain::ids::MessageId;
use domain::media::INLINE_MEDIA_BYTES_MAX;
use domain::person::Role;
use domain::ports::IdempotencyKey;
use domain::service::{Principal, SendRefusal, SendRequest};
use maud::html;
use sha2::{Digest, Sha256};

use super::batch::batch_path;
use super::caller::{Asked, InAccount, Person, id};
use super::compose::{SendWords, compose, language};
use super::contents::{Batch, Carries, Refusal, SendForm, moment, requests};
use super::copy_as;
use super::device_choice;
use super::failure::{Failure, PageResult, redirect};
use super::layout::{self, Head, Place};
use super::once::new_key;
pub(super) use super::preview::{preview, preview_title};
use super::samples::Language;
use super::upload::Uploaded;
use super::words::Lang;
use crate::forms::FormFile;
use crate::net::server_address;
use crate::state::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/send", get(show_form).post(submit))
}

async fn show_form(
    State(state): State<AppState>,
    headers: HeaderMap,
    InAccount(person): InAccount,
    Asked(mut form): Asked<SendForm>,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    form.key = new_key(&state);
    form.held.clear();
    if form.to.is_empty() {
        form.to = shown_number(&state).unwrap_or_default().to_owned();
    }
    page(&state, &headers, &person, &form, None).await
}

/// The number of the simulated phone beside the composer of a demo.
fn shown_number(state: &AppState) -> Option<&str> {
    Some(state.config().demo_phone.as_deref()?.rsplit_once('/')?.1)
}

/// Whose form it is, and where it goes.
pub(super) struct Sender<'a> {
    pub(super) lang: Lang,
    pub(super) csrf: &'a str,
    pub(super) action: &'a str,
    pub(super) principal: &'a Principal,
}

/// What follows from a form.
pub(super) enum Step {
    /// It is shown again, with the file that came with it now or before.
    Again(Box<SendForm>, Again),
    /// Messages are on their way.
    Sent(Sent),
}

/// Why a form is shown again.
pub(super) enum Again {
    /// To be corrected, where something is wrong.
    Form(Option<Refusal>),
    /// What would be sent is looked at first.
    Preview(Vec<SendRequest>),
}

/// What is on its way.
pub(super) struct Sent {
    /// How many messages.
    pub(super) count: usize,
    /// The first of them, and the last.
    pub(super) ids: Option<(MessageId, MessageId)>,
}

impl<'a> Sender<'a> {
    fn of(person: &'a Person) -> Self {
        Self {
            lang: person.lang,
            csrf: &person.csrf,
            action: "/app/send",
            principal: person.principal(),
        }
    }

    /// Does what a form asks for.
    pub(super) async fn act(
        &self,
        state: &AppState,
        form: SendForm,
        file: Option<FormFile>,
    ) -> Result<Step, Failure> {
        Ok(match self.send(state, &form, file.clone()).await? {
            Ok(sent) => Step::Sent(sent),
            Err(again) => Step::Again(Box::new(self.keep(state, form, file)), again),
        })
    }

    async fn send(
        &self,
        state: &AppState,
        form: &SendForm,
        file: Option<FormFile>,
    ) -> Result<Result<Sent, Again>, Failure> {
        if form.act == "code" {
            return Ok(Err(Again::Form(None)));
        }
        let file = file.or_else(|| self.held(state, form));
        let idempotency = idempotency(form, file.as_ref());
        let (core, account) = (state.core(), self.principal.account()?);
        let batch = match requests(self.lang, account, form, file, core.now()) {
            Ok(batch) => batch,
            Err(refusal) => return Ok(Err(Again::Form(Some(refusal)))),
        };
        if batch.is_list && form.act != "all" {
            return Ok(Err(Again::Preview(batch.requests)));
        }
        let (count, lines) = (batch.requests.len(), batch.lines());
        match core.send_batch(self.principal, batch.requests, Some(idempotency)).await {
            Ok(accepted) => {
                let ids = || accepted.messages.iter().map(|message| message.id);
                Ok(Ok(Sent { count, ids: ids().min().zip(ids().max()) }))
            }
            Err(SendRefusal { error: error @ Error::NotFound(_), .. }) => Err(error.into()),
            Err(refusal) => Ok(Err(Again::Form(Some(Batch::refusal(&lines, refusal, self.lang))))),
        }
    }
}

impl Sender<'_> {
    /// The file that came with the form before, unless another one is meant.
    fn held(&self, state: &AppState, form: &SendForm) -> Option<FormFile> {
        let is_meant = form.kind == Carries::File && form.url.trim().is_empty();
        let held = Some(form.held.as_str()).filter(|held| is_meant && !held.is_empty())?;
        state.held_files().file(self.csrf, held, state.core().now())
    }

    /// A form that is shown again, with the file that came with it now or before.
    fn keep(&self, state: &AppState, mut form: SendForm, file: Option<FormFile>) -> SendForm {
        let (files, now) = (state.held_files(), state.core().now());
        let is_sendable =
            |file: &FormFile| (1..=INLINE_MEDIA_BYTES_MAX).contains(&file.bytes.len());
        if let Some(file) = file.filter(is_sendable) {
            form.held = files.hold(self.csrf, file, now);
        }
        match files.file(self.csrf, &form.held, now) {
            Some(kept) => form.held_name = kept.name,
            None => form.held.clear(),
        }
        form
    }
}

async fn submit(
    State(state): State<AppState>,
    headers: HeaderMap,
    Uploaded { person, form, file }: Uploaded<SendForm>,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    if person.visitor.account().is_none() {
        return Err(Failure::NoAccount);
    }
    let sender = Sender::of(&person);
    match sender.act(&state, form, file).await? {
        Step::Again(form, Again::Form(refusal)) => {
            page(&state, &headers, &person, &form, refusal.as_ref()).await
        }
        Step::Again(form, Again::Preview(requests)) => {
            let title = preview_title(person.words(), requests.len());
            let body = preview(&sender, &title, &form, &requests);
            Ok(layout::page(&person, Place::Send, &title, &body))
        }
        Step::Sent(Sent { count: 1, ids: Some((message, _)) }) => {
            Ok(redirect(&format!("/app/messages/{message}")))
        }
        Step::Sent(Sent { ids: Some((first, last)), .. }) => Ok(redirect(&batch_path(first, last))),
        Step::Sent(Sent { ids: None, .. }) => Ok(redirect("/app/messages?direction=out")),
    }
}

fn idempotency(form: &SendForm, file: Option<&FormFile>) -> IdempotencyKey {
    let mut what = Sha256::new_with_prefix(serde_json::to_vec(form).unwrap_or_default());
    if let Some(file) = file {
        what.update([0]);
        what.update(&file.name);
        what.update([0]);
        what.update(&file.bytes);
    }
    let request_hash: [u8; 32] = what.finalize().into();
    let key: String = form.key.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    IdempotencyKey {
        route: "POST /app/send".to_owned(),
        // A form that was changed is another request.
        key: format!("{key}-{}", hex::encode(&request_hash[..16])),
        request_hash,
        token_of: None,
    }
}

async fn page(
    state: &AppState,
    headers: &HeaderMap,
    person: &Person,
    form: &SendForm,
    refusal: Option<&Refusal>,
) -> Result<Response, Failure> {
    let words = person.words();
    let chosen = match form.device.as_str() {
        "" => None,
        text => Some(id(text, "device")?),
    };
    let mut devices = device_choice::devices(state, person, chosen).await?;
    // One that was chosen stays chosen, also when it is not linked: the form never turns to another number.
    devices.retain(|device| device.status.is_paired() || Some(device.id) == chosen);
    let chosen = devices.iter().find(|device| Some(device.id) == chosen).or(devices.first());
    let unlinked = chosen.filter(|device| !device.status.is_paired() && refusal.is_none());
    let unlinked = unlinked.map(|_| Refusal::of("device", words.device_not_linked));
    let (status, refusal) = (Refusal::status(refusal), refusal.or(unlinked.as_ref()));
    let address = server_address(state.config(), headers);
    let own = SendWords::of(person.lang);
    let now = state.core().now();
    let at = person.visitor.account().and_then(|of| moment(&form.schedule_at, of, now));
    let body = html! {
        h1 { (words.send) }
        @match chosen {
            None => {
                p.empty { (words.no_linked_device) " " a href="/app/devices" { (words.devices) } }
            }
            Some(device) => {
                div.beside[state.config().demo_phone.is_some()] {
                    div {
                        (compose(&Sender::of(person), &devices, form, refusal))
                        section #code {
                            h2 { (words.as_code) }
                            p.quiet { (words.as_code_help) }
                            (language(person, form))
                            (copy_as::blocks(
                                &copy_as::calls(&address, device, form, at),
                                Language::named(&form.sample),
                                own.copy,
                            ))
                        }
                    }
                    @if let Some(phone) = &state.config().demo_phone {
                        div {
                            h2 { (words.simulated_phone) }
                            iframe src=(phone) title=(words.simulated_phone) {}
                            @if let Some((simulator, _)) = phone.split_once("/phone/") {
                                p { a href={ (simulator) "/" } { (own.simulator) } }
                            }
                        }
                    }
                }
            }
        }
    };
    let head = Head::default();
    Ok(layout::page_with(status, person, Place::Send, words.send, &head, &body))
}
