//! A PostgreSQL server of a test's own, which can be stopped like a crash and started again.

use std::path::PathBuf;

use tempfile::TempDir;
use tokio::process::Command;

/// A server with its data in a folder of its own; stopped when dropped.
pub struct OwnPostgres {
    bin: PathBuf,
    dir: TempDir,
    port: u16,
}

impl OwnPostgres {
    /// Makes a cluster and starts it on a free port. As root it runs as the user `postgres`, for
    /// PostgreSQL refuses to run as root.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        if is_root() {
            let chown = Command::new("chown").arg("postgres:").arg(dir.path()).status().await;
            assert!(chown.unwrap().success(), "there is no user `postgres`");
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let server = Self { bin: bin_dir(), dir, port };
        let mut initdb = server.command("initdb");
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]);
        run(initdb).await;
        server.resume().await;
        server
    }

    /// The address of its one database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends every process of it at once, without a shutdown: the next start recovers.
    pub async fn crash(&self) {
        run(self.stop_command()).await;
    }

    /// Starts it, and returns once it takes connections.
    pub async fn resume(&self) {
        let mut start = self.command("pg_ctl");
        let socket = self.dir.path().display();
        start.arg("-l").arg(self.dir.path().join("log")).arg("-o");
        start.arg(format!("-p {} -h 127.0.0.1 -k {socket}", self.port)).args(["-w", "start"]);
        run(start).await;
    }

    fn stop_command(&self) -> Command {
        let mut stop = self.command("pg_ctl");
        stop.args(["-m", "immediate", "stop"]);
        stop
    }

    /// A program of PostgreSQL on its data.
    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.dir.path()).arg("-D").arg(self.dir.path().join("data"));
        command.stdout(std::process::Stdio::null());
        command
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        let _ = self.stop_command().into_std().status();
    }
}

async fn run(mut command: Command) {
    let status = command.status().await.unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Where `initdb` is: where Debian puts it, the newest, else on PATH.
fn bin_dir() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |name: &std::ffi::OsStr| name.to_str()?.parse::<u32>().ok();
    let newest = versions.filter_map(|entry| Some((number(&entry.file_name())?, entry.path())));
    let newest = newest.filter(|(_, path)| path.join("bin/initdb").is_file()).max();
    newest.map_or_else(PathBuf::new, |(_, path)| path.join("bin"))
}
