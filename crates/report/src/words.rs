//! Words that every form of the report has.

use inventory::sovereignty::Sovereignty;

use crate::figure::Unit;
use crate::live::Live;
use crate::report::{MoveReport, Report, Stale};
use crate::rules::Rule;
use crate::settings::{Scorecard, TargetFacts};

/// `2026-11-26 08:00 UTC`.
pub(crate) fn moment(us: u64) -> String {
    let minutes = us / 60_000_000;
    let day = i64::try_from(minutes / 1440).unwrap_or(0);
    format!("{} {:02}:{:02} UTC", cost::date::Date(day), minutes / 60 % 24, minutes % 60)
}

/// A rule's conditions, for people.
pub(crate) fn conditions(rule: &Rule) -> String {
    if rule.when.is_empty() {
        return "otherwise".to_owned();
    }
    let one = |(fact, values): &(&str, Vec<&str>)| match (*fact, values.as_slice()) {
        ("candidate", ["none"]) => "no candidate is named".to_owned(),
        ("rollout", ["taken_back"]) => "the candidate was taken back from live traffic".to_owned(),
        ("rollout", ["resumed"]) => {
            "the candidate was taken back before and nothing of it has changed since".to_owned()
        }
        ("good_parts", ["some"]) => "some parts pass by themselves".to_owned(),
        ("worse_parts", ["some"]) => "some parts are worse beyond chance".to_owned(),
        ("refused", ["some"]) => "some requests were refused".to_owned(),
        ("all", ["pass"]) => "everything required passes".to_owned(),
        ("all_but_quality" | "all_but_throughput", ["pass"]) => "everything else required passes".to_owned(),
        ("tco", ["fail"]) => "cost fails".to_owned(),
        (area, ["fail"]) => format!("{area} fails"),
        (fact, values) => format!("{} is {}", fact.replace('_', " "), values.join(" or ")),
    };
    rule.when.iter().map(one).collect::<Vec<_>>().join(" and ")
}

/// From which target to which.
pub(crate) fn from_to(mv: &MoveReport) -> String {
    let candidate = mv.candidate.as_ref().map_or("no candidate", |target| &target.name);
    format!("{} → {candidate}", mv.baseline.name)
}

/// The same with their models.
pub(crate) fn targets(mv: &MoveReport) -> String {
    let one = |target: &TargetFacts| match target.model.as_str() {
        "" => format!("`{}`, which the config has no more", target.name),
        model => format!("`{}` ({model} at {})", target.name, target.provider),
    };
    let candidate = mv.candidate.as_ref().map_or_else(|| "no candidate is named".to_owned(), &one);
    if mv.switched {
        return format!("Before {} → today {candidate}", one(&mv.baseline));
    }
    format!("Today {} → candidate {candidate}", one(&mv.baseline))
}

/// What the report is of, and when.
pub(crate) fn made(report: &Report) -> String {
    format!("{} · crossfade {} · evidence {}", moment(report.at_us), report.version, &report.evidence[..16])
}

