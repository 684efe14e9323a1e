//! Who calls, and whether the device in the path is theirs.
//!
//! The order is the contract's: no or unknown key, then another's device, then no such device.

use axum::http::HeaderMap;
use domain::account::Caller;
use domain::device::Device;
use domain::error::Error;
use domain::service::{DeviceAccess, DeviceName, Session};

use crate::auth::authenticate;
use crate::state::AppState;

/// The caller's session and the device it named.
///
/// # Errors
/// [`Error::Unauthorized`] also for a device of somebody else, [`Error::NotFound`].
pub(super) async fn authorize(
    state: &AppState,
    headers: &HeaderMap,
    device: &str,
) -> Result<(Session, Device), Error> {
    let session = authenticate(&state.core, headers).await?;
    if session.caller == Caller::Operator {
        // The operator key belongs to no account, and so to no device.
        return Err(Error::Unauthorized);
    }
    let name = DeviceName::parse(device).ok_or(Error::NotFound("device"))?;
    match state.core.device_access(&session, name).await? {
        DeviceAccess::Granted(device) => Ok((session, device)),
        DeviceAccess::OtherDevice | DeviceAccess::NotYours => Err(Error::Unauthorized),
        DeviceAccess::Unknown => Err(Error::NotFound("device")),
    }
}
