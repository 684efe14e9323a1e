//! `cargo xtask dist`: the production binary as a tarball and as a Debian package, each with the unit
//! file and the commented settings. The same commit gives the same bytes.

mod deb;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::shell;

/// The profile of shipped binaries.
pub const PROFILE: &str = "dist";
/// What both packages carry, beside the binary and the settings.
const UNIT: &str = "deploy/gerbang.service";
const PAPERS: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE", "NOTICE"];
const PROGRAMS: [&str; 4] = ["tar", "gzip", "grep", "dpkg-deb"];

/// Arguments of `cargo xtask dist`.
#[derive(clap::Args)]
pub struct Options {
    /// Package this production binary instead of building one
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Where the packages go
    #[arg(long, default_value = "target/packages")]
    out: PathBuf,
    /// Compress little, to try the packages
    #[arg(long)]
    fast: bool,
}

/// What is packaged.
struct Release {
    root: PathBuf,
    binary: PathBuf,
    version: &'static str,
    /// Such as `x86_64-unknown-linux-gnu`.
    target: String,
    /// The time of every packaged file, in seconds: that of the commit.
    epoch: String,
    is_fast: bool,
}

/// The packages that were made.
struct Packages {
    tarball: PathBuf,
    deb: PathBuf,
}

/// Builds the binary, unless there is one, and packages it.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    if let Some(missing) = PROGRAMS.iter().find(|program| shell::find(program).is_none()) {
        anyhow::bail!("{missing} is missing. On Debian: apt-get install tar gzip grep dpkg");
    }
    let packages = package(root, options)?;
    for file in [packages.tarball, packages.deb] {
        println!("{} ({} KiB)", file.display(), std::fs::metadata(&file)?.len() / 1024);
    }
    Ok(())
}

fn package(root: &Path, options: &Options) -> Result<Packages> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build(root)?,
    };
    let rustc = shell::output(Command::new("rustc").arg("-vV"))?;
    let target = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    let epoch =
        shell::output(Command::new("git").current_dir(root).args(["log", "-1", "--format=%ct"]));
    let release = Release {
        root: root.to_owned(),
        binary,
        version: env!("CARGO_PKG_VERSION"),
        target: target.context("rustc names no host")?.to_owned(),
        // An unpacked source archive has no commit.
        epoch: epoch.map_or_else(|_| "0".to_owned(), |epoch| epoch.trim().to_owned()),
        is_fast: options.fast,
    };
    let out = root.join(&options.out);
    std::fs::create_dir_all(&out)?;
    Ok(Packages { tarball: tarball(&release, &out)?, deb: deb::make(&release, &out)? })
}

/// Only the server's package: a build of the workspace would unify the simulator's features into it.
fn build(root: &Path) -> Result<PathBuf> {
    let mut cargo = shell::cargo(root);
    cargo.args(["build", "--locked", "--package", "gerbang", "--profile", PROFILE]);
    cargo.args(["--target-dir", "target"]);
    // Linux on 64-bit ARM has pages of 4, 16 or 64 KiB, and an allocator that was built for smaller ones than it
    // finds does not start. By itself it is built for those of this machine.
    if cfg!(target_arch = "aarch64") {
        cargo.env("JEMALLOC_SYS_WITH_LG_PAGE", "16");
    }
    shell::run(&mut cargo)?;
    Ok(root.join("target").join(PROFILE).join("gerbang"))
}

impl Release {
    /// The commented settings, as this binary prints them.
    fn settings(&self) -> Result<String> {
        let settings = shell::output(Command::new(&self.binary).arg("config"))?;
        let is_set = |line: &str| !line.is_empty() && !line.starts_with('#');
        ensure!(!settings.lines().any(is_set), "`gerbang config` prints more than comments");
        Ok(settings)
    }

    /// Puts a text file of ours below `dir`.
    fn write(&self, dir: &Path, name: &str, text: &str, mode: u32) -> Result<()> {
        let file = dir.join(name);
        create_dir(file.parent().context("a file is in a folder")?)?;
        std::fs::write(&file, text)?;
        set_mode(&file, mode)
    }

    fn copy(&self, from: &Path, dir: &Path, name: &str, mode: u32) -> Result<()> {
        let (from, file) = (self.root.join(from), dir.join(name));
        create_dir(file.parent().context("a file is in a folder")?)?;
        std::fs::copy(&from, &file).with_context(|| format!("cannot copy {}", from.display()))?;
        set_mode(&file, mode)
    }
}

/// `gerbang-VERSION-TARGET.tar.gz`, to be unpacked anywhere.
fn tarball(release: &Release, out: &Path) -> Result<PathBuf> {
    let name = format!("gerbang-{}-{}", release.version, release.target);
    let stage = fresh(out)?;
    let dir = stage.join(&name);
    release.copy(&release.binary, &dir, "gerbang", 0o755)?;
    release.copy(Path::new(UNIT), &dir, "gerbang.service", 0o644)?;
    release.write(&dir, "gerbang.toml", &release.settings()?, 0o644)?;
    for paper in PAPERS {
        release.copy(Path::new(paper), &dir, paper, 0o644)?;
    }
    let file = out.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.current_dir(&stage).args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    let gzip = if release.is_fast { "gzip -1 -n" } else { "gzip -9 -n" };
    // gzip writes the time into its header unless asked not to.
    tar.arg(format!("--mtime=@{}", release.epoch)).args(["--use-compress-program", gzip]);
    shell::run(tar.arg("--create").arg("--file").arg(&file).arg(&name))?;
    std::fs::remove_dir_all(stage)?;
    Ok(file)
}

/// An empty folder for what is being packaged.
fn fresh(out: &Path) -> Result<PathBuf> {
    let stage = out.join("stage");
    if stage.exists() {
        std::fs::remove_dir_all(&stage)?;
    }
    create_dir(&stage)?;
    Ok(stage)
}

/// Creates a folder that every user may enter, whatever the umask.
fn create_dir(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    create_dir(dir.parent().context("a folder is below another one")?)?;
    std::fs::create_dir(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    set_mode(dir, 0o755)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?)
}
