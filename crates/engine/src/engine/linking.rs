//! Waiting for a device to be linked.

use domain::device::{DeviceNotice, DeviceStatus, PairOffer, StatusChange};
use domain::error::{Error, Result};
use domain::passkey::PasskeyStep;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

/// The next step after WhatsApp has taken a passkey; `None` when nothing comes any more.
pub(super) async fn next_step(
    mut notices: BoxStream<'static, DeviceNotice>,
) -> Option<Result<PairOffer>> {
    loop {
        match notices.next().await? {
            DeviceNotice::Offer(PairOffer::Passkey { step: PasskeyStep::Accepted, .. }) => {}
            DeviceNotice::Offer(offer) => return Some(Ok(offer)),
            DeviceNotice::Status(change) if change.status != DeviceStatus::Pairing => {
                return Some(Err(ended(change)));
            }
            DeviceNotice::Status(_) => {}
        }
    }
}

/// Waits until the device is linked, or is not being linked any more.
pub(super) async fn linked(mut notices: BoxStream<'static, DeviceNotice>) -> Result<()> {
    while let Some(notice) = notices.next().await {
        match notice {
            DeviceNotice::Status(change) if change.status.is_paired() => return Ok(()),
            DeviceNotice::Status(change) if change.status != DeviceStatus::Pairing => {
                return Err(ended(change));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Why pairing has ended.
fn ended(change: StatusChange) -> Error {
    Error::Whatsapp(change.reason.unwrap_or_else(|| "pairing has ended".to_owned()))
}
