//! What a study comes to, with its odds, and its facts for programs: a tree for JSON, and one row a figure for a spreadsheet.

use serde_json::{Value, json};

use super::book::{Book, Cell, Provenance};
use super::odds::{Draw, Odds, odds};
use super::scenario::Scenario;
use super::study::{LineItem, Study};

/// The format of the facts.
pub const FORMAT: &str = "crossfade-tco-result/1";

/// Figures that are shown first, by their names.
pub const FIGURES: [&str; 12] = [
    "saving.share",
    "saving.per_month",
    "delta.per_task",
    "delta.share",
    "even.month",
    "even.volume",
    "even.volume_tokens",
    "even.first_pass",
    "even.review_hour",
    "even.review",
    "one_off",
    "present_worth",
];

/// A study with every figure and the odds.
#[derive(Debug, Clone)]
pub struct Costed {
    /// The study's name; of an example it says so.
    pub name: String,
    /// Whether its figures are an example's, and so no evidence.
    pub example: bool,
    /// The day of its worksheet.
    pub date: crate::date::Date,
    /// The baseline's and the candidate's name.
    pub sides: [String; 2],
    /// Months looked at.
    pub months: u32,
    /// Every figure.
    pub book: Book,
    /// How sure one can be; `None` while figures it needs are unknown.
    pub odds: Option<Odds>,
    /// What becomes of it when prices and volumes go another way.
    pub scenarios: Vec<Scenario>,
}

impl Costed {
    /// A study whose figures are in `book`, with its odds.
    #[must_use]
    pub fn new(study: &Study, book: Book, draw: Draw) -> Costed {
        Costed {
            name: if study.example { format!("EXAMPLE · {}", study.name) } else { study.name.clone() },
            example: study.example,
            date: study.date,
            sides: [study.baseline.name.clone(), study.candidate.name.clone()],
            months: study.months,
            odds: odds(&book, draw),
            scenarios: Vec::new(),
            book,
        }
    }

    /// The same with its scenarios.
    #[must_use]
    pub fn with_scenarios(self, scenarios: Vec<Scenario>) -> Costed {
        Costed { scenarios, ..self }
    }

    /// A side's cell of this name: `cell(0, "total")`.
    #[must_use]
    pub fn cell(&self, side: usize, name: &str) -> Option<&Cell> {
        self.book.find(&format!("{}.{name}", super::model::SIDES[side & 1]))
    }

    /// Both sides' cells of a line item.
    #[must_use]
    pub fn item(&self, item: LineItem) -> [Option<&Cell>; 2] {
        [0, 1].map(|side| self.cell(side, &format!("item.{}", item.as_str())))
    }

    /// The figures of a month, from 1: `month(3, "baseline_paid")`.
    #[must_use]
    pub fn month(&self, month: u32, name: &str) -> Option<&Cell> {
        self.book.find(&format!("month_{month:03}.{name}"))
    }

    /// How many figures that are known are from where.
    #[must_use]
    pub fn n_from(&self, provenance: Provenance) -> usize {
        let is_known = |cell: &&Cell| cell.value.is_some() || provenance == Provenance::Derived;
        self.book.cells().iter().filter(is_known).filter(|cell| cell.source.provenance == provenance).count()
    }

    /// The same facts as a tree.
    #[must_use]
    pub fn facts(&self) -> Value {
        let side = |idx: usize| {
            let value = |name: &str| self.cell(idx, name).map(value);
            json!({
                "name": self.sides[idx & 1],
                "total_per_month": value("total"),
                "cost_per_successful_task": value("cost_per_successful_task"),
                "cost_per_attempt": value("cost_per_attempt"),
                "cost_per_accepted_answer": value("cost_per_accepted_answer"),
            })
        };
        let item = |item: &LineItem| {
            let [baseline, candidate] = self
                .item(*item)
                .map(|cell| cell.map(|cell| json!({ "per_month": value(cell), "evidence": cell.source.evidence })));
            json!({ "item": item.as_str(), "baseline": baseline, "candidate": candidate })
        };
        let figures = FIGURES.iter().map(|id| ((*id).to_owned(), self.book.find(id).map_or(Value::Null, value)));
        json!({
            "format": FORMAT,
            "study": self.name,
            "example": self.example,
            "date": self.date.to_string(),
            "verdict": self.odds.as_ref().map(|odds| odds.verdict),
            "baseline": side(0),
            "candidate": side(1),
            "figures": figures.collect::<serde_json::Map<_, _>>(),
            "items": LineItem::ALL.iter().map(item).collect::<Vec<_>>(),
            "odds": self.odds,
            "scenarios": self.scenarios.iter().map(scenario).collect::<Vec<_>>(),
            "unknown": self.book.unknown().map(asked).collect::<Vec<_>>(),
            "cells": self.book.cells().iter().map(cell).collect::<Vec<_>>(),
        })
    }

