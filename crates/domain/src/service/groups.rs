//! Groups of a device's number, asked and changed through the device.

use crate::audit::Action;
use crate::chat::{ChatId, GroupId};
use crate::device::{DeviceStatus, Group};
use crate::error::{Error, Result};
use crate::group::{
    GROUP_DESCRIPTION_MAX, GROUP_NAME_MAX, GroupAnswer, GroupDetails, GroupPicture, GroupRequest,
    GroupSetting, MemberChange, MemberOutcome, PARTICIPANTS_MAX,
};
use crate::ids::{AccountId, DeviceId};
use crate::media::MediaSource;
use crate::phone::PhoneNumber;
use crate::plan::Feature;
use crate::ports::{ChatFilter, PageRequest};
use crate::scope::Scope;
use crate::service::content::check_bytes;
use crate::service::{Core, Principal};
use crate::text::is_blank;

impl Core {
    /// The groups the number of a connected device is in.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::FeatureMissing`], [`Error::DeviceNotConnected`],
    /// [`Error::Whatsapp`].
    pub async fn groups(&self, principal: &Principal, id: DeviceId) -> Result<Vec<Group>> {
        principal.require(Scope::Read)?;
        self.require_groups(principal, id).await?;
        self.dispatcher.groups(id).await
    }

    /// What is known of a group.
    ///
    /// # Errors
    /// As [`Core::groups`]; [`Error::NotFound`] also when the number is not in it.
    pub async fn group(
        &self,
        principal: &Principal,
        id: DeviceId,
        group: &str,
    ) -> Result<GroupDetails> {
        principal.require(Scope::Read)?;
        let group = group_id(group)?;
        self.require_groups(principal, id).await?;
        details(self.dispatcher.group(id, GroupRequest::Show(group)).await?)
    }

    /// Creates a group. Who cannot be added, such as for privacy settings, is not among its members.
    ///
    /// # Errors
    /// As [`Core::groups`]; [`Error::Invalid`].
    pub async fn create_group(
        &self,
        principal: &Principal,
        id: DeviceId,
        name: &str,
        participants: &[String],
    ) -> Result<GroupDetails> {
        principal.require(Scope::Send)?;
        let name = group_name(name)?;
        let people = people(principal, "participants", participants)?;
        self.require_groups(principal, id).await?;
        let made = details(self.dispatcher.group(id, GroupRequest::Create(name, people)).await?)?;
        let subject = format!("{} {}", made.group.id.as_str(), made.group.name);
        self.note(principal, Action::GroupCreated, subject).await;
        Ok(made)
    }

    /// Changes a group's settings, one after the other; the group as it is then.
    ///
    /// # Errors
    /// As [`Core::group`]; [`Error::Invalid`]; [`Error::Conflict`] when the number is no admin.
    pub async fn change_group(
        &self,
        principal: &Principal,
        id: DeviceId,
        group: &str,
        settings: Vec<GroupSetting>,
    ) -> Result<GroupDetails> {
        principal.require(Scope::Send)?;
        let group = group_id(group)?;
        let settings = settings.into_iter().map(checked).collect::<Result<Vec<_>>>()?;
        let settings = settings.into_iter().map(|setting| self.check_picture(setting));
        let settings = settings.collect::<Result<Vec<_>>>()?;
        self.require_groups(principal, id).await?;
        let account = principal.account_id()?;
        for setting in settings {
            let setting = self.with_picture(account, setting).await?;
            self.dispatcher.group(id, GroupRequest::Set(group.clone(), setting)).await?;
            self.note_group(principal, id, Action::GroupChanged, &group).await;
        }
        details(self.dispatcher.group(id, GroupRequest::Show(group)).await?)
    }

