//! The mark of a database that was moved: a setting of the source.

use serde::{Deserialize, Serialize};

use crate::OpenError;
use crate::accounts;
use crate::sql::{SqlError, SqlResult, Tx};

/// The setting of the source.
pub(crate) const SETTING: &str = "moved";
/// The setting of the target, with the id of the move.
pub(crate) const ORIGIN_SETTING: &str = "moved_from";

/// Where a database was moved to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// Names the move.
    pub(crate) id: String,
    /// Where to, without a password.
    pub(crate) to: String,
    /// Whether it has ended.
    #[serde(default)]
    pub(crate) is_done: bool,
}

impl Marker {
    /// Why no gateway uses the database.
    pub(crate) fn refusal(self) -> OpenError {
        match self.is_done {
            true => OpenError::Moved { to: self.to },
            false => OpenError::Moving { to: self.to },
        }
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and a boolean")
    }
}

pub(crate) fn parse(value: &[u8]) -> SqlResult<Marker> {
    serde_json::from_slice(value)
        .map_err(|error| SqlError::Fault(format!("the mark of a move cannot be read: {error}")))
}

/// The mark of a database, if it has one.
pub(crate) async fn read(tx: &mut Tx) -> SqlResult<Option<Marker>> {
    let value = accounts::stored_setting(tx, SETTING.to_owned()).await?;
    value.map(|value| parse(&value)).transpose()
}
