//! Webhooks: which events they get, and what became of the deliveries.

use std::sync::Arc;

use futures_util::stream::BoxStream;

use super::{Core, Principal};
use crate::audit::Action;
use crate::call::CallReport;
use crate::chat::{ChatId, GroupId, Lid};
use crate::contact::Identity;
use crate::content::Content;
use crate::context::{Changes, Context, EarlierText};
use crate::device::DeviceStatus;
use crate::error::{Error, Result};
use crate::group::{GroupChange, GroupReport, ParticipantAction};
use crate::ids::{AccountId, DeviceId, MessageId, WebhookId, WhatsappId};
use crate::media::{URL_BYTES_MAX, cleaned_url};
use crate::message::{Address, Direction, Failure, MessageState};
use crate::phone::PhoneNumber;
use crate::plan::Plan;
use crate::ports::{FormatRules, Page, PageRequest, WebhookAnswer};
use crate::scope::Scope;
use crate::webhook::{
    CreatedWebhook, Event, EventDevice, EventKind, EventMessage, EventStatus, FormatName,
    NewWebhook, SECRET_BYTES_MAX, SECRET_BYTES_MIN, SealNewSecret, SealedSecret, SecretRow,
    Subject, WEBHOOKS_MAX, Webhook, WebhookPatch, WebhookSecrets,
};

/// The format of our own API.
pub const OWN_FORMAT: &str = "gerbang";

/// What is asked for when a webhook is made.
#[derive(Clone, Default)]
#[expect(missing_docs, reason = "the fields are those of `Webhook`")]
pub struct NewWebhookRequest {
    pub device: Option<DeviceId>,
    pub url: String,
    pub format: Option<String>,
    /// `None` for all that plan and format allow.
    pub events: Option<Vec<EventKind>>,
    /// `None` for one of our own.
    pub secret: Option<String>,
}

/// What is asked for when a webhook is changed; `None` leaves it.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields are those of `Webhook`")]
pub struct WebhookChange {
    pub url: Option<String>,
    pub events: Option<Vec<EventKind>>,
    pub is_enabled: Option<bool>,
}

impl Core {
    /// Makes a webhook; its secret is shown only now.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::EventMissing`], [`Error::NotFound`] for the device,
    /// [`Error::ChallengeFailed`], [`Error::Conflict`] at the limit, or when the secret that the
    /// format's webhooks share cannot be read any more.
    pub async fn create_webhook(
        &self,
        principal: &Principal,
        request: NewWebhookRequest,
    ) -> Result<(Webhook, String)> {
        principal.require(Scope::Manage)?;
        let account = principal.account_id()?;
        let device_id = request.device.or(principal.caller.bound_device());
        if let Some(device) = device_id {
            self.device(principal, device).await?;
        }
        let format = FormatName(request.format.unwrap_or_else(|| OWN_FORMAT.to_owned()));
        let rules = self.format_rules(&format)?;
        let events = allowed_events(request.events, &rules, principal.plan()?)?;
        let url = self.check_webhook_url(request.url)?;
        let chosen = request.secret.map(check_secret).transpose()?;
        if rules.needs_challenge {
            self.challenge(account, &url).await?;
        }
        let secret = chosen.clone().unwrap_or_else(|| self.new_webhook_secret(&rules));
        // What a token of one device is shown must not sign for others.
        let is_own = principal.caller.bound_device().is_some();
        let shares = rules.shares_secret && chosen.is_none() && !is_own;
        let secrets = WebhookSecrets::new(secret, is_own);
        let seal = self.seal_new(account, secrets, shares);
        let webhook = NewWebhook { account_id: account, device_id, url, format, events };
        let made = match self.store.create_webhook(webhook, seal, self.clock.now()).await? {
            CreatedWebhook::Created(made) => made,
            CreatedWebhook::LimitReached => return Err(Error::Conflict(TOO_MANY_WEBHOOKS)),
            CreatedWebhook::SecretUnreadable => {
                return Err(Error::Conflict(SHARED_SECRET_UNREADABLE));
            }
        };
        let secrets = self.sealer.secrets(&made).ok_or(Error::Conflict(SECRET_UNREADABLE))?;
        self.dispatcher.webhooks_changed(account);
        self.note(principal, Action::WebhookCreated, named(&made)).await;
        Ok((made, secrets.current))
    }

