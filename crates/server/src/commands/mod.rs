//! One file per command.

pub mod admin;
pub mod backup;
#[cfg(feature = "simulator")]
pub mod demo;
pub mod migrate;
pub mod openapi;
pub mod serve;
#[cfg(feature = "simulator")]
pub mod simulator;

use std::future::Future;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};

/// Most connections that the system keeps until they are accepted: a client beyond them tries again only
/// after a second.
const BACKLOG: u32 = 4_096;

/// Prints a line for people; that they read no further does not end the gateway.
pub fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Runs a command to its end on a runtime of its own.
pub fn run(command: impl Future<Output = Result<()>>) -> Result<()> {
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let done = runtime.block_on(command);
    // What a command was stopped in the middle of may be reading a large file.
    runtime.shutdown_background();
    done
}

/// Runs work that SIGINT and SIGTERM stop; it removes what it has not finished when it is dropped.
///
/// # Errors
/// The work's, or that it was stopped.
pub async fn until_stopped<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        () = stop_signal() => bail!("stopped; nothing has changed"),
    }
}

/// Every connection is an open file, and shells allow 1,024 of them unless they are asked for more.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Refused by no system known; with fewer, connections wait in front of the listener.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Prints a document. A reader that has seen enough, such as `head`, is no error.
///
/// # Errors
/// It cannot be written.
pub fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot print"),
        _ => Ok(()),
    }
}

/// Listens on the address.
///
/// # Errors
/// The port is in use, or needs more privileges.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A restart must not wait for connections of the process before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bind().with_context(|| format!("cannot listen on {address}; --listen takes another address"))
}

/// Warns of a simulator that other machines can reach.
#[cfg(feature = "simulator")]
pub fn warn_unless_loopback(address: SocketAddr, what: &str) {
    if !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "{what} can be reached from other machines: its phones can be operated from there, for \
             it has no keys"
        );
    }
}

/// Ends when the process is asked to stop (SIGINT, SIGTERM).
pub async fn stop_signal() {
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}
