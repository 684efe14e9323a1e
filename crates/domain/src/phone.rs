//! Whom a message goes to: a phone number in any spelling people use, or a group.

use std::collections::HashSet;
use std::fmt;

use crate::chat::{ChatId, GroupId};

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

impl PhoneNumber {
    /// Reads a number as people write it.
    ///
    /// Spaces, dots, dashes, brackets and a leading `+` are dropped; `08…` gets `country` in
    /// place of its zero; `628…@s.whatsapp.net` and `628…@c.us` are accepted.
    ///
    /// # Errors
    /// [`InvalidPhone`] for anything else, or when 8 to 15 digits do not remain.
    pub fn parse(text: &str, country: &str) -> Result<Self, InvalidPhone> {
        let text = text.trim();
        let (number, is_jid) = match text.split_once('@') {
            Some((user, "s.whatsapp.net" | "c.us")) => (user, true),
            Some(_) => return Err(InvalidPhone),
            None => (text, false),
        };
        let (number, is_international) =
            match number.trim_start_matches(['(', '[']).strip_prefix('+') {
                Some(rest) => (rest, true),
                None => (number, is_jid),
            };
        let mut digits = String::with_capacity(PHONE_DIGITS_MAX);
        for c in number.chars() {
            match c {
                '0'..='9' if digits.len() <= PHONE_DIGITS_MAX => digits.push(c),
                ' ' | '.' | '-' | '(' | ')' | '[' | ']' if !is_jid => {}
                _ => return Err(InvalidPhone),
            }
        }
        if let (false, Some(national)) = (is_international, digits.strip_prefix('0')) {
            if national.starts_with('0') {
                return Err(InvalidPhone);
            }
            digits = format!("{country}{national}");
        }
        let fits = (PHONE_DIGITS_MIN..=PHONE_DIGITS_MAX).contains(&digits.len());
        (fits && !digits.starts_with('0')).then_some(Self(digits)).ok_or(InvalidPhone)
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

/// Where a message goes, as people write it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// One person, by phone number.
    Person(PhoneNumber),
    /// A group.
    Group(GroupId),
}

impl Recipient {
    /// Reads `…@g.us` as a group and anything else as a phone number.
    ///
    /// # Errors
    /// [`InvalidPhone`] when it is neither.
    pub fn parse(text: &str, country: &str) -> Result<Self, InvalidPhone> {
        match text.trim().split_once('@') {
            Some((id, "g.us")) => Self::group(id),
            _ => PhoneNumber::parse(text, country).map(Self::Person),
        }
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
        ];
        for text in same {
            assert_eq!(PhoneNumber::parse(text, "62").unwrap().as_str(), "628123456789", "{text}");
        }
        assert_eq!(PhoneNumber::parse("0171 2345678", "49").unwrap().as_str(), "491712345678");
    }

    #[test]
    fn what_is_no_number() {
        let wrong = [
            "",
            "+",
            "abc",
            "62812x456789",
            "1234567",
            "1234567890123456",
            "+08123456789",
            "628123456789@g.us",
            "62812 3456789@c.us",
            "628123456789@evil",
            "６２８１２３４５６７８９",
            "0000000000",
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
        for wrong in ["@g.us", "-@g.us", "1-2-3@g.us", "abc@g.us"] {
            assert_eq!(Recipient::parse(wrong, "62"), Err(InvalidPhone), "{wrong}");
        }
    }
}