    /// Seals the secret of a new webhook: its own, or the one that the account's webhooks of the
    /// format share.
    fn seal_new(&self, account: AccountId, secrets: WebhookSecrets, shares: bool) -> SealNewSecret {
        let sealer = self.sealer.clone();
        Arc::new(move |webhook, others| {
            let row = SecretRow::Webhook { account, webhook };
            let shared = others.iter().filter(|_| shares).map(|other| sealer.secrets(other));
            // One that cannot be read may be the shared one.
            let shared = shared.filter(|found| found.as_ref().is_none_or(|found| !found.is_own));
            let secrets = match shared.into_iter().next() {
                Some(found) => found?,
                None => secrets.clone(),
            };
            Some(sealer.seal(row, &secrets.to_text()))
        })
    }

    /// Puts another secret in place of a webhook's, which is shown only now. For one day messages are
    /// signed with both.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for a faulty secret, [`Error::Conflict`] when the
    /// present one cannot be read.
    pub async fn replace_webhook_secret(
        &self,
        principal: &Principal,
        id: WebhookId,
        chosen: Option<String>,
    ) -> Result<(Webhook, String)> {
        principal.require(Scope::Manage)?;
        let webhook = self.webhook(principal, id).await?;
        let rules = self.format_rules(&webhook.format)?;
        let chosen = chosen.map(check_secret).transpose()?;
        let secret = chosen.unwrap_or_else(|| self.new_webhook_secret(&rules));
        let secrets = self.sealer.secrets(&webhook).ok_or(Error::Conflict(SECRET_UNREADABLE))?;
        let secrets = secrets.replaced(secret.clone(), self.clock.now());
        let sealed = self.sealer.seal(webhook.secret_row(), &secrets.to_text());
        let patch = WebhookPatch { secret: Some(sealed), ..WebhookPatch::default() };
        let webhook = self.store.update_webhook(webhook.account_id, id, patch).await?;
        let webhook = webhook.ok_or(Error::NotFound("webhook"))?;
        self.dispatcher.webhooks_changed(webhook.account_id);
        self.note(principal, Action::WebhookSecretReplaced, named(&webhook)).await;
        Ok((webhook, secret))
    }

    /// The secret of a webhook sealed anew, where an earlier release has sealed it.
    fn sealed_anew(&self, webhook: &Webhook) -> Option<SealedSecret> {
        if self.sealer.is_current(&webhook.secret) {
            return None;
        }
        let text = self.sealer.open(webhook.secret_row(), &webhook.secret)?;
        Some(self.sealer.seal(webhook.secret_row(), &text))
    }

