//! Indexes of vectors that the gateway serves, and their moves from one store to another. The room `vectors` is not seen from here: who wires the gateway
//! answers for it.

use govern::Role;
use serde::Serialize;
use serde_json::Value;
use store::{DatabaseError, VectorRunRow};

use crate::desk::{Actor, Desk, OperationError};

/// How the indexes stand.
pub type IndexesFn = Box<dyn Fn() -> Result<Vec<IndexView>, String> + Send + Sync>;
/// Turns the move of an index; what it says when it does not.
pub type TurnFn = Box<dyn Fn(&Turn) -> Result<(), NotTurned> + Send + Sync>;

/// How far the run of a directory is, by the journal in it.
pub type RunFn = Box<dyn Fn(&str) -> Result<RunStanding, String> + Send + Sync>;

/// A figure: its name, its mean, its 95 % interval.
pub type Figure = (String, f64, Option<(f64, f64)>);

/// One index.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IndexView {
    /// Its name.
    pub name: String,
    /// The store it is served from before a move.
    pub source: String,
    /// How far its move is, if it moves.
    pub moves: Option<MoveView>,
}

/// A move.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MoveView {
    /// The store it goes to.
    pub target: String,
    /// How far it is.
    pub mode: String,
    /// The store that answers now.
    pub answers: String,
    /// Changes that the other store does not have yet.
    pub n_waiting: u64,
    /// Changes that it refused.
    pub n_refused: u64,
    /// Why it takes none now.
    pub trouble: Option<String>,
    /// The first that it refused: row, why.
    pub refused: Vec<(String, String)>,
    /// What the queries say that were asked of both.
    pub shadow: Option<ShadowView>,
    /// Who turned it, the newest first.
    pub events: Vec<EventView>,
}

/// What the queries say that were asked of both stores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShadowView {
    /// `pass`, `fail` or `undecided`.
    pub verdict: String,
    /// Why.
    pub why: String,
    /// Queries asked of both.
    pub n_reads: u64,
    /// Queries that decide.
    pub n_needed: u64,
    /// Queries that came too fast.
    pub n_lost: u64,
    /// Queries that the target did not answer.
    pub n_failed: u64,
    /// How alike the lists are.
    pub alike: Vec<Figure>,
    /// Milliseconds of the source and of the target: half of the time, 95 of 100 times.
    pub latency_ms: [(f64, f64); 2],
}

/// Somebody turned a move.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventView {
    /// When, Unix microseconds.
    pub at_us: u64,
    /// What it was.
    pub from: String,
    /// What it became.
    pub to: String,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What it was decided by.
    pub evidence: Option<Value>,
}

/// A copy of vectors, or vectors made anew, that somebody began at the command line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunView {
    /// A later one has a higher one.
    pub number: u64,
    /// The directory of its journal.
    pub directory: String,
    /// `copy` or `reembed`.
    pub kind: String,
    /// When it was begun, Unix microseconds.
    pub at_us: u64,
    /// How far it is; else why its journal cannot be read.
    pub standing: Result<RunStanding, String>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunStanding {
    /// What is copied.
    pub source: String,
    /// Where it goes.
    pub target: String,
    /// The same with the whole path of its file, where it is known.
    pub target_at: String,
    /// `running`, `stopped` or `through`.
    pub state: String,
    /// Rows that the source said it had.
    pub n_rows: u64,
    /// Rows that the target acknowledged.
    pub n_done: u64,
    /// Rows that were put aside.
    pub n_aside: u64,
    /// Partitions that are through, and all of them.
    pub partitions: (u64, u64),
    /// The sum of the digests of what was written.
    pub digest: String,
    /// The first that were put aside: where, why.
    pub asides: Vec<(String, String)>,
    /// What was proved of it.
    pub proofs: Vec<ProofView>,
}

impl RunStanding {
    /// The proof of this kind.
    #[must_use]
    pub fn proof(&self, kind: &str) -> Option<&ProofView> {
        self.proofs.iter().find(|proof| proof.kind == kind)
    }

    /// The vector that is made anew, and the address without its name.
    #[must_use]
    pub fn plain_source(&self) -> (&str, Option<&str>) {
        let made_anew = self.source.strip_suffix("` made anew").and_then(|rest| rest.rsplit_once(" with `"));
        made_anew.map_or((self.source.as_str(), None), |(source, vector)| (source, Some(vector)))
    }

