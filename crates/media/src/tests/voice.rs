//! Voice notes are converted and decoded again.

use std::io::Cursor;

use domain::message::ContentKind;
use domain::ports::FileError;
use ogg::PacketReader;
use ropus::{Channels, DecodeMode, Decoder};

use super::{Rig, failure, fixture};
use crate::format::Format;
use crate::voice::{Stop, make};

/// A WAV file of 16-bit samples.
fn wav(rate: u32, channels: u16, samples: &[i16]) -> Vec<u8> {
    let size = samples.len() as u32 * 2;
    let frame = u32::from(channels) * 2;
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + size).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    wav.extend(channels.to_le_bytes());
    wav.extend(rate.to_le_bytes());
    wav.extend((rate * frame).to_le_bytes());
    wav.extend((frame as u16).to_le_bytes());
    wav.extend(b"\x10\0data");
    wav.extend(size.to_le_bytes());
    wav.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    wav
}

/// A tone, in all channels.
fn tone(rate: u32, channels: u16, seconds: f64, amplitude: f64) -> Vec<i16> {
    let sample = |i: u32| {
        let phase = 2.0 * std::f64::consts::PI * 440.0 * f64::from(i) / f64::from(rate);
        (phase.sin() * amplitude * 32_767.0) as i16
    };
    let count = (f64::from(rate) * seconds) as u32;
    (0..count).flat_map(|i| vec![sample(i); usize::from(channels)]).collect()
}

/// What is in an OGG/Opus file.
struct Heard {
    head: Vec<u8>,
    pcm: Vec<i16>,
    /// The position that each page ends at.
    positions: Vec<u64>,
}

impl Heard {
    fn of(bytes: &[u8]) -> Self {
        let mut packets = PacketReader::new(Cursor::new(bytes));
        let head = packets.read_packet_expected().unwrap();
        assert!(head.first_in_stream() && head.last_in_page());
        let tags = packets.read_packet_expected().unwrap();
        assert!(tags.data.starts_with(b"OpusTags") && tags.last_in_page());
        let mut decoder = Decoder::new(48_000, Channels::Mono).unwrap();
        let (mut pcm, mut positions) = (Vec::new(), Vec::new());
        let mut is_ended = false;
        while let Some(packet) = packets.read_packet().unwrap() {
            assert!(!is_ended, "nothing follows the end");
            let mut block = [0; 5_760];
            let count = decoder.decode(&packet.data, &mut block, DecodeMode::Normal).unwrap();
            assert_eq!(count, 960, "20 ms");
            pcm.extend_from_slice(&block[..count]);
            if packet.last_in_page() {
                positions.push(packet.absgp_page());
            }
            is_ended = packet.last_in_stream();
        }
        assert!(is_ended);
        Self { head: head.data, pcm, positions }
    }

    fn pre_skip(&self) -> usize {
        usize::from(u16::from_le_bytes([self.head[10], self.head[11]]))
    }

    /// What is played: without the beginning and the end that are cut off.
    fn played(&self) -> &[i16] {
        &self.pcm[self.pre_skip()..*self.positions.last().unwrap() as usize]
    }

    /// The loudness between two times, as a part of what is possible.
    fn rms(&self, from_s: f64, to_s: f64) -> f64 {
        let at = |seconds: f64| (seconds * 48_000.0) as usize;
        let part = &self.played()[at(from_s)..at(to_s)];
        let sum: f64 = part.iter().map(|sample| (f64::from(*sample) / 32_768.0).powi(2)).sum();
        (sum / part.len() as f64).sqrt()
    }
}

fn assert_near(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 0.1 * expected + 0.01, "{what}: {found}, not {expected}");
}

#[tokio::test]
async fn wav_of_any_rate_and_width() {
    let rig = Rig::new();
    for (rate, channels, seconds) in
        [(8_000, 1, 1.0), (16_000, 2, 3.3), (44_100, 2, 2.0), (48_000, 1, 1.25), (96_000, 1, 1.0)]
    {
        let name = format!("{rate} Hz, {channels} channels");
        let ready =
            rig.voice(&wav(rate, channels, &tone(rate, channels, seconds, 0.5))).await.unwrap();
        assert_eq!(ready.kind, ContentKind::Voice);
        assert_eq!(ready.mimetype, "audio/ogg; codecs=opus");
        assert_eq!(ready.seconds, Some(seconds.round() as u32), "{name}");
        let waveform = ready.waveform.unwrap();
        assert_eq!(waveform.len(), 64);
        assert!(waveform[1..63].iter().all(|step| (90..=100).contains(step)), "{waveform:?}");

        let bytes = std::fs::read(&ready.file.path).unwrap();
        assert_eq!(bytes.len() as u64, ready.file.size);
        let heard = Heard::of(&bytes);
        assert_eq!(&heard.head[..10], b"OpusHead\x01\x01", "one channel");
        let length = heard.played().len() as f64 / 48_000.0;
        assert!((length - seconds).abs() < 0.001, "{name}: {length}");
        assert!(heard.positions.is_sorted());
        assert_eq!(
            heard.positions[..heard.positions.len() - 1].first().copied().unwrap_or(48_000),
            48_000
        );
        assert_near(heard.rms(0.2, seconds - 0.1), 0.5 / 2f64.sqrt(), &name);
    }
    assert_eq!(rig.files(), 0);
}

