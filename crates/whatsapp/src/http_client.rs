//! The HTTP client that the protocol library is given: for media and for its version.
//!
//! Invariants: no redirect is followed; every exchange has a deadline and a largest size; against
//! the real service only https on port 443 at WhatsApp's own hosts is asked, and only when all
//! their addresses are public; against a simulator only hosts of this machine or its network.

use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use async_trait::async_trait;
use bytes::Bytes;
use domain::proxy::Proxy;
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, unfold};
use outbound::address::is_public;
use outbound::{GuardedDns, ProxyConnector, tls};
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Body, Method, Url};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use wacore::net::{HttpClient, HttpRequest, HttpResponse, StreamingHttpResponse, UploadBody};

use crate::config::{ConfigError, Endpoint, authority, is_local_host, is_whatsapp_host};
use crate::limits::{UPLOAD_MAX, UPLOAD_PIECE_BYTES, UPLOAD_PIECES_MAX};

/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Longest download that is read while it comes.
const DOWNLOAD_MAX: Duration = Duration::from_secs(10 * 60);
/// Longest exchange, but for those and uploads ([`UPLOAD_MAX`]); body included.
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
        let builder = builder()?;
        let builder = match endpoint.simulator {
            Some(_) => builder,
            None => builder.dns_resolver(Arc::new(GuardedDns::public_only())),
        };
        Ok(Self::of(endpoint, builder.build()?))
    }

    /// As [`GuardedHttpClient::new`], through a proxy and never without it.
    pub(crate) fn through(
        endpoint: &Endpoint,
        proxies: &ProxyConnector,
        proxy: &Proxy,
    ) -> anyhow::Result<Self> {
        let (proxy, dns) = proxies.http(proxy)?;
        let client = builder()?.proxy(proxy).dns_resolver(Arc::new(dns)).build()?;
        Ok(Self::of(endpoint, client))
    }

    fn of(endpoint: &Endpoint, client: reqwest::Client) -> Self {
        Self { client, simulator: endpoint.simulator.as_deref().map(Arc::from) }
    }

    /// Begins an exchange whose answer is read while it comes; also its length, where that is known.
    /// Called on a thread that may block.
    pub(crate) fn stream(
        &self,
        request: HttpRequest,
    ) -> anyhow::Result<(StreamingHttpResponse, Option<u64>)> {
        let runtime = Handle::try_current()?;
        let url = permitted(&request.url, self.simulator.as_deref())?;
        let mut outgoing = self.client.request(Method::from_bytes(request.method.as_bytes())?, url);
        for (name, value) in request.headers {
            outgoing = outgoing.header(name, value);
        }
        let sent = runtime.block_on(outgoing.timeout(DOWNLOAD_MAX).send());
        let answer = sent.map_err(reqwest::Error::without_url)?;
        let (status_code, length) = (answer.status().as_u16(), answer.content_length());
        let body = StreamedAnswer { runtime, answer, piece: Bytes::new(), left: ANSWER_BYTES_MAX };
        Ok((StreamingHttpResponse { status_code, body: Box::new(body) }, length))
    }

    async fn exchange(
        &self,
        request: HttpRequest,
        body: Option<Streamed>,
    ) -> anyhow::Result<HttpResponse> {
        let url = permitted(&request.url, self.simulator.as_deref())?;
        let method = Method::from_bytes(request.method.as_bytes())?;
        let mut outgoing = self.client.request(method, url);
        for (name, value) in request.headers {
            outgoing = outgoing.header(name, value);
        }
        outgoing = match body {
            Some(Streamed { pieces, length }) => outgoing
                .timeout(UPLOAD_MAX)
                .header(CONTENT_LENGTH, length)
                .body(Body::wrap_stream(pieces)),
            None => match request.body {
                Some(body) => outgoing.body(body),
                None => outgoing,
            },
        };
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

/// Without a proxy of the machine's settings.
fn builder() -> Result<reqwest::ClientBuilder, ConfigError> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client_config()?)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_MAX)
        .timeout(EXCHANGE_MAX)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX))
}

#[async_trait]
impl HttpClient for GuardedHttpClient {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        self.exchange(request, None).await
    }

    fn supports_upload_streaming(&self) -> bool {
        true
    }

    /// Called on a thread that may block: reads here, while the exchange runs on the runtime.
    fn execute_upload(
        &self,
        request: HttpRequest,
        mut body: UploadBody,
        content_length: u64,
    ) -> anyhow::Result<HttpResponse> {
        let runtime = Handle::try_current()?;
        let (sender, receiver) = mpsc::channel(UPLOAD_PIECES_MAX);
        let pieces = unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|piece| (piece, receiver))
        });
        let streamed = Streamed { pieces: pieces.boxed(), length: content_length };
        let client = self.clone();
        let exchange = runtime.spawn(async move { client.exchange(request, Some(streamed)).await });
        loop {
            let piece = read_piece(&mut body).transpose();
            // An exchange that has ended takes no more, and says why.
            let Some(piece) = piece else { break };
            let is_last = piece.is_err();
            if sender.blocking_send(piece).is_err() || is_last {
                break;
            }
        }
        drop(sender);
        runtime.block_on(exchange)?
    }
}

