//! What evidence counted is kept for a replay, and not for ever.

use std::time::{Duration, Instant};

use rollout::{Status, Timestamp};
use store::DatabaseError;

use super::run::Work;
use crate::live;

/// How often it is looked for something whose time is over.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// Parts deleted in one transaction: what waits for the store waits for no more than this.
const MOST_PARTS: u32 = 200;
/// Of an epoch under way a day's worth is pruned at a time, so that the audit has a row a day for it.
const A_DAY_US: u64 = 86_400_000_000;

impl Work {
    /// Deletes entries of epochs that ended before what `record.replay` keeps. Of an epoch under way nothing is deleted, because its evidence has to be
    /// decided again from the first entry on; but of one that has been completed, which may go on for years.
    pub(super) fn prune(&mut self) {
        if self.pruned_at.is_some_and(|at| at.elapsed() < LOOK_EVERY) || self.refusing.is_some() {
            return;
        }
        let Some(keep) = self.snapshot.load().keeping.replay else { return };
        match self.prune_some(keep, live::now()) {
            // There is more: the next tick goes on.
            Ok(true) => {}
            Ok(false) => self.pruned_at = Some(Instant::now()),
            Err(error) => {
                tracing::warn!(%error, "what evidence counted could not be pruned");
                self.pruned_at = Some(Instant::now());
            }
        }
    }

    /// Prunes one epoch, `true` when there was something to prune.
    fn prune_some(&self, keep: Duration, now: Timestamp) -> Result<bool, DatabaseError> {
        let keep_us = u64::try_from(keep.as_micros()).unwrap_or(u64::MAX);
        let before_us = now.0.saturating_sub(keep_us);
        for (rollout, epoch, saved_us) in self.database.epochs_of_evidence()? {
            let state = self.rollouts.get(&rollout).map(|rollout| &rollout.state);
            let under_way = state.filter(|state| state.epoch == epoch && state.status.is_serving());
            let before_us = match under_way.map(|state| state.status) {
                None if saved_us < before_us => before_us,
                Some(Status::Completed) => before_us - before_us % A_DAY_US,
                None | Some(_) => continue,
            };
            let pruned = self.database.prune_inputs((&rollout, epoch), (before_us, now.0), MOST_PARTS)?;
            if let Some(pruned) = pruned {
                tracing::info!(rollout, epoch, until = pruned.until, "what was counted longest ago is deleted");
                return Ok(true);
            }
        }
        Ok(false)
    }
}
