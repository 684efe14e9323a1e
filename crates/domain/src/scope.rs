//! What a key, or somebody who has signed in, may do.

use crate::person::Role;

/// One thing that may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Reads messages, devices, groups and events.
    Read,
    /// Sends, cancels, edits and deletes messages, changes groups, checks numbers.
    Send,
    /// Makes, links, changes and deletes devices, webhooks and keys.
    Manage,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Read, Self::Send, Self::Manage];

    /// Its name in every API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Manage => "manage",
        }
    }

    /// Reads a name back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Send => 2,
            Self::Manage => 4,
        }
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// All of them.
    pub const ALL: Self = Self(7);

    /// Whether nothing is allowed.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this is allowed.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The first scope of `others` that is not among these.
    pub fn lacks(self, others: Self) -> Option<Scope> {
        others.iter().find(|scope| !self.has(*scope))
    }

    /// Its scopes.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// What somebody with this role may do.
    pub fn of_role(role: Role) -> Self {
        match role {
            Role::Viewer => [Scope::Read].into_iter().collect(),
            Role::Member => [Scope::Read, Scope::Send].into_iter().collect(),
            Role::Owner => Self::ALL,
        }
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_it_was_made_of() {
        let send: Scopes = [Scope::Send, Scope::Send].into_iter().collect();
        assert!(send.has(Scope::Send) && !send.has(Scope::Read) && !send.has(Scope::Manage));
        assert_eq!(send.lacks(Scopes::ALL), Some(Scope::Read));
        assert_eq!(Scopes::ALL.lacks(send), None);
        assert_eq!(Scope::ALL.into_iter().collect::<Scopes>(), Scopes::ALL);
        assert!([].into_iter().collect::<Scopes>().is_empty() && !send.is_empty());
        let of_role = |role| Scopes::of_role(role).iter().map(Scope::as_str).collect::<Vec<_>>();
        assert_eq!(of_role(Role::Viewer), ["read"]);
        assert_eq!(of_role(Role::Member), ["read", "send"]);
        assert_eq!(of_role(Role::Owner), ["read", "send", "manage"]);
    }

    #[test]
    fn names_lead_back() {
        for scope in Scope::ALL {
            assert_eq!(Scope::from_name(scope.as_str()), Some(scope));
        }
        assert_eq!(Scope::from_name("admin"), None);
    }
}
