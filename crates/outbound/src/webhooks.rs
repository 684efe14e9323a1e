//! Posts webhooks, and verifies that a receiver repeats a challenge.

use std::error::Error;
use std::time::Duration;

use domain::ports::{UrlRefusal, WebhookAnswer, WebhookRequest};
use jiff::fmt::rfc2822;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use tokio::time::{Instant, timeout_at};

use crate::client::HttpOutbound;

/// Most that is read of an answer.
const ANSWER_BYTES_MAX: usize = 4 * 1024;
/// Longest pause a receiver may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The errors customers see. They reveal nothing about networks.
const MALFORMED: &str = "the address is not a valid URL";
const MALFORMED_HEADER: &str = "a header of the request is not valid";
const CREDENTIALS: &str = "the address holds a user name or a password";
const FORBIDDEN: &str = "the address is not allowed";
const UNREACHABLE: &str = "the receiver could not be reached";
const BAD_CERTIFICATE: &str = "the receiver's certificate is not valid";
const TOO_SLOW: &str = "the receiver did not answer in time";
const BROKEN: &str = "the receiver closed the connection without an answer";

impl HttpOutbound {
    pub(crate) async fn deliver(&self, request: WebhookRequest) -> WebhookAnswer {
        let started = Instant::now();
        let deadline = started + self.limits.webhook_max;
        let outcome = match self.build_post(request) {
            Ok(request) => send(request, deadline).await,
            Err(error) => Err(error),
        };
        let (status, retry_after) = match &outcome {
            Ok(answer) => (Some(answer.status().as_u16()), retry_after(answer.headers())),
            Err(_) => (None, None),
        };
        let (error, body) = match outcome {
            // Some receivers abort their work when the client closes early, too.
            Ok(answer) => (None, timeout_at(deadline, body(answer)).await.unwrap_or_default()),
            Err(error) => (Some(error.to_owned()), Vec::new()),
        };
        WebhookAnswer { status, retry_after, error, took: started.elapsed(), body }
    }

    fn build_post(&self, request: WebhookRequest) -> Result<reqwest::RequestBuilder, &'static str> {
        let url = self.guard.check(&request.url).map_err(refused)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let name = HeaderName::try_from(*name).map_err(|_| MALFORMED_HEADER)?;
            headers.append(name, HeaderValue::try_from(value).map_err(|_| MALFORMED_HEADER)?);
        }
        let content_type = HeaderValue::try_from(request.content_type);
        headers.insert(CONTENT_TYPE, content_type.map_err(|_| MALFORMED_HEADER)?);
        Ok(self.client_for(&url).post(url).headers(headers).body(request.body))
    }

    pub(crate) async fn ask_challenge(&self, url: &str, challenge: &str) -> Result<(), String> {
        let mut url = self.guard.check(url).map_err(refused)?;
        url.query_pairs_mut().append_pair("challenge", challenge);
        let deadline = Instant::now() + self.limits.webhook_max;
        let answer = send(self.client_for(&url).get(url), deadline).await?;
        let status = answer.status();
        if status != StatusCode::OK {
            return Err(format!("the receiver answered {} instead of 200", status.as_u16()));
        }
        match timeout_at(deadline, body(answer)).await {
            Err(_) => Err(TOO_SLOW.to_owned()),
            Ok(body) if body == challenge.as_bytes() => Ok(()),
            Ok(_) => Err("the receiver did not answer with the challenge".to_owned()),
        }
    }
}

fn refused(refusal: UrlRefusal) -> &'static str {
    match refusal {
        UrlRefusal::Malformed => MALFORMED,
        UrlRefusal::Credentials => CREDENTIALS,
        UrlRefusal::Forbidden => FORBIDDEN,
    }
}

/// Sends a request and waits for the head of its answer.
async fn send(
    request: reqwest::RequestBuilder,
    deadline: Instant,
) -> Result<Response, &'static str> {
    let sent = timeout_at(deadline, request.send()).await.map_err(|_| TOO_SLOW)?;
    sent.map_err(|error| match () {
        () if has_bad_certificate(&error) => BAD_CERTIFICATE,
        () if error.is_timeout() => TOO_SLOW,
        () if error.is_connect() => UNREACHABLE,
        () => BROKEN,
    })
}

fn has_bad_certificate(error: &reqwest::Error) -> bool {
    let is_bad = |error: &(dyn Error + 'static)| {
        matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))
    };
    sources(error).any(is_bad)
}

fn sources(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&error| {
        // `source()` of an I/O error skips the error that it wraps, so that one is taken first.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

/// Why an exchange failed, for the log: never with the URL, of which certificates name the host.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    if has_bad_certificate(error) {
        return "the certificate is not valid".to_owned();
    }
    sources(error).last().map_or_else(|| "the exchange failed".to_owned(), ToString::to_string)
}

/// The beginning of an answer's body: up to one byte more than [`ANSWER_BYTES_MAX`].
async fn body(mut answer: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            break;
        }
    }
    body
}

/// `Retry-After`: seconds, or a date measured by the receiver's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let wanted: &str = text(RETRY_AFTER)?.trim();
    let wait = match wanted.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = rfc2822::parse(wanted).ok()?.timestamp();
            let now = rfc2822::parse(text(DATE)?).ok()?.timestamp();
            Duration::try_from(until.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}
