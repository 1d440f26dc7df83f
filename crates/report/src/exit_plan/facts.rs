//! What a plan is made of.

use cost::date::Date;
use serde::Deserialize;

use crate::report::MoveReport;
use crate::rows::FiledRow;
use crate::settings::{RecordedLoad, TargetFacts};

/// Everything a plan may speak of.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaving {
    /// The version that makes it.
    pub version: String,
    /// When, Unix microseconds.
    pub at_us: u64,
    /// What the decision report found of the route's move to the alternative.
    pub mv: MoveReport,
    /// What came in on the route.
    pub recorded: Option<RecordedLoad>,
    /// Where what only people know was read from, and what they said; `None` where there is no worksheet.
    pub people: Option<(String, People)>,
    /// Exit drills of the route, newest first.
    pub drills: Vec<ExitDrill>,
    /// Drills of rollouts to the alternative, newest first.
    pub filed: Vec<FiledRow>,
    /// An export of the vendor's data.
    pub export: Option<ExportFacts>,
    /// What replaces what.
    pub replacements: Option<Replacements>,
}

impl Leaving {
    /// The alternative.
    pub(super) fn to(&self) -> Option<&TargetFacts> {
        self.mv.candidate.as_ref()
    }

    /// The newest drill to the alternative that came to a verdict.
    pub(super) fn last_drill(&self) -> Option<&ExitDrill> {
        let to = self.to().map(|target| target.name.as_str());
        let is_verdict = |drill: &&ExitDrill| matches!(drill.verdict.as_deref(), Some("pass" | "fail"));
        self.drills.iter().filter(is_verdict).find(|drill| Some(drill.to.as_str()) == to)
    }

    /// What people said; nothing where there is no worksheet.
    pub(super) fn said(&self) -> People {
        self.people.as_ref().map(|(_, people)| people.clone()).unwrap_or_default()
    }

    /// What people would write where.
    pub(super) fn worksheet(&self, key: &str) -> String {
        match &self.people {
            Some((file, _)) => format!("`{key}` in {file}"),
            None => format!("`{key}` in the worksheet that `crossfade exit plan {} --init` writes", self.mv.route),
        }
    }

    /// The day it is made.
    pub(super) fn today(&self) -> Date {
        date(self.at_us)
    }
}

/// What only people know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    /// The contract.
    pub contract: Contract,
    /// Who answers for the business function.
    pub business_owner: Option<String>,
    /// Who carries it out.
    pub technical_owner: Option<String>,
    /// Who decides that it is time.
    pub approver: Option<String>,
    /// The function that the route serves.
    pub function: Option<String>,
    /// Whether that is critical or important, and why.
    pub criticality: Option<String>,
    /// Unforeseen and persistent interruptions.
    pub interruption: Trigger,
    /// Service that is not as agreed, or fails.
    pub failed_delivery: Trigger,
    /// A contract that ends unexpectedly.
    pub termination: Trigger,
    /// Hours from a trigger to the decision.
    pub decide_hours: Option<u64>,
    /// Days until the last of the vendor is gone: keys, data, code.
    pub decommission_days: Option<u64>,
    /// Who is told.
    pub communication: Vec<Telling>,
    /// What is taken to be so.
    pub assumptions: Vec<String>,
    /// What stays behind.
    pub residual: Vec<Residual>,
    /// How often it is read again.
    pub review: Review,
}

/// A contract.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contract {
    /// With whom.
    pub vendor: Option<String>,
    /// What it is called.
    pub reference: Option<String>,
    /// The day it ends, if nobody does anything.
    pub ends: Option<Date>,
    /// Days of notice.
    pub notice_days: Option<u64>,
    /// Days for which the vendor goes on serving once it was ended.
    pub transition_days: Option<u64>,
    /// Days within which the vendor deletes what it holds, and says so.
    pub deletion_days: Option<u64>,
}

/// What starts an exit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trigger {
    /// When.
    pub when: Option<String>,
    /// Who decides.
    pub decides: Option<String>,
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// Who.
    pub who: String,
    /// How, and by when.
    pub how: String,
    /// Who tells them.
    pub by: String,
}

