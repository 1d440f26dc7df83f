//! Values in the binary form that PostgreSQL and pgvector send and take: big end first.

use std::error::Error;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::row::{Dense, Dtype, Sparse};
use crate::schema::DenseShape;

/// The type numbers of elements of arrays.
const INT2: u32 = 21;
const INT8: u32 = 20;
const FLOAT4: u32 = 700;

/// A field as it is sent; none is null.
#[derive(Debug)]
pub(super) struct Field(pub Option<Vec<u8>>);

impl ToSql for Field {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(self.0.as_ref().map_or(IsNull::Yes, |bytes| {
            out.extend_from_slice(bytes);
            IsNull::No
        }))
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A field as it came.
pub(super) struct Raw<'a>(pub Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw<'a>, Box<dyn Error + Sync + Send>> {
        Ok(Raw(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Raw<'a>, Box<dyn Error + Sync + Send>> {
        Ok(Raw(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A dense vector as its type is sent: `vector`, `halfvec`, `smallint[]` or `bit`.
pub(super) fn dense(dense: &Dense) -> Vec<u8> {
    // More than 16 000 were refused when it was planned.
    let dims = u16::try_from(dense.dims()).unwrap_or(u16::MAX);
    let head = [dims.to_be_bytes(), [0, 0]].concat();
    match dense {
        Dense::F32(values) => numbers(head, values.iter().map(|value| value.to_be_bytes())),
        Dense::F16(values) => numbers(head, values.iter().map(|value| value.to_be_bytes())),
        Dense::I8(values) => array(INT2, values.iter().map(|value| i16::from(*value).to_be_bytes())),
        Dense::Binary { dims, bits } => {
            // The first bit is the highest there and the lowest here.
            let count = u32::try_from(*dims).unwrap_or(u32::MAX).to_be_bytes();
            count.into_iter().chain(bits.iter().map(|byte| byte.reverse_bits())).collect()
        }
    }
}

/// A sparse vector as `sparsevec` is sent: how many places, how many numbers, nothing, then the places and the numbers.
pub(super) fn sparse(sparse: &Sparse, dims: u32) -> Vec<u8> {
    let count = u32::try_from(sparse.indices().len()).unwrap_or(u32::MAX);
    let words = [dims, count, 0].into_iter().chain(sparse.indices().iter().copied());
    let values = sparse.values().iter().flat_map(|value| value.to_be_bytes());
    words.flat_map(u32::to_be_bytes).chain(values).collect()
}

/// The sparse vector that was sent so.
pub(super) fn sparse_of(bytes: &[u8]) -> Option<Sparse> {
    let words = exact::<4>(bytes)?;
    let count = usize::try_from(u32::from_be_bytes(*words.get(1)?)).ok()?;
    let (indices, values) = words.get(3..)?.split_at_checked(count)?;
    let indices = indices.iter().map(|word| u32::from_be_bytes(*word)).collect();
    Sparse::new(indices, values.iter().map(|word| f32::from_be_bytes(*word)).collect())
}

fn numbers<const N: usize>(mut bytes: Vec<u8>, values: impl ExactSizeIterator<Item = [u8; N]>) -> Vec<u8> {
    bytes.reserve_exact(values.len() * N);
    values.for_each(|value| bytes.extend_from_slice(&value));
    bytes
}

/// The dense vector that was sent so.
pub(super) fn dense_of(shape: &DenseShape, bytes: &[u8]) -> Option<Dense> {
    let dense = match shape.dtype {
        Dtype::F32 => Dense::F32(exact::<4>(bytes.get(4..)?)?.into_iter().map(f32::from_be_bytes).collect()),
        Dtype::F16 => Dense::F16(exact::<2>(bytes.get(4..)?)?.into_iter().map(u16::from_be_bytes).collect()),
        Dtype::I8 => {
            let values = elements::<2>(bytes)?.into_iter().map(i16::from_be_bytes);
            Dense::I8(values.map(|value| i8::try_from(value).ok()).collect::<Option<_>>()?)
        }
        Dtype::Binary => {
            let (count, bits) = bytes.split_first_chunk::<4>()?;
            let bits = bits.iter().map(|byte| byte.reverse_bits()).collect();
            Dense::binary(usize::try_from(u32::from_be_bytes(*count)).ok()?, bits)?
        }
    };
    (dense.dims() == shape.dims).then_some(dense)
}

/// An array of `real`.
pub(super) fn reals(values: &[f32]) -> Vec<u8> {
    array(FLOAT4, values.iter().map(|value| value.to_be_bytes()))
}

/// What was in an array of `real`.
pub(super) fn reals_of(bytes: &[u8]) -> Option<Vec<f32>> {
    Some(elements::<4>(bytes)?.into_iter().map(f32::from_be_bytes).collect())
}

/// An array of `bigint`: an index may be above what `integer` holds.
pub(super) fn bigints(values: &[u32]) -> Vec<u8> {
    array(INT8, values.iter().map(|value| i64::from(*value).to_be_bytes()))
}

/// What was in an array of `bigint`.
pub(super) fn bigints_of(bytes: &[u8]) -> Option<Vec<u32>> {
    elements::<8>(bytes)?.into_iter().map(|eight| u32::try_from(i64::from_be_bytes(eight)).ok()).collect()
}

fn array<const N: usize>(element: u32, values: impl ExactSizeIterator<Item = [u8; N]>) -> Vec<u8> {
    let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
    // Dimensions, whether nulls are in it, the elements' type; then for each dimension its length and first index.
    let mut bytes: Vec<u8> = [u32::from(count > 0), 0, element].iter().flat_map(|word| word.to_be_bytes()).collect();
    if count > 0 {
        bytes.extend([count, 1].iter().flat_map(|word| word.to_be_bytes()));
    }
    for value in values {
        bytes.extend(u32::try_from(N).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(value);
    }
    bytes
}

fn elements<const N: usize>(bytes: &[u8]) -> Option<Vec<[u8; N]>> {
    let word = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk::<4>()?));
    match word(0)? {
        0 => Some(Vec::new()),
        1 => {
            let count = usize::try_from(word(12)?).ok()?;
            let body = bytes.get(20..)?;
            if body.len() != count.checked_mul(N + 4)? {
                return None;
            }
            // A null has no bytes, and then the lengths do not come out.
            body.chunks_exact(N + 4).map(|part| part[4..].first_chunk::<N>().copied()).collect()
        }
        _ => None,
    }
}

fn exact<const N: usize>(bytes: &[u8]) -> Option<Vec<[u8; N]>> {
    let parts = bytes.chunks_exact(N);
    parts.remainder().is_empty().then(|| parts.filter_map(|part| part.first_chunk::<N>().copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_comes_back_as_it_was_sent() {
        let bits = Dense::binary(12, vec![0xa5, 0x03]).unwrap();
        let sent = [
            Dense::F32(vec![f32::from_bits(0x7fc0_1234), -0.0]),
            Dense::F16(vec![0x3c00, 0x0001]),
            Dense::I8(vec![-128, 127]),
            Dense::I8(Vec::new()),
            bits,
        ];
        for vector in sent {
            let shape = DenseShape { dtype: vector.dtype(), dims: vector.dims(), metric: None };
            let back = dense_of(&shape, &dense(&vector)).unwrap();
            assert_eq!(back.to_bytes(), vector.to_bytes());
            let other = DenseShape { dims: vector.dims() + 1, ..shape };
            assert!(dense_of(&other, &dense(&vector)).is_none());
        }
        let sent = Sparse::new(vec![0, 7], vec![1.5, -2.0]).unwrap();
        let back = sparse_of(&sparse(&sent, 9)).unwrap();
        assert_eq!((back.indices(), back.values()), (sent.indices(), sent.values()));
        assert!(sparse_of(&sparse(&sent, 9)[..24]).is_none());
        assert_eq!(bigints_of(&bigints(&[0, u32::MAX])), Some(vec![0, u32::MAX]));
        assert_eq!(reals_of(&reals(&[])), Some(vec![]));
        assert_eq!(reals_of(&reals(&[1.5])[..23]), None);
    }
}
