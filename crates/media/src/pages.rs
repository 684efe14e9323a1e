//! How many pages a PDF has.
//!
//! Its tree of pages says so at its root, as the largest count of all. The tree is either in clear text or
//! inside compressed objects; both are searched, within limits.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use flate2::read::ZlibDecoder;

/// Most bytes of a file that are searched.
const FILE_BYTES_MAX: u64 = 32 << 20;
/// Most bytes of one group of compressed objects.
const STREAM_BYTES_MAX: u64 = 1 << 20;
/// Most such groups.
const STREAMS_MAX: usize = 256;
/// How far around its type a dictionary is searched.
const AROUND: usize = 4 * 1024;
/// More pages than any document has.
const PAGES_MAX: u32 = 1_000_000;

/// The number of pages; `None` where it is not found.
pub(crate) fn count(path: &Path) -> Option<u32> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let plain = largest_count(&bytes);
    let hidden = || object_groups(&bytes).filter_map(|group| largest_count(&group)).max();
    plain.or_else(hidden)
}

/// The largest count of the trees of pages in a text.
fn largest_count(text: &[u8]) -> Option<u32> {
    let trees = positions(text, b"/Pages").filter(|at| is_type(text, *at));
    let counts = trees.filter_map(|at| {
        let dictionary = &text[begin(text, at)..end(text, at)];
        let count = positions(dictionary, b"/Count").next()?;
        number(&dictionary[count + b"/Count".len()..])
    });
    counts.filter(|count| (1..=PAGES_MAX).contains(count)).max()
}

/// Where the dictionary around a place begins.
fn begin(text: &[u8], at: usize) -> usize {
    let mut inside = 0;
    for start in (at.saturating_sub(AROUND)..at).rev() {
        match &text[start..=start + 1] {
            b"<<" if inside == 0 => return start,
            b"<<" => inside -= 1,
            b">>" => inside += 1,
            _ => {}
        }
    }
    at
}

/// Where it ends.
fn end(text: &[u8], at: usize) -> usize {
    let mut inside = 0;
    for end in at..text.len().min(at + AROUND).saturating_sub(1) {
        match &text[end..=end + 1] {
            b">>" if inside == 0 => return end,
            b">>" => inside -= 1,
            b"<<" => inside += 1,
            _ => {}
        }
    }
    at
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
        let rest = &text[at..text.len().min(at + AROUND)];
        let stream = positions(rest, b"stream").next()? + b"stream".len();
        let line_end = rest[stream..].iter().position(|byte| *byte == b'\n')?;
        Some(at + stream + line_end + 1)
    });
    starts.map(|start| {
        let mut group = Vec::new();
        // One that ends early is worth what has come of it.
        drop(ZlibDecoder::new(&text[start..]).take(STREAM_BYTES_MAX).read_to_end(&mut group));
        group
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
}
