//! Golden tests asked of a target of the config: each request as the gateway would send it, but for the target's own prompt variant, in
//! whose place the registered prompt is.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use eval::prompt::results::Row;
use eval::prompt::trial::{Outcome, Said, judge};
use eval::prompt::{Form, Golden, Prompt};
use eval::run::whole_answer;
use gateway::offline::prepare;
use gateway::snapshot::{Snapshot, Target};
use govern::Residency;
use providers::{Client, Provider, Shared};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use wire::failure::{Failure, FailureKind};
use wire::record::{Endpoint, Lane};
use wire::request::without_model;

use crate::config::Config;
use crate::out::{Out, Stop};
use crate::verbs::Place;
use crate::verbs::ledger::Collected;

/// The longest a provider that asks to wait is waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// One golden test to be asked.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// The prompt, shared by its tests.
    pub prompt: Rc<Prompt>,
    /// The form it is asked in.
    pub form: Rc<Form>,
    /// What the form is called.
    pub variant: Option<String>,
    /// The target.
    pub target: String,
    /// Which of the prompt's tests.
    pub golden: usize,
    /// Which time, from 1.
    pub repeat: u32,
}

/// Asks all of them, so many at once, and gives a row for each, in their order.
pub(super) fn ask(
    (place, config): (&Place, &Config),
    questions: &[Question],
    concurrency: usize,
    out: &Out,
) -> Result<Vec<Row>, Stop> {
    let ledger = Arc::new(Collected::default());
    let shared = Shared::new().watched(Arc::clone(&ledger) as _, Lane::Evaluation);
    let mut lines: Vec<Rc<Line>> = Vec::new();
    for name in questions.iter().map(|question| &question.target) {
        if !lines.iter().any(|line| line.target.name == *name) {
            lines.push(Rc::new(Line::to(config, name, &shared)?));
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let rows = runtime.block_on(LocalSet::new().run_until(async {
        let places = Rc::new(Semaphore::new(concurrency.max(1)));
        let tasks: Vec<_> = questions
            .iter()
            .filter_map(|question| {
                let line = Rc::clone(lines.iter().find(|line| line.target.name == question.target)?);
                let (question, places) = (question.clone(), Rc::clone(&places));
                Some(tokio::task::spawn_local(async move {
                    // Nobody closes the semaphore.
                    let _place = places.acquire().await.ok();
                    line.row(&question).await
                }))
            })
            .collect();
        let mut rows = Vec::with_capacity(tasks.len());
        for task in tasks {
            rows.push(task.await.context("a question was dropped")?);
        }
        Ok::<_, anyhow::Error>(rows)
    }));
    // Whatever is still open is closed now.
    drop(runtime);
    ledger.note(place, out);
    let rows = rows?;
    if rows.iter().any(|row: &Row| row.simulated) {
        out.say("simulated: the answers were made up");
    }
    Ok(rows)
}

/// A target, and the way to it.
struct Line {
    snapshot: Arc<Snapshot>,
    target: Target,
    provider: Arc<Provider>,
    client: Client,
}

impl Line {
    fn to(config: &Config, name: &str, shared: &Shared) -> Result<Line, Stop> {
        let target = config.snapshot.targets.get(name).ok_or_else(|| {
            let known: Vec<&str> = config.snapshot.targets.keys().map(String::as_str).collect();
            Stop::usage(format!("there is no target `{name}`")).hint(format!("defined: {}", known.join(", ")))
        })?;
        let provider = shared.provider(Arc::clone(&target.provider)).map_err(Stop::failed)?;
        let target = Target { prompt: None, ..Target::clone(target) };
        Ok(Line { snapshot: Arc::clone(&config.snapshot), target, provider, client: Client::new() })
    }

    async fn row(&self, question: &Question) -> Row {
        let Question { prompt, form, variant, target, golden, repeat } = question;
        let mut row = Row {
            prompt: prompt.name.clone(),
            version: prompt.version(),
            target: target.clone(),
            variant: variant.clone(),
            test: String::new(),
            repeat: *repeat,
            outcome: Outcome::Unscored { why: String::new() },
            answer: String::new(),
            latency_ms: 0,
            simulated: false,
        };
        let Some(golden) = prompt.tests.get(*golden) else { return row };
        row.test = golden.name.clone();
        match prompt.request_of(form, &golden.values) {
            // They were held against their types when the file was read.
            Err(error) => row.outcome = Outcome::Unscored { why: error.to_string() },
            Ok(request) => self.judged(golden, request, &mut row).await,
        }
        row
    }

    async fn judged(&self, golden: &Golden, request: Map<String, Value>, row: &mut Row) {
        let began = Instant::now();
        let answered = self.answered(&request).await;
        row.latency_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match answered {
            Err(failure) => row.outcome = Outcome::Unscored { why: failure.to_string() },
            Ok((said, simulated)) => {
                let language = routing::Language::of(&said.answer.text);
                let language = (language != routing::Language::Unknown).then(|| language.to_string());
                row.outcome = judge(golden, &request, &said, language.as_deref());
                row.answer = said.answer.text;
                row.simulated = simulated;
            }
        }
    }

    /// Asks as often as the target's rules for retries allow.
    async fn answered(&self, request: &Map<String, Value>) -> Result<(Said, bool), Failure> {
        let body = without_model(request.clone());
        let retries = self.target.calling.retries;
        let mut n_failed = 0;
        loop {
            let failure = match self.once(body.clone()).await {
                Ok(answered) => return Ok(answered),
                Err(failure) => failure,
            };
            n_failed += 1;
            if !retries.allow(&failure) || n_failed >= retries.max_attempts(false) {
                return Err(failure);
            }
            let wait = match failure.retry {
                wire::failure::Retry::After(wait) => wait.min(LONGEST_PAUSE),
                _ => retries.wait(n_failed, 0.5),
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn once(&self, body: Bytes) -> Result<(Said, bool), Failure> {
        let prepared = prepare(&self.snapshot, &self.target, (Endpoint::ChatCompletions, body, Residency::default()))?;
        let timeouts = self.provider.config().timeouts;
        let exchange = whole_answer(&self.client, &self.provider, prepared.call(timeouts));
        let late = |_| Failure::new(FailureKind::TimeoutTotal, "no whole answer in time");
        let (body, simulated) = tokio::time::timeout(timeouts.whole_answer(), exchange).await.map_err(late)??;
        let body = prepared.read(&body)?;
        let said = Said::read(&body);
        let said = said.ok_or_else(|| Failure::new(FailureKind::Malformed, "the answer is no chat completion"))?;
        Ok((said, simulated))
    }
}
