//! The form of the page Send.

use domain::account::Caller;
use domain::content::{
    CONTACT_CHARS_MAX, CONTACTS_MAX, ContentKind, LOCATION_ADDRESS_CHARS_MAX,
    LOCATION_NAME_CHARS_MAX, QUESTION_CHARS_MAX,
};
use domain::device::Device;
use domain::media::{INLINE_MEDIA_BYTES_MAX, URL_BYTES_MAX};
use domain::message::TEXT_CHARS_MAX;
use maud::{Markup, html};

use super::caller::{Person, csrf_field};
use super::contents::{Carries, Refusal, SendForm};
use super::device_choice;
use super::recipients::{LineFault, List};
use super::samples::Language;
use super::send::Sender;
use super::show::{self, Fault, with};
use super::upload::{FILE_FIELD, LIST_FIELD};
use super::words::{Words, words};

/// Most lines at fault that are shown.
const FAULTS_SHOWN: usize = 20;

words! {
    /// The texts of the page Send.
    SendWords
    what: "What", "Apa";
    a_text: "Text", "Teks";
    a_file: "File", "Berkas";
    a_location: "Location", "Lokasi";
    a_contact: "Contact", "Kontak";
    a_poll: "Poll", "Polling";
    file: "File from this computer", "Berkas dari komputer ini";
    file_help: "Choose it or drop it here; at most 16 MB.", "Pilih atau jatuhkan di sini; paling besar 16 MB.";
    url: "or its address (URL), at most 100 MB", "atau alamatnya (URL), paling besar 100 MB";
    file_kind: "Sent as", "Dikirim sebagai";
    detected: "what it is", "sesuai isinya";
    file_missing: "Choose a file, or give its address.", "Pilih berkas, atau isi alamatnya.";
    file_twice: "Choose a file or give an address, not both.", "Pilih berkas atau isi alamat, jangan keduanya.";
    file_too_large: "The file is too large: at most 16 MB can be uploaded. Larger ones, up to 100 MB, go by their address (URL).", "Berkas terlalu besar: yang diunggah paling besar 16 MB. Yang lebih besar, sampai 100 MB, dikirim lewat alamatnya (URL).";
    file_for_fewer: "For {} receivers this file takes too much room: it can go to {} at a time. Make it smaller, send to fewer, or give its address (URL).", "Untuk {} penerima berkas ini terlalu besar: hanya dapat ke {} sekaligus. Perkecil berkasnya, kirim ke lebih sedikit, atau isi alamatnya (URL).";
    file_held: "The file is here: {}. Choose another one to replace it.", "Berkasnya sudah ada: {}. Pilih yang lain untuk menggantinya.";
    file_again: "If you chose a file, choose it again: browsers do not keep it.", "Bila tadi memilih berkas, pilih lagi: peramban tidak menyimpannya.";
    file_empty: "The file is empty.", "Berkasnya kosong.";
    list: "or a file with the list (CSV or text)", "atau berkas berisi daftar (CSV atau teks)";
    list_twice: "Write the receivers or choose a file, not both.", "Tulis penerimanya atau pilih berkas, jangan keduanya.";
    list_empty: "The file with the list is empty.", "Berkas daftarnya kosong.";
    view_once: "Can be looked at once only", "Hanya dapat dilihat sekali";
    view_once_kind: "Only a picture, a video or a voice note can be looked at once: choose as which it is sent.", "Hanya gambar, video, atau pesan suara yang dapat dilihat sekali: pilih jenis kirimannya.";
    sticker_text: "A sticker has no text: empty this field.", "Stiker tidak memiliki teks: kosongkan isian ini.";
    no_preview: "Without a preview of links", "Tanpa pratinjau tautan";
    text_or_caption: "Text; below a file, its caption", "Teks; di bawah berkas, keterangannya";
    point: "Latitude, longitude", "Lintang, bujur";
    point_wrong: "Write latitude and longitude, such as -6.175392, 106.827153", "Isi lintang dan bujur, seperti -6.175392, 106.827153";
    place: "Name of the place (optional)", "Nama tempat (opsional)";
    address: "Address (optional)", "Alamat (opsional)";
    contact: "Name of the contact", "Nama kontak";
    contact_missing: "Write the contact's name.", "Isi nama kontak.";
    contact_phone: "Number of the contact", "Nomor kontak";
    organization: "Organization (optional)", "Organisasi (opsional)";
    more_contacts: "More contacts (optional), one a line", "Kontak lainnya (opsional), satu per baris";
    more_contacts_help: "Such as: Budi; 0812…; Toko Maju (the last is optional). At most {} contacts go in one message.", "Misalnya: Budi; 0812…; Toko Maju (yang terakhir opsional). Paling banyak {} kontak dalam satu pesan.";
    contact_line: "Line {}: write name; number.", "Baris {}: tulis nama; nomor.";
    mentions: "Mention (optional)", "Sebut (opsional)";
    mentions_help: "Numbers, one a line; “all” is everybody in a group. Phones highlight a number that stands in the text after an @.", "Nomor, satu per baris; “semua” berarti seluruh anggota grup. Ponsel menyorot nomor yang ditulis setelah @ di dalam teks.";
    all: "all", "semua";
    question: "Question", "Pertanyaan";
    question_missing: "Write the question.", "Isi pertanyaannya.";
    options: "Answers, one a line, 2 to 12", "Jawaban, satu per baris, 2 sampai 12";
    options_missing: "Write at least two answers.", "Isi sedikitnya dua jawaban.";
    several: "Several answers may be chosen", "Boleh memilih beberapa jawaban";
    open_quote: "this quote is not closed", "tanda kutip ini tidak ditutup";
    after_quote: "something stands behind the closing quote; write a quote inside as two", "ada tulisan setelah kutip penutup; tulis kutip di dalam teks sebagai dua kutip";
    numbers_in_quotes: "other lines with numbers stand between its quotes: is a quote missing?", "ada baris lain yang bernomor di antara kutipnya: apakah ada kutip yang hilang?";
    no_text: "its text is empty", "teksnya kosong";
    long_text: "its text has more than 65,536 characters", "teksnya lebih dari 65.536 karakter";
    no_column: "none of these columns is called like a number; write “number” (or phone, nomor, no hp, whatsapp) above the column with the numbers", "tidak satu pun kolom ini bernama seperti nomor; tulis “nomor” (atau no hp, telepon, whatsapp, phone) di atas kolom nomornya";
    no_names: "A list with more than numbers needs the names of its columns in the first line, such as: number, name", "Daftar yang berisi selain nomor memerlukan nama kolom di baris pertama, misalnya: nomor, nama";
    more_faults: "and {} more lines", "dan {} baris lagi";
    simulator: "All simulated phones, groups and faults", "Semua ponsel simulasi, grup, dan gangguan";
    language: "Language of the code", "Bahasa kode";
    copy: "Copy", "Salin";
}

