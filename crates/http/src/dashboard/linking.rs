//! Linking a device, as its own page and that of a portal link show it: what is on offer, another way, and
//! stopping.

use domain::device::{Device, DeviceStatus, PairOffer};
use domain::error::Error;
use domain::passkey::PasskeyStep;
use domain::service::Principal;
use maud::{Markup, html};
use serde::Deserialize;

use super::failure::{Failure, describe};
use super::reasons::said;
use super::show::Fault;
use super::words::{Lang, Words, words};
use crate::portal::page_path;
use crate::qr::qr_data_url;
use crate::state::AppState;

/// Seconds after which a page without JavaScript looks for the next QR.
const RELOAD_S: u32 = 5;

words! {
    /// The texts of linking a device.
    LinkingWords
    stop: "Stop", "Hentikan";
    qr_instead: "By QR instead", "Pakai QR saja";
    code_instead: "By code instead", "Pakai kode saja";
    qr_text: "The QR as text", "QR sebagai teks";
    copy: "Copy", "Salin";
    passkey_lead: "WhatsApp protects this account with a passkey. Until it is used the device is not linked; WhatsApp waits ten minutes for it.", "WhatsApp melindungi akun ini dengan passkey. Perangkat belum tertaut sampai passkey dipakai; WhatsApp menunggunya sepuluh menit.";
    passkey_where: "Take a computer whose browser has the passkey, or can reach by Bluetooth the phone that has it.", "Gunakan komputer yang browser-nya menyimpan passkey, atau yang dapat menjangkau ponsel penyimpannya lewat Bluetooth.";
    passkey_open: "Open the passkey's page with the button below. It shows a few lines to run on web.whatsapp.com, as a passkey answers there only.", "Buka halaman passkey dengan tombol di bawah. Di sana ada beberapa baris untuk dijalankan di web.whatsapp.com, karena passkey hanya menjawab di situ.";
    passkey_answer: "Use the passkey as the browser asks, and paste the text that appears into the passkey's page.", "Pakai passkey seperti yang diminta browser, lalu tempel teks yang muncul di halaman passkey.";
    passkey_phone: "Continue on the phone until it shows a code.", "Lanjutkan di ponsel sampai muncul kode.";
    passkey_compare: "Compare the code on the phone with the one on the passkey's page, and confirm there that it is the same.", "Bandingkan kode di ponsel dengan kode di halaman passkey, lalu pastikan di sana bahwa keduanya sama.";
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PairForm {
    phone: String,
    by: String,
}

impl PairForm {
    /// Begins to link a device; what is wrong with the form, beside the button that was used.
    pub(super) async fn begin(
        &self,
        state: &AppState,
        principal: &Principal,
        device: &Device,
        words: &Words,
    ) -> Option<Fault> {
        let phone = (self.by == "code").then_some(self.phone.as_str());
        let message = match state.core().pair(principal, device.id, phone).await {
            Ok(_) | Err(Error::Conflict(_)) => return None,
            Err(Error::Invalid { .. }) => words.phone_wrong.to_owned(),
            Err(error) => describe(&error.into(), words),
        };
        Some(Fault::of(if phone.is_some() { "phone" } else { "qr" }, message))
    }
}

/// Ends the attempt that runs. A device that was linked meanwhile stays linked.
pub(super) async fn stop(
    state: &AppState,
    principal: &Principal,
    device: &Device,
) -> Result<(), Failure> {
    if device.status != DeviceStatus::Pairing {
        return Ok(());
    }
    match state.core().logout(principal, device.id).await {
        Ok(_) | Err(Error::Conflict(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A device, as far as it is linked.
pub(super) struct Linking<'a> {
    lang: Lang,
    device: &'a Device,
    offer: Option<PairOffer>,
}

impl<'a> Linking<'a> {
    pub(super) async fn of(
        state: &AppState,
        principal: &Principal,
        device: &'a Device,
        lang: Lang,
    ) -> Self {
        let offer = match device.status.is_paired() {
            true => None,
            false => state.core().pairing(principal, device.id).await.ok(),
        };
        Self { lang, device, offer }
    }

    fn is_running(&self) -> bool {
        self.offer.is_some() || self.device.status == DeviceStatus::Pairing
    }

    /// After how many seconds a page without JavaScript looks again.
    pub(super) fn reload_s(&self) -> Option<u32> {
        self.is_running().then_some(RELOAD_S)
    }

    /// What is on offer and, apart from it so that a new QR leaves a number that is being typed alone, the
    /// ways to link the device: their forms post below `path`. `linked` is shown when it is linked.
    pub(super) fn render(
        &self,
        path: &str,
        csrf: &Markup,
        fault: Option<&Fault>,
        linked: &Markup,
    ) -> Markup {
        let is_paired = self.device.status.is_paired();
        html! {
            div #pairing data-live="device" {
                @match (&self.offer, &self.device.reason) {
                    _ if is_paired => (linked),
                    (Some(offer), _) => (self.offer(offer)),
                    (None, _) if self.is_running() => p { (self.lang.words().wait_for_qr) },
                    (None, Some(reason)) => p.warning role="status" { (said(self.lang, reason)) },
                    (None, None) => {}
                }
            }
            div #ways data-live="device" data-version=(self.version()) {
                @if !is_paired { (self.ways(path, csrf, fault)) }
            }
        }
    }

    /// What the ways depend on.
    fn version(&self) -> &'static str {
        match &self.offer {
            _ if self.device.status.is_paired() => "linked",
            Some(PairOffer::Qr { .. }) => "qr",
            Some(PairOffer::Code { .. }) => "code",
            Some(PairOffer::Passkey { .. }) => "passkey",
            None if self.is_running() => "wait",
            None => "none",
        }
    }

    fn offer(&self, offer: &PairOffer) -> Markup {
        let (words, own) = (self.lang.words(), LinkingWords::of(self.lang));
        match offer {
            PairOffer::Qr { code, .. } => html! {
                p { (words.scan_help) }
                @if let Some(picture) = qr_data_url(code) {
                    img.qr src=(picture) alt=(words.qr_alt) width="264" height="264";
                }
                p.quiet { (words.qr_refreshes) }
                // A simulated phone has no camera.
                details {
                    summary { (own.qr_text) }
                    pre tabindex="0" data-copy=(own.copy) { code { (code) } }
                }
            },
            PairOffer::Code { code, .. } => html! {
                p { (words.type_code) }
                p.code-to-type { (code) }
            },
            PairOffer::Passkey { request, step, .. } => self.passkey(request, step),
        }
    }

    /// The steps of a passkey; the one that is due is marked.
    fn passkey(&self, request: &str, step: &PasskeyStep) -> Markup {
        let (words, own) = (self.lang.words(), LinkingWords::of(self.lang));
        let steps = [
            own.passkey_where,
            own.passkey_open,
            own.passkey_answer,
            own.passkey_phone,
            own.passkey_compare,
        ];
        let due = match step {
            PasskeyStep::Requested => 0,
            PasskeyStep::Accepted => 3,
            PasskeyStep::Confirm(_) => 4,
        };
        html! {
            p { (own.passkey_lead) }
            ol.steps {
                @for (n, text) in steps.into_iter().enumerate() {
                    li data-done[n < due] aria-current=[(n == due).then_some("step")] {
                        (text)
                        @if n < due { " " span.quiet { "(" (words.done) ")" } }
                    }
                }
            }
            p { a.button href=(page_path(self.device.id, request)) { (words.passkey_go) } }
        }
    }

    /// The ways to link it, or to another offer than the one that is shown.
    fn ways(&self, path: &str, csrf: &Markup, fault: Option<&Fault>) -> Markup {
        let own = LinkingWords::of(self.lang);
        let words = self.lang.words();
        let stop = html! {
            form.row method="post" action={ (path) "/pair/stop" } {
                (csrf)
                button.plain { (own.stop) }
            }
        };
        match &self.offer {
            Some(PairOffer::Qr { .. }) => html! {
                (stop)
                (self.by_code(own.code_instead, path, csrf, fault))
            },
            Some(PairOffer::Code { .. }) => html! {
                (stop)
                (self.by_qr(own.qr_instead, path, csrf, fault))
            },
            _ if self.is_running() => stop,
            _ => html! {
                div.cards {
                    (self.by_qr(words.by_qr, path, csrf, fault))
                    (self.by_code(words.by_code, path, csrf, fault))
                }
            },
        }
    }

    fn by_qr(&self, title: &str, path: &str, csrf: &Markup, fault: Option<&Fault>) -> Markup {
        let words = self.lang.words();
        html! {
            section.card {
                h2 { (title) }
                p.quiet { (words.by_qr_help) }
                form.stack method="post" action={ (path) "/pair" } {
                    (csrf)
                    (Fault::beside(fault, "qr"))
                    button aria-describedby="qr-fault" { (words.show_qr) }
                }
            }
        }
    }

    fn by_code(&self, title: &str, path: &str, csrf: &Markup, fault: Option<&Fault>) -> Markup {
        let words = self.lang.words();
        html! {
            section.card {
                h2 { (title) }
                p.quiet { (words.by_code_help) }
                form.stack method="post" action={ (path) "/pair" } {
                    (csrf)
                    input type="hidden" name="by" value="code";
                    label for="phone" { (words.phone) }
                    input #phone name="phone" type="tel" required placeholder="0812…"
                        autocomplete="tel" aria-describedby="phone-fault";
                    (Fault::beside(fault, "phone"))
                    button.plain { (words.show_code) }
                }
            }
        }
    }
}
