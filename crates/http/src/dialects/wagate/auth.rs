//! Who calls, and through which device.

use axum::http::HeaderMap;
use domain::account::Caller;
use domain::device::{Device, DeviceFilter};
use domain::error::Error;
use domain::service::Session;

use crate::auth::authenticate;
use crate::fields::DeviceField;
use crate::refusal::Refusal;
use crate::state::AppState;

const DEVICE: &str = "device_id";

/// The caller's session.
///
/// # Errors
/// [`Error::Unauthorized`], also for the operator, who has no devices; [`Error::RateLimited`], and
/// the store's.
pub(super) async fn authorize(state: &AppState, headers: &HeaderMap) -> Result<Session, Error> {
    let session = authenticate(&state.core, headers).await?;
    let is_operator = session.caller == Caller::Operator;
    if is_operator { Err(Error::Unauthorized) } else { Ok(session) }
}

/// The device: that of the token, the one that is named, or the account's only one. It may be named
/// twice, in the query and in the body, when both mean the same.
///
/// # Errors
/// [`Refusal::Field`] that names `device_id`: the same one for an unknown device, for somebody
/// else's and for one that is not the token's, so that nothing is revealed.
pub(super) async fn device(
    state: &AppState,
    session: &Session,
    named: [Option<DeviceField>; 2],
) -> Result<Device, Refusal> {
    let mut found: Option<Device> = None;
    for DeviceField(name) in named.into_iter().flatten() {
        let device = match state.core.find_device(session, name).await {
            Err(Error::NotFound(_)) => {
                return Err(Refusal::field(DEVICE, "there is no such device"));
            }
            answer => answer?,
        };
        if found.as_ref().is_some_and(|other| other.id != device.id) {
            let message = "names one device in the query and another in the body";
            return Err(Refusal::field(DEVICE, message));
        }
        found = Some(device);
    }
    if found.is_none() {
        found = state.core.only_device(session, &DeviceFilter::default()).await?;
    }
    found.ok_or_else(|| {
        let message = "is required with an account key, unless the account has one device";
        Refusal::field(DEVICE, message)
    })
}
