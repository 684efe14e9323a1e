//! A digest of all rows of a table, whatever their order.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::sql::Cell;

/// The sum of the digests of rows: two tables with the same one hold the same rows, as often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Digest {
    /// How many rows.
    pub(crate) rows: u64,
    sums: [u64; 4],
}

impl Digest {
    /// Counts a row.
    pub(crate) fn add(&mut self, row: &[Cell]) {
        let mut hash = Sha256::new();
        for cell in row {
            let (kind, length) = match cell {
                Cell::Null => (0, 0),
                Cell::Int(_) => (1, 8),
                Cell::Text(text) => (2, text.len()),
                Cell::Blob(bytes) => (3, bytes.len()),
                Cell::Other => (4, 0),
            };
            hash.update([kind]);
            hash.update(u64::try_from(length).unwrap_or(u64::MAX).to_le_bytes());
            match cell {
                Cell::Int(value) => hash.update(value.to_le_bytes()),
                Cell::Text(text) => hash.update(text.as_bytes()),
                Cell::Blob(bytes) => hash.update(bytes),
                Cell::Null | Cell::Other => {}
            }
        }
        let hash: [u8; 32] = hash.finalize().into();
        for (sum, part) in self.sums.iter_mut().zip(hash.as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*part));
        }
        self.rows += 1;
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sums.iter().try_for_each(|sum| write!(f, "{sum:016x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[&[Cell]]) -> Digest {
        let mut digest = Digest::default();
        rows.iter().for_each(|row| digest.add(row));
        digest
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_everything_else_does() {
        let (a, b) = ([Cell::Int(1), text("a")], [Cell::Int(2), Cell::Null]);
        assert_eq!(of(&[&a, &b]), of(&[&b, &a]));
        for other in [
            of(&[&a]),
            of(&[&a, &a]),
            of(&[&a, &b, &b]),
            of(&[&a, &[Cell::Int(2), text("")]]),
            of(&[&a, &[Cell::Null, Cell::Int(2)]]),
            of(&[&[Cell::Int(1), Cell::Blob(b"a".to_vec())], &b]),
        ] {
            assert_ne!(of(&[&a, &b]), other);
        }
        assert_ne!(of(&[&[text("ab"), text("c")]]), of(&[&[text("a"), text("bc")]]));
    }
}
