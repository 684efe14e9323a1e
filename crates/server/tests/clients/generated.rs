//! Clients that public generators make of `/openapi.json`, as a running gateway serves it: they compile, send
//! and list messages.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use crate::support::env;
use crate::world::World;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/generated")
}

/// Runs a step to its end; what it has printed.
async fn run(what: &str, command: &mut Command) -> String {
    let output = command.kill_on_drop(true).output().await;
    let output = output.unwrap_or_else(|error| panic!("{what} ({command:?}): {error}"));
    let (out, err) = (&output.stdout, &output.stderr);
    let text = String::from_utf8_lossy(out).into_owned();
    assert!(output.status.success(), "{what}: {text}\n{}", String::from_utf8_lossy(err));
    text
}

async fn document(world: &World, to: &Path) {
    let document = world.account.get("/openapi.json").await;
    std::fs::write(to, document.to_string()).unwrap();
}

/// What a client prints is what was sent and arrived.
async fn assert_sent(world: &World, phone: &str, text: &str, printed: &str) {
    let printed: Value = serde_json::from_str(printed.trim()).unwrap();
    assert_eq!(printed["text"], text);
    let inbox = world.arrived(phone, 1).await;
    assert_eq!(inbox[0]["text"], text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_typescript_client_sends_and_lists_messages() {
    let world = World::start().await;
    let work = tempfile::tempdir().unwrap();
    let (modules, at) = (folder().join("node_modules"), work.path());
    assert!(modules.is_dir(), "run `cargo xtask test npm` first");
    document(&world, &at.join("openapi.json")).await;
    std::fs::copy(folder().join("send.ts"), at.join("send.ts")).unwrap();
    let program = |name: &str| {
        let mut node = Command::new("node");
        node.arg(modules.join(name)).current_dir(at);
        node
    };
    let mut generate = program("@hey-api/openapi-ts/bin/run.js");
    generate.args(["-i", "openapi.json", "-o", "client", "-c", "@hey-api/client-fetch"]);
    run("the generator", &mut generate).await;
    let mut compile = program("typescript/bin/tsc");
    compile.args(["--outDir", "out", "--module", "commonjs", "--target", "es2022"]);
    compile.args(["--lib", "es2022,dom,dom.iterable", "--strict", "--skipLibCheck", "send.ts"]);
    run("the compiler", &mut compile).await;
    let phone = "628120000771";
    let mut send = Command::new("node");
    send.arg(at.join("out/send.js"));
    send.args([&world.url(), world.key(), &world.device, phone]);
    let printed = run("the client", &mut send).await;
    assert_sent(&world, phone, "from TypeScript", &printed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_python_client_sends_and_lists_messages() {
    let world = World::start().await;
    let work = tempfile::tempdir().unwrap();
    let python = env::required("GERBANG_TEST_GENERATOR");
    document(&world, &work.path().join("openapi.json")).await;
    let mut generate = Command::new(&python);
    generate.args(["-m", "openapi_python_client", "generate", "--path", "openapi.json"]);
    generate.args(["--output-path", "gerbang", "--meta", "none"]).current_dir(work.path());
    run("the generator", &mut generate).await;
    let phone = "628120000772";
    let mut send = Command::new(&python);
    send.arg(folder().join("send.py")).env("PYTHONPATH", work.path());
    send.args([&world.url(), world.key(), &world.device, phone]);
    let printed = run("the client", &mut send).await;
    assert_sent(&world, phone, "from Python", &printed).await;
}
