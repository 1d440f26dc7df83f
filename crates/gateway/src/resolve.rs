//! Which route a request names.

use std::sync::Arc;

use wire::openai::Refusal;
use wire::record::Service;

use crate::parse::Parsed;
use crate::snapshot::Route;
use crate::worker::Prepared;

/// The route called `model` in the request: the one of that name, else the longest pattern that fits; for what a provider keeps, the one to that provider.
pub(crate) fn resolve<'a>(prepared: &'a Prepared, request: &Parsed) -> Result<&'a Arc<Route>, Refusal> {
    if request.endpoint.service() == Service::Provider {
        let route = prepared.snapshot.passthrough.get(&request.endpoint);
        return route.ok_or_else(|| Refusal::not_passed_on(request.endpoint.as_str()));
    }
    prepared.route(request.model()).ok_or_else(|| Refusal::model_not_found(request.model()))
}
