//! A matrix: one load over servers that were started with different settings, and what they come to beside each other.

use std::collections::BTreeMap;

use crate::cell::{Cell, CellState};
use crate::definition;
use crate::result::{BenchResult, Level};

/// The cell of its own result.
#[must_use]
pub fn cell(label: &str, settings: &BTreeMap<String, String>, result: &BenchResult) -> Cell {
    Cell {
        label: label.to_owned(),
        settings: settings.clone(),
        state: CellState::Done,
        result: Some(result.name.clone()),
        failure: None,
        is_valid: result.is_evidence(),
        ready_ms: result.plan["matrix"]["ready_ms"].as_f64(),
        slo: result.slo_verdict(),
        at_us: result.at_us,
    }
}

/// Puts the cells' results together into `head`: a level's target is its cell.
pub fn merge(head: &mut BenchResult, cells: Vec<(Cell, Option<BenchResult>)>) {
    for (cell, result) in cells {
        if let Some(failure) = &cell.failure {
            head.why.push(format!("{} failed: {failure}", cell.label));
        }
        if let Some(result) = result {
            head.slo = head.slo.or(result.slo);
            head.simulated |= result.simulated;
            head.targets.extend(result.targets);
            head.levels.extend(result.levels);
            head.found.extend(result.found);
            // A level says whose it is; what is said of the whole cell does not.
            let named = |why: String| if why.starts_with(&cell.label) { why } else { format!("{}: {why}", cell.label) };
            head.why.extend(result.why.into_iter().map(named));
        }
        head.cells.push(cell);
    }
    if !head.cells.iter().any(|cell| cell.state == CellState::Done && cell.is_valid) {
        head.invalidate("no cell has figures that are evidence".to_owned());
    }
    head.partial = head.cells.iter().any(|cell| cell.state == CellState::NotRun);
}

/// A cell in a table of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<'r> {
    /// The cell.
    pub cell: &'r Cell,
    /// The most that keeps to the objective, where it was searched.
    pub sustained: Option<f64>,
    /// The load at which the most tokens came a second.
    pub best: Option<&'r Level>,
    /// The tokens a second there, by those of the first cell that has any: 0.1 is a tenth more.
    pub against_first: Option<f64>,
}

impl Row<'_> {
    /// A latency where the most tokens came, in milliseconds.
    #[must_use]
    pub fn latency(&self, id: &str, quantile: &str) -> Option<f64> {
        self.best?.latency.get(id)?.value(quantile)
    }

    /// Milliseconds for an output token there, on the median.
    #[must_use]
    pub fn tpot_ms(&self) -> Option<f64> {
        self.latency(definition::TPOT, "p50")
    }
}

/// The cells beside each other, in the order of the file. Of a search, `best` is the load that is sustained.
#[must_use]
pub fn rows(result: &BenchResult) -> Vec<Row<'_>> {
    let rate = |level: Option<&Level>| level.and_then(|level| level.out_tok_s).filter(|rate| *rate > 0.0);
    let mut rows: Vec<Row<'_>> = result.cells.iter().map(|cell| row(result, cell)).collect();
    let first = rows.iter().find_map(|row| rate(row.best));
    for row in &mut rows {
        row.against_first = rate(row.best).zip(first).map(|(rate, first)| rate / first - 1.0);
    }
    rows
}

fn row<'r>(result: &'r BenchResult, cell: &'r Cell) -> Row<'r> {
    let found = result.found.iter().find(|found| found.target == cell.label);
    let sustained = found.and_then(|found| found.sustained);
    let levels = || result.levels_of(&cell.label).filter(|level| level.invalid.is_none() && level.n_good > 0);
    let at = |load: f64| levels().find(|level| (level.load.number() - load).abs() < 1e-9);
    let tokens = |level: &&Level| level.out_tok_s.unwrap_or_default();
    let best = match found {
        Some(_) => sustained.and_then(at),
        None => levels().max_by(|a, b| tokens(a).total_cmp(&tokens(b))),
    };
    Row { cell, sustained, best, against_first: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::tests::example;
    use crate::slo::Verdict;

    /// The example as a cell's result.
    fn result(label: &str) -> BenchResult {
        let mut result = example();
        result.targets[0].name = label.to_owned();
        result.levels.iter_mut().for_each(|level| label.clone_into(&mut level.target));
        result
    }

    #[test]
    fn cells_stand_beside_each_other_where_each_gives_the_most_tokens() {
        let (slow, mut fast) = (result("a"), result("b"));
        fast.levels.iter_mut().for_each(|level| level.out_tok_s = level.out_tok_s.map(|rate| rate * 1.5));
        let mut head = BenchResult::new("m", "matrix", 1);
        let of = |result: &BenchResult, label: &str| (cell(label, &BTreeMap::new(), result), Some(result.clone()));
        let failed =
            Cell { label: "c".into(), state: CellState::Failed, failure: Some("it ended".into()), ..Cell::default() };
        merge(&mut head, vec![of(&slow, "a"), of(&fast, "b"), (failed, None)]);
        let rows = rows(&head);
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0].best.unwrap().load.number(), 4.0);
        assert_eq!(rows[0].against_first, Some(0.0));
        assert!((rows[1].against_first.unwrap() - 0.5).abs() < 1e-9);
        assert_eq!((rows[2].best, rows[2].against_first), (None, None));
        assert!(head.why.iter().any(|why| why == "c failed: it ended"), "{:?}", head.why);
        assert_eq!((head.verdict.as_str(), head.partial), ("valid", false));
        assert_eq!(head.slo_verdict(), Some(Verdict::Pass));
    }

    #[test]
    fn a_matrix_without_a_cell_that_is_evidence_is_none_itself() {
        let mut head = BenchResult::new("m", "matrix", 1);
        merge(&mut head, vec![(Cell { label: "a".into(), ..Cell::default() }, None)]);
        assert_eq!((head.verdict.as_str(), head.partial), ("invalid", true));
    }
}
