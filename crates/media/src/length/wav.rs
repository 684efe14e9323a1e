//! The parts of a WAV file, one for each file that was joined to it; and the length, by what is there,
//! because writers of streams announce what they like.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// Most parts that are looked at.
const PARTS_MAX: usize = 100;
/// Most chunks of a part that are looked at.
const CHUNKS_MAX: usize = 1_000;

/// Formats whose samples all have the same size.
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xfffe;

/// Where each part begins and ends.
pub(crate) fn parts(path: &Path) -> io::Result<Vec<Range<u64>>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let (mut parts, mut at) = (Vec::<Range<u64>>::new(), 0);
    while parts.len() < PARTS_MAX && at + 12 <= end {
        let header = read_at::<12>(&mut file, at)?;
        if !header.starts_with(b"RIFF") || &header[8..] != b"WAVE" {
            break;
        }
        let next = at + 8 + u64::from(le32(&header, 4));
        let is_last = parts.len() + 1 == PARTS_MAX || next + 12 > end;
        let part = at..if is_last { end } else { next };
        at = part.end;
        parts.push(part);
    }
    // What the header says of a whole file is not needed.
    if let [whole] = &mut parts[..] {
        whole.end = end;
    }
    Ok(parts)
}

/// Seconds of all parts; `None` when the chunks of one do not say how fast it plays.
pub(super) fn seconds(path: &Path) -> io::Result<Option<f64>> {
    let mut file = File::open(path)?;
    let mut seconds = 0.0;
    for part in parts(path)? {
        let Some(more) = part_seconds(&mut file, part)? else { return Ok(None) };
        seconds += more;
    }
    Ok(Some(seconds))
}

fn part_seconds(file: &mut File, part: Range<u64>) -> io::Result<Option<f64>> {
    let (mut at, mut bytes_per_s, mut by_samples) = (part.start + 12, None, None);
    for _ in 0..CHUNKS_MAX {
        if at + 8 > part.end {
            break;
        }
        let header = read_at::<8>(file, at)?;
        let size = u64::from(le32(&header, 4));
        match &header[..4] {
            b"fmt " => {
                let format = read_at::<16>(file, at + 8)?;
                bytes_per_s = Some(le32(&format, 8)).filter(|rate| *rate > 0);
                // What stands for a compressed sound's bytes is a guess; its samples are counted.
                let rate = Some(le32(&format, 4)).filter(|rate| *rate > 0);
                let is_plain =
                    matches!(u16::from_le_bytes([format[0], format[1]]), PCM | FLOAT | EXTENSIBLE);
                by_samples = rate.filter(|_| !is_plain);
            }
            b"fact" if size >= 4 => {
                let samples = le32(&read_at::<4>(file, at + 8)?, 0);
                let seconds = by_samples.map(|rate| f64::from(samples) / f64::from(rate));
                if let Some(seconds) = seconds.filter(|seconds| *seconds > 0.0) {
                    return Ok(Some(seconds));
                }
            }
            b"data" => {
                let there = size.min(part.end - at - 8);
                return Ok(bytes_per_s.map(|rate| there as f64 / f64::from(rate)));
            }
            _ => {}
        }
        at += 8 + size + size % 2;
    }
    Ok(None)
}

fn read_at<const N: usize>(file: &mut File, at: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
