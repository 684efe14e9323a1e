//! Detection of kinds and types.

use domain::media::{MediaWish, ReadyMedia};
use domain::message::ContentKind::{Audio, Document, Image, Sticker, Video, Voice};
use domain::ports::{FileError, MediaCodec as _};

use super::{Rig, failure, fixture};

#[tokio::test]
async fn files_are_known_by_their_bytes() {
    let rig = Rig::new();
    let cases = [
        ("dot.jpg", Image, "image/jpeg", None, Some((30, 16))),
        ("dot.png", Image, "image/png", None, Some((30, 16))),
        ("dot.gif", Image, "image/gif", None, Some((30, 16))),
        ("dot.webp", Image, "image/webp", None, Some((30, 16))),
        ("lossless.webp", Image, "image/webp", None, Some((30, 16))),
        ("clip.mp4", Video, "video/mp4", Some(3), Some((48, 36))),
        ("clip.webm", Video, "video/webm", Some(1), None),
        ("tone.mp3", Audio, "audio/mpeg", Some(3), None),
        ("tone.m4a", Audio, "audio/mp4", Some(3), None),
        ("tone.aac", Audio, "audio/aac", None, None),
        ("tone-vorbis.ogg", Audio, "audio/ogg", Some(3), None),
        ("tone-opus.ogg", Audio, "audio/ogg; codecs=opus", Some(3), None),
    ];
    for (name, kind, mimetype, seconds, dimensions) in cases {
        let bytes = fixture(name);
        let ready = rig.prepare(&bytes, None).await.unwrap();
        assert_eq!((ready.kind, ready.mimetype.as_str()), (kind, mimetype), "{name}");
        assert_eq!((ready.seconds, ready.dimensions), (seconds, dimensions), "{name}");
        assert_eq!((ready.filename, ready.waveform), (None, None), "{name}");
        assert_eq!(std::fs::read(&ready.file.path).unwrap(), bytes, "{name}");
    }
    assert_eq!(rig.files(), 0);
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let rig = Rig::new();
    let pdf = b"%PDF-1.7\n";
    for (bytes, kind, message) in [
        (&pdf[..], Image, "the file is not an image"),
        (&pdf[..], Video, "the file is not a video"),
        (&pdf[..], Audio, "the file is not an audio file"),
        (&pdf[..], Voice, "the file is not an audio file"),
        (&fixture("dot.png"), Video, "the file is not a video"),
        (&fixture("tone.mp3"), Image, "the file is not an image"),
        (b"<html>", Image, "the file is not an image"),
        (b"", Document, "the file is empty"),
    ] {
        assert_eq!(rig.prepare(bytes, Some(kind)).await, Err(failure(message)), "{kind:?}");
    }
    assert_eq!(rig.files(), 0);
}

#[tokio::test]
async fn documents_have_a_type_and_a_name() {
    let rig = Rig::new();
    let document = rig.prepare(b"%PDF-1.7\n", None).await.unwrap();
    assert_eq!((document.kind, document.mimetype.as_str()), (Document, "application/pdf"));
    assert_eq!(document.filename.as_deref(), Some("file.pdf"));

    let wish = MediaWish {
        kind: Some(Document),
        filename: Some("Foto.jpg".to_owned()),
        content_type: Some("image/jpeg".to_owned()),
        source_name: Some("x".to_owned()),
        ..MediaWish::default()
    };
    let picture = rig.codec.prepare(rig.file(&fixture("dot.jpg")), wish).await.unwrap();
    assert_eq!((picture.kind, picture.mimetype.as_str()), (Document, "image/jpeg"));
    assert_eq!(picture.filename.as_deref(), Some("Foto.jpg"));
    assert_eq!(picture.dimensions, None);
}

#[tokio::test]
async fn headers_that_lie_do_no_harm() {
    let rig = Rig::new();
    let check = |prepared: Result<ReadyMedia, FileError>| {
        assert!(prepared.is_ok() || prepared == Err(failure("the picture is cut off")));
    };
    // Sizes, counts and offsets of all ones; and every file cut off somewhere.
    for name in ["dot.jpg", "dot.webp", "clip.mp4", "tone.m4a", "tone.mp3", "tone-vorbis.ogg"] {
        let whole = fixture(name);
        for cut in (1..whole.len()).step_by(whole.len() / 40 + 1) {
            check(rig.prepare(&whole[..cut], None).await);
        }
        for at in (12..whole.len().min(900)).step_by(7) {
            let mut damaged = whole.clone();
            for byte in damaged.iter_mut().skip(at).take(4) {
                *byte = 0xff;
            }
            check(rig.prepare(&damaged, None).await);
        }
    }
    assert_eq!(rig.files(), 0);
}

