//! The reference on PostgreSQL: the handler everybody writes first. One request, one `INSERT`, one
//! commit.

use std::path::Path;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::process::Command;

use crate::support::process::Process;

/// As many as the gateway has.
const CONNECTIONS_MAX: u32 = 12;

#[derive(Deserialize)]
struct Message {
    device: String,
    to: String,
    text: String,
}

#[derive(Serialize)]
struct Answer {
    id: i64,
    status: &'static str,
}

/// Serves until it is killed.
pub async fn serve(url: &str) {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).connect(url).await.unwrap();
    let table = "CREATE TABLE naive (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
         device TEXT NOT NULL, recipient TEXT NOT NULL, text TEXT NOT NULL)";
    sqlx::query(table).execute(&pool).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("naive listens on {}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/messages", post(insert)).with_state(pool);
    axum::serve(listener, router).await.unwrap();
}

async fn insert(State(pool): State<PgPool>, Json(message): Json<Message>) -> Json<Answer> {
    let insert = "INSERT INTO naive (device, recipient, text) VALUES ($1, $2, $3) RETURNING id";
    let insert = sqlx::query_scalar(insert);
    let insert = insert.bind(message.device).bind(message.to).bind(message.text);
    Json(Answer { id: insert.fetch_one(&pool).await.unwrap(), status: "queued" })
}

/// Starts it as a process of its own; returns it and its address.
pub async fn start(url: &str) -> (Process, String) {
    let myself = std::env::current_exe().unwrap();
    let mut command = Command::new(Path::new(&myself));
    command.arg("--naive").arg(url);
    let mut process = Process::start("naive", command);
    let address = process
        .line("its address", |line| line.strip_prefix("naive listens on ").map(str::to_owned))
        .await;
    (process, address)
}
