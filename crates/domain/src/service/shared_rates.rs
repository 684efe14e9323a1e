//! The request limits where several nodes share them.
//!
//! A node takes a part of what a key or an account may do in 60 seconds from the database, and counts that
//! itself: all nodes together never let more pass than the limit, and no request waits for the database but
//! one in many. What a node has taken and not used is lost to the others for a minute, at most a part for each.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::lock::Mutex as AsyncMutex;
use jiff::Timestamp;
use parking_lot::Mutex;

use super::limits::{Counted, WINDOWS_KEPT, counted, in_all};
use crate::account::Caller;
use crate::error::{Error, Result};
use crate::policy::rate::{RateState, WINDOW};
use crate::ports::Store;

/// A node takes one of so many parts of a limit at a time.
const PARTS: i64 = 25;

/// What this node has taken of a limit and not used yet.
#[derive(Debug, Default)]
struct Part {
    left: i64,
    taken_at: Timestamp,
    /// What was left for all nodes then.
    state: Option<RateState>,
}

/// The parts of this node.
#[derive(Default)]
pub(super) struct SharedRates {
    parts: Mutex<HashMap<Counted, Arc<AsyncMutex<Part>>>>,
}

impl SharedRates {
    /// Counts a request; what is returned is where the caller has the least left.
    pub(super) async fn count(
        &self,
        store: &dyn Store,
        caller: Caller,
        limit: i64,
        now: Timestamp,
    ) -> Result<RateState> {
        let (own, account) = counted(caller)?;
        let own = self.spend(store, own, limit, now).await?;
        let account = self.spend(store, account, in_all(limit), now).await?;
        Ok(if account.remaining < own.remaining { account } else { own })
    }

    async fn spend(
        &self,
        store: &dyn Store,
        counted: Counted,
        limit: i64,
        now: Timestamp,
    ) -> Result<RateState> {
        let part = self.part(counted);
        let mut part = part.lock().await;
        let is_fresh = now.duration_since(part.taken_at) < WINDOW;
        if part.left <= 0 || !is_fresh || part.state.is_none_or(|state| state.limit != limit) {
            let wanted = (limit / PARTS).max(1);
            let taken = store.take_requests(&counted.name(), limit, wanted, now).await?;
            let taken = taken.map_err(Error::RateLimited)?;
            *part = Part { left: taken.count, taken_at: now, state: Some(taken.state) };
        }
        part.left -= 1;
        let state = part.state.unwrap_or(RateState { limit, remaining: 0, reset_s: 0 });
        Ok(RateState { remaining: state.remaining + part.left, ..state })
    }

    fn part(&self, counted: Counted) -> Arc<AsyncMutex<Part>> {
        let mut parts = self.parts.lock();
        if parts.len() >= WINDOWS_KEPT && !parts.contains_key(&counted) {
            // What they have not used is lost; those in use are held by their requests.
            parts.clear();
        }
        parts.entry(counted).or_default().clone()
    }
}
