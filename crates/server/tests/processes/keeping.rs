//! Backups of a gateway that runs, and what is restored from them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::api::Api;
use crate::support::database::Database;
use crate::support::gateway::{Gateway, OPERATOR_KEY, run_on};
use crate::support::receiver::Receiver;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const OURS: &str = "628119000003";
const BUDI: &str = "6281290000002";
const LOOPBACK: (&str, &str) = ("GERBANG_ALLOWED_PRIVATE_NETS", "127.0.0.0/8");
/// The smallest PNG there is.
const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// What was there when the backup was made.
struct World {
    simulator: Simulator,
    receiver: Receiver,
    account: Api,
    device: String,
    waiting: i64,
}

/// A device with a message each way, a file, a webhook, and a message that waits.
async fn world(gateway: &Gateway, simulator: Simulator) -> World {
    let account = gateway.operator().make_account("kept", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    let receiver = Receiver::start(0).await;
    account.post("/v1/webhooks", json!({ "url": receiver.url("/hook") })).await;
    let media = json!({ "base64": PICTURE, "kind": "image", "mimetype": "image/png" });
    let body = json!({ "to": OURS, "media": media });
    simulator.control().post(&format!("/phones/{BUDI}/send"), body).await;
    until("the file has come", 60, async || {
        let rows = account.all("/v1/messages?direction=in").await;
        (rows.first()?["media"]["state"] == "stored").then_some(())
    })
    .await;
    let text = json!({ "device": device, "to": BUDI, "text": "before" });
    let sent = account.post("/v1/messages", text).await;
    wait_for(&account, &sent["id"], "read").await;
    // It waits for as long as this holds.
    set_quiet(&account, &device, json!({ "from": "00:00", "until": "23:59" })).await;
    let text = json!({ "device": device, "to": BUDI, "text": "waiting" });
    let waiting = account.post("/v1/messages", text).await["id"].as_i64().unwrap();
    World { simulator, receiver, account, device, waiting }
}

async fn set_quiet(account: &Api, device: &str, hours: Value) {
    let pacing = json!({ "min_s": 0, "max_s": 0, "typing": false, "quiet_hours": hours });
    let pacing = json!({ "pacing": pacing });
    account.call("PATCH", &format!("/v1/devices/{device}"), Some(pacing)).await.ok();
}

async fn wait_for(account: &Api, id: &Value, status: &str) {
    until(format!("{id} is {status}"), 60, async || {
        let message = account.get(&format!("/v1/messages/{id}")).await;
        (message["status"] == status).then_some(())
    })
    .await;
}

/// Messages, keys and webhooks as the API shows them, without what depends on the time and the port.
async fn shown(account: &Api) -> Value {
    let mut messages = account.all("/v1/messages").await;
    for message in &mut messages {
        message["waiting"] = Value::Null;
        if message["media"]["url"].is_string() {
            message["media"]["url"] = Value::Null;
        }
    }
    let mut keys = account.all("/v1/keys").await;
    keys.iter_mut().for_each(|key| key["last_used_at"] = Value::Null);
    json!([messages, keys, account.all("/v1/webhooks").await])
}

fn key_of(gateway: &Gateway) -> String {
    std::fs::read_to_string(gateway.data_dir().join("data/secret.key")).unwrap()
}

/// Unpacks a backup with the usual tools, and checks that it is whole and holds no key.
async fn check_archive(backup: &Path, key: &str) {
    let dir = tempfile::tempdir().unwrap();
    let script =
        "tar -xzf \"$0\" && sha256sum --check --quiet SHA256SUMS && ls && find media -type f";
    let mut command = tokio::process::Command::new("sh");
    let output = command.args(["-c", script]).arg(backup).current_dir(dir.path()).output();
    let output = output.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).unwrap();
    for name in ["SHA256SUMS", "gerbang.sqlite", "manifest.json", "media/"] {
        assert!(names.contains(name), "{names}");
    }
    let raw = hex::decode(key.trim()).unwrap();
    for file in ["gerbang.sqlite", "manifest.json"] {
        let bytes = std::fs::read(dir.path().join(file)).unwrap();
        let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(!holds(&raw) && !holds(key.trim().as_bytes()), "{file} holds the secret key");
    }
}