    /// Changes a group's members: one outcome for each, in order.
    ///
    /// # Errors
    /// As [`Core::change_group`].
    pub async fn change_members(
        &self,
        principal: &Principal,
        id: DeviceId,
        group: &str,
        change: MemberChange,
        (field, participants): (&'static str, &[String]),
    ) -> Result<Vec<MemberOutcome>> {
        principal.require(Scope::Send)?;
        let group = group_id(group)?;
        let people = people(principal, field, participants)?;
        self.require_groups(principal, id).await?;
        let request = GroupRequest::Change(group.clone(), change, people);
        match self.dispatcher.group(id, request).await? {
            GroupAnswer::Members(outcomes) => {
                self.note_group(principal, id, Action::GroupMembersChanged, &group).await;
                Ok(outcomes)
            }
            _ => Err(unexpected()),
        }
    }

    /// The number leaves a group.
    ///
    /// # Errors
    /// As [`Core::group`].
    pub async fn leave_group(
        &self,
        principal: &Principal,
        id: DeviceId,
        group: &str,
    ) -> Result<()> {
        principal.require(Scope::Send)?;
        let group = group_id(group)?;
        self.require_groups(principal, id).await?;
        self.dispatcher.group(id, GroupRequest::Leave(group.clone())).await?;
        self.note_group(principal, id, Action::GroupLeft, &group).await;
        Ok(())
    }

    /// A group's invite link; a new one, after which the earlier one is void, when `is_new`.
    ///
    /// # Errors
    /// As [`Core::change_group`].
    pub async fn group_invite(
        &self,
        principal: &Principal,
        id: DeviceId,
        group: &str,
        is_new: bool,
    ) -> Result<String> {
        principal.require(Scope::Send)?;
        let group = group_id(group)?;
        self.require_groups(principal, id).await?;
        match self.dispatcher.group(id, GroupRequest::Invite(group.clone(), is_new)).await? {
            GroupAnswer::Link(link) => {
                if is_new {
                    self.note_group(principal, id, Action::GroupInviteRenewed, &group).await;
                }
                Ok(link)
            }
            _ => Err(unexpected()),
        }
    }

    /// Notes what was done to a group, with what its chat is called: who reads it later may not find that any more.
    async fn note_group(
        &self,
        principal: &Principal,
        id: DeviceId,
        action: Action,
        group: &GroupId,
    ) {
        let name = self.name_of_group(principal, id, group).await.unwrap_or_default();
        let subject = format!("{} {name}", group.as_str());
        self.note(principal, action, subject.trim_end()).await;
    }

    async fn name_of_group(
        &self,
        principal: &Principal,
        id: DeviceId,
        group: &GroupId,
    ) -> Option<String> {
        let chat = Some(ChatId::Group(group.clone()));
        let filter = ChatFilter { device: Some(id), chat, ..ChatFilter::default() };
        let page = PageRequest { before: None, limit: 1 };
        let found = self.store.chats(principal.account_id().ok()?, &filter, page).await.ok()?;
        found.items.into_iter().next()?.name
    }

    fn check_picture(&self, setting: GroupSetting) -> Result<GroupSetting> {
        let GroupSetting::Picture(Some(GroupPicture::Asked(source))) = setting else {
            return Ok(setting);
        };
        let field = |error| match error {
            Error::Invalid { message, .. } => Error::invalid("picture", message),
            other => other,
        };
        let source = match source {
            MediaSource::Url(url) => MediaSource::Url(self.check_media_url(url).map_err(field)?),
            MediaSource::Inline(bytes) => MediaSource::Inline(check_bytes(bytes).map_err(field)?),
        };
        Ok(GroupSetting::Picture(Some(GroupPicture::Asked(source))))
    }

    /// Makes the picture that is asked for, where it is one.
    async fn with_picture(
        &self,
        account: AccountId,
        setting: GroupSetting,
    ) -> Result<GroupSetting> {
        let GroupSetting::Picture(Some(GroupPicture::Asked(source))) = setting else {
            return Ok(setting);
        };
        let made = self.dispatcher.make_picture(account, &source).await?;
        Ok(GroupSetting::Picture(Some(GroupPicture::Jpeg(made))))
    }

    async fn require_groups(&self, principal: &Principal, id: DeviceId) -> Result<()> {
        let device = self.device(principal, id).await?;
        principal.require_feature(Feature::Groups)?;
        if device.status != DeviceStatus::Connected {
            return Err(Error::DeviceNotConnected(device.status.as_str()));
        }
        Ok(())
    }
}

fn details(answer: GroupAnswer) -> Result<GroupDetails> {
    match answer {
        GroupAnswer::Details(details) => Ok(*details),
        _ => Err(unexpected()),
    }
}

fn unexpected() -> Error {
    Error::Whatsapp("the answer made no sense".into())
}

/// A group's id, with or without its server. One of another form is none of the number's groups.
fn group_id(text: &str) -> Result<GroupId> {
    let user = text.strip_suffix("@g.us").unwrap_or(text);
    let is_id = !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_id.then(|| GroupId::from_user(user)).ok_or(Error::NotFound("group"))
}

fn group_name(name: &str) -> Result<String> {
    let name = name.trim();
    let is_odd =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match name.chars().count() {
        1..=GROUP_NAME_MAX if !is_blank(name) && !name.contains(is_odd) => Ok(name.to_owned()),
        _ => Err(Error::invalid(
            "subject",
            format!("must have 1 to {GROUP_NAME_MAX} characters in one line, none of control"),
        )),
    }
}

fn checked(setting: GroupSetting) -> Result<GroupSetting> {
    match setting {
        GroupSetting::Name(name) => group_name(&name).map(GroupSetting::Name),
        GroupSetting::Description(Some(text)) => description(&text).map(GroupSetting::Description),
        other => Ok(other),
    }
}

fn description(text: &str) -> Result<Option<String>> {
    // Forms end their lines so.
    let text = text.trim().replace("\r\n", "\n");
    let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.chars().count() > GROUP_DESCRIPTION_MAX || text.contains(is_odd) {
        let message =
            format!("must have at most {GROUP_DESCRIPTION_MAX} characters, none of control");
        return Err(Error::invalid("description", message));
    }
    Ok((!text.is_empty()).then_some(text))
}

/// People by number or LID, each once.
fn people(principal: &Principal, field: &'static str, texts: &[String]) -> Result<Vec<ChatId>> {
    if texts.is_empty() || texts.len() > PARTICIPANTS_MAX {
        let expected = format!("must name 1 to {PARTICIPANTS_MAX} people");
        return Err(Error::invalid(field, expected));
    }
    let country = &principal.account()?.default_country;
    let mut known = std::collections::HashSet::new();
    let mut people = Vec::with_capacity(texts.len());
    for text in texts {
        let person = match ChatId::from(text.as_str()) {
            person @ (ChatId::Person(_) | ChatId::Lid(_)) => person,
            ChatId::Group(_) => return Err(Error::invalid(field, "a group cannot join a group")),
            ChatId::Other(_) => {
                let phone = PhoneNumber::parse(text, country);
                ChatId::Person(phone.map_err(|error| Error::invalid(field, error.to_string()))?)
            }
        };
        if known.insert(person.clone()) {
            people.push(person);
        }
    }
    Ok(people)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_groups_are_seen_and_stand_in_one_line() {
        let long = "é".repeat(GROUP_NAME_MAX);
        for name in ["a", " Tim\u{200b} ", long.as_str()] {
            assert_eq!(group_name(name).ok().as_deref(), Some(name.trim()), "{name:?}");
        }
        let longer = format!("{long}é");
        for wrong in ["", " ", "\u{200b}", "a\nb", "a\u{202e}b", longer.as_str()] {
            assert!(group_name(wrong).is_err(), "{wrong:?}");
        }
    }
}
