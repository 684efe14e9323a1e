//! How devices are shared among nodes.

use crate::node::Fleet;

/// What a node does about its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// It has what it should have.
    Stay,
    /// It claims as many as this, of those that no live node runs.
    Claim(u32),
    /// It hands over as many as this.
    HandOver(u32),
}

/// What a node does next. `is_settled` while nodes have neither come nor gone for a while: only then are
/// devices moved that run well where they are.
pub fn next_move(fleet: &Fleet, capacity: u32, is_settled: bool) -> Move {
    if fleet.drain_per_s.is_some() {
        // No node would take them.
        return if fleet.taking == 0 { Move::Stay } else { hand_over(fleet.owned) };
    }
    let share = share(fleet).min(u64::from(capacity));
    if fleet.owned < share && fleet.unowned > 0 {
        return Move::Claim(count(share - fleet.owned));
    }
    // Nobody else takes what the only node has beyond its capacity.
    let surplus = fleet.owned.saturating_sub(share);
    if fleet.taking > 1 && is_settled { hand_over(surplus) } else { Move::Stay }
}

/// The part of all devices that each node runs at most.
fn share(fleet: &Fleet) -> u64 {
    fleet.share.unwrap_or_else(|| fleet.devices.div_ceil(u64::from(fleet.taking.max(1))))
}

/// The share of nodes of these capacities, each up to its own: what the small ones cannot take falls to the
/// others.
pub fn share_of(devices: u64, capacities: &[u32]) -> u64 {
    let mut capacities: Vec<u64> = capacities.iter().copied().map(u64::from).collect();
    capacities.sort_unstable();
    let (mut left, mut nodes) = (devices, u64::try_from(capacities.len()).unwrap_or(u64::MAX));
    for capacity in capacities {
        let share = left.div_ceil(nodes);
        if capacity >= share {
            return share;
        }
        (left, nodes) = (left - capacity, nodes - 1);
    }
    // More than all of them can take.
    devices
}

fn hand_over(devices: u64) -> Move {
    if devices == 0 { Move::Stay } else { Move::HandOver(count(devices)) }
}

fn count(devices: u64) -> u32 {
    u32::try_from(devices).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(taking: u32, devices: u64, owned: u64, unowned: u64) -> Fleet {
        Fleet { live: taking, taking, devices, owned, unowned, ..Fleet::default() }
    }

    #[test]
    fn a_node_claims_up_to_its_share_and_hands_over_what_is_beyond() {
        let any = u32::MAX;
        let cases = [
            (fleet(1, 10, 0, 10), Move::Claim(10)),
            (fleet(1, 10, 10, 0), Move::Stay),
            (fleet(3, 10, 0, 10), Move::Claim(4)),
            (fleet(3, 10, 4, 2), Move::Stay),
            (fleet(3, 10, 0, 0), Move::Stay),
            (fleet(3, 10, 6, 0), Move::HandOver(2)),
            (fleet(2, 0, 0, 0), Move::Stay),
        ];
        for (fleet, expected) in cases {
            assert_eq!(next_move(&fleet, any, true), expected, "{fleet:?}");
        }
        assert_eq!(next_move(&fleet(3, 10, 6, 0), any, false), Move::Stay, "nodes come and go");
        assert_eq!(next_move(&fleet(1, 10, 0, 10), 4, true), Move::Claim(4), "its capacity");
        assert_eq!(next_move(&fleet(1, 10, 10, 0), 4, true), Move::Stay, "no other takes them");
        assert_eq!(next_move(&fleet(2, 10, 10, 0), 4, true), Move::HandOver(6));
    }

    #[test]
    fn what_small_nodes_cannot_take_falls_to_the_others() {
        let cases: [(u64, &[u32], u64); 7] = [
            (10, &[100, 100, 100], 4),
            (6, &[1, 100], 5),
            (100, &[10, 100, 20], 70),
            (0, &[1], 0),
            (5, &[], 5),
            (9, &[3, 3, 3], 3),
            (9, &[2, 2], 9),
        ];
        for (devices, capacities, expected) in cases {
            assert_eq!(share_of(devices, capacities), expected, "{devices} on {capacities:?}");
        }
        let large = Fleet { share: Some(5), ..fleet(2, 6, 3, 2) };
        assert_eq!(next_move(&large, 100, true), Move::Claim(2));
        assert_eq!(next_move(&large.of_webhooks(), 100, true), Move::Stay);
    }

    #[test]
    fn a_drained_node_hands_over_all_it_has_while_another_takes_it() {
        let drained = |taking| Fleet { drain_per_s: Some(5), ..fleet(taking, 10, 6, 1) };
        assert_eq!(next_move(&drained(2), u32::MAX, false), Move::HandOver(6));
        assert_eq!(next_move(&drained(0), u32::MAX, true), Move::Stay);
    }
}
