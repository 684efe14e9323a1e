//! The nodes of a database, and which of them runs which device.
//!
//! A claim locks `FOR UPDATE` what it takes and skips what is locked: it waits for no other claim, and a
//! write under the former epoch is either committed before or refused ([`crate::fence`]).

use std::time::Duration;

use domain::ids::{AccountId, DeliveryId, DeviceId, NodeId, WebhookId};
use domain::node::{Fleet, NewNode, Node, NodeAddress, OwnedDevice, OwnedWebhook, Registration};
use domain::policy::ownership::share_of;

use crate::sql::{Row, SqlError, SqlResult, Tx, params, to_json};

/// How long nodes are listed that have expired and own nothing.
const LISTED: Duration = Duration::from_secs(24 * 3_600);

/// Milliseconds for a parameter.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) async fn register(
    tx: &mut Tx,
    node: NewNode,
    lease: Duration,
) -> SqlResult<Registration> {
    const FORGET: &str = "DELETE FROM nodes WHERE expires_at < now_ms() - $1
        AND NOT EXISTS (SELECT 1 FROM devices WHERE devices.owner_node = nodes.id)";
    const REGISTER: &str = "INSERT INTO nodes
            (name, url, epoch, started_at, expires_at, capacity, version)
        VALUES ($1, $2, 1, now_ms(), now_ms() + $3, $4, $5)
        ON CONFLICT (name) DO UPDATE SET url = excluded.url, epoch = nodes.epoch + 1,
            started_at = excluded.started_at, expires_at = excluded.expires_at, draining = 0,
            capacity = excluded.capacity, version = excluded.version
        RETURNING id, epoch";
    const DEVICES: &str = "SELECT id FROM devices WHERE owner_node = $1 ORDER BY id FOR UPDATE";
    const RAISE: &str = "UPDATE devices SET owner_epoch = owner_epoch + 1 WHERE owner_node = $1";
    const WEBHOOKS: &str =
        "UPDATE webhooks SET owner_epoch = owner_epoch + 1 WHERE owner_node = $1";
    tx.execute(FORGET, params![millis(LISTED)]).await?;
    let capacity = i64::from(node.capacity);
    let values = params![&node.name, &node.url, millis(lease), capacity, &node.version];
    let row = tx.query_one(REGISTER, values).await?;
    let mut row = row.ok_or_else(|| SqlError::Fault("the node has no id".into()))?;
    let registration = Registration { node: NodeId(row.int()?), epoch: row.int()? };
    // Waits for the writes of the process before that are under way.
    tx.query(DEVICES, params![registration.node.0]).await?;
    tx.execute(RAISE, params![registration.node.0]).await?;
    tx.execute(WEBHOOKS, params![registration.node.0]).await?;
    Ok(registration)
}

pub(crate) async fn renew(
    tx: &mut Tx,
    registration: Registration,
    lease: Duration,
) -> SqlResult<bool> {
    const RENEW: &str = "UPDATE nodes SET expires_at = now_ms() + $3 WHERE id = $1 AND epoch = $2";
    let values = params![registration.node.0, registration.epoch, millis(lease)];
    Ok(tx.execute(RENEW, values).await? > 0)
}

pub(crate) async fn fleet(tx: &mut Tx, registration: Registration) -> SqlResult<Option<Fleet>> {
    const SELECT: &str = "SELECT draining,
            (SELECT count(*) FROM nodes WHERE expires_at > now_ms()),
            (SELECT count(*) FROM nodes WHERE expires_at > now_ms() AND draining = 0),
            (SELECT count(*) FROM nodes WHERE expires_at > now_ms() AND id < $1),
            (SELECT count(*) FROM devices),
            (SELECT count(*) FROM devices WHERE owner_node IS NULL OR owner_node NOT IN
                (SELECT id FROM nodes WHERE expires_at > now_ms())),
            (SELECT count(*) FROM devices WHERE owner_node = $1),
            (SELECT count(*) FROM webhooks WHERE disabled IS NULL),
            (SELECT count(*) FROM webhooks WHERE disabled IS NULL AND (owner_node IS NULL
                OR owner_node NOT IN (SELECT id FROM nodes WHERE expires_at > now_ms()))),
            (SELECT count(*) FROM webhooks WHERE disabled IS NULL AND owner_node = $1),
            (SELECT CAST(COALESCE(sum(owner_epoch * 31 + revision), 0) AS BIGINT) FROM devices
                WHERE owner_node = $1)
        FROM nodes WHERE id = $1 AND epoch = $2";
    const CAPACITIES: &str =
        "SELECT capacity FROM nodes WHERE expires_at > now_ms() AND draining = 0";
    let row = tx.query_one(SELECT, params![registration.node.0, registration.epoch]).await?;
    let Some(mut row) = row else { return Ok(None) };
    let capacities = tx.query(CAPACITIES, &[]).await?.into_iter().map(|mut row| row.small());
    let capacities = capacities.collect::<SqlResult<Vec<u32>>>()?;
    let fleet = Fleet {
        drain_per_s: drain_from(&mut row)?,
        live: row.small()?,
        taking: row.small()?,
        is_eldest: row.int()? == 0,
        devices: row.small()?,
        unowned: row.small()?,
        owned: row.small()?,
        webhooks: row.small()?,
        unowned_webhooks: row.small()?,
        owned_webhooks: row.small()?,
        fingerprint: row.int()?,
        share: None,
    };
    Ok(Some(Fleet { share: Some(share_of(fleet.devices, &capacities)), ..fleet }))
}

