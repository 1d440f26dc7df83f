//! Threads that ask for vectors: so many calls under way, each tried again, halved or given up by what it failed with.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use super::cache::TextHash;
use super::pace::{Limits, Pace, Spent};
use crate::embed::{Embed, Embedded, Refused, Worker};
use crate::patience::random;
use crate::retry::{self, Class, Next, Trouble};
use crate::space::Recipe;

/// The longest wait that is granted to who asks for one: a provider that asks for longer means that the day's share is used up.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// How often a call waits as long as it is asked to.
const MAX_WAITS: u32 = 100;

/// A text with its prefix, and its hash.
pub(super) type Text = (TextHash, String);

/// What came of a batch.
#[derive(Default)]
pub(super) struct Batch {
    /// Of each text its vector, or why it has none. Where there is a trouble some are missing.
    pub(super) came: Vec<(TextHash, Result<Vec<f32>, String>)>,
    /// Why nothing more can be asked.
    pub(super) trouble: Option<Trouble>,
}

/// What all workers share.
struct Common {
    embed: Arc<dyn Embed>,
    recipe: Recipe,
    dims: usize,
    pace: Mutex<Pace>,
}

/// Threads that live as long as this does.
pub(super) struct Workers {
    common: Arc<Common>,
    jobs: Option<SyncSender<Vec<Text>>>,
    done: Receiver<Batch>,
    n_free: usize,
    n_all: usize,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    pub(super) fn start(
        n: usize,
        embed: Arc<dyn Embed>,
        (recipe, dims): (Recipe, usize),
        (limits, spent): (Limits, Spent),
    ) -> Workers {
        let pace = Mutex::new(Pace::new(limits, spent, Instant::now()));
        let common = Arc::new(Common { embed, recipe, dims, pace });
        // Never full: no more is given than there are workers, and no more comes back.
        let (jobs, taken) = sync_channel::<Vec<Text>>(n);
        let (finished, done) = sync_channel(n);
        let taken = Arc::new(Mutex::new(taken));
        let thread = |_| {
            let (common, taken, finished) = (Arc::clone(&common), Arc::clone(&taken), finished.clone());
            std::thread::spawn(move || common.work(&taken, &finished))
        };
        let threads = (0..n).map(thread).collect();
        Workers { common, jobs: Some(jobs), done, n_free: n, n_all: n, threads }
    }

    /// Whether one waits for work.
    pub(super) fn has_free(&self) -> bool {
        self.n_free > 0
    }

    /// Whether one is at work.
    pub(super) fn is_busy(&self) -> bool {
        self.n_free < self.n_all
    }

    /// Gives a batch to one that is free.
    pub(super) fn give(&mut self, texts: Vec<Text>) {
        self.n_free -= 1;
        if let Some(jobs) = &self.jobs {
            // The threads are there until this is dropped.
            jobs.send(texts).ok();
        }
    }

    /// Waits for the next batch that is through.
    pub(super) fn take(&mut self) -> Batch {
        self.n_free += 1;
        let gone =
            |_| Batch { trouble: Some(Trouble::permanent("making vectors", "a worker ended")), ..Batch::default() };
        self.done.recv().unwrap_or_else(gone)
    }

    /// What was used.
    pub(super) fn spent(&self) -> Spent {
        self.common.pace().spent()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            thread.join().ok();
        }
    }
}

