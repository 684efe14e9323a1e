//! What goes wrong, as a page in the reader's language; and the headers of every page.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;
use domain::error::{Error, StoreError};
use domain::ids::NodeId;
use jiff::SignedDuration;
use maud::html;
use percent_encoding::percent_decode_str;

use super::layout;
use super::portal_page::{portal_link, portal_path};
use super::reasons::{field_fault, said};
use super::show::{Fault, with};
use super::words::{Lang, Words, words};
use crate::api_error::{ApiError, add_retry_after, log_fault, named};
use crate::body::JSON_BYTES_MAX;
use crate::native::problem;
use crate::nodes::Elsewhere;

/// The policy of every page: our own style, module, pictures and forms, and the simulated phone.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
     connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'",
);

words! {
    /// The texts of failures that no page shows in a way of its own.
    FailureWords
    event_missing: "The plan does not include the event {}.", "Paket tidak mencakup kejadian {}.";
    rate_limited: "Too many requests: at most {} in 60 seconds.", "Terlalu banyak permintaan: paling banyak {} dalam 60 detik.";
    too_many_waits: "Too many requests wait for their message to be sent. Try again in a few seconds.", "Terlalu banyak permintaan menunggu pesannya terkirim. Coba lagi beberapa detik lagi.";
    too_many_streams: "Too many live pages are open. Close some of them.", "Terlalu banyak halaman langsung terbuka. Tutup sebagian.";
    not_on_whatsapp: "{} is not on WhatsApp.", "{} tidak ada di WhatsApp.";
    not_sent: "The message was not sent: {}", "Pesan tidak terkirim: {}";
    voucher: "The voucher is unknown or was redeemed already.", "Voucher tidak dikenal atau sudah ditukar.";
    challenge: "The receiver did not answer its challenge: {}", "Penerima tidak menjawab tantangannya: {}";
    sent_otherwise: "This was sent before with other content.", "Ini sudah pernah dikirim dengan isi lain.";
    still_handled: "This is still being handled. See in a moment what has come of it.", "Ini masih dikerjakan. Lihat hasilnya sebentar lagi.";
    not_editable: "This message cannot be edited: {}", "Pesan ini tidak dapat disunting: {}";
    not_revocable: "This message cannot be deleted for everyone: {}", "Pesan ini tidak dapat dihapus untuk semua orang: {}";
    unavailable: "Nothing was kept. Try again in a moment.", "Belum ada yang disimpan. Coba lagi sebentar lagi.";
    wrong_method: "This page is not called in this way. Open it from the pages above.", "Halaman ini tidak dipanggil dengan cara ini. Bukalah dari halaman lain.";
    unreadable: "The request cannot be read.", "Permintaan tidak terbaca.";
    body_lost: "The form came too slowly or broke off. Send it again.", "Formulir datang terlalu lambat atau terputus. Kirim lagi.";
}

/// The page that all begins with.
const START_PATH: &str = "/app";

/// Why there is no page.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// There is no session.
    SignIn,
    /// The form comes from elsewhere, or its session is another one by now.
    Form,
    /// A part of the address cannot be read.
    Query,
    /// The server is reached over plain http from another machine.
    NeedsHttps,
    /// The operator looks at no account.
    NoAccount,
    /// A link has ended, was revoked, or is none of ours.
    LinkOver,
    /// A form that was acted on before, and the node that may have the answer, where that is another one.
    SentBefore(Option<NodeId>),
    /// What a use case or the request's reader says.
    Other(std::sync::Arc<ApiError>),
}

/// What a handler returns.
pub(super) type PageResult = Result<Response<Body>, Failure>;

