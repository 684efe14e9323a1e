//! Pairing and unpairing devices.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Body, HandlerResult, parse_number};
use crate::Simulator;
use crate::address::{DeviceAddr, Number};
use crate::error::{Result, SimulatorError, not_found};
use crate::limits::{CODE_POLL_TIME, CODE_TIME_MAX, PAIRING_TIME_MAX};
use crate::phone::pairing::{PairingOutcome, PendingCode, QrCode, type_code};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScanRequest {
    qr: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnterCodeRequest {
    code: String,
}

/// `POST /phones/{number}/scan`
pub(super) async fn scan(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
    Body(body): Body<ScanRequest>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    Ok(simulator.scan_qr(number, &body.qr).await?)
}

impl Simulator {
    /// The phone `number` scans a QR, which pairs the client that shows it.
    ///
    /// # Errors
    ///
    /// When the number or the QR is malformed, or the client does not finish in time.
    pub async fn scan(&self, number: &str, qr: &str) -> Result<()> {
        self.scan_qr(parse_number(number)?, qr).await.map(|_| ())
    }

    async fn scan_qr(&self, number: Number, qr: &str) -> Result<Json<Value>> {
        let qr = QrCode::parse(qr)?;
        let linked = self.switchboard().run(move |sb| sb.scan(number, &qr));
        finished(number, linked.await?).await
    }
}

/// `POST /phones/{number}/enter-code`
pub(super) async fn enter_code(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
    Body(body): Body<EnterCodeRequest>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    let pending = pending_code(&simulator, number).await?;
    let typed = tokio::task::spawn_blocking(move || type_code(&pending, &body.code));
    let exchange = typed.await.map_err(|error| SimulatorError::Internal(error.to_string()))??;
    let linked = simulator.switchboard().run(move |sb| sb.enter_code(number, exchange));
    Ok(finished(number, linked.await?).await?)
}

/// The client that waits for a code; waits up to [`CODE_TIME_MAX`] for one.
async fn pending_code(simulator: &Simulator, number: Number) -> Result<PendingCode> {
    let deadline = tokio::time::Instant::now() + CODE_TIME_MAX;
    loop {
        let found = simulator.switchboard().run(move |sb| {
            sb.may_pair(number)?;
            sb.codes.find(number)
        });
        match found.await {
            Err(SimulatorError::NotFound(_)) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(CODE_POLL_TIME).await;
            }
            found => return found,
        }
    }
}

async fn finished(
    number: Number,
    linked: oneshot::Receiver<Result<PairingOutcome>>,
) -> Result<Json<Value>> {
    let slow = || SimulatorError::Timeout("the client did not finish linking in time".into());
    let outcome = tokio::time::timeout(PAIRING_TIME_MAX, linked).await.map_err(|_| slow())?;
    let gone = || not_found("the client went away while linking");
    match outcome.map_err(|_| gone())?? {
        PairingOutcome::PasskeyDemanded => Ok(Json(json!({"passkey": "demanded"}))),
        PairingOutcome::Device(device) => {
            let jid = DeviceAddr { number, device }.jid().to_string();
            Ok(Json(json!({"device": device, "jid": jid})))
        }
    }
}

/// `DELETE /phones/{number}/devices/{n}`
pub(super) async fn unpair(
    State(simulator): State<Simulator>,
    Path((number, device)): Path<(String, String)>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    let missing = || not_found(format!("{number} has no linked device {device}"));
    let device: u16 = device.parse().map_err(|_| missing())?;
    let addr = DeviceAddr { number, device };
    let unlinked = simulator.switchboard().run(move |sb| {
        if !sb.linked_devices(number)?.contains(&addr) {
            return Ok(false);
        }
        sb.unpair(addr, Duration::ZERO)?;
        Ok(true)
    });
    match unlinked.await? {
        true => Ok(Json(json!({"unlinked": device}))),
        false => Err(not_found(format!("{number} has no linked device {device}")).into()),
    }
}
