//! What the core says in English, in the reader's language: what is wrong with a field, and the reasons that are
//! stored with devices, messages and deliveries. They are stored as they were said, so they are known by their
//! text; one that is not known is shown as it is.

mod outcomes;
mod requests;

use std::borrow::Cow;

use super::words::Lang;

/// English texts that name parts of the API, as people read them. `{}` is the place of a value.
const IN_ENGLISH: [(&str, &str); 15] = [
    ("the number is banned; `reason` says until when", "the number is banned for a while"),
    (
        "min_s must not be above max_s, and max_s not above {}",
        "the longest pause must not be below the shortest, nor above {} seconds",
    ),
    ("the device fetches no files (media_download)", "the device is set to fetch no files"),
    ("must be after schedule_at", "must be after the time it is sent"),
    ("must be null or 0 to 2147483646", "must be 0 to 2147483646, or empty"),
    ("must have at most {} characters, none of them U+0000", "must have at most {} characters"),
    ("must not contain the character U+0000", "holds a character that cannot be sent"),
    (
        "must have {} to {} characters, none of control",
        "must have {} to {} characters, in one line",
    ),
    (
        "must have {} to {} characters and no control ones",
        "must have {} to {} characters, in one line",
    ),
    ("must have {} to {} bytes and no control characters", "must have {} to {} characters"),
    ("needs the kind image, video or voice", "is for pictures, videos and voice notes"),
    ("needs the kind video, and a video", "is for videos"),
    ("must be a message's id, ours or WhatsApp's", "is no message of this device"),
    ("can be `all` in a group only", "everybody can be mentioned in a group only"),
    ("must be phone numbers, LIDs or `all`", "must be phone numbers"),
];

/// The same, and all others, in Indonesian.
const IN_INDONESIAN: [&[(&str, &str)]; 2] = [requests::INDONESIAN, outcomes::INDONESIAN];

/// What people call the fields of the API.
const FIELDS: &[(&str, &str, &str)] = &[
    ("name", "Name", "Nama"),
    ("email", "Email", "Email"),
    ("plan", "Plan", "Paket"),
    ("timezone", "Time zone", "Zona waktu"),
    ("default_country", "Country code", "Kode negara"),
    ("device", "Device", "Perangkat"),
    ("device_limit", "Devices", "Perangkat"),
    ("messages_per_day", "Messages a day", "Pesan per hari"),
    ("messages_per_month", "Messages a month", "Pesan per bulan"),
    ("requests_per_minute", "Requests a minute", "Permintaan per menit"),
    ("devices_per_s", "Devices a second", "Perangkat per detik"),
    ("pacing", "Pacing", "Jeda kirim"),
    ("proxy", "Proxy", "Proksi"),
    ("reject_text", "Text to callers", "Teks untuk penelepon"),
    ("phone", "Phone number", "Nomor telepon"),
    ("scopes", "May", "Boleh"),
    ("may", "May", "Boleh"),
    ("expires_at", "Expires", "Kedaluwarsa"),
    ("expires_in_s", "Valid for", "Berlaku selama"),
    ("valid_days", "Days", "Hari"),
    ("days", "Days", "Hari"),
    ("count", "How many", "Jumlah"),
    ("messages", "Messages", "Pesan"),
    ("url", "Address", "Alamat"),
    ("events", "Events", "Kejadian"),
    ("format", "Format", "Format"),
    ("secret", "Secret", "Rahasia"),
    ("to", "To", "Kepada"),
    ("chat", "Number or group", "Nomor atau grup"),
    ("q", "Text contains", "Teks memuat"),
    ("page", "Page", "Halaman"),
    ("text", "Text", "Teks"),
    ("schedule_at", "Not before", "Tidak sebelum"),
    ("retry_interval_s", "Pause between attempts", "Jeda antar percobaan"),
    ("priority", "Priority", "Prioritas"),
    ("reply_to", "Reply to", "Balasan untuk"),
    ("reaction.message", "Reaction to", "Reaksi untuk"),
    ("reaction.emoji", "Reaction", "Reaksi"),
    ("mentions", "Mentions", "Sebutan"),
    ("media.url", "Address of the file", "Alamat berkas"),
    ("media.base64", "File", "Berkas"),
    ("media.filename", "Name of the file", "Nama berkas"),
    ("media.mimetype", "Type of the file", "Jenis berkas"),
    ("media.kind", "Kind", "Jenis"),
    ("media.caption", "Caption", "Keterangan"),
    ("media.view_once", "View once", "Sekali lihat"),
    ("media.gif", "GIF", "GIF"),
    ("location.latitude", "Latitude", "Lintang"),
    ("location.longitude", "Longitude", "Bujur"),
    ("location.name", "Name of the place", "Nama tempat"),
    ("location.address", "Address", "Alamat"),
    ("contacts", "Contacts", "Kontak"),
    ("contacts.name", "Name of the contact", "Nama kontak"),
    ("contacts.phone", "Number of the contact", "Nomor kontak"),
    ("contacts.organization", "Company", "Perusahaan"),
    ("poll.question", "Question", "Pertanyaan"),
    ("poll.options", "Answers", "Jawaban"),
    ("poll.selectable", "Answers of each", "Jawaban tiap orang"),
    ("subject", "Name of the group", "Nama grup"),
    ("description", "Description", "Deskripsi"),
    ("picture", "Picture", "Gambar"),
    ("participants", "People", "Orang"),
    ("people", "People", "Orang"),
    ("code", "Code", "Kode"),
    ("assertion", "Passkey", "Passkey"),
];

/// A text of the core in the reader's language.
pub(super) fn said(lang: Lang, text: &str) -> Cow<'_, str> {
    let tables = match lang {
        Lang::En => [IN_ENGLISH.as_slice(), &[]],
        Lang::Id => IN_INDONESIAN,
    };
    let found =
        tables.into_iter().flatten().find_map(|(known, there)| Some((values(known, text)?, there)));
    let Some((values, there)) = found else { return Cow::Borrowed(text) };
    let mut values = values.into_iter();
    let mut pieces = there.split("{}");
    let mut said = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        said += &values.next().map_or(Cow::Borrowed(""), |value| self::said(lang, value));
        said += piece;
    }
    Cow::Owned(said)
}

/// What stands in a text where the pattern has `{}`; `None` when it is not of this pattern.
fn values<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut pieces = pattern.split("{}");
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty().then(Vec::new) };
    let mut values = Vec::with_capacity(pieces.len() + 1);
    for piece in pieces {
        let (value, after) = rest.split_once(piece)?;
        values.push(value);
        rest = after;
    }
    values.push(rest.strip_suffix(last)?);
    Some(values)
}

/// What people call a field, and what is wrong with it; without the field where it has no name for people.
pub(super) fn field_fault(lang: Lang, field: &str, message: &str) -> String {
    let message = said(lang, message);
    match field_name(lang, field) {
        Some(name) => format!("{name}: {message}"),
        None => message.into_owned(),
    }
}

fn field_name(lang: Lang, field: &str) -> Option<&'static str> {
    // Of a list no item is named: `contacts[0].phone` is the number of a contact.
    let path: String =
        field.split('[').map(|part| part.rsplit(']').next().unwrap_or(part)).collect();
    let (_, english, indonesian) = FIELDS.iter().find(|(known, ..)| *known == path)?;
    Some(match lang {
        Lang::En => english,
        Lang::Id => indonesian,
    })
}

#[cfg(test)]
#[path = "tests/reasons.rs"]
mod tests;
