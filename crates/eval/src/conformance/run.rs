//! The probe from its first request to its report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use providers::{ProviderConfig, ProviderError, Shared};
use wire::capability::{Capability, Group};
use wire::failure::FailureKind;

use super::advice::reconsider;
use super::ask::{Ask, Line, Silence, Terms};
use super::{Report, Row, Score, Verdict, advised, probes};

/// Who is probed.
#[derive(Debug, Clone)]
pub struct Subject {
    /// What the report calls it: a target's name or a URL.
    pub name: String,
    /// Where it is and how to talk to it.
    pub provider: Arc<ProviderConfig>,
    /// The model to ask for; the first of the server's list when it is not said.
    pub model: Option<String>,
    /// The model to ask for embeddings; `model` when it is not said, and then a refusal says nothing of the server.
    pub embedding_model: Option<String>,
    /// Models to ask for services of their own; `model` where none is said, and then a refusal says nothing of the server.
    pub service_models: BTreeMap<Capability, String>,
}

/// How long and how hard.
#[derive(Debug, Clone)]
pub struct Options {
    /// All of it takes no longer than this.
    pub budget: Duration,
    /// One answer takes no longer than this, or it counts as not measured.
    pub patience: Duration,
    /// Requests under way at once.
    pub concurrency: usize,
    /// How many tokens a conversation may have, when the server does not say.
    pub context: Option<u64>,
    /// Whether services of their own are asked for: moderation, reranking, sound, images, files, batches, assistants.
    pub services: bool,
    /// What the calls are made by: with a ledger, when their connections are to be on one.
    pub providers: Arc<Shared>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            budget: Duration::from_secs(30),
            patience: Duration::from_secs(10),
            concurrency: 4,
            context: None,
            services: true,
            providers: Arc::default(),
        }
    }
}

/// What there is to say while it runs.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// A question was answered, or was not.
    Asked {
        /// Requests so far.
        n_requests: usize,
        /// What it was for.
        capability: &'a str,
    },
    /// A row is known.
    Found(&'a Row),
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The provider cannot be set up.
    #[error("cannot set up the call to `{0}`")]
    Provider(String, #[source] ProviderError),
    /// Nobody answers there.
    #[error("nobody answers at {url}: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        why: String,
    },
    /// The server does not take the key.
    #[error("the server at {0} does not accept the key")]
    Key(String),
}

/// Probes a server.
///
/// # Errors
/// When nobody answers, or the key is refused: then nothing is known.
pub async fn probe(
    subject: &Subject,
    options: &Options,
    progress: &dyn Fn(Progress<'_>),
) -> Result<Report, ProbeError> {
    let began = Instant::now();
    let began_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let failed = |error| ProbeError::Provider(subject.name.clone(), error);
    let provider = options.providers.provider(Arc::clone(&subject.provider)).map_err(failed)?;
    let deadline = began + options.budget;
    let (patience, concurrency) = (options.patience, options.concurrency.max(1));
    let (context, services) = (options.context, options.services);
    let terms = Terms { deadline, patience, concurrency, context, services, progress };
    let model = match &subject.model {
        Some(model) => model.clone(),
        None => first_model(&Line::new(Arc::clone(&provider), String::new(), None, &terms)).await?,
    };
    let mut line = Line::new(provider, model.clone(), subject.embedding_model.clone(), &terms);
    line.service_models.clone_from(&subject.service_models);
    reachable(&line).await?;
    let mut rows = probes::all(&line).await;
    let kind = subject.provider.capabilities.kind();
    rows.sort_by_key(|row| row.capability);
    for row in &mut rows {
        row.advice = advised(row.capability, row.verdict, kind);
        progress(Progress::Found(row));
    }
    reconsider(&mut rows);
    fill_gaps(&mut rows, services);
    let simulated = line.simulated();
    let evidence = line.close().await;
    Ok(Report {
        subject: subject.name.clone(),
        base_url: subject.provider.base_url.to_string(),
        model,
        kind: kind.as_str(),
        simulated,
        began_s,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        score: Score::of(&rows),
        rows,
        evidence,
    })
}

/// A capability that no probe speaks of is not measured; it never disappears, but for services where none was asked for.
fn fill_gaps(rows: &mut Vec<Row>, services: bool) {
    for &capability in Capability::ALL.iter().filter(|capability| services || capability.group() != Group::Services) {
        if !rows.iter().any(|row| row.capability == capability) {
            let how = "there is no probe for it".to_owned();
            rows.push(Row { capability, verdict: Verdict::NotMeasured, how, evidence: Vec::new(), advice: None });
        }
    }
    rows.sort_by_key(|row| row.capability);
}

/// The first model the server lists, or a name that a server with one model takes.
async fn first_model(line: &Line<'_>) -> Result<String, ProbeError> {
    let answer = match line.ask(Capability::Models.id(), Ask::get("/models")).await {
        Ok(answer) => answer,
        Err(silence) => return Err(unreachable(line, &silence)),
    };
    if matches!(answer.status, 401 | 403) {
        return Err(ProbeError::Key(line.provider.config().base_url.to_string()));
    }
    let first = answer.json.as_ref().and_then(|json| json["data"][0]["id"].as_str());
    Ok(first.unwrap_or("default").to_owned())
}

/// One question before all others: is there anybody, and does the key fit?
async fn reachable(line: &Line<'_>) -> Result<(), ProbeError> {
    match line.ask(Capability::Models.id(), Ask::get("/models")).await {
        Ok(answer) if matches!(answer.status, 401 | 403) => {
            Err(ProbeError::Key(line.provider.config().base_url.to_string()))
        }
        Ok(_) => Ok(()),
        Err(silence) => match &silence {
            Silence::Failed(
                FailureKind::Connect | FailureKind::Dns | FailureKind::Tls | FailureKind::TimeoutConnect,
                _,
            ) => Err(unreachable(line, &silence)),
            _ => Ok(()),
        },
    }
}

fn unreachable(line: &Line<'_>, silence: &Silence) -> ProbeError {
    ProbeError::Unreachable { url: line.provider.config().base_url.to_string(), why: silence.words() }
}
