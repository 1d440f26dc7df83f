//! Prompts: what is kept of them, what labels name, how versions differ, and how their golden tests went.

use std::collections::BTreeMap;

use eval::prompt::diff;
use eval::prompt::results::Row;
use eval::prompt::trial::Outcome;
use serde::{Deserialize, Serialize};
use store::{AuditRow, Database, PromptLabelRow, PromptRow};

use crate::desk::OperationError;

pub use eval::prompt::Prompt;

/// What the audit calls a run of golden tests.
const TESTED: &str = "prompt.test";
/// So many failures of a run are kept in words.
const MOST_WORDS: usize = 20;

/// Reads the text of a version: its name, and what was kept.
pub type ReadFn = Box<dyn Fn(&str, &str) -> Result<Prompt, String> + Send + Sync>;

/// One prompt, in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// How many versions are kept.
    pub versions: u64,
    /// When the last of them was kept, Unix microseconds.
    pub kept_at_us: u64,
    /// What each label names now.
    pub labels: BTreeMap<String, String>,
    /// The last run of its golden tests.
    pub tested: Option<Tested>,
}

/// How the golden tests of a version went with one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// The version.
    pub version: String,
    /// The target.
    pub target: String,
    /// The variant; none where the target was asked the form for all.
    pub variant: Option<String>,
    /// How many passed.
    pub passed: u64,
    /// How many failed.
    pub failed: u64,
    /// How many were not measured.
    pub unscored: u64,
    /// Whether any answer was made up.
    pub simulated: bool,
    /// The first that failed or were not measured, and why.
    pub words: Vec<(String, String)>,
    /// When, Unix microseconds; the audit says it.
    #[serde(default)]
    pub at_us: u64,
}

/// One prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// Its name.
    pub name: String,
    /// The versions that are kept, the newest first.
    pub versions: Vec<PromptRow>,
    /// What its labels name and named, the newest first.
    pub labels: Vec<PromptLabelRow>,
    /// Runs of its golden tests, the newest first.
    pub tested: Vec<Tested>,
}

impl View {
    /// The version of this hash, of the beginning of one, or that a label names.
    #[must_use]
    pub fn version(&self, wanted: &str) -> Option<&PromptRow> {
        let named = self.labels.iter().find(|row| row.label == wanted).map(|row| row.version.as_str());
        let wanted = named.unwrap_or(wanted);
        let mut found = self.versions.iter().filter(|row| !wanted.is_empty() && row.version.starts_with(wanted));
        found.next().filter(|_| found.next().is_none())
    }
}

/// Prompts in the order of their names: a page, behind this name.
///
/// # Errors
/// When the store cannot be read.
pub fn list(database: &Database, (after, limit): (&str, u32)) -> Result<Vec<Line>, OperationError> {
    let reading = |source| OperationError::Store { doing: "list prompts", source };
    let names = database.prompt_names(after, limit).map_err(reading)?;
    let line = |(name, versions, kept_at_us): (String, u64, u64)| {
        let mut labels = BTreeMap::new();
        for row in database.prompt_labels(&name).map_err(reading)? {
            labels.entry(row.label).or_insert(row.version);
        }
        let tested = tested(database, &name, 1)?.pop();
        Ok(Line { name, versions, kept_at_us, labels, tested })
    };
    names.into_iter().map(line).collect()
}

/// One of them.
///
/// # Errors
/// When no version of it is kept, or the store cannot be read.
pub fn show(database: &Database, name: &str) -> Result<View, OperationError> {
    let reading = |source| OperationError::Store { doing: "read a prompt", source };
    let versions = database.prompt_versions(name).map_err(reading)?;
    if versions.is_empty() {
        return Err(OperationError::NotFound(format!(
            "no version of a prompt `{name}` is kept; `crossfade prompts label {name} production` keeps the one in its file"
        )));
    }
    let labels = database.prompt_labels(name).map_err(reading)?;
    Ok(View { name: name.to_owned(), versions, labels, tested: tested(database, name, 50)? })
}

/// What is other in one version than in another, with three lines around it; what `crossfade prompts diff` shows.
#[must_use]
pub fn difference(old: &PromptRow, new: &PromptRow) -> String {
    diff::text(&old.text, &new.text, 3)
}

