//! Reading and listing messages.
//!
//! The outbox is read before the history, so that a message that moves meanwhile is seen at least
//! once; where it is seen twice, the history's row counts.

use std::collections::{BTreeMap, BTreeSet};

use domain::content::ContentKind;
use domain::ids::{AccountId, MessageId};
use domain::message::{Direction, Message, MessageState};
use domain::ports::{
    CountedPage, MessageFilter, PAGE_BYTES_MAX, Page, PageRequest, REPEATED_BYTES_MAX,
};
use domain::request_file::{RequestFile, WaitingFile};
use jiff::{SignedDuration, Timestamp};

use super::counts::Counts;
use super::find::{WHOLE, WITHOUT_TEXT, rows_by_ids};
use super::{history_columns, message_from, waiting_columns};
use crate::accounts::page_of;
use crate::files;
use crate::rows::{Filled, bounds};
use crate::sql::{Param, Row, SqlError, SqlResult, Tx, params, to_json, whole_millis};

/// Most messages of the history that one request looks at for those that no index finds: at a few first, because
/// they often fill the page.
const SEARCHED_ROWS: [i64; 2] = [1_000, 20_000];
/// Times grow with the ids, up to the clock's being set.
const CLOCK_SET_MAX: SignedDuration = SignedDuration::from_hours(1);

/// For the queues: a message that cannot be read counts as gone, so that the others go on.
pub(crate) async fn waiting_message(tx: &mut Tx, id: MessageId) -> SqlResult<Option<Message>> {
    const SELECT: &str = concat!("SELECT ", waiting_columns!(), " FROM outbox WHERE id = $1");
    let rows = tx.query(SELECT, params![id.0]).await?;
    Ok(tx.readable("outbox", rows, message_from).pop())
}

/// The messages of an earlier request as they are now, in the order of `ids`; `None` when one is gone
/// or cannot be read. A request may have had the same long text for many receivers: texts beyond
/// [`REPEATED_BYTES_MAX`] are not read.
pub(super) async fn repeated(tx: &mut Tx, ids: &[MessageId]) -> SqlResult<Option<Vec<Message>>> {
    let (rows, lowest) = rows_by_ids(tx, WHOLE, ids, REPEATED_BYTES_MAX).await?;
    let mut found = Merged::default();
    found.add_rows(tx, rows);
    if lowest.is_some() {
        let missing: Vec<_> =
            ids.iter().copied().filter(|id| !found.messages.contains_key(id)).collect();
        let (rows, _) = rows_by_ids(tx, WITHOUT_TEXT, &missing, usize::MAX).await?;
        found.add_rows(tx, rows);
    }
    Ok(ids.iter().map(|id| found.messages.remove(id)).collect())
}

/// Messages of both tables; where one was found in both, the later row counts.
#[derive(Default)]
struct Merged {
    messages: BTreeMap<MessageId, Message>,
    /// Below this, a table has rows that were not read.
    lowest: Option<MessageId>,
}

impl Merged {
    fn add(&mut self, filled: Filled<Message>) {
        if filled.is_cut {
            self.lowest = self.lowest.max(filled.items.last().map(|message| message.id));
        }
        self.messages.extend(filled.items.into_iter().map(|message| (message.id, message)));
    }

