//! The people of the dashboard, their sessions and links. Of secrets there are only hashes.

use domain::ids::{AccountId, UserId};
use domain::key::KeyHash;
use domain::person::{
    INVITATIONS_MAX, Invitation, Link, Place, Role, SESSION_MAX, Session, USERS_MAX, User,
};
use domain::ports::{CreatedUser, NewLink, NewSession, NewUser};
use jiff::Timestamp;

use crate::accounts::lock_account;
use crate::sql::{Row, SqlError, SqlResult, Tx, params, whole_millis};

macro_rules! user_columns {
    () => {
        "users.id, users.account_id, users.role, users.email, users.created_at"
    };
}
/// What stands in place of a role in a link that sets a new password.
const RESET: &str = "reset";
/// How many they are.
const USER_COLUMNS: usize = 5;

pub(crate) async fn create_user(
    tx: &mut Tx,
    new: NewUser,
    now: Timestamp,
) -> SqlResult<CreatedUser> {
    const COUNT: &str = "SELECT count(*) FROM users
        WHERE account_id = $1 OR (account_id IS NULL AND CAST($1 AS BIGINT) IS NULL)";
    const INSERT: &str = "INSERT INTO users (account_id, role, email, password, created_at)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (email) DO NOTHING RETURNING id";
    let NewUser { email, password, place } = new;
    let (account, role) = columns(place);
    if let Some(account) = account
        && !lock_account(tx, AccountId(account)).await?
    {
        return Ok(CreatedUser::LimitReached);
    }
    let count = tx.query_one(COUNT, params![account]).await?;
    if count.map(|mut row| row.int()).transpose()?.unwrap_or(0) >= USERS_MAX {
        return Ok(CreatedUser::LimitReached);
    }
    let row = tx.query_one(INSERT, params![account, role, &email, &password, now]).await?;
    let Some(mut row) = row else { return Ok(CreatedUser::EmailTaken) };
    let id = UserId(row.int()?);
    Ok(CreatedUser::Created(User { id, email, place, created_at: whole_millis(now) }))
}

pub(crate) async fn user_by_email(tx: &mut Tx, email: String) -> SqlResult<Option<(User, String)>> {
    const SELECT: &str =
        concat!("SELECT ", user_columns!(), ", password FROM users WHERE email = $1");
    let row = tx.query_one(SELECT, params![&email]).await?;
    tx.single("users", row, |row| Ok((user_from(row)?, row.text()?)))
}

pub(crate) async fn users(tx: &mut Tx, account: Option<AccountId>) -> SqlResult<Vec<User>> {
    const SELECT: &str = concat!(
        "SELECT ",
        user_columns!(),
        " FROM users WHERE account_id = $1
          OR (account_id IS NULL AND CAST($1 AS BIGINT) IS NULL) ORDER BY id"
    );
    let rows = tx.query(SELECT, params![account.map(|id| id.0)]).await?;
    Ok(tx.readable("users", rows, user_from))
}

pub(crate) async fn delete_user(
    tx: &mut Tx,
    account: Option<AccountId>,
    id: UserId,
) -> SqlResult<bool> {
    const DELETE: &str = "DELETE FROM users WHERE id = $2 AND (account_id = $1
        OR (account_id IS NULL AND CAST($1 AS BIGINT) IS NULL)) RETURNING id";
    // Of an account's invitations from before makers were kept, any may be this person's.
    const LINKS: &str = "DELETE FROM links WHERE user_id = $1 OR made_by = $1
        OR (account_id = $2 AND made_by IS NULL)";
    let deleted = tx.query_one(DELETE, params![account.map(|id| id.0), id.0]).await?;
    if deleted.is_none() {
        return Ok(false);
    }
    tx.execute("DELETE FROM logins WHERE user_id = $1", params![id.0]).await?;
    tx.execute("DELETE FROM second_factors WHERE user_id = $1", params![id.0]).await?;
    tx.execute(LINKS, params![id.0, account.map(|id| id.0)]).await?;
    Ok(true)
}

pub(crate) async fn set_role(
    tx: &mut Tx,
    account: AccountId,
    id: UserId,
    role: Role,
) -> SqlResult<bool> {
    const UPDATE: &str =
        "UPDATE users SET role = $3 WHERE id = $2 AND account_id = $1 RETURNING id";
    const LINKS: &str = "DELETE FROM links WHERE made_by = $1";
    let changed = tx.query_one(UPDATE, params![account.0, id.0, role.as_str()]).await?;
    if changed.is_none() {
        return Ok(false);
    }
    tx.execute(LINKS, params![id.0]).await?;
    Ok(true)
}

