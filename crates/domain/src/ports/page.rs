//! Pages of lists.

/// Most bytes of content in a page: a page ends before the row that would exceed it, and has one
/// row at least.
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// One page of a list, newest first.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// At most as many as asked for, and as [`PAGE_BYTES_MAX`] allows.
    pub items: Vec<T>,
    /// Whether older ones exist, or may.
    pub has_more: bool,
    /// Where a search has stopped that looks at a limited number of rows in one request; the next page
    /// goes on there.
    pub looked_to: Option<i64>,
}

impl<T> Page<T> {
    /// What [`PageRequest::before`] of the next page is, by the number of an item; `None` on the last one.
    pub fn next(&self, number: impl Fn(&T) -> i64) -> Option<i64> {
        let last = self.items.last().filter(|_| self.has_more).map(number);
        self.looked_to.or(last)
    }
}

/// Which page of a list.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest {
    /// Only ids below this one; `None` starts at the newest.
    pub before: Option<i64>,
    /// At most this many.
    pub limit: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_begins_where_this_one_has_ended() {
        let next = |items: &[i64], has_more, looked_to| {
            Page { items: items.to_vec(), has_more, looked_to }.next(|number| *number)
        };
        assert_eq!(next(&[9, 7], true, None), Some(7));
        assert_eq!(next(&[9, 7], false, None), None);
        assert_eq!(next(&[9, 7], true, Some(4)), Some(4), "as far as a search has looked");
        assert_eq!(next(&[], true, Some(4)), Some(4));
    }
}
