//! Settings: a file, the environment over it, flags over both.
//!
//! `default.toml` is the documentation of every setting and is what `gerbang config` prints. Keys
//! are never flags: a command line can be read by every user of the machine.

mod byte_size;
mod media_store;
mod node;
mod private_files;
mod secret_key;
mod switch;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use clap::builder::Resettable;
use domain::client::{Language, Platform, shown_name};
use domain::policy::pacing::Pacing;
use ipnet::IpNet;
use serde::Deserialize;

pub use self::byte_size::ByteSize;
pub use self::media_store::{MediaStore, s3_variables};
pub use self::private_files::{create_private_dir, write_private};
use self::switch::Switch;
use crate::console::reachable;
use crate::exit::Failure;
use crate::telemetry::LogFormat;

/// How many days messages are kept, unless it is set.
const MESSAGE_DAYS: u16 = 90;
/// How many days files that came in are kept, unless it is set.
const MEDIA_DAYS: u16 = 7;
/// How many bytes of them are kept for an account, unless it is set.
const MEDIA_PER_ACCOUNT: ByteSize = ByteSize(5 << 30);
/// The commented defaults.
pub const DEFAULT_TOML: &str = include_str!("default.toml");
/// The file that is read when none is named and it exists.
const FILE_DEFAULT: &str = "gerbang.toml";
/// Shortest key an operator may choose.
const ADMIN_KEY_CHARS_MIN: usize = 24;
/// Fewest different characters of it, and fewest different steps from one to the next: 24 random digits
/// have as many, a row of neighbours or a repeated word has not.
const ADMIN_KEY_VARIETY_MIN: usize = 8;

