//! The file types that have names: their MIME types, the endings of their names, and what their bytes
//! look like.

/// A type of files.
pub(crate) struct FileType {
    /// Its MIME type.
    pub(crate) mimetype: &'static str,
    /// The endings of its names, the usual one first.
    pub(crate) endings: &'static [&'static str],
    /// What its bytes look like.
    pub(crate) within: Within,
}

/// What the bytes of a type look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    /// Bytes of its own, by which it is known.
    Own,
    /// A ZIP archive.
    Zip,
    /// A compound file, as office programs wrote until 2007.
    Ole,
    /// Text.
    Text,
}

use Within::{Ole, Own, Text, Zip};

const fn of(mimetype: &'static str, within: Within, endings: &'static [&'static str]) -> FileType {
    FileType { mimetype, endings, within }
}

/// Word processing of Office Open XML, the usual one of its family.
pub(crate) const DOCX: &str =
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
pub(crate) const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
pub(crate) const PPTX: &str =
    "application/vnd.openxmlformats-officedocument.presentationml.presentation";
pub(crate) const DOCM: &str = "application/vnd.ms-word.document.macroenabled.12";
pub(crate) const XLSM: &str = "application/vnd.ms-excel.sheet.macroenabled.12";
pub(crate) const PPTM: &str = "application/vnd.ms-powerpoint.presentation.macroenabled.12";
pub(crate) const XLSB: &str = "application/vnd.ms-excel.sheet.binary.macroenabled.12";
const DOTX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.template";
const XLTX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.template";
const POTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.template";
/// What one office program writes: the same files but for an entry inside.
const PROGRAMS: [&[&str]; 3] = [&[DOCX, DOCM, DOTX], &[XLSX, XLSM, XLTX], &[PPTX, PPTM, POTX]];
pub(crate) const APK: &str = "application/vnd.android.package-archive";
pub(crate) const JAR: &str = "application/java-archive";
pub(crate) const KMZ: &str = "application/vnd.google-earth.kmz";
pub(crate) const ZIP: &str = "application/zip";
pub(crate) const DOC: &str = "application/msword";
pub(crate) const XLS: &str = "application/vnd.ms-excel";
pub(crate) const PPT: &str = "application/vnd.ms-powerpoint";
pub(crate) const MSG: &str = "application/vnd.ms-outlook";
pub(crate) const PDF: &str = "application/pdf";
pub(crate) const PLAIN: &str = "text/plain";
pub(crate) const HTML: &str = "text/html";
pub(crate) const XML: &str = "application/xml";
pub(crate) const RTF: &str = "application/rtf";
pub(crate) const VCARD: &str = "text/vcard";
pub(crate) const CALENDAR: &str = "text/calendar";
pub(crate) const SVG: &str = "image/svg+xml";

const TYPES: &[FileType] = &[
    of(PDF, Own, &["pdf", "ai"]),
    of(DOCX, Zip, &["docx"]),
    of(XLSX, Zip, &["xlsx"]),
    of(PPTX, Zip, &["pptx", "ppsx"]),
    of(DOCM, Zip, &["docm", "dotm"]),
    of(XLSM, Zip, &["xlsm", "xltm"]),
    of(PPTM, Zip, &["pptm", "ppsm"]),
    of(DOTX, Zip, &["dotx"]),
    of(XLTX, Zip, &["xltx"]),
    of(POTX, Zip, &["potx"]),
    of(XLSB, Zip, &["xlsb"]),
    of("application/vnd.oasis.opendocument.text", Zip, &["odt"]),
    of("application/vnd.oasis.opendocument.spreadsheet", Zip, &["ods"]),
    of("application/vnd.oasis.opendocument.presentation", Zip, &["odp"]),
    of("application/vnd.oasis.opendocument.graphics", Zip, &["odg"]),
    of("application/epub+zip", Zip, &["epub"]),
    of(APK, Zip, &["apk"]),
    of(JAR, Zip, &["jar"]),
    of(KMZ, Zip, &["kmz"]),
    of(ZIP, Zip, &["zip"]),
    of(DOC, Ole, &["doc", "dot"]),
    of(XLS, Ole, &["xls", "xlt"]),
    of(PPT, Ole, &["ppt", "pps"]),
    of(MSG, Ole, &["msg"]),
    of("text/csv", Text, &["csv"]),
    of("text/tab-separated-values", Text, &["tsv"]),
    of(PLAIN, Text, &["txt", "text"]),
    of(HTML, Text, &["html", "htm"]),
    of(XML, Text, &["xml"]),
    of("application/json", Text, &["json"]),
    of("text/markdown", Text, &["md"]),
    of(RTF, Text, &["rtf", "doc"]),
    of(VCARD, Text, &["vcf"]),
    of(CALENDAR, Text, &["ics"]),
    of(SVG, Text, &["svg"]),
    of("text/css", Text, &["css"]),
    of("text/javascript", Text, &["js"]),
    of("application/postscript", Own, &["ps", "eps"]),
    of("application/vnd.rar", Own, &["rar"]),
    of("application/x-7z-compressed", Own, &["7z"]),
    of("application/x-tar", Own, &["tar"]),
    of("application/gzip", Own, &["gz", "tgz"]),
    of("application/x-bzip2", Own, &["bz2"]),
    of("application/x-xz", Own, &["xz"]),
    of("application/zstd", Own, &["zst"]),
    of("image/jpeg", Own, &["jpg", "jpeg", "jpe", "jfif"]),
    of("image/png", Own, &["png"]),
    of("image/gif", Own, &["gif"]),
    of("image/webp", Own, &["webp"]),
    of("image/heic", Own, &["heic", "heif"]),
    of("image/avif", Own, &["avif"]),
    of("image/tiff", Own, &["tiff", "tif"]),
    of("image/bmp", Own, &["bmp"]),
    of("image/vnd.adobe.photoshop", Own, &["psd"]),
    of("image/vnd.dwg", Own, &["dwg"]),
    of("video/mp4", Own, &["mp4", "m4v", "mp4v"]),
    of("video/quicktime", Own, &["mov", "qt"]),
    of("video/3gpp", Own, &["3gp", "3gpp", "3g2"]),
    of("video/webm", Own, &["webm"]),
    of("video/x-matroska", Own, &["mkv", "mka"]),
    of("video/x-msvideo", Own, &["avi"]),
    of("video/x-ms-wmv", Own, &["wmv", "wma", "asf"]),
    of("video/mpeg", Own, &["mpg", "mpeg"]),
    of("video/x-flv", Own, &["flv"]),
    of("audio/mpeg", Own, &["mp3"]),
    of("audio/mp4", Own, &["m4a", "m4b", "mp4"]),
    of("audio/ogg", Own, &["ogg", "oga", "opus"]),
    of("audio/webm", Own, &["webm", "weba"]),
    of("audio/wav", Own, &["wav"]),
    of("audio/aac", Own, &["aac"]),
    of("audio/flac", Own, &["flac"]),
    of("audio/amr", Own, &["amr"]),
    of("audio/3gpp", Own, &["3gp", "3gpp"]),
    of("audio/midi", Own, &["mid", "midi"]),
    of("audio/aiff", Own, &["aiff", "aif"]),
    of("audio/ac3", Own, &["ac3"]),
    of("audio/x-caf", Own, &["caf"]),
];

/// Other words for these types.
const ALIASES: &[(&str, &str)] = &[
    ("application/x-pdf", PDF),
    ("application/acrobat", PDF),
    ("text/pdf", PDF),
    ("text/x-pdf", PDF),
    ("application/x-zip", ZIP),
    ("application/x-zip-compressed", ZIP),
    ("multipart/x-zip", ZIP),
    ("application/doc", DOC),
    ("application/vnd.msword", DOC),
    ("application/vnd-ms-excel", XLS),
    ("application/excel", XLS),
    ("application/msexcel", XLS),
    ("application/x-excel", XLS),
    ("application/x-msexcel", XLS),
    ("application/xls", XLS),
    ("application/x-xls", XLS),
    ("application/xlsx", XLSX),
    ("application/docx", DOCX),
    ("application/mspowerpoint", PPT),
    ("application/powerpoint", PPT),
    ("application/csv", "text/csv"),
    ("application/x-csv", "text/csv"),
    ("text/x-csv", "text/csv"),
    ("text/comma-separated-values", "text/csv"),
    ("text/xml", XML),
    ("text/json", "application/json"),
    ("text/rtf", RTF),
    ("text/x-vcard", VCARD),
    ("text/directory", VCARD),
    ("application/x-rar", "application/vnd.rar"),
    ("application/x-rar-compressed", "application/vnd.rar"),
    ("application/x-gzip", "application/gzip"),
    ("image/jpg", "image/jpeg"),
    ("image/pjpeg", "image/jpeg"),
    ("image/x-png", "image/png"),
    ("image/heif", "image/heic"),
    ("image/x-ms-bmp", "image/bmp"),
    ("video/x-m4v", "video/mp4"),
    ("video/avi", "video/x-msvideo"),
    ("video/mkv", "video/x-matroska"),
    ("audio/mp3", "audio/mpeg"),
    ("audio/x-mp3", "audio/mpeg"),
    ("audio/x-mpeg", "audio/mpeg"),
    ("audio/m4a", "audio/mp4"),
    ("audio/x-m4a", "audio/mp4"),
    ("audio/opus", "audio/ogg"),
    ("audio/wave", "audio/wav"),
    ("audio/x-wav", "audio/wav"),
    ("audio/vnd.wave", "audio/wav"),
    ("audio/x-aac", "audio/aac"),
    ("audio/x-flac", "audio/flac"),
    ("audio/x-aiff", "audio/aiff"),
    ("audio/x-midi", "audio/midi"),
];

/// A MIME type without parameters, in the form the table has.
pub(crate) fn canonical(mimetype: &str) -> String {
    let essence = mimetype.split([';', ',']).next().unwrap_or_default().trim();
    let essence = essence.trim_matches(['"', '\'']).to_ascii_lowercase();
    match ALIASES.iter().find(|(alias, _)| *alias == essence) {
        Some((_, usual)) => (*usual).to_owned(),
        None => essence,
    }
}

/// The type of that name, in its canonical form.
pub(crate) fn by_mimetype(mimetype: &str) -> Option<&'static FileType> {
    TYPES.iter().find(|kind| kind.mimetype == mimetype)
}

/// Whether one office program writes both types.
pub(crate) fn are_of_one_program(one: &str, other: &str) -> bool {
    PROGRAMS.iter().any(|types| types.contains(&one) && types.contains(&other))
}

/// Whether an office program packs it.
pub(crate) fn is_of_office(mimetype: &str) -> bool {
    mimetype == XLSB || PROGRAMS.iter().any(|types| types.contains(&mimetype))
}

/// The type of names with this ending.
pub(crate) fn by_ending(ending: &str) -> Option<&'static FileType> {
    TYPES.iter().find(|kind| kind.has_ending(ending))
}

impl FileType {
    /// Whether names of this type may have this ending.
    pub(crate) fn has_ending(&self, ending: &str) -> bool {
        self.endings.iter().any(|known| known.eq_ignore_ascii_case(ending))
    }
}

/// The stem and the ending of a name, the dot left out; `None` where there is no ending.
pub(crate) fn split(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('.').filter(|(stem, ending)| !stem.is_empty() && !ending.is_empty())
}
