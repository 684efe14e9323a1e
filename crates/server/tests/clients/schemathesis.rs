//! Schemathesis makes requests of what `gerbang openapi` says, good ones and bad ones, and looks
//! whether the answers are documented: no status that is not, no body of another shape, no 5xx.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::gateway::OPERATOR_KEY;
use crate::support::{env, figures};
use crate::world::{OURS, World};

/// Random requests for each call, beside those for each edge of its fields; of another seed in the long form.
const EXAMPLES_MAX: u32 = 20;
const LONG_EXAMPLES_MAX: u32 = 200;
const SEED: u64 = 1;
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance";
const THEIRS: &str = "628291000001";

/// Calls that log a device out: the last ones, for nothing is sent after them.
const LOGOUTS: &str = "/disconnect$";
/// The calls of the operator, who may change what an account can do.
const OPERATORS: &str = "^/v1/(accounts|plans|vouchers)";

#[tokio::test(flavor = "multi_thread")]
async fn our_own_api() {
    let world = World::start().await;
    // Streams do not end.
    let others = format!("{OPERATORS}|/events$");
    try_api(&world, "our API", None, &["--exclude-path-regex", &others]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_calls() {
    let world = World::start().await;
    try_api(&world, "the operator's calls", None, &["--include-path-regex", OPERATORS]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dialect() {
    for dialect in http_api::dialects::names() {
        let world = World::start().await;
        try_api(&world, dialect, Some(dialect), &["--exclude-path-regex", LOGOUTS]).await;
        // Refusals alone would prove little.
        let sent = world.account.all("/v1/messages?direction=out").await;
        // One was asked for before.
        assert!(sent.len() > 1, "no send of {dialect} was accepted");
        let document = document(Some(dialect), &world.url()).await;
        if document["paths"].as_object().unwrap().keys().any(|path| path.ends_with("/disconnect")) {
            let what = format!("{dialect}'s logout");
            try_api(&world, &what, Some(dialect), &["--include-path-regex", LOGOUTS]).await;
        }
    }
}

/// `what` names the figures.
async fn try_api(world: &World, what: &str, dialect: Option<&str>, filter: &[&str]) {
    let folder = TempDir::new().unwrap();
    let mut document = document(dialect, &world.url()).await;
    add_examples(&mut document, &examples(world));
    write(folder.path(), "openapi.json", &document.to_string());
    write(folder.path(), "schemathesis.toml", &config(world).await);

    let mut schemathesis = Command::new(env::required("GERBANG_TEST_SCHEMATHESIS"));
    schemathesis.args(["run", "openapi.json", "--no-color", "--continue-on-failure"]);
    schemathesis.args(["--url", &world.url(), "--checks", CHECKS, "--warnings", "off"]);
    schemathesis.args(["--phases", "examples,coverage,fuzzing"]).args(filter);
    let (examples, seed) = match env::is_long() {
        true => (LONG_EXAMPLES_MAX, env::seed()),
        false => (EXAMPLES_MAX, SEED),
    };
    schemathesis.args(["--max-examples", &examples.to_string(), "--seed", &seed.to_string()]);
    for name in ["no_proxy", "NO_PROXY"] {
        schemathesis.env(name, "127.0.0.1");
    }
    let output = schemathesis.current_dir(folder.path()).kill_on_drop(true).output().await;
    let output = output.expect("no schemathesis: run `cargo xtask test python`");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {report}", dialect.unwrap_or("/v1"));
    let generated = report.lines().find(|line| line.contains(" generated"));
    let generated = generated.unwrap_or_else(|| panic!("it has tried nothing: {report}"));
    figures::report(
        format_args!("random requests, {what}"),
        format_args!("{}; answered with 5xx 0", generated.trim()),
    );
}

/// What `gerbang openapi` prints.
async fn document(dialect: Option<&str>, url: &str) -> Value {
    let mut gerbang = Command::new(env::gerbang());
    gerbang.args(["openapi", "--public-url", url]);
    gerbang.args(dialect.iter().flat_map(|name| ["--dialect", name]));
    let output = gerbang.output().await.unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["servers"][0]["url"], url);
    document
}

/// What random text would never be: things that exist.
fn examples(world: &World) -> Value {
    let picture = world.file("picture.png");
    json!({
        "device": world.device, "device_id": world.device, "accountId": world.device,
        "queue": world.device,
        "sender": OURS, "api_key": world.key(),
        "to": THEIRS, "phone": THEIRS, "recipient": THEIRS, "destination": THEIRS, "number": THEIRS,
        "text": "hello", "message": "hello", "content": "hello", "messageType": "text",
        "expires_at": null, "expires_in": 3_600, "retry_interval": 60, "timeout": 3_600,
        "url": picture, "media_url": picture, "media_type": "image",
    })
}

/// Gives every property and parameter of these names an example.
fn add_examples(document: &mut Value, examples: &Value) {
    match document {
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get_mut("properties") {
                for (name, property) in properties.iter_mut() {
                    if let (Some(example), Value::Object(property)) = (examples.get(name), property)
                    {
                        property.insert("examples".to_owned(), json!([example]));
                    }
                }
            }
            let parameter = fields.get("in").and(fields.get("name")).and_then(Value::as_str);
            if let Some(example) = parameter.and_then(|name| examples.get(name)) {
                fields.insert("example".to_owned(), example.clone());
            }
            fields.values_mut().for_each(|value| add_examples(value, examples));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| add_examples(value, examples)),
        _ => {}
    }
}

/// The keys; and ids of things that exist, other ones for calls that take them away.
async fn config(world: &World) -> String {
    let World { device, account, .. } = world;
    let key = world.key();
    let message = json!({ "device": device, "to": THEIRS, "text": "asked for" });
    let message = account.post("/v1/messages", message).await;
    let (message_id, reference) = (&message["id"], &message["ref"]);
    let spare_device = account.make_device("spare").await;
    let spare_key = account.post("/v1/keys", json!({ "name": "spare" })).await["id"].clone();
    format!(
        r#"
headers = {{ Authorization = "Bearer {key}", APIKey = "{key}" }}

[[operations]]
include-path-regex = "{OPERATORS}"
headers = {{ Authorization = "Bearer {OPERATOR_KEY}" }}

[[operations]]
include-path-regex = "^/v1/devices/.id"
include-method = ["GET", "PATCH"]
parameters = {{ id = "{device}", phone = "{THEIRS}" }}

[[operations]]
include-path-regex = "^/v1/devices/.id"
include-method = ["POST", "DELETE"]
parameters = {{ id = "{spare_device}" }}

[[operations]]
include-path-regex = "^/v1/keys/.id"
parameters = {{ id = "{spare_key}" }}

[[operations]]
include-path-regex = "^/v1/messages/.id"
parameters = {{ id = "{message_id}" }}

[[operations]]
include-path-regex = "/.device_id./"
parameters = {{ device_id = "{device}" }}

[[operations]]
include-path-regex = "^/wachat_api/"
parameters = {{ "path.sender" = "{OURS}", message_ref_no = {reference} }}

[[operations]]
include-path-regex = "/accounts/(status|groups)$"
parameters = {{ accountId = "{device}" }}
"#
    )
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}