    fn add_rows(&mut self, tx: &Tx, rows: Vec<(&'static str, Row)>) {
        for (table, row) in rows {
            let items = tx.readable(table, vec![row], message_from);
            self.add(Filled { items, is_cut: false });
        }
    }

    /// What was read completely, newest first, within [`PAGE_BYTES_MAX`].
    fn newest_first(self) -> Filled<Message> {
        let Self { messages, lowest } = self;
        let (mut items, mut bytes_left) = (Vec::<Message>::new(), PAGE_BYTES_MAX);
        for message in messages.into_values().rev() {
            let bytes = message.text().len();
            let fits = items.is_empty() || bytes <= bytes_left;
            if !fits || lowest.is_some_and(|lowest| message.id < lowest) {
                return Filled { items, is_cut: true };
            }
            bytes_left = bytes_left.saturating_sub(bytes);
            items.push(message);
        }
        Filled { items, is_cut: lowest.is_some() }
    }
}

/// The file that came with a waiting message.
pub(crate) async fn inline_media(tx: &mut Tx, id: MessageId) -> SqlResult<Option<WaitingFile>> {
    const SELECT: &str = "SELECT size, sha256, bytes FROM inline_media WHERE message_id = $1";
    let Some(mut row) = tx.query_one(SELECT, params![id.0]).await? else { return Ok(None) };
    let (size, sha256) = (row.opt_int()?, row.opt_blob()?);
    let (Some(size), Some(sha256)) = (size, sha256) else {
        return Ok(Some(WaitingFile::Bytes(row.blob()?)));
    };
    let damaged = || SqlError::Fault(format!("the file of message {id} cannot be read"));
    let size = u64::try_from(size).map_err(|_| damaged())?;
    let sha256: [u8; 32] = sha256.try_into().map_err(|_| damaged())?;
    Ok(Some(WaitingFile::Blob(RequestFile { size, sha256 })))
}

/// A filter as parameters.
struct Filter {
    account: i64,
    direction: &'static str,
    device: String,
    /// A JSON array of names; empty for all.
    states: String,
    now: Timestamp,
    chat: String,
    /// A JSON array of names; empty for all.
    kinds: String,
    /// A pattern; empty for all.
    text: String,
    since: Timestamp,
    until: Timestamp,
    is_scheduled: bool,
    /// Whether a waiting message, and whether any other one, may be wanted at all.
    wants: (bool, bool),
}

impl Filter {
    fn of(account: AccountId, filter: MessageFilter) -> SqlResult<Self> {
        let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        let wants = |is_waiting: bool| {
            let matches = |state: &MessageState| state.is_waiting() == is_waiting;
            filter.states.is_empty() || filter.states.iter().any(matches)
        };
        Ok(Self {
            account: account.0,
            direction: filter.direction.map_or("", Direction::as_str),
            device: filter.device.map(|id| id.to_string()).unwrap_or_default(),
            states: to_json(&states)?,
            now: filter.now.unwrap_or(Timestamp::MIN),
            wants: (filter.direction != Some(Direction::In) && wants(true), wants(false)),
            chat: filter.chat.map(|chat| chat.to_string()).unwrap_or_default(),
            kinds: to_json(
                &filter.kinds.iter().flat_map(|kind| stored_names(*kind)).collect::<Vec<_>>(),
            )?,
            text: filter.text.as_deref().map(containing).unwrap_or_default(),
            since: filter.since.map_or(Timestamp::MIN, whole_millis),
            until: filter.until.map_or(Timestamp::MAX, whole_millis),
            is_scheduled: filter.is_scheduled,
        })
    }

    /// Whether rows have to be looked at which are not wanted.
    fn is_search(&self) -> bool {
        let Self { direction, device, states, chat, kinds, text, since, until, .. } = self;
        let is_device_of_chat = !chat.is_empty() && !device.is_empty();
        let names_values = is_device_of_chat || !direction.is_empty() || !text.is_empty();
        let has_end = *since > Timestamp::MIN || *until < Timestamp::MAX;
        !self.is_scheduled && (names_values || has_end || states != "[]" || kinds != "[]")
    }

    /// The parameters `$1` to `$11` of [`matching`].
    fn params(&self) -> [Param<'_>; 11] {
        let Self {
            account,
            direction,
            device,
            states,
            now,
            chat,
            since,
            until,
            is_scheduled,
            kinds,
            text,
            ..
        } = self;
        [
            (*account).into(),
            (*direction).into(),
            device.into(),
            states.into(),
            (*now).into(),
            chat.into(),
            (*since).into(),
            (*until).into(),
            (*is_scheduled).into(),
            kinds.into(),
            text.into(),
        ]
    }

