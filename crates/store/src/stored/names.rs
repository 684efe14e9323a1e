//! Lists of names: what a plan includes (`plans.features`), and which events a webhook wants
//! (`webhooks.events`). A name that only a later release knows is skipped.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use super::{from_text, to_text};
use crate::sql::SqlResult;

/// What could be read of a list.
pub(crate) struct Known<T> {
    pub(crate) items: Vec<T>,
    /// Whether names were skipped.
    pub(crate) has_unknown: bool,
}

struct StoredNames<'a, T>(&'a [T], fn(T) -> &'static str);

impl<T: Copy> Serialize for StoredNames<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|item| (self.1)(*item)))
    }
}

pub(crate) fn write<T: Copy>(items: &[T], name: fn(T) -> &'static str) -> SqlResult<String> {
    to_text(&StoredNames(items, name))
}

pub(crate) fn read<T>(text: &str, parse: fn(&str) -> Option<T>) -> SqlResult<Known<T>> {
    let names: Vec<Cow<'_, str>> = from_text(text, "a list of names")?;
    let count = names.len();
    let items: Vec<T> = names.iter().filter_map(|name| parse(name)).collect();
    Ok(Known { has_unknown: items.len() < count, items })
}
