//! Forms that may carry a file.

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use domain::media::FILENAME_CHARS_MAX;
use futures_util::{FutureExt as _, StreamExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::caller::{Person, read_form, typed};
use super::failure::Failure;
use super::origin::check_origin;
use crate::api_error::ApiError;
use crate::body::{BODY_TIME_MAX, MEDIA_JSON_BYTES_MAX};
use crate::forms::{FormFile, multipart_with_files};
use crate::state::AppState;

/// The field of a file.
pub(super) const FILE_FIELD: &str = "file";
/// The field of a list of receivers.
pub(super) const LIST_FIELD: &str = "list";
/// Most bytes of a form with too large a file that are read before it is answered: a browser shows the
/// answer only once it has sent everything.
const DISCARDED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A form of somebody who has signed in, with or without a file.
pub(super) struct Uploaded<T> {
    /// Who.
    pub(super) person: Person,
    /// What they filled in.
    pub(super) form: T,
    /// Their file.
    pub(super) file: Option<FormFile>,
}

impl<T: DeserializeOwned> FromRequest<AppState> for Uploaded<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        check_origin(state, &parts.headers)?;
        let person = Person::of(state, &parts).await?;
        let (fields, file) = read(state, &parts.headers, body).await?;
        person.check_csrf(&fields)?;
        let file = file.map(|file| FormFile { name: cleaned(&file.name), ..file });
        Ok(Self { person, form: typed(fields)?, file })
    }
}

/// The fields and the file of a form. A list that came as a file is the text of its field.
pub(super) async fn read(
    state: &AppState,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Map<String, Value>, Option<FormFile>), ApiError> {
    let content_type = headers.get(CONTENT_TYPE).cloned();
    let is_multipart = |value: &[u8]| value.to_ascii_lowercase().starts_with(b"multipart/");
    let Some(content_type) = content_type.filter(|value| is_multipart(value.as_bytes())) else {
        return Ok((read_form(body).await?, None));
    };
    if body.size_hint().lower() > u64::try_from(MEDIA_JSON_BYTES_MAX).unwrap_or(u64::MAX) {
        discard(body).await;
        return Err(ApiError::TooLarge(MEDIA_JSON_BYTES_MAX));
    }
    let parse = move |bytes: &[u8]| {
        // What is read from memory never waits.
        let taken = [FILE_FIELD, LIST_FIELD];
        let form = multipart_with_files(&content_type, Bytes::copy_from_slice(bytes), &taken);
        form.now_or_never().unwrap_or(Err(ApiError::BodyLost))
    };
    let (mut fields, files) = state.large_bodies().read(body, parse).await?;
    let mut file = None;
    for (field, sent) in files {
        match field {
            LIST_FIELD => drop(fields.insert(field.to_owned(), decoded(&sent.bytes).into())),
            _ => file = Some(sent),
        }
    }
    Ok((fields, file))
}

/// A list as a spreadsheet writes it: UTF-8, UTF-16 with its mark, or one byte a character. An empty one is a
/// line without anything, so that it differs from none.
fn decoded(bytes: &[u8]) -> String {
    let wide = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|unit| read(*unit)).collect();
        String::from_utf16_lossy(&units)
    };
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
        },
    };
    if text.is_empty() { "\n".to_owned() } else { text }
}

async fn discard(body: Body) {
    let mut pieces = body.into_data_stream();
    let to_the_end = async {
        let mut count = 0;
        while let Some(Ok(piece)) = pieces.next().await {
            count += piece.len();
            if count > DISCARDED_BYTES_MAX {
                return;
            }
        }
    };
    // Too slow a client loses the answer with its connection.
    let _ = timeout(BODY_TIME_MAX, to_the_end).await;
}

/// A file's name without its folders and what no name may hold.
fn cleaned(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(FILENAME_CHARS_MAX).collect();
    if name.trim().is_empty() { "file".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_spreadsheets_write_them() {
        for (bytes, text) in [
            (&b"nomor;nama\n1;Sri"[..], "nomor;nama\n1;Sri"),
            (b"\xff\xfen\0o\0", "no"),
            (b"\xfe\xff\0n\0o", "no"),
            (b"Andr\xe9", "Andr\u{e9}"),
            (b"", "\n"),
        ] {
            assert_eq!(decoded(bytes), text, "{bytes:?}");
        }
    }

    #[test]
    fn names_lose_their_folders() {
        for (given, name) in [
            ("foto.jpg", "foto.jpg"),
            ("C:\\Temp\\z.pdf", "z.pdf"),
            ("../../etc/passwd", "passwd"),
            ("a\r\nb.txt", "ab.txt"),
            ("/", "file"),
        ] {
            assert_eq!(cleaned(given), name, "{given}");
        }
    }
}
