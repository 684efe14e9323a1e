//! How many pages a PDF has.
//!
//! Its tree of pages says so at its root, as the largest count of all. The tree is either in clear text or
//! inside compressed objects; both are searched, within limits.

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

use flate2::read::ZlibDecoder;

/// Most bytes of a file that are searched.
const FILE_BYTES_MAX: u64 = 32 << 20;
/// Most bytes of one group of compressed objects.
const STREAM_BYTES_MAX: u64 = 1 << 20;
/// Most such groups.
const STREAMS_MAX: usize = 256;
/// Most bytes of all groups together.
const UNPACKED_BYTES_MAX: u64 = 32 << 20;
/// How far after its name the bytes of a group begin.
const STREAM_WITHIN: usize = 4 * 1024;
/// How far around its type a dictionary is searched: a page takes eight bytes in it, or more.
const AROUND: usize = 64 * 1024;
/// Most bytes that are looked at around all types: each may be far from the end of its dictionary.
const STEPS_MAX: usize = 16 << 20;
/// More pages than any document has.
const PAGES_MAX: u32 = 1_000_000;

/// The number of pages; `None` where it is not found.
pub(crate) fn count(path: &Path) -> Option<u32> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let mut search = Search { steps_left: STEPS_MAX };
    let plain = search.largest_count(&bytes);
    plain.or_else(|| object_groups(&bytes).filter_map(|group| search.largest_count(&group)).max())
}

/// The work that may still be done for one file.
struct Search {
    steps_left: usize,
}

impl Search {
    /// The largest count of the trees of pages in a text.
    fn largest_count(&mut self, text: &[u8]) -> Option<u32> {
        let mut largest = None;
        let mut next = 0;
        for at in positions(text, b"/Pages") {
            if at < next || !is_type(text, at) {
                continue;
            }
            let Some(dictionary) = self.dictionary(text, at) else {
                if self.steps_left == 0 {
                    break;
                }
                continue;
            };
            next = dictionary.end;
            largest = largest.max(count_in(&text[dictionary]));
        }
        largest
    }

    /// The dictionary around a place.
    fn dictionary(&mut self, text: &[u8], at: usize) -> Option<Range<usize>> {
        let before = &text[at.saturating_sub(AROUND)..at];
        let back = self.unpaired(before.windows(2).rev(), *b"<<", *b">>")?;
        let after = &text[at..text.len().min(at + AROUND)];
        let ahead = self.unpaired(after.windows(2), *b">>", *b"<<")?;
        Some(at - back - 2..at + ahead)
    }

    /// How many pairs of bytes come before the first that has no partner of the other kind.
    fn unpaired<'t>(
        &mut self,
        pairs: impl Iterator<Item = &'t [u8]>,
        wanted: [u8; 2],
        partner: [u8; 2],
    ) -> Option<usize> {
        let (mut pairs, mut inside) = (pairs.enumerate(), 0);
        while let Some((passed, pair)) = pairs.next() {
            self.steps_left = self.steps_left.checked_sub(1)?;
            match pair {
                _ if pair == wanted && inside == 0 => return Some(passed),
                _ if pair == wanted => inside -= 1,
                _ if pair == partner => inside += 1,
                _ => continue,
            }
            // A byte belongs to one pair: `>>>>` closes two dictionaries, not three.
            pairs.next();
        }
        None
    }
}

fn count_in(dictionary: &[u8]) -> Option<u32> {
    let count = positions(dictionary, b"/Count").next()?;
    let count = number(&dictionary[count + b"/Count".len()..])?;
    (1..=PAGES_MAX).contains(&count).then_some(count)
}

/// Whether the name at this place is the value of a type.
fn is_type(text: &[u8], at: usize) -> bool {
    let is_whole = text.get(at + b"/Pages".len()).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    is_whole && text[..at].trim_ascii_end().ends_with(b"/Type")
}

