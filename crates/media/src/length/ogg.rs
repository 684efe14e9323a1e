//! The length of an Ogg file: of each stream that follows another one, by the position of its last page.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::Path;

/// Most pages that are looked at: those of 100 MB are larger.
const PAGES_MAX: usize = 500_000;

/// A stream of sound.
struct Stream {
    serial: u32,
    /// Positions in a second.
    rate: u32,
    /// Samples at the beginning that are not played.
    pre_skip: u64,
    /// The position that its last page ends at.
    end: u64,
}

impl Stream {
    /// By the first packet.
    fn of(serial: u32, head: &[u8]) -> Option<Self> {
        let le = |at: usize| {
            Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?)).filter(|n| *n > 0)
        };
        if head.starts_with(b"OpusHead") {
            let pre_skip = u64::from(u16::from_le_bytes([*head.get(10)?, *head.get(11)?]));
            return Some(Self { serial, rate: 48_000, pre_skip, end: 0 });
        }
        let rate = head.starts_with(b"\x01vorbis").then(|| le(12))??;
        Some(Self { serial, rate, pre_skip: 0, end: 0 })
    }

    fn seconds(&self) -> f64 {
        self.end.saturating_sub(self.pre_skip) as f64 / f64::from(self.rate)
    }
}

/// The sound of a file.
#[derive(Default)]
pub(super) struct Sound {
    /// How long all its streams play.
    pub(super) seconds: f64,
    streams: usize,
}

/// Whether a file holds several streams, one after the other.
pub(crate) fn is_joined(path: &Path) -> bool {
    matches!(sound(path), Ok(Some(sound)) if sound.streams > 1)
}

/// The streams of sound; `None` when the file is not one page after the other.
pub(super) fn sound(path: &Path) -> io::Result<Option<Sound>> {
    let mut file = BufReader::new(File::open(path)?);
    let (mut sound, mut stream) = (Sound::default(), None::<Stream>);
    for _ in 0..PAGES_MAX {
        let mut header = Vec::new();
        file.by_ref().take(27).read_to_end(&mut header)?;
        if header.len() < 27 || !header.starts_with(b"OggS") {
            // A file that is cut off plays up to its end.
            let is_whole = header.len() < 27;
            sound.seconds += stream.map_or(0.0, |last| last.seconds());
            return Ok(is_whole.then_some(sound));
        }
        let le64 = |at: usize| header.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let position = le64(6).filter(|position| *position != u64::MAX);
        let serial = u32::from_le_bytes([header[14], header[15], header[16], header[17]]);
        let mut sizes = Vec::new();
        file.by_ref().take(u64::from(header[26])).read_to_end(&mut sizes)?;
        let mut content = Vec::new();
        let size = sizes.iter().map(|size| u64::from(*size)).sum();
        file.by_ref().take(size).read_to_end(&mut content)?;
        let is_first = header[5] & 2 != 0;
        if let Some(next) = is_first.then(|| Stream::of(serial, &content)).flatten() {
            sound.seconds += stream.replace(next).map_or(0.0, |last| last.seconds());
            sound.streams += 1;
        } else if let Some(stream) = stream.as_mut().filter(|stream| stream.serial == serial) {
            stream.end = position.map_or(stream.end, |position| position.max(stream.end));
        }
    }
    Ok(None)
}
