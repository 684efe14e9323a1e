//! Which URLs may be requested, and which addresses connected to.
//!
//! A URL is judged twice: by its form, at once and without resolving its host; and by the
//! addresses its host resolves to, at the moment of the connection, which goes to a judged one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use domain::media::URL_BYTES_MAX;
use domain::ports::UrlRefusal;
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::is_public;

/// The ports at which public addresses may be reached.
const WEB_PORTS: [u16; 2] = [80, 443];
/// The addresses that a name for this machine has.
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
/// Top-level names that stand for this machine or a private network.
const PRIVATE_SUFFIXES: [&str; 9] = [
    "corp",
    "home",
    "home.arpa",
    "internal",
    "intranet",
    "lan",
    "local",
    "localdomain",
    "localhost",
];

/// Decides what may be reached: public addresses on ports 80 and 443, and the operator's own networks
/// on any port.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    private_nets: Arc<[IpNet]>,
    /// [`WEB_PORTS`], but for tests that listen elsewhere.
    pub(crate) web_ports: [u16; 2],
}

impl Guard {
    /// A guard that also lets the operator's own networks be reached.
    pub(crate) fn new(private_nets: Vec<IpNet>) -> Self {
        Self { private_nets: private_nets.into(), web_ports: WEB_PORTS }
    }

    /// Judges a URL by its form and, where the host is an address, by that.
    pub(crate) fn check(&self, url: &str) -> Result<Url, UrlRefusal> {
        let is_odd = |byte: u8| byte.is_ascii_control() || byte == b' ';
        if url.len() > URL_BYTES_MAX || url.bytes().any(is_odd) {
            return Err(UrlRefusal::Malformed);
        }
        let url = Url::parse(url).map_err(|_| UrlRefusal::Malformed)?;
        self.check_parsed(&url)?;
        Ok(url)
    }

    /// As [`Self::check`], for a URL that was parsed already.
    pub(crate) fn check_parsed(&self, url: &Url) -> Result<(), UrlRefusal> {
        let is_web = matches!(url.scheme(), "http" | "https");
        let host = url.host_str().filter(|_| is_web).ok_or(UrlRefusal::Malformed)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRefusal::Credentials);
        }
        let is_permitted = self.permits_host(host, self.is_web_port(url));
        if is_permitted { Ok(()) } else { Err(UrlRefusal::Forbidden) }
    }

    /// Judges a host by its form, or by the address that it is.
    pub(crate) fn permits_host(&self, host: &str, is_web_port: bool) -> bool {
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => self.permits(ip, is_web_port),
            Err(_) if is_this_machine(host) => LOOPBACK.iter().any(|ip| self.permits(*ip, false)),
            // The operator's networks may have names of their own; their addresses decide later.
            Err(_) if !self.private_nets.is_empty() => true,
            Err(_) => is_web_port && is_public_name(host),
        }
    }

    /// Whether a URL asks for a port that the web is served at.
    pub(crate) fn is_web_port(&self, url: &Url) -> bool {
        url.port_or_known_default().is_some_and(|port| self.web_ports.contains(&port))
    }

    /// Whether an address may be connected to.
    fn permits(&self, ip: IpAddr, is_web_port: bool) -> bool {
        // An IPv4 address inside IPv6 is in the networks of IPv4.
        let plain = ip.to_canonical();
        (is_web_port && is_public(ip)) || self.private_nets.iter().any(|net| net.contains(&plain))
    }

    /// Which of a host's addresses may be connected to; none as soon as one is forbidden.
    ///
    /// A host of loopback addresses only is this machine: its permitted addresses are used,
    /// because `localhost` is usually both `127.0.0.1` and `::1`.
    pub(crate) fn judge(&self, mut found: Vec<IpAddr>, is_web_port: bool) -> Vec<IpAddr> {
        let is_this_machine = found.iter().all(IpAddr::is_loopback);
        let is_permitted = |ip: &IpAddr| self.permits(*ip, is_web_port);
        if is_this_machine || found.iter().all(is_permitted) {
            found.retain(is_permitted);
            return found;
        }
        Vec::new()
    }
}

fn is_public_name(host: &str) -> bool {
    host.trim_end_matches('.').contains('.')
        && !PRIVATE_SUFFIXES.iter().any(|suffix| is_below(host, suffix))
}

fn is_this_machine(host: &str) -> bool {
    is_below(host, "localhost")
}

/// Whether a host is `suffix` or a name below it.
fn is_below(host: &str, suffix: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Resolves host names.
pub(crate) trait Lookup: Send + Sync {
    /// The addresses of a host; an error when it is unknown.
    fn lookup(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The machine's own resolver.
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// A host that has an address it must not have, or none.
#[derive(Debug, thiserror::Error)]
#[error("the host has no address that may be reached")]
struct ForbiddenHost;

/// Resolves names for an HTTP client, which then connects to the judged addresses only.
pub struct GuardedDns {
    guard: Guard,
    is_web_port: bool,
    lookup: Arc<dyn Lookup>,
}

impl GuardedDns {
    /// Refuses a name with any address that is not public.
    pub fn public_only() -> Self {
        Self::new(Guard::new(Vec::new()), true, Arc::new(SystemLookup))
    }

    /// Judges by `guard`, for connections to the web's ports or to others.
    pub(crate) fn new(guard: Guard, is_web_port: bool, lookup: Arc<dyn Lookup>) -> Self {
        Self { guard, is_web_port, lookup }
    }
}

impl Resolve for GuardedDns {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, is_web_port) = (self.guard.clone(), self.is_web_port);
        let found = self.lookup.lookup(name.as_str());
        Box::pin(async move {
            let judged = guard.judge(found.await?, is_web_port);
            if judged.is_empty() {
                return Err(ForbiddenHost.into());
            }
            let addresses = judged.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