fn number(text: &[u8]) -> Option<u32> {
    let text = text.trim_ascii_start();
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

/// Groups of compressed objects, as text.
fn object_groups(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let starts = positions(text, b"/ObjStm").take(STREAMS_MAX).filter_map(|at| {
        let rest = &text[at..text.len().min(at + STREAM_WITHIN)];
        let stream = positions(rest, b"stream").next()? + b"stream".len();
        let line_end = rest[stream..].iter().position(|byte| *byte == b'\n')?;
        Some(at + stream + line_end + 1)
    });
    let mut bytes_left = UNPACKED_BYTES_MAX;
    starts.map_while(move |start| {
        let bytes_max = bytes_left.min(STREAM_BYTES_MAX);
        let mut group = Vec::new();
        // One that ends early is worth what has come of it.
        drop(ZlibDecoder::new(&text[start..]).take(bytes_max).read_to_end(&mut group));
        bytes_left -= group.len() as u64;
        (bytes_max > 0).then_some(group)
    })
}

fn positions<'t>(text: &'t [u8], wanted: &'t [u8]) -> impl Iterator<Item = usize> + 't {
    let first = wanted[0];
    let candidates = text.iter().enumerate().filter(move |(_, byte)| **byte == first);
    candidates.map(|(at, _)| at).filter(move |at| text[*at..].starts_with(wanted))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    fn of(bytes: &[u8]) -> Option<u32> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        count(file.path())
    }

    #[test]
    fn the_root_of_the_tree_has_the_largest_count() {
        let tree = b"%PDF-1.4\n1 0 obj <</Type /Pages /Kids [2 0 R 3 0 R] /Count 12>> endobj\n\
            2 0 obj <</Count 5 /Parent 1 0 R /Resources <</A <</B 1>> >> /Type/Pages>> endobj\n4 0 obj <</Type/Page>> endobj";
        assert_eq!(of(tree), Some(12));
        assert_eq!(of(b"%PDF-1.4\n<</Type/Outlines /Count 99>><</Type/Pages/Count 0>>"), None);
        assert_eq!(of(b"%PDF-1.4\n<</Type/Pages/Count 99999999999>>"), None);
        assert_eq!(of(b""), None);
    }

    #[test]
    fn a_tree_may_be_compressed() {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
        packed.write_all(b"1 0 2 40 <</Type/Pages/Kids[2 0 R]/Count 3>><</Type/Page>>").unwrap();
        let mut bytes =
            b"%PDF-1.5\n5 0 obj <</Type/ObjStm/N 2/First 8/Length 60>>\nstream\r\n".to_vec();
        bytes.extend(packed.finish().unwrap());
        bytes.extend(b"\nendstream");
        assert_eq!(of(&bytes), Some(3));
    }

    #[test]
    fn a_tree_may_be_large() {
        let kids = "12 0 R ".repeat(5_000);
        let tree = format!("<</Type/Pages /Kids[{kids}] /Count 5000>>");
        assert_eq!(of(tree.as_bytes()), Some(5_000));
        let nested = b"<</Type/Pages/Resources<</A<</B<</C 1>>>>>>/Count 7>>";
        assert_eq!(of(nested), Some(7));
    }

    #[test]
    fn the_work_is_bounded_whatever_a_file_holds() {
        // Each of them took minutes when every type was searched around for its dictionary.
        let parts =
            ["/Type/Pages ", "1 0 obj<</Type/Pages/Kids[", "<</Type/Pages>>", ">>/Type/Pages"];
        assert_eq!(of(parts[0].repeat((16 << 20) / parts[0].len()).as_bytes()), None);
        for part in parts {
            let bytes = part.repeat((2 << 20) / part.len());
            let mut search = Search { steps_left: STEPS_MAX };
            search.largest_count(bytes.as_bytes());
            let tree = b"<</Type/Pages/Count 3>>";
            let found = search.largest_count(tree);
            assert_eq!(found.is_some(), search.steps_left > 0, "{part}: the work is shared");
        }
    }

    #[test]
    fn groups_are_unpacked_to_so_many_bytes() {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&vec![b' '; 4 << 20]).unwrap();
        let mut group = b"<</ObjStm>>stream\n".to_vec();
        group.extend(packed.finish().unwrap());
        let file = group.repeat(STREAMS_MAX);
        let unpacked: u64 = object_groups(&file).map(|group| group.len() as u64).sum();
        assert_eq!(unpacked, UNPACKED_BYTES_MAX);
    }
}
