//! A file's format, by its first bytes.

use domain::message::ContentKind;

use crate::length::mp3;
use crate::types;

/// How much of a file its format is detected by.
const HEAD_BYTES: usize = 4096;
/// What the library says at the sight of two bytes.
const JUDGED_HERE: [&str; 2] = ["audio/mpeg", "audio/aac"];
/// How far from the beginning a PDF may begin.
const PDF_JUNK_MAX: usize = 1024;

/// The formats that are not sent as documents, and those documents that are known by their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg,
    Png,
    Gif,
    Webp,
    Mp4,
    Mov,
    ThreeGp,
    /// Without pictures.
    ThreeGpAudio,
    M4a,
    Webm,
    /// Without pictures.
    WebmAudio,
    Mp3,
    OggOpus,
    Ogg,
    Wav,
    Aac,
    Pdf,
    Zip,
    /// A compound file, as office programs wrote until 2007.
    Ole,
    /// What an office program packs: the usual one of its types, which its name may say better.
    Office(&'static str),
    /// What an office program packed and then encrypted with a password: its name says what it is.
    Protected,
    /// A type that the bytes leave no doubt of.
    Exactly(&'static str),
    /// Anything else, if it can be read as text; and what it is when nothing else is said.
    Text(&'static str),
    Unknown,
}

impl Format {
    /// Detects the format from a file's first bytes.
    pub(crate) fn of(whole: &[u8]) -> Self {
        let head = &whole[..whole.len().min(HEAD_BYTES)];
        let is_riff = |form: &[u8]| head.starts_with(b"RIFF") && head.get(8..12) == Some(form);
        match head {
            _ if head.starts_with(b"\xff\xd8\xff") => Self::Jpeg,
            _ if head.starts_with(b"\x89PNG\r\n\x1a\n") => Self::Png,
            _ if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") => Self::Gif,
            _ if is_riff(b"WEBP") => Self::Webp,
            _ if is_riff(b"WAVE") => Self::Wav,
            _ if head.get(4..8) == Some(b"ftyp") => of_brand(head.get(8..12).unwrap_or_default()),
            _ if head.starts_with(b"\x1a\x45\xdf\xa3") => of_matroska(head),
            _ if head.starts_with(b"OggS") => of_ogg(head),
            _ if head.starts_with(b"ID3") => of_tagged(whole),
            _ if mp3::begins(head) => Self::Mp3,
            _ if is_adts_frame(head) => Self::Aac,
            _ if head.starts_with(b"%PDF-") => Self::Pdf,
            _ if head.starts_with(b"PK\x03\x04") => Self::Zip,
            _ if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") => Self::Ole,
            // Readers look for it further on, and some printers write their commands before it.
            _ if head[..head.len().min(PDF_JUNK_MAX)].windows(5).any(|w| w == b"%PDF-") => {
                Self::Pdf
            }
            _ if is_text(head) => of_text(head),
            _ => match infer::get(head)
                .and_then(|found| types::by_mimetype(&types::canonical(found.mime_type())))
                .filter(|found| !JUDGED_HERE.contains(&found.mimetype))
            {
                Some(found) => Self::Exactly(found.mimetype),
                None if mp3::is_within(head) => Self::Mp3,
                None => Self::Unknown,
            },
        }
    }

    /// The kinds it may be sent as, besides document; the usual one first.
    pub(crate) fn kinds(self) -> &'static [ContentKind] {
        match self {
            Self::Jpeg | Self::Png | Self::Gif | Self::Webp => &[ContentKind::Image],
            Self::Mp4 | Self::ThreeGp => &[ContentKind::Video, ContentKind::Audio],
            Self::Webm => &[ContentKind::Video, ContentKind::Audio],
            Self::Mov => &[ContentKind::Video],
            Self::ThreeGpAudio
            | Self::M4a
            | Self::WebmAudio
            | Self::Mp3
            | Self::OggOpus
            | Self::Ogg
            | Self::Wav
            | Self::Aac => &[ContentKind::Audio],
            Self::Pdf
            | Self::Zip
            | Self::Ole
            | Self::Office(_)
            | Self::Protected
            | Self::Exactly(_)
            | Self::Text(_)
            | Self::Unknown => &[],
        }
    }

    /// Its MIME type, when it is sent as `kind`; `None` when the bytes do not show it.
    pub(crate) fn mimetype(self, kind: ContentKind) -> Option<&'static str> {
        let mimetype = match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Mp4 if kind == ContentKind::Audio => "audio/mp4",
            Self::ThreeGp if kind == ContentKind::Audio => "audio/3gpp",
            Self::Mp4 => "video/mp4",
            Self::Mov => "video/quicktime",
            Self::ThreeGp => "video/3gpp",
            Self::M4a => "audio/mp4",
            Self::ThreeGpAudio => "audio/3gpp",
            Self::WebmAudio => "audio/webm",
            Self::Webm if kind == ContentKind::Audio => "audio/webm",
            Self::Webm => "video/webm",
            Self::Mp3 => "audio/mpeg",
            Self::OggOpus if kind != ContentKind::Document => "audio/ogg; codecs=opus",
            Self::OggOpus | Self::Ogg => "audio/ogg",
            Self::Wav => "audio/wav",
            Self::Aac => "audio/aac",
            Self::Pdf => "application/pdf",
            Self::Exactly(mimetype) => mimetype,
            Self::Zip
            | Self::Ole
            | Self::Office(_)
            | Self::Protected
            | Self::Text(_)
            | Self::Unknown => return None,
        };
        Some(mimetype)
    }
}

