//! What Art. 10 of Delegated Regulation (EU) 2024/1773 asks of an exit plan, item by item, in our own words: where the plan has it, by what
//! evidence, or that it is missing. Whether that is enough is for a lawyer with the text of the Official Journal.

use serde::Serialize;

use super::facts::{Leaving, Trigger, day};
use super::way::drill_command;
use super::{Section, parts, proofs};
use crate::area::Area;

/// A rehearsal is to be no older, where the worksheet does not say how often the plan is read again.
const A_YEAR: u64 = 365;

/// An item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What is asked.
    pub asks: &'static str,
    /// The number of the section that has it.
    pub section: usize,
    /// By what evidence; `None` is missing.
    pub evidence: Option<String>,
    /// What would supply it, where it is missing.
    pub supply: Option<String>,
}

/// What is asked, in which section it is, its evidence, and what would supply it.
type Asked = (&'static str, &'static str, Option<String>, String);

pub(super) fn items(of: &Leaving, sections: &[Section]) -> Vec<Item> {
    let place = |title: &str| sections.iter().find(|section| section.title == title).map_or(0, |found| found.number);
    let item = |(asks, title, evidence, supply): Asked| {
        let supply = evidence.is_none().then_some(supply);
        Item { asks, section: place(title), evidence, supply }
    };
    of_the_plan(of).into_iter().chain(of_its_worth(of)).map(item).collect()
}

/// That there is one, that it is kept, and what it takes into account.
fn of_the_plan(of: &Leaving) -> [Asked; 6] {
    let said = of.said();
    let trigger = |asks, key: &str, trigger: &Trigger| {
        let evidence = trigger.when.clone().zip(trigger.decides.clone());
        let evidence = evidence.map(|(when, decides)| format!("{when}; {decides} decides"));
        (asks, "Triggers", evidence, of.worksheet(&format!("triggers.{key}")))
    };
    let named = said.contract.vendor.clone().zip(said.contract.reference.clone());
    let named = named.filter(|_| parts::ended(of).is_none());
    let due = parts::review_due(of).filter(|due| *due >= of.today());
    let review = "Assumptions and review";
    let (tested, untested) = tested(of);
    [
        (
            "a documented plan for this contract",
            "Contract and notice dates",
            named.map(|(with, called)| format!("{called} with {with}")),
            of.worksheet(if parts::ended(of).is_some() { "contract.ends" } else { "contract" }),
        ),
        ("reviewed periodically", review, due.map(|due| format!("next by {due}")), of.worksheet("review")),
        ("tested periodically", "Rehearsals and their findings", tested, untested),
        trigger("takes into account unforeseen and persistent interruptions", "interruption", &said.interruption),
        trigger("takes into account inappropriate or failed service", "failed_delivery", &said.failed_delivery),
        trigger("takes into account an unexpected end of the contract", "termination", &said.termination),
    ]
}

/// What it is to be.
fn of_its_worth(of: &Leaving) -> [Asked; 6] {
    let (drill, n_assumed) = (drill_command(of), of.said().assumptions.len());
    let quality = proofs::passes(of, Area::Quality).map(|found| found.because.clone());
    let schedule = schedule_days(of).filter(|_| passed(of));
    [
        (
            "realistic",
            "Alternative and measured parity",
            quality,
            "an evaluation that passes: `crossfade eval run`".to_owned(),
        ),
        ("feasible", "Capacity", feasible(of), format!("a benchmark that passes (`crossfade bench run`), and {drill}")),
        (
            "plausible scenarios",
            "The way back",
            scenarios(of),
            "`crossfade rollout drill NAME --kind error`".to_owned(),
        ),
        (
            "reasonable assumptions",
            "Assumptions and review",
            (n_assumed > 0).then(|| format!("stated: {n_assumed}")),
            of.worksheet("assumptions"),
        ),
        (
            "a planned schedule of its implementation",
            "Runbook",
            schedule.map(|days| format!("{days} days, with measured times of the switch")),
            format!("{} and {drill}", of.worksheet("schedule")),
        ),
        ("a schedule that fits the terms of exit and termination", "Contract and notice dates", fits(of), misfit(of)),
    ]
}

/// Whether the last rehearsal passed, with answers that nobody made up.
fn passed(of: &Leaving) -> bool {
    of.last_drill().is_some_and(|drill| drill.verdict.as_deref() == Some("pass") && !drill.simulated)
}

/// The last rehearsal, if it passed with the real providers and is young enough; and what is missing where it is no evidence.
fn tested(of: &Leaving) -> (Option<String>, String) {
    let command = drill_command(of);
    let Some(last) = of.last_drill() else { return (None, command) };
    let (on, verdict) = (day(last.at_us), last.verdict.as_deref().unwrap_or_default());
    let age = of.at_us.saturating_sub(last.at_us) / 86_400_000_000;
    let most = of.said().review.every_days.unwrap_or(A_YEAR);
    let why = if verdict != "pass" {
        format!("the drill of {on} did not pass: one that does")
    } else if last.simulated {
        format!("the drill of {on} was of SIMULATED providers: one with the real ones")
    } else if age > most {
        format!("the drill of {on} is {age} days old, more than {most}: another one")
    } else {
        return (Some(format!("{verdict} on {on}")), command);
    };
    (None, format!("{why}, {command}"))
}

fn feasible(of: &Leaving) -> Option<String> {
    let capacity = proofs::passes(of, Area::Throughput)?;
    let drill = of.last_drill().filter(|_| passed(of))?;
    Some(format!("{}; drill of {} passed", capacity.because, day(drill.at_us)))
}

/// A failure that was rehearsed and passed, beside the switch itself.
fn scenarios(of: &Leaving) -> Option<String> {
    let kinds: std::collections::BTreeSet<&str> =
        of.filed.iter().filter(|row| row.kind == "drill" && row.passed).map(|row| row.name.as_str()).collect();
    let failures: Vec<&str> = kinds.into_iter().filter(|kind| *kind != "exit").collect();
    (!failures.is_empty() && passed(of)).then(|| format!("rehearsed: exit, {}", failures.join(", ")))
}

/// Days from a trigger until the vendor is gone, when all that people must say is said.
fn schedule_days(of: &Leaving) -> Option<u64> {
    let said = of.said();
    Some(said.decide_hours?.div_ceil(24) + said.decommission_days?)
}

/// Days that the contract leaves.
fn allowed_days(of: &Leaving) -> Option<u64> {
    let contract = of.said().contract;
    Some(contract.notice_days? + contract.transition_days?)
}

fn fits(of: &Leaving) -> Option<String> {
    if parts::ended(of).is_some() {
        return None;
    }
    let (days, allowed) = (schedule_days(of)?, allowed_days(of)?);
    (days <= allowed).then(|| format!("{days} days of the {allowed} that notice and transition leave"))
}

fn misfit(of: &Leaving) -> String {
    if let Some(ended) = parts::ended(of) {
        return format!("a contract that is in force: this one ended on {ended}, {}", of.worksheet("contract.ends"));
    }
    match (schedule_days(of), allowed_days(of)) {
        (Some(days), Some(allowed)) if days > allowed => {
            format!("a shorter schedule, or other terms: it takes {days} days and the contract leaves {allowed}")
        }
        _ => format!("{} and {}", of.worksheet("schedule"), of.worksheet("contract")),
    }
}
