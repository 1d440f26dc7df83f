//! What records with one vector of floats and flat metadata have in common: which vector becomes their own, and what of the metadata holds when an application has changed
//! fields that stand beside the line with the whole of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::metadata::Metadata;
use crate::row::{Dense, Dtype, ONLY_VECTOR, Row};
use crate::schema::{DenseShape, Schema};

/// Fields that begin so are ours.
pub(super) const OURS: &str = "crossfade_";
/// What of a row has no place of its own.
pub(super) const LINE: &str = "crossfade_row";

/// The dense vector that becomes a record's own: `dense` where it is of floats, else the first of 32-bit floats, else the first of 16-bit ones.
pub(super) fn embedding(schema: &Schema) -> Option<(&str, &DenseShape)> {
    let first = |is_it: &dyn Fn(&str, Dtype) -> bool| {
        let found = schema.dense.iter().find(|(name, shape)| is_it(name, shape.dtype));
        found.map(|(name, shape)| (name.as_str(), shape))
    };
    first(&|name, dtype| name == ONLY_VECTOR && matches!(dtype, Dtype::F32 | Dtype::F16))
        .or_else(|| first(&|_, dtype| dtype == Dtype::F32))
        .or_else(|| first(&|_, dtype| dtype == Dtype::F16))
}

/// Its name.
pub(crate) fn own_vector(schema: &Schema) -> Option<&str> {
    embedding(schema).map(|(name, _)| name)
}

/// Takes the vector that becomes a record's own out of a row, if it has it.
pub(super) fn take(row: &mut Row, name: &str) -> Result<Option<Vec<f32>>, String> {
    match row.dense.remove(name) {
        Some(Dense::F32(values)) => Ok(Some(values)),
        Some(Dense::F16(values)) => Ok(Some(values.iter().map(|bits| half::f16::from_bits(*bits).to_f32()).collect())),
        Some(_) => Err(format!("its vector `{name}` is not of floats")),
        None => Ok(None),
    }
}

/// The vector that [`take`] took.
pub(super) fn dense(values: Vec<f32>, dtype: Dtype) -> Dense {
    match dtype {
        Dtype::F16 => Dense::F16(values.iter().map(|value| half::f16::from_f32(*value).to_bits()).collect()),
        _ => Dense::F32(values),
    }
}

/// The metadata of a row whose line says `kept` and whose fields are `found`: what was kept, but where a field is not what `flat` had written beside it the field holds.
pub(super) fn reconciled(
    kept: Option<Metadata>,
    found: &[(String, &RawValue)],
    flat: impl Fn(&Metadata) -> Map<String, Value>,
    is_same: impl Fn(&Value, &Value) -> bool,
) -> Result<Option<Metadata>, String> {
    let written = kept.as_ref().map(flat).unwrap_or_default();
    let found: BTreeMap<&str, &RawValue> = found.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let is_as_written = |key: &str, value: &RawValue| {
        let read: Option<Value> = serde_json::from_str(value.get()).ok();
        written.get(key).zip(read.as_ref()).is_some_and(|(written, read)| is_same(written, read))
    };
    let is_untouched = written.len() == found.len() && found.iter().all(|(key, value)| is_as_written(key, value));
    if is_untouched {
        return Ok(kept);
    }
    let kept = kept.as_ref().map(Metadata::fields).unwrap_or_default();
    let mut fields: BTreeMap<&str, &str> = kept.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    fields.retain(|key, _| !written.contains_key(*key) || found.contains_key(key));
    fields
        .extend(found.iter().filter(|(key, value)| !is_as_written(key, value)).map(|(key, value)| (*key, value.get())));
    object(&fields).map(Some)
}

/// Fields as metadata.
pub(super) fn object(fields: &BTreeMap<&str, &str>) -> Result<Metadata, String> {
    let mut text = "{".to_owned();
    for (n, (key, value)) in fields.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        write!(text, "{comma}{}:{value}", Value::from(*key)).map_err(|error| error.to_string())?;
    }
    text.push('}');
    Metadata::parse(&text).map_err(|error| error.to_string())
}

/// The identifier of a record: the row's own, or where it has a namespace, or begins like what stands for both, or has control characters, both as a list of JSON.
pub(super) fn key(namespace: &str, id: &str) -> String {
    if namespace.is_empty() && !id.is_empty() && !id.starts_with("[\"") && !id.contains(char::is_control) {
        id.to_owned()
    } else {
        // A list of two texts always has a form in JSON.
        serde_json::to_string(&[namespace, id]).unwrap_or_default()
    }
}

/// The namespace and identifier that [`key`] made this of.
pub(super) fn of_key(key: &str) -> (String, String) {
    let both: Option<(String, String)> = key.starts_with("[\"").then(|| serde_json::from_str(key).ok()).flatten();
    both.unwrap_or_else(|| (String::new(), key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_records_are_others_for_other_rows_and_lead_back() {
        let pairs = [
            ("", "a"),
            ("", ""),
            ("a", ""),
            ("", "[\"a\",\"b\"]"),
            ("a", "b"),
            ("", "nul\0"),
            ("", "[1]"),
            ("[\"", "x"),
            ("", "[\""),
            ("\u{7f}", "é"),
        ];
        let keys: Vec<String> = pairs.iter().map(|(namespace, id)| key(namespace, id)).collect();
        for (n, key) in keys.iter().enumerate() {
            assert_eq!(of_key(key), (pairs[n].0.to_owned(), pairs[n].1.to_owned()));
            assert_eq!(keys.iter().filter(|other| *other == key).count(), 1, "{key}");
            assert!(!key.is_empty());
        }
        assert_eq!(of_key("[\"not ours\""), (String::new(), "[\"not ours\"".to_owned()));
    }
}
