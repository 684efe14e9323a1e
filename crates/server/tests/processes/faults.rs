//! What is wrong at a start is said in one line, with an exit code, and nothing is damaged.

use std::path::Path;

use sqlx::{Connection as _, Executor as _};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::gateway::{Ended, Gateway, OPERATOR_KEY, run_on};
use crate::support::process::Process;
use crate::support::{database::Database, env};

/// No device is linked, so that it is never asked.
const NOWHERE: (&str, &str) = ("GERBANG_WHATSAPP_URL", "ws://127.0.0.1:9/ws/chat");
const FULL: &str = "no space is left";
/// Nothing listens there.
const AWAY: &str = "postgres://postgres@127.0.0.1:9/gerbang";
/// The key of the tests' gateways would be in the way of a new one.
const NO_ADMIN_KEY: (&str, &str) = ("GERBANG_ADMIN_KEY", "");
/// The commands that open the database of a gateway, but for those that move one or restore it.
const OPENING: [&[&str]; 5] = [
    &["serve"],
    &["backup", "kept.tar.gz"],
    &["admin", "reset-operator-key"],
    &["admin", "accept-secret-key"],
    &["admin", "setup-link"],
];
/// What a database of a newer version is refused with.
const NEWER: [&str; 2] = ["the database is of a newer version", "restore a backup"];

/// An installation with an account that has been stopped.
async fn stopped(settings: &[(&str, &str)]) -> Gateway {
    let mut gateway = Gateway::start_with(&env::gerbang(), &[&[NOWHERE], settings].concat()).await;
    gateway.operator().make_account("shop", "free").await;
    assert!(gateway.process.stop().await.success());
    gateway
}

async fn still_there(gateway: &mut Gateway) {
    gateway.restart().await;
    let accounts = gateway.operator().get("/v1/accounts").await;
    assert_eq!(accounts["data"][0]["name"], "shop");
    assert!(gateway.process.stop().await.success());
}

/// Writes a key that others cannot read: nothing is to be warned of.
fn write_key(path: &Path, key: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::File::options();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.unwrap().write_all(key.as_bytes()).unwrap();
}

fn execute(gateway: &Gateway, sql: &str) {
    let path = gateway.data_dir().join("data/gerbang.sqlite");
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let mut gateway = stopped(&[]).await;
    let move_schema = |by: &str| {
        let oldest = format!("CAST(CAST(CAST(value AS TEXT) AS INTEGER) {by} AS TEXT)");
        let sql = format!(
            "UPDATE schema_version SET version = version {by};
             UPDATE settings SET value = CAST({oldest} AS BLOB) WHERE name = 'schema_oldest'"
        );
        execute(&gateway, &sql);
    };
    move_schema("+ 1000");
    let database = Database::create().await;
    let url = database.url();
    for args in OPENING.into_iter().chain([&["migrate", "--to", &*url][..]]) {
        let refused = run_on(gateway.data_dir(), args, &[NOWHERE, NO_ADMIN_KEY]).await;
        refused.refused(65, &NEWER);
    }
    assert!(!gateway.data_dir().join("kept.tar.gz").exists());
    database.drop().await;
    move_schema("- 1000");
    still_there(&mut gateway).await;
}

#[tokio::test]
async fn on_postgresql_a_database_of_a_newer_version_is_left_alone() {
    let (database, other) = (Database::create().await, tempfile::tempdir().unwrap());
    let url = database.url();
    let mut gateway = stopped(&[("GERBANG_DATABASE_URL", &url)]).await;
    gateway.command(&["backup", "before.tar.gz"]).await.ok();
    let before = gateway.data_dir().join("before.tar.gz").display().to_string();
    let key = std::fs::read_to_string(gateway.data_dir().join("data/secret.key")).unwrap();
    let move_schema = async |by: &str| {
        let oldest = format!("CAST(CAST(convert_from(value, 'UTF8') AS BIGINT) {by} AS TEXT)");
        for sql in [
            format!("UPDATE schema_version SET version = version {by}"),
            format!(
                "UPDATE settings SET value = convert_to({oldest}, 'UTF8') WHERE name = 'schema_oldest'"
            ),
        ] {
            database.execute(&sql).await;
        }
    };
    move_schema("+ 1000").await;
    let settings = [NOWHERE, NO_ADMIN_KEY, ("GERBANG_DATABASE_URL", &*url)];
    for args in OPENING {
        run_on(gateway.data_dir(), args, &settings).await.refused(65, &NEWER);
    }
    assert!(!gateway.data_dir().join("kept.tar.gz").exists());
    let with_key = [&settings[..], &[("GERBANG_SECRET_KEY", key.trim())]].concat();
    run_on(other.path(), &["restore", &before], &with_key).await.refused(65, &NEWER);
    assert!(!other.path().join("data").exists());
    move_schema("- 1000").await;
    still_there(&mut gateway).await;
    database.drop().await;
}

