//! The HTTP client that the protocol library is given: for media and for its version.
//!
//! Invariants: no redirect is followed; every exchange has a deadline and a largest size; against
//! the real service only https on port 443 at WhatsApp's own hosts is asked, and only when all
//! their addresses are public; against a simulator only that simulator's host and port.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use async_trait::async_trait;
use reqwest::{Method, Url};
use wacore::net::{HttpClient, HttpRequest, HttpResponse};

use crate::address_guard::{PublicOnly, is_public};
use crate::config::{ConfigError, Endpoint, authority, is_whatsapp_host};

/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Longest exchange, body included: 100 MB at a slow line's pace.
const EXCHANGE_MAX: Duration = Duration::from_secs(120);
/// Largest body of an answer: the largest media WhatsApp takes, and its padding.
const ANSWER_BYTES_MAX: usize = 101 * 1024 * 1024;
/// Idle connections kept per host.
const IDLE_PER_HOST_MAX: usize = 4;

/// The guarded client. Cheap to clone.
#[derive(Clone)]
pub(crate) struct GuardedHttpClient {
    client: reqwest::Client,
    simulator: Option<Arc<str>>,
}

impl GuardedHttpClient {
    /// Makes the client for an endpoint.
    pub(crate) fn new(endpoint: &Endpoint) -> Result<Self, ConfigError> {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls_config()?)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_MAX)
            .timeout(EXCHANGE_MAX)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX);
        let builder = match endpoint.simulator {
            Some(_) => builder,
            None => builder.dns_resolver(Arc::new(PublicOnly)),
        };
        let simulator = endpoint.simulator.as_deref().map(Arc::from);
        Ok(Self { client: builder.build()?, simulator })
    }

    async fn exchange(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let url = permitted(&request.url, self.simulator.as_deref())?;
        let method = Method::from_bytes(request.method.as_bytes())?;
        let mut outgoing = self.client.request(method, url);
        for (name, value) in request.headers {
            outgoing = outgoing.header(name, value);
        }
        if let Some(body) = request.body {
            outgoing = outgoing.body(body);
        }
        // An address may carry a token: no error may name it.
        let mut answer = outgoing.send().await.map_err(reqwest::Error::without_url)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                bail!("the answer is larger than {ANSWER_BYTES_MAX} bytes");
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse { status_code: answer.status().as_u16(), body })
    }
}

#[async_trait]
impl HttpClient for GuardedHttpClient {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        self.exchange(request).await
    }
}

/// The address to ask instead of the one the library wants, or why none.
fn permitted(url: &str, simulator: Option<&str>) -> anyhow::Result<Url> {
    let mut url = Url::parse(url)?;
    let Some(host) = url.host_str() else { bail!("the address has no host") };
    if let Some(simulator) = simulator {
        // The library writes https for every media host; a simulator speaks plain http.
        if url.scheme() != "https" || authority(&url) != simulator {
            bail!("a driver for a simulator asks nobody else");
        }
        if url.set_scheme("http").is_err() {
            bail!("the address cannot be rewritten");
        }
        return Ok(url);
    }
    let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_ours = is_whatsapp_host(host) && ip.is_none_or(is_public);
    if url.scheme() != "https" || url.port().is_some() || !is_ours {
        bail!("only WhatsApp's own hosts are asked, by https");
    }
    Ok(url)
}

/// TLS with the roots compiled in, so that nothing of the machine is needed.
fn tls_config() -> Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whatsapps_hosts_by_https() {
        for url in ["https://web.whatsapp.com/sw.js", "https://mmg.whatsapp.net/v/t62?x=1"] {
            assert_eq!(permitted(url, None).unwrap().as_str(), url);
        }
        let wrong = [
            "http://mmg.whatsapp.net/",
            "https://mmg.whatsapp.net:8443/",
            "https://example.com/",
            "https://whatsapp.net.example.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://1.1.1.1/",
            "file:///etc/passwd",
            "nonsense",
        ];
        for url in wrong {
            assert!(permitted(url, None).is_err(), "{url}");
        }
    }

    #[test]
    fn a_simulator_is_asked_by_http_and_nobody_else() {
        let simulator = Some("127.0.0.1:9000");
        let asked = permitted("https://127.0.0.1:9000/mms/image/t?auth=a", simulator).unwrap();
        assert_eq!(asked.as_str(), "http://127.0.0.1:9000/mms/image/t?auth=a");
        for url in
            ["https://127.0.0.1:9001/", "https://mmg.whatsapp.net/", "http://127.0.0.1:9000/"]
        {
            assert!(permitted(url, simulator).is_err(), "{url}");
        }
    }

    #[test]
    fn it_can_be_made_without_anything_of_the_machine() {
        let endpoint = Endpoint { url: String::new(), simulator: None, is_default: true };
        assert!(GuardedHttpClient::new(&endpoint).is_ok());
    }
}
