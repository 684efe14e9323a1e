//! What was really written for a message. WhatsApp acknowledges a stanza that no device of the
//! recipient can open, and the library writes one when it could encrypt for our own devices only.
//!
//! Invariants: the acknowledgement of such a stanza is not reported, whether it comes before or after
//! the stanza was looked at, nor one that [`Verdict`] leaves to who wrote the stanza; what a group's members were not sent is not remembered as sent.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use wacore::messages::MessageUtils;
use wacore_binary::{Jid, JidExt as _, Node, OwnedNodeRef};
use whatsapp_rust::futures::channel::oneshot;
use whatsapp_rust::{Client, NodeFilter};

use crate::events::Me;
use crate::limits::HOLLOW_MAX;

/// The stanzas of a device's messages that are not acknowledged yet.
#[derive(Debug, Default)]
pub(crate) struct SentStanzas(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By message, in the order they were written, which is that of their acknowledgements.
    unacknowledged: HashMap<String, VecDeque<Arc<SentStanza>>>,
    /// The newest of each group that is being written.
    by_group: HashMap<String, Arc<SentStanza>>,
    /// Messages of which nothing but stanzas that cannot be opened was written.
    hollow: HashSet<String>,
}

/// One stanza of a message.
#[derive(Debug)]
pub(crate) struct SentStanza {
    me: Me,
    node: Mutex<oneshot::Receiver<Arc<Node>>>,
    written: OnceLock<Written>,
    ack: Mutex<oneshot::Receiver<Arc<OwnedNodeRef>>>,
}

/// What WhatsApp answers to a stanza, beyond having it or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The recipient's LID is outdated: the message went nowhere.
    StaleLid,
    /// The recipient is a stranger whom the number may not write to.
    Stranger,
    /// The message is faulty, as it is where people are addressed otherwise by now.
    Faulty,
}

impl Verdict {
    /// The code of an acknowledgement that refuses a message to a stranger.
    pub(crate) const STRANGER_CODE: u16 = 463;
    /// The code of an acknowledgement that refuses a faulty message.
    pub(crate) const FAULTY_CODE: u16 = 400;

    /// What an acknowledgement says; `None` when it says nothing of that.
    pub(crate) fn read(ack: &OwnedNodeRef) -> Option<Self> {
        let ack = ack.get();
        let says = |key: &str, value: &str| {
            ack.attrs().optional_string(key).is_some_and(|said| said == value)
        };
        if says("refresh_lid", "true") {
            return Some(Self::StaleLid);
        }
        if says("error", "400") {
            return Some(Self::Faulty);
        }
        says("error", "463").then_some(Self::Stranger)
    }
}

/// A stanza as it was written.
#[derive(Debug)]
pub(crate) struct Written {
    /// Where it was sent to, in the addressing that the library has chosen.
    pub(crate) to: Jid,
    /// The devices that it carries something for.
    pub(crate) devices: Vec<Jid>,
    /// The hash of all the devices it was meant for.
    pub(crate) phash: Option<String>,
    /// Whether it proves that the recipient has let the number write.
    pub(crate) has_token: bool,
    is_openable: bool,
}

impl SentStanzas {
    /// Looks at the next stanza of a message, which is about to be written.
    pub(crate) fn expect(&self, client: &Client, id: &str, to: &Jid, me: Me) -> Arc<SentStanza> {
        let node = client.wait_for_sent_node(NodeFilter::tag("message").attr("id", id));
        let ack = client.wait_for_node(ack_of(id));
        let stanza = Arc::new(SentStanza::new(me, node, ack));
        let mut state = self.0.lock();
        if to.is_group() {
            state.by_group.insert(to.to_string(), stanza.clone());
        }
        state.unacknowledged.entry(id.to_owned()).or_default().push_back(stanza.clone());
        stanza
    }

    /// The message was written, or was not: whether a device of the recipient can open it.
    pub(crate) fn conclude(&self, id: &str, to: &Jid, stanza: &Arc<SentStanza>) -> bool {
        let written = stanza.written();
        let mut state = self.0.lock();
        if to.is_group() {
            state.by_group.remove(&to.to_string());
        }
        if written.is_none() {
            state.forget(id, stanza);
        }
        match written.is_some_and(|written| written.is_openable) {
            true => state.hollow.remove(id),
            false => state.add_hollow(id),
        };
        written.is_some_and(|written| written.is_openable)
    }

    /// WhatsApp has acknowledged a stanza of a message, or refused it: whether that is the outcome.
    pub(crate) fn acknowledged(&self, id: &str) -> bool {
        let mut state = self.0.lock();
        let Some(stanzas) = state.unacknowledged.get_mut(id) else {
            return !state.hollow.contains(id);
        };
        let stanza = stanzas.pop_front();
        if stanzas.is_empty() {
            state.unacknowledged.remove(id);
        }
        stanza.is_none_or(|stanza| {
            let is_openable = stanza.written().is_none_or(|written| written.is_openable);
            is_openable && stanza.verdict().is_none()
        })
    }

