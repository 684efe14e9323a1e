//! `cargo xtask pictures`: a picture of every page of the dashboard, and the README's among them.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::test;

/// The tests that take them, as nextest's filters name them.
const TESTS: &str =
    "test(browser::pictures::) | test(a_new_user_gets_from_the_setup_link_to_a_read_message)";
/// Where it puts them: one of each page, language, colour scheme and width.
const TAKEN: &str = "target/tmp/dashboard";
/// The README's, and the page it is of.
const KEPT: [(&str, &str); 1] = [("docs/images/dashboard.png", "send-en-light-1440.png")];

/// Takes them all, and replaces the README's.
pub fn run(root: &Path) -> Result<()> {
    test::run_only(root, &["npm", "nextest"], &["-E", TESTS])?;
    for (kept, taken) in KEPT {
        let taken = root.join(TAKEN).join(taken);
        std::fs::copy(&taken, root.join(kept))
            .with_context(|| format!("cannot keep {}", taken.display()))?;
        println!("{kept} is new");
    }
    println!("all of them are in {TAKEN}");
    Ok(())
}
