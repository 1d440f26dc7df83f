//! Which route a request names, and which one its rules make of that.

pub(crate) mod rules;

use std::sync::Arc;

use http::HeaderMap;
use wire::openai::Refusal;
use wire::record::{Endpoint, Service};

use crate::authenticate::Principal;
use crate::parse::Parsed;
use crate::refuse::SPACE;
use crate::snapshot::{Route, Snapshot};
use crate::worker::Prepared;

/// The route of a request, if the caller may call it: what its model name stands for, or for what a provider keeps, the one to that
/// provider.
pub(crate) fn resolve<'a>(
    prepared: &'a Prepared,
    request: &Parsed,
    principal: &Principal,
) -> Result<&'a Arc<Route>, Refusal> {
    if request.endpoint.service() != Service::Provider {
        return model(prepared, request.model(), principal);
    }
    let route = prepared.snapshot.passthrough.get(&request.endpoint);
    let route = route.ok_or_else(|| Refusal::not_passed_on(request.endpoint.as_str()))?;
    if principal.may_reach_account(&route.name) { Ok(route) } else { Err(Refusal::model_forbidden(&route.name)) }
}

/// Whether the vectors of a route are of the space that the caller wants, when it wants one.
pub(crate) fn shares_space(
    snapshot: &Snapshot,
    route: &Route,
    request: &Parsed,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    let Some(wanted) = headers.get(SPACE).filter(|_| request.endpoint == Endpoint::Embeddings) else { return Ok(()) };
    let wanted = String::from_utf8_lossy(wanted.as_bytes());
    let own = snapshot.target(&route.target).and_then(|own| own.space.as_deref());
    match own.filter(|own| wire::space::agree(own, &wanted)) {
        Some(_) => Ok(()),
        None => Err(Refusal::other_space(&wanted, own)),
    }
}

/// The route called `model`: the one of that name, else the longest pattern that fits. A key may name the route or the model. Who
/// may not call it is not told whether it exists.
pub(crate) fn model<'a>(prepared: &'a Prepared, model: &str, principal: &Principal) -> Result<&'a Arc<Route>, Refusal> {
    let route = prepared.route(model);
    if !principal.may_call(model) && !route.is_some_and(|route| principal.may_call(&route.name)) {
        return Err(Refusal::model_forbidden(model));
    }
    route.ok_or_else(|| Refusal::model_not_found(model))
}
