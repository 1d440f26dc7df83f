//! What a collection's rows look like, and whether a row looks so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::row::{Dtype, Row};

/// How a store compares dense vectors, in one convention for all: what its own scores are is the store's to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// The angle between them.
    Cosine,
    /// The distance by Euclid.
    L2,
    /// The inner product.
    Dot,
    /// Bits that differ.
    Hamming,
}

/// A dense vector of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseShape {
    /// What its numbers are.
    pub dtype: Dtype,
    /// How many there are.
    pub dims: usize,
    /// How it is compared, where the store says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
}

/// A collection's shape. What is not in it is in no row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Dense vectors by name.
    #[serde(default)]
    pub dense: BTreeMap<String, DenseShape>,
    /// Names of sparse vectors.
    #[serde(default)]
    pub sparse: Vec<String>,
    /// Lengths of multi-vectors by name.
    #[serde(default)]
    pub multi: BTreeMap<String, usize>,
    /// The fingerprint of the space that the vectors live in, where one is known for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
}

impl Schema {
    /// Widens it by what a row has. Where a row is of another shape it stays as it is: [`Schema::refuses`] says so.
    pub fn widen(&mut self, row: &Row) {
        for (name, dense) in &row.dense {
            let shape = || DenseShape { dtype: dense.dtype(), dims: dense.dims(), metric: None };
            self.dense.entry(name.clone()).or_insert_with(shape);
        }
        for name in row.sparse.keys() {
            if let Err(at) = self.sparse.binary_search(name) {
                self.sparse.insert(at, name.clone());
            }
        }
        for (name, multi) in &row.multi {
            self.multi.entry(name.clone()).or_insert(multi.dims());
        }
        if self.space.is_none() {
            self.space.clone_from(&row.space);
        }
    }

    /// Why a row cannot be part of the collection, if it cannot.
    #[must_use]
    pub fn refuses(&self, row: &Row) -> Option<String> {
        for (name, dense) in &row.dense {
            let Some(shape) = self.dense.get(name) else {
                return Some(format!("it has a vector `{name}`, which the collection does not have"));
            };
            if (shape.dtype, shape.dims) != (dense.dtype(), dense.dims()) {
                let (dtype, dims) = (dense.dtype(), dense.dims());
                return Some(format!(
                    "its vector `{name}` is {dims} × {dtype:?}; the collection's is {} × {:?}",
                    shape.dims, shape.dtype
                ));
            }
        }
        if let Some(name) = row.sparse.keys().find(|name| self.sparse.binary_search(name).is_err()) {
            return Some(format!("it has a sparse vector `{name}`, which the collection does not have"));
        }
        for (name, multi) in &row.multi {
            if self.multi.get(name) != Some(&multi.dims()) {
                return Some(format!("its multi-vector `{name}` of {} is not the collection's", multi.dims()));
            }
        }
        match (&self.space, &row.space) {
            (Some(own), Some(other)) if own != other => {
                Some(format!("its vectors live in the space `{other}`, the collection's in `{own}`"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Dense, Sparse};

    fn row(dims: usize) -> Row {
        let mut row = Row { space: Some("a@1".into()), ..Row::default() };
        row.dense.insert("dense".into(), Dense::F32(vec![0.5; dims]));
        row
    }

    #[test]
    fn a_row_of_another_shape_or_another_space_is_refused() {
        let mut schema = Schema::default();
        schema.widen(&row(3));
        assert_eq!(schema.refuses(&row(3)), None);
        assert_eq!(schema.refuses(&row(4)).unwrap(), "its vector `dense` is 4 × F32; the collection's is 3 × F32");
        let other = Row { space: Some("b@1".into()), ..row(3) };
        assert_eq!(schema.refuses(&other).unwrap(), "its vectors live in the space `b@1`, the collection's in `a@1`");
        let mut sparse = row(3);
        sparse.sparse.insert("words".into(), Sparse::default());
        assert!(schema.refuses(&sparse).unwrap().contains("a sparse vector `words`"));
        schema.widen(&sparse);
        assert_eq!(schema.refuses(&sparse), None);
    }
}
