//! Crates depend on each other as ARCHITECTURE.md says, and heavy or delicate libraries stay where
//! they belong.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Repo;
use crate::shell;

/// Every member, and the members it depends on. The server joins; the others never see each other,
/// but for the address guard of `outbound`, which there must be one of.
const MEMBERS: &[(&str, &[&str])] = &[
    ("blobs", &["domain"]),
    ("domain", &[]),
    ("engine", &["domain"]),
    (
        "gerbang",
        &[
            "blobs",
            "domain",
            "engine",
            "http-api",
            "media",
            "outbound",
            "simulator",
            "store",
            "whatsapp",
        ],
    ),
    ("http-api", &["domain"]),
    ("media", &["domain"]),
    ("outbound", &["domain"]),
    ("simulator", &[]),
    ("store", &["domain"]),
    ("testkit", &["domain"]),
    ("whatsapp", &["domain", "outbound"]),
    ("xtask", &[]),
];
/// The one member that tests may add.
const FOR_TESTS: &str = "testkit";
/// Further ones of some tests: those of the APIs and the dashboard run on PostgreSQL, too.
const FOR_SOME_TESTS: &[(&str, &str)] = &[("http-api", "store")];
/// Libraries, and the only members that may use them outside tests.
const CONFINED: &[(&str, &[&str])] = &[
    ("axum", &["gerbang", "http-api", "simulator"]),
    ("rusqlite", &["simulator", "store"]),
    ("sqlx", &["store"]),
    (
        "tokio",
        &[
            "blobs",
            "engine",
            "gerbang",
            "http-api",
            "media",
            "outbound",
            "simulator",
            "store",
            "testkit",
            "whatsapp",
        ],
    ),
    ("wacore", &["simulator", "whatsapp"]),
    ("wacore-binary", &["simulator", "whatsapp"]),
    ("wacore-libsignal", &["simulator", "whatsapp"]),
    ("wacore-noise", &["simulator", "whatsapp"]),
    ("waproto", &["simulator", "whatsapp"]),
    ("whatsapp-rust", &["whatsapp"]),
];

/// The name of every member; [`check`] compares the list with the workspace.
pub fn members() -> impl Iterator<Item = &'static str> {
    MEMBERS.iter().map(|(name, _)| *name)
}

pub(super) fn check(repo: &Repo) -> Result<Vec<String>> {
    let metadata = shell::output(shell::cargo(&repo.root).args([
        "metadata",
        "--no-deps",
        "--format-version=1",
        "--quiet",
    ]))?;
    let mut findings = findings(&serde_json::from_str(&metadata)?)?;
    findings.extend(manifests_without_lints(repo));
    Ok(findings)
}

fn findings(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package without a name")?;
        let Some((_, allowed)) = MEMBERS.iter().find(|(member, _)| *member == name) else {
            findings.push(format!("{name}: not in the table of xtask/src/tidy/crates.rs"));
            continue;
        };
        let of_kind = |is_wanted: fn(&Value) -> bool| -> BTreeSet<&str> {
            let all = package["dependencies"].as_array().into_iter().flatten();
            all.filter(|dependency| is_wanted(&dependency["kind"]))
                .filter_map(|dependency| dependency["name"].as_str())
                .collect()
        };
        let normal = of_kind(|kind| kind != "dev");
        let for_tests = of_kind(|kind| kind == "dev");
        findings.extend(wrong_members(name, &normal, allowed));
        let further = FOR_SOME_TESTS.iter().filter(|(of, _)| *of == name).map(|(_, other)| *other);
        let further: Vec<_> = further.chain([FOR_TESTS]).chain(allowed.iter().copied()).collect();
        findings.extend(wrong_members(name, &for_tests, &further));
        findings.extend(escaped(name, &normal));
    }
    Ok(findings)
}

fn wrong_members(name: &str, dependencies: &BTreeSet<&str>, allowed: &[&str]) -> Vec<String> {
    members()
        .filter(|member| dependencies.contains(member) && !allowed.contains(member))
        .map(|member| format!("{name} must not depend on {member}"))
        .collect()
}

fn escaped(name: &str, dependencies: &BTreeSet<&str>) -> Vec<String> {
    CONFINED
        .iter()
        .filter(|(library, homes)| dependencies.contains(library) && !homes.contains(&name))
        .map(|(library, homes)| format!("{name} must not use {library}: it is for {homes:?}"))
        .collect()
}

fn manifests_without_lints(repo: &Repo) -> Vec<String> {
    let is_member = |path: &str| {
        path.ends_with("/Cargo.toml") && (path.starts_with("crates/") || path.starts_with("xtask/"))
    };
    let wanted = ["[lints]\nworkspace = true", "license.workspace = true"];
    let manifests = repo.files.iter().filter(|file| is_member(&file.path));
    manifests
        .flat_map(|file| wanted.iter().map(move |text| (file, *text)))
        .filter(|(file, text)| !file.text.contains(text))
        .map(|(file, text)| format!("{}: needs {text:?}", file.path))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn findings_for(name: &str, dependencies: &Value) -> Vec<String> {
        let package = json!({ "name": name, "dependencies": dependencies });
        findings(&json!({ "packages": [package] })).unwrap()
    }

    #[test]
    fn the_five_never_import_one_another() {
        let to_store = json!([{ "name": "store", "kind": null }]);
        assert!(findings_for("gerbang", &to_store).is_empty());
        for name in ["engine", "http-api", "simulator", "whatsapp", "domain"] {
            assert_eq!(findings_for(name, &to_store), [format!("{name} must not depend on store")]);
        }
    }

    #[test]
    fn testkit_is_for_tests_and_the_store_for_those_of_the_apis() {
        let store = json!([{ "name": "store", "kind": "dev" }]);
        assert!(findings_for("http-api", &store).is_empty());
        assert!(!findings_for("engine", &store).is_empty());
        assert!(findings_for("engine", &json!([{ "name": "testkit", "kind": "dev" }])).is_empty());
        assert!(!findings_for("engine", &json!([{ "name": "testkit", "kind": null }])).is_empty());
    }

    #[test]
    fn libraries_stay_where_they_belong() {
        let protocol = json!([{ "name": "whatsapp-rust", "kind": null }]);
        assert!(findings_for("whatsapp", &protocol).is_empty());
        assert_eq!(findings_for("simulator", &protocol).len(), 1);
        assert_eq!(findings_for("unknown", &json!([])).len(), 1);
    }

    #[test]
    fn members_follow_the_workspace() {
        let repo = crate::tidy::repo_of(&[("crates/a/Cargo.toml", "license.workspace = true\n")]);
        assert_eq!(manifests_without_lints(&repo).len(), 1);
    }
}
