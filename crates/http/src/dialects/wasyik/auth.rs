//! Who calls, and whether the device in the body is theirs.
//!
//! The order of checks: the key, the plan, the body, the device. A device of another account is
//! answered as one that does not exist.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use domain::account::Caller;
use domain::device::Device;
use domain::error::Error;
use domain::plan::Feature;
use domain::service::{DeviceAccess, DeviceName, Principal};

use crate::api_error::ApiError;
use crate::auth::{authenticate_key, bearer};
use crate::request_span::record_device;
use crate::state::AppState;

/// The other header that may hold the key.
const ACCESS_KEY: HeaderName = HeaderName::from_static("x-access-key");

/// The caller's principal; its plan must include `feature`.
///
/// # Errors
/// [`Error::Unauthorized`], [`Error::RateLimited`], [`Error::FeatureMissing`].
pub(super) async fn authorize(
    state: &AppState,
    headers: &HeaderMap,
    feature: Option<Feature>,
) -> Result<Principal, Error> {
    let key = key(headers).ok_or(Error::Unauthorized)?;
    let principal = authenticate_key(state.core(), key).await?;
    if principal.caller == Caller::Operator {
        // The operator key belongs to no account, and so to no device.
        return Err(Error::Unauthorized);
    }
    feature.map_or(Ok(()), |feature| principal.require_feature(feature))?;
    Ok(principal)
}

/// The key in either header; both may be there when they agree.
fn key(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(ACCESS_KEY).iter();
    let access_key = values.next().and_then(|value| value.to_str().ok()).map(str::trim);
    let access_key = access_key.filter(|key| !key.is_empty());
    match (bearer(headers), access_key) {
        (_, Some(_)) if values.next().is_some() => None,
        (Some(one), Some(other)) => (one == other).then_some(one),
        (one, other) => one.or(other),
    }
}

/// The device an `accountId` names.
///
/// # Errors
/// [`ApiError::Field`] when it is empty; [`Error::NotFound`], also for another account's;
/// [`Error::Forbidden`] for a token of another device.
pub(super) async fn device(
    state: &AppState,
    principal: &Principal,
    account_id: &str,
) -> Result<Arc<Device>, ApiError> {
    let account_id = account_id.trim();
    if account_id.is_empty() {
        return Err(ApiError::field("accountId", "is required"));
    }
    let unknown = Error::NotFound("device");
    let Some(name @ DeviceName::Id(_)) = DeviceName::parse(account_id) else {
        return Err(unknown.into());
    };
    match state.core().device_access(principal, name).await? {
        DeviceAccess::Granted(device) => {
            record_device(device.id);
            Ok(device)
        }
        DeviceAccess::OtherDevice => Err(Error::Forbidden.into()),
        DeviceAccess::NotYours | DeviceAccess::Unknown => Err(unknown.into()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn the_key_may_be_in_either_header() {
        let cases = [
            (vec![(AUTHORIZATION, "Bearer a")], Some("a")),
            (vec![(ACCESS_KEY, " a ")], Some("a")),
            (vec![(AUTHORIZATION, "Bearer a"), (ACCESS_KEY, "a")], Some("a")),
            (vec![(AUTHORIZATION, "Bearer a"), (ACCESS_KEY, "b")], None),
            (vec![(AUTHORIZATION, "Basic a"), (ACCESS_KEY, "b")], Some("b")),
            (vec![(ACCESS_KEY, "a"), (ACCESS_KEY, "b")], None),
            (vec![(ACCESS_KEY, "")], None),
            (vec![], None),
        ];
        for (given, expected) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in &given {
                headers.append(name, value.parse().unwrap());
            }
            assert_eq!(key(&headers), expected, "{given:?}");
        }
    }
}