    /// A new connection begins: nothing that was written before is acknowledged over it.
    pub(crate) fn begin_connection(&self) {
        let mut state = self.0.lock();
        state.unacknowledged.clear();
        state.by_group.clear();
    }

    /// Of the members that the library takes for holders of a group's key, those that were sent it.
    pub(crate) fn really_keyed<'a>(
        &self,
        group: &str,
        members: &[(&'a str, bool)],
    ) -> Vec<(&'a str, bool)> {
        let stanza = self.0.lock().by_group.get(group).cloned();
        let Some(written) = stanza.as_deref().and_then(SentStanza::written) else {
            return members.to_vec();
        };
        let keyed: HashSet<String> = written.devices.iter().map(Jid::to_string).collect();
        let is_so = |(member, has_key): &&(&str, bool)| !has_key || keyed.contains(*member);
        members.iter().filter(is_so).copied().collect()
    }
}

impl State {
    fn forget(&mut self, id: &str, stanza: &Arc<SentStanza>) {
        if let Some(stanzas) = self.unacknowledged.get_mut(id) {
            stanzas.retain(|other| !Arc::ptr_eq(other, stanza));
            if stanzas.is_empty() {
                self.unacknowledged.remove(id);
            }
        }
    }

    fn add_hollow(&mut self, id: &str) -> bool {
        if self.hollow.len() >= HOLLOW_MAX {
            self.hollow.clear();
        }
        self.hollow.insert(id.to_owned())
    }
}

/// The acknowledgement of a message's stanza.
pub(crate) fn ack_of(id: &str) -> NodeFilter {
    NodeFilter::tag("ack").attr("class", "message").attr("id", id)
}

impl SentStanza {
    fn new(
        me: Me,
        node: oneshot::Receiver<Arc<Node>>,
        ack: oneshot::Receiver<Arc<OwnedNodeRef>>,
    ) -> Self {
        let (node, ack) = (Mutex::new(node), Mutex::new(ack));
        Self { me, node, written: OnceLock::new(), ack }
    }

    /// What its acknowledgement says beside; the library resolves waiters before it reports one.
    fn verdict(&self) -> Option<Verdict> {
        let ack = self.ack.lock().try_recv().ok().flatten()?;
        Verdict::read(&ack)
    }

