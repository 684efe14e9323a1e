//! The client's address, and the address at which it reaches the server.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::header::HOST;
use axum::http::{Extensions, HeaderMap};
use ipnet::IpNet;

use crate::state::HttpConfig;

/// The client's address: the socket's, or what a trusted proxy says it is.
///
/// `X-Forwarded-For` is read from its end: each trusted proxy vouches for the entry before it. An
/// entry that is no address ends the search with `None`, so that garbage never counts as loopback.
pub fn client_address(
    extensions: &Extensions,
    headers: &HeaderMap,
    trusted: &[IpNet],
) -> Option<IpAddr> {
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    let mut client = peer.ip().to_canonical();
    let is_trusted = |ip: IpAddr| trusted.iter().any(|net| net.contains(&ip));
    let forwarded = headers.get_all("x-forwarded-for").iter().rev();
    let hops = forwarded.flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
    for hop in hops {
        if !is_trusted(client) {
            break;
        }
        client = hop.trim().parse::<IpAddr>().ok()?.to_canonical();
    }
    Some(client)
}

/// The address of this server for its client: the one that is set, else the one that it asked.
pub fn server_address(config: &HttpConfig, request: &Request) -> String {
    if let Some(url) = &config.public_url {
        return url.clone();
    }
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let is_host = |text: &&str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
    };
    format!("http://{}", host.filter(is_host).unwrap_or("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_one_that_is_set_else_the_one_asked() {
        let address = |set: Option<&str>, asked: &str| {
            let request = Request::builder().header(HOST, asked).body("".into()).unwrap();
            server_address(&HttpConfig::new(set), &request)
        };
        assert_eq!(address(Some("https://wa.example"), "127.0.0.1"), "https://wa.example");
        assert_eq!(address(None, "wa.local:8080"), "http://wa.local:8080");
        assert_eq!(address(None, "[::1]:8080"), "http://[::1]:8080");
        for odd in ["", "a/b", "a;rm -rf /", "<b>", "a\"", "$(id)"] {
            assert_eq!(address(None, odd), "http://localhost", "{odd}");
        }
    }

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> Option<IpAddr> {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        client_address(&extensions, &headers, &trusted)
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        type Case =
            (&'static str, &'static [&'static str], &'static [&'static str], Option<&'static str>);
        let cases: [Case; 8] = [
            ("1.1.1.1", &["127.0.0.1"], &[], Some("1.1.1.1")),
            ("1.1.1.1", &["127.0.0.1"], &["10.0.0.0/8"], Some("1.1.1.1")),
            ("10.0.0.9", &["8.8.8.8"], &["10.0.0.0/8"], Some("8.8.8.8")),
            ("10.0.0.9", &["127.0.0.1, 8.8.8.8"], &["10.0.0.0/8"], Some("8.8.8.8")),
            ("10.0.0.9", &["8.8.8.8, 10.0.0.3"], &["10.0.0.0/8"], Some("8.8.8.8")),
            ("10.0.0.9", &["127.0.0.1", "8.8.8.8"], &["10.0.0.0/8"], Some("8.8.8.8")),
            ("10.0.0.9", &["nonsense"], &["10.0.0.0/8"], None),
            ("::ffff:10.0.0.9", &["8.8.8.8"], &["10.0.0.9/32"], Some("8.8.8.8")),
        ];
        for (peer, forwarded, trusted, expected) in cases {
            let expected = expected.map(|ip| ip.parse().unwrap());
            assert_eq!(client(peer, forwarded, trusted), expected, "{peer} {forwarded:?}");
        }
    }
}
