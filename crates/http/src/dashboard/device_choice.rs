//! The devices that a form offers.

use std::collections::BTreeSet;

use domain::device::Device;
use domain::error::Error;
use domain::ids::DeviceId;
use maud::{Markup, html};

use super::caller::Person;
use super::show;
use super::words::{Lang, words};
use crate::state::AppState;

/// Most devices that a form offers; every other has its own page, which leads to the form.
const OFFERED_MAX: u32 = 500;

words! {
    /// The texts of the choice.
    ChoiceWords
    more: "For others begin at their page under Devices", "Untuk yang lain mulai dari halamannya di Perangkat";
}

/// The devices to choose from, linked ones first; the one that is chosen is among them.
pub(super) async fn devices(
    state: &AppState,
    person: &Person,
    chosen: Option<DeviceId>,
) -> Result<Vec<Device>, Error> {
    state.core().devices_to_choose(person.principal(), chosen, OFFERED_MAX).await
}

/// The same, for a text that names the chosen one; what names none chooses none.
pub(super) async fn devices_with(
    state: &AppState,
    person: &Person,
    chosen: &str,
) -> Result<Vec<Device>, Error> {
    devices(state, person, chosen.parse().ok()).await
}

/// Adds the devices that rows of a page name and that are not offered.
pub(super) async fn with_named(
    state: &AppState,
    person: &Person,
    mut devices: Vec<Device>,
    named: BTreeSet<DeviceId>,
) -> Result<Vec<Device>, Error> {
    for id in named {
        if devices.iter().any(|device| device.id == id) {
            continue;
        }
        match state.core().device(person.principal(), id).await {
            Ok(device) => devices.push((*device).clone()),
            // It was deleted.
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(devices)
}

/// The options of a choice.
pub(super) fn options(lang: Lang, devices: &[Device], chosen: &str) -> Markup {
    let is_cut = u32::try_from(devices.len()).is_ok_and(|count| count >= OFFERED_MAX);
    html! {
        @for device in devices {
            option value=(device.id) selected[device.id.to_string() == chosen] {
                (show::device_name(device))
                @if !device.status.is_paired() { " · " (show::device_status_word(lang.words(), device.status)) }
            }
        }
        @if is_cut { option disabled { (ChoiceWords::of(lang).more) } }
    }
}
