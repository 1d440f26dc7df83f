//! The life of a request. Each step is the file of its name.

use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use govern::limits::Standing;
use http::header::{ALLOW, CONNECTION, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use wire::failure::{Failure, FailureKind};
use wire::ids::ExchangeId;
use wire::messages;
use wire::openai::{Refusal, model_entry, models_list};
use wire::record::Endpoint;

use crate::allowance::Routes;
use crate::assign::Caller;
use crate::authenticate::Principal;
use crate::body::Body;
use crate::counters::add;
use crate::detour::Seat;
use crate::drain::Phase;
use crate::paths::{self, Place, percent_decoded};
use crate::record::{Arrival, Exchange, Opening};
use crate::refuse::Manner;
use crate::resolve::rules::{Asked, Chosen};
use crate::snapshot::Snapshot;
use crate::socket::Busy;
use crate::worker::Worker;
use crate::{
    admit, allowance, assign, authenticate, cache, call, detour, feedback, panics, parse, policy, recall, record,
    refuse, relay, residency, resolve,
};

/// More gateways than these are none that somebody put in a row, but ones that call each other.
const MOST_HOPS: u8 = 4;

/// Answers one request, whatever it is.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    busy: Busy,
    from: Option<IpAddr>,
    request: Request<Incoming>,
) -> Response<Body> {
    add(&worker.counters.requests, 1);
    let chunks = request.version() >= Version::HTTP_11;
    let (head, body) = request.into_parts();
    let place = Place::of(&head.method, head.uri.path());
    let principal = match place {
        // Who looks whether the process lives has no key.
        Place::Health | Place::Ready => Ok(Principal::Nobody),
        _ => authenticate(&worker, from, &head.headers),
    };
    let mut response = match principal {
        Ok(principal) => {
            let key = principal.key().cloned();
            let answer = pin!(answer(&worker, place, principal, (&head, body)));
            let mut response = panics::contained(answer, || panicked(&worker)).await;
            if let Some(key) = key {
                let prepared = worker.prepared();
                let (accounts, snapshot) = (&worker.deps.accounts, &prepared.snapshot);
                allowance::show_unless_shown(response.headers_mut(), accounts, snapshot, &key);
            }
            response
        }
        Err(refusal) => {
            parse::discard(body).await;
            refused(&worker, new_id(&worker), &refusal)
        }
    };
    if manner(place, &head.headers) == Manner::Anthropic {
        response = refuse::in_anthropics_manner(response);
    }
    if worker.phase.get() > Phase::Serving {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| body.keeping(busy, chunks))
}

/// In whose manner the caller is spoken to. Both vendors have a list of models; who names a version of Anthropic's wants that.
fn manner(place: Place<'_>, headers: &HeaderMap) -> Manner {
    match place {
        Place::Exchange(asked) => Manner::of(asked.endpoint),
        Place::Models | Place::Model(_) if headers.contains_key("anthropic-version") => Manner::Anthropic,
        _ => Manner::Openai,
    }
}

/// The names an application can ask for. A pattern is none.
fn callable(snapshot: &Snapshot) -> impl Iterator<Item = &String> {
    snapshot.routes.keys().filter(|name| !name.contains('*'))
}

fn authenticate(worker: &Worker, from: Option<IpAddr>, headers: &HeaderMap) -> Result<Principal, Refusal> {
    let required = worker.prepared().snapshot.auth.required;
    authenticate::principal(headers, from, &worker.deps.keys, required)
}