/// The last runs of a prompt's golden tests.
fn tested(database: &Database, name: &str, limit: u32) -> Result<Vec<Tested>, OperationError> {
    let reading = |source| OperationError::Store { doing: "read how golden tests went", source };
    let rows = database.audit_page(Some(&format!("prompt:{name}")), None, limit.max(50)).map_err(reading)?;
    let run = |(_, row): (u64, AuditRow)| {
        let tested: Tested = serde_json::from_str(&row.detail_json).ok().filter(|_| row.action == TESTED)?;
        Some(Tested { at_us: row.at_us, ..tested })
    };
    Ok(rows.into_iter().filter_map(run).take(limit as usize).collect())
}

/// Writes down how golden tests went: an audit row for each prompt, target and variant.
///
/// # Errors
/// When the store refuses.
pub fn note(database: &Database, (actor, at_us): (&str, u64), rows: &[Row]) -> Result<(), OperationError> {
    let mut runs: BTreeMap<(&str, &str, Option<&str>), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        runs.entry((&row.prompt, &row.target, row.variant.as_deref())).or_default().push(row);
    }
    for ((prompt, target, variant), rows) in runs {
        let count = |of: fn(&Outcome) -> bool| rows.iter().filter(|row| of(&row.outcome)).count() as u64;
        let tested = Tested {
            version: rows.first().map(|row| row.version.clone()).unwrap_or_default(),
            target: target.to_owned(),
            variant: variant.map(str::to_owned),
            passed: count(|outcome| *outcome == Outcome::Passed),
            failed: count(|outcome| matches!(outcome, Outcome::Failed { .. })),
            unscored: count(|outcome| matches!(outcome, Outcome::Unscored { .. })),
            simulated: rows.iter().any(|row| row.simulated),
            words: rows
                .iter()
                .filter(|row| row.outcome != Outcome::Passed)
                .take(MOST_WORDS)
                .map(|row| (row.test.clone(), row.outcome.words()))
                .collect(),
            at_us,
        };
        let detail = |error: serde_json::Error| OperationError::Unavailable(error.to_string());
        let audit = AuditRow {
            at_us,
            actor: actor.to_owned(),
            action: TESTED.to_owned(),
            subject: format!("prompt:{prompt}"),
            reason: format!("asked {target}"),
            detail_json: serde_json::to_string(&tested).map_err(detail)?,
        };
        let noting = |source| OperationError::Store { doing: "write down how golden tests went", source };
        database.note(&audit).map_err(noting)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(database: &Database, version: &str, at_us: u64) {
        let row = PromptRow {
            name: "support".to_owned(),
            version: version.to_owned(),
            at_us,
            actor: "ana".to_owned(),
            text: format!("text of {version}\n"),
        };
        assert!(database.keep_prompt(&row).unwrap());
    }

    #[test]
    fn a_prompt_is_shown_with_its_versions_its_labels_and_how_its_tests_went() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(directory.path().join("crossfade.db")).unwrap();
        assert!(list(&database, ("", 10)).unwrap().is_empty());
        assert!(matches!(show(&database, "support"), Err(OperationError::NotFound(_))));
        kept(&database, "aa1", 1);
        kept(&database, "ab2", 2);
        let row = |test: &str, outcome| Row {
            prompt: "support".to_owned(),
            version: "ab2".to_owned(),
            target: "qwen".to_owned(),
            variant: None,
            test: test.to_owned(),
            repeat: 1,
            outcome,
            answer: String::new(),
            latency_ms: 1,
            simulated: true,
        };
        let rows = [row("one", Outcome::Passed), row("two", Outcome::Unscored { why: "no answer".to_owned() })];
        note(&database, ("ana", 7), &rows).unwrap();
        let view = show(&database, "support").unwrap();
        assert_eq!(view.versions.len(), 2);
        assert_eq!(view.version("aa").map(|row| row.version.as_str()), Some("aa1"));
        assert!(view.version("a").is_none() && view.version("").is_none());
        let [tested] = view.tested.as_slice() else { panic!("{:?}", view.tested) };
        assert_eq!((tested.passed, tested.failed, tested.unscored, tested.at_us), (1, 0, 1, 7));
        assert_eq!(tested.words, [("two".to_owned(), "no answer".to_owned())]);
        assert_eq!(list(&database, ("", 10)).unwrap()[0].tested.as_ref(), Some(tested));
        assert!(difference(&view.versions[1], &view.versions[0]).contains("+text of ab2"));
    }
}
