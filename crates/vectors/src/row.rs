//! A row of a collection in the one form that every store is read into and written from.
//!
//! Nothing here rounds: a vector is the bits it is stored in, an identifier its bytes, metadata what was written.

use std::collections::BTreeMap;

use crate::metadata::Metadata;

/// The name of a dense vector where a store has one and does not name it.
pub const ONLY_VECTOR: &str = "dense";

/// One row. Names of vectors are sorted, so that two rows that hold the same are the same.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// The namespace, tenant or partition; empty is the one that has no name.
    pub namespace: String,
    /// The identifier, unique within the namespace.
    pub id: String,
    /// Dense vectors by name.
    pub dense: BTreeMap<String, Dense>,
    /// Sparse vectors by name.
    pub sparse: BTreeMap<String, Sparse>,
    /// Several vectors of one length under one name, as late interaction keeps them.
    pub multi: BTreeMap<String, Multi>,
    /// The text that was embedded.
    pub text: Option<String>,
    /// What else is kept with it.
    pub metadata: Option<Metadata>,
    /// The fingerprint of the space its vectors live in.
    pub space: Option<String>,
}

/// What the numbers of a dense vector are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// Signed bytes.
    I8,
    /// Bits, eight to a byte, the first in the lowest.
    Binary,
}

/// A dense vector.
#[derive(Debug, Clone)]
pub enum Dense {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 16-bit floats, as their bits.
    F16(Vec<u16>),
    /// Signed bytes.
    I8(Vec<i8>),
    /// Bits; how many, and bytes whose bits after the last are 0.
    Binary {
        /// How many bits.
        dims: usize,
        /// Eight to a byte.
        bits: Vec<u8>,
    },
}

impl Dense {
    /// Bits, if there are as many bytes as `dims` takes and nothing is set beyond them.
    #[must_use]
    pub fn binary(dims: usize, bits: Vec<u8>) -> Option<Dense> {
        let n_spare = bits.len().checked_mul(8)?.checked_sub(dims)?;
        let last = bits.last().copied().unwrap_or(0);
        (n_spare < 8 && (n_spare == 0 || last >> (8 - n_spare) == 0)).then_some(Dense::Binary { dims, bits })
    }

    /// What its numbers are.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        match self {
            Dense::F32(_) => Dtype::F32,
            Dense::F16(_) => Dtype::F16,
            Dense::I8(_) => Dtype::I8,
            Dense::Binary { .. } => Dtype::Binary,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn dims(&self) -> usize {
        match self {
            Dense::F32(values) => values.len(),
            Dense::F16(values) => values.len(),
            Dense::I8(values) => values.len(),
            Dense::Binary { dims, .. } => *dims,
        }
    }

    /// Its numbers as bytes, little end first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Dense::F32(values) => floats_to_bytes(values),
            Dense::F16(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Dense::I8(values) => values.iter().map(|value| value.to_le_bytes()[0]).collect(),
            Dense::Binary { bits, .. } => bits.clone(),
        }
    }

    /// The vector that [`Dense::to_bytes`] made these of.
    #[must_use]
    pub fn from_bytes(dtype: Dtype, dims: usize, bytes: &[u8]) -> Option<Dense> {
        let dense = match dtype {
            Dtype::F32 => Dense::F32(floats_of_bytes(bytes)?),
            Dtype::F16 if bytes.len().is_multiple_of(2) => {
                Dense::F16(bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
            }
            Dtype::F16 => return None,
            Dtype::I8 => Dense::I8(bytes.iter().map(|byte| i8::from_le_bytes([*byte])).collect()),
            Dtype::Binary => return Dense::binary(dims, bytes.to_vec()),
        };
        (dense.dims() == dims).then_some(dense)
    }

    /// Its length by Euclid; none of bits.
    #[must_use]
    pub fn norm(&self) -> Option<f64> {
        let square = |value: f64| value * value;
        let sum: f64 = match self {
            Dense::F32(values) => values.iter().map(|value| square(f64::from(*value))).sum(),
            Dense::F16(values) => values.iter().map(|bits| square(half::f16::from_bits(*bits).to_f64())).sum(),
            Dense::I8(values) => values.iter().map(|value| square(f64::from(*value))).sum(),
            Dense::Binary { .. } => return None,
        };
        Some(sum.sqrt())
    }
}

