//! A collection from one store into another: read, delivered, acknowledged, marked; and again from the last mark.
//!
//! A thread reads and hashes ahead; others write, two where the target takes batches side by side; the caller's thread marks what was acknowledged, in the order
//! in which it was read, so that a mark never stands behind a batch that is still on its way. At most four pages are in memory, each bounded by the target's
//! budget: one read, one waiting, one with each writer. The reader waits when the one place between them is taken.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::digest::{RowDigest, row_digest};
use crate::journal::{Aside, Journal, JournalError, Progress};
use crate::patience::{again, random};
use crate::retry::{self, Next, Trouble};
use crate::row::Row;
use crate::schema::Schema;
use crate::store::{Budget, Cursor, Page, Sealed, Slot, Source, Target};
use crate::stores::to_line;
use crate::width::{Outcome, Width};

/// How many pages wait between the reader and the writer.
const N_WAITING: usize = 1;

/// How many batches are written at once, where the target takes more than one.
const N_WRITERS: usize = 2;

/// Why a copy stopped. It can be taken up again where it stood.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A store failed for good, or for too long.
    #[error(transparent)]
    Store(#[from] Trouble),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// So many rows were not taken that something else is wrong.
    #[error("{0} rows were put aside, and {1} are the most; the last one: {2}")]
    Aside(u64, u64, String),
}

/// How a copy goes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most rows that may be put aside before it stops.
    pub max_aside: u64,
    /// The most rows in a batch, where the target's own budget is not meant.
    pub batch_rows: Option<usize>,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Rows that the target has acknowledged.
    pub n_rows: u64,
    /// Rows that were put aside.
    pub n_aside: u64,
    /// The sum of the digests of all that were acknowledged.
    pub digest: RowDigest,
    /// The fewest rows that a batch has had to have in this process, where the target took no more at once for a while.
    pub least_rows: Option<usize>,
}

/// A copy that was begun: its partitions stand in the journal and its target is prepared.
pub struct Copying<'a> {
    /// What is read.
    pub source: &'a mut dyn Source,
    /// What is written.
    pub target: &'a mut dyn Target,
    /// What has been done.
    pub journal: &'a mut Journal,
    /// What every row has to look like.
    pub schema: &'a Schema,
    /// How it goes.
    pub limits: Limits,
}

/// A page that was read, hashed and held against the schema.
struct Batch {
    idx: usize,
    rows: Vec<(Row, RowDigest)>,
    asides: Vec<Aside>,
    next: Option<Cursor>,
}

impl Copying<'_> {
    /// Copies what is left, seals the target and the journal. `watch` is told after each acknowledgement.
    ///
    /// # Errors
    /// Where it has to stop.
    pub fn run(self, mut watch: impl FnMut(Tally)) -> Result<Tally, CopyError> {
        let Copying { source, target, journal, schema, limits } = self;
        let mut all = journal.progress()?;
        let mut n_aside = journal.n_aside()?;
        let todo: Vec<(usize, Progress)> =
            all.iter().cloned().enumerate().filter(|(_, progress)| !progress.is_done).collect();
        let budget = target.budget();
        let budget = Budget { n_rows: limits.batch_rows.unwrap_or(budget.n_rows).clamp(1, budget.n_rows), ..budget };
        let width = Mutex::new(Width::new(budget.n_rows));
        let shared = &width;
        let n_parts: Vec<u64> = all.iter().map(|progress| progress.n_parts).collect();
        let beside: Vec<Box<dyn Target>> = (1..N_WRITERS).map_while(|_| target.beside()).collect();
        std::thread::scope(|scope| {
            // Full: the reader waits for a writer.
            let (sender, receiver) = sync_channel(N_WAITING);
            scope.spawn(move || read_all(source, schema, budget, todo, &sender));
            let receiver = Arc::new(Mutex::new(receiver));
            let (said, heard) = sync_channel(N_WRITERS);
            for mut target in beside {
                let (receiver, said, n_parts) = (Arc::clone(&receiver), said.clone(), n_parts.clone());
                scope.spawn(move || write_all(&mut *target, shared, n_parts, &receiver, &said));
            }
            let first = &mut *target;
            scope.spawn(move || write_all(first, shared, n_parts, &receiver, &said));
            // What was done before its turn came.
            let mut early = BTreeMap::new();
            let mut turn = 0;
            while let Ok((of, written)) = heard.recv() {
                early.insert(of, written);
                while let Some(written) = early.remove(&turn) {
                    turn += 1;
                    let Written { idx, delivered, next } = written?;
                    let progress = &mut all[idx];
                    progress.n_parts += delivered.n_parts;
                    progress.n_rows += delivered.n_rows;
                    progress.digest = progress.digest.wrapping_add(delivered.digest);
                    n_aside += delivered.asides.len() as u64;
                    if let Some(last) = delivered.asides.last().filter(|_| n_aside > limits.max_aside) {
                        let last = format!("{}: {}", last.place, last.why);
                        return Err(CopyError::Aside(n_aside, limits.max_aside, last));
                    }
                    progress.is_done = next.is_none();
                    progress.cursor = next.or(progress.cursor.take());
                    journal.acknowledge(idx, progress, &delivered.asides)?;
                    watch(Tally { least_rows: now(&width).least(), ..tally(&all, n_aside) });
                }
            }
            Ok(())
        })?;
        let tally = Tally { least_rows: now(&width).least(), ..tally(&all, n_aside) };
        again(|| target.seal(&Sealed { n_rows: tally.n_rows, digest: tally.digest }))?;
        journal.seal()?;
        Ok(tally)
    }
}

