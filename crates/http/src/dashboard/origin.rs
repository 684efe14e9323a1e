//! Cookies, and whether a form comes from our own page.

use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::{Extensions, HeaderMap, HeaderValue};
use domain::key::Secret;
use sha2::{Digest, Sha256};

use super::failure::Failure;
use crate::net::{is_in, is_local};
use crate::state::AppState;

/// How the cookie of a session is kept, by how the client reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CookieMode {
    /// Over https: the browser holds it to this host.
    Secure,
    /// On this machine, or because the settings allow it: over plain http.
    Plain,
    /// Over plain http from elsewhere: anybody on the way could read it.
    Refused,
}

impl CookieMode {
    /// The mode of a request.
    pub(super) fn of(state: &AppState, headers: &HeaderMap, extensions: &Extensions) -> Self {
        let config = state.config();
        if is_local(extensions, headers, &config.trusted_proxies) {
            return Self::Plain;
        }
        let is_public_https =
            config.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
        match is_public_https || is_forwarded_https(state, headers, extensions) {
            true => Self::Secure,
            false if config.insecure_cookies => Self::Plain,
            false => Self::Refused,
        }
    }

    fn name(self) -> &'static str {
        if self == Self::Secure { "__Host-gerbang" } else { "gerbang" }
    }

    /// The secret of the session in a request's cookies.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<Secret> {
        (self != Self::Refused).then(|| cookie(headers, self.name()))?.map(Secret::new)
    }

    /// Sets the cookie; it ends with the browser, and by the server before that.
    pub(super) fn set(self, headers: &mut HeaderMap, secret: &Secret) {
        self.append(headers, secret.reveal(), "");
    }

    /// Removes the cookie.
    pub(super) fn remove(self, headers: &mut HeaderMap) {
        self.append(headers, "", "; Max-Age=0");
    }

    fn append(self, headers: &mut HeaderMap, value: &str, more: &str) {
        let secure = if self == Self::Secure { "; Secure" } else { "" };
        let name = self.name();
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}");
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(SET_COOKIE, value);
        }
    }
}

fn is_forwarded_https(state: &AppState, headers: &HeaderMap, extensions: &Extensions) -> bool {
    use axum::extract::ConnectInfo;
    let peer = extensions.get::<ConnectInfo<std::net::SocketAddr>>();
    let is_trusted =
        peer.is_some_and(|peer| is_in(&state.config().trusted_proxies, peer.0.ip().to_canonical()));
    is_trusted && headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https")
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(known, _)| known.trim() == name).map(|(_, value)| value.trim())
}

/// What a form of a session carries, and no other site knows.
pub(super) fn csrf_token(session: &Secret) -> String {
    let digest = Sha256::new().chain_update("form of ").chain_update(session.reveal());
    hex::encode(&digest.finalize()[..16])
}

/// Refuses what another site's page has sent.
pub(super) fn check_origin(state: &AppState, headers: &HeaderMap) -> Result<(), Failure> {
    is_same_origin(state, headers).then_some(()).ok_or(Failure::Form)
}

/// Whether a form was sent by a page of ours, as far as the browser says.
fn is_same_origin(state: &AppState, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let is_asked = origin.split_once("://").map(|(_, host)| host) == host;
    host.is_some() && is_asked || state.config().public_url.as_deref() == Some(origin)
}
