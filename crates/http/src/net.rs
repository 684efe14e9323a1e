//! Who is at the other end of a connection.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::extract::ConnectInfo;
use axum::http::Extensions;
use axum::http::HeaderMap;

/// A network, such as `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    prefix_bits: u32,
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an address or a network such as 10.0.0.0/8 or fd00::/8")]
pub struct InvalidCidr;

impl FromStr for Cidr {
    type Err = InvalidCidr;

    fn from_str(text: &str) -> Result<Self, InvalidCidr> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| InvalidCidr)?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            Some(bits) => bits.trim().parse().map_err(|_| InvalidCidr)?,
            None => bits_max,
        };
        (prefix_bits <= bits_max).then_some(Self { address, prefix_bits }).ok_or(InvalidCidr)
    }
}

impl Cidr {
    /// Whether the network holds `address`; an IPv4 address inside IPv6 counts as the former.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let drop_bits = 32 - self.prefix_bits;
                u32::from(net).checked_shr(drop_bits) == u32::from(ip).checked_shr(drop_bits)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let drop_bits = 128 - self.prefix_bits;
                u128::from(net).checked_shr(drop_bits) == u128::from(ip).checked_shr(drop_bits)
            }
            _ => false,
        }
    }
}

/// The client's address: the socket's, or what a trusted proxy says it is.
///
/// `X-Forwarded-For` is read from its end: each trusted proxy vouches for the entry before it. An
/// entry that is no address ends the search with `None`, so that garbage never counts as loopback.
pub fn client_address(
    extensions: &Extensions,
    headers: &HeaderMap,
    trusted: &[Cidr],
) -> Option<IpAddr> {
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    let mut client = peer.ip().to_canonical();
    let is_trusted = |ip: IpAddr| trusted.iter().any(|net| net.contains(ip));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> Option<IpAddr> {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<Cidr> = trusted.iter().map(|net| net.parse().unwrap()).collect();
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
            ("::ffff:10.0.0.9", &["8.8.8.8"], &["10.0.0.9"], Some("8.8.8.8")),
        ];
        for (peer, forwarded, trusted, expected) in cases {
            let expected = expected.map(|ip| ip.parse().unwrap());
            assert_eq!(client(peer, forwarded, trusted), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn networks_and_what_is_none() {
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("8.8.8.8".parse().unwrap()));
        let local: Cidr = "fd00::/8".parse().unwrap();
        assert!(local.contains("fd12::1".parse().unwrap()));
        assert!(!local.contains("fe80::1".parse().unwrap()));
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "x", "::/129", "10.0.0.0/-1"] {
            assert_eq!(wrong.parse::<Cidr>(), Err(InvalidCidr), "{wrong}");
        }
    }
}
