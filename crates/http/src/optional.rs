//! Fields that may be left out, and lists, as clients of every language write them.
//!
//! A form has no null, and most clients fill a template: an empty or blank text in an optional field
//! means that the field was left out, as null does, whatever the field's type.

use std::fmt;
use std::marker::PhantomData;

use domain::message::RECEIVERS_GIVEN_MAX;
use serde::de::value::{
    BoolDeserializer, BorrowedStrDeserializer, F64Deserializer, I64Deserializer,
    MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer, StringDeserializer,
    U64Deserializer,
};
use serde::de::{self, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Reads an optional field; for `#[serde(default, deserialize_with = "optional")]`.
///
/// # Errors
/// Those of the field's type.
pub fn optional<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(match deserializer.deserialize_any(Reader(PhantomData))? {
        Given::Value(value) => Some(value),
        Given::Empty | Given::Null => None,
    })
}

/// As [`optional`], where null says something: `Some(None)`.
///
/// # Errors
/// Those of the field's type.
pub fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(match deserializer.deserialize_any(Reader(PhantomData))? {
        Given::Value(value) => Some(Some(value)),
        Given::Null => Some(None),
        Given::Empty => None,
    })
}

/// As [`nullable`], of a text that people see: an empty one says what null says.
///
/// # Errors
/// When it is no text.
pub fn clearable<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<String>>, D::Error> {
    Ok(Some(optional(deserializer)?))
}

/// What is in a field.
enum Given<T> {
    /// A blank text.
    Empty,
    Null,
    Value(T),
}

struct Reader<T>(PhantomData<T>);