    /// The stanza; `None` when none was written yet.
    pub(crate) fn written(&self) -> Option<&Written> {
        let mut node = self.node.lock();
        if self.written.get().is_none() {
            let node = node.try_recv().ok().flatten()?;
            let _ = self.written.set(Written::read(&node, &self.me)?);
        }
        self.written.get()
    }
}

impl Written {
    fn read(node: &Node, me: &Me) -> Option<Self> {
        let to = node.attrs.get("to")?.to_jid()?;
        let participants = node.get_optional_child("participants");
        let addressed: Vec<(Jid, bool)> = match participants {
            Some(participants) => participants.get_children_by_tag("to").filter_map(one).collect(),
            None => vec![(to.clone(), is_first(node))],
        };
        let phash = match node.attrs.get("phash") {
            Some(phash) => Some(phash.to_string()),
            None => MessageUtils::participant_list_hash(addressed.iter().map(|(jid, _)| jid)).ok(),
        };
        // A first message cannot be opened without the proof of who sends it.
        let has_proof = node.get_optional_child("device-identity").is_some();
        let is_with_me = me.is(&to);
        let can_open =
            |(jid, is_first): &(Jid, bool)| (is_with_me || !me.is(jid)) && (has_proof || !is_first);
        // Members of a group that miss its key ask for the message.
        let is_openable = to.is_group() || addressed.iter().any(can_open);
        let devices = addressed.into_iter().map(|(jid, _)| jid).collect();
        let has_token = ["tctoken", "cstoken"]
            .into_iter()
            .any(|token| node.get_optional_child(token).is_some());
        Some(Self { to, devices, phash, has_token, is_openable })
    }
}

/// A device, and whether it is sent the first message of a session.
fn one(to: &Node) -> Option<(Jid, bool)> {
    Some((to.attrs.get("jid")?.to_jid()?, is_first(to)))
}

/// The device of a group's member that a stanza is a copy for, when the copy begins a session: it can then be
/// opened with no more than the device's own keys.
pub(crate) fn fresh_copy_for(node: &Node) -> Option<String> {
    let device = node.attrs.get("participant")?.to_jid()?;
    is_first(node).then(|| device.to_string())
}

fn is_first(node: &Node) -> bool {
    node.get_children_by_tag("enc")
        .any(|enc| enc.attrs.get("type").is_some_and(|kind| *kind == "pkmsg"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore_binary::builder::NodeBuilder;

    fn me() -> Me {
        let jid = |text: &str| Some(text.parse().unwrap());
        Me { pn: jid("628111:7@s.whatsapp.net"), lid: jid("100:7@lid") }
    }

    fn stanza(to: &str, devices: &[(&str, &'static str)], has_proof: bool) -> Node {
        let devices = devices.iter().map(|(jid, kind)| {
            let enc = NodeBuilder::new("enc").attr("type", *kind).build();
            let jid: Jid = jid.parse().unwrap();
            NodeBuilder::new("to").attr("jid", jid).children([enc]).build()
        });
        let mut content = vec![NodeBuilder::new("participants").children(devices).build()];
        content.extend(has_proof.then(|| NodeBuilder::new("device-identity").build()));
        let to: Jid = to.parse().unwrap();
        NodeBuilder::new("message").attr("to", to).children(content).build()
    }

    #[test]
    fn what_nobody_else_can_open_is_hollow() {
        let (theirs, ours) = ("628222@s.whatsapp.net", "628111@s.whatsapp.net");
        for (to, devices, has_proof, expected) in [
            (theirs, vec![("628222:1@s.whatsapp.net", "msg"), (ours, "msg")], false, true),
            (theirs, vec![(ours, "msg"), ("100:3@lid", "msg")], true, false),
            (theirs, vec![(theirs, "pkmsg")], true, true),
            (theirs, vec![(theirs, "pkmsg")], false, false),
            (ours, vec![(ours, "msg")], false, true),
            ("200@lid", vec![("200@lid", "msg")], false, true),
        ] {
            let written = Written::read(&stanza(to, &devices, has_proof), &me()).unwrap();
            assert_eq!(written.is_openable, expected, "{to} {devices:?}");
        }
    }

    #[test]
    fn a_fresh_copy_is_for_a_member_and_begins_a_session() {
        let copy = |participant: Option<&str>, kind: &'static str| {
            let enc = NodeBuilder::new("enc").attr("type", kind).build();
            let mut copy = NodeBuilder::new("message").attr("to", "120363000000000001@g.us");
            if let Some(participant) = participant {
                copy = copy.attr("participant", participant.parse::<Jid>().unwrap());
            }
            fresh_copy_for(&copy.children([enc]).build())
        };
        let member = "628222:3@s.whatsapp.net";
        assert_eq!(copy(Some(member), "pkmsg").as_deref(), Some(member));
        assert_eq!(copy(Some(member), "msg"), None, "it may have lost the session");
        assert_eq!(copy(None, "pkmsg"), None);
    }

    /// A stanza that a test writes.
    fn expect(stanzas: &SentStanzas, id: &str) -> (Arc<SentStanza>, oneshot::Sender<Arc<Node>>) {
        let (sender, node) = oneshot::channel();
        let (_, ack) = oneshot::channel();
        let stanza = Arc::new(SentStanza::new(me(), node, ack));
        let mut state = stanzas.0.lock();
        state.unacknowledged.entry(id.to_owned()).or_default().push_back(stanza.clone());
        (stanza, sender)
    }

    #[test]
    fn the_acknowledgement_of_a_hollow_stanza_means_nothing() {
        let to: Jid = "628222@s.whatsapp.net".parse().unwrap();
        let hollow = stanza("628222@s.whatsapp.net", &[("628111@s.whatsapp.net", "msg")], true);
        let whole = stanza("628222@s.whatsapp.net", &[("628222@s.whatsapp.net", "msg")], true);
        for acknowledged_early in [true, false] {
            let stanzas = SentStanzas::default();
            let (first, node) = expect(&stanzas, "M1");
            node.send(Arc::new(hollow.clone())).unwrap();
            if acknowledged_early {
                assert!(!stanzas.acknowledged("M1"));
            }
            assert!(!stanzas.conclude("M1", &to, &first));
            let (second, node) = expect(&stanzas, "M1");
            node.send(Arc::new(whole.clone())).unwrap();
            assert!(stanzas.conclude("M1", &to, &second));
            if !acknowledged_early {
                assert!(!stanzas.acknowledged("M1"), "the first stanza's");
            }
            assert!(stanzas.acknowledged("M1"), "the second one's");
            assert!(stanzas.acknowledged("M1"), "one for a resend");
        }
    }

    #[test]
    fn what_was_not_written_is_not_waited_for() {
        let to: Jid = "628222@s.whatsapp.net".parse().unwrap();
        let stanzas = SentStanzas::default();
        let (stanza, _node) = expect(&stanzas, "M1");
        assert!(!stanzas.conclude("M1", &to, &stanza));
        assert!(!stanzas.acknowledged("M1"), "nothing was written for it");
        assert!(stanzas.acknowledged("M2"), "of another one");
    }

    #[test]
    fn only_members_that_were_sent_the_key_count_as_holders() {
        let stanzas = SentStanzas::default();
        let group = "120@g.us";
        let members = [("628222@s.whatsapp.net", true), ("628333@s.whatsapp.net", true)];
        assert_eq!(stanzas.really_keyed(group, &members), members);
        let (stanza_of_group, node) = expect(&stanzas, "M1");
        stanzas.0.lock().by_group.insert(group.to_owned(), stanza_of_group);
        node.send(Arc::new(stanza(group, &[("628222@s.whatsapp.net", "msg")], true))).unwrap();
        assert_eq!(stanzas.really_keyed(group, &members), members[..1]);
        let forgotten = [("628333@s.whatsapp.net", false)];
        assert_eq!(stanzas.really_keyed(group, &forgotten), forgotten);
    }
}
