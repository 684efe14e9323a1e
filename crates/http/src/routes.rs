//! The table of routes: what builds the router also documents it and lists it for the tests.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, schema::Schema};

use crate::native::page::List;
use crate::native::problem::ProblemBody;
use crate::state::AppState;

/// Who may call a route. The use cases enforce it; documents and tests read it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// The operator; anybody on this machine, too.
    Local,
    /// The operator key.
    Operator,
    /// Account keys.
    Account,
    /// Account keys, and device tokens for what concerns their device.
    Device,
}

/// One method of one path.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path's template, such as `/v1/devices/{id}`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What answers.
    pub handler: MethodRouter<AppState>,
    /// What its documents say.
    pub docs: RouteDocs,
}

/// What the OpenAPI document says about a route, beyond method, path and access.
#[derive(Default)]
pub struct RouteDocs {
    /// One line.
    pub summary: &'static str,
    /// More, where needed.
    pub description: Option<&'static str>,
    /// Query parameters and what they mean.
    pub query: Vec<(&'static str, &'static str)>,
    /// Request headers and what they mean.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The request's body.
    pub body: Option<NamedSchema>,
    /// Whether the body may be left out.
    pub is_body_optional: bool,
    /// Whether the body may be a form too.
    pub is_body_a_form_too: bool,
    /// The successful answers.
    pub answers: Vec<ResponseDoc>,
    /// Documented errors beyond those every route of the API has.
    pub errors: Vec<(u16, &'static str)>,
    /// The body of errors, and its content type.
    pub error_body: Option<(NamedSchema, &'static str)>,
}

/// A successful answer.
pub struct ResponseDoc {
    /// Its status.
    pub status: u16,
    /// Its content type; empty when it has no body.
    pub content_type: &'static str,
    /// Its body's schema.
    pub schema: Option<NamedSchema>,
    /// Headers it carries.
    pub headers: Vec<(&'static str, &'static str)>,
}

/// A schema with its name and those it refers to. It is made when a document asks for it: every start builds
/// the table of routes, and their schemas together are megabytes.
#[derive(Clone, Copy)]
pub struct NamedSchema {
    make_name: fn() -> String,
    make_all: fn() -> Vec<(String, RefOr<Schema>)>,
}

impl NamedSchema {
    /// The schema of a type.
    pub fn of<T: ToSchema>() -> Self {
        Self { make_name: name_of::<T>, make_all: schemas_of::<T> }
    }

    /// The schema of a list of these, under a name of its own.
    fn list_of<T: ToSchema>() -> Self {
        Self { make_name: list_name::<T>, make_all: list_schemas::<T> }
    }

    /// The schema of this in an envelope, under a name of its own.
    fn enveloped<W: ToSchema, T: ToSchema>() -> Self {
        Self { make_name: answer_name::<T>, make_all: answer_schemas::<W, T> }
    }

    /// Its name in the document.
    pub fn name(&self) -> String {
        (self.make_name)()
    }

    /// Itself, and all it refers to.
    pub fn all(&self) -> Vec<(String, RefOr<Schema>)> {
        (self.make_all)()
    }
}

fn name_of<T: ToSchema>() -> String {
    T::name().into_owned()
}

fn schemas_of<T: ToSchema>() -> Vec<(String, RefOr<Schema>)> {
    let mut all = vec![(name_of::<T>(), T::schema())];
    T::schemas(&mut all);
    all
}

fn list_name<T: ToSchema>() -> String {
    format!("{}List", T::name())
}

fn list_schemas<T: ToSchema>() -> Vec<(String, RefOr<Schema>)> {
    around::<List<T>, T>(list_name::<T>())
}

fn answer_name<T: ToSchema>() -> String {
    format!("{}Answer", T::name())
}

fn answer_schemas<W: ToSchema, T: ToSchema>() -> Vec<(String, RefOr<Schema>)> {
    around::<W, T>(answer_name::<T>())
}

/// The schemas of a generic type around another, which get this name together.
fn around<W: ToSchema, T: ToSchema>(name: String) -> Vec<(String, RefOr<Schema>)> {
    let mut all = schemas_of::<W>();
    if let Some((wrapper, _)) = all.first_mut() {
        *wrapper = name;
    }
    all.extend(schemas_of::<T>());
    all
}

impl Route {
    /// A route; `method` must be one that axum knows.
    pub fn new<H, T>(method: Method, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("a standard method");
        Self { method, path, access, handler: on(filter, handler), docs: RouteDocs::default() }
    }

    /// A `GET` route, which answers `HEAD` too.
    pub fn get<H, T>(path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        Self::new(Method::GET, path, access, handler)
    }

    /// A `POST` route.
    pub fn post<H, T>(path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        Self::new(Method::POST, path, access, handler)
    }

    /// Says what it does, in one line.
    #[must_use]
    pub fn summary(mut self, summary: &'static str) -> Self {
        self.docs.summary = summary;
        self
    }

    /// Says more.
    #[must_use]
    pub fn description(mut self, description: &'static str) -> Self {
        self.docs.description = Some(description);
        self
    }

    /// Names a query parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, meaning: &'static str) -> Self {
        self.docs.query.push((name, meaning));
        self
    }

    /// Names a request header.
    #[must_use]
    pub fn header(mut self, name: &'static str, meaning: &'static str) -> Self {
        self.docs.headers.push((name, meaning));
        self
    }

    /// Says what the body holds.
    #[must_use]
    pub fn body<T: ToSchema>(mut self) -> Self {
        self.docs.body = Some(NamedSchema::of::<T>());
        self
    }

    /// Says what the body holds, when there is one.
    #[must_use]
    pub fn optional_body<T: ToSchema>(mut self) -> Self {
        self.docs.is_body_optional = true;
        self.body::<T>()
    }

    /// Says that the body may be a form as well as JSON; see `body::read_fields`.
    #[must_use]
    pub fn takes_forms(mut self) -> Self {
        self.docs.is_body_a_form_too = true;
        self
    }

    /// Says what success looks like.
    #[must_use]
    pub fn answers<T: ToSchema>(self, status: u16) -> Self {
        self.answer(status, "application/json", Some(NamedSchema::of::<T>()))
    }

    /// Says that success is a list of these.
    #[must_use]
    pub fn answers_list<T: ToSchema>(self, status: u16) -> Self {
        self.answer(status, "application/json", Some(NamedSchema::list_of::<T>()))
    }

    /// Says that success is this, in an envelope of the API's own.
    #[must_use]
    pub fn answers_in<W: ToSchema, T: ToSchema>(self, status: u16) -> Self {
        self.answer(status, "application/json", Some(NamedSchema::enveloped::<W, T>()))
    }

    /// Says that success has no body.
    #[must_use]
    pub fn answers_nothing(self) -> Self {
        self.answer(204, "", None)
    }

    /// Says that success is of another content type.
    #[must_use]
    pub fn answers_type(self, status: u16, content_type: &'static str) -> Self {
        self.answer(status, content_type, None)
    }

    fn answer(
        mut self,
        status: u16,
        content_type: &'static str,
        schema: Option<NamedSchema>,
    ) -> Self {
        self.docs.answers.push(ResponseDoc { status, content_type, schema, headers: Vec::new() });
        self
    }

    /// Names a header of the answer last described.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, meaning: &'static str) -> Self {
        if let Some(answer) = self.docs.answers.last_mut() {
            answer.headers.push((name, meaning));
        }
        self
    }