impl Common {
    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, jobs: &Mutex<Receiver<Vec<Text>>>, finished: &SyncSender<Batch>) {
        let mut worker = self.embed.worker();
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(texts) = job else { break };
            let mut batch = Batch::default();
            let asked = match &mut worker {
                Ok(worker) => self.ask(&mut **worker, &texts, &mut batch),
                Err(why) => Err(Trouble::permanent("making vectors", why)),
            };
            batch.trouble = asked.err();
            if finished.send(batch).is_err() {
                break;
            }
        }
    }

    /// Asks until every text has what it has, or nothing more can be asked.
    fn ask(&self, worker: &mut dyn Worker, texts: &[Text], batch: &mut Batch) -> Result<(), Trouble> {
        let doing = "making vectors";
        let n_bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
        let plain: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
        let (mut n_tries, mut n_waits) = (0, 0);
        loop {
            let admitted = self.pace().admit(n_bytes, Instant::now());
            let (wait, expected) = admitted.map_err(|why| Trouble::permanent(doing, why))?;
            sleep(wait);
            let answer = worker.embed(&plain).and_then(|embedded| whole(embedded, texts.len()));
            self.pace().settle(expected, answer.as_ref().ok().map(|embedded| (took(embedded), n_bytes as u64)));
            let refused = match answer {
                Ok(embedded) => return self.keep(embedded, texts, batch),
                Err(refused) => refused,
            };
            if let (Class::Transient, Some(after)) = (refused.class, refused.after) {
                n_waits += 1;
                if after > LONGEST_WAIT || n_waits > MAX_WAITS {
                    let why = format!("{}; it asks for {} s more", refused.why, after.as_secs());
                    return Err(Trouble::permanent(doing, why));
                }
                self.pace().hold(Instant::now() + after);
                continue;
            }
            n_tries += 1;
            match retry::next(refused.class, n_tries, texts.len(), random()) {
                Next::Again(wait) => sleep(wait),
                Next::Halves => {
                    let (first, second) = texts.split_at(texts.len() / 2);
                    self.ask(worker, first, batch)?;
                    return self.ask(worker, second, batch);
                }
                Next::Aside => {
                    batch.came.extend(texts.iter().map(|(hash, _)| (*hash, Err(refused.why.clone()))));
                    return Ok(());
                }
                // Nothing more is tried: whoever reads this must not try again either.
                Next::Stop => return Err(Trouble::permanent(doing, refused.why)),
            }
        }
    }

    fn keep(&self, embedded: Embedded, texts: &[Text], batch: &mut Batch) -> Result<(), Trouble> {
        for ((hash, _), vector) in texts.iter().zip(embedded.vectors) {
            let vector = self.recipe.vector(vector);
            if let Some(other) = vector.as_ref().ok().map(Vec::len).filter(|dims| *dims != self.dims) {
                let why = format!(
                    "a vector of {other} numbers came, and the run's have {}: another model answers",
                    self.dims
                );
                return Err(Trouble::permanent("making vectors", why));
            }
            batch.came.push((*hash, vector));
        }
        Ok(())
    }
}

/// An answer that has a vector for each text.
pub(super) fn whole(embedded: Embedded, n_texts: usize) -> Result<Embedded, Refused> {
    let n = embedded.vectors.len();
    if n == n_texts { Ok(embedded) } else { Err(Refused::poison(format_args!("{n} vectors came for {n_texts} texts"))) }
}

/// The same again, while who is asked is only busy or away.
pub(super) fn patient<T>(mut asks: impl FnMut() -> Result<T, Refused>) -> Result<T, Refused> {
    let (mut n_tries, mut n_waits) = (0, 0);
    loop {
        let refused = match asks() {
            Ok(came) => return Ok(came),
            Err(refused) => refused,
        };
        match refused.after.filter(|after| *after <= LONGEST_WAIT && n_waits < MAX_WAITS) {
            Some(after) if refused.class == Class::Transient => {
                n_waits += 1;
                sleep(after);
            }
            _ => {
                n_tries += 1;
                match retry::next(refused.class, n_tries, 1, random()) {
                    Next::Again(wait) => sleep(wait),
                    _ => return Err(refused),
                }
            }
        }
    }
}

fn took(embedded: &Embedded) -> Spent {
    Spent {
        n_calls: 0,
        n_texts: embedded.vectors.len() as u64,
        n_tokens: embedded.n_tokens.unwrap_or(0),
        nanos: embedded.nanos.unwrap_or(0),
        n_cut: embedded.n_cut,
    }
}
