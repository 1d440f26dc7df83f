//! Dense vectors that a store gives back nearly as they were: each number of them beside the one it was.
//!
//! The vectors of the one collection are kept in a file that SQLite makes and removes, so that memory stays small; the other's are looked up in it as they come.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use crate::retry::Trouble;
use crate::row::{Dense, Row, floats_of_bytes, floats_to_bytes};

/// How far a number may be from what it was, relative to it. Bringing a vector to norm 1 and back moves a number by two units in the last place, 1.2e-7 each at most; measured on Chroma 1.5.9:
/// 1.4e-7.
pub const TOLERANCE: f64 = 1e-6;

/// The same of a number that was rounded to 16 bits: half a unit of the last of eleven places, and what the way there does to it.
pub const HALF_TOLERANCE: f64 = 1.0 / 2048.0 + TOLERANCE;

/// Below this fraction of the vector's norm numbers of norm 1 have fewer bits.
const LEAST: f64 = f32::MIN_POSITIVE as f64;

/// Half of the smallest number of 16 bits: by so much any number may be another there.
const LEAST_HALF: f64 = 1.0 / 33_554_432.0;

/// In what way a store does not give the numbers of a vector back to the bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Loose {
    /// The vector goes to norm 1 and back.
    Norm,
    /// The numbers are kept in 16 bits.
    Half,
}

impl Loose {
    /// How far a number may be from what it was, relative to it.
    #[must_use]
    pub fn tolerance(self) -> f64 {
        match self {
            Loose::Norm => TOLERANCE,
            Loose::Half => HALF_TOLERANCE,
        }
    }

    /// By how much any number of a vector of this norm may be another.
    fn least(self, norm: f64) -> f64 {
        match self {
            Loose::Norm => LEAST * norm,
            Loose::Half => (LEAST * norm).max(LEAST_HALF),
        }
    }
}

const DOING: &str = "could not keep vectors for the comparison in SQLite's temporary directory";

/// What was found beside the digests.
#[derive(Debug, Default)]
pub(super) struct Within {
    /// Rows of which a vector is beyond the tolerance, with its names; so many at most.
    pub(super) beyond: BTreeMap<(String, String), BTreeSet<String>>,
    /// How many such rows there are.
    pub(super) n_beyond: u64,
    /// Rows whose vectors differ within it.
    pub(super) n_near: u64,
    /// The largest relative difference within it.
    pub(super) largest: f64,
}

/// The vectors of one collection.
pub(super) struct Kept {
    connection: Connection,
    max_named: usize,
    pub(super) within: Within,
}

impl Kept {
    pub(super) fn new(max_named: usize) -> Result<Kept, Trouble> {
        let made = Connection::open("").and_then(|connection| {
            connection.execute_batch(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;
                 CREATE TABLE kept (namespace TEXT, id TEXT, vectors BLOB, PRIMARY KEY (namespace, id)) WITHOUT ROWID; BEGIN",
            )?;
            Ok(connection)
        });
        let connection = made.map_err(|error| Trouble::permanent(DOING, error))?;
        Ok(Kept { connection, max_named, within: Within::default() })
    }

    /// Keeps a row's vectors. Of rows that come twice the last is kept: digests tell of them.
    pub(super) fn keep(&mut self, row: &Row, vectors: &Vectors) -> Result<(), Trouble> {
        let kept = self
            .connection
            .prepare_cached("INSERT OR REPLACE INTO kept VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![row.namespace, row.id, bytes(vectors)]));
        kept.map(drop).map_err(|error| Trouble::permanent(DOING, error))
    }

    /// Holds a row's vectors against those that were kept. A row that was not is no difference of vectors: digests tell of it.
    pub(super) fn hold(
        &mut self,
        row: &Row,
        vectors: &Vectors,
        tolerant: &BTreeMap<String, Loose>,
    ) -> Result<(), Trouble> {
        let kept: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT vectors FROM kept WHERE namespace = ?1 AND id = ?2")
            .and_then(|mut select| select.query_row(params![row.namespace, row.id], |row| row.get(0)).optional())
            .map_err(|error| Trouble::permanent(DOING, error))?;
        let Some(kept) = kept else { return Ok(()) };
        if kept == bytes(vectors) {
            return Ok(());
        }
        let kept = of_bytes(&kept).ok_or_else(|| Trouble::permanent(DOING, "what was kept is not what was written"))?;
        let names: BTreeSet<&String> = kept.keys().chain(vectors.keys()).collect();
        let mut beyond = BTreeSet::new();
        for name in names {
            let loose = tolerant.get(name).copied().unwrap_or(Loose::Norm);
            match kept.get(name).zip(vectors.get(name)).and_then(|(one, other)| apart(one, other, loose)) {
                Some(apart) if apart <= loose.tolerance() => self.within.largest = self.within.largest.max(apart),
                _ => drop(beyond.insert(name.clone())),
            }
        }
        if beyond.is_empty() {
            self.within.n_near += 1;
            return Ok(());
        }
        self.within.n_beyond += 1;
        if self.within.beyond.len() < self.max_named {
            self.within.beyond.insert((row.namespace.clone(), row.id.clone()), beyond);
        }
        Ok(())
    }
}

/// Vectors of 32-bit floats by name.
pub(super) type Vectors = BTreeMap<String, Vec<f32>>;

/// Takes the vectors of these names, where they are of 32-bit floats, out of a row.
pub(super) fn take<'a>(row: &mut Row, names: impl IntoIterator<Item = &'a String>) -> Vectors {
    let mut taken = Vectors::new();
    for name in names {
        match row.dense.remove(name) {
            Some(Dense::F32(values)) => drop(taken.insert(name.clone(), values)),
            Some(other) => drop(row.dense.insert(name.clone(), other)),
            None => {}
        }
    }
    taken
}

/// The largest difference of two numbers in the same place, relative to the first; none where the vectors are of different lengths, or something that is not finite is something else.
pub(super) fn apart(one: &[f32], other: &[f32], loose: Loose) -> Option<f64> {
    if one.len() != other.len() {
        return None;
    }
    let norm = one.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
    let mut largest: f64 = 0.0;
    for (one, other) in one.iter().zip(other) {
        if one.to_bits() == other.to_bits() {
            continue;
        }
        let difference = (f64::from(*one) - f64::from(*other)).abs();
        if !difference.is_finite() {
            return None;
        }
        if difference > loose.least(norm) {
            largest = largest.max(difference / f64::from(*one).abs());
        }
    }
    Some(largest)
}

/// Each name and its numbers, with their lengths.
fn bytes(vectors: &Vectors) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, values) in vectors {
        for part in [name.as_bytes(), &floats_to_bytes(values)] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        }
    }
    bytes
}

fn of_bytes(mut bytes: &[u8]) -> Option<Vectors> {
    let mut vectors = Vectors::new();
    let part = |bytes: &mut &[u8]| -> Option<Vec<u8>> {
        let (length, rest) = bytes.split_first_chunk::<8>()?;
        let (part, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        *bytes = rest;
        Some(part.to_vec())
    };
    while !bytes.is_empty() {
        let (name, values) = (part(&mut bytes)?, part(&mut bytes)?);
        vectors.insert(String::from_utf8(name).ok()?, floats_of_bytes(&values)?);
    }
    Some(vectors)
}
