//! Which column of a pasted list holds the numbers, by the name that people give it.

/// Words for a telephone.
const PHONE_WORDS: [&str; 24] = [
    "phone",
    "phones",
    "hp",
    "nohp",
    "hape",
    "handphone",
    "ponsel",
    "mobile",
    "cell",
    "cellphone",
    "cellular",
    "seluler",
    "tel",
    "telp",
    "tlp",
    "notelp",
    "telepon",
    "telpon",
    "telephone",
    "wa",
    "nowa",
    "whatsapp",
    "msisdn",
    "gsm",
];
/// Words that may stand for something else, too: a number may be counted, or of an order.
const OTHER_WORDS: [&str; 10] =
    ["no", "nomor", "nomer", "number", "num", "to", "ke", "tujuan", "penerima", "recipient"];

/// How surely a column with this name holds the numbers; `None` when it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Certainty {
    Maybe,
    Likely,
    Sure,
}

/// Where the numbers stand.
pub(super) fn number_column(names: &[String]) -> Option<usize> {
    let rated = names.iter().enumerate().filter_map(|(n, name)| Some((certainty(name)?, n)));
    // The first of the equally sure ones.
    rated.min_by_key(|(certainty, n)| (std::cmp::Reverse(*certainty), *n)).map(|(_, n)| n)
}

fn certainty(name: &str) -> Option<Certainty> {
    let name = name.to_lowercase();
    let words: Vec<&str> =
        name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let is_phone = |word: &&str| PHONE_WORDS.contains(word);
    let is_other =
        |word: &&str| OTHER_WORDS.contains(word) || word.bytes().all(|byte| byte.is_ascii_digit());
    if !words.iter().any(|word| is_phone(word) || OTHER_WORDS.contains(word)) {
        let begins = ["phone", "nomor"].iter().any(|known| name.trim().starts_with(known));
        return begins.then_some(Certainty::Maybe);
    }
    let is_named_only = words.iter().all(|word| is_phone(word) || is_other(word));
    match words.iter().any(is_phone) {
        true if is_named_only => Some(Certainty::Sure),
        true => Some(Certainty::Likely),
        false if is_named_only || words[0].starts_with("nomor") => Some(Certainty::Maybe),
        false => None,
    }
}

/// The mark that a spreadsheet names in a line of its own, `sep=;`, before the first row.
pub(super) fn named_separator(line: &str) -> Option<char> {
    let line = line.trim().trim_matches('"');
    line.get(..4).filter(|head| head.eq_ignore_ascii_case("sep="))?;
    let mut rest = line[4..].chars();
    rest.next().filter(|_| rest.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_numbers_are_known_by_many_names() {
        for name in [
            "number",
            "Phone",
            "to",
            "WhatsApp",
            "WA",
            "nomor",
            "No",
            "no_hp",
            "No. HP",
            "No. Telp",
            "No HP/WA",
            "Handphone",
            "NO.HANDPHONE",
            "Telepon",
            "phone number",
            "Phone_2",
            "tujuan",
            "Nomor Telepon Pelanggan",
            "Customer phone",
            "nomorhp",
            "Nomor Pelanggan",
        ] {
            assert_eq!(number_column(&[name.to_owned()]), Some(0), "{name}");
        }
        for name in ["name", "Nama", "Alamat", "Tagihan", "Note", "Total", "Kota", ""] {
            assert_eq!(number_column(&[name.to_owned()]), None, "{name}");
        }
        for (names, expected) in [
            (["No", "Nama", "No. HP"], 2),
            (["Nomor", "Nomor WA", "HP pemilik"], 1),
            (["Nama", "Number", "To"], 1),
            (["HP 1", "HP 2", "Nama"], 0),
        ] {
            assert_eq!(number_column(&names.map(str::to_owned)), Some(expected), "{names:?}");
        }
    }

    #[test]
    fn a_spreadsheet_names_its_separator() {
        for (line, mark) in [
            ("sep=;", Some(';')),
            ("SEP=,\r", Some(',')),
            ("\"sep=;\"", Some(';')),
            ("sep=", None),
            ("sep=;;", None),
            ("nomor;nama", None),
            ("é", None),
        ] {
            assert_eq!(named_separator(line), mark, "{line}");
        }
    }
}
