//! The data path's numbers as Prometheus text.

mod telling;

use std::fmt::Write as _;

use gateway::cache::CacheStatus;
use gateway::counters::{CostTotal, Followed, Totals, VerdictKey, VerdictTotal};
use gateway::ledger::JournalLedger;
use gateway::serve::Serving;
use gateway::shadow::ShadowTotals;
use gateway::targets::TargetStatus;
use providers::breaker::State;
use providers::cool_down::Cause;

/// Every metric of the data path, in the Prometheus text format 0.0.4.
pub(crate) fn metrics(
    serving: &Serving,
    ledger: &JournalLedger,
    told: &alerts::run::Status,
    retention: &gateway::retention::Status,
) -> String {
    let mut text = render(&serving.totals(), &serving.shadow_totals());
    let (name, help) =
        ("crossfade_egress_unrecorded_total", "Entries of the ledger of connections that the journal did not take.");
    family(&mut text, name, help, "counter", &[(String::new(), ledger.n_lost())]);
    render_targets(&mut text, &serving.target_statuses());
    render_breakers(&mut text, "shadow_breaker", "a replica's breaker for copies", &serving.shadow_target_statuses());
    render_caches(&mut text, &serving.cache_statuses());
    text += &telling::render(told);
    render_retention(&mut text, retention);
    text
}

/// How large the record is, and what went from it.
fn render_retention(text: &mut String, status: &gateway::retention::Status) {
    let gone = &status.gone;
    for (name, help, kind, value) in [
        ("crossfade_store_bytes", "Bytes of the database in use, at the last look.", "gauge", status.size.used),
        ("crossfade_store_free_bytes", "Bytes of its file that are used again.", "gauge", status.size.free),
        ("crossfade_store_over_bytes", "Bytes beyond its bound that nothing may go for.", "gauge", status.over),
        ("crossfade_retention_exchanges_total", "Exchanges that went from the record.", "counter", gone.exchanges),
        ("crossfade_retention_bodies_total", "Bodies that went from the record.", "counter", gone.bodies),
        ("crossfade_retention_body_bytes_total", "Stored bytes of these bodies.", "counter", gone.body_bytes),
        ("crossfade_retention_failures_total", "Looks at which the store refused.", "counter", status.failures),
    ] {
        family(text, name, help, kind, &[(String::new(), value)]);
    }
}

/// What the caches of routes hold.
fn render_caches(text: &mut String, caches: &[CacheStatus]) {
    let samples = |n: fn(&CacheStatus) -> u64| -> Vec<_> {
        caches.iter().map(|cache| (format!("{{route=\"{}\"}}", escaped(&cache.route)), n(cache))).collect()
    };
    let help = "Bytes of answers that a route's cache holds.";
    family(text, "crossfade_cache_bytes", help, "gauge", &samples(|cache| cache.n_bytes));
    family(text, "crossfade_cache_answers", "Answers that it holds.", "gauge", &samples(|cache| cache.n_answers));
}

/// The breakers of one lane: what they are doing, and how often they opened.
fn render_breakers(text: &mut String, name: &str, whose: &str, targets: &[TargetStatus]) {
    let (mut states, mut opened) = (Vec::new(), Vec::new());
    for (target, replica) in targets.iter().flat_map(|of| of.replicas.iter().map(|replica| (&of.target, replica))) {
        let labels = format!("target=\"{}\",replica=\"{}\"", escaped(target), escaped(&replica.provider));
        for state in [State::Closed, State::Recovering, State::Open, State::Probing] {
            let is_it = u64::from(replica.breaker == state);
            states.push((format!("{{{labels},state=\"{}\"}}", state.as_str()), is_it));
        }
        opened.push((format!("{{{labels}}}"), replica.opened));
    }
    family(text, &format!("crossfade_{name}_state"), &format!("1 for the state {whose} is in."), "gauge", &states);
    let help = format!("How often {whose} opened.");
    family(text, &format!("crossfade_{name}_opened_total"), &help, "counter", &opened);
}

/// Breakers, pauses and queues as they stand.
fn render_targets(text: &mut String, targets: &[TargetStatus]) {
    let replicas =
        || targets.iter().flat_map(|target| target.replicas.iter().map(|replica| (escaped(&target.target), replica)));
    render_breakers(text, "breaker", "a replica's breaker", targets);
    let mut pauses = Vec::new();
    for (target, replica) in replicas() {
        let labels = format!("target=\"{target}\",replica=\"{}\"", escaped(&replica.provider));
        for cause in [Cause::Throttled, Cause::Quota] {
            let is_it = u64::from(replica.paused == Some(cause));
            pauses.push((format!("{{{labels},cause=\"{}\"}}", cause.as_str()), is_it));
        }
    }
    let waiting =
        targets.iter().map(|target| (format!("{{target=\"{}\"}}", escaped(&target.target)), target.waiting as u64));
    let waiting: Vec<_> = waiting.collect();
    family(
        text,
        "crossfade_replica_paused",
        "1 while a replica is left alone as its provider asked.",
        "gauge",
        &pauses,
    );
    family(text, "crossfade_queue_waiting", "Calls that wait for a place at a target.", "gauge", &waiting);
}

