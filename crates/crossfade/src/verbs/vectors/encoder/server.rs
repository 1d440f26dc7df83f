//! A server that answers `/v1/embeddings`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eval::run::whole_answer;
use gateway::offline::prepare;
use gateway::snapshot::{Snapshot, Target};
use govern::Residency;
use providers::{BaseUrl, Call, Client, Dialect, Ledger, Provider, ProviderConfig, Shared};
use serde_json::{Value, json};
use vectors::embed::{Embed, Embedded, Refused, Worker, read};
use vectors::retry::Class;
use vectors::space::Recipe;
use wire::failure::{Failure, FailureKind, Retry};
use wire::openai::answer::inspect;
use wire::private::Private;
use wire::record::{Endpoint, Lane};
use wire::splice::Pieces;

use crate::load;
use crate::out::Stop;
use crate::verbs::Place;
use crate::verbs::source::names_like;
use crate::verbs::time::now_us;

/// How long a provider is left alone that asks to slow down and does not say for how long.
const SLOWED: Duration = Duration::from_secs(5);

/// Tokens that a price is for.
const MILLION: u128 = 1_000_000;

/// A server, and what it is asked for.
pub(super) struct Server {
    provider: Arc<ProviderConfig>,
    shared: Arc<Shared>,
    model: String,
    dimensions: Option<usize>,
    /// Billionths of a dollar a million tokens.
    price_nanos: Option<u64>,
    target: Option<(Arc<Snapshot>, Arc<Target>)>,
}

/// A target of the config.
pub(super) fn target(
    place: &Place,
    name: &str,
    dimensions: Option<usize>,
    price_nanos: Option<u64>,
    ledger: &Arc<dyn Ledger>,
) -> Result<Server, Stop> {
    let config = load::config(&place.config)?;
    let target = config.snapshot.targets.get(name).ok_or_else(|| {
        let known = config.snapshot.targets.keys().map(String::as_str);
        Stop::usage(format!("there is no target `{name}`")).hint(names_like(name, known))
    })?;
    Ok(Server {
        provider: Arc::clone(&target.provider),
        shared: shared(ledger),
        model: target.model.clone(),
        dimensions,
        price_nanos,
        target: Some((Arc::clone(&config.snapshot), Arc::clone(target))),
    })
}

/// The server at a URL.
pub(super) fn url(
    (url, model, key_from): (&str, &str, Option<&str>),
    dimensions: Option<usize>,
    price_nanos: Option<u64>,
    ledger: &Arc<dyn Ledger>,
) -> Result<Server, Stop> {
    let place = url.split_once("://").map_or(url, |(_, rest)| rest);
    let name = place.split('/').next().unwrap_or(place).to_owned();
    let url = BaseUrl::parse(url).map_err(|error| Stop::usage(error.to_string()))?;
    let mut provider = ProviderConfig::new(name, Dialect::Openai, url);
    if let Some(variable) = key_from {
        let key = std::env::var(variable).map_err(|_| Stop::usage(format!("{variable} is not set")))?;
        provider.api_key = Some(Private::new(key));
    }
    Ok(Server {
        provider: Arc::new(provider),
        shared: shared(ledger),
        model: model.to_owned(),
        dimensions,
        price_nanos,
        target: None,
    })
}

fn shared(ledger: &Arc<dyn Ledger>) -> Arc<Shared> {
    Arc::new(Shared::new().watched(Arc::clone(ledger), Lane::Vectors))
}

impl Server {
    /// The recipe with who makes the vectors.
    pub(super) fn describes(&self, recipe: Recipe) -> Recipe {
        Recipe { provider: self.provider.name.clone(), model: self.model.clone(), ..recipe }
    }

    pub(super) fn is_simulated(&self) -> bool {
        self.provider.is_simulated()
    }

    /// What a call cost.
    fn nanos(&self, body: &Bytes, n_tokens: Option<u64>, (started_us, took): (u64, Duration)) -> Option<u64> {
        if let Some(price) = self.price_nanos {
            return u64::try_from(u128::from(n_tokens?) * u128::from(price) / MILLION).ok();
        }
        let (snapshot, target) = self.target.as_ref()?;
        let usage = inspect(body).usage;
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        snapshot.prices.price_of((&target.name, &target.model), usage.as_ref(), (started_us, took_us))
    }
}

impl Embed for Server {
    fn worker(&self) -> Result<Box<dyn Worker + '_>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        let provider = self.shared.provider(Arc::clone(&self.provider)).map_err(|error| error.to_string())?;
        let client = runtime.block_on(async { Client::new() });
        Ok(Box::new(Caller { server: self, client: Some(client), provider, runtime }))
    }
}

