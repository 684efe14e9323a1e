//! What a download brings.

use domain::ports::Outbound as _;

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
        _ => ok(b"bytes"),
    })
    .await;
    let rig = Rig::local();

    let fetched = rig.client.download(&server.url("/get")).await.unwrap();
    assert_eq!(fetched.content_type.as_deref(), Some("application/pdf; x=y"));
    assert_eq!(fetched.filename.as_deref(), Some("r.pdf"));
    assert_eq!(fetched.file.size, 8);
    assert_eq!(std::fs::read(&fetched.file.path).unwrap(), b"%PDF-1.7");

    let clone = fetched.file.clone();
    drop(fetched);
    assert!(clone.path.exists(), "a clone keeps the file");
    drop(clone);
    assert_eq!(rig.files(), 0);

    let moved = rig.client.download(&server.url("/moved")).await.unwrap();
    assert_eq!(moved.filename.as_deref(), Some("a b.jpg"));
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
        "/gzip" => answer("200 OK", "content-encoding: gzip\r\n", b"\x1f\x8b"),
        "/noise" => b"\x00\x01\x02\r\n\r\n".to_vec(),
        "/silence" => Vec::new(),
        _ => ok(b"x"),
    })
    .await;
    let closed = Server::start(|_| ok(b"x")).await.url("/");
    let rig = Rig::local();
    let paths = ["/404", "/500", "/204", "/206", "/304", "/nowhere", "/gzip", "/noise", "/silence"];
    for url in paths.map(|path| server.url(path)).into_iter().chain([closed]) {
        let error = rig.client.download(&url).await.err();
        assert_eq!(error, Some(FetchError::Failed), "{url}");
        assert_eq!(error.unwrap().to_string(), "the file could not be downloaded");
    }
    assert_eq!(rig.files(), 0);
}

#[tokio::test]
async fn a_web_page_is_no_file() {
    let server = Server::start(|path| match path {
        "/typed" => answer("200 OK", "content-type: Text/HTML; charset=utf-8\r\n", b"sign in"),
        "/page.html" => answer("200 OK", "content-type: text/html\r\n", b"<html>"),
        "/named" => answer(
            "200 OK",
            "content-type: text/html\r\ncontent-disposition: attachment; filename=r.html\r\n",
            b"<html>",
        ),
        "/photo.jpg" => answer("200 OK", "content-type: image/jpeg\r\n", b"<!DOCTYPE HTML><p>"),
        "/bare" => ok(b"\xef\xbb\xbf\r\n <!-- a --> <!-- b -->\n<HTML lang=id>"),
        "/xhtml" => ok(b"<?xml version='1.0'?><!DOCTYPE html><p>"),
        "/xml" => ok(b"<?xml version='1.0'?><heads/>"),
        "/comment" => ok(b"<!-- never closed"),
        _ => ok(b"html"),
    })
    .await;
    let rig = Rig::local();
    for path in ["/typed", "/page.html", "/photo.jpg", "/bare", "/xhtml"] {
        let error = rig.client.download(&server.url(path)).await.err();
        assert_eq!(error, Some(FetchError::WebPage), "{path}");
    }
    for path in ["/named", "/xml", "/comment", "/text"] {
        let size = rig.client.download(&server.url(path)).await.map(|fetched| fetched.file.size);
        assert!(size.is_ok_and(|size| size > 0), "{path}: {size:?}");
    }
    assert_eq!(rig.files(), 0);
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
