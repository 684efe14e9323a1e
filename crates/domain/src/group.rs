//! Groups: what is known of one, and what can be done with it.

use jiff::Timestamp;

use crate::chat::{ChatFacts, ChatId, GroupId};
use crate::device::Group;
use crate::media::MediaSource;
use crate::message::{Address, Failure};
use crate::text::clean;

/// Longest name of a group, in characters; WhatsApp takes no longer one.
pub const GROUP_NAME_MAX: usize = 100;
/// Longest description of a group, in characters; WhatsApp takes no longer one.
pub const GROUP_DESCRIPTION_MAX: usize = 2_048;
/// Most people of one request: WhatsApp's largest group has 1,024 members, and the number is one of them.
pub const PARTICIPANTS_MAX: usize = 1_023;

/// A group, as WhatsApp describes it to its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDetails {
    /// Its id and name.
    pub group: Group,
    /// What it is about.
    pub description: Option<String>,
    /// Who created it.
    pub creator: Option<Address>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Only admins write.
    pub is_announcement: bool,
    /// Only admins change its name and description.
    pub is_locked: bool,
    /// It holds other groups, and no messages.
    pub is_community: bool,
    /// The community it belongs to.
    pub community: Option<GroupId>,
    /// After how many seconds its messages disappear; 0 when they stay.
    pub ephemeral_s: u32,
    /// Its members, admins first.
    pub participants: Vec<Participant>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// Who.
    pub who: Address,
    /// What the member may do.
    pub role: GroupRole,
}

/// What a member of a group may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupRole {
    /// An admin who cannot be demoted: the one who created the group.
    Owner,
    /// Changes the group and its members.
    Admin,
    /// Everybody else.
    Member,
}

impl GroupRole {
    /// Its name in every API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }
}

/// A change of a group itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupSetting {
    /// Another name.
    Name(String),
    /// Another description, or none.
    Description(Option<String>),
    /// Only admins write from now on, or everybody again.
    Announcement(bool),
    /// Only admins change name and description from now on, or everybody again.
    Locked(bool),
    /// Another picture, or none.
    Picture(Option<GroupPicture>),
}

/// The picture that a group is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupPicture {
    /// As it was asked for.
    Asked(MediaSource),
    /// As WhatsApp takes it: a square JPEG.
    Jpeg(Vec<u8>),
}

/// A change of a group, as WhatsApp reports it to its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupReport {
    /// Distinguishes it from other reports to the device.
    pub id: String,
    /// The group.
    pub group: GroupId,
    /// Who made the change, where that is said.
    pub by: Option<Address>,
    /// What has changed.
    pub change: GroupChange,
    /// When.
    pub at: Timestamp,
}

/// What has changed about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChange {
    /// It has this name.
    Name(String),
    /// It has this description, or none any more.
    Description(Option<String>),
    /// Whether it has a picture; where it does, another one than before.
    Picture(bool),
    /// Whether only admins write.
    Announcement(bool),
    /// Whether only admins change its name and description.
    Locked(bool),
    /// After how many seconds its messages disappear; 0 when they stay.
    Ephemeral(u32),
    /// These people have come, gone, or may do other things.
    Participants(ParticipantAction, Vec<Address>),
}

/// What became of participants of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParticipantAction {
    /// They were added, or have joined.
    Add,
    /// They were removed.
    Remove,
    /// They have left.
    Leave,
    /// They are admins now.
    Promote,
    /// They are admins no longer.
    Demote,
}

impl ParticipantAction {
    /// Every action.
    pub const ALL: [Self; 5] = [Self::Add, Self::Remove, Self::Leave, Self::Promote, Self::Demote];

    /// Its name in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Leave => "leave",
            Self::Promote => "promote",
            Self::Demote => "demote",
        }
    }

    /// Reads a name back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

impl GroupReport {
    /// Removes what a database does not store.
    pub fn clean(&mut self) {
        match &mut self.change {
            GroupChange::Name(text) | GroupChange::Description(Some(text)) => clean(text),
            _ => {}
        }
    }

    /// What of it belongs to the group's chat; `own` is the device's number.
    pub fn facts(&self, own: &Address) -> ChatFacts {
        use ParticipantAction::{Leave, Remove};
        let none = ChatFacts::default();
        match &self.change {
            GroupChange::Name(name) => ChatFacts { name: Some(name.clone()), ..none },
            GroupChange::Ephemeral(seconds) => ChatFacts { ephemeral_s: Some(*seconds), ..none },
            GroupChange::Participants(Remove | Leave, _) if self.concerns(own) => {
                ChatFacts { can_send: Some(false), ..none }
            }
            _ => none,
        }
    }

    /// Whether it may change what the device's number may do in the group.
    pub fn concerns(&self, own: &Address) -> bool {
        match &self.change {
            GroupChange::Announcement(_) => true,
            GroupChange::Participants(_, people) => people.iter().any(|who| who.is_same(own)),
            _ => false,
        }
    }
}

impl GroupDetails {
    /// What of it belongs to its chat; `own` is the device's number.
    pub fn facts(&self, own: &Address) -> ChatFacts {
        let member = self.participants.iter().find(|participant| participant.who.is_same(own));
        let is_admin = member.is_some_and(|member| member.role != GroupRole::Member);
        let can_send =
            !self.is_community && member.is_some() && (!self.is_announcement || is_admin);
        ChatFacts {
            name: Some(self.group.name.clone()),
            ephemeral_s: Some(self.ephemeral_s),
            can_send: Some(can_send),
        }
    }
}

/// A change of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberChange {
    /// They join.
    Add,
    /// They leave.
    Remove,
    /// They become admins.
    Promote,
    /// They are admins no longer.
    Demote,
}

