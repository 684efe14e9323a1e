//! The responder's side of WhatsApp's Noise handshakes: XX, IK, and XXfallback when a
//! client's IK hello was made for a server key that is not ours.
//!
//! A [`Handshake`] is driven by frames: [`answer`](answer_hello) takes the client's hello and
//! gives the server's; XX and XXfallback then need the client's finish.

use wacore_binary::consts::{NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK};
use wacore_libsignal::protocol::KeyPair;
use wacore_noise::{NoiseCipher, NoiseHandshake};
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::handshake_message::ServerHello;
use waproto::whatsapp::{ClientPayload, HandshakeMessage};

use super::certificates::ServerIdentity;
use crate::clock;
use crate::error::{Result, SimulatorError};

/// Both directions of an encrypted connection, and who is at the other end.
pub(crate) struct Established {
    /// The client's payload.
    pub(crate) payload: ClientPayload,
    /// The client's static key, proved by the handshake.
    pub(crate) client_static: [u8; 32],
    /// Encrypts what we write.
    pub(crate) write: NoiseCipher,
    /// Decrypts what we read.
    pub(crate) read: NoiseCipher,
}

/// What follows the server's hello.
pub(crate) enum HandshakeStep {
    /// IK: done.
    Done(Box<Established>),
    /// XX, XXfallback: the client's finish is awaited.
    AwaitFinish(Box<AwaitFinish>),
}

/// Half of an XX handshake.
pub(crate) struct AwaitFinish {
    noise: NoiseHandshake,
    ephemeral: KeyPair,
}

/// Answers a client's hello: the frame to send, and what follows.
pub(crate) fn answer_hello(
    server: &ServerIdentity,
    header: &[u8],
    hello: &[u8],
) -> Result<(Vec<u8>, HandshakeStep)> {
    let message = HandshakeMessage::decode_from_slice(hello)
        .map_err(|_| SimulatorError::Protocol("unreadable hello"))?;
    let hello =
        message.client_hello.into_option().ok_or(SimulatorError::Protocol("no client hello"))?;
    let client = key(hello.ephemeral.as_deref())?;
    let pattern = match (&hello.r#static, &hello.payload) {
        (Some(sealed_static), Some(sealed_payload)) => {
            if let Ok(answer) = answer_ik(server, header, &client, sealed_static, sealed_payload) {
                return Ok(answer);
            }
            NOISE_PATTERN_XXFALLBACK
        }
        _ => NOISE_PATTERN_XX,
    };
    answer_xx(server, header, pattern, &client)
}

fn answer_ik(
    server: &ServerIdentity,
    header: &[u8],
    client: &[u8; 32],
    sealed_static: &[u8],
    sealed_payload: &[u8],
) -> Result<(Vec<u8>, HandshakeStep)> {
    let own = server.key.private_key.serialize();
    let mut noise = NoiseHandshake::new(NOISE_PATTERN_IK, header).map_err(refused)?;
    noise.authenticate(server.key.public_key.public_key_bytes());
    noise.authenticate(client);
    noise.mix_shared_secret(own, client).map_err(refused)?;
    let client_static = key(Some(&noise.decrypt(sealed_static).map_err(refused)?))?;
    noise.mix_shared_secret(own, &client_static).map_err(refused)?;
    let payload = noise.decrypt(sealed_payload).map_err(refused)?;

    let ephemeral = KeyPair::generate(&mut clock::rng());
    let secret = ephemeral.private_key.serialize();
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    noise.mix_shared_secret(secret, client).map_err(refused)?;
    noise.mix_shared_secret(secret, &client_static).map_err(refused)?;
    let chain = noise.encrypt(&server.chain).map_err(refused)?;
    let hello = server_hello(&ephemeral, None, chain);
    let established = establish(noise, client_static, &payload)?;
    Ok((hello, HandshakeStep::Done(Box::new(established))))
}

