//! Detection of kinds and types.

use domain::media::MediaWish;
use domain::message::ContentKind::{Audio, Document, Image, Video, Voice};
use domain::ports::MediaCodec as _;

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
        ("clip.mp4", Video, "video/mp4", Some(3), None),
        ("clip.webm", Video, "video/webm", None, None),
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
    // Sizes, counts and offsets of all ones; and every file cut off somewhere.
    for name in ["dot.jpg", "dot.webp", "clip.mp4", "tone.m4a", "tone.mp3", "tone-vorbis.ogg"] {
        let whole = fixture(name);
        for cut in (1..whole.len()).step_by(whole.len() / 40 + 1) {
            let _ = rig.prepare(&whole[..cut], None).await.unwrap();
        }
        for at in (12..whole.len().min(900)).step_by(7) {
            let mut damaged = whole.clone();
            for byte in damaged.iter_mut().skip(at).take(4) {
                *byte = 0xff;
            }
            let _ = rig.prepare(&damaged, None).await.unwrap();
        }
    }
    assert_eq!(rig.files(), 0);
}
