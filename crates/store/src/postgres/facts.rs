//! What can be known of a database without using it.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Row as _};

use super::link::from_sqlx;
use super::reach::{reach, server};
use crate::migrate::{OLDEST_SETTING, oldest_from};
use crate::sql::SqlResult;
use crate::{DatabaseFacts, OpenError, refuse_newer};

/// The URL of a database without a password.
///
/// # Errors
/// It is no URL.
pub fn address(url: &str) -> Result<String, OpenError> {
    Ok(address_of(&options(url)?))
}

/// Reads the schema and a setting of the database at `url`, beside the gateways that use it.
///
/// # Errors
/// It cannot be reached or read, or it is of a newer version that this one cannot work with.
pub async fn facts(url: &str, setting: &str) -> Result<DatabaseFacts, OpenError> {
    const TABLES: &str =
        "SELECT count(*) FROM pg_class WHERE relname IN ('schema_version', 'settings')
        AND relnamespace = current_schema()::regnamespace";
    const SCHEMA: &str = "SELECT coalesce(max(version), 0) FROM schema_version";
    let options = options(url)?;
    reach(&options).await?;
    let mut connection = PgConnection::connect_with(&options).await.map_err(from_sqlx)?;
    let row = sqlx::query(TABLES).fetch_one(&mut connection).await.map_err(from_sqlx)?;
    if row.try_get::<i64, _>(0).map_err(from_sqlx)? < 2 {
        return Ok(DatabaseFacts { schema: 0, oldest: 0, setting: None });
    }
    let row = sqlx::query(SCHEMA).fetch_one(&mut connection).await.map_err(from_sqlx)?;
    let schema = row.try_get(0).map_err(from_sqlx)?;
    let oldest = oldest_from(setting_of(&mut connection, OLDEST_SETTING).await?, schema)?;
    let setting = setting_of(&mut connection, setting).await?;
    let _ = connection.close().await;
    refuse_newer(schema, oldest)?;
    Ok(DatabaseFacts { schema, oldest, setting })
}

async fn setting_of(connection: &mut PgConnection, name: &str) -> SqlResult<Option<Vec<u8>>> {
    const SETTING: &str = "SELECT value FROM settings WHERE name = $1";
    let query = sqlx::query(SETTING).bind(name);
    let row = query.fetch_optional(connection).await.map_err(from_sqlx)?;
    row.map(|row| row.try_get(0)).transpose().map_err(from_sqlx)
}

/// The options of a URL of PostgreSQL's.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, OpenError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(OpenError::Url);
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::Url)?;
    Ok(options.application_name("gerbang"))
}

/// The address of a database without a password.
pub(super) fn address_of(options: &PgConnectOptions) -> String {
    let user = options.get_username();
    let database = options.get_database().unwrap_or(user);
    format!("postgres://{user}@{}/{database}", server(options))
}
