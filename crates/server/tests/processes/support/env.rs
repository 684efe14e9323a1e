//! The environment variables that `cargo xtask test` sets.

use std::hash::{BuildHasher as _, Hasher as _};
use std::path::PathBuf;
use std::sync::LazyLock;

/// A setting that must be there.
///
/// # Panics
/// When it is not, with what to do about it.
pub fn required(name: &str) -> String {
    optional(name).unwrap_or_else(|| {
        panic!(
            "{name} is not set: run the tests with `cargo xtask test` (add `nextest` for this step)"
        )
    })
}

/// A setting that may be there.
#[expect(clippy::disallowed_methods, reason = "tests take their settings from the environment")]
pub fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether the tests that can take longer shall, as `cargo xtask torture` wants it.
pub fn is_long() -> bool {
    optional("GERBANG_TEST_LONG").is_some()
}

/// The binary under test, built with the feature `simulator`: Cargo's, or another one that `cargo xtask bench` names.
pub fn gerbang() -> PathBuf {
    let other = optional("GERBANG_TEST_BINARY");
    other.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_gerbang")), PathBuf::from)
}

/// The production binary, which `cargo xtask test binaries` builds.
pub fn production_binary() -> PathBuf {
    let path = PathBuf::from(required("GERBANG_TEST_PRODUCTION_BINARY"));
    assert!(path.is_file(), "{} is missing: run `cargo xtask test binaries` first", path.display());
    path
}

/// `GERBANG_TEST_SEED`, or a new one, the same for all tests of a run; printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    static SEED: LazyLock<u64> = LazyLock::new(|| {
        let fresh = || std::hash::RandomState::new().build_hasher().finish();
        let given = optional("GERBANG_TEST_SEED");
        given.map_or_else(fresh, |text| text.parse().expect("GERBANG_TEST_SEED must be a number"))
    });
    println!("GERBANG_TEST_SEED={}", *SEED);
    *SEED
}