fn render(totals: &Totals, shadow: &ShadowTotals) -> String {
    let mut text = String::new();
    for (name, help, value) in [
        ("crossfade_connections", "Connections open now.", totals.connections),
        ("crossfade_requests_in_flight", "Requests whose exchange is not finished.", totals.in_flight),
        ("crossfade_shadow_in_flight", "Copies under way.", shadow.in_flight),
        ("crossfade_shadow_bytes", "Bytes held for copies.", shadow.bytes),
    ] {
        family(&mut text, name, help, "gauge", &[(String::new(), value)]);
    }
    for (name, help, value) in [
        ("crossfade_connections_accepted_total", "Connections accepted.", totals.connections_accepted),
        ("crossfade_requests_total", "Requests answered on any path.", totals.requests),
        ("crossfade_attempts_total", "Attempts begun at a provider.", totals.attempts),
        ("crossfade_failovers_total", "Attempts at another target after one failed.", totals.failovers),
        ("crossfade_retries_total", "Attempts at the same target after it failed.", totals.retries),
        ("crossfade_retries_denied_total", "Retries that a provider's budget did not allow.", totals.retries_denied),
        ("crossfade_replaced_total", "Replicas that failed and that another one replaced.", totals.replaced),
        (
            "crossfade_caller_retries_total",
            "Attempts for requests that their callers sent before.",
            totals.caller_retries,
        ),
        ("crossfade_panics_total", "Requests for which no breaker was asked, as all were open.", totals.panics),
        ("crossfade_input_tokens_total", "Tokens read, as providers counted them.", totals.input_tokens),
        ("crossfade_output_tokens_total", "Tokens written, as providers counted them.", totals.output_tokens),
        ("crossfade_records_failed_total", "Records the journal did not take.", totals.records_failed),
        ("crossfade_shadow_offered_total", "Copies taken by the shadow.", totals.shadow_offered),
        ("crossfade_shadow_sent_total", "Copies sent to a candidate.", shadow.sent),
        ("crossfade_shadow_answered_total", "Copies answered well.", shadow.answered),
        ("crossfade_shadow_failed_total", "Copies that failed.", shadow.failed),
        (
            "crossfade_shadow_unkept_total",
            "Answers to copies that were read and not kept whole, for want of memory.",
            shadow.unkept,
        ),
        (
            "crossfade_shadow_duplicates_sent_total",
            "Second answers asked of baselines, to know their noise.",
            shadow.duplicates_sent,
        ),
        ("crossfade_shadow_duplicates_failed_total", "Second answers that failed.", shadow.duplicates_failed),
        ("crossfade_shadow_overloads_total", "How often the machine had nothing left for copies.", shadow.overloads),
        ("crossfade_shadow_unrecorded_total", "Copies the journal did not take.", shadow.unrecorded),
    ] {
        family(&mut text, name, help, "counter", &[(String::new(), value)]);
    }
    for (name, help, label, values) in [
        ("crossfade_refused_total", "Requests refused before they became an exchange.", "failure", &totals.refused),
        ("crossfade_exchanges_total", "Exchanges finished.", "outcome", &totals.exchanges),
        ("crossfade_attempt_failures_total", "Attempts that failed.", "failure", &totals.attempt_failures),
        ("crossfade_shadow_dropped_total", "Copies the shadow did not make.", "reason", &totals.shadow_dropped),
    ] {
        let samples: Vec<_> = values.iter().map(|(value, n)| (format!("{{{label}=\"{value}\"}}"), *n)).collect();
        family(&mut text, name, help, "counter", &samples);
    }
    judged(&mut text, totals);
    costs(&mut text, totals);
    let changes = totals.adaptations.iter().map(|(target, field, action, n)| {
        let (target, field) = (escaped(target), escaped(field));
        (format!("{{target=\"{target}\",field=\"{field}\",action=\"{action}\"}}"), *n)
    });
    let changes: Vec<_> = changes.collect();
    family(&mut text, "crossfade_adaptations_total", "Fields changed in requests on their way.", "counter", &changes);
    forms(&mut text, totals);
    choices(&mut text, totals);
    verdicts(&mut text, totals);
    text
}

