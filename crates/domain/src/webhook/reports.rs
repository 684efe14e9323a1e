//! The events of what devices report that is no message: people, calls, groups.

use jiff::Timestamp;

use super::{Event, EventKind, Subject};
use crate::call::CallReport;
use crate::contact::Identity;
use crate::device::Device;
use crate::group::{GroupChange, GroupReport};

impl Event {
    /// A person is known to a device by both names now.
    pub fn of_contact(identity: Identity, device: &Device, at: Timestamp) -> Self {
        let (number, lid) = (device.number_id, identity.lid.user());
        Self {
            id: format!("evt_d{number}_contact_{lid}_{}", at.as_millisecond()),
            kind: EventKind::ContactIdentified,
            at,
            account_id: device.account_id,
            device: device.into(),
            subject: Subject::Contact(identity),
        }
    }

    /// A call came in to a device.
    pub fn of_call(call: CallReport, device: &Device) -> Self {
        Self {
            id: format!("evt_d{}_call_{}", device.number_id, call.id),
            kind: EventKind::CallReceived,
            at: call.at,
            account_id: device.account_id,
            device: device.into(),
            subject: Subject::Call(call),
        }
    }

    /// A group that the number of a device is in has changed.
    pub fn of_group(report: GroupReport, device: &Device) -> Self {
        let kind = match report.change {
            GroupChange::Participants(..) => EventKind::GroupParticipants,
            _ => EventKind::GroupUpdated,
        };
        Self {
            id: format!("evt_d{}_group_{}", device.number_id, report.id),
            kind,
            at: report.at,
            account_id: device.account_id,
            device: device.into(),
            subject: Subject::Group(report),
        }
    }
}
