//! Connections through a proxy that a customer set.
//!
//! Invariants: the proxy's own address is judged by the guard, when it is set and at every connection; the
//! proxy is asked by name, so that nothing is resolved here; there is no way around it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::proxy::{Proxy, ProxyCredentials, ProxyFault, ProxyScheme};
use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::{Service as _, service_fn};

use crate::guard::{Guard, GuardedDns, Lookup, SystemLookup};

/// Longest wait for the proxy, and for what it says to a wish.
const CONNECT_MAX: Duration = Duration::from_secs(15);

/// Reaches proxies. Cheap to clone.
#[derive(Clone)]
pub struct ProxyConnector {
    guard: Guard,
    lookup: Arc<dyn Lookup>,
}

impl ProxyConnector {
    /// Reaches proxies at public addresses on any port, and in the operator's own networks.
    pub fn new(allowed_private_nets: Vec<IpNet>) -> Self {
        Self { guard: Guard::new(allowed_private_nets), lookup: Arc::new(SystemLookup) }
    }

    /// A connection to `host` through the proxy.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn connect(
        &self,
        proxy: &Proxy,
        host: &str,
        port: u16,
    ) -> Result<TcpStream, ProxyFault> {
        let stream = timeout(CONNECT_MAX, self.reach(proxy)).await;
        let stream = stream.unwrap_or(Err(ProxyFault::Unreachable))?;
        let tunnel = timeout(CONNECT_MAX, tunnel(proxy, stream, host, port)).await;
        tunnel.unwrap_or(Err(ProxyFault::Unreachable))
    }

    /// What an HTTP client needs to go through the proxy: the proxy, and the resolver that judges it.
    ///
    /// # Errors
    /// The proxy's address is a forbidden one.
    pub fn http(&self, proxy: &Proxy) -> Result<(reqwest::Proxy, GuardedDns), ProxyFault> {
        if !self.guard.permits_host(&proxy.host, true) {
            return Err(ProxyFault::Forbidden);
        }
        let credentials = proxy.credentials.as_ref().map(|ProxyCredentials { user, password }| {
            let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            format!("{}:{}@", encode(user), encode(password))
        });
        let scheme = match proxy.scheme {
            // With the h the proxy resolves names.
            ProxyScheme::Socks5 => "socks5h",
            ProxyScheme::Http => "http",
        };
        let url = format!("{scheme}://{}{}", credentials.unwrap_or_default(), proxy.authority());
        let http = reqwest::Proxy::all(url).map_err(|_| ProxyFault::Unreadable)?;
        Ok((http, GuardedDns::new(self.guard.clone(), true, self.lookup.clone())))
    }

    async fn reach(&self, proxy: &Proxy) -> Result<TcpStream, ProxyFault> {
        if !self.guard.permits_host(&proxy.host, true) {
            return Err(ProxyFault::Forbidden);
        }
        let found = match proxy.host.parse() {
            Ok(ip) => vec![ip],
            Err(_) => {
                let found = self.lookup.lookup(&proxy.host).await;
                found.map_err(|_| ProxyFault::Unreachable)?
            }
        };
        let judged = self.guard.judge(found, true);
        if judged.is_empty() {
            return Err(ProxyFault::Forbidden);
        }
        let addresses: Vec<_> =
            judged.into_iter().map(|ip| SocketAddr::new(ip, proxy.port)).collect();
        TcpStream::connect(addresses.as_slice()).await.map_err(|_| ProxyFault::Unreachable)
    }
}

/// Asks a proxy to connect to `host`.
async fn tunnel(
    proxy: &Proxy,
    stream: TcpStream,
    host: &str,
    port: u16,
) -> Result<TcpStream, ProxyFault> {
    let uri = |scheme: &str, authority: String| {
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build();
        uri.map_err(|_| ProxyFault::Unreadable)
    };
    let proxy_uri = uri(proxy.scheme.as_str(), proxy.authority())?;
    let target = uri("https", format!("{host}:{port}"))?;
    let mut stream = Some(TokioIo::new(stream));
    // The library's handshake runs over the connection that is there already.
    let connected = service_fn(move |_: Uri| {
        let stream = stream.take().ok_or(io::ErrorKind::NotConnected.into());
        async move { stream.map_err(|error: io::Error| error) }
    });
    let refused = ProxyFault::Refused;
    let tunnel = match (proxy.scheme, &proxy.credentials) {
        (ProxyScheme::Socks5, credentials) => {
            let mut socks = SocksV5::new(proxy_uri, connected);
            if let Some(ProxyCredentials { user, password }) = credentials {
                socks = socks.with_auth(user.clone(), password.clone());
            }
            socks.call(target).await.map_err(|_| refused)?
        }
        (ProxyScheme::Http, credentials) => {
            let mut http = Tunnel::new(proxy_uri, connected);
            if let Some(credentials) = credentials {
                http = http.with_auth(basic(credentials)?);
            }
            http.call(target).await.map_err(|_| refused)?
        }
    };
    Ok(tunnel.into_inner())
}

fn basic(
    ProxyCredentials { user, password }: &ProxyCredentials,
) -> Result<HeaderValue, ProxyFault> {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let mut value =
        HeaderValue::from_str(&format!("Basic {encoded}")).map_err(|_| ProxyFault::Unreadable)?;
    value.set_sensitive(true);
    Ok(value)
}
