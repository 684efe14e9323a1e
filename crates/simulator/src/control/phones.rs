//! Phones: their settings, inbox and events.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::{Body, HandlerResult, parse_number};
use crate::Simulator;
use crate::error::bad_request;
use crate::phone::{PhonePatch, views};

/// `GET /phones`
pub(super) async fn list(State(simulator): State<Simulator>) -> HandlerResult<Json<Value>> {
    Ok(Json(simulator.read(views::phones).await?))
}

/// `PUT /phones/{number}`
pub(super) async fn change(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
    Body(patch): Body<PhonePatch>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    let switchboard = simulator.switchboard();
    switchboard.run(move |sb| sb.change_phone(number, patch)).await?;
    show(State(simulator), Path(number.to_string())).await
}

/// `GET /phones/{number}`
pub(super) async fn show(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    let shown = simulator.switchboard().run(move |sb| sb.view_phone(number));
    Ok(Json(shown.await?))
}

/// `DELETE /phones/{number}/sessions`
pub(super) async fn forget_sessions(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    let forgotten = simulator.switchboard().run(move |sb| sb.forget_sessions(number));
    Ok(Json(json!({ "forgotten": forgotten.await? })))
}

/// `GET /phones/{number}/inbox`
pub(super) async fn inbox(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    simulator.check_media(number).await?;
    Ok(Json(simulator.read(move |db| views::inbox(db, number)).await?))
}

/// `GET /phones/{number}/timeline`: what the page shows, the newest last.
pub(super) async fn timeline(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    simulator.check_media(number).await?;
    Ok(Json(simulator.read(move |db| views::timeline(db, number)).await?))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReadRequest {
    id: Option<String>,
    played: bool,
}

/// `POST /phones/{number}/read`
pub(super) async fn read(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
    Body(body): Body<ReadRequest>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    let read = simulator.switchboard().run(move |sb| {
        sb.in_use(number)?;
        match (&body.id, body.played) {
            (None, false) => sb.read_all(number),
            (Some(id), false) => sb.read_one(number, id),
            (Some(id), true) => sb.play(number, id),
            (None, true) => Err(bad_request("played needs the id of what was played")),
        }
    });
    Ok(Json(json!({ "read": read.await? })))
}

/// `GET /phones/{number}/events`: an event whenever the page should reload.
pub(super) async fn events(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
) -> HandlerResult<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let number = parse_number(&number)?;
    let receiver = simulator.changes();
    let stream = unfold((receiver, true), move |(mut receiver, first)| async move {
        if first {
            return Some((Ok(Event::default().data("changed")), (receiver, false)));
        }
        loop {
            match receiver.recv().await {
                Ok(changed) if changed.0 == number => break,
                Ok(_) => {}
                // Some were missed: one of them may have been ours.
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return None,
            }
        }
        Some((Ok(Event::default().data("changed")), (receiver, false)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}
