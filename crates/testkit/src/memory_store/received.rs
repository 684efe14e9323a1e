//! Messages that come in, and what changes those that are there.

use std::mem::discriminant;

use domain::content::ContentKind;
use domain::ids::{AccountId, DeviceId};
use domain::message::{Amendment, Change, IncomingMessage, Message};
use domain::ports::Recorded;
use domain::webhook::{Event, EventDevice};
use jiff::Timestamp;

use super::State;
use super::identities::sender_key;

impl State {
    /// What a message that has been sent changes about another.
    pub(super) fn record_change(&mut self, recorded: &Recorded) -> Option<Recorded> {
        let message = &recorded.message;
        self.amend(message.device_id, &Amendment::of(message)?)
    }

    pub(super) fn receive(
        &mut self,
        account_id: AccountId,
        device_id: DeviceId,
        new: IncomingMessage,
        now: Timestamp,
    ) -> Vec<Recorded> {
        let message = new.clone().received(self.next_message_id(), account_id, device_id, now);
        let mut message = self.named_by_number(message);
        let amendment = Amendment::of(&message);
        if let Some(amendment) = amendment.as_ref().filter(|_| message.content.is_change()) {
            return self.amend(device_id, amendment).into_iter().collect();
        }
        if let Some(amendment) = &amendment {
            self.name_choices(&mut message, amendment);
        }
        let sender_key = sender_key(message.sender.as_ref());
        let is_new =
            self.known.insert((device_id, message.whatsapp_id.0.clone(), sender_key.clone()));
        let came = if is_new {
            self.keep_file(&mut message);
            self.history.insert(message.id, message.clone());
            Some(Recorded { is_new: true, ..self.recorded(message, 0) })
        } else {
            self.recover(device_id, new, &sender_key)
        };
        let early = came.as_ref().map(|came| self.amend_early(&came.message));
        let changed = amendment.and_then(|amendment| self.amend(device_id, &amendment));
        came.into_iter().chain(early.into_iter().flatten()).chain(changed).collect()
    }

    /// Applies what came before its message, or while that could not be read.
    fn amend_early(&mut self, message: &Message) -> Vec<Recorded> {
        let is_its = |(device, amendment): &mut (DeviceId, Amendment)| {
            *device == message.device_id && amendment.whatsapp_id == message.whatsapp_id
        };
        let mut early: Vec<_> = self.early.extract_if(.., is_its).collect();
        early.sort_by_key(|(_, amendment)| amendment.at);
        self.name_early_choices(message);
        early.iter().filter_map(|(device, early)| self.amend(*device, early)).collect()
    }

    /// Names the answers of votes that came before their poll.
    fn name_early_choices(&mut self, poll: &Message) {
        let Some(content) = poll.content.poll() else { return };
        let votes = self.history.values_mut().filter(|vote| vote.device_id == poll.device_id);
        for vote in votes {
            vote.name_choices_of(poll.whatsapp_id.as_str(), content);
        }
    }

    fn name_choices(&self, message: &mut Message, amendment: &Amendment) {
        let Change::Voted(vote) = &amendment.change else { return };
        let is_it = |poll: &&Message| poll.device_id == message.device_id && amendment.is_of(poll);
        let poll = self.history.values().find(is_it).and_then(|poll| poll.content.poll());
        if let Some(options) = poll.map(|poll| poll.chosen(&vote.digests)) {
            message.content.name_choices(options);
        }
    }

    /// Applies a change to its message, where that is known.
    fn amend(&mut self, device_id: DeviceId, amendment: &Amendment) -> Option<Recorded> {
        let is_it =
            |message: &&mut Message| message.device_id == device_id && amendment.is_of(message);
        let is_known = |message: &Message| {
            message.device_id == device_id && message.whatsapp_id == amendment.whatsapp_id
        };
        let is_unreadable = |message: &Message| {
            let is_it = message.device_id == device_id && amendment.is_of(message);
            is_it && message.kind() == ContentKind::Unreadable
        };
        if !self.history.values().any(is_known) || self.history.values().any(is_unreadable) {
            self.keep_early(device_id, amendment);
        }
        let message = self.history.values_mut().find(is_it)?;
        if !message.amend(amendment) {
            return None;
        }
        let message = message.clone();
        let device = self.devices.iter().find(|device| device.id == device_id)?;
        let event = Event::of_change(&message, &EventDevice::from(device), amendment);
        let events: Vec<Event> = event.into_iter().collect();
        self.emit(&events);
        Some(Recorded { message, events, is_new: false })
    }

    fn keep_early(&mut self, device_id: DeviceId, amendment: &Amendment) {
        let is_same = |(device, early): &(DeviceId, Amendment)| {
            *device == device_id
                && (&early.whatsapp_id, &early.author)
                    == (&amendment.whatsapp_id, &amendment.author)
                && match (&early.change, &amendment.change) {
                    (Change::Voted(early), Change::Voted(vote)) => early.voter == vote.voter,
                    (early, change) => discriminant(early) == discriminant(change),
                }
        };
        self.early.retain(|early| !is_same(early));
        self.early.push((device_id, amendment.clone()));
    }

    /// A message that could not be read has come after all.
    fn recover(
        &mut self,
        device: DeviceId,
        mut new: IncomingMessage,
        sender: &str,
    ) -> Option<Recorded> {
        new.content.clean();
        new.context.clean();
        let is_it = |known: &&mut Message| {
            known.device_id == device
                && known.whatsapp_id == new.whatsapp_id
                && sender_key(known.sender.as_ref()) == sender
                && known.kind() == ContentKind::Unreadable
        };
        let known = self.history.values_mut().find(is_it)?;
        if new.content.kind() == ContentKind::Unreadable {
            return None;
        }
        known.content = new.content;
        known.context = new.context;
        let mut known = known.clone();
        self.keep_file(&mut known);
        self.history.insert(known.id, known.clone());
        Some(self.recorded(known, 0))
    }
}