/// Flags of the commands that run a gateway; each has its environment variable.
#[derive(Debug, Args, Default)]
pub struct Flags {
    /// The settings file [default: gerbang.toml, when it is there]
    #[arg(long, env = "GERBANG_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to listen for HTTP [default: 127.0.0.1:8080]
    #[arg(long, env = "GERBANG_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// The directory for all data [default: gerbang-data; for the demo gerbang-demo]
    #[arg(long, env = "GERBANG_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// sqlite:PATH or postgres://… [default: a file in the data directory]
    #[arg(long, env = "GERBANG_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// The public address of this server [default: the one each client uses]
    #[arg(long, env = "GERBANG_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// WhatsApp's web socket [default: the real service; the demo always uses its own]
    #[arg(long, env = "GERBANG_WHATSAPP_URL", value_name = "URL")]
    pub whatsapp_url: Option<String>,
    /// WhatsApp's protocol version, such as 2.3000.1023223821 [default: the newest that WhatsApp publishes]
    #[arg(long, env = "GERBANG_WHATSAPP_VERSION", value_name = "VERSION")]
    pub whatsapp_version: Option<String>,
    /// The name under which phones list devices [default: Gerbang]
    #[arg(long, env = "GERBANG_DEVICE_NAME", value_name = "NAME")]
    pub device_name: Option<String>,
    /// What phones list devices as: chrome, edge, firefox, opera, safari or desktop [default: chrome]
    #[arg(long, env = "GERBANG_DEVICE_PLATFORM", value_name = "PLATFORM")]
    pub device_platform: Option<String>,
    /// The language of devices [default: en-US]
    #[arg(long, env = "GERBANG_DEVICE_LANGUAGE", value_name = "LANGUAGE")]
    pub device_language: Option<String>,
    /// Networks whose X-Forwarded-* headers are trusted
    #[arg(long, env = "GERBANG_TRUSTED_PROXIES", value_name = "CIDR", value_delimiter = ',')]
    pub trusted_proxies: Option<Vec<String>>,
    /// Private networks that media and webhook URLs and proxies of devices may reach, on any port
    #[arg(long, env = "GERBANG_ALLOWED_PRIVATE_NETS", value_name = "CIDR", value_delimiter = ',')]
    pub allowed_private_nets: Option<Vec<String>>,
    /// Let people sign in to the dashboard over plain HTTP from other machines [default: false]
    #[arg(long, env = "GERBANG_INSECURE_COOKIES", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub insecure_cookies: Option<bool>,
    /// Which of the other gateways' APIs are served [default: all]
    #[arg(long, env = "GERBANG_DIALECTS", value_name = "NAME", value_delimiter = ',')]
    pub dialects: Option<Vec<String>>,
    /// Pause between two messages of a device in seconds, MIN-MAX or off [default: 3-8; for the demo off]
    #[arg(long, env = "GERBANG_PACING", value_name = "MIN-MAX")]
    pub pacing: Option<String>,
    /// Free disk space below which files and messages are refused, 0 for no limit [default: 1GiB; for the demo 100MiB]
    #[arg(long, env = "GERBANG_MIN_FREE_SPACE", value_name = "SIZE")]
    pub min_free_space: Option<ByteSize>,
    /// Where files that come in are kept: a directory, or `s3://BUCKET/PREFIX` [default: media in the data
    /// directory]
    #[arg(long, env = "GERBANG_MEDIA_STORE", value_name = "DIR|URL")]
    pub media_store: Option<String>,
    /// How many days files that come in are kept [default: 7]
    #[arg(long, env = "GERBANG_MEDIA_DAYS", value_name = "DAYS")]
    pub media_days: Option<u16>,
    /// How many bytes of files that came in are kept for an account; the oldest go first [default: 5GiB]
    #[arg(long, env = "GERBANG_MEDIA_PER_ACCOUNT", value_name = "SIZE")]
    pub media_per_account: Option<ByteSize>,
    /// How many days messages are kept [default: 90]
    #[arg(long, env = "GERBANG_MESSAGE_DAYS", value_name = "DAYS")]
    pub message_days: Option<u16>,
    /// Where messages are archived before they are deleted, as compressed files per account and month
    /// [default: they are not archived]
    #[arg(long, env = "GERBANG_ARCHIVE_DIR", value_name = "DIR")]
    pub archive_dir: Option<PathBuf>,
    /// The name of this process among those that share a PostgreSQL [default: HOST:PORT]
    #[arg(long, env = "GERBANG_NODE_NAME", value_name = "NAME")]
    pub node_name: Option<String>,
    /// Where the others reach it [default: http://HOST:PORT]
    #[arg(long, env = "GERBANG_NODE_URL", value_name = "URL")]
    pub node_url: Option<String>,
    /// Most devices that it runs [default: 100000]
    #[arg(long, env = "GERBANG_NODE_CAPACITY", value_name = "DEVICES")]
    pub node_capacity: Option<u32>,
    /// Whether nodes send each other hints over NOTIFY, on or off; off for poolers that lack it [default: on]
    #[arg(long, env = "GERBANG_NOTIFY", value_name = "on|off")]
    pub notify: Option<Switch>,
    /// How log lines are written; RUST_LOG sets the level [default: text]
    #[arg(long, env = "GERBANG_LOG", value_name = "text|json")]
    pub log: Option<LogFormat>,
}

/// The settings file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<SocketAddr>,
    data_dir: Option<PathBuf>,
    database_url: Option<String>,
    admin_key: Option<String>,
    public_url: Option<String>,
    whatsapp_url: Option<String>,
    whatsapp_version: Option<String>,
    device_name: Option<String>,
    device_platform: Option<String>,
    device_language: Option<String>,
    trusted_proxies: Option<Vec<String>>,
    allowed_private_nets: Option<Vec<String>>,
    insecure_cookies: Option<bool>,
    dialects: Option<Vec<String>>,
    pacing: Option<String>,
    min_free_space: Option<ByteSize>,
    media_store: Option<String>,
    media_days: Option<u16>,
    media_per_account: Option<ByteSize>,
    message_days: Option<u16>,
    archive_dir: Option<PathBuf>,
    node_name: Option<String>,
    node_url: Option<String>,
    node_capacity: Option<u32>,
    notify: Option<Switch>,
    log: Option<LogFormat>,
}

/// The defaults that differ between commands.
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    /// The data directory.
    pub data_dir: &'static str,
    /// The pacing.
    pub pacing: &'static str,
    /// The free disk space that is kept.
    pub min_free_space: ByteSize,
    /// The private networks that may be reached.
    pub private_nets: &'static [&'static str],
}

