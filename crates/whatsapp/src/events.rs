//! The client's events, translated; pure.

use std::sync::Arc;

use domain::chat::Lid;
use domain::device::{DisconnectReason, LinkedNumber, PairOffer};
use domain::group::GroupReport;
use domain::ids::WhatsappId;
use domain::message::Receipt;
use domain::phone::PhoneNumber;
use domain::ports::MessengerEvent;
use jiff::Timestamp;
use wacore::pair_code::PairCodeRejection;
use wacore::types::events::{self, Event, EventInterest, EventKind};
use wacore::types::message::MessageInfo;
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;

use crate::calls;
use crate::disconnect::{Ending, UNLINKED};
use crate::group_reports;
use crate::history::History;
use crate::outgoing;

/// What an event of the client means for its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Goes to the engine as it is.
    Event(MessengerEvent),
    /// The phone has linked the device; reported once the session is stored.
    Paired(LinkedNumber),
    /// Logged in and synchronised with the phone.
    Connected,
    /// The library has learnt the owner's name and announced the device as present.
    Announced,
    /// A message could not be decrypted.
    Undecryptable(Undecryptable),
    /// WhatsApp asks for a passkey: the request, as it sent it.
    PasskeyAsked(String),
    /// Phone and library have agreed on this code.
    PasskeyCode(String),
    /// The pairing code is no longer accepted; another must be requested.
    CodeSpent,
    /// The connection is about to end, and how.
    Ending(Ending),
    /// The phone has given the history of the number.
    History(History),
    /// Messages could not be stored; WhatsApp must send them again.
    Redeliver,
}

impl Signal {
    /// Whether it must be stored before anything leaves the connection.
    pub(crate) fn is_stored_first(&self) -> bool {
        matches!(self, Self::Event(MessengerEvent::Receipt(..)) | Self::Undecryptable(_))
    }
}

/// A message that could not be decrypted.
#[derive(Debug, Clone)]
pub(crate) struct Undecryptable {
    /// What its stanza says of it.
    pub(crate) info: Arc<MessageInfo>,
    /// Whether neither its sender nor the phone will resend it.
    pub(crate) is_lost: bool,
}

impl PartialEq for Undecryptable {
    fn eq(&self, other: &Self) -> bool {
        let key = |of: &Self| (of.info.id.clone(), of.info.source.sender.clone(), of.is_lost);
        key(self) == key(other)
    }
}

impl Eq for Undecryptable {}

/// The addresses of the device's own number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Me {
    /// By phone number.
    pub(crate) pn: Option<Jid>,
    /// By LID.
    pub(crate) lid: Option<Jid>,
}

impl Me {
    /// Whether a JID, of whatever device, is this number.
    pub(crate) fn is(&self, jid: &Jid) -> bool {
        let same_user = |own: &Jid| {
            own.user == jid.user && own.server.is_lid_family() == jid.server.is_lid_family()
        };
        self.pn.as_ref().is_some_and(same_user) || self.lid.as_ref().is_some_and(same_user)
    }
}

/// The events that [`translate`] knows; the library builds no others.
pub(crate) fn interest() -> EventInterest {
    EventInterest::of(&[
        EventKind::Connected,
        EventKind::PairSuccess,
        EventKind::PairError,
        EventKind::PairingQrCode,
        EventKind::PairingQrCodesExhausted,
        EventKind::PairingCode,
        EventKind::PairingCodeRefresh,
        EventKind::PairingCodeError,
        EventKind::QrScannedWithoutMultidevice,
        EventKind::PairPasskeyRequest,
        EventKind::PairPasskeyConfirmation,
        EventKind::PairPasskeyError,
        EventKind::LoggedOut,
        EventKind::StreamReplaced,
        EventKind::TemporaryBan,
        EventKind::ConnectFailure,
        EventKind::ClientOutdated,
        EventKind::SelfPushNameUpdated,
        EventKind::ServerAck,
        EventKind::Receipt,
        EventKind::GroupUpdate,
        EventKind::PictureUpdate,
        EventKind::UndecryptableMessage,
        EventKind::HistorySync,
        EventKind::IncomingCall,
    ])
}