async fn answer(
    worker: &Rc<Worker>,
    place: Place<'_>,
    principal: Principal,
    (head, body): (&Parts, Incoming),
) -> Response<Body> {
    match place {
        Place::Exchange(asked) => match recall::is_ours(asked.below) {
            Some(ours) if asked.endpoint == Endpoint::StoredResponses => {
                let kept = recall::answer(worker, &principal, ours, head).await;
                kept.unwrap_or_else(|refusal| refused(worker, new_id(worker), &refusal))
            }
            _ => exchange(worker, asked, principal, (head, body)).await,
        },
        Place::Models => {
            let prepared = worker.prepared();
            let names = callable(&prepared.snapshot).filter(|name| principal.may_call(name));
            let list = match manner(place, &head.headers) {
                Manner::Openai => models_list(names),
                Manner::Anthropic => messages::models::list(names),
            };
            refuse::json(StatusCode::OK, list)
        }
        Place::Model(name) => model(worker, (&principal, manner(place, &head.headers)), name),
        Place::Health => refuse::json(StatusCode::OK, r#"{"status":"ok"}"#.into()),
        Place::Ready => ready(worker),
        Place::Feedback | Place::Outcomes => {
            let taken = if place == Place::Feedback {
                feedback::take(worker, &principal, body).await
            } else {
                feedback::take_outcome(worker, &principal, body).await
            };
            taken.unwrap_or_else(|refusal| refused(worker, new_id(worker), &refusal))
        }
        Place::WrongMethod(allowed) => wrong_method(worker, allowed),
        Place::Nowhere => {
            let refusal = Refusal::no_such_path(head.method.as_str(), head.uri.path());
            refused(worker, new_id(worker), &refusal)
        }
    }
}

/// A request to a model, from its head to the first bytes of its answer. The rest of the answer is `relay`'s.
async fn exchange(
    worker: &Rc<Worker>,
    asked: paths::Asked<'_>,
    principal: Principal,
    (head, body): (&Parts, Incoming),
) -> Response<Body> {
    let prepared = worker.prepared();
    let mut request = match parse::read(asked, head, body, &prepared.snapshot.limits, &worker.bodies).await {
        Ok(request) => request,
        Err(refusal) => return unread(worker, &refusal),
    };
    if request.hops() >= MOST_HOPS {
        return refused(worker, new_id(worker), &Refusal::loops());
    }
    if let Err(refusal) = recall::go_on(worker, &principal, &mut request).await {
        return refused(worker, new_id(worker), &refusal);
    }
    let request = Arc::new(request);
    let arrival = Arrival::now();
    let id = worker.exchange_id(arrival.unix_us);
    if let Err(failure) = admit::admit(worker) {
        return failed(worker, id, &failure);
    }
    let named = match resolve::resolve(&prepared, &request, &principal) {
        Ok(route) => route,
        Err(refusal) => return refused(worker, id, &refusal),
    };
    let asked = Asked::new(&head.headers, &principal, (named, &request));
    let Chosen { route, decision } = resolve::rules::choose(worker, named, &asked);
    if let Err(refusal) = resolve::shares_space(&prepared.snapshot, &route, &request, &head.headers) {
        return refused(worker, id, &refusal);
    }
    let asked = (Routes { named, chosen: &route }, &*request);
    let allowance = match allowance::admit(worker, &prepared.snapshot, &principal, asked, arrival) {
        Ok(allowance) => allowance,
        Err(over) => return showing(refused(worker, id, &over.refusal), &over.standing),
    };
    let standing = allowance.standing;
    let (request, findings) = policy::read(worker, &prepared.snapshot, &route, request);
    let residency = residency::of(&prepared.snapshot, (named, &route, &request), &principal, &head.headers);
    let caller = Caller { id, headers: &head.headers, principal: &principal, request: &request, residency };
    let detour = detour::seat(&worker.deps.live, &prepared.snapshot, &route, (&caller, arrival));
    let assignment = match &detour {
        // Who is away takes part in no rollout.
        Some(seat) if seat.came_away() => None,
        _ => assign::assign(&worker.deps.live, &prepared.snapshot, &route, &caller),
    };
    let affinity = if prepared.has_replicas { assign::affinity(&caller) } else { None };
    let opening = Opening {
        id,
        arrival,
        principal,
        request,
        route,
        assignment,
        allowance,
        affinity,
        decision,
        residency,
        findings,
        detour,
    };
    let mut exchange = match record::open(worker, &prepared, opening) {
        Ok(exchange) => exchange,
        Err(failure) => return failed(worker, id, &failure),
    };
    let held = match residency::hold(&exchange) {
        None => policy::hold(&mut exchange).await,
        some => some,
    };
    let response = match held {
        Some(dead) => relay::refuse(exchange, dead).await,
        None => served(exchange, &head.headers).await,
    };
    showing(response, &standing)
}

/// The answer from memory, or from whoever is called.
async fn served(mut exchange: Box<Exchange>, headers: &HeaderMap) -> Response<Body> {
    let is_away = exchange.detour.as_ref().is_some_and(Seat::is_away);
    let known = if exchange.route.cache.is_some() && !is_away { cache::look(&mut exchange, headers) } else { Ok(None) };
    match known {
        Ok(Some(kept)) => relay::cached(exchange, &kept).await,
        Ok(None) => match call::call(&mut exchange).await {
            Ok(opened) => relay::relay(exchange, opened).await,
            Err(dead) => relay::refuse(exchange, dead).await,
        },
        Err(failure) => relay::refuse(exchange, failure.into()).await,
    }
}

/// The answer with how its caller stands.
fn showing(mut response: Response<Body>, standing: &Standing) -> Response<Body> {
    allowance::show(response.headers_mut(), standing);
    response
}

fn new_id(worker: &Worker) -> ExchangeId {
    worker.exchange_id(crate::live::now().0)
}

/// One of the routes.
fn model(worker: &Worker, (principal, manner): (&Principal, Manner), name: &str) -> Response<Body> {
    let name = percent_decoded(name);
    match resolve::model(&worker.prepared(), &name, principal) {
        Ok(_) if manner == Manner::Anthropic => refuse::json(StatusCode::OK, messages::models::entry(&name)),
        Ok(_) => refuse::json(StatusCode::OK, model_entry(&name)),
        Err(refusal) => refused(worker, new_id(worker), &refusal),
    }
}

fn ready(worker: &Worker) -> Response<Body> {
    if worker.phase.get() == Phase::Serving {
        refuse::json(StatusCode::OK, r#"{"status":"ready"}"#.into())
    } else {
        refuse::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining"}"#.into())
    }
}

fn wrong_method(worker: &Worker, allowed: &'static str) -> Response<Body> {
    let mut refusal = Refusal::invalid_request(format!("Not allowed to use this method here: use {allowed}."), None);
    refusal.status = 405;
    let mut response = refused(worker, new_id(worker), &refusal);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// A request that was not read to its end: what is left of it is not read, unless it was all there.
fn unread(worker: &Worker, refusal: &Refusal) -> Response<Body> {
    let mut response = refused(worker, new_id(worker), refusal);
    if refusal.kind == FailureKind::Capacity {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What a request ends with that ran into a fault of ours. Its exchange wrote itself down when it was dropped.
fn panicked(worker: &Worker) -> Response<Body> {
    let id = worker.panicked.take().unwrap_or_else(|| new_id(worker));
    failed(worker, id, &Failure::new(FailureKind::Internal, "a panic"))
}

fn failed(worker: &Worker, id: ExchangeId, failure: &Failure) -> Response<Body> {
    tracing::debug!(exchange = %id, %failure, "request refused");
    refused(worker, id, &Refusal::of(failure))
}

fn refused(worker: &Worker, id: ExchangeId, refusal: &Refusal) -> Response<Body> {
    worker.counters.refused.add(refusal.kind);
    refuse::refusal(refusal, id)
}