impl Defaults {
    /// Those of `gerbang serve`.
    pub const SERVE: Self = Self {
        data_dir: "gerbang-data",
        pacing: "3-8",
        min_free_space: ByteSize(1 << 30),
        private_nets: &[],
    };
    /// Those of `gerbang demo`: its own data, no pacing, and room on a newcomer's full disk.
    #[cfg(feature = "simulator")]
    pub const DEMO: Self = Self {
        data_dir: "gerbang-demo",
        pacing: "off",
        min_free_space: ByteSize(100 << 20),
        private_nets: &["127.0.0.0/8", "::1/128"],
    };
}

/// The settings in force. Its keys do not appear in `Debug`.
#[derive(Clone)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The directory for all data.
    pub data_dir: PathBuf,
    /// `sqlite:PATH` or `postgres://…`.
    pub database_url: String,
    /// The operator's key, when it is set.
    pub admin_key: Option<String>,
    /// The public address of this server, when it is set.
    pub public_url: Option<String>,
    /// WhatsApp's web socket, when it is set.
    pub whatsapp_url: Option<String>,
    /// WhatsApp's protocol version, when it is set.
    pub whatsapp_version: Option<whatsapp::Version>,
    /// The name under which phones list devices.
    pub device_name: String,
    /// What phones list devices as.
    pub device_platform: Platform,
    /// The language of devices.
    pub device_language: Language,
    /// Networks whose `X-Forwarded-*` headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Which private networks media and webhook URLs may reach.
    pub allowed_private_nets: Vec<IpNet>,
    /// Whether people may sign in over plain HTTP from other machines.
    pub insecure_cookies: bool,
    /// Which dialects; `None` for all.
    pub dialects: Option<Vec<String>>,
    /// The gateway's pacing.
    pub pacing: Pacing,
    /// Free disk space below which files and messages are refused.
    pub min_free_space: ByteSize,
    /// The directory for files that come in.
    pub media_store: MediaStore,
    /// How many days they are kept.
    pub media_days: u16,
    /// How many bytes of them are kept for an account.
    pub media_per_account: ByteSize,
    /// How many days messages are kept.
    pub message_days: u16,
    /// Where messages are archived before they are deleted, when they are.
    pub archive_dir: Option<PathBuf>,
    /// The name of this process among those that share the database, when it is set.
    pub node_name: Option<String>,
    /// Where the others reach it, when it is set.
    pub node_url: Option<String>,
    /// Most devices that it runs.
    pub node_capacity: u32,
    /// Whether nodes send each other hints over NOTIFY.
    pub notify: bool,
    /// How log lines are written.
    pub log: LogFormat,
    /// `RUST_LOG`: what is logged.
    pub log_level: Option<String>,
}

impl Settings {
    /// Reads the file and puts the environment and the flags over it.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown setting, an invalid value.
    pub fn load(flags: Flags, defaults: Defaults) -> Result<Self> {
        Self::read(flags, defaults).context(Failure::SETTINGS)
    }

