//! What the boxes of an MPEG-4 file say: whether it shows pictures, and how long it plays.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

use crate::section::ranges;

/// Most boxes that are looked at.
const BOXES_MAX: usize = 20_000;
/// Largest box that is read as a whole.
const BOX_BYTES_MAX: u64 = 1024 * 1024;
/// Most tracks that are looked at.
const TRACKS_MAX: usize = 32;
/// Most joined files that are looked at.
const PARTS_MAX: usize = 100;

/// What a file is, by its movie box.
#[derive(Debug, Default)]
pub(crate) struct Movie {
    /// Whether there is a track of pictures.
    pub(crate) has_pictures: bool,
    /// Whether there is a track of sound.
    pub(crate) has_sound: bool,
    /// How long it plays, where that is known.
    pub(crate) seconds: Option<f64>,
    /// Width and height as they are shown, in pixels.
    pub(crate) dimensions: Option<(u32, u32)>,
}

/// A track, as far as it matters for the length.
#[derive(Default)]
struct Track {
    id: u32,
    /// Ticks in a second.
    scale: u32,
    /// Ticks of a sample in a fragment that does not say so.
    usual_ticks: u32,
    /// Ticks of all samples in fragments.
    ticks: u64,
    dimensions: Option<(u32, u32)>,
}

/// A box: its name, where it begins, and where its content begins and ends.
#[derive(Clone, Copy)]
struct Box {
    name: [u8; 4],
    at: u64,
    start: u64,
    end: u64,
}

/// Reads the movie box, and the fragments that follow it; `None` when there is no movie box.
pub(crate) fn movie(path: &Path) -> io::Result<Option<Movie>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let mut boxes = Boxes { file: &mut file, left: BOXES_MAX };
    let whole = Box { name: *b"file", at: 0, start: 0, end };
    let top = boxes.children(whole)?;
    let Some(movie_box) = top.iter().find(|found| &found.name == b"moov") else {
        return Ok(None);
    };
    let inside = boxes.children(*movie_box)?;
    let (mut movie, mut tracks) = (Movie::default(), Vec::new());
    for track in inside.iter().filter(|found| &found.name == b"trak").take(TRACKS_MAX) {
        let (track, handler) = boxes.track(*track)?;
        if &handler == b"vide" {
            movie.has_pictures = true;
            movie.dimensions = movie.dimensions.or(track.dimensions);
        }
        movie.has_sound |= &handler == b"soun";
        tracks.push(track);
    }
    let (scale, announced) = boxes.header(&inside)?;
    movie.seconds = ratio(announced, scale);
    if let Some(extends) = inside.iter().find(|found| &found.name == b"mvex") {
        let extends = boxes.children(*extends)?;
        let whole = boxes.fragment_duration(&extends)?.and_then(|ticks| ratio(ticks, scale));
        boxes.read_defaults(&extends, &mut tracks)?;
        for fragment in top.iter().filter(|found| &found.name == b"moof") {
            boxes.add_fragment(*fragment, &mut tracks)?;
        }
        let length = |track: &Track| ratio(track.ticks, track.scale);
        let fragments = tracks.iter().filter_map(length).reduce(f64::max);
        movie.seconds = whole.or(match (movie.seconds, fragments) {
            (Some(before), Some(fragments)) => Some(before + fragments),
            (before, fragments) => fragments.or(before),
        });
    }
    Ok(Some(movie))
}

/// Where each of the files that were joined begins and ends: with its type, and with a movie box.
pub(crate) fn parts(path: &Path) -> io::Result<Vec<Range<u64>>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let mut boxes = Boxes { file: &mut file, left: BOXES_MAX };
    let (mut starts, mut has_movie) = (vec![0], false);
    for found in boxes.children(Box { name: *b"file", at: 0, start: 0, end })? {
        if &found.name == b"ftyp" && has_movie && starts.len() < PARTS_MAX {
            starts.push(found.at);
            has_movie = false;
        }
        has_movie |= &found.name == b"moov";
    }
    if !has_movie && starts.len() > 1 {
        starts.pop();
    }
    Ok(ranges(&starts, end))
}

/// Width and height in a track's header, turned as the matrix before them turns the pictures.
fn shown_size(header: &[u8]) -> Option<(u32, u32)> {
    let matrix = if header.first() == Some(&1) { 52 } else { 40 };
    let whole = |at| be32(header, matrix + at).map(|fixed| fixed >> 16);
    let (width, height) = (whole(36)?, whole(40)?);
    let is_turned = be32(header, matrix) == Some(0) && be32(header, matrix + 4) != Some(0);
    let size = if is_turned { (height, width) } else { (width, height) };
    (width > 0 && height > 0).then_some(size)
}

/// Seconds; `None` for what stands for an unknown length.
fn ratio(ticks: u64, scale: u32) -> Option<f64> {
    let is_known = ticks > 0 && ticks != u64::from(u32::MAX) && ticks != u64::MAX && scale > 0;
    is_known.then(|| ticks as f64 / f64::from(scale))
}

struct Boxes<'a> {
    file: &'a mut File,
    /// How many boxes may still be looked at.
    left: usize,
}

