//! A receiver with a self-signed certificate.

use std::sync::Arc;

use domain::message::Failure;
use domain::ports::{FileError, Outbound as _, WebhookRequest};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::Rig;

/// Self-signed, for `receiver.example` and `127.0.0.1`; made for this test and of no other use.
const CERTIFICATE: &[u8] = include_bytes!("fixtures/receiver-cert.der");
const KEY: &[u8] = include_bytes!("fixtures/receiver-key.der");

fn acceptor() -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(CERTIFICATE)],
            PrivateKeyDer::try_from(KEY).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let (report, mut reports) = mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        let acceptor = acceptor();
        while let Ok((stream, _)) = listener.accept().await {
            report.send(acceptor.accept(stream).await.is_ok()).unwrap();
        }
    });

    let rig = Rig::local();
    let request = WebhookRequest {
        url: url.clone(),
        content_type: "application/json",
        headers: Vec::new(),
        body: b"{}".to_vec(),
    };
    let answer = rig.client.post(request).await;
    assert_eq!(answer.status, None);
    assert_eq!(answer.error.as_deref(), Some("the receiver's certificate is not valid"));
    let asked = rig.client.challenge(&url, "c").await;
    assert_eq!(asked, Err("the receiver's certificate is not valid".to_owned()));
    let fetched = rig.client.fetch(&url).await.unwrap_err();
    let failure = Failure::new("media", "the file could not be downloaded");
    assert_eq!(fetched, FileError::Permanent(failure));

    for _ in 0..3 {
        assert_eq!(reports.recv().await, Some(false), "the handshake ends before any request");
    }
    server.abort();
}
