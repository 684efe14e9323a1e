//! Waiting by the clock is for a few files; everything else waits for what it waits for. Tests on
//! tokio's paused clock do not wait at all and may say so.

use anyhow::Result;

use super::{Repo, stale};

/// File, and why it may sleep.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("crates/engine/src/timing.rs", "how the engine waits"),
    ("crates/engine/tests/engine/lives.rs", "lives on a paused clock, made by hand"),
    ("crates/engine/tests/engine/outside.rs", "servers that take their time, for paused clocks"),
    ("crates/store/src/postgres/guard.rs", "the lock of a gateway that was killed just before"),
    ("crates/store/src/postgres/schema.rs", "between two tries for the lock of migrations"),
    ("crates/store/src/sqlite/writer.rs", "the blink in which callers of one batch come back"),
    ("crates/store/tests/between_nodes.rs", "polls what a node remembers, with a deadline"),
    ("crates/store/tests/listening.rs", "polls the server's locks, with a deadline"),
    ("crates/http/src/client_stream.rs", "the deadline of an answer to a refused request"),
    (
        "crates/http/src/dashboard/stream.rs",
        "what pages show of the time, and the end of a session",
    ),
    ("crates/http/src/nodes/hop.rs", "between two looks whether a node still answers"),
    ("crates/http/src/server.rs", "pauses when the system refuses to accept connections"),
    (
        "crates/server/src/joining.rs",
        "between two looks whether another process has this one's name",
    ),
    ("crates/server/tests/processes/support/wait.rs", "polls other processes, with a deadline"),
    (
        "crates/simulator/src/control/pairing.rs",
        "a typed code waits for its client, with a deadline",
    ),
    ("crates/simulator/src/switchboard/mod.rs", "the simulator's own delays, asked for as faults"),
    ("crates/testkit/src/flaky_store.rs", "a store that takes its time, for paused clocks"),
    (
        "crates/testkit/src/scripted_messenger.rs",
        "a messenger that takes its time, for paused clocks",
    ),
    ("crates/whatsapp/src/outage.rs", "between two looks whether the store answers again"),
    (
        "crates/whatsapp/src/presence.rs",
        "what the library announces by itself comes some time after its report",
    ),
    ("xtask/src/test/postgres.rs", "polls PostgreSQL until it answers, with a deadline"),
];

pub(super) fn check(repo: &Repo) -> Result<Vec<String>> {
    Ok(findings(repo, EXCEPTIONS))
}

fn findings(repo: &Repo, exceptions: &[(&str, &str)]) -> Vec<String> {
    let call = ["sleep", "("].concat();
    let mut findings = Vec::new();
    let mut used = Vec::new();
    let is_virtual = |text: &str| text.contains("start_paused = true");
    for file in repo.files.iter().filter(|file| file.is_rust() && !is_virtual(&file.text)) {
        let is_code = |line: &str| !line.trim_start().starts_with("//");
        let Some((number, _)) =
            file.lines().find(|(_, line)| is_code(line) && line.contains(&call))
        else {
            continue;
        };
        used.push(file.path.as_str());
        if !exceptions.iter().any(|(path, _)| *path == file.path) {
            findings.push(format!("{}:{number}: sleeps, and is not listed", file.path));
        }
    }
    findings.extend(stale(exceptions.iter().map(|(path, _)| *path), &used));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::repo_of;

    #[test]
    fn sleeping_files_are_found_unless_they_are_listed() {
        let sleeps = ["tokio::time::sleep", "(gap).await;\n"].concat();
        let paused = format!("#[tokio::test(start_paused = true)]\n{sleeps}");
        assert!(findings(&repo_of(&[("a.rs", &paused)]), &[]).is_empty());
        let repo = repo_of(&[("a.rs", &sleeps), ("b.rs", &sleeps), ("c.rs", "// no sleep here")]);
        assert_eq!(findings(&repo, &[("b.rs", "")]), ["a.rs:1: sleeps, and is not listed"]);
        assert_eq!(findings(&repo, &[("a.rs", ""), ("b.rs", ""), ("c.rs", "")]).len(), 1);
    }
}
