//! Files that came with a form that is shown again, or whose list is looked at before it goes: browsers do not
//! keep them.

use std::sync::Arc;

use domain::media::INLINE_MEDIA_BYTES_MAX;
use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::forms::FormFile;

/// How long a file is kept.
const KEPT: SignedDuration = SignedDuration::from_mins(10);
/// Most bytes of all files; then the oldest goes.
const BYTES_MAX: usize = 4 * INLINE_MEDIA_BYTES_MAX;
/// Most bytes of the files of a session or link, so that one cannot push out those of others.
const OWN_BYTES_MAX: usize = INLINE_MEDIA_BYTES_MAX;
/// Most files of a session or link, however small they are.
const OWN_FILES_MAX: usize = 8;

/// The files that are kept, oldest first.
#[derive(Default)]
pub(crate) struct HeldFiles(Arc<Mutex<Vec<Held>>>);

/// A file of a session or a link, which its CSRF proof stands for.
struct Held {
    whose: String,
    id: String,
    file: FormFile,
    since: Timestamp,
    _end: Timer,
}

/// Frees a file when it was kept long enough, although no form comes; ends with the file.
struct Timer(JoinHandle<()>);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Held {
    fn is(&self, whose: &str, id: &str) -> bool {
        self.whose == whose && self.id == id
    }
}

impl HeldFiles {
    /// Keeps a file, and returns what names it. The same file has the same name, also on another node.
    pub(super) fn hold(&self, whose: &str, file: FormFile, now: Timestamp) -> String {
        let id = id_of(&file);
        let mut files = self.fresh(now);
        files.retain(|held| !held.is(whose, &id));
        let size = file.bytes.len();
        let is_own = |held: &Held| held.whose == whose;
        make_room(&mut files, OWN_FILES_MAX - 1, is_own, |_| 1);
        make_room(&mut files, OWN_BYTES_MAX.saturating_sub(size), is_own, bytes_of);
        make_room(&mut files, BYTES_MAX.saturating_sub(size), |_| true, bytes_of);
        let (whose, end) = (whose.to_owned(), self.timer(whose, &id));
        files.push(Held { whose, id: id.clone(), file, since: now, _end: end });
        id
    }

    /// A file of this session or link.
    pub(super) fn file(&self, whose: &str, id: &str, now: Timestamp) -> Option<FormFile> {
        let files = self.fresh(now);
        let found = files.iter().find(|held| held.is(whose, id))?;
        Some(found.file.clone())
    }

    fn timer(&self, whose: &str, id: &str) -> Timer {
        let (files, whose, id) = (Arc::downgrade(&self.0), whose.to_owned(), id.to_owned());
        Timer(tokio::spawn(async move {
            sleep(KEPT.unsigned_abs()).await;
            if let Some(files) = files.upgrade() {
                files.lock().retain(|held| !held.is(&whose, &id));
            }
        }))
    }

    /// The files without those that were kept long enough.
    fn fresh(&self, now: Timestamp) -> MutexGuard<'_, Vec<Held>> {
        let mut files = self.0.lock();
        files.retain(|held| now.duration_since(held.since) < KEPT);
        files
    }
}

fn bytes_of(held: &Held) -> usize {
    held.file.bytes.len()
}

/// Forgets the oldest of the files that count, until the others together have at most this size.
fn make_room(
    files: &mut Vec<Held>,
    size_max: usize,
    is_counted: impl Fn(&Held) -> bool,
    size_of: impl Fn(&Held) -> usize,
) {
    let size = |held: &Held| if is_counted(held) { size_of(held) } else { 0 };
    while files.iter().map(size).sum::<usize>() > size_max {
        let Some(oldest) = files.iter().position(&is_counted) else { return };
        files.remove(oldest);
    }
}

fn id_of(FormFile { name, bytes }: &FormFile) -> String {
    let sum = Sha256::new_with_prefix(name).chain_update([0]).chain_update(bytes).finalize();
    let sum: [u8; 32] = sum.into();
    hex::encode(&sum[..16])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;

    fn file(name: &str, size: usize) -> FormFile {
        FormFile { name: name.to_owned(), bytes: Bytes::from(vec![0; size]) }
    }

    #[tokio::test]
    async fn each_session_finds_its_own_files_for_a_while() {
        let (held, now) = (HeldFiles::default(), Timestamp::UNIX_EPOCH);
        let id = held.hold("ani", file("a", 1), now);
        assert_eq!(held.hold("budi", file("a", 1), now), id);
        let named = |whose: &str, id: &str, after_s: i64| {
            let found = held.file(whose, id, now + SignedDuration::from_secs(after_s));
            found.map(|file| file.name)
        };
        assert_eq!(named("ani", &id, 0).as_deref(), Some("a"));
        assert_eq!(named("cici", &id, 0), None);
        assert_eq!(named("ani", "x", 0), None);
        assert_eq!(named("ani", &id, 599).as_deref(), Some("a"));
        assert_eq!(named("ani", &id, 600), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_freed_at_its_end_although_no_form_comes() {
        let (held, now) = (HeldFiles::default(), Timestamp::UNIX_EPOCH);
        let half = KEPT.unsigned_abs() / 2;
        let count = || held.0.lock().len();
        held.hold("ani", file("a", 1), now);
        sleep(half).await;
        // It came once more: its time begins anew.
        held.hold("ani", file("a", 1), now);
        held.hold("budi", file("b", 1), now);
        sleep(half).await;
        assert_eq!(count(), 2);
        sleep(half + Duration::from_secs(1)).await;
        assert_eq!(count(), 0);
    }

    #[tokio::test]
    async fn a_session_has_few_files() {
        let (held, now) = (HeldFiles::default(), Timestamp::UNIX_EPOCH);
        let other = held.hold("budi", file("a", 1), now);
        let names = (0..=OWN_FILES_MAX).map(|n| n.to_string());
        let ids: Vec<_> = names.map(|name| held.hold("ani", file(&name, 1), now)).collect();
        let found = ids.iter().filter(|id| held.file("ani", id, now).is_some());
        assert_eq!(found.count(), OWN_FILES_MAX);
        assert!(held.file("ani", &ids[0], now).is_none());
        assert!(held.file("budi", &other, now).is_some());
    }

    #[tokio::test]
    async fn the_oldest_goes_first() {
        let (held, now) = (HeldFiles::default(), Timestamp::UNIX_EPOCH);
        let half = INLINE_MEDIA_BYTES_MAX / 2;
        let hold = |whose: &str, name: &str| held.hold(whose, file(name, half), now);
        let is_held = |whose: &str, id: &str| held.file(whose, id, now).is_some();
        let [a, b, c] = ["a", "b", "c"].map(|name| hold("ani", name));
        assert_eq!([&a, &b, &c].map(|id| is_held("ani", id)), [false, true, true]);
        for session in ["1", "2", "3"] {
            let own = ["a", "b"].map(|name| hold(session, name));
            assert!(own.iter().all(|id| is_held(session, id)));
        }
        assert!(is_held("ani", &b) && is_held("ani", &c));
        let last = hold("4", "a");
        assert!(!is_held("ani", &b) && is_held("ani", &c) && is_held("4", &last));
    }
}
