//! Devices that reach WhatsApp through a proxy of their own.

use domain::client::{ClientSettings, Language, Platform, Route, ShownAs};
use domain::device::{DisconnectReason, PairMethod};
use domain::ids::DeviceId;
use domain::ports::{Messenger, MessengerEvent};
use domain::proxy::{Proxy, ProxyFault};
use serde_json::json;

use crate::media::{a_document, fetch};
use crate::test_proxy::TestProxy;
use crate::world::{OURS, THEIRS, World, chat, new_device};

fn fault(fault: ProxyFault) -> MessengerEvent {
    MessengerEvent::Disconnected(DisconnectReason::Proxy(fault))
}

async fn link(world: &World, settings: ClientSettings) -> DeviceId {
    let device = new_device();
    world.messenger.configure(device, settings);
    world.messenger.pair(device, PairMethod::Qr).await.unwrap();
    let qr = world.qr(device).await;
    world.sim.scan(OURS, &qr).await;
    world.paired(device).await;
    world.connected(device).await;
    device
}

#[tokio::test]
async fn socket_and_files_go_through_either_kind_of_proxy() {
    for scheme in ["socks5", "http"] {
        let mut world = World::new().await;
        // Nothing is asked for a version, whose connection the file could take.
        world.set_version("2.3000.1036000001".parse().unwrap()).await;
        let proxy = TestProxy::start().await;
        let device = link(&world, proxy.right_settings(scheme)).await;
        let host = world.address().to_string();
        let asked = proxy.take_asked();
        assert!(!asked.is_empty() && asked.iter().all(|asked| *asked == host), "{asked:?}");
        let id = world.send_file(device, &chat(THEIRS), a_document(), "").await;
        world.sim.arrived(THEIRS, &id).await;
        let asked = proxy.take_asked();
        let is_upload = |asked: &String| asked.contains(&host);
        assert!(asked.iter().any(is_upload), "{scheme}: the file went past it: {asked:?}");
    }
}

#[tokio::test]
async fn files_that_come_in_are_fetched_through_either_kind_of_proxy() {
    for scheme in ["socks5", "http"] {
        let mut world = World::new().await;
        // Nothing is asked for a version, whose connection the file could take.
        world.set_version("2.3000.1036000001".parse().unwrap()).await;
        let proxy = TestProxy::start().await;
        let device = link(&world, proxy.right_settings(scheme)).await;
        let host = world.address().to_string();
        // What the socket has asked for.
        proxy.take_asked();
        let file = json!({ "kind": "document", "mimetype": "text/csv", "base64": "YSxiCg==" });
        let id = world.sim.write_file(THEIRS, OURS, file).await;
        let message = world.recorder.message(&id).await;
        let fetched = fetch(&world, device, message.content.media().unwrap()).await;
        assert_eq!(fetched.as_deref(), Ok(&b"a,b\n"[..]), "{scheme}");
        let asked = proxy.take_asked();
        let is_download = |asked: &String| asked.contains(&host);
        assert!(asked.iter().any(is_download), "{scheme}: the file went past it: {asked:?}");
    }
}

#[tokio::test]
async fn without_its_proxy_a_device_waits_and_says_so() {
    let world = World::new().await;
    let mut proxy = TestProxy::start().await;
    let device = link(&world, proxy.right_settings("socks5")).await;
    proxy.close().await;
    world.heard(device, fault(ProxyFault::Unreachable)).await;
    assert_eq!(world.sim.phone(OURS).await["devices"][0]["connected"], false);
    proxy.reopen().await;
    world.connected(device).await;
    // From here on it goes by itself.
    world.messenger.disconnect(device).await;
    proxy.close().await;
    world.messenger.configure(device, ClientSettings::default());
    world.messenger.connect(device).await.unwrap();
    world.connected(device).await;
}

#[tokio::test]
async fn every_fault_of_a_proxy_is_named() {
    let world = World::new().await;
    let proxy = TestProxy::start().await;
    let device = world.link(OURS).await;
    let forbidden = Route::Proxy(Proxy::parse("http://10.0.0.1:3128").unwrap());
    let cases = [
        (proxy.settings("socks5", "wrong"), ProxyFault::Refused),
        (proxy.settings("http", "wrong"), ProxyFault::Refused),
        (ClientSettings { route: forbidden, ..Default::default() }, ProxyFault::Forbidden),
        (ClientSettings { route: Route::Unreadable, ..Default::default() }, ProxyFault::Unreadable),
    ];
    for (settings, expected) in cases {
        world.messenger.disconnect(device).await;
        world.messenger.configure(device, settings.clone());
        world.messenger.connect(device).await.unwrap();
        world.heard(device, fault(expected)).await;
        let other = new_device();
        world.messenger.configure(other, settings);
        world.messenger.pair(other, PairMethod::Qr).await.unwrap();
        let reason = DisconnectReason::Proxy(expected).describe();
        world.heard(other, MessengerEvent::PairingFailed(reason)).await;
    }
    assert_eq!(proxy.take_asked(), Vec::<String>::new());
}

#[tokio::test]
async fn the_phone_lists_a_device_as_it_is_set() {
    let world = World::new().await;
    let shown_as = ShownAs {
        name: Some("Kasir 1".to_owned()),
        platform: Some(Platform::Safari),
        language: Some(Language::parse("id-ID").unwrap()),
    };
    link(&world, ClientSettings { shown_as, ..ClientSettings::default() }).await;
    let listed = world.sim.phone(OURS).await["devices"][0].clone();
    let shown = |name: &str| listed[name].as_str().unwrap().to_owned();
    assert_eq!((shown("name"), shown("platform")), ("Kasir 1".to_owned(), "safari".to_owned()));
    assert_eq!(shown("language"), "id-ID");
}