/// The files of the MPEG-4 family differ in their major brand.
fn of_brand(brand: &[u8]) -> Format {
    match brand {
        b"M4A " | b"M4B " => Format::M4a,
        b"qt  " => Format::Mov,
        // HEIC and AVIF share the container; phones do not show them as images.
        b"heic" | b"heix" | b"hevc" | b"mif1" | b"msf1" | b"avif" | b"avis" => {
            Format::Exactly(if brand.starts_with(b"avi") { "image/avif" } else { "image/heic" })
        }
        _ if brand.starts_with(b"3g") => Format::ThreeGp,
        _ => Format::Mp4,
    }
}

/// Matroska names its document type at its beginning; phones play only WebM.
fn of_matroska(head: &[u8]) -> Format {
    let start = &head[..head.len().min(64)];
    match start.windows(4).any(|window| window == b"webm") {
        true if has_no_pictures(head) => Format::WebmAudio,
        true => Format::Webm,
        false => Format::Exactly("video/x-matroska"),
    }
}

/// The tracks come before the content, and name their codecs.
fn has_no_pictures(head: &[u8]) -> bool {
    let names = |prefix: &[u8]| head.windows(prefix.len()).any(|window| window == prefix);
    (names(b"A_OPUS") || names(b"A_VORBIS")) && !names(b"V_VP") && !names(b"V_AV1")
}

/// The first packet of an Ogg stream names its codec.
fn of_ogg(head: &[u8]) -> Format {
    let segments = head.get(26).copied().map_or(0, usize::from);
    let packet = head.get(27 + segments..).unwrap_or_default();
    match packet {
        _ if packet.starts_with(b"OpusHead") => Format::OggOpus,
        _ if packet.starts_with(b"\x01vorbis") => Format::Ogg,
        _ => Format::Unknown,
    }
}

/// The tag that MP3 files begin with stands before other sounds, too.
fn of_tagged(head: &[u8]) -> Format {
    let size = mp3::tag_bytes(head).and_then(|size| usize::try_from(size).ok());
    match size.and_then(|size| head.get(size..)) {
        Some(sound) if is_adts_frame(sound) => Format::Aac,
        Some(sound) if sound.starts_with(b"fLaC") => Format::Exactly("audio/flac"),
        _ => Format::Mp3,
    }
}

/// An AAC frame as it is streamed, followed by another one where that is in sight.
fn is_adts_frame(head: &[u8]) -> bool {
    let &[0xff, second, third, fourth, fifth, sixth, ..] = head else { return false };
    let is_known_rate = (third >> 2) & 15 < 13;
    let length = usize::from(fourth & 3) << 11 | usize::from(fifth) << 3 | usize::from(sixth >> 5);
    second & 0xf6 == 0xf0
        && is_known_rate
        && length > 7
        && head.get(length..length + 2).is_none_or(|next| next[0] == 0xff && next[1] == second)
}

/// What a text is, by its beginning.
fn of_text(head: &[u8]) -> Format {
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let begins =
        |word: &str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let is_xml = begins("<?xml");
    match () {
        () if begins("{\\rtf") => Format::Exactly(types::RTF),
        () if begins("BEGIN:VCARD") => Format::Exactly(types::VCARD),
        () if begins("BEGIN:VCALENDAR") => Format::Exactly(types::CALENDAR),
        () if begins("<svg") || (is_xml && text.contains("<svg")) => Format::Exactly(types::SVG),
        () if begins("<!doctype html") || begins("<html") => Format::Text(types::HTML),
        () if is_xml => Format::Text(types::XML),
        () => Format::Text(types::PLAIN),
    }
}

