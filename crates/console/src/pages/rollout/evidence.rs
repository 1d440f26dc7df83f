//! What the evidence says: gates that must be proven, guards that watch, and what each arm did.

use maud::{Markup, html};
use operations::rollouts::{ArmView, GuardKind, RolloutView};

use super::standing::{guard_verdict, verdict};
use crate::pages::fields::{address, escape};
use crate::pages::frame::{badge, table};
use crate::pages::words::{count, dollars, e_value, percent, points, span_of, span_us};

/// Proof that the candidate is not worse.
pub(super) fn gates(view: &RolloutView) -> Markup {
    let facts = &view.explanation;
    html! {
        h2 { "Gates: proof that the candidate is not worse" }
        @if facts.gates.is_empty() && facts.certificates.is_empty() && facts.filed.is_empty() {
            p.none { "This step has no gate." }
        }
        div.cards {
            @for gate in &facts.gates {
                article.card {
                    h3 { (gate.name) " " (verdict(gate.verdict)) }
                    (band(gate.estimate, gate.upper_bound, gate.margin))
                    dl.facts {
                        div { dt { "Difference" } dd { (gate.estimate.map_or_else(|| "–".to_owned(), points)) } }
                        div { dt { "At most" } dd { (gate.upper_bound.map_or_else(|| "–".to_owned(), points)) } }
                        div { dt { "Margin" } dd { (points(gate.margin)) } }
                        div { dt { "n" } dd { a href=(counted(view, None)) { (count(gate.n)) } } }
                        div { dt { "e-value" } dd { (e_value(gate.e_value)) " of " (e_value(gate.threshold)) } }
                    }
                    @if !gate.missing.is_empty() { p.hint { (gate.missing) } }
                }
            }
            @for one in &facts.certificates {
                article.card {
                    h3 { (one.name) " " (verdict(one.verdict)) }
                    dl.facts {
                        div { dt { "Bad" } dd { (count(one.bad)) " of " (count(one.n)) } }
                        div { dt { "Limit" } dd { (percent(one.limit)) } }
                        div { dt { "e-value" } dd { (e_value(one.e_value)) " of " (e_value(one.threshold)) } }
                    }
                }
            }
            @for filed in &facts.filed {
                article.card {
                    h3 { "The " (filed.kind.as_str()) " “" bdi { (filed.name) } "” is filed " (verdict(filed.verdict)) }
                    p.hint { "Before " (filed.before.as_str()) ". " bdi { (filed.missing) } }
                }
            }
        }
        @if !facts.strata.is_empty() {
            (table("Each kind of request by itself", &["Kind", "Metric", "n", "Margin", "e-value", "Needed", "Verdict"], &html! {
                @for one in &facts.strata {
                    tr { td { bdi { (one.stratum) } } td { (one.metric.as_str()) } td.number { (count(one.n)) } td.number { (percent(one.margin)) }
                        td.number { (e_value(one.e_value)) } td.number { (e_value(one.threshold)) } td { (verdict(one.verdict)) } }
                }
            }))
        }
    }
}

/// What was counted of this epoch: pairs while in shadow, else the exchanges of an arm or of both.
fn counted(view: &RolloutView, arm: Option<&str>) -> String {
    let facts = &view.explanation;
    let is_shadow = facts.stage.as_str() == "shadow";
    let mut pairs = vec![("rollout".to_owned(), view.name.clone()), ("epoch".to_owned(), facts.epoch.to_string())];
    pairs.extend(arm.filter(|_| !is_shadow).map(|arm| ("arm".to_owned(), arm.to_owned())));
    address(if is_shadow { "/pairs" } else { "/exchanges" }, &pairs)
}

/// The estimate and its bound against the margin, drawn: what lies left of the line is not worse than that.
fn band(estimate: Option<f64>, upper: Option<f64>, margin: f64) -> Markup {
    let (Some(estimate), Some(upper)) = (estimate, upper) else { return html! {} };
    let reach = [estimate.abs(), upper.abs(), margin.abs(), 1e-6].into_iter().fold(0.0, f64::max) * 1.15;
    let x = |value: f64| format!("{:.1}", 100.0 + value / reach * 100.0);
    html! {
        svg.band viewBox="0 0 200 26" role="img" aria-label=(format!("difference {}, at most {}, margin {}", points(estimate), points(upper), points(margin))) {
            line.axis x1="0" y1="13" x2="200" y2="13" {}
            line.zero x1="100" y1="5" x2="100" y2="21" {}
            line.margin x1=(x(margin)) y1="2" x2=(x(margin)) y2="24" {}
            line.reach x1=(x(estimate)) y1="13" x2=(x(upper)) y2="13" {}
            circle.estimate cx=(x(estimate)) cy="13" r="4" {}
        }
    }
}

