//! A connection to PostgreSQL.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, Postgres, Row as _, TypeInfo, ValueRef};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::sql::{
    Cell, FindRows, Gathered, InsertRows, Insertion, LookUp, NewIds, Param, Row, SqlError,
    SqlResult, Type,
};

/// By how much the sequence of message ids grows: so many are drawn at a time; what is left at the end of the
/// process is not used.
const ID_BLOCK: i64 = 4_096;
/// How long ids are used where other nodes draw ids, too.
const BLOCK_AGE_MAX: Duration = Duration::from_secs(1);
/// How long ids are drawn ahead after another node's were later.
const TURNS_KEPT: Duration = Duration::from_secs(10);

/// Message ids that are drawn and not used yet. All connections take from the same ones, so that ids
/// grow in the order in which they are taken.
#[derive(Default)]
pub(super) struct MessageIds(Mutex<DrawnIds>);

#[derive(Default)]
struct DrawnIds {
    left: Range<i64>,
    at: Option<Instant>,
    /// When what was left was last of no use, for another node had accepted with later ids.
    overtaken_at: Option<Instant>,
}

/// A pooled connection.
pub(crate) struct PostgresLink {
    pub(super) connection: PoolConnection<Postgres>,
    pub(super) ids: Arc<MessageIds>,
}

impl PostgresLink {
    pub(crate) async fn query(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        bytes_max: usize,
    ) -> SqlResult<Gathered> {
        count_round_trip();
        let mut rows = bind(sqlx::query(sql), params).fetch(&mut *self.connection);
        let mut found = Gathered::within(bytes_max);
        while let Some(row) = rows.try_next().await.map_err(from_sqlx)? {
            if !found.take(row_from(&row)?) {
                break;
            }
        }
        Ok(found)
    }

    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> SqlResult<u64> {
        count_round_trip();
        let query = bind(sqlx::query(sql), params);
        Ok(query.execute(&mut *self.connection).await.map_err(from_sqlx)?.rows_affected())
    }