/// Floats as bytes, little end first.
#[must_use]
pub fn floats_to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The floats that these bytes are.
#[must_use]
pub fn floats_of_bytes(bytes: &[u8]) -> Option<Vec<f32>> {
    let floats = bytes.chunks_exact(4);
    floats
        .remainder()
        .is_empty()
        .then(|| floats.map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect())
}

/// A sparse vector: indices that rise, and a value for each.
#[derive(Debug, Clone, Default)]
pub struct Sparse {
    indices: Vec<u32>,
    values: Vec<f32>,
}

impl Sparse {
    /// Sorts by index. None where an index is there twice, or there are not as many values as indices.
    #[must_use]
    pub fn new(indices: Vec<u32>, values: Vec<f32>) -> Option<Sparse> {
        if indices.len() != values.len() {
            return None;
        }
        if indices.is_sorted_by(|one, next| one < next) {
            return Some(Sparse { indices, values });
        }
        let mut pairs: Vec<(u32, f32)> = indices.into_iter().zip(values).collect();
        pairs.sort_by_key(|(index, _)| *index);
        let (indices, values): (Vec<u32>, Vec<f32>) = pairs.into_iter().unzip();
        indices.is_sorted_by(|one, next| one < next).then_some(Sparse { indices, values })
    }

    /// Where it is not 0, rising.
    #[must_use]
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// What it is there.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

/// Several vectors of one length.
#[derive(Debug, Clone, Default)]
pub struct Multi {
    dims: usize,
    values: Vec<f32>,
}

impl Multi {
    /// None where the values do not come to whole vectors.
    #[must_use]
    pub fn new(dims: usize, values: Vec<f32>) -> Option<Multi> {
        (dims > 0 && values.len().is_multiple_of(dims)).then_some(Multi { dims, values })
    }

    /// How long each is.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// All of them, one after the other.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

impl Row {
    /// About how many bytes it takes in memory: what batches are measured by.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let dense = self.dense.iter().map(|(name, dense)| {
            let each = match dense.dtype() {
                Dtype::F32 => dense.dims() * 4,
                Dtype::F16 => dense.dims() * 2,
                Dtype::I8 => dense.dims(),
                Dtype::Binary => dense.dims() / 8,
            };
            name.len() + each + 96
        });
        let sparse = self.sparse.iter().map(|(name, sparse)| name.len() + sparse.indices.len() * 8 + 96);
        let multi = self.multi.iter().map(|(name, multi)| name.len() + multi.values.len() * 4 + 96);
        let metadata = self.metadata.as_ref().map_or(0, |metadata| metadata.text().len());
        let vectors: usize = dense.chain(sparse).chain(multi).sum();
        256 + self.namespace.len() + self.id.len() + text(&self.text) + text(&self.space) + metadata + vectors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparse_vector_is_sorted_and_has_each_index_once() {
        let sparse = Sparse::new(vec![9, 2], vec![0.9, 0.2]).unwrap();
        assert_eq!((sparse.indices(), sparse.values()), (&[2, 9][..], &[0.2, 0.9][..]));
        assert!(Sparse::new(vec![2, 2], vec![0.1, 0.2]).is_none());
        assert!(Sparse::new(vec![1], vec![]).is_none());
    }

    #[test]
    fn bits_beyond_the_last_are_refused() {
        assert!(Dense::binary(12, vec![0xff, 0x0f]).is_some());
        assert!(Dense::binary(12, vec![0xff, 0x1f]).is_none());
        assert!(Dense::binary(12, vec![0xff]).is_none());
        assert!(Dense::binary(12, vec![0xff, 0, 0]).is_none());
    }

    #[test]
    fn bytes_give_back_every_bit_of_a_vector() {
        let odd = f32::from_bits(0x7fc0_1234);
        let bytes = Dense::F32(vec![odd, -0.0]).to_bytes();
        let Some(Dense::F32(back)) = Dense::from_bytes(Dtype::F32, 2, &bytes) else { panic!("no floats") };
        assert_eq!([back[0].to_bits(), back[1].to_bits()], [0x7fc0_1234, 0x8000_0000]);
        assert!(Dense::from_bytes(Dtype::F32, 3, &bytes).is_none());
        assert!(Dense::from_bytes(Dtype::F16, 2, &bytes[..3]).is_none());
    }
}