#[tokio::test]
async fn every_command_says_that_postgresql_cannot_be_reached() {
    let (mut gateway, other) = (stopped(&[]).await, tempfile::tempdir().unwrap());
    gateway.command(&["backup", "kept.tar.gz"]).await.ok();
    let kept = gateway.data_dir().join("kept.tar.gz").display().to_string();
    let settings = [NOWHERE, NO_ADMIN_KEY, ("GERBANG_DATABASE_URL", AWAY)];
    for args in OPENING.into_iter().chain([&["restore", &*kept][..]]) {
        let refused = run_on(other.path(), args, &settings).await;
        refused.refused(69, &["cannot reach PostgreSQL at 127.0.0.1:9"]);
    }
    // As if there were something to migrate: not for a target that cannot be used.
    execute(&gateway, "UPDATE schema_version SET version = version - 1");
    let refused = gateway.command(&["migrate", "--to", AWAY]).await;
    refused.refused(69, &["cannot reach PostgreSQL at 127.0.0.1:9"]);
    execute(&gateway, "UPDATE schema_version SET version = version + 1");
    still_there(&mut gateway).await;
}

#[tokio::test]
async fn a_restore_into_an_empty_postgresql_says_what_comes_first() {
    let (gateway, other) = (stopped(&[]).await, tempfile::tempdir().unwrap());
    let (database, empty) = (Database::create().await, Database::create().await);
    gateway.command(&["backup", "kept.tar.gz"]).await.ok();
    let kept = gateway.data_dir().join("kept.tar.gz").display().to_string();
    let restore = async |url: &str| {
        let settings = [("GERBANG_DATABASE_URL", url)];
        run_on(other.path(), &["restore", &kept], &settings).await
    };
    let url = empty.url();
    restore(&url).await.refused(
        1,
        &["is empty", "files of messages", "pg_restore", "pg_dump", "GERBANG_DATABASE_URL"],
    );
    let settings = [("GERBANG_DATABASE_URL", &*url)];
    let refused = run_on(other.path(), &["backup", "none.tar.gz"], &settings).await;
    refused.refused(1, &["nothing to back up"]);
    assert!(!other.path().join("none.tar.gz").exists());
    // The key is another one as well, but what is wrong first is the kind.
    let url = database.url();
    let filled = stopped(&[("GERBANG_DATABASE_URL", &url)]).await;
    let key = std::fs::read_to_string(filled.data_dir().join("data/secret.key")).unwrap();
    let settings = [("GERBANG_DATABASE_URL", &*url), ("GERBANG_SECRET_KEY", key.trim())];
    let refused = run_on(other.path(), &["restore", &kept], &settings).await;
    refused.refused(65, &["holds a SQLite database", "gerbang migrate"]);
    for database in [database, empty] {
        database.drop().await;
    }
}

#[tokio::test]
async fn a_backup_is_made_without_the_key_and_says_so() {
    let gateway = stopped(&[]).await;
    let path = gateway.data_dir().join("data/secret.key");
    let backup = async |name: &str| gateway.command(&["backup", name]).await.ok();
    let printed = backup("own.tar.gz").await;
    assert!(printed.contains("is not in it") && !printed.contains(" here"), "{printed}");
    write_key(&path, &"ab".repeat(32));
    let printed = backup("another.tar.gz").await;
    assert!(printed.contains("The one here is another"), "{printed}");
    std::fs::remove_file(&path).unwrap();
    let printed = backup("none.tar.gz").await;
    assert!(printed.contains("There is none here"), "{printed}");
}

#[tokio::test]
async fn a_second_process_on_the_same_file_is_refused() {
    let mut gateway = Gateway::start_with(&env::gerbang(), &[NOWHERE]).await;
    gateway.operator().make_account("shop", "free").await;
    let refused = gateway.command(&["serve"]).await;
    refused.refused(75, &["gerbang.sqlite", "in use by another gateway"]);
    assert!(gateway.process.stop().await.success());
    still_there(&mut gateway).await;
}

