//! The listener for Pinecone's clients: what `vectors` answers, behind the gateway's door.

use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use bytes::Bytes;
use gateway::beside::{self, Beside, Caller, Unheard};
use gateway::snapshot::Snapshot;
use govern::KeyTable;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use vectors::facade::{self, Facade};

use crate::config::Config;
use crate::out::Stop;
use crate::running::bind;

/// The header in which clients say what version of the API they speak.
const VERSION: &str = "x-pinecone-api-version";

/// Starts it, where the config has indexes to serve.
pub(crate) fn start(
    config: &Config,
    keys: &Arc<ArcSwap<KeyTable>>,
    snapshot: &Arc<ArcSwap<Snapshot>>,
) -> Result<Option<Beside>, Stop> {
    let Some(settings) = &config.vectors else { return Ok(None) };
    let listener = bind(settings.listen, "vectors.listen")?;
    let addr = listener.local_addr().context("could not listen for `vectors`")?;
    let url = settings.url.clone().unwrap_or_else(|| format!("http://{addr}"));
    let facade = Facade::new(&url, &settings.indexes);
    let answer: Arc<beside::Answer> = Arc::new(move |heard| respond(&facade, heard));
    let started = beside::start("vectors", listener, Arc::clone(keys), Arc::clone(snapshot), answer);
    Ok(Some(started.context("could not start the listener of `vectors`")?))
}

fn respond(facade: &Facade, heard: Result<(Caller, Request<Bytes>), Unheard>) -> Response<Bytes> {
    let answered = match heard {
        Err(unheard) => facade::Response::refused(unheard.status, &unheard.message),
        Ok((caller, request)) => facade.answer(&facade::Request {
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
