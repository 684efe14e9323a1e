//! URLs that must not be requested. Nothing connects: listeners on loopback would notice.

use domain::message::Failure;
use domain::ports::{FileError, Outbound, UrlRefusal, WebhookRequest};

use super::{Rig, Server, ok, redirect};
use crate::client::Limits;
use crate::files::FetchError;
use crate::guard::Guard;

/// No URLs, or not for the web; `PORT` is where a listener waits, which counts as the web's port.
const MALFORMED: &[&str] = &[
    "",
    " ",
    "nonsense",
    "//127.0.0.1:PORT/",
    "http://",
    "http:///",
    "http://:PORT/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:PORT/a b",
    "http://127.0.0.1:PORT/\r\nhost: x",
    "http://[fe80::1%25eth0]:PORT/",
    "http://[::1%25lo]:PORT/",
    "http://[::1:PORT/",
    "http://%00127.0.0.1:PORT/",
    "file:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "ftp://127.0.0.1:PORT/",
    "gopher://127.0.0.1:PORT/_GET",
    "dict://127.0.0.1:PORT/info",
    "ldap://127.0.0.1:PORT/",
    "data:text/plain,hello",
    "javascript:alert(1)",
    "unix:/run/docker.sock",
    "ws://127.0.0.1:PORT/",
];

/// URLs with user info.
const CREDENTIALS: &[&str] = &[
    "http://user@example.com:PORT/",
    "http://user:password@127.0.0.1:PORT/",
    "http://example.com@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT@example.com/",
    "http://:password@example.com:PORT/",
];

