//! One web socket: the handshake, then a reading half and a writing half.
//!
//! The halves only turn frames into stanzas and back; what a stanza means is decided by the
//! switchboard. Whichever half ends first ends the connection.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_websockets::{Message, WebSocketStream};
use wacore_binary::{Node, OwnedNodeRef, marshal, util};
use wacore_noise::NoiseCipher;

use super::certificates::ServerIdentity;
use super::frames::{FrameReader, frame};
use super::noise::{Established, HandshakeStep, answer_hello};
use crate::error::{Result, SimulatorError};
use crate::limits::{
    HANDSHAKE_TIME_MAX, LINGER_TIME_MAX, OUTGOING_STANZAS_MAX, SILENCE_TIME_MAX, WRITE_TIME_MAX,
};
use crate::switchboard::{ConnId, SwitchboardHandle};

/// A client's connection.
pub(crate) type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// An entry of a connection's outgoing queue.
pub(crate) enum SocketCommand {
    /// A stanza, not to leave before `due` when there is one.
    Stanza { node: Box<Node>, due: Option<Instant> },
    /// Everything before this has been written: more mail may be fetched.
    MailPageWritten,
    /// The connection ends here.
    Close,
}

/// Serves one socket until it ends.
pub(crate) async fn serve(
    socket: WebSocket,
    server: Arc<ServerIdentity>,
    switchboard: SwitchboardHandle,
    host: String,
) {
    let (mut sink, mut stream) = socket.split();
    let mut frames = FrameReader::default();
    let shake = handshake(&mut sink, &mut stream, &mut frames, &server);
    let established = match timeout(HANDSHAKE_TIME_MAX, shake).await {
        Ok(Ok(established)) => established,
        Ok(Err(error)) => return tracing::debug!(%error, "handshake refused"),
        Err(_) => return tracing::debug!("handshake too slow"),
    };
    let Established { payload, client_static, write, read } = established;
    let (out, queue) = mpsc::channel(OUTGOING_STANZAS_MAX);
    let connect = switchboard.run(move |sb| sb.connect(out, payload, client_static, host));
    let Ok(conn) = connect.await else { return };
    let mut writer = tokio::spawn(write_stanzas(sink, write, queue, switchboard.clone(), conn));
    let ended = tokio::select! {
        ended = read_stanzas(&mut stream, &mut frames, read, &switchboard, conn) => ended,
        _ = &mut writer => Ok(()),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
    let said_goodbye = writer.is_finished();
    writer.abort();
    switchboard
        .post(move |sb| {
            sb.disconnected(conn);
            Ok(())
        })
        .await;
    if said_goodbye {
        linger(&mut stream).await;
    }
}

/// Reads on until the client closes too: closing with unread data resets the connection, and
/// the client would lose our last stanza, which says why it ends.
async fn linger(stream: &mut SplitStream<WebSocket>) {
    let drain = async { while let Some(Ok(_)) = stream.next().await {} };
    let _ = timeout(LINGER_TIME_MAX, drain).await;
}

async fn handshake(
    sink: &mut SplitSink<WebSocket, Message>,
    stream: &mut SplitStream<WebSocket>,
    frames: &mut FrameReader,
    server: &ServerIdentity,
) -> Result<Established> {
    let header = loop {
        if let Some(header) = frames.header()? {
            break header;
        }
        receive(stream, frames).await?;
    };
    let hello = next_frame(stream, frames).await?;
    let (answer, next) = answer_hello(server, &header, &hello)?;
    let answer = Message::binary(frame(&answer)?);
    sink.send(answer).await.map_err(|_| SimulatorError::Closed)?;
    match next {
        HandshakeStep::Done(established) => Ok(*established),
        HandshakeStep::AwaitFinish(half) => half.finish(&next_frame(stream, frames).await?),
    }
}

async fn next_frame(
    stream: &mut SplitStream<WebSocket>,
    frames: &mut FrameReader,
) -> Result<BytesMut> {
    loop {
        if let Some(frame) = frames.frame()? {
            return Ok(frame);
        }
        receive(stream, frames).await?;
    }
}

async fn receive(stream: &mut SplitStream<WebSocket>, frames: &mut FrameReader) -> Result<()> {
    loop {
        let Some(Ok(message)) = stream.next().await else { return Err(SimulatorError::Closed) };
        if message.is_binary() {
            return frames.feed(message.as_payload());
        } else if message.is_text() {
            return Err(SimulatorError::Protocol("text on a binary connection"));
        } else if message.is_close() {
            return Err(SimulatorError::Closed);
        }
    }
}

async fn read_stanzas(
    stream: &mut SplitStream<WebSocket>,
    frames: &mut FrameReader,
    cipher: NoiseCipher,
    switchboard: &SwitchboardHandle,
    conn: ConnId,
) -> Result<()> {
    for counter in 0_u32.. {
        let next = timeout(SILENCE_TIME_MAX, next_frame(stream, frames));
        let mut frame =
            next.await.map_err(|_| SimulatorError::Protocol("silent for too long"))??;
        cipher
            .decrypt_in_place_with_counter(counter, &mut frame)
            .map_err(|_| SimulatorError::Protocol("a frame does not decrypt"))?;
        let node = OwnedNodeRef::new(util::unpack_bytes(frame)?)?;
        switchboard.post(move |sb| sb.on_stanza(conn, node.get())).await;
    }
    Err(SimulatorError::Protocol("out of nonces"))
}

async fn write_stanzas(
    mut sink: SplitSink<WebSocket, Message>,
    cipher: NoiseCipher,
    mut queue: mpsc::Receiver<SocketCommand>,
    switchboard: SwitchboardHandle,
    conn: ConnId,
) {
    let mut counter = 0_u32;
    while let Some(outgoing) = queue.recv().await {
        match outgoing {
            SocketCommand::Stanza { node, due } => {
                if let Some(due) = due {
                    tokio::time::sleep_until(due.into()).await;
                }
                let Ok(sealed) = seal(&cipher, counter, &node) else {
                    tracing::warn!(tag = %node.tag, "a stanza could not be written");
                    break;
                };
                counter = counter.wrapping_add(1);
                match timeout(WRITE_TIME_MAX, sink.feed(Message::binary(sealed))).await {
                    Ok(Ok(())) => {}
                    _ => return,
                }
            }
            SocketCommand::MailPageWritten => {
                switchboard.post(move |sb| sb.next_mail_page(conn)).await
            }
            SocketCommand::Close => break,
        }
        if queue.is_empty() && !matches!(timeout(WRITE_TIME_MAX, sink.flush()).await, Ok(Ok(()))) {
            return;
        }
    }
    // Not `close()`, which would read, and drop, what the client still sends.
    let _ = timeout(WRITE_TIME_MAX, sink.send(Message::close(None, ""))).await;
}

fn seal(cipher: &NoiseCipher, counter: u32, node: &Node) -> Result<bytes::Bytes> {
    let plain = marshal::marshal(node)?;
    let sealed = cipher
        .encrypt_with_counter(counter, &plain)
        .map_err(|_| SimulatorError::Internal("encryption".into()))?;
    frame(&sealed)
}