impl SendWords {
    /// The word for what is sent.
    pub(super) fn carried(&self, kind: Carries) -> &'static str {
        match kind {
            Carries::Text => self.a_text,
            Carries::File => self.a_file,
            Carries::Location => self.a_location,
            Carries::Contact => self.a_contact,
            Carries::Poll => self.a_poll,
        }
    }
}

/// The form's id.
const FORM: &str = "compose";

/// The form as it was filled in, with what is wrong.
pub(super) fn compose(
    sender: &Sender<'_>,
    devices: &[Device],
    form: &SendForm,
    refusal: Option<&Refusal>,
) -> Markup {
    let (words, own) = (sender.lang.words(), SendWords::of(sender.lang));
    let fault = match refusal {
        Some(Refusal::Field(fault)) => Some(fault),
        _ => None,
    };
    html! {
        @if let Some(Refusal::Lines(list)) = refusal { (lines(words, own, list)) }
        form.stack.compose id=(FORM) method="post" action=(sender.action) enctype="multipart/form-data" {
            (csrf_field(sender.csrf))
            input type="hidden" name="key" value=(form.key);
            (device(sender, devices, form, fault))
            label for="to" { (words.to) }
            // What came as a file is shown to be corrected: browsers do not keep the file.
            textarea #to name="to" rows="2" aria-describedby="to-help to-fault" {
                @if fault.is_none_or(|fault| !fault.is_of("list")) { (form.receivers().trim()) } @else { (form.to) }
            }
            span.help #to-help { (words.to_help) }
            (Fault::beside(fault, "to"))
            label for="list" { (own.list) }
            input #list name=(LIST_FIELD) type="file" accept=".csv,.txt,.tsv,text/csv,text/plain"
                data-bytes-max=(INLINE_MEDIA_BYTES_MAX) data-too-large=(own.file_too_large)
                aria-describedby="list-fault";
            (Fault::beside(fault, "list"))
            (choice(own, form))
            (file((words, own), form, fault, refusal.is_some()))
            (location(own, form, fault))
            (contact(own, form, fault))
            (poll(own, form, fault))
            (text(words, own, form, fault))
            label for="schedule_at" {
                (show::zoned(words.schedule_at, sender.principal.account().ok()))
            }
            input #schedule_at name="schedule_at" type="datetime-local" value=(form.schedule_at)
                aria-describedby="schedule_at-fault";
            (Fault::beside(fault, "schedule_at"))
            button { (words.send) }
        }
    }
}