/// How many devices a second a node hands over: 0 while it is not drained.
fn drain_from(row: &mut Row) -> SqlResult<Option<u32>> {
    let per_s: u32 = row.small()?;
    Ok((per_s > 0).then_some(per_s))
}

pub(crate) async fn nodes(tx: &mut Tx) -> SqlResult<Vec<Node>> {
    const SELECT: &str = "SELECT id, name, url, version, started_at, expires_at,
            CAST(CASE WHEN expires_at > now_ms() THEN 1 ELSE 0 END AS BIGINT), draining, capacity,
            (SELECT count(*) FROM devices WHERE owner_node = nodes.id),
            (SELECT count(*) FROM webhooks WHERE owner_node = nodes.id)
        FROM nodes ORDER BY name";
    let node = |mut row: Row| {
        Ok(Node {
            id: NodeId(row.int()?),
            name: row.text()?,
            url: row.text()?,
            version: row.text()?,
            started_at: row.time()?,
            expires_at: row.time()?,
            is_live: row.bool()?,
            drain_per_s: drain_from(&mut row)?,
            capacity: row.small()?,
            devices: row.small()?,
            webhooks: row.small()?,
        })
    };
    tx.query(SELECT, &[]).await?.into_iter().map(node).collect()
}

pub(crate) async fn drain(tx: &mut Tx, id: NodeId, devices_per_s: Option<u32>) -> SqlResult<bool> {
    const DRAIN: &str = "UPDATE nodes SET draining = $2 WHERE id = $1";
    let per_s = devices_per_s.map_or(0, |per_s| i64::from(per_s.max(1)));
    Ok(tx.execute(DRAIN, params![id.0, per_s]).await? > 0)
}

pub(crate) async fn remove(tx: &mut Tx, id: NodeId) -> SqlResult<bool> {
    const REMOVE: &str = "DELETE FROM nodes WHERE id = $1 AND expires_at <= now_ms()";
    Ok(tx.execute(REMOVE, params![id.0]).await? > 0)
}

pub(crate) async fn leave(tx: &mut Tx, registration: Registration) -> SqlResult<()> {
    const LEAVE: &str =
        "UPDATE nodes SET expires_at = 0, draining = 0 WHERE id = $1 AND epoch = $2";
    tx.execute(LEAVE, params![registration.node.0, registration.epoch]).await.map(drop)
}

pub(crate) async fn claim(tx: &mut Tx, registration: Registration, limit: u32) -> SqlResult<u64> {
    const UNOWNED: &str = "SELECT id FROM devices
        WHERE (owner_node IS NULL OR owner_node NOT IN
            (SELECT id FROM nodes WHERE expires_at > now_ms()))
        AND EXISTS (SELECT 1 FROM nodes WHERE id = $1 AND epoch = $2 AND expires_at > now_ms())
        LIMIT $3 FOR UPDATE SKIP LOCKED";
    const CLAIM: &str = "UPDATE devices SET owner_node = $1, owner_epoch = owner_epoch + 1
        WHERE id IN (SELECT value FROM json_rows($2))";
    let values = params![registration.node.0, registration.epoch, i64::from(limit)];
    let rows = tx.query(UNOWNED, values).await?;
    let ids = rows.into_iter().map(|mut row| row.text()).collect::<SqlResult<Vec<_>>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    let ids = to_json(&ids)?;
    tx.execute(CLAIM, params![registration.node.0, &ids]).await
}

