//! Who looks at a page, and the forms they send.

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use domain::error::Error;
use domain::service::{Principal, Visitor};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::failure::Failure;
use super::once;
use super::origin::{CookieMode, check_origin, csrf_token};
use super::words::{Lang, Words};
use crate::api_error::ApiError;
use crate::body::{JSON_BYTES_MAX, read_bytes};
use crate::forms;
use crate::request_context;
use crate::state::AppState;

/// The field that proves that a form is of this session.
const CSRF_FIELD: &str = "csrf";

/// Somebody who has signed in.
#[derive(Clone)]
pub(super) struct Person {
    /// Who.
    pub(super) visitor: Visitor,
    /// The language they read.
    pub(super) lang: Lang,
    /// What their forms carry.
    pub(super) csrf: String,
    /// When they look.
    pub(super) now: Timestamp,
    /// What makes a form of this page recognisable when it is sent twice.
    form_key: String,
}

impl Person {
    pub(super) async fn of(state: &AppState, parts: &Parts) -> Result<Self, Failure> {
        let mode = CookieMode::of(state, &parts.headers, &parts.extensions);
        if mode == CookieMode::Refused {
            return Err(Failure::NeedsHttps);
        }
        let cookie = mode.read(&parts.headers).ok_or(Failure::SignIn)?;
        let visitor = state.core().visitor(&cookie).await?;
        request_context::note(&Ok(visitor.principal.clone()));
        let lang = Lang::of(&parts.headers);
        let (csrf, form_key) = (csrf_token(&cookie), once::new_key(state));
        Ok(Self { visitor, lang, csrf, form_key, now: state.core().now() })
    }

    /// The words of their language.
    pub(super) fn words(&self) -> &'static Words {
        self.lang.words()
    }

    /// The account that is looked at.
    pub(super) fn principal(&self) -> &Principal {
        &self.visitor.principal
    }

    /// The hidden fields of every form: whose it is, and which.
    pub(super) fn csrf(&self) -> Markup {
        html! { (csrf_field(&self.csrf)) (once::field(&self.form_key)) }
    }

    /// Checks the proof that their form carried.
    pub(super) fn check_csrf(&self, fields: &Map<String, Value>) -> Result<(), Failure> {
        check_csrf(fields, &self.csrf)
    }
}

impl FromRequestParts<AppState> for Person {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        Self::of(state, parts).await
    }
}

/// Somebody who looks at an account.
pub(super) struct InAccount(pub(super) Person);

impl FromRequestParts<AppState> for InAccount {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failure> {
        let person = Person::of(state, parts).await?;
        match person.visitor.account() {
            Some(_) => Ok(Self(person)),
            None => Err(Failure::NoAccount),
        }
    }
}

/// A form of somebody who has signed in.
pub(super) struct Posted<T> {
    /// Who.
    pub(super) person: Person,
    /// What they filled in.
    pub(super) form: T,
}

impl<T: DeserializeOwned> FromRequest<AppState> for Posted<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        check_origin(state, &parts.headers)?;
        let person = Person::of(state, &parts).await?;
        let fields = read_form(body).await?;
        person.check_csrf(&fields)?;
        Ok(Self { person, form: typed(fields)? })
    }
}

/// Reads the fields of a form without a file.
pub(super) async fn read_form(body: axum::body::Body) -> Result<Map<String, Value>, ApiError> {
    forms::urlencoded(&read_bytes(body, JSON_BYTES_MAX).await?)
}

/// Reads the fields into a type whose fields all have defaults.
pub(super) fn typed<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Failure> {
    let typed = serde_json::from_value(Value::Object(fields));
    typed.map_err(|error| ApiError::Malformed(error.to_string()).into())
}

/// The query of a page. What a page does not know, and a field that was left empty, is left out. A part
/// that cannot be read, or stands there twice, is refused: without it a filter would fit more.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Failure> {
        let query = parts.uri.query().unwrap_or_default();
        asked(query).map(Self).ok_or(Failure::Query)
    }
}

fn asked<T: DeserializeOwned>(query: &str) -> Option<T> {
    let mut filled = form_urlencoded::Serializer::new("/?".to_owned());
    let fields = form_urlencoded::parse(query.as_bytes());
    filled.extend_pairs(fields.filter(|(_, value)| !value.is_empty()));
    let filled = filled.finish().parse().ok()?;
    Some(Query::try_from_uri(&filled).ok()?.0)
}

/// A segment of the path as the id it must be.
pub(super) fn id<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::NotFound(what))
}

/// The hidden field that proves whose form it is.
pub(super) fn csrf_field(csrf: &str) -> Markup {
    html! { input type="hidden" name=(CSRF_FIELD) value=(csrf); }
}

/// Refuses a form without its proof.
pub(super) fn check_csrf(fields: &Map<String, Value>, csrf: &str) -> Result<(), Failure> {
    let given = fields.get(CSRF_FIELD).and_then(Value::as_str);
    (given == Some(csrf)).then_some(()).ok_or(Failure::Form)
}

/// A form with nothing in it but its proof.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Nothing {}

/// What a request without a session says of its sender.
pub(super) struct Stranger {
    /// How a cookie would be kept.
    pub(super) mode: CookieMode,
    /// The language they read.
    pub(super) lang: Lang,
    /// Their headers.
    pub(super) headers: HeaderMap,
}

impl Stranger {
    /// Whether they may get a cookie.
    pub(super) fn check_mode(&self) -> Result<(), Failure> {
        if self.mode == CookieMode::Refused { Err(Failure::NeedsHttps) } else { Ok(()) }
    }

    /// Whether they may get a cookie for a form that they send.
    pub(super) fn check_form(&self, state: &AppState) -> Result<(), Failure> {
        self.check_mode()?;
        check_origin(state, &self.headers)
    }
}

impl FromRequestParts<AppState> for Stranger {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<Self, Self::Rejection> {
        let mode = CookieMode::of(state, &parts.headers, &parts.extensions);
        let (lang, headers) = (Lang::of(&parts.headers), parts.headers.clone());
        Ok(Self { mode, lang, headers })
    }
}
