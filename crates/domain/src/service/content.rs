//! The rules for what is asked to be sent. Errors name the field as a path in the content, such as
//! `media.caption`; an API that calls it otherwise has one table of names.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Core;
use crate::content::{
    CONTACT_CHARS_MAX, CONTACTS_MAX, Contact, Content, ContentKind, ContentRequest,
    EMOJI_BYTES_MAX, File, LOCATION_ADDRESS_CHARS_MAX, LOCATION_NAME_CHARS_MAX, Location,
    OPTION_CHARS_MAX, OPTIONS_MAX, OPTIONS_MIN, Poll, QUESTION_CHARS_MAX,
};
use crate::emoji;
use crate::error::{Error, Result};
use crate::media::{
    FILENAME_CHARS_MAX, FileRequest, INLINE_MEDIA_BYTES_MAX, Media, MediaSource, URL_BYTES_MAX,
    cleaned_url,
};
use crate::message::TEXT_CHARS_MAX;
use crate::phone::{PHONE_DIGITS_MAX, PhoneNumber};
use crate::picture;
use crate::ports::UrlRefusal;
use crate::text::{has_no_shape, is_blank, is_mimetype, turns_direction};

/// What errors call the fields of one contact.
struct ContactFields {
    name: &'static str,
    phone: &'static str,
    organization: &'static str,
}

macro_rules! contact_fields {
    ($($index:literal)*) => {
        [$(ContactFields {
            name: concat!("contacts[", $index, "].name"),
            phone: concat!("contacts[", $index, "].phone"),
            organization: concat!("contacts[", $index, "].organization"),
        }),*]
    };
}

/// Those of each contact of a message.
const CONTACT_FIELDS: [ContactFields; CONTACTS_MAX] = contact_fields!(0 1 2 3 4 5 6 7 8 9);

/// A content as it is stored with its message and, when a file came along, the file itself.
type Checked = (Content, Option<Vec<u8>>);

/// The long text of the message before, as it was checked: a broadcast has one text for all its receivers.
#[derive(Default)]
pub(super) struct LastText(Option<Arc<str>>);

impl LastText {
    fn check(&mut self, field: &'static str, text: Arc<str>) -> Result<Arc<str>> {
        if !self.0.as_ref().is_some_and(|known| Arc::ptr_eq(known, &text)) {
            check_characters(field, &text)?;
            self.0 = Some(Arc::clone(&text));
        }
        Ok(text)
    }
}

impl Core {
    /// Checks what can be checked without asking anybody.
    pub(super) fn check_content(
        &self,
        content: ContentRequest,
        country: &str,
        last: &mut LastText,
    ) -> Result<Checked> {
        match content {
            Content::Text(text) => {
                require_text(&text)?;
                Ok((Content::Text(last.check("text", text)?), None))
            }
            Content::File(file) => self.check_file(file, last),
            Content::Location(location) => Ok((Content::Location(check_location(location)?), None)),
            Content::Contacts(contacts) => {
                Ok((Content::Contacts(check_contacts(contacts, country)?), None))
            }
            Content::Poll(poll) => Ok((Content::Poll(check_poll(poll)?), None)),
            Content::Reaction(emoji) => Ok((Content::Reaction(check_emoji(emoji)?), None)),
            Content::Edit(_)
            | Content::Revoke
            | Content::Structured(_)
            | Content::Unsupported(_) => Err(Error::invalid("text", "is required")),
        }
    }

    fn check_file(&self, file: FileRequest, last: &mut LastText) -> Result<Checked> {
        check_marks(&file)?;
        let caption = last.check("media.caption", file.caption)?;
        let kind = file.kind.map(check_kind).transpose()?;
        let filename = file.filename.map(check_filename).transpose()?;
        let mimetype = file.mimetype.map(check_mimetype).transpose()?;
        let (url, bytes) = match file.source {
            MediaSource::Url(url) => (Some(self.check_media_url(url)?), None),
            MediaSource::Inline(bytes) => {
                if let Some(kind) = kind {
                    check_beginning(kind, &bytes)?;
                }
                check_whole(kind, &bytes)?;
                (None, Some(check_bytes(bytes)?))
            }
        };
        let size = bytes.as_ref().and_then(|bytes| u64::try_from(bytes.len()).ok());
        let is_kind_given = kind.is_some();
        let media = Media {
            url,
            is_kind_given,
            filename,
            mimetype,
            size,
            is_view_once: file.is_view_once,
            is_gif: file.is_gif,
            ..Media::default()
        };
        let kind = kind.unwrap_or(ContentKind::Document);
        Ok((Content::File(File { kind, caption, media }), bytes))
    }

