//! Devices to choose from, and how many there are.

use std::sync::Arc;

use super::{Core, Principal};
use crate::device::{Device, DeviceStatus};
use crate::error::Result;
use crate::ids::DeviceId;
use crate::scope::Scope;

/// How many devices an account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceCounts {
    /// All of them.
    pub all: i64,
    /// Those that are linked to a number.
    pub linked: i64,
    /// Those that are connected.
    pub connected: i64,
}

impl Core {
    /// At most `limit` devices to choose from: linked ones before others, the newest first, and the
    /// one that is chosen already in any case.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::error::Error::NotFound) when the chosen one is not the caller's,
    /// [`Error::Forbidden`](crate::error::Error::Forbidden) for the operator.
    pub async fn devices_to_choose(
        &self,
        principal: &Principal,
        chosen: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<Device>> {
        principal.require(Scope::Read)?;
        let account = principal.account_id()?;
        let chosen = chosen.or(principal.caller.bound_device());
        let chosen = match chosen {
            Some(id) => Some(Arc::unwrap_or_clone(self.device(principal, id).await?)),
            None => None,
        };
        if principal.caller.bound_device().is_some() {
            return Ok(chosen.into_iter().collect());
        }
        let mut devices = self.store.devices_to_choose(account, limit).await?;
        if let Some(chosen) = chosen
            && devices.iter().all(|device| device.id != chosen.id)
        {
            devices.push(chosen);
        }
        Ok(devices)
    }

    /// How many devices the caller's account has.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::error::Error::Forbidden) for the operator and for device tokens.
    pub async fn device_counts(&self, principal: &Principal) -> Result<DeviceCounts> {
        principal.require(Scope::Read)?;
        let account = principal.require_account_key()?;
        let counts = self.store.count_devices(Some(account)).await?;
        let sum = |is_counted: &dyn Fn(DeviceStatus) -> bool| {
            let counted = counts.iter().filter(|(status, _)| is_counted(*status));
            counted.map(|(_, count)| count).sum()
        };
        Ok(DeviceCounts {
            all: sum(&|_| true),
            linked: sum(&DeviceStatus::is_paired),
            connected: sum(&|status| status == DeviceStatus::Connected),
        })
    }
}
