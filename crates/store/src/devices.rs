//! Devices.

use std::collections::{BTreeSet, HashMap, HashSet};

use domain::chat::Lid;
use domain::client::ShownAs;
use domain::device::{
    Device, DeviceFilter, DevicePatch, DeviceStatus, HEARTBEATS_KEPT, Heartbeats, IncomingSettings,
    LinkedNumber, NewDevice, StatusChange,
};
use domain::ids::{AccountId, DeviceId, DeviceNumber};
use domain::incoming_file::MediaDownload;
use domain::message::MessageEvent;
use domain::phone::PhoneNumber;
use domain::policy::pacing::Pacing;
use domain::ports::{CreatedDevice, MovedDevice, NewKey, Page, PageRequest, Recorded};
use domain::webhook::{Event, SealedSecret};
use jiff::Timestamp;

use crate::accounts::{lock_account, page_of};
use crate::files::{self, Erased};
use crate::messages::record;
use crate::rows::bounds;
use crate::sql::{Invalidation, Row, SqlError, SqlResult, Tx, params, to_json, whole_millis};
use crate::{deliveries, fence, keys, stored, webhooks};

macro_rules! select_devices {
    ($rest:literal) => {
        concat!(
            "SELECT number_id, id, account_id, name, status, reason, phone, lid, pacing, \
             shown_as, proxy, paired_at, connected_at, last_seen_at, created_at, restricted_until,
             media_download, incoming, banned_until FROM devices ",
            $rest
        )
    };
}

/// A pacing that cannot be read is left out, so that the gateway's default applies: losing the
/// device would be worse.
fn pacing_from(row: &mut Row) -> SqlResult<Option<Pacing>> {
    let text = row.opt_text()?;
    let pacing = text.as_deref().map(stored::pacing::read).transpose();
    Ok(pacing.unwrap_or_else(|_| {
        row.note("its pacing cannot be read: the gateway's default applies");
        None
    }))
}

/// As [`pacing_from`].
fn shown_as_from(row: &mut Row) -> SqlResult<ShownAs> {
    let text = row.opt_text()?;
    let shown_as = text.as_deref().map(stored::shown_as::read).transpose();
    Ok(shown_as
        .unwrap_or_else(|_| {
            row.note("how it is shown cannot be read: the gateway's default applies");
            None
        })
        .unwrap_or_default())
}

/// As [`pacing_from`].
fn incoming_from(row: &mut Row) -> SqlResult<IncomingSettings> {
    let text = row.opt_text()?;
    let incoming = text.as_deref().map(stored::incoming::read).transpose();
    Ok(incoming
        .unwrap_or_else(|_| {
            row.note("its settings for what comes in cannot be read: they are off");
            None
        })
        .unwrap_or_default())
}

fn device_from(row: &mut Row) -> SqlResult<Device> {
    let number_id = DeviceNumber(row.int()?);
    let mut device = Device {
        id: row.parsed(|text| text.parse().ok())?,
        number_id,
        account_id: AccountId(row.int()?),
        name: row.text()?,
        status: row.parsed(DeviceStatus::from_name)?,
        reason: row.opt_text()?,
        phone: row.opt_text()?.map(PhoneNumber::from_digits),
        lid: row.opt_text()?.map(Lid::from_jid),
        pacing: pacing_from(row)?,
        shown_as: shown_as_from(row)?,
        proxy: row.opt_blob()?.map(SealedSecret),
        paired_at: row.opt_time()?,
        connected_at: row.opt_time()?,
        last_seen_at: row.opt_time()?,
        created_at: row.time()?,
        restricted_until: None,
        banned_until: None,
        media_download: MediaDownload::default(),
        incoming: IncomingSettings::default(),
    };
    device.restricted_until = row.opt_time()?;
    let setting = row.opt_text()?;
    device.media_download =
        setting.and_then(|name| MediaDownload::from_name(&name)).unwrap_or_default();
    device.incoming = incoming_from(row)?;
    device.banned_until = row.opt_time()?;
    Ok(device)
}

/// Under which epoch a new device is owned.
pub(crate) const FIRST_EPOCH: i64 = 1;

