//! Whether a picture is all there, as far as its frame shows; nothing is decoded.

/// Whether a JPEG, PNG or WebP ends before its end. What begins in no such way, or is not built as they are, is
/// not judged here.
pub fn is_cut_off(bytes: &[u8]) -> bool {
    if let Some(segments) = bytes.strip_prefix(b"\xff\xd8") {
        is_jpeg_cut_off(segments)
    } else if let Some(chunks) = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n") {
        has(chunks, 4, b"IHDR") && is_png_cut_off(chunks)
    } else {
        bytes.starts_with(b"RIFF") && has(bytes, 8, b"WEBP") && is_webp_cut_off(bytes)
    }
}

/// Whether a name stands at a place.
fn has(bytes: &[u8], at: usize, name: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(name))
}

/// A JPEG is segments up to its picture, which ends with a mark; a small picture in a segment has one as well.
fn is_jpeg_cut_off(mut rest: &[u8]) -> bool {
    loop {
        rest = match rest {
            [0xff, 0xda, picture @ ..] => {
                return !picture.windows(2).rev().any(|pair| pair == [0xff, 0xd9]);
            }
            [0xff, 0xd9, ..] => return false,
            // A filler, and marks that stand alone.
            [0xff, 0xff, ..] => &rest[1..],
            [0xff, 0x01 | 0xd0..=0xd8, after @ ..] => after,
            [0xff, _, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                match rest.get(2 + length.max(2)..) {
                    Some(after) => after,
                    None => return true,
                }
            }
            [] | [0xff, ..] => return true,
            _ => return false,
        };
    }
}

/// A PNG is chunks with their lengths; the last one has a name of its own.
fn is_png_cut_off(mut rest: &[u8]) -> bool {
    while let [a, b, c, d, name @ ..] = rest {
        let length = u64::from(u32::from_be_bytes([*a, *b, *c, *d]));
        if name.starts_with(b"IEND") {
            return false;
        }
        // Its name stands before it, a checksum behind.
        let after = usize::try_from(length + 8).ok().and_then(|end| name.get(end..));
        match after {
            Some(after) => rest = after,
            None => return true,
        }
    }
    true
}

/// A WebP says how long it is; some are made without the last byte, which only fills up.
fn is_webp_cut_off(bytes: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = bytes.get(4..8) else { return true };
    let length = u64::from(u32::from_le_bytes([a, b, c, d])) + 8;
    bytes.len() as u64 + 1 < length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg(picture: &[u8]) -> Vec<u8> {
        // Its first segment holds a small picture, with an end of its own.
        let small = [0xff, 0xe1, 0, 8, 0xff, 0xd8, b'x', b'x', 0xff, 0xd9];
        [&[0xff, 0xd8][..], &small, &[0xff, 0xff, 0xda, 0, 2], picture].concat()
    }

    fn png(chunks: &[(&[u8; 4], usize)]) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        for (name, length) in chunks {
            bytes.extend(u32::try_from(*length).unwrap().to_be_bytes());
            bytes.extend(*name);
            bytes.extend(vec![0; length + 4]);
        }
        bytes
    }

    #[test]
    fn pictures_that_end_before_their_end() {
        let whole_jpeg = jpeg(b"picture\xff\xd9");
        let whole_png = png(&[(b"IHDR", 13), (b"IDAT", 9), (b"IEND", 0)]);
        let webp = b"RIFF\x0c\0\0\0WEBPVP8 \0\0\0\0".to_vec();
        for whole in [&whole_jpeg, &whole_png, &webp] {
            assert!(!is_cut_off(whole), "{whole:?}");
            assert!(!is_cut_off(&[&whole[..], b"what follows it"].concat()), "{whole:?}");
        }
        // The names of the last chunks are all that counts of them.
        for end in 16..whole_png.len() - 4 {
            assert!(is_cut_off(&whole_png[..end]), "a PNG of {end} bytes");
        }
        for end in 2..whole_jpeg.len() {
            assert!(is_cut_off(&whole_jpeg[..end]), "a JPEG of {end} bytes");
        }
        assert!(!is_cut_off(&webp[..webp.len() - 1]), "it only fills up");
        assert!(is_cut_off(&webp[..webp.len() - 2]));
        assert!(is_cut_off(&png(&[(b"IHDR", 13), (b"IDAT", 9)])));
        for marks in [&b"\xff\xd9"[..], b"\xff\xd0\xff\x01\xff\xd9", b"\xff\xe0\0\x02\xff\xd9"] {
            assert!(!is_cut_off(&[b"\xff\xd8", marks].concat()), "it has no picture: {marks:?}");
        }
        for other in
            [&b""[..], b"\xff", b"GIF89a", b"%PDF", b"\x89PNG\r\n\x1a\n--x", b"RIFF", b"\xff\xd8x"]
        {
            assert!(!is_cut_off(other), "{other:?}");
        }
    }
}
