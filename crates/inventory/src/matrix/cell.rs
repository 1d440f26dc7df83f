//! One cell: how well an alternative has what is used, and what says so.

use serde::{Deserialize, Serialize};
use wire::capability::{BackendKind, Capability, State};

use super::alternative::Candidate;
use super::effort::{Change, Effort, Risk};
use super::need::Need;
use super::probe::{Measured, Probe, Verdict};
use super::reference;

/// How well an alternative has what is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// An application notices no difference.
    Equivalent,
    /// It is there and differs.
    Degraded,
    /// Nobody measured it.
    Unproved,
    /// It is not there.
    None,
}

impl Standing {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Equivalent => "equivalent",
            Standing::Degraded => "degraded",
            Standing::Unproved => "unproved",
            Standing::None => "none",
        }
    }
}

/// What is to be done beside asking another model for vectors.
const INDEXED: &str = "what was indexed has to be embedded again by the new model: `crossfade vectors reembed`";

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The alternative.
    pub alternative: String,
    /// How well it has it.
    pub standing: Standing,
    /// What differs or is missing, or why it is unproved.
    pub how: String,
    /// Rows of the report that say so.
    pub proofs: Vec<Proof>,
    /// What is known of servers of this kind; never a proof.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected: Option<Expected>,
    /// What to do where there is none, or nobody knows, or where more than requests has to move.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workaround: Option<String>,
    /// Whether the gateway puts right all that differs.
    pub repaired: bool,
    /// What is done to the code, at most.
    pub change: Change,
    /// How much work that is.
    pub effort: Effort,
    /// What can go wrong.
    pub risk: Risk,
}

/// A row of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The capability.
    pub capability: String,
    /// What was found.
    pub verdict: Verdict,
    /// What was seen.
    pub how: String,
    /// Entries of the report it was read from.
    pub evidence: Vec<String>,
}

/// What is known of servers of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// What they do.
    pub says: String,
    /// Who says so, and when.
    pub source: String,
}

/// In which words what is used is asked for: features of one dialect are no proof for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// Chat completions, and everything with a path of its own.
    Chat,
    /// The Responses API.
    Responses,
    /// Anthropic's Messages.
    Messages,
}

impl Through {
    /// What is used, with the dialect where that is another than chat completions.
    pub(super) fn said_of(self, what: &str) -> String {
        match self {
            Through::Responses if !what.contains("Responses") => format!("{what}, in Responses"),
            Through::Messages if !what.contains("Messages") => format!("{what}, in Anthropic's Messages"),
            _ => what.to_owned(),
        }
    }

    pub(super) const fn endpoint(self) -> Option<Capability> {
        match self {
            Through::Chat => None,
            Through::Responses => Some(Capability::Responses),
            Through::Messages => Some(Capability::Messages),
        }
    }
}

/// What was found of one need, before effort and risk.
struct Found {
    standing: Standing,
    how: String,
    proofs: Vec<Proof>,
    repaired: bool,
}

impl Found {
    fn unproved(how: String) -> Found {
        Found { standing: Standing::Unproved, how, proofs: Vec::new(), repaired: false }
    }
}

/// The cell of a need at an alternative; `places` are the changes that its places ask for anyway.
pub(super) fn cell(need: &Need, through: Through, candidate: &Candidate, places: &[Change]) -> Cell {
    let found = match candidate.counted() {
        Err(why) => Found::unproved(why.to_owned()),
        Ok(_) if need.required.is_empty() => Found::unproved("`crossfade conformance` has no probe for it".to_owned()),
        Ok(probe) => judged(need, through, probe),
    };
    let Found { standing, how, proofs, repaired } = found;
    let asked = match standing {
        Standing::Equivalent => Change::Configuration,
        Standing::Degraded if repaired => Change::Configuration,
        Standing::Degraded => Change::Adjust,
        Standing::None => need.without,
        // What a vendor keeps has to be moved, whatever the other has.
        Standing::Unproved if need.keeps() => Change::Rebuild,
        Standing::Unproved => Change::Configuration,
    };
    let effort = [Change::Adjust, Change::Rewrite, Change::Rebuild].into_iter().map(|change| {
        let n = places.iter().filter(|own| asked.max(**own) == change).count();
        if n == 0 && asked < change { Effort::S } else { Effort::of(change, n) }
    });
    let effort = if places.is_empty() { Effort::somewhere(asked) } else { effort.max().unwrap_or(Effort::S) };
    let is_open = standing == Standing::None || standing == Standing::Unproved;
    // A vector of another model is none in an index of this one's, however alike the endpoints are.
    let moved = (need.id == "embeddings" && !is_open).then_some(INDEXED);
    let (least_effort, least_risk) =
        if need.id == "embeddings" { (Effort::M, Risk::Medium) } else { (Effort::S, Risk::Low) };
    Cell {
        alternative: candidate.facts.name.clone(),
        standing,
        how,
        proofs,
        expected: (standing == Standing::Unproved).then(|| expected(need, candidate)).flatten(),
        workaround: is_open.then_some(need.workaround).or(moved).map(str::to_owned),
        repaired,
        change: places.iter().copied().fold(asked, Change::max),
        effort: effort.max(least_effort),
        risk: Risk::of(standing, repaired, need.without).max(least_risk),
    }
}

