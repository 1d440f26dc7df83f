//! What a move does beside the requests: changes that were kept are written to the other store, in order, and the move is turned when somebody wishes it.
//!
//! A change is kept before the store that answers is given it, and taken out when the other has acknowledged it. Where it is not certain that the first store took a change (it was away, or
//! this process was killed meanwhile) that store is asked what the row is, and that is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::answers::Failure;
use super::changes::{Changes, ChangesError, Move, Outcome, Standing, Waiting, Wish};
use super::index::{Change, Index, Target};
use super::pair::{Mode, Which};
use super::shadow::Asked;
use super::side::Side;
use crate::patience::random;
use crate::retry::{Class, Trouble};
use crate::row::Row;

/// Changes that are written at once.
const BATCH: u32 = 256;
/// How often somebody looks whether a move is to be turned.
const LOOK: Duration = Duration::from_millis(25);
/// The longest wait after the other store did not take changes.
const LONGEST: Duration = Duration::from_secs(10);
/// How long a turn waits for the other store to have everything: first while writes go on, then while they are held.
const EVEN: Duration = Duration::from_secs(2);
const HELD: Duration = Duration::from_millis(500);

/// What the requests and who works beside them share.
pub(super) struct Moving {
    pub(super) of: Move,
    /// The number of the event that the mode began with.
    pub(super) epoch: AtomicI64,
    /// Queries that came too fast for the shadow.
    pub(super) n_lost: AtomicU64,
    keeper: Mutex<Changes>,
    under_way: Mutex<UnderWay>,
    shadow: SyncSender<Asked>,
    is_woken: Mutex<bool>,
    woken: Condvar,
}

/// Changes of which it is not certain that the store that answers took them.
#[derive(Default)]
struct UnderWay {
    /// The first of those that it is being given.
    open: Option<i64>,
    /// Those that it was given when it failed.
    unsure: BTreeSet<i64>,
    /// Those up to this one were kept by a process that has ended.
    before: i64,
}

impl Moving {
    pub(super) fn new(
        of: Move,
        standing: Standing,
        keeper: Changes,
        shadow: SyncSender<Asked>,
    ) -> Result<Moving, ChangesError> {
        let under_way = UnderWay { before: keeper.last()?, ..UnderWay::default() };
        Ok(Moving {
            of,
            epoch: AtomicI64::new(standing.epoch),
            n_lost: AtomicU64::new(0),
            keeper: Mutex::new(keeper),
            under_way: Mutex::new(under_way),
            shadow,
            is_woken: Mutex::default(),
            woken: Condvar::new(),
        })
    }

    /// Keeps a change, then makes it with `apply`.
    pub(super) fn around(
        &self,
        namespace: &str,
        change: &Change,
        apply: impl FnOnce() -> Result<(), Trouble>,
    ) -> Result<(), Failure> {
        let numbers = {
            let mut under_way = lock(&self.under_way);
            let numbers = lock(&self.keeper).keep(&self.of.index, kept(namespace, change)).map_err(not_kept)?;
            under_way.open = Some(numbers.0);
            numbers
        };
        let done = apply();
        {
            let mut under_way = lock(&self.under_way);
            under_way.open = None;
            let did_not_happen = done.as_ref().is_err_and(|trouble| trouble.class != Class::Transient);
            if done.is_err() && !(did_not_happen && lock(&self.keeper).forget(numbers).is_ok()) {
                under_way.unsure.extend(numbers.0..=numbers.1);
            }
        }
        self.wake();
        Ok(done?)
    }

