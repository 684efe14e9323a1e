//! Who may operate the simulator from a browser: its own pages.
//!
//! The control API has no key. A page of another site can still make a browser send requests to it,
//! directly or under a name of its own that leads here (DNS rebinding). So the host must be an
//! address, this machine's name or one that was allowed, and the origin must be that host.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// What WhatsApp's own page would say, and hence every client that speaks as it does.
const CLIENT_ORIGIN: &str = "https://web.whatsapp.com";

/// Names that requests may be sent to, besides addresses and this machine's.
pub(crate) type AllowedHosts = Arc<[String]>;

/// Refuses what another site's page may have sent.
pub(crate) async fn check(
    State(allowed): State<AllowedHosts>,
    request: Request,
    next: Next,
) -> Response {
    match refusal(&allowed, request.method(), request.headers()) {
        None => next.run(request).await,
        Some((status, why)) => {
            (status, axum::Json(serde_json::json!({ "error": why }))).into_response()
        }
    }
}

fn refusal(
    allowed: &[String],
    method: &Method,
    headers: &HeaderMap,
) -> Option<(StatusCode, &'static str)> {
    let host = text(headers, HOST.as_str());
    if host.is_some_and(|host| !is_known(host, allowed)) {
        return Some((StatusCode::MISDIRECTED_REQUEST, "this host name is not the simulator's"));
    }
    let is_own = |origin: &str| {
        let origin = origin.split_once("://").map_or(origin, |(_, authority)| authority);
        host.is_some_and(|host| host.eq_ignore_ascii_case(origin))
    };
    let origins = headers.get_all(ORIGIN).iter();
    let is_foreign = origins
        .map(|origin| origin.to_str().unwrap_or("null"))
        .any(|origin| origin != CLIENT_ORIGIN && !is_own(origin));
    let is_change = !matches!(*method, Method::GET | Method::HEAD);
    let site = text(headers, "sec-fetch-site");
    let is_cross_site = is_change && matches!(site, Some("cross-site" | "same-site"));
    if is_foreign || is_cross_site {
        return Some((StatusCode::FORBIDDEN, "the page of another site may not use the simulator"));
    }
    let kind = text(headers, CONTENT_TYPE.as_str()).unwrap_or_default().trim_start();
    let kind = kind.get(..10).unwrap_or_default();
    // What a page may send to any site without being asked first.
    (is_change && kind.eq_ignore_ascii_case("text/plain"))
        .then_some((StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json"))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Whether a request to this host cannot come from a name that somebody else has pointed here.
fn is_known(host: &str, allowed: &[String]) -> bool {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let name = if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let is_below = |name: &str| name.to_ascii_lowercase().ends_with(".localhost");
    address.parse::<std::net::IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || is_below(name)
        || allowed.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn status(method: Method, given: &[(&'static str, &'static str)]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        refusal(&["sim.example".to_owned()], &method, &headers).map(|(status, _)| status.as_u16())
    }

    #[test]
    fn only_its_own_pages_and_programs_may_use_it() {
        let own = ("host", "127.0.0.1:8090");
        for host in [
            "127.0.0.1:8090",
            "localhost",
            "LOCALHOST:1",
            "a.localhost:1",
            "[::1]:8090",
            "10.0.0.9",
        ] {
            assert_eq!(status(Method::POST, &[("host", host)]), None, "{host}");
        }
        assert_eq!(status(Method::POST, &[("host", "Sim.example:80")]), None);
        for host in
            ["evil.example", "evil.example:8090", "127.0.0.1.evil.example", "localhost.x", ""]
        {
            assert_eq!(status(Method::GET, &[("host", host)]), Some(421), "{host}");
        }
        let cases = [
            (Method::POST, vec![own, ("origin", "http://127.0.0.1:8090")], None),
            (Method::GET, vec![own, ("origin", "https://web.whatsapp.com")], None),
            (Method::POST, vec![own, ("content-type", "application/json")], None),
            (Method::GET, vec![own, ("sec-fetch-site", "cross-site")], None),
            (Method::POST, vec![own, ("sec-fetch-site", "same-origin")], None),
            (Method::GET, vec![own, ("origin", "http://evil.example")], Some(403)),
            (Method::POST, vec![own, ("origin", "null")], Some(403)),
            (Method::POST, vec![own, ("origin", "http://127.0.0.1:9000")], Some(403)),
            (Method::PUT, vec![own, ("sec-fetch-site", "cross-site")], Some(403)),
            (Method::POST, vec![own, ("sec-fetch-site", "same-site")], Some(403)),
            (Method::POST, vec![own, ("content-type", "text/plain;charset=UTF-8")], Some(415)),
        ];
        for (method, given, expected) in cases {
            assert_eq!(status(method, &given), expected, "{given:?}");
        }
    }
}
