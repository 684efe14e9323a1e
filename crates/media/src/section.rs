//! A part of a file, read as if it were the whole.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use symphonia::core::io::MediaSource;

pub(crate) struct Section {
    file: File,
    range: Range<u64>,
    /// Where the file is read next.
    at: u64,
}

impl Section {
    pub(crate) fn open(path: &Path, range: Range<u64>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let end = range.end.min(file.metadata()?.len());
        let range = range.start.min(end)..end;
        let at = file.seek(SeekFrom::Start(range.start))?;
        Ok(Self { file, range, at })
    }

    pub(crate) fn whole(path: &Path) -> io::Result<Self> {
        Self::open(path, 0..u64::MAX)
    }

    pub(crate) fn len(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// The ranges that begin at `starts`, which are in order, up to `end`.
pub(crate) fn ranges(starts: &[u64], end: u64) -> Vec<Range<u64>> {
    let ends = starts.iter().skip(1).copied().chain([end]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.range.end.saturating_sub(self.at);
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.file.read(&mut buffer[..wanted])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Section {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(offset) => (self.range.start.checked_add(offset), 0),
            SeekFrom::End(offset) => (Some(self.range.end), offset),
            SeekFrom::Current(offset) => (Some(self.at), offset),
        };
        let target = base.and_then(|base| base.checked_add_signed(offset));
        let target = target.filter(|target| *target >= self.range.start);
        let target = target.ok_or(io::ErrorKind::InvalidInput)?;
        self.at = self.file.seek(SeekFrom::Start(target))?;
        Ok(self.at - self.range.start)
    }
}

impl MediaSource for Section {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_read_as_if_it_were_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("digits");
        std::fs::write(&path, b"0123456789").unwrap();
        let mut section = Section::open(&path, 2..6).unwrap();
        let mut text = String::new();
        section.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), section.len()), ("2345", 4));
        assert_eq!(section.seek(SeekFrom::End(-1)).unwrap(), 3);
        assert_eq!(section.seek(SeekFrom::Current(-2)).unwrap(), 1);
        assert!(section.seek(SeekFrom::Current(-2)).is_err());
        assert_eq!(section.seek(SeekFrom::Start(9)).unwrap(), 9);
        assert_eq!(section.read(&mut [0; 4]).unwrap(), 0, "beyond its end");
        assert_eq!(Section::open(&path, 8..99).unwrap().len(), 2);
        assert_eq!(Section::whole(&path).unwrap().len(), 10);
        assert_eq!(ranges(&[0, 3], 9), [0..3, 3..9]);
    }
}
