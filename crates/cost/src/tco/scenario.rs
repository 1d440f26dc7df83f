//! What becomes of a study when prices and volumes go another way: tokens of a task that grow month by month, vendor prices that fall or rise, fewer
//! tasks. A scenario is some figures with other values; everything else is as it is.

use std::collections::BTreeMap;

use super::book::Book;
use super::exact::Exact;
use super::model::{WhatIfError, what_if};
use super::study::{Attempt, Study};

/// A scenario and what it comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What happens.
    pub name: String,
    /// Figures that are other, with their values.
    pub changes: BTreeMap<String, Exact>,
    /// What is saved of a successful task, as a share of the baseline's cost, in the first month.
    pub saving: Option<Exact>,
    /// Dollars saved over the horizon, the change itself taken off.
    pub saved: Option<Exact>,
    /// The same at today's worth.
    pub present_worth: Option<Exact>,
    /// The month in which the change has paid for itself; 0 for none within the horizon.
    pub month: Option<Exact>,
}

/// The scenarios of a study, each on top of what is asked of it anyway: first as it stands, then those everybody should look at, then its own.
///
/// # Errors
/// When a scenario of the study changes what is no input of it, with the scenario's name.
pub fn scenarios(study: &Study, asked: &BTreeMap<String, Exact>) -> Result<Vec<Scenario>, (String, WhatIfError)> {
    let mut all = vec![("as it stands".to_owned(), BTreeMap::new())];
    all.extend(usual(study, asked));
    all.extend(study.scenarios.iter().cloned());
    all.into_iter()
        .map(|(name, changes)| {
            let mut with = asked.clone();
            with.extend(changes.clone());
            let book = what_if(study, &with).map_err(|error| (name.clone(), error))?;
            Ok(of(&book, study.months, (name, changes)))
        })
        .collect()
}

fn of(book: &Book, months: u32, (name, changes): (String, BTreeMap<String, Exact>)) -> Scenario {
    let value = |id: &str| book.value(id).cloned();
    let paid = |side: &str| value(&format!("month_{months:03}.{side}_paid"));
    let saved = paid("baseline").zip(paid("candidate")).map(|(baseline, candidate)| &baseline - &candidate);
    let (saving, present_worth) = (value("saving.share"), value("present_worth"));
    Scenario { name, changes, saving, saved, present_worth, month: value("even.month") }
}

/// What everybody should look at: the vendor's prices one way and the other, tokens that grow, and half the tasks. One that the study says already
/// is not said again.
fn usual(study: &Study, asked: &BTreeMap<String, Exact>) -> Vec<(String, BTreeMap<String, Exact>)> {
    let share = |text: &str| Exact::parse(text);
    let sides = [("baseline", &study.baseline), ("candidate", &study.candidate)];
    let priced = sides.iter().filter(|(_, side)| !matches!(side.attempt, Attempt::Nothing(_)));
    let vendors: Vec<String> = priced.map(|(name, _)| format!("{name}.price_change")).collect();
    let all = |value: &Option<Exact>| -> BTreeMap<String, Exact> {
        vendors.iter().filter_map(|id| Some((id.clone(), value.clone()?))).collect()
    };
    let (cheaper, dearer, more) = (share("-0.03"), share("0.02"), share("0.03"));
    let mut usual = vec![
        ("vendor prices fall 3 % a month".to_owned(), all(&cheaper)),
        ("vendor prices rise 2 % a month".to_owned(), all(&dearer)),
    ];
    if let Some(more) = more {
        let tokens: BTreeMap<String, Exact> = [("growth.tokens".to_owned(), more)].into();
        let mut both = all(&cheaper);
        both.extend(tokens.clone());
        usual.push(("a task takes 3 % more tokens every month".to_owned(), tokens));
        usual.push(("the same, and vendor prices fall 3 % a month".to_owned(), both));
    }
    let tasks = asked.get("tasks_per_month").or(study.tasks.value.as_ref());
    if let Some(half) = tasks.and_then(|tasks| tasks.over(&Exact::of(2))) {
        usual.push(("half as many tasks".to_owned(), [("tasks_per_month".to_owned(), half)].into()));
    }
    usual.retain(|(_, changes)| !changes.is_empty());
    usual
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tco::samples::{of as quantity, paid_back, support};

    #[test]
    fn a_vendor_that_gets_cheaper_takes_the_saving_away() {
        let all = scenarios(&paid_back(), &BTreeMap::new()).unwrap();
        let named = |name: &str| all.iter().find(|scenario| scenario.name == name).unwrap();
        let shown = |value: &Option<Exact>| value.as_ref().unwrap().rounded(2, 2);
        // Twelve months of 50 000 less 450 000.
        assert_eq!(shown(&named("as it stands").saved), "150000.00");
        assert_eq!(shown(&named("as it stands").month), "9.00");
        // 120 000 (1 - 0.97^12) / 0.03 = 1 224 630.56 paid to the vendor, 840 000 and 450 000 for the other.
        assert_eq!(shown(&named("vendor prices fall 3 % a month").saved), "-65369.44");
        assert_eq!(shown(&named("vendor prices fall 3 % a month").month), "0.00");
        let grown = named("a task takes 3 % more tokens every month").saved.clone().unwrap();
        assert!(grown > Exact::of(150_000), "the token tax is the vendor's: {grown}");
        assert_eq!(shown(&named("half as many tasks").saved), "-570000.00");
    }

    #[test]
    fn a_scenario_of_the_worksheet_stands_beside_them_and_a_wrong_one_is_named() {
        let mut study = support(quantity("0.9"));
        let set = |id: &str| -> BTreeMap<String, Exact> { [(id.to_owned(), Exact::of(0))].into() };
        study.scenarios = vec![("nobody checks".to_owned(), set("review_hour"))];
        let all = scenarios(&study, &BTreeMap::new()).unwrap();
        assert_eq!((all.len(), all.last().unwrap().name.as_str()), (7, "nobody checks"));
        assert_ne!(all[0].saving, all[6].saving);
        study.scenarios = vec![("wrong".to_owned(), set("review_hours"))];
        let (name, error) = scenarios(&study, &BTreeMap::new()).unwrap_err();
        assert_eq!((name.as_str(), error), ("wrong", WhatIfError::NoCell("review_hours".to_owned())));
    }
}
