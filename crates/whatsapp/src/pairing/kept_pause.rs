//! Long pauses before a login are kept: neither a restart nor another node logs in before they are over. The end
//! of a ban is the engine's to keep.

use domain::device::{DisconnectReason, Reconnect};
use domain::ports::{MessengerEvent, ProtocolWrite};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::Supervisor;
use crate::config::Version;

const SPACE: &str = "login_pause";
const KEY: &str = "";

/// A pause as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct KeptPause {
    /// WhatsApp's code at the login.
    code: u16,
    until_ms: i64,
    /// The version that was refused, where that is why: another one is tried at once.
    refused: Option<(u32, u32, u32)>,
}

/// Whether a pause after this outlives a restart.
fn is_kept(reason: DisconnectReason) -> bool {
    let is_long = matches!(reason.reconnect(), Reconnect::Later | Reconnect::Hourly);
    is_long && !matches!(reason, DisconnectReason::TemporarilyBanned(_))
}

impl Supervisor {
    /// Stores a pause that begins, where it is a long one; whether it is.
    pub(super) async fn keep_pause(&self, reason: DisconnectReason, pause: Duration) -> bool {
        if !is_kept(reason) {
            return false;
        }
        let is_version = reason.code() == DisconnectReason::ClientOutdated.code();
        let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        let kept = KeptPause {
            code: reason.code(),
            until_ms: wacore::time::now_millis().saturating_add(pause_ms),
            refused: self.version.filter(|_| is_version).map(|Version(a, b, c)| (a, b, c)),
        };
        self.write_pause(serde_json::to_vec(&kept).ok()).await;
        true
    }

    /// The pause is over.
    pub(super) async fn forget_pause(&self) {
        self.write_pause(None).await;
    }

    async fn write_pause(&self, value: Option<Vec<u8>>) {
        let write = ProtocolWrite { space: SPACE, key: KEY.to_owned(), value };
        if let Err(error) = self.shared.sessions.protocol_write(self.device, vec![write]).await {
            tracing::debug!(device = %self.device, %error, "a pause before a login is not stored");
        }
    }

    /// Waits for the end of a pause that began before this pairing was started; false when the engine stopped
    /// it meanwhile.
    pub(super) async fn wait_for_kept_pause(&mut self) -> bool {
        let stored = self.shared.sessions.protocol_get(self.device, SPACE, KEY).await;
        let Some(bytes) = stored.ok().flatten() else { return true };
        let rest = serde_json::from_slice::<KeptPause>(&bytes).ok().and_then(|kept| {
            let rest_ms = kept.until_ms.saturating_sub(wacore::time::now_millis());
            let version = self.version.map(|Version(a, b, c)| (a, b, c));
            let is_old = kept.refused.is_none() || kept.refused == version;
            let rest_ms = u64::try_from(rest_ms).ok().filter(|rest_ms| *rest_ms > 0 && is_old)?;
            let reason = DisconnectReason::from_login_code(kept.code);
            let reason = self.shared.versions.specify(reason);
            is_kept(reason).then_some((reason, Duration::from_millis(rest_ms)))
        });
        let hurry = self.hurry.clone();
        let hurried = hurry.next();
        let goes_on = match rest {
            // Who has asked while the session was opened need not wait.
            Some((reason, rest)) if !hurry.take() => {
                self.reported_loss = Some(reason);
                self.emit(MessengerEvent::Disconnected(reason)).await;
                tokio::select! {
                    goes_on = self.wait_and_retry(rest) => goes_on,
                    () = hurried => true,
                }
            }
            _ => true,
        };
        if goes_on {
            self.forget_pause().await;
        }
        goes_on
    }
}
