//! Whom a message goes to: a phone number in any spelling people use, or a group.

use std::collections::HashSet;
use std::fmt;

use crate::chat::{ChatId, GroupId, Lid};

/// Fewest digits of a number with its country code.
pub const PHONE_DIGITS_MIN: usize = 8;
/// Most digits of a number with its country code (E.164).
pub const PHONE_DIGITS_MAX: usize = 15;

/// A phone number as WhatsApp writes it: country code and number, digits only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhoneNumber(String);

/// Why a text is no phone number; safe to show to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a phone number with its country code, 8 to 15 digits, such as 628123456789")]
pub struct InvalidPhone;

/// Calling codes whose numbers keep a leading zero abroad.
const CODES_WITH_ZERO: [&str; 7] = ["39", "225", "229", "241", "242", "378", "379"];
/// Most zeros that a spreadsheet writes behind a decimal point; more may be a group of digits.
const DECIMALS_MAX: usize = 2;

impl PhoneNumber {
    /// Reads a number as people and spreadsheets write it.
    ///
    /// Spaces, dots, dashes, brackets, a leading `+` and characters that cannot be seen are dropped;
    /// `08…` gets `country` in place of its zero, `00` is a `+`, and the zero of `+62 (0)812…` goes;
    /// `628…@s.whatsapp.net` and `628…@c.us` are accepted. A spreadsheet's `628….0` loses its
    /// decimals; where a dot may be a decimal point otherwise, the number is refused.
    ///
    /// # Errors
    /// [`InvalidPhone`] for anything else, or when 8 to 15 digits do not remain.
    pub fn parse(text: &str, country: &str) -> Result<Self, InvalidPhone> {
        let (number, server) = split_jid(within_bounds(text)?);
        let is_jid = server.is_some();
        let is_person = |server: &str| {
            ["s.whatsapp.net", "c.us"].iter().any(|known| server.eq_ignore_ascii_case(known))
        };
        let spelling = Spelling::read(number)?;
        if is_jid && (!server.is_some_and(is_person) || spelling.has_separators()) {
            return Err(InvalidPhone);
        }
        let is_international = is_jid || spelling.has_plus;
        let is_number =
            |whole: &str| normalised(whole.to_owned(), country, is_international).is_ok();
        normalised(spelling.into_digits(is_number)?, country, is_international).map(Self)
    }

    /// Reads several numbers; each is there once, at its first place.
    ///
    /// # Errors
    /// Which of them are none, counted from zero.
    pub fn parse_distinct<'a>(
        texts: impl IntoIterator<Item = &'a str>,
        country: &str,
    ) -> Result<Vec<Self>, Vec<usize>> {
        let (mut numbers, mut seen, mut wrong) = (Vec::new(), HashSet::new(), Vec::new());
        for (index, text) in texts.into_iter().enumerate() {
            match Self::parse(text, country) {
                Ok(number) if seen.insert(number.clone()) => numbers.push(number),
                Ok(_) => {}
                Err(InvalidPhone) => wrong.push(index),
            }
        }
        if wrong.is_empty() { Ok(numbers) } else { Err(wrong) }
    }

    /// Takes digits that are already normalised, such as those WhatsApp reports.
    pub fn from_digits(digits: impl Into<String>) -> Self {
        Self(digits.into())
    }

    /// The digits, without `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Longest text that is read as an address, in bytes: with many separators and invisible characters.
const ADDRESS_BYTES_MAX: usize = 1_024;

fn within_bounds(text: &str) -> Result<&str, InvalidPhone> {
    let text = text.trim();
    (text.len() <= ADDRESS_BYTES_MAX).then_some(text).ok_or(InvalidPhone)
}

