//! Requests added up, by what was asked for and by which name.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use stats::LatencySketch;
use wire::record::Endpoint;

use super::asks;
use super::hours::{Hours, Week};
use super::peak::{Peaks, Sliding};
use crate::matrix::{Through, recorded};
use crate::scan;

/// Most names that are kept apart: routes are of a config, but a name that is no route is whatever somebody sends.
const MOST_USES: usize = 1000;
/// Most callers, models and parameters of one use that are kept apart.
const MOST_PARTS: usize = 200;

/// One request as it was recorded.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// When it came, in Unix microseconds.
    pub at_us: u64,
    /// The endpoint, by its name in records.
    pub endpoint: &'r str,
    /// The route it named.
    pub route: &'r str,
    /// Whose it is: the id of a key, or the hash of one that is not ours.
    pub caller: Option<&'r str>,
    /// Whether it asked for a stream.
    pub streamed: bool,
    /// Whether its caller says that it has tried before.
    pub is_retry: bool,
    /// How it ended, in the word of records.
    pub outcome: &'r str,
    /// From its arrival to the first content.
    pub first_token_us: Option<u64>,
    /// From its arrival to its end.
    pub duration_us: Option<u64>,
    /// Tokens of the prompt and of the answer.
    pub tokens: Option<(u64, u64)>,
    /// Who answered last.
    pub served: Option<Served<'r>>,
    /// Its body, where it was looked at.
    pub body: Option<&'r [u8]>,
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served<'r> {
    /// The provider of the config.
    pub provider: &'r str,
    /// The model that was asked.
    pub model: &'r str,
    /// Whether the answer was made up.
    pub simulated: bool,
}

/// What is called what: from the config and the keys.
#[derive(Debug, Clone, Default)]
pub struct Who {
    /// The address of each provider.
    pub providers: BTreeMap<String, String>,
    /// The providers that are one's own machines.
    pub own: BTreeSet<String>,
    /// The name and the tenant of each key, by its id.
    pub keys: BTreeMap<String, (String, Option<String>)>,
}

/// Requests of one operation under one name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Use {
    /// What is done, in the words of the code's inventory.
    pub operation: String,
    /// The name that applications call: the `model` they send.
    pub route: String,
    /// The endpoints it came by.
    pub endpoints: Vec<String>,
    /// Who answered, the most often first.
    pub models: Vec<Asked>,
    /// Who called, the most often first.
    pub callers: Vec<Caller>,
    /// How many there were, and what became of them.
    #[serde(flatten)]
    pub tally: Tally,
    /// When the first and the last came, in Unix microseconds.
    pub between_us: (u64, u64),
    /// The busiest minute and hour.
    pub peaks: Peaks,
    /// Tokens of prompts, where they were counted.
    pub input_tokens: Option<Lengths>,
    /// Tokens of answers, where they were counted.
    pub output_tokens: Option<Lengths>,
    /// From the arrival of a stream's request to its first content.
    pub first_token_ms: Option<Latency>,
    /// From the arrival of a request to the end of a complete answer.
    pub end_ms: Option<Latency>,
    /// Requests whose body was read for what they ask for; the two below count these alone.
    pub bodies_read: u64,
    /// What they ask for, of those that ask for anything.
    pub capabilities: BTreeMap<&'static str, u64>,
    /// The members of their bodies.
    pub parameters: BTreeMap<String, u64>,
    /// By the hour of the week.
    pub week: Week,
    /// What was used of whom, for the replacement matrix.
    #[serde(skip)]
    pub needed: Vec<Needed>,
}

/// What requests that somebody answered use of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Whose service answered; `self-hosted` where it was one's own.
    pub vendor: String,
    /// The model that answered.
    pub model: String,
    /// In which dialect applications asked.
    pub through: Through,
    /// All of them.
    pub requests: u64,
    /// How many of them use what: the matrix's words. What only a body says is counted of those whose body was read.
    pub words: BTreeMap<&'static str, u64>,
}

