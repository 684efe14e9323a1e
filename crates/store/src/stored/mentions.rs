//! Whom an edit mentions that waits for its message, in `amendments.mentions`.

use std::borrow::Cow;

use domain::context::Mentions;
use serde::{Deserialize, Serialize};

use super::{from_text, to_text};
use crate::sql::SqlResult;

#[derive(Serialize, Deserialize)]
struct StoredMentions<'a> {
    people: Cow<'a, [String]>,
    all: bool,
}

pub(crate) fn write(mentions: &Mentions) -> SqlResult<String> {
    to_text(&StoredMentions { people: Cow::Borrowed(&mentions.people), all: mentions.all })
}

pub(crate) fn read(text: &str) -> SqlResult<Mentions> {
    let stored: StoredMentions<'_> = from_text(text, "whom it mentions")?;
    Ok(Mentions { people: stored.people.into_owned(), all: stored.all })
}
