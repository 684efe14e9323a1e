//! Spellings: a number can be written in two ways in some countries, and WhatsApp knows one of them.
//!
//! Invariant: a message whose chat is a number in `spellings` is stored under the account's number. What a
//! spelling points to is no spelling itself.

use std::collections::{BTreeSet, HashMap};

use domain::chat::ChatId;
use domain::contact::Spelling;
use domain::ids::{AccountId, DeviceId};
use domain::message::Message;
use domain::phone::PhoneNumber;

use super::identities::rename_contact;
use crate::sql::{FindRows, Param, Row, SqlResult, Tx, Type, params};
use crate::{devices, fence};

/// See [`domain::ports::MessageStore::spell`].
pub(crate) async fn spell(tx: &mut Tx, device: DeviceId, new: Spelling) -> SqlResult<()> {
    const KNOWN: &str = "SELECT phone FROM spellings WHERE device_id = $1 AND spelling = $2";
    const FORGET: &str = "DELETE FROM spellings WHERE device_id = $1 AND spelling = $2";
    const FOLLOW: &str = "UPDATE spellings SET phone = $3 WHERE device_id = $1 AND phone = $2";
    const INSERT: &str = "INSERT INTO spellings (device_id, spelling, phone) VALUES ($1, $2, $3)
        ON CONFLICT (device_id, spelling) DO UPDATE SET phone = excluded.phone";
    const CHATS: &str = "UPDATE messages SET chat = $4
        WHERE account_id = $1 AND device_id = $2 AND chat = $3";
    fence::check(tx, [device]).await?;
    let Some(owner) = devices::locked_device(tx, device).await? else { return Ok(()) };
    let id = device.to_string();
    let (spelling, phone) = (new.spelling.as_str(), new.phone.as_str());
    let known = tx.query_one(KNOWN, params![&id, spelling]).await?;
    let known = known.map(|mut row| row.text()).transpose()?;
    if spelling == phone || known.as_deref() == Some(phone) {
        return Ok(());
    }
    tx.execute(FORGET, params![&id, phone]).await?;
    tx.execute(FOLLOW, params![&id, spelling, phone]).await?;
    tx.execute(INSERT, params![&id, spelling, phone]).await?;
    let chat = |phone: PhoneNumber| ChatId::Person(phone).to_string();
    let (from, to) = (chat(new.spelling.clone()), chat(new.phone.clone()));
    tx.execute(CHATS, params![owner.account_id.0, &id, &from, &to]).await?;
    rename_contact(tx, &id, &from, &to).await
}

/// Puts messages to second spellings into the chats of the accounts' numbers: the second half of
/// [`super::identities::name_by_number`].
pub(super) async fn follow(tx: &mut Tx, messages: &mut [&mut Message]) -> SqlResult<()> {
    // Most installations know none: a group of messages costs one look then, not one for each.
    const ANY: &str = "SELECT phone FROM spellings LIMIT 1";
    const FIND: FindRows = FindRows {
        select: "SELECT device_id, spelling, phone FROM spellings",
        key: &[("device_id", Type::Text), ("spelling", Type::Text)],
        then: "",
    };
    let mut wanted: BTreeSet<(DeviceId, &str)> = BTreeSet::new();
    for message in &*messages {
        if let ChatId::Person(phone) = &message.chat {
            wanted.insert((message.device_id, phone.as_str()));
        }
    }
    if wanted.is_empty() || tx.query_one(ANY, &[]).await?.is_none() {
        return Ok(());
    }
    let wanted: Vec<(String, &str)> =
        wanted.into_iter().map(|(device, phone)| (device.to_string(), phone)).collect();
    let keys: Vec<Vec<Param<'_>>> =
        wanted.iter().map(|(device, phone)| vec![device.into(), (*phone).into()]).collect();
    let read = |row: &mut Row| {
        let device = row.parsed(|text| text.parse::<DeviceId>().ok())?;
        let spelling = PhoneNumber::from_digits(row.text()?);
        Ok(((device, spelling), PhoneNumber::from_digits(row.text()?)))
    };
    let mut rows = tx.find(&FIND, &keys).await?;
    let phones: HashMap<(DeviceId, PhoneNumber), PhoneNumber> =
        rows.iter_mut().map(read).collect::<SqlResult<_>>()?;
    if phones.is_empty() {
        return Ok(());
    }
    for message in messages {
        if let ChatId::Person(written) = &message.chat
            && let Some(phone) = phones.get(&(message.device_id, written.clone()))
        {
            message.chat = ChatId::Person(phone.clone());
        }
    }
    Ok(())
}

/// See [`domain::ports::MessageStore::number_of`].
pub(crate) async fn number_of(
    tx: &mut Tx,
    account: AccountId,
    chat: ChatId,
) -> SqlResult<Option<PhoneNumber>> {
    const OF_LID: &str = "SELECT identities.phone FROM identities
        JOIN devices ON devices.id = identities.device_id
        WHERE devices.account_id = $1 AND identities.lid = $2 LIMIT 1";
    const OF_SPELLING: &str = "SELECT spellings.phone FROM spellings
        JOIN devices ON devices.id = spellings.device_id
        WHERE devices.account_id = $1 AND spellings.spelling = $2 LIMIT 1";
    let (select, name) = match &chat {
        ChatId::Lid(lid) => (OF_LID, lid.as_str()),
        ChatId::Person(phone) => (OF_SPELLING, phone.as_str()),
        ChatId::Group(_) | ChatId::Other(_) => return Ok(None),
    };
    let row = tx.query_one(select, params![account.0, name]).await?;
    Ok(row.map(|mut row| row.text()).transpose()?.map(PhoneNumber::from_digits))
}
