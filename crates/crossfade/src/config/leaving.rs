//! A worksheet of an exit plan: what only people know of a vendor, read like the config. `unknown`, or nothing, is not known.

use cost::date::Date;
use report::{Contract, People, Residual, Review, Telling, Trigger};

use super::error::ConfigError;
use super::reader::{Item, Section};
use super::with_root;

/// The first member says what it is.
const FORMAT: &str = "crossfade-exit/1";
const UNKNOWN: &str = "unknown";

/// Reads it.
///
/// # Errors
/// Every problem found, in the order of the file.
pub(crate) fn exit_worksheet(source_name: &str, text: &str) -> Result<People, Vec<ConfigError>> {
    let environment = |name: &str| std::env::var(name).ok();
    // Without people there was a problem, and so no way to here.
    with_root(source_name, text, &environment, read)?.ok_or_else(Vec::new)
}

fn read(root: Section<'_>) -> Option<People> {
    let Some(item) = root.get("worksheet") else {
        let hint = "`crossfade exit plan ROUTE --init` writes one to fill in";
        let message = format!("this is no worksheet of an exit plan: one has the line `worksheet: {FORMAT}`");
        root.note(message, Some(hint.to_owned()));
        return None;
    };
    item.parsed(&format!("`{FORMAT}`, the format of this file"), |text| (text == FORMAT).then_some(()));
    let (contract, owners, triggers) = (root.section("contract"), root.section("owners"), root.section("triggers"));
    let (schedule, review) = (root.section("schedule"), root.section("review"));
    let people = People {
        contract: Contract {
            vendor: text(&contract, "vendor"),
            reference: text(&contract, "reference"),
            ends: date(&contract, "ends"),
            notice_days: number(&contract, "notice_days"),
            transition_days: number(&contract, "transition_days"),
            deletion_days: number(&contract, "deletion_days"),
        },
        business_owner: text(&owners, "business"),
        technical_owner: text(&owners, "technical"),
        approver: text(&owners, "approver"),
        function: text(&root, "function"),
        criticality: text(&root, "criticality"),
        interruption: trigger(&triggers, "interruption"),
        failed_delivery: trigger(&triggers, "failed_delivery"),
        termination: trigger(&triggers, "termination"),
        decide_hours: number(&schedule, "decide_hours"),
        decommission_days: number(&schedule, "decommission_days"),
        communication: list(&root, "communication", telling),
        assumptions: list(&root, "assumptions", |item| item.string().map(|written| written.value)),
        residual: list(&root, "residual", residual),
        review: Review {
            every_days: number(&review, "every_days"),
            last: date(&review, "last"),
            by: text(&review, "by"),
        },
    };
    for section in [contract, owners, triggers, schedule, review, root] {
        section.finish();
    }
    Some(people)
}

/// What is known of a key.
fn known<'a>(section: &Section<'a>, key: &'static str) -> Option<Item<'a>> {
    section.get(key).filter(|item| !item.is_nothing())
}

fn text(section: &Section<'_>, key: &'static str) -> Option<String> {
    let written = known(section, key)?.string()?.value;
    (written.trim() != UNKNOWN && !written.trim().is_empty()).then_some(written)
}

fn number(section: &Section<'_>, key: &'static str) -> Option<u64> {
    let read = |text: &str| if text == UNKNOWN { Some(None) } else { text.parse().ok().map(Some) };
    known(section, key)?.parsed("a whole number, or `unknown`", read)?
}

fn date(section: &Section<'_>, key: &'static str) -> Option<Date> {
    let read = |text: &str| if text == UNKNOWN { Some(None) } else { Date::parse(text).map(Some) };
    known(section, key)?.parsed("a day such as 2027-06-30, or `unknown`", read)?
}

fn trigger(section: &Section<'_>, key: &'static str) -> Trigger {
    let section = section.section(key);
    let trigger = Trigger { when: text(&section, "when"), decides: text(&section, "decides") };
    section.finish();
    trigger
}

fn list<T>(section: &Section<'_>, key: &'static str, read: impl Fn(&Item<'_>) -> Option<T>) -> Vec<T> {
    let Some(item) = known(section, key) else { return Vec::new() };
    if !item.is_list() && !item.is_map() {
        item.parsed("a list, or `unknown`", |text| (text == UNKNOWN).then_some(()));
        return Vec::new();
    }
    item.list("lines").unwrap_or_default().iter().filter_map(read).collect()
}

/// A text that has to be there.
fn needed(section: &Section<'_>, key: &'static str) -> Option<String> {
    section.need(key)?.string().map(|written| written.value)
}

fn telling(item: &Item<'_>) -> Option<Telling> {
    let section = item.section()?;
    let (who, how, by) = (needed(&section, "who"), needed(&section, "how"), needed(&section, "by"));
    section.finish();
    Some(Telling { who: who?, how: how?, by: by? })
}

fn residual(item: &Item<'_>) -> Option<Residual> {
    let section = item.section()?;
    let (what, why) = (needed(&section, "what"), needed(&section, "why"));
    section.finish();
    Some(Residual { what: what?, why: why? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILLED: &str = "worksheet: crossfade-exit/1\nfunction: answers to customers\ncontract: { vendor: Example, reference: C-1, \
        ends: 2027-06-30, notice_days: 90, transition_days: unknown }\ntriggers: { interruption: { when: 4 h down, decides: the CIO } }\n\
        schedule: { decide_hours: 4 }\ncommunication: [{ who: users, how: status page within 1 h, by: support }]\n\
        assumptions: [the alternative's GPUs stand]\nresidual: unknown\n";

    #[test]
    fn what_people_wrote_is_read_and_what_they_do_not_know_is_nothing() {
        let people = exit_worksheet("exit.yaml", FILLED).unwrap();
        assert_eq!(people.contract.ends.map(|ends| ends.to_string()).as_deref(), Some("2027-06-30"));
        assert_eq!((people.contract.notice_days, people.contract.transition_days), (Some(90), None));
        assert_eq!(people.interruption.decides.as_deref(), Some("the CIO"));
        assert_eq!((people.communication.len(), people.assumptions.len(), people.residual.len()), (1, 1, 0));
        assert_eq!((people.decide_hours, people.decommission_days, people.business_owner), (Some(4), None, None));
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_the_nearest_word() {
        let check = |from: &str, to: &str| {
            let errors = exit_worksheet("exit.yaml", &FILLED.replace(from, to)).unwrap_err();
            super::super::render(&errors)
        };
        assert!(check("notice_days: 90", "notice_day: 90").contains("`notice_days`"));
        assert!(check("notice_days: 90", "notice_days: three").contains("a whole number, or `unknown`"));
        assert!(check("2027-06-30", "June").contains("a day such as"));
        assert!(check(", by: support", "").contains("`by` is missing"));
        assert!(check("worksheet: crossfade-exit/1", "name: x").contains("--init"));
    }
}
