//! How far a request may go, and what in it would make a server of the house reach out.

use govern::Residency;
use govern::residency::{Side, may_go};
use http::HeaderMap;
use wire::failure::FailureKind;
use wire::openai::Refusal;
use wire::reach;
use wire::record::{Endpoint, Service};
use wire::scan;

use crate::authenticate::Principal;
use crate::call::{Dead, refused_here};
use crate::parse::Parsed;
use crate::record::Exchange;
use crate::snapshot::{Route, Snapshot, Target};

/// How far a request may go: the stricter of what its route says, its workload, its tenant, and the routes of the conversation it
/// goes on from. Of two routes, when rules chose another than was named, both count. A header may name a tenant that makes it stricter; none makes it freer.
pub(crate) fn of(
    snapshot: &Snapshot,
    (named, chosen, request): (&Route, &Route, &Parsed),
    principal: &Principal,
    headers: &HeaderMap,
) -> Residency {
    let before = request.kept.iter().flat_map(|kept| &kept.routes).filter_map(|route| snapshot.routes.get(route));
    let route = before.fold(named.residency.and(chosen.residency), |so_far, route| so_far.and(route.residency));
    if snapshot.internal_tenants.is_empty() {
        return route;
    }
    let named = headers.get_all("x-crossfade-tenant-id").iter().filter_map(|name| name.to_str().ok());
    let is_internal = named.chain(principal.tenant()).any(|tenant| snapshot.internal_tenants.contains(tenant));
    route.and(if is_internal { Residency::Internal } else { Residency::Anywhere })
}

/// Whether a request that may go this far may go to every replica of a target.
pub(crate) fn admits(residency: Residency, target: &Target) -> bool {
    target.providers().all(|provider| may_go(residency, Side::of(provider.class.is_external())).is_ok())
}

/// Refuses an internal request that would make the server that answers it fetch something, or call somebody.
pub(crate) fn hold(exchange: &Exchange) -> Option<Dead> {
    if exchange.residency == Residency::Anywhere {
        return None;
    }
    let request = &exchange.request;
    let refusal = reaches_out(request)?;
    Some(refused_here(FailureKind::Residency, request.endpoint, &refusal))
}

/// What of it reaches out, as a refusal. What cannot be read is refused too: nobody knows what a server makes of it.
fn reaches_out(request: &Parsed) -> Option<Refusal> {
    let is_kept = request.endpoint.service() == Service::Provider;
    let found = match (&request.boundary, request.beside.boundary()) {
        (Some(boundary), _) => reach::form_reaches_out(boundary, &request.body),
        (None, Some(boundary)) if is_kept => reach::upload_reaches_out(boundary, &request.body),
        (None, _) if is_kept && !is_object(&request.body) => return None,
        (None, _) => reach::reaches_out(&request.body),
    };
    if request.endpoint == Endpoint::Uploads && is_upload_of_requests(&request.body) {
        return Some(Refusal::upload_in_parts());
    }
    // What was said before goes along.
    let found = match (found, &request.kept) {
        (Ok(None), Some(kept)) => reach::items_reach_out(&kept.items),
        (found, _) => found,
    };
    match found {
        Ok(field) => field.map(Refusal::reaches_out),
        Err(error) => Some(Refusal::from(&error)),
    }
}

/// Whether a file of requests is to come in parts, which are cut anywhere and cannot be looked into one by one.
fn is_upload_of_requests(body: &[u8]) -> bool {
    let mut is = false;
    let read = scan::each_top_level(body, |member| {
        is |= member.key == "purpose"
            && scan::unescape(body, member.value).is_ok_and(|purpose| reach::is_of_requests(purpose.as_bytes()));
        Ok(())
    });
    read.is_ok() && is
}

fn is_object(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}
