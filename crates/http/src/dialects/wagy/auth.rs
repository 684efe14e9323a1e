//! Who calls, and whether the device in the path is theirs.
//!
//! The order is the contract's: no or unknown key, then another's device, then no such device.

use std::sync::Arc;

use axum::http::HeaderMap;
use domain::account::Caller;
use domain::device::Device;
use domain::error::Error;
use domain::service::{DeviceAccess, DeviceName, Principal};

use crate::auth::authenticate;
use crate::request_span::record_device;
use crate::state::AppState;

/// The caller's principal and the device it named.
///
/// # Errors
/// [`Error::Unauthorized`] also for a device of somebody else, [`Error::NotFound`].
pub(super) async fn authorize(
    state: &AppState,
    headers: &HeaderMap,
    device: &str,
) -> Result<(Principal, Arc<Device>), Error> {
    let principal = authenticate(state.core(), headers).await?;
    if principal.caller == Caller::Operator {
        // The operator key belongs to no account, and so to no device.
        return Err(Error::Unauthorized);
    }
    let name = DeviceName::parse(device).ok_or(Error::NotFound("device"))?;
    match state.core().device_access(&principal, name).await? {
        DeviceAccess::Granted(device) => {
            record_device(device.id);
            Ok((principal, device))
        }
        DeviceAccess::OtherDevice | DeviceAccess::NotYours => Err(Error::Unauthorized),
        DeviceAccess::Unknown => Err(Error::NotFound("device")),
    }
}