/// What the command line changed of the scorecard; empty where it changed nothing.
pub(crate) fn set(report: &Report) -> String {
    let of = |words: &str, is_looser: bool| {
        let texts: Vec<&str> =
            report.set.iter().filter(|one| one.is_looser == is_looser).map(|one| one.text.as_str()).collect();
        (!texts.is_empty()).then(|| format!("{words} on the command line: {}.", texts.join(", ")))
    };
    [of("Loosened", true), of("Set", false)].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// What is to be known of the scorecard.
pub(crate) fn aged(scorecard: &Scorecard) -> String {
    format!(
        "Evidence older than {} days is not counted. Undecided and not run never count as a pass.",
        scorecard.max_age_days
    )
}

/// A sovereignty's line.
pub(crate) fn sovereignty(mv: &MoveReport) -> String {
    let [today, after] = &mv.sovereignty;
    let one = |of: &Sovereignty, when: &str| match of.class {
        Some(class) => format!("{class} of 5 {when} ({})", of.means),
        None => format!("{when} {}", of.means),
    };
    if mv.switched {
        return format!("{}, {}", one(today, "before"), one(after, "today"));
    }
    if today == after {
        format!("{}, the same after this decision", one(today, "today"))
    } else {
        format!("{}, {}", one(today, "today"), one(after, "after"))
    }
}

/// Whom users hear today, where a rollout is on record.
pub(crate) fn live(mv: &MoveReport) -> Option<String> {
    let (live, candidate) = (mv.live.as_ref()?, mv.candidate.as_ref()?);
    if mv.switched {
        let since = if live.is_completed() { "since it completed" } else { "though that did not complete" };
        return Some(format!(
            "Live today: the route asks `{}` itself (rollout `{}`, {since}).",
            candidate.name, live.rollout
        ));
    }
    if mv.set_back {
        return Some(format!(
            "Live today: the route asks `{}` again: the rollout `{}` completed, and the config was set back since.",
            mv.baseline.name, live.rollout
        ));
    }
    Some(format!(
        "Live today: rollout `{}` at {}, {} of users' requests on `{}`.",
        live.rollout,
        live.label,
        live.share.shown(),
        candidate.name
    ))
}

/// Why a rollout stands as it does, for tables: of one that goes on how far it is, as its last step's reason speaks of the step before.
pub(crate) fn live_why(live: &Live) -> String {
    if !live.is_under_way() || live.awaits_approval() || live.gates.is_empty() {
        return live.reason.clone();
    }
    let n_passed = live.gates.iter().filter(|gate| gate.passed).count();
    let held = live.missing.first().and_then(|missing| missing.split([':', ';']).next());
    let held = held.map_or_else(String::new, |held| format!("; missing yet: {held}"));
    format!("at {} now, {n_passed} of its {} gates passed there{held}", live.place(), live.gates.len())
}

/// That the running gateway serves another config than the one this was made from.
pub(crate) fn unserved(report: &Report) -> Option<&'static str> {
    report.unserved.then_some(
        "The running gateway does not serve this config: the file was changed and not taken in, so what stands here of who answers today may be wrong. \
         First `crossfade reload`, which says why where it is refused, or put the file back; then make this report again.",
    )
}

/// How a rollout stands beside the scorecard, and what it should be: in tables.
pub(crate) fn live_result(mv: &MoveReport) -> Option<[&'static str; 2]> {
    let live = mv.live.as_ref()?;
    let word = match live.status.as_str() {
        "completed" if mv.switched => "done",
        "set back" => "set back",
        "rolled_back" => "taken back",
        "aborted" => "aborted",
        "completed" => "completed",
        "draft" => "not started",
        _ => "under way",
    };
    Some([word, "no guard breached"])
}

/// What page one's words and signs mean.
pub(crate) fn legend(scorecard: &Scorecard) -> String {
    format!(
        "[a to b] is the interval of a figure, with how sure it is beside it; of costs it is what eight of ten draws of the worksheet's uncertain figures come \
         to, the point being their median. pp: percentage points. A switch needs every required area to pass: shown at the certainty that stands beside the figure, \
         not by the figure alone; of costs a saving of {} or more has to be {} probable. {} Commands are typed beside the config, elsewhere with `--config FILE`; those of \
         `rollout` and `reload` ask the running gateway.",
        Unit::Share.shown(scorecard.tco.saving.0),
        Unit::Share.shown(scorecard.tco.certainty.0),
        aged(scorecard)
    )
}

/// `saves $50000 a month`, or what it costs more.
pub(crate) fn a_month(saved: f64) -> String {
    if saved < 0.0 {
        format!("costs {} more a month", Unit::Dollars.shown(-saved))
    } else {
        format!("saves {} a month", Unit::Dollars.shown(saved))
    }
}

/// `1 benchmark`, `4 benchmarks`.
pub(crate) fn n_of(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Why each of these does not count, every reason once.
pub(crate) fn each(refused: &[Stale]) -> String {
    const MOST: usize = 2;
    let mut whys: Vec<&str> = Vec::new();
    for one in refused {
        if !whys.contains(&one.why.as_str()) {
            whys.push(&one.why);
        }
    }
    let more = whys.len().saturating_sub(MOST);
    whys.truncate(MOST);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    whys.join("; ") + &more
}
