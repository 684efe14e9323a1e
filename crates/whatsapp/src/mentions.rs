//! People whom a message mentions: its text calls them, behind an `@`, as the list beside it does.
//!
//! A group names its members by number or by LID, and so does a direct chat, as it is itself addressed; phones
//! highlight only those who are named so. Clients of the gateway know people by number wherever that is known.

use std::collections::HashMap;

use domain::chat::ChatId;
use domain::content::{Content, OutgoingContent};
use domain::context::Context;
use domain::message::TEXT_CHARS_MAX;
use tokio::time::timeout;
use wacore::client::context::GroupInfo;
use wacore_binary::{Jid, JidExt as _};
use waproto::whatsapp as wa;
use whatsapp_rust::Client;

use crate::incoming::{self, Names};
use crate::known_names::KnownNames;
use crate::limits::LOOK_UP_MAX;
use crate::message_context::mentioned;
use crate::outgoing::person_jid;

/// Other names of people, by what stands behind the `@`.
pub(crate) type OtherNames = HashMap<String, Jid>;

/// How a chat calls those of these people who are named otherwise; those of whom that is not known are missing.
pub(crate) async fn names_in_chat(
    client: &Client,
    chat: &Jid,
    people: &[String],
    by_lid: bool,
) -> OtherNames {
    let groups = client.groups();
    let members = match chat.is_group() {
        true => timeout(LOOK_UP_MAX, groups.query_info(chat)).await.ok().and_then(Result::ok),
        false => None,
    };
    let mut names = OtherNames::new();
    for jid in people.iter().map(|person| person_jid(&ChatId::from(person.as_str()))) {
        if jid.is_lid() == by_lid {
            continue;
        }
        let member = members.as_deref().and_then(|members| other_name(&jid, members));
        let name = match member {
            Some(name) => Some(name),
            None => other_name(&jid, &KnownNames::of(client, &[&jid]).await),
        };
        names.extend(name.map(|name| (jid.user.to_string(), name)));
    }
    names
}

/// The number of a LID, or the LID of a number.
fn other_name(jid: &Jid, names: &impl Names) -> Option<Jid> {
    match jid.is_lid() {
        true => names.phone(&jid.user).map(Jid::pn),
        false => names.lid(&jid.user).map(Jid::lid),
    }
}

impl Names for GroupInfo {
    fn phone(&self, lid: &str) -> Option<String> {
        self.phone_jid_for_lid_user(lid).map(|jid| jid.user.to_string())
    }

    fn lid(&self, phone: &str) -> Option<String> {
        self.lid_user_for_phone_user(phone).map(ToString::to_string)
    }
}

/// Gives people other names in a message that goes out.
pub(crate) fn rename(content: &mut OutgoingContent, context: &mut Context, names: &OtherNames) {
    for person in &mut context.mentions.people {
        let jid = person_jid(&ChatId::from(person.as_str()));
        if let Some(name) = names.get(&*jid.user) {
            *person = if name.is_lid() { name.to_string() } else { name.user.to_string() };
        }
    }
    match content {
        Content::Text(text) | Content::Edit(text) => *text = renamed(text, names).into(),
        Content::File(file) => file.caption = renamed(&file.caption, names),
        _ => {}
    }
}

/// Shows people by number in a message that came in, where that is known.
pub(crate) fn show_numbers(content: &mut Content, message: &wa::Message, names: &impl Names) {
    let by_lid = mentioned(message).into_iter().filter(|jid| jid.server.is_lid_family());
    let numbers: OtherNames = by_lid
        .filter_map(|jid| Some((jid.user.to_string(), Jid::pn(names.phone(&jid.user)?))))
        .collect();
    if numbers.is_empty() {
        return;
    }
    match content {
        Content::Text(text) => *text = renamed(text, &numbers).into(),
        Content::File(file) => file.caption = renamed(&file.caption, &numbers).into(),
        _ => {}
    }
}

/// The people whom a message mentions, or the text that it gives another one.
pub(crate) fn people(message: &wa::Message) -> Vec<Jid> {
    let message = incoming::unwrap(message);
    let protocol = message.protocol_message.as_option();
    let edited = protocol.and_then(|protocol| protocol.edited_message.as_option());
    mentioned(edited.map_or(message, incoming::unwrap))
}

/// A text in which people are called by their other names. One that would outgrow what is kept stays as it is:
/// nothing of it is lost.
fn renamed(text: &str, names: &OtherNames) -> String {
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let (before, after) = rest.split_at(at + 1);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (user, behind) = after.split_at(digits);
        renamed.push_str(before);
        renamed.push_str(names.get(user).map_or(user, |name| name.user.as_str()));
        rest = behind;
    }
    renamed.push_str(rest);
    if renamed.chars().count() > TEXT_CHARS_MAX { text.to_owned() } else { renamed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::context::Mentions;
    use wacore::types::message::AddressingMode;

    fn members() -> GroupInfo {
        let numbers = [("77".into(), Jid::pn("628777"))].into_iter().collect();
        GroupInfo::with_lid_to_pn_map(Vec::new(), AddressingMode::Lid, numbers)
    }

    #[test]
    fn people_are_called_as_their_group_calls_them() {
        let members = members();
        for (given, other) in [("628777", "77@lid"), ("77@lid", "628777@s.whatsapp.net")] {
            let jid = person_jid(&ChatId::from(given));
            assert_eq!(other_name(&jid, &members).unwrap().to_string(), other);
        }
        assert_eq!(other_name(&Jid::pn("628999"), &members), None);
        let names: OtherNames = [("628777".to_owned(), Jid::lid("77"))].into_iter().collect();
        let people = vec!["628777".to_owned(), "628999".to_owned()];
        let mentions = Mentions { people, all: false };
        let mut context = Context { mentions, ..Context::default() };
        let mut content = OutgoingContent::Text("@628777, @6287771 @628999 a@b @".into());
        rename(&mut content, &mut context, &names);
        assert_eq!(context.mentions.people, ["77@lid", "628999"]);
        assert_eq!(content, OutgoingContent::Text("@77, @6287771 @628999 a@b @".into()));
    }

    #[test]
    fn a_text_that_would_outgrow_what_is_kept_stays_as_it_is() {
        let names: OtherNames = [("7".to_owned(), Jid::pn("628777"))].into_iter().collect();
        let text = "@7".repeat(TEXT_CHARS_MAX / 2);
        assert_eq!(renamed(&text, &names), text);
        let text = format!("@7{}", "x".repeat(TEXT_CHARS_MAX - 7));
        let all_of_it = renamed(&text, &names);
        assert!(all_of_it.starts_with("@628777x") && all_of_it.len() == TEXT_CHARS_MAX);
    }
}
