//! Web sockets to WhatsApp, also through a device's proxy.

use std::sync::Arc;

use anyhow::Context as _;
use async_channel::Receiver;
use async_trait::async_trait;
use domain::proxy::Proxy;
use outbound::ProxyConnector;
use reqwest::Url;
use reqwest::header::{HeaderValue, ORIGIN};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, Connector};
use wacore::net::{Transport, TransportEvent, TransportFactory, WHATSAPP_WEB_ORIGIN};
use whatsapp_rust::transport::{default_tls_connector, from_websocket};

/// Opens web sockets; those of a device with a proxy never without it.
#[derive(Clone)]
pub(crate) struct Sockets {
    url: Arc<str>,
    /// One for all: it holds the certificates of every authority.
    tls: Arc<Connector>,
    proxy: Option<(ProxyConnector, Proxy)>,
}

impl Sockets {
    /// To the web socket at `url`, directly.
    pub(crate) fn new(url: &str) -> Self {
        let is_encrypted = url.starts_with("wss:");
        let tls = if is_encrypted { default_tls_connector() } else { Connector::Plain };
        Self { url: url.into(), tls: Arc::new(tls), proxy: None }
    }

    /// The same, through a proxy.
    pub(crate) fn through(&self, proxies: ProxyConnector, proxy: Proxy) -> Self {
        Self { proxy: Some((proxies, proxy)), ..self.clone() }
    }
}

#[async_trait]
impl TransportFactory for Sockets {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        let url = Url::parse(&self.url)?;
        let host = url.host_str().context("the address has no host")?;
        let port = url.port_or_known_default().context("the address has no port")?;
        let stream = match &self.proxy {
            Some((proxies, proxy)) => proxies.connect(proxy, host, port).await?,
            None => TcpStream::connect((host.trim_matches(['[', ']']), port)).await?,
        };
        // Else each stanza waits until the one before is confirmed, up to 40 ms. All works without it.
        let _ = stream.set_nodelay(true);
        let stream = self.tls.wrap(host, stream).await?;
        let request = ClientBuilder::new().uri(&self.url)?;
        let request = request.add_header(ORIGIN, HeaderValue::from_static(WHATSAPP_WEB_ORIGIN))?;
        let (socket, _) = request.connect_on(stream).await?;
        Ok(from_websocket(socket))
    }
}
