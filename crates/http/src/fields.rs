//! Fields that take more than one JSON type (a device by id or number, a phone as text or number),
//! and objects that must be objects; and ids in paths.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use domain::ids::DeviceNumber;
use domain::media::INLINE_MEDIA_BYTES_MAX;
use domain::service::DeviceName;
use jiff::Timestamp;
use jiff::civil::date;
use jiff::fmt::temporal::Pieces;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A device: its id, or its `number_id` as integer or text.
#[derive(Debug, Clone, Copy)]
pub struct DeviceField(pub DeviceName);

impl<'de> Deserialize<'de> for DeviceField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = DeviceField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a device's id (UUID) or number_id (integer)")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<DeviceField, E> {
                DeviceName::parse(text.trim())
                    .map(DeviceField)
                    .ok_or_else(|| E::custom("must be a device's id (UUID) or number_id (integer)"))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<DeviceField, E> {
                let number = i64::try_from(number).unwrap_or(i64::MAX);
                Ok(DeviceField(DeviceName::Number(DeviceNumber(number))))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl Serialize for DeviceField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            DeviceName::Id(id) => id.serialize(serializer),
            DeviceName::Number(number) => number.serialize(serializer),
        }
    }
}

/// A phone number or group id: text, or an integer.
#[derive(Debug, Clone)]
pub struct PhoneField(pub String);

