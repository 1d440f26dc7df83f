//! A conversation made again from the record: each exchange of it has the request as it came and the answer as the provider
//! sent it.

use bytes::Bytes;
use store::{BodyKind, Database, DatabaseError};
use wire::ids::ExchangeId;
use wire::record::Endpoint;
use wire::scan;
use wire::translate::responses;

use super::{Kept, exchange_of, member, response_in, with_route};
use crate::assign;
use crate::translate::{self, Marks};

/// Longer conversations are not made again.
const MAX_TURNS: usize = 1000;

/// An outcome with this name says that the caller had the response deleted.
pub(super) const DELETED: &str = "deleted";

/// One exchange of a conversation.
struct Turn {
    route: String,
    request: Bytes,
    response: Bytes,
}

/// The conversation up to the response of `exchange`; `None` when it is not on record, or not this principal's, or parts of it
/// are missing. Blocks.
pub(super) fn rebuild(
    database: &Database,
    principal: Option<&str>,
    exchange: ExchangeId,
) -> Result<Option<Kept>, DatabaseError> {
    let mut turns = Vec::new();
    let mut next = Some(exchange);
    while let Some(exchange) = next {
        let turn = if turns.len() < MAX_TURNS { turn(database, principal, exchange)? } else { None };
        let Some(turn) = turn else { return Ok(None) };
        next = match responses::previous_response_id(&turn.request) {
            None => None,
            Some(id) => match exchange_of(&id) {
                Some(exchange) => Some(exchange),
                // It goes on from a response that only a provider knows.
                None => return Ok(None),
            },
        };
        turns.push(turn);
    }
    Ok(joined(turns, principal))
}

/// The turns, the last of which came first.
fn joined(turns: Vec<Turn>, principal: Option<&str>) -> Option<Kept> {
    let mut conversation = [0; 16];
    let mut kept: Option<Kept> = None;
    for (place, turn) in turns.into_iter().rev().enumerate() {
        if place == 0 {
            let view = wire::request::parse(Endpoint::Responses, &turn.request).ok()?;
            conversation = assign::prefix_hash(principal, view.prefix_bytes(&turn.request).unwrap_or_default());
        }
        let before = kept.as_ref().map(|kept| kept.items.as_ref());
        let routes = kept.as_ref().map_or_else(Vec::new, |kept| kept.routes.clone());
        let routes = with_route(routes, &turn.route);
        kept = Some(Kept::after(&turn.request, before, turn.response, (conversation, None), routes)?);
    }
    kept
}

fn turn(database: &Database, principal: Option<&str>, id: ExchangeId) -> Result<Option<Turn>, DatabaseError> {
    let Some(detail) = database.show(id)? else { return Ok(None) };
    let row = &detail.exchange;
    let is_whole = row.endpoint.as_deref() == Some(Endpoint::Responses.as_str()) && row.outcome == "complete";
    let was_deleted = detail.outcomes.iter().any(|outcome| outcome.name == DELETED);
    if !is_whole || was_deleted || row.principal.as_deref() != principal {
        return Ok(None);
    }
    let body = |kind| Ok(database.body(id, kind)?.map(|body| Bytes::copy_from_slice(body.expose())));
    let (Some(request), Some(answer)) = (body(BodyKind::Request)?, body(BodyKind::Answer)?) else { return Ok(None) };
    if member(&request, "store").is_some_and(|store| &request[store] == b"false") {
        return Ok(None);
    }
    let marks = Marks { id, created_us: row.received_at_us.unwrap_or_default() };
    let told = translate::told_again(&answer, &request, marks);
    let response = told.and_then(|told| response_in(&told)).filter(|response| is_of(response, id));
    let route = row.route.clone().unwrap_or_default();
    Ok(response.map(|response| Turn { route, request, response }))
}

/// Whether the response has the id that this exchange's has: a provider's own response is not ours to give.
fn is_of(response: &[u8], exchange: ExchangeId) -> bool {
    let id = member(response, "id").and_then(|id| scan::unescape(response, id).ok());
    id.and_then(|id| exchange_of(&id)) == Some(exchange)
}