/// The fixtures hold a quiet second, a loud one, and half a second of silence.
#[tokio::test]
async fn every_format_is_converted_to_a_note() {
    let rig = Rig::new();
    for name in ["tone.mp3", "tone.m4a", "tone.aac", "tone-vorbis.ogg", "clip.mp4"] {
        let ready = rig.voice(&fixture(name)).await.unwrap();
        assert_eq!(ready.mimetype, "audio/ogg; codecs=opus", "{name}");
        assert!(matches!(ready.seconds, Some(2 | 3)), "{name}: {:?}", ready.seconds);
        let heard = Heard::of(&std::fs::read(&ready.file.path).unwrap());
        assert_near(heard.rms(0.2, 0.8), 0.1 / 2f64.sqrt(), name);
        assert_near(heard.rms(1.2, 1.8), 0.6 / 2f64.sqrt(), name);
        assert!(heard.rms(2.2, 2.45) < 0.005, "{name}");
        assert_shape(&ready.waveform.unwrap(), name);
    }
}

#[tokio::test]
async fn opus_is_passed_on_as_it_is() {
    let rig = Rig::new();
    let bytes = fixture("tone-opus.ogg");
    let ready = rig.voice(&bytes).await.unwrap();
    assert_eq!(std::fs::read(&ready.file.path).unwrap(), bytes);
    assert_eq!(ready.seconds, Some(3));
    assert_shape(&ready.waveform.unwrap(), "opus");

    let made = rig.voice(&wav(48_000, 1, &tone(48_000, 1, 2.0, 0.5))).await.unwrap();
    let again = rig.voice(&std::fs::read(&made.file.path).unwrap()).await.unwrap();
    assert_eq!(again.seconds, Some(2), "our own notes too");
}

/// As the fixtures: a quiet second, a loud one, and half a second of silence.
fn quiet_then_loud(rate: u32) -> Vec<u8> {
    let parts = [tone(rate, 1, 1.0, 0.1), tone(rate, 1, 1.0, 0.6), tone(rate, 1, 0.5, 0.0)];
    wav(rate, 1, &parts.concat())
}

/// The Opus fixture, and the MP3 with two channels, are as loud as a tone that was spread over two channels.
const STEREO_LOUDNESS: f64 = 0.72;

#[tokio::test]
async fn all_of_what_was_joined_end_to_end_is_in_the_note() {
    let rig = Rig::new();
    let tag = [&b"ID3\x04\0\0\0\0\x07\x60"[..], &b"\xff\xfb\x90\x64".repeat(248)].concat();
    let (mp3, stereo) = (fixture("tone.mp3"), fixture("tone-stereo.mp3"));
    let vorbis = fixture("tone-vorbis.ogg");
    let opus = fixture("tone-opus.ogg");
    let cases = [
        ("MP3", [mp3.clone(), mp3.clone()].concat(), [1.0, 1.0]),
        ("MP3 with a tag between", [mp3.clone(), tag, mp3.clone()].concat(), [1.0, 1.0]),
        ("WAV", quiet_then_loud(48_000).repeat(2), [1.0, 1.0]),
        (
            "WAV of two rates",
            [quiet_then_loud(48_000), quiet_then_loud(16_000)].concat(),
            [1.0, 1.0],
        ),
        ("MP3 of one channel and of two", [mp3, stereo].concat(), [1.0, STEREO_LOUDNESS]),
        ("Vorbis", vorbis.repeat(2), [1.0, 1.0]),
        ("MPEG-4", fixture("tone.m4a").repeat(2), [1.0, 1.0]),
        ("MPEG-4 with pictures", fixture("clip.mp4").repeat(2), [1.0, 1.0]),
        ("WebM", webm(&opus).repeat(2), [STEREO_LOUDNESS, STEREO_LOUDNESS]),
        ("recorded WebM", recorded(&webm(&opus)).repeat(2), [STEREO_LOUDNESS, STEREO_LOUDNESS]),
        ("Opus", opus.repeat(2), [STEREO_LOUDNESS, STEREO_LOUDNESS]),
        ("Vorbis and Opus", [vorbis, opus.clone()].concat(), [1.0, STEREO_LOUDNESS]),
    ];
    for (name, bytes, loudness) in cases {
        let ready = rig.voice(&bytes).await.unwrap();
        assert_eq!(ready.seconds, Some(5), "{name}");
        let heard = Heard::of(&std::fs::read(&ready.file.path).unwrap());
        for (start, loudness) in [0.0, 2.5].into_iter().zip(loudness) {
            let part = |from: f64, to: f64| heard.rms(start + from, start + to);
            assert_near(part(0.25, 0.75), loudness * 0.1 / 2f64.sqrt(), name);
            assert_near(part(1.25, 1.75), loudness * 0.6 / 2f64.sqrt(), name);
        }
    }
    assert_eq!(rig.files(), 0);
}