/// What an event means; `None` when the driver ignores it.
///
/// `shows_qr` is whether the device is being linked by QR: when it is linked by a code, the library
/// makes QRs all the same.
pub(crate) fn translate(event: &Event, me: &Me, shows_qr: bool) -> Option<Signal> {
    Some(match event {
        Event::Connected(_) => Signal::Connected,
        Event::SelfPushNameUpdated(_) => Signal::Announced,
        Event::ServerAck(ack) => Signal::Event(acknowledgement(ack)?),
        Event::Receipt(receipt) => Signal::Event(translate_receipt(receipt, me)?),
        Event::GroupUpdate(update) => group_changed(group_reports::read(update, me)?),
        Event::PictureUpdate(update) => group_changed(group_reports::picture(update)?),
        Event::IncomingCall(call) => Signal::Event(MessengerEvent::Call(calls::read(call)?)),
        Event::UndecryptableMessage(message) => Signal::Undecryptable(undecryptable(message)?),
        Event::PairSuccess(success) => {
            Signal::Paired(linked_number(&success.id, Some(&success.lid)))
        }
        Event::LoggedOut(logged_out) if logged_out.on_connect => {
            Signal::Ending(Ending::from_failure(&logged_out.reason))
        }
        Event::LoggedOut(_) => Signal::Ending(Ending::LoggedOut(UNLINKED.to_owned())),
        Event::StreamReplaced(_) => Signal::Ending(Ending::Lost(from_code(409))),
        Event::TemporaryBan(ban) => Signal::Ending(Ending::Lost(banned(ban))),
        Event::ClientOutdated(_) => Signal::Ending(Ending::Lost(from_code(405))),
        Event::ConnectFailure(failure) => Signal::Ending(Ending::from_failure(&failure.reason)),
        other => return translate_pairing(other, shows_qr),
    })
}

/// Senders mark what is not to be shown when it cannot be read, such as edits and votes.
fn undecryptable(message: &events::UndecryptableMessage) -> Option<Undecryptable> {
    let is_shown = message.decrypt_fail_mode == events::DecryptFailMode::Show;
    let is_lost = message.is_unavailable && message.unavailable_type.is_unrecoverable_fanout();
    is_shown.then(|| Undecryptable { info: message.info.clone(), is_lost })
}

fn group_changed(report: GroupReport) -> Signal {
    Signal::Event(MessengerEvent::GroupChanged(report))
}

fn banned(ban: &events::TemporaryBan) -> DisconnectReason {
    let seconds = u32::try_from(ban.expire.num_seconds().max(0)).unwrap_or(u32::MAX);
    DisconnectReason::TemporarilyBanned(Some(seconds))
}

fn from_code(code: u16) -> DisconnectReason {
    DisconnectReason::from_code(code)
}

fn translate_pairing(event: &Event, shows_qr: bool) -> Option<Signal> {
    let failed = |text: &str| Signal::Ending(Ending::PairingFailed(text.to_owned()));
    Some(match event {
        Event::PairingQrCode(qr) if shows_qr => {
            let expires_in_s = qr.timeout.as_secs();
            Signal::Event(MessengerEvent::Offer(PairOffer::Qr {
                code: qr.code.clone(),
                expires_in_s,
            }))
        }
        Event::PairingQrCodesExhausted(_) if shows_qr => Signal::Ending(Ending::NewClient),
        Event::PairingCode(code) if !shows_qr => {
            let expires_in_s = code.timeout.as_secs();
            let code = code.code.clone();
            Signal::Event(MessengerEvent::Offer(PairOffer::Code { code, expires_in_s }))
        }
        Event::PairingCodeRefresh(_) if !shows_qr => Signal::CodeSpent,
        Event::PairingCodeError(error) if !shows_qr => failed(code_refusal(error)),
        Event::QrScannedWithoutMultidevice(_) => {
            failed("the phone's WhatsApp is too old to link devices; update it")
        }
        Event::PairError(_) => failed("the phone's answer could not be verified"),
        Event::PairPasskeyRequest(asked) => {
            Signal::PasskeyAsked(asked.request_options_json.clone())
        }
        Event::PairPasskeyConfirmation(confirm) => Signal::PasskeyCode(confirm.code.clone()),
        Event::PairPasskeyError(_) => failed("the passkey was not accepted"),
        _ => return None,
    })
}

