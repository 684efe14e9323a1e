//! How a device appears to WhatsApp, and how it gets there.

use crate::proxy::Proxy;

/// Longest name that a phone lists, in characters.
pub const SHOWN_NAME_CHARS_MAX: usize = 60;

/// How a phone lists a linked device. What is `None` follows the gateway's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShownAs {
    /// Its name; a phone learns it when it links the device.
    pub name: Option<String>,
    /// What kind of client it is; a phone learns it when it links the device.
    pub platform: Option<Platform>,
    /// Its language.
    pub language: Option<Language>,
}

/// What a device is to WhatsApp while it is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectedAs {
    /// What the phone's owner calls themselves, once WhatsApp has sent it.
    pub phone_name: Option<String>,
    /// The version of the protocol that it announces.
    pub version: String,
}

/// The kinds of clients that phones know, and show with a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Platform {
    #[default]
    Chrome,
    Edge,
    Firefox,
    Opera,
    Safari,
    Desktop,
}

impl Platform {
    /// All there are.
    pub const ALL: [Self; 6] =
        [Self::Chrome, Self::Edge, Self::Firefox, Self::Opera, Self::Safari, Self::Desktop];

    /// Its name in every API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chrome => "chrome",
            Self::Edge => "edge",
            Self::Firefox => "firefox",
            Self::Opera => "opera",
            Self::Safari => "safari",
            Self::Desktop => "desktop",
        }
    }

    /// Reads a name back, in capitals or not.
    ///
    /// # Errors
    /// What it must be, for people.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let found = Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(text));
        found.ok_or("must be chrome, edge, firefox, opera, safari or desktop")
    }
}

/// A language and a country, such as `id-ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Language(String);

impl Language {
    /// Reads it; `id_id` is taken as well.
    ///
    /// # Errors
    /// What it must be, for people.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_code = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
        match text.split_once(['-', '_']) {
            Some((language, country)) if is_code(language) && is_code(country) => {
                let (language, country) =
                    (language.to_ascii_lowercase(), country.to_ascii_uppercase());
                Ok(Self(format!("{language}-{country}")))
            }
            _ => Err("must be a language and a country, such as id-ID"),
        }
    }

    /// Both, such as `id-ID`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language and the country.
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_at_checked(2).map_or(("", ""), |(language, rest)| (language, &rest[1..]))
    }
}

impl Default for Language {
    fn default() -> Self {
        Self("en-US".to_owned())
    }
}

/// Takes a name that phones will list.
///
/// # Errors
/// What it must be, for people.
pub fn shown_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    let length = name.chars().count();
    match length == 0 || length > SHOWN_NAME_CHARS_MAX || name.chars().any(char::is_control) {
        true => Err("must have 1 to 60 characters and no control ones"),
        false => Ok(name.to_owned()),
    }
}

/// What the messenger needs to connect a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// How it appears.
    pub shown_as: ShownAs,
    /// How it gets to WhatsApp.
    pub route: Route,
}

/// How a device gets to WhatsApp.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Route {
    /// By itself.
    #[default]
    Direct,
    /// Through a proxy, and never without it.
    Proxy(Proxy),
    /// Through a proxy that cannot be read: not at all.
    Unreadable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_and_platforms_are_read_as_people_write_them() {
        assert_eq!(Language::parse("ID_id").unwrap().as_str(), "id-ID");
        assert_eq!(Language::parse("pt-BR").unwrap().parts(), ("pt", "BR"));
        for text in ["", "id", "indonesia", "i1-ID", "id-IDN"] {
            assert!(Language::parse(text).is_err(), "{text}");
        }
        assert_eq!(Platform::parse("Safari").unwrap(), Platform::Safari);
        assert!(Platform::parse("netscape").is_err());
    }

    #[test]
    fn a_name_that_phones_list_has_1_to_60_characters() {
        let (longest, too_long) = ("é".repeat(60), "é".repeat(61));
        let cases = [
            ("Toko Budi", Some("Toko Budi")),
            (" Toko Budi\n", Some("Toko Budi")),
            ("x", Some("x")),
            (&longest, Some(longest.as_str())),
            (&too_long, None),
            ("", None),
            (" \t", None),
            ("Toko\nBudi", None),
            ("Toko\u{7f}Budi", None),
        ];
        for (given, expected) in cases {
            assert_eq!(shown_name(given).ok().as_deref(), expected, "{given:?}");
        }
    }
}