    fn read(flags: Flags, defaults: Defaults) -> Result<Self> {
        let file = read_file(flags.config.as_deref())?;
        let data_dir = flags.data_dir.or(file.data_dir).unwrap_or_else(|| defaults.data_dir.into());
        let sqlite = || format!("sqlite:{}", data_dir.join("gerbang.sqlite").display());
        let database_url = flags.database_url.or(file.database_url).unwrap_or_else(sqlite);
        let pacing = flags.pacing.or(file.pacing).unwrap_or_else(|| defaults.pacing.into());
        let pacing = Pacing::parse(&pacing).map_err(|error| anyhow::anyhow!("pacing {error}"))?;
        let admin_key = environment("GERBANG_ADMIN_KEY").or(file.admin_key);
        if let Some(key) = &admin_key {
            check_admin_key(key)?;
        }
        let media_days = flags.media_days.or(file.media_days).unwrap_or(MEDIA_DAYS);
        ensure!(media_days > 0, "media_days must be at least 1");
        let message_days = flags.message_days.or(file.message_days).unwrap_or(MESSAGE_DAYS);
        ensure!(message_days > 0, "message_days must be at least 1");
        Ok(Self {
            listen: flags
                .listen
                .or(file.listen)
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            database_url,
            admin_key,
            public_url: web_address("public_url", flags.public_url.or(file.public_url))?,
            whatsapp_url: flags.whatsapp_url.or(file.whatsapp_url),
            whatsapp_version: flags
                .whatsapp_version
                .or(file.whatsapp_version)
                .map(|text| text.parse().map_err(|why| anyhow::anyhow!("whatsapp_version {why}")))
                .transpose()?,
            device_name: setting(
                "device_name",
                flags.device_name.or(file.device_name),
                shown_name,
                || "Gerbang".to_owned(),
            )?,
            device_platform: setting(
                "device_platform",
                flags.device_platform.or(file.device_platform),
                Platform::parse,
                Platform::default,
            )?,
            device_language: setting(
                "device_language",
                flags.device_language.or(file.device_language),
                Language::parse,
                Language::default,
            )?,
            trusted_proxies: networks(
                "trusted_proxies",
                flags.trusted_proxies.or(file.trusted_proxies).unwrap_or_default(),
            )?,
            allowed_private_nets: networks(
                "allowed_private_nets",
                flags
                    .allowed_private_nets
                    .or(file.allowed_private_nets)
                    .unwrap_or_else(|| defaults.private_nets.iter().map(|&n| n.into()).collect()),
            )?,
            insecure_cookies: flags.insecure_cookies.or(file.insecure_cookies).unwrap_or_default(),
            dialects: flags.dialects.or(file.dialects),
            pacing,
            min_free_space: flags
                .min_free_space
                .or(file.min_free_space)
                .unwrap_or(defaults.min_free_space),
            media_store: flags
                .media_store
                .or(file.media_store)
                .map(MediaStore::parse)
                .transpose()?
                .unwrap_or_else(|| MediaStore::Directory(data_dir.join("media"))),
            media_days,
            media_per_account: flags
                .media_per_account
                .or(file.media_per_account)
                .unwrap_or(MEDIA_PER_ACCOUNT),
            message_days,
            archive_dir: flags.archive_dir.or(file.archive_dir),
            node_name: flags.node_name.or(file.node_name).map(node::checked_name).transpose()?,
            node_url: web_address("node_url", flags.node_url.or(file.node_url))?,
            node_capacity: node::capacity(flags.node_capacity.or(file.node_capacity))?,
            notify: flags.notify.or(file.notify).is_none_or(|Switch(is_on)| is_on),
            log: flags.log.or(file.log).unwrap_or_default(),
            log_level: environment("RUST_LOG"),
            data_dir,
        })
    }

    /// Where this server is reached, without a trailing slash: its public address, else where it listens,
    /// as this machine reaches it.
    pub fn own_url(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://{}", reachable(self.listen)))
    }

    /// Creates the data directory, readable for its owner only.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create_data_dir(&self) -> Result<()> {
        create_private_dir(&self.data_dir)
    }
}

/// Refuses an operator key that can be guessed: it opens everything, and no limit counts its requests.
fn check_admin_key(key: &str) -> Result<()> {
    let codes: Vec<i64> = key.chars().map(|c| i64::from(u32::from(c))).collect();
    let different: HashSet<i64> = codes.iter().copied().collect();
    let steps: HashSet<i64> = codes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let is_strong = codes.len() >= ADMIN_KEY_CHARS_MIN
        && different.len() >= ADMIN_KEY_VARIETY_MIN
        && steps.len() >= ADMIN_KEY_VARIETY_MIN;
    ensure!(
        is_strong,
        "the operator key (admin_key, GERBANG_ADMIN_KEY) is too weak: it needs at least \
         {ADMIN_KEY_CHARS_MIN} characters, {ADMIN_KEY_VARIETY_MIN} of them different, and no simple \
         pattern. Make one with: openssl rand -hex 32"
    );
    Ok(())
}

fn read_file(named: Option<&Path>) -> Result<File> {
    let path = named.unwrap_or(Path::new(FILE_DEFAULT));
    if named.is_none() && !path.exists() {
        return Ok(File::default());
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the settings file {}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        let (line, column) = position(&text, error.span().map_or(0, |span| span.start));
        let setting = setting_of(&text, line).map(|name| format!("{name}: ")).unwrap_or_default();
        let (path, why) = (path.display(), without_values(&error));
        anyhow::anyhow!("in {path}, line {line}, column {column}: {setting}{why}")
    })
}