fn answer_xx(
    server: &ServerIdentity,
    header: &[u8],
    pattern: &str,
    client: &[u8; 32],
) -> Result<(Vec<u8>, HandshakeStep)> {
    let mut noise = NoiseHandshake::new(pattern, header).map_err(refused)?;
    noise.authenticate(client);
    let ephemeral = KeyPair::generate(&mut clock::rng());
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client).map_err(refused)?;
    let sealed_static = noise.encrypt(server.key.public_key.public_key_bytes()).map_err(refused)?;
    noise.mix_shared_secret(server.key.private_key.serialize(), client).map_err(refused)?;
    let chain = noise.encrypt(&server.chain).map_err(refused)?;
    let hello = server_hello(&ephemeral, Some(sealed_static), chain);
    Ok((hello, HandshakeStep::AwaitFinish(Box::new(AwaitFinish { noise, ephemeral }))))
}

impl AwaitFinish {
    /// Takes the client's finish.
    pub(crate) fn finish(mut self, frame: &[u8]) -> Result<Established> {
        let message = HandshakeMessage::decode_from_slice(frame)
            .map_err(|_| SimulatorError::Protocol("unreadable finish"))?;
        let finish = message
            .client_finish
            .into_option()
            .ok_or(SimulatorError::Protocol("no client finish"))?;
        let sealed_static = finish.r#static.unwrap_or_default();
        let client_static = key(Some(&self.noise.decrypt(&sealed_static).map_err(refused)?))?;
        self.noise
            .mix_shared_secret(self.ephemeral.private_key.serialize(), &client_static)
            .map_err(refused)?;
        let sealed_payload = finish.payload.unwrap_or_default();
        let payload = self.noise.decrypt(&sealed_payload).map_err(refused)?;
        establish(self.noise, client_static, &payload)
    }
}

fn establish(
    noise: NoiseHandshake,
    client_static: [u8; 32],
    payload: &[u8],
) -> Result<Established> {
    let payload = ClientPayload::decode_from_slice(payload)
        .map_err(|_| SimulatorError::Protocol("unreadable client payload"))?;
    // The initiator writes with the first key; for us it is the reading one.
    let (read, write) = noise.finish().map_err(refused)?;
    Ok(Established { payload, client_static, write, read })
}

fn server_hello(ephemeral: &KeyPair, sealed_static: Option<Vec<u8>>, chain: Vec<u8>) -> Vec<u8> {
    HandshakeMessage {
        server_hello: MessageField::some(ServerHello {
            ephemeral: Some(ephemeral.public_key.public_key_bytes().to_vec()),
            r#static: sealed_static,
            payload: Some(chain),
            ..Default::default()
        }),
        ..Default::default()
    }
    .encode_to_vec()
}

fn key(bytes: Option<&[u8]>) -> Result<[u8; 32]> {
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(SimulatorError::Protocol("a key is not 32 bytes"))
}