/// Has a value read as the type `T`.
macro_rules! read_as {
    ($($visit:ident($value:ty) $with:ident;)*) => {
        $(fn $visit<E: de::Error>(self, value: $value) -> Result<Given<T>, E> {
            let reader: $with<E> = value.into_deserializer();
            T::deserialize(reader).map(Given::Value)
        })*
    };
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
    type Value = Given<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_unit<E>(self) -> Result<Given<T>, E> {
        Ok(Given::Null)
    }

    fn visit_none<E>(self) -> Result<Given<T>, E> {
        Ok(Given::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Given<T>, D::Error> {
        value.deserialize_any(self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Given<T>, E> {
        let reader: StrDeserializer<'_, E> = text.into_deserializer();
        if is_blank(text) { Ok(Given::Empty) } else { T::deserialize(reader).map(Given::Value) }
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Given<T>, E> {
        let reader = BorrowedStrDeserializer::<E>::new(text);
        if is_blank(text) { Ok(Given::Empty) } else { T::deserialize(reader).map(Given::Value) }
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Given<T>, E> {
        if is_blank(&text) {
            return Ok(Given::Empty);
        }
        let reader: StringDeserializer<E> = text.into_deserializer();
        T::deserialize(reader).map(Given::Value)
    }

    read_as! {
        visit_bool(bool) BoolDeserializer;
        visit_i64(i64) I64Deserializer;
        visit_u64(u64) U64Deserializer;
        visit_f64(f64) F64Deserializer;
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Given<T>, A::Error> {
        T::deserialize(SeqAccessDeserializer::new(items)).map(Given::Value)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Given<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Given::Value)
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Most items of a list; further ones are not read. The longest that any call takes is a batch, in which
/// receivers may be named again.
const LIST_ITEMS_MAX: usize = RECEIVERS_GIVEN_MAX;

/// A list: an array, or what PHP makes of one that has lost its first or a middle item, an object
/// whose keys are numbers.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct ListField<T>(pub Vec<T>);

impl<T> Default for ListField<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ListField<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = ListField<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ListField<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    add(&mut items, item)?;
                }
                Ok(ListField(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ListField<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if key.is_empty() || !key.bytes().all(|b| b.is_ascii_digit()) {
                        map.next_value::<IgnoredAny>()?;
                        return Err(de::Error::custom("must be an array"));
                    }
                    add(&mut items, map.next_value()?)?;
                }
                Ok(ListField(items))
            }
        }

        fn add<T, E: de::Error>(items: &mut Vec<T>, item: T) -> Result<(), E> {
            if items.len() == LIST_ITEMS_MAX {
                let message = format!("must have at most {LIST_ITEMS_MAX} items");
                return Err(E::custom(message));
            }
            items.push(item);
            Ok(())
        }

        deserializer.deserialize_any(Reader(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::body::parse_json;
    use crate::fields::{BooleanField, DeviceField, IntegerField, Object, PhoneField, TimeField};

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        One,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[serde(default, deserialize_with = "optional")]
        text: Option<String>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Fields {
        #[serde(deserialize_with = "optional")]
        text: Option<String>,
        #[serde(deserialize_with = "optional")]
        number: Option<u32>,
        #[serde(deserialize_with = "optional")]
        signed: Option<i64>,
        #[serde(deserialize_with = "optional")]
        fraction: Option<f64>,
        #[serde(deserialize_with = "optional")]
        flag: Option<bool>,
        #[serde(deserialize_with = "optional")]
        choice: Option<Choice>,
        #[serde(deserialize_with = "optional")]
        device: Option<DeviceField>,
        #[serde(deserialize_with = "optional")]
        phone: Option<PhoneField>,
        #[serde(deserialize_with = "optional")]
        integer: Option<IntegerField>,
        #[serde(deserialize_with = "optional")]
        boolean: Option<BooleanField>,
        #[serde(deserialize_with = "optional")]
        time: Option<TimeField>,
        #[serde(deserialize_with = "optional")]
        list: Option<ListField<String>>,
        #[serde(deserialize_with = "optional")]
        object: Option<Object<Inner>>,
    }

    const NAMES: [&str; 13] = [
        "text", "number", "signed", "fraction", "flag", "choice", "device", "phone", "integer",
        "boolean", "time", "list", "object",
    ];

    fn read(field: &str, value: serde_json::Value) -> Result<Fields, String> {
        let body = json!({field: value}).to_string();
        parse_json(body.as_bytes()).map_err(|error| match error {
            crate::api_error::ApiError::Field { field, message } => format!("{field}: {message}"),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn an_empty_text_is_a_field_left_out_whatever_its_type() {
        for name in NAMES {
            for empty in [json!(""), json!(" \n"), json!(null)] {
                let fields = read(name, empty).unwrap();
                let is_left_out = fields.text.is_none()
                    && fields.number.is_none()
                    && fields.signed.is_none()
                    && fields.fraction.is_none()
                    && fields.flag.is_none()
                    && fields.choice.is_none()
                    && fields.device.is_none()
                    && fields.phone.is_none()
                    && fields.integer.is_none()
                    && fields.boolean.is_none()
                    && fields.time.is_none()
                    && fields.list.is_none()
                    && fields.object.is_none();
                assert!(is_left_out, "{name}");
            }
        }
    }

    #[test]
    fn null_says_something_where_it_may() {
        #[derive(Deserialize)]
        struct Changes {
            #[serde(default, deserialize_with = "nullable")]
            number: Option<Option<u32>>,
        }
        let read = |body: &str| parse_json::<Changes>(body.as_bytes()).map(|read| read.number);
        assert_eq!(read("{}").unwrap(), None);
        assert_eq!(read(r#"{"number":" "}"#).unwrap(), None);
        assert_eq!(read(r#"{"number":null}"#).unwrap(), Some(None));
        assert_eq!(read(r#"{"number":7}"#).unwrap(), Some(Some(7)));
        assert!(read(r#"{"number":"x"}"#).is_err());
    }

    #[test]
    fn everything_else_is_read_as_without() {
        assert_eq!(read("text", json!(" a\n ")).unwrap().text.unwrap(), " a\n ");
        assert_eq!(read("number", json!(7)).unwrap().number, Some(7));
        assert_eq!(read("signed", json!(-7)).unwrap().signed, Some(-7));
        assert_eq!(read("fraction", json!(0.5)).unwrap().fraction, Some(0.5));
        assert_eq!(read("fraction", json!(5)).unwrap().fraction, Some(5.0));
        assert_eq!(read("flag", json!(false)).unwrap().flag, Some(false));
        assert!(matches!(read("choice", json!("one")).unwrap().choice, Some(Choice::One)));
        assert_eq!(read("phone", json!(628_111)).unwrap().phone.unwrap().0, "628111");
        assert_eq!(read("phone", json!(628_111.0)).unwrap().phone.unwrap().0, "628111");
        assert!(read("device", json!(" 7\n")).unwrap().device.is_some());
        assert_eq!(read("integer", json!("5")).unwrap().integer, Some(IntegerField(5)));
        assert_eq!(read("integer", json!(5.0)).unwrap().integer, Some(IntegerField(5)));
        assert!(read("time", json!("2026-11-21T08:00:00Z")).unwrap().time.is_some());
        let object = read("object", json!({"text": "a"})).unwrap().object.unwrap();
        assert_eq!(object.0.text.as_deref(), Some("a"));
        for (name, value, expected) in [
            ("text", json!(5), "text: must be a string"),
            ("number", json!(-1), "number: must be an integer that is not negative"),
            ("number", json!("x"), "number: must be an integer that is not negative"),
            ("flag", json!("x"), "flag: must be true or false"),
            ("choice", json!("two"), "choice: must be one of one"),
            ("phone", json!(62.8), "phone: must be a phone number as string or integer"),
            ("integer", json!(1.5), "integer: must be an integer"),
            ("phone", json!(1e30), "phone: must be a phone number as string or integer"),
            ("phone", json!(-628.0), "phone: must be a phone number as string or integer"),
            ("time", json!("x"), "time: must be a time such as 2026-11-21T08:00:00Z"),
            ("list", json!("x"), "list: must be an array"),
            ("object", json!({"text": 1}), "object.text: must be a string"),
            ("object", json!(["a"]), "object: must be a JSON object"),
        ] {
            assert_eq!(read(name, value).unwrap_err(), expected);
        }
    }

    #[test]
    fn lists_as_php_writes_them() {
        let list = |value| read("list", value).map(|fields| fields.list.unwrap().0);
        assert_eq!(list(json!(["a", "b"])).unwrap(), ["a", "b"]);
        assert_eq!(list(json!({"0": "a", "2": "b"})).unwrap(), ["a", "b"]);
        let body = br#"{"list": {"10": "a", "9": "b"}}"#;
        let fields: Fields = parse_json(body).unwrap();
        assert_eq!(fields.list.unwrap().0, ["a", "b"], "in the order in which they are written");
        assert_eq!(list(json!({})).unwrap(), [""; 0]);
        assert_eq!(list(json!(vec!["a"; LIST_ITEMS_MAX])).unwrap().len(), LIST_ITEMS_MAX);
        let longer = list(json!(vec!["a"; LIST_ITEMS_MAX + 1]));
        assert_eq!(longer.unwrap_err(), "list: must have at most 2000 items");
        for wrong in [json!({"a": "b"}), json!({"": "b"}), json!({"-1": "b"})] {
            assert_eq!(list(wrong).unwrap_err(), "list: must be an array");
        }
    }
}