pub(crate) async fn create_device(
    tx: &mut Tx,
    new: NewDevice,
    token: NewKey,
    limit: Option<i64>,
    now: Timestamp,
) -> SqlResult<CreatedDevice> {
    const COUNT: &str = "SELECT count(*) FROM devices WHERE account_id = $1";
    // The node that makes a device runs it: it is about to be linked.
    const INSERT: &str =
        "INSERT INTO devices (id, account_id, name, status, created_at, owner_node, owner_epoch)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let exists = lock_account(tx, new.account_id).await?;
    let count = tx.query_one(COUNT, params![new.account_id.0]).await?;
    let count = count.map(|mut row| row.int()).transpose()?.unwrap_or(0);
    // An account that has just been deleted may have no devices.
    if !exists || limit.is_some_and(|limit| count >= limit) {
        return Ok(CreatedDevice::LimitReached);
    }
    let id = new.id.to_string();
    let status = DeviceStatus::Unpaired.as_str();
    let node = tx.leases.node().map(|node| node.0);
    let values = params![&id, new.account_id.0, &new.name, status, now, node, FIRST_EPOCH];
    tx.execute(INSERT, values).await?;
    keys::insert_key(tx, new.account_id, Some(new.id), &token, now).await?;
    tx.touch(Invalidation::Device(new.id));
    let device = device(tx, new.id).await?;
    device
        .map(CreatedDevice::Created)
        .ok_or_else(|| SqlError::Fault("the new device is missing".into()))
}

/// One device of any account.
pub(crate) async fn device(tx: &mut Tx, id: DeviceId) -> SqlResult<Option<Device>> {
    const SELECT: &str = select_devices!("WHERE id = $1");
    let row = tx.query_one(SELECT, params![&id.to_string()]).await?;
    tx.single("devices", row, device_from)
}

/// Whether a device, readable or not, is an account's.
pub(crate) async fn is_owned(tx: &mut Tx, account: AccountId, id: DeviceId) -> SqlResult<bool> {
    const SELECT: &str = "SELECT id FROM devices WHERE id = $1 AND account_id = $2";
    Ok(tx.query_one(SELECT, params![&id.to_string(), account.0]).await?.is_some())
}

/// Several devices of any account.
pub(crate) async fn by_ids(
    tx: &mut Tx,
    ids: &BTreeSet<DeviceId>,
) -> SqlResult<HashMap<DeviceId, Device>> {
    const SELECT: &str = select_devices!("WHERE id IN (SELECT value FROM json_rows($1))");
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = tx.query(SELECT, params![&texts_json(ids)?]).await?;
    let devices = tx.readable("devices", rows, device_from);
    Ok(devices.into_iter().map(|device| (device.id, device)).collect())
}

/// Which of some devices exist, readable or not.
pub(crate) async fn existing(
    tx: &mut Tx,
    ids: &BTreeSet<DeviceId>,
) -> SqlResult<HashSet<DeviceId>> {
    const SELECT: &str = "SELECT id FROM devices WHERE id IN (SELECT value FROM json_rows($1))";
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = tx.query(SELECT, params![&texts_json(ids)?]).await?;
    rows.into_iter().map(|mut row| row.parsed(|text| text.parse().ok())).collect()
}

fn texts_json(ids: &BTreeSet<DeviceId>) -> SqlResult<String> {
    to_json(&ids.iter().map(DeviceId::to_string).collect::<Vec<_>>())
}

/// Locks some devices, in order, against all but the fences of other writes.
pub(crate) async fn lock_all(tx: &mut Tx, ids: &BTreeSet<DeviceId>) -> SqlResult<()> {
    const LOCK: &str = "SELECT id FROM devices WHERE id IN (SELECT value FROM json_rows($1))
        ORDER BY id FOR NO KEY UPDATE";
    tx.query(LOCK, params![&texts_json(ids)?]).await.map(drop)
}

pub(crate) async fn locked_device(tx: &mut Tx, id: DeviceId) -> SqlResult<Option<Device>> {
    const SELECT: &str = select_devices!("WHERE id = $1 FOR NO KEY UPDATE");
    let row = tx.query_one(SELECT, params![&id.to_string()]).await?;
    tx.single("devices", row, device_from)
}

