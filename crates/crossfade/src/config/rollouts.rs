//! `workloads` and `rollouts`: which class of requests carries which risk, and what moves from where to where.

mod cohorts;
mod facts;
mod judged;
mod policy;
mod shadow;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gateway::control::RolloutSettings;
use gateway::shadow::ShadowSettings;
use gateway::snapshot::Cohort;
use gateway::snapshot::cohorts::AT;
use govern::Residency;
use rollout::{Risk, Unit};

use super::reader::{Item, Section, Written};
use super::targets::{Named, Routes, Targets, star_has_meaning};
use super::{residency, rules, value};

/// What is known of a workload.
pub(crate) struct Workload {
    /// Its risk.
    pub risk: Risk,
    /// How far its requests may go.
    pub residency: Residency,
}

/// Workloads by name.
pub(crate) type Workloads = Named<Workload>;

/// `workloads`.
pub(crate) fn workloads(root: &Section<'_>) -> Workloads {
    let risks = [("low", Risk::Low), ("medium", Risk::Medium), ("high", Risk::High)];
    let read = |(name, item): (Written<String>, Item<'_>)| {
        let workload = item.section().and_then(|section| {
            let risk = section.need("risk").and_then(|item| item.word(&risks));
            let residency = residency::read(&section);
            section.finish();
            Some(Workload { risk: risk?, residency })
        });
        (name.value, workload)
    };
    Named { what: "workload", found: root.named("workloads").into_iter().map(read).collect() }
}

/// `rollouts`, each with one more for each of its cohorts, and the cohorts of their routes.
pub(crate) fn rollouts(
    root: &Section<'_>,
    targets: &Targets,
    routes: &Routes,
    workloads: &Workloads,
) -> (BTreeMap<String, Arc<RolloutSettings>>, BTreeMap<String, Vec<Cohort>>) {
    let mut on_route: BTreeMap<(String, String), String> = BTreeMap::new();
    let (mut rollouts, mut of_routes) = (BTreeMap::new(), BTreeMap::new());
    for (name, item) in root.named("rollouts") {
        let Some(section) = item.section() else { continue };
        let references = References::read(&section, targets, routes);
        if let (Some(route), Some(candidate)) = (&references.route, &references.candidate)
            && let Some(other) = on_route.insert((route.value.clone(), candidate.value.clone()), name.value.clone())
        {
            let message = format!("the rollout `{other}` already takes `{}` to `{}`", route.value, candidate.value);
            let hint = "several rollouts of one route are contenders, each with a candidate of its own; remove one";
            section.note_at(candidate, message, Some(hint.into()));
        }
        references.check(&section, routes);
        references.stay_inside(&section, targets, routes);
        let (policy, shadow) = policy::read(&section, references.risk(routes, workloads), targets);
        references.judge_stays_inside(&item, &shadow, routes, targets);
        let cohorts = cohorts::read(&section, &policy, (workloads, targets));
        let probe = section.section("probe");
        let probe_every = probe.get("every").and_then(|item| item.duration()).unwrap_or(PROBE_EVERY);
        probe.finish();
        let again = section.section("revalidate");
        let every = again.get("every").and_then(|item| item.duration()).unwrap_or(REVALIDATE_EVERY);
        let sample = again.get("sample").and_then(|item| item.share()).map_or(1.0, |share| share.value);
        again.finish();
        let revalidate = (!every.is_zero()).then_some((every, sample));
        let outcomes = section.get("outcomes").and_then(|item| item.list("names such as `[tickets, escalations]`"));
        let words = [("drain", false), ("retry", true)];
        let retry_on_rollback = section.get("on_rollback").and_then(|item| item.word(&words)).unwrap_or(false);
        let outcomes = outcomes.unwrap_or_default().iter().filter_map(|item| item.parsed(OUTCOME, outcome)).collect();
        section.finish();
        if name.value.contains(AT) {
            let message = format!("a rollout's name has no `{AT}`: it stands between a rollout and its cohort");
            root.note_at(&name, message, None);
        }
        let (Some(route), Some(baseline), Some(candidate)) =
            (references.route, references.baseline, references.candidate)
        else {
            continue;
        };
        let (route, baseline, candidate) = (route.value, baseline.value, candidate.value);
        let (Some(from), Some(to)) = (targets.get(&baseline), targets.get(&candidate)) else { continue };
        let rules = rules::about(routes, &route);
        let about = |cohorts: &str| fingerprint([&from.fingerprint, &to.fingerprint], &rules, cohorts);
        let probe_every = (!probe_every.is_zero()).then_some(probe_every);
        let facts = facts::read(root, &route, &candidate);
        let written = name.clone();
        let whole = RolloutSettings {
            name: name.value,
            route,
            baseline,
            candidate,
            fingerprint: String::new(),
            policy,
            shadow,
            facts,
            probe_every,
            outcomes,
            revalidate,
            retry_on_rollback,
        };
        for settings in cohorts.parts(&whole, about) {
            rollouts.insert(settings.name.clone(), Arc::new(settings));
        }
        let of_route = cohorts.of_route(&whole.route);
        let of_other = of_routes.insert(whole.route, of_route.clone());
        if of_other.is_some_and(|of_other: Vec<Cohort>| of_other != of_route) {
            root.note_at(&written, "contenders of a route have the same cohorts, in the same order", None);
        }
    }
    (rollouts, of_routes)
}

