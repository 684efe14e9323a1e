//! Three-byte length frames, and the header in front of the first one.
//!
//! Frames may be split over, or share, web-socket messages. A declared length beyond
//! [`FRAME_BYTES_MAX`] ends the connection before anything is reserved for it.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::error::{Result, SimulatorError};
use crate::limits::{FRAME_BYTES_MAX, ROUTING_BYTES_MAX};

const LENGTH_BYTES: usize = 3;
const HEADER_BYTES: usize = 4;

/// Cuts a byte stream into frames.
#[derive(Default)]
pub(crate) struct FrameReader {
    buffer: BytesMut,
}

impl FrameReader {
    /// Adds received bytes.
    pub(crate) fn feed(&mut self, data: &[u8]) -> Result<()> {
        if self.buffer.len() + data.len() > 2 * FRAME_BYTES_MAX {
            return Err(SimulatorError::Protocol("too much data before a frame's end"));
        }
        self.buffer.extend_from_slice(data);
        Ok(())
    }

    /// The connection header (`WA`, version, dictionary), after any routing information.
    pub(crate) fn header(&mut self) -> Result<Option<[u8; HEADER_BYTES]>> {
        if self.buffer.len() < HEADER_BYTES {
            return Ok(None);
        }
        if self.buffer.starts_with(b"ED\x00\x01") {
            let Some(length) = self.length_at(HEADER_BYTES) else {
                return Ok(None);
            };
            if length > ROUTING_BYTES_MAX {
                return Err(SimulatorError::Protocol("routing information too long"));
            }
            let skip = HEADER_BYTES + LENGTH_BYTES + length;
            if self.buffer.len() < skip + HEADER_BYTES {
                return Ok(None);
            }
            self.buffer.advance(skip);
        }
        let Some(header) = self.buffer.first_chunk::<HEADER_BYTES>().copied() else {
            return Ok(None);
        };
        if !header.starts_with(b"WA") {
            return Err(SimulatorError::Protocol("not a WhatsApp connection"));
        }
        self.buffer.advance(HEADER_BYTES);
        Ok(Some(header))
    }

    /// The next whole frame.
    pub(crate) fn frame(&mut self) -> Result<Option<BytesMut>> {
        let Some(length) = self.length_at(0) else {
            return Ok(None);
        };
        if length > FRAME_BYTES_MAX {
            return Err(SimulatorError::Protocol("frame too long"));
        }
        if self.buffer.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(LENGTH_BYTES);
        Ok(Some(self.buffer.split_to(length)))
    }

    fn length_at(&self, offset: usize) -> Option<usize> {
        let bytes = self.buffer.get(offset..offset + LENGTH_BYTES)?;
        Some(bytes.iter().fold(0, |sum, b| sum << 8 | usize::from(*b)))
    }
}

/// `payload` with its length in front.
pub(crate) fn frame(payload: &[u8]) -> Result<Bytes> {
    if payload.len() > FRAME_BYTES_MAX {
        return Err(SimulatorError::Protocol("frame too long"));
    }
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = BytesMut::with_capacity(LENGTH_BYTES + payload.len());
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(payload);
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut() {
        let mut stream = b"WA\x06\x03".to_vec();
        for payload in [b"one".as_slice(), b"", &[7; 70_000]] {
            stream.extend_from_slice(&frame(payload).unwrap());
        }
        for step in [1, 2, 5, 1_000, stream.len()] {
            let (mut reader, mut header, mut frames) = (FrameReader::default(), None, Vec::new());
            for chunk in stream.chunks(step) {
                reader.feed(chunk).unwrap();
                if header.is_none() {
                    header = reader.header().unwrap();
                }
                while header.is_some()
                    && let Some(frame) = reader.frame().unwrap()
                {
                    frames.push(frame.to_vec());
                }
            }
            assert_eq!(header, Some(*b"WA\x06\x03"));
            assert_eq!(frames, [b"one".to_vec(), Vec::new(), vec![7; 70_000]]);
        }
    }

    #[test]
    fn routing_information_is_skipped() {
        let mut reader = FrameReader::default();
        reader.feed(b"ED\x00\x01\x00\x00\x02xy").unwrap();
        assert_eq!(reader.header().unwrap(), None);
        reader.feed(b"WA\x06\x03").unwrap();
        assert_eq!(reader.header().unwrap(), Some(*b"WA\x06\x03"));
    }

    #[test]
    fn hostile_lengths_and_headers_are_refused() {
        let refused = |bytes: &[u8], read: fn(&mut FrameReader) -> Result<()>| {
            let mut reader = FrameReader::default();
            reader.feed(bytes).unwrap();
            read(&mut reader).unwrap_err().to_string()
        };
        let header = |reader: &mut FrameReader| reader.header().map(drop);
        let frame = |reader: &mut FrameReader| reader.frame().map(drop);
        assert_eq!(refused(b"GET / HTTP", header), "protocol: not a WhatsApp connection");
        let routing = b"ED\x00\x01\xff\xff\xff";
        assert_eq!(refused(routing, header), "protocol: routing information too long");
        assert_eq!(refused(b"\xff\xff\xff", frame), "protocol: frame too long");
    }
}
