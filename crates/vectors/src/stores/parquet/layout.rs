//! The columns of a file, for both ways.

use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::errors::Result;
use parquet::schema::types::{Type, TypePtr};

use crate::row::Dtype;
use crate::schema::{DenseShape, Schema};

/// The columns of a collection of this shape.
pub(super) fn message(schema: &Schema) -> Result<TypePtr> {
    let mut fields = vec![text("id", Repetition::REQUIRED)?, text("ns", Repetition::REQUIRED)?];
    for (name, shape) in &schema.dense {
        fields.push(dense(&format!("vec.{name}"), shape)?);
    }
    for name in &schema.sparse {
        let index =
            Type::primitive_type_builder("element", Physical::INT32).with_converted_type(ConvertedType::UINT_32);
        let index = Arc::new(index.with_repetition(Repetition::REQUIRED).build()?);
        let lists =
            vec![list("indices", Repetition::REQUIRED, index)?, list("values", Repetition::REQUIRED, float()?)?];
        let group = Type::group_type_builder(&format!("sparse.{name}"))
            .with_repetition(Repetition::OPTIONAL)
            .with_fields(lists)
            .build()?;
        fields.push(Arc::new(group));
    }
    for name in schema.multi.keys() {
        let inner = list("element", Repetition::REQUIRED, float()?)?;
        fields.push(list(&format!("multi.{name}"), Repetition::OPTIONAL, inner)?);
    }
    for name in ["text", "meta", "space"] {
        fields.push(text(name, Repetition::OPTIONAL)?);
    }
    let digest = Type::primitive_type_builder("digest", Physical::FIXED_LEN_BYTE_ARRAY);
    fields.push(Arc::new(digest.with_length(16).with_repetition(Repetition::REQUIRED).build()?));
    Ok(Arc::new(Type::group_type_builder("rows").with_fields(fields).build()?))
}

fn text(name: &str, repetition: Repetition) -> Result<TypePtr> {
    let builder = Type::primitive_type_builder(name, Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::String));
    Ok(Arc::new(builder.with_repetition(repetition).build()?))
}

fn float() -> Result<TypePtr> {
    let builder = Type::primitive_type_builder("element", Physical::FLOAT);
    Ok(Arc::new(builder.with_repetition(Repetition::REQUIRED).build()?))
}

fn dense(name: &str, shape: &DenseShape) -> Result<TypePtr> {
    let element = match shape.dtype {
        Dtype::F32 => float()?,
        Dtype::F16 => {
            let builder = Type::primitive_type_builder("element", Physical::FIXED_LEN_BYTE_ARRAY).with_length(2);
            let builder = builder.with_logical_type(Some(LogicalType::Float16));
            Arc::new(builder.with_repetition(Repetition::REQUIRED).build()?)
        }
        Dtype::I8 => {
            let builder =
                Type::primitive_type_builder("element", Physical::INT32).with_converted_type(ConvertedType::INT_8);
            Arc::new(builder.with_repetition(Repetition::REQUIRED).build()?)
        }
        Dtype::Binary => {
            let n_bytes = i32::try_from(shape.dims.div_ceil(8)).unwrap_or(i32::MAX);
            let builder = Type::primitive_type_builder(name, Physical::FIXED_LEN_BYTE_ARRAY).with_length(n_bytes);
            return Ok(Arc::new(builder.with_repetition(Repetition::OPTIONAL).build()?));
        }
    };
    list(name, Repetition::OPTIONAL, element)
}

/// A list as the format wants it: a group that repeats within a group.
fn list(name: &str, repetition: Repetition, element: TypePtr) -> Result<TypePtr> {
    let repeated =
        Type::group_type_builder("list").with_repetition(Repetition::REPEATED).with_fields(vec![element]).build()?;
    let group = Type::group_type_builder(name).with_repetition(repetition).with_logical_type(Some(LogicalType::List));
    Ok(Arc::new(group.with_fields(vec![Arc::new(repeated)]).build()?))
}
