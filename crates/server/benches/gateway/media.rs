//! Photos that come in all at once, after a time without connection.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::Options;
use crate::numbers::peak_mib;
use crate::report::Table;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const OURS: &str = "628119000009";
/// Phones that send at the same time.
const SENDERS: u32 = 4;
/// Bytes of a photo.
const PHOTO_BYTES: usize = 200_000;
/// Longest time until all are stored, in seconds.
const STORED_MAX_S: u64 = 600;

/// From the start of the gateway until every photo is in the media store.
pub async fn measure(options: Options) -> Vec<Table> {
    let photos = options.photos;
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, &[]).await;
    let account = gateway.operator().make_account("media", "unlimited").await;
    account.make_linked_device(&simulator, OURS).await;
    let idle = peak_mib(gateway.process.id());
    gateway.process.kill().await;
    let senders = (0..SENDERS).map(|sender| send(&simulator, sender, photos));
    join_all(senders).await;
    let start = Instant::now();
    gateway.restart().await;
    let stored = until(format!("{photos} photos are stored"), STORED_MAX_S, async || {
        let stored = count_stored(&gateway.data_dir().join("data/media"));
        (stored >= photos).then_some(stored)
    })
    .await;
    let took = start.elapsed().as_secs_f64();
    let peak = peak_mib(gateway.process.id());
    let rows = account.all("/v1/messages?direction=in").await;
    let is_stored = |row: &&Value| row["media"]["state"] == "stored";
    let known = rows.iter().filter(is_stored).count();
    let title = format!("{photos} photos of 200 KB that come in");
    let mut table = Table::new(title, &["", "measured", "target"]);
    let each = format!("{stored} files, {known} messages that say so");
    table.row(["stored".into(), each, format!("{photos} and {photos}")]);
    table.row(["rate".into(), format!("{:.0} per s", f64::from(photos) / took), String::new()]);
    let memory = format!("{peak:.0} MiB, {:.0} more than idle", peak - idle);
    table.row(["most memory".into(), memory, "64 MB more than idle".into()]);
    table.note("From the start of the gateway, with WhatsApp's media host on the same cores.");
    vec![table]
}

/// Every so many photos are one phone's.
async fn send(simulator: &Simulator, sender: u32, photos: u32) {
    let path = format!("/phones/62813000000{sender}/send");
    for n in (sender..photos).step_by(SENDERS as usize) {
        let mut bytes = vec![0xa5; PHOTO_BYTES];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        let media = json!({ "kind": "image", "mimetype": "image/jpeg",
            "base64": STANDARD.encode(&bytes) });
        simulator.control().post(&path, json!({ "to": OURS, "media": media })).await;
    }
}

/// Files below a directory that have their names.
fn count_stored(dir: &std::path::Path) -> u32 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let is_draft = |path: &std::path::Path| path.file_name().is_some_and(|name| name == ".drafts");
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| !is_draft(path));
    paths.map(|path| if path.is_dir() { count_stored(&path) } else { 1 }).sum()
}
