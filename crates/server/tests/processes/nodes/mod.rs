//! Several `gerbang serve` on one PostgreSQL: one is killed, frozen, stopped, cut off or has another time, and
//! the others run its devices.

mod clocks;
mod fleet;
mod network;
mod partition;
mod rolling;
mod watch;

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::support::env;
use crate::support::gateway::{Gateway, OPERATOR_KEY, run_on};
use crate::support::process::Process;
use crate::support::wait::{moment, until};
use fleet::Fleet;

/// Acknowledged sends before each fault.
const ACKNOWLEDGED: usize = 30;
/// How long a node is frozen: twice as long as its registration lasts.
const FROZEN_FOR: Duration = Duration::from_secs(24);
/// How long a node may wait for its share, in seconds: what is run somewhere stays there for a minute.
const SHARED_S_MAX: u64 = 180;
/// How long a device may be offline when its node is stopped, in seconds.
const OFFLINE_S_MAX: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn the_devices_of_a_killed_node_are_taken_over() {
    let (mut fleet, mut slowest) = (Fleet::start(2).await, Duration::ZERO);
    let rounds = if env::is_long() { 50 } else { 2 };
    for round in 0..rounds {
        let owner = fleet.owner().await;
        let other = fleet.other_than(owner);
        let load = fleet.load(other, round);
        load.wait_for_acknowledged(ACKNOWLEDGED).await;
        fleet.people_write(round).await;
        let before = fleet.connected_at(other).await;
        fleet.nodes[owner].process.kill().await;
        let killed_at = Instant::now();
        fleet.wait_until_taken_over(other, &before).await;
        slowest = slowest.max(killed_at.elapsed());
        println!("round {round}: taken over after {:?}", killed_at.elapsed());
        fleet.wait_until_all_send(other).await;
        fleet.ledger.add(load.end().await);
        fleet.nodes[owner].restart().await;
    }
    fleet
        .finish(
            "a node that is killed",
            format!("{rounds} rounds, taken over after {slowest:.1?} at most"),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_node_sends_nothing_when_it_goes_on() {
    let (mut fleet, mut slowest) = (Fleet::start(2).await, Duration::ZERO);
    let rounds = if env::is_long() { 50 } else { 2 };
    for round in 0..rounds {
        let owner = fleet.owner().await;
        let other = fleet.other_than(owner);
        let load = fleet.load(other, round);
        load.wait_for_acknowledged(ACKNOWLEDGED).await;
        let before = fleet.connected_at(other).await;
        fleet.nodes[owner].process.signal("STOP").await;
        let frozen_at = Instant::now();
        fleet.wait_until_taken_over(other, &before).await;
        slowest = slowest.max(frozen_at.elapsed());
        println!("round {round}: taken over after {:?}", frozen_at.elapsed());
        fleet.people_write(round).await;
        moment(FROZEN_FOR.saturating_sub(frozen_at.elapsed())).await;
        // One that took itself for the owner would connect again, and push the new one off.
        let logins = fleet.logins().await;
        fleet.nodes[owner].process.signal("CONT").await;
        load.wait_for_more(ACKNOWLEDGED).await;
        let name = fleet.name(owner);
        until("the frozen node is registered again, without devices", 30, async || {
            let node = fleet.node(other, &name).await;
            (node["status"] == "live" && node["devices"] == 0).then_some(())
        })
        .await;
        assert_eq!(fleet.logins().await, logins, "the frozen node has connected a device");
        fleet.ledger.add(load.end().await);
    }
    fleet
        .finish(
            "a node that is frozen for twice its lease",
            format!("{rounds} rounds, taken over after {slowest:.1?} at most"),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_stopped_hands_its_devices_over() {
    let mut fleet = Fleet::start(2).await;
    let owner = fleet.owner().await;
    let other = fleet.other_than(owner);
    let load = fleet.load(other, 0);
    load.wait_for_acknowledged(ACKNOWLEDGED).await;
    let watch = fleet.watch(other);
    let stopped = fleet.nodes[owner].process.stop().await;
    assert!(stopped.success());
    fleet.wait_until_all_send(other).await;
    let seen = watch.end().await;
    seen.check(Duration::from_secs(OFFLINE_S_MAX));
    fleet.ledger.add(load.end().await);
    fleet.nodes[owner].restart().await;
    fleet.finish("a node that is stopped", seen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_given_its_share_while_messages_go_on() {
    let mut fleet = Fleet::start(2).await;
    // The first node has made all devices, and runs them.
    let (owner, other) = (0, 1);
    let load = fleet.load(other, 0);
    load.wait_for_acknowledged(ACKNOWLEDGED).await;
    let watch = fleet.watch(other);
    let name = fleet.name(other);
    until("the other node has its share", SHARED_S_MAX, async || {
        (fleet.node(owner, &name).await["devices"] == 1).then_some(())
    })
    .await;
    fleet.wait_until_all_send(other).await;
    let seen = watch.end().await;
    seen.check(Duration::from_secs(OFFLINE_S_MAX));
    fleet.ledger.add(load.end().await);
    fleet.finish("a node that is given its share", seen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_lists_and_drains_nodes() {
    let mut fleet = Fleet::start(2).await;
    let owner = fleet.owner().await;
    let other = fleet.other_than(owner);
    let load = fleet.load(other, 0);
    load.wait_for_acknowledged(ACKNOWLEDGED).await;
    let watch = fleet.watch(other);
    let (name, operator) = (fleet.name(owner), fleet.nodes[other].operator());
    let node = fleet.node(other, &name).await;
    assert_eq!(node["status"], "live", "{node}");
    let (id, path) = (node["id"].to_string(), format!("/v1/nodes/{}", node["id"]));
    let drained = operator.post(&format!("{path}/drain"), json!({ "devices_per_s": 10 })).await;
    assert_eq!((&drained["status"], &drained["drain_per_s"]), (&json!("draining"), &json!(10)));
    until("the other node has all devices", 30, async || {
        (fleet.node(other, &name).await["devices"] == 0).then_some(())
    })
    .await;
    fleet.wait_until_all_send(other).await;
    let seen = watch.end().await;
    seen.check(Duration::from_secs(OFFLINE_S_MAX));
    fleet.ledger.add(load.end().await);
    let admin = async |fleet: &Fleet, args: &[&str]| {
        fleet.nodes[other].command(&[&["admin", "nodes"], args].concat()).await
    };
    let shown = admin(&fleet, &[]).await.ok();
    let line = |text: &str| text.lines().find(|line| line.contains(&name)).map(str::to_owned);
    assert!(line(&shown).is_some_and(|line| line.contains("draining")), "{shown}");
    let back = admin(&fleet, &["resume", &id]).await.ok();
    assert!(back.contains(&name), "{back}");
    assert_eq!(fleet.node(other, &name).await["status"], "live");
    admin(&fleet, &["drain", "99"]).await.refused(1, &["node"]);
    let refused = operator.call("DELETE", &path, None).await;
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("conflict")), "{refused:?}");
    assert!(fleet.nodes[owner].process.stop().await.success());
    admin(&fleet, &["remove", &id]).await.ok();
    assert!(line(&admin(&fleet, &[]).await.ok()).is_none());
    fleet.nodes[owner].restart().await;
    fleet.finish("a node that is drained", seen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_another_media_store_does_not_start() {
    let fleet = Fleet::start(1).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let mut refused = fleet.command("other");
    refused.env("GERBANG_MEDIA_STORE", elsewhere.path()).env("GERBANG_LISTEN", "127.0.0.1:0");
    refused.env("GERBANG_ADMIN_KEY", OPERATOR_KEY).current_dir(elsewhere.path());
    let mut process = Process::start("gerbang serve", refused);
    let line =
        process.line("why", |line| Some(line.to_owned()).filter(|l| l.contains("media"))).await;
    assert!(line.contains("GERBANG_MEDIA_STORE") && line.contains(&fleet.name(0)), "{line}");
    assert_eq!(process.exit().await.code(), Some(78));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_may_come_back_with_another_media_store_when_it_was_alone() {
    let mut fleet = Fleet::start(1).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().display().to_string();
    fleet.nodes[0].process.kill().await;
    // Its registration has not expired: that is its own, and no other node's.
    fleet.nodes[0].restart_with(&[("GERBANG_MEDIA_STORE", &path)]).await;
    let output = fleet.nodes[0].process.output();
    assert!(output.contains("media_store is not the one"), "{output}");
    fleet.wait_until_all_send(0).await;
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_with_the_name_of_a_node_that_runs_never_gets_its_place() {
    let (mut fleet, elsewhere) = (Fleet::start(1).await, tempfile::tempdir().unwrap());
    let settings = fleet.settings("node-0");
    let settings: Vec<(&str, &str)> = settings.iter().map(|(n, v)| (*n, v.as_str())).collect();
    // As often as something starts it again.
    for _ in 0..3 {
        let refused = run_on(elsewhere.path(), &["serve"], &settings).await;
        refused.refused(78, &["node-0", fleet.nodes[0].address(), "GERBANG_NODE_NAME"]);
    }
    fleet.wait_until_all_send(0).await;
    assert_eq!(fleet.figure(0, "gerbang_node_devices_lost_total").await, Some(0.0));
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_node_whose_name_was_taken_ends_for_good() {
    let mut fleet = Fleet::start(1).await;
    let settings = fleet.settings("node-0");
    let settings: Vec<(&str, &str)> = settings.iter().map(|(n, v)| (*n, v.as_str())).collect();
    fleet.nodes[0].process.signal("STOP").await;
    let successor = Gateway::start_with(&env::gerbang(), &settings).await;
    let mut former = std::mem::replace(&mut fleet.nodes[0], successor);
    former.process.signal("CONT").await;
    let why = |line: &str| line.contains("GERBANG_NODE_NAME").then(|| line.to_owned());
    let line = former.process.line("why", why).await;
    assert!(line.contains("another process runs under its name"), "{line}");
    // One of those after which `deploy/gerbang.service` does not start it again.
    assert_eq!(former.process.exit().await.code(), Some(78));
    // Started again all the same, it ends nobody.
    let refused = former.command(&["serve"]).await;
    refused.refused(78, &["node-0", fleet.nodes[0].address()]);
    fleet.wait_until_all_send(0).await;
    fleet.end().await;
}