pub(crate) async fn devices(
    tx: &mut Tx,
    account: AccountId,
    page: PageRequest,
) -> SqlResult<Page<Device>> {
    const SELECT: &str = select_devices!(
        "WHERE account_id = $1 AND number_id < $2 ORDER BY number_id DESC LIMIT $3"
    );
    let values = |before: i64, limit: i64| vec![account.0.into(), before.into(), limit.into()];
    let items = tx.fill("devices", SELECT, bounds(page), values, device_from).await?;
    Ok(page_of(items, page.limit))
}

pub(crate) async fn find_devices(
    tx: &mut Tx,
    account: AccountId,
    filter: DeviceFilter,
    limit: u32,
) -> SqlResult<Vec<Device>> {
    const OF_PHONE: &str = select_devices!(
        "WHERE account_id = $1 AND ($2 = 0 OR status = 'connected') AND phone = $4
         ORDER BY number_id LIMIT $3"
    );
    const ANY: &str = select_devices!(
        "WHERE account_id = $1 AND ($2 = 0 OR status = 'connected') ORDER BY number_id LIMIT $3"
    );
    const NUMBERED: &str = select_devices!("WHERE account_id = $1 AND number_id = $2");
    let (is_connected, limit) = (filter.is_connected, i64::from(limit));
    let rows = match (filter.number, &filter.phone) {
        (Some(number), _) => tx.query(NUMBERED, params![account.0, number.0]).await?,
        (None, Some(phone)) => {
            let values = params![account.0, is_connected, limit, phone.as_str()];
            tx.query(OF_PHONE, values).await?
        }
        (None, None) => tx.query(ANY, params![account.0, is_connected, limit]).await?,
    };
    let mut found = tx.readable("devices", rows, device_from);
    found.retain(|device| filter.matches(device));
    Ok(found)
}

pub(crate) async fn devices_to_choose(
    tx: &mut Tx,
    account: AccountId,
    limit: u32,
) -> SqlResult<Vec<Device>> {
    const SELECT: &str = select_devices!(
        "WHERE account_id = $1
         ORDER BY CASE WHEN status IN ('connecting', 'connected', 'disconnected') THEN 0 ELSE 1 END,
             number_id DESC
         LIMIT $2"
    );
    let rows = tx.query(SELECT, params![account.0, i64::from(limit)]).await?;
    Ok(tx.readable("devices", rows, device_from))
}

pub(crate) async fn count_devices(
    tx: &mut Tx,
    account: Option<AccountId>,
) -> SqlResult<Vec<(DeviceStatus, i64)>> {
    const OF_ALL: &str = "SELECT status, COUNT(*) FROM devices GROUP BY status ORDER BY status";
    const OF_ACCOUNT: &str = "SELECT status, COUNT(*) FROM devices WHERE account_id = $1
        GROUP BY status ORDER BY status";
    let rows = match account {
        None => tx.query(OF_ALL, &[]).await?,
        Some(account) => tx.query(OF_ACCOUNT, params![account.0]).await?,
    };
    let counted = |row: &mut Row| Ok((row.parsed(DeviceStatus::from_name)?, row.int()?));
    Ok(tx.readable("devices", rows, counted))
}

pub(crate) async fn all_devices(tx: &mut Tx) -> SqlResult<Vec<Device>> {
    const SELECT: &str = select_devices!("ORDER BY number_id");
    let rows = tx.query(SELECT, &[]).await?;
    Ok(tx.readable("devices", rows, device_from))
}