/// An element of Matroska.
fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    let size = 0x1000_0000_u32 | content.len() as u32;
    [id, &size.to_be_bytes(), content].concat()
}

/// What a browser records: Opus in WebM, without a length.
fn webm(opus: &[u8]) -> Vec<u8> {
    let mut packets = PacketReader::new(Cursor::new(opus));
    let head = packets.read_packet_expected().unwrap().data;
    packets.read_packet_expected().unwrap();
    let mut blocks = element(&[0xe7], &[0]);
    let mut time_ms = 0_i16;
    while let Some(packet) = packets.read_packet().unwrap() {
        let block = [&[0x81][..], &time_ms.to_be_bytes(), &[0x80], &packet.data].concat();
        blocks.extend(element(&[0xa3], &block));
        time_ms += 20;
    }
    let rate = element(&[0xb5], &48_000_f64.to_be_bytes());
    let sound = element(&[0xe1], &[rate, element(&[0x9f], &[1])].concat());
    let track = [
        element(&[0xd7], &[1]),
        element(&[0x73, 0xc5], &[1]),
        element(&[0x83], &[2]),
        element(&[0x86], b"A_OPUS"),
        element(&[0x63, 0xa2], &head),
        sound,
    ];
    let info = [
        element(&[0x2a, 0xd7, 0xb1], &[0x0f, 0x42, 0x40]),
        element(&[0x4d, 0x80], b"Chrome"),
        element(&[0x57, 0x41], b"Chrome"),
    ];
    let info = element(&[0x15, 0x49, 0xa9, 0x66], &info.concat());
    let tracks = element(&[0x16, 0x54, 0xae, 0x6b], &element(&[0xae], &track.concat()));
    let cluster = element(&[0x1f, 0x43, 0xb6, 0x75], &blocks);
    let ebml = element(&[0x1a, 0x45, 0xdf, 0xa3], &element(&[0x42, 0x82], b"webm"));
    let segment = element(&[0x18, 0x53, 0x80, 0x67], &[info, tracks, cluster].concat());
    [ebml, segment].concat()
}

/// As browsers write it while they record: without the sizes of what is not finished.
fn recorded(webm: &[u8]) -> Vec<u8> {
    let mut bytes = webm.to_vec();
    for id in [[0x18, 0x53, 0x80, 0x67], [0x1f, 0x43, 0xb6, 0x75]] {
        let at = bytes.windows(4).position(|window| window == id).unwrap();
        bytes[at + 4..at + 8].copy_from_slice(&[0x1f, 0xff, 0xff, 0xff]);
    }
    bytes
}

#[tokio::test]
async fn opus_in_mpeg_4_loses_nothing() {
    let rig = Rig::new();
    let note = rig.voice(&fixture("tone-opus.mp4")).await.unwrap();
    assert_eq!(note.seconds, Some(3));
    let heard = Heard::of(&std::fs::read(&note.file.path).unwrap());
    let length = heard.played().len() as f64 / 48_000.0;
    assert!((2.49..2.53).contains(&length), "{length}");
    assert_near(heard.rms(0.2, 0.8), STEREO_LOUDNESS * 0.1 / 2f64.sqrt(), "quiet");
    assert_near(heard.rms(1.2, 1.8), STEREO_LOUDNESS * 0.6 / 2f64.sqrt(), "loud");
}

