//! Linking with a passkey: the challenge that runs, and what is sent for it.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::error::{Error, Result};
use domain::ids::DeviceId;
use domain::passkey::{Assertion, PasskeyRefusal};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use whatsapp_rust::Client;
use whatsapp_rust::passkey::{
    self, PasskeyError, build_webauthn_assertion_json, parse_request_options,
};

use crate::client::Sink;
use crate::limits::PASSKEY_ANSWER_MAX;

/// A challenge that waits for its answer, or for the confirmation.
#[derive(Clone)]
pub(crate) struct Challenge {
    pub(crate) client: Arc<Client>,
    pub(crate) sink: Arc<Sink>,
    pub(crate) request: String,
}

impl Challenge {
    /// Sends the answer.
    pub(crate) async fn answer(&self, device: DeviceId, assertion: &Assertion) -> Result<()> {
        check(&self.request, assertion)?;
        let answer = passkey::Assertion {
            assertion_json: build_webauthn_assertion_json(
                &assertion.credential_id,
                &assertion.client_data_json,
                &assertion.authenticator_data,
                &assertion.signature,
                assertion.user_handle.as_deref(),
            ),
            credential_id: assertion.credential_id.clone(),
        };
        match within(self.client.send_passkey_response(answer)).await? {
            Ok(()) => Ok(()),
            // The library's own text may hold what WhatsApp said.
            Err(_) => {
                tracing::info!(%device, "a passkey was not accepted");
                Err(Error::Passkey(PasskeyRefusal::Rejected))
            }
        }
    }

    /// Sends the keys, now that the codes were compared. The library forgets the attempt when that
    /// fails, so that it ends.
    pub(crate) async fn confirm(&self, device: DeviceId) -> Result<()> {
        let confirmed = within(self.client.send_passkey_confirmation()).await;
        let error = match confirmed {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(_)) => {
                tracing::info!(%device, "the confirmation of a passkey was not accepted");
                Error::Whatsapp("the confirmation was not accepted".to_owned())
            }
            Err(error) => error,
        };
        self.sink.fail_pairing("WhatsApp did not accept the confirmation; pair the device again");
        Err(error)
    }
}

async fn within(
    sent: impl Future<Output = std::result::Result<(), PasskeyError>>,
) -> Result<std::result::Result<(), PasskeyError>> {
    let late = |_| Error::Whatsapp("no answer in time".to_owned());
    timeout(PASSKEY_ANSWER_MAX, sent).await.map_err(late)
}

/// Refuses what is no answer to this challenge, before WhatsApp does so without a reason.
fn check(request: &str, assertion: &Assertion) -> Result<()> {
    let invalid = |why: &str| Err(Error::invalid("assertion", why));
    let Ok(options) = parse_request_options(request) else {
        return Err(Error::Whatsapp("its challenge cannot be read".to_owned()));
    };
    let Ok(client_data) = serde_json::from_slice::<serde_json::Value>(&assertion.client_data_json)
    else {
        return invalid("its clientDataJSON is not JSON");
    };
    if client_data["type"] != "webauthn.get" {
        return invalid("is not the answer of a passkey: its type must be webauthn.get");
    }
    if client_data["challenge"] != BASE64_URL_SAFE_NO_PAD.encode(&options.challenge) {
        return invalid("answers another challenge than the one that runs");
    }
    let site = options.rp_id.map(Sha256::digest);
    if site.is_some_and(|site| !assertion.authenticator_data.starts_with(&site)) {
        return invalid("was made for another site than WhatsApp's");
    }
    Ok(())
}
