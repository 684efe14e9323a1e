//! What a download brings.

use std::io::Write as _;

use domain::ports::Outbound as _;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::{Rig, Server, answer, ok, redirect};
use crate::files::FetchError;

#[tokio::test]
async fn a_file_with_its_type_and_name() {
    let server = Server::start(|path| match path {
        "/get" => answer(
            "200 OK",
            "content-type: application/pdf; x=y\r\ncontent-disposition: attachment; filename=\"r.pdf\"\r\n",
            b"%PDF-1.7",
        ),
        "/moved" => redirect("/3"),
        "/3" => redirect("/2"),
        "/2" => redirect("/a%20b.jpg?x"),
        "/4" => redirect("/moved"),
        "/empty" => ok(b""),
        "/created" => answer("201 Created", "", b"bytes"),
        _ => ok(b"bytes"),
    })
    .await;
    let rig = Rig::local();

    let fetched = rig.client.download(&server.url("/get")).await.unwrap();
    assert_eq!(fetched.content_type.as_deref(), Some("application/pdf"));
    assert_eq!(fetched.filename.as_deref(), Some("r.pdf"));
    assert_eq!(fetched.url_names, ["get"]);
    assert_eq!(fetched.file.size, 8);
    assert_eq!(std::fs::read(&fetched.file.path).unwrap(), b"%PDF-1.7");

    let clone = fetched.file.clone();
    drop(fetched);
    assert!(clone.path.exists(), "a clone keeps the file");
    drop(clone);
    assert_eq!(rig.files(), 0);

    let created = rig.client.download(&server.url("/created")).await.unwrap();
    assert_eq!(created.file.size, 5);
    let moved = rig.client.download(&server.url("/moved")).await.unwrap();
    assert_eq!((moved.filename, moved.url_names), (None, vec!["a b.jpg".into(), "moved".into()]));
    let empty = rig.client.download(&server.url("/empty")).await.unwrap();
    assert_eq!((empty.file.size, empty.content_type), (0, None));
    let too_far = rig.client.download(&server.url("/4")).await;
    assert_eq!(too_far.err(), Some(FetchError::Failed), "a fourth redirect");

    let head = &server.requests()[0];
    assert!(head.starts_with("GET /get HTTP/1.1\r\n"), "{head}");
    let agent = format!("user-agent: Gerbang/{}\r\n", env!("CARGO_PKG_VERSION"));
    assert!(head.contains(&agent) && head.contains("accept-encoding: identity\r\n"), "{head}");
}

#[tokio::test]
async fn every_failure_has_the_same_text() {
    let server = Server::start(|path| match path {
        "/404" => answer("404 Not Found", "", b"internal detail"),
        "/500" => answer("500 Internal Server Error", "", b"x"),
        "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/206" => answer("206 Partial Content", "", b"x"),
        "/304" => answer("304 Not Modified", "", b""),
        "/nowhere" => answer("302 Found", "", b""),
        "/cut-off" => answer("200 OK", "content-encoding: gzip\r\n", b"\x1f\x8b"),
        "/noise" => b"\x00\x01\x02\r\n\r\n".to_vec(),
        "/silence" => Vec::new(),
        _ => ok(b"x"),
    })
    .await;
    let closed = Server::start(|_| ok(b"x")).await.url("/");
    let rig = Rig::local();
    let paths =
        ["/404", "/500", "/204", "/206", "/304", "/nowhere", "/cut-off", "/noise", "/silence"];
    for url in paths.map(|path| server.url(path)).into_iter().chain([closed]) {
        let error = rig.client.download(&url).await.err();
        assert_eq!(error, Some(FetchError::Failed), "{url}");
        assert_eq!(error.unwrap().to_string(), "the file could not be downloaded");
    }
    assert_eq!(rig.files(), 0);
}

