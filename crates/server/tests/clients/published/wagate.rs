//! wagate's samples: curl for each call; PHP, fetch and Python for the two sends.

use futures_util::future::join_all;

use super::{Repair, Sample, all_between, fill_in, literal, repair, run_code, text};
use crate::world::{EMAIL, OURS, World, assert_is_picture};

const REPAIRS: &[Repair] = &[
    Repair {
        call: "/device",
        ending: "sh",
        printed: "\\ -H",
        repaired: "-H",
        reason: "a line break is lost after its backslash",
    },
    Repair {
        call: "/messages",
        ending: "sh",
        printed: "\\ -H",
        repaired: "-H",
        reason: "a line break is lost after its backslash",
    },
    Repair {
        call: "/send-",
        ending: "py",
        printed: ":\nprint(",
        repaired: ":\n    print(",
        reason: "the text has lost its indentation",
    },
];
const CALLS: [&str; 4] = ["/send-message", "/send-media", "/device", "/messages"];

#[tokio::test(flavor = "multi_thread")]
async fn wagates_samples() {
    let Some(text) = text("wagate.txt") else { return };
    let mut samples = samples(&text);
    assert_eq!(samples.len(), 10, "{samples:?}");
    repair(&mut samples, REPAIRS);

    let world = World::start().await;
    // Sends first, so that there is something to list.
    samples.sort_by_key(|sample| CALLS.iter().position(|call| *call == sample.call));
    let (sends, reads) = samples.split_at(8);
    let sends = sends.iter().enumerate();
    join_all(sends.map(|(index, sample)| try_send(&world, sample, index))).await;
    for sample in reads {
        try_read(&world, sample).await;
    }
}

async fn try_send(world: &World, sample: &Sample, index: usize) {
    let to = format!("62826000000{index}");
    let ran = run_code(&fill(world, &sample.code, &to), sample.ending).await;
    assert!(ran.out.contains(" sent"), "{ran:?}\n{sample:?}");
    if sample.call == "/send-media" {
        assert_is_picture(&world.mail(&to, &literal(&sample.code, "caption")).await);
    } else {
        let mail = world.mail(&to, &literal(&sample.code, "message")).await;
        assert_eq!(mail["from"], OURS);
    }
}

async fn try_read(world: &World, sample: &Sample) {
    let ran = run_code(&fill(world, &sample.code, "628270000001"), sample.ending).await;
    let answer: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    if sample.call == "/device" {
        assert_eq!(answer["data"]["device"]["phone_number"], OURS, "{answer}");
        assert_eq!(answer["data"]["user"]["email"], EMAIL, "{answer}");
    } else {
        let rows = answer["data"].as_array().unwrap();
        assert_eq!(rows.len(), 8, "{answer}");
        assert!(rows.iter().all(|row| row["status"] == "sent"), "{answer}");
    }
}

fn fill(world: &World, code: &str, to: &str) -> String {
    let (url, picture) = (world.url(), world.file("picture.png"));
    let values = [
        ("https://wagate.in", url.as_str()),
        ("YOUR_API_TOKEN", &world.token),
        ("628123456789", to),
        ("https://example.com/image.jpg", &picture),
        ("https://example.com/photo.jpg", &picture),
    ];
    fill_in(code, &values, &["YOUR_", "example.com", "wagate.in"])
}

/// The programs of a text in which the next heading follows without a line break.
fn samples(text: &str) -> Vec<Sample> {
    const LAST_OF_FETCH: &str = ".catch(error => console.error('Request failed:', error));";
    let kinds = [
        ("sh", "curl -X", "Success Response"),
        ("php", "<?php", "?>"),
        ("mjs", "const apiToken", LAST_OF_FETCH),
        ("py", "import requests", "result['message'])"),
    ];
    let all = kinds.iter().flat_map(|(ending, start, end)| {
        all_between(text, start, end).into_iter().map(move |code| (*ending, code))
    });
    let sample = |(ending, code): (&'static str, String)| {
        let call = CALLS.iter().find(|call| code.contains(&format!("/api/v1{call}"))).unwrap();
        let code = code.replace("Success Response", "");
        Sample { call: (*call).to_owned(), ending, code }
    };
    all.map(sample).collect()
}
