//! A TLS front of the simulator: other clients fetch and send files over HTTPS only.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::support::simulator::Simulator;
use crate::support::wait::moment;

/// How long what a server answers is on its way. zapo does without a pairing when the server asks for the new login (515)
/// before it has come to it by itself, and for that it needs more time than nothing.
const DISTANCE: Duration = Duration::from_millis(20);
/// The first byte of a TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;

/// Takes plain and encrypted connections on one port: clients are sent with their files to the host
/// that they connected to.
pub struct Front {
    address: String,
    task: JoinHandle<()>,
}

impl Front {
    /// Starts one in front of the simulator.
    pub async fn start(simulator: &Simulator) -> Self {
        let upstream = host_of(simulator.url());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let acceptor = acceptor();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, acceptor.clone(), upstream.clone()));
            }
        });
        Self { address, task }
    }

    /// What clients connect to.
    pub fn url(&self) -> String {
        format!("ws://{}/ws/chat", self.address)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The certificate that clients must trust: self-signed, for `127.0.0.1`; made for these tests and of no
/// other use.
pub fn certificate() -> PathBuf {
    fixture("certificate.pem")
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/processes/peers/fixtures").join(name)
}

fn host_of(url: &str) -> String {
    let rest = url.strip_prefix("ws://").expect("a web-socket address");
    rest.split('/').next().unwrap().to_owned()
}

fn acceptor() -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_file(certificate()).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("key.pem")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, upstream: String) {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) if first[0] == TLS_HANDSHAKE => {
            if let Ok(stream) = acceptor.accept(stream).await {
                forward(stream, &upstream).await;
            }
        }
        Ok(1) => forward(stream, &upstream).await,
        _ => {}
    }
}

async fn forward(stream: impl AsyncRead + AsyncWrite + Unpin, upstream: &str) {
    let Ok(mut upstream) = TcpStream::connect(upstream).await else { return };
    let (mut from_server, mut to_server) = upstream.split();
    let (mut from_client, mut to_client) = split(stream);
    let forth = async {
        copy(&mut from_client, &mut to_server).await?;
        to_server.shutdown().await
    };
    let back = async {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let count = from_server.read(&mut bytes).await?;
            if count == 0 {
                return to_client.shutdown().await;
            }
            moment(DISTANCE).await;
            to_client.write_all(&bytes[..count]).await?;
        }
    };
    // Either side may go at any time.
    let _ = tokio::try_join!(forth, back);
}
