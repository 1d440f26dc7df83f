//! The knobs of simulated providers, read and turned while they run.

use std::sync::Arc;

use govern::Role;
use providers::simulated::{Knobs, Simulated};

use crate::desk::{Actor, Desk, OperationError};

/// The knobs of simulated provider `name` as they stand.
///
/// # Errors
/// When there is no simulated provider of that name.
pub fn knobs(desk: &Desk, name: &str) -> Result<Knobs, OperationError> {
    Ok((*find(desk, name)?.knobs()).clone())
}

/// Turns the knobs of simulated provider `name`. `patch` is a JSON object; knobs it does not name stay as they are.
///
/// # Errors
/// When the actor may not, there is no such simulated provider, or the patch has a knob or a value that does not exist.
pub fn turn(desk: &Desk, actor: &Actor, name: &str, patch: &[u8]) -> Result<Knobs, OperationError> {
    actor.needs(Role::Operator)?;
    let simulated = find(desk, name)?;
    let invalid = |error: serde_json::Error| OperationError::Invalid(format!("these are no knobs: {error}"));
    let mut knobs = serde_json::to_value(&*simulated.knobs()).map_err(invalid)?;
    let patch: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(patch).map_err(invalid)?;
    if let Some(object) = knobs.as_object_mut() {
        for (knob, value) in patch {
            if !object.contains_key(&knob) {
                return Err(OperationError::Invalid(format!("there is no knob `{knob}`")));
            }
            object.insert(knob, value);
        }
    }
    let knobs: Knobs = serde_json::from_value(knobs).map_err(invalid)?;
    simulated.set_knobs(knobs.clone()).map_err(|why| OperationError::Invalid(why.to_string()))?;
    tracing::info!(provider = name, actor = %actor.name, "knobs of a simulated provider turned");
    Ok(knobs)
}

fn find(desk: &Desk, name: &str) -> Result<Arc<Simulated>, OperationError> {
    let missing = || OperationError::NotFound(format!("there is no simulated provider `{name}`"));
    desk.providers.simulated(name).ok_or_else(missing)
}