#[tokio::test]
async fn another_secret_key_or_none_is_refused_and_a_lost_one_is_replaced_on_demand() {
    let mut gateway = stopped(&[]).await;
    let path = gateway.data_dir().join("data/secret.key");
    let key = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, "ab".repeat(32)).unwrap();
    let refused = gateway.command(&["serve"]).await;
    refused.refused(78, &["secret.key", "fingerprint", "accept-secret-key"]);
    std::fs::write(&path, "too short").unwrap();
    gateway.command(&["serve"]).await.refused(78, &["64 hexadecimal digits"]);
    std::fs::remove_file(&path).unwrap();
    let refused = gateway.command(&["serve"]).await;
    refused.refused(78, &["there is none", "GERBANG_SECRET_KEY"]);
    assert!(!path.exists(), "no other key takes its place");
    write_key(&path, &key);
    still_there(&mut gateway).await;
    std::fs::remove_file(&path).unwrap();
    let accepted = gateway.command(&["admin", "accept-secret-key"]).await.ok();
    assert!(accepted.contains("fingerprint") && accepted.contains("from now on"), "{accepted}");
    still_there(&mut gateway).await;
    let made = std::fs::read_to_string(&path).unwrap();
    assert_ne!(made, key);
    let accepted = gateway.command(&["admin", "accept-secret-key"]).await.ok();
    assert!(accepted.starts_with("Nothing had to be changed"), "{accepted}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), made);
    still_there(&mut gateway).await;
}

#[tokio::test]
async fn a_key_without_a_database_is_not_accepted() {
    let data = tempfile::tempdir().unwrap();
    let refused = run_on(data.path(), &["admin", "accept-secret-key"], &[]).await;
    refused.refused(74, &["there is no database", "gerbang.sqlite"]);
    assert!(!data.path().join("data").exists());
}

#[tokio::test]
async fn a_data_directory_of_an_earlier_release_without_its_key_is_refused() {
    let mut gateway = stopped(&[]).await;
    let path = gateway.data_dir().join("data/secret.key");
    let key = std::fs::read_to_string(&path).unwrap();
    execute(&gateway, "DELETE FROM settings WHERE name = 'secret_key_fingerprint'");
    std::fs::remove_file(&path).unwrap();
    gateway.command(&["serve"]).await.refused(78, &["there is none"]);
    write_key(&path, &key);
    still_there(&mut gateway).await;
    write_key(&path, &"ab".repeat(32));
    gateway.command(&["serve"]).await.refused(78, &["fingerprint"]);
}

