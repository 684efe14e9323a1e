//! `gerbang demo`: a gateway, a simulated WhatsApp, an account and a linked device, at once.
//!
//! Everything is done the ordinary way: the device is paired by a QR that a simulated phone scans,
//! and messages travel through the real driver. Only the keys are special: they are derived from
//! the data directory's secret key, so that a second start prints the same ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use domain::account::NewAccount;
use domain::device::{Device, NewDevice, PairOffer};
use domain::error::Error;
use domain::ids::DeviceId;
use domain::key::{KeyKind, Secret};
use domain::ports::{CreatedDevice, NewKey, PageRequest, Store};
use domain::service::{Core, Principal};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use simulator::{Simulator, SimulatorConfig};

use crate::config::{Defaults, Flags, Settings};
use crate::console::reachable;
use crate::gateway::Gateway;
use crate::system::SystemEntropy;
use crate::telemetry;

/// The simulated phone whose number the demo device is linked to.
const SHOP_PHONE: &str = "628111000111";
/// The simulated phone the printed commands write to.
const CUSTOMER_PHONE: &str = "628123456789";
/// The operator whom the demo's link to the dashboard signs in.
const DEMO_EMAIL: &str = "operator@demo.example";
/// How long the demo waits for its device to be paired and connected.
const READY_WAIT: Duration = Duration::from_secs(60);

/// Flags of `gerbang demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// As `gerbang serve`, or the demo device cannot be linked.
pub async fn run(args: Args) -> Result<()> {
    let mut settings = Settings::load(args.flags, Defaults::DEMO)?;
    telemetry::start(settings.log, settings.log_level.as_deref())?;
    settings.create_data_dir()?;
    let keys = DemoKeys::derive(&settings)?;
    settings.admin_key.get_or_insert_with(|| keys.operator.reveal().to_owned());
    let listener = super::listen(settings.listen).await?;
    let address = listener.local_addr().context("cannot read the port")?;
    settings.listen = address;
    let local = reachable(address);
    settings.whatsapp_url = Some(format!("ws://{local}/simulator/ws/chat"));

    let config = SimulatorConfig {
        hosts: settings.public_url.as_deref().and_then(host_of).into_iter().collect(),
        ..SimulatorConfig::new(settings.data_dir.join("simulator"))
    };
    let simulator = Simulator::open(config).await.context("cannot open the simulator's data")?;
    super::warn_unless_loopback(address, "the demo's simulator");
    let routes =
        axum::Router::new().nest("/simulator", simulator.router()).merge(simulator.media_router());
    let mut gateway = Gateway::open(&settings, false).await?;
    gateway.show_phone(format!("/simulator/phone/{CUSTOMER_PHONE}"));
    let core = gateway.shared_core();
    let store = gateway.shared_store();
    let running = gateway.start(listener, routes).await?;
    let prepared = tokio::select! {
        prepared = prepare(&core, &*store, &simulator, &keys) => prepared.map(Some),
        () = super::stop_signal() => Ok(None),
    };
    if let Ok(Some(device)) = &prepared {
        let link = core.demo_link(DEMO_EMAIL).await.context("cannot make the dashboard's link")?;
        announce(local, &keys, device, &http_api::dashboard::sign_in_path(&link));
        super::stop_signal().await;
    }
    drop((core, store));
    running.stop().await?;
    simulator.shutdown().await;
    prepared.map(|_| ())
}

/// The keys of the demo, the same at every start.
struct DemoKeys {
    operator: Secret,
    account: Secret,
    device: Secret,
}

impl DemoKeys {
    fn derive(settings: &Settings) -> Result<Self> {
        let mut fresh = [0; 32];
        domain::ports::Entropy::fill(&SystemEntropy, &mut fresh);
        let secret = match settings.stored_secret_key()? {
            Some(secret) => secret,
            None => settings.make_secret_key(fresh)?,
        };
        let derive = |kind, purpose: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(&secret).context("no HMAC key")?;
            mac.update(purpose.as_bytes());
            Ok::<_, anyhow::Error>(Secret::from_random(kind, mac.finalize().into_bytes().into()))
        };
        Ok(Self {
            operator: derive(KeyKind::Operator, "demo operator key")?,
            account: derive(KeyKind::Account, "demo account key")?,
            device: derive(KeyKind::Device, "demo device token")?,
        })
    }
}

/// Creates what is missing of account, device and pairing; returns the connected device.
async fn prepare(
    core: &Core,
    store: &dyn Store,
    simulator: &Simulator,
    keys: &DemoKeys,
) -> Result<Device> {
    let principal = demo_account(core, store, keys).await?;
    let device = demo_device(core, store, &principal, keys).await?;
    if !device.status.is_paired() {
        link(core, &principal, simulator, device.id).await?;
    } else if let Err(error) = core.connect(&principal, device.id).await {
        // A pause that a scripted fault has left is nothing to wait for; a ban is.
        tracing::warn!(%error, "the demo device cannot be connected now");
    }
    wait_until_connected(core, &principal, device.id).await
}

