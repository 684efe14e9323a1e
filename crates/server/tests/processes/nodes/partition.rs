//! A node is cut off from the database, but not from WhatsApp: it is silent before the others may take its
//! devices, and comes back without harm.

use std::time::Duration;

use tokio::time::Instant;

use super::ACKNOWLEDGED;
use super::fleet::Fleet;
use super::network::Machine;
use crate::support::env;
use crate::support::wait::{moment, until};

/// Its own deadline is 8 seconds; 12 seconds after its last renewal the others may claim.
const SILENT_S_MAX: u64 = 12;
/// How long it is cut off.
const CUT_FOR: Duration = Duration::from_secs(60);
const CUT_OFF: usize = 0;
const OTHER: usize = 1;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_from_the_database_stops_by_itself() {
    let (mut machine, mut fleet) = (Machine::new(), Fleet::prepare().await);
    let database = machine.database(&fleet.database_url()).await;
    let whatsapp = machine.outside(fleet.whatsapp_url()).await;
    let listen = machine.listen();
    let own = [
        ("GERBANG_DATABASE_URL", &*database),
        ("GERBANG_WHATSAPP_URL", &*whatsapp),
        ("GERBANG_LISTEN", &*listen),
    ];
    fleet.add(&machine.gerbang(), &own).await;
    fleet.add(&env::gerbang(), &[]).await;
    // Made by the one that is cut off, which runs them.
    fleet.link_devices().await;
    let mut slowest = Duration::ZERO;
    let rounds = if env::is_long() { 10 } else { 1 };
    for round in 0..rounds {
        let name = fleet.name(CUT_OFF);
        until("the node to be cut off runs devices", 60, async || {
            (fleet.node(OTHER, &name).await["devices"].as_u64() > Some(0)).then_some(())
        })
        .await;
        let load = fleet.load(OTHER, round);
        load.wait_for_acknowledged(ACKNOWLEDGED).await;
        fleet.people_write(round).await;
        let before = fleet.connected_at(OTHER).await;
        machine.cut_database();
        let cut_at = Instant::now();
        until("the node that is cut off is connected no more", SILENT_S_MAX, async || {
            let others = fleet.figure(OTHER, r#"gerbang_devices{status="connected"}"#).await;
            (fleet.connected().await <= others.unwrap_or_default()).then_some(())
        })
        .await;
        let silent_after = cut_at.elapsed();
        slowest = slowest.max(silent_after);
        if round == 0 {
            // In later ones the other runs some of them.
            fleet.wait_until_taken_over(OTHER, &before).await;
        }
        fleet.wait_until_all_send(OTHER).await;
        println!(
            "round {round}: silent after {silent_after:?}, all sent after {:?}",
            cut_at.elapsed()
        );
        moment(CUT_FOR.saturating_sub(cut_at.elapsed())).await;
        machine.mend_database();
        until("the node is back", 30, async || {
            (fleet.node(OTHER, &name).await["status"] == "live").then_some(())
        })
        .await;
        load.wait_for_more(ACKNOWLEDGED).await;
        fleet.wait_until_all_send(CUT_OFF).await;
        fleet.ledger.add(load.end().await);
    }
    let seen = format!("{rounds} rounds, silent after {slowest:.1?} at most");
    fleet.finish("a node that is cut off from the database", seen).await;
}
