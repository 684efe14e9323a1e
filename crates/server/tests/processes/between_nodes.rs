//! Two nodes on one database: any of them takes any request.

use futures_util::StreamExt;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::races;
use crate::support::api::Api;
use crate::support::database::Database;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;
use crate::support::{counters, env};

const SHOP: &str = "6281100000005";
const CUSTOMER: &str = "6281200000005";
/// How long a change may stay unknown at the other node, in seconds: where nothing else runs on the machine,
/// and beside other tests.
const KNOWN_S_MAX: u64 = 1;
const BUSY_KNOWN_S_MAX: u64 = 5;
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Two nodes and what they share.
pub struct Pair {
    database: Database,
    pub simulator: Simulator,
    media: TempDir,
    pub one: Gateway,
    pub two: Gateway,
}

impl Pair {
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let (simulator, database) = (Simulator::start().await, Database::create().await);
        let (media, url) = (tempfile::tempdir().unwrap(), database.url());
        let shared = [
            ("GERBANG_WHATSAPP_URL", simulator.url()),
            ("GERBANG_PACING", "off"),
            ("GERBANG_DATABASE_URL", &url),
            ("GERBANG_SECRET_KEY", KEY),
            ("GERBANG_MEDIA_STORE", media.path().to_str().unwrap()),
        ];
        let start = async |name| {
            let settings = [&shared, settings, &[("GERBANG_NODE_NAME", name)]].concat();
            Gateway::start_with(&env::gerbang(), &settings).await
        };
        let one = start("one").await;
        let two = start("two").await;
        let pair = Self { database, simulator, media, one, two };
        until("both nodes see each other", 30, async || {
            let nodes = pair.two.operator().get("/v1/nodes").await;
            let live = nodes["data"].as_array()?.iter().filter(|node| node["status"] == "live");
            (live.count() == 2).then_some(())
        })
        .await;
        pair
    }

    /// The same caller at the other node.
    pub fn at_two(&self, api: &Api) -> Api {
        api.at(self.two.address())
    }

    pub async fn end(mut self) {
        self.one.process.kill().await;
        self.two.process.kill().await;
        self.database.drop().await;
        drop(self.media);
    }
}

async fn wait_for(account: &Api, message: &Value, status: &str) {
    let path = format!("/v1/messages/{}", message["id"]);
    until(format!("{path} is {status}"), 60, async || {
        (account.get(&path).await["status"] == status).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_owner_can_do_is_done_from_any_node() {
    let mut pair = Pair::start(&[]).await;
    let one = pair.one.operator().make_account("nodes", "unlimited").await;
    let two = pair.at_two(&one);
    // Made at one, which runs it; everything else at the other.
    let device = one.make_device("shop").await;
    let path = |rest: &str| format!("/v1/devices/{device}{rest}");
    let mut events = stream(&pair.two, &two, "/v1/events").await;
    let mut own = stream(&pair.two, &two, &path("/events")).await;
    let offer = two.post(&path("/pair"), json!({})).await;
    pair.simulator.scan(SHOP, offer["qr"].as_str().unwrap()).await;
    for account in [&one, &two] {
        account.wait_for_status(&device, "connected").await;
    }
    until_event(&mut own, "connected").await;
    until_event(&mut events, "device.connected").await;
    let number = two.get(&path(&format!("/numbers/{CUSTOMER}"))).await;
    assert_eq!(number["on_whatsapp"], true, "{number}");
    let group = json!({ "subject": "Team", "participants": [CUSTOMER] });
    two.post(&path("/groups"), group).await;
    let body = json!({ "device": device, "to": CUSTOMER, "text": "from the other node" });
    let message = two.post("/v1/messages", body).await;
    wait_for(&two, &message, "read").await;
    until_event(&mut events, "message.read").await;
    two.call("POST", &path("/logout"), None).await.ok();
    one.wait_for_status(&device, "logged_out").await;
    // A node that is gone is reported by the API's own "try again", and nothing waits for it.
    pair.one.process.kill().await;
    let refused = two.call("POST", &path("/pair"), Some(json!({}))).await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (503, &json!("unavailable")),
        "{refused:?}"
    );
    pair.end().await;
}

/// Opens a stream of events.
async fn stream(
    node: &Gateway,
    account: &Api,
    path: &str,
) -> impl StreamExt<Item = Result<axum::body::Bytes, reqwest::Error>> + Unpin + use<> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("http://{}{path}", node.address()));
    let answer = request.bearer_auth(account.key().unwrap()).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.bytes_stream()
}

