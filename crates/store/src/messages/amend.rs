//! Edits of messages, deletions for everyone and votes, applied to the messages they are about.
//!
//! One that comes before its message, or while that cannot be read, waits in `amendments`, until the message comes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::content::ContentKind;
use domain::device::Device;
use domain::ids::{DeviceId, WhatsappId};
use domain::message::{Address, Amendment, Change, Message};
use domain::ports::Recorded;
use domain::structured::Vote;
use domain::webhook::{Event, EventDevice};
use jiff::Timestamp;

use super::clean::{BATCH_ROWS_MAX, CleanupBatch};
use super::{history_columns, message_from};
use crate::sql::{FindRows, InsertRows, Param, Row, SqlResult, Tx, Type, params, whole_millis};
use crate::stored;

/// How many of a device's newest messages are looked at for votes that came before their poll.
const RECENT_ROWS: i64 = 1_000;

/// A change, as it concerns a device.
pub(super) type Concerning = (DeviceId, Amendment);

/// What those that have come in change about other messages; what is nothing else is taken out of them.
pub(super) fn taken_from(arrived: &mut [Vec<Message>]) -> Vec<Vec<Concerning>> {
    let taken = arrived.iter_mut().map(|messages| {
        let of = |message: &Message| Some((message.device_id, Amendment::of(message)?));
        let changes = messages.iter().filter_map(of).collect();
        messages.retain(|message| !message.content.is_change());
        changes
    });
    taken.collect()
}

/// Names the answers that votes choose, where their polls are known.
pub(super) async fn name_choices(tx: &mut Tx, arrived: &mut [Vec<Message>]) -> SqlResult<()> {
    for message in arrived.iter_mut().flatten() {
        let Some(amendment) = Amendment::of(message) else { continue };
        let Change::Voted(vote) = &amendment.change else { continue };
        let Found::Message(poll) = find(tx, message.device_id, &amendment).await? else { continue };
        if let Some(poll) = poll.content.poll() {
            message.content.name_choices(poll.chosen(&vote.digests));
        }
    }
    Ok(())
}

/// Names the answers of votes that came before their polls, among the newest messages of their devices.
pub(super) async fn name_early_choices(tx: &mut Tx, early: &[Concerning]) -> SqlResult<()> {
    const RECENT: &str = concat!(
        "SELECT ",
        history_columns!(),
        " FROM messages WHERE device_id = $1 AND kind = 'poll_vote' AND id IN
            (SELECT id FROM messages WHERE device_id = $1 ORDER BY id DESC LIMIT $2)"
    );
    let is_vote = |(_, early): &&Concerning| matches!(early.change, Change::Voted(_));
    let polls: BTreeMap<(String, &str), &Concerning> = early
        .iter()
        .filter(is_vote)
        .map(|vote| ((vote.0.to_string(), vote.1.whatsapp_id.as_str()), vote))
        .collect();
    for ((device, id), (of, vote)) in polls {
        let Found::Message(poll) = find(tx, *of, vote).await? else { continue };
        let Some(poll) = poll.content.poll() else { continue };
        let rows = tx.query(RECENT, params![&device, RECENT_ROWS]).await?;
        for mut vote in tx.readable("messages", rows, message_from) {
            if vote.name_choices_of(id, poll) {
                put_content(tx, &vote).await?;
            }
        }
    }
    Ok(())
}

/// What a message that WhatsApp has now changes about another.
pub(super) fn sent(recorded: &Recorded) -> Option<Concerning> {
    Some((recorded.message.device_id, Amendment::of(&recorded.message)?))
}

/// Applies changes, in order; the messages that they have changed. One whose message is not known yet, or
/// cannot be read, is kept for it.
pub(super) async fn apply(
    tx: &mut Tx,
    changes: &[Concerning],
    devices: &HashMap<DeviceId, Device>,
) -> SqlResult<Vec<Recorded>> {
    let mut recorded = Vec::new();
    for (device, amendment) in changes {
        match find(tx, *device, amendment).await? {
            Found::Message(message) => {
                // What it turns out to be takes its place, context and all, and is changed then.
                if message.kind() == ContentKind::Unreadable {
                    keep(tx, *device, amendment).await?;
                }
                recorded.extend(amended(tx, *message, amendment, devices).await?);
            }
            Found::Nothing => keep(tx, *device, amendment).await?,
            Found::AnotherAuthors => {
                tracing::debug!(%device, "a change of another person's message is ignored");
            }
        }
    }
    Ok(recorded)
}

/// What the id of a message that is to be changed stands for.
enum Found {
    Message(Box<Message>),
    AnotherAuthors,
    Nothing,
}

async fn find(tx: &mut Tx, device: DeviceId, amendment: &Amendment) -> SqlResult<Found> {
    const SELECT: &str = concat!(
        "SELECT ",
        history_columns!(),
        " FROM messages WHERE device_id = $1 AND whatsapp_id = $2 ORDER BY id FOR UPDATE"
    );
    let device = device.to_string();
    let rows = tx.query(SELECT, params![&device, amendment.whatsapp_id.as_str()]).await?;
    let is_known = !rows.is_empty();
    let mut known = tx.readable("messages", rows, message_from).into_iter();
    Ok(match known.find(|message| amendment.is_of(message)) {
        Some(message) => Found::Message(Box::new(message)),
        None if is_known => Found::AnotherAuthors,
        None => Found::Nothing,
    })
}

