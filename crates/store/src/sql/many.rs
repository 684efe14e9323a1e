//! Statements over many rows at once, of one table or several.
//!
//! On PostgreSQL each is one statement over arrays (`unnest`) and one round trip, on SQLite a loop over a
//! prepared statement: a list of keys would be a table there that is made and dropped.

use super::{ConnectionRole, Param, Row, SqlResult, Tx};

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Int,
    Text,
    Blob,
}

/// An insertion of many rows.
#[derive(Debug)]
pub(crate) struct InsertRows {
    pub(crate) table: &'static str,
    pub(crate) columns: &'static [(&'static str, Type)],
    /// What follows the rows: `ON CONFLICT …`, `RETURNING …`.
    pub(crate) then: &'static str,
}

/// A look-up of rows by many keys.
#[derive(Debug)]
pub(crate) struct FindRows {
    /// `SELECT … FROM …`, without a condition.
    pub(crate) select: &'static str,
    /// The columns a key is compared with.
    pub(crate) key: &'static [(&'static str, Type)],
    /// What follows on PostgreSQL: order and locks.
    pub(crate) then: &'static str,
}

/// Rows, and where they are inserted.
pub(crate) struct Insertion<'a> {
    pub(crate) into: &'static InsertRows,
    pub(crate) rows: Vec<Vec<Param<'a>>>,
}

/// Keys, and where they are looked up.
pub(crate) struct LookUp<'a> {
    pub(crate) find: &'static FindRows,
    /// The types of the columns that are selected.
    pub(crate) types: &'static [Type],
    pub(crate) keys: Vec<Vec<Param<'a>>>,
}

impl Tx {
    /// Inserts rows, and returns those of `RETURNING`.
    pub(crate) async fn insert(
        &mut self,
        into: &InsertRows,
        rows: &[Vec<Param<'_>>],
    ) -> SqlResult<Vec<Row>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        rows.iter().flatten().try_for_each(|param| param.check())?;
        match &mut self.link {
            ConnectionRole::Sqlite(link) => link.insert(into, rows),
            ConnectionRole::Postgres(link) => link.insert(into, rows).await,
        }
    }

    /// Inserts rows into tables, each of which is named once. None of the insertions sees what another one
    /// writes, and which comes first is open: PostgreSQL runs them as one statement.
    pub(crate) async fn insert_all(&mut self, mut all: Vec<Insertion<'_>>) -> SqlResult<()> {
        all.retain(|insertion| !insertion.rows.is_empty());
        all.iter().flat_map(|one| &one.rows).flatten().try_for_each(|param| param.check())?;
        match &mut self.link {
            _ if all.is_empty() => Ok(()),
            ConnectionRole::Sqlite(link) => {
                all.iter().try_for_each(|one| link.insert(one.into, &one.rows).map(drop))
            }
            ConnectionRole::Postgres(link) => link.insert_all(&all).await,
        }
    }

    /// Finds the rows with these keys, each of which is there once.
    pub(crate) async fn find(
        &mut self,
        find: &FindRows,
        keys: &[Vec<Param<'_>>],
    ) -> SqlResult<Vec<Row>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        keys.iter().flatten().try_for_each(|param| param.check())?;
        match &mut self.link {
            ConnectionRole::Sqlite(link) => link.find(find, keys),
            ConnectionRole::Postgres(link) => link.find(find, keys).await,
        }
    }

    /// What each look-up finds, in no order; in one statement on PostgreSQL.
    pub(crate) async fn find_all<const N: usize>(
        &mut self,
        all: [LookUp<'_>; N],
    ) -> SqlResult<[Vec<Row>; N]> {
        all.iter().flat_map(|one| &one.keys).flatten().try_for_each(|param| param.check())?;
        let mut found: [Vec<Row>; N] = std::array::from_fn(|_| Vec::new());
        let wanted = all.iter().zip(&mut found).filter(|(one, _)| !one.keys.is_empty());
        match &mut self.link {
            ConnectionRole::Sqlite(link) => {
                for (one, found) in wanted {
                    *found = link.find(one.find, &one.keys)?;
                }
            }
            ConnectionRole::Postgres(link) => {
                link.find_all(&mut wanted.collect::<Vec<_>>()).await?
            }
        }
        Ok(found)
    }
}