/// UTF-8 without control characters, but for a character that is cut off at the end.
fn is_text(head: &[u8]) -> bool {
    let is_whole = |text: &str| !text.chars().any(|c| c.is_control() && !"\t\r\n\u{c}".contains(c));
    match std::str::from_utf8(head) {
        Ok(text) => is_whole(text),
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).is_ok_and(is_whole)
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_their_first_bytes() {
        let mp3: Vec<u8> = [&[0xff, 0xfb, 0x90, 0][..], &[0; 413], &[0xff, 0xfb, 0x90, 0]].concat();
        let adts: Vec<u8> = [&[0xff, 0xf1, 0x50, 0x80, 1, 0x7f, 0xfc][..], &[0; 6]].concat();
        let ogg = |packet: &[u8]| [&b"OggS"[..], &[0; 22], &[1, 19], packet].concat();
        let frames = mp3[..417].repeat(3);
        let cases: [(&[u8], Format); 47] = [
            (b"\xff\xd8\xff\xe0", Format::Jpeg),
            (b"\x89PNG\r\n\x1a\n", Format::Png),
            (b"GIF89a", Format::Gif),
            (b"RIFF\0\0\0\0WEBPVP8 ", Format::Webp),
            (b"RIFF\0\0\0\0WAVEfmt ", Format::Wav),
            (b"RIFF\0\0\0\0AVI LIST", Format::Exactly("video/x-msvideo")),
            (b"\0\0\0\x18ftypisom", Format::Mp4),
            (b"\0\0\0\x18ftypmp42", Format::Mp4),
            (b"\0\0\0\x18ftypM4A ", Format::M4a),
            (b"\0\0\0\x18ftypqt  ", Format::Mov),
            (b"\0\0\0\x18ftyp3gp5", Format::ThreeGp),
            (b"\0\0\0\x18ftypheic", Format::Exactly("image/heic")),
            (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", Format::Webm),
            (
                b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x88matroska",
                Format::Exactly("video/x-matroska"),
            ),
            (&ogg(b"OpusHead"), Format::OggOpus),
            (&ogg(b"\x01vorbis"), Format::Ogg),
            (&ogg(b"\x80theora"), Format::Unknown),
            (b"OggS", Format::Unknown),
            (b"ID3\x04", Format::Mp3),
            (&[b"ID3\x04\0\0\0\0\0\x02..", &adts[..10]].concat(), Format::Aac),
            (&mp3, Format::Mp3),
            (&mp3[..100], Format::Mp3),
            (&[&mp3[..417], &b"\0\0\0"[..]].concat(), Format::Unknown),
            (&[&[0; 700], &frames[..]].concat(), Format::Mp3),
            (&[&mp3[300..417], &frames[..]].concat(), Format::Mp3),
            (&[&[0; 700], &frames[..600]].concat(), Format::Unknown),
            (&adts, Format::Unknown),
            (&adts[..10], Format::Aac),
            (b"%PDF-1.7", Format::Pdf),
            (b"PK\x03\x04", Format::Zip),
            (b"\xff\xfeh\0i\0", Format::Unknown),
            ("a,b\né".as_bytes(), Format::Text(types::PLAIN)),
            (&"é".as_bytes()[..1], Format::Text(types::PLAIN)),
            (b"@PJL JOB\r\n%PDF-1.4", Format::Pdf),
            (b"\xef\xbb\xbf<!DOCTYPE HTML>", Format::Text(types::HTML)),
            (b"<?xml version='1.0'?><a/>", Format::Text(types::XML)),
            (b"<?xml version='1.0'?><svg/>", Format::Exactly(types::SVG)),
            (b"{\\rtf1 x}", Format::Exactly(types::RTF)),
            (b"begin:vcard\r\n", Format::Exactly(types::VCARD)),
            (b"BEGIN:VCALENDAR\r\n", Format::Exactly(types::CALENDAR)),
            (b"Rar!\x1a\x07\x00...", Format::Exactly("application/vnd.rar")),
            (b"7z\xbc\xaf\x27\x1c..", Format::Exactly("application/x-7z-compressed")),
            (b"\x1f\x8b\x08\0..", Format::Exactly("application/gzip")),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Format::Ole),
            (b"\x1a\x45\xdf\xa3\x9fB\x82\x84webm\x86\x86A_OPUS", Format::WebmAudio),
            (b"\x1a\x45\xdf\xa3\x9fB\x82\x84webmA_OPUS V_VP8", Format::Webm),
            (b"\0\x01\x02", Format::Unknown),
        ];
        for (head, expected) in cases {
            assert_eq!(Format::of(head), expected, "{:?}", &head[..head.len().min(16)]);
        }
    }
}
