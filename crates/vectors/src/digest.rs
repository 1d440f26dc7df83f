//! What proves that two stores hold the same rows.
//!
//! A row's digest is the first 128 bits of SHA-256 over its canonical form, which holds every bit of it with its kind and length. A collection's digest is,
//! for each of 4096 buckets that identifiers fall into, how many rows it has and the sum of their digests modulo 2^128: neither depends on the order of
//! reading, and two parts of a collection add up. Where two collections differ, the bucket says where to look. Sums find faults, not forgeries: who can
//! choose rows can make sums meet.

use std::collections::BTreeMap;

use ring::digest::{SHA256, digest};

use crate::row::{Dense, Dtype, Row};

/// How many buckets identifiers fall into.
pub const N_BUCKETS: usize = 4096;

/// The digest of one row.
pub type RowDigest = u128;

/// The digest of a row.
#[must_use]
pub fn row_digest(row: &Row) -> RowDigest {
    let mut form = Form::default();
    form.text(&row.namespace);
    form.text(&row.id);
    form.count(row.dense.len());
    row.dense.iter().for_each(|(name, dense)| form.dense(name, dense));
    form.count(row.sparse.len());
    for (name, sparse) in &row.sparse {
        form.text(name);
        form.count(sparse.indices().len());
        sparse.indices().iter().for_each(|index| form.0.extend_from_slice(&index.to_le_bytes()));
        form.floats(sparse.values());
    }
    form.count(row.multi.len());
    for (name, multi) in &row.multi {
        form.text(name);
        form.count(multi.dims());
        form.floats(multi.values());
    }
    form.maybe(row.text.as_deref());
    form.maybe(row.metadata.as_ref().map(crate::metadata::Metadata::text));
    form.maybe(row.space.as_deref());
    form.end()
}

/// The digests of a row's parts, by their names: what says which part of two rows differs.
#[must_use]
pub fn part_digests(row: &Row) -> BTreeMap<String, u128> {
    let only = |fill: &dyn Fn(&mut Row)| {
        let mut part = Row::default();
        fill(&mut part);
        row_digest(&part)
    };
    let mut parts = BTreeMap::new();
    for (name, dense) in &row.dense {
        parts.insert(format!("vector `{name}`"), only(&|part| drop(part.dense.insert(name.clone(), dense.clone()))));
    }
    for (name, sparse) in &row.sparse {
        let digest = only(&|part| drop(part.sparse.insert(name.clone(), sparse.clone())));
        parts.insert(format!("sparse vector `{name}`"), digest);
    }
    for (name, multi) in &row.multi {
        let digest = only(&|part| drop(part.multi.insert(name.clone(), multi.clone())));
        parts.insert(format!("multi-vector `{name}`"), digest);
    }
    if row.text.is_some() {
        parts.insert("text".to_owned(), only(&|part| part.text.clone_from(&row.text)));
    }
    if row.space.is_some() {
        parts.insert("space".to_owned(), only(&|part| part.space.clone_from(&row.space)));
    }
    // Key by key, so that one that differs can be named.
    for (key, value) in row.metadata.iter().flat_map(crate::metadata::Metadata::fields) {
        parts.insert(format!("metadata `{key}`"), only(&|part| part.text = Some(value.clone())));
    }
    if row.metadata.as_ref().is_some_and(|metadata| metadata.text() == "{}") {
        parts.insert("metadata".to_owned(), 0);
    }
    parts
}

/// The bucket that an identifier falls into.
#[must_use]
pub fn bucket(namespace: &str, id: &str) -> usize {
    let mut form = Form::default();
    form.text(namespace);
    form.text(id);
    // The remainder is below N_BUCKETS.
    usize::try_from(form.end() % N_BUCKETS as u128).unwrap_or(0)
}

/// The canonical form, whole before it is hashed: a call of the hash for each part costs more than the bytes do.
#[derive(Default)]
struct Form(Vec<u8>);

impl Form {
    fn count(&mut self, n: usize) {
        self.0.extend_from_slice(&(n as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn maybe(&mut self, text: Option<&str>) {
        self.0.push(u8::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    fn floats(&mut self, values: &[f32]) {
        self.count(values.len());
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn dense(&mut self, name: &str, dense: &Dense) {
        self.text(name);
        let kind = match dense.dtype() {
            Dtype::F32 => 0,
            Dtype::F16 => 1,
            Dtype::I8 => 2,
            Dtype::Binary => 3,
        };
        self.0.push(kind);
        self.count(dense.dims());
        match dense {
            Dense::F32(values) => self.floats(values),
            other => self.0.extend(other.to_bytes()),
        }
    }

    fn end(self) -> u128 {
        let digest = digest(&SHA256, &self.0);
        let mut first = [0_u8; 16];
        first.copy_from_slice(&digest.as_ref()[..16]);
        u128::from_be_bytes(first)
    }
}

/// A collection's digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets(Vec<(u64, u128)>);

impl Default for Buckets {
    fn default() -> Buckets {
        Buckets(vec![(0, 0); N_BUCKETS])
    }
}

impl Buckets {
    /// Counts a row in.
    pub fn add(&mut self, row: &Row) {
        self.add_digest(bucket(&row.namespace, &row.id), row_digest(row));
    }

    /// The same of a row whose bucket and digest are known.
    pub fn add_digest(&mut self, bucket: usize, digest: RowDigest) {
        let (count, sum) = &mut self.0[bucket];
        *count += 1;
        *sum = sum.wrapping_add(digest);
    }

    /// How many rows.
    #[must_use]
    pub fn n_rows(&self) -> u64 {
        self.0.iter().map(|(count, _)| count).sum()
    }

    /// How many rows of a bucket.
    #[must_use]
    pub fn n_rows_of(&self, bucket: usize) -> u64 {
        self.0[bucket].0
    }

    /// The buckets in which two collections differ.
    #[must_use]
    pub fn differing(&self, other: &Buckets) -> Vec<usize> {
        (0..N_BUCKETS).filter(|bucket| self.0[*bucket] != other.0[*bucket]).collect()
    }

    /// One digest of all of it, as hexadecimal.
    #[must_use]
    pub fn total(&self) -> String {
        let sum = self.0.iter().fold(0_u128, |sum, (_, bucket)| sum.wrapping_add(*bucket));
        format!("{sum:032x}")
    }
}

#[cfg(test)]
mod tests;
