//! Calls that come in.

use jiff::Timestamp;

use crate::message::Address;

/// A call that rings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its id on WhatsApp.
    pub id: String,
    /// Who calls.
    pub from: Address,
    /// Whether it is a video call.
    pub is_video: bool,
    /// Whether a group is called.
    pub is_group: bool,
    /// When it began.
    pub at: Timestamp,
    /// How the messenger addresses it.
    pub reference: String,
}

/// A call that came in, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallReport {
    /// Its id on WhatsApp.
    pub id: String,
    /// Who called.
    pub from: Address,
    /// Whether it was a video call.
    pub is_video: bool,
    /// Whether a group was called.
    pub is_group: bool,
    /// Whether the device has rejected it.
    pub is_rejected: bool,
    /// When it began.
    pub at: Timestamp,
}

impl CallReport {
    /// What was done about a call.
    pub fn of(call: &Call, is_rejected: bool) -> Self {
        let Call { id, from, is_video, is_group, at, .. } = call.clone();
        Self { id, from, is_video, is_group, is_rejected, at }
    }
}