/// The work of a row whose best cell it is: where nobody measured that one, no less than at those that are known to have none.
pub(super) fn effort_of(best: &Cell, cells: &[Cell]) -> Effort {
    let is_open = best.standing == Standing::Unproved;
    let none = cells.iter().filter(|cell| is_open && cell.standing == Standing::None);
    none.map(|cell| cell.effort).fold(best.effort, Effort::max)
}

fn judged(need: &Need, through: Through, probe: &Probe) -> Found {
    // The endpoint itself is a need of its own.
    let own = through.endpoint().filter(|endpoint| need.required != [*endpoint]);
    match (own, through.endpoint()) {
        (None, Some(endpoint)) if probe.verdict(endpoint) == Some(Verdict::None) => {
            translated(by_rows(&[Capability::Chat], &[], probe), probe.proof(endpoint))
        }
        (Some(endpoint), _) => match probe.verdict(endpoint) {
            Some(Verdict::None) => translated(by_rows(need.required, need.helps, probe), probe.proof(endpoint)),
            Some(Verdict::Equivalent | Verdict::Degraded) => Found::unproved(format!(
                "the probe asks for it in chat completions only, and the server has {} of its own",
                endpoint.id()
            )),
            Some(Verdict::NotMeasured) | None => {
                Found::unproved(format!("whether the server has {} was not measured", endpoint.id()))
            }
        },
        _ => by_rows(need.required, need.helps, probe),
    }
}

/// What the gateway asks for in chat completions, because the server has no such endpoint: never more than degraded.
fn translated(found: Found, endpoint: Option<Proof>) -> Found {
    const HOW: &str = "the server has no such endpoint: the gateway asks in chat completions and translates";
    let how = if found.how.is_empty() { HOW.to_owned() } else { format!("{HOW}; {}", found.how) };
    let proofs = endpoint.into_iter().chain(found.proofs).collect();
    match found.standing {
        Standing::Equivalent => Found { standing: Standing::Degraded, how, proofs, repaired: true },
        _ => Found { how, proofs, ..found },
    }
}

/// By the rows of a report: all that is required has to be measured.
fn by_rows(required: &[Capability], helps: &[Capability], probe: &Probe) -> Found {
    let (mut standing, mut repaired) = (Standing::Equivalent, true);
    let (mut told, mut proofs) = (Vec::new(), Vec::new());
    let mut open = Vec::new();
    let all = required.iter().map(|capability| (*capability, true)).chain(helps.iter().map(|one| (*one, false)));
    for (capability, is_required) in all {
        let Some(row) = probe.rows.get(&capability).filter(|row| row.verdict != Verdict::NotMeasured) else {
            open.push(capability.id());
            if is_required {
                standing = standing.max(Standing::Unproved);
            }
            continue;
        };
        proofs.extend(probe.proof(capability));
        let worse = match (row.verdict, &row.repair) {
            (Verdict::Equivalent | Verdict::NotMeasured, _) => continue,
            (Verdict::None, None) if is_required => Standing::None,
            _ => Standing::Degraded,
        };
        standing = standing.max(worse);
        repaired &= row.repair.is_some();
        told.push(sentence(capability, row));
    }
    if !open.is_empty() {
        told.push(format!("not measured: {}", open.join(", ")));
    }
    repaired &= standing == Standing::Degraded;
    Found { standing, how: told.join("; "), proofs, repaired }
}

fn sentence(capability: Capability, row: &Measured) -> String {
    let how = if row.how.is_empty() { row.verdict.as_str() } else { &row.how };
    let repair = row.repair.as_ref().map(|repair| format!(" — {repair}")).unwrap_or_default();
    format!("{}: {how}{repair}", capability.id())
}

/// What is known of servers of the alternative's kind.
fn expected(need: &Need, candidate: &Candidate) -> Option<Expected> {
    if let Some(row) = reference::of(&candidate.facts.kind, need.id) {
        return Some(row);
    }
    let kind = BackendKind::ALL.into_iter().find(|kind| kind.as_str() == candidate.facts.kind)?;
    let known = need.required.iter().chain(need.helps).filter_map(|capability| {
        let known = kind.known(*capability);
        let source = known.source?;
        (known.state != State::Unknown)
            .then(|| (format!("{} {}: {}", capability.id(), known.state.as_str(), known.how), source))
    });
    let known: Vec<_> = known.collect();
    let (_, source) = known.first()?;
    let source = format!("{}, {}", source.what, source.date);
    Some(Expected { says: known.iter().map(|(says, _)| says.as_str()).collect::<Vec<_>>().join("; "), source })
}

impl Probe {
    fn verdict(&self, capability: Capability) -> Option<Verdict> {
        self.rows.get(&capability).map(|row| row.verdict)
    }

    fn proof(&self, capability: Capability) -> Option<Proof> {
        let row = self.rows.get(&capability)?;
        Some(Proof {
            capability: capability.id().to_owned(),
            verdict: row.verdict,
            how: row.how.clone(),
            evidence: row.evidence.clone(),
        })
    }
}
