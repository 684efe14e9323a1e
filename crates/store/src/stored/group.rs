//! A change of a group, in an event.

use std::borrow::Cow;

use domain::chat::GroupId;
use domain::group::{GroupChange, GroupReport, ParticipantAction};
use domain::message::Address;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::address::StoredAddress;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredGroup<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    group: Cow<'a, str>,
    by: Option<StoredAddress<'a>>,
    #[serde(borrow)]
    change: StoredChange<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredChange<'a> {
    #[serde(borrow)]
    Name(Cow<'a, str>),
    #[serde(borrow)]
    Description(Option<Cow<'a, str>>),
    Picture(bool),
    Announcement(bool),
    Locked(bool),
    Ephemeral(u32),
    Participants {
        #[serde(borrow)]
        action: Cow<'a, str>,
        #[serde(borrow)]
        people: Vec<StoredAddress<'a>>,
    },
}

impl<'a> From<&'a GroupReport> for StoredGroup<'a> {
    fn from(report: &'a GroupReport) -> Self {
        Self {
            id: (&report.id).into(),
            group: report.group.as_str().into(),
            by: report.by.as_ref().map(StoredAddress::from),
            change: match &report.change {
                GroupChange::Name(name) => StoredChange::Name(name.into()),
                GroupChange::Description(text) => {
                    StoredChange::Description(text.as_deref().map(Cow::Borrowed))
                }
                GroupChange::Picture(has_one) => StoredChange::Picture(*has_one),
                GroupChange::Announcement(is_so) => StoredChange::Announcement(*is_so),
                GroupChange::Locked(is_so) => StoredChange::Locked(*is_so),
                GroupChange::Ephemeral(seconds) => StoredChange::Ephemeral(*seconds),
                GroupChange::Participants(action, people) => StoredChange::Participants {
                    action: action.as_str().into(),
                    people: people.iter().map(StoredAddress::from).collect(),
                },
            },
        }
    }
}

impl StoredGroup<'_> {
    /// `None` when it holds a name that only a later release knows.
    pub(super) fn read(self, at: Timestamp) -> Option<GroupReport> {
        Some(GroupReport {
            id: self.id.into_owned(),
            group: GroupId::from_jid(self.group.into_owned()),
            by: self.by.map(Address::from),
            change: match self.change {
                StoredChange::Name(name) => GroupChange::Name(name.into_owned()),
                StoredChange::Description(text) => {
                    GroupChange::Description(text.map(Cow::into_owned))
                }
                StoredChange::Picture(has_one) => GroupChange::Picture(has_one),
                StoredChange::Announcement(is_so) => GroupChange::Announcement(is_so),
                StoredChange::Locked(is_so) => GroupChange::Locked(is_so),
                StoredChange::Ephemeral(seconds) => GroupChange::Ephemeral(seconds),
                StoredChange::Participants { action, people } => GroupChange::Participants(
                    ParticipantAction::from_name(&action)?,
                    people.into_iter().map(Address::from).collect(),
                ),
            },
            at,
        })
    }
}
