//! The APIs that this server speaks: our own and those of other gateways, each one value of [`Api`].
//!
//! Routing errors, documents, pages and webhook formats read these values and know no API by name.

use axum::body::Body;
use axum::http::{HeaderMap, Response};

use crate::api_error::ApiError;
use crate::fallback::PathSegments;
use crate::formats::Format;
use crate::native::problem::Kind;
use crate::routes::Route;
use crate::{dialects, native};

/// What the rest of the server knows of an API.
pub struct Api {
    /// Its name in the settings and in the addresses of its documentation.
    pub name: &'static str,
    /// The title of its OpenAPI document and of its page.
    pub title: &'static str,
    /// What it is, for its OpenAPI document; Markdown.
    pub about: &'static str,
    /// Where it looks for a key; empty when the key is a field of the request.
    pub keys: &'static [KeyPlace],
    /// Whether errors at a path that no route has are rendered in its shape.
    pub owns: fn(PathSegments<'_>) -> bool,
    /// Its error renderer for a client that sent these headers.
    pub renderer: fn(&HeaderMap) -> Renderer,
    /// Its webhook format, when it has one.
    pub format: Option<&'static Format>,
    /// Its routes, in the order in which they are documented.
    pub routes: fn() -> Vec<Route>,
    /// The codes that its errors carry, for its page; empty when they carry none.
    pub codes: &'static [&'static Kind],
    /// What the tests of all dialects need to know of it.
    #[cfg(test)]
    pub(crate) contract: Option<&'static crate::dialects::contract::Contract>,
}

/// Renders an error in the shape of one API.
pub type Renderer = fn(&ApiError) -> Response<Body>;

/// Where a key stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlace {
    /// `Authorization: Bearer …`
    Bearer,
    /// A header of this name.
    Header(&'static str),
}

#[cfg(test)]
impl Api {
    /// Its contract; every dialect has one.
    pub(crate) fn contract(&self) -> &'static crate::dialects::contract::Contract {
        self.contract.expect("a dialect has a contract")
    }
}

impl KeyPlace {
    /// Its name in OpenAPI documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bearer => "key",
            Self::Header(name) => name,
        }
    }
}

/// Every API of this build. The first one is shown where no API is named, and the first that owns an
/// unknown path answers it.
pub fn all() -> impl Iterator<Item = &'static Api> {
    std::iter::once(&native::API).chain(dialects::ALL.iter().copied())
}

/// The API with this name.
pub fn by_name(name: &str) -> Option<&'static Api> {
    all().find(|api| api.name == name)
}
