//! `gerbang admin` beside the gateway that runs, and without it.

use tokio::process::Command;

use crate::support::env;
use crate::support::gateway::Gateway;

/// No device is linked, so that it is never asked.
const NOWHERE: (&str, &str) = ("GERBANG_WHATSAPP_URL", "ws://127.0.0.1:9/ws/chat");

/// What `gerbang admin setup-link` prints for the installation of a gateway.
async fn setup_link(gateway: &Gateway) -> String {
    let mut command = Command::new(env::gerbang());
    command.args(["admin", "setup-link"]).current_dir(gateway.data_dir());
    command.env("GERBANG_DATA_DIR", gateway.data_dir().join("data"));
    // The gateway found a port for itself; the command learns it from the gateway's own file.
    let output = command.env("GERBANG_LISTEN", "127.0.0.1:1").output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_setup_link_is_made_through_the_running_gateway_and_without_it() {
    let mut gateway = Gateway::start_with(&env::gerbang(), &[NOWHERE]).await;
    let printed = setup_link(&gateway).await;
    let link = printed.trim().strip_prefix("Open ").expect(&printed);
    let base = format!("http://{}", gateway.address());
    let link = link.strip_prefix(&base).expect(link).to_owned();
    let open = async |gateway: &Gateway, link: &str| {
        // Installs the cryptography that the client below asks for.
        gateway.operator();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let page = client.get(format!("http://{}{link}", gateway.address())).send().await.unwrap();
        page.status().as_u16()
    };
    assert_eq!(open(&gateway, &link).await, 200);
    assert_eq!(open(&gateway, "/setup/gbl_none").await, 404);
    gateway.process.kill().await;
    let printed = setup_link(&gateway).await;
    let (_, second) = printed.trim().rsplit_once("127.0.0.1:1").expect(&printed);
    gateway.restart().await;
    for link in [&link, second] {
        assert_eq!(open(&gateway, link).await, 200, "{link}");
    }
}

#[tokio::test]
async fn accounts_and_keys_are_looked_after_through_the_running_gateway() {
    let mut gateway = Gateway::start_with(&env::gerbang(), &[NOWHERE]).await;
    let admin = async |args: &[&str]| gateway.command(&[&["admin"], args].concat()).await;
    let made = admin(&["accounts", "create", "shop@example.com", "--plan", "unlimited"]).await.ok();
    let key = |text: &str| text.trim().rsplit(' ').next().unwrap().to_owned();
    let account = gateway.operator().with_key(key(&made));
    let id = account.get("/v1/me").await["account"]["id"].to_string();
    let listed = admin(&["accounts"]).await.ok();
    assert!(listed.lines().any(|line| line.contains("shop@example.com  unlimited")), "{listed}");
    let made = admin(&["keys", &id, "create", "reader", "--scopes", "read"]).await.ok();
    let reader = gateway.operator().with_key(key(&made));
    assert_eq!(reader.call("GET", "/v1/devices", None).await.status, 200);
    assert_eq!(reader.call("GET", "/v1/keys", None).await.status, 403);
    let listed = admin(&["keys", &id]).await.ok();
    let line = listed.lines().find(|line| line.contains("reader")).expect(&listed);
    let number = line.split_whitespace().next().unwrap();
    admin(&["keys", &id, "revoke", number]).await.ok();
    assert_eq!(reader.call("GET", "/v1/devices", None).await.status, 401);
    admin(&["accounts", "set-plan", &id, "none-such"])
        .await
        .refused(1, &["plan", "must be one of"]);
    admin(&["accounts", "set-plan", &id, "free"]).await.ok();
    admin(&["accounts", "delete", &id]).await.ok();
    assert_eq!(account.call("GET", "/v1/me", None).await.status, 401);
    gateway.process.kill().await;
    let ended = gateway.command(&["admin", "accounts"]).await;
    ended.refused(1, &["no gateway runs", "start it first"]);
}
