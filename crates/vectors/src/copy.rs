//! A collection from one store into another: read, delivered, acknowledged, marked; and again from the last mark.
//!
//! A thread reads and hashes one page ahead; the caller's thread writes. At most three pages are in memory, each bounded by the target's budget: one read, one
//! waiting, one written. The reader waits when the one place between them is taken.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::digest::{RowDigest, row_digest};
use crate::journal::{Aside, Journal, JournalError, Progress};
use crate::patience::{again, random};
use crate::retry::{self, Next, Trouble};
use crate::row::Row;
use crate::schema::Schema;
use crate::store::{Budget, Cursor, Page, Sealed, Slot, Source, Target};
use crate::stores::to_line;

/// How many pages wait between the reader and the writer.
const N_WAITING: usize = 1;

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
        std::thread::scope(|scope| {
            // Full: the reader waits for the writer.
            let (sender, receiver) = sync_channel(N_WAITING);
            scope.spawn(move || read_all(source, schema, budget, todo, &sender));
            let receiver: Receiver<Result<Batch, Trouble>> = receiver;
            while let Ok(batch) = receiver.recv() {
                let mut batch = batch?;
                let progress = &mut all[batch.idx];
                let mut delivery =
                    Delivery { target: &mut *target, idx: batch.idx, progress, asides: &mut batch.asides };
                delivery.deliver(&batch.rows)?;
                n_aside += batch.asides.len() as u64;
                if let Some(last) = batch.asides.last().filter(|_| n_aside > limits.max_aside) {
                    return Err(CopyError::Aside(n_aside, limits.max_aside, format!("{}: {}", last.place, last.why)));
                }
                progress.is_done = batch.next.is_none();
                progress.cursor = batch.next.or(progress.cursor.take());
                journal.acknowledge(batch.idx, progress, &batch.asides)?;
                watch(tally(&all, n_aside));
            }
            Ok(())
        })?;
        let tally = tally(&all, n_aside);
        again(|| target.seal(&Sealed { n_rows: tally.n_rows, digest: tally.digest }))?;
        journal.seal()?;
        Ok(tally)
    }
}

pub(crate) fn tally(all: &[Progress], n_aside: u64) -> Tally {
    let n_rows = all.iter().map(|progress| progress.n_rows).sum();
    let digest = all.iter().fold(0_u128, |sum, progress| sum.wrapping_add(progress.digest));
    Tally { n_rows, n_aside, digest }
}

/// Reads what is left of every partition. Ends when the writer has gone.
fn read_all(
    source: &mut dyn Source,
    schema: &Schema,
    budget: Budget,
    todo: Vec<(usize, Progress)>,
    sender: &SyncSender<Result<Batch, Trouble>>,
) {
    for (idx, progress) in todo {
        let mut after = progress.cursor;
        loop {
            let page = again(|| source.read(&progress.partition, after.as_ref(), budget));
            let batch = page.map(|page| checked(idx, schema, page));
            after = batch.as_ref().ok().and_then(|batch| batch.next.clone());
            let has_failed = batch.is_err();
            if sender.send(batch).is_err() || has_failed {
                return;
            }
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
    for row in page.rows {
        match schema.refuses(&row) {
            Some(why) => asides.push(aside(&row, why)),
            None => {
                let digest = row_digest(&row);
                rows.push((row, digest));
            }
        }
    }
    Batch { idx, rows, asides, next: page.next }
}

fn aside(row: &Row, why: String) -> Aside {
    Aside { place: format!("row `{}` of namespace `{}`", row.id, row.namespace), why, found: to_line(row) }
}

/// A batch on its way into the target.
struct Delivery<'a> {
    target: &'a mut dyn Target,
    idx: usize,
    progress: &'a mut Progress,
    asides: &'a mut Vec<Aside>,
}

impl Delivery<'_> {
    fn deliver(&mut self, rows: &[(Row, RowDigest)]) -> Result<(), Trouble> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut n_tries = 0;
        loop {
            let slot = Slot { partition: self.idx, part: self.progress.n_parts };
            let trouble = match self.target.write(slot, rows) {
                Ok(()) => break,
                Err(trouble) => trouble,
            };
            n_tries += 1;
            match retry::next(trouble.class, n_tries, rows.len(), random()) {
                Next::Again(wait) => std::thread::sleep(wait),
                Next::Halves => {
                    let (first, second) = rows.split_at(rows.len() / 2);
                    self.deliver(first)?;
                    return self.deliver(second);
                }
                Next::Aside => {
                    self.asides.extend(rows.iter().map(|(row, _)| aside(row, trouble.why.clone())));
                    return Ok(());
                }
                Next::Stop => return Err(trouble),
            }
        }
        self.progress.n_parts += 1;
        self.progress.n_rows += rows.len() as u64;
        let sum = rows.iter().fold(0_u128, |sum, (_, digest)| sum.wrapping_add(*digest));
        self.progress.digest = self.progress.digest.wrapping_add(sum);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