/// Something that stays behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residual {
    /// What.
    pub what: String,
    /// Why, and until when.
    pub why: String,
}

/// How often a plan is read again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Review {
    /// Every so many days.
    pub every_days: Option<u64>,
    /// The last time.
    pub last: Option<Date>,
    /// By whom.
    pub by: Option<String>,
}

/// An exit drill, as the audit keeps it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ExitDrill {
    /// The route's own target then.
    pub from: String,
    /// The alternative.
    pub to: String,
    /// Whether either answered made-up answers.
    pub simulated: bool,
    /// Who began it.
    pub actor: String,
    /// When, Unix microseconds.
    pub at_us: u64,
    /// `pass`, `fail` or `undecided`.
    pub verdict: Option<String>,
    /// Why traffic went back.
    pub way_back: Option<String>,
    /// The way to the alternative.
    pub there: DrillWay,
    /// The way back.
    pub home: DrillWay,
    /// How long traffic was away, milliseconds.
    pub away_ms: Option<f64>,
    /// What came before.
    pub before: DrillPart,
    /// What came while it was away.
    pub away: DrillPart,
    /// What was found of the alternative meanwhile.
    pub probes: Option<DrillProbes>,
    /// What had to hold.
    #[serde(default)]
    pub checks: Vec<DrillCheck>,
    /// SHA-256 of the report in the audit.
    #[serde(skip)]
    pub digest: String,
}

/// One way of a drill, in milliseconds from the order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct DrillWay {
    /// The time to switch.
    pub time_to_switch_ms: Option<f64>,
}

/// Requests of a part of a drill.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct DrillPart {
    /// How many.
    pub requests: u64,
    /// Of these, the drill's own.
    pub own: u64,
    /// Answered by the alternative.
    pub by_alternative: u64,
    /// Answered by another one because the alternative failed.
    pub fell_back: u64,
    /// Answers to callers that failed.
    pub failed: u64,
    /// Could not be moved.
    pub stayed: u64,
    /// Half of the answers took longer, milliseconds.
    pub median_ms: Option<f64>,
    /// One in twenty did.
    pub p95_ms: Option<f64>,
}

impl DrillPart {
    /// How many failed: for callers, and at the alternative where another one saved them.
    pub(super) fn failures(&self) -> String {
        match self.fell_back {
            0 => format!("{} of {} requests failed", self.failed, self.requests),
            saved => format!(
                "callers failed {} of {}; the alternative failed {}",
                self.failed,
                self.requests,
                saved + self.failed
            ),
        }
    }
}

/// What the probes of a drill found.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct DrillProbes {
    /// Golden tests that passed.
    pub golden_passed: u64,
    /// Those that did not.
    pub golden_failed: Vec<String>,
    /// Capabilities that are there.
    #[serde(default)]
    pub capabilities_there: u64,
    /// Essential capabilities that are not there.
    pub essential_missing: Vec<String>,
    /// The drop-in score.
    pub score: Option<f64>,
}

/// Something that had to hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DrillCheck {
    /// What.
    pub what: String,
    /// What was measured.
    pub measured: String,
    /// What it must be.
    pub target: String,
    /// Whether it is.
    pub holds: bool,
}

/// The source of an export that holds what Crossfade recorded, and nothing of a vendor.
pub const RECORD_ALONE: &str = "the record alone";

/// An export's manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportFacts {
    /// Where it is.
    pub directory: String,
    /// Whose data it holds: a vendor's address, or [`RECORD_ALONE`].
    pub source: String,
    /// Whether nothing was left to fetch.
    pub complete: bool,
    /// Whether there is a signature.
    pub signed: bool,
    /// Objects and bytes by collection.
    pub collections: Vec<(String, u64, u64)>,
    /// How many files, and their bytes.
    pub files: (u64, u64),
    /// How many things the vendor refused to give out.
    pub n_refused: u64,
    /// What its API has no way for, and what to do about it.
    pub not_given: Vec<(String, String)>,
    /// SHA-256 of the manifest.
    pub digest: String,
}