pub(crate) fn tally(all: &[Progress], n_aside: u64) -> Tally {
    let n_rows = all.iter().map(|progress| progress.n_rows).sum();
    let digest = all.iter().fold(0_u128, |sum, progress| sum.wrapping_add(progress.digest));
    Tally { n_rows, n_aside, digest, least_rows: None }
}

/// Reads what is left of every partition. Ends when the writer has gone.
fn read_all(
    source: &mut dyn Source,
    schema: &Schema,
    budget: Budget,
    todo: Vec<(usize, Progress)>,
    sender: &SyncSender<(u64, Result<Batch, Trouble>)>,
) {
    let mut turn = 0;
    for (idx, progress) in todo {
        let mut after = progress.cursor;
        loop {
            let page = again(|| source.read(&progress.partition, after.as_ref(), budget));
            let batch = page.map(|page| checked(idx, schema, page));
            after = batch.as_ref().ok().and_then(|batch| batch.next.clone());
            let has_failed = batch.is_err();
            if sender.send((turn, batch)).is_err() || has_failed {
                return;
            }
            turn += 1;
            if after.is_none() {
                break;
            }
        }
    }
}

fn checked(idx: usize, schema: &Schema, page: Page) -> Batch {
    let mut asides: Vec<Aside> =
        page.unreadable.into_iter().map(|part| Aside { place: part.place, why: part.why, found: part.found }).collect();
    let mut rows = Vec::with_capacity(page.rows.len());
    let mut proven = page.digests.into_iter();
    for row in page.rows {
        let proven = proven.next();
        match schema.refuses(&row) {
            Some(why) => asides.push(aside(&row, why)),
            None => {
                let digest = proven.unwrap_or_else(|| row_digest(&row));
                rows.push((row, digest));
            }
        }
    }
    Batch { idx, rows, asides, next: page.next }
}

fn aside(row: &Row, why: String) -> Aside {
    Aside { place: format!("row `{}` of namespace `{}`", row.id, row.namespace), why, found: to_line(row) }
}

/// A batch that the target has taken, but for what was put aside.
struct Written {
    idx: usize,
    delivered: Delivered,
    next: Option<Cursor>,
}

/// Writes what comes until nothing does, or nobody asks any more.
fn write_all(
    target: &mut dyn Target,
    width: &Mutex<Width>,
    mut n_parts: Vec<u64>,
    receiver: &Mutex<Receiver<(u64, Result<Batch, Trouble>)>>,
    said: &SyncSender<(u64, Result<Written, Trouble>)>,
) {
    loop {
        // A writer that panicked has ended the copy; what it held is whole.
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((turn, batch)) = next else { return };
        let written = batch.and_then(|batch| {
            let Batch { idx, rows, asides, next } = batch;
            let slot = Slot { partition: idx, part: n_parts[idx] };
            let mut delivered = Delivered { asides, ..Delivered::default() };
            deliver(target, width, slot, &rows, &mut delivered)?;
            n_parts[idx] += delivered.n_parts;
            Ok(Written { idx, delivered, next })
        });
        let has_failed = written.is_err();
        if said.send((turn, written)).is_err() || has_failed {
            return;
        }
    }
}

/// What became of a batch.
#[derive(Default)]
struct Delivered {
    n_parts: u64,
    n_rows: u64,
    digest: RowDigest,
    asides: Vec<Aside>,
}

/// The width that all writers share.
fn now(width: &Mutex<Width>) -> Width {
    // It is one value: who panicked has left it whole.
    *width.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the writers what became of a batch.
fn tell(width: &Mutex<Width>, outcome: Outcome) {
    let mut width = width.lock().unwrap_or_else(PoisonError::into_inner);
    *width = width.after(outcome);
}

/// Brings rows into the target, in batches of the width that it takes, and in halves where it takes them no other way. `slot` is where the first begins.
fn deliver(
    target: &mut dyn Target,
    width: &Mutex<Width>,
    slot: Slot,
    mut rows: &[(Row, RowDigest)],
    delivered: &mut Delivered,
) -> Result<(), Trouble> {
    let mut n_tries = 0;
    while !rows.is_empty() {
        let (batch, rest) = rows.split_at(rows.len().min(now(width).now()));
        let at = Slot { part: slot.part + delivered.n_parts, ..slot };
        let Err(trouble) = target.write(at, batch) else {
            tell(width, Outcome::Taken(batch.len()));
            delivered.n_parts += 1;
            delivered.n_rows += batch.len() as u64;
            let sum = batch.iter().fold(0_u128, |sum, (_, digest)| sum.wrapping_add(*digest));
            delivered.digest = delivered.digest.wrapping_add(sum);
            (rows, n_tries) = (rest, 0);
            continue;
        };
        if trouble.is_too_much {
            tell(width, Outcome::TooMuch(batch.len()));
        }
        n_tries += 1;
        match retry::next(trouble.class, n_tries, batch.len(), random()) {
            Next::Again(wait) => std::thread::sleep(trouble.wait(wait)),
            Next::Halves => {
                let (first, second) = batch.split_at(batch.len() / 2);
                deliver(target, width, slot, first, delivered)?;
                deliver(target, width, slot, second, delivered)?;
                (rows, n_tries) = (rest, 0);
            }
            Next::Aside => {
                delivered.asides.extend(batch.iter().map(|(row, _)| aside(row, trouble.why.clone())));
                (rows, n_tries) = (rest, 0);
            }
            Next::Stop => return Err(trouble),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