/// Why there is no pairing code, in words for people.
fn code_refusal(error: &events::PairingCodeError) -> &'static str {
    match error.rejection {
        Some(PairCodeRejection::FeatureNotAvailable) => {
            "WhatsApp does not offer codes for this number; link it by QR"
        }
        Some(rejection) if rejection.is_throttled() => {
            "WhatsApp refused to make a code: the number is wrong, or too many codes were asked for"
        }
        Some(_) => "WhatsApp refused to make a code",
        None => "no pairing code could be made",
    }
}

fn acknowledgement(ack: &events::ServerAck) -> Option<MessengerEvent> {
    if ack.class.as_deref() != Some("message") {
        return None;
    }
    let captioned = outgoing::captioned(&ack.id);
    if captioned.is_some() && ack.error.is_none() {
        return None;
    }
    Some(match &ack.error {
        None => MessengerEvent::Acknowledged(WhatsappId::from_outside(&ack.id)),
        // A refusal is a refusal also when its code is no number.
        Some(code) => refused(&ack.id, code.parse().unwrap_or_default()),
    })
}

/// WhatsApp has refused the stanza with this id.
pub(crate) fn refused(id: &str, code: u16) -> MessengerEvent {
    // Without its caption a message is not whole.
    let id = outgoing::captioned(id).unwrap_or_else(|| WhatsappId::from_outside(id));
    MessengerEvent::Refused(id, code)
}

fn translate_receipt(receipt: &events::Receipt, me: &Me) -> Option<MessengerEvent> {
    let kind = match receipt.r#type {
        ReceiptType::Delivered => Receipt::Delivered,
        ReceiptType::Read => Receipt::Read,
        ReceiptType::Played => Receipt::Played,
        // Our own other devices, requests to send again, and housekeeping.
        _ => return None,
    };
    // In a chat with oneself the other devices are the recipients.
    let source = &receipt.source;
    if me.is(&source.sender) && !me.is(&source.chat) {
        return None;
    }
    let ids = receipt.message_ids.iter().filter(|id| outgoing::captioned(id).is_none());
    let ids: Vec<_> = ids.map(|id| WhatsappId::from_outside(id)).collect();
    if ids.is_empty() {
        return None;
    }
    let at = Timestamp::from_second(receipt.timestamp.timestamp()).ok()?;
    Some(MessengerEvent::Receipt(ids, kind, at))
}

