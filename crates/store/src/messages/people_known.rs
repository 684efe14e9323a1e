//! The people that devices have exchanged messages with or have met in groups.

use std::collections::{BTreeMap, HashSet};

use domain::chat::ChatId;
use domain::contact::KnownPerson;
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::message::{Address, Direction, Message};
use domain::ports::{Page, PageRequest};
use jiff::Timestamp;

use crate::accounts::page_of;
use crate::rows::bounds;
use crate::sql::{InsertRows, Param, Row, SqlResult, Tx, Type, params};

/// Takes note of the people of messages that have come into the history.
pub(super) async fn note(tx: &mut Tx, messages: &[&Message], new: &[MessageId]) -> SqlResult<()> {
    const PUT: InsertRows = InsertRows {
        table: "people_known",
        columns: &[
            ("account_id", Type::Int),
            ("device_id", Type::Text),
            ("chat", Type::Text),
            ("name", Type::Text),
        ],
        then: "ON CONFLICT (device_id, chat) DO UPDATE SET name = excluded.name
            WHERE excluded.name IS NOT NULL AND excluded.name <> COALESCE(people_known.name, '')",
    };
    let new: HashSet<MessageId> = new.iter().copied().collect();
    // In order, so that no two transactions wait for each other.
    let mut people: BTreeMap<(String, String), (AccountId, Option<&str>)> = BTreeMap::new();
    for message in messages.iter().filter(|message| new.contains(&message.id)) {
        let Some(person) = person_of(message) else { continue };
        // Names of old are no news.
        let name = message.context.sender_name.as_deref().filter(|_| message.id.0 > 0);
        let key = (message.device_id.to_string(), person.to_string());
        let known = people.entry(key).or_insert((message.account_id, None));
        known.1 = name.or(known.1);
    }
    let rows: Vec<Vec<Param<'_>>> = people
        .iter()
        .map(|((device, chat), (account, name))| {
            vec![account.0.into(), device.into(), chat.into(), (*name).into()]
        })
        .collect();
    tx.insert(&PUT, &rows).await.map(drop)
}

/// Who wrote a message that came in, or to whom one was sent.
fn person_of(message: &Message) -> Option<ChatId> {
    let person = match message.direction() {
        Direction::In => message.sender.as_ref().and_then(chat_of)?,
        Direction::Out => message.chat.clone(),
    };
    matches!(person, ChatId::Person(_) | ChatId::Lid(_)).then_some(person)
}

fn chat_of(who: &Address) -> Option<ChatId> {
    let by_lid = || who.lid.clone().map(ChatId::Lid);
    who.phone.clone().map(ChatId::Person).or_else(by_lid)
}

/// See [`domain::ports::ChatStore::people_known`].
pub(crate) async fn list(
    tx: &mut Tx,
    account: AccountId,
    device: Option<DeviceId>,
    page: PageRequest,
) -> SqlResult<Page<KnownPerson>> {
    const SELECT: &str =
        "SELECT people_known.id, people_known.device_id, people_known.chat, name, identities.lid
        FROM people_known LEFT JOIN identities ON identities.device_id = people_known.device_id
            AND identities.phone = replace(people_known.chat, '@s.whatsapp.net', '')
        WHERE account_id = $1 AND ($2 = '' OR people_known.device_id = $2)
            AND people_known.id < $3
        ORDER BY people_known.id DESC LIMIT $4";
    let device = device.map(|id| id.to_string()).unwrap_or_default();
    let values = |before, limit| params![account.0, &device, before, limit].to_vec();
    let people = tx.fill("people_known", SELECT, bounds(page), values, person_from).await?;
    Ok(page_of(people, page.limit))
}

fn person_from(row: &mut Row) -> SqlResult<KnownPerson> {
    let id = row.int()?;
    let device = row.parsed(|text| text.parse().ok())?;
    let chat = ChatId::from(row.text()?);
    let (name, lid) = (row.opt_text()?, row.opt_text()?.map(domain::chat::Lid::from_jid));
    let who = match chat {
        ChatId::Person(phone) => Address { phone: Some(phone), lid },
        ChatId::Lid(lid) => Address { phone: None, lid: Some(lid) },
        ChatId::Group(_) | ChatId::Other(_) => Address::default(),
    };
    Ok(KnownPerson { id, device, who, name })
}

/// A person goes by another name.
pub(super) async fn rename(tx: &mut Tx, device: &str, from: &str, to: &str) -> SqlResult<()> {
    const NAME: &str = "UPDATE people_known SET name = COALESCE(name, (SELECT former.name
            FROM people_known AS former WHERE former.device_id = $1 AND former.chat = $2))
        WHERE device_id = $1 AND chat = $3";
    const DELETE: &str = "DELETE FROM people_known WHERE device_id = $1 AND chat = $2
        AND EXISTS (SELECT 1 FROM people_known AS other
            WHERE other.device_id = $1 AND other.chat = $3)";
    const MOVE: &str = "UPDATE people_known SET chat = $3 WHERE device_id = $1 AND chat = $2";
    for statement in [NAME, DELETE, MOVE] {
        tx.execute(statement, params![device, from, to]).await?;
    }
    Ok(())
}

/// See [`domain::ports::MessageStore::contacts`].
pub(crate) async fn contacts(
    tx: &mut Tx,
    device: DeviceId,
    since: Timestamp,
) -> SqlResult<(Vec<ChatId>, u32)> {
    const SELECT: &str = "SELECT device_id, chat, first_at FROM contacts WHERE device_id = $1";
    let rows = tx.query(SELECT, params![&device.to_string()]).await?;
    let contact = |row: &mut Row| row.text().and_then(|_| Ok((row.text()?.into(), row.time()?)));
    let contacts = tx.readable_owned("contacts", rows, contact);
    let is_new = |at: Timestamp| at.as_millisecond() >= since.as_millisecond();
    let new = contacts.iter().filter(|(_, at)| is_new(*at)).count();
    let chats = contacts.into_iter().map(|(chat, _)| chat).collect();
    Ok((chats, u32::try_from(new).unwrap_or(u32::MAX)))
}
