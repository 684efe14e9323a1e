//! Where the driver connects to, and what it refuses to connect to.
//!
//! Invariant: a build with the feature `simulator` skips the check of WhatsApp's certificate chain,
//! and therefore gets no [`Endpoint`] but a plain web socket at a loopback or private address. A
//! build without it checks the chain wherever it connects.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use domain::client::{Language, Platform};
use domain::leases::Leases;
use ipnet::IpNet;
use outbound::address::is_local;
use reqwest::Url;

/// WhatsApp's own web-socket address.
pub const WHATSAPP_URL: &str = wacore::net::WHATSAPP_WEB_WS_URL;

/// Where WhatsApp publishes the newest version of its web client.
const VERSIONS_URL: &str = "https://web.whatsapp.com/sw.js";

/// The domains of WhatsApp: its socket and its media hosts.
const WHATSAPP_DOMAINS: [&str; 2] = ["whatsapp.com", "whatsapp.net"];

/// What the driver needs to know at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The web-socket address; `None` is [`WHATSAPP_URL`].
    pub url: Option<String>,
    /// The name under which a phone lists devices that have none of their own.
    pub device_name: String,
    /// What kind of client it lists them as.
    pub platform: Platform,
    /// Their language.
    pub language: Language,
    /// The private networks in which a device's proxy may be.
    pub allowed_private_nets: Vec<IpNet>,
    /// The protocol version to announce; `None` asks WhatsApp for the newest.
    pub version: Option<Version>,
    /// One-time keys made when a number is linked; `None` leaves it to the protocol library.
    pub prekey_count: Option<usize>,
    /// Which devices this process may send for, and until when.
    pub leases: Arc<Leases>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: None,
            device_name: "Gerbang".to_owned(),
            platform: Platform::default(),
            language: Language::default(),
            allowed_private_nets: Vec::new(),
            version: None,
            prekey_count: None,
            leases: Arc::default(),
        }
    }
}

/// A version of WhatsApp's protocol, such as 2.3000.1023223821.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub u32, pub u32, pub u32);

impl std::str::FromStr for Version {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Result<Vec<u32>, _> = text.trim().split('.').map(str::parse).collect();
        match parts.as_deref() {
            Ok([primary, secondary, tertiary]) => Ok(Self(*primary, *secondary, *tertiary)),
            _ => Err("must be three numbers, such as 2.3000.1023223821"),
        }
    }
}