    /// One row a figure.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = "id,label,unit,value,provenance,date,evidence,spread,formula,evidence_id\n".to_owned();
        for cell in self.book.cells() {
            let (evidence, formula) = match cell.formula {
                Some(_) => ("", cell.source.evidence.as_str()),
                None => (cell.source.evidence.as_str(), ""),
            };
            let fields = [
                cell.id.clone(),
                cell.label.clone(),
                cell.unit.to_owned(),
                cell.shown().unwrap_or_default(),
                cell.source.provenance.as_str().to_owned(),
                cell.source.date.to_string(),
                evidence.to_owned(),
                cell.spread.as_deref().map(super::Spread::words).unwrap_or_default(),
                formula.to_owned(),
                cell.source.id.clone(),
            ];
            text += &fields.map(|field| quoted(&field)).join(",");
            text.push('\n');
        }
        text
    }
}

/// A field as RFC 4180 has it. A text that a spreadsheet would take for a formula gets an apostrophe first; a number does not.
pub(super) fn quoted(field: &str) -> String {
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']) && field.parse::<f64>().is_err();
    let field = if is_formula { format!("'{field}") } else { field.to_owned() };
    if field.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}

fn value(cell: &Cell) -> Value {
    cell.value.as_ref().map_or(Value::Null, |value| json!(value.to_f64()))
}

fn scenario(scenario: &Scenario) -> Value {
    let number = |value: &Option<super::Exact>| value.as_ref().map(super::Exact::to_f64);
    let changes = scenario.changes.iter().map(|(id, value)| (id.clone(), json!(value.to_f64())));
    json!({
        "scenario": scenario.name,
        "changes": changes.collect::<serde_json::Map<_, _>>(),
        "saving_share": number(&scenario.saving),
        "saved_over_horizon": number(&scenario.saved),
        "present_worth": number(&scenario.present_worth),
        "even_month": number(&scenario.month),
    })
}

fn asked(cell: &Cell) -> Value {
    json!({ "id": cell.id, "label": cell.label, "unit": cell.unit, "line": cell.line, "place": cell.place() })
}

fn cell(cell: &Cell) -> Value {
    json!({
        "id": cell.id,
        "label": cell.label,
        "unit": cell.unit,
        "value": value(cell),
        "shown": cell.shown(),
        "provenance": cell.source.provenance.as_str(),
        "date": cell.source.date.to_string(),
        "evidence": cell.source.evidence,
        "evidence_id": cell.source.id,
        "spread": cell.spread.as_deref().map(super::Spread::words),
        "is_formula": cell.formula.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tco::samples::{support, uncertain};
    use crate::tco::{model, samples::of};

    fn costed(study: &Study) -> Costed {
        Costed::new(study, model(study), Draw { draws: 500, seed: 1 })
    }

    #[test]
    fn the_facts_have_every_item_twice_and_every_figure_once() {
        let facts = costed(&uncertain()).facts();
        assert_eq!(facts["baseline"]["cost_per_successful_task"], 0.125_497_25);
        assert_eq!(facts["items"].as_array().unwrap().len(), LineItem::ALL.len());
        assert_eq!(facts["items"][1]["baseline"]["evidence"], "0 because there are no machines");
        assert_eq!(facts["verdict"], "undecided");
        assert!(facts["cells"].as_array().unwrap().iter().all(|cell| cell["date"] == "2026-11-26"));
        assert!(FIGURES.iter().all(|id| costed(&uncertain()).book.find(id).is_some()));
    }

    #[test]
    fn an_unknown_is_null_and_asked_for() {
        let mut study = support(of("0.9"));
        study.tasks.value = None;
        let facts = costed(&study).facts();
        assert_eq!(facts["unknown"][0]["id"], "tasks_per_month");
        assert_eq!((&facts["odds"], &facts["baseline"]["total_per_month"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn a_row_is_a_figure_and_no_text_is_a_formula() {
        let mut study = support(of("0.9"));
        study.tasks.source.evidence = "=HYPERLINK(\"x\"), said \"she\"".to_owned();
        let csv = costed(&study).csv();
        let row = csv.lines().nth(1).unwrap();
        assert_eq!(
            row,
            "tasks_per_month,Tasks in a month,tasks/month,1200000,assumed,2026-11-26,\"'=HYPERLINK(\"\"x\"\"), said \"\"she\"\"\",,,answers:w"
        );
        let total = csv.lines().find(|line| line.starts_with("baseline.total,")).unwrap();
        assert!(total.starts_with("baseline.total,Everything,$/month,150596.70,derived,2026-11-26,,,"), "{total}");
    }
}
