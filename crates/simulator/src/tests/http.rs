//! The control API and the pages over real HTTP, at the root and nested.

use axum::Router;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{media_auth, simulator};

pub(super) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Status, head and body.
pub(super) async fn call(
    address: &str,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn what_callers_do_wrong_is_4xx_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let address = serve(simulator(&dir).await.router()).await;
    for (method, path, body, expected) in [
        ("GET", "/phones/abc", "", 400),
        ("PUT", "/phones/0811", "{}", 400),
        ("PUT", "/phones/628111", "{", 400),
        ("PUT", "/phones/628111", r#"{"colour":"red"}"#, 400),
        ("PUT", "/phones/628111", r#"{"auto_receipts":"sometimes"}"#, 400),
        ("POST", "/phones/628111/scan", r#"{"qr":"hello"}"#, 400),
        (
            "POST",
            "/phones/628111/scan",
            r#"{"qr":"r,CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=,CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=,CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk="}"#,
            404,
        ),
        ("POST", "/phones/628111/enter-code", r#"{"code":"ABCD2345"}"#, 404),
        ("POST", "/phones/628111/send", r#"{"to":"628222"}"#, 400),
        ("POST", "/phones/628111/send", r#"{"to":"1@g.us","text":"x"}"#, 409),
        ("POST", "/phones/628111/send", r#"{"to":"628222","media":{"base64":"?"}}"#, 400),
        ("DELETE", "/phones/628111/devices/1", "", 404),
        ("DELETE", "/phones/628111/devices/x", "", 404),
        ("GET", "/phones/628111/inbox/none/media", "", 404),
        ("POST", "/groups", r#"{"subject":"","participants":["628111"]}"#, 400),
        ("POST", "/groups", r#"{"subject":"x","participants":[]}"#, 400),
        ("PUT", "/faults", r#"{"reject":{"number":"628111"}}"#, 400),
        ("GET", "/mms/image/none", "", 404),
        ("POST", "/mms/image/none", "", 401),
        ("POST", "/mms/image/none?auth=x", "", 401),
    ] {
        let (status, _, answer) = call(&address, method, path, body).await;
        assert_eq!(status, expected, "{method} {path} {body}: {answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(!answer["error"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn pages_work_at_the_root_and_nested() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let nested =
        Router::new().nest("/simulator", simulator.router()).merge(simulator.media_router());
    for (router, index, base, phone) in [
        (simulator.router(), "/", "./", "/phone/628111"),
        (nested, "/simulator", "/simulator/", "/simulator/phone/628111"),
    ] {
        let address = serve(router).await;
        let (status, head, body) = call(&address, "GET", index, "").await;
        assert_eq!(status, 200);
        assert!(body.contains(&format!("<base href=\"{base}\">")), "{body}");
        assert!(head.contains("x-content-type-options: nosniff"));
        assert!(head.contains("script-src 'self'"));
        let (status, _, body) = call(&address, "GET", phone, "").await;
        assert_eq!(status, 200);
        assert!(!body.contains("<script>"), "no inline script");
        for script in ["words", "index", "phone"] {
            let file = format!("{}/static/{script}.js", index.trim_end_matches('/'));
            assert_eq!(call(&address, "GET", &file, "").await.0, 200, "{file}");
        }
        assert_eq!(call(&address, "GET", "/mms/image/none", "").await.0, 404);
    }
}

#[tokio::test]
async fn errors_of_bodies_name_the_field_in_plain_words() {
    let dir = tempfile::tempdir().unwrap();
    let address = serve(simulator(&dir).await.router()).await;
    for (path, body, expected) in [
        ("send", r#"{"to":"628222","location":5}"#, "location: must be an object"),
        (
            "send",
            r#"{"to":"628222","location":{"latitude":"x","longitude":1}}"#,
            "location.latitude: must be a number",
        ),
        ("send", r#"{"to":628222}"#, "to: must be a text"),
        ("send", "[]", "the body: must be an object"),
        ("../../faults", r#"{"reject":7}"#, "reject: must be an object"),
        ("../../faults", r#"{"drop_acks":"yes"}"#, "drop_acks: must be true or false"),
    ] {
        let path = path.strip_prefix("../..").map_or(format!("/phones/628111/{path}"), Into::into);
        let method = if path == "/faults" { "PUT" } else { "POST" };
        let (status, _, answer) = call(&address, method, &path, body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((status, answer["error"].as_str().unwrap()), (400, expected), "{body}");
    }
}

#[tokio::test]
async fn stored_contents_of_a_later_release_are_read_and_damaged_ones_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let address = serve(simulator(&dir).await.router()).await;
    for latitude in [1, 2, 3] {
        let body =
            format!(r#"{{"to":"628222","location":{{"latitude":{latitude},"longitude":5}}}}"#);
        let (status, _, answer) = call(&address, "POST", "/phones/628111/send", &body).await;
        assert_eq!(status, 200, "{answer}");
    }
    let db = rusqlite::Connection::open(dir.path().join("simulator.sqlite")).unwrap();
    for table in ["inbox", "sent"] {
        let later = "json_set(content, '$.location.accuracy', 5)";
        db.execute_batch(&format!(
            "UPDATE {table} SET content = {later} WHERE json_extract(content, '$.location.latitude') = 1;
             UPDATE {table} SET content = '{{' WHERE content LIKE '%\"latitude\":2%';"
        ))
        .unwrap();
    }
    for path in ["/phones/628222/inbox", "/phones/628222/timeline", "/phones/628111/timeline"] {
        let (status, _, rows) = call(&address, "GET", path, "").await;
        assert_eq!(status, 200, "{path}: {rows}");
        let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
        let latitudes: Vec<_> =
            rows.iter().map(|row| row["location"]["latitude"].as_f64().unwrap()).collect();
        assert_eq!(latitudes, [1.0, 3.0], "{path}");
    }
}

#[tokio::test]
async fn media_come_back_as_they_were_sent() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let auth = media_auth(&simulator).await;
    let upload = format!("/mms/image/a%2Bb?auth={auth}");
    let (status, _, answer) = call(&address, "POST", &upload, "sealed").await;
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let path = answer["direct_path"].as_str().unwrap();
    assert!(answer["url"].as_str().unwrap().starts_with(&format!("https://{address}/mms/image/")));
    assert!(path.contains('?'), "clients append to a query: {path}");
    for path in [path.to_owned(), format!("{path}&hash=x&mms-type=image&__wa-mms=")] {
        assert_eq!(call(&address, "GET", &path, "").await.2, "sealed");
    }
    // Messages from before there was a query.
    assert_eq!(call(&address, "GET", "/mms/image/a-b&hash=x", "").await.2, "sealed");
    let resume = format!("/mms/image/a-b?auth={auth}&resume=1");
    let (_, _, known) = call(&address, "POST", &resume, "").await;
    assert!(known.contains("complete"));

    let body =
        r#"{"to":"628222","media":{"base64":"aGFsbw==","mimetype":"image/png","caption":"c"}}"#;
    let (status, _, sent) = call(&address, "POST", "/phones/628111/send", body).await;
    assert_eq!(status, 200, "{sent}");
    let (_, _, inbox) = call(&address, "GET", "/phones/628222/inbox", "").await;
    let inbox: Value = serde_json::from_str(&inbox).unwrap();
    assert_eq!((&inbox[0]["kind"], &inbox[0]["size"]), (&"image".into(), &4.into()));
    let path = format!("/phones/628222/inbox/{}/media", inbox[0]["id"].as_str().unwrap());
    let (_, head, plain) = call(&address, "GET", &path, "").await;
    assert_eq!(plain, "halo");
    assert!(head.contains("content-type: image/png") && head.contains("nosniff"));
}
