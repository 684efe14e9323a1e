//! The wall clock of one gateway, as a library that is preloaded into it (`clock.c`): the test sets it while
//! the gateway runs.

use std::os::unix::fs::FileExt as _;

use tempfile::TempDir;

use crate::support::preload;

/// A clock under one gateway.
pub struct WallClock {
    dir: TempDir,
    settings: Vec<(&'static str, String)>,
}

impl WallClock {
    /// One that shows the time.
    ///
    /// # Panics
    /// Without a C compiler.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let library = preload::build("clock/clock.c", dir.path());
        let offset = dir.path().join("offset");
        std::fs::write(&offset, 0_i64.to_ne_bytes()).unwrap();
        let settings = vec![
            ("LD_PRELOAD", library.display().to_string()),
            ("CLOCK_OFFSET", offset.display().to_string()),
        ];
        Self { dir, settings }
    }

    /// What puts it under a gateway.
    pub fn settings(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// By how many seconds it is ahead from now on. In place: the gateway has mapped the file.
    pub fn set_ahead_s(&self, seconds: i64) {
        let file = std::fs::OpenOptions::new().write(true).open(self.dir.path().join("offset"));
        file.unwrap().write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }
}