/// What the rollouts' checks found of pairs.
fn judged(text: &mut String, totals: &Totals) {
    for (judged, name, help, label) in [
        (true, "crossfade_shadow_judged_total", "Pairs whose answers were judged.", "verdict"),
        (false, "crossfade_shadow_not_judged_total", "Pairs that were drawn to be judged and were not.", "reason"),
    ] {
        let of_kind = totals.pairs.iter().filter(|pair| pair.judged == judged);
        let samples: Vec<_> = of_kind
            .map(|pair| (format!("{{rollout=\"{}\",{label}=\"{}\"}}", pair.rollout, pair.what), pair.n))
            .collect();
        family(text, name, help, "counter", &samples);
    }
}

/// Dollars are exact: nine places behind the point.
fn costs(text: &mut String, totals: &Totals) {
    let name = "crossfade_cost_usd_total";
    let help = "US dollars that attempts cost, shadow copies included, where the price is known.";
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter").unwrap_or_default();
    for (target, cost) in &totals.costs {
        let (target, usd) = (escaped(target), cost::decimal::dollars(cost.nanos));
        writeln!(text, "{name}{{target=\"{target}\"}} {usd}").unwrap_or_default();
    }
    let samples = |n: fn(&CostTotal) -> u64| -> Vec<_> {
        let sample = |(target, cost): (&String, &CostTotal)| (format!("{{target=\"{}\"}}", escaped(target)), n(cost));
        totals.costs.iter().map(sample).collect()
    };
    let help = "Attempts whose cost is known.";
    family(text, "crossfade_attempts_priced_total", help, "counter", &samples(|cost| cost.priced));
    let help = "Attempts that were charged for at a price that is not known.";
    family(text, "crossfade_attempts_unpriced_total", help, "counter", &samples(|cost| cost.unknown));
}

/// What policies found.
fn verdicts(text: &mut String, totals: &Totals) {
    let samples = |n: fn(&VerdictTotal) -> u64| -> Vec<_> {
        let sample = |(key, total): &(VerdictKey, VerdictTotal)| {
            let VerdictKey { route, check, phase, arm, shadow, verdict } = key;
            let (route, check) = (escaped(route), escaped(check));
            let labels = format!(
                "{{route=\"{route}\",check=\"{check}\",phase=\"{phase}\",arm=\"{arm}\",shadow=\"{shadow}\",verdict=\"{verdict}\"}}"
            );
            (labels, n(total))
        };
        totals.verdicts.iter().map(sample).collect()
    };
    let name = "crossfade_policy_verdicts_total";
    family(text, name, "Checks of routes' policies, by what came of them.", "counter", &samples(|total| total.n));
    let name = "crossfade_policy_failed_total";
    family(text, name, "Checks that could not be made.", "counter", &samples(|total| total.failed));
    let name = "crossfade_policy_microseconds_total";
    family(text, name, "Microseconds that checks took.", "counter", &samples(|total| total.latency_us));
}

/// Answers that were to have a form.
fn forms(text: &mut String, totals: &Totals) {
    let mut judged = Vec::new();
    for (target, parts) in &totals.forms.judged {
        for (part, n) in parts {
            for (result, n) in [("valid", n.valid), ("invalid", n.invalid)] {
                let target = escaped(target);
                judged.push((format!("{{target=\"{target}\",part=\"{part}\",result=\"{result}\"}}"), n));
            }
        }
    }
    family(text, "crossfade_answer_forms_total", "Answers held against the form asked for.", "counter", &judged);
    let mut unknown = Vec::new();
    for (target, reasons) in &totals.forms.not_validated {
        for (reason, n) in reasons {
            unknown.push((format!("{{target=\"{}\",reason=\"{reason}\"}}", escaped(target)), *n));
        }
    }
    let mut rescues = Vec::new();
    for (policy, results) in &totals.forms.rescues {
        for (result, n) in results {
            rescues.push((format!("{{policy=\"{policy}\",result=\"{result}\"}}"), *n));
        }
    }
    family(text, "crossfade_rescues_total", "One more attempt for an invalid answer.", "counter", &rescues);
    let help = "Answers with something that had a schema and was not held against it.";
    family(text, "crossfade_answers_not_validated_total", help, "counter", &unknown);
}

