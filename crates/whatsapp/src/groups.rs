//! Groups of the number: shown, created and changed.

use std::sync::Arc;

use domain::chat::{ChatId, GroupId};
use domain::device::Group;
use domain::group::{
    GroupAnswer, GroupDetails, GroupPicture, GroupRequest, GroupRole, GroupSetting, MemberChange,
    MemberOutcome, Participant,
};
use domain::message::{Address, Failure};
use domain::ports::SendError;
use domain::text::storable;
use jiff::Timestamp;
use wacore::types::message::AddressingMode;
use wacore_binary::Jid;
use whatsapp_rust::Client;
use whatsapp_rust::features::{
    GroupCreateOptions, GroupDescription, GroupMetadata, GroupParticipant, GroupParticipantOptions,
    GroupSubject, ParticipantChangeResponse, ParticipantType, PreviousDescription,
};

use crate::errors;
use crate::group_reports;
use crate::outgoing::person_jid;

type Answer<T> = Result<T, SendError>;

/// The groups that the number is in, by name.
pub(crate) async fn list(client: &Client) -> Answer<Vec<Group>> {
    let found = client.groups().get_participating().await;
    let found = found.map_err(|error| errors::group_error(&error, false))?;
    let mut groups: Vec<Group> =
        found.into_values().map(|group| named(&group.id, &group.subject)).collect();
    groups.sort_unstable_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(groups)
}

/// Shows or changes one.
pub(crate) async fn answer(client: &Arc<Client>, request: GroupRequest) -> Answer<GroupAnswer> {
    let group = request.group().map(jid_of);
    let answered = answer_of(client, request).await;
    if let (Some(group), Err(error)) = (group, &answered)
        && errors::is_forbidden(error)
    {
        // Of a group that the number is not in nothing is known either.
        let known = client.groups().get_metadata(&group).await;
        known.map_err(|error| errors::group_error(&error, false))?;
    }
    answered
}

async fn answer_of(client: &Arc<Client>, request: GroupRequest) -> Answer<GroupAnswer> {
    let groups = client.groups();
    let refused = |error| errors::group_error(&error, true);
    Ok(match request {
        GroupRequest::Show(group) => {
            let found = groups.get_metadata(&jid_of(&group)).await;
            let found = found.map_err(|error| errors::group_error(&error, false))?;
            GroupAnswer::Details(Box::new(details(found)))
        }
        GroupRequest::Create(name, people) => {
            let people = people.iter().map(|who| GroupParticipantOptions::new(person_jid(who)));
            let options = GroupCreateOptions {
                participants: people.collect(),
                ..GroupCreateOptions::new(name)
            };
            let made = groups.create_group(options).await;
            let made = made.map_err(|error| errors::creation_error(&error))?;
            GroupAnswer::Details(Box::new(details(made.metadata)))
        }
        GroupRequest::Set(group, setting) => {
            set(client, &jid_of(&group), setting).await?;
            GroupAnswer::Done
        }
        GroupRequest::Change(group, change, people) => {
            GroupAnswer::Members(change_members(client, &jid_of(&group), change, people).await?)
        }
        GroupRequest::Leave(group) => {
            let jid = jid_of(&group);
            // WhatsApp confirms also that one has left a group one is not in.
            groups.get_metadata(&jid).await.map_err(|error| errors::group_error(&error, false))?;
            groups.leave(jid).await.map_err(refused)?;
            GroupAnswer::Done
        }
        GroupRequest::Invite(group, is_new) => {
            let link = groups.get_invite_link(jid_of(&group), is_new).await.map_err(refused)?;
            GroupAnswer::Link(link)
        }
    })
}

async fn set(client: &Client, group: &Jid, setting: GroupSetting) -> Answer<()> {
    let groups = client.groups();
    let too_long = |_| SendError::Temporary("the text is too long for WhatsApp".into());
    let set = match setting {
        GroupSetting::Name(name) => {
            groups.set_subject(group, GroupSubject::new(name).map_err(too_long)?).await
        }
        GroupSetting::Description(text) => {
            let text = text.map(GroupDescription::new).transpose().map_err(too_long)?;
            groups.set_description(group, text, PreviousDescription::Resolve).await
        }
        GroupSetting::Announcement(is_so) => groups.set_announce(group, is_so).await,
        GroupSetting::Locked(is_so) => groups.set_locked(group, is_so).await,
        GroupSetting::Picture(Some(GroupPicture::Jpeg(picture))) => {
            groups.set_profile_picture(group, picture).await.map(drop)
        }
        GroupSetting::Picture(None) => groups.remove_profile_picture(group).await.map(drop),
        GroupSetting::Picture(Some(GroupPicture::Asked(_))) => {
            return Err(SendError::Temporary("the picture is not made yet".into()));
        }
    };
    set.map_err(|error| errors::group_error(&error, true))
}

