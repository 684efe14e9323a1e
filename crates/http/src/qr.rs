//! QRs as pictures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qrcode::{EcLevel, QrCode};

/// Pixels of one module of a QR picture.
const MODULE_PIXELS: usize = 6;
/// Empty modules around a QR, as its standard asks.
const QUIET_MODULES: usize = 4;

/// Draws a QR as a PNG in a `data:` URL; `None` when the text does not fit.
pub fn qr_data_url(text: &str) -> Option<String> {
    qr_png(text).map(|picture| format!("data:image/png;base64,{}", STANDARD.encode(picture)))
}

/// Draws a QR as a PNG; `None` when the text does not fit.
pub fn qr_png(text: &str) -> Option<Vec<u8>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let modules = code.width();
    let side = (modules + 2 * QUIET_MODULES) * MODULE_PIXELS;
    let colors = code.to_colors();
    let is_dark = |x: usize, y: usize| {
        let module = |pixel: usize| (pixel / MODULE_PIXELS).checked_sub(QUIET_MODULES);
        match (module(x), module(y)) {
            (Some(x), Some(y)) if x < modules && y < modules => {
                colors[y * modules + x] == qrcode::Color::Dark
            }
            _ => false,
        }
    };
    let mut pixels = Vec::with_capacity(side * side);
    for y in 0..side {
        pixels.extend((0..side).map(|x| if is_dark(x, y) { 0 } else { 255 }));
    }
    let mut picture = Vec::new();
    let side = u32::try_from(side).ok()?;
    let mut encoder = png::Encoder::new(&mut picture, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().ok()?.write_image_data(&pixels).ok()?;
    Some(picture)
}
