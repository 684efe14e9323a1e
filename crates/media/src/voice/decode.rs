//! Decodes audio files to one channel of samples between -1 and 1, block by block.

use std::path::Path;

use ropus::{Channels, DecodeMode};
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;

use super::measure::{self, PACKET_SAMPLES_MAX};
use super::{RATE, SECONDS_MAX, VoiceError};
use crate::format::Format;
use crate::length::{self, mp3};
use crate::section::Section;

/// The sample rates that are accepted, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// Most damaged packets that are skipped.
const DAMAGED_MAX: usize = 100;

/// Decodes a file's first audio track, and that of each file that was joined to it, and passes their
/// blocks to `take`, with their sample rate.
pub(super) fn decode(
    path: &Path,
    format: Format,
    mut take: impl FnMut(&[f32], u32) -> Result<(), VoiceError>,
) -> Result<(), VoiceError> {
    for part in length::parts(format, path)? {
        let part = Section::open(path, part)?;
        let reader = match format {
            Format::Mp3 => probe(Box::new(ReadOnlySource::new(mp3::Frames::open(part))))?,
            _ => probe(Box::new(part))?,
        };
        decode_all(reader, &mut take)?;
    }
    Ok(())
}

/// Decodes what a reader brings.
fn decode_all(
    mut reader: Box<dyn FormatReader>,
    take: &mut impl FnMut(&[f32], u32) -> Result<(), VoiceError>,
) -> Result<(), VoiceError> {
    // Before decoding, from the headers; the encoder counts again, because headers may be wrong.
    if length_of(&*reader).is_some_and(|seconds| seconds > SECONDS_MAX as f64) {
        return Err(VoiceError::TooLong);
    }
    let mut decoder = TrackDecoder::of(&*reader)?;
    let mut damaged = 0;
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            // Another stream begins, with tracks of its own.
            Err(Error::ResetRequired) => {
                decoder = TrackDecoder::of(&*reader)?;
                continue;
            }
            // A truncated file is used up to its end.
            Ok(None) | Err(_) => return Ok(()),
        };
        if packet.track_id != decoder.track_id {
            continue;
        }
        match decoder.decode(&packet, take)? {
            Decoded::Block => {}
            Decoded::Damaged if damaged < DAMAGED_MAX => damaged += 1,
            Decoded::Damaged => return Err(VoiceError::Unreadable),
        }
    }
}

/// What became of a packet.
enum Decoded {
    Block,
    Damaged,
}

/// Decodes the packets of one track.
struct TrackDecoder {
    track_id: u32,
    codec: Codec,
    samples: Vec<f32>,
    mono: Vec<f32>,
}

enum Codec {
    Symphonia(Box<dyn AudioDecoder>),
    /// Which the other library does not decode; with the samples that are still to be left out.
    Opus(Box<ropus::Decoder>, usize),
}

impl TrackDecoder {
    fn of(reader: &dyn FormatReader) -> Result<Self, VoiceError> {
        let track = reader.default_track(TrackType::Audio).ok_or(VoiceError::Unreadable)?;
        let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
        let parameters = parameters.ok_or(VoiceError::Unreadable)?;
        let codec = if parameters.codec == CODEC_ID_OPUS {
            let head = parameters.extra_data.as_deref().unwrap_or_default();
            let decoder = ropus::Decoder::new(RATE, Channels::Mono);
            let decoder = decoder.map_err(|_| VoiceError::Unreadable)?;
            Codec::Opus(Box::new(decoder), measure::pre_skip(head).unwrap_or(0))
        } else {
            let decoder = symphonia::default::get_codecs()
                .make_audio_decoder(parameters, &AudioDecoderOptions::default());
            Codec::Symphonia(decoder.map_err(|_| VoiceError::Unreadable)?)
        };
        Ok(Self { track_id: track.id, codec, samples: Vec::new(), mono: Vec::new() })
    }

    fn decode(
        &mut self,
        packet: &Packet,
        take: &mut impl FnMut(&[f32], u32) -> Result<(), VoiceError>,
    ) -> Result<Decoded, VoiceError> {
        match &mut self.codec {
            Codec::Symphonia(decoder) => {
                let block = match decoder.decode(packet) {
                    Ok(block) => block,
                    Err(Error::DecodeError(_)) => return Ok(Decoded::Damaged),
                    Err(_) => return Err(VoiceError::Unreadable),
                };
                let rate = block.spec().rate();
                let channels = block.spec().channels().count();
                if !RATES.contains(&rate) || channels == 0 {
                    return Err(VoiceError::Unreadable);
                }
                block.copy_to_vec_interleaved(&mut self.samples);
                mix(&self.samples, channels, &mut self.mono);
                take(&self.mono, rate)?;
            }
            Codec::Opus(decoder, left_out) => {
                let mut pcm = [0i16; PACKET_SAMPLES_MAX];
                let Ok(count) = decoder.decode(&packet.data, &mut pcm, DecodeMode::Normal) else {
                    return Ok(Decoded::Damaged);
                };
                let skipped = count.min(*left_out);
                *left_out -= skipped;
                self.mono.clear();
                let played = pcm[skipped..count].iter();
                self.mono.extend(played.map(|sample| f32::from(*sample) / 32_768.0));
                take(&self.mono, RATE)?;
            }
        }
        Ok(Decoded::Block)
    }
}

/// The length that a file's headers announce, in seconds.
pub(crate) fn announced_seconds(path: &Path) -> Option<f64> {
    length_of(&*probe(Box::new(Section::whole(path).ok()?)).ok()?)
}

fn length_of(reader: &dyn FormatReader) -> Option<f64> {
    let track = reader.default_track(TrackType::Audio).or(reader.default_track(TrackType::Video))?;
    let of_track = track.time_base.zip(track.duration);
    let media = reader.media_info();
    let (base, duration) = of_track.or(media.time_base.zip(media.duration))?;
    Some(base.calc_duration(duration)?.as_secs_f64())
}

fn probe(source: Box<dyn MediaSource>) -> Result<Box<dyn FormatReader>, VoiceError> {
    let stream = MediaSourceStream::new(source, Default::default());
    symphonia::default::get_probe()
        .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(|_| VoiceError::Unreadable)
}

/// The mean of all channels.
fn mix(samples: &[f32], channels: usize, mono: &mut Vec<f32>) {
    mono.clear();
    mono.extend(samples.chunks_exact(channels).map(|frame| {
        let mean = frame.iter().sum::<f32>() / channels as f32;
        if mean.is_finite() { mean } else { 0.0 }
    }));
}
