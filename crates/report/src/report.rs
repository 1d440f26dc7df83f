//! The report: a pure function of its rows.

use std::collections::BTreeMap;

use inventory::sovereignty::Sovereignty;
use serde::Serialize;

use crate::advice::{and, idle, next, risks, verdict};
use crate::area::{Area, Found, Standing};
use crate::bench::benches;
use crate::canonical::sha256;
use crate::decision::Decision;
use crate::failing::{failing, lately, repaired};
use crate::figure::Figure;
use crate::gaps::gaps;
use crate::latency::times;
use crate::live::{Live, Standings, live};
use crate::load::{Traffic, said as load_words, traffic};
use crate::matrix::used;
use crate::money::{money, recorded};
use crate::outcomes::{Outcomes, outcomes};
use crate::phases::{Phase, phases};
use crate::quality::{Part, quality};
use crate::rows::{RolloutRow, Rows};
use crate::rules::{Facts, Rule, decide, rules};
use crate::safety::safety;
use crate::settings::{Demanded, Move, Scorecard, TargetFacts};
use crate::sovereignty::sovereignty;

/// The format of `report.json`.
pub const FORMAT: &str = "crossfade-report/1";

/// What rooms know that this one does not see.
pub trait Engine {
    /// The study of a worksheet's text.
    ///
    /// # Errors
    /// Why it is none, in words.
    fn study(&self, file: &str, text: &str) -> Result<cost::tco::Study, String>;

    /// Where a rollout stands at `at_us`.
    ///
    /// # Errors
    /// Why its rows cannot be read, in words.
    fn standings(&self, row: &RolloutRow, at_us: u64) -> Result<Standings, String>;
}

/// Everything a report says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How to read it.
    pub format: &'static str,
    /// The version that made it.
    pub version: String,
    /// When, Unix microseconds.
    pub at_us: u64,
    /// SHA-256 over the names and bytes of all rows: what it was made of.
    pub evidence: String,
    /// What to do, in a sentence.
    pub headline: String,
    /// Whether any of the evidence is made up.
    pub simulated: bool,
    /// What the areas demand.
    pub scorecard: Scorecard,
    /// Demands of it that are the command line's, not the config's.
    pub set: Vec<Demanded>,
    /// Move by move.
    pub moves: Vec<MoveReport>,
    /// Which go first.
    pub phases: Vec<Phase>,
    /// Business outcomes.
    pub outcomes: Vec<Outcomes>,
    /// Evidence that is not counted.
    pub stale: Vec<Stale>,
    /// What is to be known of the rows.
    pub notes: Vec<String>,
    /// Whether the running gateway serves another config than the one this was made from.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unserved: bool,
    /// The rules by which it was decided.
    pub rules: Vec<Rule>,
}

/// A move from a baseline to a candidate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MoveReport {
    /// What its figures' names begin with.
    pub key: String,
    /// The workload.
    pub workload: String,
    /// Its risk.
    pub risk: Option<String>,
    /// The route.
    pub route: String,
    /// Who answers today.
    pub baseline: TargetFacts,
    /// Who might.
    pub candidate: Option<TargetFacts>,
    /// What to do.
    pub decision: Decision,
    /// Whether it is done: the route asks the candidate itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub switched: bool,
    /// Whether it was done and is undone.
    pub set_back: bool,
    /// The rule that says so.
    pub rule: &'static str,
    /// What to do, in a sentence that stands alone.
    pub verdict: String,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// What to do now.
    pub next: String,
    /// What becomes of it if nobody does anything.
    pub idle: String,
    /// How much better the candidate is.
    pub quality_delta: Figure,
    /// How much later its answers come.
    pub latency_delta: Figure,
    /// How much is saved.
    pub cost_delta: Figure,
    /// The five areas.
    pub areas: Vec<Found>,
    /// Parts that could move by themselves.
    pub good_parts: Vec<Part>,
    /// Parts that should stay.
    pub worse_parts: Vec<Part>,
    /// The rollout.
    pub live: Option<Live>,
    /// What calls cost on the record.
    pub recorded: Vec<Figure>,
    /// What could go wrong.
    pub risks: Vec<String>,
    /// What the candidate's server does not do as the vendor's.
    pub gaps: Vec<String>,
    /// The load that latency and throughput are judged at, and who said it.
    pub load: String,
    /// What would settle what is open.
    pub questions: Vec<String>,
    /// Dependence on others, today and after.
    pub sovereignty: [Sovereignty; 2],
    /// Facts that the rules asked for.
    pub facts: BTreeMap<&'static str, String>,
    /// Whether any of its evidence is made up.
    pub simulated: bool,
    /// For plots: the saving's draws, and the times of both.
    pub plots: Plots,
}

