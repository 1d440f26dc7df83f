//! Whether two collections hold the same rows: all of them, bit by bit.
//!
//! Each is read once, in any order, into the digests of its buckets. Where these differ, both are read once more, and of the buckets that differ every row is
//! compared, so that it can be said which rows differ and in what.
//!
//! Of a store that does not give every vector back to the bit ([`Source::tolerant`]) the digests are without these vectors, and in the same reading each of their numbers is held against
//! the one it was.

mod within;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::digest::{Buckets, bucket, part_digests, row_digest};
use crate::patience::again;
use crate::retry::Trouble;
use crate::row::Row;
use crate::store::Source;
use crate::stores::pages;

pub use self::within::{HALF_TOLERANCE, Loose, TOLERANCE};
use self::within::{Kept, Within, take};

/// How many rows the second reading holds at most.
const MAX_HELD: u64 = 100_000;

/// What a comparison came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Comparison {
    /// Rows of the one.
    pub n_source: u64,
    /// Rows of the other.
    pub n_target: u64,
    /// What is in the one and no row.
    pub n_unreadable: u64,
    /// The digest of all rows of the one.
    pub digest_source: String,
    /// The digest of all rows of the other.
    pub digest_target: String,
    /// Buckets, of 4096, that differ.
    pub n_buckets: usize,
    /// Whether every bucket that differs was looked into.
    pub is_complete: bool,
    /// Rows that differ, by namespace and identifier.
    pub differences: Vec<Difference>,
    /// Dense vectors that were held within a tolerance and not bit by bit; the digests are without them.
    pub tolerant: BTreeSet<String>,
    /// Why they do not come back to the bit, and so which tolerance.
    pub loose: BTreeMap<String, Loose>,
    /// Rows of which such a vector is beyond it.
    pub n_beyond: u64,
    /// Rows of which such a vector is another, but within it.
    pub n_near: u64,
    /// The largest relative difference of a number within it.
    pub largest: f64,
    /// Why it cannot be said that all of a side was read, where it cannot.
    pub unproved: Vec<String>,
}

impl Comparison {
    /// Whether both hold the same.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.n_buckets == 0 && self.n_unreadable == 0 && self.n_beyond == 0
    }
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its namespace.
    pub namespace: String,
    /// Its identifier.
    pub id: String,
    /// In what.
    pub what: What,
}

/// In what a row differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The target does not have it.
    Missing,
    /// Only the target has it.
    Extra,
    /// It is there more than once: so often in the source, so often in the target.
    Repeated(usize, usize),
    /// These parts of it are others.
    Altered(Vec<String>),
}

/// Compares. Vectors that the target, or the caller, calls `tolerant` are held within their tolerance, the larger where both say one, all else bit by bit.
///
/// # Errors
/// Where one cannot be read.
pub fn compare(
    source: &mut dyn Source,
    target: &mut dyn Source,
    tolerant: &BTreeMap<String, Loose>,
) -> Result<Comparison, Trouble> {
    let mut tolerant = tolerant.clone();
    for (name, loose) in again(|| target.tolerant())? {
        let held = tolerant.entry(name).or_insert(loose);
        *held = loose.max(*held);
    }
    let (of_source, of_target, n_unreadable, within) = digests(source, target, &tolerant)?;
    let differing = of_source.differing(&of_target);
    let mut comparison = Comparison {
        n_source: of_source.n_rows(),
        n_target: of_target.n_rows(),
        n_unreadable,
        digest_source: of_source.total(),
        digest_target: of_target.total(),
        n_buckets: differing.len(),
        is_complete: true,
        differences: Vec::new(),
        n_beyond: within.n_beyond,
        n_near: within.n_near,
        largest: within.largest,
        tolerant: tolerant.keys().cloned().collect(),
        loose: tolerant,
        unproved: [again(|| source.unproved())?, again(|| target.unproved())?].into_iter().flatten().collect(),
    };
    let mut n_held = 0;
    let mut looked_into = BTreeSet::new();
    for bucket in differing {
        let n = of_source.n_rows_of(bucket) + of_target.n_rows_of(bucket);
        if n_held > 0 && n_held + n > MAX_HELD {
            comparison.is_complete = false;
            break;
        }
        n_held += n;
        looked_into.insert(bucket);
    }
    if !looked_into.is_empty() {
        let tolerant = &comparison.loose;
        let (of_source, of_target) = (held(source, &looked_into, tolerant)?, held(target, &looked_into, tolerant)?);
        comparison.differences = differences(&of_source, &of_target);
    }
    comparison.is_complete &= within.beyond.len() as u64 == within.n_beyond;
    add(&mut comparison.differences, within);
    Ok(comparison)
}