    pub(crate) async fn insert(
        &mut self,
        into: &InsertRows,
        rows: &[Vec<Param<'_>>],
    ) -> SqlResult<Vec<Row>> {
        self.over_arrays(insert_text(into, 1), &[(into.columns, rows)]).await
    }

    pub(crate) async fn insert_all(&mut self, all: &[Insertion<'_>]) -> SqlResult<()> {
        let arrays: Vec<ArraysOf<'_, '_>> =
            all.iter().map(|one| (one.into.columns, one.rows.as_slice())).collect();
        self.over_arrays(insert_all_text(all), &arrays).await.map(drop)
    }

    pub(crate) async fn find(
        &mut self,
        find: &FindRows,
        keys: &[Vec<Param<'_>>],
    ) -> SqlResult<Vec<Row>> {
        self.over_arrays(find_text(find, 1), &[(find.key, keys)]).await
    }

    /// Puts what each look-up finds beside it.
    pub(crate) async fn find_all(
        &mut self,
        all: &mut [(&LookUp<'_>, &mut Vec<Row>)],
    ) -> SqlResult<()> {
        let look_ups: Vec<&LookUp<'_>> = all.iter().map(|(look_up, _)| *look_up).collect();
        let arrays: Vec<ArraysOf<'_, '_>> =
            look_ups.iter().map(|one| (one.find.key, one.keys.as_slice())).collect();
        let mut starts = Vec::with_capacity(look_ups.len());
        let mut width = 0;
        for look_up in &look_ups {
            starts.push(width);
            width += look_up.types.len();
        }
        for mut row in self.over_arrays(find_all_text(&look_ups), &arrays).await? {
            let at = usize::try_from(row.int()?).unwrap_or(usize::MAX);
            let (Some((look_up, found)), Some(start)) = (all.get_mut(at), starts.get(at)) else {
                return Err(SqlError::Fault("a row is of no look-up".into()));
            };
            let cells = row.into_cells().into_iter().skip(*start).take(look_up.types.len());
            found.push(Row::new(cells.collect()));
        }
        Ok(())
    }

    /// Runs a statement that takes each column of rows as an array.
    async fn over_arrays(
        &mut self,
        sql: String,
        arrays: &[ArraysOf<'_, '_>],
    ) -> SqlResult<Vec<Row>> {
        count_round_trip();
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (columns, rows) in arrays {
            for (index, (_, kind)) in columns.iter().enumerate() {
                query = bind_column(query, *kind, rows.iter().map(|row| row.get(index)));
            }
        }
        let rows = query.fetch_all(&mut *self.connection).await.map_err(from_sqlx)?;
        rows.iter().map(row_from).collect()
    }

    pub(crate) async fn script(&mut self, sql: &'static str) -> SqlResult<()> {
        sqlx::raw_sql(sql).execute(&mut *self.connection).await.map(drop).map_err(from_sqlx)
    }

    /// See [`crate::sql::Tx::next_message_ids`]. Where other nodes draw, too, what was drawn a while ago is
    /// not used any more: ids follow the time of their messages.
    pub(crate) async fn next_message_ids(
        &mut self,
        count: i64,
        after: i64,
        is_shared: bool,
    ) -> SqlResult<NewIds> {
        let ids = Arc::clone(&self.ids);
        let mut drawn = ids.0.lock().await;
        let is_old = is_shared && drawn.at.is_none_or(|at| at.elapsed() > BLOCK_AGE_MAX);
        let is_overtaken = drawn.left.start <= after;
        if is_overtaken && !drawn.left.is_empty() {
            drawn.overtaken_at = Some(Instant::now());
        }
        if is_old || is_overtaken {
            drawn.left = 0..0;
        }
        let mut blocks = vec![drawn.left.clone()];
        let missing = count - (drawn.left.end - drawn.left.start);
        if missing > 0 {
            blocks.extend(self.draw(missing.saturating_add(ID_BLOCK - 1) / ID_BLOCK).await?);
            drawn.at = Some(Instant::now());
        }
        drawn.left = take_ids(&mut blocks, count);
        Ok(blocks.into_iter().flatten())
    }

    /// See [`crate::sql::Tx::draw_ids_ahead`].
    pub(crate) async fn draw_ids_ahead(&mut self) -> SqlResult<()> {
        let ids = Arc::clone(&self.ids);
        let mut drawn = ids.0.lock().await;
        if drawn.overtaken_at.is_some_and(|at| at.elapsed() < TURNS_KEPT) {
            drawn.left = self.draw(1).await?.pop().unwrap_or_default();
            drawn.at = Some(Instant::now());
        }
        Ok(())
    }

    /// Draws blocks of ids: the sequence grows by [`ID_BLOCK`].
    async fn draw(&mut self, blocks: i64) -> SqlResult<Vec<Range<i64>>> {
        const DRAW: &str = "SELECT nextval('message_ids') FROM generate_series(1, $1)";
        let rows = self.query(DRAW, &[Param::Int(Some(blocks))], usize::MAX).await?.rows;
        let block = |mut row: Row| {
            let first = row.int()?;
            Ok(first..first.saturating_add(ID_BLOCK))
        };
        rows.into_iter().map(block).collect()
    }
}

/// Shortens blocks to `count` ids in all; what is left of the last one.
fn take_ids(blocks: &mut [Range<i64>], mut count: i64) -> Range<i64> {
    let mut left = 0..0;
    for block in blocks {
        let end = block.end.min(block.start + count);
        count -= end - block.start;
        left = end..block.end;
        block.end = end;
    }
    left
}

type PgQuery<'q> = Query<'q, Postgres, PgArguments>;

fn bind<'q>(mut query: PgQuery<'q>, params: &[Param<'q>]) -> PgQuery<'q> {
    for param in params {
        query = match *param {
            Param::Int(value) => query.bind(value),
            Param::Text(value) => query.bind(value),
            Param::Blob(value) => query.bind(value),
        };
    }
    query
}

/// One column of all rows, as an array.
fn bind_column<'q, 'p>(
    query: PgQuery<'q>,
    kind: Type,
    column: impl Iterator<Item = Option<&'p Param<'q>>>,
) -> PgQuery<'q>
where
    'q: 'p,
{
    match kind {
        Type::Int => query.bind(
            column
                .map(|param| if let Some(Param::Int(value)) = param { *value } else { None })
                .collect::<Vec<Option<i64>>>(),
        ),
        Type::Text => query.bind(
            column
                .map(|param| if let Some(Param::Text(value)) = param { *value } else { None })
                .collect::<Vec<Option<&'q str>>>(),
        ),
        Type::Blob => query.bind(
            column
                .map(|param| if let Some(Param::Blob(value)) = param { *value } else { None })
                .collect::<Vec<Option<&'q [u8]>>>(),
        ),
    }
}

/// Columns, and the rows whose values they are.
type ArraysOf<'r, 'p> = (&'static [(&'static str, Type)], &'r [Vec<Param<'p>>]);

/// Built from literals only; the first parameter has the number `first`. The arrays are as long as one another: they
/// go on together, row by row, where `FROM unnest(…)` would first fill a table for each of them.
fn insert_text(into: &InsertRows, first: usize) -> String {
    let (table, then) = (into.table, into.then);
    let unnested = arrays(into.columns, first).map(|array| format!("unnest({array})"));
    let (names, values) = (names(into.columns), unnested.collect::<Vec<_>>().join(","));
    format!("INSERT INTO {table} ({names}) SELECT {values} {then}")
}

/// One statement: the insertions before the last one are parts of that.
fn insert_all_text(all: &[Insertion<'_>]) -> String {
    let mut first = 1;
    let mut texts = Vec::with_capacity(all.len());
    for Insertion { into, .. } in all {
        texts.push(insert_text(into, first));
        first += into.columns.len();
    }
    let last = texts.pop().unwrap_or_default();
    let part = |(index, text): (usize, &String)| format!("part{index} AS ({text})");
    let parts: Vec<String> = texts.iter().enumerate().map(part).collect();
    if parts.is_empty() { last } else { format!("WITH {} {last}", parts.join(", ")) }
}

fn find_text(find: &FindRows, first: usize) -> String {
    let FindRows { select, key, then } = find;
    let (names, arrays) = (names(key), arrays(key, first).collect::<Vec<_>>().join(","));
    format!("{select} WHERE ({names}) IN (SELECT * FROM unnest({arrays})) {then}")
}

/// One statement: each row begins with the index of its look-up, and the columns of the others are empty.
fn find_all_text(all: &[&LookUp<'_>]) -> String {
    let empty = |others: &[&LookUp<'_>]| {
        let types = others.iter().flat_map(|other| other.types);
        types.map(|kind| format!("NULL::{},", sql_name(*kind))).collect::<String>()
    };
    let mut first = 1;
    let mut texts = Vec::with_capacity(all.len());
    for (index, LookUp { find, .. }) in all.iter().enumerate() {
        let (before, after) = (empty(&all[..index]), empty(&all[index + 1..]));
        let after = after.strip_suffix(',').map(|after| format!(",{after}")).unwrap_or_default();
        let found = find_text(find, first);
        first += find.key.len();
        texts
            .push(format!("SELECT {index}::BIGINT,{before}found.*{after} FROM ({found}) AS found"));
    }
    texts.join(" UNION ALL ")
}

pub(super) fn sql_name(kind: Type) -> &'static str {
    match kind {
        Type::Int => "BIGINT",
        Type::Text => "TEXT",
        Type::Blob => "BYTEA",
    }
}

fn names(columns: &[(&'static str, Type)]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(",")
}

fn arrays(columns: &[(&'static str, Type)], first: usize) -> impl Iterator<Item = String> {
    let numbered = columns.iter().zip(first..);
    numbered.map(|((_, kind), number)| format!("${number}::{}[]", sql_name(*kind)))
}

pub(super) fn row_from(row: &PgRow) -> SqlResult<Row> {
    let mut cells = Vec::with_capacity(row.len());
    for (index, column) in row.columns().iter().enumerate() {
        let raw = row.try_get_raw(index).map_err(from_sqlx)?;
        cells.push(match column.type_info().name() {
            _ if raw.is_null() => Cell::Null,
            "INT8" => Cell::Int(row.try_get(index).map_err(from_sqlx)?),
            "TEXT" | "VARCHAR" => Cell::Text(row.try_get(index).map_err(from_sqlx)?),
            "BYTEA" => Cell::Blob(row.try_get(index).map_err(from_sqlx)?),
            other => return Err(SqlError::Fault(format!("a column is of type {other}"))),
        });
    }
    Ok(Row::new(cells))
}

pub(super) fn from_sqlx(error: sqlx::Error) -> SqlError {
    let text = format!("PostgreSQL: {error}");
    match &error {
        sqlx::Error::Database(database) => match database.code().as_deref() {
            Some("23505") => SqlError::Unique(text),
            Some(code) if is_temporary(code) => SqlError::Unavailable(text),
            _ => SqlError::Fault(text),
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => SqlError::Unavailable(text),
        _ => SqlError::Fault(text),
    }
}

/// Statements that were sent in this process, each of which waits for its answer. Only for tests.
#[cfg(debug_assertions)]
pub static ROUND_TRIPS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

#[cfg(debug_assertions)]
fn count_round_trip() {
    ROUND_TRIPS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
}

#[cfg(not(debug_assertions))]
fn count_round_trip() {}

/// Lost connections, full disks, shutdowns, deadlocks, a read-only server, a transaction that was ended because this
/// process said nothing for too long.
fn is_temporary(code: &str) -> bool {
    ["08", "53", "57", "40"].iter().any(|class| code.starts_with(class))
        || matches!(code, "25006" | "25P03")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_to_be_tried_again() {
        for code in ["08006", "25006", "25P03", "40P01", "53100", "57P01"] {
            assert!(is_temporary(code), "{code}");
        }
        for code in ["22003", "23505", "25P02", "42601"] {
            assert!(!is_temporary(code), "{code}");
        }
    }

    const ONE: InsertRows =
        InsertRows { table: "one", columns: &[("a", Type::Int), ("b", Type::Text)], then: "" };
    const TWO: InsertRows =
        InsertRows { table: "two", columns: &[("c", Type::Blob)], then: "ON CONFLICT DO NOTHING" };

    fn insertion(into: &'static InsertRows) -> Insertion<'static> {
        Insertion { into, rows: Vec::new() }
    }

    #[test]
    fn insertions_into_several_tables_are_one_statement() {
        let one = "INSERT INTO one (a,b) SELECT unnest($1::BIGINT[]),unnest($2::TEXT[]) ";
        assert_eq!(insert_all_text(&[insertion(&ONE)]), one);
        let two = "INSERT INTO two (c) SELECT unnest($3::BYTEA[]) ON CONFLICT DO NOTHING";
        let both = insert_all_text(&[insertion(&ONE), insertion(&TWO)]);
        assert_eq!(both, format!("WITH part0 AS ({one}) {two}"));
    }

    #[test]
    fn look_ups_in_several_tables_are_one_statement() {
        const FIND: FindRows =
            FindRows { select: "SELECT a, b FROM one", key: &[("a", Type::Int)], then: "" };
        let types = &[Type::Int, Type::Text];
        let look_up = LookUp { find: &FIND, types, keys: Vec::new() };
        let found = |n| {
            format!(
                "(SELECT a, b FROM one WHERE (a) IN (SELECT * FROM unnest(${n}::BIGINT[])) ) AS found"
            )
        };
        assert_eq!(
            find_all_text(&[&look_up]),
            format!("SELECT 0::BIGINT,found.* FROM {}", found(1))
        );
        let first = format!("SELECT 0::BIGINT,found.*,NULL::BIGINT,NULL::TEXT FROM {}", found(1));
        let second = format!("SELECT 1::BIGINT,NULL::BIGINT,NULL::TEXT,found.* FROM {}", found(2));
        let both = find_all_text(&[&look_up, &look_up]);
        assert_eq!(both, format!("{first} UNION ALL {second}"));
    }

    #[test]
    fn ids_are_taken_from_blocks_in_order() {
        let mut blocks = [7..9, 100..104, 200..204];
        assert_eq!(take_ids(&mut blocks, 7), 201..204);
        assert_eq!(blocks, [7..9, 100..104, 200..201]);
        let mut block = 7..9;
        assert_eq!(take_ids(std::slice::from_mut(&mut block), 1), 8..9);
    }
}
