//! A small proxy: SOCKS 5 and HTTP at one port, for one user.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use domain::client::{ClientSettings, Route};
use domain::proxy::Proxy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

const USER: &str = "u";
const PASSWORD: &str = "s3cret";
/// `u:s3cret` in base64.
const BASIC: &str = "Basic dTpzM2NyZXQ=";

pub struct TestProxy {
    address: SocketAddr,
    /// Where it was asked to connect, or what it was asked to fetch.
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl TestProxy {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::default());
        let task = tokio::spawn(serve(listener, Arc::clone(&asked)));
        Self { address, asked, task }
    }

    /// Ends it with all its connections.
    pub async fn close(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    pub async fn reopen(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.task = tokio::spawn(serve(listener, Arc::clone(&self.asked)));
    }

    /// What a device needs to go through it.
    pub fn settings(&self, scheme: &str, password: &str) -> ClientSettings {
        let url = format!("{scheme}://{USER}:{password}@{}", self.address);
        let route = Route::Proxy(Proxy::parse(&url).unwrap());
        ClientSettings { route, ..ClientSettings::default() }
    }

    pub fn right_settings(&self, scheme: &str) -> ClientSettings {
        self.settings(scheme, PASSWORD)
    }

    /// Takes what it was asked for since the last time.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

async fn serve(listener: TcpListener, asked: Arc<Mutex<Vec<String>>>) {
    // Dropped, and so aborted, with this task.
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let asked = Arc::clone(&asked);
        connections.spawn(async move {
            let _ = relay(client, &asked).await;
        });
    }
}

async fn relay(mut client: TcpStream, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut first = [0];
    client.peek(&mut first).await?;
    let target = match first {
        [5] => socks(&mut client, asked).await?,
        _ => http(&mut client, asked).await?,
    };
    if let Some((mut server, rest)) = target {
        server.write_all(&rest).await?;
        copy_bidirectional(&mut client, &mut server).await?;
    }
    Ok(())
}

type Target = Option<(TcpStream, Vec<u8>)>;

async fn socks(client: &mut TcpStream, asked: &Mutex<Vec<String>>) -> std::io::Result<Target> {
    let mut methods = [0; 2];
    client.read_exact(&mut methods).await?;
    let mut offered = vec![0; usize::from(methods[1])];
    client.read_exact(&mut offered).await?;
    if !offered.contains(&2) {
        client.write_all(&[5, 0xff]).await?;
        return Ok(None);
    }
    client.write_all(&[5, 2]).await?;
    client.read_u8().await?;
    let (user, password) = (socks_text(client).await?, socks_text(client).await?);
    let is_right = (user.as_str(), password.as_str()) == (USER, PASSWORD);
    client.write_all(&[1, u8::from(!is_right)]).await?;
    if !is_right {
        return Ok(None);
    }
    let mut wish = [0; 4];
    client.read_exact(&mut wish).await?;
    let host = match wish[3] {
        1 => std::net::Ipv4Addr::from(client.read_u32().await?).to_string(),
        3 => socks_text(client).await?,
        kind => panic!("address of kind {kind}"),
    };
    let port = client.read_u16().await?;
    asked.lock().unwrap().push(format!("{host}:{port}"));
    let server = TcpStream::connect((host, port)).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    Ok(Some((server, Vec::new())))
}

async fn socks_text(client: &mut TcpStream) -> std::io::Result<String> {
    let mut text = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut text).await?;
    Ok(String::from_utf8(text).unwrap())
}

async fn http(client: &mut TcpStream, asked: &Mutex<Vec<String>>) -> std::io::Result<Target> {
    let mut head = Vec::new();
    let end = loop {
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8(head[..end].to_vec()).unwrap();
    let auth = text.lines().filter_map(|line| line.split_once(": "));
    let auth = auth.clone().find(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
    if auth.map(|(_, value)| value) != Some(BASIC) {
        client.write_all(b"HTTP/1.1 407 Wrong\r\ncontent-length: 0\r\n\r\n").await?;
        return Ok(None);
    }
    let target = text.split(' ').nth(1).unwrap();
    asked.lock().unwrap().push(target.to_owned());
    if text.starts_with("CONNECT ") {
        let server = TcpStream::connect(target).await?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        return Ok(Some((server, head[end..].to_vec())));
    }
    let host = target.strip_prefix("http://").unwrap().split('/').next().unwrap();
    // A server takes a whole URL as well as a path.
    Ok(Some((TcpStream::connect(host).await?, head)))
}