/// What stands before and after the `@` of a WhatsApp address.
fn split_jid(text: &str) -> (&str, Option<&str>) {
    match text.split_once('@') {
        Some((user, server)) => (trimmed(user), Some(trimmed(server))),
        None => (trimmed(text), None),
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// Puts the country code before the digits where it is missing.
fn normalised(
    digits: String,
    country: &str,
    is_international: bool,
) -> Result<String, InvalidPhone> {
    let digits = match digits.strip_prefix('0') {
        // What is dialled before a country code, in place of the plus.
        Some(rest) if !is_international && is_after_zero(rest) => {
            without_trunk_zero(rest[1..].to_owned(), country)
        }
        Some(national) if !is_international && !national.starts_with('0') => {
            format!("{country}{national}")
        }
        Some(_) => return Err(InvalidPhone),
        None => without_trunk_zero(digits, country),
    };
    let fits = (PHONE_DIGITS_MIN..=PHONE_DIGITS_MAX).contains(&digits.len());
    fits.then_some(digits).ok_or(InvalidPhone)
}

/// Whether this is another zero with a country code behind it.
fn is_after_zero(rest: &str) -> bool {
    rest.strip_prefix('0').is_some_and(|code| !code.starts_with('0'))
}

/// `62 0812…` is `62 812…`: the zero stands for the country code that is there already.
fn without_trunk_zero(digits: String, country: &str) -> String {
    match digits.strip_prefix(country).and_then(|rest| rest.strip_prefix('0')) {
        Some(national) if !CODES_WITH_ZERO.contains(&country) => format!("{country}{national}"),
        _ => digits,
    }
}

/// The digits of a number as it was written, and what stands between them.
#[derive(Default)]
struct Spelling {
    digits: String,
    has_plus: bool,
    /// Whether there are spaces, dashes or brackets.
    has_groups: bool,
    points: usize,
    has_comma: bool,
    /// How many digits stand before the last point.
    before_point: usize,
    /// How many digits stand before the last opening bracket.
    before_bracket: usize,
}

impl Spelling {
    fn read(text: &str) -> Result<Self, InvalidPhone> {
        let mut spelling = Self::default();
        spelling.digits.reserve(text.len());
        text.chars().map(plain).try_for_each(|c| spelling.add(c))?;
        Ok(spelling)
    }

    fn add(&mut self, c: char) -> Result<(), InvalidPhone> {
        match c {
            '0'..='9' => self.digits.push(c),
            '+' if self.digits.is_empty() && !self.has_plus => self.has_plus = true,
            // What a spreadsheet keeps a number's leading zero with.
            '\'' if self.digits.is_empty() => {}
            '.' | ',' => {
                self.points += 1;
                self.has_comma |= c == ',';
                self.before_point = self.digits.len();
            }
            ' ' | '-' | '(' | '[' | ')' | ']' => {
                self.has_groups = true;
                match c {
                    '(' | '[' => self.before_bracket = self.digits.len(),
                    ')' | ']' => self.drop_trunk_zero(),
                    _ => {}
                }
            }
            c if is_invisible(c) => {}
            _ => return Err(InvalidPhone),
        }
        Ok(())
    }

    /// `+62 (0)812…`: the bracketed zero is dialled inside the country only.
    fn drop_trunk_zero(&mut self) {
        let (code, bracketed) = self.digits.split_at(self.before_bracket);
        if bracketed == "0" && !code.is_empty() && !CODES_WITH_ZERO.contains(&code) {
            self.digits.pop();
        }
    }

    fn has_separators(&self) -> bool {
        self.has_groups || self.points > 0
    }

    /// The digits, without a spreadsheet's decimals. `is_number` says whether digits are a number by
    /// themselves: a point after those may be a decimal one.
    fn into_digits(self, is_number: impl Fn(&str) -> bool) -> Result<String, InvalidPhone> {
        if self.points == 0 {
            return Ok(self.digits);
        }
        let (whole, decimals) = self.digits.split_at(self.before_point);
        let is_bare = !self.has_groups && self.points == 1;
        let is_zero = decimals.len() <= DECIMALS_MAX && decimals.bytes().all(|b| b == b'0');
        if is_bare && is_zero {
            return Ok(whole.to_owned());
        }
        let may_be_decimal =
            decimals.len() < 2 || (is_zero && self.points == 1) || (is_bare && is_number(whole));
        if self.has_comma || may_be_decimal { Err(InvalidPhone) } else { Ok(self.digits) }
    }
}

/// The ASCII character that a character stands for: spaces, dashes, apostrophes and digits of other
/// scripts and widths.
fn plain(c: char) -> char {
    let digit_from = |zero: u32| char::from_digit(u32::from(c) - zero, 10).unwrap_or(c);
    match c {
        _ if c.is_whitespace() => ' ',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => '-',
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{660}'..='\u{669}' => digit_from(0x660),
        '\u{6f0}'..='\u{6f9}' => digit_from(0x6f0),
        // The full-width forms are in the order of ASCII.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

/// Whether a character has no shape of its own, such as the direction marks that come along with a
/// number copied from a contact.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Digits of a hidden id, at most.
const LID_DIGITS_MAX: usize = 20;

/// Where a message goes, as people write it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// One person, by phone number.
    Person(PhoneNumber),
    /// One person, by hidden id.
    Lid(Lid),
    /// A group.
    Group(GroupId),
}

impl Recipient {
    /// Reads `…@g.us` as a group, `…@lid` as a person's hidden id, and anything else as a phone number.
    ///
    /// # Errors
    /// [`InvalidPhone`] when it is neither.
    pub fn parse(text: &str, country: &str) -> Result<Self, InvalidPhone> {
        match split_jid(within_bounds(text)?) {
            (id, Some(server)) if server.eq_ignore_ascii_case("g.us") => {
                Self::group(&id.chars().filter(|c| !is_invisible(*c)).collect::<String>())
            }
            (id, Some(server)) if server.eq_ignore_ascii_case("lid") => {
                Self::lid(&id.chars().filter(|c| !is_invisible(*c)).collect::<String>())
            }
            _ => PhoneNumber::parse(text, country).map(Self::Person),
        }
    }

    fn lid(id: &str) -> Result<Self, InvalidPhone> {
        let fits =
            (1..=LID_DIGITS_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| Self::Lid(Lid::from_user(id))).ok_or(InvalidPhone)
    }

    fn group(id: &str) -> Result<Self, InvalidPhone> {
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let parts: Vec<&str> = id.split('-').collect();
        let fits = id.len() <= 40 && parts.len() <= 2 && parts.into_iter().all(is_digits);
        fits.then(|| Self::Group(GroupId::from_user(id))).ok_or(InvalidPhone)
    }
}

impl From<Recipient> for ChatId {
    fn from(recipient: Recipient) -> Self {
        match recipient {
            Recipient::Person(phone) => Self::Person(phone),
            Recipient::Lid(lid) => Self::Lid(lid),
            Recipient::Group(group) => Self::Group(group),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_every_spelling() {
        let same = [
            "628123456789",
            "+628123456789",
            "(+62) 812-3456-789",
            "08123456789",
            "0812-3456-789",
            " +62 (812) 3456.789 ",
            "628123456789@s.whatsapp.net",
            "628123456789@c.us",
            "628123456789@C.US ",
            "+62 812.3456.789",
            "62.8123456789",
            "0812.3456789",
            // As a spreadsheet, a data frame or a text mark makes them.
            "628123456789.0",
            "628123456789.00",
            "628123456789,0",
            "+628123456789.0",
            "08123456789.0",
            "628123456789.",
            "'08123456789",
            // As copied from a contact, a web page or a file.
            "\u{202a}+62 812-3456-789\u{202c}",
            "\u{feff}628123456789",
            "62\u{a0}812\u{a0}3456\u{202f}789\r\n",
            "62812\u{200b}3456789",
            "\u{200e}628123456789\u{2069}@s.whatsapp.net",
            "+62 812\u{2011}3456\u{2013}789",
            "\u{ff0b}６２８１２３４５６７８９",
            "٦٢٨١٢٣٤٥٦٧٨٩",
            "۶۲۸۱۲۳۴۵۶۷۸۹",
            "\u{2019}08123456789",
            // With the zero that is dialled inside the country.
            "+62 (0)812-3456-789",
            "62(0) 8123456789",
            "+62 [0] 812 3456 789",
            "+62 0812-3456-789",
            "6208123456789",
            "00628123456789",
            "0062 812-3456-789",
            "00 62 (0)812 3456 789",
            "(0)812-3456-789",
        ];
        for text in same {
            assert_eq!(PhoneNumber::parse(text, "62").unwrap().as_str(), "628123456789", "{text}");
        }
        let abroad = [
            ("0171 2345678", "49", "491712345678"),
            ("+49 (0) 171 2345678", "62", "491712345678"),
            ("+33 6.12.34.56.00", "62", "33612345600"),
            ("+39 06 1234 5678", "39", "390612345678"),
            ("+39 (06) 1234 5678", "39", "390612345678"),
            ("+39 (0) 6 1234 5678", "62", "390612345678"),
            // The longest and the shortest that there are.
            ("00123456789012345.00", "62", "123456789012345"),
            ("12345678", "62", "12345678"),
            ("+225 01 02 03 04 05", "225", "2250102030405"),
        ];
        for (text, country, number) in abroad {
            assert_eq!(PhoneNumber::parse(text, country).unwrap().as_str(), number, "{text}");
        }
    }

    #[test]
    fn what_is_no_number() {
        let wrong = [
            "",
            "+",
            "abc",
            "62812x456789",
            "++628123456789",
            "62+8123456789",
            "62812'3456789",
            "1234567",
            "1234567890123456",
            "+08123456789",
            "628123456789@g.us",
            "62812 3456789@c.us",
            "628123456789@evil",
            "0000000000",
            "000628123456789",
            "+00628123456789",
            "00628123456789@c.us",
            // A decimal point, or a group of digits?
            "628123456789.5",
            "628123456789.000",
            "62812345.678",
            "628123456789,5",
            "628123456789.0.0",
            "+62 812 3456 789.0",
            "+62 812 3456 789.00",
            "628.123.456.789,00",
            "628,123,456,789",
            "628123456789.0@c.us",
            "6.28123E+11",
            "6.28123456789e11",
            "62,0",
            "62.0",
            "NaN",
            "628123456789/0",
            "628111111111,628122222222",
            "628123456789:1@s.whatsapp.net",
        ];
        for text in wrong {
            assert_eq!(PhoneNumber::parse(text, "62"), Err(InvalidPhone), "{text}");
        }
    }

    #[test]
    fn several_numbers_each_once() {
        let parse = |texts: &[&str]| {
            let numbers = PhoneNumber::parse_distinct(texts.iter().copied(), "62");
            numbers.map(|numbers| numbers.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let given = ["0812 345 6789", "628111111111", "+628123456789", "08111111111"];
        assert_eq!(parse(&given).unwrap(), ["628123456789", "628111111111"]);
        assert_eq!(parse(&["08123456789", "x", "08123456789", "1"]), Err(vec![1, 3]));
        assert_eq!(parse(&[]).unwrap(), [""; 0]);
    }

    #[test]
    fn groups_and_people_keep_their_address() {
        for chat in
            ["120363041234567890@g.us", "628123-1600000000@g.us", "628123456789@s.whatsapp.net"]
        {
            let recipient = Recipient::parse(chat, "62").unwrap();
            assert_eq!(ChatId::from(recipient).to_string(), chat);
        }
        let copied =
            Recipient::parse("\u{feff}1203630\u{200b}41234567890@G.us\u{a0}", "62").unwrap();
        assert_eq!(ChatId::from(copied).to_string(), "120363041234567890@g.us");
        for wrong in ["@g.us", "-@g.us", "1-2-3@g.us", "abc@g.us"] {
            assert_eq!(Recipient::parse(wrong, "62"), Err(InvalidPhone), "{wrong}");
        }
        for (text, lid) in [
            ("100000000000001@lid", "100000000000001@lid"),
            ("\u{202a}100000000000001@Lid\u{202c}\n", "100000000000001@lid"),
            ("@lid", ""),
            ("12a@lid", ""),
            ("100000000000001:2@lid", ""),
            ("123456789012345678901@lid", ""),
        ] {
            let parsed = Recipient::parse(text, "62").map(|found| ChatId::from(found).to_string());
            assert_eq!(parsed.unwrap_or_default(), lid, "{text:?}");
        }
        let long = ["1-".repeat(600) + "@g.us", "\u{200b}".repeat(600) + "628123456789"];
        for long in &long {
            assert_eq!(Recipient::parse(long, "62"), Err(InvalidPhone));
        }
    }
}
