//! The MIME type and the name that a document is sent with; pure.
//!
//! Bytes that are known decide alone. Where they could be several types, as an archive or a text can,
//! the sender's word comes first, then the names, then the server's. A name keeps its ending when it is
//! one of that type, and gets the usual one otherwise.

use domain::media::{FILENAME_CHARS_MAX, MediaWish};
use domain::message::ContentKind;

use crate::format::Format;
use crate::types::{self, FileType, Within};

/// The MIME type of what nothing is known of.
const ANY: &str = "application/octet-stream";
/// Longest part of a MIME type behind its stroke, in bytes.
const SUBTYPE_BYTES_MAX: usize = 127;
/// Parts of the types that servers and clients send when they know nothing.
const EMPTY_WORDS: [&str; 7] =
    ["octet", "download", "unknown", "binary", "httpd", "urlencoded", "*"];
/// What a MIME type begins with.
const MAJORS: [&str; 7] = ["application", "audio", "font", "image", "model", "text", "video"];
/// Endings of programs that make files; a file itself never has one of them.
const PROGRAMS: [&str; 18] = [
    "action", "ashx", "asmx", "asp", "aspx", "axd", "cfm", "cgi", "dll", "do", "fcgi", "jsf",
    "jsp", "jspx", "php", "php5", "phtml", "pl",
];
/// Endings that say nothing.
const PLACEHOLDERS: [&str; 9] =
    ["bin", "dat", "download", "file", "part", "temp", "tmp", "unknown", "blob"];

/// The type and the name of a document.
pub(crate) fn document(format: Format, wish: &MediaWish) -> (String, String) {
    let mimetype = mimetype_of(format, wish);
    let exact = format.mimetype(ContentKind::Document);
    let known = types::by_mimetype(&mimetype).or_else(|| types::by_mimetype(exact?));
    let given = wish.filename.as_ref().or(wish.source_name.as_ref());
    let fits = |name: &&String| known.is_some_and(|known| ending_fits(name, known));
    let in_url = || wish.url_names.iter().find(fits).or(wish.url_names.first());
    let name = given.or_else(in_url).map_or("file", String::as_str);
    let naming = Naming { format, known, is_given: given.is_some() };
    (mimetype, naming.named(name))
}

/// A claimed type without parameters; `None` where it says nothing.
pub(crate) fn claimed(mimetype: &str) -> Option<String> {
    let essence = types::canonical(mimetype);
    let (major, sub) = essence.split_once('/')?;
    let is_token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let says_nothing = EMPTY_WORDS.iter().any(|word| sub.contains(word));
    let is_type = MAJORS.contains(&major) && is_token(sub) && sub.len() <= SUBTYPE_BYTES_MAX;
    (is_type && !says_nothing).then_some(essence)
}

fn mimetype_of(format: Format, wish: &MediaWish) -> String {
    let own = wish.mimetype.as_deref().and_then(claimed);
    // A type that we do not know is not disproved by the bytes.
    if let Some(own) = own.as_ref().filter(|own| types::by_mimetype(own).is_none()) {
        return own.clone();
    }
    if let Some(exact) = format.mimetype(ContentKind::Document) {
        return exact.to_owned();
    }
    let names = [&wish.filename, &wish.source_name].into_iter().flatten().chain(&wish.url_names);
    let by_name = names.filter_map(|name| types::by_ending(types::split(name)?.1));
    let by_word = |word: &Option<String>| types::by_mimetype(word.as_deref()?);
    // What a script prints is called a page unless it says otherwise.
    let server = wish.content_type.as_deref().and_then(claimed).filter(|word| word != types::HTML);
    let claims: Vec<_> = by_word(&own).into_iter().chain(by_name).chain(by_word(&server)).collect();
    let fitting = |fits: fn(Format, &FileType) -> bool| {
        let is_coarse = |claim: &&&FileType| [types::ZIP, types::PLAIN].contains(&claim.mimetype);
        claims.iter().filter(|claim| !is_coarse(claim)).find(|claim| fits(format, claim))
    };
    match (fitting(may_be).or_else(|| fitting(may_pass_for)), format) {
        (Some(claim), _) => claim.mimetype.to_owned(),
        (None, Format::Office(usual)) => usual.to_owned(),
        (None, _) => server
            .filter(|word| types::by_mimetype(word).is_none())
            .unwrap_or_else(|| coarse(format).to_owned()),
    }
}

