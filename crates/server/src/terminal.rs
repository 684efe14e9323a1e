//! The QR in the terminal.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use async_trait::async_trait;
use domain::chat::ChatId;
use domain::contact::{Identity, Spelling};
use domain::device::PairOffer;
use domain::ids::DeviceId;
use domain::message::IncomingMessage;
use domain::ports::{MessengerEvent, MessengerEvents, StoreResult};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// Shows pairing offers in the terminal on their way to the engine.
///
/// Only a real terminal gets them: a QR in a log would let its readers pair the device.
pub struct TerminalOffers {
    inner: Arc<dyn MessengerEvents>,
}

impl TerminalOffers {
    /// Wraps `inner` when standard output is a terminal, or when `always`.
    pub fn around(inner: Arc<dyn MessengerEvents>, always: bool) -> Arc<dyn MessengerEvents> {
        if always || std::io::stdout().is_terminal() { Arc::new(Self { inner }) } else { inner }
    }
}

#[async_trait]
impl MessengerEvents for TerminalOffers {
    async fn event(&self, device: DeviceId, event: MessengerEvent) -> StoreResult<()> {
        match &event {
            MessengerEvent::Offer(offer) => show(&describe(device, offer)),
            MessengerEvent::PairingFailed(reason) => {
                show(&format!("Device {device} was not paired: {reason}"));
            }
            MessengerEvent::Paired(number) => {
                show(&format!("Device {device} is paired with +{}.", number.phone));
            }
            _ => {}
        }
        self.inner.event(device, event).await
    }

    async fn received(&self, device: DeviceId, messages: Vec<IncomingMessage>) -> StoreResult<()> {
        self.inner.received(device, messages).await
    }

    async fn identified(&self, device: DeviceId, identities: Vec<Identity>) -> StoreResult<()> {
        self.inner.identified(device, identities).await
    }

    async fn spelled(&self, device: DeviceId, spelling: Spelling) -> StoreResult<()> {
        self.inner.spelled(device, spelling).await
    }

    async fn chats_known(&self, device: DeviceId, chats: Vec<ChatId>) -> StoreResult<()> {
        self.inner.chats_known(device, chats).await
    }

    async fn history(&self, device: DeviceId, messages: Vec<IncomingMessage>) -> StoreResult<u64> {
        self.inner.history(device, messages).await
    }

    async fn chat_timer(&self, device: DeviceId, chat: &ChatId, seconds: u32) -> StoreResult<bool> {
        self.inner.chat_timer(device, chat, seconds).await
    }
}

fn describe(device: DeviceId, offer: &PairOffer) -> String {
    match offer {
        PairOffer::Qr { code, expires_in_s } => match QrCode::new(code.as_bytes()) {
            Ok(qr) => {
                let picture = qr.render::<Dense1x2>().quiet_zone(true).build();
                format!(
                    "{picture}\nScan this with WhatsApp > Linked devices > Link a device \
                     (device {device}, {expires_in_s} s)."
                )
            }
            Err(_) => format!("The QR of device {device} does not fit; take it from /v1."),
        },
        PairOffer::Code { code, expires_in_s } => format!(
            "Type {code} into WhatsApp > Linked devices > Link with phone number \
             (device {device}, {expires_in_s} s)."
        ),
        PairOffer::Passkey { request, step, .. } => {
            let page = http_api::portal::page_path(device, request);
            format!(
                "{} (device {device}); this gateway's page {page} leads through it.",
                step.describe()
            )
        }
    }
}

fn show(text: &str) {
    // A terminal that has gone is no reason to stop.
    let _ = writeln!(std::io::stdout(), "{text}");
}
