//! A worker: claims blocks, asks, scores, writes, and says how far it is.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use providers::{Client, Provider, ProviderConfig, ProviderError, RetryRules, Shared};
use sha2::{Digest, Sha256};
use store::{AnsweredRow, Database, DatabaseError, ScoredRow};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};
use wire::failure::{Failure, FailureKind};

use super::call::{Ask, Asked, Way, body, call, is_standstill, micros, now_us};
use super::score::Took;
use super::write::{Gone, Writer};
use super::{Answered, Item, Plan, Scorer};
use crate::case::{Answer, Case};

/// How long a claim holds when nobody holds it.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// How often a worker under a cap looks at what all of them have spent.
const COUNT_AGAIN: Duration = Duration::from_millis(100);
/// How long a worker without anything to do waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// A target as a worker calls it.
pub struct Target {
    /// Who answers.
    pub provider: Arc<ProviderConfig>,
    /// When a call is made again.
    pub retries: RetryRules,
    /// Calls that may be under way at once.
    pub max_concurrency: Option<usize>,
    /// How it is asked.
    pub ask: Rc<dyn Ask>,
}

/// What a worker works on.
pub struct Job {
    /// The run's name.
    pub run: String,
    /// What is to be done.
    pub plan: Plan,
    /// The cases of the plan's dataset, in its order.
    pub cases: Vec<Case>,
    /// The targets of the plan, in its order.
    pub targets: Vec<Target>,
    /// What answers are worth.
    pub scorer: Scorer,
    /// The store.
    pub store: PathBuf,
    /// The worker's name, which no other living worker has.
    pub worker: String,
    /// Workers that are known to work no more.
    pub dead: Vec<String>,
    /// Calls under way at once.
    pub concurrency: usize,
    /// The run is stopped before it costs more than this, in billionths of a dollar.
    pub max_cost_nanos: Option<u64>,
    /// What the calls are made by.
    pub providers: Arc<Shared>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Answers there are, of all workers as far as this one knows.
    pub n_answered: u64,
    /// Answers there are to be.
    pub n_items: u64,
    /// Of this worker's, failed for good.
    pub n_failed: u64,
    /// Of this worker's, taken over from an earlier call.
    pub n_reused: u64,
    /// What the run has cost so far, in billionths of a dollar.
    pub spent_nanos: u64,
    /// Of this worker's answers, those whose cost is not known.
    pub n_unpriced: u64,
    /// When it will be done at the pace so far.
    pub left: Option<Duration>,
    /// Whether this worker waits for another.
    pub waiting: bool,
}

/// How a worker's work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every item has its answer.
    Whole,
    /// Another call might have cost more than may be spent.
    CostCap,
}

