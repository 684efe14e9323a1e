//! Who is who: one person has one chat and one sender, whichever name WhatsApp uses.
//!
//! Invariants: of one device a LID has one number and a number one LID; a message whose chat or sender
//! has a number in `identities` is stored under that number. Both sides hold the lock on the device, or a
//! message could be stored under a LID just after its number was learnt.

use std::collections::{BTreeSet, HashMap};

use domain::chat::{ChatId, Lid};
use domain::contact::Identity;
use domain::device::Device;
use domain::ids::DeviceId;
use domain::message::{Address, Message};
use domain::phone::PhoneNumber;
use domain::webhook::Event;
use jiff::Timestamp;

use super::{chats, people_known, spellings};
use crate::sql::{FindRows, InsertRows, Param, Row, SqlResult, Tx, Type, params, whole_millis};
use crate::{deliveries, devices, fence, stored};

/// See [`domain::ports::MessageStore::identify`].
pub(crate) async fn identify(
    tx: &mut Tx,
    device: DeviceId,
    identities: Vec<Identity>,
    now: Timestamp,
) -> SqlResult<Vec<Event>> {
    fence::check(tx, [device]).await?;
    let mut events = Vec::new();
    let mut owner: Option<Device> = None;
    for identity in identities {
        let known = Known::of(tx, device, &identity).await?;
        if known.phone.as_ref() == Some(&identity.phone) {
            continue;
        }
        if owner.is_none() {
            owner = devices::locked_device(tx, device).await?;
        }
        let Some(owner) = &owner else { return Ok(Vec::new()) };
        if known.replace(tx, device, &identity).await? {
            events.push(Event::of_contact(identity, owner, whole_millis(now)));
        }
    }
    deliveries::enqueue(tx, &events.iter().collect::<Vec<_>>()).await?;
    Ok(events)
}

/// What is known of the two names of an identity.
struct Known {
    /// The number that the LID has.
    phone: Option<PhoneNumber>,
    /// Whose LID the number has.
    lid: Option<Lid>,
}

impl Known {
    async fn of(tx: &mut Tx, device: DeviceId, identity: &Identity) -> SqlResult<Self> {
        const PHONE: &str = "SELECT phone FROM identities WHERE device_id = $1 AND lid = $2";
        const LID: &str = "SELECT lid FROM identities WHERE device_id = $1 AND phone = $2";
        let device = device.to_string();
        let phone = tx.query_one(PHONE, params![&device, identity.lid.as_str()]).await?;
        let lid = tx.query_one(LID, params![&device, identity.phone.as_str()]).await?;
        let phone = phone.map(|mut row| row.text()).transpose()?.map(PhoneNumber::from_digits);
        Ok(Self { phone, lid: lid.map(|mut row| row.text()).transpose()?.map(Lid::from_jid) })
    }

    /// Puts the identity in the place of what was known; whether messages of the person have changed.
    async fn replace(self, tx: &mut Tx, device: DeviceId, identity: &Identity) -> SqlResult<bool> {
        const FORGET: &str = "DELETE FROM identities WHERE device_id = $1 AND lid = $2";
        const INSERT: &str = "INSERT INTO identities (device_id, lid, phone) VALUES ($1, $2, $3)
            ON CONFLICT (device_id, lid) DO UPDATE SET phone = excluded.phone";
        let id = device.to_string();
        let by_number = Name::of_phone(&identity.phone, Some(&identity.lid))?;
        if let Some(former) = &self.lid {
            // What was exchanged over the number so far is the former owner's.
            let by_lid = Name::of_lid(former)?;
            rename_all(tx, &id, &Name::of_phone(&identity.phone, None)?, &by_lid).await?;
            tx.execute(FORGET, params![&id, former.as_str()]).await?;
        }
        let changed = match &self.phone {
            Some(former) => rename_all(tx, &id, &Name::of_phone(former, None)?, &by_number).await?,
            None => rename_lid(tx, &id, &Name::of_lid(&identity.lid)?, &by_number).await?,
        };
        let (lid, phone) = (identity.lid.as_str(), identity.phone.as_str());
        tx.execute(INSERT, params![&id, lid, phone]).await?;
        Ok(changed > 0)
    }
}

/// How a person is written in the rows of messages.
struct Name {
    chat: String,
    /// In `sender_key`.
    key: String,
    sender: String,
}