/// Why the driver cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The address cannot be read.
    #[error("{0} is no web-socket address (ws://HOST:PORT/ws/chat)")]
    InvalidUrl(String),
    /// A simulator build without an address.
    #[error(
        "this build talks to a simulator only and needs its address (GERBANG_WHATSAPP_URL); \
         for the real WhatsApp use the production build, made without the feature `simulator`"
    )]
    SimulatorUrlMissing,
    /// A simulator build that was given another address than a simulator's.
    #[error(
        "{url}: this build does not check WhatsApp's certificates and therefore connects only to \
         ws:// at a loopback or private address ({why}); for the real WhatsApp use the production \
         build, made without the feature `simulator`"
    )]
    NotASimulator {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made: {0}")]
    Http(#[from] reqwest::Error),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// A checked address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The web socket's address.
    pub(crate) url: String,
    /// The simulator's host and port, when this build talks to one.
    pub(crate) simulator: Option<String>,
    /// Where the newest version of the protocol is published.
    pub(crate) versions: String,
}

impl Endpoint {
    /// Checks the configured address by the rules of this build.
    pub(crate) fn from_config(config: &Config) -> Result<Self, ConfigError> {
        if cfg!(feature = "simulator") {
            let url = config.url.as_deref().ok_or(ConfigError::SimulatorUrlMissing)?;
            Self::simulator(url)
        } else {
            Self::checked(config.url.as_deref().unwrap_or(WHATSAPP_URL))
        }
    }

    /// An address whose certificate chain will be checked.
    fn checked(url: &str) -> Result<Self, ConfigError> {
        parse(url)?;
        Ok(Self { url: url.to_owned(), simulator: None, versions: VERSIONS_URL.to_owned() })
    }

    /// A simulator's address, which is trusted without a certificate; any other is refused.
    fn simulator(url: &str) -> Result<Self, ConfigError> {
        let refuse = |why| ConfigError::NotASimulator { url: url.to_owned(), why };
        let mut parsed = parse(url)?;
        if is_whatsapp_host(&host(&parsed)) {
            return Err(refuse("this is WhatsApp itself"));
        }
        if parsed.scheme() != "ws" {
            return Err(refuse("its scheme is not ws"));
        }
        let addresses = resolve(&parsed).ok_or_else(|| refuse("its host is unknown"))?;
        if !addresses.iter().all(|address| is_local(address.ip())) {
            return Err(refuse("its host is neither"));
        }
        // The name is not resolved again: it might resolve to another address by then.
        let checked = addresses.first().ok_or_else(|| refuse("its host is unknown"))?;
        parsed.set_ip_host(checked.ip()).map_err(|()| refuse("its host is unknown"))?;
        let (simulator, path) = (authority(&parsed), parsed.path());
        // The HTTP client rewrites the scheme, as for media.
        let base = path.strip_suffix("/ws/chat").unwrap_or_default();
        let versions = format!("https://{simulator}{base}/sw.js");
        Ok(Self { simulator: Some(simulator), versions, url: parsed.into() })
    }
}

fn parse(url: &str) -> Result<Url, ConfigError> {
    let invalid = || ConfigError::InvalidUrl(url.to_owned());
    let parsed = Url::parse(url).map_err(|_| invalid())?;
    let is_web_socket = matches!(parsed.scheme(), "ws" | "wss") && parsed.host().is_some();
    if is_web_socket { Ok(parsed) } else { Err(invalid()) }
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase()
}

/// `host:port`, as it stands in a media address.
pub(crate) fn authority(url: &Url) -> String {
    format!("{}:{}", host(url), url.port_or_known_default().unwrap_or_default())
}

/// Whether an address is one of this machine or its network, by its name alone.
pub(crate) fn is_local_host(url: &Url) -> bool {
    let host = host(url);
    let literal: Option<std::net::IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host == "localhost" || literal.is_some_and(is_local)
}

/// Whether a host belongs to WhatsApp.
pub(crate) fn is_whatsapp_host(host: &str) -> bool {
    WHATSAPP_DOMAINS.into_iter().any(|domain| {
        host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn resolve(url: &Url) -> Option<Vec<SocketAddr>> {
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
    let addresses = (host, url.port_or_known_default()?).to_socket_addrs().ok()?;
    Some(addresses.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulator_is_local_and_plain() {
        for (url, simulator) in [
            ("ws://127.0.0.1:9000/ws/chat", "127.0.0.1:9000"),
            ("ws://10.1.2.3:80/ws/chat", "10.1.2.3:80"),
            ("ws://[::1]:9000/ws/chat", "[::1]:9000"),
        ] {
            let endpoint = Endpoint::simulator(url).unwrap();
            assert_eq!(endpoint.simulator.as_deref(), Some(simulator), "{url}");
        }
        let by_name = Endpoint::simulator("ws://localhost:9000/ws/chat").unwrap();
        assert!(!by_name.url.contains("localhost"), "{}", by_name.url);
    }

    #[test]
    fn a_simulator_publishes_versions_beside_its_socket() {
        for (url, versions) in [
            ("ws://127.0.0.1:9000/ws/chat", "https://127.0.0.1:9000/sw.js"),
            ("ws://127.0.0.1:9000/simulator/ws/chat", "https://127.0.0.1:9000/simulator/sw.js"),
        ] {
            assert_eq!(Endpoint::simulator(url).unwrap().versions, versions);
        }
    }

    #[test]
    fn a_version_is_three_numbers() {
        assert_eq!("2.3000.1023223821".parse(), Ok(Version(2, 3_000, 1_023_223_821)));
        for wrong in ["", "2.3000", "2.3000.1.2", "2.3000.x", "v2.3000.1"] {
            assert!(wrong.parse::<Version>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_simulator() {
        let refused = |url: &str| match Endpoint::simulator(url) {
            Err(ConfigError::NotASimulator { why, .. }) => why,
            Err(ConfigError::InvalidUrl(_)) => "no web-socket address",
            other => panic!("{url}: {other:?}"),
        };
        for (url, why) in [
            ("wss://web.whatsapp.com/ws/chat", "this is WhatsApp itself"),
            ("ws://web.whatsapp.com/ws/chat", "this is WhatsApp itself"),
            ("ws://WEB.WhatsApp.NET./ws/chat", "this is WhatsApp itself"),
            ("wss://127.0.0.1:9000/ws/chat", "its scheme is not ws"),
            ("ws://8.8.8.8:9000/ws/chat", "its host is neither"),
            ("ws://0.0.0.0:9000/ws/chat", "its host is neither"),
            ("http://127.0.0.1:9000/ws/chat", "no web-socket address"),
            ("127.0.0.1:9000", "no web-socket address"),
            ("", "no web-socket address"),
        ] {
            assert_eq!(refused(url), why, "{url}");
        }
    }

    #[test]
    fn whatsapps_hosts_are_known_by_domain() {
        for host in ["whatsapp.com", "web.whatsapp.com", "mmg.whatsapp.net"] {
            assert!(is_whatsapp_host(host), "{host}");
        }
        for host in ["notwhatsapp.com", "whatsapp.com.evil.example", "whatsapp.org", ""] {
            assert!(!is_whatsapp_host(host), "{host}");
        }
    }

    #[cfg(not(feature = "simulator"))]
    #[test]
    fn the_real_service_is_the_default() {
        let endpoint = Endpoint::from_config(&Config::default()).unwrap();
        let (url, versions) = (WHATSAPP_URL.to_owned(), VERSIONS_URL.to_owned());
        let expected = Endpoint { url, simulator: None, versions };
        assert_eq!(endpoint, expected);
    }

    #[cfg(feature = "simulator")]
    #[test]
    fn a_simulator_build_needs_an_address() {
        let refused = Endpoint::from_config(&Config::default());
        assert!(matches!(refused, Err(ConfigError::SimulatorUrlMissing)));
    }
}
