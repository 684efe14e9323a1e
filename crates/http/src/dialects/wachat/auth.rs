//! Who calls, and which device they mean.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use domain::account::Caller;
use domain::device::{Device, DeviceFilter};
use domain::error::Error;
use domain::service::{DeviceAccess, DeviceName, Principal};

use super::errors::Wachat;
use super::faults::fault;
use super::translate::Addressed;
use crate::api_error::ApiResult;
use crate::auth::authenticate_key;
use crate::request_span::record_device;
use crate::state::AppState;

/// The header that holds the key.
const API_KEY: HeaderName = HeaderName::from_static("apikey");

/// The caller's principal.
///
/// # Errors
/// [`Error::Unauthorized`]; [`Error::Forbidden`] for the operator, who has no devices.
pub(super) async fn authorize(state: &AppState, headers: &HeaderMap) -> Result<Principal, Error> {
    let mut keys = headers.get_all(API_KEY).iter();
    let key = keys.next().and_then(|key| key.to_str().ok()).map(str::trim);
    // Two keys: whichever was meant, the other was not.
    let key = key.filter(|key| !key.is_empty() && keys.next().is_none());
    let principal = authenticate_key(state.core(), key.ok_or(Error::Unauthorized)?).await?;
    if principal.caller == Caller::Operator {
        return Err(Error::Forbidden);
    }
    Ok(principal)
}

/// The device of a path: by its phone number or its id.
///
/// # Errors
/// [`Error::NotFound`], also for another account's; [`Error::Forbidden`] for a token of another.
pub(super) async fn device_in_path(
    state: &AppState,
    principal: &Principal,
    text: &str,
) -> Result<Arc<Device>, Error> {
    let by_phone = state.core().device_with_phone(principal, text).await?;
    let access = match (by_phone, DeviceName::parse(text)) {
        (DeviceAccess::Unknown, Some(name)) => state.core().device_access(principal, name).await?,
        (access, _) => access,
    };
    match access {
        DeviceAccess::Granted(device) => {
            record_device(device.id);
            Ok(device)
        }
        DeviceAccess::OtherDevice => Err(Error::Forbidden),
        DeviceAccess::NotYours | DeviceAccess::Unknown => Err(Error::NotFound("sender")),
    }
}

/// The device of a body: named by `queue`, by `sender`, by both in agreement, or the only one there
/// is.
///
/// # Errors
/// Faults that name `queue` or `sender`; [`Error::Forbidden`] for a token of another device.
pub(super) async fn device_in_body(
    state: &AppState,
    principal: &Principal,
    addressed: &Addressed,
) -> ApiResult<Wachat, Arc<Device>> {
    let mut faults = Vec::new();
    let mut granted = |access, field| match access {
        DeviceAccess::Granted(device) => Ok(Some(device)),
        DeviceAccess::OtherDevice => Err(Error::Forbidden),
        DeviceAccess::NotYours | DeviceAccess::Unknown => {
            faults.push(fault(field, "there is no such device", "value_error"));
            Ok(None)
        }
    };
    let queue = match &addressed.queue {
        None => None,
        Some(text) => {
            let access = match DeviceName::parse(text.trim()) {
                Some(name) => state.core().device_access(principal, name).await?,
                None => DeviceAccess::Unknown,
            };
            granted(access, "queue")?
        }
    };
    let sender = match &addressed.sender {
        None => None,
        Some(text) => granted(state.core().device_with_phone(principal, text).await?, "sender")?,
    };
    if !faults.is_empty() {
        return Err(faults.into());
    }
    match (queue, sender) {
        (Some(queue), Some(sender)) if queue.id != sender.id && queue.phone != sender.phone => {
            let msg = "is not the phone number of that queue";
            Err(vec![fault("sender", msg, "value_error")].into())
        }
        (Some(device), _) | (None, Some(device)) => {
            record_device(device.id);
            Ok(device)
        }
        (None, None) => {
            let connected = DeviceFilter { is_connected: true, ..DeviceFilter::default() };
            let only = state.core().only_device(principal, &connected).await?;
            let msg = "field required: the account has not exactly one connected device";
            only.ok_or_else(|| vec![fault("queue", msg, "value_error.missing")].into())
        }
    }
}
