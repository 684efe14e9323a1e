//! The people who use the dashboard: what they may do, their sessions, and the links that let them in.

use jiff::{SignedDuration, Timestamp};

use crate::ids::{AccountId, UserId};
use crate::key::KeyHash;

/// How long a session lives without a request.
pub const SESSION_IDLE_MAX: SignedDuration = SignedDuration::from_hours(1);
/// How long a session lives at most.
pub const SESSION_MAX: SignedDuration = SignedDuration::from_hours(12);
/// How long a link that makes the first operator is valid.
pub const SETUP_LINK_MAX: SignedDuration = SignedDuration::from_hours(24);
/// How long an invitation is valid.
pub const INVITE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a link that sets a new password is valid.
pub const RESET_MAX: SignedDuration = SignedDuration::from_hours(24);
/// Fewest characters of a password.
pub const PASSWORD_CHARS_MIN: usize = 10;
/// Most bytes of a password.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// Most invitations of an account, and most to operators, that are open at a time.
pub const INVITATIONS_MAX: usize = 100;
/// Most people of an account, and most operators.
pub const USERS_MAX: i64 = 100;

/// What somebody may do in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Looks and sends.
    Member,
    /// Does everything: devices, webhooks, keys, people.
    Owner,
}

impl Role {
    /// Every role, the strongest first.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Member, Self::Viewer];

    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }

    /// Reads a name back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// Where somebody belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Runs the gateway.
    Operator,
    /// Belongs to an account.
    Account(AccountId, Role),
}

impl Place {
    /// What somebody may do in the account that is looked at.
    pub fn role(self) -> Role {
        match self {
            Self::Operator => Role::Owner,
            Self::Account(_, role) => role,
        }
    }

    /// The account somebody belongs to; an operator belongs to none.
    pub fn account(self) -> Option<AccountId> {
        match self {
            Self::Operator => None,
            Self::Account(account, _) => Some(account),
        }
    }
}

/// A person who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The address it signs in with; one person per address.
    pub email: String,
    /// Where it belongs.
    pub place: Place,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A session: somebody who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The hash of its secret.
    pub hash: KeyHash,
    /// Who.
    pub user: User,
    /// The account an operator has entered.
    pub entered: Option<AccountId>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
}

impl Session {
    /// Whether it is still valid.
    pub fn holds(&self, now: Timestamp) -> bool {
        now.duration_since(self.created_at) < SESSION_MAX
            && now.duration_since(self.seen_at) < SESSION_IDLE_MAX
    }
}

/// What a one-time link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Makes a person, who chooses email and password.
    Join(Place),
    /// Signs somebody in.
    SignIn(UserId),
    /// Sets a new password for somebody who has lost it, and signs nobody in.
    Reset(UserId),
}

/// A link that makes a person and was not used yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The hash of its secret, which names it without opening anything.
    pub hash: KeyHash,
    /// What it makes.
    pub place: Place,
    /// The address of the person who made it; `None` for a link of the operator key or of a command.
    pub made_by: Option<String>,
    /// Until when it is valid.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_unused_and_after_half_a_day() {
        let at = |minutes: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
        let session = |seen: i64| Session {
            hash: KeyHash([0; 32]),
            user: User {
                id: UserId(1),
                email: "a@b".into(),
                place: Place::Operator,
                created_at: at(0),
            },
            entered: None,
            created_at: at(0),
            seen_at: at(seen),
        };
        for (seen, now, holds) in
            [(0, 59, true), (0, 60, false), (700, 719, true), (700, 720, false)]
        {
            assert_eq!(session(seen).holds(at(now)), holds, "{seen} {now}");
        }
    }

    #[test]
    fn roles_have_an_order() {
        assert!(Role::Owner > Role::Member && Role::Member > Role::Viewer);
        assert!(Role::ALL.iter().all(|role| Role::from_name(role.as_str()) == Some(*role)));
    }

    #[test]
    fn an_operator_does_everything_and_belongs_to_no_account() {
        let account = AccountId(7);
        for (place, role, belongs_to) in [
            (Place::Operator, Role::Owner, None),
            (Place::Account(account, Role::Viewer), Role::Viewer, Some(account)),
        ] {
            assert_eq!((place.role(), place.account()), (role, belongs_to));
        }
    }

    #[test]
    fn an_invitation_is_open_for_a_week() {
        assert_eq!(INVITE_MAX.as_secs(), 604_800);
    }
}
