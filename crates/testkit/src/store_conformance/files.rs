//! Files that come in.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::content::{Content, ContentKind, File};
use domain::device::DevicePatch;
use domain::ids::{AccountId, MessageId};
use domain::incoming_file::{
    EXPIRED, FileOutcome, FileReference, FileState, IncomingFile, MediaDownload, OVER_LIMIT,
};
use domain::media::Media;
use domain::message::{IncomingMessage, Message};
use domain::ports::Store;

use super::lists::incoming;
use super::{NOW, World, later, messages_of, stored};

fn with_file(whatsapp_id: &str) -> IncomingMessage {
    let media = Media {
        size: Some(9),
        state: Some(FileState::Pending),
        reference: Some(FileReference(vec![0, 255, 7].into())),
        ..Media::default()
    };
    let file = File { kind: ContentKind::Image, caption: "foto".into(), media };
    IncomingMessage { content: Content::File(file), ..incoming(whatsapp_id, "628111") }
}

async fn receive_at(world: &World, whatsapp_id: &str, seconds: i64) -> Message {
    let new = vec![with_file(whatsapp_id)];
    let received = world.store.receive(world.device.id, new, later(seconds)).await.unwrap();
    messages_of(received).remove(0)
}

async fn file(world: &World, message: MessageId) -> IncomingFile {
    world.store.file(world.account.id, message).await.unwrap().unwrap()
}

/// What a message shows of its file: state, reason and size.
async fn shown(world: &World, id: MessageId) -> (Option<FileState>, Option<String>, Option<u64>) {
    let message = world.store.message(world.account.id, id).await.unwrap().unwrap();
    let media = message.media().unwrap();
    (media.state, media.reason.clone(), media.size)
}

async fn due(world: &World, seconds: i64) -> Vec<MessageId> {
    let due = world.store.due_files(later(seconds), 10, &[]).await.unwrap();
    due.iter().map(|file| file.message).collect()
}

async fn stored_now(world: &World, id: MessageId, size: u64) -> bool {
    record(world, id, FileOutcome::Stored(size)).await
}

/// Whether there is such a file; with room for all.
async fn record(world: &World, id: MessageId, outcome: FileOutcome) -> bool {
    let gone = world.store.record_file(id, outcome, u64::MAX, later(1)).await.unwrap();
    gone.is_some_and(|gone| gone.is_empty())
}

async fn set(world: &World, setting: MediaDownload) {
    let patch = DevicePatch { media_download: Some(setting), ..DevicePatch::default() };
    world.store.update_device(world.account.id, world.device.id, patch).await.unwrap().unwrap();
}

pub async fn a_file_is_pending_from_the_commit_of_its_message(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let message = receive_at(&world, "F1", 0).await;
    let media = message.media().unwrap();
    assert_eq!((media.state, &media.reference), (Some(FileState::Pending), &None));
    let expected = IncomingFile {
        message: message.id,
        account: world.account.id,
        device: world.device.id,
        state: FileState::Pending,
        reason: None,
        reference: Some(FileReference(vec![0, 255, 7].into())),
        attempts: 0,
    };
    assert_eq!(file(&world, message.id).await, expected);
    assert_eq!(store.due_files(NOW, 10, &[]).await.unwrap(), [expected]);
    assert!(store.due_files(NOW, 10, &[message.id]).await.unwrap().is_empty(), "excepted");
    let again = store.receive(world.device.id, vec![with_file("F1")], later(5)).await.unwrap();
    assert!(again.is_empty(), "known already");
    let other = World::with(Arc::clone(&store), 20).await;
    assert_eq!(store.file(other.account.id, message.id).await.unwrap(), None);
    assert_eq!(store.file(AccountId(-1), message.id).await.unwrap(), None);
}

pub async fn a_stored_file_is_due_no_more(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = receive_at(&world, "F1", 0).await.id;
    assert!(stored_now(&world, id, 77).await);
    let file = file(&world, id).await;
    assert_eq!((file.state, file.reference), (FileState::Stored, None));
    assert_eq!(shown(&world, id).await, (Some(FileState::Stored), None, Some(77)));
    assert!(due(&world, 9).await.is_empty());
    assert_eq!(store.stored_files(&[id, MessageId(-1)]).await.unwrap(), [id]);
    assert!(!stored_now(&world, id, 78).await, "it has ended");
    assert!(!stored_now(&world, MessageId(-1), 1).await, "there is none");
}

