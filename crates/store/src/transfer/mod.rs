//! Moves a SQLite database whole into an empty PostgreSQL one.
//!
//! Everything happens in one transaction of the target, which is empty or complete at any moment. The source is
//! marked before that is committed: from then on no gateway starts on it, for two with the same protocol state
//! would break the sessions of its devices. A move that was interrupted between the two is taken up again by
//! the mark, which both databases hold.

mod digest;
pub(crate) mod marker;

use std::path::Path;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use uuid::Uuid;

pub(crate) use self::digest::Digest;
use self::marker::Marker;
use crate::OpenError;
use crate::postgres::Target;
use crate::sql::{Cell, SqlError, Type};
use crate::sqlite::Source;

/// Most batches of rows between the two databases.
const BATCHES_MAX: usize = 2;

/// A table of the source.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: String,
    /// Its columns, by name.
    pub(crate) columns: Vec<String>,
}

impl Table {
    pub(crate) fn quoted_name(&self) -> String {
        quoted(&self.name)
    }

    /// Its columns as both databases take them.
    pub(crate) fn column_list(&self) -> String {
        self.columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",")
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table that was copied and compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
    /// A digest of all of them, in hexadecimal digits.
    pub digest: String,
}

/// What a move has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// Where to, without a password.
    pub to: String,
    /// The tables; empty where an earlier, interrupted move had copied them already.
    pub tables: Vec<CopiedTable>,
}

/// Why nothing was moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// One of the databases cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The target holds something.
    #[error("{to} is not empty: make a new database, such as with createdb")]
    NotEmpty {
        /// Which.
        to: String,
    },
    /// The schemas differ.
    #[error("the table {table} is not the same in both databases: {why}")]
    Schema {
        /// Which.
        table: String,
        /// What differs.
        why: String,
    },
    /// A row cannot be copied.
    #[error("the table {table} cannot be copied: {why}")]
    Row {
        /// Of which table.
        table: String,
        /// What is wrong with it.
        why: String,
    },
    /// What was written is not what was read.
    #[error("the table {table} differs after it was copied; nothing was moved")]
    Differs {
        /// Which.
        table: String,
    },
    /// The last step failed, and it is not known how it ended.
    #[error("the connection was lost at the last step ({0}): run the same command again")]
    Commit(String),
}

impl From<SqlError> for TransferError {
    fn from(error: SqlError) -> Self {
        Self::Open(error.into())
    }
}

/// Moves the database at `source` to the one at the URL `target`. `id` names the move, in both.
///
/// # Errors
/// [`TransferError`]; but for [`TransferError::Commit`] nothing has changed then.
pub async fn transfer(source: &Path, target: &str, id: Uuid) -> Result<Transferred, TransferError> {
    // First: opening the source migrates it, which is not to happen for a target that cannot be used.
    let mut target = Target::begin(target).await?;
    let path = source.to_owned();
    let source = run_blocking(move || Source::open(&path).map_err(Into::into)).await?;
    let to = target.address().to_owned();
    if is_there_already(&source, &mut target).await? {
        return Ok(Transferred { to, tables: Vec::new() });
    }
    target.prepare().await?;
    let tables = source.tables()?;
    let mut types = Vec::with_capacity(tables.len());
    for table in &tables {
        types.push(target.types(table).await?);
        target.clear(table).await?;
    }
    let (source, digests) = copy(source, &mut target, &tables, &types).await?;
    let mut copied = Vec::with_capacity(tables.len());
    for (table, digest) in tables.iter().zip(digests) {
        if target.digest(table).await? != digest {
            return Err(TransferError::Differs { table: table.name.clone() });
        }
        let (rows, digest) = (digest.rows, digest.to_string());
        copied.push(CopiedTable { name: table.name.clone(), rows, digest });
    }
    let (sequences, message_id) = source.sequences()?;
    target.set_sequences(&sequences, message_id).await?;
    finish(&source, target, Marker { id: id.to_string(), to: to.clone(), is_done: false }).await?;
    Ok(Transferred { to, tables: copied })
}

/// Marks, commits, and marks as done.
async fn finish(
    source: &Source,
    mut target: Target,
    mut marker: Marker,
) -> Result<(), TransferError> {
    target.put_origin(&marker.id).await?;
    source.mark(Some(&marker))?;
    target.commit().await.map_err(|error| TransferError::Commit(error.to_string()))?;
    marker.is_done = true;
    Ok(source.mark(Some(&marker))?)
}

/// Whether an earlier move has copied everything; it is marked as done then. One that has copied nothing is
/// forgotten.
async fn is_there_already(source: &Source, target: &mut Target) -> Result<bool, TransferError> {
    let to = target.address().to_owned();
    let is_empty = target.is_empty().await?;
    let Some(mut marker) = source.marker()? else {
        return if is_empty { Ok(false) } else { Err(TransferError::NotEmpty { to }) };
    };
    if marker.is_done || marker.to != to {
        return Err(marker.refusal().into());
    }
    if is_empty {
        source.mark(None)?;
        return Ok(false);
    }
    if target.origin().await?.as_deref() != Some(marker.id.as_str()) {
        return Err(TransferError::NotEmpty { to });
    }
    marker.is_done = true;
    source.mark(Some(&marker))?;
    Ok(true)
}

/// Copies all tables, reading and writing at once; returns what was read of each.
async fn copy(
    source: Source,
    target: &mut Target,
    tables: &[Table],
    types: &[Vec<Type>],
) -> Result<(Source, Vec<Digest>), TransferError> {
    let (sender, mut batches) = mpsc::channel(BATCHES_MAX);
    let wanted = tables.to_vec();
    let reading = spawn_blocking(move || {
        let mut digests = vec![Digest::default(); wanted.len()];
        for (index, (table, digest)) in wanted.iter().zip(&mut digests).enumerate() {
            let take = |rows: Vec<Vec<Cell>>| {
                rows.iter().for_each(|row| digest.add(row));
                sender.blocking_send((index, rows)).is_ok()
            };
            source.read(table, take)?;
        }
        Ok::<_, SqlError>((source, digests))
    });
    while let Some((index, rows)) = batches.recv().await {
        target.insert(&tables[index], &types[index], &rows).await?;
    }
    Ok(reading.await.map_err(|error| OpenError::Database(error.to_string()))??)
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
) -> Result<T, TransferError> {
    spawn_blocking(work).await.map_err(|error| OpenError::Database(error.to_string()))?
}
