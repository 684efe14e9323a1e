//! The length of a voice note, and its waveform.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use ogg::PacketReader;
use ropus::{Channels, DecodeMode, Decoder};

use super::{FRAME_SAMPLES, RATE, SECONDS_MAX, Stopped, VoiceError, whole_seconds};

/// Steps of a waveform, as WhatsApp draws it.
const STEPS: usize = 64;
/// Samples of the longest packet: 120 ms.
pub(super) const PACKET_SAMPLES_MAX: usize = 5_760;

/// Gathers loudness frame by frame.
#[derive(Default)]
pub(super) struct Measured {
    samples: u64,
    /// The mean amplitude of each frame.
    frames: Vec<f32>,
    /// Amplitudes of the frame that is not whole yet.
    sum: f32,
    count: usize,
}

impl Measured {
    /// Adds samples between -1 and 1; an error when the note gets too long.
    pub(super) fn push(&mut self, samples: &[f32]) -> Result<(), VoiceError> {
        self.samples += samples.len() as u64;
        if self.samples > SECONDS_MAX * u64::from(RATE) {
            return Err(VoiceError::TooLong);
        }
        for sample in samples {
            self.sum += sample.abs();
            self.count += 1;
            if self.count == FRAME_SAMPLES {
                self.end_frame();
            }
        }
        Ok(())
    }

    fn end_frame(&mut self) {
        self.frames.push(self.sum / self.count as f32);
        (self.sum, self.count) = (0.0, 0);
    }

    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// The length in seconds; an error when there is no sound.
    pub(super) fn seconds(&self) -> Result<u32, VoiceError> {
        let seconds = self.samples as f64 / f64::from(RATE);
        whole_seconds(seconds).filter(|_| self.samples > 0).ok_or(VoiceError::Unreadable)
    }

    /// 64 values from 0 to 100, the loudest of which is 100.
    pub(super) fn waveform(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.end_frame();
        }
        let frames = &self.frames;
        let step = |at: usize| {
            let start = at * frames.len() / STEPS;
            let end = ((at + 1) * frames.len() / STEPS).max(start + 1).min(frames.len());
            let part = frames.get(start..end).unwrap_or_default();
            part.iter().sum::<f32>() / part.len().max(1) as f32
        };
        let steps: Vec<f32> = (0..STEPS).map(step).collect();
        let loudest = steps.iter().copied().fold(0.0, f32::max);
        // Below this nothing is audible, and noise must not be amplified.
        if loudest < 1.0e-4 {
            return vec![0; STEPS];
        }
        steps.iter().map(|step| (step / loudest * 100.0).round() as u8).collect()
    }
}

/// Measures an OGG/Opus file of one stream by decoding it.
pub(super) fn opus_file(path: &Path, stopped: &Stopped) -> Result<Measured, VoiceError> {
    let unreadable = |_| VoiceError::Unreadable;
    let mut packets = PacketReader::new(BufReader::new(File::open(path)?));
    let head = packets.read_packet().map_err(unreadable)?.ok_or(VoiceError::Unreadable)?;
    let mut pre_skip = pre_skip(&head.data).ok_or(VoiceError::Unreadable)?;
    let mut decoder = Decoder::new(RATE, Channels::Mono).map_err(|_| VoiceError::Unreadable)?;
    let mut measured = Measured::default();
    let (mut pcm, mut samples) = ([0i16; PACKET_SAMPLES_MAX], Vec::new());
    let mut is_tags = true;
    // A truncated file is used up to its end.
    while let Ok(Some(packet)) = packets.read_packet() {
        stopped.check()?;
        if packet.stream_serial() != head.stream_serial() {
            return Err(VoiceError::Unreadable);
        }
        if std::mem::take(&mut is_tags) {
            continue;
        }
        let count = decoder
            .decode(&packet.data, &mut pcm, DecodeMode::Normal)
            .map_err(|_| VoiceError::Unreadable)?;
        let skipped = pre_skip.min(count);
        pre_skip -= skipped;
        samples.clear();
        samples.extend(pcm[skipped..count].iter().map(|sample| f32::from(*sample) / 32_768.0));
        measured.push(&samples)?;
    }
    Ok(measured)
}

/// Samples at the beginning that are not played; `None` when it is no head of one or two channels.
pub(super) fn pre_skip(head: &[u8]) -> Option<usize> {
    let &[version, channels, low, high, _, _, _, _, _, _, family, ..] =
        head.strip_prefix(b"OpusHead")?
    else {
        return None;
    };
    let is_plain = version < 16 && matches!(channels, 1 | 2) && family == 0;
    // MPEG-4 has a version of its own, whose numbers begin with their highest byte.
    let read = if version == 0 { u16::from_be_bytes } else { u16::from_le_bytes };
    is_plain.then(|| usize::from(read([low, high])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(samples: &[f32]) -> Measured {
        let mut measured = Measured::default();
        measured.push(samples).unwrap();
        measured
    }

    #[test]
    fn waveforms() {
        let rising: Vec<f32> = (0..64_000).map(|i| i as f32 / 64_000.0).collect();
        let waveform = of(&rising).waveform();
        assert_eq!(waveform.len(), 64);
        assert!(waveform.is_sorted());
        assert_eq!((waveform[0] <= 2, waveform[63]), (true, 100));
        assert_eq!(of(&[0.0; 48_000]).waveform(), [0; 64]);
        assert_eq!(of(&[0.5; 100]).waveform(), [100; 64]);
        assert_eq!(of(&[]).waveform(), [0; 64]);
        let half = [vec![0.8; 48_000], vec![0.0; 48_000]].concat();
        assert_eq!(of(&half).waveform(), [[100u8; 32], [0; 32]].concat());
    }

    #[test]
    fn what_is_left_out_at_the_beginning() {
        let head = |rest: &[u8]| pre_skip(&[b"OpusHead", rest, &[0; 7]].concat());
        assert_eq!(head(b"\x01\x01\x38\x01"), Some(312));
        assert_eq!(head(b"\x00\x01\x01\x38"), Some(312), "in MPEG-4");
        assert_eq!(head(b"\x01\x03\x38\x01"), None);
        assert_eq!(head(b""), None);
    }

    #[test]
    fn lengths() {
        assert_eq!(of(&[0.0; 100]).seconds().unwrap(), 1);
        assert_eq!(of(&[0.0; 48_000 * 5 / 2]).seconds().unwrap(), 3);
        assert!(matches!(of(&[]).seconds(), Err(VoiceError::Unreadable)));
        let mut long = Measured { samples: SECONDS_MAX * u64::from(RATE), ..Measured::default() };
        assert!(matches!(long.push(&[0.0]), Err(VoiceError::TooLong)));
    }
}