pub(crate) async fn set_password(
    tx: &mut Tx,
    id: UserId,
    password: String,
    kept: Option<KeyHash>,
) -> SqlResult<bool> {
    const UPDATE: &str = "UPDATE users SET password = $2 WHERE id = $1 RETURNING id";
    const LOGINS: &str = "DELETE FROM logins WHERE user_id = $1 AND hash <> $2";
    if tx.query_one(UPDATE, params![id.0, &password]).await?.is_none() {
        return Ok(false);
    }
    // No hash is empty.
    let kept = kept.as_ref().map_or([].as_slice(), |hash| hash.0.as_slice());
    tx.execute(LOGINS, params![id.0, kept]).await?;
    tx.execute("DELETE FROM links WHERE user_id = $1", params![id.0]).await?;
    Ok(true)
}

pub(crate) async fn reset_password(
    tx: &mut Tx,
    hash: KeyHash,
    password: String,
    now: Timestamp,
) -> SqlResult<Option<User>> {
    const LOCK: &str = "SELECT id FROM users WHERE id = $1 FOR UPDATE";
    const SELECT: &str = concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1");
    let Some(Link::Reset(id)) = link(tx, hash, now).await? else { return Ok(None) };
    // The person before its links, as when it is removed.
    tx.query(LOCK, params![id.0]).await?;
    // Of two who use it at a time one gets it.
    if take_link(tx, hash, now).await?.is_none() || !set_password(tx, id, password, None).await? {
        return Ok(None);
    }
    let row = tx.query_one(SELECT, params![id.0]).await?;
    tx.single("users", row, user_from)
}

pub(crate) async fn create_link(tx: &mut Tx, new: NewLink, now: Timestamp) -> SqlResult<bool> {
    const CLEAN: &str = "DELETE FROM links WHERE expires_at <= $1";
    const LOCK: &str = "SELECT id FROM users WHERE id = $1 FOR UPDATE";
    const INSERT: &str = "INSERT INTO links (hash, user_id, account_id, role, expires_at, made_by)
        VALUES ($1, $2, $3, $4, $5, $6)";
    let (user, (account, role)) = match new.link {
        Link::Join(place) => (None, columns(place)),
        Link::SignIn(user) => (Some(user.0), (None, None)),
        Link::Reset(user) => (Some(user.0), (None, Some(RESET))),
    };
    let maker = new.made_by.map(|user| user.0);
    // A person who is being removed leaves no link behind.
    if let Some(maker) = maker
        && tx.query_one(LOCK, params![maker]).await?.is_none()
    {
        return Ok(false);
    }
    tx.execute(CLEAN, params![now]).await?;
    let hash = new.hash.0.as_slice();
    tx.execute(INSERT, params![hash, user, account, role, new.expires_at, maker]).await?;
    Ok(true)
}

pub(crate) async fn invitations(
    tx: &mut Tx,
    account: Option<AccountId>,
    now: Timestamp,
) -> SqlResult<Vec<Invitation>> {
    const SELECT: &str =
        "SELECT links.hash, links.account_id, links.role, users.email, links.expires_at
        FROM links LEFT JOIN users ON users.id = links.made_by
        WHERE links.user_id IS NULL AND links.expires_at > $2 AND (links.account_id = $1
          OR (links.account_id IS NULL AND CAST($1 AS BIGINT) IS NULL))
        ORDER BY links.expires_at DESC, links.hash LIMIT $3";
    let most = i64::try_from(INVITATIONS_MAX).unwrap_or(i64::MAX);
    let rows = tx.query(SELECT, params![account.map(|id| id.0), now, most]).await?;
    rows.into_iter().map(invitation_from).collect()
}

fn invitation_from(mut row: Row) -> SqlResult<Invitation> {
    let hash = row.blob()?.try_into();
    let hash = KeyHash(hash.map_err(|_| SqlError::Fault("a link has no whole hash".into()))?);
    let place = place_from(&mut row)?;
    Ok(Invitation { hash, place, made_by: row.opt_text()?, expires_at: row.time()? })
}

pub(crate) async fn delete_invitation(
    tx: &mut Tx,
    account: Option<AccountId>,
    hash: KeyHash,
) -> SqlResult<Option<Link>> {
    const DELETE: &str =
        "DELETE FROM links WHERE hash = $2 AND user_id IS NULL AND (account_id = $1
        OR (account_id IS NULL AND CAST($1 AS BIGINT) IS NULL))
        RETURNING user_id, account_id, role";
    let row = tx.query_one(DELETE, params![account.map(|id| id.0), hash.0.as_slice()]).await?;
    row.map(link_from).transpose()
}

pub(crate) async fn link(tx: &mut Tx, hash: KeyHash, now: Timestamp) -> SqlResult<Option<Link>> {
    const SELECT: &str =
        "SELECT user_id, account_id, role FROM links WHERE hash = $1 AND expires_at > $2";
    let row = tx.query_one(SELECT, params![hash.0.as_slice(), now]).await?;
    row.map(link_from).transpose()
}

/// Deleting its row is what makes a link valid only once.
pub(crate) async fn take_link(
    tx: &mut Tx,
    hash: KeyHash,
    now: Timestamp,
) -> SqlResult<Option<Link>> {
    const TAKE: &str = "DELETE FROM links WHERE hash = $1 AND expires_at > $2
        RETURNING user_id, account_id, role";
    let row = tx.query_one(TAKE, params![hash.0.as_slice(), now]).await?;
    row.map(link_from).transpose()
}

