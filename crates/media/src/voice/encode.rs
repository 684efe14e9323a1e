//! Writes OGG/Opus (RFC 7845).

use std::io::Write;

use ogg::{PacketWriteEndInfo, PacketWriter};
use ropus::{Application, Bitrate, Channels, Encoder, Signal};

use super::measure::Measured;
use super::{FRAME_SAMPLES, RATE, VoiceError};

/// Bits per second: clear speech, and acceptable music.
const BITRATE: u32 = 32_000;
/// The encoder's effort, of 10.
const COMPLEXITY: u8 = 5;
/// Frames in a page: one second.
const PAGE_FRAMES: u64 = 50;
/// Largest packet of one frame.
const PACKET_BYTES_MAX: usize = 1_275;
/// Each file holds one stream, so any number will do.
const SERIAL: u32 = 1;

/// Encodes samples at 48 kHz into a file.
pub(super) struct NoteWriter<W: Write> {
    pages: PacketWriter<'static, W>,
    encoder: Encoder,
    measured: Measured,
    frame: Vec<i16>,
    /// The last packet: how it is written depends on whether another one follows.
    pending: Option<Vec<u8>>,
    /// Packets written, without the pending one.
    written: u64,
    pre_skip: u32,
}

impl<W: Write> NoteWriter<W> {
    pub(super) fn new(out: W) -> Result<Self, VoiceError> {
        let encoder = Encoder::builder(RATE, Channels::Mono, Application::Voip)
            .bitrate(Bitrate::Bits(BITRATE))
            .complexity(COMPLEXITY)
            .signal(Signal::Voice)
            .build()
            .map_err(|_| VoiceError::Unreadable)?;
        let pre_skip = encoder.lookahead();
        let mut pages = PacketWriter::new(out);
        for header in [head(pre_skip), tags()] {
            pages.write_packet(header, SERIAL, PacketWriteEndInfo::EndPage, 0)?;
        }
        Ok(Self {
            pages,
            encoder,
            measured: Measured::default(),
            frame: Vec::with_capacity(FRAME_SAMPLES),
            pending: None,
            written: 0,
            pre_skip,
        })
    }

    /// Takes samples between -1 and 1.
    pub(super) fn push(&mut self, samples: &[f32]) -> Result<(), VoiceError> {
        self.measured.push(samples)?;
        for sample in samples {
            let scaled = (sample * 32_767.0).round().clamp(-32_768.0, 32_767.0);
            self.push_sample(scaled as i16)?;
        }
        Ok(())
    }

    fn push_sample(&mut self, sample: i16) -> Result<(), VoiceError> {
        self.frame.push(sample);
        if self.frame.len() < FRAME_SAMPLES {
            return Ok(());
        }
        let mut packet = vec![0; PACKET_BYTES_MAX];
        let length = self.encoder.encode(&self.frame, &mut packet);
        packet.truncate(length.map_err(|_| VoiceError::Unreadable)?);
        self.frame.clear();
        let Some(before) = self.pending.replace(packet) else { return Ok(()) };
        self.written += 1;
        let is_page = self.written.is_multiple_of(PAGE_FRAMES);
        let end =
            if is_page { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
        let position = self.written * FRAME_SAMPLES as u64;
        self.pages.write_packet(before, SERIAL, end, position)?;
        Ok(())
    }

    /// Writes the end, which cuts off what was added to fill the last frame.
    pub(super) fn finish(mut self) -> Result<Measured, VoiceError> {
        let end = u64::from(self.pre_skip) + self.measured.samples();
        // The encoder runs late by `pre_skip`: silence pushes the last samples out of it.
        while (self.written + u64::from(self.pending.is_some())) * (FRAME_SAMPLES as u64) < end {
            self.push_sample(0)?;
        }
        let last = self.pending.take().ok_or(VoiceError::Unreadable)?;
        self.pages.write_packet(last, SERIAL, PacketWriteEndInfo::EndStream, end)?;
        self.pages.into_inner().flush()?;
        Ok(self.measured)
    }
}

/// The first packet: one channel, no gain.
fn head(pre_skip: u32) -> Vec<u8> {
    let pre_skip = u16::try_from(pre_skip).unwrap_or(u16::MAX);
    let mut head = b"OpusHead\x01\x01".to_vec();
    head.extend(pre_skip.to_le_bytes());
    head.extend(RATE.to_le_bytes());
    head.extend([0, 0, 0]);
    head
}

/// The second packet: who wrote it, and no comments.
fn tags() -> Vec<u8> {
    let vendor = b"Gerbang";
    let mut tags = b"OpusTags".to_vec();
    tags.extend((vendor.len() as u32).to_le_bytes());
    tags.extend(vendor);
    tags.extend(0u32.to_le_bytes());
    tags
}