    /// The same, and more.
    fn params_and<'a>(&'a self, more: &[Param<'a>]) -> Vec<Param<'a>> {
        [&self.params(), more].concat()
    }
}

/// What a kind is called in rows; earlier releases had another name for one.
fn stored_names(kind: ContentKind) -> impl Iterator<Item = &'static str> {
    let earlier = (kind == ContentKind::Other).then_some("other");
    [kind.as_str()].into_iter().chain(earlier)
}

/// The pattern of what contains a text.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// What is the same about rows of both tables that a [`Filter`] wants.
macro_rules! matching {
    () => {
        " AND ($4 = '[]' OR CASE WHEN state = 'scheduled' AND due_at <= $5 THEN 'queued'
               ELSE state END IN (SELECT value FROM json_rows($4)))
          AND ($6 = '' OR chat = $6) AND created_at >= $7 AND created_at < $8
          AND ($10 = '[]' OR kind IN (SELECT value FROM json_rows($10)))
          AND ($11 = '' OR lower(text) LIKE $11 ESCAPE '\\')"
    };
}

/// Selects from the outbox what a [`Filter`] wants. Without an index on the account, SQLite reads
/// it whole; not so for an account that has nothing there.
macro_rules! select_waiting {
    ($columns:expr, $rest:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM outbox WHERE (SELECT waiting FROM usage WHERE account_id = $1) > 0
              AND account_id = $1 AND ($2 = '' OR 'out' = $2) AND ($3 = '' OR device_id = $3)
              AND ($9 = 0 OR is_scheduled = 1)",
            matching!(),
            $rest
        )
    };
}

/// Selects from the history what a [`Filter`] wants: one text for each index. The sign keeps both
/// databases from the account's.
macro_rules! select_history {
    ($filter:expr, $columns:expr, $rest:literal) => {
        if $filter.is_scheduled {
            concat!(
                "SELECT ",
                $columns,
                " FROM messages WHERE account_id = $1 AND is_scheduled = 1 AND $9 = 1
                  AND ($2 = '' OR direction = $2) AND ($3 = '' OR device_id = $3)",
                matching!(),
                $rest
            )
        } else if !$filter.chat.is_empty() {
            concat!(
                "SELECT ",
                $columns,
                " FROM messages WHERE account_id = $1 AND chat = $6 AND $9 = 0
                  AND ($2 = '' OR direction = $2) AND ($3 = '' OR device_id = $3)",
                matching!(),
                $rest
            )
        } else if $filter.device.is_empty() {
            concat!(
                "SELECT ",
                $columns,
                " FROM messages WHERE account_id = $1 AND $9 = 0
                  AND ($2 = '' OR direction = $2) AND $3 = ''",
                matching!(),
                $rest
            )
        } else {
            concat!(
                "SELECT ",
                $columns,
                " FROM messages WHERE +account_id = $1 AND $9 = 0
                  AND ($2 = '' OR direction = $2) AND device_id = $3",
                matching!(),
                $rest
            )
        }
    };
}

pub(crate) async fn messages(
    tx: &mut Tx,
    account: AccountId,
    filter: MessageFilter,
    page: PageRequest,
) -> SqlResult<Page<Message>> {
    let filter = Filter::of(account, filter)?;
    let mut found = Merged::default();
    if filter.wants.0 {
        found.add(waiting_page(tx, account, &filter, page).await?);
    }
    let mut floor = None;
    if filter.wants.1 {
        let (history, end) = history_page(tx, &filter, page).await?;
        found.add(history);
        found.lowest = found.lowest.max(end.map(MessageId));
        floor = end.filter(|end| found.lowest == Some(MessageId(*end)));
    }
    let count = floor.map(|floor| found.messages.range(MessageId(floor)..).count());
    let mut found = found.newest_first();
    files::overlay(tx, &mut found.items).await?;
    let mut page = page_of(found, page.limit);
    // All that was found is in this page, and the next one looks further.
    page.looked_to = floor.filter(|_| count == Some(page.items.len()));
    Ok(page)
}

