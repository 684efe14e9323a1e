//! Fields that take more than one JSON type (a device by id or number, a phone as text or number),
//! and objects that must be objects.

use std::fmt;
use std::marker::PhantomData;

use domain::ids::DeviceNumber;
use domain::service::DeviceName;
use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
                DeviceName::parse(text)
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
        }

        deserializer.deserialize_any(Reader)
    }
}

impl Serialize for PhoneField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
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
                let time = text.parse().map(TimeField);
                time.map_err(|_| E::custom(format_args!("must be {TIME}")))
            }
        }

        deserializer.deserialize_str(Reader)
    }
}

const TIME: &str = "a time such as 2026-11-21T08:00:00Z";

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
