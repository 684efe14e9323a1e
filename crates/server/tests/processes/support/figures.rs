//! The figures of a test that has passed: `cargo xtask torture` puts those of the long forms into
//! `docs/reliability.md`.

use std::fmt::Display;

/// Prints them. `what` names their row; it holds no colon.
pub fn report(what: impl Display, figures: impl Display) {
    println!("figures of {what}: {figures}");
}
