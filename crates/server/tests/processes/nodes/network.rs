//! A machine of its own for one node, as a network namespace: one wire leads to the database, another one to
//! WhatsApp and the callers, and each can be cut. What is sent over a wire that is cut just vanishes.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::env;

/// Gone with everything in it when this is dropped.
pub struct Machine {
    name: String,
    dir: TempDir,
    wires: [Wire; 2],
    forwards: Vec<JoinHandle<()>>,
}

/// A pair of interfaces: one here, one in the machine.
struct Wire {
    here: String,
    /// The first three numbers of its addresses: `.1` is here, `.2` in the machine.
    net: String,
}

const DATABASE: usize = 0;
const OUTSIDE: usize = 1;

impl Machine {
    /// Makes one.
    ///
    /// # Panics
    /// Where namespaces are not permitted, or `ip` is missing.
    pub fn new() -> Self {
        let number = std::process::id() % 250;
        let name = format!("gerbang-{}", std::process::id());
        let wire = |n: usize| Wire {
            here: format!("gb{n}-{}", std::process::id()),
            net: format!("10.{}.{number}", 211 + n),
        };
        let machine = Self {
            name,
            dir: tempfile::tempdir().unwrap(),
            wires: [wire(DATABASE), wire(OUTSIDE)],
            forwards: Vec::new(),
        };
        ip(&["netns", "add", &machine.name]);
        for (n, Wire { here, net }) in machine.wires.iter().enumerate() {
            let there = format!("eth{n}");
            ip(&["link", "add", here, "type", "veth", "peer", &there, "netns", &machine.name]);
            ip(&["address", "add", &format!("{net}.1/30"), "dev", here]);
            ip(&["link", "set", here, "up"]);
            let inside = |args: &[&str]| ip(&[&["-n", &machine.name], args].concat());
            inside(&["address", "add", &format!("{net}.2/30"), "dev", &there]);
            inside(&["link", "set", &there, "up"]);
        }
        ip(&["-n", &machine.name, "link", "set", "lo", "up"]);
        machine
    }

    /// `gerbang` on this machine: a program to be started in its place.
    pub fn gerbang(&self) -> PathBuf {
        let path = self.dir.path().join("gerbang");
        let binary = env::gerbang();
        let script =
            format!("#!/bin/sh\nexec ip netns exec {} {} \"$@\"\n", self.name, binary.display());
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    /// Where a gateway on it listens.
    pub fn listen(&self) -> String {
        format!("{}.2:0", self.wires[OUTSIDE].net)
    }

    /// The address of the database as it is reached from it.
    pub async fn database(&mut self, url: &str) -> String {
        self.forward(DATABASE, url).await
    }

    /// The address of a server outside as it is reached from it.
    pub async fn outside(&mut self, url: &str) -> String {
        self.forward(OUTSIDE, url).await
    }

    /// Cuts the wire to the database.
    pub fn cut_database(&self) {
        ip(&["link", "set", &self.wires[DATABASE].here, "down"]);
    }

    /// Mends it.
    pub fn mend_database(&self) {
        ip(&["link", "set", &self.wires[DATABASE].here, "up"]);
    }

    /// Servers of the tests listen on loopback: what comes over the wire is passed on to them.
    async fn forward(&mut self, wire: usize, url: &str) -> String {
        let (start, server, rest) = split(url);
        let listener = TcpListener::bind(format!("{}.1:0", self.wires[wire].net)).await.unwrap();
        let address = listener.local_addr().unwrap();
        self.forwards.push(tokio::spawn(pass_on(listener, server)));
        format!("{start}{address}{rest}")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.forwards.iter().for_each(JoinHandle::abort);
        // Its interfaces go with it, and so do their ends here.
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
        for Wire { here, .. } in &self.wires {
            let _ = Command::new("ip").args(["link", "delete", here]).output();
        }
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output();
    let output = output.unwrap_or_else(|error| panic!("ip, of iproute2, is needed: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() || !Path::new("/proc/self/ns/net").exists(),
        "network namespaces are not permitted here (run as root, or in a container with NET_ADMIN and \
         SYS_ADMIN): ip {args:?}: {error}"
    );
    assert!(output.status.success(), "this system has no network namespaces: ip {args:?}: {error}");
}

/// What is before `HOST:PORT` in a URL, the server itself, and what follows.
fn split(url: &str) -> (&str, SocketAddr, &str) {
    let start = url.rfind('@').map_or_else(|| url.find("://").unwrap() + 3, |at| at + 1);
    let end = url[start..].find(['/', '?']).map_or(url.len(), |at| start + at);
    (&url[..start], url[start..end].parse().unwrap(), &url[end..])
}

async fn pass_on(listener: TcpListener, server: SocketAddr) {
    while let Ok((mut from, _)) = listener.accept().await {
        tokio::spawn(async move {
            let Ok(mut to) = TcpStream::connect(server).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
        });
    }
}

#[test]
fn a_url_is_led_elsewhere() {
    let server = "127.0.0.1:5432".parse().unwrap();
    let parts = split("postgres://me:secret@127.0.0.1:5432/name?sslmode=off");
    assert_eq!(parts, ("postgres://me:secret@", server, "/name?sslmode=off"));
    assert_eq!(split("ws://127.0.0.1:5432/ws/chat"), ("ws://", server, "/ws/chat"));
}
