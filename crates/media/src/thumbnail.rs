//! Small pictures of images, and stickers made of them.
//!
//! A picture is in memory as a whole while it is worked on, so that it has a limit of pixels, and the caller
//! lets one at a time be worked on.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Cursor, Seek, Write as _};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::imageops::FilterType;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder as _, ImageEncoder as _, ImageFormat,
    ImageReader, Limits, RgbaImage, imageops,
};

use crate::format::Format;

/// Most pixels of an image that is looked at: what cameras of phones make.
const PIXELS_MAX: u64 = 12_600_000;
/// Most bytes that one takes in memory.
const BYTES_MAX: u64 = 64 << 20;
/// The longer side of a small picture, in pixels.
const SIDE: u32 = 96;
/// Largest small picture, in bytes: phones show no larger ones.
const THUMBNAIL_BYTES_MAX: usize = 20 * 1024;
/// How well a small picture shows what it shows, of 100.
const QUALITY: u8 = 60;
/// Both sides of a group's picture, in pixels, of images that have as many.
const SQUARE_SIDE: u32 = 640;
/// How well it shows what it shows, of 100.
const SQUARE_QUALITY: u8 = 80;
/// Both sides of a sticker, in pixels.
pub(crate) const STICKER_SIDE: u32 = 512;

/// A small picture of an image, as JPEG; `None` when it cannot be decoded or has too many pixels.
pub(crate) fn of_image(format: Format, path: &Path) -> Option<Vec<u8>> {
    small(&decode(format, path)?)
}

/// The same of an image in memory.
pub(crate) fn of_bytes(format: Format, bytes: &[u8]) -> Option<Vec<u8>> {
    small(&decode_from(format, Cursor::new(bytes))?)
}

fn small(picture: &DynamicImage) -> Option<Vec<u8>> {
    let side = SIDE.min(picture.width().max(picture.height()));
    let picture = picture.thumbnail(side, side).into_rgb8();
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    let (width, height) = picture.dimensions();
    encoder.write_image(&picture, width, height, ExtendedColorType::Rgb8).ok()?;
    (jpeg.len() <= THUMBNAIL_BYTES_MAX).then_some(jpeg)
}

/// Makes the picture of a group of an image: its middle, as a square JPEG; `None` when it cannot be decoded or
/// has too many pixels.
pub(crate) fn make_square(format: Format, path: &Path) -> Option<Vec<u8>> {
    let picture = decode(format, path)?;
    let side = SQUARE_SIDE.min(picture.width().min(picture.height())).max(1);
    let picture = picture.resize_to_fill(side, side, FilterType::Triangle).into_rgb8();
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, SQUARE_QUALITY);
    encoder.write_image(&picture, side, side, ExtendedColorType::Rgb8).ok()?;
    Some(jpeg)
}

/// Whether an image can be made a sticker.
pub(crate) fn is_sticker_source(format: Format) -> bool {
    matches!(format, Format::Jpeg | Format::Png | Format::Webp)
}

/// Makes a sticker of an image: a square with nothing around the image; `None` when it cannot be decoded.
pub(crate) fn make_sticker(format: Format, source: &Path, target: &File) -> Option<()> {
    let picture = decode(format, source)?.resize(STICKER_SIDE, STICKER_SIDE, FilterType::Triangle);
    let picture = picture.into_rgba8();
    let mut square = RgbaImage::new(STICKER_SIDE, STICKER_SIDE);
    let [x, y] =
        [picture.width(), picture.height()].map(|side| i64::from((STICKER_SIDE - side) / 2));
    imageops::overlay(&mut square, &picture, x, y);
    let mut target = BufWriter::new(target);
    let encoder = WebPEncoder::new_lossless(&mut target);
    encoder.write_image(&square, STICKER_SIDE, STICKER_SIDE, ExtendedColorType::Rgba8).ok()?;
    target.flush().ok()
}

fn decode(format: Format, path: &Path) -> Option<DynamicImage> {
    decode_from(format, BufReader::new(File::open(path).ok()?))
}

fn decode_from(format: Format, source: impl BufRead + Seek) -> Option<DynamicImage> {
    let format = match format {
        Format::Jpeg => ImageFormat::Jpeg,
        Format::Png => ImageFormat::Png,
        Format::Webp => ImageFormat::WebP,
        _ => return None,
    };
    let mut reader = ImageReader::with_format(source, format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return None;
    }
    let orientation = decoder.orientation().ok()?;
    let mut picture = DynamicImage::from_decoder(decoder).ok()?;
    picture.apply_orientation(orientation);
    Some(picture)
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    fn file(width: u32, height: u32, format: ImageFormat) -> tempfile::NamedTempFile {
        let picture =
            RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, (x ^ y) as u8]));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        picture.write_to(&mut file, format).unwrap();
        file
    }

    #[test]
    fn a_small_picture_keeps_the_shape() {
        let cases = [(ImageFormat::Jpeg, Format::Jpeg), (ImageFormat::Png, Format::Png)];
        for (kind, format) in cases {
            let file = file(1_200, 600, kind);
            let jpeg = of_image(format, file.path()).unwrap();
            assert!(jpeg.len() <= THUMBNAIL_BYTES_MAX);
            let small = image::load_from_memory(&jpeg).unwrap();
            assert_eq!((small.width(), small.height()), (96, 48));
        }
    }

    #[test]
    fn what_is_no_image_or_too_large_has_none() {
        let mut broken = tempfile::NamedTempFile::new().unwrap();
        broken.write_all(b"\xff\xd8\xff\xe0 and nothing more").unwrap();
        assert_eq!(of_image(Format::Jpeg, broken.path()), None);
        assert_eq!(of_image(Format::Pdf, broken.path()), None);
        // A header that announces more pixels than are looked at.
        let png = file(2, 2, ImageFormat::Png);
        let mut bytes = std::fs::read(png.path()).unwrap();
        bytes[16..24].copy_from_slice(&[0, 0, 0x7f, 0xff, 0, 0, 0x7f, 0xff]);
        std::fs::write(png.path(), bytes).unwrap();
        assert_eq!(of_image(Format::Png, png.path()), None);
    }

    #[test]
    fn an_image_becomes_a_square_sticker() {
        let source = file(1_000, 500, ImageFormat::Jpeg);
        let target = tempfile::NamedTempFile::new().unwrap();
        make_sticker(Format::Jpeg, source.path(), target.as_file()).unwrap();
        let made = image::load_from_memory(&std::fs::read(target.path()).unwrap()).unwrap();
        assert_eq!((made.width(), made.height()), (512, 512));
        let alpha = |x, y| made.to_rgba8().get_pixel(x, y).0[3];
        assert_eq!((alpha(256, 256), alpha(256, 4)), (255, 0), "nothing above and below");
    }
}