/// The devices to choose from; somebody who is here for one device has no choice.
fn device(
    sender: &Sender<'_>,
    devices: &[Device],
    form: &SendForm,
    fault: Option<&Fault>,
) -> Markup {
    html! {
        @match devices {
            [device] if matches!(sender.principal.caller, Caller::Device(..)) => { input type="hidden" name="device" value=(device.id); }
            _ => {
                label for="device" { (sender.lang.words().device) }
                select #device name="device" aria-describedby="device-fault" {
                    (device_choice::options(sender.lang, devices, &form.device))
                }
            }
        }
        (Fault::beside(fault, "device"))
    }
}

fn choice(own: &SendWords, form: &SendForm) -> Markup {
    html! {
        fieldset.choice {
            legend { (own.what) }
            @for kind in Carries::ALL {
                label.check {
                    input id={ "kind-" (kind.as_str()) } type="radio" name="kind" value=(kind.as_str())
                        checked[kind == form.kind];
                    (own.carried(kind))
                }
            }
        }
    }
}

/// A field of one line with its label and what is wrong with it.
fn line(
    fault: Option<&Fault>,
    (name, label): (&'static str, &str),
    value: &str,
    chars_max: usize,
) -> Markup {
    html! {
        label for=(name) { (label) }
        input id=(name) name=(name) value=(value) maxlength=(chars_max)
            aria-describedby={ (name) "-fault" };
        (Fault::beside(fault, name))
    }
}

fn file(
    (words, own): (&Words, &SendWords),
    form: &SendForm,
    fault: Option<&Fault>,
    is_again: bool,
) -> Markup {
    use ContentKind::{Audio, Document, Image, Sticker, Video, Voice};
    const KINDS: [ContentKind; 6] = [Image, Video, Audio, Voice, Document, Sticker];
    html! {
        div.part.for-file {
            label for="file" { (own.file) }
            input.drop #file name=(FILE_FIELD) type="file" data-bytes-max=(INLINE_MEDIA_BYTES_MAX)
                data-too-large=(own.file_too_large) aria-describedby="file-help file-fault";
            span.help #file-help {
                (own.file_help)
                @if !form.held.is_empty() { " " (with(own.file_held, &form.held_name)) }
                @else if is_again { " " (own.file_again) }
            }
            @if !form.held.is_empty() {
                input type="hidden" name="held" value=(form.held);
                input type="hidden" name="held_name" value=(form.held_name);
            }
            (Fault::beside(fault, "file"))
            (line(fault, ("url", own.url), &form.url, URL_BYTES_MAX))
            label for="file_kind" { (own.file_kind) }
            select #file_kind name="file_kind" aria-describedby="file_kind-fault" {
                option value="" { (own.detected) }
                @for kind in KINDS {
                    option value=(kind.as_str()) selected[kind.as_str() == form.file_kind] {
                        (show::kind_word(words, kind))
                    }
                }
            }
            (Fault::beside(fault, "file_kind"))
            label.check {
                input type="checkbox" name="view_once" value="1" checked[!form.view_once.is_empty()];
                (own.view_once)
            }
        }
    }
}

fn location(own: &SendWords, form: &SendForm, fault: Option<&Fault>) -> Markup {
    html! {
        div.part.for-location {
            (line(fault, ("point", own.point), &form.point, 100))
            (line(fault, ("place", own.place), &form.place, LOCATION_NAME_CHARS_MAX))
            (line(fault, ("address", own.address), &form.address, LOCATION_ADDRESS_CHARS_MAX))
        }
    }
}

