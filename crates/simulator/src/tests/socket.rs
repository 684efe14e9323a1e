//! A client over a real web socket: the handshake, a query, and what ends a connection.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};
use wacore_binary::consts::{NOISE_PATTERN_XX, WA_CONN_HEADER};
use wacore_binary::{marshal, util};
use wacore_libsignal::protocol::KeyPair;
use wacore_noise::{HandshakeUtils, NoiseCipher, NoiseHandshake};
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp as wa;

use super::http::serve;
use super::simulator;
use crate::clock;
use crate::wire::frames::{FrameReader, frame};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(address: &str) -> Socket {
    let client = ClientBuilder::new().uri(&format!("ws://{address}/ws/chat")).unwrap();
    client.connect().await.unwrap().0
}

async fn next_frame(socket: &mut Socket, frames: &mut FrameReader) -> Option<Vec<u8>> {
    loop {
        if let Some(frame) = frames.frame().unwrap() {
            return Some(frame.to_vec());
        }
        let message = socket.next().await?.ok()?;
        if message.is_close() {
            return None;
        } else if message.is_binary() {
            frames.feed(message.as_payload()).unwrap();
        }
    }
}

/// The client's half of XX, written out because the library's refuses our root.
async fn handshake(socket: &mut Socket, frames: &mut FrameReader) -> (NoiseCipher, NoiseCipher) {
    let pair = || KeyPair::generate(&mut clock::rng());
    let (eph, stat) = (pair(), pair());
    let hello =
        HandshakeUtils::build_client_hello(eph.public_key.public_key_bytes()).encode_to_vec();
    let first = [&WA_CONN_HEADER[..], &frame(&hello).unwrap()].concat();
    socket.send(Message::binary(first)).await.unwrap();
    let answer = next_frame(socket, frames).await.unwrap();
    let (server_eph, sealed_static, chain) = HandshakeUtils::parse_server_hello(&answer).unwrap();
    let mut noise = NoiseHandshake::new(NOISE_PATTERN_XX, &WA_CONN_HEADER).unwrap();
    noise.authenticate(eph.public_key.public_key_bytes());
    noise.authenticate(&server_eph);
    noise.mix_shared_secret(eph.private_key.serialize(), &server_eph).unwrap();
    let server_static = noise.decrypt(&sealed_static).unwrap();
    noise.mix_shared_secret(eph.private_key.serialize(), &server_static).unwrap();
    noise.decrypt(&chain).unwrap();
    let sealed = noise.encrypt(stat.public_key.public_key_bytes()).unwrap();
    noise.mix_shared_secret(stat.private_key.serialize(), &server_eph).unwrap();
    let payload = wa::ClientPayload {
        device_pairing_data: MessageField::some(Default::default()),
        ..Default::default()
    };
    let payload = noise.encrypt(&payload.encode_to_vec()).unwrap();
    let finish = HandshakeUtils::build_client_finish(sealed, payload).encode_to_vec();
    socket.send(Message::binary(frame(&finish).unwrap())).await.unwrap();
    noise.finish().unwrap()
}

#[tokio::test]
async fn a_client_shakes_hands_and_is_offered_pairing_then_breaks_the_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let address = serve(simulator(&dir).await.router()).await;
    let mut socket = connect(&address).await;
    let mut frames = FrameReader::default();
    let (_, read) = handshake(&mut socket, &mut frames).await;
    let mut sealed = next_frame(&mut socket, &mut frames).await.unwrap();
    read.decrypt_in_place_with_counter(0, &mut sealed).unwrap();
    let plain = util::unpack(&sealed).unwrap();
    let node = marshal::unmarshal_ref(&plain).unwrap();
    assert!(node.get_optional_child_by_tag(&["pair-device", "ref"]).is_some());
    // A frame that does not decrypt ends the connection.
    let garbage = frame(&[7; 40]).unwrap();
    socket.send(Message::binary(garbage)).await.unwrap();
    assert_eq!(next_frame(&mut socket, &mut frames).await, None);
}

#[tokio::test]
async fn what_is_not_a_handshake_is_hung_up_on() {
    let dir = tempfile::tempdir().unwrap();
    let address = serve(simulator(&dir).await.router()).await;
    let oversized = [&WA_CONN_HEADER[..], &[0xFF; 3]].concat();
    let nonsense = [&WA_CONN_HEADER[..], &[0, 0, 3, 9, 9, 9]].concat();
    for first in [
        Message::binary(b"GET / HTTP/1.1".to_vec()),
        Message::text("hello"),
        Message::binary(oversized),
        Message::binary(nonsense),
    ] {
        let mut socket = connect(&address).await;
        socket.send(first).await.unwrap();
        let mut frames = FrameReader::default();
        assert_eq!(next_frame(&mut socket, &mut frames).await, None);
    }
}
