//! Memory of other processes, as the kernel counts it.

use std::fs;

/// The resident memory of a process, in bytes.
pub fn resident_memory(process: u32) -> u64 {
    status_bytes(process, "VmRSS:")
}

/// The most resident memory of a process, ever or since [`forget_peak_memory`], in bytes.
pub fn peak_memory(process: u32) -> u64 {
    status_bytes(process, "VmHWM:")
}

/// Forgets the most resident memory of a process.
pub fn forget_peak_memory(process: u32) {
    /// What the kernel's `clear_refs` takes for it.
    const PEAK: &str = "5";
    fs::write(format!("/proc/{process}/clear_refs"), PEAK).unwrap();
}

fn status_bytes(process: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}