pub async fn a_file_that_failed_is_due_later(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let id = receive_at(&world, "F1", 0).await.id;
    for (at, counts, attempts) in [(10, true, 1), (20, false, 1), (30, true, 2)] {
        let reason = format!("trouble {at}");
        let again = FileOutcome::Again { at: later(at), counts, reason: reason.clone() };
        assert!(record(&world, id, again).await);
        assert_eq!(file(&world, id).await.attempts, attempts);
        assert_eq!(shown(&world, id).await, (Some(FileState::Pending), Some(reason), Some(9)));
        assert!(due(&world, at - 1).await.is_empty());
        assert_eq!(store.next_file_due(later(at - 1)).await.unwrap(), Some(stored(later(at))));
        assert_eq!(due(&world, at).await, [id]);
        assert_eq!(store.next_file_due(later(at)).await.unwrap(), None);
    }
    store.request_file(world.account.id, id, later(3)).await.unwrap();
    assert_eq!(due(&world, 3).await, [id], "asked for");
    let ended = FileOutcome::Ended(FileState::Failed, "its hash differs".into());
    assert!(record(&world, id, ended).await);
    let failed = file(&world, id).await;
    assert_eq!((failed.state, failed.reference), (FileState::Failed, None));
    let expected = (Some(FileState::Failed), Some("its hash differs".to_owned()), Some(9));
    assert_eq!(shown(&world, id).await, expected);
    store.request_file(world.account.id, id, later(4)).await.unwrap();
    assert!(due(&world, 9).await.is_empty());
}

pub async fn due_files_are_shared_among_accounts(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let other = World::with(Arc::clone(&store), 20).await;
    let mut ours = Vec::new();
    for n in 0..4 {
        ours.push(receive_at(&world, &format!("F{n}"), n).await.id);
    }
    let theirs = receive_at(&other, "F9", 5).await.id;
    let due = store.due_files(later(9), 2, &[]).await.unwrap();
    let ids: Vec<MessageId> = due.iter().map(|file| file.message).collect();
    assert_eq!(ids, [ours[0], ours[1], theirs], "the longest due first");
}

pub async fn the_setting_of_a_device_decides_what_is_fetched(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    set(&world, MediaDownload::OnDemand).await;
    let asked = receive_at(&world, "F1", 0).await;
    assert_eq!(asked.media().unwrap().state, Some(FileState::OnDemand));
    assert!(due(&world, 9).await.is_empty());
    assert_eq!(store.next_file_due(NOW).await.unwrap(), None);
    let other = World::with(Arc::clone(&store), 20).await;
    store.request_file(other.account.id, asked.id, later(1)).await.unwrap();
    assert!(due(&world, 9).await.is_empty(), "another account asks for nothing");
    store.request_file(world.account.id, asked.id, later(1)).await.unwrap();
    assert_eq!(due(&world, 1).await, [asked.id]);
    set(&world, MediaDownload::Off).await;
    let unwanted = receive_at(&world, "F2", 2).await;
    let reason = unwanted.media().unwrap().reason.clone();
    assert!(reason.as_deref().unwrap().contains("media_download"), "{reason:?}");
    assert_eq!(shown(&world, unwanted.id).await, (Some(FileState::Gone), reason, Some(9)));
    assert_eq!(file(&world, unwanted.id).await.reference, None);
    store.request_file(world.account.id, unwanted.id, later(3)).await.unwrap();
    assert_eq!(due(&world, 9).await, [asked.id]);
}

pub async fn old_files_and_those_beyond_the_limit_end(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let other = World::with(Arc::clone(&store), 20).await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(receive_at(&world, &format!("F{n}"), n).await.id);
        assert!(stored_now(&world, ids[ids.len() - 1], 100).await);
    }
    let theirs = receive_at(&other, "F9", 3).await.id;
    let expire = async |before: i64, account_max: u64| {
        let expired = store.expire_files(later(before), account_max).await.unwrap();
        expired.into_iter().map(|file| (file.message, file.state)).collect::<Vec<_>>()
    };
    assert_eq!(expire(1, 1_000).await, [(ids[0], FileState::Stored)]);
    assert_eq!(expire(1, 1_000).await, []);
    assert_eq!(expire(1, 200).await, [(ids[1], FileState::Stored)]);
    assert_eq!(expire(1, 200).await, []);
    let gone = |reason: &str| (Some(FileState::Gone), Some(reason.to_owned()), Some(100));
    assert_eq!(shown(&world, ids[0]).await, gone(EXPIRED));
    assert_eq!(shown(&world, ids[1]).await, gone(OVER_LIMIT));
    assert_eq!(store.stored_files(&ids).await.unwrap(), ids[2..]);
    assert!(expire(9, 1_000).await.contains(&(theirs, FileState::Pending)));
}

