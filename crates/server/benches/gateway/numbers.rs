//! Medians, percentiles, memory.

use std::time::Duration;

/// The value that `percent` of all values do not exceed.
pub fn percentile(values: &mut [Duration], percent: usize) -> Duration {
    assert!(!values.is_empty(), "nothing was measured");
    values.sort_unstable();
    values[(values.len() - 1) * percent / 100]
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Milliseconds, as they are shown.
pub fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}

/// Microseconds, as they are shown.
pub fn us(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1_000_000.0)
}

/// Resident memory of a process, in MiB.
pub fn resident_mib(process: u32) -> f64 {
    status_mib(process, "VmRSS:")
}

/// The highest resident memory of a process since [`reset_peak`], in MiB.
pub fn peak_mib(process: u32) -> f64 {
    status_mib(process, "VmHWM:")
}

/// Forgets the highest resident memory of a process.
pub fn reset_peak(process: u32) {
    /// What the kernel's `clear_refs` takes for it.
    const PEAK: &str = "5";
    std::fs::write(format!("/proc/{process}/clear_refs"), PEAK).unwrap();
}

fn status_mib(process: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    let kib: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
    kib / 1024.0
}

/// What `/proc` counts processor time in, on every Linux.
const TICKS_PER_S: f64 = 100.0;

/// What `/proc` says of a process behind its name.
fn stat(process: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program comes second, in brackets, and may hold spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn ticks(fields: &[String]) -> f64 {
    fields.iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum()
}

/// The processor time a process has used, in its own code and in the kernel.
pub fn processor_time(process: u32) -> Duration {
    let fields = stat(process).expect("a running process");
    Duration::from_secs_f64(ticks(&fields[11..13]) / TICKS_PER_S)
}

/// The process that has started another one.
pub fn parent(process: u32) -> u32 {
    stat(process).expect("a running process")[1].parse().unwrap()
}

/// The processor time of a process's children, those that have ended included.
pub fn children_time(process: u32) -> Duration {
    let ended = ticks(&stat(process).expect("a running process")[13..15]);
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let children = ids.filter_map(stat).filter(|fields| fields[1] == process.to_string());
    let running: f64 = children.map(|fields| ticks(&fields[11..13])).sum();
    Duration::from_secs_f64((ended + running) / TICKS_PER_S)
}
