//! A connection whose other end has gone without a word is noticed, and nothing is lost with it.

use std::net::SocketAddr;
use std::time::Duration;

use domain::device::DisconnectReason;
use domain::ports::{Messenger, MessengerEvent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, interval};

use crate::world::{OURS, THEIRS, World, chat, new_id};

/// How old `alive_at` of a connected device is at most.
const ALIVE_MAX: Duration = Duration::from_secs(60);
/// Longer than what follows a login takes: after it only what asks for it shows that a connection is alive.
const IDLE: Duration = Duration::from_secs(10);

/// Forwards connections, until they are made to hang.
struct Line {
    address: SocketAddr,
    generation: watch::Sender<u32>,
}

impl Line {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let generation = watch::Sender::new(0);
        let line = generation.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(target).await.unwrap();
                let ((from, to), (back, answer)) = (client.into_split(), server.into_split());
                let born = *line.borrow();
                tokio::spawn(forward(from, answer, line.subscribe(), born));
                tokio::spawn(forward(back, to, line.subscribe(), born));
            }
        });
        Self { address, generation }
    }

    /// What is connected now hangs for ever; later connections work.
    fn hang(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }
}

async fn raised(generation: &mut watch::Receiver<u32>, born: u32) {
    let _ = generation.wait_for(|now| *now != born).await;
}

async fn forward(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    mut generation: watch::Receiver<u32>,
    born: u32,
) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            biased;
            () = raised(&mut generation, born) => return std::future::pending().await,
            read = from.read(&mut bytes) => match read {
                Ok(count) if count > 0 => {
                    if to.write_all(&bytes[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}

#[tokio::test]
async fn a_dead_socket_is_noticed_within_a_minute() {
    let mut world = World::new().await;
    let line = Line::to(world.address()).await;
    world.go_through(line.address).await;
    let device = world.link(OURS).await;
    let first = world.send(device, &chat(THEIRS), "sebelum").await;
    world.heard(device, MessengerEvent::Acknowledged(first)).await;
    assert!(world.messenger.alive_at(device).is_some());

    line.hang();
    let hung_at = Instant::now();
    let id = new_id();
    world.try_send(device, &chat(THEIRS), &id, "ke dalam gelap").await.unwrap();
    let lost = MessengerEvent::Disconnected(DisconnectReason::ConnectionLost);
    world.heard(device, lost).await;
    assert!(hung_at.elapsed() < Duration::from_secs(60), "{:?}", hung_at.elapsed());
    assert_eq!(world.messenger.alive_at(device), None);
    world.connected(device).await;
    world.try_send(device, &chat(THEIRS), &id, "ke dalam gelap").await.unwrap();
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    assert_eq!(world.sim.mail(THEIRS, &id).await["copies"], 1);
}

#[tokio::test]
async fn an_idle_device_is_seen_alive_every_minute() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let alive_at = || world.messenger.alive_at(device).unwrap();
    let (mut last, mut seen_at) = (alive_at(), Instant::now());
    let mut looks = interval(Duration::from_millis(100));
    loop {
        looks.tick().await;
        let now = alive_at();
        assert!(seen_at.elapsed() < ALIVE_MAX, "nothing for {:?}", seen_at.elapsed());
        if now == last {
            continue;
        }
        if seen_at.elapsed() >= IDLE {
            break;
        }
        (last, seen_at) = (now, Instant::now());
    }
    assert!(world.messenger.alive().iter().any(|(of, _)| *of == device));
}
