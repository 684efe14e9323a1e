//! A PostgreSQL server of our own, in a temporary folder, removed after the tests.
//!
//! It listens on loopback, on a free port, with a random password. PostgreSQL refuses to run as root,
//! so it then runs as `postgres`. A small shell script holds it and waits for the end of its standard
//! input; so it stops however we end, by failure, Ctrl-C or `kill -9`.

use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::shell;

const START_TIMEOUT: Duration = Duration::from_secs(60);
const USER: &str = "gerbang";
/// For tests: they kill the gateway, not the database.
pub const NOT_SYNCED: [&str; 3] = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];
/// `$1` is the folder; the rest is the server's command line.
const KEEPER: &str = r#"
trap '' INT TERM HUP
dir=$1; shift
"$@" >"$dir/log" 2>&1 </dev/null &
server=$!
read -r _
kill -INT $server
wait $server
rm -rf "$dir"
"#;

/// A given server, or one of our own.
pub enum Cluster {
    /// `GERBANG_TEST_POSTGRES_URL`.
    Given(String),
    /// Started here.
    Own {
        /// Its address, with the password.
        url: String,
        /// The script that stops it.
        keeper: Child,
    },
}

impl Cluster {
    /// Finds a server, or starts one with these settings, and waits until it answers.
    pub fn start(settings: &[&str]) -> Result<Self> {
        if let Some(url) = given_url() {
            println!("PostgreSQL: GERBANG_TEST_POSTGRES_URL");
            return Ok(Self::Given(url));
        }
        let bin = find_bin_dir()
            .context("no PostgreSQL server found: run `cargo xtask test packages`")?;
        let dir = make_dir()?;
        let password = random_hex()?;
        init(&bin, &dir, &password)?;
        let port = free_port()?;
        let keeper = start(&bin, &dir, port, settings)?;
        let url = format!("postgres://{USER}:{password}@127.0.0.1:{port}/postgres");
        let cluster = Self::Own { url, keeper };
        wait_until_ready(&bin, &dir, port)?;
        println!("PostgreSQL: {} on port {port}", bin.display());
        Ok(cluster)
    }

    /// Its address for a superuser.
    pub fn url(&self) -> &str {
        match self {
            Self::Given(url) | Self::Own { url, .. } => url,
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Self::Own { keeper, .. } = self {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

/// The address of a server that is there already.
pub fn given_url() -> Option<String> {
    std::env::var_os("GERBANG_TEST_POSTGRES_URL")?.into_string().ok().filter(|url| !url.is_empty())
}

/// The folder of `initdb` and `postgres`: on PATH or where Debian puts them, newest first.
pub fn find_bin_dir() -> Option<PathBuf> {
    let has_server = |dir: &PathBuf| dir.join("initdb").is_file() && dir.join("postgres").is_file();
    // What PATH leads to may be a link; its neighbours are where it points to.
    let on_path = shell::find("initdb").and_then(|file| file.canonicalize().ok());
    if let Some(dir) = on_path.and_then(|file| file.parent().map(Path::to_owned)).filter(has_server)
    {
        return Some(dir);
    }
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, dir)| dir.join("bin")).find(has_server)
}

fn make_dir() -> Result<PathBuf> {
    let dir = std::env::temp_dir().join(format!("gerbang-postgres-{}", random_hex()?));
    std::fs::create_dir(&dir)?;
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700))?;
    if shell::is_root()? {
        shell::output(Command::new("chown").arg("postgres:").arg(&dir))
            .context("PostgreSQL must not run as root, and there is no user `postgres`")?;
    }
    Ok(dir)
}

/// A command as a user PostgreSQL accepts.
fn as_user(program: &Path) -> Result<Command> {
    if !shell::is_root()? {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
    Ok(command)
}

fn init(bin: &Path, dir: &Path, password: &str) -> Result<()> {
    let password_file = dir.join("password");
    std::fs::write(&password_file, password)?;
    if shell::is_root()? {
        shell::output(Command::new("chown").arg("postgres:").arg(&password_file))?;
    }
    let mut initdb = as_user(&bin.join("initdb"))?;
    initdb.current_dir(dir).arg("--pgdata").arg(dir.join("data")).arg("--pwfile");
    initdb.arg(&password_file).args(["--username", USER, "--auth=scram-sha-256"]);
    initdb.args(["--encoding=UTF8", "--locale=C", "--no-sync"]);
    shell::output(&mut initdb)?;
    std::fs::remove_file(password_file)?;
    Ok(())
}

fn start(bin: &Path, dir: &Path, port: u16, settings: &[&str]) -> Result<Child> {
    let server = as_user(&bin.join("postgres"))?;
    let mut keeper = Command::new("sh");
    keeper.args(["-c", KEEPER, "keeper"]).arg(dir);
    keeper.arg(server.get_program()).args(server.get_args());
    keeper.arg("-D").arg(dir.join("data")).args(["-p", &port.to_string()]);
    keeper.arg("-k").arg(dir).args(["-h", "127.0.0.1"]);
    for setting in settings.iter().copied().chain(["max_connections=400"]) {
        keeper.args(["-c", setting]);
    }
    keeper.current_dir(dir).stdin(Stdio::piped()).spawn().context("cannot start PostgreSQL")
}

fn wait_until_ready(bin: &Path, dir: &Path, port: u16) -> Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    let is_ready = || {
        let mut ready = Command::new(bin.join("pg_isready"));
        ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
        ready.status().is_ok_and(|status| status.success())
    };
    while !is_ready() {
        if Instant::now() > deadline {
            let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
            bail!("PostgreSQL did not start within {START_TIMEOUT:?}:\n{log}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn random_hex() -> Result<String> {
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom")?.read(&mut bytes)?;
    ensure!(read == bytes.len(), "/dev/urandom gave too little");
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_while_it_is_held_and_leaves_nothing_behind() {
        let bin = find_bin_dir().expect("no PostgreSQL: run `cargo xtask test packages`");
        let dir = make_dir().unwrap();
        init(&bin, &dir, "secret").unwrap();
        let port = free_port().unwrap();
        let keeper = start(&bin, &dir, port, &NOT_SYNCED).unwrap();
        let cluster = Cluster::Own { url: String::new(), keeper };
        wait_until_ready(&bin, &dir, port).unwrap();
        drop(cluster);
        assert!(!dir.exists(), "{} is still there", dir.display());
    }
}
