//! Limits of sizes, times and the space on the disk.

use std::sync::Arc;
use std::time::Duration;

use domain::media::MEDIA_BYTES_MAX;
use domain::ports::{FileError, Outbound as _};
use tokio::io::AsyncWriteExt as _;

use super::fetch::gzip;
use super::{Rig, Server, answer, ok, until};
use crate::client::Limits;
use crate::files::FetchError;

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

fn local(limits: Limits) -> Rig {
    Rig::new(&["127.0.0.1"], &[], limits)
}

/// Sends a file of the size in the path, without `Content-Length`.
async fn streaming() -> Server {
    Server::scripted("127.0.0.1:0", |request, mut stream| {
        Box::pin(async move {
            let path = request.split(' ').nth(1).unwrap();
            let mut rest: u64 = path[1..].parse().unwrap();
            let block = vec![0u8; 64 * 1024];
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while rest > 0 {
                let count = rest.min(block.len() as u64);
                if stream.write_all(&block[..count as usize]).await.is_err() {
                    return;
                }
                rest -= count;
            }
            let _ = stream.shutdown().await;
        })
    })
    .await
}

/// The peak memory of this process.
fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn a_hundred_megabytes_and_not_a_byte_more() {
    let server = streaming().await;
    let rig = Rig::local();
    let before = peak_memory_bytes();
    let whole = rig.client.download(&server.url(&format!("/{MEDIA_BYTES_MAX}"))).await.unwrap();
    assert_eq!(whole.file.size, MEDIA_BYTES_MAX);
    assert_eq!(std::fs::metadata(&whole.file.path).unwrap().len(), MEDIA_BYTES_MAX);
    drop(whole);
    let larger = rig.client.download(&server.url(&format!("/{}", MEDIA_BYTES_MAX + 1))).await;
    assert_eq!(larger.err(), Some(FetchError::TooLarge));
    let endless = rig.client.download(&server.url(&format!("/{}", u64::MAX))).await;
    assert_eq!(endless.err(), Some(FetchError::TooLarge));
    let grown = peak_memory_bytes() - before;
    assert!(grown < 32 * 1024 * 1024, "{grown} bytes more");
    assert_eq!(rig.files(), 0);
}

#[tokio::test]
async fn the_limit_is_that_of_the_opened_bytes() {
    let bomb = gzip(&vec![0; 8 * 1024 * 1024]);
    assert!(bomb.len() < 16 * 1024);
    let fitting = bomb.clone();
    let server = Server::start(move |path| match path {
        "/fits" => answer("200 OK", "content-encoding: gzip\r\n", &fitting),
        // A member after the other, as one stream.
        _ => answer("200 OK", "content-encoding: gzip\r\n", &bomb.repeat(40)),
    })
    .await;
    let rig = local(Limits { file_bytes_max: 64 * 1024 * 1024, ..Limits::default() });
    let before = peak_memory_bytes();
    assert_eq!(rig.client.download(&server.url("/fits")).await.unwrap().file.size, 8 << 20);
    let bomb = rig.client.download(&server.url("/bomb")).await;
    assert_eq!(bomb.err(), Some(FetchError::TooLarge));
    let grown = peak_memory_bytes() - before;
    assert!(grown < 32 * 1024 * 1024, "{grown} bytes more");
    assert_eq!(rig.files(), 0);
}

/// As many as the engine lets run at a time.
#[tokio::test]
async fn sixteen_downloads_at_a_time_need_little_memory() {
    const BYTES: u64 = 20 * 1024 * 1024;
    let server = streaming().await;
    let rig = Rig::local();
    let before = peak_memory_bytes();
    let url = server.url(&format!("/{BYTES}"));
    let downloads = (0..16).map(|_| rig.client.download(&url));
    for done in futures_util::future::join_all(downloads).await {
        assert_eq!(done.unwrap().file.size, BYTES);
    }
    let grown = peak_memory_bytes() - before;
    assert!(grown < 64 * 1024 * 1024, "{grown} bytes more");
    assert_eq!(rig.files(), 0);
    let megabytes = grown / 1_000_000;
    println!("figures of sixteen downloads at once: of 20 MiB each, {megabytes} MB of memory more");
}

