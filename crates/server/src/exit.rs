//! The exit codes of a command that fails, from `sysexits.h`, so that service managers have names for them.
//! `docs/operations.md` lists them.

use std::fmt;
use std::io::ErrorKind;
use std::process::ExitCode;

use domain::error::StoreError;
use store::{OpenError, TransferError};

/// What kind of failure an error is, as a context of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    code: u8,
    text: &'static str,
}

/// Anything else.
const OTHER: u8 = 1;
/// The data is not for this program (`EX_DATAERR`).
const DATA: u8 = 65;
/// A server does not answer (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// A file or a disk cannot be read or written (`EX_IOERR`).
const DISK: u8 = 74;
/// Another process, or a clock, is in the way for now (`EX_TEMPFAIL`).
const IN_USE: u8 = 75;
/// The settings are wrong (`EX_CONFIG`).
const SETTINGS: u8 = 78;

impl Failure {
    /// The settings contradict each other, or cannot be read.
    pub const SETTINGS: Self = Self { code: SETTINGS, text: "invalid settings" };
    /// The secret key is not the database's.
    pub const SECRET_KEY: Self = Self { code: SETTINGS, text: "cannot use the secret key" };
    /// This process is not set up as the others on its database are.
    pub const NODE: Self = Self { code: SETTINGS, text: "cannot join the nodes of the database" };
    /// Another process has taken this one's name, and would lose it again to a restart.
    pub const NODE_ENDED: Self = Self { code: SETTINGS, text: "this node has ended" };
    /// The clock is not the database's. A machine that has just started may set it in a moment.
    pub const CLOCK: Self = Self { code: IN_USE, text: "cannot join the nodes of the database" };
    /// Something that a gateway which runs would not notice.
    pub const RUNS: Self = Self { code: IN_USE, text: "this needs a stopped gateway" };
    /// The media store cannot be used.
    pub const MEDIA_STORE: Self = Self { code: DISK, text: "cannot use media_store" };
    /// The archive cannot be used.
    pub const ARCHIVE: Self = Self { code: DISK, text: "cannot use archive_dir" };
    /// A backup cannot be used.
    pub const BACKUP: Self = Self { code: DATA, text: "cannot use the backup" };
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// The exit code of an error.
pub fn code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(number(error))
}

/// Whether an error has a code of its own.
pub fn is_known(error: &anyhow::Error) -> bool {
    number(error) != OTHER
}

fn number(error: &anyhow::Error) -> u8 {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.code;
    }
    error.chain().find_map(of_cause).unwrap_or(OTHER)
}

fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if let Some(error) = cause.downcast_ref::<OpenError>() {
        return Some(of_open(error));
    }
    if let Some(error) = cause.downcast_ref::<TransferError>() {
        return Some(of_transfer(error));
    }
    if let Some(StoreError::Unavailable(_)) = cause.downcast_ref::<StoreError>() {
        return Some(UNAVAILABLE);
    }
    let kind = cause.downcast_ref::<std::io::Error>()?.kind();
    let is_disk = matches!(
        kind,
        ErrorKind::StorageFull
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::PermissionDenied
            | ErrorKind::NotFound
            | ErrorKind::QuotaExceeded
    );
    is_disk.then_some(DISK)
}

fn of_open(error: &OpenError) -> u8 {
    match error {
        OpenError::Url | OpenError::Refused { .. } | OpenError::Unfit { .. } => SETTINGS,
        OpenError::Path(..) => DISK,
        OpenError::InUse(_) | OpenError::Migrating { .. } | OpenError::NodesRun { .. } => IN_USE,
        OpenError::Unreachable { .. } | OpenError::Unavailable(_) => UNAVAILABLE,
        OpenError::Newer { .. }
        | OpenError::Changed { .. }
        | OpenError::Moved { .. }
        | OpenError::Moving { .. }
        | OpenError::SqliteTooOld(_)
        | OpenError::Database(_) => DATA,
    }
}

fn of_transfer(error: &TransferError) -> u8 {
    match error {
        TransferError::Open(error) => of_open(error),
        TransferError::Commit(_) => UNAVAILABLE,
        TransferError::NotEmpty { .. }
        | TransferError::Schema { .. }
        | TransferError::Row { .. }
        | TransferError::Differs { .. } => DATA,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use anyhow::Context as _;

    use super::*;

    const OPERATIONS: &str = include_str!("../../../docs/operations.md");
    const UNIT: &str = include_str!("../../../deploy/gerbang.service");
    /// What the parser of the command line exits with.
    const USAGE: u8 = 2;

    #[test]
    fn the_manual_lists_every_code_and_the_unit_those_that_never_pass_by_themselves() {
        let (_, section) = OPERATIONS.split_once("## When it does not start").unwrap();
        let (section, _) = section.split_once("\n## ").unwrap();
        let code = |line: &str| line.strip_prefix("| ")?.split(' ').next()?.parse().ok();
        let listed: BTreeSet<u8> = section.lines().filter_map(code).collect();
        let all = [OTHER, USAGE, DATA, UNAVAILABLE, DISK, IN_USE, SETTINGS];
        assert_eq!(listed, BTreeSet::from(all));
        let prevented =
            UNIT.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus="));
        assert_eq!(prevented, Some(format!("{USAGE} {DATA} {SETTINGS}").as_str()));
    }

    #[test]
    fn an_error_has_its_code_below_every_context() {
        let io = |kind| anyhow::Error::from(std::io::Error::from(kind));
        let open = |error: OpenError| Err::<(), _>(error).context("cannot open the database");
        let away = domain::error::Error::Store(StoreError::Unavailable("away".into()));
        for (error, code) in [
            (anyhow::anyhow!("something"), 1),
            (anyhow::anyhow!("pacing is wrong").context(Failure::SETTINGS), 78),
            (anyhow::anyhow!("x").context(Failure::SECRET_KEY).context("y"), 78),
            (io(ErrorKind::StorageFull).context("cannot write"), 74),
            (io(ErrorKind::AddrInUse), 1),
            (anyhow::Error::from(away).context("cannot resume"), 69),
            (anyhow::anyhow!("x").context(Failure::CLOCK), 75),
            (open(OpenError::InUse("a".into())).unwrap_err(), 75),
            (open(OpenError::Newer { found: 2, known: 1 }).unwrap_err(), 65),
        ] {
            assert_eq!(number(&error), code, "{error:#}");
        }
    }
}
