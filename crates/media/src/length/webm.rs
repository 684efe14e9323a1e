//! The parts of a WebM file, one for each file that was joined to it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

use crate::section::ranges;

/// Most parts that are looked at.
const PARTS_MAX: usize = 100;
/// Most elements that are looked at: recordings name no sizes but those of their blocks.
const ELEMENTS_MAX: usize = 200_000;
/// What each file begins with.
const HEADER: u32 = 0x1a45_dfa3;
const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1f43_b675;

/// Where each part begins and ends.
pub(crate) fn parts(path: &Path) -> io::Result<Vec<Range<u64>>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let (mut starts, mut at) = (Vec::new(), 0);
    for _ in 0..ELEMENTS_MAX {
        let Some(element) = Element::at(&mut file, at)? else { break };
        if element.id == HEADER {
            starts.push(at);
        }
        let next = match (element.size, element.id) {
            (Some(size), _) => element.content.saturating_add(size),
            // Whatever is inside follows.
            (None, SEGMENT | CLUSTER) => element.content,
            (None, _) => break,
        };
        at = next;
        if at >= end || starts.len() == PARTS_MAX {
            break;
        }
    }
    if starts.first() != Some(&0) {
        starts.insert(0, 0);
    }
    Ok(ranges(&starts, end))
}

struct Element {
    id: u32,
    /// Where its content begins.
    content: u64,
    /// The size of its content; `None` where the writer did not know it.
    size: Option<u64>,
}

impl Element {
    fn at(file: &mut File, at: u64) -> io::Result<Option<Self>> {
        let mut header = Vec::new();
        file.seek(SeekFrom::Start(at))?;
        file.by_ref().take(12).read_to_end(&mut header)?;
        Ok(Self::of(&header, at))
    }

    fn of(header: &[u8], at: u64) -> Option<Self> {
        // The zeros at the beginning say how many bytes follow.
        let width = |first: u8| usize::try_from(first.leading_zeros()).map(|zeros| zeros + 1).ok();
        let id_width = width(*header.first()?).filter(|width| *width <= 4)?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let id = u32::try_from(number(header.get(..id_width)?)).ok()?;
        let size_width = width(*header.get(id_width)?).filter(|width| *width <= 8)?;
        let size = number(header.get(id_width..id_width + size_width)?);
        let unknown = (1 << (7 * size_width)) - 1;
        let size = size & unknown;
        let content = at + (id_width + size_width) as u64;
        Some(Self { id, content, size: (size != unknown).then_some(size) })
    }
}