/// Downloads a backup from the gateway.
async fn download(gateway: &Gateway, to: &Path) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/v1/backups", gateway.address());
    let answer = client.post(url).bearer_auth(OPERATOR_KEY).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/gzip");
    std::fs::write(to, answer.bytes().await.unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_gateway_is_restored_and_its_devices_are_linked_again() {
    let simulator = Simulator::start().await;
    let settings = [("GERBANG_WHATSAPP_URL", simulator.url()), ("GERBANG_PACING", "off"), LOOPBACK];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = settings.each_ref().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut gateway = Gateway::start(&simulator, &[LOOPBACK]).await;
    let world = world(&gateway, simulator).await;
    let before = shown(&world.account).await;
    let kept = tempfile::tempdir().unwrap();
    let (backup, other) = (kept.path().join("a.tar.gz"), kept.path().join("b.tar.gz"));
    let path = backup.to_str().unwrap();
    let printed = gateway.command(&["backup", path]).await.ok();
    assert!(printed.contains("1 files that came in"), "{printed}");
    gateway.command(&["backup", path]).await.refused(1, &["exists", "--force"]);
    gateway.command(&["backup", path, "--force"]).await.ok();
    for own in ["gerbang.sqlite", "gerbang.sqlite-wal", "secret.key"] {
        let own = gateway.data_dir().join("data").join(own);
        let refused = gateway.command(&["backup", own.to_str().unwrap(), "--force"]).await;
        refused.refused(1, &["a file of the gateway"]);
    }
    gateway.command(&["backup", "/dev/full", "--force"]).await.refused(1, &["no file"]);
    download(&gateway, &other).await;
    assert_eq!(std::fs::read_dir(kept.path()).unwrap().count(), 2, "no drafts are left");
    for backup in [&backup, &other] {
        check_archive(backup, &key_of(&gateway)).await;
    }
    gateway.process.kill().await;

    let data = TempDir::new().unwrap();
    refuses_what_does_not_fit(data.path(), &backup).await;
    std::fs::create_dir_all(data.path().join("data")).unwrap();
    std::fs::write(data.path().join("data/secret.key"), key_of(&gateway)).unwrap();
    let restore =
        async |path: &Path| run_on(data.path(), &["restore", path.to_str().unwrap()], &[]).await;
    let printed = restore(&other).await.ok();
    assert!(printed.contains("1 devices must be linked again"), "{printed}");
    restore(&other).await.refused(1, &["not empty"]);
    let gateway = Gateway::start_on(data, &settings).await;
    is_restored(&gateway, &world, before).await;
}

/// A backup of another key, one that is damaged, and a directory that is not empty.
async fn refuses_what_does_not_fit(data: &Path, backup: &Path) {
    let restore = async |path: &Path, settings: &[(&str, &str)]| {
        run_on(data, &["restore", path.to_str().unwrap()], settings).await
    };
    let refused = restore(backup, &[]).await;
    refused.refused(78, &["secret key", "GERBANG_SECRET_KEY", "there is none here"]);
    let wrong = "ab".repeat(32);
    let wrong = [("GERBANG_SECRET_KEY", wrong.as_str())];
    restore(backup, &wrong).await.refused(78, &["GERBANG_SECRET_KEY", "the key here is"]);
    let cut = data.join("cut.tar.gz");
    let bytes = std::fs::read(backup).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let refused = restore(&cut, &wrong).await;
    assert_ne!(refused.code, 0);
    restore(&data.join("none.tar.gz"), &[]).await.refused(74, &["none.tar.gz"]);
    assert!(!data.join("data").exists(), "nothing is left");
}

async fn is_restored(gateway: &Gateway, world: &World, before: Value) {
    let account = world.account.at(gateway.address());
    assert_eq!(shown(&account).await, before);
    let device = account.get(&format!("/v1/devices/{}", world.device)).await;
    assert_eq!((&device["status"], &device["phone"]), (&json!("logged_out"), &json!(OURS)));
    let reason = device["reason"].as_str().unwrap();
    assert!(reason.contains("backup") && reason.contains("link it again"), "{reason}");
    until("the webhook has the news", 60, async || {
        let news = |body: &[u8]| serde_json::from_slice::<Value>(body).ok();
        let hooks = world.receiver.taken();
        let mut bodies = hooks.iter().filter_map(|hook| news(&hook.body));
        bodies.find(|body| body["type"] == "device.logged_out").map(drop)
    })
    .await;
    let message = account.all("/v1/messages?direction=in").await.remove(0);
    let file = account.call("GET", &format!("/v1/messages/{}/media", message["id"]), None).await;
    assert_eq!(file.status, 200);
    set_quiet(&account, &world.device, Value::Null).await;
    let waiting = format!("/v1/messages/{}", world.waiting);
    assert_eq!(account.get(&waiting).await["status"], "queued");
    let offer = account.post(&format!("/v1/devices/{}/pair", world.device), json!({})).await;
    world.simulator.scan(OURS, offer["qr"].as_str().unwrap()).await;
    account.wait_for_status(&world.device, "connected").await;
    wait_for(&account, &json!(world.waiting), "read").await;
    let texts = world.simulator.inbox(BUDI).await;
    let arrived = |text: &str| texts.iter().filter(|mail| mail["text"] == text).count();
    assert_eq!((arrived("before"), arrived("waiting")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_room_leaves_nothing() {
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[]).await;
    gateway.operator().make_account("kept", "unlimited").await;
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=16k tmpfs . && cd . && ! \"$GERBANG\" backup b.tar.gz && \
        test -z \"$(ls -A .)\"";
    let mut command = tokio::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    command.arg(format!("cd {} && {script}", dir.path().display()));
    command.env("GERBANG", crate::support::env::gerbang()).env("RUST_LOG", "warn");
    command.env("GERBANG_DATA_DIR", gateway.data_dir().join("data"));
    let output = command.output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.contains("no space"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_the_media_is_kept_and_pg_dump_is_named() {
    let (simulator, database) = (Simulator::start().await, Database::create().await);
    let url = database.url();
    let mut gateway = Gateway::start(&simulator, &[LOOPBACK, ("GERBANG_DATABASE_URL", &url)]).await;
    let world = world(&gateway, simulator).await;
    let kept = tempfile::tempdir().unwrap();
    let backup = kept.path().join("media.tar.gz");
    let printed = gateway.command(&["backup", backup.to_str().unwrap()]).await.ok();
    assert!(printed.contains("pg_dump --format=custom --file="), "{printed}");
    assert!(printed.contains("1 files that came in"), "{printed}");
    assert!(gateway.process.stop().await.success());
    let key = key_of(&gateway);
    let data = TempDir::new().unwrap();
    std::fs::create_dir_all(data.path().join("data")).unwrap();
    let kept_key = data.path().join("data/secret.key");
    std::fs::write(&kept_key, key).unwrap();
    std::fs::set_permissions(&kept_key, Permissions::from_mode(0o600)).unwrap();
    // The database stands for one that pg_restore has filled.
    let settings = [("GERBANG_DATABASE_URL", url.as_str())];
    let restore = ["restore", backup.to_str().unwrap()];
    let refused = run_on(data.path(), &restore, &[]).await;
    refused.refused(65, &["pg_restore", "pg_dump", "GERBANG_DATABASE_URL", "files of messages"]);
    let printed = run_on(data.path(), &restore, &settings).await.ok();
    for part in
        ["the files of messages", "as pg_restore has filled it", "1 devices must be linked again"]
    {
        assert!(printed.contains(part), "{printed}");
    }
    let settings = [
        settings[0],
        ("GERBANG_WHATSAPP_URL", world.simulator.url()),
        ("GERBANG_PACING", "off"),
        LOOPBACK,
    ];
    let gateway = Gateway::start_on(data, &settings).await;
    let before = shown(&world.account.at(gateway.address())).await;
    is_restored(&gateway, &world, before).await;
    drop(gateway);
    database.drop().await;
}
