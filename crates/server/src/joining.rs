//! What must be the same for all processes that share a database, the media store and the time, and what must differ:
//! their names.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use domain::node::{NewNode, Node, RENEW_EVERY};
use domain::ports::{BlobStore, Clock, Entropy, MARKER_BLOB, NodeStore as _, Store as _};
use futures_util::TryStreamExt as _;
use store::SqlStore;
use tokio::time::{Instant, sleep};

use crate::exit::Failure;

/// The setting under which the database keeps the name of its media store.
const MEDIA_STORE_SETTING: &str = "media_store";
/// By how much this machine's clock may differ from the database's.
const CLOCK_MAX: Duration = Duration::from_secs(5);
/// How long after a look a node that runs has renewed its registration.
const RENEWED_WITHIN: Duration = RENEW_EVERY.saturating_add(Duration::from_secs(1));
/// Between two looks at a registration.
const PAUSE: Duration = Duration::from_millis(250);
/// Most bytes of a marker that are read.
const MARKER_BYTES_MAX: u64 = 1_024;

/// Checks that this process may run beside the others.
///
/// # Errors
/// The clock differs, another process has the name, or the database cannot be used now: each with its own exit code,
/// for a service manager starts again where that may help.
pub async fn check_process(own: &NewNode, store: &SqlStore, clock: &dyn Clock) -> Result<()> {
    check_clock(store, clock).await?;
    check_name(own, store).await
}

/// Refuses the name of a node that runs at another address. Registering would end that one, and where a service manager
/// starts it again, it would end this one, and so on. A process that was killed renews its registration no more; one at
/// this very address was killed, for this process has its port.
async fn check_name(own: &NewNode, store: &SqlStore) -> Result<()> {
    let Some(first) = namesake(own, store).await? else { return Ok(()) };
    let looked_at = Instant::now();
    while looked_at.elapsed() < RENEWED_WITHIN {
        sleep(PAUSE).await;
        let Some(node) = namesake(own, store).await? else { return Ok(()) };
        if node.expires_at != first.expires_at {
            let Node { name, url, .. } = node;
            let error = anyhow!(
                "another process runs under the name {name}, at {url}: give each its own GERBANG_NODE_NAME"
            );
            return Err(error.context(Failure::NODE));
        }
    }
    Ok(())
}

/// The live node at another address that has this one's name.
async fn namesake(own: &NewNode, store: &SqlStore) -> Result<Option<Node>> {
    let is_namesake = |node: &Node| node.is_live && node.name == own.name && node.url != own.url;
    Ok(store.nodes().await?.into_iter().find(is_namesake))
}

async fn check_clock(store: &SqlStore, clock: &dyn Clock) -> Result<()> {
    let database = store.database_time_ms().await.context("cannot read the database's clock")?;
    let apart = clock.now().as_millisecond().abs_diff(database);
    if u128::from(apart) <= CLOCK_MAX.as_millis() {
        return Ok(());
    }
    let error = anyhow!(
        "the clock of this machine and that of the database are {} seconds apart, more than {}: set \
         both by a time server",
        apart / 1_000,
        CLOCK_MAX.as_secs(),
    );
    Err(error.context(Failure::CLOCK))
}

/// Checks that the media store is the others': a marker in it has the name that the database knows it by. A store
/// without one is taken, unless others run with another one.
///
/// # Errors
/// It is another one, or it or the database cannot be used now.
pub async fn check_media_store(
    own_name: &str,
    store: &SqlStore,
    blobs: &dyn BlobStore,
    entropy: &dyn Entropy,
) -> Result<()> {
    let mut fresh = [0; 16];
    entropy.fill(&mut fresh);
    let marker = marker(blobs).await.context(Failure::MEDIA_STORE)?;
    let own = marker.clone().unwrap_or_else(|| hex::encode(fresh).into_bytes());
    let known = store.setting(MEDIA_STORE_SETTING, own.clone()).await?;
    if known == own && marker.is_some() {
        return Ok(());
    }
    if known != own {
        // This one's former process, killed a moment ago, is no other.
        let is_other = |node: &Node| node.is_live && node.name != own_name;
        let others = store.nodes().await?.into_iter().filter(is_other);
        let others: Vec<String> = others.map(|node| node.name).collect();
        if !others.is_empty() {
            let error = anyhow!(
                "media_store is not the one that the other nodes use ({}): set GERBANG_MEDIA_STORE to the \
                 same shared directory or s3://BUCKET/PREFIX for all of them",
                others.join(", ")
            );
            return Err(error.context(Failure::NODE));
        }
        tracing::warn!(
            "media_store is not the one that this database was used with: files that came in before, and those of \
             waiting messages, are not in it"
        );
        store.replace_setting(MEDIA_STORE_SETTING, own.clone()).await?;
    }
    if marker.is_none() {
        put_marker(blobs, &own).await.context(Failure::MEDIA_STORE)?;
    }
    Ok(())
}

async fn marker(blobs: &dyn BlobStore) -> Result<Option<Vec<u8>>> {
    let Some(blob) = blobs.open(MARKER_BLOB, None).await? else { return Ok(None) };
    ensure!(blob.size <= MARKER_BYTES_MAX, "the marker {MARKER_BLOB} is damaged");
    Ok(Some(
        blob.bytes
            .try_fold(Vec::new(), |mut all, some| async move {
                all.extend_from_slice(&some);
                Ok(all)
            })
            .await?,
    ))
}

async fn put_marker(blobs: &dyn BlobStore, text: &[u8]) -> Result<()> {
    let draft = blobs.draft().await?;
    std::fs::write(&draft.path, text)?;
    blobs.put(MARKER_BLOB, draft).await?;
    Ok(())
}