/// One line to the server.
struct Caller<'a> {
    server: &'a Server,
    client: Option<Client>,
    provider: Arc<Provider>,
    runtime: tokio::runtime::Runtime,
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            self.runtime.block_on(client.close());
        }
    }
}

impl Worker for Caller<'_> {
    fn embed(&mut self, texts: &[&str]) -> Result<Embedded, Refused> {
        let server = self.server;
        let mut body = json!({ "model": server.model, "input": texts });
        if let Some(dimensions) = server.dimensions {
            body["dimensions"] = Value::from(dimensions);
        }
        let body = Bytes::from(body.to_string());
        let timeouts = self.provider.config().timeouts;
        let prepared = match &server.target {
            Some((snapshot, target)) => {
                let asked = (Endpoint::Embeddings, body.clone(), Residency::default());
                Some(prepare(snapshot, target, asked).map_err(Refused::permanent)?)
            }
            None => None,
        };
        let call = match &prepared {
            Some(prepared) => prepared.call(timeouts),
            None => Call {
                endpoint: Endpoint::Embeddings,
                body: Pieces::from(body),
                streamed: false,
                request_id: None,
                hops: 0,
                timeouts,
                sent: None,
                pause: Duration::ZERO,
                special: None,
            },
        };
        let (began, started_us) = (Instant::now(), now_us());
        let Some(client) = &self.client else { return Err(Refused::permanent("the line is closed")) };
        let answer = self.runtime.block_on(whole_answer(client, &self.provider, call));
        let (body, _) = answer.map_err(|failure| refused(&failure))?;
        let body = match &prepared {
            Some(prepared) => prepared.read(&body).map_err(|failure| refused(&failure))?,
            None => body,
        };
        let embedded = read(&body, texts.len()).map_err(Refused::poison)?;
        let nanos = server.nanos(&body, embedded.n_tokens, (started_us, began.elapsed()));
        Ok(Embedded { nanos, ..embedded })
    }
}

/// What helps against a failure.
fn refused(failure: &Failure) -> Refused {
    let class = match failure.kind {
        FailureKind::RateLimited
        | FailureKind::Connect
        | FailureKind::Dns
        | FailureKind::TimeoutConnect
        | FailureKind::TimeoutFirstToken
        | FailureKind::TimeoutTotal
        | FailureKind::Disconnected
        | FailureKind::Capacity
        | FailureKind::ErrorInBody => Class::Transient,
        FailureKind::HttpServerError => match failure.status {
            // A redirect, "not implemented" and "loop detected" stay what they are.
            Some(300..=399 | 501 | 505 | 508) => Class::Permanent,
            _ => Class::Transient,
        },
        FailureKind::HttpClientError => match failure.status {
            Some(400 | 413 | 422) => Class::Poison,
            _ => Class::Permanent,
        },
        FailureKind::TooLarge | FailureKind::Malformed => Class::Poison,
        _ => Class::Permanent,
    };
    let after = match failure.retry {
        Retry::After(wait) => Some(wait),
        _ if failure.kind == FailureKind::RateLimited => Some(SLOWED),
        _ => None,
    };
    let status = failure.status.map(|status| format!("{status}, ")).unwrap_or_default();
    Refused { class, why: format!("{status}{failure}"), after }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failure: Failure, class: Class, after: Option<Duration>) {
        let refused = refused(&failure);
        assert_eq!((refused.class, refused.after), (class, after), "{failure}");
    }

    #[test]
    fn only_what_lies_in_the_texts_is_looked_for_among_them() {
        let client = |status| Failure::new(FailureKind::HttpClientError, "").with_status(status);
        check(client(400), Class::Poison, None);
        check(client(413), Class::Poison, None);
        check(client(404), Class::Permanent, None);
        check(Failure::new(FailureKind::Authentication, "").with_status(401), Class::Permanent, None);
        check(Failure::new(FailureKind::HttpServerError, "").with_status(503), Class::Transient, None);
        check(Failure::new(FailureKind::HttpServerError, "").with_status(501), Class::Permanent, None);
    }

    #[test]
    fn who_asks_for_a_wait_is_given_it() {
        let wait = Duration::from_secs(3);
        let limited = || Failure::new(FailureKind::RateLimited, "").with_status(429);
        check(limited().with_retry(Retry::After(wait)), Class::Transient, Some(wait));
        check(limited(), Class::Transient, Some(SLOWED));
    }
}
