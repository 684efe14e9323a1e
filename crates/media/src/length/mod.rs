//! The duration of a file, from its headers; of files joined end to end, from all of them.

pub(crate) mod mp3;
pub(crate) mod mpeg4;
pub(crate) mod ogg;
pub(crate) mod wav;

use std::path::Path;

use crate::format::Format;
use crate::voice;

/// Seconds, rounded; `None` where they are not known.
pub(crate) fn seconds(format: Format, path: &Path) -> Option<u32> {
    let seconds = match format {
        Format::Mp4 | Format::Mov | Format::ThreeGp | Format::ThreeGpAudio | Format::M4a => {
            mpeg4::movie(path).ok().flatten()?.seconds?
        }
        Format::Mp3 => mp3::seconds(path).ok()?,
        Format::Ogg | Format::OggOpus => ogg::sound(path).ok().flatten()?.seconds,
        Format::Wav => wav::seconds(path).ok().flatten()?,
        Format::Webm | Format::WebmAudio => voice::announced_seconds(path)?,
        _ => return None,
    };
    voice::whole_seconds(seconds)
}