/// The digests of both, how much in them is no row, and how the vectors compare that the digests are without.
fn digests(
    source: &mut dyn Source,
    target: &mut dyn Source,
    tolerant: &BTreeMap<String, Loose>,
) -> Result<(Buckets, Buckets, u64, Within), Trouble> {
    if tolerant.is_empty() {
        let ((of_source, n_unreadable), (of_target, n_other)) = (digest(source)?, digest(target)?);
        return Ok((of_source, of_target, n_unreadable + n_other, Within::default()));
    }
    // It may hold as many rows as the second reading.
    let mut kept = Kept::new(usize::try_from(MAX_HELD).unwrap_or(usize::MAX))?;
    let mut n_unreadable = 0;
    let mut of = |source: &mut dyn Source, is_first: bool| {
        let (mut buckets, mut result) = (Buckets::default(), Ok(()));
        pages(source, |page| {
            n_unreadable += page.unreadable.len() as u64;
            for row in &page.rows {
                let mut rest = row.clone();
                let vectors = take(&mut rest, tolerant.keys());
                buckets.add(&rest);
                if result.is_ok() {
                    result = if is_first { kept.keep(&rest, &vectors) } else { kept.hold(&rest, &vectors, tolerant) };
                }
            }
        })?;
        result.map(|()| buckets)
    };
    let (of_source, of_target) = (of(source, true)?, of(target, false)?);
    Ok((of_source, of_target, n_unreadable, kept.within))
}

/// Names the vectors that are beyond the tolerance among what differs.
fn add(differences: &mut Vec<Difference>, within: Within) {
    let mut by_key: BTreeMap<(String, String), What> =
        std::mem::take(differences).into_iter().map(|one| ((one.namespace, one.id), one.what)).collect();
    for (key, names) in within.beyond {
        let names = names.into_iter().map(|name| format!("vector `{name}`"));
        // Of a row that is there more than once, or not at all, that is what is told.
        if let What::Altered(parts) = by_key.entry(key).or_insert_with(|| What::Altered(Vec::new())) {
            parts.extend(names);
            parts.sort();
        }
    }
    differences.extend(by_key.into_iter().map(|((namespace, id), what)| Difference { namespace, id, what }));
}

/// The digest of a collection, and how much in it is no row.
fn digest(source: &mut dyn Source) -> Result<(Buckets, u64), Trouble> {
    let mut buckets = Buckets::default();
    let mut n_unreadable = 0;
    pages(source, |page| {
        n_unreadable += page.unreadable.len() as u64;
        page.rows.iter().for_each(|row| buckets.add(row));
    })?;
    Ok((buckets, n_unreadable))
}

/// Rows by key, each as often as it is there.
type Held = BTreeMap<(String, String), Vec<(u128, BTreeMap<String, u128>)>>;

fn held(
    source: &mut dyn Source,
    buckets: &BTreeSet<usize>,
    tolerant: &BTreeMap<String, Loose>,
) -> Result<Held, Trouble> {
    let mut held = Held::new();
    pages(source, |page| {
        let chosen = |row: &&Row| buckets.contains(&bucket(&row.namespace, &row.id));
        for row in page.rows.iter().filter(chosen) {
            let mut rest = row.clone();
            take(&mut rest, tolerant.keys());
            let key = (row.namespace.clone(), row.id.clone());
            held.entry(key).or_default().push((row_digest(&rest), part_digests(&rest)));
        }
    })?;
    Ok(held)
}

fn differences(source: &Held, target: &Held) -> Vec<Difference> {
    let keys: BTreeSet<&(String, String)> = source.keys().chain(target.keys()).collect();
    let what = |key: &(String, String)| match (source.get(key).map(Vec::as_slice), target.get(key).map(Vec::as_slice)) {
        (None, _) => Some(What::Extra),
        (_, None) => Some(What::Missing),
        (Some([(one, of_one)]), Some([(other, of_other)])) => (one != other).then(|| {
            let names: BTreeSet<&String> = of_one.keys().chain(of_other.keys()).collect();
            let altered = names.into_iter().filter(|name| of_one.get(*name) != of_other.get(*name));
            What::Altered(altered.cloned().collect())
        }),
        (Some(one), Some(other)) => (one != other).then_some(What::Repeated(one.len(), other.len())),
    };
    let of =
        |key: &(String, String)| Some(Difference { namespace: key.0.clone(), id: key.1.clone(), what: what(key)? });
    keys.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests;
