//! Finding messages by their ids.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use domain::context::MessageName;
use domain::ids::{AccountId, DeviceId, WhatsappId};
use domain::ports::Store;
use uuid::Uuid;

use super::World;
use super::lists::receive;

/// By our id and by WhatsApp's; of its own device and account only.
pub async fn a_message_is_found_by_either_id(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let (store, account) = (&store, world.account.id);
    let named = |device, name: MessageName| async move {
        let found = store.message_named(account, device, &name).await.unwrap();
        found.map(|message| message.id)
    };
    let received = receive(&world, "IN1").await;
    let (waiting, sent) = (world.accept(world.text(1)).await, world.sent(2).await);
    let device = world.device.id;
    for message in [&received, &sent] {
        let by_whatsapp = MessageName::Whatsapp(message.whatsapp_id.clone());
        assert_eq!(named(device, by_whatsapp).await, Some(message.id));
        assert_eq!(named(device, MessageName::Id(message.id)).await, Some(message.id));
    }
    let other = DeviceId(Uuid::from_u128(77));
    let cases = [(device, &received, true), (device, &sent, true), (other, &received, false)];
    for (device, message, is_there) in cases.into_iter().chain([(device, &waiting, false)]) {
        let found = store.has_message(device, &message.whatsapp_id).await.unwrap();
        assert_eq!(found, is_there, "{}", message.whatsapp_id);
    }
    let of_received = MessageName::Whatsapp(received.whatsapp_id.clone());
    assert_eq!(named(device, MessageName::Id(waiting.id)).await, Some(waiting.id));
    assert_eq!(named(other, MessageName::Id(sent.id)).await, None);
    assert_eq!(named(other, of_received.clone()).await, None);
    assert_eq!(named(device, MessageName::Whatsapp(WhatsappId("NONE".into()))).await, None);
    let stranger = AccountId(world.account.id.0 + 1);
    let foreign = store.message_named(stranger, device, &of_received).await.unwrap();
    assert!(foreign.is_none(), "another account's");
}
