//! The Debian package, by `dpkg-deb` alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Release, UNIT, fresh};
use crate::shell;

/// The control file and the scripts of installing and removing.
const TEMPLATES: &str = "deploy/deb";
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];
/// Kept when the package is upgraded and the administrator has changed it.
const SETTINGS: &str = "/etc/gerbang/gerbang.toml";
/// Where the unit file of the repository finds the binary, and where a package puts it.
const BINARY_BY_HAND: &str = "/usr/local/bin/gerbang";
const BINARY: &str = "/usr/bin/gerbang";
const UNITS: &str = "usr/lib/systemd/system";
const PAPERS: &str = "usr/share/doc/gerbang";

/// `gerbang_VERSION_ARCHITECTURE.deb`
pub(super) fn make(release: &Release, out: &Path) -> Result<PathBuf> {
    let architecture = architecture(&release.target)?;
    let stage = fresh(out)?;
    fill(release, &stage)?;
    let template = std::fs::read_to_string(release.root.join(TEMPLATES).join("control"))?;
    let glibc = newest_glibc(&symbols(&release.binary)?).context("no glibc in the binary")?;
    let size = std::fs::metadata(&release.binary)?.len().div_ceil(1024);
    let control = template
        .replace("@VERSION@", release.version)
        .replace("@ARCHITECTURE@", architecture)
        .replace("@SIZE@", &size.to_string())
        .replace("@GLIBC@", &format!("2.{glibc}"));
    release.write(&stage, "DEBIAN/control", &control, 0o644)?;
    release.write(&stage, "DEBIAN/conffiles", &format!("{SETTINGS}\n"), 0o644)?;
    for script in SCRIPTS {
        let from = Path::new(TEMPLATES).join(script);
        release.copy(&from, &stage, &format!("DEBIAN/{script}"), 0o755)?;
    }
    let file = out.join(format!("gerbang_{}_{architecture}.deb", release.version));
    let mut dpkg = Command::new("dpkg-deb");
    let compression: &[&str] = if release.is_fast { &["-Zgzip", "-z1"] } else { &["-Zxz"] };
    dpkg.args(compression).args(["--root-owner-group", "--build"]).arg(&stage).arg(&file);
    shell::run(dpkg.env("SOURCE_DATE_EPOCH", &release.epoch))?;
    std::fs::remove_dir_all(stage)?;
    Ok(file)
}

/// The files as they are installed.
fn fill(release: &Release, stage: &Path) -> Result<()> {
    release.copy(&release.binary, stage, &BINARY[1..], 0o755)?;
    release.write(stage, &SETTINGS[1..], &release.settings()?, 0o644)?;
    let unit = std::fs::read_to_string(release.root.join(UNIT)).context(UNIT)?;
    let unit = unit.replace(BINARY_BY_HAND, BINARY);
    // The comment in front is about installing by hand.
    let (_, unit) = unit.split_once("\n\n").context("the unit file has no comment in front")?;
    release.write(stage, &format!("{UNITS}/gerbang.service"), unit, 0o644)?;
    release.copy(Path::new("LICENSE"), stage, &format!("{PAPERS}/copyright"), 0o644)?;
    for paper in ["NOTICE", "CHANGELOG.md"] {
        release.copy(Path::new(paper), stage, &format!("{PAPERS}/{paper}"), 0o644)?;
    }
    Ok(())
}

/// Debian's name for a target.
fn architecture(target: &str) -> Result<&'static str> {
    match target {
        "x86_64-unknown-linux-gnu" => Ok("amd64"),
        "aarch64-unknown-linux-gnu" => Ok("arm64"),
        _ => bail!("no Debian package is made for {target}"),
    }
}

/// The versions of glibc's symbols in a binary, one a line.
fn symbols(binary: &Path) -> Result<String> {
    let mut grep = Command::new("grep");
    grep.args(["--text", "--only-matching", "--extended-regexp", r"GLIBC_2\.[0-9]+"]);
    shell::output(grep.arg(binary))
}

/// The newest 2.x among them.
fn newest_glibc(symbols: &str) -> Option<u32> {
    symbols.lines().filter_map(|line| line.strip_prefix("GLIBC_2.")?.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_is_found() {
        assert_eq!(newest_glibc("GLIBC_2.2\nGLIBC_2.34\nGLIBC_2.4\n"), Some(34));
        assert_eq!(newest_glibc("GLIBC_PRIVATE\nGLIBC_2.\n"), None);
    }

    #[test]
    fn only_known_targets_have_a_debian_package() {
        assert_eq!(architecture("aarch64-unknown-linux-gnu").unwrap(), "arm64");
        let unknown = architecture("x86_64-unknown-linux-musl").unwrap_err().to_string();
        assert_eq!(unknown, "no Debian package is made for x86_64-unknown-linux-musl");
    }
}
