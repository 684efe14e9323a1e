//! A proxy through which a device reaches WhatsApp.

use std::net::Ipv6Addr;

/// The port of a SOCKS proxy that names none.
const SOCKS_PORT: u16 = 1_080;
/// Longest user name and password, in bytes: SOCKS takes no longer ones.
const CREDENTIAL_BYTES_MAX: usize = 255;
/// Longest host name.
const HOST_BYTES_MAX: usize = 253;

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyScheme {
    /// SOCKS 5; names are resolved by the proxy.
    Socks5,
    /// HTTP, with `CONNECT`.
    Http,
}

impl ProxyScheme {
    /// Its name in URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Socks5 => "socks5",
            Self::Http => "http",
        }
    }
}

/// A user name and a password. `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct ProxyCredentials {
    pub user: String,
    pub password: String,
}

/// The address of a proxy, with its credentials. `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// How it is spoken to.
    pub scheme: ProxyScheme,
    /// Its name or address; IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it wants to know, if anything.
    pub credentials: Option<ProxyCredentials>,
}

impl std::fmt::Debug for ProxyCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProxyCredentials(…)")
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({})", self.shown())
    }
}

impl Proxy {
    /// Reads `socks5://[USER:PASSWORD@]HOST[:PORT]` or `http://[USER:PASSWORD@]HOST:PORT`.
    ///
    /// # Errors
    /// What it must be, for people.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "must be socks5://HOST:PORT or http://HOST:PORT, with USER:PASSWORD@ before the \
             host where the proxy wants it";
        let (scheme, rest) = text.trim().split_once("://").ok_or(FORM)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "socks5" | "socks5h" => ProxyScheme::Socks5,
            "http" => ProxyScheme::Http,
            _ => return Err(FORM),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, address) = match rest.rsplit_once('@') {
            Some((credentials, address)) => (Some(parse_credentials(credentials)?), address),
            None => (None, rest),
        };
        let (host, port) = parse_address(address).ok_or(FORM)?;
        let port = match (port, scheme) {
            (Some(port), _) => port,
            (None, ProxyScheme::Socks5) => SOCKS_PORT,
            (None, ProxyScheme::Http) => return Err("must name the port of the proxy"),
        };
        Ok(Self { scheme, host, port, credentials })
    }

    /// As it may be shown: without its credentials, but with the fact that there are some.
    pub fn shown(&self) -> String {
        let hidden = if self.credentials.is_some() { "***@" } else { "" };
        format!("{}://{hidden}{}", self.scheme.as_str(), self.authority())
    }

    /// Whole, for the store's encrypted field; [`Proxy::parse`] reads it back.
    pub fn to_text(&self) -> String {
        let encode = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
        let credentials = self.credentials.as_ref().map(|ProxyCredentials { user, password }| {
            format!("{}:{}@", encode(user), encode(password))
        });
        let (scheme, credentials) = (self.scheme.as_str(), credentials.unwrap_or_default());
        format!("{scheme}://{credentials}{}", self.authority())
    }

    /// `HOST:PORT`.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

fn parse_credentials(text: &str) -> Result<ProxyCredentials, &'static str> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let decode = |text: &str| {
        percent_decoded(text)
            .filter(|text| {
                text.len() <= CREDENTIAL_BYTES_MAX && !text.chars().any(char::is_control)
            })
            .ok_or("must have a user name and a password of at most 255 bytes each")
    };
    let credentials = ProxyCredentials { user: decode(user)?, password: decode(password)? };
    match credentials.user.is_empty() || credentials.user.contains(':') {
        true => Err("must have a user name without a colon before the @"),
        false => Ok(credentials),
    }
}

fn parse_address(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, port.strip_prefix(':').or_else(|| port.is_empty().then_some(""))?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let is_name =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if host.is_empty() || host.len() > HOST_BYTES_MAX || !host.bytes().all(is_name) {
        return None;
    }
    let port = match port {
        "" => None,
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0)?)
        }
        _ => return None,
    };
    Some((host.to_ascii_lowercase(), port))
}

/// Percent signs that begin no escape stand for themselves.
fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escape = (first == b'%').then(|| tail.get(..2)).flatten();
        let byte = escape.and_then(|digits| hex::decode(digits).ok());
        match byte.as_deref() {
            Some(&[byte]) => {
                decoded.push(byte);
                rest = &tail[2..];
            }
            _ => {
                decoded.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

/// Why a device cannot go through its proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ProxyFault {
    /// It does not answer.
    #[error("its proxy cannot be reached")]
    Unreachable,
    /// It does not take the credentials, or does not connect to WhatsApp.
    #[error("its proxy refuses the connection; are user name and password right?")]
    Refused,
    /// Its address is not one that may be reached.
    #[error("its proxy has an address that may not be reached")]
    Forbidden,
    /// It was stored under another secret key.
    #[error("its proxy cannot be read any more; set it again")]
    Unreadable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_credentials() {
        for (text, shown) in [
            ("socks5://proxy.example", "socks5://proxy.example:1080"),
            ("SOCKS5H://Proxy.Example:1081/", "socks5://proxy.example:1081"),
            ("socks5://u:p@10.0.0.1:9", "socks5://***@10.0.0.1:9"),
            ("http://u@[2001:db8::1]:3128", "http://***@[2001:db8::1]:3128"),
            (" http://u:p%40ss@x:y@proxy.example:80 ", "http://***@proxy.example:80"),
        ] {
            let proxy = Proxy::parse(text).unwrap();
            assert_eq!(proxy.shown(), shown, "{text}");
            assert_eq!(Proxy::parse(&proxy.to_text()).unwrap(), proxy, "{text}");
            assert_eq!(format!("{proxy:?}"), format!("Proxy({shown})"));
        }
        let proxy = Proxy::parse("http://u:p%40s%2fs%@proxy.example:80").unwrap();
        let credentials = proxy.credentials.unwrap();
        assert_eq!((&*credentials.user, &*credentials.password), ("u", "p@s/s%"));
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        let long = format!("socks5://{}:x@proxy.example", "u".repeat(256));
        for text in [
            "",
            "proxy.example:1080",
            "https://proxy.example:443",
            "ftp://proxy.example:21",
            "http://proxy.example",
            "http://:80",
            "http://proxy.example:0",
            "http://proxy.example:65536",
            "http://proxy.example:80/path",
            "http://proxy.example:+80",
            "http://[::1:80",
            "http://[proxy]:80",
            "http://pro xy:80",
            "http://:p@proxy.example:80",
            &long,
        ] {
            assert!(Proxy::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_and_passwords_have_their_lengths() {
        let long = |length| "u".repeat(length);
        for (text, fits) in [
            (format!("socks5://{}:{}@proxy.example", long(255), long(255)), true),
            (format!("socks5://u:{}@proxy.example", long(256)), false),
            (format!("socks5://{}%75:x@proxy.example", long(254)), true),
            (format!("socks5://{}", long(253)), true),
            (format!("socks5://{}", long(254)), false),
            ("socks5://u%0a:x@proxy.example".to_owned(), false),
            ("socks5://u%3a:x@proxy.example".to_owned(), false),
        ] {
            assert_eq!(Proxy::parse(&text).is_ok(), fits, "{text}");
        }
    }
}
