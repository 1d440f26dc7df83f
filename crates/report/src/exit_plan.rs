//! The exit plan of a route: how its vendor is left, with what was measured of it. [`exit_plan`] is a pure function of [`Leaving`]: nothing is
//! in it that a measurement, the record or a person's worksheet did not say, and what nobody said is listed as missing, with what would
//! supply it.

mod art10;
mod facts;
mod forms;
mod parts;
mod proofs;
#[cfg(test)]
mod tests;
mod way;

use serde::Serialize;

pub use art10::Item;
pub use facts::{
    Contract, DrillCheck, DrillPart, DrillProbes, DrillWay, ExitDrill, ExportFacts, Leaving, MatrixAlternative,
    MatrixCell, MatrixProbe, MatrixRow, People, RECORD_ALONE, Replacements, Residual, Review, Telling, Trigger,
};

/// The format of the plan as JSON.
const FORMAT: &str = "crossfade-exit-plan/1";

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExitPlan {
    /// How to read it.
    pub format: &'static str,
    /// The version that made it.
    pub version: String,
    /// When, Unix microseconds.
    pub at_us: u64,
    /// The route.
    pub route: String,
    /// What it comes to, in a sentence.
    pub headline: String,
    /// Whether any of its evidence is made up.
    pub simulated: bool,
    /// Whether the last drill failed.
    pub drill_failed: bool,
    /// Section by section.
    pub sections: Vec<Section>,
    /// What Art. 10 asks, and where it is.
    pub items: Vec<Item>,
}

/// A section.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Section {
    /// Its number, from 1.
    pub number: usize,
    /// What it is called.
    pub title: &'static str,
    /// What it says.
    pub blocks: Vec<Block>,
    /// What it would say, did anybody know.
    pub missing: Vec<Missing>,
}

/// A piece of a section.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// A sentence or two.
    Says(String),
    /// One line after the other.
    List(Vec<String>),
    /// A table.
    Table {
        /// Its headings.
        headings: Vec<&'static str>,
        /// Its rows.
        rows: Vec<Vec<String>>,
    },
}

/// What is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// What.
    pub what: String,
    /// What would supply it.
    pub supply: String,
}

impl Section {
    fn new(title: &'static str) -> Section {
        Section { number: 0, title, blocks: Vec::new(), missing: Vec::new() }
    }

    fn says(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Says(text.into()));
    }

    fn list(&mut self, lines: Vec<String>) {
        if !lines.is_empty() {
            self.blocks.push(Block::List(lines));
        }
    }

    fn table(&mut self, headings: &[&'static str], rows: Vec<Vec<String>>) {
        if !rows.is_empty() {
            self.blocks.push(Block::Table { headings: headings.to_vec(), rows });
        }
    }

    fn lacks(&mut self, what: impl Into<String>, supply: impl Into<String>) {
        self.missing.push(Missing { what: what.into(), supply: supply.into() });
    }
}

impl ExitPlan {
    /// Everything that is missing, with the number of its section.
    pub fn missing(&self) -> impl Iterator<Item = (usize, &Missing)> {
        self.sections.iter().flat_map(|section| section.missing.iter().map(|missing| (section.number, missing)))
    }

    /// The plan as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        forms::markdown(self)
    }

    /// The plan as a page that needs nothing else, for screen and print.
    #[must_use]
    pub fn html(&self) -> String {
        forms::html(self)
    }
}

/// Makes the plan. The same facts give the same plan.
#[must_use]
pub fn exit_plan(of: &Leaving) -> ExitPlan {
    let mut sections = vec![
        parts::scope(of),
        parts::contract(of),
        parts::triggers(of),
        proofs::parity(of),
        proofs::capacity(of),
        proofs::replacements(of),
        way::runbook(of),
        way::rollback(of),
        way::data(of),
        proofs::cost(of),
        parts::communication(of),
        way::residual(of),
        way::tests(of),
        parts::review(of),
    ];
    for (idx, section) in sections.iter_mut().enumerate() {
        section.number = idx + 1;
    }
    let items = art10::items(of, &sections);
    let n_missing = sections.iter().map(|section| section.missing.len()).sum::<usize>();
    let last = of.last_drill();
    ExitPlan {
        format: FORMAT,
        version: of.version.clone(),
        at_us: of.at_us,
        route: of.mv.route.clone(),
        headline: headline(of, n_missing, &items),
        simulated: of.mv.simulated || last.is_some_and(|drill| drill.simulated),
        drill_failed: last.is_some_and(|drill| drill.verdict.as_deref() == Some("fail")),
        sections,
        items,
    }
}

fn headline(of: &Leaving, n_missing: usize, items: &[Item]) -> String {
    let (route, to) = (&of.mv.route, of.to().map_or("no alternative", |target| &target.name));
    let drilled = match of.last_drill() {
        None => match of.drills.iter().find(|drill| of.to().is_some_and(|to| to.name == drill.to)) {
            Some(drill) => format!("rehearsed on {}, which came to no verdict", facts::day(drill.at_us)),
            None => "it was never rehearsed".to_owned(),
        },
        Some(drill) => {
            let switched = drill.there.time_to_switch_ms.map_or_else(String::new, |ms| {
                format!(", the switch took {}, {}", facts::ms(ms), drill.away.failures())
            });
            let verdict = drill.verdict.as_deref().unwrap_or("undecided");
            let simulated = if drill.simulated { "SIMULATED, " } else { "" };
            format!("last rehearsed on {} ({simulated}{verdict}{switched})", facts::day(drill.at_us))
        }
    };
    let n_met = items.iter().filter(|item| item.evidence.is_some()).count();
    let missing = match n_missing {
        0 => "nothing is missing".to_owned(),
        1 => "one thing is missing".to_owned(),
        n => format!("{n} things are missing"),
    };
    format!(
        "Leaving `{}` with route `{route}` for `{to}`: {drilled}. {n_met} of {} items of Art. 10 have their evidence; {missing}.",
        of.mv.baseline.name,
        items.len()
    )
}