    /// One webhook the caller may see.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn webhook(&self, principal: &Principal, id: WebhookId) -> Result<Webhook> {
        principal.require(Scope::Manage)?;
        let webhook = self.store.webhook(principal.account_id()?, id).await?;
        let bound = principal.caller.bound_device();
        webhook
            .filter(|webhook| bound.is_none() || webhook.device_id == bound)
            .ok_or(Error::NotFound("webhook"))
    }

    /// The webhooks of the caller's account, newest first; a device token sees its device's.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for the operator.
    pub async fn webhooks(
        &self,
        principal: &Principal,
        page: PageRequest,
    ) -> Result<Page<Webhook>> {
        principal.require(Scope::Manage)?;
        let bound = principal.caller.bound_device();
        Ok(self.store.webhooks(principal.account_id()?, bound, page).await?)
    }

    /// Changes a webhook.
    ///
    /// # Errors
    /// As [`Core::create_webhook`], and [`Error::NotFound`].
    pub async fn update_webhook(
        &self,
        principal: &Principal,
        id: WebhookId,
        change: WebhookChange,
    ) -> Result<Webhook> {
        principal.require(Scope::Manage)?;
        let webhook = self.webhook(principal, id).await?;
        let rules = self.format_rules(&webhook.format)?;
        let url = change.url.map(|url| self.check_webhook_url(url)).transpose()?;
        let events = match change.events {
            Some(events) => Some(allowed_events(Some(events), &rules, principal.plan()?)?),
            None => None,
        };
        if let Some(url) = url.as_ref().filter(|_| rules.needs_challenge) {
            self.challenge(webhook.account_id, url).await?;
        }
        let switched_off = || "switched off by its owner".to_owned();
        let disabled = change.is_enabled.map(|is_enabled| (!is_enabled).then(switched_off));
        let secret = self.sealed_anew(&webhook);
        let patch = WebhookPatch { url, events, disabled, secret };
        let webhook = self.store.update_webhook(webhook.account_id, id, patch).await?;
        let webhook = webhook.ok_or(Error::NotFound("webhook"))?;
        self.dispatcher.webhooks_changed(webhook.account_id);
        self.note(principal, Action::WebhookChanged, named(&webhook)).await;
        Ok(webhook)
    }

    /// Erases a webhook with all that waits for it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_webhook(&self, principal: &Principal, id: WebhookId) -> Result<()> {
        principal.require(Scope::Manage)?;
        let account = principal.account_id()?;
        let subject = match self.webhook(principal, id).await {
            Ok(webhook) => named(&webhook),
            // An account deletes also what cannot be read.
            Err(_) if principal.caller.bound_device().is_none() => id.to_string(),
            Err(error) => return Err(error),
        };
        self.store.make_room().await;
        if !self.store.delete_webhook(account, id).await? {
            return Err(Error::NotFound("webhook"));
        }
        self.dispatcher.webhooks_changed(account);
        self.note(principal, Action::WebhookDeleted, subject).await;
        Ok(())
    }

    /// Posts a sample event to a webhook, once, when the account may post: what it answered.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TooManyWaits`].
    pub async fn test_webhook(
        &self,
        principal: &Principal,
        id: WebhookId,
    ) -> Result<WebhookAnswer> {
        principal.require(Scope::Manage)?;
        let webhook = self.webhook(principal, id).await?;
        let secrets = self.sealer.secrets(&webhook).ok_or(Error::Conflict(SECRET_UNREADABLE))?;
        let device = match webhook.device_id {
            Some(device) => Some(EventDevice::from(&*self.device(principal, device).await?)),
            None => None,
        };
        let kind = webhook.events.first().copied().unwrap_or(EventKind::MessageReceived);
        let event = self.sample_event(&webhook, kind, device);
        let now = self.clock.now();
        let (format, url, secrets) = (&webhook.format, &webhook.url, secrets.at(now));
        let request = self.formats.encode(format, url, &event, secrets, now);
        let request = request.ok_or(Error::NotFound("format"))?;
        let _wait = self.waits.enter(webhook.account_id, None)?;
        let _permit = self.dispatcher.webhook_permit(webhook.account_id).await;
        Ok(self.outbound.post(request).await)
    }

    /// What happens in the caller's account, live; a device token hears of its device only.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for the operator, [`Error::TooManyStreams`], [`Error::Unauthorized`].
    pub async fn watch_account(&self, principal: &Principal) -> Result<BoxStream<'static, Event>> {
        principal.require(Scope::Read)?;
        use futures_util::StreamExt;
        let bound = principal.caller.bound_device();
        let account = principal.account_id()?;
        let events = self.as_live(principal, self.dispatcher.watch_account(account)).await?;
        let is_theirs = move |event: &Event| bound.is_none_or(|device| event.device.id == device);
        let theirs = events.filter(move |event| futures_util::future::ready(is_theirs(event)));
        let links = self.links.clone();
        let linked = theirs.map(move |mut event| {
            event.link_file(&*links);
            event
        });
        Ok(linked.boxed())
    }

    /// The formats that a webhook may have.
    pub fn webhook_formats(&self) -> Vec<FormatRules> {
        self.formats.all()
    }

    fn format_rules(&self, format: &FormatName) -> Result<FormatRules> {
        self.formats.rules(format).ok_or_else(|| {
            let names: Vec<&str> = self.formats.all().iter().map(|rules| rules.name).collect();
            Error::invalid("format", format!("must be one of {}", names.join(", ")))
        })
    }

    fn check_webhook_url(&self, url: String) -> Result<String> {
        let url = cleaned_url(url);
        if url.len() > URL_BYTES_MAX {
            return Err(Error::invalid("url", format!("must have at most {URL_BYTES_MAX} bytes")));
        }
        let checked = self.outbound.check_url(&url);
        checked.map(|()| url).map_err(|refusal| Error::invalid("url", refusal.to_string()))
    }

    async fn challenge(&self, account: AccountId, url: &str) -> Result<()> {
        let _wait = self.waits.enter(account, None)?;
        let _permit = self.dispatcher.webhook_permit(account).await;
        let challenge = hex::encode(self.random::<16>());
        self.outbound.challenge(url, &challenge).await.map_err(Error::ChallengeFailed)
    }

    fn new_webhook_secret(&self, rules: &FormatRules) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(self.random::<32>());
        format!("{}{text}", rules.secret_prefix)
    }

    fn sample_event(
        &self,
        webhook: &Webhook,
        kind: EventKind,
        device: Option<EventDevice>,
    ) -> Event {
        let now = self.clock.now();
        let device = device.unwrap_or_else(|| EventDevice {
            id: DeviceId(uuid::Uuid::nil()),
            number_id: crate::ids::DeviceNumber(0),
            name: "Test".to_owned(),
            phone: Some(PhoneNumber::from_digits("628000000000")),
            lid: None,
        });
        let subject = match kind {
            EventKind::ContactIdentified => Subject::Contact(sample_contact()),
            EventKind::CallReceived => Subject::Call(sample_call(now)),
            EventKind::GroupUpdated => {
                Subject::Group(sample_group(GroupChange::Name("A test".to_owned()), now))
            }
            EventKind::GroupParticipants => Subject::Group(sample_group(
                GroupChange::Participants(ParticipantAction::Add, vec![sample_person()]),
                now,
            )),
            kind if kind.is_of_device() => Subject::Device(sample_status(kind, now)),
            kind => Subject::Message(Box::new(sample_message(kind, now))),
        };
        let id = format!("evt_test_{}", hex::encode(self.random::<8>()));
        Event { id, kind, at: now, account_id: webhook.account_id, device, subject }
    }
}

