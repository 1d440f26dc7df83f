//! Which route a request names.

use std::sync::Arc;

use wire::openai::Refusal;

use crate::parse::Parsed;
use crate::snapshot::Route;
use crate::worker::Prepared;

/// The route called `model` in the request: the one of that name, else the longest pattern that fits.
pub(crate) fn resolve<'a>(prepared: &'a Prepared, request: &Parsed) -> Result<&'a Arc<Route>, Refusal> {
    prepared.route(request.model()).ok_or_else(|| Refusal::model_not_found(request.model()))
}
