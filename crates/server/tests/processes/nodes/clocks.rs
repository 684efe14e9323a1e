//! Somebody sets the wall clock of a node, by hours, while it runs: leases hold, for they are by the database's
//! clock and the monotonic one; nothing is lost, late or sent twice.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::ACKNOWLEDGED;
use super::fleet::Fleet;
use crate::clock::WallClock;
use crate::support::env;

/// By how much the clock is wrong at the most. Messages expire after a day, by the clock.
const AHEAD_S: std::ops::Range<i64> = -6 * 3_600..6 * 3_600;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_jumps_keeps_its_devices() {
    let mut random = StdRng::seed_from_u64(env::seed());
    let (clock, mut fleet) = (WallClock::new(), Fleet::prepare().await);
    fleet.add(&env::gerbang(), &clock.settings()).await;
    fleet.add(&env::gerbang(), &[]).await;
    fleet.link_devices().await;
    let rounds = if env::is_long() { 50 } else { 4 };
    for round in 0..rounds {
        // Accepted by both clocks.
        let loads = [0, 1].map(|node| fleet.load(node, 2 * round + node));
        for load in &loads {
            load.wait_for_acknowledged(ACKNOWLEDGED / 2).await;
        }
        fleet.people_write(round).await;
        let ahead = random.random_range(AHEAD_S);
        clock.set_ahead_s(ahead);
        println!("round {round}: {ahead} s ahead");
        for load in &loads {
            load.wait_for_more(ACKNOWLEDGED / 2).await;
        }
        for node in [0, 1] {
            fleet.wait_until_all_send(node).await;
        }
        for load in loads {
            fleet.ledger.add(load.end().await);
        }
    }
    for node in [0, 1] {
        for name in ["gerbang_node_devices_lost_total", "gerbang_stale_writes_refused_total"] {
            assert_eq!(fleet.figure(node, name).await, Some(0.0), "{name} of node {node}");
        }
    }
    let seen = format!("{rounds} jumps by up to 6 hours, devices lost 0");
    fleet.finish("a node whose clock jumps", seen).await;
}