/// What plots are drawn from.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plots {
    /// Savings: where the first bar begins, how wide one is, and draws in each.
    pub saving: Option<(f64, f64, Vec<u32>)>,
    /// Milliseconds and the share of answers that came within: baseline, candidate.
    pub times: [Vec<(f64, f64)>; 2],
}

/// Evidence that is not counted, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stale {
    /// Which.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Makes the report of these rows. The same rows give the same report.
#[must_use]
pub fn report(rows: &Rows, engine: &dyn Engine) -> Report {
    let rules = rules();
    let mut stale = Vec::new();
    let moves: Vec<MoveReport> = rows
        .settings
        .moves
        .iter()
        .enumerate()
        .map(|(idx, mv)| one(rows, (idx, mv), (engine, &rules), &mut stale))
        .collect();
    let mut seen = Vec::new();
    stale.retain(|one: &Stale| {
        !seen.contains(one) && {
            seen.push(one.clone());
            true
        }
    });
    let simulated = moves.iter().any(|mv| mv.simulated);
    let phases = phases(&moves);
    Report {
        format: FORMAT,
        version: rows.settings.version.clone(),
        at_us: rows.settings.at_us,
        evidence: evidence(rows),
        headline: headline(&in_order(&phases, &moves), simulated),
        simulated,
        scorecard: rows.settings.scorecard.clone(),
        set: rows.settings.set.clone(),
        phases,
        outcomes: joined(rows),
        moves,
        stale,
        notes: rows.settings.notes.clone(),
        unserved: rows.settings.unserved,
        rules,
    }
}

fn joined(rows: &Rows) -> Vec<Outcomes> {
    let of = |idx: usize| rows.settings.outcomes_of.get(idx).and_then(Option::as_ref);
    rows.outcomes.iter().enumerate().map(|(idx, upload)| outcomes(idx, upload, of(idx))).collect()
}

/// SHA-256 over the names and bytes of all rows.
fn evidence(rows: &Rows) -> String {
    let lines: String = rows.files().iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes))).collect();
    sha256(lines.as_bytes())
}

/// Moves up to this number are named in the headline.
const MOST_NAMED: usize = 4;

/// Moves as they are to be read: phase by phase.
fn in_order<'m>(phases: &[Phase], moves: &'m [MoveReport]) -> Vec<&'m MoveReport> {
    let named = phases.iter().flat_map(|phase| &phase.keys);
    named.filter_map(|key| moves.iter().find(|mv| mv.key == *key)).collect()
}

fn headline(moves: &[&MoveReport], simulated: bool) -> String {
    let told = |mv: &MoveReport| format!("{}: {}", title(mv), mv.label());
    let counted = |decision: Decision| {
        let n = moves.iter().filter(|mv| mv.decision == decision).count();
        (n > 0).then(|| format!("{} {n}", decision.label()))
    };
    let decisions = match moves {
        [] => "Not enough evidence: the config has no route to decide on".to_owned(),
        moves if moves.len() <= MOST_NAMED => moves.iter().map(|mv| told(mv)).collect::<Vec<_>>().join("; "),
        moves => {
            use Decision::{Hybridize, NotEnoughEvidence, Stay, Switch};
            let counts: Vec<String> =
                [Switch, Hybridize, Stay, NotEnoughEvidence].into_iter().filter_map(counted).collect();
            format!("Of {} workloads: {}", moves.len(), counts.join(", "))
        }
    };
    if simulated {
        format!(
            "SIMULATED — some answers behind this are made up, and it decides nothing about real models. {decisions}."
        )
    } else {
        format!("{decisions}.")
    }
}

/// A workload with its route, where that says more.
pub(crate) fn title(mv: &MoveReport) -> String {
    if mv.workload == mv.route { mv.route.clone() } else { format!("{} ({})", mv.workload, mv.route) }
}