#[tokio::test]
async fn a_picture_that_is_cut_off_goes_as_a_document_only() {
    let rig = Rig::new();
    for (name, kind) in [
        ("dot.png", None),
        ("dot.png", Some(Image)),
        ("dot.png", Some(Sticker)),
        // A decoder makes do with what is there of one.
        ("dot.jpg", None),
        ("dot.webp", Some(Sticker)),
    ] {
        let whole = fixture(name);
        let cut_off = match name {
            "dot.jpg" => &whole[..whole.len() - 8],
            _ => &whole[..whole.len() / 2],
        };
        assert_eq!(rig.prepare(cut_off, kind).await, Err(failure("the picture is cut off")));
        let of_group = rig.codec.make_picture(rig.file(cut_off)).await;
        assert_eq!(of_group, Err(failure("the picture is cut off")));
        assert_eq!(rig.prepare(cut_off, Some(Document)).await.unwrap().kind, Document);
        assert_eq!(rig.prepare(&whole, kind).await.unwrap().kind, kind.unwrap_or(Image));
    }
    assert_eq!(rig.files(), 0);
}

#[tokio::test]
async fn archives_and_office_files_are_known_by_what_is_inside() {
    let rig = Rig::new();
    let office = |folder: &str| zip(&[("[Content_Types].xml", b""), (folder, b"x")]);
    let book = zip(&[("mimetype", b"application/epub+zip"), ("META-INF/container.xml", b"")]);
    let text = zip(&[("mimetype", b"application/vnd.oasis.opendocument.text"), ("x", b"")]);
    let cases = [
        (office("word/document.xml"), "get.docx"),
        (office("xl/workbook.xml"), "get.xlsx"),
        (office("xl/workbook.bin"), "get.xlsb"),
        (zip(&[("[Content_Types].xml", b""), ("word/vbaProject.bin", b"")]), "get.docm"),
        (office("ppt/presentation.xml"), "get.pptx"),
        (book, "get.epub"),
        (text, "get.odt"),
        (zip(&[("AndroidManifest.xml", b""), ("classes.dex", b"")]), "get.apk"),
        (zip(&[("a.txt", b"word/document.xml")]), "get.zip"),
        // A file in an archive does not make the archive one of its kind.
        (zip(&[("inner.docx", &office("word/document.xml"))]), "get.zip"),
        (b"PK\x03\x04 cut off".to_vec(), "get.zip"),
        (ole("WordDocument"), "get.doc"),
        (ole("Workbook"), "get.xls"),
        (ole("PowerPoint Document"), "get.ppt"),
        (ole("EncryptedPackage"), "get"),
    ];
    for (bytes, name) in cases {
        let wish = MediaWish {
            content_type: Some("application/octet-stream".to_owned()),
            url_names: vec!["get".to_owned()],
            ..MediaWish::default()
        };
        let ready = rig.codec.prepare(rig.file(&bytes), wish).await.unwrap();
        assert_eq!((ready.kind, ready.filename.as_deref()), (Document, Some(name)));
    }
}

/// An archive whose entries are not compressed.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let sizes = [(content.len() as u32).to_le_bytes(), (content.len() as u32).to_le_bytes()];
        let name_size = (name.len() as u16).to_le_bytes();
        let at = (archive.len() as u32).to_le_bytes();
        let fields: [&[u8]; 4] = [&[0; 12], &sizes.concat(), &name_size, &[0; 2]];
        archive.extend([b"PK\x03\x04\x14\0", fields.concat().as_slice(), name.as_bytes()].concat());
        archive.extend(*content);
        directory.extend([b"PK\x01\x02\x14\0\x14\0", fields.concat().as_slice()].concat());
        directory.extend([&[0; 10][..], &at, name.as_bytes()].concat());
    }
    let (size, at) = (directory.len() as u32, archive.len() as u32);
    archive.extend(directory);
    archive.extend(b"PK\x05\x06\0\0\0\0\0\0\0\0");
    archive.extend([size.to_le_bytes(), at.to_le_bytes()].concat());
    archive.extend([0; 2]);
    archive
}