    pub(super) fn check_media_url(&self, url: String) -> Result<String> {
        let too_long =
            || Error::invalid("media.url", format!("must have at most {URL_BYTES_MAX} bytes"));
        // Before it is cleaned: a request may hold megabytes.
        let url = cleaned_url(within_bytes(url, URL_BYTES_MAX).ok_or_else(too_long)?);
        let url = within_bytes(url, URL_BYTES_MAX).ok_or_else(too_long)?;
        match self.outbound.check_url(&url) {
            Ok(()) => Ok(url),
            Err(refusal @ (UrlRefusal::Malformed | UrlRefusal::Credentials)) => {
                Err(Error::invalid("media.url", refusal.to_string()))
            }
            Err(UrlRefusal::Forbidden) => Err(Error::Media(DOWNLOAD_FAILED.to_owned())),
        }
    }
}

/// The text, if it has at most so many bytes without the white space around it.
fn within_bytes(text: String, bytes_max: usize) -> Option<String> {
    (text.trim().len() <= bytes_max).then_some(text)
}

/// What is said of every download that fails for reasons of the network: no word about why, for that
/// would reveal what is inside it.
pub const DOWNLOAD_FAILED: &str = "the file could not be downloaded";

pub(super) fn check_text(text: Arc<str>) -> Result<Arc<str>> {
    require_text(&text)?;
    check_characters("text", &text)?;
    Ok(text)
}

fn require_text(text: &str) -> Result<()> {
    match is_blank(text) {
        true => Err(Error::invalid("text", "is required and must not be blank")),
        false => Ok(()),
    }
}

/// No comparison with a number that is none holds, so that only finite ones pass.
fn check_location(location: Location) -> Result<Location> {
    if !location.has_latitude() {
        return Err(Error::invalid("location.latitude", "must be -90 to 90"));
    }
    if !location.has_longitude() {
        return Err(Error::invalid("location.longitude", "must be -180 to 180"));
    }
    let texts = [
        ("location.name", &location.name, LOCATION_NAME_CHARS_MAX),
        ("location.address", &location.address, LOCATION_ADDRESS_CHARS_MAX),
    ];
    for (field, text, chars_max) in texts {
        let text = text.as_deref().unwrap_or_default();
        if text.contains('\0') || text.chars().count() > chars_max {
            let message = format!("must have at most {chars_max} characters, none of them U+0000");
            return Err(Error::invalid(field, message));
        }
    }
    Ok(location)
}

/// Their numbers are understood as a recipient's is; a short one stays as it is.
fn check_contacts(mut contacts: Vec<Contact>, country: &str) -> Result<Vec<Contact>> {
    if contacts.is_empty() || contacts.len() > CONTACTS_MAX {
        return Err(Error::invalid("contacts", format!("must hold 1 to {CONTACTS_MAX} contacts")));
    }
    for (contact, fields) in contacts.iter_mut().zip(CONTACT_FIELDS) {
        let phone = contact.phone.as_deref().unwrap_or_default();
        check_line(fields.name, &contact.name, 1, CONTACT_CHARS_MAX)?;
        check_line(fields.phone, phone, 1, CONTACT_CHARS_MAX)?;
        let organization = contact.organization.as_deref().unwrap_or_default();
        check_line(fields.organization, organization, 0, CONTACT_CHARS_MAX)?;
        let number = PhoneNumber::parse(phone, country).ok().map(|number| number.to_string());
        let number = number.or_else(|| is_short_number(phone).then(|| phone.trim().to_owned()));
        contact.phone =
            Some(number.ok_or_else(|| Error::invalid(fields.phone, "must be a phone number"))?);
    }
    Ok(contacts)
}

/// Whether it can be dialled although it is no number of WhatsApp's, such as an emergency call or a service
/// code. What has a decimal point, or more than one number, was meant to be another.
fn is_short_number(text: &str) -> bool {
    let text = text.trim();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_dialled = |b: u8| b.is_ascii_digit() || b"+*#() /-".contains(&b);
    (1..=PHONE_DIGITS_MAX).contains(&digits) && text.bytes().all(is_dialled)
}