impl Boxes<'_> {
    /// The boxes inside another one.
    fn children(&mut self, parent: Box) -> io::Result<Vec<Box>> {
        let mut found = Vec::new();
        let mut at = parent.start;
        while self.left > 0 && at.saturating_add(8) <= parent.end {
            self.left -= 1;
            self.file.seek(SeekFrom::Start(at))?;
            let mut header = [0; 16];
            self.file.read_exact(&mut header[..8])?;
            let (size, content) = match be32(&header, 0) {
                Some(0) | None => (parent.end - at, 8),
                Some(1) => {
                    self.file.read_exact(&mut header[8..])?;
                    (be64(&header, 8).unwrap_or_default(), 16)
                }
                Some(short) => (u64::from(short), 8),
            };
            let next = at.saturating_add(size);
            if size < content || next > parent.end {
                break;
            }
            let name = [header[4], header[5], header[6], header[7]];
            found.push(Box { name, at, start: at + content, end: next });
            at = next;
        }
        Ok(found)
    }

    fn read(&mut self, found: Box) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.file.seek(SeekFrom::Start(found.start))?;
        let size = (found.end - found.start).min(BOX_BYTES_MAX);
        self.file.by_ref().take(size).read_to_end(&mut content)?;
        Ok(content)
    }

    fn read_named(&mut self, among: &[Box], name: &[u8; 4]) -> io::Result<Option<Vec<u8>>> {
        let found = among.iter().find(|found| &found.name == name);
        found.map(|found| self.read(*found)).transpose()
    }

    /// The ticks in a second, and those of the whole.
    fn header(&mut self, movie: &[Box]) -> io::Result<(u32, u64)> {
        let header = self.read_named(movie, b"mvhd")?.unwrap_or_default();
        Ok(match header.first() {
            Some(1) => (be32(&header, 20).unwrap_or(0), be64(&header, 24).unwrap_or(0)),
            _ => (be32(&header, 12).unwrap_or(0), be32(&header, 16).map_or(0, u64::from)),
        })
    }

    /// A track, and the name of what handles it.
    fn track(&mut self, track: Box) -> io::Result<(Track, [u8; 4])> {
        let inside = self.children(track)?;
        let header = self.read_named(&inside, b"tkhd")?.unwrap_or_default();
        let id = be32(&header, if header.first() == Some(&1) { 20 } else { 12 }).unwrap_or(0);
        let dimensions = shown_size(&header);
        let media = inside.iter().find(|found| &found.name == b"mdia");
        let media = media.map_or(Ok(Vec::new()), |media| self.children(*media))?;
        let header = self.read_named(&media, b"mdhd")?.unwrap_or_default();
        let scale = be32(&header, if header.first() == Some(&1) { 20 } else { 12 }).unwrap_or(0);
        let handler = self.read_named(&media, b"hdlr")?.unwrap_or_default();
        let handler = handler.get(8..12).and_then(|name| name.try_into().ok()).unwrap_or_default();
        Ok((Track { id, scale, dimensions, ..Track::default() }, handler))
    }

    /// The length of all fragments, which some writers know.
    fn fragment_duration(&mut self, extends: &[Box]) -> io::Result<Option<u64>> {
        let Some(header) = self.read_named(extends, b"mehd")? else { return Ok(None) };
        Ok(match header.first() {
            Some(1) => be64(&header, 4),
            _ => be32(&header, 4).map(u64::from),
        })
    }

    fn read_defaults(&mut self, extends: &[Box], tracks: &mut [Track]) -> io::Result<()> {
        for found in extends.iter().filter(|found| &found.name == b"trex").take(TRACKS_MAX) {
            let content = self.read(*found)?;
            let id = be32(&content, 4);
            if let Some(track) = tracks.iter_mut().find(|track| Some(track.id) == id) {
                track.usual_ticks = be32(&content, 12).unwrap_or(0);
            }
        }
        Ok(())
    }

    fn add_fragment(&mut self, fragment: Box, tracks: &mut [Track]) -> io::Result<()> {
        for part in self.children(fragment)?.iter().filter(|part| &part.name == b"traf") {
            let inside = self.children(*part)?;
            let header = self.read_named(&inside, b"tfhd")?.unwrap_or_default();
            let id = be32(&header, 4);
            let Some(track) = tracks.iter_mut().find(|track| Some(track.id) == id) else {
                continue;
            };
            let usual = usual_ticks(&header).unwrap_or(track.usual_ticks);
            for run in inside.iter().filter(|run| &run.name == b"trun") {
                let ticks = run_ticks(&self.read(*run)?, usual);
                track.ticks = track.ticks.saturating_add(ticks.unwrap_or(0));
            }
        }
        Ok(())
    }
}

/// The ticks of a sample that the header of a fragment names.
fn usual_ticks(header: &[u8]) -> Option<u32> {
    let flags = be32(header, 0)?;
    let before = [(1, 8), (2, 4)].iter().filter(|(flag, _)| flags & flag != 0);
    let at = 8 + before.map(|(_, size)| size).sum::<usize>();
    (flags & 8 != 0).then(|| be32(header, at))?
}

/// The ticks of a run of samples.
fn run_ticks(run: &[u8], usual: u32) -> Option<u64> {
    let flags = be32(run, 0)?;
    let count = be32(run, 4)?;
    if flags & 0x100 == 0 {
        return Some(u64::from(count) * u64::from(usual));
    }
    let optional = |all: &[u32]| all.iter().filter(|flag| flags & **flag != 0).count() * 4;
    let first = 8 + optional(&[1, 4]);
    let sample = optional(&[0x100, 0x200, 0x400, 0x800]);
    let samples = run.get(first..)?.chunks_exact(sample).take(usize::try_from(count).ok()?);
    Some(samples.filter_map(|sample| be32(sample, 0)).map(u64::from).sum())
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
