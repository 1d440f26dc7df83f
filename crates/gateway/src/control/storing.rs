//! Evidence on its way to the store, and what happens while the store refuses.

use std::time::{Duration, Instant};

use rollout::{Breach, Event, Health, Stage};
use store::{CountedRow, DatabaseError};

use super::managed::{self, Managed};
use super::run::{Refusing, Work};
use crate::live::{Counted, Counting};

/// How often the store is probed while it refuses.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Entries of evidence held in memory while the store refuses, in bytes of their lines: some minutes of a thousand requests a second.
const MOST_UNSAVED: usize = 64 << 20;

impl Work {
    /// Saves the evidence of every live rollout that has new evidence.
    pub(super) fn save_all_evidence(&mut self) {
        self.saved_at = Instant::now();
        let names: Vec<String> = self.rollouts.keys().cloned().collect();
        for name in names {
            if let Err(error) = self.save_evidence(&name) {
                self.store_refused(&error);
            }
        }
    }

    pub(super) fn save_evidence(&mut self, name: &str) -> Result<(), DatabaseError> {
        let Some(rollout) = self.rollouts.get(name) else { return Ok(()) };
        // A change that waits for the store has taken what was counted up to it; that goes first.
        if !rollout.is_live() || rollout.pending.is_some() || rollout.stranded {
            return Ok(());
        }
        let mark = rollout.live.with_counting(|counting| {
            let evidence = &counting.evidence;
            (evidence.epoch(), managed::weight(evidence))
        });
        if self.saved.get(name) == Some(&mark) {
            return Ok(());
        }
        let (health, generation) = (self.health(name), rollout.state.generation);
        let counted = rollout.live.with_counting(Counting::take);
        if let Some(row) = self.counted_row(name, counted, health) {
            match self.database.save_evidence(generation, &row) {
                Ok(true) => {}
                Ok(false) => {
                    self.strand(name);
                    return Ok(());
                }
                Err(error) => {
                    self.stash(name, row);
                    return Err(error);
                }
            }
        }
        self.saved.insert(name.to_owned(), mark);
        self.store_took_it();
        Ok(())
    }

    /// What was counted, with what an earlier saving of the same epoch did not bring into the store.
    pub(super) fn counted_row(&mut self, name: &str, counted: Counted, health: Health) -> Option<CountedRow> {
        let rollout = self.rollouts.get(name)?;
        match managed::counted_row((&rollout.policy, &rollout.state), counted, health) {
            Ok(mut row) => {
                let earlier = self.unsaved.remove(name).filter(|earlier| earlier.evidence.epoch == row.evidence.epoch);
                if let Some(earlier) = earlier {
                    row.units.splice(0..0, earlier.units);
                    row.inputs.splice(0..0, earlier.inputs);
                }
                Some(row)
            }
            Err(error) => {
                tracing::error!(rollout = name, %error, "evidence cannot be serialized");
                None
            }
        }
    }

    /// Keeps what the store did not take for the next saving. Entries beyond what memory should hold are left out: their numbers are
    /// missing, and a replay says so.
    pub(super) fn stash(&mut self, name: &str, mut row: CountedRow) {
        let mut bytes = 0;
        row.inputs.retain(|part| {
            bytes += part.lines.len();
            bytes <= MOST_UNSAVED
        });
        self.unsaved.insert(name.to_owned(), row);
    }

    pub(super) fn store_took_it(&mut self) {
        if let Some(refusing) = self.refusing.take() {
            tracing::info!(for_s = refusing.since.elapsed().as_secs(), "the store takes writes again");
        }
    }

    pub(super) fn store_refused(&mut self, error: &DatabaseError) {
        let now = Instant::now();
        match &mut self.refusing {
            Some(refusing) => refusing.probed = now,
            None => {
                tracing::error!(%error, "the store does not take writes; shares can fall but not rise");
                self.refusing = Some(Refusing { since: now, probed: now, lost: false });
            }
        }
    }

    pub(super) fn probe_store(&mut self) {
        let Some(refusing) = &mut self.refusing else { return };
        if refusing.probed.elapsed() >= PROBE_EVERY {
            refusing.probed = Instant::now();
            if self.database.probe().is_ok() {
                self.store_took_it();
                return;
            }
        }
        let Some(refusing) = &mut self.refusing else { return };
        if !refusing.lost && refusing.since.elapsed() >= self.patience {
            refusing.lost = true;
            self.control_plane_lost();
        }
    }

    /// Shadow and canary go back to the baseline; majority and full stay, with their guards armed.
    pub(super) fn control_plane_lost(&mut self) {
        let early = |rollout: &Managed| rollout.state.stage(&rollout.policy) <= Stage::Canary && rollout.is_live();
        let names: Vec<String> =
            self.rollouts.iter().filter(|(_, rollout)| early(rollout)).map(|(name, _)| name.clone()).collect();
        tracing::error!(reverted = ?names, "control plane lost: shadow and canary reverted, later stages frozen");
        for name in names {
            let event = Event::Rollback { breach: Breach::control_plane_lost() };
            // The store refuses, so this ends as pending: the share is 0 at once, the row follows.
            if let Err(error) = self.happen(&name, &event) {
                tracing::warn!(rollout = name, %error, "reverted; to be written down when the store is back");
            }
        }
    }
}