fn check_poll(poll: Poll) -> Result<Poll> {
    check_line("poll.question", &poll.question, 1, QUESTION_CHARS_MAX)?;
    let count = poll.options.len();
    if !(OPTIONS_MIN..=OPTIONS_MAX).contains(&count) {
        let message = format!("must hold {OPTIONS_MIN} to {OPTIONS_MAX} answers");
        return Err(Error::invalid("poll.options", message));
    }
    for option in &poll.options {
        check_line("poll.options", option, 1, OPTION_CHARS_MAX)?;
    }
    let different: BTreeSet<&str> =
        poll.options.iter().map(|option| option.trim_matches(has_no_shape)).collect();
    if different.len() < count {
        return Err(Error::invalid("poll.options", "must be different from each other"));
    }
    if usize::try_from(poll.selectable).is_ok_and(|selectable| selectable > count) {
        let message = "must be at most the number of options; 0 means all of them";
        return Err(Error::invalid("poll.selectable", message));
    }
    Ok(poll)
}

fn check_emoji(emoji: String) -> Result<String> {
    let emoji = emoji.trim();
    if !emoji.is_empty() && (emoji.len() > EMOJI_BYTES_MAX || !emoji::is_one(emoji)) {
        let message = "must be one emoji, or empty to remove the reaction";
        return Err(Error::invalid("reaction.emoji", message));
    }
    Ok(emoji.to_owned())
}

/// A text of one line without control characters, that is seen where it must have any; white space around
/// it does not count.
fn check_line(field: &'static str, text: &str, chars_min: usize, chars_max: usize) -> Result<()> {
    let length = text.trim().chars().count();
    let is_unseen = chars_min > 0 && is_blank(text);
    if is_unseen || !(chars_min..=chars_max).contains(&length) || text.chars().any(char::is_control)
    {
        let message = format!("must have {chars_min} to {chars_max} characters, none of control");
        return Err(Error::invalid(field, message));
    }
    Ok(())
}

fn check_characters(field: &'static str, text: &str) -> Result<()> {
    // A NUL cannot be stored by every database, and no phone shows it.
    if text.contains('\0') {
        return Err(Error::invalid(field, "must not contain the character U+0000"));
    }
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(Error::invalid(
            field,
            format!("must have at most {TEXT_CHARS_MAX} characters"),
        ));
    }
    Ok(())
}

/// Whether what is asked of a file is possible with its kind, which must be said for it.
fn check_marks(file: &FileRequest) -> Result<()> {
    use ContentKind::{Image, Sticker, Video, Voice};
    if file.is_view_once && !matches!(file.kind, Some(Image | Video | Voice)) {
        let message = "needs the kind image, video or voice";
        return Err(Error::invalid("media.view_once", message));
    }
    if file.is_gif && file.kind != Some(Video) {
        return Err(Error::invalid("media.gif", "needs the kind video, and a video"));
    }
    if file.kind == Some(Sticker) && !file.caption.trim().is_empty() {
        return Err(Error::invalid("media.caption", "stickers have none"));
    }
    Ok(())
}

fn check_kind(kind: ContentKind) -> Result<ContentKind> {
    use ContentKind::{Audio, Document, Image, Sticker, Video, Voice};
    let is_file = matches!(kind, Image | Video | Audio | Voice | Document | Sticker);
    let message = "must be image, video, audio, voice, document or sticker";
    is_file.then_some(kind).ok_or_else(|| Error::invalid("media.kind", message))
}

