//! Who calls, and through which device.

use std::sync::Arc;

use axum::http::HeaderMap;
use domain::account::Caller;
use domain::device::{Device, DeviceFilter};
use domain::error::Error;
use domain::service::Principal;

use crate::api_error::ApiError;
use crate::auth::authenticate;
use crate::fields::DeviceField;
use crate::request_span::record_device;
use crate::state::AppState;

const DEVICE: &str = "device_id";

/// The caller's principal.
///
/// # Errors
/// [`Error::Unauthorized`], also for the operator, who has no devices; [`Error::RateLimited`], and
/// the store's.
pub(super) async fn authorize(state: &AppState, headers: &HeaderMap) -> Result<Principal, Error> {
    let principal = authenticate(state.core(), headers).await?;
    let is_operator = principal.caller == Caller::Operator;
    if is_operator { Err(Error::Unauthorized) } else { Ok(principal) }
}

/// The device: that of the token, the one that is named, or the account's only one. It may be named
/// twice, in the query and in the body, when both mean the same.
///
/// # Errors
/// [`ApiError::Field`] that names `device_id`: the same one for an unknown device, for somebody
/// else's and for one that is not the token's, so that nothing is revealed.
pub(super) async fn device(
    state: &AppState,
    principal: &Principal,
    named: [Option<DeviceField>; 2],
) -> Result<Arc<Device>, ApiError> {
    let mut found: Option<Arc<Device>> = None;
    for DeviceField(name) in named.into_iter().flatten() {
        let device = match state.core().find_device(principal, name).await {
            Err(Error::NotFound(_)) => {
                return Err(ApiError::field(DEVICE, "there is no such device"));
            }
            answer => answer?,
        };
        if found.as_ref().is_some_and(|other| other.id != device.id) {
            let message = "names one device in the query and another in the body";
            return Err(ApiError::field(DEVICE, message));
        }
        found = Some(device);
    }
    if found.is_none() {
        found = state.core().only_device(principal, &DeviceFilter::default()).await?;
    }
    let found = found.inspect(|device| record_device(device.id));
    found.ok_or_else(|| {
        let message = "is required with an account key, unless the account has one device";
        ApiError::field(DEVICE, message)
    })
}
