//! Which IP addresses are public, and which are local.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one of the open internet.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// Whether an address is on this machine or in a private network.
pub fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => is_local(IpAddr::V4(ip)),
            None => ip.is_loopback() || is_unique_local(ip),
        },
    }
}

/// Public by its registration, but inside the machines of a cloud an address of that cloud: Azure's
/// host (wire server, metadata and DNS). The metadata of others is in special networks.
const AZURE_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// The special networks of the IANA registry, the host of a cloud, and the services that IBM Cloud
/// (161.26.0.0/16, 166.8.0.0/14) and Google Cloud (199.36.153.0/24) offer to their own machines only.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = match (a, b, c) {
        _ if ip == AZURE_HOST => true,
        (161, 26, _) | (166, 8..=11, _) | (199, 36, 153) => true,
        (0 | 10 | 127, _, _) => true,
        (100, 64..=127, _) => true,
        (169, 254, _) => true,
        (172, 16..=31, _) => true,
        (192, 0, 0 | 2) | (192, 88, 99) | (192, 168, _) => true,
        (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => true,
        _ => a >= 224,
    };
    !is_special
}

/// Only global unicast (2000::/3), without what carries or stands for an IPv4 address and without
/// what is reserved for documentation.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let is_global_unicast = a & 0xe000 == 0x2000;
    let is_teredo_or_orchid = a == 0x2001 && b < 0x0200;
    let is_documentation = (a == 0x2001 && b == 0x0db8) || a == 0x3fff;
    let is_6to4 = a == 0x2002;
    is_global_unicast && !is_teredo_or_orchid && !is_documentation && !is_6to4
}

fn is_unique_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xfe00 == 0xfc00
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_open_internet_is_public() {
        let public = [
            "1.1.1.1",
            "168.63.129.17",
            "157.240.0.60",
            "172.32.0.1",
            "100.63.0.1",
            "2a03:2880:f205::167",
        ];
        for text in public {
            assert!(is_public(text.parse().unwrap()), "{text}");
            assert!(!is_local(text.parse().unwrap()), "{text}");
        }
        let not = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "100.100.100.200",
            "161.26.0.6",
            "166.9.1.1",
            "168.63.129.16",
            "192.0.0.1",
            "192.0.0.192",
            "199.36.153.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:1.1.1.1",
            "::ffff:168.63.129.16",
            "::168.63.129.16",
            "64:ff9b::a83f:8110",
            "64:ff9b:1::1",
            "100::1",
            "3fff::1",
            "5f00::1",
            "2002:a83f:8110::",
            "fd00:ec2::254",
            "fec0::1",
            "64:ff9b::101:101",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ];
        for text in not {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn local_is_loopback_or_private() {
        for text in [
            "127.0.0.1",
            "10.0.0.1",
            "192.168.0.1",
            "172.20.0.1",
            "::1",
            "fd00::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_local(text.parse().unwrap()), "{text}");
        }
        for text in [
            "0.0.0.0",
            "100.64.0.1",
            "169.254.169.254",
            "8.8.8.8",
            "::",
            "fe80::1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_local(text.parse().unwrap()), "{text}");
        }
    }
}
