//! Changes of groups, as WhatsApp reports them to their members; pure.

use domain::chat::{GroupId, Lid};
use domain::group::{GroupChange, GroupReport, ParticipantAction};
use domain::message::Address;
use domain::phone::PhoneNumber;
use jiff::Timestamp;
use wacore::stanza::groups::{GroupNotificationAction as Action, GroupParticipantInfo};
use wacore::types::events::{GroupUpdate, PictureUpdate};
use wacore_binary::{Jid, JidExt as _};

use crate::events::Me;

/// Most people of one report; the largest groups have about as many.
const PEOPLE_MAX: usize = 1_024;

/// What has changed; `None` for what is not reported.
pub(crate) fn read(update: &GroupUpdate, me: &Me) -> Option<GroupReport> {
    let by = update.participant.as_ref();
    let named = by.map(|jid| address([Some(jid), update.participant_pn.as_ref(), None]));
    let change = match &update.action {
        Action::Subject { subject, .. } => GroupChange::Name(subject.clone()),
        Action::Description { description, .. } => {
            GroupChange::Description(description.clone().filter(|text| !text.is_empty()))
        }
        Action::Announce => GroupChange::Announcement(true),
        Action::NotAnnounce => GroupChange::Announcement(false),
        Action::Locked { .. } => GroupChange::Locked(true),
        Action::Unlocked => GroupChange::Locked(false),
        Action::Ephemeral { expiration, .. } => GroupChange::Ephemeral(*expiration),
        Action::Add { participants, .. } => people(ParticipantAction::Add, participants),
        Action::Promote { participants } => people(ParticipantAction::Promote, participants),
        Action::Demote { participants } => people(ParticipantAction::Demote, participants),
        Action::Remove { participants, .. } => people(going(by, participants), participants),
        // The number is in a group that another person has made.
        Action::Create { .. } if !by.is_some_and(|jid| me.is(jid)) => {
            let own = address([me.pn.as_ref(), me.lid.as_ref(), None]);
            GroupChange::Participants(ParticipantAction::Add, vec![own])
        }
        _ => return None,
    };
    let at = Timestamp::from_second(update.timestamp.timestamp()).ok()?;
    let notification = update.notification_id.clone().unwrap_or_else(|| at.as_second().to_string());
    Some(GroupReport {
        id: format!("{notification}_{}", update.action_index),
        group: GroupId::from_jid(update.group_jid.to_non_ad_string()),
        by: named,
        change,
        at,
    })
}

/// Another picture of a group; `None` for one of a person.
pub(crate) fn picture(update: &PictureUpdate) -> Option<GroupReport> {
    let at = Timestamp::from_second(update.timestamp.timestamp()).ok()?;
    let of = update.picture_id.clone().unwrap_or_else(|| at.as_second().to_string());
    update.jid.is_group().then(|| GroupReport {
        id: format!("{}_picture_{of}", update.jid.user),
        group: GroupId::from_jid(update.jid.to_non_ad_string()),
        by: update.author.as_ref().map(|jid| address([Some(jid), None, None])),
        change: GroupChange::Picture(!update.removed),
        at,
    })
}

/// Who is removed by themselves has left.
fn going(by: Option<&Jid>, participants: &[GroupParticipantInfo]) -> ParticipantAction {
    let is_by = |who: &GroupParticipantInfo| {
        let names = [Some(&who.jid), who.phone_number.as_ref(), who.lid.as_ref()];
        by.is_some_and(|by| {
            names.into_iter().flatten().any(|jid| jid.user == by.user && jid.server == by.server)
        })
    };
    match participants {
        [who] if is_by(who) => ParticipantAction::Leave,
        _ => ParticipantAction::Remove,
    }
}

fn people(action: ParticipantAction, participants: &[GroupParticipantInfo]) -> GroupChange {
    let who = |participant: &GroupParticipantInfo| {
        let GroupParticipantInfo { jid, phone_number, lid, .. } = participant;
        address([Some(jid), phone_number.as_ref(), lid.as_ref()])
    };
    GroupChange::Participants(action, participants.iter().take(PEOPLE_MAX).map(who).collect())
}

/// A person by all names that are given.
pub(crate) fn address(names: [Option<&Jid>; 3]) -> Address {
    let of = |is_it: fn(&Jid) -> bool| names.into_iter().flatten().find(|jid| is_it(jid));
    Address {
        phone: of(Jid::is_pn).map(|jid| PhoneNumber::from_digits(&*jid.user)),
        lid: of(Jid::is_lid).map(|jid| Lid::from_user(&jid.user)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        text.parse().unwrap()
    }

    fn me() -> Me {
        Me { pn: Some(jid("628111:7@s.whatsapp.net")), lid: Some(jid("100:7@lid")) }
    }

    fn update(by: &str, action: Action) -> GroupUpdate {
        GroupUpdate::builder()
            .group_jid(jid("120363@g.us"))
            .notification_id("N1".to_owned())
            .participant(jid(by))
            .timestamp(wacore::time::from_secs(1_700_000_000).unwrap())
            .is_lid_addressing_mode(false)
            .action(action)
            .build()
    }

    fn participant(text: &str) -> GroupParticipantInfo {
        GroupParticipantInfo {
            jid: jid(text),
            phone_number: None,
            display_name: None,
            r#type: None,
            lid: None,
            username: None,
            join_time: None,
            group_history_sent_state: None,
        }
    }

    #[test]
    fn every_change_has_a_report() {
        let (budi, ani) = ("628222@s.whatsapp.net", "628333@s.whatsapp.net");
        let people = || vec![participant(budi)];
        let of = |action| read(&update(ani, action), &me()).map(|report| report.change);
        let members = |action, who: &str| {
            Some(GroupChange::Participants(action, vec![address([Some(&jid(who)), None, None])]))
        };
        let subject =
            Action::Subject { subject: "Tim".into(), subject_owner: None, subject_time: None };
        assert_eq!(of(subject), Some(GroupChange::Name("Tim".into())));
        let described = |description| Action::Description { id: "1".into(), description };
        assert_eq!(
            of(described(Some("Halo".into()))),
            Some(GroupChange::Description(Some("Halo".into())))
        );
        assert_eq!(of(described(None)), Some(GroupChange::Description(None)));
        assert_eq!(of(Action::Announce), Some(GroupChange::Announcement(true)));
        assert_eq!(of(Action::Unlocked), Some(GroupChange::Locked(false)));
        let timer = Action::Ephemeral { expiration: 86_400, trigger: None };
        assert_eq!(of(timer), Some(GroupChange::Ephemeral(86_400)));
        let add = Action::Add { participants: people(), reason: None };
        assert_eq!(of(add), members(ParticipantAction::Add, budi));
        let remove = || Action::Remove { participants: people(), reason: None };
        assert_eq!(of(remove()), members(ParticipantAction::Remove, budi));
        let left = read(&update(budi, remove()), &me()).map(|report| report.change);
        assert_eq!(left, members(ParticipantAction::Leave, budi));
        assert_eq!(of(Action::RevokeInvite), None);
    }

    #[test]
    fn only_groups_have_pictures_here() {
        let of = |who: &str| {
            let update = PictureUpdate::builder()
                .jid(jid(who))
                .timestamp(wacore::time::from_secs(1_700_000_000).unwrap())
                .removed(false)
                .picture_id("7".to_owned())
                .build();
            picture(&update).map(|report| report.change)
        };
        assert_eq!(of("120363@g.us"), Some(GroupChange::Picture(true)));
        assert_eq!(of("628222@s.whatsapp.net"), None);
    }
}