/// URLs whose form says that they must not be requested.
const FORBIDDEN: &[&str] = &[
    // Loopback in every spelling.
    "http://127.0.0.1:PORT/",
    "https://127.0.0.1:PORT/",
    "HTTP://127.0.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "http:/127.0.0.1:PORT/",
    "http:\\\\127.0.0.1:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://127.255.255.254:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.0.0.1:PORT/",
    "http://0x7f.1:PORT/",
    "http://017700000001:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0177.0x0.0.1:PORT/",
    "http://127.0.0.%31:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://127。0。0。1:PORT/",
    "http://127.0.0.1:PORT/",
    "http://①②⑦.0.0.1:PORT/",
    "http://0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://0x0:PORT/",
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[::ffff:0:127.0.0.1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://[64:ff9b:1::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[2001:0:7f00:1::]:PORT/",
    // Private, link-local and other special networks.
    "http://10.0.0.1:PORT/",
    "http://10.255.255.255:PORT/",
    "http://172.16.0.1:PORT/",
    "http://172.31.255.255:PORT/",
    "http://192.168.0.1:PORT/",
    "http://0300.0250.0.1:PORT/",
    "http://3232235521:PORT/",
    "http://100.64.0.1:PORT/",
    "http://169.254.169.254:PORT/latest/meta-data/",
    "http://0xa9fea9fe:PORT/latest/meta-data/",
    "http://[::ffff:169.254.169.254]:PORT/",
    "http://[fd00:ec2::254]:PORT/",
    "http://168.63.129.16:PORT/machine?comp=goalstate",
    "http://168.63.129.16:80/",
    "http://0xa83f8110:PORT/",
    "http://[::ffff:168.63.129.16]:PORT/",
    "http://100.100.100.200:PORT/latest/meta-data/",
    "http://192.0.0.192:PORT/",
    "http://192.0.2.1:PORT/",
    "http://198.18.0.1:PORT/",
    "http://198.51.100.1:PORT/",
    "http://203.0.113.1:PORT/",
    "http://224.0.0.1:PORT/",
    "http://240.0.0.1:PORT/",
    "http://255.255.255.255:PORT/",
    "http://[fc00::1]:PORT/",
    "http://[fe80::1]:PORT/",
    "http://[fec0::1]:PORT/",
    "http://[ff02::1]:PORT/",
    "http://[2001:db8::1]:PORT/",
    "http://[100::1]:PORT/",
    // Names of this machine and of private networks.
    "http://localhost:PORT/",
    "http://LOCALHOST:PORT/",
    "http://localhost.:PORT/",
    "http://localhost:PORT/",
    "http://a.localhost:PORT/",
    "http://localhost.localdomain:PORT/",
    "http://metadata.google.internal:PORT/",
    "http://printer.local:PORT/",
    "http://printer.local.:PORT/",
    "http://nas.home.arpa:PORT/",
    "http://router.lan:PORT/",
    "http://intranet:PORT/",
    "http://redis:PORT/",
    // Ports that are not the web's.
    "http://loopback.example:22/",
    "http://loopback.example:8080/",
    "http://1.1.1.1:22/",
    "https://1.1.1.1:8443/",
    "http://[2606:4700::1111]:6379/",
];

/// Names that look harmless, and where they lead.
const BY_NAME: &[(&str, &[&str])] = &[
    ("loopback.example", &["127.0.0.1"]),
    ("loopback6.example", &["::1"]),
    ("mapped.example", &["::ffff:127.0.0.1"]),
    ("compatible.example", &["::127.0.0.1"]),
    ("nat64.example", &["64:ff9b::7f00:1"]),
    ("6to4.example", &["2002:7f00:1::"]),
    ("any.example", &["0.0.0.0"]),
    ("any6.example", &["::"]),
    ("ten.example", &["10.0.0.1"]),
    ("metadata.example", &["169.254.169.254"]),
    ("wire-server.example", &["168.63.129.16"]),
    ("shared.example", &["100.64.0.1"]),
    ("link.example", &["fe80::1"]),
    ("unique.example", &["fd00::1"]),
    ("first.example", &["127.0.0.1", "1.1.1.1"]),
    ("last.example", &["1.1.1.1", "127.0.0.1"]),
    ("last6.example", &["1.1.1.1", "2606:4700::1111", "::1"]),
    ("empty.example", &[]),
];

fn request(url: &str) -> WebhookRequest {
    WebhookRequest {
        url: url.to_owned(),
        content_type: "application/json",
        headers: Vec::new(),
        body: b"{}".to_vec(),
    }
}

/// Listeners that answer whatever reaches loopback, at one port, over both families.
async fn listeners() -> (u16, Vec<Server>) {
    let v4 = Server::scripted("0.0.0.0:0", |_, _| Box::pin(async {})).await;
    let port = v4.address.port();
    let mut all = vec![v4];
    // A machine without IPv6 has nothing to be reached by it.
    if tokio::net::TcpListener::bind("[::1]:0").await.is_ok() {
        let v6 = Server::scripted(&format!("[::1]:{port}"), |_, _| Box::pin(async {})).await;
        all.push(v6);
    }
    (port, all)
}

/// Every kind of request is refused, with this error where the customer may know which.
async fn assert_refused(rig: &Rig, url: &str, error: &str) {
    let failure = Failure::new("media", "the file could not be downloaded");
    let fetched = rig.client.fetch(url).await;
    assert_eq!(fetched.err(), Some(FileError::Permanent(failure)), "{url}");
    let answer = rig.client.post(request(url)).await;
    assert_eq!((answer.status, answer.error.as_deref()), (None, Some(error)), "{url}");
    assert_eq!(rig.client.challenge(url, "c").await, Err(error.to_owned()), "{url}");
}

#[tokio::test]
async fn hostile_urls_are_refused_without_a_connection() {
    let (port, listeners) = listeners().await;
    let mut guard = Guard::new(Vec::new());
    guard.web_ports = [port, 443];
    let rig = Rig::with(guard, BY_NAME, Limits::default());

    let by_form = [
        (MALFORMED, UrlRefusal::Malformed, "the address is not a valid URL"),
        (CREDENTIALS, UrlRefusal::Credentials, "the address holds a user name or a password"),
        (FORBIDDEN, UrlRefusal::Forbidden, "the address is not allowed"),
    ];
    for (urls, refusal, error) in by_form {
        for url in urls {
            let url = url.replace("PORT", &port.to_string());
            assert_eq!(rig.client.check_url(&url), Err(refusal), "{url}");
            assert_refused(&rig, &url, error).await;
        }
    }
    assert_eq!(rig.lookup.lookups(), 0, "no name is resolved when the form is wrong");

    for (host, _) in BY_NAME {
        let url = format!("http://{host}:{port}/");
        assert_eq!(rig.client.check_url(&url), Ok(()), "{url}");
        assert_refused(&rig, &url, "the receiver could not be reached").await;
    }
    assert_eq!(rig.lookup.lookups(), BY_NAME.len() * 3);

    let urls = MALFORMED.len() + CREDENTIALS.len() + FORBIDDEN.len() + BY_NAME.len();
    assert!(urls >= 75);
    for listener in &listeners {
        listener.assert_untouched().await;
    }
    assert_eq!(rig.files(), 0);
    println!(
        "figures of URLs that must not be requested: {urls}, in three ways each; connections 0"
    );
}

#[test]
fn the_kind_of_a_refusal() {
    let rig = Rig::new(&[], &[], Limits::default());
    for url in
        ["", "x", "http://", "http://a b/", "http://[::1", "ftp://example.com/", &"x".repeat(5_000)]
    {
        assert_eq!(rig.client.check_url(url), Err(UrlRefusal::Malformed), "{url}");
    }
    for (url, refusal) in [
        ("http://127.0.0.1/", UrlRefusal::Forbidden),
        ("https://u@example.com/", UrlRefusal::Credentials),
    ] {
        assert_eq!(rig.client.check_url(url), Err(refusal), "{url}");
    }
    let fine = [
        "http://example.com",
        "https://example.com/a?b#c",
        "https://example.com:443/",
        "https://example.com:80/",
        "http://1.1.1.1/",
        "https://[2606:4700::1111]/",
        "https://bücher.example/",
        "http://mylocal.example/",
        "http://notlocalhost.com/",
    ];
    for url in fine {
        assert_eq!(rig.client.check_url(url), Ok(()), "{url}");
    }
}

#[tokio::test]
async fn redirects_are_judged_at_every_hop() {
    let forbidden = Server::scripted("127.0.0.2:0", |_, _| Box::pin(async {})).await;
    let port = forbidden.address.port();
    let targets = [
        format!("http://127.0.0.2:{port}/"),
        format!("//127.0.0.2:{port}/"),
        format!("http://2130706434:{port}/"),
        format!("http://private.example:{port}/"),
        format!("http://[::ffff:127.0.0.2]:{port}/"),
        format!("http://user@127.0.0.1:{port}/"),
        "http://1.1.1.1:22/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "ftp://127.0.0.1/".to_owned(),
        "http://".to_owned(),
    ];
    let rig = Rig::new(&["127.0.0.1"], &[("private.example", &["127.0.0.2"])], Limits::default());
    for target in targets {
        for hop in 1..=3 {
            let last = target.clone();
            let server = Server::start(move |path| match path {
                "/1" => redirect(&last),
                "/2" => redirect("/1"),
                _ => redirect("2"),
            })
            .await;
            let fetched = rig.client.download(&server.url(&format!("/{hop}"))).await;
            assert_eq!(fetched.err(), Some(FetchError::Failed), "{target} at hop {hop}");
            assert_eq!(server.requests().len(), hop);
        }
    }
    forbidden.assert_untouched().await;
}

#[tokio::test]
async fn webhooks_and_challenges_follow_no_redirect() {
    let server = Server::start(|path| match path.split('?').next().unwrap() {
        "/other" => ok(b"c"),
        _ => redirect("/other"),
    })
    .await;
    let rig = Rig::local();
    assert_eq!(rig.client.challenge(&server.url("/other"), "c").await, Ok(()));
    let answer = rig.client.post(request(&server.url("/"))).await;
    assert_eq!((answer.status, answer.error), (Some(302), None));
    let refused = rig.client.challenge(&server.url("/"), "c").await;
    assert_eq!(refused, Err("the receiver answered 302 instead of 200".to_owned()));
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn the_operators_networks_may_be_reached_on_any_port() {
    let server = Server::start(|_| ok(b"x")).await;
    let port = server.address.port();
    let hosts: &[(&str, &[&str])] = &[
        ("localhost", &["::1", "127.0.0.1"]),
        ("minio", &["127.0.0.1"]),
        ("mixed.example", &["127.0.0.1", "1.1.1.1"]),
        ("outside.example", &["127.0.0.2"]),
    ];
    let rig = Rig::new(&["127.0.0.1/32"], hosts, Limits::default());
    for host in ["127.0.0.1", "localhost", "minio", "2130706433"] {
        let url = format!("http://{host}:{port}/");
        assert_eq!(rig.client.check_url(&url), Ok(()));
        assert_eq!(rig.client.fetch(&url).await.unwrap().file.size, 1, "{url}");
    }
    let others = Rig::new(&["10.0.0.0/8"], hosts, Limits::default());
    for host in ["localhost", "a.localhost."] {
        let url = format!("http://{host}:{port}/");
        assert_eq!(others.client.check_url(&url), Err(UrlRefusal::Forbidden), "{url}");
    }
    assert_eq!(server.requests().len(), 4);
    for (host, error) in [
        ("mixed.example", "the receiver could not be reached"),
        ("outside.example", "the receiver could not be reached"),
        ("127.0.0.2", "the address is not allowed"),
        ("[::1]", "the address is not allowed"),
    ] {
        assert_refused(&rig, &format!("http://{host}:{port}/"), error).await;
    }
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_name_is_resolved_once_per_connection() {
    let server = Server::start(|path| match path {
        "/a" => redirect("/b"),
        _ => ok(b"x"),
    })
    .await;
    let rig = Rig::new(&["127.0.0.0/8"], &[("files.example", &["127.0.0.1"])], Limits::default());
    let url = format!("http://files.example:{}/a", server.address.port());
    assert_eq!(rig.client.fetch(&url).await.unwrap().file.size, 1);
    assert_eq!(rig.lookup.lookups(), 2);
    assert_eq!(server.requests().len(), 2);
}