/// What names a webhook in the audit log, also when it is gone: its host, for the rest may hold a secret.
fn named(webhook: &Webhook) -> String {
    let rest = webhook.url.split_once("://").map_or("", |(_, rest)| rest);
    format!("{} {}", webhook.id, rest.split(['/', '?', '#']).next().unwrap_or_default())
}

const TOO_MANY_WEBHOOKS: &str = "the account has 100 webhooks already";
const SECRET_UNREADABLE: &str = "the webhook's secret cannot be read; create the webhook again";
const SHARED_SECRET_UNREADABLE: &str = "the secret that the webhooks of this format share cannot be read; erase them, or choose another";
const _: () = assert!(WEBHOOKS_MAX == 100, "the text above says so");

fn sample_person() -> Address {
    let Identity { phone, lid } = sample_contact();
    Address { phone: Some(phone), lid: Some(lid) }
}

fn sample_group(change: GroupChange, now: jiff::Timestamp) -> GroupReport {
    let group = GroupId::from_user("120363000000000001");
    GroupReport { id: "TEST".to_owned(), group, by: Some(sample_person()), change, at: now }
}

fn sample_call(now: jiff::Timestamp) -> CallReport {
    CallReport {
        id: "TEST".to_owned(),
        from: sample_person(),
        is_video: false,
        is_group: false,
        is_rejected: false,
        at: now,
    }
}

fn sample_contact() -> Identity {
    let phone = PhoneNumber::from_digits("628000000001");
    Identity { phone, lid: Lid::from_user("100000000000001") }
}

