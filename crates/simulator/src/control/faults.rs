//! Faults on request: lost acknowledgements, delays, refusals, disconnects.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::rules::{self, ActiveRule, FaultRule, Happening, Struck};
use super::{Body, HandlerResult, parse_number};
use crate::Simulator;
use crate::address::Number;
use crate::error::{Result, bad_request};
use crate::switchboard::Switchboard;

/// The longest delay.
pub(super) const DELAY_MS_MAX: u64 = 10 * 60 * 1_000;
/// PendingCodes with which logins are refused as long as the fault stays; the others end the
/// connection once and let the client come back.
const LASTING_CODES: [u16; 9] = [402, 403, 405, 406, 429, 500, 501, 502, 503];

/// A number, and the code it gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultCode {
    number: String,
    code: u16,
}

/// The body of `PUT /faults`; it replaces all faults.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FaultsBody {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<FaultRule>,
    disconnect: Option<FaultCode>,
    drop_acks: bool,
    drop_messages: bool,
    endless_app_state: bool,
    delay_ms: u64,
    reject: Option<FaultCode>,
}

/// The faults in force. Memory only: a restart ends them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Messages are relayed but not acknowledged.
    pub(crate) drop_acks: bool,
    /// Messages are dropped, as when a connection breaks unnoticed.
    pub(crate) drop_messages: bool,
    /// Every answer about app state says that there is more.
    pub(crate) endless_app_state: bool,
    delay: Duration,
    disconnect: Option<(Number, u16)>,
    reject: Option<(Number, u16)>,
    rules: Vec<ActiveRule>,
    body: FaultsBody,
}

impl Faults {
    fn read(body: FaultsBody) -> Result<Self> {
        if body.delay_ms > DELAY_MS_MAX {
            return Err(bad_request(format!("delay_ms is at most {DELAY_MS_MAX}")));
        }
        let target = |fault: &Option<FaultCode>| -> Result<Option<(Number, u16)>> {
            let Some(fault) = fault else { return Ok(None) };
            if !(100..=999).contains(&fault.code) {
                return Err(bad_request("code is a number from 100 to 999"));
            }
            Ok(Some((parse_number(&fault.number)?, fault.code)))
        };
        Ok(Faults {
            drop_acks: body.drop_acks,
            drop_messages: body.drop_messages,
            endless_app_state: body.endless_app_state,
            delay: Duration::from_millis(body.delay_ms),
            disconnect: target(&body.disconnect)?,
            reject: target(&body.reject)?,
            rules: body.rules.iter().map(ActiveRule::read).collect::<Result<_>>()?,
            body,
        })
    }

    /// When a stanza queued now may be sent.
    pub(crate) fn due(&self) -> Option<Instant> {
        (!self.delay.is_zero()).then(|| Instant::now() + self.delay)
    }

    /// The code with which a message between these two is refused.
    pub(crate) fn rejects(&self, from: Number, to: Option<Number>) -> Option<u16> {
        let (number, code) = self.reject?;
        (number == from || Some(number) == to).then_some(code)
    }

    /// What strikes of the rules.
    fn strike(&mut self, happening: Happening<'_>) -> (Struck, u64) {
        rules::strike(&mut self.rules, happening)
    }

    /// The code with which a login is refused.
    pub(crate) fn refuses_login(&self, number: Number) -> Option<u16> {
        let (refused, code) = self.disconnect?;
        (refused == number && LASTING_CODES.contains(&code)).then_some(code)
    }
}

impl Switchboard {
    /// What the scripted rules do to what happens now.
    pub(crate) fn strike(&mut self, happening: Happening<'_>) -> Struck {
        let (struck, count) = self.faults.strike(happening);
        self.counters.faults_struck += count;
        struck
    }

    fn set_faults(&mut self, faults: Faults) -> usize {
        let disconnect = faults.disconnect;
        self.faults = faults;
        disconnect.map_or(0, |(number, code)| self.kick(number, code))
    }
}

/// `PUT /faults`
pub(super) async fn put(
    State(simulator): State<Simulator>,
    Body(body): Body<FaultsBody>,
) -> HandlerResult<Json<serde_json::Value>> {
    let faults = Faults::read(body)?;
    let body = serde_json::to_value(&faults.body).unwrap_or_default();
    let disconnected = simulator.switchboard().run(move |sb| Ok(sb.set_faults(faults))).await?;
    Ok(Json(serde_json::json!({"faults": body, "disconnected": disconnected})))
}

/// `GET /faults`
pub(super) async fn get(State(simulator): State<Simulator>) -> HandlerResult<Json<FaultsBody>> {
    let faults = simulator.switchboard().run(|sb| Ok(sb.faults.body.clone()));
    Ok(Json(faults.await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(json: &str) -> Result<Faults> {
        Faults::read(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn faults_hit_whom_they_name() {
        let (one, two) = (Number::parse("628111").unwrap(), Number::parse("628222").unwrap());
        let some = faults(
            r#"{"reject":{"number":"628111","code":463},"disconnect":{"number":"628222","code":503},"delay_ms":5}"#,
        )
        .unwrap();
        assert_eq!(some.rejects(one, None), Some(463));
        assert_eq!(some.rejects(two, Some(one)), Some(463));
        assert_eq!(some.rejects(two, Some(two)), None);
        assert_eq!(some.refuses_login(two), Some(503));
        assert_eq!(some.refuses_login(one), None);
        assert!(some.due() <= Some(Instant::now() + Duration::from_millis(5)));
        assert!(some.due().is_some(), "delayed");
        let none = faults("{}").unwrap();
        assert_eq!((none.rejects(one, None), none.due().is_none()), (None, true));
    }

    #[test]
    fn a_restart_lets_the_client_come_back() {
        let number = Number::parse("628111").unwrap();
        for code in [401, 409, 515] {
            let json = format!(r#"{{"disconnect":{{"number":"628111","code":{code}}}}}"#);
            assert_eq!(faults(&json).unwrap().refuses_login(number), None);
        }
    }

    #[test]
    fn impossible_faults_are_refused() {
        for (json, reason) in [
            (r#"{"delay_ms":99999999}"#, "delay_ms is at most 600000"),
            (r#"{"reject":{"number":"x","code":400}}"#, "\"x\" is not a telephone number"),
            (r#"{"rules":[{"on":"login","do":"nack"}]}"#, "rules.do: that cannot happen"),
            (r#"{"reject":{"number":"628111","code":7}}"#, "code is a number from 100 to 999"),
        ] {
            let error = faults(json).err().map(|error| error.to_string());
            assert!(error.as_deref().is_some_and(|error| error.contains(reason)), "{error:?}");
        }
    }
}