/// The name of the setting in a line.
fn setting_of(text: &str, line: usize) -> Option<&str> {
    let (name, _) = text.lines().nth(line - 1)?.split_once('=')?;
    let name = name.trim();
    let is_name = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_name.then_some(name).filter(|name| !name.is_empty())
}

/// The line and the column of a byte, counted from 1.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// What is wrong with a settings file, without its lines and values: they may be secrets.
fn without_values(error: &toml::de::Error) -> String {
    let message = error.message();
    let shows_value = ["invalid type: ", "invalid value: ", "invalid length "];
    match message.split_once(", expected ") {
        Some((_, expected)) if shows_value.iter().any(|start| message.starts_with(start)) => {
            format!("must be {expected}")
        }
        _ => message.to_owned(),
    }
}

/// A setting that is read from text, or its default.
fn setting<T>(
    name: &str,
    text: Option<String>,
    read: fn(&str) -> Result<T, &'static str>,
    default: fn() -> T,
) -> Result<T> {
    let read = |text: String| read(&text).map_err(|why| anyhow::anyhow!("{name} {why}"));
    text.map_or_else(|| Ok(default()), read)
}

fn networks(setting: &str, texts: Vec<String>) -> Result<Vec<IpNet>> {
    texts.into_iter().map(|text| network(setting, &text)).collect()
}

/// A network, or one address.
fn network(setting: &str, text: &str) -> Result<IpNet> {
    let address = text.trim();
    let one = || address.parse::<IpAddr>().map(IpNet::from);
    address.parse().ok().or_else(|| one().ok()).with_context(|| {
        format!(
            "{setting}: {text:?}: must be an address or a network such as 10.0.0.0/8 or fd00::/8"
        )
    })
}

/// The address of a server, without a trailing slash.
fn web_address(setting: &str, url: Option<String>) -> Result<Option<String>> {
    let Some(url) = url else { return Ok(None) };
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(host) if !host.is_empty() => Ok(Some(url.trim_end_matches('/').to_owned())),
        _ => bail!("{setting} {url:?} must begin with http:// or https://"),
    }
}