pub(crate) async fn owned(tx: &mut Tx, registration: Registration) -> SqlResult<Vec<OwnedDevice>> {
    const SELECT: &str = "SELECT id, account_id, owner_epoch, revision FROM devices
        WHERE owner_node = $1
        AND EXISTS (SELECT 1 FROM nodes WHERE id = $1 AND epoch = $2)";
    let owned = |mut row: Row| {
        Ok(OwnedDevice {
            device: row.parsed(|text| text.parse().ok())?,
            account: AccountId(row.int()?),
            epoch: row.int()?,
            revision: row.int()?,
        })
    };
    let rows = tx.query(SELECT, params![registration.node.0, registration.epoch]).await?;
    rows.into_iter().map(owned).collect()
}

pub(crate) async fn release(
    tx: &mut Tx,
    registration: Registration,
    devices: Vec<OwnedDevice>,
) -> SqlResult<()> {
    const RELEASE: &str = "UPDATE devices SET owner_node = NULL
        WHERE id = $1 AND owner_node = $2 AND owner_epoch = $3";
    for OwnedDevice { device, epoch, .. } in devices {
        tx.execute(RELEASE, params![&device.to_string(), registration.node.0, epoch]).await?;
    }
    Ok(())
}

pub(crate) async fn claim_webhooks(
    tx: &mut Tx,
    registration: Registration,
    limit: u32,
) -> SqlResult<u64> {
    const UNOWNED: &str = "SELECT id FROM webhooks
        WHERE disabled IS NULL AND (owner_node IS NULL OR owner_node NOT IN
            (SELECT id FROM nodes WHERE expires_at > now_ms()))
        AND EXISTS (SELECT 1 FROM nodes WHERE id = $1 AND epoch = $2 AND expires_at > now_ms())
        LIMIT $3 FOR UPDATE SKIP LOCKED";
    const CLAIM: &str = "UPDATE webhooks SET owner_node = $1, owner_epoch = owner_epoch + 1
        WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($2))";
    let values = params![registration.node.0, registration.epoch, i64::from(limit)];
    let rows = tx.query(UNOWNED, values).await?;
    let ids = rows.into_iter().map(|mut row| row.int()).collect::<SqlResult<Vec<i64>>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    let ids = to_json(&ids)?;
    tx.execute(CLAIM, params![registration.node.0, &ids]).await
}

pub(crate) async fn owned_webhooks(
    tx: &mut Tx,
    registration: Registration,
) -> SqlResult<Vec<OwnedWebhook>> {
    const SELECT: &str = "SELECT id, account_id, owner_epoch, revision,
            (SELECT max(deliveries.id) FROM deliveries
                WHERE deliveries.webhook_id = webhooks.id AND deliveries.state = 'pending')
        FROM webhooks WHERE owner_node = $1 AND disabled IS NULL
        AND EXISTS (SELECT 1 FROM nodes WHERE id = $1 AND epoch = $2)";
    let owned = |mut row: Row| {
        Ok(OwnedWebhook {
            webhook: WebhookId(row.int()?),
            account: AccountId(row.int()?),
            epoch: row.int()?,
            revision: row.int()?,
            newest: row.opt_int()?.map(DeliveryId),
        })
    };
    let rows = tx.query(SELECT, params![registration.node.0, registration.epoch]).await?;
    rows.into_iter().map(owned).collect()
}

pub(crate) async fn release_webhooks(
    tx: &mut Tx,
    registration: Registration,
    webhooks: Vec<OwnedWebhook>,
) -> SqlResult<()> {
    const RELEASE: &str = "UPDATE webhooks SET owner_node = NULL
        WHERE id = $1 AND owner_node = $2 AND owner_epoch = $3";
    for OwnedWebhook { webhook, epoch, .. } in webhooks {
        tx.execute(RELEASE, params![webhook.0, registration.node.0, epoch]).await?;
    }
    Ok(())
}

pub(crate) async fn owner_of(tx: &mut Tx, device: DeviceId) -> SqlResult<Option<NodeAddress>> {
    const SELECT: &str = "SELECT nodes.id, nodes.url FROM devices
        INNER JOIN nodes ON nodes.id = devices.owner_node
        WHERE devices.id = $1 AND nodes.expires_at > now_ms()";
    let row = tx.query_one(SELECT, params![&device.to_string()]).await?;
    row.map(|mut row| Ok(NodeAddress { id: NodeId(row.int()?), url: row.text()? })).transpose()
}

pub(crate) async fn database_time_ms(tx: &mut Tx) -> SqlResult<i64> {
    let row = tx.query_one("SELECT now_ms()", &[]).await?;
    row.ok_or_else(|| SqlError::Fault("the database has no time".into()))?.int()
}
