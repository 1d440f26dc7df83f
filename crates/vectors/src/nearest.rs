//! The true nearest rows of queries, by comparing each query with every row: what an index is measured against.
//!
//! A block of rows is compared with a block of queries at once by a product of matrices in 32-bit floats. What could be among the nearest by that, with the most that such
//! a sum can be off, is compared once more in 64-bit floats, and only that decides; so the lists are those of exact arithmetic but for ties.

use std::collections::BTreeMap;

use matrixmultiply::sgemm;

use crate::retry::Trouble;
use crate::row::{Dense, Row};
use crate::schema::Metric;
use crate::store::Source;
use crate::stores::pages;

/// How far beyond the k-th distance a row still counts as near as it, relative to it: what rounding does to two equal rows.
pub const TIE: f64 = 1e-6;
/// And where that distance is next to nothing.
const LEAST_TIE: f64 = 1e-12;
/// Queries that are compared at once: with a page of rows they make a block of products of some megabytes.
const N_QUERIES: usize = 256;
/// Rows as near as the k-th are kept up to so many times k.
const MOST_TIED: usize = 4;

/// A query: what is looked for, and in which namespace.
#[derive(Debug, Clone)]
pub struct Query {
    /// Its name.
    pub id: String,
    /// Only rows of this namespace are looked at.
    pub namespace: String,
    /// The vector.
    pub vector: Vec<f32>,
}

/// A row that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The row's identifier, in the query's namespace.
    pub id: String,
    /// 1 - cosine, the distance by Euclid, the inner product times -1, or how many bits differ: less is nearer.
    pub distance: f64,
}

impl Hit {
    /// Nearest first, equals by falling identifier.
    pub(crate) fn order(&self, other: &Hit) -> std::cmp::Ordering {
        self.distance.total_cmp(&other.distance).then_with(|| other.id.cmp(&self.id))
    }
}

/// What a search through everything found.
#[derive(Debug, Clone, Default)]
pub struct Nearest {
    /// For each query the k nearest, nearest first, equals by falling identifier; after them those that are as near as the k-th but for [`TIE`].
    pub hits: Vec<Vec<Hit>>,
    /// Rows that were compared.
    pub n_rows: u64,
    /// Rows that do not have the vector, or of another length.
    pub n_without: u64,
    /// Rows that cannot be compared: a vector that is zero, where angles are, or not finite.
    pub n_undefined: u64,
}

/// A dense vector as floats; bits as 1 and -1, whose inner product counts those that differ.
#[must_use]
pub fn floats(dense: &Dense) -> Vec<f32> {
    match dense {
        Dense::F32(values) => values.clone(),
        Dense::F16(values) => values.iter().map(|bits| half::f16::from_bits(*bits).to_f32()).collect(),
        Dense::I8(values) => values.iter().map(|value| f32::from(*value)).collect(),
        Dense::Binary { dims, bits } => {
            (0..*dims).map(|at| if bits[at / 8] >> (at % 8) & 1 == 1 { 1.0 } else { -1.0 }).collect()
        }
    }
}

/// The distance of two vectors of one length. NaN where it is not defined.
#[must_use]
pub fn distance(metric: Metric, one: &[f32], other: &[f32]) -> f64 {
    let pairs = || one.iter().zip(other).map(|(one, other)| (f64::from(*one), f64::from(*other)));
    let product = || pairs().map(|(one, other)| one * other).sum::<f64>();
    match metric {
        Metric::Cosine => {
            let (squares, others) = pairs().fold((0.0, 0.0), |(a, b), (one, other)| (a + one * one, b + other * other));
            1.0 - product() / (squares * others).sqrt()
        }
        Metric::L2 => pairs().map(|(one, other)| (one - other) * (one - other)).sum::<f64>().sqrt(),
        Metric::Dot => -product(),
        Metric::Hamming => 0.5 * (one.len() as f64 - product()),
    }
}

