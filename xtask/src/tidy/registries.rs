//! No tracked file says where packages come from: that is for the machine that builds to say.

use anyhow::Result;

use super::Repo;

/// Written in parts, so that this file does not find itself. `Cargo.lock` and cargo-deny name a
/// source in Cargo's own notation.
const HOSTS: [[&str; 2]; 6] = [
    ["crates", ".io"],
    ["registry.npm", "js"],
    ["npmjs", ".com"],
    ["registry.yarn", "pkg"],
    ["pypi", ".org"],
    ["proxy.golang", ".org"],
];

pub(super) fn check(repo: &Repo) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for file in repo.files.iter().filter(|file| !file.path.ends_with("Cargo.lock")) {
        for (number, line) in file.lines() {
            if HOSTS.iter().any(|parts| line.contains(&parts.concat())) {
                findings.push(format!("{}:{number}: names a registry", file.path));
            }
        }
        if file.path.ends_with("package-lock.json") && file.text.contains("\"resolved\": \"http") {
            findings.push(format!(
                "{}: holds addresses; make it with npm's --omit-lockfile-registry-resolved",
                file.path
            ));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::repo_of;

    #[test]
    fn hosts_and_lock_files_with_addresses_are_found() {
        let host = HOSTS[0].concat();
        let lock = "{\"resolved\": \"https://example.org/a.tgz\"}";
        let repo = repo_of(&[
            ("a.md", &format!("see {host}")),
            ("Cargo.lock", &host),
            ("x/package-lock.json", lock),
            ("y/package-lock.json", "{\"integrity\": \"\"}"),
        ]);
        let findings = check(&repo).unwrap();
        assert_eq!(findings.len(), 2, "{findings:?}");
    }
}
