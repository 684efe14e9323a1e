//! Reading the fields of a body one by one, and collecting what is wrong with all of them: this API
//! names every fault in one answer.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::types::Fault;
use crate::body::without_bom;
use crate::fields::{BooleanField, IntegerField};
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
        let mended = surrogates::replaced(bytes);
        match serde_json::from_slice(mended.as_deref().unwrap_or(bytes)) {
            Ok(Value::Object(fields)) => Ok(Self { fields, faults: Vec::new() }),
            Ok(_) => Err(vec![fault("", "value is not a valid dict", "type_error.dict")]),
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