async fn demo_account(core: &Core, store: &dyn Store, keys: &DemoKeys) -> Result<Principal> {
    match core.authenticate(keys.account.reveal()).await {
        Err(Error::Unauthorized) => {}
        found => return found.context("the demo account cannot be used; the log says why"),
    }
    let account = NewAccount {
        name: "Demo".into(),
        email: "demo@example.com".into(),
        plan: "unlimited".into(),
        default_country: "62".into(),
        timezone: "Asia/Jakarta".into(),
    };
    let key = new_key("demo key", &keys.account);
    let made = store.create_account(account, key, core.now()).await?;
    if made.is_err() {
        bail!(
            "the data directory belongs to another secret key; \
             use the same GERBANG_SECRET_KEY again, or another --data-dir"
        );
    }
    Ok(core.authenticate(keys.account.reveal()).await?)
}

async fn demo_device(
    core: &Core,
    store: &dyn Store,
    principal: &Principal,
    keys: &DemoKeys,
) -> Result<Device> {
    let page = PageRequest { before: None, limit: 1 };
    // Its token finds it among others; without it, any device will do.
    let owner = match core.authenticate(keys.device.reveal()).await {
        Ok(owner) => Some(owner),
        Err(Error::Unauthorized) => None,
        Err(error) => return Err(error).context("the demo device's token cannot be used"),
    };
    let found = core.devices(owner.as_ref().unwrap_or(principal), page).await?.items.pop();
    match found {
        Some(device) => return Ok(device),
        None if owner.is_some() => bail!("the demo device cannot be read; the log says why"),
        None => {}
    }
    let mut id = [0; 16];
    core.fill_random(&mut id);
    let device = NewDevice {
        id: DeviceId(uuid::Builder::from_random_bytes(id).into_uuid()),
        account_id: principal.account_id()?,
        name: "Demo shop".into(),
    };
    let token = new_key("device token", &keys.device);
    match store.create_device(device, token, None, core.now()).await? {
        CreatedDevice::Created(device) => Ok(device),
        CreatedDevice::LimitReached => bail!("the demo account has no room for a device"),
    }
}

fn new_key(name: &str, secret: &Secret) -> NewKey {
    NewKey { name: name.into(), hash: secret.hash(), last_four: secret.last_four() }
}

async fn link(
    core: &Core,
    principal: &Principal,
    simulator: &Simulator,
    device: DeviceId,
) -> Result<()> {
    let PairOffer::Qr { code, .. } = core.pair(principal, device, None).await? else {
        bail!("the simulator offered no QR");
    };
    simulator.scan(SHOP_PHONE, &code).await.context("the simulated phone refused the QR")
}

async fn wait_until_connected(core: &Core, principal: &Principal, id: DeviceId) -> Result<Device> {
    use domain::device::DeviceStatus::Connected;
    use futures_util::StreamExt as _;
    let wait = async {
        let (mut device, mut notices) = core.watch_device(principal, id).await?;
        while device.status != Connected {
            notices.next().await.context("the device is gone")?;
            device = core.device(principal, id).await?;
        }
        Ok(Arc::unwrap_or_clone(device))
    };
    tokio::time::timeout(READY_WAIT, wait)
        .await
        .context("the demo device did not connect to the simulator")?
}

/// The host of a public address.
fn host_of(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let (name, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    let has_port = port.bytes().all(|byte| byte.is_ascii_digit());
    Some(if has_port { name } else { authority }.to_owned())
}

fn announce(address: SocketAddr, keys: &DemoKeys, device: &Device, link: &str) {
    let base = format!("http://{address}");
    let (account, token) = (keys.account.reveal(), keys.device.reveal());
    println!(
        "
Gerbang is running, with a simulated WhatsApp. Ctrl-C stops it; its data stays.

  Dashboard           {base}{link}
  API documentation   {base}/docs
  Simulated phone     {base}/simulator/phone/{CUSTOMER_PHONE}
  Operator key        {operator}
  Account key         {account}
  Device              {id} (+{SHOP_PHONE})
  Device token        {token}

Send a message to the simulated phone; open its page first and watch it arrive.

Our own API:
curl -sS {base}/v1/messages -H 'Authorization: Bearer {account}' -H 'Content-Type: application/json' -d '{{\"device\":\"{id}\",\"to\":\"{CUSTOMER_PHONE}\",\"text\":\"Hello from /v1\"}}'

wagy:
curl -sS {base}/{id}/send -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d '{{\"phone\":\"{CUSTOMER_PHONE}\",\"message\":\"Hello from wagy\"}}'

WAChat:
curl -sS {base}/wachat_api/1.0/message -H 'APIKey: {account}' -H 'Content-Type: application/json' -d '{{\"queue\":\"{id}\",\"destination\":\"{CUSTOMER_PHONE}\",\"message\":\"Hello from WAChat\"}}'

WAGate:
curl -sS {base}/api/v1/send-message -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d '{{\"recipient\":\"{CUSTOMER_PHONE}\",\"message\":\"Hello from WAGate\"}}'

WAsyik:
curl -sS {base}/api/v2/messaging/whatsapp/send-text -H 'Authorization: Bearer {account}' -H 'Content-Type: application/json' -d '{{\"accountId\":\"{id}\",\"to\":\"{CUSTOMER_PHONE}\",\"text\":\"Hello from WAsyik\"}}'

MPWA style:
curl -sS {base}/send-message -H 'Content-Type: application/json' -d '{{\"api_key\":\"{account}\",\"sender\":\"{SHOP_PHONE}\",\"number\":\"{CUSTOMER_PHONE}\",\"message\":\"Hello from MPWA\"}}'
",
        operator = keys.operator.reveal(),
        id = device.id,
    );
}