    /// Gives a query to the shadow, if it has room for it.
    pub(super) fn offer(&self, asked: Asked) {
        if self.shadow.try_send(asked).is_err() {
            self.n_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// There may be something to do.
    pub(super) fn wake(&self) {
        *lock(&self.is_woken) = true;
        self.woken.notify_all();
    }

    fn wait(&self, at_most: Duration) {
        let is_woken = lock(&self.is_woken);
        let waited = self.woken.wait_timeout_while(is_woken, at_most, |is_woken| !*is_woken);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kept(namespace: &str, change: &Change) -> Vec<(String, String, Option<Row>)> {
    let of = |id: &String, row: Option<Row>| (namespace.to_owned(), id.clone(), row);
    match change {
        Change::Put(rows) => rows.iter().map(|row| of(&row.id, Some(row.clone()))).collect(),
        Change::Delete(ids) => ids.iter().map(|id| of(id, None)).collect(),
    }
}

/// Nothing was written: the same request may go well later.
fn not_kept(error: ChangesError) -> Failure {
    let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    let doing = "could not keep a change for the store that an index moves to";
    Failure::from(Trouble::transient(doing, format!("{error}: {why}")))
}

/// Who writes what was kept, and turns the move.
pub(super) struct Mover {
    index: Arc<Index>,
    changes: Changes,
}

impl Mover {
    pub(super) fn new(index: Arc<Index>, changes: Changes) -> Mover {
        Mover { index, changes }
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self, stop: &AtomicBool) {
        let index = Arc::clone(&self.index);
        let Some(target) = index.target() else { return };
        let (mut n_failures, mut again) = (0_u32, Instant::now());
        while !stop.load(Ordering::Acquire) {
            if let Err(error) = self.look(target) {
                tracing::error!(index = index.name, %error, "the file of the moves of indexes fails");
            }
            let mut has_more = false;
            if target.mode().writes() && Instant::now() >= again {
                match self.step(target, false) {
                    Ok(n) => (n_failures, has_more) = (0, n > 0),
                    Err(trouble) => {
                        if n_failures == 0 {
                            tracing::warn!(index = index.name, %trouble, "changes wait for the other store of an index");
                        }
                        // What is shown of it is worth no failure.
                        drop(self.changes.note_trouble(&index.name, &trouble.to_string()));
                        n_failures += 1;
                        let most = Duration::from_millis(100 << n_failures.min(7)).min(LONGEST);
                        again = Instant::now() + most.mul_f64(0.5 + random() / 2.0);
                    }
                }
            }
            if !has_more {
                target.moving.wait(LOOK);
            }
        }
    }

    /// Turns the move, if somebody wishes it.
    fn look(&mut self, target: &Target) -> Result<(), ChangesError> {
        let Some((n, wish)) = self.changes.wished(&self.index.name)? else { return Ok(()) };
        let outcome = self.turn(target, wish)?;
        match &outcome {
            Outcome::Turned(_) => tracing::info!(index = self.index.name, mode = %target.mode(), "a move was turned"),
            Outcome::Refused(why) => tracing::warn!(index = self.index.name, why, "a move was not turned"),
        }
        self.changes.answer(n, &outcome)
    }

    /// Turns the move, where that may be.
    pub(super) fn turn(&mut self, target: &Target, mut wish: Wish) -> Result<Outcome, ChangesError> {
        let (index, from, to) = (Arc::clone(&self.index), target.mode(), wish.to);
        if wish.of != target.moving.of {
            let Move { source, target, .. } = &target.moving.of;
            return Ok(Outcome::Refused(format!(
                "it moves from {source} to {target} here: start the gateway again with the new config"
            )));
        }
        if let Err(why) = from.may_turn(to).and_then(|()| self.fits(to, wish.is_forced)) {
            return Ok(Outcome::Refused(why));
        }
        let mut trouble = None;
        if from.has_to_be_even(to) {
            trouble = self.settle(target, wish.is_forced, EVEN);
        }
        let held = index.hold();
        if from.has_to_be_even(to) {
            trouble = self.settle(target, wish.is_forced, HELD).or(trouble);
            let counts = self.changes.counts(&index.name)?;
            if counts.n_waiting + counts.n_refused > 0 {
                let why = trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
                let what = format!(
                    "{} changes wait for the other store, and it refused {}{why}",
                    counts.n_waiting, counts.n_refused
                );
                if !wish.is_forced {
                    return Ok(Outcome::Refused(what));
                }
                let mut evidence = wish.evidence.take().unwrap_or_else(|| json!({}));
                evidence["left_behind"] = json!(what);
                wish.evidence = Some(evidence);
            }
        }
        let epoch = self.changes.turn(&wish)?;
        target.moving.epoch.store(epoch, Ordering::Release);
        target.set_mode(to, &held);
        Ok(Outcome::Turned(epoch))
    }

    /// Whether the two stores are such that `to` makes sense.
    fn fits(&self, to: Mode, is_forced: bool) -> Result<(), String> {
        let (source, target) = (self.index.side(Which::Source), self.index.side(Which::Target));
        if !matches!(to, Mode::DualWrite | Mode::Shadow | Mode::Target) || (is_forced && to == Mode::Target) {
            return Ok(());
        }
        if !source.is_of_another_space(target).map_err(|trouble| trouble.to_string())? {
            return Ok(());
        }
        match to {
            Mode::Shadow => Err("the vectors of the two stores are of two spaces, and a query is of one of them: compare with `crossfade vectors eval --format json`, and give what it prints to `crossfade vectors switch --evidence`".to_owned()),
            _ if !target.has_encoder() => Err("the target's vectors are of another space: `encoder`, below `moves_to`, has to say what makes them of texts".to_owned()),
            Mode::Target if !source.has_encoder() => Err("nothing makes the source's vectors of what is written after the switch, so that there is no way back: `encoder`, beside `store`, has to say it".to_owned()),
            _ => Ok(()),
        }
    }

    /// Writes until nothing waits; what kept it from that.
    fn settle(&mut self, target: &Target, trusts: bool, at_most: Duration) -> Option<Trouble> {
        let until = Instant::now() + at_most;
        while Instant::now() < until {
            match self.step(target, trusts) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(trouble) => return Some(trouble),
            }
        }
        None
    }

    /// Writes the oldest changes that wait, and says how many. `trusts` those of which it is not certain that the store that answers took them, without asking it.
    fn step(&mut self, target: &Target, trusts: bool) -> Result<usize, Trouble> {
        let failed = |error: ChangesError| Trouble::transient("could not read the changes that wait", error);
        let index = Arc::clone(&self.index);
        let (waiting, unsure) = {
            let under_way = lock(&target.moving.under_way);
            let below = under_way.open.unwrap_or(i64::MAX);
            let waiting = self.changes.waiting(&index.name, below, BATCH).map_err(failed)?;
            let is_unsure = |n: i64| !trusts && (n <= under_way.before || under_way.unsure.contains(&n));
            let unsure: BTreeSet<i64> = waiting.iter().map(|change| change.n).filter(|n| is_unsure(*n)).collect();
            (waiting, unsure)
        };
        if waiting.is_empty() {
            return Ok(0);
        }
        let answers = target.mode().answers();
        let (from, to) = (index.side(answers), index.side(answers.other()));
        let rows = as_they_are(from, last_of_each(&waiting), &unsure)?;
        let refused = write(from, to, rows)?;
        for (n, why) in &refused {
            self.changes.refuse(*n, why).map_err(failed)?;
        }
        let taken: Vec<Waiting> = waiting.iter().filter(|change| !refused.contains_key(&change.n)).cloned().collect();
        self.changes.acknowledge(&index.name, &taken).map_err(failed)?;
        let mut under_way = lock(&target.moving.under_way);
        under_way.unsure.retain(|n| waiting.iter().all(|change| change.n != *n));
        Ok(waiting.len())
    }
}

/// The last change of each row.
fn last_of_each(waiting: &[Waiting]) -> Vec<Waiting> {
    let mut last: BTreeMap<(&str, &str), &Waiting> = BTreeMap::new();
    last.extend(waiting.iter().map(|change| ((change.namespace.as_str(), change.id.as_str()), change)));
    last.into_values().cloned().collect()
}

/// The same, with what the store has of those that are unsure.
fn as_they_are(from: &Side, mut changes: Vec<Waiting>, unsure: &BTreeSet<i64>) -> Result<Vec<Waiting>, Trouble> {
    let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for change in changes.iter().filter(|change| unsure.contains(&change.n)) {
        asked.entry(change.namespace.clone()).or_default().push(change.id.clone());
    }
    let mut found: BTreeMap<(String, String), Row> = BTreeMap::new();
    for (namespace, ids) in &asked {
        found.extend(from.fetch(namespace, ids)?.into_iter().map(|row| ((namespace.clone(), row.id.clone()), row)));
    }
    for change in changes.iter_mut().filter(|change| unsure.contains(&change.n)) {
        change.row = found.remove(&(change.namespace.clone(), change.id.clone()));
    }
    Ok(changes)
}

/// Writes rows into a store, or takes them away; the numbers of those that it does not take, with the reason.
fn write(from: &Side, to: &Side, changes: Vec<Waiting>) -> Result<BTreeMap<i64, String>, Trouble> {
    let mut gone: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut there = Vec::new();
    for change in changes {
        match change.row {
            Some(row) => there.push((change.n, row)),
            None => gone.entry(change.namespace).or_default().push(change.id),
        }
    }
    for (namespace, ids) in gone {
        to.apply(&namespace, &Change::Delete(ids))?;
    }
    let mut refused = BTreeMap::new();
    put(from, to, &there, &mut refused)?;
    Ok(refused)
}

fn put(from: &Side, to: &Side, rows: &[(i64, Row)], refused: &mut BTreeMap<i64, String>) -> Result<(), Trouble> {
    if rows.is_empty() {
        return Ok(());
    }
    let written = to
        .rows_of(from, rows.iter().map(|(_, row)| row.clone()).collect())
        .and_then(|rows| to.apply("", &Change::Put(rows)));
    match (written, rows) {
        (Ok(()), _) => Ok(()),
        (Err(trouble), [(n, _)]) if trouble.class == Class::Poison => {
            refused.insert(*n, trouble.to_string());
            Ok(())
        }
        (Err(trouble), _) if trouble.class == Class::Poison => {
            let (one, other) = rows.split_at(rows.len() / 2);
            put(from, to, one, refused)?;
            put(from, to, other, refused)
        }
        (Err(trouble), _) => Err(trouble),
    }
}

#[cfg(test)]
mod tests;