fn sample_status(kind: EventKind, now: jiff::Timestamp) -> EventStatus {
    let (status, code, should_reconnect) = match kind {
        EventKind::DevicePaired => (DeviceStatus::Connecting, None, false),
        EventKind::DeviceConnected | EventKind::DeviceRestricted => {
            (DeviceStatus::Connected, None, false)
        }
        EventKind::DeviceLoggedOut => (DeviceStatus::LoggedOut, Some(401), false),
        _ => (DeviceStatus::Disconnected, Some(408), true),
    };
    let restricted_until = (kind == EventKind::DeviceRestricted).then_some(now);
    let has_reason = code.is_some() || restricted_until.is_some();
    let reason = has_reason.then(|| "a test".to_owned());
    EventStatus { status, reason, code, should_reconnect, restricted_until }
}

fn sample_message(kind: EventKind, now: jiff::Timestamp) -> EventMessage {
    let is_incoming = matches!(kind, EventKind::MessageReceived | EventKind::MessageEdited);
    let phone = PhoneNumber::from_digits("628000000001");
    // What is received counts as delivered.
    let mut states = MessageState::ALL.into_iter();
    let emits_kind = |state: &MessageState| EventKind::of_state(*state) == Some(kind);
    EventMessage {
        id: MessageId(0),
        whatsapp_id: WhatsappId("3EB00000000000000000".to_owned()),
        direction: if is_incoming { Direction::In } else { Direction::Out },
        chat: ChatId::Person(phone.clone()),
        sender: is_incoming.then_some(Address { phone: Some(phone), lid: None }),
        context: sample_context(kind, now),
        content: Content::Text("This is a test of your webhook.".into()),
        state: states.find(emits_kind).unwrap_or(MessageState::Delivered),
        failure: (kind == EventKind::MessageFailed).then(|| Failure::new("test", "a test")),
        created_at: now,
    }
}

fn sample_context(kind: EventKind, now: jiff::Timestamp) -> Context {
    let earlier = EarlierText { text: "This was a test.".into(), until: now };
    let changes = match kind {
        EventKind::MessageEdited => {
            Changes { edited_at: Some(now), earlier: vec![earlier], ..Changes::default() }
        }
        EventKind::MessageRevoked => Changes { revoked_at: Some(now), ..Changes::default() },
        _ => Changes::default(),
    };
    Context { changes, ..Context::default() }
}

/// The events a webhook gets: those asked for, all of which plan and format must allow; else
/// all that they do.
fn allowed_events(
    asked: Option<Vec<EventKind>>,
    rules: &FormatRules,
    plan: &Plan,
) -> Result<Vec<EventKind>> {
    let Some(mut asked) = asked else {
        let allowed = rules.events.iter().copied().filter(|kind| plan.has(kind.feature()));
        let allowed: Vec<EventKind> = allowed.collect();
        let none = Error::EventMissing(EventKind::MessageReceived);
        return (!allowed.is_empty()).then_some(allowed).ok_or(none);
    };
    if asked.is_empty() {
        return Err(Error::invalid("events", "must name at least one event"));
    }
    // Judged before more is added, so that an error names what was asked for.
    for kind in &asked {
        check_event(*kind, rules, plan)?;
    }
    if rules.name != OWN_FORMAT && asked.iter().any(|kind| kind.is_of_device()) {
        // The formats of others have one name for all that may happen to a device.
        asked.extend(rules.events.iter().filter(|kind| kind.is_of_device()));
    }
    if rules.name != OWN_FORMAT && asked.contains(&EventKind::MessageReceived) {
        // One that has an edit shows it as the message with another text.
        asked.extend(rules.events.iter().filter(|kind| **kind == EventKind::MessageEdited));
    }
    asked.sort_unstable();
    asked.dedup();
    Ok(asked)
}

