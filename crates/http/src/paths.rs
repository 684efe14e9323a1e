//! Paths with a slash too many, as clients make them that join a base and a path: as without it.

use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// Takes duplicate and trailing slashes out of a path.
pub fn tidy(uri: &mut Uri) {
    let path = uri.path();
    if !path.contains("//") && (path.len() < 2 || !path.ends_with('/')) {
        return;
    }
    let mut tidy: String = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .fold(String::with_capacity(path.len()), |tidy, segment| tidy + "/" + segment);
    if tidy.is_empty() {
        tidy.push('/');
    }
    if let Some(query) = uri.query() {
        tidy = tidy + "?" + query;
    }
    let Ok(path) = PathAndQuery::try_from(tidy) else { return };
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(path);
    // The same parts with another path make a URI again.
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_too_many_is_none() {
        let cases = [
            ("//send-message", "/send-message"),
            ("/send-message/", "/send-message"),
            ("/api/v1//7///send//", "/api/v1/7/send"),
            ("//", "/"),
            ("/", "/"),
            ("/a?b=//c/", "/a?b=//c/"),
            ("/a/?b=//c/", "/a?b=//c/"),
            ("http://x//a/", "http://x/a"),
        ];
        for (given, expected) in cases {
            let mut uri: Uri = given.parse().unwrap();
            tidy(&mut uri);
            assert_eq!(uri.to_string(), expected, "{given}");
        }
    }
}
