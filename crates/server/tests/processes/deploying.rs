//! The files that people deploy with: what they set exists, and they agree with the image and the program.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::env;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;

/// Read from the environment, and nowhere in the help: they are secrets.
const SECRETS: [&str; 2] = ["GERBANG_ADMIN_KEY", "GERBANG_SECRET_KEY"];

fn file(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The documents in a YAML file, as a library reads them that one of the tests' servers brings along.
fn documents(name: &str) -> Vec<Value> {
    const READ: &str =
        "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let python = PathBuf::from(env::required("GERBANG_TEST_MOTO")).with_file_name("python");
    let read = output(Command::new(python).args(["-c", READ]).arg(file(name)));
    serde_json::from_str(&read).unwrap()
}

/// All settings that the program knows.
fn known() -> HashSet<String> {
    let help = output(Command::new(env::gerbang()).args(["serve", "--help"]));
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let words = help.split(|c: char| !is_name(c)).filter(|word| word.starts_with("GERBANG_"));
    words.chain(SECRETS).map(str::to_owned).collect()
}

/// What a line of the Dockerfile says after this word.
fn image(word: &str) -> String {
    let dockerfile = text("Dockerfile");
    let mut lines = dockerfile.lines();
    let line = lines.find_map(|line| line.strip_prefix(&format!("{word} ")));
    line.unwrap_or_else(|| panic!("no {word}")).to_owned()
}

fn object(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value))
}

fn items(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// Whether the image has this folder for the user that runs it.
fn is_folder(path: &str) -> bool {
    text("Dockerfile").lines().any(|line| {
        line.starts_with("COPY") && line.contains("--chown=10001") && line.ends_with(path)
    })
}

#[test]
fn compose_files_agree_with_the_image_and_the_settings() {
    let (known, port) = (known(), image("EXPOSE"));
    assert!(image("ENV").contains(&format!("GERBANG_LISTEN=0.0.0.0:{port}")));
    for (name, count) in [("compose.yaml", 1), ("compose.nodes.yaml", 3)] {
        let documents = documents(name);
        let [compose] = &documents[..] else { panic!("{name} is one document") };
        let services: Vec<_> = object(&compose["services"]).collect();
        let ours: Vec<_> =
            services.iter().filter(|(_, service)| !service["build"].is_null()).collect();
        assert_eq!(ours.len(), count, "{name}");
        let ports = services.iter().filter_map(|(_, service)| service["ports"].as_array());
        for published in ports.flatten() {
            assert!(string(published).ends_with(&format!(":{port}")), "{name}: {published}");
        }
        for (service, settings) in &ours {
            let environment = &settings["environment"];
            for (setting, _) in object(environment) {
                assert!(known.contains(setting), "{name}: there is no {setting}");
            }
            let volumes: Vec<_> = items(&settings["volumes"])
                .iter()
                .map(|volume| string(volume).split_once(':').unwrap())
                .collect();
            for (volume, folder) in &volumes {
                assert!(object(&compose["volumes"]).any(|(known, _)| known == *volume), "{volume}");
                assert!(is_folder(folder), "{name}: the image has no {folder}");
            }
            assert!(volumes.iter().any(|(_, folder)| *folder == image("VOLUME")), "{service}");
            if count > 1 {
                assert_eq!(environment["GERBANG_NODE_NAME"], **service);
                assert_eq!(environment["GERBANG_NODE_URL"], format!("http://{service}:{port}"));
                let proxied = string(&compose["services"]["proxy"]["command"]);
                assert!(proxied.contains(&format!("--to {service}:{port}")), "{proxied}");
                let media = string(&environment["GERBANG_MEDIA_STORE"]);
                assert!(volumes.iter().any(|(_, folder)| *folder == media), "{media}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_for_kubernetes_agrees_with_the_image_and_the_program() {
    const NAME: &str = "deploy/kubernetes.yaml";
    let (known, port) = (known(), image("EXPOSE").parse::<u16>().unwrap());
    let (text, documents) = (text(NAME), documents(NAME));
    let of_kind = |kind: &str| documents.iter().find(|one| one["kind"] == kind).unwrap();
    let (deployment, service) = (&of_kind("Deployment")["spec"], &of_kind("Service")["spec"]);
    let pod = &deployment["template"];
    let labels = &pod["metadata"]["labels"];
    assert_eq!(&deployment["selector"]["matchLabels"], labels);
    assert_eq!(&service["selector"], labels);
    assert_eq!(service["ports"][0]["targetPort"], port);
    let container = &pod["spec"]["containers"][0];
    let (built, _) = string(&container["image"]).split_once(':').unwrap();
    assert!(self::text("Dockerfile").contains(&format!("docker build -t {built} ")));
    assert_eq!(container["ports"][0]["containerPort"], port);
    assert_eq!(pod["spec"]["securityContext"]["fsGroup"].to_string(), image("USER"));
    let mut given = HashSet::new();
    for setting in items(&container["env"]) {
        let name = string(&setting["name"]);
        let is_ours = name.starts_with("GERBANG_");
        assert!(!is_ours || known.contains(name), "there is no {name}");
        if let Some(value) = setting["value"].as_str() {
            let inner = value.split("$(").skip(1).filter_map(|rest| rest.split_once(')'));
            for (used, _) in inner {
                assert!(given.contains(used), "{name} uses {used} before it is there");
            }
        }
        if let Some(key) = setting["valueFrom"]["secretKeyRef"]["key"].as_str() {
            assert!(text.contains(&format!("--from-literal={key}=")), "nobody makes {key}");
        }
        given.insert(name);
    }
    let volumes = items(&pod["spec"]["volumes"]).iter();
    let volumes: HashSet<_> = volumes.map(|volume| string(&volume["name"])).collect();
    for mount in items(&container["volumeMounts"]) {
        let [name, path] = ["name", "mountPath"].map(|field| string(&mount[field]));
        assert!(volumes.contains(name) && is_folder(path), "{mount}");
    }
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, &[]).await;
    for probe in ["readinessProbe", "livenessProbe"] {
        let probe = &container[probe]["httpGet"];
        assert_eq!(probe["port"], port);
        gateway.operator().get(string(&probe["path"])).await;
    }
    assert!(gateway.process.stop().await.success());
}
