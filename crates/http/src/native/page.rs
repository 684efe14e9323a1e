//! Lists: `{"data":[…],"next_cursor":string|null}`, newest first. A cursor is opaque to clients;
//! it names the last row they have seen, so that new rows never shift a page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ports::{Page, PageRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api_error::ApiError;
use crate::optional::optional;

/// Rows of a page, unless asked otherwise.
const LIMIT_DEFAULT: u32 = 50;
/// Most rows of a page.
pub const LIMIT_MAX: u32 = 100;

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub struct List<T> {
    /// The rows, newest first.
    pub data: Vec<T>,
    /// Give it as `cursor` to get the next page; null on the last one.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A list that is complete.
    pub fn whole(data: Vec<T>) -> Self {
        Self { data, next_cursor: None }
    }

    /// A page, with the cursor behind its last row.
    pub fn of<'a, R>(page: &'a Page<R>, id: impl Fn(&R) -> i64, row: impl Fn(&'a R) -> T) -> Self {
        let next_cursor = page.next(id).map(encode_cursor);
        Self { data: page.items.iter().map(row).collect(), next_cursor }
    }
}

/// The query of a list that is not filtered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageParams {
    #[serde(default, deserialize_with = "optional")]
    limit: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    cursor: Option<String>,
}

impl PageParams {
    /// The page that is asked for.
    ///
    /// # Errors
    /// [`ApiError::Field`].
    pub(super) fn page(&self) -> Result<PageRequest, ApiError> {
        page_request(self.limit.as_deref(), self.cursor.as_deref())
    }
}

/// Reads `limit` and `cursor`.
///
/// # Errors
/// [`ApiError::Field`].
pub fn page_request(limit: Option<&str>, cursor: Option<&str>) -> Result<PageRequest, ApiError> {
    let limit = match limit {
        None => LIMIT_DEFAULT,
        Some(text) => match text.parse() {
            Ok(limit @ 1..=LIMIT_MAX) => limit,
            _ => return Err(ApiError::field("limit", format!("must be 1 to {LIMIT_MAX}"))),
        },
    };
    let before =
        match cursor {
            None => None,
            Some(text) => Some(decode_cursor(text).ok_or_else(|| {
                ApiError::field("cursor", "must be a next_cursor of the same list")
            })?),
        };
    Ok(PageRequest { before, limit })
}

fn encode_cursor(id: i64) -> String {
    URL_SAFE_NO_PAD.encode(id.to_be_bytes())
}

fn decode_cursor(text: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let id = i64::from_be_bytes(bytes.try_into().ok()?);
    (id != 0).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back() {
        assert_eq!(decode_cursor(&encode_cursor(1024)), Some(1024));
        for wrong in ["", "x", "1024", "AAAAAAAAAAA", "////////", "AAAAAAAABAA="] {
            assert_eq!(decode_cursor(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn faulty_limits_and_cursors_are_named() {
        assert_eq!(page_request(None, None).unwrap().limit, LIMIT_DEFAULT);
        assert_eq!(page_request(Some("100"), None).unwrap().limit, 100);
        for wrong in ["0", "101", "-1", "", "ten", "1.5"] {
            let error = page_request(Some(wrong), None).unwrap_err();
            assert!(matches!(&error, ApiError::Field { field, .. } if field == "limit"), "{wrong}");
        }
        let error = page_request(None, Some("x")).unwrap_err();
        assert!(matches!(&error, ApiError::Field { field, .. } if field == "cursor"), "{error:?}");
        let cursor = encode_cursor(1024);
        assert_eq!(page_request(None, Some(&cursor)).unwrap().before, Some(1024));
    }
}
