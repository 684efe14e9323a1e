//! Networks, as settings name them.

use std::net::IpAddr;
use std::str::FromStr;

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

#[cfg(test)]
mod tests {
    use super::*;

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