#[tokio::test]
async fn what_a_browser_records_is_audio_and_may_be_a_note() {
    let rig = Rig::new();
    let bytes = webm(&fixture("tone-opus.ogg"));
    let ready = rig.prepare(&bytes, None).await.unwrap();
    assert_eq!((ready.kind, ready.mimetype.as_str()), (ContentKind::Audio, "audio/webm"));
    assert_eq!(ready.seconds, None, "it says none");
    let note = rig.voice(&bytes).await.unwrap();
    assert_eq!((note.seconds, note.mimetype.as_str()), (Some(3), "audio/ogg; codecs=opus"));
    let heard = Heard::of(&std::fs::read(&note.file.path).unwrap());
    assert_near(heard.rms(1.2, 1.8), STEREO_LOUDNESS * 0.6 / 2f64.sqrt(), "loud");
    assert_shape(&note.waveform.unwrap(), "webm");
}

/// Quiet, loud, silent: in the first 25, the next 25 and the last 14 of 64 steps.
fn assert_shape(waveform: &[u8], name: &str) {
    assert!(waveform[2..23].iter().all(|step| (10..25).contains(step)), "{name}: {waveform:?}");
    assert!(waveform[28..48].iter().all(|step| (80..=100).contains(step)), "{name}: {waveform:?}");
    assert!(waveform[54..62].iter().all(|step| *step <= 2), "{name}: {waveform:?}");
}

#[tokio::test]
async fn what_cannot_be_played_is_refused() {
    let rig = Rig::new();
    let unreadable = Err(failure("the file cannot be read as audio"));
    let opus = fixture("tone-opus.ogg");
    let noise: Vec<u8> = opus.iter().map(|byte| byte.wrapping_mul(37)).collect();
    let no_sound = wav(48_000, 1, &[]);
    let odd_rate = wav(1, 1, &[0; 100]);
    for bytes in [
        &b"ID3\x04\0\0\0\0\0\0 nothing"[..],
        &b"\0\0\0\x18ftypM4A \0\0\0\0"[..],
        &opus[..60],
        &[&opus[..60], &noise[60..]].concat(),
        &fixture("tone-vorbis.ogg")[..100],
        &no_sound,
        &odd_rate,
        &fixture("clip.mp4")[..40],
    ] {
        assert_eq!(rig.voice(bytes).await, unreadable, "{:?}", &bytes[..bytes.len().min(50)]);
    }
    assert_eq!(rig.files(), 0, "half a conversion leaves nothing");
}

#[tokio::test]
async fn damaged_files_do_no_harm() {
    let rig = Rig::new();
    for name in ["tone-opus.ogg", "tone.m4a", "tone.mp3", "tone-vorbis.ogg"] {
        let whole = fixture(name);
        for at in (0..whole.len()).step_by(whole.len() / 12) {
            let mut damaged = whole.clone();
            for byte in damaged.iter_mut().skip(at).take(9) {
                *byte ^= 0x5a;
            }
            if let Ok(ready) = rig.voice(&damaged).await {
                assert!(ready.seconds.unwrap() <= 3, "{name} at {at}");
            }
        }
    }
    assert_eq!(rig.files(), 0);
}

#[tokio::test]
async fn a_note_lasts_30_minutes_at_most() {
    let rig = Rig::new();
    // Few samples per second, and many seconds.
    let longer = wav(4_000, 1, &vec![0; 4_000 * 1_800 + 4_000]);
    let refused = rig.voice(&longer).await;
    assert_eq!(refused, Err(failure("a voice note may last 30 minutes at most")));
    assert_eq!(rig.files(), 0);
}

#[tokio::test]
async fn a_conversion_without_a_caller_stops() {
    let rig = Rig::new();
    let source = rig.file(&wav(48_000, 1, &tone(48_000, 1, 1.0, 0.5)));
    let stop = Stop::default();
    let stopped = stop.flag();
    drop(stop);
    let made = make(&source, Format::Wav, rig.dir.path(), &stopped);
    let busy = FileError::Temporary("the conversion to a voice note took too long".into());
    assert_eq!(made.err(), Some(busy));
    drop(source);
    assert_eq!(rig.files(), 0);
}

#[tokio::test]
async fn a_full_disk_is_a_temporary_error() {
    let rig = Rig::new();
    let source = rig.file(&wav(48_000, 1, &tone(48_000, 1, 1.0, 0.5)));
    let nowhere = rig.dir.path().join("gone");
    let made = make(&source, Format::Wav, &nowhere, &Stop::default().flag());
    assert_eq!(made.err(), Some(FileError::Temporary("the voice note could not be stored".into())));
}

#[test]
fn leftovers_are_removed() {
    let rig = Rig::new();
    let (ours, other) = (rig.dir.path().join("voice-old"), rig.dir.path().join("fetch-x"));
    std::fs::write(&ours, b"x").unwrap();
    std::fs::write(&other, b"x").unwrap();
    let _codec = crate::Codec::new(rig.dir.path().to_owned()).unwrap();
    assert!(!ours.exists() && other.exists());
}