fn contact(own: &SendWords, form: &SendForm, fault: Option<&Fault>) -> Markup {
    let max = CONTACT_CHARS_MAX;
    html! {
        div.part.for-contact {
            (line(fault, ("contact", own.contact), &form.contact, max))
            (line(fault, ("phone", own.contact_phone), &form.phone, max))
            (line(fault, ("organization", own.organization), &form.organization, max))
            label for="contacts" { (own.more_contacts) }
            textarea #contacts name="contacts" rows="2"
                aria-describedby="contacts-help contacts-fault" { (form.contacts) }
            span.help #contacts-help { (with(own.more_contacts_help, CONTACTS_MAX)) }
            (Fault::beside(fault, "contacts"))
        }
    }
}

fn poll(own: &SendWords, form: &SendForm, fault: Option<&Fault>) -> Markup {
    html! {
        div.part.for-poll {
            (line(fault, ("question", own.question), &form.question, QUESTION_CHARS_MAX))
            label for="options" { (own.options) }
            textarea #options name="options" rows="4" aria-describedby="options-fault" { (form.options) }
            (Fault::beside(fault, "options"))
            label.check {
                input type="checkbox" name="several" value="1" checked[!form.several.is_empty()];
                (own.several)
            }
        }
    }
}

fn text(words: &Words, own: &SendWords, form: &SendForm, fault: Option<&Fault>) -> Markup {
    html! {
        div.part.for-text {
            label for="text" { (own.text_or_caption) }
            textarea #text name="text" rows="5" maxlength=(TEXT_CHARS_MAX)
                aria-describedby="text-help" { (form.text) }
            span.help #text-help { (words.text_help) }
            (mentions(own, &form.mentions, fault))
            label.check {
                input type="checkbox" name="no_preview" value="1" checked[!form.no_preview.is_empty()];
                (own.no_preview)
            }
        }
        // Outside the part: what has no field of its own, such as a quota, is said here.
        (Fault::beside(fault, "text"))
    }
}

/// The field for whom a text mentions.
pub(super) fn mentions(own: &SendWords, written: &str, fault: Option<&Fault>) -> Markup {
    html! {
        label for="mentions" { (own.mentions) }
        textarea #mentions name="mentions" rows="1"
            aria-describedby="mentions-help mentions-fault" { (written) }
        span.help #mentions-help { (own.mentions_help) }
        (Fault::beside(fault, "mentions"))
    }
}

/// Chooses the language of the code; it stands beside the code, outside the form it belongs to.
pub(super) fn language(person: &Person, form: &SendForm) -> Markup {
    let chosen = Language::named(&form.sample);
    html! {
        div.row {
            div.field {
                select name="sample" form=(FORM) aria-label=(SendWords::of(person.lang).language) {
                    @for language in Language::ALL {
                        option value=(language.as_str()) selected[language == chosen] { (language.title()) }
                    }
                }
            }
            button.plain name="act" value="code" form=(FORM) formnovalidate formaction="/app/send#code" {
                (person.words().show_as_code)
            }
        }
    }
}

fn lines(words: &Words, own: &SendWords, list: &List) -> Markup {
    html! {
        div.warning role="alert" {
            p { (words.nothing_sent) }
            ul {
                @for (line, text, fault) in list.faults.iter().take(FAULTS_SHOWN) {
                    li { (words.line) " " (line) ": " @if !text.is_empty() { "“" (text) "” " }
                        (line_fault(words, own, fault)) }
                }
                @if list.faults.len() > FAULTS_SHOWN {
                    li { (with(own.more_faults, list.faults.len() - FAULTS_SHOWN)) }
                }
            }
            @if list.lacks_names { p { (own.no_names) } }
        }
    }
}

fn line_fault<'a>(words: &'a Words, own: &'a SendWords, fault: &'a LineFault) -> &'a str {
    match fault {
        LineFault::Shortened => words.line_shortened,
        LineFault::NoNumber => words.line_no_number,
        LineFault::NoColumn => own.no_column,
        LineFault::Empty => words.line_empty,
        LineFault::TooMany => words.line_too_many,
        LineFault::OpenQuote => own.open_quote,
        LineFault::AfterQuote => own.after_quote,
        LineFault::NumbersInQuotes => own.numbers_in_quotes,
        LineFault::NoText => own.no_text,
        LineFault::LongText => own.long_text,
        LineFault::Refused(why) => why,
    }
}
