//! Files that came with a form that is shown again, or whose list is looked at before it goes: browsers do not
//! keep them.

use domain::media::INLINE_MEDIA_BYTES_MAX;
use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};

use crate::forms::FormFile;

/// How long a file is kept.
const KEPT: SignedDuration = SignedDuration::from_mins(10);
/// Most bytes of all files; then the oldest goes.
const BYTES_MAX: usize = 4 * INLINE_MEDIA_BYTES_MAX;
/// Most bytes of the files of a session or link, so that one cannot push out those of others.
const OWN_BYTES_MAX: usize = INLINE_MEDIA_BYTES_MAX;

/// The files that are kept, oldest first.
#[derive(Default)]
pub(crate) struct HeldFiles(Mutex<Vec<Held>>);

/// A file of a session or a link, which its CSRF proof stands for.
struct Held {
    whose: String,
    id: String,
    file: FormFile,
    since: Timestamp,
}

impl HeldFiles {
    /// Keeps a file, and returns what names it. The same file has the same name, also on another node.
    pub(super) fn hold(&self, whose: &str, file: FormFile, now: Timestamp) -> String {
        let id = id_of(&file);
        let mut files = self.fresh(now);
        files.retain(|held| held.whose != whose || held.id != id);
        let size = file.bytes.len();
        make_room(&mut files, OWN_BYTES_MAX.saturating_sub(size), |held| held.whose == whose);
        make_room(&mut files, BYTES_MAX.saturating_sub(size), |_| true);
        files.push(Held { whose: whose.to_owned(), id: id.clone(), file, since: now });
        id
    }

    /// A file of this session or link.
    pub(super) fn file(&self, whose: &str, id: &str, now: Timestamp) -> Option<FormFile> {
        let files = self.fresh(now);
        let found = files.iter().find(|held| held.whose == whose && held.id == id)?;
        Some(found.file.clone())
    }

    /// The files without those that were kept long enough.
    fn fresh(&self, now: Timestamp) -> MutexGuard<'_, Vec<Held>> {
        let mut files = self.0.lock();
        files.retain(|held| now.duration_since(held.since) < KEPT);
        files
    }
}

/// Forgets the oldest of the files that count, until the others have at most so many bytes.
fn make_room(files: &mut Vec<Held>, bytes_max: usize, is_counted: impl Fn(&Held) -> bool) {
    let size = |held: &Held| if is_counted(held) { held.file.bytes.len() } else { 0 };
    while files.iter().map(size).sum::<usize>() > bytes_max {
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
    use bytes::Bytes;

    use super::*;

    fn file(name: &str, size: usize) -> FormFile {
        FormFile { name: name.to_owned(), bytes: Bytes::from(vec![0; size]) }
    }

    #[test]
    fn each_session_finds_its_own_files_for_a_while() {
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

    #[test]
    fn the_oldest_goes_first() {
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
