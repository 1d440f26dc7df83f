//! Who is told of what, and what of what users say counts as bad.

use serde_json::{Value, json};

use crate::config::{Config, show_duration, show_share};
use crate::out::table;

/// The facts of `alerts` and `alert_when`. Of a URL the place alone: many webhooks carry their secret in the path.
pub(super) fn alerts(config: &Config) -> Value {
    let alerts = &config.alerts;
    let webhooks = alerts.webhooks.iter().map(|webhook| {
        let topics: Vec<&str> = webhook.on.iter().map(|topic| topic.as_str()).collect();
        json!({
            "name": webhook.name, "at": webhook.provider.base_url.as_str(), "class": webhook.provider.class.as_str(), "on": topics,
        })
    });
    json!({
        "webhooks": webhooks.collect::<Vec<_>>(),
        "when": {
            "journal_drops": alerts.journal_drops, "shadow_drops": alerts.shadow_drops,
            "stale_after": show_duration(alerts.stale_after),
        },
    })
}

/// The facts of `feedback`.
pub(super) fn feedback(config: &Config) -> Value {
    let rules = &config.snapshot.feedback;
    json!({ "bad_below": rules.bad_below, "bad_labels": rules.bad_labels })
}

/// Both, for people.
pub(super) fn text(config: &Config) -> String {
    let (alerts, rules) = (&config.alerts, &config.snapshot.feedback);
    let labels: Vec<String> = rules.bad_labels.iter().map(|label| format!("`{label}`")).collect();
    let labels = if labels.is_empty() { "no label".to_owned() } else { format!("the labels {}", labels.join(", ")) };
    let score = show_share(rules.bad_below);
    let mut text = format!("\nfeedback  a thumb down, a score below {score} and {labels} say that an answer was bad\n");
    if alerts.webhooks.is_empty() {
        return text + "alerts    nobody is told: there is no webhook under `alerts`\n";
    }
    let rows: Vec<Vec<String>> = alerts
        .webhooks
        .iter()
        .map(|webhook| {
            let topics: Vec<&str> = webhook.on.iter().map(|topic| topic.as_str()).collect();
            let (at, class) = (webhook.provider.base_url.to_string(), webhook.provider.class.to_string());
            vec![webhook.name.clone(), at, class, topics.join(", ")]
        })
        .collect();
    let percent = |fraction: f64| format!("{} %", show_share((fraction * 1e6).round() / 1e4));
    text += &format!(
        "alerts    when more than {} of records or {} of copies are lost, or evidence has not grown for {}\n\n",
        percent(alerts.journal_drops),
        percent(alerts.shadow_drops),
        show_duration(alerts.stale_after),
    );
    text + &table(&["webhook", "at", "class", "hears of"], &rows)
}
