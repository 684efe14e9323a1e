//! What one durable write costs on this disk.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

const WRITES: usize = 300;

/// Appends a page and syncs it, again and again; how long each took.
pub fn fdatasync(dir: &Path) -> Vec<Duration> {
    let mut file = std::fs::File::create(dir.join("fdatasync")).unwrap();
    let page = [0x5a; 4096];
    let one = || {
        let start = Instant::now();
        file.write_all(&page).unwrap();
        file.sync_data().unwrap();
        start.elapsed()
    };
    std::iter::repeat_with(one).take(WRITES).collect()
}
