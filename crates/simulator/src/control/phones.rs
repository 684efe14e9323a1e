//! Phones: how they behave, what they have received, what happens on them.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::{Answer, Body, parse_number};
use crate::Simulator;
use crate::phone::{PhonePatch, views};

/// `GET /phones`
pub(super) async fn list(State(simulator): State<Simulator>) -> Answer<Json<Value>> {
    Ok(Json(simulator.read(views::phones).await?))
}

/// `PUT /phones/{number}`
pub(super) async fn change(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
    Body(patch): Body<PhonePatch>,
) -> Answer<Json<Value>> {
    let number = parse_number(&number)?;
    let switchboard = simulator.switchboard();
    switchboard.run(move |sb| sb.change_phone(number, patch)).await?;
    show(State(simulator), Path(number.to_string())).await
}

/// `GET /phones/{number}`
pub(super) async fn show(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
) -> Answer<Json<Value>> {
    let number = parse_number(&number)?;
    let shown = simulator.switchboard().run(move |sb| sb.view_phone(number));
    Ok(Json(shown.await?))
}

/// `GET /phones/{number}/inbox`
pub(super) async fn inbox(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
) -> Answer<Json<Value>> {
    let number = parse_number(&number)?;
    Ok(Json(simulator.read(move |db| views::inbox(db, number)).await?))
}

/// `GET /phones/{number}/timeline`: what the page shows, the newest last.
pub(super) async fn timeline(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
) -> Answer<Json<Value>> {
    let number = parse_number(&number)?;
    Ok(Json(simulator.read(move |db| views::timeline(db, number)).await?))
}

/// `POST /phones/{number}/read`
pub(super) async fn read(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
) -> Answer<Json<Value>> {
    let number = parse_number(&number)?;
    let read = simulator.switchboard().run(move |sb| sb.read_all(number)).await?;
    Ok(Json(json!({ "read": read })))
}

/// `GET /phones/{number}/events`: an event whenever the page should look again.
pub(super) async fn events(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
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
