//! Voice notes: OGG/Opus, one channel, 48 kHz, frames of 20 ms, with their length and waveform.
//!
//! MP3, WAV, AAC (M4A, ADTS), OGG/Vorbis and WebM are converted. OGG/Opus is passed on as it is, decoded
//! only to measure it, unless it holds several streams: phones play the first one only.

mod decode;
mod encode;
mod measure;
mod resample;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain::media::TempMedia;
use domain::ports::FileError;

pub(crate) use decode::announced_seconds;

use crate::codec::temp_media;
use crate::format::Format;
use crate::kind::failure;
use crate::length::ogg;
use encode::NoteWriter;
use resample::Resampler;

/// Samples in a second of what is encoded.
const RATE: u32 = 48_000;
/// Samples in a frame: 20 ms.
const FRAME_SAMPLES: usize = 960;
/// Longest voice note.
const SECONDS_MAX: u64 = 30 * 60;
/// Longest time a conversion may take.
const CONVERSION_MAX: Duration = Duration::from_secs(180);
/// Largest MPEG-4 or Opus file that is accepted: tables and packets of these are read into memory.
const PARSED_BYTES_MAX: u64 = 48 * 1024 * 1024;
/// How the names of our files begin.
const PREFIX: &str = "voice-";

/// The error for files that cannot be decoded.
pub(crate) const UNREADABLE: &str = "the file cannot be read as audio";

/// A voice note that can be sent.
pub(crate) struct Note {
    pub(crate) file: TempMedia,
    pub(crate) seconds: u32,
    pub(crate) waveform: Vec<u8>,
}

/// Why there is no voice note.
#[derive(Debug, thiserror::Error)]
enum VoiceError {
    #[error("{UNREADABLE}")]
    Unreadable,
    #[error("a voice note may last 30 minutes at most")]
    TooLong,
    #[error("the file is too large for a voice note")]
    TooLarge,
    #[error("the conversion to a voice note took too long")]
    Stopped,
    #[error("the voice note could not be stored")]
    Storage(#[from] io::Error),
}

impl From<VoiceError> for FileError {
    fn from(error: VoiceError) -> Self {
        if let VoiceError::Storage(error) = &error {
            tracing::error!(%error, "a voice note cannot be stored");
        }
        match error {
            // The machine is busy or has no space left; later it may work.
            VoiceError::Stopped | VoiceError::Storage(_) => Self::Temporary(error.to_string()),
            VoiceError::Unreadable | VoiceError::TooLong | VoiceError::TooLarge => {
                Self::Permanent(failure(error.to_string()))
            }
        }
    }
}

/// Ends a conversion when it is dropped.
#[derive(Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// The flag that the conversion checks; its time limit starts now.
    pub(crate) fn flag(&self) -> Stopped {
        Stopped { flag: self.0.clone(), deadline: Instant::now() + CONVERSION_MAX }
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether a conversion is still wanted.
pub(crate) struct Stopped {
    flag: Arc<AtomicBool>,
    deadline: Instant,
}

impl Stopped {
    fn check(&self) -> Result<(), VoiceError> {
        let is_over = self.flag.load(Ordering::Relaxed) || Instant::now() > self.deadline;
        if is_over { Err(VoiceError::Stopped) } else { Ok(()) }
    }
}

/// Removes files that an earlier process left.
pub(crate) fn remove_leftovers(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Converts a file to a voice note. It blocks: not for the runtime's own threads.
pub(crate) fn make(
    source: &TempMedia,
    format: Format,
    temp_dir: &Path,
    stopped: &Stopped,
) -> Result<Note, FileError> {
    let is_parsed = matches!(
        format,
        Format::Mp4
            | Format::ThreeGp
            | Format::ThreeGpAudio
            | Format::M4a
            | Format::OggOpus
            | Format::Webm
            | Format::WebmAudio
    );
    if is_parsed && source.size > PARSED_BYTES_MAX {
        return Err(VoiceError::TooLarge.into());
    }
    let note = match format {
        Format::OggOpus if !ogg::is_joined(&source.path) => pass_on(source, stopped),
        _ => convert(&source.path, format, temp_dir, stopped),
    };
    Ok(note?)
}

fn pass_on(source: &TempMedia, stopped: &Stopped) -> Result<Note, VoiceError> {
    let measured = measure::opus_file(&source.path, stopped)?;
    Ok(Note { file: source.clone(), seconds: measured.seconds()?, waveform: measured.waveform() })
}

/// An empty file for what is converted.
pub(crate) fn new_file(temp_dir: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(PREFIX).tempfile_in(temp_dir)
}

fn convert(
    source: &Path,
    format: Format,
    temp_dir: &Path,
    stopped: &Stopped,
) -> Result<Note, VoiceError> {
    let (out, path) = new_file(temp_dir)?.into_parts();
    let mut writer = NoteWriter::new(io::BufWriter::new(out))?;
    let mut resampler: Option<Resampler> = None;
    decode::decode(source, format, |samples, rate| {
        stopped.check()?;
        // Files that were joined may differ.
        if let Some(mut before) = resampler.take_if(|before| before.source_rate() != rate) {
            before.finish(&mut |block| writer.push(block))?;
        }
        let resampler = resampler.get_or_insert_with(|| Resampler::new(rate, RATE));
        resampler.push(samples, &mut |block| writer.push(block))
    })?;
    if let Some(mut resampler) = resampler {
        resampler.finish(&mut |block| writer.push(block))?;
    }
    let measured = writer.finish()?;
    Ok(Note {
        file: temp_media(path)?,
        seconds: measured.seconds()?,
        waveform: measured.waveform(),
    })
}

/// Seconds as WhatsApp shows them: rounded, and one at least. `None` for what is no length.
pub(crate) fn whole_seconds(seconds: f64) -> Option<u32> {
    let is_length = seconds.is_finite() && seconds > 0.0 && seconds < f64::from(u32::MAX);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to fit the line before"
    )]
    is_length.then(|| (seconds.round() as u32).max(1))
}
