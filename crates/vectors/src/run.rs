//! A copy from one address to another, begun or taken up again.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::copy::{CopyError, Copying, Limits, Tally};
use crate::journal::{Aside, Begun, Journal, JournalError};
use crate::patience::again;
use crate::plan::{Plan, plan_into};
use crate::retry::Trouble;
use crate::schema::{Metric, Schema};
use crate::store::{Source, Survey, Target};
use crate::stores::Address;

/// Held while a copy runs, in the run's directory.
pub(crate) const LOCK: &str = "lock";

/// How often a lock is tried that somebody may hold for a moment to see whether a copy runs, and how long each time is waited.
const N_TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// Why a copy does not begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] Trouble),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The directory belongs to another copy.
    #[error("the run in this directory copies {0} to {1}")]
    Other(String, String),
    /// Another process is at it.
    #[error("another process runs the copy of this directory")]
    Running,
    /// The directory cannot be locked.
    #[error("could not lock the run's directory")]
    Lock(#[source] std::io::Error),
    /// The target cannot keep what the source holds.
    #[error("the target cannot keep what the source holds: {}", .0.join("; "))]
    Refused(Vec<String>),
    /// A metric for what is not there.
    #[error("the source has no dense vector `{0}`")]
    NoSuchVector(String),
}

/// A copy that can be run.
pub struct Run {
    source: Box<dyn Source>,
    target: Box<dyn Target>,
    journal: Journal,
    /// How many rows the source had when it was planned.
    pub n_rows: u64,
    /// Whether it was begun before.
    pub is_resumed: bool,
    /// Whether it was through before: then nothing is left.
    pub was_through: bool,
    schema: Schema,
    /// Held until the run is dropped.
    _lock: File,
}

/// What a source comes to, with the metrics that somebody named for it.
///
/// # Errors
/// Where it cannot be read, or has no such vector.
pub fn survey(source: &mut dyn Source, metrics: &BTreeMap<String, Metric>) -> Result<Survey, RunError> {
    let mut survey = again(|| source.survey())?;
    for (name, metric) in metrics {
        let shape = survey.schema.dense.get_mut(name).ok_or_else(|| RunError::NoSuchVector(name.clone()))?;
        shape.metric = Some(*metric);
    }
    Ok(survey)
}

/// Takes the lock of a run.
fn held(lock: &File) -> Result<(), RunError> {
    for n_left in (0..N_TRIES).rev() {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(RunError::Lock(error)),
            Err(TryLockError::WouldBlock) if n_left > 0 => std::thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => break,
        }
    }
    Err(RunError::Running)
}

impl Run {
    /// Begins a copy, or takes up the one that was begun in this directory: then nothing is planned again.
    ///
    /// # Errors
    /// Where it cannot begin.
    pub fn open(
        source: &Address,
        target: &Address,
        directory: &Path,
        metrics: &BTreeMap<String, Metric>,
    ) -> Result<Run, RunError> {
        Run::of((source.to_string(), source.source()), target, directory, metrics)
    }

    /// The same for a source that is no address's own; its name tells it from others.
    ///
    /// # Errors
    /// Where it cannot begin.
    pub fn of(
        (name, mut source): (String, Box<dyn Source>),
        target: &Address,
        directory: &Path,
        metrics: &BTreeMap<String, Metric>,
    ) -> Result<Run, RunError> {
        std::fs::create_dir_all(directory).map_err(RunError::Lock)?;
        let lock = File::create(directory.join(LOCK)).map_err(RunError::Lock)?;
        held(&lock)?;
        let mut journal = Journal::open(directory)?;
        let (names, mut target) = ((name, target.to_string()), (target, target.target()));
        if let Some(begun) = journal.begun()? {
            if (&begun.source, &begun.target) != (&names.0, &names.1) {
                return Err(RunError::Other(begun.source, begun.target));
            }
            let was_through = journal.is_sealed()?;
            if !was_through {
                let parts: Vec<u64> = journal.progress()?.iter().map(|progress| progress.n_parts).collect();
                again(|| target.1.prepare(&begun.schema, Some(&parts)))?;
            }
            let Begun { n_rows, schema, .. } = begun;
            return Ok(Run {
                source,
                target: target.1,
                journal,
                n_rows,
                is_resumed: true,
                was_through,
                schema,
                _lock: lock,
            });
        }
        let survey = survey(&mut *source, metrics)?;
        let Plan { refused, .. } = plan_into(&survey, target.0);
        if !refused.is_empty() {
            return Err(RunError::Refused(refused));
        }
        let Survey { n_rows, schema } = survey;
        // First what refuses a target that holds something, then what says that it is this run's, then the first read.
        again(|| target.1.prepare(&schema, None))?;
        let begun = Begun { source: names.0, target: names.1, n_rows, schema };
        journal.begin(&begun, &again(|| source.partitions())?)?;
        Ok(Run {
            source,
            target: target.1,
            journal,
            n_rows,
            is_resumed: false,
            was_through: false,
            schema: begun.schema,
            _lock: lock,
        })
    }

    /// Copies what is left. Of a run that is through nothing is left.
    ///
    /// # Errors
    /// Where it has to stop; opened again it goes on.
    pub fn copy(&mut self, limits: Limits, watch: impl FnMut(Tally)) -> Result<Tally, CopyError> {
        if self.was_through {
            return self.tally();
        }
        let Run { source, target, journal, schema, .. } = self;
        Copying { source: &mut **source, target: &mut **target, journal, schema, limits }.run(watch)
    }

    /// Rows that were put aside, at most so many.
    ///
    /// # Errors
    /// Where the journal fails.
    pub fn asides(&self, limit: u32) -> Result<Vec<Aside>, JournalError> {
        self.journal.asides(limit)
    }

    fn tally(&self) -> Result<Tally, CopyError> {
        Ok(crate::copy::tally(&self.journal.progress()?, self.journal.n_aside()?))
    }
}
