//! What is inside the files that office programs and phones pack: their names decide the type.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::format::Format;
use crate::types;

/// The longest end of an archive: its record with a comment.
const ZIP_END_BYTES_MAX: u64 = 22 + 65_535;
/// Most of an archive's directory that is read.
const DIRECTORY_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of a directory entry before its name.
const ENTRY_BYTES: usize = 46;
/// Entries of a compound file's directory that are read; the first one is the root.
const STREAMS_MAX: usize = 32;

/// The format with what is inside, where that says more.
pub(crate) fn look_inside(format: Format, path: &Path) -> Format {
    let inside = match format {
        Format::Zip => zip(path),
        Format::Ole => ole(path),
        _ => return format,
    };
    inside.ok().flatten().unwrap_or(format)
}

/// The type of an archive, by its first entry or the names in its directory.
fn zip(path: &Path) -> io::Result<Option<Format>> {
    let mut file = File::open(path)?;
    if let Some(named) = mimetype_entry(&mut file)? {
        return Ok(Some(Format::Exactly(named)));
    }
    let names = zip_names(&mut file)?;
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let has_folder = |wanted: &str| names.iter().any(|name| name.starts_with(wanted));
    let is_office = |folder: &str| has("[Content_Types].xml") && has_folder(folder);
    let office = |macros: &str, plain, with_macros| match has(macros) {
        true => Format::Exactly(with_macros),
        false => Format::Office(plain),
    };
    Ok(match () {
        () if is_office("word/") => Some(office("word/vbaProject.bin", types::DOCX, types::DOCM)),
        () if has("xl/workbook.bin") => Some(Format::Exactly(types::XLSB)),
        () if is_office("xl/") => Some(office("xl/vbaProject.bin", types::XLSX, types::XLSM)),
        () if is_office("ppt/") => Some(office("ppt/vbaProject.bin", types::PPTX, types::PPTM)),
        () if has("AndroidManifest.xml") => Some(Format::Exactly(types::APK)),
        () if has("META-INF/MANIFEST.MF") => Some(Format::Exactly(types::JAR)),
        () if has("doc.kml") => Some(Format::Exactly(types::KMZ)),
        () => None,
    })
}

/// OpenDocument files and books begin with an entry that is their type, not compressed.
fn mimetype_entry(file: &mut File) -> io::Result<Option<&'static str>> {
    let mut start = Vec::new();
    file.by_ref().take(256).read_to_end(&mut start)?;
    let Some(b"mimetype") = start.get(30..38) else { return Ok(None) };
    let content = start.get(38..).unwrap_or_default();
    let is_of_a_type = |c: &u8| c.is_ascii_alphanumeric() || b"/.+-".contains(c);
    let content: Vec<u8> = content.iter().copied().take_while(is_of_a_type).collect();
    // The next entry begins with these letters, and some writers add fields before the content.
    let text = String::from_utf8_lossy(&content);
    Ok(types::by_mimetype(text.trim_end_matches("PK")).map(|found| found.mimetype))
}

/// The names in an archive's directory.
fn zip_names(file: &mut File) -> io::Result<Vec<String>> {
    let size = file.metadata()?.len();
    let end_size = size.min(ZIP_END_BYTES_MAX);
    let end = read_at(file, size - end_size, end_size)?;
    let Some(record) = end.windows(4).rposition(|window| window == b"PK\x05\x06") else {
        return Ok(Vec::new());
    };
    let (Some(length), Some(start)) = (le32(&end, record + 12), le32(&end, record + 16)) else {
        return Ok(Vec::new());
    };
    let directory = read_at(file, start.into(), u64::from(length).min(DIRECTORY_BYTES_MAX))?;
    let (mut names, mut rest) = (Vec::new(), &directory[..]);
    while rest.starts_with(b"PK\x01\x02") {
        let sizes = [28, 30, 32].map(|at| le16(rest, at).map_or(0, usize::from));
        let Some(name) = rest.get(ENTRY_BYTES..ENTRY_BYTES + sizes[0]) else { break };
        // Old Windows programs write the other slash.
        names.push(String::from_utf8_lossy(name).replace('\\', "/"));
        rest = rest.get(ENTRY_BYTES + sizes.iter().sum::<usize>()..).unwrap_or_default();
    }
    Ok(names)
}

/// The type of a compound file, by the streams in its directory.
fn ole(path: &Path) -> io::Result<Option<Format>> {
    let mut file = File::open(path)?;
    let header = read_at(&mut file, 0, 512)?;
    let (Some(shift @ 7..=16), Some(sector)) = (le16(&header, 30), le32(&header, 48)) else {
        return Ok(None);
    };
    let at = (u64::from(sector) + 1) << shift;
    let directory = read_at(&mut file, at, (STREAMS_MAX * 128) as u64)?;
    Ok(directory.chunks_exact(128).find_map(|entry| {
        let wide = entry[..64].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let name: Vec<u16> = wide.take_while(|unit| *unit != 0).collect();
        Some(Format::Exactly(match String::from_utf16_lossy(&name).as_str() {
            "EncryptedPackage" => return Some(Format::Protected),
            "WordDocument" => types::DOC,
            "Workbook" | "Book" => types::XLS,
            "PowerPoint Document" => types::PPT,
            "__properties_version1.0" => types::MSG,
            _ => return None,
        }))
    }))
}

fn read_at(file: &mut File, at: u64, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.by_ref().take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