/// A compound file whose directory holds one stream.
fn ole(stream: &str) -> Vec<u8> {
    let mut file = vec![0; 512 + 512 * 2];
    file[..8].copy_from_slice(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
    file[30] = 9;
    file[48] = 1;
    for (at, name) in ["Root Entry", stream].into_iter().enumerate() {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        file[1024 + at * 128..][..wide.len()].copy_from_slice(&wide);
    }
    file
}

/// A box of MPEG-4.
fn boxed(name: &str, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    [&(content.len() as u32 + 8).to_be_bytes(), name.as_bytes(), &content].concat()
}

/// A file of fragments with one track, 1,000 ticks a second; `movie` and `all` are what its headers
/// announce, `samples` the lengths of each fragment's samples.
fn fragmented(handler: &str, movie: u32, all: Option<u32>, samples: &[&[u32]]) -> Vec<u8> {
    let be = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
    let media = [
        boxed("mdhd", &[&be(&[0, 0, 0, 1_000, 0, 0])]),
        boxed("hdlr", &[&be(&[0, 0]), handler.as_bytes(), &[0; 12]]),
    ];
    let track = [boxed("tkhd", &[&be(&[0, 0, 0, 7, 0])]), boxed("mdia", &[&media.concat()])];
    let mut extends = boxed("trex", &[&be(&[0, 7, 1, 40, 0, 0])]);
    extends.extend(all.map(|all| boxed("mehd", &[&be(&[0, all])])).unwrap_or_default());
    let header = boxed("mvhd", &[&be(&[0, 0, 0, 1_000, movie, 0, 0, 0])]);
    let movie =
        boxed("moov", &[&header, &boxed("trak", &[&track.concat()]), &boxed("mvex", &[&extends])]);
    let fragments = samples.iter().map(|samples| {
        let count = samples.len() as u32;
        let run = match samples.iter().all(|sample| *sample == 40) {
            true => boxed("trun", &[&be(&[0, count])]),
            false => {
                let rows: Vec<u8> = samples.iter().flat_map(|sample| be(&[*sample, 9])).collect();
                boxed("trun", &[&be(&[0x301, count, 0]), &rows])
            }
        };
        let header = boxed("tfhd", &[&be(&[0, 7])]);
        boxed("moof", &[&boxed("traf", &[&header, &run])])
    });
    let fragments: Vec<u8> = fragments.flatten().collect();
    [boxed("ftyp", &[b"iso5\0\0\0\0"]), movie, fragments].concat()
}

#[tokio::test]
async fn fragments_have_their_real_length_or_none() {
    let rig = Rig::new();
    type Case<'a> = (u32, Option<u32>, &'a [&'a [u32]], Option<u32>);
    let cases: [Case<'_>; 7] = [
        (0, None, &[&[1_000, 2_000], &[4_000]], Some(7)),
        (0, None, &[&[40; 100], &[40; 50]], Some(6)),
        (u32::MAX, None, &[&[9_000]], Some(9)),
        (0, Some(12_000), &[&[1_000]], Some(12)),
        (2_000, None, &[&[3_000]], Some(5)),
        (0, None, &[], None),
        (u32::MAX, Some(u32::MAX), &[], None),
    ];
    for (movie, all, samples, seconds) in cases {
        let video = rig.prepare(&fragmented("vide", movie, all, samples), None).await.unwrap();
        assert_eq!((video.kind, video.seconds), (Video, seconds), "{movie} {all:?} {samples:?}");
        let sound = rig.prepare(&fragmented("soun", movie, all, samples), None).await.unwrap();
        assert_eq!((sound.kind, sound.seconds), (Audio, seconds));
        assert_eq!(sound.mimetype, "audio/mp4", "a recorder writes the brand of a camera");
    }
}

#[tokio::test]
async fn files_joined_end_to_end_are_as_long_as_all_their_parts() {
    let rig = Rig::new();
    for name in ["tone.mp3", "tone-vorbis.ogg", "tone-opus.ogg"] {
        let one = rig.prepare(&fixture(name), None).await.unwrap();
        let two = rig.prepare(&[fixture(name), fixture(name)].concat(), None).await.unwrap();
        assert_eq!((one.seconds, two.seconds), (Some(3), Some(5)), "{name}: 2.5 and 5 s");
    }
    let wav = |rate: u32| {
        let header = b"RIFF\x24\x7d\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0";
        let rest = b"\x02\0\x10\0data\0\x7d\0\0";
        [&header[..], &rate.to_le_bytes(), rest, &[0; 32_000]].concat()
    };
    let joined = [wav(32_000), wav(16_000), wav(16_000)].concat();
    assert_eq!(rig.prepare(&joined, None).await.unwrap().seconds, Some(5), "1, 2 and 2 s");
    let tag = [&b"ID3\x04\0\0\0\0\x07\x60"[..], &b"\xff\xfb\x90\x64".repeat(248)].concat();
    let tagged = [fixture("tone.mp3"), tag, fixture("tone.mp3")].concat();
    assert_eq!(rig.prepare(&tagged, None).await.unwrap().seconds, Some(5), "a tag between them");
}

#[tokio::test]
async fn a_compressed_sound_is_as_long_as_its_samples() {
    let rig = Rig::new();
    let wav = |format: u8, samples: u32| {
        let header =
            [&b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0"[..], &[format, 0], b"\x01\0\x40\x1f\0\0"];
        let rest = b"\x80\x3e\0\0\0\x04\x04\0fact\x04\0\0\0";
        let data = b"data\x80\x3e\0\0";
        [&header.concat(), &rest[..], &samples.to_le_bytes(), data, &[0; 16_000]].concat()
    };
    for (format, samples, seconds) in [(0x11, 24_000, 3), (0x11, 0, 1), (1, 24_000, 1)] {
        let ready = rig.prepare(&wav(format, samples), None).await.unwrap();
        assert_eq!(ready.seconds, Some(seconds), "{format} {samples}");
    }
}

#[tokio::test]
async fn a_stream_that_announces_what_it_likes_is_as_long_as_it_is() {
    let rig = Rig::new();
    for announced in [u32::MAX, 0x7fff_ffff, 32_000] {
        let header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data";
        let wav = [&header[..], &announced.to_le_bytes(), &[0; 32_000 * 4]].concat();
        let expected = if announced == 32_000 { 1 } else { 4 };
        assert_eq!(rig.prepare(&wav, None).await.unwrap().seconds, Some(expected));
    }
}
