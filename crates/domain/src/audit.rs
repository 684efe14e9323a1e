//! The audit log: what people and keys have changed.

use jiff::{SignedDuration, Timestamp};

use crate::ids::{AccountId, AuditId};

/// How long an entry is kept.
pub const AUDIT_KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);
/// Most entries that are kept of an account, and of what belongs to none.
pub const AUDIT_ENTRIES_MAX: i64 = 5_000;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Action {
    AccountCreated,
    AccountChanged,
    AccountDeleted,
    AccountEntered,
    AccountLeft,
    PlanSaved,
    PlanDeleted,
    GrantAdded,
    VouchersCreated,
    VoucherRedeemed,
    KeyCreated,
    KeyRevoked,
    DeviceCreated,
    DeviceChanged,
    DevicePairing,
    DeviceUnlinked,
    DeviceDeleted,
    DeviceTokenReplaced,
    PortalLinkCreated,
    PortalLinkRevoked,
    WebhookCreated,
    WebhookChanged,
    WebhookSecretReplaced,
    WebhookDeleted,
    GroupCreated,
    GroupChanged,
    GroupMembersChanged,
    GroupLeft,
    GroupInviteRenewed,
    SetupLinkCreated,
    BackupMade,
    NodeDrained,
    NodeResumed,
    NodeRemoved,
    PersonInvited,
    InvitationWithdrawn,
    PersonJoined,
    PersonRemoved,
    PersonSignedIn,
    PersonRoleChanged,
    PasswordChanged,
    PasswordResetLinkCreated,
    PasswordReset,
    SecondFactorSet,
    SecondFactorRemoved,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 45] = [
        Self::AccountCreated,
        Self::AccountChanged,
        Self::AccountDeleted,
        Self::AccountEntered,
        Self::AccountLeft,
        Self::PlanSaved,
        Self::PlanDeleted,
        Self::GrantAdded,
        Self::VouchersCreated,
        Self::VoucherRedeemed,
        Self::KeyCreated,
        Self::KeyRevoked,
        Self::DeviceCreated,
        Self::DeviceChanged,
        Self::DevicePairing,
        Self::DeviceUnlinked,
        Self::DeviceDeleted,
        Self::DeviceTokenReplaced,
        Self::PortalLinkCreated,
        Self::PortalLinkRevoked,
        Self::WebhookCreated,
        Self::WebhookChanged,
        Self::WebhookSecretReplaced,
        Self::WebhookDeleted,
        Self::GroupCreated,
        Self::GroupChanged,
        Self::GroupMembersChanged,
        Self::GroupLeft,
        Self::GroupInviteRenewed,
        Self::SetupLinkCreated,
        Self::BackupMade,
        Self::NodeDrained,
        Self::NodeResumed,
        Self::NodeRemoved,
        Self::PersonInvited,
        Self::InvitationWithdrawn,
        Self::PersonJoined,
        Self::PersonRemoved,
        Self::PersonSignedIn,
        Self::PersonRoleChanged,
        Self::PasswordChanged,
        Self::PasswordResetLinkCreated,
        Self::PasswordReset,
        Self::SecondFactorSet,
        Self::SecondFactorRemoved,
    ];

    /// Its name in the database and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountCreated => "account.created",
            Self::AccountChanged => "account.changed",
            Self::AccountDeleted => "account.deleted",
            Self::AccountEntered => "account.entered",
            Self::AccountLeft => "account.left",
            Self::PlanSaved => "plan.saved",
            Self::PlanDeleted => "plan.deleted",
            Self::GrantAdded => "grant.added",
            Self::VouchersCreated => "vouchers.created",
            Self::VoucherRedeemed => "voucher.redeemed",
            Self::KeyCreated => "key.created",
            Self::KeyRevoked => "key.revoked",
            Self::DeviceCreated => "device.created",
            Self::DeviceChanged => "device.changed",
            Self::DevicePairing => "device.pairing",
            Self::DeviceUnlinked => "device.unlinked",
            Self::DeviceDeleted => "device.deleted",
            Self::DeviceTokenReplaced => "device.token_replaced",
            Self::PortalLinkCreated => "portal_link.created",
            Self::PortalLinkRevoked => "portal_link.revoked",
            Self::WebhookCreated => "webhook.created",
            Self::WebhookChanged => "webhook.changed",
            Self::WebhookSecretReplaced => "webhook.secret_replaced",
            Self::WebhookDeleted => "webhook.deleted",
            Self::GroupCreated => "group.created",
            Self::GroupChanged => "group.changed",
            Self::GroupMembersChanged => "group.members_changed",
            Self::GroupLeft => "group.left",
            Self::GroupInviteRenewed => "group.invite_renewed",
            Self::SetupLinkCreated => "setup_link.created",
            Self::BackupMade => "backup.made",
            Self::NodeDrained => "node.drained",
            Self::NodeResumed => "node.resumed",
            Self::NodeRemoved => "node.removed",
            Self::PersonInvited => "person.invited",
            Self::InvitationWithdrawn => "invitation.withdrawn",
            Self::PersonJoined => "person.joined",
            Self::PersonRemoved => "person.removed",
            Self::PersonSignedIn => "person.signed_in",
            Self::PersonRoleChanged => "person.role_changed",
            Self::PasswordChanged => "password.changed",
            Self::PasswordResetLinkCreated => "password.reset_link_created",
            Self::PasswordReset => "password.reset",
            Self::SecondFactorSet => "second_factor.set",
            Self::SecondFactorRemoved => "second_factor.removed",
        }
    }
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its id; increasing.
    pub id: AuditId,
    /// The account it belongs to; `None` for what concerns the gateway.
    pub account_id: Option<AccountId>,
    /// Who did it: the address of a person, or what names a key.
    pub by: String,
    /// What was done; the name of an [`Action`], perhaps of a later release.
    pub action: String,
    /// To what: an id or a name.
    pub subject: String,
    /// When.
    pub at: Timestamp,
}

/// An entry to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// The account it belongs to.
    pub account_id: Option<AccountId>,
    /// Who did it.
    pub by: String,
    /// What was done.
    pub action: Action,
    /// To what.
    pub subject: String,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_entry_is_kept_for_ninety_days() {
        let written: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!((written + AUDIT_KEPT).to_string(), "2026-04-01T00:00:00Z");
    }

    #[test]
    fn each_action_has_a_name_of_its_own_with_what_it_is_done_to() {
        let is_word =
            |text: &str| text.split('_').all(|word| word.chars().all(char::is_alphabetic));
        let names: HashSet<&str> = Action::ALL.into_iter().map(Action::as_str).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for name in names {
            let (subject, act) = name.split_once('.').unwrap();
            assert!(is_word(subject) && is_word(act), "{name}");
        }
    }
}
