//! The rows of evidence, and the files they are written to. A file that is read and written again has the same bytes, or it is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::canonical::{Real, json};
use crate::csv;
use crate::settings::Settings;

/// The file of the settings.
pub(crate) const SETTINGS: &str = "rows/settings.json";
/// The file of recorded calls.
pub(crate) const CALLS: &str = "rows/calls.csv";
/// The file of rollouts.
pub(crate) const ROLLOUTS: &str = "rows/rollouts.json";
/// The file of filed results.
pub(crate) const FILED: &str = "rows/filed.json";

const CALL_COLUMNS: [&str; 13] = [
    "route",
    "at_us",
    "target",
    "model",
    "role",
    "streamed",
    "first_token_us",
    "duration_us",
    "input_tokens",
    "output_tokens",
    "cost_nanos",
    "failure",
    "simulated",
];
const CASE_COLUMNS: [&str; 5] = ["case", "cluster", "slices", "baseline", "candidate"];

/// Everything a report may speak of.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// What is asked.
    pub settings: Settings,
    /// Evaluation runs, one for each candidate in them.
    pub runs: Vec<Run>,
    /// Calls of the record, oldest first.
    pub calls: Vec<Call>,
    /// Rollouts.
    pub rollouts: Vec<RolloutRow>,
    /// Results filed for them.
    pub filed: Vec<FiledRow>,
    /// Texts of worksheets of costs, as `settings.worksheets` lists them.
    pub worksheets: Vec<String>,
    /// Reports of `crossfade conformance`, as they are.
    pub probes: Vec<Upload>,
    /// Matrices of `crossfade inventory matrix`, as they are.
    pub matrices: Vec<Upload>,
    /// Files of business outcomes, as they are.
    pub outcomes: Vec<Upload>,
    /// Results of benchmarks, as they are stored.
    pub benches: Vec<Upload>,
}

/// A file that somebody gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// What it was called.
    pub source: String,
    /// What it holds.
    pub text: String,
}

/// An evaluation run, as far as a candidate beside the baseline goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What is known of it.
    pub head: RunHead,
    /// Case by case.
    pub cases: Vec<CasePair>,
}

/// What is known of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunHead {
    /// Its name.
    pub run: String,
    /// When it was planned, Unix microseconds.
    pub at_us: u64,
    /// The dataset.
    pub dataset: String,
    /// Its version.
    pub version: String,
    /// The metric that decides.
    pub primary: String,
    /// What it is, in a sentence.
    pub definition: String,
    /// How much worse the candidate may be, as was said before the run.
    pub margin: Real,
    /// The smallest and the largest gain there is.
    pub range: (Real, Real),
    /// Candidates that share the chance of a wrong verdict.
    pub n_candidates: u64,
    /// Whether every answer is there.
    pub whole: bool,
    /// Why the run gives no verdict, where that does not follow from its cases.
    pub held: Option<String>,
    /// Whether any answer is made up.
    pub simulated: bool,
    /// Cases whose right answer is what a target answered in recorded traffic, by the target.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answered_by: BTreeMap<String, u64>,
    /// Who answered as baseline.
    pub baseline: Asked,
    /// Who answered as candidate.
    pub candidate: Asked,
}

/// A target as a run asked it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// Its provider.
    pub provider: String,
    /// Its model.
    pub model: String,
    /// Hash of everything that made its answers.
    pub fingerprint: String,
}

/// What both answers to a case are worth, the larger the better; `None` where one has no number.
#[derive(Debug, Clone, PartialEq)]
pub struct CasePair {
    /// Its id.
    pub case: String,
    /// What makes it dependent on others.
    pub cluster: Option<String>,
    /// Where it belongs.
    pub slices: BTreeMap<String, String>,
    /// The baseline's.
    pub baseline: Option<f64>,
    /// The candidate's.
    pub candidate: Option<f64>,
}

/// A recorded call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The route of its request.
    pub route: String,
    /// When the request came, Unix microseconds.
    pub at_us: u64,
    /// Who was called.
    pub target: String,
    /// The model that was asked for.
    pub model: String,
    /// Whether it was a copy for comparison, not for a caller.
    pub is_shadow: bool,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// When its first token came, microseconds after the call.
    pub first_token_us: Option<u64>,
    /// How long it took, microseconds.
    pub duration_us: Option<u64>,
    /// Tokens that went in.
    pub input_tokens: Option<u64>,
    /// Tokens that came out.
    pub output_tokens: Option<u64>,
    /// What it cost, billionths of a dollar.
    pub cost_nanos: Option<u64>,
    /// Why it failed.
    pub failure: Option<String>,
    /// Whether the answer is made up.
    pub simulated: bool,
}