#[tokio::test]
async fn a_web_page_is_no_file() {
    let server = Server::start(|path| {
        let (headers, body): (&str, &[u8]) = match path {
            "/typed" => ("content-type: Text/HTML; charset=utf-8\r\n", b"<p>sign in"),
            "/page.html" => ("content-type: text/html\r\n", b"<html>"),
            "/inline" => ("content-type: text/html\r\ncontent-disposition: inline\r\n", b"<html>"),
            "/photo.jpg" => ("content-type: image/jpeg\r\n", b"<!DOCTYPE HTML><p>"),
            "/bare" => ("", b"\xef\xbb\xbf\r\n <!-- a --> <!-- b -->\n<HTML lang=id>"),
            "/shown.pdf" => {
                ("content-disposition: inline; filename=shown.pdf\r\n", b"<!doctype html>")
            }
            "/named" => ("content-disposition: attachment; filename=r.xls\r\n", b"<html>"),
            "/attached" => {
                ("content-type: text/html\r\ncontent-disposition: attachment\r\n", b"<html>")
            }
            "/excel" => ("content-type: application/vnd.ms-excel\r\n", b"<html>"),
            "/pdf" => ("content-type: text/html\r\n", b"%PDF-1.7"),
            "/jpeg" => ("content-type: text/html; charset=UTF-8\r\n", b"\xff\xd8\xff\xe0"),
            "/csv" => ("content-type: text/html\r\n", b"a;b\r\n1;2"),
            "/xml" => ("", b"<?xml version='1.0'?><heads/>"),
            _ => ("", b"text"),
        };
        answer("200 OK", headers, body)
    })
    .await;
    let rig = Rig::local();
    for path in ["/typed", "/page.html", "/inline", "/photo.jpg", "/bare", "/shown.pdf"] {
        let error = rig.client.download(&server.url(path)).await.err();
        assert_eq!(error, Some(FetchError::WebPage), "{path}");
    }
    for path in ["/named", "/attached", "/excel", "/pdf", "/jpeg", "/csv", "/xml", "/text"] {
        let size = rig.client.download(&server.url(path)).await.map(|fetched| fetched.file.size);
        assert!(size.is_ok_and(|size| size > 0), "{path}: {size:?}");
    }
    assert_eq!(rig.files(), 0);
}

/// 12,000 bytes, as `brotli` and `zstd` compress them.
const OPENED: usize = 12_000;
const BROTLI: &[u8] = b"\x1f\xdf\x2e\xf0\x9d\x07\x76\xc3\xc7\x99\x3f\x62\x73\x27\xac\x33\xea\x92\
    \x9b\xb7\x39\x1d\x43\x04\x65\xa6\x41\x5c\xca\xda\x56\x8b\x51\x31\xf4\x58\x9d\x50\x62\x32\
    \x52\xbb\xcf\x82\x26\x00\x00";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x04\x68\x05\x01\x00\xc0%PDF-1.7 of some length \
    \x01\x00\x14\xbb\xe5\xe7\x18\xc6\xc5\x83\xc3";

