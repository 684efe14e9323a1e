//! The duration of a file, from its headers; of files joined end to end, from all of them.

pub(crate) mod mp3;
pub(crate) mod mpeg4;
pub(crate) mod ogg;
pub(crate) mod wav;
mod webm;

use std::io;
use std::ops::Range;
use std::path::Path;

use crate::format::Format;
use crate::section::ranges;
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

/// The files that were joined end to end and are to be read one by one: what one of them begins with
/// does not hold for the next.
pub(crate) fn parts(format: Format, path: &Path) -> io::Result<Vec<Range<u64>>> {
    match format {
        Format::Wav => wav::parts(path),
        Format::Mp3 => mp3::parts(path),
        Format::Webm | Format::WebmAudio => webm::parts(path),
        Format::Mp4 | Format::ThreeGp | Format::ThreeGpAudio | Format::M4a => mpeg4::parts(path),
        _ => Ok(ranges(&[0], u64::MAX)),
    }
}
