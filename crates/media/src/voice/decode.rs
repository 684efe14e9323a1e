//! Decodes audio files to one channel of samples between -1 and 1, block by block.

use std::fs::File;
use std::path::Path;

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::{SECONDS_MAX, VoiceError};

/// The sample rates that are accepted, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// Most damaged packets that are skipped.
const DAMAGED_MAX: usize = 100;

/// Decodes a file's first audio track and passes its blocks to `take`, with their sample rate.
pub(super) fn decode(
    path: &Path,
    mut take: impl FnMut(&[f32], u32) -> Result<(), VoiceError>,
) -> Result<(), VoiceError> {
    let mut reader = open(path)?;
    let track = reader.default_track(TrackType::Audio).ok_or(VoiceError::Unreadable)?;
    let track_id = track.id;
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let parameters = parameters.ok_or(VoiceError::Unreadable)?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|_| VoiceError::Unreadable)?;

    // Before decoding, from the headers; the encoder counts again, because headers may be wrong.
    if length_of(track).is_some_and(|seconds| seconds > SECONDS_MAX as f64) {
        return Err(VoiceError::TooLong);
    }
    let (mut samples, mut mono) = (Vec::<f32>::new(), Vec::new());
    let mut damaged = 0;
    // A truncated file is used up to its end.
    while let Ok(Some(packet)) = reader.next_packet() {
        if packet.track_id != track_id {
            continue;
        }
        let block = match decoder.decode(&packet) {
            Ok(block) => block,
            Err(Error::DecodeError(_)) if damaged < DAMAGED_MAX => {
                damaged += 1;
                continue;
            }
            Err(_) => return Err(VoiceError::Unreadable),
        };
        let rate = block.spec().rate();
        let channels = block.spec().channels().count();
        if !RATES.contains(&rate) || channels == 0 {
            return Err(VoiceError::Unreadable);
        }
        block.copy_to_vec_interleaved(&mut samples);
        mix(&samples, channels, &mut mono);
        take(&mono, rate)?;
    }
    Ok(())
}

/// The length that a file's headers announce, in seconds.
pub(crate) fn announced_seconds(path: &Path) -> Option<f64> {
    length_of(open(path).ok()?.default_track(TrackType::Audio)?)
}

fn length_of(track: &Track) -> Option<f64> {
    let length = track.time_base?.calc_duration(track.duration?)?;
    Some(length.as_secs_f64())
}

fn open(path: &Path) -> Result<Box<dyn FormatReader>, VoiceError> {
    let file = MediaSourceStream::new(Box::new(File::open(path)?), Default::default());
    symphonia::default::get_probe()
        .probe(&Hint::new(), file, FormatOptions::default(), MetadataOptions::default())
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
