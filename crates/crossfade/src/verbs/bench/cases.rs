//! Requests of a dataset of the store.

use bench::engine::Target;
use eval::case::Case;
use govern::residency::{Side, may_go};
use serde_json::{Map, Value};

use crate::load;
use crate::out::Stop;
use crate::verbs::{Place, dataset};

/// The chats of a dataset; what ranks documents or makes vectors is no load of a chat model.
pub(super) fn requests(place: &Place, name: &str) -> Result<Vec<Map<String, Value>>, Stop> {
    let (_, found) = dataset::stored(place, name)?;
    let is_chat = |case: &Case| case.request.get("messages").is_some_and(Value::is_array);
    let requests: Vec<_> = found.cases.into_iter().filter(is_chat).map(|case| case.request).collect();
    if requests.is_empty() {
        return Err(Stop::usage(format!("`{name}` has no case with `messages`")));
    }
    Ok(requests)
}

/// The version of a dataset, for whoever reads the result.
pub(super) fn version(place: &Place, name: &str) -> Result<String, Stop> {
    let (row, _) = dataset::stored(place, name)?;
    Ok(format!("{}@{}", row.name, row.version))
}

/// A case of a request that could not leave the house cannot either.
pub(super) fn may_leave(place: &Place, name: Option<&String>, targets: &[Target]) -> Result<(), Stop> {
    let Some(name) = name else { return Ok(()) };
    let config = load::config(&place.config)?;
    let (_, found) = dataset::stored(place, name)?;
    for target in targets {
        let side = Side::of(target.provider.config().class.is_external());
        for case in &found.cases {
            let route = case.source.as_ref().and_then(|source| source.route.as_ref());
            let Some(route) = route.and_then(|route| config.snapshot.routes.get(route)) else { continue };
            may_go(route.residency, side).map_err(|error| {
                let stop = Stop::usage(format!("case `{}` is of the route `{}`: {error}", case.id, route.name));
                stop.hint("ask a target of the config whose provider has the class that may have it; a URL counts as a vendor's")
            })?;
        }
    }
    Ok(())
}