/// An answer that is read while it comes.
struct StreamedAnswer {
    runtime: Handle,
    answer: reqwest::Response,
    piece: Bytes,
    /// How many bytes may still come.
    left: usize,
}

impl Read for StreamedAnswer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let next = self.runtime.block_on(self.answer.chunk());
            let next = next.map_err(|error| io::Error::other(error.without_url()))?;
            let Some(next) = next else { return Ok(0) };
            self.left = self.left.checked_sub(next.len()).ok_or_else(|| {
                let text = format!("the answer is larger than {ANSWER_BYTES_MAX} bytes");
                io::Error::new(io::ErrorKind::FileTooLarge, text)
            })?;
            self.piece = next;
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

/// A body that is sent while it is read.
struct Streamed {
    pieces: BoxStream<'static, io::Result<Bytes>>,
    length: u64,
}

/// The next piece of a body; `None` at its end.
fn read_piece(body: &mut impl Read) -> io::Result<Option<Bytes>> {
    let mut piece = Vec::with_capacity(UPLOAD_PIECE_BYTES);
    body.by_ref().take(UPLOAD_PIECE_BYTES as u64).read_to_end(&mut piece)?;
    Ok((!piece.is_empty()).then(|| piece.into()))
}

/// The address to connect to for the one the library asks for.
///
/// # Errors
/// When the driver may not connect to it.
fn permitted(url: &str, simulator: Option<&str>) -> anyhow::Result<Url> {
    let mut url = Url::parse(url)?;
    let Some(host) = url.host_str() else { bail!("the address has no host") };
    if let Some(simulator) = simulator {
        // The library writes https for every media host; a simulator speaks plain http, on any of the
        // addresses of this machine or network.
        let is_simulators = authority(&url) == simulator || is_local_host(&url);
        if url.scheme() != "https" || !is_simulators {
            bail!("a driver for a simulator connects to nothing else");
        }
        if url.set_scheme("http").is_err() {
            bail!("the address cannot be rewritten");
        }
        return Ok(url);
    }
    let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_ours = is_whatsapp_host(host) && ip.is_none_or(is_public);
    if url.scheme() != "https" || url.port().is_some() || !is_ours {
        bail!("only WhatsApp's own hosts are connected to, by https");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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
        ];
        for url in wrong {
            let refused = permitted(url, None).unwrap_err().to_string();
            assert_eq!(refused, "only WhatsApp's own hosts are connected to, by https", "{url}");
        }
        let no_host = permitted("file:///etc/passwd", None).unwrap_err();
        assert_eq!(no_host.to_string(), "the address has no host");
        let no_url = permitted("nonsense", None).unwrap_err();
        assert_eq!(no_url.to_string(), "relative URL without a base");
    }

    #[test]
    fn a_simulator_is_asked_by_http_and_nothing_else() {
        let simulator = Some("127.0.0.1:9000");
        let asked = permitted("https://127.0.0.1:9000/mms/image/t?auth=a", simulator).unwrap();
        assert_eq!(asked.as_str(), "http://127.0.0.1:9000/mms/image/t?auth=a");
        let second = permitted("https://localhost:9001/mms/image/t", simulator).unwrap();
        assert_eq!(second.as_str(), "http://localhost:9001/mms/image/t");
        for url in ["https://1.1.1.1:9000/", "https://mmg.whatsapp.net/", "http://127.0.0.1:9000/"]
        {
            let refused = permitted(url, simulator).unwrap_err().to_string();
            assert_eq!(refused, "a driver for a simulator connects to nothing else", "{url}");
        }
    }

    /// Answers one request that is sent in one piece or in many, and gives it back.
    async fn take_one(listener: tokio::net::TcpListener, bytes: usize) -> Vec<u8> {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while request.iter().filter(|byte| **byte == b'#').count() < bytes {
            assert!(socket.read_buf(&mut request).await.unwrap() > 0, "the connection broke");
        }
        let answer = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}";
        socket.write_all(answer).await.unwrap();
        request
    }

    #[tokio::test]
    async fn an_upload_is_streamed_under_its_length() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let simulator = listener.local_addr().unwrap().to_string();
        let url = format!("https://{simulator}/mms/image/t");
        let endpoint =
            Endpoint { url: String::new(), simulator: Some(simulator), versions: String::new() };
        let client = GuardedHttpClient::new(&endpoint).unwrap();
        let length = 3 * UPLOAD_PIECE_BYTES + 1;
        let sent = tokio::task::spawn_blocking(move || {
            let body = io::repeat(b'#').take(length as u64);
            client.execute_upload(HttpRequest::post(url), Box::new(body), length as u64)
        });
        let request = take_one(listener, length).await;
        let head = String::from_utf8_lossy(&request[..300]).to_lowercase();
        assert!(head.starts_with("post /mms/image/t http/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {length}\r\n")), "{head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
        let answer = sent.await.unwrap().unwrap();
        assert_eq!((answer.status_code, answer.body.as_slice()), (413, &b"{}"[..]));
    }

    #[test]
    fn it_can_be_made_without_anything_of_the_machine() {
        let endpoint = Endpoint { url: String::new(), simulator: None, versions: String::new() };
        assert!(GuardedHttpClient::new(&endpoint).is_ok());
    }
}