pub(crate) async fn update_device(
    tx: &mut Tx,
    account: AccountId,
    id: DeviceId,
    patch: DevicePatch,
) -> SqlResult<Option<Device>> {
    // What is not changed stays as it is, also where it cannot be read.
    const UPDATE: &str = "UPDATE devices
        SET name = $2, pacing = CASE WHEN $3 = 1 THEN $4 ELSE pacing END,
            shown_as = CASE WHEN $5 = 1 THEN $6 ELSE shown_as END,
            proxy = CASE WHEN $7 = 1 THEN $8 ELSE proxy END, media_download = $9,
            incoming = CASE WHEN $10 = 1 THEN $11 ELSE incoming END,
            revision = revision + 1
        WHERE id = $1";
    let device = locked_device(tx, id).await?.filter(|device| device.account_id == account);
    let Some(device) = device else { return Ok(None) };
    let incoming = patch.incoming(device.incoming.clone());
    let incoming_json = stored::incoming::write(incoming.clone())?;
    let is_new_incoming = incoming != device.incoming;
    let name = patch.name.unwrap_or(device.name);
    let is_new_pacing = patch.pacing.is_some();
    let pacing = patch.pacing.unwrap_or(device.pacing);
    let pacing_json = pacing.as_ref().map(stored::pacing::write).transpose()?;
    let (is_newly_shown, is_new_proxy) = (patch.shown_as.is_some(), patch.proxy.is_some());
    let shown_as = patch.shown_as.unwrap_or(device.shown_as);
    let shown_json = stored::shown_as::write(&shown_as)?;
    let proxy = patch.proxy.unwrap_or(device.proxy);
    let proxy_bytes = proxy.as_ref().map(|sealed| sealed.0.as_slice());
    let media_download = patch.media_download.unwrap_or(device.media_download);
    let (id_text, new) = (id.to_string(), (is_new_pacing, is_newly_shown, is_new_proxy));
    let values = params![
        &id_text,
        &name,
        new.0,
        &pacing_json,
        new.1,
        &shown_json,
        new.2,
        proxy_bytes,
        media_download.as_str(),
        is_new_incoming,
        &incoming_json
    ];
    tx.execute(UPDATE, values).await?;
    tx.touch(Invalidation::Device(id));
    Ok(Some(Device { name, pacing, shown_as, proxy, media_download, incoming, ..device }))
}

pub(crate) async fn set_device_status(
    tx: &mut Tx,
    id: DeviceId,
    change: StatusChange,
) -> SqlResult<Option<MovedDevice>> {
    const UPDATE: &str = "UPDATE devices SET status = $2, reason = $3, phone = $4, lid = $5,
        paired_at = $6, connected_at = $7, last_seen_at = $8, restricted_until = $9,
        banned_until = $10 WHERE id = $1";
    fence::check(tx, [id]).await?;
    let Some(mut device) = locked_device(tx, id).await? else { return Ok(None) };
    let before = device.status;
    apply_status(&mut device, &change);
    let phone = device.phone.as_ref().map(PhoneNumber::as_str);
    let times = (device.paired_at, device.connected_at, device.last_seen_at);
    let (id_text, status) = (id.to_string(), device.status.as_str());
    let (reason, lid) = (&device.reason, device.lid.as_ref().map(Lid::as_str));
    let (restricted, banned) = (device.restricted_until, device.banned_until);
    let values = params![
        &id_text, status, reason, phone, lid, times.0, times.1, times.2, restricted, banned
    ];
    tx.execute(UPDATE, values).await?;
    tx.touch(Invalidation::Device(id));
    let events = Event::of_device(before, &device, &change);
    deliveries::enqueue(tx, &events.iter().collect::<Vec<_>>()).await?;
    Ok(Some(MovedDevice { device, events }))
}

pub(crate) async fn restrict_device(
    tx: &mut Tx,
    id: DeviceId,
    until: Option<Timestamp>,
    now: Timestamp,
) -> SqlResult<Option<MovedDevice>> {
    const UPDATE: &str = "UPDATE devices SET restricted_until = $2 WHERE id = $1";
    fence::check(tx, [id]).await?;
    let Some(mut device) = locked_device(tx, id).await? else { return Ok(None) };
    let until = until.map(whole_millis);
    let is_news = until != device.restricted_until;
    device.restricted_until = until;
    tx.execute(UPDATE, params![&id.to_string(), until]).await?;
    tx.touch(Invalidation::Device(id));
    let news = until.filter(|until| is_news && *until > now);
    let event = |until| Event::of_restriction(&device, until, whole_millis(now));
    let events: Vec<Event> = news.map(event).into_iter().collect();
    deliveries::enqueue(tx, &events.iter().collect::<Vec<_>>()).await?;
    Ok(Some(MovedDevice { device, events }))
}

fn apply_status(device: &mut Device, change: &StatusChange) {
    let at = Some(whole_millis(change.at));
    if device.status == DeviceStatus::Connected && change.status != DeviceStatus::Connected {
        device.last_seen_at = at;
    }
    if change.status == DeviceStatus::Connected {
        device.connected_at = at;
    }
    if let Some(LinkedNumber { phone, lid }) = &change.linked {
        // The restriction was the other number's.
        device.restricted_until.take_if(|_| device.phone.as_ref() != Some(phone));
        device.phone = Some(phone.clone());
        device.lid.clone_from(lid);
        device.paired_at = at;
    }
    device.banned_until = device.ban_after(change).map(whole_millis);
    device.status = change.status;
    device.reason.clone_from(&change.reason);
}

