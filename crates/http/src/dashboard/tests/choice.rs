//! Accounts with more devices than a list of them has room for.

use domain::device::{DeviceStatus, StatusChange};
use domain::ids::DeviceId;
use domain::person::Role;

use super::{Browser, app};
use crate::tests::app::App;

/// Adds devices that are not linked; those that are linked are older then.
async fn add_devices(owner: &Browser<'_>, count: usize) {
    for n in 0..count {
        owner.post("/app/devices", &[("name", &format!("spare {n}"))]).await.expect(303);
    }
}

async fn set_status(app: &App, device: DeviceId, status: DeviceStatus) {
    let change = StatusChange::new(status, app.core.now());
    app.store.set_device_status(device, &change).await.unwrap();
}

#[tokio::test]
async fn a_linked_device_is_offered_however_many_there_are() {
    let app = app().await;
    set_status(&app, app.back.id(), DeviceStatus::LoggedOut).await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    add_devices(&owner, 501).await;
    let front = app.front.id();
    let option = format!("<option value=\"{front}\"");
    for path in [
        "/app/send",
        "/app/messages",
        "/app/keys",
        "/app/webhooks",
        "/app/usage",
        "/app/chats",
        "/app/groups",
    ] {
        let page = owner.get(path).await.expect(200).text();
        assert!(page.contains(&option) || path == "/app/groups", "{path}");
        assert!(!page.contains("No device is linked yet"), "{path}");
    }
    // The one that is chosen is chosen, also where it is the last one.
    let back = app.back.id();
    let chosen = format!("<option value=\"{back}\" selected>");
    for path in ["messages", "usage", "chats", "send"] {
        let page = owner.get(&format!("/app/{path}?device={back}")).await.expect(200).text();
        assert!(page.contains(&chosen), "{path}");
    }
    let start = owner.get("/app").await.expect(200).text();
    assert!(start.contains("<dd>1 / 504</dd>"), "{start}");
    let device = front.to_string();
    let fields = [("device", device.as_str()), ("to", "0812345678"), ("text", "x"), ("key", "k")];
    owner.post("/app/send", &fields).await.expect(303);
    let key = [("name", "old"), ("scopes[]", "read"), ("device", device.as_str())];
    owner.post("/app/keys", &key).await.expect(200);
    assert!(owner.get("/app/keys").await.expect(200).text().contains("front (+628111111111)"));
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    for path in ["messages", "usage", "chats", "send", "groups"] {
        rival.get(&format!("/app/{path}?device={front}")).await.expect(404);
        rival.get(&format!("/app/{path}?device=nonsense")).await.expect(404);
    }
}

#[tokio::test]
async fn the_form_stays_with_the_device_that_was_chosen() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let back = app.back.id();
    set_status(&app, back, DeviceStatus::LoggedOut).await;
    let text = back.to_string();
    let chosen = format!("<option value=\"{back}\" selected>back");
    let page = member.get(&format!("/app/send?device={back}")).await.expect(200).text();
    assert!(page.contains(&chosen) && page.contains("· unlinked"), "{page}");
    assert!(page.contains("The device is not linked to a number."), "{page}");
    let fields = [("device", text.as_str()), ("to", "0812345678"), ("text", "kept"), ("key", "k")];
    for is_alone in [false, true] {
        if is_alone {
            set_status(&app, app.front.id(), DeviceStatus::LoggedOut).await;
        }
        let page = member.post("/app/send", &fields).await.expect(422).text();
        assert!(page.contains(&chosen) && page.contains(">kept</textarea>"), "{page}");
        assert!(page.contains("The device is not linked to a number."), "{page}");
    }
    assert_eq!(app.message_count().await, 0);
}