impl Deref for PhoneField {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for PhoneField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = PhoneField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a phone number as string or integer")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<PhoneField, E> {
                Ok(PhoneField(text.to_owned()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<PhoneField, E> {
                Ok(PhoneField(text))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<PhoneField, E> {
                Ok(PhoneField(number.to_string()))
            }

            // A table's column of numbers, which some languages write with a decimal point.
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<PhoneField, E> {
                whole_digits(number)
                    .map(PhoneField)
                    .ok_or_else(|| E::invalid_type(Unexpected::Float(number), &self))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// The digits of a number without a fraction, as far as none of them can be lost.
fn whole_digits(number: f64) -> Option<String> {
    let is_whole = number.fract() == 0.0 && (0.0..1e15).contains(&number);
    is_whole.then(|| format!("{number:.0}"))
}

impl Serialize for PhoneField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A message's id: text, or an integer.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct MessageIdField(pub String);

impl<'de> Deserialize<'de> for MessageIdField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a message's id as string or integer")]
        enum Given {
            Text(String),
            Number(i64),
        }

        Ok(Self(match Given::deserialize(deserializer)? {
            Given::Text(text) => text,
            Given::Number(number) => number.to_string(),
        }))
    }
}

/// An integer, or its digits as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct IntegerField(pub i64);

impl<'de> Deserialize<'de> for IntegerField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = IntegerField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<IntegerField, E> {
                let number = text.trim().parse().map(IntegerField);
                number.map_err(|_| E::custom("must be an integer"))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<IntegerField, E> {
                Ok(IntegerField(number))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<IntegerField, E> {
                let whole = whole_digits(number).and_then(|digits| digits.parse().ok());
                whole
                    .map(IntegerField)
                    .ok_or_else(|| E::invalid_type(Unexpected::Float(number), &self))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<IntegerField, E> {
                // No field has a use for more.
                Ok(IntegerField(i64::try_from(number).unwrap_or(i64::MAX)))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// `true`, `false`, 1 or 0, or any of them as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct BooleanField(pub bool);

impl<'de> Deserialize<'de> for BooleanField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = BooleanField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }

            fn visit_bool<E: de::Error>(self, is_set: bool) -> Result<BooleanField, E> {
                Ok(BooleanField(is_set))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<BooleanField, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<BooleanField, E> {
                let text = text.trim();
                match text {
                    "1" => Ok(BooleanField(true)),
                    "0" => Ok(BooleanField(false)),
                    // Python writes True.
                    _ if text.eq_ignore_ascii_case("true") => Ok(BooleanField(true)),
                    _ if text.eq_ignore_ascii_case("false") => Ok(BooleanField(false)),
                    _ => Err(E::custom("must be true or false")),
                }
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// A time with its offset, as RFC 3339 has it.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
pub struct TimeField(pub Timestamp);

impl<'de> Deserialize<'de> for TimeField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = TimeField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(TIME)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TimeField, E> {
                let time = text.trim().parse().ok().or_else(|| end_of_calendar(text.trim()));
                time.map(TimeField).ok_or_else(|| E::custom(format_args!("must be {TIME}")))
            }
        }

        deserializer.deserialize_str(Reader)
    }
}

/// The last days of the year 9999, which stand for "never", are later than the last [`Timestamp`].
fn end_of_calendar(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text).ok()?;
    pieces.time().zip(pieces.to_numeric_offset())?;
    (pieces.date() >= date(9999, 12, 30)).then_some(Timestamp::MAX)
}

const TIME: &str = "a time such as 2026-11-21T08:00:00Z";

/// Bytes as base64, or as the `data:` URL that browsers make of a file. They are decoded as they are
/// read; what is written is their SHA-256, so that an idempotency key's fingerprint stays small.
#[derive(Clone)]
pub struct Base64Field {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The MIME type that a `data:` URL gives them.
    pub mimetype: Option<String>,
}

impl Base64Field {
    /// Decodes a text: with or without padding, in either alphabet. White space is skipped: some
    /// encoders break their lines.
    pub fn decode(text: &str) -> Option<Self> {
        let (mimetype, text) = without_prefix(text);
        let is_usual = |b: u8| !b.is_ascii_whitespace() && b != b'-' && b != b'_';
        let text = match text.bytes().all(is_usual) {
            true => Cow::Borrowed(text),
            false => {
                let bare: String = text.split_ascii_whitespace().collect();
                Cow::Owned(bare.replace('-', "+").replace('_', "/"))
            }
        };
        let bytes = BASE64.decode(text.as_bytes()).ok()?;
        Some(Self { bytes, mimetype: mimetype.map(str::to_owned) })
    }
}

/// What a `data:` URL gives as its type, and its base64.
fn without_prefix(text: &str) -> (Option<&str>, &str) {
    let text = text.trim_start();
    let Some((head, base64)) = text.split_once(',').filter(|(head, _)| is_data_url(head)) else {
        return (None, text);
    };
    let head = head.split_at_checked(5).filter(|(word, _)| word.eq_ignore_ascii_case("data:"));
    let mimetype = head.and_then(|(_, rest)| rest.split(';').next());
    // Some clients write `*/*`, which says nothing.
    let is_mimetype = |text: &&str| {
        let is_usual = |b: u8| b.is_ascii_alphanumeric() || b"/+-._".contains(&b);
        text.len() < 128 && text.contains('/') && text.bytes().all(is_usual)
    };
    (mimetype.map(str::trim).filter(is_mimetype), base64)
}

/// Whether this stands before the comma of a `data:` URL, whose first word some clients leave out.
fn is_data_url(head: &str) -> bool {
    let end = head.trim_end().len().checked_sub(";base64".len());
    end.and_then(|end| head.trim_end().get(end..))
        .is_some_and(|end| end.eq_ignore_ascii_case(";base64"))
}

impl<'de> Deserialize<'de> for Base64Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Base64Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Base64Field, E> {
                if without_prefix(text).1.len() > INLINE_MEDIA_BYTES_MAX.div_ceil(3) * 4 {
                    let message = "must have at most 16 MiB once decoded; send a URL instead";
                    return Err(E::custom(message));
                }
                Base64Field::decode(text).ok_or_else(|| E::custom("must be base64"))
            }
        }

        deserializer.deserialize_str(Reader)
    }
}

impl Serialize for Base64Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(Sha256::digest(&self.bytes)))
    }
}

/// Base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An integer id in a path, as we print it: without a sign, without leading zeros.
pub(crate) fn path_id(text: &str) -> Option<i64> {
    text.parse().ok().filter(|id: &i64| *id >= 0 && id.to_string() == text)
}

/// A JSON object, and no array: serde would take one as the fields in their order.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Reader(PhantomData))
    }
}
