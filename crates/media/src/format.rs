//! A file's format, by its first bytes.

use domain::message::ContentKind;

/// How much of a file is read to detect its format.
pub(crate) const HEAD_BYTES: usize = 4096;

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
    M4a,
    Webm,
    Mp3,
    OggOpus,
    Ogg,
    Wav,
    Aac,
    Pdf,
    Zip,
    /// Anything else, if it can be read as text.
    Text,
    Unknown,
}

impl Format {
    /// Detects the format from a file's first bytes.
    pub(crate) fn of(head: &[u8]) -> Self {
        let is_riff = |form: &[u8]| head.starts_with(b"RIFF") && head.get(8..12) == Some(form);
        match head {
            _ if head.starts_with(b"\xff\xd8\xff") => Self::Jpeg,
            _ if head.starts_with(b"\x89PNG\r\n\x1a\n") => Self::Png,
            _ if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") => Self::Gif,
            _ if is_riff(b"WEBP") => Self::Webp,
            _ if is_riff(b"WAVE") => Self::Wav,
            _ if head.get(4..8) == Some(b"ftyp") => of_brand(head.get(8..12).unwrap_or_default()),
            _ if is_webm(head) => Self::Webm,
            _ if head.starts_with(b"OggS") => of_ogg(head),
            _ if head.starts_with(b"ID3") || is_mp3_frame(head) => Self::Mp3,
            _ if is_adts_frame(head) => Self::Aac,
            _ if head.starts_with(b"%PDF-") => Self::Pdf,
            _ if head.starts_with(b"PK\x03\x04") => Self::Zip,
            _ if is_text(head) => Self::Text,
            _ => Self::Unknown,
        }
    }

    /// The kinds it may be sent as, besides document; the usual one first.
    pub(crate) fn kinds(self) -> &'static [ContentKind] {
        match self {
            Self::Jpeg | Self::Png | Self::Gif | Self::Webp => &[ContentKind::Image],
            Self::Mp4 | Self::ThreeGp => &[ContentKind::Video, ContentKind::Audio],
            Self::Mov | Self::Webm => &[ContentKind::Video],
            Self::M4a | Self::Mp3 | Self::OggOpus | Self::Ogg | Self::Wav | Self::Aac => {
                &[ContentKind::Audio]
            }
            Self::Pdf | Self::Zip | Self::Text | Self::Unknown => &[],
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
            Self::Webm => "video/webm",
            Self::Mp3 => "audio/mpeg",
            Self::OggOpus => "audio/ogg; codecs=opus",
            Self::Ogg => "audio/ogg",
            Self::Wav => "audio/wav",
            Self::Aac => "audio/aac",
            Self::Pdf => "application/pdf",
            Self::Zip | Self::Text | Self::Unknown => return None,
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
        b"heic" | b"heix" | b"hevc" | b"mif1" | b"msf1" | b"avif" | b"avis" => Format::Unknown,
        _ if brand.starts_with(b"3g") => Format::ThreeGp,
        _ => Format::Mp4,
    }
}

/// Matroska names its document type at its beginning; phones play only WebM.
fn is_webm(head: &[u8]) -> bool {
    let start = &head[..head.len().min(64)];
    head.starts_with(b"\x1a\x45\xdf\xa3") && start.windows(4).any(|window| window == b"webm")
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

/// An MPEG audio layer III frame, followed by another one where that is in sight.
fn is_mp3_frame(head: &[u8]) -> bool {
    const KBITS_V1: [usize; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const KBITS_V2: [usize; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let &[0xff, second, third, ..] = head else { return false };
    let (version, layer) = ((second >> 3) & 3, (second >> 1) & 3);
    let (rate_at, bits_at) = (usize::from((third >> 2) & 3), usize::from(third >> 4));
    if second & 0xe0 != 0xe0 || version == 1 || layer != 1 || rate_at == 3 || bits_at == 0 {
        return false;
    }
    let (kbits, per_frame) = if version == 3 { (KBITS_V1, 144) } else { (KBITS_V2, 72) };
    let rate = [44_100, 48_000, 32_000][rate_at] >> [2, 0, 1, 0][usize::from(version)];
    let Some(kbits) = kbits.get(bits_at - 1) else { return false };
    let next = per_frame * kbits * 1000 / rate + usize::from((third >> 1) & 1);
    head.get(next..next + 2).is_none_or(|next| next[0] == 0xff && next[1] == second)
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
        let cases: [(&[u8], Format); 30] = [
            (b"\xff\xd8\xff\xe0", Format::Jpeg),
            (b"\x89PNG\r\n\x1a\n", Format::Png),
            (b"GIF89a", Format::Gif),
            (b"RIFF\0\0\0\0WEBPVP8 ", Format::Webp),
            (b"RIFF\0\0\0\0WAVEfmt ", Format::Wav),
            (b"RIFF\0\0\0\0AVI LIST", Format::Unknown),
            (b"\0\0\0\x18ftypisom", Format::Mp4),
            (b"\0\0\0\x18ftypmp42", Format::Mp4),
            (b"\0\0\0\x18ftypM4A ", Format::M4a),
            (b"\0\0\0\x18ftypqt  ", Format::Mov),
            (b"\0\0\0\x18ftyp3gp5", Format::ThreeGp),
            (b"\0\0\0\x18ftypheic", Format::Unknown),
            (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", Format::Webm),
            (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x88matroska", Format::Unknown),
            (&ogg(b"OpusHead"), Format::OggOpus),
            (&ogg(b"\x01vorbis"), Format::Ogg),
            (&ogg(b"\x80theora"), Format::Unknown),
            (b"OggS", Format::Unknown),
            (b"ID3\x04", Format::Mp3),
            (&mp3, Format::Mp3),
            (&mp3[..100], Format::Mp3),
            (&[&mp3[..417], &b"\0\0\0"[..]].concat(), Format::Unknown),
            (&adts, Format::Unknown),
            (&adts[..10], Format::Aac),
            (b"%PDF-1.7", Format::Pdf),
            (b"PK\x03\x04", Format::Zip),
            (b"\xff\xfeh\0i\0", Format::Unknown),
            ("a,b\né".as_bytes(), Format::Text),
            (&"é".as_bytes()[..1], Format::Text),
            (b"\0\x01\x02", Format::Unknown),
        ];
        for (head, expected) in cases {
            assert_eq!(Format::of(head), expected, "{:?}", &head[..head.len().min(16)]);
        }
    }
}
