//! Messages that are older than they are kept, as the archive gets them.

use std::sync::Arc;

use domain::ids::MessageId;
use domain::ports::Store;

use super::lists::incoming;
use super::{NOW, World, later};

/// The oldest of all accounts are read as lines of JSON, and deleted by their ids.
pub async fn old_messages_are_read_whole_and_deleted_by_their_ids(store: Arc<dyn Store>) {
    let (world, other) = (World::new(store.clone()).await, World::with(store.clone(), 30).await);
    let sent = world.sent(1).await;
    store.receive(other.device.id, vec![incoming("in", "628222")], NOW).await.unwrap();
    store.receive(other.device.id, vec![incoming("new", "628222")], later(100)).await.unwrap();
    assert!(store.old_messages(NOW).await.unwrap().is_empty());
    let old = store.old_messages(later(100)).await.unwrap();
    let accounts: Vec<_> = old.iter().map(|message| message.account).collect();
    assert_eq!(accounts, [world.account.id, other.account.id]);
    assert_eq!((old[0].id, old[0].created_at), (sent.id, sent.created_at));
    for message in &old {
        let line: serde_json::Value = serde_json::from_str(&message.line).unwrap();
        assert_eq!(line["id"], message.id.0, "{line}");
        let whole = store.message(message.account, message.id).await.unwrap().unwrap();
        assert_eq!(line["text"], whole.content.text(), "{line}");
        assert!(!message.line.contains('\n'));
    }
    let ids: Vec<MessageId> = old.iter().map(|message| message.id).collect();
    assert_eq!(store.delete_messages(&ids).await.unwrap(), 2);
    assert_eq!(store.delete_messages(&ids).await.unwrap(), 0);
    assert_eq!(store.delete_messages(&[]).await.unwrap(), 0);
    assert!(store.old_messages(later(100)).await.unwrap().is_empty());
    assert_eq!(store.old_messages(later(101)).await.unwrap().len(), 1);
}
