//! Who calls, and through which device.
//!
//! One answer for a wrong key, an unknown sender and somebody else's, so that nothing is revealed.

use std::sync::Arc;

use domain::account::Caller;
use domain::device::Device;
use domain::error::Error;
use domain::service::{DeviceAccess, Principal};

use crate::auth::authenticate_key;
use crate::request_span::record_device;
use crate::state::AppState;

/// The caller's principal.
///
/// # Errors
/// [`Error::Unauthorized`], and the store's.
pub(super) async fn principal(state: &AppState, api_key: &str) -> Result<Principal, Error> {
    let principal = authenticate_key(state.core(), api_key.trim()).await?;
    let is_operator = principal.caller == Caller::Operator;
    if is_operator { Err(Error::Unauthorized) } else { Ok(principal) }
}

/// The device whose number the caller named.
///
/// # Errors
/// [`Error::Unauthorized`], as for a wrong key.
pub(super) async fn device(
    state: &AppState,
    principal: &Principal,
    sender: &str,
) -> Result<Arc<Device>, Error> {
    match state.core().device_with_phone(principal, sender).await? {
        DeviceAccess::Granted(device) => {
            record_device(device.id);
            Ok(device)
        }
        DeviceAccess::OtherDevice | DeviceAccess::NotYours | DeviceAccess::Unknown => {
            Err(Error::Unauthorized)
        }
    }
}
