//! The kinds that take something from the control plane: its store, or its lead.

use std::time::{Duration, Instant};

use gateway::control::Verb;
use gateway::live::LiveTable;
use operations::OperationError;
use serde_json::Value;
use store::{Database, Held, Lease};

use super::StoreFault;
use super::rehearsal::{CONTROLLER_MAY_TAKE, ROLLOUT, STORE_PATIENCE, Stagehand, change_as};
use crate::out::Stop;
use crate::verbs::source::operation;

/// A control transaction waits for another writer before it fails: with that, a locked store is noticed later.
const LOCK_IS_WAITED_FOR: Duration = Duration::from_secs(8);
/// Until a gateway notices that another one leads, and until another one serves what the store holds.
const MOST_UNNOTICED: Duration = Duration::from_secs(2);
const OTHER: &str = "another-gateway";

/// What keeps the store from taking writes; lifted when it is dropped.
struct Refused<'a> {
    held: Option<Held>,
    refusing: Option<&'a store::Refusing>,
}

impl Drop for Refused<'_> {
    fn drop(&mut self) {
        drop(self.held.take());
        if let Some(refusing) = self.refusing {
            refusing.switch(false);
        }
    }
}

impl Stagehand<'_> {
    /// The store takes no writes: early stages go back, later ones stay guarded, and nothing that was acknowledged is lost.
    pub(super) fn store_down(&mut self, knobs: &Value) -> Result<(), Stop> {
        let database = Database::open(self.store).map_err(Stop::failed)?;
        let (refused, patience) = match self.plan.store_fault {
            StoreFault::Locked => {
                let held = Some(database.hold().map_err(Stop::failed)?);
                (Refused { held, refusing: None }, STORE_PATIENCE + LOCK_IS_WAITED_FOR)
            }
            StoreFault::ReadOnly => {
                self.refusing.switch(true);
                (Refused { held: None, refusing: Some(self.refusing) }, STORE_PATIENCE + Duration::from_secs(1))
            }
        };
        let began = Instant::now();
        if self.is_early() {
            let reverted = self.until(CONTROLLER_MAY_TAKE, |hand| !hand.is_watching())?;
            self.played.detected_after = reverted.then(|| began.elapsed());
            let most = CONTROLLER_MAY_TAKE.as_secs();
            let target = format!("within {most} s (patience {} s)", STORE_PATIENCE.as_secs());
            let after = format!("after {:.1} s", began.elapsed().as_secs_f64());
            self.check("shadow and canary go back to the baseline", after, target, reverted);
            self.verify()?;
        } else {
            let fell = self.until(patience, |hand| !hand.is_watching() || hand.live.view().share <= 0.0)?;
            self.check("the share stays where it is", yes_no(!fell), "yes".to_owned(), !fell);
            self.guards_are_armed(knobs)?;
        }
        let share = self.live.view().share;
        let answered = self.traffic.so_far().answered;
        drop(refused);
        let written = self.until(CONTROLLER_MAY_TAKE, |hand| hand.rollback().is_some())?;
        self.check("written down once the store is back", yes_no(written), "yes".to_owned(), written);
        let never_rose = self.live.view().share <= share && share <= 0.0;
        self.check("no share above 0 afterwards", yes_no(never_rose), "yes".to_owned(), never_rose);
        self.on_record(answered)
    }

    /// Everything that was answered is in the store, once it takes writes again.
    fn on_record(&mut self, answered: u64) -> Result<(), Stop> {
        let shipped = self.running.ship(CONTROLLER_MAY_TAKE);
        let counts = self.running.desk.reader().counts().map_err(Stop::failed)?;
        let n = counts.exchanges.get("complete").copied().unwrap_or(0);
        let holds = shipped && n >= answered && counts.missing == 0;
        let measured = if holds { "0".to_owned() } else { format!("{} of {answered}", answered.saturating_sub(n)) };
        self.check("answers that are not on record", measured, "0".to_owned(), holds);
        Ok(())
    }

    /// Another engine leads: it takes up what the store holds, and this one never raises a share again.
    pub(super) fn leader_loss(&mut self, knobs: &Value) -> Result<(), Stop> {
        let refused = Lease::acquire(self.store).is_err();
        let what = "another gateway is refused the lease while this one runs";
        self.check(what, yes_no(refused), "yes".to_owned(), refused);
        // One that serves the same store all the same: elsewhere, or after a lease that was lost and not noticed.
        let share = self.live.view().share;
        let began = Instant::now();
        let other = self.running.usurp(self.store, STORE_PATIENCE)?;
        let took = began.elapsed();
        let serves = share_of(&other.live);
        let is_same = serves.is_some_and(|serves| serves.to_bits() == share.to_bits());
        self.check(
            "another engine takes over, at the committed share",
            format!("after {:.0} ms, at {}", took.as_secs_f64() * 1e3, serves.unwrap_or(f64::NAN)),
            format!("within {} s, at {share}", MOST_UNNOTICED.as_secs()),
            is_same && took <= MOST_UNNOTICED,
        );
        self.peak.set(0.0);
        let moved = other.control().command(Verb::Pause, ROLLOUT, OTHER, "drill: another engine leads");
        let moved = moved.map(drop).map_err(OperationError::from).map_err(operation);
        let played = moved.and_then(|()| self.is_led_by_another(share, knobs));
        other.stop();
        played
    }

    fn is_led_by_another(&mut self, share: f64, knobs: &Value) -> Result<(), Stop> {
        let began = Instant::now();
        if self.is_early() {
            let reverted = self.until(CONTROLLER_MAY_TAKE, |hand| !hand.is_watching())?;
            let took = began.elapsed();
            self.played.detected_after = reverted.then_some(took);
            self.check(
                "shadow and canary go back to the baseline",
                format!("after {:.1} s", took.as_secs_f64()),
                format!("within {} s", MOST_UNNOTICED.as_secs()),
                reverted && took <= MOST_UNNOTICED,
            );
            self.verify()?;
        } else {
            let fell = self.until(MOST_UNNOTICED, |hand| !hand.is_watching() || hand.live.view().share <= 0.0)?;
            self.check("the share stays where it is", yes_no(!fell), "yes".to_owned(), !fell);
            self.guards_are_armed(knobs)?;
        }
        let refused = matches!(change_as(self.running, "promote"), Err(OperationError::Refused(_)));
        self.check("a promotion is refused", yes_no(refused), "yes".to_owned(), refused);
        let peak = self.peak.get().max(self.live.view().share);
        self.check("the highest share of the one that lost", peak.to_string(), format!("{share}"), peak <= share);
        let last = self.history()?.pop().map(|row| row.actor).unwrap_or_default();
        let is_alone = last == OTHER;
        self.check("the last row is the other leader's", last, OTHER.to_owned(), is_alone);
        Ok(())
    }
}

fn share_of(live: &LiveTable) -> Option<f64> {
    live.all().into_iter().find(|live| live.identity.name == ROLLOUT).map(|live| live.view().share)
}

fn yes_no(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}