/// A page of the history; also the last row that was looked at, where there are more that may be wanted.
async fn history_page(
    tx: &mut Tx,
    filter: &Filter,
    page: PageRequest,
) -> SqlResult<(Filled<Message>, Option<i64>)> {
    let sql = select_history!(
        filter,
        history_columns!(),
        " AND id < $12 AND id >= $14 ORDER BY id DESC LIMIT $13"
    );
    let (before, most) = bounds(page);
    let steps: &[i64] = if filter.is_search() { &SEARCHED_ROWS } else { &[] };
    for rows in steps {
        let Some((floor, created_at)) = search_floor(tx, filter, before, *rows).await? else {
            break;
        };
        let values = |before, limit| filter.params_and(params![before, limit, floor]);
        let found = tx.fill("messages", sql, (before, most), values, message_from).await?;
        if found.is_cut || i64::try_from(found.items.len()).is_ok_and(|count| count >= most) {
            return Ok((found, None));
        }
        if created_at.saturating_add(CLOCK_SET_MAX).is_ok_and(|latest| latest < filter.since) {
            return Ok((found, None));
        }
        if Some(rows) == steps.last() {
            return Ok((found, Some(floor)));
        }
    }
    let values = |before, limit| filter.params_and(params![before, limit, i64::MIN]);
    let found = tx.fill("messages", sql, (before, most), values, message_from).await?;
    Ok((found, None))
}

/// The row of the history so many below `before`, and when it was created; `None` where there are fewer.
async fn search_floor(
    tx: &mut Tx,
    filter: &Filter,
    before: i64,
    rows: i64,
) -> SqlResult<Option<(i64, Timestamp)>> {
    const OF_ACCOUNT: &str = "SELECT id, created_at FROM messages WHERE account_id = $1 AND id < $2
        ORDER BY id DESC LIMIT 1 OFFSET $3";
    const OF_DEVICE: &str = "SELECT id, created_at FROM messages WHERE +account_id = $1 AND id < $2
        AND device_id = $4 ORDER BY id DESC LIMIT 1 OFFSET $3";
    const OF_CHAT: &str = "SELECT id, created_at FROM messages WHERE account_id = $1 AND id < $2
        AND chat = $4 ORDER BY id DESC LIMIT 1 OFFSET $3";
    let Filter { account, device, chat, .. } = filter;
    let row = match (chat.is_empty(), device.is_empty()) {
        (false, _) => tx.query_one(OF_CHAT, params![*account, before, rows, chat]).await?,
        (true, false) => tx.query_one(OF_DEVICE, params![*account, before, rows, device]).await?,
        (true, true) => tx.query_one(OF_ACCOUNT, params![*account, before, rows]).await?,
    };
    row.map(|mut row| Ok((row.int()?, row.time()?))).transpose()
}

/// SQLite reads the outbox from its newest end. Knowing how many rows the account has there ends
/// that as soon as they are found.
async fn waiting_page(
    tx: &mut Tx,
    account: AccountId,
    filter: &Filter,
    page: PageRequest,
) -> SqlResult<Filled<Message>> {
    const COUNT: &str = "SELECT waiting FROM usage WHERE account_id = $1";
    const SELECT: &str =
        select_waiting!(waiting_columns!(), " AND id < $12 ORDER BY id DESC LIMIT $13");
    let count = tx.query_one(COUNT, params![account.0]).await?;
    let count = count.map(|mut row| row.int()).transpose()?.unwrap_or(0);
    if count == 0 {
        return Ok(Filled { items: Vec::new(), is_cut: false });
    }
    let values = |before, limit: i64| filter.params_and(params![before, count.min(limit)]);
    tx.fill("outbox", SELECT, bounds(page), values, message_from).await
}

