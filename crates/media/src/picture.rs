//! Width and height of images, from their headers.

use crate::format::Format;

/// How much of an image is read; cameras put previews before the size.
pub(crate) const HEAD_BYTES: usize = 512 * 1024;

/// Width and height in pixels; `None` where they are not found.
pub(crate) fn dimensions(format: Format, head: &[u8]) -> Option<(u32, u32)> {
    let (width, height) = match format {
        Format::Png => (be32(head, 16)?, be32(head, 20)?),
        Format::Gif => (le16(head, 6)?, le16(head, 8)?),
        Format::Jpeg => jpeg(head)?,
        Format::Webp => webp(head)?,
        _ => return None,
    };
    (width > 0 && height > 0).then_some((width, height))
}

/// Whether a WebP moves.
pub(crate) fn is_animated(format: Format, head: &[u8]) -> bool {
    let is_extended = format == Format::Webp && head.get(12..16) == Some(b"VP8X");
    is_extended && head.get(20).is_some_and(|flags| flags & 0b10 != 0)
}

/// Walks over the segments to the one that begins the picture.
fn jpeg(head: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        match (*head.get(at)?, *head.get(at + 1)?) {
            (0xff, 0xff) => at += 1,
            (0xff, 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf) => {
                return Some((be16(head, at + 7)?, be16(head, at + 5)?));
            }
            (0xff, 0x01 | 0xd0..=0xd8) => at += 2,
            (0xff, _) => at += 2 + usize::try_from(be16(head, at + 2)?.max(2)).ok()?,
            _ => return None,
        }
    }
}

fn webp(head: &[u8]) -> Option<(u32, u32)> {
    match head.get(12..16)? {
        b"VP8 " => Some((le16(head, 26)? & 0x3fff, le16(head, 28)? & 0x3fff)),
        b"VP8L" => {
            let bits = le16(head, 21)? | le16(head, 23)? << 16;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => {
            let le24 = |at| Some(le16(head, at)? | u32::from(*head.get(at + 2)?) << 16);
            Some((le24(24)? + 1, le24(27)? + 1))
        }
        _ => None,
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}
