//! What is asked for beside gates and guards: certificates, results on file, and what an answer costs.

use rollout::FiledKind;
use rollout::explain::{CertificateView, CostView, Explanation, FiledView};

use super::{Paint, number, rate};

/// Certificates and what must be filed before a step.
pub(super) fn asked(facts: &Explanation, paint: Paint) -> String {
    let certificate = |view: &CertificateView| {
        let CertificateView { name, bad, n, limit, e_value, threshold, verdict, .. } = view;
        let (seen, verdict) = (format!("{bad} of {n}"), paint.verdict(*verdict));
        let (limit, e_value, threshold) = (rate(*limit), number(*e_value), number(*threshold));
        format!("{name}: {seen}, limit {limit}, e-value {e_value}, passes at {threshold}: {verdict}\n")
    };
    let filed = |view: &FiledView| {
        let missing = if view.missing.is_empty() { String::new() } else { format!(", {}", view.missing) };
        let (kind, before) = (view.kind.as_str(), view.before.as_str());
        let hint = match view.kind {
            FiledKind::Drill if !view.missing.is_empty() => {
                let name = if view.name == "any" { "error" } else { &view.name };
                format!("; `crossfade rollout drill {} --kind {name}` files one", facts.rollout)
            }
            FiledKind::Drill => String::new(),
            _ if view.missing.is_empty() => String::new(),
            _ => format!("; `crossfade rollout file {} --kind {kind} --name {}` files one", facts.rollout, view.name),
        };
        format!("{kind} `{}` before {before}: {}{missing}{hint}\n", view.name, paint.verdict(view.verdict))
    };
    let certificates: String = facts.certificates.iter().map(certificate).collect();
    certificates + &facts.filed.iter().map(filed).collect::<String>()
}

/// What an answer costs on both arms, and alarms that a person has to look at.
pub(super) fn alarms(facts: &Explanation) -> String {
    let cost = facts.cost.as_ref().and_then(cost).unwrap_or_default();
    cost + &facts.alarms.iter().map(|alarm| format!("alarm: {}\n", alarm.words())).collect::<String>()
}

fn cost(view: &CostView) -> Option<String> {
    let [baseline, candidate] = view.mean_nanos;
    let times = candidate? / baseline.filter(|mean| *mean > 0.0)?;
    let (e_value, threshold) = (number(view.e_value), number(view.threshold));
    let [n_baseline, n_candidate] = view.units;
    Some(format!(
        "cost: an answer of the candidate costs {} times the baseline's ({n_candidate} and {n_baseline} units; limit {}, e-value \
         {e_value}, pauses or rolls back at {threshold})\n",
        number(times),
        number(view.ratio),
    ))
}