/// Whether bytes of this format can be a file of this type.
fn may_be(format: Format, claim: &FileType) -> bool {
    match format {
        Format::Zip => claim.within == Within::Zip,
        Format::Ole => claim.within == Within::Ole,
        Format::Office(usual) => types::are_of_one_program(usual, claim.mimetype),
        Format::Protected => types::is_of_office(claim.mimetype),
        Format::Text(_) => claim.within == Within::Text,
        Format::Unknown => true,
        _ => format.mimetype(ContentKind::Document) == Some(claim.mimetype),
    }
}

/// Whether office programs open it as that: many a text or page is called a table.
fn may_pass_for(format: Format, claim: &FileType) -> bool {
    matches!(format, Format::Text(_)) && [types::XLS, types::DOC].contains(&claim.mimetype)
}

/// The type when nothing is claimed.
fn coarse(format: Format) -> &'static str {
    match format {
        Format::Zip => types::ZIP,
        Format::Ole | Format::Protected => "application/x-ole-storage",
        Format::Text(usual) => usual,
        _ => ANY,
    }
}

fn ending_fits(name: &str, known: &FileType) -> bool {
    types::split(name).is_some_and(|(_, ending)| known.has_ending(ending))
}

/// How the ending of a name is judged.
struct Naming {
    format: Format,
    /// The type, where it has endings.
    known: Option<&'static FileType>,
    /// Whether a person or a server gave the name, which otherwise is a URL's.
    is_given: bool,
}

impl Naming {
    fn named(&self, name: &str) -> String {
        let name = name.trim_end_matches(['.', ' ']);
        let name = if name.is_empty() { "file" } else { name };
        let Some(known) = self.known else {
            return match types::split(name) {
                Some((stem, ending)) if is_in(&PROGRAMS, ending) && !self.is_given => {
                    stem.to_owned()
                }
                _ => name.to_owned(),
            };
        };
        let usual = known.endings[0];
        match types::split(name) {
            Some((_, ending)) if known.has_ending(ending) => name.to_owned(),
            Some((stem, ending)) if self.is_wrong(ending) => self.named(stem),
            Some((_, ending)) if !self.is_exact() && looks_like_ending(ending) => name.to_owned(),
            // A script that had no name to give.
            None if known.has_ending(name) => format!("file.{usual}"),
            _ => {
                let kept = FILENAME_CHARS_MAX - usual.len() - 1;
                format!("{}.{usual}", name.chars().take(kept).collect::<String>())
            }
        }
    }

    /// Whether the ending is that of something else.
    fn is_wrong(&self, ending: &str) -> bool {
        let is_text = matches!(self.format, Format::Text(_));
        if is_in(&PROGRAMS, ending) {
            // A program may be sent, too.
            return !(is_text && self.is_given);
        }
        if is_in(&PLACEHOLDERS, ending) {
            return self.format != Format::Unknown;
        }
        types::by_ending(ending).is_some_and(|other| {
            let is_coarse = [types::ZIP, types::PLAIN].contains(&other.mimetype);
            is_coarse || !(may_be(self.format, other) || may_pass_for(self.format, other))
        })
    }

    /// Whether the bytes are those of one type only.
    fn is_exact(&self) -> bool {
        matches!(self.format, Format::Office(_))
            || self.format.mimetype(ContentKind::Document).is_some()
    }
}

fn is_in(endings: &[&str], ending: &str) -> bool {
    endings.iter().any(|known| known.eq_ignore_ascii_case(ending))
}