    /// Names an error.
    #[must_use]
    pub fn error(mut self, status: u16, meaning: &'static str) -> Self {
        self.docs.errors.push((status, meaning));
        self
    }

    /// Says what errors look like.
    #[must_use]
    pub fn errors_as<T: ToSchema>(mut self) -> Self {
        self.docs.error_body = Some((NamedSchema::of::<T>(), "application/json"));
        self
    }

    /// Says that errors are pages.
    #[must_use]
    pub(crate) fn errors_as_pages(mut self) -> Self {
        self.docs.error_body = Some((NamedSchema::of::<String>(), "text/html"));
        self
    }

    /// Says that errors are RFC 9457 problems, unless it was said what they are.
    #[must_use]
    pub(crate) fn errors_as_problems(mut self) -> Self {
        let body = || (NamedSchema::of::<ProblemBody<'static>>(), "application/problem+json");
        self.docs.error_body.get_or_insert_with(body);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use utoipa::PartialSchema;

    use super::*;

    struct Unasked;

    impl ToSchema for Unasked {
        fn name() -> Cow<'static, str> {
            panic!("nobody asked for the name")
        }
    }

    impl PartialSchema for Unasked {
        fn schema() -> RefOr<Schema> {
            panic!("nobody asked for the schema")
        }
    }

    #[test]
    fn a_table_of_routes_makes_no_schemas() {
        let route = Route::get("/x", Access::Public, || async { "" });
        let route = route.body::<Unasked>().answers::<Unasked>(200).answers_list::<Unasked>(201);
        let route = route.answers_in::<Unasked, Unasked>(202).errors_as::<Unasked>();
        assert!(route.docs.body.is_some() && route.docs.error_body.is_some());
    }

    #[test]
    fn a_schema_around_another_has_both() {
        for (schema, name) in [
            (NamedSchema::list_of::<String>(), "StringList"),
            (NamedSchema::enveloped::<u8, String>(), "StringAnswer"),
        ] {
            let names: Vec<String> = schema.all().into_iter().map(|(name, _)| name).collect();
            assert_eq!(schema.name(), name);
            assert_eq!(names.first().map(String::as_str), Some(name));
            assert_eq!(names.last().map(String::as_str), Some("String"), "{name}");
        }
    }
}