/// What became of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All of them.
    pub requests: u64,
    /// Of these, answered whole.
    pub complete: u64,
    /// Of these, refused by the gateway.
    pub refused: u64,
    /// Of these, for a stream.
    pub streamed: u64,
    /// Of these, a caller's own second try.
    pub retries: u64,
}

/// A model that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Its id.
    pub model: String,
    /// Who offers it, by the provider's address; else by the id; empty when neither says.
    pub vendor: String,
    /// The provider of the config.
    pub provider: String,
    /// How often.
    pub requests: u64,
    /// Whether any of its answers was made up.
    pub simulated: bool,
}

/// Who called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// The key's name; the beginning of its hash when it is none of ours; empty when there was none.
    pub key: String,
    /// The key's tenant.
    pub tenant: Option<String>,
    /// How often.
    pub requests: u64,
}

/// Two quantiles of what was counted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles<T> {
    /// How many.
    pub n: u64,
    /// The median.
    pub p50: T,
    /// 95 of 100 are at most this.
    pub p95: T,
}

/// Lengths in tokens.
pub type Lengths = Quantiles<u64>;
/// Times in milliseconds.
pub type Latency = Quantiles<f64>;

/// Requests that are being added up.
#[derive(Debug, Default)]
pub struct Gathering {
    uses: BTreeMap<(&'static str, String), Adding>,
    /// Requests under names beyond the most that are kept apart.
    beyond: u64,
    all: Hours,
    between_us: Option<(u64, u64)>,
    n: u64,
}

/// Who answered, and in which dialect was asked: provider, model, dialect.
type Answered = (String, String, Through);
/// How many requests, and how many of them use what.
type Words = (u64, BTreeMap<&'static str, u64>);

#[derive(Debug)]
struct Adding {
    endpoints: BTreeMap<String, u64>,
    models: BTreeMap<(String, String), (u64, bool)>,
    callers: BTreeMap<String, u64>,
    tally: Tally,
    between_us: (u64, u64),
    minute: Sliding,
    hour: Sliding,
    input: Tokens,
    output: Tokens,
    first_token: LatencySketch,
    end: LatencySketch,
    bodies_read: u64,
    capabilities: BTreeMap<&'static str, u64>,
    parameters: BTreeMap<String, u64>,
    hours: Hours,
    needed: BTreeMap<Answered, Words>,
}

/// A sketch of lengths. It counts from 1 on, so one more is counted; below 256 it is exact.
#[derive(Debug, Default)]
struct Tokens(LatencySketch);

impl Tokens {
    fn add(&mut self, tokens: u64) {
        self.0.record_us(tokens.saturating_add(1));
    }

    fn lengths(&self) -> Option<Lengths> {
        let found = self.0.quantiles()?;
        Some(Quantiles { n: found.n, p50: found.p50_us - 1, p95: found.p95_us - 1 })
    }
}

impl Gathering {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Gathering {
        Gathering::default()
    }

    /// Adds a request. They come in the order of the record.
    pub fn add(&mut self, request: &Request<'_>) {
        self.n += 1;
        let (first, last) = self.between_us.unwrap_or((request.at_us, request.at_us));
        self.between_us = Some((first.min(request.at_us), last.max(request.at_us)));
        self.all.add(request.at_us, request.tokens);
        let operation = operation_of(request.endpoint);
        let is_full = self.uses.len() >= MOST_USES;
        let adding = match self.uses.get_mut(&(operation, request.route.to_owned())) {
            Some(adding) => adding,
            None if is_full => {
                self.beyond += 1;
                return;
            }
            None => {
                self.uses.entry((operation, request.route.to_owned())).or_insert_with(|| Adding::new(request.at_us))
            }
        };
        adding.add(request);
    }

    /// How many requests were added.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Requests under so many names that they are not kept apart.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// When the first and the last came.
    #[must_use]
    pub fn between_us(&self) -> Option<(u64, u64)> {
        self.between_us
    }

    /// The hours of the week of all requests; `None` without any.
    #[must_use]
    pub fn week(&self) -> Option<Week> {
        self.between_us.map(|between| self.all.week(between))
    }

    /// The sums, the most requests first.
    #[must_use]
    pub fn uses(&self, who: &Who) -> Vec<Use> {
        let Some(between) = self.between_us else { return Vec::new() };
        let mut uses: Vec<Use> =
            self.uses.iter().map(|((operation, route), adding)| adding.sum(operation, route, who, between)).collect();
        uses.sort_by(|a, b| {
            (b.tally.requests, &a.route, &a.operation).cmp(&(a.tally.requests, &b.route, &b.operation))
        });
        uses
    }
}

impl Adding {
    fn new(at_us: u64) -> Adding {
        Adding {
            endpoints: BTreeMap::new(),
            models: BTreeMap::new(),
            callers: BTreeMap::new(),
            tally: Tally::default(),
            between_us: (at_us, at_us),
            minute: Sliding::new(1_000_000),
            hour: Sliding::new(60_000_000),
            input: Tokens::default(),
            output: Tokens::default(),
            first_token: LatencySketch::new(),
            end: LatencySketch::new(),
            bodies_read: 0,
            capabilities: BTreeMap::new(),
            parameters: BTreeMap::new(),
            hours: Hours::default(),
            needed: BTreeMap::new(),
        }
    }

    fn add(&mut self, request: &Request<'_>) {
        let Request { at_us, endpoint, .. } = *request;
        let tally = &mut self.tally;
        tally.requests += 1;
        tally.complete += u64::from(request.outcome == "complete");
        tally.refused += u64::from(request.outcome == "refused");
        tally.streamed += u64::from(request.streamed);
        tally.retries += u64::from(request.is_retry);
        self.between_us = (self.between_us.0.min(at_us), self.between_us.1.max(at_us));
        self.minute.add(at_us);
        self.hour.add(at_us);
        self.hours.add(at_us, request.tokens);
        count(&mut self.endpoints, endpoint);
        count(&mut self.callers, request.caller.unwrap_or_default());
        let asks = request.body.and_then(|body| asks::read(endpoint, body));
        if let Some(served) = request.served {
            let key = (served.provider.to_owned(), served.model.to_owned());
            if self.models.len() < MOST_PARTS || self.models.contains_key(&key) {
                let (through, words) = recorded::words(endpoint, request.streamed, asks.as_ref());
                let (n, counted) = self.needed.entry((key.0.clone(), key.1.clone(), through)).or_default();
                *n += 1;
                words.into_iter().for_each(|word| *counted.entry(word).or_default() += 1);
                let (n, is_simulated) = self.models.entry(key).or_default();
                (*n, *is_simulated) = (*n + 1, *is_simulated || served.simulated);
            }
        }
        if let Some((input, output)) = request.tokens {
            self.input.add(input);
            self.output.add(output);
        }
        if let Some(first) = request.first_token_us.filter(|_| request.streamed) {
            self.first_token.record_us(first);
        }
        if let Some(duration) = request.duration_us.filter(|_| request.outcome == "complete") {
            self.end.record_us(duration);
        }
        if let Some(asks) = asks {
            self.bodies_read += 1;
            asks.capabilities.iter().for_each(|name| *self.capabilities.entry(name).or_default() += 1);
            asks.parameters.iter().for_each(|name| count(&mut self.parameters, name));
        }
    }

    fn sum(&self, operation: &str, route: &str, who: &Who, between: (u64, u64)) -> Use {
        let ms = |sketch: &LatencySketch| {
            let found = sketch.quantiles()?;
            Some(Quantiles { n: found.n, p50: found.p50_us as f64 / 1000.0, p95: found.p95_us as f64 / 1000.0 })
        };
        let mut models: Vec<Asked> = self.models.iter().map(|(key, counted)| asked(key, *counted, who)).collect();
        models.sort_by(|a, b| (b.requests, &a.model).cmp(&(a.requests, &b.model)));
        let mut callers: Vec<Caller> = self.callers.iter().map(|(id, n)| caller(id, *n, who)).collect();
        callers.sort_by(|a, b| (b.requests, &a.key).cmp(&(a.requests, &b.key)));
        let mut capabilities = self.capabilities.clone();
        if self.tally.streamed > 0 {
            // Of all requests, not only of those whose body was read: it is a column of the record.
            capabilities.insert("streaming", self.tally.streamed);
        }
        Use {
            operation: operation.to_owned(),
            route: route.to_owned(),
            endpoints: self.endpoints.keys().cloned().collect(),
            models,
            callers,
            tally: self.tally,
            between_us: self.between_us,
            peaks: Peaks { minute: self.minute.most(), hour: self.hour.most() },
            input_tokens: self.input.lengths(),
            output_tokens: self.output.lengths(),
            first_token_ms: ms(&self.first_token),
            end_ms: ms(&self.end),
            bodies_read: self.bodies_read,
            capabilities,
            parameters: self.parameters.clone(),
            week: self.hours.week(between),
            needed: self.needed.iter().map(|(key, counted)| self.needed(key, counted, who)).collect(),
        }
    }

    /// Whose service it was; a provider that makes its answers up is nobody's unless its model is somebody's.
    fn needed(&self, (provider, model, through): &Answered, (requests, words): &Words, who: &Who) -> Needed {
        let key = (provider.clone(), model.clone());
        let counted = self.models.get(&key).copied().unwrap_or_default();
        let asked = asked(&key, counted, who);
        let vendor = match (who.own.contains(provider), asked.vendor.as_str(), asked.simulated) {
            (true, ..) => "self-hosted",
            (false, "", true) => "simulated",
            (false, "", false) => "unknown",
            (false, vendor, _) => vendor,
        };
        Needed {
            vendor: vendor.to_owned(),
            model: asked.model,
            through: *through,
            requests: *requests,
            words: words.clone(),
        }
    }
}

fn count(parts: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(n) = parts.get_mut(name) {
        *n += 1;
    } else if parts.len() < MOST_PARTS {
        parts.insert(name.to_owned(), 1);
    }
}

fn asked((provider, model): &(String, String), (requests, simulated): (u64, bool), who: &Who) -> Asked {
    let by_address = who.providers.get(provider).and_then(|address| scan::vendor_of_address(address));
    let vendor = by_address.or_else(|| scan::vendor_of_model(model)).unwrap_or_default();
    Asked { model: model.clone(), vendor: vendor.to_owned(), provider: provider.clone(), requests, simulated }
}

fn caller(id: &str, requests: u64, who: &Who) -> Caller {
    match who.keys.get(id) {
        Some((name, tenant)) => Caller { key: name.clone(), tenant: tenant.clone(), requests },
        None => Caller { key: id.chars().take(12).collect(), tenant: None, requests },
    }
}

/// What is done at an endpoint, in the words of the code's inventory.
fn operation_of(endpoint: &str) -> &'static str {
    let Some(endpoint) = Endpoint::ALL.iter().find(|one| one.as_str() == endpoint) else { return "unknown" };
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::StoredCompletions => "chat",
        Endpoint::Embeddings => "embeddings",
        Endpoint::Completions => "completions",
        Endpoint::Responses | Endpoint::Compaction | Endpoint::StoredResponses | Endpoint::Conversations => "responses",
        Endpoint::CountTokens | Endpoint::InputTokens => "tokens",
        Endpoint::Moderations => "moderation",
        Endpoint::Rerank => "rerank",
        Endpoint::ImageGenerations | Endpoint::ImageEdits | Endpoint::ImageVariations => "images",
        Endpoint::Speech | Endpoint::Transcriptions | Endpoint::Translations => "audio",
        Endpoint::Files | Endpoint::Uploads | Endpoint::Containers => "files",
        Endpoint::Batches | Endpoint::MessageBatches => "batches",
        Endpoint::VectorStores => "vector_store",
        Endpoint::FineTuning => "fine-tuning",
        Endpoint::Evals => "evals",
        Endpoint::Assistants | Endpoint::Threads => "assistants",
        Endpoint::Videos => "video",
    }
}
