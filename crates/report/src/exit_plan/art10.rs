//! What Art. 10 of Delegated Regulation (EU) 2024/1773 asks of an exit plan, item by item, in our own words: where the plan has it, by what
//! evidence, or that it is missing. Whether that is enough is for a lawyer with the text of the Official Journal.

use serde::Serialize;

use super::facts::{Leaving, Trigger, day};
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

pub(super) fn items(of: &Leaving, sections: &[Section]) -> Vec<Item> {
    let said = of.said();
    let place = |title: &str| sections.iter().find(|section| section.title == title).map_or(0, |found| found.number);
    let item = |asks, title: &str, evidence: Option<String>, supply: String| Item {
        asks,
        section: place(title),
        supply: evidence.is_none().then_some(supply),
        evidence,
    };
    let trigger = |trigger: &Trigger| Some(format!("{}; {} decides", trigger.when.clone()?, trigger.decides.clone()?));
    let contract = &said.contract;
    let drill = super::way::drill_command(of);
    vec![
        item(
            "a documented plan for this contract",
            "Contract and notice dates",
            contract
                .vendor
                .clone()
                .zip(contract.reference.clone())
                .map(|(with, called)| format!("{called} with {with}")),
            of.worksheet("contract"),
        ),
        item(
            "reviewed periodically",
            "Assumptions and review",
            parts::review_due(of).filter(|due| *due >= of.today()).map(|due| format!("next by {due}")),
            of.worksheet("review"),
        ),
        item("tested periodically", "Rehearsals and their findings", tested(of), drill.clone()),
        item(
            "takes into account unforeseen and persistent interruptions",
            "Triggers",
            trigger(&said.interruption),
            of.worksheet("triggers.interruption"),
        ),
        item(
            "takes into account inappropriate or failed service",
            "Triggers",
            trigger(&said.failed_delivery),
            of.worksheet("triggers.failed_delivery"),
        ),
        item(
            "takes into account an unexpected end of the contract",
            "Triggers",
            trigger(&said.termination),
            of.worksheet("triggers.termination"),
        ),
        item(
            "realistic",
            "Alternative and measured parity",
            proofs::passes(of, Area::Quality).map(|found| found.because.clone()),
            "an evaluation that passes: `crossfade eval run`".to_owned(),
        ),
        item(
            "feasible",
            "Capacity",
            feasible(of),
            format!("a benchmark that passes (`crossfade bench run`), and {drill}"),
        ),
        item(
            "plausible scenarios",
            "The way back",
            scenarios(of),
            "`crossfade rollout drill NAME --kind error`".to_owned(),
        ),
        item(
            "reasonable assumptions",
            "Assumptions and review",
            (!said.assumptions.is_empty()).then(|| format!("stated: {}", said.assumptions.len())),
            of.worksheet("assumptions"),
        ),
        item(
            "a planned schedule of its implementation",
            "Runbook",
            schedule_days(of)
                .filter(|_| passed(of))
                .map(|days| format!("{days} days, with measured times of the switch")),
            format!("{} and {drill}", of.worksheet("schedule")),
        ),
        item(
            "a schedule that fits the terms of exit and termination",
            "Contract and notice dates",
            fits(of),
            misfit(of),
        ),
    ]
}

fn passed(of: &Leaving) -> bool {
    of.last_drill().is_some_and(|drill| drill.verdict.as_deref() == Some("pass"))
}

/// The last rehearsal that came to a verdict, if it is young enough. One that failed was a test too.
fn tested(of: &Leaving) -> Option<String> {
    let last = of.last_drill()?;
    let age = of.at_us.saturating_sub(last.at_us) / 86_400_000_000;
    let most = of.said().review.every_days.unwrap_or(A_YEAR);
    let simulated = if last.simulated { ", SIMULATED" } else { "" };
    (age <= most).then(|| format!("{} on {}{simulated}", last.verdict.as_deref().unwrap_or_default(), day(last.at_us)))
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
    let (days, allowed) = (schedule_days(of)?, allowed_days(of)?);
    (days <= allowed).then(|| format!("{days} days of the {allowed} that notice and transition leave"))
}

fn misfit(of: &Leaving) -> String {
    match (schedule_days(of), allowed_days(of)) {
        (Some(days), Some(allowed)) if days > allowed => {
            format!("a shorter schedule, or other terms: it takes {days} days and the contract leaves {allowed}")
        }
        _ => format!("{} and {}", of.worksheet("schedule"), of.worksheet("contract")),
    }
}
