//! Changes of groups, as events show them.

use domain::group::{GroupChange, GroupReport};
use domain::message::Address;
use domain::webhook::EventDevice;
use serde::Serialize;
use utoipa::ToSchema;

use super::event_view::EventDeviceBody;
use super::groups::PersonBody;

/// A group that has changed. One thing has: of `changes` and `action` with `participants` there is one.
#[derive(Serialize, ToSchema)]
#[schema(as = EventGroup)]
pub(super) struct EventGroupBody<'a> {
    /// The device whose number is in it.
    device: EventDeviceBody<'a>,
    /// The group's id.
    group: &'a str,
    /// Who made the change; null where WhatsApp does not say.
    by: Option<PersonBody<'a>>,
    /// What has changed, for `group.updated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangesBody<'a>>,
    /// `add`, `remove`, `leave`, `promote` or `demote`, for `group.participants`.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    /// Whom it concerns, for `group.participants`.
    #[serde(skip_serializing_if = "Option::is_none")]
    participants: Option<Vec<PersonBody<'a>>>,
}

/// What has changed about a group; the others are left out.
#[derive(Serialize, ToSchema, Default)]
#[schema(as = EventGroupChanges)]
struct ChangesBody<'a> {
    /// Its name now.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    /// Its description now; null when it has none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<&'a str>>,
    /// Whether only admins write.
    #[serde(skip_serializing_if = "Option::is_none")]
    announce: Option<bool>,
    /// Whether only admins change its name and description.
    #[serde(skip_serializing_if = "Option::is_none")]
    locked: Option<bool>,
    /// Whether it has a picture; where it does, it is another one than before.
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<bool>,
    /// After how many seconds its messages disappear; 0 when they stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    ephemeral_s: Option<u32>,
}

pub(super) fn group_body<'a>(
    report: &'a GroupReport,
    device: &'a EventDevice,
) -> EventGroupBody<'a> {
    let (action, people) = match &report.change {
        GroupChange::Participants(action, people) => (Some(action.as_str()), Some(people)),
        _ => (None, None),
    };
    let list = |people: &'a Vec<Address>| people.iter().map(PersonBody::from).collect();
    EventGroupBody {
        device: device.into(),
        group: report.group.as_str(),
        by: report.by.as_ref().map(PersonBody::from),
        changes: changes(&report.change),
        action,
        participants: people.map(list),
    }
}

fn changes(change: &GroupChange) -> Option<ChangesBody<'_>> {
    let none = ChangesBody::default();
    Some(match change {
        GroupChange::Name(name) => ChangesBody { subject: Some(name), ..none },
        GroupChange::Description(text) => {
            ChangesBody { description: Some(text.as_deref()), ..none }
        }
        GroupChange::Announcement(is_so) => ChangesBody { announce: Some(*is_so), ..none },
        GroupChange::Locked(is_so) => ChangesBody { locked: Some(*is_so), ..none },
        GroupChange::Picture(has_one) => ChangesBody { picture: Some(*has_one), ..none },
        GroupChange::Ephemeral(seconds) => ChangesBody { ephemeral_s: Some(*seconds), ..none },
        GroupChange::Participants(..) => return None,
    })
}