/// A rollout as the store has it. The texts of JSON are kept as they are, so that what they say can be computed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutRow {
    /// Its name.
    pub name: String,
    /// Its route.
    pub route: String,
    /// Hash of both targets when its evidence began.
    pub fingerprint: String,
    /// The same of the config now; `None` where the config has no such rollout.
    pub fingerprint_now: Option<String>,
    /// Whether either target is made up.
    pub simulated: bool,
    /// Its state.
    pub state_json: String,
    /// Its policy.
    pub policy_json: String,
    /// The evidence of its epoch.
    pub evidence_json: Option<String>,
}

/// A result that was filed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiledRow {
    /// For which rollout.
    pub rollout: String,
    /// What kind.
    pub kind: String,
    /// Which.
    pub name: String,
    /// Whether it was a pass.
    pub passed: bool,
    /// When it was found, Unix microseconds.
    pub at_us: u64,
    /// What tells which report it is from.
    pub digest: String,
    /// How many cases it covered.
    pub n: u64,
    /// Who filed it.
    pub actor: String,
    /// What was said of it.
    pub note: String,
    /// Hash of both targets of the rollout when it was filed, where that was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// Why files are no rows.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// One is missing.
    #[error("`{0}` is missing")]
    Missing(String),
    /// One is not as reports write it.
    #[error("`{file}` cannot be read: {why}")]
    Unreadable {
        /// Which.
        file: String,
        /// Why.
        why: String,
    },
}

/// The name of a file by its place among those of its kind.
type NameOf = fn(usize) -> String;

/// Files by their names.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

impl Rows {
    /// The file of the cases of a run.
    pub(crate) fn run_file(idx: usize) -> String {
        format!("rows/eval-{:03}.csv", idx + 1)
    }

    /// The file of a report of conformance.
    pub(crate) fn probe_file(idx: usize) -> String {
        format!("rows/conformance-{:03}.json", idx + 1)
    }

    /// The file of a matrix.
    pub(crate) fn matrix_file(idx: usize) -> String {
        format!("rows/matrix-{:03}.json", idx + 1)
    }

    /// The file of business outcomes.
    pub(crate) fn outcome_file(idx: usize) -> String {
        format!("rows/outcomes-{:03}.csv", idx + 1)
    }

    /// The file of a benchmark.
    pub(crate) fn bench_file(idx: usize) -> String {
        format!("rows/bench-{:03}.json", idx + 1)
    }

    /// All of it as files.
    pub(crate) fn files(&self) -> Files {
        let mut files = Files::new();
        files.insert(SETTINGS.to_owned(), json(&self.settings));
        let heads: Vec<&RunHead> = self.runs.iter().map(|run| &run.head).collect();
        files.insert("rows/eval.json".to_owned(), json(&heads));
        for (idx, run) in self.runs.iter().enumerate() {
            files.insert(Rows::run_file(idx), cases_text(&run.cases).into_bytes());
        }
        files.insert(CALLS.to_owned(), calls_text(&self.calls).into_bytes());
        files.insert(ROLLOUTS.to_owned(), json(&self.rollouts));
        files.insert(FILED.to_owned(), json(&self.filed));
        for (idx, text) in self.worksheets.iter().enumerate() {
            files.insert(Settings::worksheet_file(idx), text.clone().into_bytes());
        }
        let mut sources: BTreeMap<String, String> = BTreeMap::new();
        let groups = [
            (&self.probes, Rows::probe_file as NameOf),
            (&self.matrices, Rows::matrix_file),
            (&self.outcomes, Rows::outcome_file),
            (&self.benches, Rows::bench_file),
        ];
        for (uploads, name) in groups {
            for (idx, upload) in uploads.iter().enumerate() {
                files.insert(name(idx), upload.text.clone().into_bytes());
                sources.insert(name(idx), upload.source.clone());
            }
        }
        files.insert("rows/sources.json".to_owned(), json(&sources));
        files
    }

    /// Reads what [`files`](Rows::files) wrote; whatever else there is stays unread.
    ///
    /// # Errors
    /// When a file is missing or is not as reports write it.
    pub(crate) fn read(files: &Files) -> Result<Rows, RowsError> {
        let settings: Settings = parsed(files, SETTINGS)?;
        let heads: Vec<RunHead> = parsed(files, "rows/eval.json")?;
        let runs = heads.into_iter().enumerate().map(|(idx, head)| {
            let file = Rows::run_file(idx);
            Ok(Run { head, cases: table(files, &file, CASE_COLUMNS, case)? })
        });
        let runs = runs.collect::<Result<_, RowsError>>()?;
        let worksheets = (0..settings.worksheets.len()).map(|idx| text(files, &Settings::worksheet_file(idx)));
        let worksheets = worksheets.map(|text| Ok(text?.to_owned())).collect::<Result<_, RowsError>>()?;
        let sources: BTreeMap<String, String> = parsed(files, "rows/sources.json")?;
        let uploads = |name: fn(usize) -> String| {
            let files_of = (0..).map(name).take_while(|file| sources.contains_key(file));
            let one =
                |file: String| Ok(Upload { source: sources[&file].clone(), text: text(files, &file)?.to_owned() });
            files_of.map(one).collect::<Result<Vec<_>, RowsError>>()
        };
        Ok(Rows {
            runs,
            calls: table(files, CALLS, CALL_COLUMNS, call)?,
            rollouts: parsed(files, ROLLOUTS)?,
            filed: parsed(files, FILED)?,
            worksheets,
            probes: uploads(Rows::probe_file)?,
            matrices: uploads(Rows::matrix_file)?,
            outcomes: uploads(Rows::outcome_file)?,
            benches: uploads(Rows::bench_file)?,
            settings,
        })
    }
}