pub async fn a_file_whose_message_lacks_what_fetches_it_has_failed(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    for (n, setting) in
        [MediaDownload::Auto, MediaDownload::OnDemand, MediaDownload::Off].into_iter().enumerate()
    {
        set(&world, setting).await;
        let mut new = with_file(&format!("F{n}"));
        let Content::File(content) = &mut new.content else { unreachable!() };
        content.media.reference = None;
        content.media.state = Some(FileState::Failed);
        content.media.reason = Some("it has no key".to_owned());
        let received = store.receive(world.device.id, vec![new], NOW).await.unwrap();
        let id = messages_of(received).remove(0).id;
        let failed = (Some(FileState::Failed), Some("it has no key".to_owned()), Some(9));
        assert_eq!(shown(&world, id).await, failed, "{setting:?}");
        assert_eq!(file(&world, id).await.reason.as_deref(), Some("it has no key"));
        store.request_file(world.account.id, id, later(1)).await.unwrap();
        assert!(due(&world, 9).await.is_empty());
    }
}

pub async fn newer_files_take_the_place_of_those_stored_longest(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let other = World::with(Arc::clone(&store), 20).await;
    let theirs = receive_at(&other, "F1", 0).await.id;
    assert!(stored_now(&other, theirs, 1_000).await, "another account's count for nothing");
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(receive_at(&world, &format!("F{n}"), n).await.id);
    }
    let keep = async |index: usize, size: u64, at: i64| {
        let outcome = FileOutcome::Stored(size);
        let gone = store.record_file(ids[index], outcome, 300, later(at)).await.unwrap().unwrap();
        gone.into_iter().map(|file| (file.message, file.state)).collect::<Vec<_>>()
    };
    // The newest message's file is the one that is stored first.
    assert_eq!(keep(4, 100, 10).await, []);
    assert_eq!(keep(0, 100, 11).await, []);
    assert_eq!(keep(1, 100, 12).await, []);
    assert_eq!(keep(2, 150, 13).await, [4, 0].map(|n| (ids[n], FileState::Stored)));
    let gone = (Some(FileState::Gone), Some(OVER_LIMIT.to_owned()), Some(100));
    assert_eq!(shown(&world, ids[4]).await, gone);
    assert_eq!(store.stored_files(&ids).await.unwrap(), ids[1..3]);
    // What is larger than all that may be kept goes itself.
    assert_eq!(keep(3, 301, 14).await.len(), 3);
    assert_eq!(store.stored_files(&ids).await.unwrap(), []);
    assert_eq!(store.stored_files(&[theirs]).await.unwrap(), [theirs]);
    // What is gone counts no more, in whatever way it went.
    let next = receive_at(&world, "F7", 20).await.id;
    assert!(stored_now(&world, next, 300).await);
    assert!(!store.expire_files(later(21), u64::MAX).await.unwrap().is_empty());
    let last = receive_at(&world, "F8", 30).await.id;
    let stored = FileOutcome::Stored(300);
    assert_eq!(store.record_file(last, stored, 300, later(31)).await.unwrap(), Some(vec![]));
}

pub async fn files_go_with_their_devices_and_accounts(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let other = World::with(Arc::clone(&store), 20).await;
    let (ours, theirs) =
        (receive_at(&world, "F1", 0).await.id, receive_at(&other, "F1", 0).await.id);
    store.delete_device(world.account.id, world.device.id, later(1)).await.unwrap().unwrap();
    assert_eq!(store.file(world.account.id, ours).await.unwrap(), None);
    assert_eq!(shown(&world, ours).await.0, Some(FileState::Gone));
    assert!(store.delete_account(other.account.id).await.unwrap());
    assert_eq!(store.file(other.account.id, theirs).await.unwrap(), None);
    assert!(due(&world, 9).await.is_empty());
}