fn check_event(kind: EventKind, rules: &FormatRules, plan: &Plan) -> Result<()> {
    if !rules.events.contains(&kind) {
        let known: Vec<&str> = rules.events.iter().map(|kind| kind.as_str()).collect();
        let kind = kind.as_str();
        let message = format!(
            "the format {} cannot render {kind}; it can render {}",
            rules.name,
            known.join(", ")
        );
        return Err(Error::invalid("events", message));
    }
    if plan.has(kind.feature()) { Ok(()) } else { Err(Error::EventMissing(kind)) }
}

fn check_secret(secret: String) -> Result<String> {
    let fits = (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.len())
        && !secret.chars().any(char::is_control);
    let message = format!(
        "must have {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes and no control characters"
    );
    fits.then_some(secret).ok_or_else(|| Error::invalid("secret", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_of_a_foreign_format_stands_for_all_that_happens_to_a_device() {
        use EventKind::{DeviceDisconnected, DeviceLoggedOut, MessageReceived};
        let events = &[MessageReceived, DeviceDisconnected, DeviceLoggedOut];
        let foreign = FormatRules {
            name: "other",
            events,
            needs_challenge: false,
            shares_secret: false,
            secret_prefix: "",
        };
        let own = FormatRules { name: OWN_FORMAT, ..foreign };
        let plan = Plan::built_in().pop().unwrap();
        let allowed = |rules, asked| allowed_events(Some(asked), rules, &plan).unwrap();
        let events = allowed(&foreign, vec![DeviceDisconnected]);
        assert_eq!(events, [DeviceDisconnected, DeviceLoggedOut]);
        assert_eq!(allowed(&foreign, vec![MessageReceived]), [MessageReceived]);
        assert_eq!(allowed(&own, vec![DeviceDisconnected]), [DeviceDisconnected]);
    }

    #[test]
    fn a_missing_event_is_named_as_it_was_asked_for() {
        use EventKind::{DeviceConnected, DeviceDisconnected, MessageReceived};
        let rules = FormatRules {
            name: "other",
            events: &[DeviceConnected, DeviceDisconnected, MessageReceived],
            needs_challenge: false,
            shares_secret: false,
            secret_prefix: "",
        };
        let free = &Plan::built_in()[0];
        for asked in [DeviceDisconnected, DeviceConnected, MessageReceived] {
            for rules in [rules, FormatRules { name: OWN_FORMAT, ..rules }] {
                let refused = allowed_events(Some(vec![asked]), &rules, free);
                assert!(matches!(refused, Err(Error::EventMissing(kind)) if kind == asked));
            }
        }
    }

    #[test]
    fn a_test_looks_like_what_it_stands_for() {
        use DeviceStatus::{Connected, Connecting, Disconnected, LoggedOut};
        let devices = [
            (EventKind::DevicePaired, Connecting, None, false),
            (EventKind::DeviceConnected, Connected, None, false),
            (EventKind::DeviceDisconnected, Disconnected, Some(408), true),
            (EventKind::DeviceLoggedOut, LoggedOut, Some(401), false),
        ];
        for (kind, status, code, should_reconnect) in devices {
            let sample = sample_status(kind, jiff::Timestamp::UNIX_EPOCH);
            assert_eq!(
                (sample.status, sample.code, sample.should_reconnect),
                (status, code, should_reconnect)
            );
        }
        let restricted = sample_status(EventKind::DeviceRestricted, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(restricted.restricted_until, Some(jiff::Timestamp::UNIX_EPOCH));
        let is_of_message = |kind: &EventKind| kind.as_str().starts_with("message.");
        for kind in EventKind::ALL.into_iter().filter(is_of_message) {
            let sample = sample_message(kind, jiff::Timestamp::UNIX_EPOCH);
            let changes = &sample.context.changes;
            let emitted = match sample.direction {
                _ if changes.edited_at.is_some() => EventKind::MessageEdited,
                _ if changes.revoked_at.is_some() => EventKind::MessageRevoked,
                Direction::In => EventKind::MessageReceived,
                Direction::Out => EventKind::of_state(sample.state).unwrap(),
            };
            assert_eq!(emitted, kind);
            assert_eq!(sample.failure.is_some(), kind == EventKind::MessageFailed);
        }
    }
}
