//! Evidence on its way to the store, and what happens while the store refuses.

use std::time::{Duration, Instant};

use rollout::{Breach, Event, Stage};
use store::{DatabaseError, SeenUnit};

use super::managed::{self, Managed};
use super::run::{Refusing, Work};
use crate::live;

/// How often the store is probed while it refuses.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(1);

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
        if !rollout.is_live() {
            return Ok(());
        }
        let mark = rollout.live.with_evidence(|evidence| (evidence.epoch(), managed::weight(evidence)));
        if self.saved.get(name) == Some(&mark) {
            return Ok(());
        }
        // Copied under the lock, serialized outside it: the request path waits some microseconds, twice a second.
        let (copy, counted, at) =
            rollout.live.with_evidence(|evidence| (evidence.snapshot(), evidence.take_new_seen_units(), live::now()));
        let counted = counted.into_iter().map(|seen| SeenUnit { unit: seen.unit, flags: seen.marks });
        let (_, units) = self.unsaved.remove(name).filter(|(epoch, _)| *epoch == copy.epoch()).unwrap_or_default();
        let units: Vec<SeenUnit> = units.into_iter().chain(counted).collect();
        match managed::evidence_row(name, &copy, at) {
            Ok(row) => {
                if let Err(error) = self.database.save_evidence(&row, &units) {
                    self.unsaved.insert(name.to_owned(), (copy.epoch(), units));
                    return Err(error);
                }
            }
            Err(error) => tracing::error!(rollout = name, %error, "evidence cannot be serialized"),
        }
        self.saved.insert(name.to_owned(), mark);
        self.store_took_it();
        Ok(())
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