impl Name {
    fn of_phone(phone: &PhoneNumber, lid: Option<&Lid>) -> SqlResult<Self> {
        let sender = Address { phone: Some(phone.clone()), lid: lid.cloned() };
        Ok(Self {
            chat: ChatId::Person(phone.clone()).to_string(),
            key: phone.as_str().to_owned(),
            sender: stored::address::write(&sender)?,
        })
    }

    fn of_lid(lid: &Lid) -> SqlResult<Self> {
        let sender = Address { phone: None, lid: Some(lid.clone()) };
        let (chat, key) = (lid.to_string(), lid.to_string());
        Ok(Self { chat, key, sender: stored::address::write(&sender)? })
    }
}

/// Whether anything is stored under a LID. Of somebody who is written to for the first time nothing is, and one
/// look takes the place of nine statements.
async fn is_named_by(tx: &mut Tx, device: &str, lid: &Name) -> SqlResult<bool> {
    const ANY: &str = "SELECT CAST(1 AS BIGINT) WHERE EXISTS (SELECT 1 FROM messages
            WHERE device_id = $1 AND chat = $2 AND chat LIKE '%@lid')
        OR EXISTS (SELECT 1 FROM messages
            WHERE device_id = $1 AND sender_key = $3 AND sender_key LIKE '%@lid')
        OR EXISTS (SELECT 1 FROM contacts WHERE device_id = $1 AND chat = $2)
        OR EXISTS (SELECT 1 FROM people_known WHERE device_id = $1 AND chat = $2)
        OR EXISTS (SELECT 1 FROM chats WHERE device_id = $1 AND chat = $2)";
    Ok(tx.query_one(ANY, params![device, &lid.chat, &lid.key]).await?.is_some())
}

/// Moves what is stored under a LID; how many messages have changed.
async fn rename_lid(tx: &mut Tx, device: &str, from: &Name, to: &Name) -> SqlResult<u64> {
    const CHATS: &str = "UPDATE messages SET chat = $3
        WHERE device_id = $1 AND chat = $2 AND chat LIKE '%@lid'";
    // A message that came under both names stays as it is: there is one of it by number.
    const SENDERS: &str = "UPDATE messages SET sender = $3, sender_key = $4
        WHERE device_id = $1 AND sender_key = $2 AND sender_key LIKE '%@lid'
        AND NOT EXISTS (SELECT 1 FROM messages AS other WHERE other.device_id = $1
            AND other.whatsapp_id = messages.whatsapp_id AND other.sender_key = $4)";
    if !is_named_by(tx, device, from).await? {
        return Ok(0);
    }
    let chats = tx.execute(CHATS, params![device, &from.chat, &to.chat]).await?;
    let senders = tx.execute(SENDERS, params![device, &from.key, &to.sender, &to.key]).await?;
    rename_contact(tx, device, &from.chat, &to.chat).await?;
    Ok(chats + senders)
}

/// The same by reading all messages of the device, for want of an index of senders by number: a number changes
/// its owner, or a person the number, once in years.
async fn rename_all(tx: &mut Tx, device: &str, from: &Name, to: &Name) -> SqlResult<u64> {
    const CHATS: &str = "UPDATE messages SET chat = $3 WHERE device_id = $1 AND chat = $2";
    const SENDERS: &str = "UPDATE messages SET sender = $3, sender_key = $4
        WHERE device_id = $1 AND sender_key = $2
        AND NOT EXISTS (SELECT 1 FROM messages AS other WHERE other.device_id = $1
            AND other.whatsapp_id = messages.whatsapp_id AND other.sender_key = $4)";
    let chats = tx.execute(CHATS, params![device, &from.chat, &to.chat]).await?;
    let senders = tx.execute(SENDERS, params![device, &from.key, &to.sender, &to.key]).await?;
    rename_contact(tx, device, &from.chat, &to.chat).await?;
    Ok(chats + senders)
}

