//! Holds a process to a share of a core, as if it ran on a smaller machine: it is put into a group of its own of the
//! kernel's CPU controller, of version 1 or 2. That needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a process gets its share. In the kernel's own 100 ms, one that has used its share would stand still
/// for most of them, with the rows that it has locked.
pub const PERIOD: Duration = Duration::from_millis(5);
/// Where groups are, by the controller's version.
const V1: &str = "/sys/fs/cgroup/cpu";
const V2: &str = "/sys/fs/cgroup";

/// A process that is held until this is dropped.
pub struct Quota {
    process: u32,
    group: PathBuf,
    /// The group that it came from.
    origin: PathBuf,
}

impl Quota {
    /// Holds a process, with all its threads. The kernel takes shares from 0.2 on.
    ///
    /// # Errors
    /// What the kernel said, and of which file.
    pub fn hold(process: u32, share: f64) -> Result<Self, String> {
        let is_v1 = Path::new(V1).join("cpu.cfs_quota_us").exists();
        let (root, controller) = if is_v1 { (V1, "cpu") } else { (V2, "") };
        let origin = Path::new(root).join(group_of(process, controller)?);
        let group = Path::new(root).join(format!("gerbang-bench-{process}"));
        fs::create_dir(&group).map_err(|error| format!("{}: {error}", group.display()))?;
        let held = Self { process, group, origin };
        let period_us = PERIOD.as_micros();
        let quota_us = (share * period_us as f64).round();
        if is_v1 {
            write(&held.group.join("cpu.cfs_period_us"), &period_us.to_string())?;
            write(&held.group.join("cpu.cfs_quota_us"), &quota_us.to_string())?;
        } else {
            write(&Path::new(V2).join("cgroup.subtree_control"), "+cpu")?;
            write(&held.group.join("cpu.max"), &format!("{quota_us} {period_us}"))?;
        }
        write(&held.group.join("cgroup.procs"), &process.to_string())?;
        Ok(held)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // One that has ended is in no group.
        let _ = write(&self.origin.join("cgroup.procs"), &self.process.to_string());
        if let Err(error) = fs::remove_dir(&self.group) {
            println!("{} cannot be removed: {error}", self.group.display());
        }
    }
}

/// The group that a process is in, below where the groups of this controller are; version 2 names none.
fn group_of(process: u32, controller: &str) -> Result<String, String> {
    let file = format!("/proc/{process}/cgroup");
    let groups = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    let group = groups.lines().find_map(|line| {
        let (_, line) = line.split_once(':')?;
        let (controllers, group) = line.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then_some(group)
    });
    let group = group.ok_or_else(|| format!("{file} names no group of the CPU controller"))?;
    Ok(group.trim_start_matches('/').to_owned())
}

fn write(file: &Path, value: &str) -> Result<(), String> {
    fs::write(file, value).map_err(|error| format!("{}: {error}", file.display()))
}
