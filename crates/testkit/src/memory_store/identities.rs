//! Who is who.

use domain::chat::{ChatId, Lid};
use domain::contact::{Identity, Spelling};
use domain::ids::{AccountId, DeviceId};
use domain::message::{Address, Message};
use domain::phone::PhoneNumber;
use domain::webhook::Event;
use jiff::Timestamp;

use super::{State, stored};

/// A sender as known messages are distinguished by.
pub(super) fn sender_key(sender: Option<&Address>) -> String {
    let phone = sender.and_then(|sender| sender.phone.as_ref()).map(ToString::to_string);
    let lid = || sender.and_then(|sender| sender.lid.as_ref()).map(ToString::to_string);
    phone.or_else(lid).unwrap_or_default()
}

impl State {
    /// A message with the numbers that WhatsApp knows of people whom it names otherwise.
    pub(super) fn named_by_number(&self, mut message: Message) -> Message {
        let phone = |lid: &Lid| self.identities.get(&(message.device_id, lid.clone())).cloned();
        if let ChatId::Lid(lid) = &message.chat
            && let Some(phone) = phone(lid)
        {
            message.chat = ChatId::Person(phone);
        }
        if let Some(Address { phone: unknown @ None, lid: Some(lid) }) = &mut message.sender {
            *unknown = phone(lid);
        }
        if let ChatId::Person(written) = &message.chat
            && let Some(phone) = self.spellings.get(&(message.device_id, written.clone()))
        {
            message.chat = ChatId::Person(phone.clone());
        }
        message
    }

    pub(super) fn identify(
        &mut self,
        device: DeviceId,
        identities: Vec<Identity>,
        now: Timestamp,
    ) -> Vec<Event> {
        let Some(owner) = self.devices.iter().find(|other| other.id == device).cloned() else {
            return Vec::new();
        };
        let mut events = Vec::new();
        for identity in identities {
            let Identity { phone, lid } = &identity;
            let key = (device, lid.clone());
            let before = self.identities.get(&key).cloned();
            if before.as_ref() == Some(phone) {
                continue;
            }
            let of_phone = |((of, _), other): &(&(DeviceId, Lid), &PhoneNumber)| {
                *of == device && *other == phone
            };
            let former = self.identities.iter().find(of_phone).map(|(key, _)| key.clone());
            if let Some(former) = former {
                let from = (Some(phone.clone()), None);
                self.rename(device, &from, &(None, Some(former.1.clone())));
                self.identities.remove(&former);
            }
            let from = match before {
                Some(before) => (Some(before), None),
                None => (None, Some(lid.clone())),
            };
            let changed = self.rename(device, &from, &(Some(phone.clone()), Some(lid.clone())));
            self.identities.insert(key, phone.clone());
            if changed {
                events.push(Event::of_contact(identity, &owner, stored(now)));
            }
        }
        self.emit(&events);
        events
    }

    pub(super) fn spell(&mut self, device: DeviceId, Spelling { spelling, phone }: Spelling) {
        let is_there = self.devices.iter().any(|other| other.id == device);
        if !is_there || spelling == phone {
            return;
        }
        self.spellings.remove(&(device, phone.clone()));
        for ((of, _), known) in &mut self.spellings {
            if *of == device && *known == spelling {
                *known = phone.clone();
            }
        }
        self.spellings.insert((device, spelling.clone()), phone.clone());
        self.rename(device, &(Some(spelling), None), &(Some(phone), None));
    }

    pub(super) fn number_of(&self, account: AccountId, chat: &ChatId) -> Option<PhoneNumber> {
        let is_own = |device: &DeviceId| {
            self.devices.iter().any(|other| other.id == *device && other.account_id == account)
        };
        match chat {
            ChatId::Lid(lid) => {
                let mut known = self.identities.iter();
                let of = known.find(|((device, other), _)| other == lid && is_own(device));
                of.map(|(_, phone)| phone.clone())
            }
            ChatId::Person(written) => {
                let mut known = self.spellings.iter();
                let of = known.find(|((device, other), _)| other == written && is_own(device));
                of.map(|(_, phone)| phone.clone())
            }
            ChatId::Group(_) | ChatId::Other(_) => None,
        }
    }

    /// Renames a person in all that has left the outbox; whether anything has changed.
    fn rename(&mut self, device: DeviceId, from: &Names, to: &Names) -> bool {
        let (old, new) = (chat(from), chat(to));
        let old_key = sender_key(Some(&address(from)));
        let mut has_changed = false;
        for message in self.history.values_mut().filter(|message| message.device_id == device) {
            if message.chat == old {
                message.chat = new.clone();
                has_changed = true;
            }
            let key = sender_key(message.sender.as_ref());
            let id = message.whatsapp_id.0.clone();
            let renamed = (device, id.clone(), sender_key(Some(&address(to))));
            if message.sender.is_some() && key == old_key && !self.known.contains(&renamed) {
                self.known.remove(&(device, id, key));
                self.known.insert(renamed);
                message.sender = Some(address(to));
                has_changed = true;
            }
        }
        if let Some(at) = self.contacts.remove(&(device, old)) {
            self.contacts.entry((device, new)).or_insert(at);
        }
        has_changed
    }
}

/// A number and a LID, one of them at least.
type Names = (Option<PhoneNumber>, Option<Lid>);

fn chat((phone, lid): &Names) -> ChatId {
    match (phone, lid) {
        (Some(phone), _) => ChatId::Person(phone.clone()),
        (None, Some(lid)) => ChatId::Lid(lid.clone()),
        (None, None) => unreachable!("a person has a name"),
    }
}

fn address((phone, lid): &Names) -> Address {
    Address { phone: phone.clone(), lid: lid.clone() }
}
