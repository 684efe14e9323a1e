//! zapo, in TypeScript.

use super::exchange::{Addressing, exchange};
use super::pairing::pair_many;
use super::{Implementation, node};

const ZAPO: Implementation =
    Implementation { name: "zapo", script: || node("zapo", "peer.mjs"), is_always_by_lid: false };

#[tokio::test(flavor = "multi_thread")]
async fn zapo_pairs_twenty_times() {
    pair_many(&ZAPO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zapo_exchanges_messages_with_our_device_by_number() {
    exchange(&ZAPO, Addressing::ByNumber).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zapo_exchanges_messages_with_our_device_by_lid() {
    exchange(&ZAPO, Addressing::ByLid).await;
}