impl<E: Into<ApiError>> From<E> for Failure {
    fn from(error: E) -> Self {
        match error.into() {
            ApiError::Core { error: Error::Unauthorized, .. } => Self::SignIn,
            error => Self::Other(std::sync::Arc::new(error)),
        }
    }
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::SignIn => StatusCode::UNAUTHORIZED,
            Self::Form | Self::NeedsHttps => StatusCode::FORBIDDEN,
            Self::Query => StatusCode::BAD_REQUEST,
            Self::NoAccount => StatusCode::SEE_OTHER,
            Self::LinkOver => StatusCode::NOT_FOUND,
            Self::SentBefore(_) => StatusCode::CONFLICT,
            Self::Other(error) => StatusCode::from_u16(problem::kind(error).status)
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// What is wrong with a field; other failures stay what they are.
    pub(super) fn into_fault(self, lang: Lang) -> Result<Fault, Self> {
        if let Self::Other(error) = &self
            && let ApiError::Core { error: Error::Invalid { field, message }, .. } = &**error
        {
            return Ok(Fault::of(field, said(lang, message).into_owned()));
        }
        Err(self)
    }

    /// What it is, in words.
    pub(super) fn describe(&self, words: &Words) -> String {
        match self {
            Self::SignIn | Self::NoAccount => words.sign_in_first.to_owned(),
            Self::Form => words.form_refused.to_owned(),
            Self::Query => words.query_wrong.to_owned(),
            Self::NeedsHttps => words.needs_https.to_owned(),
            Self::LinkOver => words.link_over_help.to_owned(),
            Self::SentBefore(_) => words.sent_before.to_owned(),
            Self::Other(error) => describe(error, words),
        }
    }
}

/// An error in words.
pub(super) fn describe(error: &ApiError, words: &Words) -> String {
    let lang = Lang::of_words(words);
    let own = FailureWords::of(lang);
    match error {
        ApiError::Core { error, .. } => describe_core(error, lang),
        ApiError::Field { field, message } => field_fault(lang, field, message),
        ApiError::UnknownPath => words.not_found.to_owned(),
        ApiError::TooLarge(max) if *max > JSON_BYTES_MAX => words.upload_too_large.to_owned(),
        ApiError::TooLarge(_) => words.too_large.to_owned(),
        ApiError::OutcomeUnknown => words.outcome_unknown.to_owned(),
        ApiError::WrongMethod => own.wrong_method.to_owned(),
        ApiError::BodyLost => own.body_lost.to_owned(),
        ApiError::Crashed => words.internal.to_owned(),
        ApiError::Unreadable(_) | ApiError::WrongContentType | ApiError::Malformed(_) => {
            own.unreadable.to_owned()
        }
    }
}

fn describe_core(error: &Error, lang: Lang) -> String {
    let (words, own) = (lang.words(), FailureWords::of(lang));
    let known = match error {
        Error::Invalid { field, message } => return field_fault(lang, field, message),
        Error::Conflict(why) => return said(lang, why).into_owned(),
        Error::Passkey(why) => return said(lang, &why.to_string()).into_owned(),
        Error::Media(why) => return said(lang, why).into_owned(),
        Error::NotSent(failure) => return with(own.not_sent, said(lang, &failure.message)),
        Error::ChallengeFailed(why) => return with(own.challenge, said(lang, why)),
        Error::NotEditable(why) => return with(own.not_editable, said(lang, why)),
        Error::NotRevocable(why) => return with(own.not_revocable, said(lang, why)),
        Error::NotOnWhatsapp(number) => return with(own.not_on_whatsapp, number),
        Error::EventMissing(kind) => return with(own.event_missing, kind.as_str()),
        Error::RateLimited(rate) => return with(own.rate_limited, rate.limit),
        Error::TooManyTries(wait) => return too_many_tries(*wait, words),
        Error::Unauthorized => words.sign_in_first,
        Error::NotFound(_) => words.not_found,
        Error::Forbidden | Error::ScopeMissing(_) => words.forbidden,
        Error::FeatureMissing(_) => words.feature_missing,
        Error::DeviceNotConnected(_) => words.device_not_linked,
        Error::QuotaExhausted { .. } => words.quota_exhausted,
        Error::DeviceLimit(_) => words.device_limit,
        Error::QueueFull(_) => words.queue_full,
        Error::DiskFull => words.disk_full,
        Error::TooManyRequests => words.too_many_requests,
        Error::TooManyWaits => own.too_many_waits,
        Error::TooManyStreams => own.too_many_streams,
        Error::VoucherInvalid => own.voucher,
        Error::IdempotencyMismatch => own.sent_otherwise,
        Error::IdempotencyInFlight => own.still_handled,
        Error::NotWaiting(_) => words.not_waiting,
        Error::Whatsapp(_) => words.whatsapp_refused,
        Error::RunsElsewhere(_) => own.unavailable,
        Error::Store(StoreError::Fault(_)) => words.internal,
        Error::Store(StoreError::Unavailable(_) | StoreError::NotOwner) => own.unavailable,
    };
    known.to_owned()
}

