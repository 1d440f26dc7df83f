//! What people are told, and whether it arrived.

use ::alerts::{Event, Kind};
use govern::Role;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{AlertDetail, Database, WebhookState};

use crate::desk::{Actor, Desk, OperationError};

/// The newest alerts, and how the webhooks stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertPage {
    /// Each webhook that anything was or is to be delivered to.
    pub webhooks: Vec<WebhookState>,
    /// Newest first, with their deliveries.
    pub alerts: Vec<AlertDetail>,
}

/// What is asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// To one webhook alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// Who asks, where the door does not know better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// What now waits to be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// The alert.
    pub id: String,
    /// Who is to hear of it.
    pub deliveries: usize,
}

/// The newest alerts.
///
/// # Errors
/// When the store cannot be read.
pub fn list(database: &Database, limit: u32) -> Result<AlertPage, OperationError> {
    let reading = |source| OperationError::Store { doing: "list alerts", source };
    Ok(AlertPage {
        webhooks: database.webhook_states().map_err(reading)?,
        alerts: database.alerts(limit).map_err(reading)?,
    })
}

/// Sends a test to every webhook of the config, or to one.
///
/// # Errors
/// When the actor may not, the config has no such webhook, or the store refuses.
pub fn test(desk: &Desk, actor: &Actor, webhook: Option<&str>) -> Result<Queued, OperationError> {
    actor.needs(Role::Operator)?;
    let all = (desk.webhooks)();
    let names: Vec<String> = all.iter().filter(|name| webhook.is_none_or(|wanted| wanted == *name)).cloned().collect();
    if let (true, Some(webhook)) = (names.is_empty(), webhook) {
        let known = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        return Err(OperationError::NotFound(format!("the config has no webhook `{webhook}`; it has {known}")));
    }
    if names.is_empty() {
        return Err(OperationError::NotFound("the config has no webhooks; write one under `alerts`".to_owned()));
    }
    let now_us = gateway::live::now().0;
    let event = Event {
        kind: Kind::Test,
        subject: "test".to_owned(),
        occasion: now_us,
        at_us: now_us,
        words: format!("a test by {}: nothing happened", actor.name),
        data: json!({ "actor": actor.name }),
    };
    let added = desk.keys.database().add_alert(&event.row(), &names, None, now_us);
    added.map_err(|source| OperationError::Store { doing: "write the test", source })?;
    Ok(Queued { id: event.id(), deliveries: names.len() })
}

/// Delivers an alert again, whatever became of it before.
///
/// # Errors
/// When the actor may not, there is no such alert, nobody was to hear of it, or the store refuses.
pub fn resend(database: &Database, actor: &Actor, id: &str, webhook: Option<&str>) -> Result<Queued, OperationError> {
    actor.needs(Role::Operator)?;
    let queued = database.resend_alert(id, webhook, gateway::live::now().0);
    match queued.map_err(|source| OperationError::Store { doing: "send the alert again", source })? {
        0 => Err(OperationError::NotFound(format!(
            "no alert `{id}` was to be delivered{}",
            webhook.map_or_else(String::new, |webhook| format!(" to `{webhook}`"))
        ))),
        deliveries => Ok(Queued { id: id.to_owned(), deliveries }),
    }
}