fn one(
    rows: &Rows,
    (idx, mv): (usize, &Move),
    (engine, rules): (&dyn Engine, &[Rule]),
    stale: &mut Vec<Stale>,
) -> MoveReport {
    let key = format!("m{}", idx + 1);
    let traffic = traffic(rows, mv);
    let mut quality = quality(rows, mv, &key);
    stale.append(&mut quality.stale);
    let benches = benches(rows, mv, stale);
    let times = times(rows, mv, (&traffic, &benches), &key);
    stale.extend(benches.without_say(times.decided, traffic.target_load));
    let safety = safety(rows, mv, &key, stale);
    let money = money(rows, mv, engine, (&key, stale));
    let live = live(rows, mv, engine, (&key, stale));
    if traffic.n_other_model > 0 {
        let what = format!("{} recorded calls of route `{}`", traffic.n_other_model, mv.route);
        stale.push(Stale { what, why: "they asked for another model than the target has now".to_owned() });
    }
    let areas = vec![quality.found, times.latency, times.throughput, safety, money.found];
    let n_refused = refused(&traffic);
    // Guards watch a candidate that has users, and take it back by themselves; of copies nothing is taken back.
    let is_watched = live.as_ref().is_some_and(Live::has_traffic);
    let benched_us = benches.levels.iter().map(|level| level.at_us).max().unwrap_or(0);
    let failing = failing(mv, &traffic, is_watched, benched_us);
    let mut facts = facts(mv, &areas, live.as_ref(), [&quality.good_parts, &quality.worse_parts], n_refused);
    let is_down = mv.down.is_some() && !is_watched;
    let newest = if failing.is_some() || is_down { "failing" } else { "other" };
    facts.insert("newest", newest.to_owned());
    let rule = decide(rules, &facts);
    // The last rule asks for nothing.
    let (decision, id, says) =
        rule.map_or((Decision::NotEnoughEvidence, "U1", ""), |rule| (rule.then, rule.id, rule.says));
    let is_made_up = |target: &TargetFacts| target.simulated;
    let simulated = areas.iter().any(|found| found.simulated)
        || live.as_ref().is_some_and(|live| live.simulated)
        || is_made_up(&mv.baseline)
        || mv.candidate.as_ref().is_some_and(is_made_up);
    let mut reasons = vec![why((says, id), decision, &areas, &money.delta)];
    reasons.extend(areas.iter().map(sentence));
    let questions = areas.iter().filter(|found| found.settle.is_some()).map(question).collect();
    MoveReport {
        key: key.clone(),
        workload: mv.workload.clone(),
        risk: mv.risk.clone(),
        route: mv.route.clone(),
        baseline: mv.baseline.clone(),
        candidate: mv.candidate.clone(),
        decision,
        switched: mv.switched,
        set_back: mv.set_back,
        rule: id,
        verdict: verdict(
            mv,
            (decision, id),
            (&areas, live.as_ref(), [failing.as_ref(), repaired(mv, &traffic).as_ref()]),
            [&quality.good_parts, &quality.worse_parts],
        ),
        reasons,
        next: next(mv, (decision, id), &areas, live.as_ref()),
        idle: idle(mv, live.as_ref(), failing.as_ref()),
        quality_delta: quality.delta,
        latency_delta: times.delta,
        cost_delta: money.delta,
        risks: risks(mv, &areas, live.as_ref(), &quality.worse_parts)
            .into_iter()
            .chain(lately(&traffic, rows.settings.at_us))
            .collect(),
        gaps: gaps(rows, mv, n_refused).into_iter().chain(used(rows, mv)).collect(),
        areas,
        good_parts: quality.good_parts,
        worse_parts: quality.worse_parts,
        live,
        recorded: vec![recorded(&key, "baseline", &traffic.baseline), recorded(&key, "candidate", &traffic.candidate)],
        load: load_words(mv, &traffic),
        questions,
        sovereignty: sovereignty(mv, decision),
        facts,
        simulated,
        plots: Plots { saving: money.histogram, times: times.curves },
    }
}

/// Calls that the candidate's server or its profile refused for what they asked of it.
fn refused(traffic: &Traffic<'_>) -> u64 {
    // `wire::FailureKind::Unsupported`, which is recorded without a call.
    traffic.candidate.iter().filter(|call| call.failure.as_deref() == Some("unsupported")).count() as u64
}

