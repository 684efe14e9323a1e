//! The frames of an MP3 file, one after the other: what tags say of the whole holds for the first part
//! only when files were joined end to end.

use std::io::{self, Read, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

use crate::section::{Section, ranges};

/// How much is read at a time.
const READ_BYTES: u64 = 64 * 1024;
/// Most parts that are looked at.
const PARTS_MAX: usize = 100;
/// Frames in a row that leave no doubt.
const FRAMES_SURE: usize = 3;
/// More than the largest frame and the header of the next one.
const PEEK_BYTES: usize = 4096;
const KBITS_V1: [usize; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const KBITS_V2: [usize; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

/// The header of an MPEG audio layer III frame.
#[derive(Clone, Copy)]
struct Header {
    /// The frame's length in bytes.
    length: usize,
    samples: u32,
    rate: u32,
    is_mono: bool,
    /// Where a tag about the whole file stands in its first frame.
    tag_at: usize,
}

impl Header {
    fn of(bytes: &[u8]) -> Option<Self> {
        let &[0xff, second, third, fourth, ..] = bytes else { return None };
        let (version, layer) = ((second >> 3) & 3, (second >> 1) & 3);
        let (rate_at, bits_at) = (usize::from((third >> 2) & 3), usize::from(third >> 4));
        if second & 0xe0 != 0xe0 || version == 1 || layer != 1 || rate_at == 3 || bits_at == 0 {
            return None;
        }
        let is_v1 = version == 3;
        let (kbits, per_frame) = if is_v1 { (KBITS_V1, 144) } else { (KBITS_V2, 72) };
        let rate = [44_100_u32, 48_000, 32_000][rate_at] >> [2, 0, 1, 0][usize::from(version)];
        let kbits = kbits.get(bits_at - 1)?;
        let padding = usize::from((third >> 1) & 1);
        let length = per_frame * kbits * 1000 / usize::try_from(rate).ok()? + padding;
        let is_mono = fourth >> 6 == 3;
        let side = match (is_v1, is_mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        };
        let samples = if is_v1 { 1_152 } else { 576 };
        Some(Self { length, samples, rate, is_mono, tag_at: 4 + side })
    }
}

/// Whether a file begins with a frame, followed by another one where that is in sight.
pub(crate) fn begins(head: &[u8]) -> bool {
    Header::of(head).is_some_and(|header| {
        let next = head.get(header.length..header.length + 2);
        next.is_none_or(|next| next[0] == 0xff && next[1] == head[1])
    })
}

/// Whether several frames in a row stand somewhere in it: a recording of a stream begins in the middle
/// of one, and some writers put zeros first.
pub(crate) fn is_within(head: &[u8]) -> bool {
    (0..head.len()).any(|start| {
        let mut at = start;
        (0..FRAMES_SURE).all(|_| {
            let header = head.get(at..).and_then(Header::of);
            at += header.map_or(0, |header| header.length);
            header.is_some()
        })
    })
}

/// Where each part begins and ends: the sound of one part has one rate and one number of channels.
pub(crate) fn parts(path: &Path) -> io::Result<Vec<Range<u64>>> {
    let mut frames = Frames::open(Section::whole(path)?);
    let (mut starts, mut current, mut changed) = (vec![0], None, None);
    while let Some(header) = frames.next_frame()? {
        let sound = (header.rate, header.is_mono);
        if *current.get_or_insert(sound) == sound {
            changed = None;
            continue;
        }
        // One frame alone is damage.
        match changed.take().filter(|(next, _)| *next == sound) {
            Some((_, at)) if starts.len() < PARTS_MAX => {
                starts.push(at);
                current = Some(sound);
            }
            _ => changed = Some((sound, frames.frame_at())),
        }
    }
    Ok(ranges(&starts, frames.file.len()))
}

/// How long all frames play.
pub(crate) fn seconds(path: &Path) -> io::Result<f64> {
    let mut frames = Frames::open(Section::whole(path)?);
    let mut seconds = 0.0;
    while let Some(header) = frames.next_frame()? {
        seconds += f64::from(header.samples) / f64::from(header.rate);
    }
    Ok((seconds - frames.silence_s).max(0.0))
}

/// Reads the frames of sound, without tags and whatever else is between them.
pub(crate) struct Frames {
    file: Section,
    /// What was read of the file, and how much of it is done with.
    seen: Vec<u8>,
    used: usize,
    /// Where the file is read next.
    seen_to: u64,
    /// The bytes of the last frame, and how many of them were read.
    frame: Vec<u8>,
    at: usize,
    /// Whether the last frame ended where the next one begins.
    is_synced: bool,
    /// What encoders added at the ends and players leave out, by the tags that were met.
    silence_s: f64,
}

impl Frames {
    pub(crate) fn open(file: Section) -> Self {
        Self {
            file,
            seen: Vec::new(),
            seen_to: 0,
            used: 0,
            frame: Vec::new(),
            at: 0,
            is_synced: false,
            silence_s: 0.0,
        }
    }

    /// Where the last frame begins.
    fn frame_at(&self) -> u64 {
        self.seen_to - (self.seen.len() - self.used + self.frame.len()) as u64
    }

    fn next_frame(&mut self) -> io::Result<Option<Header>> {
        loop {
            let is_synced = self.is_synced;
            let seen = self.peek()?;
            if seen.len() < 4 {
                return Ok(None);
            }
            if let Some(size) = tag_bytes(seen) {
                self.skip(size)?;
                continue;
            }
            let header = Header::of(seen)
                .filter(|header| is_synced || seen.get(header.length..).is_none_or(starts_well));
            let Some(header) = header else {
                self.is_synced = false;
                self.skip_garbage();
                continue;
            };
            self.is_synced = true;
            let seen = &self.seen[self.used..];
            let length = header.length.min(seen.len());
            self.frame.clear();
            self.frame.extend_from_slice(&seen[..length]);
            (self.used, self.at) = (self.used + length, 0);
            if self.is_about_the_whole(header) {
                continue;
            }
            return Ok(Some(header));
        }
    }

    /// The next bytes, enough for a frame and the header of the next one unless the file ends.
    fn peek(&mut self) -> io::Result<&[u8]> {
        while self.seen.len() - self.used < PEEK_BYTES {
            self.seen.drain(..self.used);
            self.used = 0;
            let before = self.seen.len();
            self.file.by_ref().take(READ_BYTES).read_to_end(&mut self.seen)?;
            self.seen_to += (self.seen.len() - before) as u64;
            if self.seen.len() == before {
                break;
            }
        }
        Ok(&self.seen[self.used..])
    }

    fn skip(&mut self, size: u64) -> io::Result<()> {
        let here = self.seen.len() - self.used;
        match usize::try_from(size) {
            Ok(size) if size <= here => self.used += size,
            _ => {
                self.used = self.seen.len();
                let beyond = size - u64::try_from(here).unwrap_or(size);
                let at = self.seen_to.saturating_add(beyond).min(self.file.len());
                self.seen_to = self.file.seek(SeekFrom::Start(at))?;
            }
        }
        Ok(())
    }

    /// Up to the next byte that may begin a frame or a tag.
    fn skip_garbage(&mut self) {
        let rest = self.seen.iter().skip(self.used + 1);
        let next = rest.clone().position(|byte| matches!(byte, 0xff | b'I' | b'T' | b'A'));
        self.used += next.unwrap_or(rest.len()) + 1;
    }

    /// Whether a frame holds no sound but a tag, which encoders put into the first one.
    fn is_about_the_whole(&mut self, header: Header) -> bool {
        let tag = self.frame.get(header.tag_at..).unwrap_or_default();
        if tag.starts_with(b"Xing") || tag.starts_with(b"Info") {
            // What LAME says of the samples that it added, if it wrote the tag.
            if let Some(&[a, b, c]) = tag.get(141..144) {
                let (a, b, c) = (u32::from(a), u32::from(b), u32::from(c));
                let added = (a << 4 | b >> 4) + ((b & 15) << 8 | c);
                self.silence_s += f64::from(added) / f64::from(header.rate);
            }
            return true;
        }
        self.frame.get(36..40) == Some(b"VBRI")
    }
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.frame.len() && self.next_frame()?.is_none() {
            return Ok(0);
        }
        let rest = &self.frame[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

/// The size of the tag that begins here.
pub(crate) fn tag_bytes(bytes: &[u8]) -> Option<u64> {
    match bytes {
        [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] if (*a | *b | *c | *d) < 0x80 => {
            let size = [a, b, c, d].iter().fold(0, |size, part| size << 7 | u64::from(**part));
            let footer = if flags & 0x10 == 0 { 0 } else { 10 };
            Some(10 + size + footer)
        }
        [b'T', b'A', b'G', ..] => Some(128),
        [b'A', b'P', b'E', b'T', b'A', b'G', b'E', b'X', _, _, _, _, a, b, c, d, ..] => {
            Some(32 + u64::from(u32::from_le_bytes([*a, *b, *c, *d])))
        }
        _ => None,
    }
}

/// Whether a frame or a tag begins here, or the file ends.
fn starts_well(bytes: &[u8]) -> bool {
    bytes.len() < 4 || Header::of(bytes).is_some() || tag_bytes(bytes).is_some()
}
