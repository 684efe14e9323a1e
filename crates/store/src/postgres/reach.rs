//! Whether a server answers and lets us in, as the first thing of a start.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

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
