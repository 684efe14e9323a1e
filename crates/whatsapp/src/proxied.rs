//! Web sockets through a device's proxy.

use std::sync::Arc;

use anyhow::Context as _;
use async_channel::Receiver;
use async_trait::async_trait;
use domain::proxy::Proxy;
use outbound::ProxyConnector;
use reqwest::Url;
use reqwest::header::{HeaderValue, ORIGIN};
use tokio_websockets::{ClientBuilder, Connector};
use wacore::net::{Transport, TransportEvent, TransportFactory, WHATSAPP_WEB_ORIGIN};
use whatsapp_rust::transport::{default_tls_connector, from_websocket};

/// Opens web sockets through a proxy, and never without it.
pub(crate) struct ProxiedSockets {
    url: String,
    proxies: ProxyConnector,
    proxy: Proxy,
}

impl ProxiedSockets {
    /// To the web socket at `url`.
    pub(crate) fn new(url: &str, proxies: ProxyConnector, proxy: Proxy) -> Self {
        Self { url: url.to_owned(), proxies, proxy }
    }
}

#[async_trait]
impl TransportFactory for ProxiedSockets {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        let url = Url::parse(&self.url)?;
        let host = url.host_str().context("the address has no host")?;
        let port = url.port_or_known_default().context("the address has no port")?;
        let stream = self.proxies.connect(&self.proxy, host, port).await?;
        let tls = match url.scheme() {
            "wss" => default_tls_connector(),
            _ => Connector::Plain,
        };
        let stream = tls.wrap(host, stream).await?;
        let request = ClientBuilder::new().uri(&self.url)?;
        let request = request.add_header(ORIGIN, HeaderValue::from_static(WHATSAPP_WEB_ORIGIN))?;
        let (socket, _) = request.connect_on(stream).await?;
        Ok(from_websocket(socket))
    }
}