/// Members are named as the group names them; people who are to join, as they were given.
async fn change_members(
    client: &Client,
    group: &Jid,
    change: MemberChange,
    people: Vec<ChatId>,
) -> Answer<Vec<MemberOutcome>> {
    let groups = client.groups();
    let known = match change {
        MemberChange::Add => Vec::new(),
        _ => {
            let found = groups.get_metadata(group).await;
            found.map_err(|error| errors::group_error(&error, false))?.participants
        }
    };
    let named = |who: &ChatId| match change {
        MemberChange::Add => Some(person_jid(who)),
        _ => known.iter().find(|member| is_called(member, who)).map(|member| member.jid.clone()),
    };
    let asked: Vec<(ChatId, Option<Jid>)> =
        people.into_iter().map(|who| (who.clone(), named(&who))).collect();
    let jids: Vec<Jid> = asked.iter().filter_map(|(_, jid)| jid.clone()).collect();
    let answers = match change {
        _ if jids.is_empty() => Ok(Vec::new()),
        MemberChange::Add => groups.add_participants(group, &jids).await,
        MemberChange::Remove => groups.remove_participants(group, &jids).await,
        MemberChange::Promote => groups.promote_participants(group, &jids).await,
        MemberChange::Demote => groups.demote_participants(group, &jids).await,
    };
    let answers = answers.map_err(|error| errors::group_error(&error, true))?;
    let outcome = |(who, jid): (ChatId, Option<Jid>)| {
        let refused = match jid {
            None => Some(Failure::new("not_a_member", "is not in the group")),
            Some(jid) => refusal(&answers, &jid),
        };
        MemberOutcome { who, refused }
    };
    Ok(asked.into_iter().map(outcome).collect())
}

/// What WhatsApp says of one person.
fn refusal(answers: &[ParticipantChangeResponse], who: &Jid) -> Option<Failure> {
    let is_it = |jid: &Jid| jid.user == who.user && jid.server == who.server;
    let answer = answers
        .iter()
        .find(|answer| is_it(&answer.jid) || answer.phone_number.as_ref().is_some_and(is_it));
    let Some(answer) = answer else {
        return Some(Failure::new("unanswered", "WhatsApp did not say whether it is done"));
    };
    let (code, message) = match answer.error.as_deref()? {
        "401" => ("blocked", "has blocked this number"),
        "403" => ("must_be_invited", "can only be invited: only contacts may add this person"),
        "404" => ("not_on_whatsapp", "is not on WhatsApp, or not in the group"),
        "408" => ("left_recently", "has left the group recently"),
        "409" => ("already_a_member", "is in the group already"),
        "419" => ("group_full", "the group is full"),
        _ => ("refused", "was refused by WhatsApp"),
    };
    Some(Failure::new(code, message))
}

fn is_called(member: &GroupParticipant, who: &ChatId) -> bool {
    let address = address(&member.jid, member.phone_number.as_ref(), member.lid.as_ref());
    match who {
        ChatId::Person(phone) => address.phone.as_ref() == Some(phone),
        ChatId::Lid(lid) => address.lid.as_ref() == Some(lid),
        ChatId::Group(_) | ChatId::Other(_) => false,
    }
}

fn details(found: GroupMetadata) -> GroupDetails {
    let mut participants: Vec<Participant> = found.participants.iter().map(participant).collect();
    participants.sort_by_key(|participant| participant.role);
    let creator = found.creator.as_ref();
    GroupDetails {
        group: named(&found.id, &found.subject),
        description: found.description.map(|text| storable(&text).into_owned()),
        creator: creator.map(|jid| address(jid, found.creator_pn.as_ref(), None)),
        created_at: found
            .creation_time
            .and_then(|s| Timestamp::from_second(s.try_into().ok()?).ok()),
        is_announcement: found.is_announcement,
        is_locked: found.is_locked,
        is_community: found.is_parent_group,
        community: found.parent_group_jid.map(|jid| GroupId::from_jid(jid.to_non_ad_string())),
        ephemeral_s: found.ephemeral.and_then(|timer| timer.expiration).unwrap_or_default(),
        participants,
    }
}

fn participant(member: &GroupParticipant) -> Participant {
    let role = match member.participant_type {
        ParticipantType::SuperAdmin => GroupRole::Owner,
        ParticipantType::Admin => GroupRole::Admin,
        _ => GroupRole::Member,
    };
    Participant {
        who: address(&member.jid, member.phone_number.as_ref(), member.lid.as_ref()),
        role,
    }
}

fn address(jid: &Jid, phone: Option<&Jid>, lid: Option<&Jid>) -> Address {
    group_reports::address([Some(jid), phone, lid])
}

fn named(id: &Jid, subject: &str) -> Group {
    Group { id: GroupId::from_jid(id.to_non_ad_string()), name: storable(subject).into_owned() }
}

fn jid_of(group: &GroupId) -> Jid {
    Jid::group(group.user())
}
/// Whether a group names its members by LID.
pub(crate) async fn is_by_lid(client: &Client, group: &Jid) -> bool {
    let known = client.groups().query_info(group).await;
    known.is_ok_and(|known| known.addressing_mode == AddressingMode::Lid)
}