/// What WhatsApp did for one person of a [`MemberChange`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberOutcome {
    /// The person, as asked for.
    pub who: ChatId,
    /// Why not, when it was refused.
    pub refused: Option<Failure>,
}

/// What is asked of WhatsApp about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRequest {
    /// What is known of it.
    Show(GroupId),
    /// A new one, with these people.
    Create(String, Vec<ChatId>),
    /// A change of its settings.
    Set(GroupId, GroupSetting),
    /// A change of its members.
    Change(GroupId, MemberChange, Vec<ChatId>),
    /// The number leaves it.
    Leave(GroupId),
    /// Its invite link; a new one, after which the earlier one is void, when `true`.
    Invite(GroupId, bool),
}

impl GroupRequest {
    /// Which group it is about; none when it makes one.
    pub fn group(&self) -> Option<&GroupId> {
        match self {
            Self::Create(..) => None,
            Self::Show(group)
            | Self::Set(group, _)
            | Self::Change(group, ..)
            | Self::Leave(group)
            | Self::Invite(group, _) => Some(group),
        }
    }

    /// Whether nothing changes by it.
    pub fn is_question(&self) -> bool {
        matches!(self, Self::Show(_) | Self::Invite(_, false))
    }
}

/// What WhatsApp answers, each to its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupAnswer {
    /// To [`GroupRequest::Show`] and [`GroupRequest::Create`].
    Details(Box<GroupDetails>),
    /// To [`GroupRequest::Change`], in the order of the request.
    Members(Vec<MemberOutcome>),
    /// To [`GroupRequest::Invite`].
    Link(String),
    /// To the others.
    Done,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::PhoneNumber;

    fn person(digits: &str) -> Address {
        Address { phone: Some(PhoneNumber::from_digits(digits)), lid: None }
    }

    fn report(change: GroupChange) -> GroupReport {
        let group = GroupId::from_user("1");
        GroupReport { id: "a".into(), group, by: None, change, at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn names_of_actions_and_roles() {
        for action in ParticipantAction::ALL {
            assert_eq!(ParticipantAction::from_name(action.as_str()), Some(action));
        }
        assert_eq!(ParticipantAction::from_name("rename"), None);
        let roles = [GroupRole::Owner, GroupRole::Admin, GroupRole::Member];
        assert_eq!(roles.map(GroupRole::as_str), ["owner", "admin", "member"]);
    }

    #[test]
    fn names_and_descriptions_become_storable() {
        for change in [GroupChange::Name, |text| GroupChange::Description(Some(text))] {
            let mut report = report(change("To\0ko".into()));
            report.clean();
            assert_eq!(report.change, change("Toko".into()));
        }
    }

    #[test]
    fn what_a_change_of_a_group_says_of_its_chat() {
        use GroupChange as C;
        use ParticipantAction::{Add, Leave, Promote, Remove};
        let none = ChatFacts::default;
        let excluded = || ChatFacts { can_send: Some(false), ..none() };
        let (own, others) = (person("628111"), vec![person("628222")]);
        let with_own = || vec![person("628222"), person("628111")];
        for (change, facts, concerns) in [
            (C::Name("Toko".into()), ChatFacts { name: Some("Toko".into()), ..none() }, false),
            (C::Ephemeral(60), ChatFacts { ephemeral_s: Some(60), ..none() }, false),
            (C::Description(Some("x".into())), none(), false),
            (C::Announcement(true), none(), true),
            (C::Participants(Remove, with_own()), excluded(), true),
            (C::Participants(Leave, with_own()), excluded(), true),
            (C::Participants(Remove, others.clone()), none(), false),
            (C::Participants(Add, with_own()), none(), true),
            (C::Participants(Promote, others), none(), false),
        ] {
            let report = report(change);
            let seen = (report.facts(&own), report.concerns(&own));
            assert_eq!(seen, (facts, concerns), "{:?}", report.change);
        }
    }

    #[test]
    fn members_write_and_where_only_admins_do_admins() {
        use GroupRole::{Admin, Member, Owner};
        let member = |digits: &str, role| Participant { who: person(digits), role };
        for (role, is_announcement, is_community, can_send) in [
            (Some(Member), false, false, true),
            (Some(Member), true, false, false),
            (Some(Admin), true, false, true),
            (Some(Owner), true, false, true),
            (Some(Owner), false, true, false),
            (None, false, false, false),
            (None, true, false, false),
        ] {
            let own = role.map(|role| member("628111", role));
            let details = GroupDetails {
                group: Group { id: GroupId::from_user("1"), name: "Toko".into() },
                description: None,
                creator: None,
                created_at: None,
                is_announcement,
                is_locked: false,
                is_community,
                community: None,
                ephemeral_s: 60,
                participants: [member("628222", Owner)].into_iter().chain(own).collect(),
            };
            let facts = details.facts(&person("628111"));
            assert_eq!((facts.name.as_deref(), facts.ephemeral_s), (Some("Toko"), Some(60)));
            assert_eq!(facts.can_send, Some(can_send), "{role:?} {is_announcement}");
        }
    }

    #[test]
    fn only_showing_a_group_or_its_link_changes_nothing() {
        let group = || GroupId::from_user("1");
        for (request, is_question) in [
            (GroupRequest::Show(group()), true),
            (GroupRequest::Invite(group(), false), true),
            (GroupRequest::Invite(group(), true), false),
            (GroupRequest::Set(group(), GroupSetting::Locked(true)), false),
            (GroupRequest::Change(group(), MemberChange::Add, Vec::new()), false),
            (GroupRequest::Leave(group()), false),
        ] {
            assert_eq!((request.group(), request.is_question()), (Some(&group()), is_question));
        }
        let create = GroupRequest::Create("Toko".into(), Vec::new());
        assert_eq!((create.group(), create.is_question()), (None, false));
    }
}