/// Compares every row of `source` with every query by the vector `name`, and keeps the `k` nearest of each. All queries have one length. After each page `each` is told
/// how many rows were read.
///
/// # Errors
/// Where the source cannot be read.
pub fn nearest(
    source: &mut dyn Source,
    name: &str,
    metric: Metric,
    queries: &[Query],
    k: usize,
    mut each: impl FnMut(u64),
) -> Result<Nearest, Trouble> {
    let dims = queries.first().map_or(0, |query| query.vector.len());
    let mut by_namespace: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, query) in queries.iter().enumerate() {
        by_namespace.entry(&query.namespace).or_default().push(at);
    }
    let mut groups: BTreeMap<String, Vec<Search<'_>>> = BTreeMap::new();
    for (namespace, members) in &by_namespace {
        let blocks = members.chunks(N_QUERIES).map(|block| Search::new(queries, block, metric, k));
        groups.insert((*namespace).to_owned(), blocks.collect());
    }
    let mut found = Nearest { hits: vec![Vec::new(); queries.len()], ..Nearest::default() };
    pages(source, |page| {
        let mut blocks: BTreeMap<&str, Block<'_>> = BTreeMap::new();
        for row in &page.rows {
            let Some(values) = row.dense.get(name).map(floats).filter(|values| values.len() == dims) else {
                found.n_without += 1;
                continue;
            };
            let squared: f64 = values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
            if !squared.is_finite() || (metric == Metric::Cosine && squared == 0.0) {
                found.n_undefined += 1;
                continue;
            }
            found.n_rows += 1;
            if groups.contains_key(row.namespace.as_str()) {
                blocks.entry(&row.namespace).or_default().push(row, values, squared);
            }
        }
        for (namespace, block) in &blocks {
            let Some(searches) = groups.get_mut(*namespace) else { continue };
            // Each thread has searches of its own, so none waits for another.
            let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
            let share = searches.len().div_ceil(n_threads).max(1);
            std::thread::scope(|scope| {
                for part in searches.chunks_mut(share) {
                    scope.spawn(move || part.iter_mut().for_each(|search| search.look(block)));
                }
            });
        }
        each(found.n_rows + found.n_without + found.n_undefined);
    })?;
    for (namespace, searches) in groups {
        let members = &by_namespace[namespace.as_str()];
        let kept = searches.into_iter().flat_map(|search| search.kept).map(|kept| kept.finish(k));
        for (at, hits) in members.iter().zip(kept) {
            found.hits[*at] = hits;
        }
    }
    Ok(found)
}

/// Rows of one page and namespace, their vectors one after the other.
#[derive(Default)]
struct Block<'page> {
    ids: Vec<&'page str>,
    values: Vec<f32>,
    squares: Vec<f64>,
}

impl<'page> Block<'page> {
    fn push(&mut self, row: &'page Row, values: Vec<f32>, squared: f64) {
        self.ids.push(&row.id);
        self.values.extend(values);
        self.squares.push(squared);
    }
}

/// Some queries of one namespace, and the nearest so far.
struct Search<'query> {
    queries: Vec<&'query Query>,
    values: Vec<f32>,
    squares: Vec<f64>,
    kept: Vec<Kept>,
    metric: Metric,
    products: Vec<f32>,
}