pub(crate) async fn join(
    tx: &mut Tx,
    hash: KeyHash,
    (email, password): (String, String),
    now: Timestamp,
) -> SqlResult<Option<CreatedUser>> {
    const LOCK: &str = "SELECT hash FROM links WHERE hash = $1 FOR UPDATE";
    let Some(Link::Join(place)) = link(tx, hash, now).await? else { return Ok(None) };
    // The account before its link, as when an account is deleted.
    if let Some(account) = place.account() {
        lock_account(tx, account).await?;
    }
    if tx.query_one(LOCK, params![hash.0.as_slice()]).await?.is_none() {
        return Ok(None);
    }
    let created = create_user(tx, NewUser { email, password, place }, now).await?;
    if let CreatedUser::Created(_) = created {
        take_link(tx, hash, now).await?;
    }
    Ok(Some(created))
}

pub(crate) async fn create_session(tx: &mut Tx, new: NewSession, now: Timestamp) -> SqlResult<()> {
    const CLEAN: &str = "DELETE FROM logins WHERE created_at <= $1";
    const INSERT: &str = "INSERT INTO logins (hash, user_id, entered, created_at, seen_at)
        SELECT $1, id, $3, $4, $4 FROM users WHERE id = $2";
    let ended = now.saturating_sub(SESSION_MAX).unwrap_or(Timestamp::MIN);
    tx.execute(CLEAN, params![ended]).await?;
    let entered = new.entered.map(|account| account.0);
    let hash = new.hash.0.as_slice();
    tx.execute(INSERT, params![hash, new.user.0, entered, now]).await.map(drop)
}

pub(crate) async fn session(tx: &mut Tx, hash: KeyHash) -> SqlResult<Option<Session>> {
    const SELECT: &str = concat!(
        "SELECT ",
        user_columns!(),
        ", logins.entered, logins.created_at, logins.seen_at FROM logins
          JOIN users ON users.id = logins.user_id WHERE logins.hash = $1"
    );
    let Some(mut user) = tx.query_one(SELECT, params![hash.0.as_slice()]).await? else {
        return Ok(None);
    };
    let mut login = user.split_off(USER_COLUMNS);
    let Some(user) = tx.single("users", Some(user), user_from)? else { return Ok(None) };
    Ok(Some(Session {
        hash,
        user,
        entered: login.opt_int()?.map(AccountId),
        created_at: login.time()?,
        seen_at: login.time()?,
    }))
}

pub(crate) async fn touch_session(tx: &mut Tx, hash: KeyHash, now: Timestamp) -> SqlResult<()> {
    const UPDATE: &str = "UPDATE logins SET seen_at = $2 WHERE hash = $1";
    tx.execute(UPDATE, params![hash.0.as_slice(), now]).await.map(drop)
}

pub(crate) async fn enter_account(
    tx: &mut Tx,
    hash: KeyHash,
    account: Option<AccountId>,
) -> SqlResult<()> {
    const UPDATE: &str = "UPDATE logins SET entered = $2 WHERE hash = $1";
    let account = account.map(|account| account.0);
    tx.execute(UPDATE, params![hash.0.as_slice(), account]).await.map(drop)
}

pub(crate) async fn delete_session(tx: &mut Tx, hash: KeyHash) -> SqlResult<()> {
    const DELETE: &str = "DELETE FROM logins WHERE hash = $1";
    tx.execute(DELETE, params![hash.0.as_slice()]).await.map(drop)
}

fn columns(place: Place) -> (Option<i64>, Option<&'static str>) {
    match place {
        Place::Operator => (None, None),
        Place::Account(account, role) => (Some(account.0), Some(role.as_str())),
    }
}

/// Reads `account_id, role`.
fn place_from(row: &mut Row) -> SqlResult<Place> {
    let unknown = || SqlError::Fault("a person has an unknown role".into());
    match (row.opt_int()?, row.opt_text()?) {
        (None, None) => Ok(Place::Operator),
        (Some(account), Some(role)) => {
            Ok(Place::Account(AccountId(account), Role::from_name(&role).ok_or_else(unknown)?))
        }
        _ => Err(unknown()),
    }
}

fn user_from(row: &mut Row) -> SqlResult<User> {
    let id = UserId(row.int()?);
    let place = place_from(row)?;
    Ok(User { id, place, email: row.text()?, created_at: row.time()? })
}

fn link_from(mut row: Row) -> SqlResult<Link> {
    let Some(user) = row.opt_int()?.map(UserId) else {
        return Ok(Link::Join(place_from(&mut row)?));
    };
    row.opt_int()?;
    Ok(match row.opt_text()?.as_deref() {
        Some(RESET) => Link::Reset(user),
        _ => Link::SignIn(user),
    })
}