#[tokio::test]
async fn lengths_that_lie() {
    let server = Server::start(|path| {
        let (length, body) = match path {
            "/announced" => (101, &[b'x'; 5][..]),
            "/short" => (50, &[b'x'; 5][..]),
            _ => (5, &[b'x'; 50_000][..]),
        };
        [format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes(), body].concat()
    })
    .await;
    let rig = local(Limits { file_bytes_max: 100, ..Limits::default() });
    let outcome = async |path| rig.client.download(&server.url(path)).await.map(|it| it.file.size);
    assert_eq!(outcome("/announced").await, Err(FetchError::TooLarge));
    assert_eq!(outcome("/short").await, Err(FetchError::Failed));
    assert_eq!(outcome("/long").await, Ok(5));
    assert_eq!(rig.files(), 0);
}

#[tokio::test]
async fn a_bomb_is_not_unpacked() {
    let server = Server::start(|_| ok(b"\x1f\x8b\x08 as it came")).await;
    let rig = Rig::local();
    let fetched = rig.client.download(&server.url("/bomb.gz")).await.unwrap();
    assert_eq!(std::fs::read(&fetched.file.path).unwrap(), b"\x1f\x8b\x08 as it came");
}

#[tokio::test]
async fn slow_answers_end() {
    let server = Server::scripted("127.0.0.1:0", |request, mut stream| {
        Box::pin(async move {
            if !request.starts_with("GET /silent") {
                let _ = stream.write_all(CHUNKED).await;
            }
            let mut drops = tokio::time::interval(Duration::from_millis(5));
            while !request.starts_with("GET /silent") {
                drops.tick().await;
                if stream.write_all(b"1\r\nx\r\n").await.is_err() {
                    return;
                }
            }
            std::future::pending::<()>().await;
        })
    })
    .await;
    let rig = local(Limits { download_max: Duration::from_millis(300), ..Limits::default() });
    for path in ["/silent", "/drip"] {
        let error = rig.client.download(&server.url(path)).await.err();
        assert_eq!(error, Some(FetchError::TooSlow), "{path}");
    }
    assert_eq!(rig.files(), 0);
}

/// The server answers one request per connection and keeps it open: a second one would time out.
#[tokio::test]
async fn connections_are_not_reused() {
    let server = Server::scripted("127.0.0.1:0", |_, mut stream| {
        Box::pin(async move {
            stream.write_all(&ok(b"x")).await.unwrap();
            std::future::pending::<()>().await;
        })
    })
    .await;
    let rig = local(Limits { download_max: Duration::from_secs(2), ..Limits::default() });
    for _ in 0..2 {
        assert_eq!(rig.client.download(&server.url("/")).await.unwrap().file.size, 1);
    }
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn redirects_share_one_deadline() {
    let server = Server::scripted("127.0.0.1:0", |request, mut stream| {
        Box::pin(async move {
            if request.starts_with("GET /first") {
                let _ = stream.write_all(&super::redirect("/silent")).await;
                return;
            }
            std::future::pending::<()>().await;
        })
    })
    .await;
    let rig = local(Limits { download_max: Duration::from_millis(300), ..Limits::default() });
    let error = rig.client.download(&server.url("/first")).await.err();
    assert_eq!(error, Some(FetchError::TooSlow));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_cancelled_download_leaves_nothing() {
    let server = Server::scripted("127.0.0.1:0", |_, mut stream| {
        Box::pin(async move {
            let _ = stream.write_all(CHUNKED).await;
            std::future::pending::<()>().await;
        })
    })
    .await;
    let rig = Arc::new(Rig::local());
    let (client, url) = (rig.clone(), server.url("/"));
    let download = tokio::spawn(async move { client.client.download(&url).await.map(drop) });
    until(|| rig.files() == 1).await;
    download.abort();
    assert!(download.await.unwrap_err().is_cancelled());
    assert_eq!(rig.files(), 0);
}

#[tokio::test]
async fn a_full_disk_stops_downloads_for_now() {
    let server = Server::start(|_| ok(b"x")).await;
    let rig = local(Limits { min_free_bytes: u64::MAX, ..Limits::default() });
    let error = rig.client.fetch(&server.url("/")).await.unwrap_err();
    assert_eq!(error, FetchError::DiskFull.into());
    assert_eq!(rig.client.keep(vec![0]).await.unwrap_err(), error);
    assert_eq!(rig.files(), 0);
}

#[tokio::test]
async fn failures_of_the_file_are_permanent() {
    let failure = |error: FetchError| match FileError::from(error) {
        FileError::Permanent(failure) => failure.code,
        FileError::Temporary(why) => panic!("{why}"),
    };
    for error in
        [FetchError::Failed, FetchError::WebPage, FetchError::TooLarge, FetchError::TooSlow]
    {
        assert_eq!(failure(error), "media");
    }
}