/// Why a run stopped. What is on record stays; the same run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store failed.
    #[error("the answers of the run cannot be kept")]
    Store(#[from] DatabaseError),
    /// The thread that writes ended.
    #[error("the thread that writes ended")]
    Writer,
    /// A target cannot be set up.
    #[error("cannot set up the calls to `{0}`")]
    Provider(String, #[source] ProviderError),
    /// A target cannot be called at all, so that its failure says nothing of a case.
    #[error("`{target}` cannot be called at {place}: {why}")]
    Standstill {
        /// The target.
        target: String,
        /// The base URL of its provider, which carries no secret.
        place: String,
        /// Why.
        why: String,
    },
}

/// Why there is no way to a target, in the words of the innermost cause.
fn why(failure: &Failure) -> String {
    use FailureKind::{Connect, Dns, TimeoutConnect, Tls};
    if !matches!(failure.kind, Connect | Dns | Tls | TimeoutConnect) {
        return failure.to_string();
    }
    // What the layers between say of each other, outermost first.
    let layers = ["client error (Connect): ", "no TCP connection: ", "tcp connect error: "];
    let words = layers.iter().fold(&*failure.detail, |words, layer| words.strip_prefix(layer).unwrap_or(words));
    words.split(" (os error").next().unwrap_or(words).replacen("Connection ", "connection ", 1)
}

impl From<Gone> for RunError {
    fn from(gone: Gone) -> RunError {
        match gone {
            Gone::Store(error) => RunError::Store(error),
            Gone::Ended => RunError::Writer,
        }
    }
}

/// Everything the tasks of one worker share.
struct Shop {
    job: Job,
    client: Client,
    providers: Vec<Arc<Provider>>,
    places: Vec<Option<Semaphore>>,
    benches: Semaphore,
    writer: Writer,
    reading: Database,
    blocks: RefCell<BTreeMap<u64, u64>>,
    began: Instant,
    n_here: Cell<u64>,
    n_failed: Cell<u64>,
    n_reused: Cell<u64>,
    n_unpriced: Cell<u64>,
    n_before: Cell<u64>,
    spent_nanos: Cell<u64>,
    dearest: Cell<Option<u64>>,
    counted: Cell<Instant>,
}

/// Works until the run is whole, or may cost no more.
///
/// # Errors
/// When the store fails, or a target cannot be called at all.
pub async fn work(job: Job, progress: &dyn Fn(Progress)) -> Result<Ended, RunError> {
    let shop = Rc::new(Shop::open(job)?);
    let local = LocalSet::new();
    let worked = local.run_until(floor(&shop, progress)).await;
    drop(local);
    // The writer gives up what is claimed and ends when the last task is gone.
    let Some(shop) = Rc::into_inner(shop) else { return worked };
    drop(shop.writer);
    shop.client.close().await;
    worked
}

async fn floor(shop: &Rc<Shop>, progress: &dyn Fn(Progress)) -> Result<Ended, RunError> {
    let mut tasks: JoinSet<Result<(), RunError>> = JoinSet::new();
    let mut queue: VecDeque<(u64, u64)> = VecDeque::new();
    let mut held = Instant::now();
    loop {
        if held.elapsed() > LEASE / 3 {
            shop.writer.hold(now_us() + micros(LEASE));
            held = Instant::now();
        }
        while let Some(done) = tasks.try_join_next() {
            ended(done)?;
            progress(shop.progress(false));
        }
        shop.count_spending()?;
        let may_begin = tasks.len() < shop.job.concurrency && shop.may_spend(tasks.len());
        if !may_begin {
            let Some(done) = within(LEASE / 3, tasks.join_next()).await else { continue };
            match done {
                Some(done) => {
                    ended(done)?;
                    progress(shop.progress(false));
                }
                // Nothing is under way, and one more call might cost too much.
                None => return Ok(if shop.is_whole()? { Ended::Whole } else { Ended::CostCap }),
            }
            continue;
        }
        if let Some((block, number)) = queue.pop_front() {
            let shop = Rc::clone(shop);
            tasks.spawn_local(async move { shop.item(block, number).await });
            continue;
        }
        let now = now_us();
        let size = (shop.job.plan.block(), shop.job.plan.n_items());
        if let Some(claimed) = shop.writer.claim(size, now, now + micros(LEASE)).await? {
            shop.spent_nanos.set(shop.spent_nanos.get().max(claimed.spent_nanos));
            shop.begin(claimed.block, claimed.items.len()).await?;
            queue.extend(claimed.items.into_iter().map(|item| (claimed.block, item)));
        } else if let Some(done) = tasks.join_next().await {
            ended(done)?;
            progress(shop.progress(false));
        } else if shop.writer.busy().await? {
            progress(shop.progress(true));
            tokio::time::sleep(LOOK_AGAIN).await;
        } else {
            return Ok(Ended::Whole);
        }
    }
}

/// Waits no longer than this.
async fn within<T>(longest: Duration, what: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(longest, what).await.ok()
}

fn ended(done: Result<Result<(), RunError>, tokio::task::JoinError>) -> Result<(), RunError> {
    // A task that panicked wrote nothing: its item stays open.
    done.unwrap_or(Err(RunError::Writer))
}

impl Shop {
    fn open(job: Job) -> Result<Shop, RunError> {
        let reading = Database::open_read_only(&job.store)?;
        let n_before = reading.eval_run(&job.run)?.map_or(0, |run| run.n_answered);
        let mut providers = Vec::with_capacity(job.targets.len());
        for (target, planned) in job.targets.iter().zip(&job.plan.targets) {
            let provider = job.providers.provider(Arc::clone(&target.provider));
            providers.push(provider.map_err(|error| RunError::Provider(planned.name.clone(), error))?);
        }
        let writer = Writer::start(&job.store, &job.run, (&job.worker, &job.dead), job.concurrency)?;
        let places = job.targets.iter().map(|target| target.max_concurrency.map(Semaphore::new)).collect();
        Ok(Shop {
            client: Client::new(),
            providers,
            places,
            benches: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
            writer,
            reading,
            blocks: RefCell::default(),
            began: Instant::now(),
            n_here: Cell::new(0),
            n_failed: Cell::new(0),
            n_reused: Cell::new(0),
            n_unpriced: Cell::new(0),
            n_before: Cell::new(n_before),
            spent_nanos: Cell::new(0),
            dearest: Cell::new(None),
            counted: Cell::new(Instant::now()),
            job,
        })
    }

    fn is_whole(&self) -> Result<bool, RunError> {
        let row = self.reading.eval_run(&self.job.run)?;
        Ok(row.is_some_and(|row| row.n_answered >= row.n_items))
    }

    /// Under a cap, sees what other workers have spent: they may be that much beyond what is known here as they have in flight, and as
    /// they finished since.
    fn count_spending(&self) -> Result<(), RunError> {
        if self.job.max_cost_nanos.is_none() || self.counted.get().elapsed() < COUNT_AGAIN {
            return Ok(());
        }
        self.counted.set(Instant::now());
        if let Some(row) = self.reading.eval_run(&self.job.run)? {
            self.spent_nanos.set(self.spent_nanos.get().max(row.spent_nanos));
        }
        Ok(())
    }

    /// Whether one more call may begin beside so many: should each of them cost as much as the dearest so far, the cap holds. While
    /// no cost is known, one call is made at a time.
    fn may_spend(&self, n_under_way: usize) -> bool {
        let Some(cap) = self.job.max_cost_nanos else { return true };
        match self.dearest.get() {
            Some(dearest) => {
                let most = dearest.saturating_mul(n_under_way as u64 + 1);
                self.spent_nanos.get().saturating_add(most) <= cap
            }
            None => n_under_way == 0 && self.spent_nanos.get() <= cap,
        }
    }

    /// Notes how much of a block is open; one without anything open is done.
    async fn begin(&self, block: u64, n_open: usize) -> Result<(), RunError> {
        if n_open > 0 {
            self.blocks.borrow_mut().insert(block, n_open as u64);
            return Ok(());
        }
        Ok(self.writer.finish(block).await?)
    }

    /// One item less of a block; the block when it was the last.
    fn one_less(&self, block: u64) -> Option<u64> {
        let mut blocks = self.blocks.borrow_mut();
        let left = blocks.get_mut(&block)?;
        *left -= 1;
        if *left > 0 {
            return None;
        }
        blocks.remove(&block);
        Some(block)
    }

    async fn item(&self, block: u64, number: u64) -> Result<(), RunError> {
        let plan = &self.job.plan;
        let item = plan.item(number);
        let (case, target) = (&self.job.cases[item.case_idx], &self.job.targets[item.target_idx]);
        let body = body(case, plan.seed.map(|seed| seed.wrapping_add(item.repeat)), plan.stream);
        let (key, answered, reused) = match target.ask.prepare(case, body) {
            Err(failure) => {
                let unasked = Answered { cost_nanos: Some(0), ..Answered::default() };
                let why = Some(failure.to_string());
                let answered = match failure.kind {
                    FailureKind::Residency => Answered { withheld: why, ..unasked },
                    _ => Answered { failure: why, ..unasked },
                };
                (Vec::new(), answered, false)
            }
            Ok(asked) => {
                let key = self.key(item, asked.body());
                match self.earlier(&key)? {
                    Some(answered) => (key, answered, true),
                    None => {
                        let answered = self.call(item, asked.as_ref()).await?;
                        (key, answered, false)
                    }
                }
            }
        };
        let took = Took { latency_us: Some(answered.latency_us), cost_nanos: answered.cost_nanos };
        let scores = match &answered.answer {
            Some(answer) => self.scores(case, answer, took).await?,
            None => Vec::new(),
        };
        let spent_nanos = if reused { 0 } else { answered.cost_nanos.unwrap_or(0) };
        let row = AnsweredRow {
            item: number,
            at_us: now_us(),
            key,
            reused,
            failure: answered.failure.clone(),
            spent_nanos,
            // Texts and numbers: it always serialises.
            json: serde_json::to_string(&answered).unwrap_or_default(),
            scores,
        };
        self.note(&row, &answered);
        let done = self.one_less(block);
        self.writer.write(row, done).await?;
        Ok(())
    }

    /// What an answer is worth. Code is run on threads of its own, as many at once as there are processors.
    async fn scores(&self, case: &Case, answer: &Answer, took: Took) -> Result<Vec<ScoredRow>, RunError> {
        if !self.job.scorer.runs_code() {
            return Ok(self.job.scorer.rows(case, answer, took));
        }
        let _place = self.benches.acquire().await.ok();
        let (scorer, case, answer) = (self.job.scorer.clone(), case.clone(), answer.clone());
        // A metric that panicked scored nothing: its item stays open.
        tokio::task::spawn_blocking(move || scorer.rows(&case, &answer, took)).await.map_err(|_| RunError::Writer)
    }

    async fn call(&self, item: Item, asked: &dyn Asked) -> Result<Answered, RunError> {
        let target = &self.job.targets[item.target_idx];
        let _place = match &self.places[item.target_idx] {
            Some(places) => places.acquire().await.ok(),
            None => None,
        };
        let provider = &self.providers[item.target_idx];
        let stream = self.job.plan.stream;
        let way = Way { client: &self.client, provider, retries: target.retries, ask: &target.ask, stream };
        let (answered, failure) = Box::pin(call(&way, asked, item.number)).await;
        match failure {
            Some(failure) if is_standstill(failure.kind) => Err(RunError::Standstill {
                target: self.job.plan.targets[item.target_idx].name.clone(),
                place: provider.config().base_url.to_string(),
                why: why(&failure),
            }),
            _ => Ok(answered),
        }
    }

    /// Everything the answer depends on: what the target is made of, where it is, the bytes it is sent, and which time it is asked.
    fn key(&self, item: Item, body: &[u8]) -> Vec<u8> {
        let planned = &self.job.plan.targets[item.target_idx];
        let config = self.providers[item.target_idx].config();
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(b"crossfade eval 1");
        part(planned.fingerprint.as_bytes());
        part(planned.model.as_bytes());
        part(config.base_url.to_string().as_bytes());
        if config.is_simulated() {
            // What a simulated provider says depends on its knobs.
            part(format!("{:?}", config.dialect).as_bytes());
        }
        let n_same = self.job.plan.n_same_before(item.target_idx);
        if n_same > 0 {
            // An A/A that took over its own answers would have no noise.
            part(format!("again {n_same}").as_bytes());
        }
        part(&item.repeat.to_be_bytes());
        part(body);
        hash.finalize()[..16].to_vec()
    }

    fn earlier(&self, key: &[u8]) -> Result<Option<Answered>, RunError> {
        if !self.job.plan.reuse {
            return Ok(None);
        }
        let found = self.reading.reusable_answer(key)?;
        Ok(found.and_then(|json| serde_json::from_str(&json).ok()))
    }

    fn note(&self, row: &AnsweredRow, answered: &Answered) {
        let add = |cell: &Cell<u64>, n: u64| cell.set(cell.get() + n);
        add(&self.n_here, 1);
        add(&self.n_failed, u64::from(row.failure.is_some()));
        add(&self.n_reused, u64::from(row.reused));
        add(&self.n_unpriced, u64::from(answered.cost_nanos.is_none()));
        add(&self.spent_nanos, row.spent_nanos);
        if !row.reused && answered.attempts > 0 {
            self.dearest.set(Some(self.dearest.get().unwrap_or(0).max(row.spent_nanos)));
        }
    }

    fn progress(&self, waiting: bool) -> Progress {
        let n_items = self.job.plan.n_items();
        let n_here = self.n_here.get();
        let n_answered = (self.n_before.get() + n_here).min(n_items);
        let left = (n_here > 0).then(|| {
            let each = self.began.elapsed().as_secs_f64() / n_here as f64;
            Duration::from_secs_f64(each * (n_items - n_answered) as f64)
        });
        Progress {
            n_answered,
            n_items,
            n_failed: self.n_failed.get(),
            n_reused: self.n_reused.get(),
            spent_nanos: self.spent_nanos.get(),
            n_unpriced: self.n_unpriced.get(),
            left,
            waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_target_cannot_be_called_is_its_innermost_cause() {
        let check = |kind, detail: &str, expected: &str| assert_eq!(why(&Failure::new(kind, detail)), expected);
        let refused = "client error (Connect): no TCP connection: tcp connect error: Connection refused (os error 111)";
        check(FailureKind::Connect, refused, "connection refused");
        let tls = "client error (Connect): no TLS session: invalid peer certificate: UnknownIssuer";
        check(FailureKind::Tls, tls, "no TLS session: invalid peer certificate: UnknownIssuer");
        check(FailureKind::Authentication, "401: bad key", "authentication: 401: bad key");
    }
}
