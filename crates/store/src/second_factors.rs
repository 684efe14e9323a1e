//! What people sign in with beside the password.

use domain::ids::UserId;
use domain::key::KeyHash;
use domain::ports::{FactorProof, SecondFactor};
use domain::webhook::SealedSecret;

use crate::sql::{Row, SqlResult, Tx, params};

pub(crate) async fn second_factor(tx: &mut Tx, user: UserId) -> SqlResult<Option<SecondFactor>> {
    const SELECT: &str =
        "SELECT user_id, secret, last_step, recovery FROM second_factors WHERE user_id = $1";
    let row = tx.query_one(SELECT, params![user.0]).await?;
    tx.single("second_factors", row, factor_from)
}

pub(crate) async fn set(tx: &mut Tx, user: UserId, factor: SecondFactor) -> SqlResult<bool> {
    const INSERT: &str = "INSERT INTO second_factors (user_id, secret, last_step, recovery)
        SELECT id, $2, $3, $4 FROM users WHERE id = $1
        ON CONFLICT (user_id) DO NOTHING";
    let SecondFactor { secret, last_step, recovery } = factor;
    let recovery = bytes_of(&recovery);
    let values = params![user.0, secret.0.as_slice(), last_step, recovery.as_slice()];
    Ok(tx.execute(INSERT, values).await? > 0)
}

pub(crate) async fn use_up(tx: &mut Tx, user: UserId, proof: FactorProof) -> SqlResult<bool> {
    const LOCK: &str = "SELECT user_id, secret, last_step, recovery FROM second_factors
        WHERE user_id = $1 FOR UPDATE";
    const STEP: &str = "UPDATE second_factors SET last_step = $2 WHERE user_id = $1";
    const CODES: &str = "UPDATE second_factors SET recovery = $2 WHERE user_id = $1";
    let row = tx.query_one(LOCK, params![user.0]).await?;
    let Some(factor) = tx.single("second_factors", row, factor_from)? else { return Ok(false) };
    match proof {
        FactorProof::Step(step) if step > factor.last_step => {
            tx.execute(STEP, params![user.0, step]).await?;
        }
        FactorProof::Recovery(code) if factor.recovery.contains(&code) => {
            let left: Vec<KeyHash> =
                factor.recovery.into_iter().filter(|known| *known != code).collect();
            tx.execute(CODES, params![user.0, bytes_of(&left).as_slice()]).await?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

pub(crate) async fn delete(tx: &mut Tx, user: UserId) -> SqlResult<bool> {
    const DELETE: &str = "DELETE FROM second_factors WHERE user_id = $1";
    Ok(tx.execute(DELETE, params![user.0]).await? > 0)
}

fn bytes_of(hashes: &[KeyHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

fn factor_from(row: &mut Row) -> SqlResult<SecondFactor> {
    row.int()?;
    let (secret, last_step) = (SealedSecret(row.blob()?), row.int()?);
    let recovery = row.blob()?.as_chunks().0.iter().map(|hash| KeyHash(*hash)).collect();
    Ok(SecondFactor { secret, last_step, recovery })
}