async fn amended(
    tx: &mut Tx,
    mut message: Message,
    amendment: &Amendment,
    devices: &HashMap<DeviceId, Device>,
) -> SqlResult<Option<Recorded>> {
    if !message.amend(amendment) {
        return Ok(None);
    }
    put_content(tx, &message).await?;
    let device = devices.get(&message.device_id).map(EventDevice::from);
    let event = device.and_then(|device| Event::of_change(&message, &device, amendment));
    Ok(Some(Recorded { message, events: event.into_iter().collect(), is_new: false }))
}

async fn put_content(tx: &mut Tx, message: &Message) -> SqlResult<()> {
    const UPDATE: &str = "UPDATE messages SET text = $2, media = $3 WHERE id = $1";
    let content = stored::content::write(&message.content, &message.context)?;
    tx.execute(UPDATE, params![message.id.0, message.text(), &content]).await.map(drop)
}

/// The names of changes in the table.
const EDIT: &str = "edit";
const REVOKE: &str = "revoke";
/// Begins the names of votes, of which each person has one in a poll.
const VOTE: &str = "vote ";

async fn keep(tx: &mut Tx, device: DeviceId, amendment: &Amendment) -> SqlResult<()> {
    const INSERT: InsertRows = InsertRows {
        table: "amendments",
        columns: &[
            ("device_id", Type::Text),
            ("whatsapp_id", Type::Text),
            ("author_key", Type::Text),
            ("change", Type::Text),
            ("chat", Type::Text),
            ("author", Type::Text),
            ("text", Type::Text),
            ("at", Type::Int),
            ("mentions", Type::Text),
        ],
        then: "ON CONFLICT (device_id, whatsapp_id, author_key, change) DO UPDATE
            SET text = excluded.text, mentions = excluded.mentions, at = excluded.at
            WHERE excluded.at >= amendments.at",
    };
    let author = amendment.author.as_ref();
    let stored = author.map(stored::address::write).transpose()?;
    let mut mentioned = None;
    let (change, text) = match &amendment.change {
        Change::Edited { text, mentions } => {
            mentioned = mentions.as_ref().map(stored::mentions::write).transpose()?;
            (EDIT.into(), Some(Cow::Borrowed(&**text)))
        }
        Change::Revoked => (REVOKE.into(), None),
        Change::Voted(vote) => {
            (format!("{VOTE}{}", vote.voter), Some(Cow::Owned(vote.digests.join(" "))))
        }
        // It is about its own message, which is known.
        Change::Moved(_) => return Ok(()),
    };
    let (device, chat) = (device.to_string(), amendment.chat.to_string());
    let row: Vec<Param<'_>> = vec![
        (&device).into(),
        amendment.whatsapp_id.as_str().into(),
        author.map_or("", Address::key).into(),
        (&change).into(),
        (&chat).into(),
        (&stored).into(),
        text.as_deref().into(),
        amendment.at.into(),
        (&mentioned).into(),
    ];
    tx.insert(&INSERT, &[row]).await.map(drop)
}

/// Takes the changes of messages that have just come, in the order of their times.
pub(super) async fn take_early(tx: &mut Tx, came: &[&Message]) -> SqlResult<Vec<Concerning>> {
    const FIND: FindRows = FindRows {
        select: "SELECT device_id, whatsapp_id, change, chat, author, text, at, mentions FROM amendments",
        key: &[("device_id", Type::Text), ("whatsapp_id", Type::Text)],
        then: "ORDER BY at",
    };
    const DELETE: &str = "DELETE FROM amendments WHERE device_id = $1 AND whatsapp_id = $2";
    // A message may have come twice: as one that could not be read, and recovered.
    let names: BTreeSet<(String, &str)> = came
        .iter()
        .map(|message| (message.device_id.to_string(), message.whatsapp_id.as_str()))
        .collect();
    let keys: Vec<Vec<Param<'_>>> =
        names.iter().map(|(device, id)| vec![device.into(), (*id).into()]).collect();
    let mut early = Vec::new();
    for mut row in tx.find(&FIND, &keys).await? {
        early.push(early_from(&mut row)?);
    }
    for (device, amendment) in &early {
        let (device, id) = (device.to_string(), amendment.whatsapp_id.as_str());
        tx.execute(DELETE, params![&device, id]).await?;
    }
    Ok(early)
}

fn early_from(row: &mut Row) -> SqlResult<Concerning> {
    let device = row.parsed(|text| text.parse::<DeviceId>().ok())?;
    let (whatsapp_id, change) = (WhatsappId(row.text()?), row.text()?);
    let (chat, author): (_, Option<Address>) =
        (row.text()?.into(), row.opt_json(stored::address::read)?);
    let (text, at) = (row.opt_text()?.unwrap_or_default(), row.time()?);
    let mentions = row.opt_json(stored::mentions::read)?;
    let change = match change.strip_prefix(VOTE) {
        Some(voter) => {
            let digests = text.split_whitespace().map(str::to_owned).collect();
            Change::Voted(Vote { voter: voter.to_owned(), digests, at })
        }
        None if change == EDIT => Change::Edited { text: text.into(), mentions },
        None => Change::Revoked,
    };
    Ok((device, Amendment { chat, whatsapp_id, author, change, at }))
}

/// Deletes changes whose messages have not come for long.
pub(crate) async fn clean_up(tx: &mut Tx, before: Timestamp) -> SqlResult<CleanupBatch> {
    const OLD: &str = "DELETE FROM amendments WHERE (device_id, whatsapp_id) IN
        (SELECT device_id, whatsapp_id FROM amendments WHERE at < $1 LIMIT $2)";
    let rows = tx.execute(OLD, params![whole_millis(before), BATCH_ROWS_MAX]).await?;
    Ok(CleanupBatch::of(rows))
}