impl<'query> Search<'query> {
    fn new(queries: &'query [Query], block: &[usize], metric: Metric, k: usize) -> Search<'query> {
        let queries: Vec<&Query> = block.iter().map(|at| &queries[*at]).collect();
        let values: Vec<f32> = queries.iter().flat_map(|query| query.vector.iter().copied()).collect();
        let square = |query: &&Query| query.vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
        let squares = queries.iter().map(square).collect();
        Search { kept: vec![Kept::new(k); queries.len()], queries, values, squares, metric, products: Vec::new() }
    }

    fn look(&mut self, block: &Block<'_>) {
        let (n_queries, n_rows) = (self.queries.len(), block.ids.len());
        let dims = self.values.len() / n_queries.max(1);
        self.products.resize(n_queries * n_rows, 0.0);
        multiply((&self.values, n_queries), (&block.values, n_rows), dims, &mut self.products);
        for (at, kept) in self.kept.iter_mut().enumerate() {
            let query = self.queries[at];
            let products = &self.products[at * n_rows..(at + 1) * n_rows];
            for (row, product) in products.iter().enumerate() {
                let squares = (self.squares[at], block.squares[row]);
                // NaN is in no order: what is not finite in 32 bits is looked at in 64.
                if least(self.metric, f64::from(*product), squares, dims) > kept.limit {
                    continue;
                }
                let values = &block.values[row * dims..(row + 1) * dims];
                kept.push(block.ids[row], distance(self.metric, &query.vector, values));
            }
        }
    }
}

/// `out[q][r]`, the inner product of query `q` and row `r`.
fn multiply((queries, n_queries): (&[f32], usize), (rows, n_rows): (&[f32], usize), dims: usize, out: &mut [f32]) {
    assert!(
        queries.len() == n_queries * dims && rows.len() == n_rows * dims && out.len() == n_queries * n_rows,
        "shapes"
    );
    let (along, across) = (dims.cast_signed(), n_rows.cast_signed());
    let (first, second, result) = (queries.as_ptr(), rows.as_ptr(), out.as_mut_ptr());
    // SAFETY: `queries` is n_queries x dims and `out` n_queries x n_rows, both by rows; `rows` is n_rows x dims by rows, read as its transpose. That they are so long is asserted.
    #[expect(unsafe_code, reason = "matrixmultiply takes pointers")]
    unsafe {
        sgemm(n_queries, dims, n_rows, 1.0, first, along, 1, second, 1, along, 0.0, result, across, 1);
    }
}

/// The least the distance can be, where a product of 32-bit floats came to this: a sum of n of them is off by at most n u / (1 - n u) times the sum of the absolute
/// products (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1), which is at most the product of the norms.
fn least(metric: Metric, product: f64, (one, other): (f64, f64), dims: usize) -> f64 {
    let unit = f64::from(f32::EPSILON) * 0.5;
    let norms = (one * other).sqrt();
    let most = product + 1.01 * (dims as f64 + 1.0) * unit * norms;
    match metric {
        Metric::Cosine => 1.0 - most / norms,
        Metric::L2 => (one + other - 2.0 * most).max(0.0).sqrt(),
        Metric::Dot => -most,
        Metric::Hamming => 0.5 * (dims as f64 - most),
    }
}

/// The nearest rows of a query so far.
#[derive(Clone)]
struct Kept {
    k: usize,
    hits: Vec<Hit>,
    /// What is farther is not wanted.
    limit: f64,
}

impl Kept {
    fn new(k: usize) -> Kept {
        Kept { k, hits: Vec::new(), limit: f64::INFINITY }
    }

    fn push(&mut self, id: &str, distance: f64) {
        if distance.is_nan() || distance > self.limit {
            return;
        }
        self.hits.push(Hit { id: id.to_owned(), distance });
        if self.hits.len() >= 2 * MOST_TIED * self.k.max(8) {
            self.shrink();
        }
    }

    /// Sorts, and lets go of what is beyond the k-th and its ties.
    fn shrink(&mut self) {
        self.hits.sort_by(Hit::order);
        self.hits.dedup_by(|one, other| one.id == other.id && one.distance == other.distance);
        let Some(last) = self.k.checked_sub(1).and_then(|at| self.hits.get(at)) else { return };
        self.limit = last.distance + (TIE * last.distance.abs()).max(LEAST_TIE);
        let n_within = self.hits.partition_point(|hit| hit.distance <= self.limit);
        self.hits.truncate(n_within.min(MOST_TIED * self.k));
    }

    fn finish(mut self, k: usize) -> Vec<Hit> {
        self.shrink();
        if k == 0 {
            self.hits.clear();
        }
        self.hits
    }
}

#[cfg(test)]
mod tests;