#[tokio::test]
async fn what_was_compressed_for_the_way_is_opened() {
    let body = "%PDF-1.7 of some length ".repeat(500);
    let (gzip, zlib, raw) = (gzip(body.as_bytes()), zlib(body.as_bytes()), raw(body.as_bytes()));
    let two = [gzip.clone(), self::gzip(b"!")].concat();
    let plain = body.clone().into_bytes();
    let cases = [
        ("gzip", gzip.clone(), Ok(body.len())),
        ("GZip", gzip.clone(), Ok(body.len())),
        ("x-gzip", two, Ok(body.len() + 1)),
        ("identity, gzip", gzip.clone(), Ok(body.len())),
        ("gzip", plain.clone(), Ok(body.len())),
        ("deflate", zlib, Ok(body.len())),
        ("deflate", raw, Ok(body.len())),
        ("gzip", gzip[..gzip.len() / 2].to_vec(), Err(FetchError::Failed)),
        ("gzip", [&gzip[..], &[0; 512]].concat(), Ok(body.len())),
        ("gzip, x-gzip", self::gzip(&gzip), Ok(body.len())),
        ("gzip, gzip, gzip, gzip", gzip.clone(), Err(FetchError::Failed)),
        ("br", BROTLI.to_vec(), Ok(OPENED)),
        ("br, gzip", self::gzip(BROTLI), Ok(OPENED)),
        ("br", BROTLI[..BROTLI.len() - 1].to_vec(), Err(FetchError::Failed)),
        ("br", plain.clone(), Ok(body.len())),
        ("zstd", ZSTD.to_vec(), Ok(OPENED)),
        ("zstd", ZSTD.repeat(2), Ok(2 * OPENED)),
        ("zstd", ZSTD[..ZSTD.len() / 2].to_vec(), Err(FetchError::Failed)),
        ("zstd", plain.clone(), Ok(body.len())),
        ("deflate", plain.clone(), Ok(body.len())),
        ("compress", plain.clone(), Ok(body.len())),
        ("utf-8", plain.clone(), Ok(body.len())),
        ("none", plain.clone(), Ok(body.len())),
        ("base64", plain.clone(), Ok(body.len())),
        ("binary", plain.clone(), Ok(body.len())),
        ("", plain, Ok(body.len())),
    ];
    let rig = Rig::local();
    for (coding, bytes, expected) in cases {
        let server = Server::start(move |_| {
            answer("200 OK", &format!("content-encoding: {coding}\r\n"), &bytes)
        })
        .await;
        let found = rig.client.download(&server.url("/a.pdf")).await;
        let found = found.map(|fetched| usize::try_from(fetched.file.size).unwrap());
        assert_eq!(found, expected, "{coding}");
    }
    let archive = gzip.clone();
    let server =
        Server::start(move |_| answer("200 OK", "content-encoding: gzip\r\n", &archive)).await;
    let saved = rig.client.download(&server.url("/backup.sql.gz")).await.unwrap();
    assert_eq!(saved.file.size, gzip.len() as u64, "an archive stays one");
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn raw(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn redirects_as_servers_write_them() {
    let server = Server::start(|path| match path {
        "/utf8" => redirect("/berkas/Faktur é 1.pdf?x=a b"),
        "/latin1" => {
            let head = b"HTTP/1.1 301 Moved\r\ncontent-length: 0\r\nlocation: /caf\xe9.pdf\r\n\r\n";
            head.to_vec()
        }
        "/berkas/Faktur%20%C3%A9%201.pdf?x=a%20b" | "/caf%E9.pdf" => ok(b"%PDF-1.7"),
        _ => answer("404 Not Found", "", b""),
    })
    .await;
    let rig = Rig::local();
    for (path, name) in [("/utf8", "Faktur é 1.pdf"), ("/latin1", "café.pdf")] {
        let fetched = rig.client.download(&server.url(path)).await.unwrap();
        assert_eq!(fetched.url_names, [name, &path[1..]], "{path}");
    }
}

#[tokio::test]
async fn what_an_earlier_process_left_is_removed() {
    let rig = Rig::local();
    let dir = rig.dir.path();
    let (ours, other) = (dir.join("fetch-old"), dir.join("notes"));
    std::fs::write(&ours, b"x").unwrap();
    std::fs::write(&other, b"x").unwrap();
    crate::temp::prepare(dir).unwrap();
    assert!(!ours.exists() && other.exists());
}

#[test]
fn only_the_owner_reads_the_folder_for_downloads() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("downloads");
    crate::temp::prepare(&folder).unwrap();
    let mode = std::fs::metadata(folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn bytes_of_a_request_are_kept_like_a_download() {
    let rig = Rig::local();
    let kept = rig.client.keep(b"<html>".to_vec()).await.unwrap();
    assert_eq!((std::fs::read(&kept.path).unwrap(), kept.size), (b"<html>".to_vec(), 6));
    drop(kept);
    assert_eq!(rig.files(), 0);
}
