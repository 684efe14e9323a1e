//! The client's address, and the address at which it reaches the server.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
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
    for hop in hops(headers) {
        if !is_in(trusted, client) {
            break;
        }
        client = hop.trim().parse::<IpAddr>().ok()?.to_canonical();
    }
    Some(client)
}

/// The entries of `X-Forwarded-For`, the last one first.
fn hops(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all("x-forwarded-for").iter().rev();
    values.flat_map(|value| value.to_str().unwrap_or("?").rsplit(','))
}

/// Whether the client is on this machine. A request that came through a proxy is not, unless the proxy
/// is trusted, is on this machine too, and says so of the client; nor is one that asks for another
/// host: a proxy passed it on, or a web page made a browser ask.
pub fn is_local(extensions: &Extensions, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<SocketAddr>>() else { return false };
    let peer = peer.ip().to_canonical();
    let is_direct =
        is_asked_as_local(headers) && !headers.keys().any(|name| is_forwarding(name.as_str()));
    // 127.0.0.1 is this machine only as long as all proxies on the way are on it.
    let is_on_it = |hop: &str| hop.trim().parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let vouched =
        || is_in(trusted, peer) && hops(headers).next().is_some() && hops(headers).all(is_on_it);
    peer.is_loopback() && (is_direct || vouched())
}

/// Whether the server is asked by an address or name of this machine alone, or by none.
fn is_asked_as_local(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or("?"));
    hosts.all(|host| {
        let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
        let name = host.rsplit_once(':').filter(|(_, port)| is_port(port));
        let name = name.map_or(host, |(name, _)| name);
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|ip| ip.is_loopback())
    })
}

/// Whether a header is one that proxies add.
fn is_forwarding(name: &str) -> bool {
    const BEGINNINGS: [&str; 4] = ["x-forwarded", "cf-", "x-amzn-", "tailscale-"];
    const ENDINGS: [&str; 3] = ["client-ip", "clientip", "user-ip"];
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
        || FORWARDING_HEADERS.contains(&name)
}

/// Further headers that proxies add.
const FORWARDING_HEADERS: [&str; 13] = [
    "forwarded",
    "forwarded-for",
    "via",
    "x-real-ip",
    "x-remote-addr",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-url",
    "x-scheme",
    "x-envoy-external-address",
    "x-cloud-trace-context",
    "front-end-https",
    "cdn-loop",
];

/// Whether one of the networks has this address.
pub fn is_in(nets: &[IpNet], ip: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&ip))
}

/// What counts as one address: of IPv6 a /64, which one customer of a provider has whole.
pub fn share_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let network = u128::from(ip) & (u128::MAX << 64);
            IpAddr::from(std::net::Ipv6Addr::from(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The address of this server for its client: the one that is set, else the one that it asked.
pub fn server_address(config: &HttpConfig, headers: &HeaderMap) -> String {
    if let Some(url) = &config.public_url {
        return url.clone();
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
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
            let headers = HeaderMap::from_iter([(HOST, asked.parse().unwrap())]);
            server_address(&HttpConfig::new(set), &headers)
        };
        assert_eq!(address(Some("https://wa.example"), "127.0.0.1"), "https://wa.example");
        assert_eq!(address(None, "wa.local:8080"), "http://wa.local:8080");
        assert_eq!(address(None, "[::1]:8080"), "http://[::1]:8080");
        for odd in ["", "a/b", "a;rm -rf /", "<b>", "a\"", "$(id)"] {
            assert_eq!(address(None, odd), "http://localhost", "{odd}");
        }
    }

    #[test]
    fn what_came_through_a_proxy_is_not_local() {
        let is_local = |peer: &str, headers: &[(&'static str, &str)], trusted: &[&str]| {
            let mut extensions = Extensions::new();
            extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
            let pairs = headers.iter().map(|(name, value)| {
                (axum::http::HeaderName::from_static(name), value.parse().unwrap())
            });
            let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
            is_local(&extensions, &HeaderMap::from_iter(pairs), &trusted)
        };
        let (far, near) = ("8.8.8.8", "127.0.0.1");
        assert!(is_local(near, &[], &[]));
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]"] {
            assert!(is_local("::1", &[("host", host)], &[]), "{host}");
        }
        for host in ["gateway.example", "localhost.evil.example:80", "10.0.0.1", "127.0.0.1@x", ""]
        {
            assert!(!is_local(near, &[("host", host)], &[]), "{host}");
        }
        assert!(is_local("::ffff:127.0.0.1", &[], &[]));
        assert!(!is_local("10.0.0.9", &[], &[]) && !is_local("10.0.0.9", &[], &["10.0.0.0/8"]));
        for name in [
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "forwarded",
            "via",
            "x-real-ip",
            "x-client-ip",
            "cf-connecting-ip",
            "true-client-ip",
            "fly-client-ip",
            "wl-proxy-client-ip",
            "x-azure-clientip",
            "x-appengine-user-ip",
            "x-amzn-trace-id",
            "tailscale-user-login",
        ] {
            for value in [far, near, "", "for=127.0.0.1"] {
                assert!(!is_local(near, &[(name, value)], &[]), "{name}: {value}");
            }
        }
        let local = &["127.0.0.0/8", "10.0.0.0/8"];
        assert!(is_local(near, &[("x-forwarded-for", near), ("via", "1.1 x")], local));
        assert!(is_local(near, &[("x-forwarded-for", "::1, 127.0.0.1")], local));
        for forwarded in [far, "8.8.8.8, 127.0.0.1", "127.0.0.1, 8.8.8.8", "", "garbage"] {
            assert!(!is_local(near, &[("x-forwarded-for", forwarded)], local), "{forwarded}");
        }
        assert!(!is_local(near, &[("x-real-ip", near)], local), "it does not say of whom");
        // That address is the other machine's own.
        assert!(!is_local("10.0.0.9", &[("x-forwarded-for", near)], local));
    }

    #[test]
    fn one_customer_of_a_provider_is_one_address() {
        let share = |ip: &str| share_of(ip.parse().unwrap()).to_string();
        assert_eq!(share("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(share("2001:db8:1:3::1"), "2001:db8:1:3::");
        assert_eq!(
            (share("1.2.3.4"), share("::ffff:1.2.3.4")),
            ("1.2.3.4".into(), "1.2.3.4".into())
        );
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
