//! Where messages come from: an API, the phone itself, or somebody else.

use crate::policy::quota::QuotaReceipt;

/// Whether we sent it or received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Received.
    In,
    /// Sent, or to be sent.
    Out,
}

impl Direction {
    /// Its name in every API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    /// Reads a name back.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::In, Self::Out].into_iter().find(|direction| direction.as_str() == name)
    }
}

/// Where a message was written, and with it whether it was sent and what it was charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Accepted by an API and charged to the account. Of the charge, a stored message keeps its
    /// receipt only: the kind of quota and what was left of it. The period and the grant are in
    /// the outbox until the message has left, for a refund.
    Api(QuotaReceipt),
    /// Sent by the device's own number, but on the phone or another device linked to it: not
    /// charged, and no event reports it.
    Phone,
    /// Received from somebody else.
    Incoming,
}

impl Origin {
    /// Whether the message was sent or received.
    pub fn direction(self) -> Direction {
        match self {
            Self::Api(_) | Self::Phone => Direction::Out,
            Self::Incoming => Direction::In,
        }
    }

    /// From which quota the message was paid, and what was left.
    pub fn quota(self) -> Option<QuotaReceipt> {
        match self {
            Self::Api(receipt) => Some(receipt),
            Self::Phone | Self::Incoming => None,
        }
    }
}

/// The origins of what WhatsApp hands to a device; never an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceivedOrigin {
    /// As [`Origin::Phone`].
    Phone,
    /// As [`Origin::Incoming`].
    Incoming,
}

impl From<ReceivedOrigin> for Origin {
    fn from(origin: ReceivedOrigin) -> Self {
        match origin {
            ReceivedOrigin::Phone => Self::Phone,
            ReceivedOrigin::Incoming => Self::Incoming,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::quota::QuotaKind;

    #[test]
    fn the_origin_decides_direction_and_quota() {
        let receipt = QuotaReceipt { kind: QuotaKind::Grant, remaining: 7 };
        let cases = [
            (Origin::Api(receipt), Direction::Out, Some(receipt)),
            (Origin::Phone, Direction::Out, None),
            (Origin::Incoming, Direction::In, None),
            (ReceivedOrigin::Phone.into(), Direction::Out, None),
            (ReceivedOrigin::Incoming.into(), Direction::In, None),
        ];
        for (origin, direction, quota) in cases {
            assert_eq!((origin.direction(), origin.quota()), (direction, quota), "{origin:?}");
        }
    }
}