/// Waits until a stream has brought a text.
pub async fn until_event(
    stream: &mut (impl StreamExt<Item = Result<axum::body::Bytes, reqwest::Error>> + Unpin),
    what: &str,
) {
    let mut text = String::new();
    let found = async {
        while let Some(Ok(piece)) = stream.next().await {
            text.push_str(&String::from_utf8_lossy(&piece));
            if text.contains(what) {
                return true;
            }
        }
        false
    };
    let found = tokio::time::timeout(std::time::Duration::from_secs(30), found).await;
    assert_eq!(found, Ok(true), "{what} did not come: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_has_changed_holds_on_the_other_within_a_moment_also_without_hints() {
    let known_s_max = if env::is_long() { KNOWN_S_MAX } else { BUSY_KNOWN_S_MAX };
    for settings in [&[][..], &[("GERBANG_NOTIFY", "off")]] {
        let pair = Pair::start(settings).await;
        let operator = pair.one.operator();
        let one = operator.make_account("nodes", "unlimited").await;
        let two = pair.at_two(&one);
        let id = one.get("/v1/me").await["account"]["id"].to_string();
        let made = one.post("/v1/keys", json!({ "name": "second" })).await;
        let second = two.with_key(made["key"].as_str().unwrap());
        assert_eq!(second.call("GET", "/v1/devices", None).await.status, 200);
        one.call("DELETE", &format!("/v1/keys/{}", made["id"]), None).await.ok();
        until("the key is refused", known_s_max, async || {
            (second.call("GET", "/v1/devices", None).await.status == 401).then_some(())
        })
        .await;
        let device = one.make_device("shop").await;
        let path = format!("/v1/devices/{device}");
        assert_eq!(two.get(&path).await["name"], "shop");
        one.call("PATCH", &path, Some(json!({ "name": "renamed" }))).await.ok();
        until("the name is known", known_s_max, async || {
            (two.get(&path).await["name"] == "renamed").then_some(())
        })
        .await;
        let account = format!("/v1/accounts/{id}");
        operator.call("PATCH", &account, Some(json!({ "plan": "free" }))).await.ok();
        until("the plan is known", known_s_max, async || {
            (two.get("/v1/me").await["plan"]["name"] == "free").then_some(())
        })
        .await;
        // What is accepted at one goes out from the other without a hint, too.
        operator.call("PATCH", &account, Some(json!({ "plan": "unlimited" }))).await.ok();
        let device = one.make_linked_device(&pair.simulator, SHOP).await;
        let body = json!({ "device": device, "to": CUSTOMER, "text": "hello" });
        let message = two.post("/v1/messages", body).await;
        wait_for(&two, &message, "read").await;
        pair.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn races_for_quotas_keys_and_limits_have_one_winner_over_two_nodes() {
    let pair = Pair::start(&[]).await;
    let operator = pair.one.operator();
    let nodes = [&pair.one, &pair.two];
    let rounds = if env::is_long() { 100 } else { 3 };
    races::check("races, two nodes", nodes, &pair.simulator, rounds).await;
    operator.put("/v1/plans/slow", json!({ "requests_per_minute": 100 })).await;
    let one = operator.make_account("limits", "slow").await;
    let nodes = [one.clone(), pair.at_two(&one)];
    let asks = (0..300).map(|n| nodes[n % 2].call("GET", "/v1/devices", None));
    let taken = join_all(asks).await.iter().filter(|reply| reply.status == 200).count();
    assert!((90..=110).contains(&taken), "{taken} of 300 requests at 100 a minute");
    counters::agree(&pair.one).await;
    pair.end().await;
}
