//! What groups are called where messages are listed: as their chats say, and of those to which nothing has gone
//! yet, as WhatsApp says, which is asked now and then only.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use domain::chat::{Chat, ChatId, GroupId};
use domain::device::Group;
use domain::error::Error;
use domain::ids::DeviceId;
use domain::message::Message;
use domain::service::Principal;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::show;
use crate::state::AppState;

/// How long a page waits for WhatsApp to name groups.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// Most devices that a page asks at once; it asks the others when it is looked at again.
const ASKED_AT_ONCE_MAX: usize = 32;
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
    let chats = BTreeSet::from([(message.device_id, message.chat.clone())]);
    Ok(shown(&names_of(state, principal, chats).await?, message))
}

/// What the chat of a message is called in a list.
pub(super) fn shown(names: &GroupNames, message: &Message) -> String {
    called(names, message.device_id, &message.chat)
}

/// What a chat is called among others.
pub(super) fn called(names: &GroupNames, device: DeviceId, chat: &ChatId) -> String {
    let name = names.get(&(device, chat.clone()));
    name.cloned().unwrap_or_else(|| show::chat(chat))
}

/// What the groups of these messages are called.
pub(super) async fn group_names(
    state: &AppState,
    principal: &Principal,
    messages: &[Message],
) -> Result<GroupNames, Error> {
    let groups = messages.iter().filter(|message| message.is_in_group());
    let groups = groups.map(|message| (message.device_id, message.chat.clone()));
    names_of(state, principal, groups.collect()).await
}

/// What these chats are called, those that have a name.
pub(super) async fn names_of(
    state: &AppState,
    principal: &Principal,
    chats: BTreeSet<(DeviceId, ChatId)>,
) -> Result<GroupNames, Error> {
    let (mut names, mut unnamed) = (GroupNames::new(), Vec::new());
    for (device, chat) in chats {
        match state.core().chat(principal, device, chat.clone()).await {
            Ok(Chat { name: Some(name), .. }) => drop(names.insert((device, chat), name)),
            Ok(_) | Err(Error::NotFound(_)) => {
                if let ChatId::Group(group) = chat {
                    unnamed.push((device, group));
                }
            }
            Err(error) => return Err(error),
        }
    }
    ask(state, principal, &unnamed).await;
    for (device, group) in unnamed {
        if let Some(name) = state.known_groups().name(device, &group) {
            names.insert((device, ChatId::Group(group)), name);
        }
    }
    Ok(names)
}

/// Asks WhatsApp for the groups of the devices whose answer is too old, of all of them at once: together they
/// take no longer than one. The page is there without their names, too.
async fn ask(state: &AppState, principal: &Principal, groups: &[(DeviceId, GroupId)]) {
    let (known, now) = (state.known_groups(), state.core().now());
    let due = groups.iter().filter(|(device, group)| known.is_due(*device, group, now));
    let due: BTreeSet<DeviceId> = due.map(|(device, _)| *device).collect();
    let answers = due.into_iter().take(ASKED_AT_ONCE_MAX).map(|device| async move {
        let groups = timeout(ANSWER_TIME_MAX, state.core().groups(principal, device)).await;
        known.keep(device, groups.ok().and_then(Result::ok), now);
    });
    join_all(answers).await;
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
