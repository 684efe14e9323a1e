//! The samples the five services publish, taken from their texts beside this repository when the
//! test runs. Only host, key, device, numbers and media addresses are put in; what is broken as
//! printed is repaired by a [`Repair`] that says why.
//!
//! The texts are not ours to copy. Where they are absent, these tests are skipped, and the last
//! lines of `cargo xtask test` say so.

mod bodies;
mod inbox;
mod shape;
mod wachat;
mod wagate;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::languages::{Ran, run};
use crate::world::{World, write_picture};

/// A program as published.
#[derive(Debug)]
struct Sample {
    /// The call it shows, such as `POST /wachat_api/1.0/message`.
    call: String,
    /// The ending of files in its language.
    ending: &'static str,
    code: String,
}

/// What is wrong with a sample as printed, and the least that makes it run.
struct Repair {
    /// A part of the sample's call.
    call: &'static str,
    ending: &'static str,
    printed: &'static str,
    repaired: &'static str,
    #[expect(dead_code, reason = "for those who read the table")]
    reason: &'static str,
}

/// The published text of a service, where it is there.
fn text(name: &str) -> Option<String> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seeds");
    if !folder.is_dir() {
        println!("nothing to do: the published texts are not here");
        return None;
    }
    Some(std::fs::read_to_string(folder.join(name)).unwrap())
}

/// Applies every repair to the samples it is for; one that fits no sample is a failure.
fn repair(samples: &mut [Sample], repairs: &[Repair]) {
    for repair in repairs {
        let mut count = 0;
        let is_meant = |sample: &&mut Sample| {
            sample.call.contains(repair.call) && sample.ending == repair.ending
        };
        for sample in samples.iter_mut().filter(is_meant) {
            assert!(sample.code.contains(repair.printed), "repaired in vain: {sample:?}");
            sample.code = sample.code.replace(repair.printed, repair.repaired);
            count += 1;
        }
        assert!(count > 0, "nothing to repair: {} {}", repair.call, repair.ending);
    }
}

/// Puts values in the places of placeholders, in this order; none may be left.
fn fill_in(code: &str, values: &[(&str, &str)], leftovers: &[&str]) -> String {
    let filled =
        values.iter().fold(code.to_owned(), |code, (name, value)| code.replace(name, value));
    for leftover in leftovers {
        assert!(!filled.contains(leftover), "{leftover} is left in\n{filled}");
    }
    filled
}

/// Runs a program in a folder of its own, in which the file is that some samples read.
async fn run_code(code: &str, ending: &str) -> Ran {
    let folder = TempDir::new().unwrap();
    write_picture(&folder.path().join("filename.png"));
    let file = folder.path().join(format!("sample.{ending}"));
    std::fs::write(&file, code).unwrap();
    let ran = run(&file, folder.path(), &[]).await;
    assert!(ran.is_ok, "{ran:?}\n{code}");
    ran
}

/// The text a program gives a field, whatever its language.
fn literal(code: &str, field: &str) -> String {
    let code = code.replace("\\\"", "\"");
    let value = code.match_indices(field).find_map(|(at, _)| {
        let rest = code[at + field.len()..].trim_start_matches(['"', '\'']).trim_start();
        let rest = rest.strip_prefix("=>").or(rest.strip_prefix(':'))?.trim_start();
        let quote = rest.chars().next().filter(|first| ['"', '\''].contains(first))?;
        Some(rest[1..].split(quote).next()?.replace("\\\\", "\\"))
    });
    value.unwrap_or_else(|| panic!("no {field} in\n{code}"))
}

/// Everything between two words, with them.
fn all_between(text: &str, start: &str, end: &str) -> Vec<String> {
    let starts = text.match_indices(start).map(|(at, _)| at);
    let found = starts.filter_map(|at| {
        let length = text[at..].find(end)? + end.len();
        Some(text[at..at + length].to_owned())
    });
    found.collect()
}

/// A message of our own to ask for; its reference.
async fn known_message(world: &World, to: &str) -> String {
    let body = serde_json::json!({ "device": world.device, "to": to, "text": "asked for" });
    let message = world.account.post("/v1/messages", body).await;
    world.mail(to, "asked for").await;
    message["ref"].as_str().unwrap().to_owned()
}
