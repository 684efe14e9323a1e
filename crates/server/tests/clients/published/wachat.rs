//! wachat's samples: five calls, each in six languages.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::{Repair, Sample, fill_in, known_message, literal, repair, run_code, text};
use crate::world::{EMAIL, OURS, World, assert_is_picture};

const REPAIRS: &[Repair] = &[
    Repair {
        call: "/sender/",
        ending: "php",
        printed: "$BASE_URL = ",
        repaired: "<?php\n$BASE_URL = ",
        reason: "printed without PHP's opening tag",
    },
    Repair {
        call: "/media",
        ending: "py",
        printed: "\nfile_data = ",
        repaired: "\n    file_data = ",
        reason: "the text has lost its indentation",
    },
    Repair {
        call: "/status/",
        ending: "py",
        printed: "/status/'",
        repaired: "/status/YOUR_REF_NO'",
        reason: "asks for no message at all",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn wachats_samples() {
    let Some(text) = text("wachat.txt") else { return };
    let mut samples = samples(&text);
    let kinds: BTreeSet<_> =
        samples.iter().map(|sample| (sample.call.clone(), sample.ending)).collect();
    assert_eq!((samples.len(), kinds.len()), (30, 30), "{kinds:?}");
    repair(&mut samples, REPAIRS);

    let world = World::start().await;
    for samples in samples.chunks(6) {
        join_all(
            samples.iter().enumerate().map(|(index, sample)| try_sample(&world, sample, index)),
        )
        .await;
    }
}

async fn try_sample(world: &World, sample: &Sample, index: usize) {
    let call = sample.call.rsplit_once("/1.0/").unwrap().1;
    let to = match call {
        "message" => format!("62823000000{index}"),
        "media" => format!("62824000000{index}"),
        _ => format!("62825000000{index}"),
    };
    let asked_for = match call.starts_with("status") {
        true => known_message(world, &to).await,
        false => String::new(),
    };
    let ran = run_code(&fill(world, &sample.code, &to, &asked_for), sample.ending).await;
    let shows = |words: &str| assert!(ran.out.contains(words), "no {words}: {ran:?}\n{sample:?}");
    match call {
        "auth/api_key" => shows(EMAIL),
        "sender/{sender}" => ["2147483647", "name", OURS].into_iter().for_each(shows),
        "message" => {
            let mail = world.mail(&to, &literal(&sample.code, "message")).await;
            assert_eq!(mail["from"], OURS);
            shows(&reference(world, &mail).await);
        }
        "media" => {
            let mail = world.mail(&to, &literal(&sample.code, "caption")).await;
            assert_is_picture(&mail);
            shows(&reference(world, &mail).await);
        }
        "status/{message_ref_no}" => [&asked_for, "asked for", &to].into_iter().for_each(shows),
        other => panic!("unknown sample {other}"),
    }
}

/// The reference of a message that arrived.
async fn reference(world: &World, mail: &serde_json::Value) -> String {
    let messages = world.account.all("/v1/messages?direction=out").await;
    let message = messages.iter().find(|message| message["whatsapp_id"] == mail["id"]);
    message.unwrap()["ref"].as_str().unwrap().to_owned()
}

fn fill(world: &World, code: &str, to: &str, asked_for: &str) -> String {
    let (url, picture) = (world.url(), world.file("picture.png"));
    let key = world.key();
    let values = [
        ("https://api.wachat-api.com", url.as_str()),
        ("{YOUR_APIKEY}", key),
        ("{YOUR_API_KEY}", key),
        ("YOUR_API_KEY", key),
        ("\"API_KEY\"", &format!("\"{key}\"")),
        ("{YOUR_DEVICE_ID}", &world.device),
        ("YOUR_DEVICE_ID", &world.device),
        ("628xxxxxxxxxx", to),
        ("{YOUR_WA_SENDER}", OURS),
        ("{YOUR_SENDER}", OURS),
        ("YOUR_SENDER", OURS),
        ("{YOUR_REF_NO}", asked_for),
        ("YOUR_REF_NO", asked_for),
        ("https://example.com/image_name.png", &picture),
        ("https://example.com/your-image.png", &picture),
    ];
    fill_in(code, &values, &["YOUR_", "example.com", "wachat-api.com"])
}

/// The programs of a text in which nothing but their first lines sets them apart.
fn samples(text: &str) -> Vec<Sample> {
    const ENDS: [&str; 4] = ["Parameters", "Example responses", "Note", "Warning"];
    let mut samples: Vec<Sample> = Vec::new();
    let mut call = None;
    let mut is_code = false;
    for line in text.lines() {
        if line.starts_with("GET /") || line.starts_with("POST /") {
            call = Some(line.to_owned());
        } else if line == "Inbox Push URL" {
            call = None;
        }
        let Some(call) = &call else { continue };
        let current = samples.last().filter(|_| is_code).map(|sample| sample.ending);
        if let Some(ending) = language_started_by(line).filter(|new| Some(*new) != current) {
            samples.push(Sample { call: call.clone(), ending, code: String::new() });
            is_code = true;
        } else if ENDS.contains(&line) || line == "Whatsapp message status" {
            is_code = false;
        }
        if let Some(sample) = samples.last_mut().filter(|_| is_code) {
            sample.code.push_str(line);
            sample.code.push('\n');
        }
    }
    samples
}

fn language_started_by(line: &str) -> Option<&'static str> {
    match line {
        "package main" => Some("go"),
        "const axios = require('axios');" => Some("js"),
        "<?php" => Some("php"),
        "import requests" | "import base64" => Some("py"),
        "require 'rest-client'" => Some("rb"),
        _ if line.starts_with("$BASE_URL = ") => Some("php"),
        _ if line.starts_with("curl ") || line.starts_with("BASE_URL=") => Some("sh"),
        _ => None,
    }
}