/// A replacement matrix, as far as a plan shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Replacements {
    /// The day it was made.
    pub date: String,
    /// What it comes to.
    pub headline: String,
    /// What was looked through, by name.
    #[serde(default)]
    pub of: Vec<String>,
    /// What it was measured against.
    #[serde(default)]
    pub alternatives: Vec<MatrixAlternative>,
    /// What is used.
    pub rows: Vec<MatrixRow>,
}

/// What might take over, as the matrix knew it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MatrixAlternative {
    /// What it is called.
    pub name: String,
    /// Its provider; empty where no config named it.
    #[serde(default)]
    pub provider: String,
    /// Its model.
    #[serde(default)]
    pub model: String,
    /// Whether it is a kind of server, and no server.
    #[serde(default)]
    pub reference: bool,
    /// The report behind its cells.
    #[serde(default)]
    pub probe: Option<MatrixProbe>,
}

/// A report that cells of a matrix are from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MatrixProbe {
    /// The file.
    pub source: String,
}

impl MatrixAlternative {
    /// What it is, and what says so.
    pub(super) fn words(&self) -> String {
        let model = if self.model.is_empty() { String::new() } else { format!(", {}", self.model) };
        let provider = if self.provider.is_empty() { String::new() } else { format!(" at {}", self.provider) };
        let proof = match &self.probe {
            Some(probe) => format!("by {}", probe.source),
            None if self.reference => "a kind of server, and no server".to_owned(),
            None => "not measured".to_owned(),
        };
        format!("`{}`{model}{provider} ({proof})", self.name)
    }
}

impl Replacements {
    /// How the target that takes over is another than the one that the matrix was measured against; none where it is the same.
    pub(super) fn differs(&self, to: &TargetFacts) -> Option<String> {
        let name = &to.name;
        let Some(own) = self.alternatives.iter().find(|own| own.name == *name) else {
            return Some(format!(
                "the matrix was not made with `{name}`, so that nothing in it is about where this route goes"
            ));
        };
        let other = |what: &str, then: &str, now: &str| {
            let differs = !then.is_empty() && then != now;
            differs.then(|| {
                format!("the matrix knew `{name}` with the {what} {then}, which is {now} in the config of this plan")
            })
        };
        other("model", &own.model, &to.model).or_else(|| other("provider", &own.provider, &to.provider))
    }
}

/// A row of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MatrixRow {
    /// What is used.
    pub what: String,
    /// Requests on record.
    pub requests: u64,
    /// The alternative that is best.
    pub best: Option<String>,
    /// How well it has it: `equivalent`, `degraded`, `none`, `unproved`.
    pub standing: String,
    /// How much work it is.
    pub effort: String,
    /// What it risks.
    pub risk: String,
    /// Who owns the code that uses it.
    #[serde(default)]
    pub owners: Vec<String>,
    /// How well each alternative has it.
    #[serde(default)]
    pub cells: Vec<MatrixCell>,
}

/// How well an alternative has what is used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MatrixCell {
    /// The alternative.
    pub alternative: String,
    /// As of its row.
    pub standing: String,
    /// Whether the gateway puts right all that differs.
    #[serde(default)]
    pub repaired: bool,
    /// How much work it is.
    pub effort: String,
    /// What it risks.
    pub risk: String,
}

impl MatrixRow {
    /// The alternative to name, and its risk: the plan's own where it is as good as the best.
    pub(super) fn named(&self, to: Option<&TargetFacts>) -> (Option<&str>, &str) {
        let cell = |name: &str| self.cells.iter().find(|cell| cell.alternative == name);
        let best = self.best.as_deref();
        let rank = |cell: &MatrixCell| (cell.standing.clone(), cell.repaired, cell.effort.clone());
        let own = to.and_then(|to| cell(&to.name));
        match (own, best.and_then(cell)) {
            (Some(own), Some(found)) if rank(own) == rank(found) => (Some(&own.alternative), &own.risk),
            _ => (best, &self.risk),
        }
    }
}

/// `2026-11-26`.
pub(super) fn day(us: u64) -> String {
    date(us).to_string()
}

pub(super) fn date(us: u64) -> Date {
    Date(i64::try_from(us / 86_400_000_000).unwrap_or(0))
}

/// Milliseconds for people.
pub(super) fn ms(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1e3),
    }
}