/// An environment variable; an empty one counts as unset.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The command without the variables that are set but empty, as Compose passes those that are unset:
/// they count as unset.
pub fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &clap::Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    command
        .mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(without_empty_variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str) -> Result<Settings> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gerbang.toml");
        std::fs::write(&path, text).unwrap();
        Settings::load(Flags { config: Some(path), ..Flags::default() }, Defaults::SERVE)
    }

    fn message(result: Result<Settings>) -> String {
        format!("{:#}", result.err().unwrap())
    }

    #[test]
    fn the_own_address_can_be_opened_on_this_machine() {
        let own = |text: &str| with_file(text).unwrap().own_url();
        assert_eq!(own("listen = \"0.0.0.0:22180\""), "http://127.0.0.1:22180");
        assert_eq!(own("listen = \"[::]:22180\""), "http://[::1]:22180");
        assert_eq!(own("listen = \"10.0.0.7:80\""), "http://10.0.0.7:80");
        let public = "listen = \"0.0.0.0:22180\"\npublic_url = \"https://wa.example\"";
        assert_eq!(own(public), "https://wa.example");
    }

    #[test]
    fn the_printed_defaults_are_the_defaults() {
        let uncommented: String = DEFAULT_TOML
            .lines()
            .filter_map(|line| line.strip_prefix('#'))
            .filter(|line| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')))
            .filter(|line| !line.starts_with("admin_key"))
            .map(|line| format!("{line}\n"))
            .collect();
        let printed = with_file(&uncommented).unwrap();
        let default = with_file("").unwrap();
        assert_eq!(printed.listen, default.listen);
        assert_eq!(printed.data_dir, default.data_dir);
        assert_eq!(printed.database_url, default.database_url);
        assert_eq!(printed.pacing, default.pacing);
        assert_eq!(printed.log, default.log);
        assert_eq!(printed.min_free_space, default.min_free_space);
        assert_eq!(printed.device_name, default.device_name);
        assert_eq!(printed.device_platform, default.device_platform);
        assert_eq!(printed.device_language, default.device_language);
        assert_eq!(printed.media_store, default.media_store);
        assert_eq!(printed.media_days, default.media_days);
        assert_eq!(printed.media_per_account, default.media_per_account);
        assert_eq!(printed.message_days, default.message_days);
        assert_eq!(printed.node_capacity, default.node_capacity);
        assert_eq!(printed.notify, default.notify);
        assert_eq!(uncommented.lines().count(), 22);
    }

    #[test]
    fn unknown_settings_are_refused_by_name() {
        assert!(message(with_file("lissten = \"127.0.0.1:1\"")).contains("lissten"));
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        for (text, named) in [
            ("listen = \"nowhere\"", "listen"),
            ("pacing = \"fast\"", "pacing"),
            ("admin_key = \"short\"", "admin_key"),
            ("public_url = \"ftp://x\"", "public_url"),
            ("node_url = \"node-1:8080\"", "node_url"),
            ("node_name = \"\"", "node_name"),
            ("node_capacity = 0", "node_capacity"),
            ("whatsapp_version = \"newest\"", "whatsapp_version"),
            ("message_days = 0", "message_days"),
            ("media_days = 0", "media_days"),
            ("notify = \"perhaps\"", "on or off"),
            ("log = \"debug\"", "log"),
            ("min_free_space = \"lots\"", "min_free_space"),
            ("min_free_space = -1", "min_free_space"),
            ("trusted_proxies = [\"nowhere\"]", "trusted_proxies"),
            ("allowed_private_nets = [\"10.0.0.0/99\"]", "allowed_private_nets"),
        ] {
            assert!(message(with_file(text)).contains(named), "{text}");
        }
    }

    #[test]
    fn an_operator_key_that_can_be_guessed_is_refused() {
        let weak = [
            "a".repeat(24),
            "ab".repeat(40),
            "1234567890".repeat(3),
            "abcdefghijklmnopqrstuvwxyz".to_owned(),
            "password".repeat(4),
            "ThisKeyHas23Characters!".to_owned(),
        ];
        for key in weak {
            let refused = message(with_file(&format!("admin_key = \"{key}\"")));
            assert!(refused.contains("GERBANG_ADMIN_KEY") && !refused.contains(&key), "{refused}");
        }
        for key in [
            "27f1ad1bd7a1a6e1d5d9a1ff",
            "gbo_for-the-tests-of-processes-only",
            "correct horse battery staple",
            "830174926510384756291034",
        ] {
            assert!(check_admin_key(key).is_ok(), "{key}");
        }
    }

    #[test]
    fn an_error_in_the_file_names_the_place_and_shows_no_secret() {
        for (text, place) in [
            ("listen = \"127.0.0.1:1\"\nadmin_key = SECRETadmin", "line 2, column 13"),
            ("admin_key = \"SECRET\" junk", "line 1, column 22"),
            ("database_url = \"postgres://u:SECRET@h/d\"junk", "line 1"),
            ("admin_key = \"SECRET", "line 1"),
            ("admin_key = [\"SECRET\"]", "line 1, column 13"),
            ("admin_key = { SECRET = 1 }", "line 1, column 13"),
            ("admin_key = 5318008531800853", "line 1, column 13"),
        ] {
            let message = message(with_file(text));
            assert!(message.contains(place), "{message}");
            assert!(!message.contains("SECRET") && !message.contains("5318008"), "{message}");
        }
    }

    #[test]
    fn a_level_in_place_of_the_format_of_logs_names_the_setting_of_levels() {
        assert!(message(with_file("log = \"info\"")).contains("RUST_LOG"));
    }

    #[test]
    fn flags_win_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gerbang.toml");
        let file = "pacing = \"1-2\"\nlog = \"json\"\nwhatsapp_version = \"2.3000.1\"";
        std::fs::write(&path, file).unwrap();
        let whatsapp_version = Some("2.3000.1035000000".to_owned());
        let pacing = Some("off".into());
        let flags = Flags { config: Some(path), pacing, whatsapp_version, ..Flags::default() };
        let settings = Settings::load(flags, Defaults::SERVE).unwrap();
        assert_eq!(settings.whatsapp_version, Some(whatsapp::Version(2, 3_000, 1_035_000_000)));
        assert_eq!(settings.pacing, Pacing::off());
        assert_eq!(settings.log, LogFormat::Json);
        assert_eq!(settings.min_free_space, ByteSize(1 << 30));
    }
}
