//! Sections of what people say: scope, contract, triggers, communication, review.

use std::collections::BTreeSet;

use cost::date::Date;

use super::facts::{Leaving, Trigger};
use super::{Section, facts};
use crate::settings::TargetFacts;
use crate::words::moment;

fn or_unknown(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(|| "not known".to_owned())
}

/// Lines of a table of what people know; what they did not say is missing.
fn known(section: &mut Section, of: &Leaving, lines: &[(&'static str, &'static str, Option<String>)]) {
    for (what, key, value) in lines {
        if value.is_none() {
            section.lacks(*what, of.worksheet(key));
        }
    }
    let row = |(what, _, value): &(&'static str, &'static str, Option<String>)| {
        vec![(*what).to_owned(), or_unknown(value.as_ref())]
    };
    section.table(&["", ""], lines.iter().map(row).collect());
}

pub(super) fn scope(of: &Leaving) -> Section {
    let mut section = Section::new("Scope and owners");
    let target = |target: &TargetFacts| {
        let whose = match (target.simulated, target.external) {
            (true, _) => "its answers are made up",
            (false, true) => "outside the house",
            (false, false) => "inside the house",
        };
        format!("`{}`: {} at {} ({}, {whose})", target.name, target.model, target.provider, target.class)
    };
    let to = of.to().map_or_else(|| "none is named".to_owned(), target);
    section.says(format!(
        "Route `{}` of workload `{}`. Today {}. Alternative {to}.",
        of.mv.route,
        of.mv.workload,
        target(&of.mv.baseline)
    ));
    if of.to().is_none() {
        section.lacks("an alternative", "`--to TARGET`, or a rollout or a fallback of the route in the config");
    }
    match of.recorded {
        Some(load) => section.says(format!(
            "On record: {} requests from {} to {}, {} in the busiest minute.",
            load.requests,
            moment(load.first_us),
            moment(load.last_us),
            load.peak_per_minute
        )),
        None => section.lacks("who calls it, and how much", "traffic through the gateway (`crossfade serve`)"),
    }
    let rows = of.replacements.iter().flat_map(|matrix| &matrix.rows);
    let owners: BTreeSet<&str> = rows.flat_map(|row| &row.owners).map(String::as_str).collect();
    if !owners.is_empty() {
        let owners: Vec<&str> = owners.into_iter().collect();
        section.says(format!("The code that uses the vendor is owned by {}.", owners.join(", ")));
    }
    let said = of.said();
    known(
        &mut section,
        of,
        &[
            ("business function", "function", said.function),
            ("critical or important", "criticality", said.criticality),
            ("owner, business", "owners.business", said.business_owner),
            ("owner, technical", "owners.technical", said.technical_owner),
            ("decides", "owners.approver", said.approver),
        ],
    );
    section
}

pub(super) fn contract(of: &Leaving) -> Section {
    let mut section = Section::new("Contract and notice dates");
    let contract = of.said().contract;
    let days = |days: Option<u64>| days.map(|days| format!("{days} days"));
    known(
        &mut section,
        of,
        &[
            ("vendor", "contract.vendor", contract.vendor.clone()),
            ("reference", "contract.reference", contract.reference.clone()),
            ("ends", "contract.ends", contract.ends.map(|ends| ends.to_string())),
            ("notice", "contract.notice_days", days(contract.notice_days)),
            ("served on after the end", "contract.transition_days", days(contract.transition_days)),
            ("data deleted and certified within", "contract.deletion_days", days(contract.deletion_days)),
        ],
    );
    if let Some(ended) = ended(of) {
        section.lacks(format!("a contract that is in force: this one ended on {ended}"), of.worksheet("contract.ends"));
    } else if let (Some(ends), Some(notice)) = (contract.ends, contract.notice_days) {
        let last = Date(ends.0.saturating_sub(i64::try_from(notice).unwrap_or(i64::MAX)));
        let left = last.0 - of.today().0;
        section.says(match left {
            0.. => format!("Notice for the end on {ends} must be given by {last}: {left} days from now."),
            _ => format!("Notice for the end on {ends} was due by {last}, {} days ago.", -left),
        });
    }
    section
}

/// The day the contract ended, where that is over.
pub(super) fn ended(of: &Leaving) -> Option<Date> {
    of.said().contract.ends.filter(|ends| *ends < of.today())
}

pub(super) fn triggers(of: &Leaving) -> Section {
    let mut section = Section::new("Triggers");
    let said = of.said();
    let all = [
        ("unforeseen and persistent interruption", "interruption", &said.interruption),
        ("service not as agreed, or failed", "failed_delivery", &said.failed_delivery),
        ("the contract ends unexpectedly", "termination", &said.termination),
    ];
    let row = |(what, _, trigger): &(&'static str, &'static str, &Trigger)| {
        vec![(*what).to_owned(), or_unknown(trigger.when.as_ref()), or_unknown(trigger.decides.as_ref())]
    };
    section.table(&["scenario", "when", "who decides"], all.iter().map(row).collect());
    for (what, key, trigger) in all {
        if trigger.when.is_none() || trigger.decides.is_none() {
            section.lacks(format!("{what}: when, and who decides"), of.worksheet(&format!("triggers.{key}")));
        }
    }
    section.says(
        "The gateway sees the first two by itself: breakers, guards and the probe of the baseline, as `crossfade alerts` tells them.",
    );
    section
}

pub(super) fn communication(of: &Leaving) -> Section {
    let mut section = Section::new("Communication");
    let said = of.said();
    let rows = said.communication.iter().map(|it| vec![it.who.clone(), it.how.clone(), it.by.clone()]);
    section.table(&["who is told", "how, and by when", "by whom"], rows.collect());
    if said.communication.is_empty() {
        section.lacks("who is told, how and by whom", of.worksheet("communication"));
    }
    section
}

pub(super) fn review(of: &Leaving) -> Section {
    let mut section = Section::new("Assumptions and review");
    let said = of.said();
    section.list(said.assumptions.clone());
    if said.assumptions.is_empty() {
        section.lacks("what is assumed", of.worksheet("assumptions"));
    }
    let review = said.review;
    known(
        &mut section,
        of,
        &[
            ("read again every", "review.every_days", review.every_days.map(|days| format!("{days} days"))),
            ("last read", "review.last", review.last.map(|day| day.to_string())),
            ("by", "review.by", review.by),
        ],
    );
    if let Some(last) = review.last.filter(|last| *last > of.today()) {
        section.lacks(format!("a review: the last one is of {last}, a day to come"), of.worksheet("review.last"));
    }
    if let Some(due) = review_due(of).filter(|due| *due < of.today()) {
        section.lacks(format!("a review: it was due on {due}"), of.worksheet("review.last"));
    }
    section.says(format!("Made on {} by crossfade {}.", facts::day(of.at_us), of.version));
    section
}

/// The day the plan is to be read again; `None` where the last review is still to come.
pub(super) fn review_due(of: &Leaving) -> Option<Date> {
    let review = of.said().review;
    let every = i64::try_from(review.every_days?).ok()?;
    let last = review.last.filter(|last| *last <= of.today())?;
    Some(Date(last.0.saturating_add(every)))
}
