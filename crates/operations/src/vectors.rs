//! Indexes of vectors that the gateway serves, and their moves from one store to another. The room `vectors` is not seen from here: who wires the gateway
//! answers for it.

use govern::Role;
use serde::Serialize;
use serde_json::Value;

use crate::desk::{Actor, Desk, OperationError};

/// How the indexes stand.
pub type IndexesFn = Box<dyn Fn() -> Result<Vec<IndexView>, String> + Send + Sync>;
/// Turns the move of an index; what it says when it does not.
pub type TurnFn = Box<dyn Fn(&Turn) -> Result<(), NotTurned> + Send + Sync>;

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
