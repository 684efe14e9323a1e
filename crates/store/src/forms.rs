//! Forms of the dashboard that were acted on.

use domain::ids::NodeId;
use domain::ports::{FormClaim, FormHash};
use jiff::Timestamp;

use crate::messages::idempotency::forgotten_before;
use crate::sql::{SqlResult, Tx, params};

pub(crate) async fn claim(
    tx: &mut Tx,
    form: FormHash,
    node: Option<NodeId>,
    now: Timestamp,
) -> SqlResult<FormClaim> {
    const FORGET: &str = "DELETE FROM sent_forms WHERE sent_at <= $1";
    const INSERT: &str = "INSERT INTO sent_forms (form, node_id, sent_at) VALUES ($1, $2, $3)
        ON CONFLICT (form) DO NOTHING";
    const SELECT: &str = "SELECT node_id FROM sent_forms WHERE form = $1";
    let form = form.0.as_slice();
    tx.execute(FORGET, params![forgotten_before(now)]).await?;
    if tx.execute(INSERT, params![form, node.map(|node| node.0), now]).await? > 0 {
        return Ok(FormClaim::First);
    }
    let row = tx.query_one(SELECT, params![form]).await?;
    let node = row.map(|mut row| row.opt_int()).transpose()?.flatten();
    Ok(FormClaim::Before(node.map(NodeId)))
}

pub(crate) async fn release(tx: &mut Tx, form: FormHash) -> SqlResult<()> {
    tx.execute("DELETE FROM sent_forms WHERE form = $1", params![form.0.as_slice()]).await?;
    Ok(())
}
