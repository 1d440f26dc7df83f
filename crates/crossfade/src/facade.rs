//! The listener for Pinecone's clients: what `vectors` answers, behind the gateway's door.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use arc_swap::ArcSwap;
use bytes::Bytes;
use gateway::beside::{self, Beside, Caller, Unheard};
use gateway::snapshot::Snapshot;
use govern::KeyTable;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use providers::Ledger;
use store::{Lease, LeaseError};
use vectors::facade::{self, Facade};

use crate::config::Config;
use crate::out::Stop;
use crate::running::bind;
use crate::verbs::Place;
use crate::verbs::vectors::serving;

/// The header in which clients say what version of the API they speak.
const VERSION: &str = "x-pinecone-api-version";

/// How long it waits for a verb that turns a move while nobody serves.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts it, where the config has indexes to serve. `path` is the config's, for the encoders; `ledger` has their connections.
pub(crate) fn start(
    config: &Config,
    path: &Path,
    keys: &Arc<ArcSwap<KeyTable>>,
    snapshot: &Arc<ArcSwap<Snapshot>>,
    ledger: &Arc<dyn Ledger>,
) -> Result<Option<Beside>, Stop> {
    let Some(settings) = &config.vectors else { return Ok(None) };
    let listener = bind(settings.listen, "vectors.listen")?;
    let addr = listener.local_addr().context("could not listen for `vectors`")?;
    let url = settings.url.clone().unwrap_or_else(|| format!("http://{addr}"));
    let lease =
        settings.indexes.values().any(|index| index.moves_to.is_some()).then(|| take(&settings.moves)).transpose()?;
    let place = Place { config: path.to_owned(), admin: None };
    let encoders = |file: &Path| serving(&place, file, ledger).map_err(|stop| stop.full_text());
    let facade = Facade::start(&url, &settings.indexes, &settings.moves, &encoders)
        .map_err(|error| Stop::failed(error).hint("`crossfade vectors mode INDEX` says how a move stands"))?;
    let served = Served { facade, _lease: lease };
    let answer: Arc<beside::Answer> = Arc::new(move |heard| served.respond(heard));
    let started = beside::start("vectors", listener, Arc::clone(keys), Arc::clone(snapshot), answer);
    Ok(Some(started.context("could not start the listener of `vectors`")?))
}

fn take(moves: &Path) -> Result<Lease, Stop> {
    let began = Instant::now();
    loop {
        match Lease::acquire(moves) {
            Ok(lease) => return Ok(lease),
            Err(LeaseError::Held { .. }) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => return Err(Stop::failed(error).hint("give this gateway another `vectors.moves`")),
        }
    }
}

/// The indexes, and the file of their moves, which is this process's as long as they are served.
struct Served {
    facade: Facade,
    _lease: Option<Lease>,
}

impl Served {
    fn respond(&self, heard: Result<(Caller, Request<Bytes>), Unheard>) -> Response<Bytes> {
        let answered = match heard {
            Err(unheard) => facade::Response::refused(unheard.status, &unheard.message),
            Ok((caller, request)) => self.facade.answer(&facade::Request {
                method: request.method().as_str(),
                path: request.uri().path(),
                query: request.uri().query().unwrap_or_default(),
                version: request.headers().get(VERSION).and_then(|version| version.to_str().ok()),
                body: request.body(),
                may_reach: &|name| caller.may_reach(&format!("vectors/{name}")),
            }),
        };
        if let Some(trouble) = &answered.trouble {
            tracing::warn!(status = answered.status, %trouble, "a request for vectors failed");
        }
        let mut response = Response::new(Bytes::from(answered.body));
        *response.status_mut() = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}
