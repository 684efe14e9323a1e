//! What the core says, in Indonesian.

use std::collections::BTreeSet;
use std::path::Path;

use domain::device::DisconnectReason;
use domain::passkey::PasskeyRefusal;
use domain::proxy::ProxyFault;

use super::*;

/// Where texts come from that pages show.
const SOURCES: [&str; 6] = ["domain", "engine", "media", "outbound", "whatsapp", "server"];
/// What is written before a text for people.
const MARKS: [&str; 14] = [
    "Error::invalid(",
    "Error::Conflict(",
    "Error::Whatsapp(",
    "FileError::Temporary(",
    "FetchError::Temporary(",
    "FetchError::Permanent(",
    "Failure::new(",
    "SendError::Temporary(",
    "fail_pairing(",
    "permanent(",
    "failed(",
    "Err(lost(",
    "|| lost(",
    "temporary(",
];
/// Texts that no page shows.
const UNSEEN: [&str; 12] = [
    "the store does not answer; trying again",
    "the device did not answer in time",
    "no answer in time",
    "unlinking took too long",
    "the answer made no sense",
    "the gateway is shutting down",
    "its challenge cannot be read",
    "the confirmation was not accepted",
    "pictures are not made here",
    "the caller's address cannot be read",
    "the call could not be rejected",
    "a test",
];
/// How texts begin that are put together of pieces, or are of this crate.
const COMPOSED: [&str; 6] = [
    "the form ",
    "you cannot",
    "your own",
    "the file is not a",
    "{} cannot be sent as",
    "WhatsApp has banned",
];

fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && !path.ends_with("tests.rs")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            all.push_str(text.split("#[cfg(test)]").next().unwrap_or_default());
        }
    }
}

/// The code of the core, each text in one line.
fn core() -> String {
    let mut all = String::new();
    for name in SOURCES {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        sources(&crates.join(name).join("src"), &mut all);
    }
    let lines = all.split("\\\n").map(str::trim_start);
    lines.collect::<Vec<_>>().concat()
}

fn translated(text: &str) -> bool {
    said(Lang::Id, text) != text
}

#[test]
fn values_stand_where_they_stood() {
    let id = |text| said(Lang::Id, text).into_owned();
    assert_eq!(id("must have 1 to 200 characters"), "harus 1 sampai 200 karakter");
    assert_eq!(id("the message is cancelled"), "pesan dibatalkan");
    assert_eq!(id("something new"), "something new");
    assert_eq!(said(Lang::En, "must be after schedule_at"), "must be after the time it is sent");
    assert_eq!(said(Lang::En, "the device is not paired"), "the device is not paired");
}

#[test]
fn no_path_of_a_field_is_shown() {
    let fault = |lang| field_fault(lang, "contacts[0].phone", "must be a phone number");
    assert_eq!(fault(Lang::En), "Number of the contact: must be a phone number");
    assert_eq!(fault(Lang::Id), "Nomor kontak: harus berupa nomor telepon");
    assert_eq!(field_fault(Lang::Id, "no.such", "is required"), "wajib diisi");
}

#[test]
fn the_table_knows_only_what_the_core_says() {
    let core = core();
    for (text, _) in IN_INDONESIAN.into_iter().flatten().chain(&IN_ENGLISH) {
        let piece = text.split("{}").max_by_key(|piece| piece.len()).unwrap();
        let is_composed = COMPOSED.iter().any(|start| text.starts_with(start));
        assert!(is_composed || core.contains(piece), "nothing says: {text}");
        let places = |text: &str| text.matches("{}").count();
        for lang in [Lang::En, Lang::Id] {
            assert_eq!(places(text), places(&said(lang, text)), "{text}");
        }
    }
    let all = || IN_INDONESIAN.into_iter().flatten();
    let texts: BTreeSet<&str> = all().map(|(text, _)| *text).collect();
    assert_eq!(texts.len(), all().count(), "a text is there twice");
}

/// The texts that follow a mark, up to the end of its call.
fn texts_after<'a>(core: &'a str, mark: &str) -> Vec<&'a str> {
    let mut texts = Vec::new();
    for call in core.split(mark).skip(1) {
        let call = call.split(";\n").next().unwrap_or_default();
        let call = &call[..call.find("))").unwrap_or(call.len())];
        texts.extend(call.split('"').skip(1).step_by(2).filter(|text| text.trim().contains(' ')));
    }
    texts
}

#[test]
fn everything_that_the_core_says_is_in_the_table() {
    let core = core();
    let mut unknown = BTreeSet::new();
    for text in MARKS.iter().flat_map(|mark| texts_after(&core, mark)) {
        // Its values have names.
        let text: String = text
            .split('{')
            .enumerate()
            .map(|(n, part)| match n {
                0 => part.to_owned(),
                _ => format!("9{}", part.split_once('}').map_or("", |(_, rest)| rest)),
            })
            .collect();
        let is_unseen = UNSEEN.contains(&text.as_str());
        if !is_unseen && !translated(&text) {
            unknown.insert(text);
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn every_end_of_a_connection_has_words() {
    use DisconnectReason as R;
    let faults = [
        ProxyFault::Unreachable,
        ProxyFault::Refused,
        ProxyFault::Forbidden,
        ProxyFault::Unreadable,
    ];
    let reasons = [
        R::ConnectionLost,
        R::Unreachable,
        R::Untrusted,
        R::RestartRequired,
        R::Replaced,
        R::RateLimited,
        R::TemporarilyBanned(None),
        R::TemporarilyBanned(Some(90)),
        R::AccountLocked,
        R::ClientOutdated,
        R::SetVersionOutdated,
        R::ClientRefused,
        R::LoginRefused(415),
        R::ServerFault(503),
        R::Other(499),
    ];
    let now = jiff::Timestamp::UNIX_EPOCH;
    for reason in reasons.into_iter().chain(faults.map(R::Proxy)) {
        let text = reason.describe_at(now);
        assert!(translated(&text), "{text}");
    }
    use PasskeyRefusal::{AlreadyGiven, Expired, NoCode, NotRequested, Rejected};
    for refusal in [NotRequested, AlreadyGiven, NoCode, Expired, Rejected] {
        assert!(translated(&refusal.to_string()), "{refusal}");
    }
}