pub(crate) async fn beat(tx: &mut Tx, devices: Vec<DeviceId>, at: Timestamp) -> SqlResult<()> {
    const BEAT: &str = "INSERT INTO heartbeats (device_id, hour, minutes)
        SELECT id, CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM devices WHERE id = $1
        ON CONFLICT (device_id, hour) DO UPDATE SET minutes = heartbeats.minutes | excluded.minutes";
    const OLD: &str = "DELETE FROM heartbeats WHERE device_id = $1 AND hour < $2";
    let beat = Heartbeats::at(at);
    let minutes = i64::try_from(beat.minutes).unwrap_or_default();
    let oldest = Heartbeats::at(at.saturating_sub(HEARTBEATS_KEPT).unwrap_or(Timestamp::MIN)).hour;
    let is_new_hour = beat.list() == [0];
    for id in devices {
        let id = id.to_string();
        tx.execute(BEAT, params![&id, beat.hour, minutes]).await?;
        if is_new_hour {
            tx.execute(OLD, params![&id, oldest]).await?;
        }
    }
    Ok(())
}

pub(crate) async fn heartbeats(
    tx: &mut Tx,
    account: AccountId,
    id: DeviceId,
    since: Timestamp,
) -> SqlResult<Vec<Heartbeats>> {
    const SELECT: &str = "SELECT hour, minutes FROM heartbeats WHERE device_id = $1 AND hour >= $3
        AND EXISTS (SELECT 1 FROM devices WHERE id = $1 AND account_id = $2) ORDER BY hour";
    let since = Heartbeats::at(since).hour;
    let mut rows = tx.query(SELECT, params![&id.to_string(), account.0, since]).await?;
    let read = |row: &mut Row| {
        let (hour, minutes) = (row.time()?, row.int()?);
        Ok(Heartbeats { hour, minutes: u64::try_from(minutes).unwrap_or_default() })
    };
    rows.iter_mut().map(read).collect()
}

pub(crate) async fn discard_waiting(
    tx: &mut Tx,
    account: AccountId,
    id: DeviceId,
) -> SqlResult<()> {
    lock_account(tx, account).await?;
    record::erase_unreadable(tx, account, id).await
}

pub(crate) async fn delete_device(
    tx: &mut Tx,
    account: AccountId,
    id: DeviceId,
    now: Timestamp,
) -> SqlResult<Option<Vec<Recorded>>> {
    const PARTS: [&str; 13] = [
        "DELETE FROM devices WHERE id = $1",
        "DELETE FROM people_known WHERE device_id = $1",
        "DELETE FROM chats WHERE device_id = $1",
        "DELETE FROM grants WHERE device_id = $1",
        "DELETE FROM keys WHERE device_id = $1",
        "DELETE FROM keys WHERE bound_to = $1",
        "DELETE FROM session WHERE device_id = $1",
        "DELETE FROM contacts WHERE device_id = $1",
        "DELETE FROM heartbeats WHERE device_id = $1",
        "DELETE FROM identities WHERE device_id = $1",
        "DELETE FROM spellings WHERE device_id = $1",
        "DELETE FROM amendments WHERE device_id = $1",
        "DELETE FROM portal_links WHERE device_id = $1",
    ];
    const LOCK: &str = "SELECT id FROM devices WHERE id = $1 AND account_id = $2 FOR UPDATE";
    lock_account(tx, account).await?;
    if tx.query_one(LOCK, params![&id.to_string(), account.0]).await?.is_none() {
        return Ok(None);
    }
    fence::check(tx, [id]).await?;
    let cancelled =
        record::end_all(tx, account, id, MessageEvent::Withdrawn, whole_millis(now)).await?;
    record::erase_unreadable(tx, account, id).await?;
    for part in PARTS {
        tx.execute(part, params![&id.to_string()]).await?;
    }
    files::erase(tx, Erased::Device(id)).await?;
    webhooks::erase_of_device(tx, account, id).await?;
    tx.touch(Invalidation::Device(id));
    tx.touch(Invalidation::Keys);
    Ok(Some(cancelled))
}
