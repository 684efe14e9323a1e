//! The duration of a file, from its headers.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::format::Format;
use crate::voice;

/// Most boxes of an MPEG-4 file that are skipped.
const BOXES_MAX: usize = 1_000;

/// Seconds, rounded, at least one; `None` where they are not known.
pub(crate) fn seconds(format: Format, path: &Path) -> Option<u32> {
    let seconds = match format {
        Format::Mp4 | Format::Mov | Format::ThreeGp | Format::M4a => mpeg4(path).ok().flatten()?,
        Format::Mp3 | Format::Ogg | Format::OggOpus | Format::Wav => {
            voice::announced_seconds(path)?
        }
        _ => return None,
    };
    voice::whole_seconds(seconds)
}

/// The movie header inside the movie box holds length and time scale.
fn mpeg4(path: &Path) -> io::Result<Option<f64>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let Some(movie) = find(&mut file, b"moov", 0, end)? else { return Ok(None) };
    let Some((start, _)) = find(&mut file, b"mvhd", movie.0, movie.1)? else { return Ok(None) };
    file.seek(SeekFrom::Start(start))?;
    let mut header = [0; 32];
    file.read_exact(&mut header)?;
    let be32 = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let (scale, length) = match header[0] {
        1 => (be32(20), f64::from(be32(24)) * 4_294_967_296.0 + f64::from(be32(28))),
        _ => (be32(12), f64::from(be32(16))),
    };
    Ok((scale > 0).then(|| length / f64::from(scale)))
}

/// Where the content of the first box of that name begins and ends.
fn find(file: &mut File, name: &[u8; 4], start: u64, end: u64) -> io::Result<Option<(u64, u64)>> {
    let mut at = start;
    for _ in 0..BOXES_MAX {
        if at.saturating_add(8) > end {
            break;
        }
        file.seek(SeekFrom::Start(at))?;
        let mut header = [0; 16];
        file.read_exact(&mut header[..8])?;
        let short = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
        let (size, content) = match short {
            0 => (end - at, 8),
            1 => {
                file.read_exact(&mut header[8..])?;
                let mut long = [0; 8];
                long.copy_from_slice(&header[8..]);
                (u64::from_be_bytes(long), 16)
            }
            short => (u64::from(short), 8),
        };
        let next = at.saturating_add(size);
        if size < content || next > end {
            break;
        }
        if &header[4..8] == name {
            return Ok(Some((at + content, next)));
        }
        at = next;
    }
    Ok(None)
}
