//! What the record holds, what of it may go, and taking that away by hand.

use std::path::Path;
use std::time::{Duration, Instant};

use govern::Role;
use serde::{Deserialize, Serialize};
use store::{AuditRow, Database, DatabaseError, KeptFor, Part, Pruned, Pruner, StoreSize};

use crate::desk::{Actor, OperationError};

/// The shortest rest between two turns; it is at least as long as the turn was.
const SHORTEST_REST: Duration = Duration::from_millis(20);
/// How often a turn is tried when somebody else writes.
const TRIES: u32 = 20;

/// How large the record is, and how far it goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordStatus {
    /// Bytes of the database.
    pub size: StoreSize,
    /// When the oldest exchange on record was received, Unix microseconds.
    pub oldest_exchange_us: Option<u64>,
    /// When the oldest one whose bodies are on record was.
    pub oldest_bodies_us: Option<u64>,
}

/// What is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Bodies of exchanges received before this, Unix microseconds; `None` is none.
    pub bodies_before_us: Option<u64>,
    /// Exchanges received before this; `None` is none.
    pub rows_before_us: Option<u64>,
    /// Whose exchanges stay.
    pub kept: Vec<KeptFor>,
}

impl Wanted {
    /// The parts in the order in which they go, each with its moment. Exchanges come first: their bodies go with them.
    fn parts(&self) -> impl Iterator<Item = (Part, u64)> {
        let rows = self.rows_before_us;
        let parts = [(Part::Exchanges, rows), (Part::Counted, rows), (Part::Bodies, self.bodies_before_us)];
        parts.into_iter().filter_map(|(part, before)| Some((part, before?)))
    }
}

/// How large the record is.
///
/// # Errors
/// When the store cannot be read.
pub fn status(database: &Database) -> Result<RecordStatus, OperationError> {
    let reading = |source| OperationError::Store { doing: "read the size of the record", source };
    let (oldest_exchange_us, oldest_bodies_us) = database.oldest().map_err(reading)?;
    Ok(RecordStatus { size: database.size().map_err(reading)?, oldest_exchange_us, oldest_bodies_us })
}

/// What [`prune`] would take away now. Bodies are counted once, whether they go by themselves or with their exchange.
///
/// # Errors
/// When the store cannot be read.
pub fn foresee(database: &Database, wanted: &Wanted) -> Result<Pruned, OperationError> {
    let mut sum = Pruned::default();
    for (part, before_us) in wanted.parts() {
        let found = database
            .prunable(part, before_us, &wanted.kept)
            .map_err(|source| OperationError::Store { doing: "read what would go", source })?;
        merge(&mut sum, part, &found, wanted);
    }
    Ok(sum)
}

/// Bodies older than both moments were counted with their exchanges, unless they stay with these.
fn merge(sum: &mut Pruned, part: Part, found: &Pruned, wanted: &Wanted) {
    let both = part == Part::Bodies && wanted.rows_before_us.is_some();
    let covers = wanted.rows_before_us <= wanted.bodies_before_us;
    if both && covers {
        // The younger moment is the bodies': what goes with exchanges is among them.
        *sum = Pruned { exchanges: sum.exchanges, counted: sum.counted, ..*found };
    } else if !both {
        sum.add(found);
    }
}

/// Takes it away, a little at a time, beside a gateway or without one; told of every turn. It may be ended at any moment and be called
/// again. The audit has who did it.
///
/// # Errors
/// When the actor may not, or the store fails; what went until then is gone.
pub fn prune(
    store: &Path,
    (actor, reason): (&Actor, &str),
    wanted: &Wanted,
    on_turn: &mut dyn FnMut(&Pruned),
) -> Result<Pruned, OperationError> {
    actor.needs(Role::Admin)?;
    let failed = |source| OperationError::Store { doing: "prune the record", source };
    let mut pruner = Pruner::open(store).map_err(failed)?;
    let mut sum = Pruned::default();
    for (part, before_us) in wanted.parts() {
        let mut after = None;
        loop {
            let began = Instant::now();
            let turn = patiently(|| pruner.turn(part, (after, before_us), &wanted.kept)).map_err(failed)?;
            sum.add(&turn.gone);
            on_turn(&sum);
            after = turn.after;
            if after.is_none() {
                break;
            }
            std::thread::sleep(began.elapsed().max(SHORTEST_REST));
        }
    }
    let detail = serde_json::json!({
        "bodies_before_us": wanted.bodies_before_us, "rows_before_us": wanted.rows_before_us, "gone": sum,
    });
    let row = AuditRow {
        at_us: crate::reviews::now(),
        actor: actor.name.clone(),
        action: "record.prune".to_owned(),
        subject: "record".to_owned(),
        reason: reason.trim().to_owned(),
        detail_json: detail.to_string(),
    };
    patiently(|| pruner.audit(&row)).map_err(failed)?;
    Ok(sum)
}

/// Tries again while somebody else writes.
fn patiently<T>(mut what: impl FnMut() -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
    let mut n = 1;
    loop {
        match what() {
            Err(_) if n < TRIES => n += 1,
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(bodies: Option<u64>, rows: Option<u64>) -> Wanted {
        Wanted { bodies_before_us: bodies, rows_before_us: rows, kept: Vec::new() }
    }

    #[test]
    fn bodies_that_go_with_their_exchange_are_foreseen_once() {
        let exchanges = Pruned { exchanges: 3, bodies: 6, body_bytes: 60, kept: 1, ..Pruned::default() };
        let bodies = Pruned { bodies: 10, body_bytes: 100, kept: 2, ..Pruned::default() };
        let check = |wanted: Wanted| {
            let mut sum = Pruned::default();
            for (part, _) in wanted.parts() {
                let found = match part {
                    Part::Exchanges => exchanges,
                    Part::Bodies => bodies,
                    Part::Counted => Pruned { counted: 4, ..Pruned::default() },
                };
                merge(&mut sum, part, &found, &wanted);
            }
            sum
        };
        assert_eq!(check(wanted(Some(9), None)), bodies);
        assert_eq!(check(wanted(None, Some(5))), Pruned { counted: 4, ..exchanges });
        assert_eq!(check(wanted(Some(9), Some(5))), Pruned { exchanges: 3, counted: 4, ..bodies });
        // All bodies that are old enough go with exchanges that are.
        assert_eq!(check(wanted(Some(5), Some(9))), Pruned { counted: 4, ..exchanges });
    }
}