/// Which way requests went, on routes that have several.
fn choices(text: &mut String, totals: &Totals) {
    let mut followed = Vec::new();
    for (route, rules) in &totals.choices.rules {
        for (rule, Followed { to, n }) in rules {
            let (route, rule, to) = (escaped(route), escaped(rule), escaped(to));
            followed.push((format!("{{route=\"{route}\",rule=\"{rule}\",to=\"{to}\"}}"), *n));
        }
    }
    let help = "Requests by the rule of their route that held first, and where it sent them.";
    family(text, "crossfade_rules_total", help, "counter", &followed);
    let mut judged = Vec::new();
    for (route, targets) in &totals.choices.cascades {
        for (target, results) in targets {
            for (result, n) in results {
                let (route, target) = (escaped(route), escaped(target));
                judged.push((format!("{{route=\"{route}\",target=\"{target}\",result=\"{result}\"}}"), *n));
            }
        }
    }
    let help = "Steps of cascades that were asked, by what came of it.";
    family(text, "crossfade_cascade_steps_total", help, "counter", &judged);
    let mut cached = Vec::new();
    for (route, total) in &totals.choices.caches {
        let sample = |(result, n): (&&str, &u64)| (format!("{{route=\"{}\",result=\"{result}\"}}", escaped(route)), *n);
        cached.extend(total.results.iter().map(sample));
    }
    let help = "Requests to routes with a cache, by what it had for them.";
    family(text, "crossfade_cache_requests_total", help, "counter", &cached);
    let name = "crossfade_cache_saved_usd_total";
    let help = "US dollars that the answers given again had cost the first time, as far as known.";
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter").unwrap_or_default();
    for (route, total) in &totals.choices.caches {
        let (route, usd) = (escaped(route), cost::decimal::dollars(total.saved_nanos));
        writeln!(text, "{name}{{route=\"{route}\"}} {usd}").unwrap_or_default();
    }
}

fn family(text: &mut String, name: &str, help: &str, kind: &str, samples: &[(String, u64)]) {
    // Writing to a String cannot fail.
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").unwrap_or_default();
    for (labels, value) in samples {
        writeln!(text, "{name}{labels} {value}").unwrap_or_default();
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_shows_its_replicas() {
        let replica = |provider: &str, breaker, paused| gateway::targets::ReplicaStatus {
            provider: provider.to_owned(),
            breaker,
            opened: 2,
            paused,
        };
        let replicas =
            vec![replica("gpu", State::Closed, Some(Cause::Quota)), replica("gpu@gpu-2:80", State::Open, None)];
        let mut text = String::new();
        render_targets(&mut text, &[TargetStatus { target: "qwen".to_owned(), waiting: 3, replicas }]);
        for sample in [
            "crossfade_breaker_state{target=\"qwen\",replica=\"gpu\",state=\"closed\"} 1",
            "crossfade_breaker_state{target=\"qwen\",replica=\"gpu@gpu-2:80\",state=\"open\"} 1",
            "crossfade_replica_paused{target=\"qwen\",replica=\"gpu\",cause=\"quota_exhausted\"} 1",
            "crossfade_breaker_opened_total{target=\"qwen\",replica=\"gpu\"} 2",
            "crossfade_queue_waiting{target=\"qwen\"} 3",
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample} not in\n{text}");
        }
    }

    #[test]
    fn every_sample_has_its_labels() {
        let mut totals = Totals { requests: 3, ..Totals::default() };
        totals.exchanges.insert("complete", 2);
        totals.adaptations.push(("a\"b".into(), "model".into(), "replaced", 1));
        totals.costs.insert("gpt".into(), CostTotal { nanos: 2_450_000, priced: 2, unknown: 1 });
        let judged = gateway::counters::Judged { valid: 5, invalid: 1 };
        totals.forms.judged.entry("a".into()).or_default().insert("schema", judged);
        totals.forms.not_validated.entry("a".into()).or_default().insert("reference".into(), 2);
        let followed = Followed { to: "route long".into(), n: 4 };
        totals.choices.rules.entry("gpt".into()).or_default().insert("1".into(), followed);
        let cache = totals.choices.caches.entry("gpt".into()).or_default();
        cache.results.insert("hit", 7);
        cache.saved_nanos = 1_500_000_000;
        let steps = totals.choices.cascades.entry("gpt".into()).or_default();
        steps.entry("small".into()).or_default().insert("low_confidence", 2);
        let text = render(&totals, &ShadowTotals::default());
        for sample in [
            "crossfade_cache_requests_total{route=\"gpt\",result=\"hit\"} 7",
            "crossfade_cache_saved_usd_total{route=\"gpt\"} 1.50",
            "crossfade_cascade_steps_total{route=\"gpt\",target=\"small\",result=\"low_confidence\"} 2",
            "crossfade_requests_total 3",
            "crossfade_cost_usd_total{target=\"gpt\"} 0.00245",
            "crossfade_attempts_unpriced_total{target=\"gpt\"} 1",
            "crossfade_answer_forms_total{target=\"a\",part=\"schema\",result=\"invalid\"} 1",
            "crossfade_answers_not_validated_total{target=\"a\",reason=\"reference\"} 2",
            "crossfade_rules_total{route=\"gpt\",rule=\"1\",to=\"route long\"} 4",
            "crossfade_exchanges_total{outcome=\"complete\"} 2",
            "crossfade_adaptations_total{target=\"a\\\"b\",field=\"model\",action=\"replaced\"} 1",
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample} not in\n{text}");
        }
    }
}
