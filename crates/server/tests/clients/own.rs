//! The sample clients of `examples/clients`: each sends a text and a picture, asks how they fare,
//! and prints an API's error.

use std::path::{Path, PathBuf};

use futures_util::future::join_all;

use crate::languages::{Ran, run};
use crate::world::{OURS, World, assert_is_picture};

/// The ending of a client's file, and what it calls its language in its messages.
const LANGUAGES: [(&str, &str); 6] = [
    ("sh", "curl"),
    ("go", "Go"),
    ("mjs", "Node"),
    ("php", "PHP"),
    ("py", "Python"),
    ("rb", "Ruby"),
];

/// An API as its clients see it.
struct Api {
    /// The folder of its clients.
    name: &'static str,
    /// The first words of the lines a client prints.
    lines: &'static [&'static str],
    /// What it says to a wrong key.
    unauthorized: &'static str,
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_our_own_api() {
    let api = Api { name: "v1", lines: &SENT_AND_ASKED, unauthorized: "unknown" };
    try_every_language(&api).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_wagy() {
    let api = Api { name: "wagy", lines: &SENT_AND_ASKED, unauthorized: "Unauthorized" };
    try_every_language(&api).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_wachat() {
    let api = Api { name: "wachat", lines: &SENT_AND_ASKED, unauthorized: "error: " };
    try_every_language(&api).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_wagate() {
    let unauthorized = "Invalid or inactive API token.";
    try_every_language(&Api { name: "wagate", lines: &SENT_AND_ASKED, unauthorized }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_wasyik() {
    let api = Api { name: "wasyik", lines: &SENT_AND_ASKED, unauthorized: "error: " };
    try_every_language(&api).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_mpwa() {
    let unauthorized = "Invalid api_key or sender,please check again";
    try_every_language(&Api { name: "mpwa", lines: &["text ", "media "], unauthorized }).await;
}

const SENT_AND_ASKED: [&str; 3] = ["text ", "media ", "status "];

async fn try_every_language(api: &Api) {
    let world = World::start().await;
    join_all((0..LANGUAGES.len()).map(|index| try_language(&world, api, index))).await;
}

async fn try_language(world: &World, api: &Api, index: usize) {
    let (ending, language) = LANGUAGES[index];
    let file = folder().join(api.name).join(format!("client.{ending}"));
    let phone = format!("62822000000{index}");

    let ran = run_client(world, &file, world.key(), &phone).await;
    assert!(ran.is_ok, "{}: {ran:?}", file.display());
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), api.lines.len(), "{}: {ran:?}", file.display());
    for (line, start) in lines.iter().zip(api.lines) {
        assert!(line.starts_with(start) && line.len() > start.len(), "{}: {ran:?}", file.display());
    }
    let inbox = world.arrived(&phone, 2).await;
    let [text, picture] = &inbox[..] else { panic!("{inbox:?}") };
    assert_eq!(text["text"], format!("Hello from {language}"));
    assert_eq!(text["from"], OURS);
    assert_eq!(picture["caption"], format!("A picture from {language}"));
    assert_is_picture(picture);

    let refused = run_client(world, &file, "gba_nobody", &phone).await;
    assert!(!refused.is_ok, "{}: {refused:?}", file.display());
    assert!(refused.err.contains("error: "), "{}: {refused:?}", file.display());
    assert!(refused.err.contains(api.unauthorized), "{}: {refused:?}", file.display());
    assert_eq!(world.arrived(&phone, 2).await, inbox);
}

async fn run_client(world: &World, file: &Path, key: &str, to: &str) -> Ran {
    let (url, media_url) = (world.url(), world.file("picture.png"));
    let settings = [
        ("GERBANG_URL", url.as_str()),
        ("GERBANG_KEY", key),
        ("GERBANG_DEVICE", &world.device),
        ("GERBANG_SENDER", OURS),
        ("GERBANG_TO", to),
        ("GERBANG_MEDIA_URL", &media_url),
    ];
    run(file, file.parent().unwrap(), &settings).await
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/clients")
}