/// Refuses a file that begins as another kind does. It is examined whole when it is sent: what begins in no
/// known way is not judged here.
fn check_beginning(kind: ContentKind, bytes: &[u8]) -> Result<()> {
    use ContentKind::{Audio, Document, Image, Sticker, Voice};
    let is_riff = |form: &[u8]| bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(form);
    let begins = |marks: &[&[u8]]| marks.iter().any(|mark| bytes.starts_with(mark));
    let text = bytes[..bytes.len().min(256)].trim_ascii_start().to_ascii_lowercase();
    let is_page = [&b"<!doctype html"[..], b"<html"].iter().any(|mark| text.starts_with(mark));
    let is_image = begins(&[b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8"]) || is_riff(b"WEBP");
    let (found, kinds): (_, &[ContentKind]) = if is_image {
        ("an image", &[Image, Sticker])
    } else if begins(&[b"ID3"]) || is_riff(b"WAVE") {
        ("an audio file", &[Audio, Voice])
    } else if begins(&[b"%PDF-"]) || is_page {
        ("a document", &[])
    } else {
        return Ok(());
    };
    let is_sent = kind == Document || kinds.contains(&kind);
    let message = format!("is {}, but the file is {found}", kind.as_str());
    if is_sent { Ok(()) } else { Err(Error::invalid("media.kind", message)) }
}

/// Refuses a picture that is cut off, which no phone shows. As a document it goes as it is.
fn check_whole(kind: Option<ContentKind>, bytes: &[u8]) -> Result<()> {
    let is_shown = matches!(kind, None | Some(ContentKind::Image | ContentKind::Sticker));
    if is_shown && picture::is_cut_off(bytes) {
        return Err(Error::invalid("media.base64", "is a picture that is cut off"));
    }
    Ok(())
}

fn check_filename(mut name: String) -> Result<String> {
    name.retain(|c| !turns_direction(c));
    let fits = (1..=FILENAME_CHARS_MAX).contains(&name.chars().count())
        && !name.chars().any(|c| c.is_control() || c == '/' || c == '\\');
    let message = format!(
        "must have 1 to {FILENAME_CHARS_MAX} characters, no slashes and no control characters"
    );
    fits.then_some(name).ok_or_else(|| Error::invalid("media.filename", message))
}

fn check_mimetype(mimetype: String) -> Result<String> {
    let fits = is_mimetype(&mimetype);
    let message = "must be a MIME type, such as application/pdf";
    fits.then_some(mimetype).ok_or_else(|| Error::invalid("media.mimetype", message))
}

pub(super) fn check_bytes(bytes: Vec<u8>) -> Result<Vec<u8>> {
    if bytes.is_empty() {
        return Err(Error::invalid("media.base64", "must not be empty"));
    }
    if bytes.len() > INLINE_MEDIA_BYTES_MAX {
        let message =
            format!("must have at most {INLINE_MEDIA_BYTES_MAX} bytes; send a URL instead");
        return Err(Error::invalid("media.base64", message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_nothing_that_is_seen_is_blank() {
        for blank in ["", " \n\t", "\u{200b}", "\u{feff} \u{2060}"] {
            assert!(require_text(blank).is_err(), "{blank:?}");
        }
        for text in ["a", "\u{200b}a", "👨‍👩‍👧", "."] {
            assert!(require_text(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_reaction_is_one_emoji_or_removes_the_earlier() {
        for (emoji, kept) in [(" 👍🏽\n", Some("👍🏽")), (" ", Some("")), ("👍👍", None), ("ok", None)]
        {
            assert_eq!(check_emoji(emoji.into()).ok().as_deref(), kept, "{emoji:?}");
        }
        let joined = |others| "👨".to_owned() + &"\u{200d}❤".repeat(others);
        for (others, bytes, is_taken) in [(10, 64, true), (11, 70, false)] {
            let emoji = joined(others);
            assert_eq!((emoji.len(), check_emoji(emoji).is_ok()), (bytes, is_taken));
        }
    }

    #[test]
    fn places_on_the_map() {
        let place =
            |latitude, longitude| Location { latitude, longitude, name: None, address: None };
        let named = |name: &str| Location { name: Some(name.into()), ..place(0.0, 0.0) };
        let at = |address: &str| Location { address: Some(address.into()), ..place(0.0, 0.0) };
        let cases = [
            (place(-90.0, 180.0), None),
            (place(90.0, -180.0), None),
            (place(90.1, 0.0), Some("location.latitude")),
            (place(f64::NAN, 0.0), Some("location.latitude")),
            (place(f64::INFINITY, 0.0), Some("location.latitude")),
            (place(0.0, -180.1), Some("location.longitude")),
            (place(0.0, f64::NAN), Some("location.longitude")),
            (named(&"é".repeat(200)), None),
            (named(&"é".repeat(201)), Some("location.name")),
            (named("a\0"), Some("location.name")),
            (at(&"é".repeat(500)), None),
            (at(&"é".repeat(501)), Some("location.address")),
        ];
        for (location, wrong) in cases {
            let checked = check_location(location.clone());
            let field = match &checked {
                Err(Error::Invalid { field, .. }) => Some(*field),
                _ => None,
            };
            assert_eq!((field, checked.is_ok()), (wrong, wrong.is_none()), "{location:?}");
        }
    }

    #[test]
    fn a_file_that_begins_as_another_kind_is_refused() {
        use ContentKind::{Audio, Document, Image, Sticker, Video, Voice};
        let (png, wav, webp) = (b"\x89PNG\r\n\x1a\n", b"RIFF....WAVEfmt ", b"RIFF....WEBPVP8 ");
        let any = &[Image, Video, Audio, Voice, Document, Sticker];
        let cases: [(&[u8], &[ContentKind]); 8] = [
            (png, &[Image, Sticker, Document]),
            (webp, &[Image, Sticker, Document]),
            (wav, &[Audio, Voice, Document]),
            (b"%PDF-1.4", &[Document]),
            (b"\n <!DOCTYPE html><html>", &[Document]),
            (b"ID3\x04", &[Audio, Voice, Document]),
            (b"RIFF....AVI LIST", any),
            (b"anything", any),
        ];
        for (bytes, allowed) in cases {
            for kind in [Image, Video, Audio, Voice, Document, Sticker] {
                let is_taken = check_beginning(kind, bytes).is_ok();
                assert_eq!(is_taken, allowed.contains(&kind), "{kind:?} {bytes:?}");
            }
        }
    }

    #[test]
    fn names_and_answers_are_seen() {
        for (line, is_seen) in
            [("a", true), (" \u{200b}a", true), ("", false), (" ", false), ("\u{200b}", false)]
        {
            assert_eq!(check_line("poll.question", line, 1, 9).is_ok(), is_seen, "{line:?}");
        }
        assert!(check_line("contacts[0].organization", "\u{200b}", 0, 9).is_ok());
        let poll = |other: &str| Poll {
            question: "?".into(),
            options: vec!["a".into(), other.into()],
            selectable: 1,
            votes: Vec::new(),
        };
        assert!(check_poll(poll("b")).is_ok());
        for other in [" a", "a\u{200b}", "\u{2060}"] {
            assert!(check_poll(poll(other)).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_picture_that_is_cut_off_goes_as_a_document_only() {
        use ContentKind::{Document, Image, Sticker, Voice};
        let cut_off = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0";
        for (kind, is_taken) in [
            (None, false),
            (Some(Image), false),
            (Some(Sticker), false),
            (Some(Document), true),
            (Some(Voice), true),
        ] {
            assert_eq!(check_whole(kind, cut_off).is_ok(), is_taken, "{kind:?}");
        }
        assert!(check_whole(Some(Image), b"anything").is_ok());
    }

    #[test]
    fn numbers_of_contacts() {
        let checked = |phone: &str| {
            let contact = Contact { phone: Some(phone.into()), ..Contact::default() };
            let contact = Contact { name: "Ani".into(), ..contact };
            match check_contacts(vec![contact], "62") {
                Ok(mut contacts) => contacts.remove(0).phone.unwrap_or_default(),
                Err(Error::Invalid { field, .. }) => field.to_owned(),
                Err(other) => panic!("{other}"),
            }
        };
        for (phone, kept) in [
            ("0812 3456 789", "628123456789"),
            ("+62 (0)812.3456.789", "628123456789"),
            ("６２８１２３４５６７８９", "628123456789"),
            ("628123456789.0", "628123456789"),
            ("628123456789@c.us", "628123456789"),
            ("14045", "14045"),
            (" *123# ", "*123#"),
            ("1-500-888", "1-500-888"),
        ] {
            assert_eq!(checked(phone), kept, "{phone}");
        }
        for wrong in [
            "no number",
            "#",
            "628123456789.5",
            "110.5",
            "6.28123456789E+11",
            "628123456789,628999",
            "123@g.us",
            "1948556096719481@lid",
            "628123456789:BEGIN",
            "1234567890123456",
        ] {
            assert_eq!(checked(wrong), "contacts[0].phone", "{wrong}");
        }
    }

    /// The field that is wrong.
    fn wrong<T>(checked: Result<T>) -> Option<&'static str> {
        match checked {
            Ok(_) => None,
            Err(Error::Invalid { field, .. }) => Some(field),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn texts_have_a_length_and_no_nul() {
        let longest = "é".repeat(TEXT_CHARS_MAX);
        for (text, is_taken) in
            [("halo", true), (&longest, true), (&(longest.clone() + "a"), false), ("a\0", false)]
        {
            let kept = check_text(text.into()).ok();
            assert_eq!(kept.as_deref(), is_taken.then_some(text));
        }
        assert_eq!(wrong(check_text(" ".into())), Some("text"));
    }

    #[test]
    fn each_text_is_checked_and_a_shared_one_stays_shared() {
        let (mut last, good): (_, Arc<str>) = (LastText::default(), "halo".into());
        for _ in 0..2 {
            let kept = last.check("text", good.clone()).unwrap();
            assert!(Arc::ptr_eq(&kept, &good));
            let bad = last.check("media.caption", "a\0".into());
            assert_eq!(wrong(bad), Some("media.caption"));
        }
        assert_eq!(wrong(LastText::default().check("text", "a\0".into())), Some("text"));
    }

    #[test]
    fn polls_and_lists_of_contacts_have_their_sizes() {
        let poll = |options, selectable| Poll {
            question: "?".into(),
            options: (0..options).map(|n: usize| format!("answer {n}")).collect(),
            selectable,
            votes: Vec::new(),
        };
        for (options, selectable, field) in [
            (1, 0, Some("poll.options")),
            (2, 0, None),
            (2, 2, None),
            (2, 3, Some("poll.selectable")),
            (12, 1, None),
            (13, 1, Some("poll.options")),
        ] {
            assert_eq!(wrong(check_poll(poll(options, selectable))), field, "{options}");
        }
        let contact =
            Contact { name: "Ani".into(), phone: Some("112".into()), ..Contact::default() };
        for (count, field) in [(0, Some("contacts")), (1, None), (10, None), (11, Some("contacts"))]
        {
            let contacts = check_contacts(vec![contact.clone(); count], "62");
            assert_eq!(contacts.as_ref().map_or(count, Vec::len), count);
            assert_eq!(wrong(contacts), field, "{count}");
        }
    }

    #[test]
    fn lines_have_a_length_and_no_control_characters() {
        for (line, is_taken) in [
            ("é".repeat(9), true),
            ("é".repeat(10), false),
            (format!("  {}  ", "é".repeat(9)), true),
            ("a\nb".to_owned(), false),
        ] {
            assert_eq!(check_line("poll.question", &line, 1, 9).is_ok(), is_taken, "{line:?}");
        }
    }

    #[test]
    fn what_is_asked_of_a_file_fits_its_kind() {
        use ContentKind::{Audio, Image, Sticker, Video, Voice};
        let file = |kind, caption: &str| FileRequest {
            kind,
            caption: caption.into(),
            ..FileRequest::new(MediaSource::Inline(Vec::new()))
        };
        for (kind, once, gif, caption) in [
            (None, false, false, true),
            (Some(Image), true, false, true),
            (Some(Video), true, true, true),
            (Some(Voice), true, false, true),
            (Some(Audio), false, false, true),
            (Some(Sticker), false, false, false),
        ] {
            assert_eq!(wrong(check_marks(&file(kind, " "))), None, "{kind:?}");
            let view_once = FileRequest { is_view_once: true, ..file(kind, "") };
            let field = (!once).then_some("media.view_once");
            assert_eq!(wrong(check_marks(&view_once)), field, "{kind:?}");
            let as_gif = FileRequest { is_gif: true, ..file(kind, "") };
            assert_eq!(wrong(check_marks(&as_gif)), (!gif).then_some("media.gif"), "{kind:?}");
            let field = (!caption).then_some("media.caption");
            assert_eq!(wrong(check_marks(&file(kind, "halo"))), field, "{kind:?}");
        }
    }

    #[test]
    fn names_and_types_of_files() {
        let longest = "é".repeat(FILENAME_CHARS_MAX);
        for (name, kept) in [
            ("Faktur 1.pdf", Some("Faktur 1.pdf")),
            ("Faktur\u{202e}fdp.exe", Some("Fakturfdp.exe")),
            (&longest, Some(longest.as_str())),
            (&(longest.clone() + "a"), None),
            ("", None),
            ("\u{202e}", None),
            ("a/b", None),
            ("a\\b", None),
            ("a\nb", None),
        ] {
            assert_eq!(check_filename(name.into()).ok().as_deref(), kept, "{name:?}");
        }
        let pdf = check_mimetype("application/pdf".into()).ok();
        assert_eq!(pdf.as_deref(), Some("application/pdf"));
        assert_eq!(wrong(check_mimetype("pdf".into())), Some("media.mimetype"));
    }

    #[test]
    fn files_in_requests_and_urls_have_their_sizes() {
        for (size, is_taken) in [
            (0, false),
            (2, true),
            (INLINE_MEDIA_BYTES_MAX, true),
            (INLINE_MEDIA_BYTES_MAX + 1, false),
        ] {
            let kept = check_bytes(vec![7; size]).ok().map(|bytes| bytes.len());
            assert_eq!(kept, is_taken.then_some(size));
        }
        for (text, fits) in [("abc", true), ("abcd", false), ("  abc\n", true), ("éé", false)] {
            let kept = within_bytes(text.to_owned(), 3);
            assert_eq!(kept.as_deref(), fits.then_some(text), "{text:?}");
        }
    }
}