/// The rows of a page are found by their ids, the outbox's before the history's. Their number is
/// known where the filter wants whole states ([`Counts`]).
pub(crate) async fn counted_messages(
    tx: &mut Tx,
    account: AccountId,
    filter: MessageFilter,
    offset: u32,
    limit: u32,
) -> SqlResult<CountedPage<Message>> {
    let counted = CountedStates::of(&filter);
    let filter = Filter::of(account, filter)?;
    let counts = Counts::of(tx, account, &filter.device).await?;
    let reach = i64::from(offset) + i64::from(limit);
    let mut ids = BTreeSet::new();
    let mut total = 0;
    if filter.wants.0 && counts.waiting() > 0 {
        let known = counted.waiting.then(|| counts.waiting());
        total += waiting_ids(tx, &filter, known, reach, &mut ids).await?;
    }
    if filter.wants.1 {
        let known = counted.history.map(|states| counts.history(filter.direction, &states));
        total += history_ids(tx, &filter, known, reach, &mut ids).await?;
    }
    let [offset, limit] = [offset, limit].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let page: Vec<MessageId> =
        ids.into_iter().rev().skip(offset).take(limit).map(MessageId).collect();
    let (rows, lowest) = rows_by_ids(tx, WHOLE, &page, PAGE_BYTES_MAX).await?;
    let mut found = Merged { lowest, ..Merged::default() };
    found.add_rows(tx, rows);
    let mut items = found.newest_first().items;
    files::overlay(tx, &mut items).await?;
    Ok(CountedPage { items, total })
}

/// Of which messages a filter wants all that are in some states, so that their number is known.
struct CountedStates {
    /// Whether all in the outbox.
    waiting: bool,
    /// Which in the history; empty for all.
    history: Option<Vec<MessageState>>,
}

impl CountedStates {
    fn of(filter: &MessageFilter) -> Self {
        use MessageState::{Queued, Scheduled};
        let MessageFilter { states, chat, kinds, text, since, until, is_scheduled, .. } = filter;
        let is_whole = chat.is_none() && kinds.is_empty() && text.is_none() && !is_scheduled;
        let is_whole = is_whole && since.is_none() && until.is_none();
        let is_all = states.is_empty() || [Scheduled, Queued].iter().all(|s| states.contains(s));
        let history = states.iter().copied().filter(|state| !state.is_waiting()).collect();
        Self { waiting: is_whole && is_all, history: is_whole.then_some(history) }
    }
}

/// Adds the newest ids of the outbox; how many there are.
async fn waiting_ids(
    tx: &mut Tx,
    filter: &Filter,
    known: Option<i64>,
    reach: i64,
    ids: &mut BTreeSet<i64>,
) -> SqlResult<i64> {
    const SELECT: &str = select_waiting!("id", " ORDER BY id DESC LIMIT $12");
    // With their number known, SQLite's search ends where the last of them is.
    let limit = known.map_or(i64::MAX, |known| known.min(reach));
    let found = int_column(tx.query(SELECT, &filter.params_and(params![limit])).await?)?;
    let total = known.unwrap_or(i64::try_from(found.len()).unwrap_or(i64::MAX));
    ids.extend(found);
    Ok(total)
}

/// Adds the newest ids of the history; how many there are beside those that are known.
async fn history_ids(
    tx: &mut Tx,
    filter: &Filter,
    known: Option<i64>,
    reach: i64,
    ids: &mut BTreeSet<i64>,
) -> SqlResult<i64> {
    let mut total = match known {
        Some(known) => known,
        None => {
            let count = select_history!(filter, "count(*)", "");
            let row = tx.query_one(count, &filter.params()).await?;
            row.map(|mut row| row.int()).transpose()?.unwrap_or(0)
        }
    };
    // To find none among all takes long.
    if known == Some(0) {
        return Ok(0);
    }
    let sql = select_history!(filter, "id", " ORDER BY id DESC LIMIT $12");
    for id in int_column(tx.query(sql, &filter.params_and(params![reach])).await?)? {
        let is_new = ids.insert(id);
        // One that has moved meanwhile was counted twice, unless all counts were read at once.
        total -= i64::from(!is_new && known.is_none());
    }
    Ok(total)
}

fn int_column(rows: Vec<Row>) -> SqlResult<Vec<i64>> {
    rows.into_iter().map(|mut row| row.int()).collect()
}
