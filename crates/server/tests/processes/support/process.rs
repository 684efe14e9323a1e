//! A child process: its lines are read as they come, and it dies with the test.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

const LINE_TIMEOUT: Duration = Duration::from_secs(60);
const EXIT_TIMEOUT: Duration = Duration::from_secs(30);
const MIN_FREE_SPACE: &str = "GERBANG_MIN_FREE_SPACE";
/// How much of its output is shown when a test fails.
const LINES_SHOWN: usize = 60;

/// A running program.
pub struct Process {
    name: &'static str,
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    output: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts it; its input stays open as long as it runs.
    pub fn start(name: &'static str, mut command: Command) -> Self {
        // A test machine may have little free space.
        if command.as_std().get_envs().all(|(name, _)| name != MIN_FREE_SPACE) {
            command.env(MIN_FREE_SPACE, "0");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        let output = Arc::new(Mutex::new(Vec::new()));
        let (sender, lines) = mpsc::unbounded_channel();
        read(child.stdout.take().unwrap(), output.clone(), sender.clone());
        read(child.stderr.take().unwrap(), output.clone(), sender);
        Self { name, child, lines, output }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it has ended")
    }

    /// Waits for a line that `read` makes something of.
    pub async fn line<T>(&mut self, what: &str, read: impl Fn(&str) -> Option<T>) -> T {
        let wanted = async {
            while let Some(line) = self.lines.recv().await {
                if let Some(found) = read(&line) {
                    return Some(found);
                }
            }
            None
        };
        match tokio::time::timeout(LINE_TIMEOUT, wanted).await {
            Ok(Some(found)) => found,
            Ok(None) => panic!("{} ended before it printed {what}", self.name),
            Err(_) => panic!("{} did not print {what}", self.name),
        }
    }

    /// Writes a line to its input.
    pub async fn write_line(&mut self, line: &str) {
        use tokio::io::AsyncWriteExt as _;
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        input.flush().await.unwrap();
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM").await;
        self.exit().await
    }

    /// Sends it a signal, by its name without `SIG`.
    pub async fn signal(&self, name: &str) {
        let signal = format!("-{name}");
        let kill = Command::new("kill").args([&signal, &self.id().to_string()]).status().await;
        assert!(kill.unwrap().success());
    }

    /// Waits until it ends by itself.
    pub async fn exit(&mut self) -> ExitStatus {
        match tokio::time::timeout(EXIT_TIMEOUT, self.child.wait()).await {
            Ok(status) => status.unwrap(),
            Err(_) => panic!("{} did not end within {EXIT_TIMEOUT:?}", self.name),
        }
    }

    /// Everything it has printed so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = self.output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let start = output.len().saturating_sub(LINES_SHOWN);
            eprintln!("--- the end of {}'s output\n{}\n---", self.name, output[start..].join("\n"));
        }
    }
}

fn read(
    from: impl AsyncRead + Unpin + Send + 'static,
    output: Arc<Mutex<Vec<String>>>,
    lines: mpsc::UnboundedSender<String>,
) {
    let mut reader = BufReader::new(from).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = reader.next_line().await {
            output.lock().unwrap().push(line.clone());
            let _ = lines.send(line);
        }
    });
}
