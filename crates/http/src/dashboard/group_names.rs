//! What groups are called where messages are listed: as their chats say, and of those to which nothing has gone
//! yet, as WhatsApp says, which is asked now and then only.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use domain::chat::{Chat, ChatId, GroupId};
use domain::device::Group;
use domain::error::Error;
use domain::ids::DeviceId;
use domain::message::Message;
use domain::service::Principal;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::show;
use crate::state::AppState;

/// How long a page waits for WhatsApp to name a device's groups.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a name counts without another question.
const NAME_KEPT: SignedDuration = SignedDuration::from_hours(1);
/// How long WhatsApp is not asked again for a group that it did not name.
const ASKED_AGAIN: SignedDuration = SignedDuration::from_mins(2);
/// Most devices whose groups are kept.
const DEVICES_MAX: usize = 256;

/// The names of groups, by device.
pub(super) type GroupNames = BTreeMap<(DeviceId, ChatId), String>;

/// What WhatsApp has said of the groups of devices.
#[derive(Default)]
pub(crate) struct KnownGroups(Mutex<HashMap<DeviceId, Listed>>);

/// The groups of a device.
struct Listed {
    at: Timestamp,
    names: HashMap<GroupId, String>,
}

impl KnownGroups {
    fn name(&self, device: DeviceId, group: &GroupId) -> Option<String> {
        self.0.lock().get(&device)?.names.get(group).cloned()
    }

    /// Whether WhatsApp is to be asked for the name of a group.
    fn is_due(&self, device: DeviceId, group: &GroupId, now: Timestamp) -> bool {
        let known = self.0.lock();
        let Some(listed) = known.get(&device) else { return true };
        let kept = if listed.names.contains_key(group) { NAME_KEPT } else { ASKED_AGAIN };
        now.duration_since(listed.at) >= kept
    }

    /// Keeps what WhatsApp has said. It is asked seldom also where it says nothing; then the names stay that it
    /// gave before.
    fn keep(&self, device: DeviceId, groups: Option<Vec<Group>>, now: Timestamp) {
        let names = groups.map(|groups| groups.into_iter().map(|group| (group.id, group.name)));
        let mut known = self.0.lock();
        if known.len() >= DEVICES_MAX && !known.contains_key(&device) {
            known.clear();
        }
        let listed =
            known.entry(device).or_insert_with(|| Listed { at: now, names: HashMap::new() });
        listed.at = now;
        if let Some(names) = names {
            listed.names = names.collect();
        }
    }
}

/// What the conversation of a message is called; one that has no name has its address only.
pub(super) async fn name_of(
    state: &AppState,
    principal: &Principal,
    message: &Message,
) -> Result<String, Error> {
    let (device, chat) = (message.device_id, &message.chat);
    match state.core().chat(principal, device, chat.clone()).await {
        Ok(Chat { name: Some(name), .. }) => return Ok(name),
        Ok(_) | Err(Error::NotFound(_)) => {}
        Err(error) => return Err(error),
    }
    let listed = match chat {
        ChatId::Group(group) => listed_name(state, principal, device, group).await,
        _ => None,
    };
    Ok(listed.unwrap_or_else(|| show::chat(chat)))
}

/// What WhatsApp calls a group of a device.
async fn listed_name(
    state: &AppState,
    principal: &Principal,
    device: DeviceId,
    group: &GroupId,
) -> Option<String> {
    let (known, now) = (state.known_groups(), state.core().now());
    if known.is_due(device, group, now) {
        let groups = timeout(ANSWER_TIME_MAX, state.core().groups(principal, device)).await;
        // The page is there without the name, too.
        known.keep(device, groups.ok().and_then(Result::ok), now);
    }
    known.name(device, group)
}

/// What the chat of a message is called in a list.
pub(super) fn shown(names: &GroupNames, message: &Message) -> String {
    let name = names.get(&(message.device_id, message.chat.clone()));
    name.cloned().unwrap_or_else(|| show::chat(&message.chat))
}

/// What the groups of these messages are called.
pub(super) async fn group_names(
    state: &AppState,
    principal: &Principal,
    messages: &[Message],
) -> Result<GroupNames, Error> {
    let mut names = GroupNames::new();
    for message in messages.iter().filter(|message| message.is_in_group()) {
        if let Entry::Vacant(entry) = names.entry((message.device_id, message.chat.clone())) {
            entry.insert(name_of(state, principal, message).await?);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn whatsapp_is_asked_now_and_then_only() {
        let (known, device) = (KnownGroups::default(), DeviceId(Uuid::nil()));
        let [tim, other] = ["1@g.us", "2@g.us"].map(GroupId::from_jid);
        let now = Timestamp::UNIX_EPOCH;
        assert!(known.is_due(device, &tim, now));
        known.keep(device, Some(vec![Group { id: tim.clone(), name: "Tim".into() }]), now);
        assert_eq!(known.name(device, &tim).as_deref(), Some("Tim"));
        assert_eq!(known.name(device, &other), None);
        for (group, after_s, is_due) in [
            (&tim, 0, false),
            (&tim, 3_599, false),
            (&tim, 3_600, true),
            (&other, 119, false),
            (&other, 120, true),
        ] {
            let later = now + SignedDuration::from_secs(after_s);
            assert_eq!(known.is_due(device, group, later), is_due, "{group:?} {after_s}");
        }
        // An answer that does not come takes no name away; one that comes does.
        let later = now + SignedDuration::from_hours(1);
        known.keep(device, None, later);
        assert_eq!(known.name(device, &tim).as_deref(), Some("Tim"));
        assert!(!known.is_due(device, &tim, later) && !known.is_due(device, &other, later));
        known.keep(device, Some(Vec::new()), later);
        assert_eq!(known.name(device, &tim), None);
    }
}
