//! Packages are made of the binary that the step `binaries` has built, installed, started and removed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};

use super::*;

/// Stands for the user that systemd makes up (`DynamicUser`): anybody but root and us.
const NOBODY: u32 = 65534;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn packages(out: &Path) -> Packages {
    let binary = std::env::var_os("GERBANG_TEST_PRODUCTION_BINARY");
    let binary =
        binary.expect("run the tests with `cargo xtask test` (`binaries nextest` for these)");
    package(&workspace(), &Options { binary: Some(binary.into()), out: out.to_owned(), fast: true })
        .unwrap()
}

/// A folder that every user may read.
fn public_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    set_mode(dir.path(), 0o755).unwrap();
    dir
}

/// dpkg on a system of its own, which has no other package.
fn dpkg(system: &Path) -> Command {
    let mut dpkg = Command::new("dpkg");
    dpkg.arg(format!("--root={}", system.display()));
    dpkg.args(["--force-not-root", "--force-bad-path", "--force-depends"]);
    dpkg.arg("--force-script-chrootless");
    dpkg
}

fn empty_system(dir: &Path) {
    let admin = dir.join("var/lib/dpkg");
    for name in ["info", "updates", "triggers"] {
        create_dir(&admin.join(name)).unwrap();
    }
    std::fs::write(admin.join("status"), "").unwrap();
}

/// The values of a setting of the installed unit.
fn unit_values<'a>(unit: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    unit.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix('='))
}

/// systemd understands every line of the unit. It looks for the program where the host has it.
fn verify_unit(system: &Path) {
    let unit =
        std::fs::read_to_string(system.join("usr/lib/systemd/system/gerbang.service")).unwrap();
    let program = system.join("usr/bin/gerbang");
    let copy = system.join("gerbang.service");
    std::fs::write(&copy, unit.replace("=/usr/bin/gerbang", &format!("={}", program.display())))
        .unwrap();
    let mut verify = Command::new("systemd-analyze");
    let verdict = verify.args(["verify", "--man=no"]).arg(&copy).output().unwrap();
    // An unknown setting is a warning only. The host's own units may have warnings, too.
    let complaints = String::from_utf8_lossy(&verdict.stderr).into_owned();
    assert!(verdict.status.success() && !complaints.contains("gerbang.service"), "{complaints}");
}

/// Starts what the unit starts, with its settings, as another user; on a free port and with data of
/// the test's.
fn start(system: &Path, data: &Path) -> (Running, String) {
    let unit = system.join("usr/lib/systemd/system/gerbang.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    let command = unit_values(&unit, "ExecStart").next().unwrap();
    let (program, arguments) = command.split_once(' ').unwrap();
    let mut command = Command::new(system.join(&program[1..]));
    command.args(arguments.split(' ')).env_clear().stdout(Stdio::piped());
    for setting in unit_values(&unit, "Environment") {
        let (name, value) = setting.split_once('=').unwrap();
        command.env(name, value.replace("/var/lib/gerbang", data.to_str().unwrap()));
    }
    let folder = unit_values(&unit, "WorkingDirectory").next().unwrap();
    command.current_dir(system.join(folder.trim_start_matches("-/")));
    if shell::is_root().unwrap() {
        chown(data, Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut child = command.env("GERBANG_LISTEN", "127.0.0.1:0").spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let running = Running(child);
    let mut addresses =
        lines.filter_map(|line| line.strip_prefix("Gerbang listens on http://").map(str::to_owned));
    (running, addresses.next().expect("it did not start"))
}

fn get(address: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_debian_package_installs_starts_and_goes() {
    let (out, system, data) = (public_dir(), public_dir(), public_dir());
    empty_system(system.path());
    let packages = packages(out.path());
    shell::output(dpkg(system.path()).arg("--install").arg(&packages.deb)).unwrap();
    if shell::find("systemd-analyze").is_some() {
        verify_unit(system.path());
    }

    let (gateway, address) = start(system.path(), data.path());
    let answer = get(&address, "/healthz");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(data.path().join("gerbang.sqlite").is_file(), "its data is elsewhere");
    drop(gateway);

    // Settings that were changed stay until the package is purged.
    let settings = system.path().join("etc/gerbang/gerbang.toml");
    std::fs::write(&settings, "listen = \"127.0.0.1:8081\"\n").unwrap();
    shell::output(dpkg(system.path()).args(["--remove", "gerbang"])).unwrap();
    assert!(settings.is_file() && !system.path().join("usr/bin/gerbang").exists());
    shell::output(dpkg(system.path()).args(["--purge", "gerbang"])).unwrap();
    assert!(!settings.exists());
}

#[test]
fn the_same_commit_gives_the_same_packages() {
    let (first, second) = (public_dir(), public_dir());
    let (a, b) = (packages(first.path()), packages(second.path()));
    for (a, b) in [(&a.tarball, &b.tarball), (&a.deb, &b.deb)] {
        assert_eq!(a.file_name(), b.file_name());
        assert!(std::fs::read(a).unwrap() == std::fs::read(b).unwrap(), "{} differs", a.display());
    }
    let name = a.tarball.file_name().unwrap().to_str().unwrap();
    let dir = name.strip_suffix(".tar.gz").unwrap();
    let target = dir.strip_prefix(&format!("gerbang-{}-", env!("CARGO_PKG_VERSION"))).unwrap();
    assert!(target.contains("-linux-"), "{name}");

    shell::output(Command::new("tar").args(["-xzf"]).arg(&a.tarball).arg("-C").arg(first.path()))
        .unwrap();
    let dir = first.path().join(dir);
    let mode = std::fs::metadata(dir.join("gerbang")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    let settings = shell::output(Command::new(dir.join("gerbang")).arg("config")).unwrap();
    assert_eq!(settings, std::fs::read_to_string(dir.join("gerbang.toml")).unwrap());
    for file in ["gerbang.service", "README.md", "CHANGELOG.md", "LICENSE", "NOTICE"] {
        assert!(dir.join(file).is_file(), "{file}");
    }
}