fn refused<E>(_: E) -> SimulatorError {
    SimulatorError::Protocol("handshake refused")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Seed;
    use wacore_binary::consts::WA_CONN_HEADER;
    use wacore_noise::{HandshakeUtils, IkHandshakeState, IkServerHelloOutcome};

    fn server() -> ServerIdentity {
        ServerIdentity::new(&Seed::new([7; 32])).unwrap()
    }

    fn payload() -> Vec<u8> {
        ClientPayload { username: Some(628_123), ..Default::default() }.encode_to_vec()
    }

    fn talk(established: &Established, write: &NoiseCipher, read: &NoiseCipher) {
        assert_eq!(established.payload.username, Some(628_123));
        let mut up = write.encrypt_with_counter(0, b"up").unwrap();
        established.read.decrypt_in_place_with_counter(0, &mut up).unwrap();
        assert_eq!(up, b"up");
        let mut down = established.write.encrypt_with_counter(0, b"down").unwrap();
        read.decrypt_in_place_with_counter(0, &mut down).unwrap();
        assert_eq!(down, b"down");
    }

    /// The library's own XX client refuses our root, so the client's half is spelt out.
    #[test]
    fn xx_completes_and_the_chain_names_the_server_key() {
        let server = server();
        let (eph, stat) =
            (KeyPair::generate(&mut clock::rng()), KeyPair::generate(&mut clock::rng()));
        let hello =
            HandshakeUtils::build_client_hello(eph.public_key.public_key_bytes()).encode_to_vec();
        let (answer, next) = answer_hello(&server, &WA_CONN_HEADER, &hello).unwrap();
        let HandshakeStep::AwaitFinish(await_finish) = next else { panic!("XX needs a finish") };
        let (server_eph, sealed_static, sealed_chain) =
            HandshakeUtils::parse_server_hello(&answer).unwrap();
        let mut noise = NoiseHandshake::new(NOISE_PATTERN_XX, &WA_CONN_HEADER).unwrap();
        noise.authenticate(eph.public_key.public_key_bytes());
        noise.authenticate(&server_eph);
        noise.mix_shared_secret(eph.private_key.serialize(), &server_eph).unwrap();
        let server_static = noise.decrypt(&sealed_static).unwrap();
        assert_eq!(server_static, server.key.public_key.public_key_bytes());
        noise.mix_shared_secret(eph.private_key.serialize(), &server_static).unwrap();
        assert_eq!(noise.decrypt(&sealed_chain).unwrap(), server.chain);
        let sealed = noise.encrypt(stat.public_key.public_key_bytes()).unwrap();
        noise.mix_shared_secret(stat.private_key.serialize(), &server_eph).unwrap();
        let sealed_payload = noise.encrypt(&payload()).unwrap();
        let finish = HandshakeUtils::build_client_finish(sealed, sealed_payload).encode_to_vec();
        let established = await_finish.finish(&finish).unwrap();
        let (write, read) = noise.finish().unwrap();
        talk(&established, &write, &read);
    }

    #[test]
    fn ik_completes_with_the_cached_key() {
        let server = server();
        let mut key = [0; 32];
        key.copy_from_slice(server.key.public_key.public_key_bytes());
        let client = KeyPair::generate(&mut clock::rng());
        let mut ik = IkHandshakeState::new(client, key, payload(), &WA_CONN_HEADER).unwrap();
        let hello = ik.build_client_hello().unwrap();
        let (answer, next) = answer_hello(&server, &WA_CONN_HEADER, &hello).unwrap();
        let HandshakeStep::Done(established) = next else { panic!("IK is done at once") };
        let IkServerHelloOutcome::Continue(outcome) = ik.read_server_hello(&answer).unwrap() else {
            panic!("the client fell back")
        };
        talk(&established, &outcome.write_cipher, &outcome.read_cipher);
    }

    #[test]
    fn a_stale_key_falls_back() {
        let client = KeyPair::generate(&mut clock::rng());
        let mut ik = IkHandshakeState::new(client, [9; 32], payload(), &WA_CONN_HEADER).unwrap();
        let hello = ik.build_client_hello().unwrap();
        let (answer, next) = answer_hello(&server(), &WA_CONN_HEADER, &hello).unwrap();
        assert!(matches!(next, HandshakeStep::AwaitFinish(_)));
        let outcome = ik.read_server_hello(&answer).unwrap();
        assert!(matches!(outcome, IkServerHelloOutcome::Fallback(_)));
    }

    #[test]
    fn nonsense_is_refused() {
        for (hello, reason) in [
            (b"".as_slice(), "protocol: no client hello"),
            (b"\xff\xff", "protocol: unreadable hello"),
            (&[0x12; 300], "protocol: unreadable hello"),
            (b"\x12\x02\x0a\x00", "protocol: a key is not 32 bytes"),
        ] {
            let error = answer_hello(&server(), &WA_CONN_HEADER, hello).err().unwrap();
            assert_eq!(error.to_string(), reason, "{hello:?}");
        }
    }
}