fn unreadable(file: &str, why: impl ToString) -> RowsError {
    RowsError::Unreadable { file: file.to_owned(), why: why.to_string() }
}

fn text<'f>(files: &'f Files, file: &str) -> Result<&'f str, RowsError> {
    let bytes = files.get(file).ok_or_else(|| RowsError::Missing(file.to_owned()))?;
    std::str::from_utf8(bytes).map_err(|error| unreadable(file, error))
}

fn parsed<T: serde::de::DeserializeOwned>(files: &Files, file: &str) -> Result<T, RowsError> {
    serde_json::from_str(text(files, file)?).map_err(|error| unreadable(file, error))
}

fn table<T, const N: usize>(
    files: &Files,
    file: &str,
    columns: [&str; N],
    read: fn(&[String]) -> Option<T>,
) -> Result<Vec<T>, RowsError> {
    let mut rows = csv::rows(text(files, file)?).map_err(|why| unreadable(file, why))?.into_iter();
    if rows.next().is_none_or(|(_, headings)| headings != columns) {
        return Err(unreadable(file, format!("its first line is not `{}`", columns.join(","))));
    }
    let one = |(line, cells): (usize, Vec<String>)| {
        let row = (cells.len() == N).then(|| read(&cells)).flatten();
        row.ok_or_else(|| unreadable(file, format!("line {line} is no row of it")))
    };
    rows.map(one).collect()
}

fn optional(value: Option<u64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn cases_text(cases: &[CasePair]) -> String {
    let number = |value: Option<f64>| value.map(|value| Real(value).to_string()).unwrap_or_default();
    let mut text = csv::line(&CASE_COLUMNS);
    for case in cases {
        // A map of texts always serialises.
        let slices = serde_json::to_string(&case.slices).unwrap_or_default();
        let cluster = case.cluster.clone().unwrap_or_default();
        text += &csv::line(&[&case.case, &cluster, &slices, &number(case.baseline), &number(case.candidate)]);
    }
    text
}

fn case(cells: &[String]) -> Option<CasePair> {
    let number = |cell: &String| match cell.as_str() {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    };
    Some(CasePair {
        case: cells[0].clone(),
        cluster: Some(cells[1].clone()).filter(|cluster| !cluster.is_empty()),
        slices: serde_json::from_str(&cells[2]).ok()?,
        baseline: number(&cells[3])?,
        candidate: number(&cells[4])?,
    })
}

fn calls_text(calls: &[Call]) -> String {
    let mut text = csv::line(&CALL_COLUMNS);
    let truth = |value: bool| if value { "1" } else { "0" };
    for call in calls {
        text += &csv::line(&[
            &call.route,
            &call.at_us.to_string(),
            &call.target,
            &call.model,
            if call.is_shadow { "shadow" } else { "live" },
            truth(call.streamed),
            &optional(call.first_token_us),
            &optional(call.duration_us),
            &optional(call.input_tokens),
            &optional(call.output_tokens),
            &optional(call.cost_nanos),
            call.failure.as_deref().unwrap_or_default(),
            truth(call.simulated),
        ]);
    }
    text
}

fn call(cells: &[String]) -> Option<Call> {
    let number = |cell: &String| match cell.as_str() {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    };
    let truth = |cell: &String| match cell.as_str() {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    };
    Some(Call {
        route: cells[0].clone(),
        at_us: cells[1].parse().ok()?,
        target: cells[2].clone(),
        model: cells[3].clone(),
        is_shadow: match cells[4].as_str() {
            "live" => false,
            "shadow" => true,
            _ => return None,
        },
        streamed: truth(&cells[5])?,
        first_token_us: number(&cells[6])?,
        duration_us: number(&cells[7])?,
        input_tokens: number(&cells[8])?,
        output_tokens: number(&cells[9])?,
        cost_nanos: number(&cells[10])?,
        failure: Some(cells[11].clone()).filter(|failure| !failure.is_empty()),
        simulated: truth(&cells[12])?,
    })
}
