//! The last day of a device as a bar: in which minutes its connection was alive.

use std::fmt::Write as _;

use domain::device::{Device, HEARTBEATS_KEPT, Heartbeats};
use domain::error::Error;
use jiff::Timestamp;
use maud::{Markup, html};

use super::caller::Person;
use super::show::with;
use crate::state::AppState;

/// Minutes of the bar.
const MINUTES: usize = 24 * 60;
const HEIGHT: usize = 12;

/// How much a bar shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Grain {
    /// Each minute.
    Minute,
    /// Ten minutes at a time, by how many of them it was alive in: for many bars on a page.
    TenMinutes,
}

impl Grain {
    fn minutes(self) -> usize {
        match self {
            Self::Minute => 1,
            Self::TenMinutes => 10,
        }
    }
}

/// The bar of a device; nothing for one that was never linked.
pub(super) async fn bar(
    state: &AppState,
    person: &Person,
    device: &Device,
    grain: Grain,
) -> Result<Markup, Error> {
    if device.paired_at.is_none() {
        return Ok(html! {});
    }
    let beats = state.core().heartbeats(person.principal(), device.id).await?;
    let alive = alive(&beats, person.now);
    let count = alive.iter().filter(|is_alive| **is_alive).count();
    let label = with(person.words().beats, count);
    Ok(html! {
        svg.beats viewBox=(format!("0 0 {MINUTES} {HEIGHT}")) preserveAspectRatio="none" role="img"
            aria-label=(label) {
            title { (label) }
            rect width=(MINUTES) height=(HEIGHT) {}
            path d=(shape(&alive, grain)) {}
        }
        @if let Grain::Minute = grain { p.quiet { (label) } }
    })
}

/// The last day's minutes, oldest first. The present one has not ended and is left out.
fn alive(beats: &[Heartbeats], now: Timestamp) -> Vec<bool> {
    let minute = |at: Timestamp| at.as_second().div_euclid(60);
    let first = minute(now.saturating_sub(HEARTBEATS_KEPT).unwrap_or(Timestamp::MIN));
    let mut alive = vec![false; MINUTES];
    for beat in beats {
        for of_hour in beat.list() {
            let at = minute(beat.hour) + i64::from(of_hour) - first;
            if let Some(is_alive) = usize::try_from(at).ok().and_then(|at| alive.get_mut(at)) {
                *is_alive = true;
            }
        }
    }
    alive
}

/// What is filled; neighbours of the same height are one shape, so that a quiet day is a few bytes.
fn shape(alive: &[bool], grain: Grain) -> String {
    let width = grain.minutes();
    let level = |part: &[bool]| part.iter().filter(|is_alive| **is_alive).count() * HEIGHT / width;
    let mut path = String::new();
    let mut levels = alive.chunks(width).map(level).enumerate().peekable();
    while let Some((start, height)) = levels.next() {
        let mut length = 1;
        while levels.next_if(|(_, next)| *next == height).is_some() {
            length += 1;
        }
        if height > 0 {
            let (start, length) = (start * width, length * width);
            let _ = write!(path, "M{start} {HEIGHT}v-{height}h{length}v{height}z");
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn minutes_find_their_place() {
        let now = at("2026-11-29T12:30:20Z");
        let beats = [
            Heartbeats { hour: at("2026-11-28T12:00:00Z"), minutes: 1 << 29 | 1 << 30 },
            Heartbeats { hour: at("2026-11-29T12:00:00Z"), minutes: 1 << 29 | 1 << 30 },
        ];
        let alive = alive(&beats, now);
        let seen: Vec<usize> = (0..MINUTES).filter(|minute| alive[*minute]).collect();
        assert_eq!(seen, [0, MINUTES - 1]);
    }

    #[test]
    fn a_whole_day_is_one_shape_and_none_is_nothing() {
        assert_eq!(shape(&[true; MINUTES], Grain::Minute), "M0 12v-12h1440v12z");
        assert_eq!(shape(&[false; MINUTES], Grain::TenMinutes), "");
        let mut alive = [true; 30];
        alive[10..15].fill(false);
        assert_eq!(shape(&alive, Grain::Minute), "M0 12v-12h10v12zM15 12v-12h15v12z");
        let tens = "M0 12v-12h10v12zM10 12v-6h10v6zM20 12v-12h10v12z";
        assert_eq!(shape(&alive, Grain::TenMinutes), tens);
    }
}
