//! Whether a server answers and lets us in, as the first thing of a start.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Row as _};

use super::link::from_sqlx;
use crate::OpenError;

/// How long a server may take to answer; one behind a firewall may never do.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Connects once.
///
/// # Errors
/// [`OpenError::Unreachable`], [`OpenError::Refused`].
pub(super) async fn reach(options: &PgConnectOptions) -> Result<(), OpenError> {
    let server = server(options);
    let connected = tokio::time::timeout(ANSWER_MAX, PgConnection::connect_with(options)).await;
    match connected {
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            Ok(())
        }
        Ok(Err(error)) => Err(refusal(server, &error)),
        Err(_) => Err(OpenError::Unreachable { server, why: "no answer".into() }),
    }
}

/// Whether the database can hold our data: it must know every character, and let us make tables.
///
/// # Errors
/// [`OpenError::Unfit`], or the database's.
pub(super) async fn fits(options: &PgConnectOptions) -> Result<(), OpenError> {
    const LOOK: &str = "SELECT CAST(getdatabaseencoding() AS TEXT),
        coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)";
    let mut connection = PgConnection::connect_with(options).await.map_err(from_sqlx)?;
    let row = sqlx::query(LOOK).fetch_one(&mut connection).await.map_err(from_sqlx)?;
    let encoding: String = row.try_get(0).map_err(from_sqlx)?;
    let may_create: bool = row.try_get(1).map_err(from_sqlx)?;
    let _ = connection.close().await;
    let unfit = |why: String| Err(OpenError::Unfit { server: server(options), why });
    if encoding != "UTF8" {
        return unfit(format!(
            "its encoding is {encoding}, and messages need UTF8: make one with createdb --encoding=UTF8 \
             --template=template0"
        ));
    }
    if !may_create {
        let user = options.get_username();
        return unfit(format!(
            "{user} may not make tables in it: let {user} own the database, or GRANT CREATE ON SCHEMA"
        ));
    }
    Ok(())
}

/// Host and port, or the socket.
pub(super) fn server(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

fn refusal(server: String, error: &sqlx::Error) -> OpenError {
    match error {
        sqlx::Error::Database(answer) => {
            let why = answer.message().to_owned();
            // Wrong users and passwords, and databases that do not exist; the rest passes.
            let is_final =
                answer.code().is_some_and(|code| code.starts_with("28") || code == "3D000");
            if is_final {
                OpenError::Refused { server, why }
            } else {
                OpenError::Unreachable { server, why }
            }
        }
        sqlx::Error::Io(error) => OpenError::Unreachable { server, why: error.to_string() },
        other => OpenError::Unreachable { server, why: other.to_string() },
    }
}