    /// Whether all of it is there and found as well as before.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        let has_passed = |kind| self.proof(kind).is_some_and(|proof| proof.verdict == "pass");
        self.state == "through" && has_passed("verify") && has_passed("eval")
    }

    /// What to type next; nothing where all is proven, or somebody is at it.
    #[must_use]
    pub fn next(&self, kind: &str) -> Option<String> {
        let (source, vector) = self.plain_source();
        let target = &self.target;
        let is_open = |kind| self.proof(kind).is_none_or(|proof| proof.verdict != "pass");
        match self.state.as_str() {
            "running" => None,
            "stopped" => Some(format!("crossfade vectors {kind} {source} {target}")),
            _ if is_open("verify") => {
                let without = vector.map(|vector| format!(" --without {vector}")).unwrap_or_default();
                Some(format!("crossfade vectors verify {source} {target}{without}"))
            }
            _ if is_open("eval") => Some(format!("crossfade vectors eval {source} {target} --queries COLLECTION")),
            _ => None,
        }
    }
}

/// What was proved of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProofView {
    /// `verify`: every row was compared; `eval`: what is found.
    pub kind: String,
    /// When, Unix microseconds.
    pub at_us: u64,
    /// `pass`, `fail` or `undecided`.
    pub verdict: String,
    /// What it came to.
    pub words: String,
}

/// What a move is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The index.
    pub index: String,
    /// To the target, on what the shadow proved; else back to the source.
    pub forward: bool,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// Why a move was not turned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTurned {
    /// There is no such move.
    Unknown(String),
    /// The evidence or the mode does not allow it.
    Refused(String),
    /// It could not be tried.
    Unavailable(String),
}

/// Every index, by name.
///
/// # Errors
/// When what is written of moves cannot be read.
pub fn indexes(desk: &Desk) -> Result<Vec<IndexView>, OperationError> {
    (desk.indexes)().map_err(OperationError::Unavailable)
}

/// The newest runs first: so many, before the one of the number `before`. Each one's journal is read as it is now.
///
/// # Errors
/// When the store cannot be read.
pub fn runs(desk: &Desk, (before, most): (Option<u64>, u32)) -> Result<Vec<RunView>, OperationError> {
    let rows = desk.reader().vector_runs(before, most).map_err(listing)?;
    Ok(rows.into_iter().map(|row| seen(desk, row)).collect())
}

/// One of them.
///
/// # Errors
/// When there is none of this number, or the store cannot be read.
pub fn run(desk: &Desk, number: u64) -> Result<RunView, OperationError> {
    let row = desk.reader().vector_run(number).map_err(listing)?;
    let row = row.ok_or_else(|| OperationError::NotFound(format!("there is no run of vectors {number}")))?;
    Ok(seen(desk, row))
}

fn listing(source: DatabaseError) -> OperationError {
    OperationError::Store { doing: "list runs of vectors", source }
}

fn seen(desk: &Desk, row: VectorRunRow) -> RunView {
    let standing = (desk.vector_run)(&row.directory);
    RunView { number: row.number, directory: row.directory, kind: row.kind, at_us: row.at_us, standing }
}

/// Answers an index from the store it moves to, if the shadow proved that as much is found there; or from its old one again, which needs no proof.
///
/// # Errors
/// When the actor may not, there is no such move, or its evidence or mode does not allow it.
pub fn turn(desk: &Desk, actor: &Actor, turn: Turn) -> Result<(), OperationError> {
    actor.needs(if turn.forward { Role::Approver } else { Role::Operator })?;
    (desk.turn)(&Turn { actor: actor.name.clone(), ..turn }).map_err(|why| match why {
        NotTurned::Unknown(why) => OperationError::NotFound(why),
        NotTurned::Refused(why) => OperationError::Refused(why),
        NotTurned::Unavailable(why) => OperationError::Unavailable(why),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_says_what_to_type_next_until_it_is_proven() {
        let proof = |kind: &str, verdict: &str| ProofView {
            kind: kind.to_owned(),
            at_us: 1,
            verdict: verdict.to_owned(),
            words: String::new(),
        };
        let check = |source: &str, state: &str, proofs: &[ProofView]| {
            let standing = RunStanding {
                source: source.to_owned(),
                target: "b".to_owned(),
                target_at: "b".to_owned(),
                state: state.to_owned(),
                n_rows: 2,
                n_done: 2,
                n_aside: 0,
                partitions: (1, 1),
                digest: String::new(),
                asides: Vec::new(),
                proofs: proofs.to_vec(),
            };
            (standing.next("copy"), standing.is_proven())
        };
        let next = |words: &str| (Some(format!("crossfade vectors {words}")), false);
        assert_eq!(check("a", "running", &[]), (None, false));
        assert_eq!(check("a", "stopped", &[]), next("copy a b"));
        assert_eq!(check("a", "through", &[]), next("verify a b"));
        assert_eq!(check("a with `dense` made anew", "through", &[]), next("verify a b --without dense"));
        assert_eq!(check("a", "through", &[proof("verify", "fail")]), next("verify a b"));
        let verified = [proof("verify", "pass")];
        assert_eq!(check("a", "through", &verified), next("eval a b --queries COLLECTION"));
        assert_eq!(check("a", "through", &[proof("verify", "pass"), proof("eval", "pass")]), (None, true));
    }
}
