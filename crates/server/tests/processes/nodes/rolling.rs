//! Three nodes are restarted one after the other under load, as an update does it.

use std::time::Duration;

use super::fleet::Fleet;
use super::watch::Seen;
use super::{ACKNOWLEDGED, OFFLINE_S_MAX};
use crate::support::env;
use crate::support::wait::until;

const NODES: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_fails_no_request() {
    let (mut fleet, mut all_seen) = (Fleet::start(NODES).await, Seen::default());
    let rounds = if env::is_long() { 10 } else { 1 };
    for round in 0..rounds {
        for node in 0..NODES {
            // A reverse proxy sends requests to those that run.
            let other = fleet.other_than(node);
            let load = fleet.load(other, round * NODES + node);
            load.wait_for_acknowledged(ACKNOWLEDGED).await;
            let watch = fleet.watch(other);
            assert!(fleet.nodes[node].process.stop().await.success());
            fleet.nodes[node].restart().await;
            let name = fleet.name(node);
            until("the restarted node is live", 30, async || {
                (fleet.node(other, &name).await["status"] == "live").then_some(())
            })
            .await;
            fleet.wait_until_all_send(other).await;
            fleet.ledger.add(load.end().await);
            let seen = watch.end().await;
            println!("round {round}, node {node}: {seen}");
            seen.check(Duration::from_secs(OFFLINE_S_MAX));
            all_seen = all_seen.and(seen);
        }
    }
    let seen = format!("{rounds} rounds of {NODES} nodes, a device {all_seen}");
    fleet.finish("rolling restarts", seen).await;
}
