//! What people were told and what waits, as Prometheus text.

use alerts::run::Status;
use store::WebhookState;

use super::{escaped, family};
use crate::verbs::now_us;

/// The alerts' metrics.
pub(super) fn render(status: &Status) -> String {
    let mut text = String::new();
    let webhooks = |n: fn(&WebhookState) -> u64| -> Vec<_> {
        let sample = |state: &WebhookState| (format!("{{webhook=\"{}\"}}", escaped(&state.webhook)), n(state));
        status.webhooks.iter().map(sample).collect()
    };
    let waiting = webhooks(|state| state.waiting);
    let age = webhooks(|state| state.oldest_us.map_or(0, |since| now_us().saturating_sub(since) / 1_000_000));
    let events: Vec<_> = status.events.iter().map(|(kind, n)| (format!("{{kind=\"{kind}\"}}"), *n)).collect();
    let tries = status
        .tries
        .iter()
        .map(|((webhook, outcome), n)| (format!("{{webhook=\"{}\",outcome=\"{outcome}\"}}", escaped(webhook)), *n));
    let tries: Vec<_> = tries.collect();
    let probes = status.probes.iter().map(|(rollout, finding)| {
        (format!("{{rollout=\"{}\",target=\"{}\"}}", escaped(rollout), escaped(&finding.target)), u64::from(finding.ok))
    });
    let probes: Vec<_> = probes.collect();
    let help = "What happened that people are told of.";
    family(&mut text, "crossfade_alerts_total", help, "counter", &events);
    let help = "Tries to deliver an alert to a webhook, by what came of them.";
    family(&mut text, "crossfade_alert_tries_total", help, "counter", &tries);
    let help = "Alerts that wait to be delivered to a webhook.";
    family(&mut text, "crossfade_alerts_waiting", help, "gauge", &waiting);
    let help = "For how long the oldest of them has been waiting.";
    family(&mut text, "crossfade_alerts_oldest_waiting_seconds", help, "gauge", &age);
    let help = "How often the store did not take or give what alerts need.";
    family(
        &mut text,
        "crossfade_alerts_store_failures_total",
        help,
        "counter",
        &[(String::new(), status.store_failures)],
    );
    let help = "1 while the last probe says that the baseline could take all traffic back.";
    family(&mut text, "crossfade_baseline_probe_ok", help, "gauge", &probes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_webhook_is_seen_by_what_waits_for_it() {
        let mut status = Status::default();
        status.webhooks.push(WebhookState {
            webhook: "pager".into(),
            waiting: 3,
            oldest_us: Some(now_us() - 60_000_000),
            delivered: 1,
            given_up: 0,
            problem: Some("connect".into()),
        });
        status.tries.insert(("pager".into(), "failed"), 7);
        let text = render(&status);
        for sample in [
            "crossfade_alerts_waiting{webhook=\"pager\"} 3",
            "crossfade_alerts_oldest_waiting_seconds{webhook=\"pager\"} 6",
            "crossfade_alert_tries_total{webhook=\"pager\",outcome=\"failed\"} 7",
        ] {
            assert!(text.lines().any(|line| line.starts_with(sample)), "{sample} not in\n{text}");
        }
    }
}