/// Not a number as in `v1.2`.
fn looks_like_ending(ending: &str) -> bool {
    ending.len() <= 10
        && ending.bytes().all(|b| b.is_ascii_alphanumeric())
        && ending.bytes().any(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A download: its format, its type, the name its server gave, and the last part of its URL.
    fn download(format: Format, content_type: &str, source: &str, url: &str) -> (String, String) {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let wish = MediaWish {
            content_type: given(content_type),
            source_name: given(source),
            url_names: given(url).into_iter().collect(),
            ..MediaWish::default()
        };
        document(format, &wish)
    }

    const TEXT: Format = Format::Text(types::PLAIN);
    const PAGE: Format = Format::Text(types::HTML);
    const RAR: Format = Format::Exactly("application/vnd.rar");

    #[test]
    fn downloads() {
        use Format::{Jpeg, Ole, Pdf, Unknown, Zip};
        let (docx, xlsx) = (Format::Office(types::DOCX), Format::Office(types::XLSX));
        let cases = [
            (Pdf, "", "", "", types::PDF, "file.pdf"),
            (Pdf, "", "", "download", types::PDF, "download.pdf"),
            (Pdf, "text/html", "", "invoice.php", types::PDF, "invoice.pdf"),
            (Pdf, "image/jpeg", "", "show.ashx", types::PDF, "show.pdf"),
            (Pdf, "multipart/form-data", "", "get.cgi", types::PDF, "get.pdf"),
            (Pdf, "", "INV-2024.001", "x.php", types::PDF, "INV-2024.001.pdf"),
            (Pdf, "", "v1.2", "", types::PDF, "v1.2.pdf"),
            (Pdf, "", "report.aspx", "", types::PDF, "report.pdf"),
            (Pdf, "", "report.pdf.php", "", types::PDF, "report.pdf"),
            (Pdf, "", "REPORT.PDF", "", types::PDF, "REPORT.PDF"),
            (Pdf, "", "scan.jpg", "", types::PDF, "scan.pdf"),
            (Pdf, "", "a.bin", "", types::PDF, "a.pdf"),
            (Pdf, "", "pdf", "", types::PDF, "file.pdf"),
            (Pdf, "", "Faktur No. 7", "", types::PDF, "Faktur No. 7.pdf"),
            (Jpeg, "text/html", "", "photo.php", "image/jpeg", "photo.jpg"),
            (Jpeg, "", "photo.jpeg", "", "image/jpeg", "photo.jpeg"),
            (docx, "application/octet-stream", "", "get", types::DOCX, "get.docx"),
            (docx, "application/zip", "r.zip", "", types::DOCX, "r.docx"),
            (docx, "application/zip", "r.docm", "", types::DOCM, "r.docm"),
            (docx, types::DOC, "r.doc", "", types::DOCX, "r.docx"),
            (docx, "application/x-own", "r.xlsx", "", types::DOCX, "r.docx"),
            (docx, "", "plan.sketch", "", types::DOCX, "plan.sketch.docx"),
            (xlsx, "", "", "r.xlsm", types::XLSM, "r.xlsm"),
            (xlsx, types::XLS, "", "get.php", types::XLSX, "get.xlsx"),
            (Zip, "application/zip", "r.xlsx", "", types::XLSX, "r.xlsx"),
            (Zip, types::XLSX, "", "get", types::XLSX, "get.xlsx"),
            (Zip, types::XLSX, "r.zip", "", types::XLSX, "r.xlsx"),
            (Zip, "application/x-zip-compressed", "", "get", types::ZIP, "get.zip"),
            (Zip, "", "backup.2024", "", types::ZIP, "backup.2024.zip"),
            (Zip, "", "plan.sketch", "", types::ZIP, "plan.sketch"),
            (Zip, types::PDF, "", "x.pdf", types::ZIP, "x.zip"),
            (Ole, "application/octet-stream", "r.xls", "", types::XLS, "r.xls"),
            (Ole, types::DOC, "", "get", types::DOC, "get.doc"),
            (Format::Protected, "", "", "slip.xlsx", types::XLSX, "slip.xlsx"),
            (Format::Protected, types::DOCX, "", "get", types::DOCX, "get.docx"),
            (Format::Protected, types::XLS, "slip.xlsx", "", types::XLSX, "slip.xlsx"),
            (Format::Protected, "", "", "get", "application/x-ole-storage", "get"),
            (TEXT, "text/plain", "a.csv", "", "text/csv", "a.csv"),
            (TEXT, types::XLS, "a.csv", "", "text/csv", "a.csv"),
            (TEXT, "text/csv; charset=utf-8", "", "export.php", "text/csv", "export.csv"),
            (TEXT, "text/html", "", "export.php", types::PLAIN, "export.txt"),
            (TEXT, "", "", "", types::PLAIN, "file.txt"),
            (TEXT, "", "index.php", "", types::PLAIN, "index.php"),
            (TEXT, "", "dump.sql", "", types::PLAIN, "dump.sql"),
            (TEXT, types::PDF, "a.pdf", "", types::PLAIN, "a.txt"),
            (PAGE, types::XLS, "r.xls", "", types::XLS, "r.xls"),
            (PAGE, "text/html", "r.xls", "", types::XLS, "r.xls"),
            (PAGE, "text/html", "", "r", types::HTML, "r.html"),
            (RAR, "application/octet-stream", "", "a", "application/vnd.rar", "a.rar"),
            (Unknown, "", "", "", ANY, "file"),
            (Unknown, "", "", "get.php", ANY, "get"),
            (Unknown, "image/heic", "", "", "image/heic", "file.heic"),
            (Unknown, "application/x-own;v=1", "", "a.own", "application/x-own", "a.own"),
        ];
        for (format, content_type, source, url, mimetype, name) in cases {
            let found = download(format, content_type, source, url);
            let expected = (mimetype.to_owned(), name.to_owned());
            assert_eq!(found, expected, "{format:?} {content_type} {source} {url}");
        }
    }

    #[test]
    fn the_senders_words() {
        let sent = |format, mimetype: &str, filename: &str| {
            let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let wish = MediaWish {
                mimetype: given(mimetype),
                filename: given(filename),
                content_type: given("text/html"),
                source_name: given("x.bin"),
                url_names: vec!["y.php".to_owned()],
                ..MediaWish::default()
            };
            document(format, &wish)
        };
        let cases = [
            (Format::Pdf, "", "Invoice", types::PDF, "Invoice.pdf"),
            (Format::Pdf, "application/pdf; charset=utf-8", "a.pdf", types::PDF, "a.pdf"),
            (Format::Pdf, "application/octet-stream", "a.", types::PDF, "a.pdf"),
            (Format::Jpeg, "application/pdf", "a.pdf", "image/jpeg", "a.jpg"),
            (Format::Pdf, "application/x-own; v=1", "a", "application/x-own", "a.pdf"),
            (Format::Zip, "", "A.DOCX", types::DOCX, "A.DOCX"),
            (TEXT, "text/csv", "prices.txt", "text/csv", "prices.csv"),
            (TEXT, "", "main.py", types::PLAIN, "main.py"),
        ];
        for (format, mimetype, filename, expected, name) in cases {
            let found = sent(format, mimetype, filename);
            assert_eq!(found, (expected.to_owned(), name.to_owned()), "{mimetype} {filename}");
        }
        let long = sent(Format::Pdf, "", &"x".repeat(FILENAME_CHARS_MAX)).1;
        assert_eq!((long.len(), long.ends_with("x.pdf")), (FILENAME_CHARS_MAX, true));
    }

    #[test]
    fn a_url_whose_name_fits_comes_first() {
        let wish = MediaWish {
            url_names: vec!["8f3a".to_owned(), "invoice.pdf".to_owned()],
            ..MediaWish::default()
        };
        assert_eq!(document(Format::Pdf, &wish).1, "invoice.pdf");
        assert_eq!(document(Format::Jpeg, &wish).1, "8f3a.jpg");
    }
}
