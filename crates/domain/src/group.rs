//! Groups: what is known of one, and what can be done with it.

use jiff::Timestamp;

use crate::chat::{ChatId, GroupId};
use crate::device::Group;
use crate::message::{Address, Failure};

/// Longest name of a group, in characters; WhatsApp takes no longer one.
pub const GROUP_NAME_MAX: usize = 100;
/// Longest description of a group, in characters; WhatsApp takes no longer one.
pub const GROUP_DESCRIPTION_MAX: usize = 2_048;
/// Most people of one request; WhatsApp's largest group has about as many.
pub const PARTICIPANTS_MAX: usize = 1_024;

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