/// How long somebody must wait, in begun minutes.
pub(super) fn too_many_tries(wait: SignedDuration, words: &Words) -> String {
    with(words.too_many_tries, wait.unsigned_abs().as_secs().div_ceil(60))
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(self);
        response
    }
}

/// Around every page: makes pages of failures and sets the headers.
pub(super) async fn frame(request: Request, next: Next) -> Response<Body> {
    let lang = Lang::of(request.headers());
    let path = request.uri().path_and_query().map_or("/app".to_owned(), ToString::to_string);
    let home = home(request.uri().path());
    let is_get = request.method() == Method::GET;
    let is_readable = percent_decode_str(request.uri().path()).decode_utf8().is_ok();
    let mut response = match is_readable {
        true => next.run(request).await,
        false => Failure::from(ApiError::UnknownPath).into_response(),
    };
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        if let Failure::Other(error) = &failure
            && let ApiError::Core { error, .. } = &**error
        {
            log_fault(error);
        }
        response = match (&failure, is_get) {
            (Failure::SignIn, true) => redirect(&login_path(&path)),
            (Failure::SignIn, false) => redirect("/login"),
            (Failure::NoAccount, _) => redirect("/app/accounts"),
            (Failure::Other(error), _) => named(error_page(&failure, lang, &home), error),
            (Failure::SentBefore(Some(node)), _) => {
                let mut page = error_page(&failure, lang, &home);
                page.extensions_mut().insert(Elsewhere::Node(*node));
                page
            }
            _ => error_page(&failure, lang, &home),
        };
    }
    add_headers(&mut response);
    response
}

fn login_path(next: &str) -> String {
    if next == "/app" || !next.starts_with("/app") {
        return "/login".to_owned();
    }
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    format!("/login?next={next}")
}

/// The page of an error that no page answers with.
pub(super) fn page_of(error: std::sync::Arc<ApiError>, headers: &HeaderMap) -> Response<Body> {
    let mut response = error_page(&Failure::Other(error), Lang::of(headers), START_PATH);
    add_headers(&mut response);
    response
}

/// Where a page about a failure leads: somebody with a portal link has no other page.
fn home(path: &str) -> String {
    portal_link(path).map_or_else(|| START_PATH.to_owned(), |link| portal_path(&link))
}

fn error_page(failure: &Failure, lang: Lang, home: &str) -> Response<Body> {
    let words = lang.words();
    if let Failure::LinkOver = failure {
        let body = html! { h1 { (words.link_over) } p { (words.link_over_help) } };
        return layout::bare(failure.status(), lang, words.link_over, &body);
    }
    let body = html! {
        h1 { (words.went_wrong) }
        p.fault role="alert" { (failure.describe(words)) }
        p { a.button href=(home) { (words.to_start) } }
    };
    let mut response = layout::bare(failure.status(), lang, words.went_wrong, &body);
    if let Failure::Other(error) = failure {
        add_retry_after(&mut response, error);
    }
    response
}

/// Leads the browser to another page.
pub(super) fn redirect(path: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

fn add_headers(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Not `no-referrer`: browsers would hide the origin of our own forms.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("Cookie, Accept-Language"));
}

#[cfg(test)]
#[path = "tests/failures.rs"]
mod tests;