#[tokio::test]
async fn a_postgresql_that_cannot_be_reached_or_refuses_is_named() {
    let data = tempfile::tempdir().unwrap();
    let serve = async |url: &str| {
        let settings = [NOWHERE, ("GERBANG_DATABASE_URL", url)];
        run_on(data.path(), &["serve"], &settings).await
    };
    let refused = serve("postgres://user:GEHEIM@127.0.0.1:9/gerbang").await;
    refused.refused(69, &["cannot reach PostgreSQL at 127.0.0.1:9"]);
    assert!(!refused.error.contains("GEHEIM"), "{refused:?}");
    let database = Database::create().await;
    let url = database.url().replace("gerbang_processes_", "no_such_database_");
    serve(&url).await.refused(78, &["no_such_database_"]);
    serve("mysql://127.0.0.1/gerbang").await.refused(78, &["postgres://"]);
    let url = database.url();
    let (_, rest) = url.split_once("gerbang_processes_").unwrap();
    let latin = format!("latin_{}", rest.split('?').next().unwrap());
    let make = format!(
        "CREATE DATABASE {latin} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    );
    database.execute(&make).await;
    let refused = serve(&url.replace("gerbang_processes_", "latin_")).await;
    database.execute(&format!("DROP DATABASE {latin}")).await;
    refused.refused(78, &["LATIN1", "UTF8"]);
    database.drop().await;
}

#[tokio::test]
async fn on_postgresql_another_secret_key_or_none_is_refused() {
    let database = Database::create().await;
    let url = database.url();
    let mut gateway = stopped(&[("GERBANG_DATABASE_URL", &url)]).await;
    let path = gateway.data_dir().join("data/secret.key");
    let key = std::fs::read_to_string(&path).unwrap();
    write_key(&path, &"ab".repeat(32));
    gateway.command(&["serve"]).await.refused(78, &["secret.key", "fingerprint"]);
    std::fs::remove_file(&path).unwrap();
    gateway.command(&["serve"]).await.refused(78, &["there is none", "GERBANG_SECRET_KEY"]);
    assert!(!path.exists(), "no other key takes its place");
    // The same on another machine.
    let other = tempfile::tempdir().unwrap();
    let settings = [NOWHERE, ("GERBANG_DATABASE_URL", &*url), ("GERBANG_NODE_NAME", "other")];
    run_on(other.path(), &["serve"], &settings).await.refused(78, &["there is none"]);
    let another = "cd".repeat(32);
    let wrong = [&settings[..], &[("GERBANG_SECRET_KEY", another.as_str())]].concat();
    run_on(other.path(), &["serve"], &wrong).await.refused(78, &["fingerprint"]);
    write_key(&path, &key);
    still_there(&mut gateway).await;
    database.drop().await;
}

#[tokio::test]
async fn a_clock_that_is_not_the_databases_is_refused() {
    let database = Database::create().await;
    let mut gateway = stopped(&[("GERBANG_DATABASE_URL", &database.url())]).await;
    let set_apart = async |ms: i64| {
        let sql = format!(
            "CREATE OR REPLACE FUNCTION now_ms() RETURNS BIGINT LANGUAGE sql VOLATILE
             AS 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint + ({ms})'"
        );
        database.execute(&sql).await;
    };
    for ms in [9_000, -9_000] {
        set_apart(ms).await;
        gateway
            .command(&["serve"])
            .await
            .refused(75, &["the clock of this machine", "time server"]);
    }
    set_apart(2_000).await;
    still_there(&mut gateway).await;
    database.drop().await;
}

#[tokio::test]
async fn a_bucket_that_cannot_be_reached_is_no_fault_of_the_settings() {
    let (database, data) = (Database::create().await, tempfile::tempdir().unwrap());
    let url = database.url();
    let settings = [
        NOWHERE,
        ("GERBANG_DATABASE_URL", url.as_str()),
        ("GERBANG_MEDIA_STORE", "s3://files/here"),
        ("AWS_ENDPOINT", "http://127.0.0.1:9"),
        ("AWS_REGION", "here"),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "y"),
    ];
    let refused = run_on(data.path(), &["serve"], &settings).await;
    refused.refused(74, &["cannot use media_store", "127.0.0.1:9"]);
    database.drop().await;
}

#[tokio::test]
async fn a_command_that_needs_a_stopped_gateway_says_who_runs() {
    let database = Database::create().await;
    let url = database.url();
    let settings = [NOWHERE, ("GERBANG_DATABASE_URL", &*url), ("GERBANG_NODE_NAME", "front")];
    let mut gateway = Gateway::start_with(&env::gerbang(), &settings).await;
    let refused = gateway.command(&["admin", "accept-secret-key"]).await;
    refused.refused(75, &["a stopped gateway", "front"]);
    assert!(gateway.process.stop().await.success());
    database.drop().await;
}

#[tokio::test]
async fn a_start_says_for_whom_it_waits_while_another_one_migrates() {
    let (database, data) = (Database::create().await, tempfile::tempdir().unwrap());
    let mut holder = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    let lock = "SELECT pg_advisory_lock(hashtext('gerbang schema'), hashtext(current_schema()))";
    holder.execute(lock).await.unwrap();
    let mut serve = Command::new(env::gerbang());
    serve.arg("serve").current_dir(data.path()).env(NOWHERE.0, NOWHERE.1);
    serve.env("GERBANG_LISTEN", "127.0.0.1:0").env("GERBANG_DATA_DIR", data.path().join("data"));
    serve.env("GERBANG_DATABASE_URL", database.url()).env("GERBANG_ADMIN_KEY", OPERATOR_KEY);
    serve.env("RUST_LOG", "warn");
    let mut process = Process::start("gerbang serve", serve);
    let says = |line: &str| line.contains("migrates the database").then(|| line.to_owned());
    let line = process.line("for whom it waits", says).await;
    assert!(line.contains("the session "), "{line}");
    holder.close().await.unwrap();
    process.line("its address", |line| line.contains("Gerbang listens on").then_some(())).await;
    assert!(process.stop().await.success());
    database.drop().await;
}

