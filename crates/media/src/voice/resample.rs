//! Changes the sample rate: a low-pass filter (a windowed sinc) evaluated at each new sample.

use std::f64::consts::PI;

use super::VoiceError;

/// Zero crossings of the filter on each side.
const CROSSINGS: f64 = 16.0;
/// Stored filter values per zero crossing; values between them are interpolated.
const STEPS: usize = 256;
/// Where the filter begins to cut, of the lower of both rates' limits.
const ROLL_OFF: f64 = 0.94;
/// Samples that are passed on together.
const BLOCK_SAMPLES: usize = 4096;

/// Turns blocks at one rate into blocks at another.
pub(super) struct Resampler {
    source_rate: u32,
    /// Source samples for each new one; 1 passes everything through.
    step: f64,
    /// How much narrower than the source's limit the filter is.
    cutoff: f64,
    /// Source samples on each side of a new one that matter to it.
    reach: usize,
    table: Vec<f32>,
    /// Source samples that are still needed.
    waiting: Vec<f32>,
    /// Where the next new sample lies in `waiting`.
    position: f64,
    made: Vec<f32>,
}

impl Resampler {
    pub(super) fn new(source_rate: u32, target_rate: u32) -> Self {
        let step = f64::from(source_rate) / f64::from(target_rate);
        let cutoff = (1.0 / step).min(1.0) * ROLL_OFF;
        let reach = (CROSSINGS / cutoff).ceil() as usize;
        Self {
            source_rate,
            step,
            cutoff,
            reach,
            table: table(),
            // Silence before the first sample, so that it has neighbours too.
            waiting: vec![0.0; reach],
            position: reach as f64,
            made: Vec::with_capacity(BLOCK_SAMPLES),
        }
    }

    pub(super) fn source_rate(&self) -> u32 {
        self.source_rate
    }

    /// Adds a block and passes on the samples that are complete.
    pub(super) fn push(
        &mut self,
        block: &[f32],
        take: &mut impl FnMut(&[f32]) -> Result<(), VoiceError>,
    ) -> Result<(), VoiceError> {
        if (self.step - 1.0).abs() < f64::EPSILON {
            return take(block);
        }
        self.waiting.extend_from_slice(block);
        while (self.position as usize) + self.reach < self.waiting.len() {
            let sample = self.at(self.position);
            self.made.push(sample);
            self.position += self.step;
            if self.made.len() == BLOCK_SAMPLES {
                take(&self.made)?;
                self.made.clear();
            }
        }
        take(&self.made)?;
        self.made.clear();
        let done = (self.position as usize).saturating_sub(self.reach).min(self.waiting.len());
        self.waiting.drain(..done);
        self.position -= done as f64;
        Ok(())
    }

    /// Passes on the samples that remain.
    pub(super) fn finish(
        &mut self,
        take: &mut impl FnMut(&[f32]) -> Result<(), VoiceError>,
    ) -> Result<(), VoiceError> {
        if (self.step - 1.0).abs() < f64::EPSILON {
            return Ok(());
        }
        let silence = vec![0.0; self.reach];
        self.push(&silence, take)
    }

    /// The filtered signal between two source samples.
    fn at(&self, position: f64) -> f32 {
        let centre = position as usize;
        let first = centre.saturating_sub(self.reach - 1);
        let neighbours = &self.waiting[first..centre + self.reach];
        let scale = self.cutoff * STEPS as f64;
        let sum: f32 = neighbours
            .iter()
            .enumerate()
            .map(|(index, sample)| {
                let distance = (position - (first + index) as f64).abs() * scale;
                let at = distance as usize;
                let Some([low, high]) = self.table.get(at..at + 2) else { return 0.0 };
                sample * (low + (high - low) * (distance - at as f64) as f32)
            })
            .sum();
        sum * self.cutoff as f32
    }
}

/// One side of the filter: sinc, faded out by a Blackman window.
fn table() -> Vec<f32> {
    let length = CROSSINGS as usize * STEPS;
    let value = |at: usize| {
        let x = at as f64 / STEPS as f64;
        let phase = PI * x / CROSSINGS;
        let window = 0.42 + 0.5 * phase.cos() + 0.08 * (2.0 * phase).cos();
        let sinc = if at == 0 { 1.0 } else { (PI * x).sin() / (PI * x) };
        (sinc * window) as f32
    };
    (0..=length).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tone at one rate, resampled in odd blocks.
    fn resampled(hertz: f64, from: u32, to: u32) -> Vec<f32> {
        let tone: Vec<f32> = (0..from)
            .map(|i| (2.0 * PI * hertz * f64::from(i) / f64::from(from)).sin() as f32)
            .collect();
        let mut resampler = Resampler::new(from, to);
        let mut made = Vec::new();
        let mut take = |block: &[f32]| {
            made.extend_from_slice(block);
            Ok(())
        };
        for block in tone.chunks(977) {
            resampler.push(block, &mut take).unwrap();
        }
        resampler.finish(&mut take).unwrap();
        made
    }

    fn rms(samples: &[f32]) -> f32 {
        (samples.iter().map(|x| x * x).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn a_tone_stays_the_same_tone() {
        for from in [8_000, 16_000, 22_050, 44_100, 48_000, 96_000] {
            let made = resampled(1_000.0, from, 48_000);
            assert!(made.len().abs_diff(48_000) <= 1, "{from}: {}", made.len());
            let worst = made[2_000..46_000]
                .iter()
                .enumerate()
                .map(|(i, x)| {
                    let expected = (2.0 * PI * 1_000.0 * (i + 2_000) as f64 / 48_000.0).sin();
                    (f64::from(*x) - expected).abs()
                })
                .fold(0.0, f64::max);
            assert!(worst < 0.01, "{from}: {worst}");
        }
    }

    #[test]
    fn what_the_new_rate_cannot_hold_is_gone() {
        let made = resampled(30_000.0, 96_000, 48_000);
        assert!(rms(&made[1_000..47_000]) < 0.001);
        let kept = resampled(15_000.0, 96_000, 48_000);
        assert!(rms(&kept[1_000..47_000]) > 0.69);
    }
}