/// Gives the routes the cohorts of their rollouts.
pub(crate) fn attach(routes: &mut Routes, mut cohorts: BTreeMap<String, Vec<Cohort>>) {
    for (name, read) in &mut routes.found {
        if let (Some(read), Some(cohorts)) = (read, cohorts.remove(name)) {
            read.route.cohorts = cohorts;
        }
    }
}

/// What the evidence is about: both targets, which requests the rules leave on the route, and which of those the cohorts leave here.
fn fingerprint([from, to]: [&String; 2], rules: &str, cohorts: &str) -> String {
    let mut parts = vec![from.as_str(), to];
    parts.extend([rules, cohorts].into_iter().filter(|part| !part.is_empty()));
    value::hash(&parts)[..16].to_owned()
}

struct References {
    route: Option<Written<String>>,
    baseline: Option<Written<String>>,
    candidate: Option<Written<String>>,
}

impl References {
    fn read(section: &Section<'_>, targets: &Targets, routes: &Routes) -> References {
        let route = section.need("route").and_then(|item| routes.reference(&item));
        References {
            baseline: section.need("baseline").and_then(|item| targets.reference(&item)),
            candidate: section.need("candidate").and_then(|item| {
                let candidate = targets.reference(&item)?;
                if let Some(route) = &route {
                    star_has_meaning(&item, &route.value, &candidate.value, targets);
                }
                Some(candidate)
            }),
            route,
        }
    }

    /// Notes an arm outside the house of a route whose requests may not leave it, and one of another vector space.
    fn stay_inside(&self, section: &Section<'_>, targets: &Targets, routes: &Routes) {
        let Some(read) = self.route.as_ref().and_then(|route| routes.get(&route.value)) else { return };
        for arm in [&self.baseline, &self.candidate].into_iter().flatten() {
            let left = residency::leaves(&read.route, &arm.value, targets);
            let mixed = super::spaces::mixes(&read.route, &arm.value, targets);
            for (message, hint) in left.into_iter().chain(mixed) {
                section.note_at(arm, message, Some(hint));
            }
        }
    }

    /// Notes a judge outside the house of pairs whose requests may not leave it: it would never be asked.
    fn judge_stays_inside(&self, rollout: &Item<'_>, shadow: &ShadowSettings, routes: &Routes, targets: &Targets) {
        let read = self.route.as_ref().and_then(|route| routes.get(&route.value));
        let model = shadow.judged.as_ref().and_then(|judging| judging.model.as_ref());
        let (Some(read), Some(model)) = (read, model) else { return };
        if let Some((message, hint)) = residency::leaves(&read.route, &model.target, targets) {
            rollout.inside(["stages", "shadow", "judged", "judge", "target"].map(Err)).note(message, Some(hint));
        }
    }

    fn risk(&self, routes: &Routes, workloads: &Workloads) -> Option<Risk> {
        let workload = routes.get(&self.route.as_ref()?.value)?.route.workload.as_deref()?;
        workloads.get(workload).map(|workload| workload.risk)
    }

    fn check(&self, section: &Section<'_>, routes: &Routes) {
        let (Some(baseline), Some(candidate)) = (&self.baseline, &self.candidate) else { return };
        if baseline.value == candidate.value {
            let message = format!("the candidate is the baseline, `{}`", baseline.value);
            section.note_at(candidate, message, Some("name the target you want to move to".into()));
            return;
        }
        let Some(read) = self.route.as_ref().and_then(|route| routes.get(&route.value)) else { return };
        let route = &read.route;
        if route.target != baseline.value {
            let message = format!("route `{}` serves `{}`, not this baseline", route.name, route.target);
            section.note_at(
                baseline,
                message,
                Some(format!("write `baseline: {}`; a rollout that has completed is taken out instead", route.target)),
            );
        }
        if let (Some(name), Some(_)) = (&self.route, &route.cascade) {
            let message =
                format!("route `{}` has a cascade: each answer decides who serves, not the rollout", name.value);
            let hint = "put the rollout on a route without one, or remove the cascade until the rollout has ended";
            section.note_at(name, message, Some(hint.into()));
        }
        for chosen in &read.chosen_targets {
            let message = format!("a rule that chooses a target, on the route `{}` that a rollout splits", route.name);
            let hint = "the rollout decides who answers here; choose another route (`route: NAME`), whose own rollout then applies";
            section.note_at(chosen, message, Some(hint.into()));
        }
        let fallback = read.fallback.iter().find(|fallback| fallback.value == candidate.value);
        if let (Some(fallback), false) = (fallback, route.emergency_fallback) {
            let message =
                format!("`{}` is the candidate of a rollout on this route, so it is nobody's fallback", fallback.value);
            let hint = "remove it, or write `emergency_fallback: true` on the route: such answers are labelled and no evidence";
            section.note_at(fallback, message, Some(hint.into()));
        }
    }
}

/// How often a baseline is probed when nobody says: a few tokens an hour.
const PROBE_EVERY: Duration = Duration::from_secs(3600);

/// How often a completed rollout is read anew when nobody says.
const REVALIDATE_EVERY: Duration = Duration::from_secs(30 * 86_400);

const OUTCOME: &str = "a name of at most 64 letters, digits, `-`, `_` and `.`";

fn outcome(text: &str) -> Option<String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (plain && (1..=64).contains(&text.len())).then(|| text.to_owned())
}

/// The words of `unit`.
const UNITS: [(&str, Unit); 5] = [
    ("request", Unit::Request),
    ("conversation", Unit::Conversation),
    ("session", Unit::Session),
    ("user", Unit::User),
    ("tenant", Unit::Tenant),
];
