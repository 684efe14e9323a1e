//! Reading the fields of a body one by one, and collecting what is wrong with all of them: this API
//! names every fault in one answer.

use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::types::Fault;
use crate::body::without_bom;
use crate::fields::{BooleanField, IntegerField};
use crate::forms::FORM_FIELDS_MAX;
use crate::surrogates;

/// The fields of a body and the faults found so far.
pub(super) struct Fields {
    fields: Map<String, Value>,
    faults: Vec<Fault>,
}

/// A fault of a field of the body.
pub(super) fn fault(field: &str, msg: impl Into<String>, kind: &str) -> Fault {
    let loc = std::iter::once("body").chain((!field.is_empty()).then_some(field));
    Fault { loc: loc.map(str::to_owned).collect(), msg: msg.into(), kind: kind.to_owned() }
}

fn parsed(bytes: &[u8]) -> Result<Flat, serde_json::Error> {
    serde_json::from_slice(bytes).or_else(|error| match surrogates::replaced(bytes) {
        Some(mended) => parsed(&mended),
        // A wrong type before a syntax error must not hide the latter.
        None => Err(serde_json::from_slice::<IgnoredAny>(bytes).err().unwrap_or(error)),
    })
}

impl Fields {
    /// Reads a body.
    ///
    /// # Errors
    /// The one fault of a body that is no JSON object.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Vec<Fault>> {
        if bytes.is_empty() {
            return Err(vec![fault("", "field required", "value_error.missing")]);
        }
        let bytes = without_bom(bytes);
        match parsed(bytes) {
            Ok(Flat(fields)) => Ok(Self { fields, faults: Vec::new() }),
            Err(error) if error.is_data() => {
                Err(vec![fault("", "value is not a valid dict", "type_error.dict")])
            }
            Err(error) => {
                let kind = "value_error.jsondecode";
                Err(vec![fault("", format!("the body is not JSON: {error}"), kind)])
            }
        }
    }

    /// Adds a fault.
    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Whether a fault of this field was found.
    pub(super) fn is_faulty(&self, field: &str) -> bool {
        self.faults.iter().any(|fault| fault.loc.last().is_some_and(|last| last == field))
    }

    /// A text that may be left out or null. Numbers are taken as the texts they are written as.
    pub(super) fn text(&mut self, field: &str) -> Option<String> {
        match self.fields.remove(field)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            Value::Number(number) if number.as_f64().is_some_and(|n| n.fract() == 0.0) => {
                Some(number.to_string())
            }
            _ => {
                self.add(fault(field, "str type expected", "type_error.str"));
                None
            }
        }
    }

    /// A text that has to be there and must not be empty.
    pub(super) fn required(&mut self, field: &str) -> String {
        match self.fields.get(field) {
            None => self.add(fault(field, "field required", "value_error.missing")),
            Some(Value::Null) => {
                let msg = "none is not an allowed value";
                self.add(fault(field, msg, "type_error.none.not_allowed"));
            }
            Some(Value::String(text)) if text.trim().is_empty() => {
                let msg = "ensure this value has at least 1 characters";
                self.add(fault(field, msg, "value_error.any_str.min_length"));
            }
            Some(_) => return self.text(field).unwrap_or_default(),
        }
        String::new()
    }

    /// As [`Fields::text`]; a blank text is none.
    pub(super) fn filled(&mut self, field: &str) -> Option<String> {
        self.text(field).filter(|text| !text.trim().is_empty())
    }

    /// A whole number that may be left out.
    pub(super) fn integer(&mut self, field: &str) -> Option<i64> {
        let msg = "value is not a valid integer";
        self.parsed::<IntegerField>(field, msg, "type_error.integer").map(|number| number.0)
    }

    /// True or false; false when left out.
    pub(super) fn flag(&mut self, field: &str) -> bool {
        let msg = "value could not be parsed to a boolean";
        self.parsed::<BooleanField>(field, msg, "type_error.bool").is_some_and(|flag| flag.0)
    }

    fn parsed<T: DeserializeOwned>(&mut self, field: &str, msg: &str, kind: &str) -> Option<T> {
        let value = self.fields.remove(field)?;
        if value.as_str().is_some_and(|text| text.trim().is_empty()) {
            return None;
        }
        serde_json::from_value(value).unwrap_or_else(|_| {
            self.add(fault(field, msg, kind));
            None
        })
    }

    /// The faults, if there are some.
    ///
    /// # Errors
    /// All that were found.
    pub(super) fn check(self) -> Result<(), Vec<Fault>> {
        if self.faults.is_empty() { Ok(()) } else { Err(self.faults) }
    }
}

/// The fields of an object. No field of this API holds a list or an object: of one that does, no more
/// is kept than that.
struct Flat(Map<String, Value>);

impl<'de> Deserialize<'de> for Flat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Flat;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object with at most {FORM_FIELDS_MAX} fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut given: A) -> Result<Flat, A::Error> {
                let mut fields = Map::new();
                while let Some(name) = given.next_key::<String>()? {
                    if fields.len() >= FORM_FIELDS_MAX {
                        return Err(de::Error::invalid_length(FORM_FIELDS_MAX + 1, &self));
                    }
                    fields.insert(name, given.next_value_seed(Shallow)?);
                }
                Ok(Flat(fields))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

/// Reads a value; a list or an object is an empty one.
struct Shallow;

impl<'de> DeserializeSeed<'de> for Shallow {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shallow {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Array(Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object(Map::new()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_and_objects_are_not_kept() {
        let body = json!({"a": [1, {"b": 2}], "c": {"d": [3]}, "e": "f", "g": 1.5, "h": null});
        let read = Fields::of(body.to_string().as_bytes()).ok().unwrap();
        let kept = json!({"a": [], "c": {}, "e": "f", "g": 1.5, "h": null});
        assert_eq!(Value::Object(read.fields), kept);
    }

    #[test]
    fn an_object_with_too_many_fields_is_none() {
        let object = |count: usize| {
            let fields = (0..count).map(|n| (n.to_string(), Value::Null));
            Value::Object(fields.collect()).to_string()
        };
        assert!(Fields::of(object(FORM_FIELDS_MAX).as_bytes()).is_ok());
        for (body, kind) in [
            (object(FORM_FIELDS_MAX + 1).as_str(), "type_error.dict"),
            ("[1]", "type_error.dict"),
            ("[1", "value_error.jsondecode"),
        ] {
            assert_eq!(Fields::of(body.as_bytes()).err().unwrap()[0].kind, kind);
        }
    }
}
