//! The types of everything that is stored as JSON: the domain may rename its own, these texts stay.
//!
//! Every module has a `write` and a `read`. The rules, which `docs/adr/0004-stored-json.md`
//! explains: names are spelled out here; unknown fields are ignored; an unknown name of a state
//! makes the row unreadable; what is not used is not written, so that the previous release reads
//! what this one wrote.

pub(crate) mod address;
pub(crate) mod content;
pub(crate) mod event;
pub(crate) mod failure;
mod group;
pub(crate) mod history;
pub(crate) mod ids;
pub(crate) mod incoming;
pub(crate) mod mentions;
pub(crate) mod names;
pub(crate) mod pacing;
pub(crate) mod shown_as;
mod structured;
pub(crate) mod tries;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::sql::{SqlError, SqlResult};

fn to_text(value: &impl Serialize) -> SqlResult<String> {
    serde_json::to_string(value).map_err(|error| SqlError::Fault(error.to_string()))
}

/// Never shows the text: it may be a customer's.
fn from_text<'a, T: Deserialize<'a>>(text: &'a str, what: &str) -> SqlResult<T> {
    serde_json::from_str(text).map_err(|_| unreadable(what))
}

fn unreadable(what: &str) -> SqlError {
    SqlError::Fault(format!("{what} cannot be read"))
}
