//! The one error type of the simulator.

/// What can go wrong inside the simulator.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The database refused.
    #[error("the simulator's database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A file could not be read or written.
    #[error("the simulator's files: {0}")]
    Io(#[from] std::io::Error),
    /// The Signal library refused.
    #[error("signal: {0}")]
    Signal(#[from] wacore_libsignal::protocol::SignalProtocolError),
    /// A key was not a Curve25519 key.
    #[error("key: {0}")]
    Curve(#[from] wacore_libsignal::protocol::CurveError),
    /// A stanza could not be written or read.
    #[error("stanza: {0}")]
    Stanza(#[from] wacore_binary::BinaryError),
    /// A client broke the protocol; its connection ends.
    #[error("protocol: {0}")]
    Protocol(&'static str),
    /// The caller asked for something that cannot be.
    #[error("{0}")]
    BadRequest(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done in this state.
    #[error("{0}")]
    Conflict(String),
    /// The caller went away in the middle.
    #[error("{0}")]
    Disconnected(String),
    /// The other side did not answer in time.
    #[error("{0}")]
    Timeout(String),
    /// The caller has not proved that it may.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// A scripted fault wants this HTTP status.
    #[error("a scripted fault: {0}")]
    Scripted(u16),
    /// The simulator has been shut down.
    #[error("the simulator has been shut down")]
    Closed,
    /// A fault of the simulator itself.
    #[error("internal: {0}")]
    Internal(String),
}

pub(crate) type Result<T, E = SimulatorError> = std::result::Result<T, E>;

/// A [`SimulatorError::BadRequest`].
pub(crate) fn bad_request(message: impl Into<String>) -> SimulatorError {
    SimulatorError::BadRequest(message.into())
}

/// A [`SimulatorError::NotFound`].
pub(crate) fn not_found(message: impl Into<String>) -> SimulatorError {
    SimulatorError::NotFound(message.into())
}

/// A [`SimulatorError::Conflict`].
pub(crate) fn conflict(message: impl Into<String>) -> SimulatorError {
    SimulatorError::Conflict(message.into())
}