pub(super) async fn rename_contact(
    tx: &mut Tx,
    device: &str,
    from: &str,
    to: &str,
) -> SqlResult<()> {
    const COPY: &str = "INSERT INTO contacts (device_id, chat, first_at)
        SELECT device_id, CAST($3 AS TEXT), first_at FROM contacts WHERE device_id = $1 AND chat = $2
        ON CONFLICT DO NOTHING";
    const DELETE: &str = "DELETE FROM contacts WHERE device_id = $1 AND chat = $2";
    tx.execute(COPY, params![device, from, to]).await?;
    tx.execute(DELETE, params![device, from]).await?;
    people_known::rename(tx, device, from, to).await?;
    chats::rename(tx, device, from, to).await
}

/// Puts messages of people under the numbers that WhatsApp knows, where those are known: of people who are named
/// by LID, or by a second spelling of the number.
pub(super) async fn name_by_number<'m>(
    tx: &mut Tx,
    messages: impl Iterator<Item = &'m mut Message>,
) -> SqlResult<()> {
    let mut messages: Vec<&mut Message> = messages.collect();
    name_lids(tx, &mut messages).await?;
    spellings::follow(tx, &mut messages).await
}

/// The first half of [`name_by_number`]: people who are named by LID.
pub(super) async fn name_lids(tx: &mut Tx, messages: &mut [&mut Message]) -> SqlResult<()> {
    const FIND: FindRows = FindRows {
        select: "SELECT device_id, lid, phone FROM identities",
        key: &[("device_id", Type::Text), ("lid", Type::Text)],
        then: "",
    };
    let messages: Vec<&mut Message> = messages
        .iter_mut()
        .map(|message| &mut **message)
        .filter(|message| lids_of(message).next().is_some())
        .collect();
    if messages.is_empty() {
        return Ok(());
    }
    devices::lock_all(tx, &messages.iter().map(|message| message.device_id).collect()).await?;
    let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
    for message in &messages {
        let device = message.device_id.to_string();
        wanted.extend(lids_of(message).map(|lid| (device.clone(), lid.to_string())));
    }
    let keys: Vec<Vec<Param<'_>>> =
        wanted.iter().map(|(device, lid)| vec![device.into(), lid.into()]).collect();
    let read = |row: &mut Row| {
        let device = row.parsed(|text| text.parse::<DeviceId>().ok())?;
        Ok(((device, Lid::from_jid(row.text()?)), PhoneNumber::from_digits(row.text()?)))
    };
    let mut rows = tx.find(&FIND, &keys).await?;
    let phones: HashMap<(DeviceId, Lid), PhoneNumber> =
        rows.iter_mut().map(read).collect::<SqlResult<_>>()?;
    for message in messages {
        let device = message.device_id;
        let phone = |lid: &Lid| phones.get(&(device, lid.clone())).cloned();
        if let ChatId::Lid(lid) = &message.chat
            && let Some(phone) = phone(lid)
        {
            message.chat = ChatId::Person(phone);
        }
        if let Some(Address { phone: unknown @ None, lid: Some(lid) }) = &mut message.sender {
            *unknown = phone(lid);
        }
    }
    Ok(())
}

/// The LIDs by which a message names people whose numbers it does not name.
fn lids_of(message: &Message) -> impl Iterator<Item = &Lid> {
    let chat = if let ChatId::Lid(lid) = &message.chat { Some(lid) } else { None };
    let sender = message.sender.as_ref().filter(|sender| sender.phone.is_none());
    chat.into_iter().chain(sender.and_then(|sender| sender.lid.as_ref()))
}

/// See [`domain::ports::MessageStore::add_contacts`].
pub(crate) async fn add_known_chats(
    tx: &mut Tx,
    device: DeviceId,
    chats: Vec<ChatId>,
) -> SqlResult<()> {
    const INSERT: InsertRows = InsertRows {
        table: "contacts",
        columns: &[("device_id", Type::Text), ("chat", Type::Text), ("first_at", Type::Int)],
        then: "ON CONFLICT DO NOTHING",
    };
    fence::check(tx, [device]).await?;
    if devices::device(tx, device).await?.is_none() {
        return Ok(());
    }
    let (device, chats) =
        (device.to_string(), chats.iter().map(ChatId::jid).collect::<BTreeSet<_>>());
    // From before every day whose first contacts are counted.
    let row = |chat| vec![Param::from(&device), Param::from(chat), Param::from(0)];
    let rows: Vec<Vec<Param<'_>>> = chats.iter().map(|chat| row(chat.as_ref())).collect();
    tx.insert(&INSERT, &rows).await.map(drop)
}