/// The number that a device is linked to, by the names that WhatsApp gave it.
pub(crate) fn linked_number(pn: &Jid, lid: Option<&Jid>) -> LinkedNumber {
    let lid = lid.filter(|lid| !lid.user.is_empty());
    LinkedNumber {
        phone: PhoneNumber::from_digits(pn.user.as_str()),
        lid: lid.map(|lid| Lid::from_jid(lid.to_non_ad_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore::types::message::MessageSource;

    fn jid(text: &str) -> Jid {
        text.parse().unwrap()
    }

    fn me() -> Me {
        Me { pn: Some(jid("628111:7@s.whatsapp.net")), lid: Some(jid("100:7@lid")) }
    }

    fn signal(event: Event) -> Option<Signal> {
        translate(&event, &me(), true)
    }

    fn ack(class: &str, error: Option<&str>) -> Event {
        ack_of("M1", class, error)
    }

    fn ack_of(id: &str, class: &str, error: Option<&str>) -> Event {
        let ack = events::ServerAck::builder()
            .id(id.to_owned())
            .class(class.to_owned())
            .maybe_error(error.map(str::to_owned))
            .build();
        Event::ServerAck(ack)
    }

    #[test]
    fn only_acks_of_messages_count() {
        let id = || WhatsappId("M1".to_owned());
        let event = |event| Some(Signal::Event(event));
        assert_eq!(signal(ack("message", None)), event(MessengerEvent::Acknowledged(id())));
        assert_eq!(signal(ack("message", Some("463"))), event(MessengerEvent::Refused(id(), 463)));
        assert_eq!(signal(ack("message", Some("?"))), event(MessengerEvent::Refused(id(), 0)));
        assert_eq!(signal(ack("receipt", None)), None);
    }

    #[test]
    fn a_refused_caption_is_a_refused_message() {
        let (caption, id) = ("3EBC0000000000000007", "3EB00000000000000007");
        assert_eq!(signal(ack_of(caption, "message", None)), None);
        let refused = MessengerEvent::Refused(WhatsappId(id.to_owned()), 463);
        let event = Some(Signal::Event(refused));
        assert_eq!(signal(ack_of(caption, "message", Some("463"))), event);
    }

    fn receipt(kind: ReceiptType, chat: &str, sender: &str) -> Event {
        let source = MessageSource { chat: jid(chat), sender: jid(sender), ..Default::default() };
        let receipt = events::Receipt::builder()
            .source(source)
            .message_ids(vec!["M1".to_owned(), "M2".to_owned()])
            .timestamp(wacore::time::from_secs(1_700_000_000).unwrap())
            .r#type(kind)
            .offline(false)
            .build();
        Event::Receipt(receipt)
    }

    #[test]
    fn receipts_of_others() {
        let budi = "628222@s.whatsapp.net";
        let expected = |receipt| {
            let ids = vec![WhatsappId("M1".to_owned()), WhatsappId("M2".to_owned())];
            let at = Timestamp::from_second(1_700_000_000).unwrap();
            Some(Signal::Event(MessengerEvent::Receipt(ids, receipt, at)))
        };
        for (kind, meaning) in [
            (ReceiptType::Delivered, Some(Receipt::Delivered)),
            (ReceiptType::Read, Some(Receipt::Read)),
            (ReceiptType::Played, Some(Receipt::Played)),
            (ReceiptType::ReadSelf, None),
            (ReceiptType::PlayedSelf, None),
            (ReceiptType::Sender, None),
            (ReceiptType::Retry, None),
            (ReceiptType::Inactive, None),
        ] {
            let got = signal(receipt(kind.clone(), budi, budi));
            assert_eq!(got, meaning.and_then(expected), "{kind:?}");
        }
    }

    #[test]
    fn own_devices_report_nothing_except_in_the_chat_with_oneself() {
        let group = "120363@g.us";
        for (chat, sender, counts) in [
            (group, "628111@s.whatsapp.net", false),
            (group, "100@lid", false),
            (group, "628222:3@s.whatsapp.net", true),
            // Another's LID that happens to read like our number.
            (group, "628111@lid", true),
            ("628111@s.whatsapp.net", "628111@s.whatsapp.net", true),
        ] {
            let got = signal(receipt(ReceiptType::Delivered, chat, sender));
            assert_eq!(got.is_some(), counts, "{chat} {sender}");
        }
    }

    #[test]
    fn a_qr_is_shown_only_when_asked_for() {
        let qr = || {
            let timeout = std::time::Duration::from_secs(20);
            let qr = events::PairingQrCode::builder().code("2@x".to_owned()).timeout(timeout);
            Event::PairingQrCode(qr.build())
        };
        let offer = PairOffer::Qr { code: "2@x".to_owned(), expires_in_s: 20 };
        let expected = Some(Signal::Event(MessengerEvent::Offer(offer)));
        assert_eq!(translate(&qr(), &Me::default(), true), expected);
        assert_eq!(translate(&qr(), &Me::default(), false), None);
    }

    #[test]
    fn after_its_last_qr_a_new_client_shows_more() {
        let exhausted = || {
            let event = events::PairingQrCodesExhausted::builder().disconnected(true);
            Event::PairingQrCodesExhausted(event.build())
        };
        let expected = Some(Signal::Ending(Ending::NewClient));
        assert_eq!(translate(&exhausted(), &Me::default(), true), expected);
        assert_eq!(translate(&exhausted(), &Me::default(), false), None);
    }

    #[test]
    fn a_linked_number_is_named_without_its_device() {
        let success = events::PairSuccess::builder()
            .id(jid("628111:7@s.whatsapp.net"))
            .lid(jid("100:7@lid"))
            .business_name(String::new())
            .platform(String::new())
            .build();
        let linked = LinkedNumber {
            phone: PhoneNumber::from_digits("628111"),
            lid: Some(Lid::from_user("100")),
        };
        assert_eq!(signal(Event::PairSuccess(success)), Some(Signal::Paired(linked)));
    }
}
