//! Why a message waits.

use jiff::Timestamp;

/// What a waiting message waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitingReason {
    /// Its scheduled time.
    Scheduled,
    /// The pause between two messages.
    Pacing,
    /// The end of the quiet hours.
    QuietHours,
    /// The next day's first contacts.
    FirstContacts,
    /// The end of the time in which WhatsApp lets the number write to no strangers.
    ReachoutTimelock,
    /// The device's connection.
    NotConnected,
    /// An earlier message in its chat.
    ChatOrder,
    /// Its next attempt, after one that failed.
    Retry,
    /// Its file.
    File,
}

impl WaitingReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Scheduled,
        Self::Pacing,
        Self::QuietHours,
        Self::FirstContacts,
        Self::ReachoutTimelock,
        Self::NotConnected,
        Self::ChatOrder,
        Self::Retry,
        Self::File,
    ];

    /// Its name in our API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Pacing => "pacing",
            Self::QuietHours => "quiet_hours",
            Self::FirstContacts => "first_contacts",
            Self::ReachoutTimelock => "reachout_timelock",
            Self::NotConnected => "not_connected",
            Self::ChatOrder => "chat_order",
            Self::Retry => "retry",
            Self::File => "file",
        }
    }
}

/// What holds a message back, and until when where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// What it waits for.
    pub reason: WaitingReason,
    /// Not before this.
    pub until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_know_the_reasons_by_their_names() {
        let names = WaitingReason::ALL.map(WaitingReason::as_str);
        let planned = ["scheduled", "pacing", "quiet_hours", "first_contacts"];
        assert_eq!(names[..4], planned);
        let hindered = ["reachout_timelock", "not_connected", "chat_order", "retry", "file"];
        assert_eq!(names[4..], hindered);
    }
}
