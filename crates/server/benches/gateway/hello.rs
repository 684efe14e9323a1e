//! The reference: an axum handler with defaults that parses the same body and answers.

use std::path::Path;

use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::support::process::Process;

#[derive(Deserialize)]
struct Message {
    device: String,
    to: String,
    text: String,
}

#[derive(Serialize)]
struct Answer {
    id: usize,
    status: &'static str,
}

/// Serves until it is killed.
pub async fn serve() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("hello listens on {}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/messages", post(hello));
    axum::serve(listener, router).await.unwrap();
}

async fn hello(Json(message): Json<Message>) -> Json<Answer> {
    let id = message.device.len() + message.to.len() + message.text.len();
    Json(Answer { id, status: "queued" })
}

/// Starts it as a process of its own; returns it and its address.
pub async fn start() -> (Process, String) {
    let myself = std::env::current_exe().unwrap();
    let mut command = Command::new(Path::new(&myself));
    command.arg("--hello");
    let mut process = Process::start("hello", command);
    let address = process
        .line("its address", |line| line.strip_prefix("hello listens on ").map(str::to_owned))
        .await;
    (process, address)
}
