//! How commands on this machine reach the gateway that runs on it: a file in the data directory, which only
//! its owner can read, says where it listens and holds a key of this process alone.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use domain::key::{KeyHash, KeyKind, Secret};
use domain::ports::Entropy;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::write_private;

const FILE: &str = "admin.key";
/// Most bytes of an answer: a page of a list, and its head.
const ANSWER_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Longest time for an answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// The way to this process.
pub struct Console {
    path: PathBuf,
    key: Secret,
}

impl Console {
    /// A new key; nothing is written yet.
    pub fn new(data_dir: &Path, entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        Self { path: data_dir.join(FILE), key: Secret::from_random(KeyKind::Console, bytes) }
    }

    /// What the use cases know the key by.
    pub fn hash(&self) -> KeyHash {
        self.key.hash()
    }

    /// Lets commands find this process, which listens on `address`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(&self, address: SocketAddr) -> Result<()> {
        let text = format!("{}\n{}\n", reachable(address), self.key.reveal());
        write_private(&self.path, &text).context("cannot write the file of gerbang admin")
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Left behind, it leads nowhere: the key is void with the process.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The address at which this machine reaches a listener.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A request to the gateway.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// The body, if it has one.
    pub body: Option<&'a Value>,
}

impl<'a> Ask<'a> {
    /// A request without a body.
    pub fn new(method: &'a str, path: &'a str) -> Self {
        Self { method, path, body: None }
    }
}

/// Asks the gateway that runs with this data directory; `None` when none does. An empty answer is null.
///
/// # Errors
/// It runs and does not do it.
pub async fn ask(data_dir: &Path, ask: Ask<'_>) -> Result<Option<Value>> {
    let file = match std::fs::read_to_string(data_dir.join(FILE)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.context("cannot read the file of the running gateway")?,
    };
    let (address, key) = file.trim().split_once('\n').context("the file admin.key is damaged")?;
    let address: SocketAddr = address.parse().context("the file admin.key is damaged")?;
    // A gateway that was killed has left its file.
    let Ok(stream) = TcpStream::connect(address).await else { return Ok(None) };
    let answer = timeout(ANSWER_TIME_MAX, exchange(stream, address, key, ask)).await;
    let answer = answer.context("the running gateway does not answer")??;
    let (status, body) = parts(&answer).context("the answer of the gateway cannot be read")?;
    match status {
        // Another process has the port by now.
        401 => Ok(None),
        200..=299 if body.is_empty() => Ok(Some(Value::Null)),
        200..=299 => Ok(Some(serde_json::from_str(body).context("the answer is not JSON")?)),
        status => bail!("the running gateway answers {status}: {}", detail(body)),
    }
}

/// What a problem says; another body as it is.
fn detail(body: &str) -> String {
    let problem: Option<Value> = serde_json::from_str(body).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    detail.unwrap_or(body).to_owned()
}

async fn exchange(
    mut stream: TcpStream,
    address: SocketAddr,
    key: &str,
    Ask { method, path, body }: Ask<'_>,
) -> Result<String> {
    let body = body.map(Value::to_string).unwrap_or_default();
    // HTTP/1.0: the answer ends with the connection, and is not in chunks.
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Status and body of an answer.
fn parts(answer: &str) -> Option<(u16, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_loopback() {
        for (listens, reached) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.7:80", "10.0.0.7:80"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), reached);
        }
    }

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        assert_eq!(parts("HTTP/1.0 201 Created\r\na: b\r\n\r\n{}"), Some((201, "{}")));
        assert_eq!(parts("nonsense"), None);
    }
}