fn facts(mv: &Move, areas: &[Found], live: Option<&Live>, [good, worse]: [&[Part]; 2], n_refused: u64) -> Facts {
    let all_but = |left_out: Option<Area>| {
        let passes = |found: &Found| !found.required || found.standing == Standing::Pass;
        let is_pass = areas.iter().filter(|found| Some(found.area) != left_out).all(passes);
        // Where nothing is required nothing is proven.
        let is_pass = is_pass && areas.iter().any(|found| found.required);
        if is_pass { "pass" } else { "open" }.to_owned()
    };
    let some = |any: bool| if any { "some" } else { "none" }.to_owned();
    let mut facts: Facts = areas
        .iter()
        .map(|found| {
            let standing = if found.required { found.standing.as_str() } else { "optional" };
            (found.area.as_str(), standing.to_owned())
        })
        .collect();
    facts.insert("candidate", if mv.candidate.is_some() { "named" } else { "none" }.to_owned());
    facts.insert("all", all_but(None));
    facts.insert("all_but_quality", all_but(Some(Area::Quality)));
    facts.insert("all_but_throughput", all_but(Some(Area::Throughput)));
    let rollout = match live {
        Some(live) if live.was_taken_back() => "taken_back",
        Some(live) if live.taken_back_before.is_some() && !live.is_completed() => "resumed",
        _ => "other",
    };
    facts.insert("rollout", rollout.to_owned());
    facts.insert("good_parts", some(!good.is_empty()));
    facts.insert("worse_parts", some(!worse.is_empty()));
    facts.insert("refused", some(n_refused > 0));
    facts
}

/// Why, in the rule's words; of a switch with what was proven, for somebody who reads no further.
fn why((says, id): (&str, &str), decision: Decision, areas: &[Found], saving: &Figure) -> String {
    if (decision, id) == (Decision::NotEnoughEvidence, "U1") {
        return unproven(areas).unwrap_or_else(|| says.to_owned());
    }
    let of = match id {
        "Q1" => Some(Area::Quality),
        "T1" => Some(Area::Tco),
        "L1" => Some(Area::Latency),
        _ => None,
    };
    if let Some(found) = areas.iter().find(|found| Some(found.area) == of) {
        return format!("{}: {}.", says.trim_end_matches('.'), found.because);
    }
    if decision != Decision::Switch {
        return says.to_owned();
    }
    let proven: Vec<String> =
        areas.iter().filter(|found| found.required).map(|found| found.area.word().to_owned()).collect();
    let is_shown = saving.low.is_some_and(|low| low > 0.0);
    let cheaper = saving
        .value
        .filter(|_| is_shown)
        .map(|value| format!(" A successful task costs {} % less.", saving.unit.bare(value)));
    format!("{}: {}.{}", says.trim_end_matches('.'), and(&proven), cheaper.unwrap_or_default())
}

/// Which of what is required keeps the last rule from being a switch; `None` where nothing is required.
fn unproven(areas: &[Found]) -> Option<String> {
    let required: Vec<&Found> = areas.iter().filter(|found| found.required).collect();
    let open: Vec<String> = required
        .iter()
        .filter(|found| found.is_open())
        .map(|found| format!("{} — {}", found.area.word(), found.because))
        .collect();
    (!open.is_empty()).then(|| {
        format!(
            "A switch needs all {} required areas to pass, and nothing proven says no. Open: {}.",
            required.len(),
            open.join("; ")
        )
    })
}

fn sentence(found: &Found) -> String {
    let optional = if found.required { "" } else { " (not required)" };
    format!("{}{optional}: {} — {}.", found.area.label(), found.standing.label(), found.because)
}

fn question(found: &Found) -> String {
    let settle = found.settle.as_deref().unwrap_or_default();
    let optional = if found.required { "" } else { " (not required)" };
    format!("{}{optional}: {settle}.", found.area.label())
}

impl Report {
    /// Its moves as they are to be read: phase by phase.
    #[must_use]
    pub fn in_order(&self) -> Vec<&MoveReport> {
        in_order(&self.phases, &self.moves)
    }
}

impl MoveReport {
    /// The decision in words: of what is done, that it is.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self.decision {
            Decision::Switch if self.switched => "switched",
            Decision::Stay if self.switched => "go back",
            decision => decision.label(),
        }
    }

    /// Every figure, the three of page one first.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        let parts = self.good_parts.iter().chain(&self.worse_parts).flat_map(|part| [&part.difference, &part.parity]);
        let live = self.live.iter().flat_map(|live| {
            std::iter::once(&live.share).chain(live.gates.iter().flat_map(|gate| [&gate.difference, &gate.margin]))
        });
        // The deltas of quality and costs are figures of their areas too.
        let is_delta =
            |figure: &Figure| [&self.quality_delta, &self.cost_delta].iter().any(|delta| delta.id == figure.id);
        let of_areas = self.areas.iter().flat_map(|found| &found.figures).filter(move |figure| !is_delta(figure));
        [&self.quality_delta, &self.latency_delta, &self.cost_delta]
            .into_iter()
            .chain(of_areas)
            .chain(parts)
            .chain(live)
            .chain(&self.recorded)
    }
}