/// Proof of harm rolls back.
pub(super) fn guards(view: &RolloutView) -> Markup {
    let facts = &view.explanation;
    let harm = &facts.harm;
    html! {
        h2 { "Guards: proof of harm rolls back" }
        p { "All relative guards together: e-value " b { (e_value(harm.e_value)) } " of " (e_value(harm.threshold)) ". "
            @if let Some(nearest) = view.why.nearest_words() { bdi { (nearest) } } }
        @if !facts.guards.is_empty() {
            (table("Guards", &["Metric", "Against", "Bad, baseline", "Bad, candidate", "e-value", "Rolls back at", ""], &html! {
                @for guard in &facts.guards {
                    tr {
                        td { (guard.metric.as_str()) }
                        td { @match guard.kind { GuardKind::Relative { .. } => { "the baseline" } GuardKind::Absolute { limit } => { "a limit of " (percent(limit)) } } }
                        td.number { @match guard.kind { GuardKind::Relative { .. } => { (count(guard.bad_baseline)) } GuardKind::Absolute { .. } => { "–" } } }
                        td.number { a href=(counted(view, Some("candidate"))) { (count(guard.bad_candidate)) } }
                        td.number { (e_value(guard.e_value)) }
                        td.number { (e_value(guard.threshold)) }
                        td { (guard_verdict(guard.verdict)) }
                    }
                }
            }))
        }
        @if let Some(cost) = &facts.cost {
            p { "Cost: a request of the candidate may cost " (format!("{:.2}", cost.ratio)) " times one of the baseline; e-value "
                (e_value(cost.e_value)) " of " (e_value(cost.threshold)) "." }
        }
        @if !view.why.bad_exchanges.is_empty() {
            details {
                summary { "Some of the bad exchanges" }
                @for bad in &view.why.bad_exchanges {
                    p { (bad.metric.as_str()) ", " (bad.arm.as_str()) ": "
                        @for id in &bad.exchanges { a.id href=(format!("/exchanges/{}", escape(id))) { (id) } " " } }
                }
            }
        }
    }
}

/// What both arms did.
pub(super) fn arms(view: &RolloutView) -> Markup {
    let arms = &view.explanation.arms;
    let (Some(baseline), Some(candidate)) = (arms.first(), arms.get(1)) else { return html! {} };
    let rates: Vec<_> = baseline.rates.iter().chain(&candidate.rates).map(|rate| rate.metric).collect();
    let mut metrics = rates.clone();
    metrics.dedup();
    metrics = rates
        .iter()
        .enumerate()
        .filter(|(idx, metric)| !rates.iter().take(*idx).any(|one| one == *metric))
        .map(|(_, metric)| *metric)
        .collect();
    let rate = |arm: &ArmView, metric| {
        let rate = arm.rates.iter().find(|rate| rate.metric == metric);
        html! {
            @match rate {
                Some(rate) => { (percent(rate.rate)) " "
                    @if let Some((low, high)) = rate.interval { span.hint { "[" (percent(low)) ", " (percent(high)) "] " } }
                    span.hint { (count(rate.bad)) "/" (count(rate.n)) } }
                None => { "–" }
            }
        }
    };
    let times = [
        ("time to first token", baseline.time_to_first_token.as_ref(), candidate.time_to_first_token.as_ref()),
        ("time to the end", baseline.duration.as_ref(), candidate.duration.as_ref()),
    ];
    let cost = [view.costs.baseline.mean_nanos(), view.costs.candidate.mean_nanos()];
    html! {
        h2 { "What each arm did in this epoch" }
        (table("Both arms, with 95 % intervals", &["", "Baseline", "Candidate"], &html! {
            tr { th scope="row" { "units" } td { (count(baseline.units)) } td { (count(candidate.units)) } }
            @for metric in metrics {
                tr { th scope="row" { (metric.rate_name()) } td { (rate(baseline, metric)) } td { (rate(candidate, metric)) } }
            }
            @for (name, one, other) in times {
                @for (quantile, pick) in [("p50", 0), ("p95", 1), ("p99", 2)] {
                    @let of = |found: Option<&operations::rollouts::Quantiles>| span_of(found.map(|q| [q.p50_us, q.p95_us, q.p99_us][pick]));
                    @if one.is_some() || other.is_some() { tr { th scope="row" { (name) ", " (quantile) } td { (of(one)) } td { (of(other)) } } }
                }
            }
            @if cost.iter().any(Option::is_some) {
                tr { th scope="row" { "mean cost of a request" } @for one in cost { td { (one.map_or_else(|| "–".to_owned(), dollars)) } } }
            }
        }))
        (bands(view))
        (coverage(view))
    }
}

/// Where quantiles lie, whenever one looks.
fn bands(view: &RolloutView) -> Markup {
    let times = &view.explanation.bands.times;
    if times.is_empty() {
        return html! {};
    }
    let one = |band: Option<operations::rollouts::TimeBand>| match band {
        Some(band) => format!("{} [{}, {}]", span_us(band.us), span_us(band.low_us), span_of(band.high_us)),
        None => "–".to_owned(),
    };
    table(
        "Times with intervals that hold however often one looks",
        &["Time", "Baseline", "Candidate", "Slower"],
        &html! {
            @for band in times {
                tr {
                    th scope="row" { (band.of.as_str()) ", p" (format!("{:.0}", band.quantile * 100.0)) }
                    td { (one(band.baseline)) }
                    td { (one(band.candidate)) }
                    td { @match band.slower.and_then(|slower| slower.arm) { Some(arm) => (badge("warn", arm.as_str())), None => { span.none { "not proven" } } } }
                }
            }
        },
    )
}

/// What became of the shadow's copies.
fn coverage(view: &RolloutView) -> Markup {
    let coverage = &view.explanation.coverage;
    if coverage.offered == 0 {
        return html! {};
    }
    html! {
        p { "Copies: " (count(coverage.offered)) " taken, " (count(coverage.complete)) " became pairs"
            @if let Some(fraction) = view.explanation.coverage_fraction { " (" (percent(fraction)) ")" }
            @for (reason, n) in &coverage.dropped { ", " (count(*n)) " " bdi { (reason) } }
            "." }
    }
}
