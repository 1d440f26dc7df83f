//! One server with its settings, as a matrix has it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::slo::Verdict;

/// How far a cell came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellState {
    /// It was measured.
    Done,
    /// It could not be.
    Failed,
    /// Nobody came to it yet.
    #[default]
    NotRun,
}

impl CellState {
    /// The word in results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            CellState::Done => "done",
            CellState::Failed => "failed",
            CellState::NotRun => "not run",
        }
    }
}

/// One server with its settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Its settings in one line; levels and searches have it as their `target`.
    pub label: String,
    /// Its settings by name.
    pub settings: BTreeMap<String, String>,
    /// How far it came.
    pub state: CellState,
    /// What its own result is called in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Whether its client kept up: figures of a cell that is not valid are no evidence.
    pub is_valid: bool,
    /// From the start command to the first whole answer, in milliseconds, where the server was started here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_ms: Option<f64>,
    /// What its levels say of the objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<Verdict>,
    /// When it was measured, Unix microseconds.
    pub at_us: u64,
}

/// What the cells say of the objective: one that keeps to it is enough, and all must be shown to miss it for a failure.
#[must_use]
pub fn verdict(cells: &[Cell]) -> Verdict {
    let of = |wanted: Verdict| cells.iter().filter(|cell| cell.is_valid).any(|cell| cell.slo == Some(wanted));
    let is_whole = cells.iter().all(|cell| cell.state == CellState::Done && cell.is_valid);
    if of(Verdict::Pass) {
        Verdict::Pass
    } else if is_whole && !of(Verdict::Undecided) {
        Verdict::Fail
    } else {
        Verdict::Undecided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(label: &str, slo: Option<Verdict>) -> Cell {
        Cell { label: label.to_owned(), state: CellState::Done, is_valid: true, slo, ..Cell::default() }
    }

    #[test]
    fn one_cell_that_keeps_to_the_objective_is_enough_and_all_must_miss_it_for_a_failure() {
        let all = |verdicts: &[Verdict]| verdict(&verdicts.iter().map(|v| cell("a", Some(*v))).collect::<Vec<_>>());
        assert_eq!(all(&[Verdict::Fail, Verdict::Pass]), Verdict::Pass);
        assert_eq!(all(&[Verdict::Fail, Verdict::Fail]), Verdict::Fail);
        assert_eq!(all(&[Verdict::Fail, Verdict::Undecided]), Verdict::Undecided);
        let failed = Cell { state: CellState::Failed, is_valid: false, ..cell("b", None) };
        assert_eq!(verdict(&[cell("a", Some(Verdict::Fail)), failed.clone()]), Verdict::Undecided);
        // What is no evidence passes nothing.
        let lagged = Cell { is_valid: false, ..cell("c", Some(Verdict::Pass)) };
        assert_eq!(verdict(&[lagged, failed]), Verdict::Undecided);
    }
}