#[tokio::test]
async fn a_move_into_a_database_without_a_name_is_refused() {
    let gateway = stopped(&[]).await;
    let refused = gateway.command(&["migrate", "--to", "postgres://postgres@127.0.0.1:9"]).await;
    refused.refused(78, &["/DATABASE"]);
}

#[tokio::test]
async fn wrong_settings_are_named() {
    let data = tempfile::tempdir().unwrap();
    let refused = run_on(data.path(), &["serve"], &[("GERBANG_PACING", "fast")]).await;
    refused.refused(78, &["invalid settings", "pacing"]);
    let refused = run_on(data.path(), &["serve"], &[("RUST_LOG", "loud")]).await;
    refused.refused(78, &["invalid settings", "RUST_LOG"]);
    let refused = run_on(data.path(), &["serve"], &[("GERBANG_LISTEN", "nowhere")]).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(!data.path().join("data").exists());
    for (name, value) in [("GERBANG_DIALECTS", "wasap"), ("GERBANG_WHATSAPP_URL", "nowhere")] {
        let refused = run_on(data.path(), &["serve"], &[NOWHERE, (name, value)]).await;
        refused.refused(78, &["invalid settings", value]);
    }
}

#[tokio::test]
async fn a_first_start_that_fails_leaves_the_operator_key_to_the_next_one() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("file");
    std::fs::write(&file, "").unwrap();
    let inside = file.join("inside").display().to_string();
    // Without it the first start makes the key.
    let own = ("GERBANG_ADMIN_KEY", "");
    for setting in ["GERBANG_MEDIA_STORE", "GERBANG_ARCHIVE_DIR"] {
        let refused = run_on(data.path(), &["serve"], &[NOWHERE, own, (setting, &inside)]).await;
        refused.refused(74, &["Not a directory"]);
    }
    let mut gateway = Gateway::start_on(data, &[NOWHERE, own]).await;
    let key = std::fs::read_to_string(gateway.data_dir().join("data/operator.key")).unwrap();
    gateway.operator().with_key(key.trim()).get("/v1/accounts").await;
    assert!(gateway.process.stop().await.success());
}

/// Runs `gerbang serve` on a copy of the data on a disk of its own: `mount` prepares it.
async fn on_disk(data: &Path, size: &str, prepare: &str) -> Ended {
    let script = format!(
        "mount -t tmpfs -o size={size} tmpfs disk && cp -r data/. disk/ && {prepare} && exec \"$GERBANG\" serve"
    );
    let mut command = tokio::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).current_dir(data);
    command.env("GERBANG", env::gerbang()).env("GERBANG_DATA_DIR", data.join("disk"));
    command.env("GERBANG_LISTEN", "127.0.0.1:0").env(NOWHERE.0, NOWHERE.1);
    command.env("RUST_LOG", "error").env("GERBANG_MIN_FREE_SPACE", "0");
    let output = tokio::time::timeout(std::time::Duration::from_secs(60), command.output()).await;
    Ended::of(output.expect("it starts on a disk that it cannot use").unwrap())
}

#[tokio::test]
async fn a_disk_that_is_full_or_read_only_is_named() {
    let mut gateway = stopped(&[]).await;
    let data: &Path = gateway.data_dir();
    // The space that is kept for deletions is not copied: a disk that is full to the last byte.
    let _ = std::fs::remove_file(data.join("data/gerbang.sqlite.reserve"));
    std::fs::create_dir(data.join("disk")).unwrap();
    let fill = "dd if=/dev/zero of=disk/filler bs=4k status=none 2>/dev/null; true";
    on_disk(data, "8m", fill).await.refused(74, &[FULL]);
    // SQLite's own files are there, so that it can open the database.
    let files = "touch disk/gerbang.sqlite-wal && \
        dd if=/dev/zero of=disk/gerbang.sqlite-shm bs=32k count=1 status=none";
    on_disk(data, "8m", &format!("{files} && {fill}")).await.refused(74, &[FULL]);
    on_disk(data, "8m", "mount -o remount,ro disk").await.refused(74, &["Read-only file system"]);
    still_there(&mut gateway).await;
    let nothing = TempDir::new().unwrap();
    std::fs::create_dir(nothing.path().join("disk")).unwrap();
    std::fs::create_dir(nothing.path().join("data")).unwrap();
    on_disk(nothing.path(), "8m", "mount -o remount,ro disk").await.refused(74, &["Read-only"]);
    on_disk(nothing.path(), "8m", fill).await.refused(74, &[]);
}
