//! Why a message failed, in `failure` of both tables of messages and in queued events.

use std::borrow::Cow;

use domain::message::Failure;
use serde::{Deserialize, Serialize};

use super::{from_text, to_text};
use crate::sql::SqlResult;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredFailure<'a> {
    code: Cow<'a, str>,
    message: Cow<'a, str>,
}

impl<'a> From<&'a Failure> for StoredFailure<'a> {
    fn from(failure: &'a Failure) -> Self {
        Self { code: (&failure.code).into(), message: (&failure.message).into() }
    }
}

impl From<StoredFailure<'_>> for Failure {
    fn from(stored: StoredFailure<'_>) -> Self {
        Self { code: stored.code.into_owned(), message: stored.message.into_owned() }
    }
}

pub(crate) fn write(failure: &Failure) -> SqlResult<String> {
    to_text(&StoredFailure::from(failure))
}

pub(crate) fn read(text: &str) -> SqlResult<Failure> {
    from_text::<StoredFailure<'_>>(text, "its failure").map(Failure::from)
}
