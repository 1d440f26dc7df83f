//! A row as a point of Qdrant, and back.
//!
//! A point is known by a number or a UUID and has vectors of floats by name and a payload, any JSON. What has no place there (bits, bytes, sparse vectors and multi-vectors, floats that are not finite, integers beyond 64 bits) is one line of
//! JSON in `crossfade_row`, the metadata among it, whole; its fields stand beside it once more. When an application has since changed these they are right and the line is not: [`beside::reconciled`].
//! By the cosine Qdrant keeps directions alone. So a vector goes there with norm 1, and its norm stands beside it.

use std::collections::BTreeMap;

use ring::digest;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::metadata::{Metadata, Object};
use crate::row::{Dense, Dtype, Multi, ONLY_VECTOR, Row, Sparse};
use crate::schema::{DenseShape, Metric, Schema};
use crate::stores::beside::{self, LINE, OURS};
use crate::stores::line::{floats, from_line, to_line};

/// The namespace and the identifier of a row, its text, and the norms of its vectors.
pub(super) const NAMESPACE: &str = "crossfade_namespace";
pub(super) const ID: &str = "crossfade_id";
const TEXT: &str = "crossfade_text";
const NORMS: &str = "crossfade_norms";

/// Names of fields that stand there with what Qdrant takes for nothing.
pub(super) const THERE: &str = "crossfade_there";

/// Fields by their names in hexadecimal digits, where a name has a quotation mark: Qdrant cannot be asked about it as it stands.
pub(super) const NAMED: &str = "crossfade_named";

/// The point that says what rows look like, and where it does.
pub(super) const MARK: &str = "63726f73-7366-8164-8573-6368656d6100";
pub(super) const SCHEMA: &str = "crossfade_schema";

/// A point as it is read.
#[derive(Deserialize)]
pub(super) struct Found<'a> {
    #[serde(borrow)]
    pub(super) id: &'a RawValue,
    #[serde(borrow, default)]
    pub(super) payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    vector: Option<&'a RawValue>,
}

/// Whether a vector is one of a point's own.
pub(super) fn is_own(shape: &DenseShape) -> bool {
    matches!(shape.dtype, Dtype::F32 | Dtype::F16) && shape.metric != Some(Metric::Hamming)
}

/// By what a row's point is known: its own identifier where that is a number or a UUID as Qdrant writes them, and there is no namespace; else a UUID made of both.
pub(super) fn id(namespace: &str, id: &str) -> Value {
    if namespace.is_empty() {
        if let Some(number) = id.parse::<u64>().ok().filter(|number| number.to_string() == id) {
            return Value::from(number);
        }
        let is_uuid = id.len() == 36
            && id.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            });
        if is_uuid && id != MARK {
            return Value::from(id);
        }
    }
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&(namespace.len() as u64).to_be_bytes());
    context.update(namespace.as_bytes());
    context.update(id.as_bytes());
    let hash = context.finish();
    // Version 8: made by whoever made it.
    let mut hex: String = hash.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    hex.replace_range(12..13, "8");
    hex.replace_range(16..17, "8");
    for at in [20, 16, 12, 8] {
        hex.insert(at, '-');
    }
    Value::from(hex)
}

/// The point that a row becomes.
pub(super) fn point(row: &Row, schema: &Schema) -> Result<Value, String> {
    let mut rest = row.clone();
    let (mut vectors, mut norms) = (Map::new(), Map::new());
    for (name, shape) in schema.dense.iter().filter(|(_, shape)| is_own(shape)) {
        // JSON has no digits for what is not finite: that stays in the line.
        if rest.dense.get(name).and_then(Dense::norm).is_none_or(|norm| !norm.is_finite()) {
            continue;
        }
        let Some(mut values) = beside::take(&mut rest, name)? else { continue };
        if shape.metric == Some(Metric::Cosine) {
            let norm = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
            norms.insert(name.clone(), Value::from(norm));
            values.iter_mut().filter(|_| norm > 0.0).for_each(|value| *value = narrow(f64::from(*value) / norm));
        }
        // As 64-bit floats: whether a server reads their digits as 32 or as 64 bits, the same 32 come of it.
        vectors.insert(name.clone(), values.into_iter().map(f64::from).collect());
    }
    let mut payload = row.metadata.as_ref().map(flat).unwrap_or_default();
    asked_otherwise(row.metadata.as_ref(), &mut payload);
    payload.insert(NAMESPACE.to_owned(), Value::from(row.namespace.as_str()));
    payload.insert(ID.to_owned(), Value::from(row.id.as_str()));
    payload.extend(rest.text.take().map(|text| (TEXT.to_owned(), Value::from(text))));
    if !norms.is_empty() {
        payload.insert(NORMS.to_owned(), Value::Object(norms));
    }
    (rest.namespace, rest.id) = (String::new(), String::new());
    payload.insert(LINE.to_owned(), Value::from(to_line(&rest)));
    Ok(json!({"id": id(&row.namespace, &row.id), "vector": vectors, "payload": payload}))
}

/// The nearest 32-bit float.
#[expect(clippy::cast_possible_truncation, reason = "the nearest is what is asked for")]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// The row that a point is.
pub(super) fn row(found: &Found<'_>, schema: &Schema) -> Result<Row, String> {
    let Object(pairs) = match found.payload.filter(|payload| payload.get() != "null") {
        Some(payload) => serde_json::from_str(payload.get()).map_err(|error| error.to_string())?,
        None => Object(Vec::new()),
    };
    let is_ours = pairs.iter().any(|(key, _)| key == LINE);
    let (ours, others): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, _)| is_ours && key.starts_with(OURS));
    let own = |key: &str| ours.iter().find(|(name, _)| name == key).map(|(_, value)| value.get());
    let text = |key: &str| -> Result<Option<String>, String> {
        own(key).map(serde_json::from_str).transpose().map_err(|error| format!("`{key}`: {error}"))
    };
    let mut row = match text(LINE)? {
        Some(line) => {
            let mut row = from_line(&line).map_err(|why| format!("`{LINE}`: {why}"))?;
            row.metadata = beside::reconciled(row.metadata, &others, flat, is_near)?;
            row
        }
        None => {
            let fields: BTreeMap<&str, &str> = others.iter().map(|(key, value)| (key.as_str(), value.get())).collect();
            let metadata = (!fields.is_empty()).then(|| beside::object(&fields)).transpose()?;
            Row { metadata, ..Row::default() }
        }
    };
    row.namespace = text(NAMESPACE)?.unwrap_or_default();
    row.id = match text(ID)? {
        Some(id) => id,
        None => serde_json::from_str(found.id.get()).unwrap_or_else(|_| found.id.get().to_owned()),
    };
    row.text = text(TEXT)?.or(row.text);
    let norms: BTreeMap<String, f64> = own(NORMS)
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| format!("`{NORMS}`: {error}"))?
        .unwrap_or_default();
    vectors(found, &mut row)?;
    for (name, dense) in &mut row.dense {
        let Some(shape) = schema.dense.get(name) else { continue };
        let Dense::F32(values) = dense else { continue };
        let mut values = std::mem::take(values);
        if let Some(norm) = norms.get(name).filter(|norm| **norm > 0.0) {
            values.iter_mut().for_each(|value| *value = narrow(f64::from(*value) * norm));
        }
        *dense = beside::dense(values, shape.dtype);
    }
    Ok(row)
}

/// Vectors as a server says them: one without a name, or several with theirs, each a list, a list of lists, or a sparse one.
fn vectors(found: &Found<'_>, row: &mut Row) -> Result<(), String> {
    let Some(vector) = found.vector.filter(|vector| vector.get() != "null") else { return Ok(()) };
    let named = match vector.get().as_bytes().first() {
        Some(b'{') => serde_json::from_str::<Object<'_>>(vector.get()).map_err(|error| error.to_string())?.0,
        _ => vec![(ONLY_VECTOR.to_owned(), vector)],
    };
    for (name, value) in named {
        let told = |why: String| format!("vector `{name}`: {why}");
        let name = if name.is_empty() { ONLY_VECTOR.to_owned() } else { name.clone() };
        if value.get().starts_with('{') {
            row.sparse.insert(name, sparse(value).map_err(told)?);
        } else if value.get().trim_start_matches('[').len() + 1 < value.get().len() {
            row.multi.insert(name, multi(value).map_err(told)?);
        } else {
            row.dense.insert(name, Dense::F32(floats(value).map_err(told)?));
        }
    }
    Ok(())
}

fn sparse(value: &RawValue) -> Result<Sparse, String> {
    #[derive(Deserialize)]
    struct Raw<'a> {
        indices: Vec<u32>,
        #[serde(borrow)]
        values: &'a RawValue,
    }
    let raw: Raw<'_> = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
    Sparse::new(raw.indices, floats(raw.values)?).ok_or_else(|| "an index twice, or one without a value".to_owned())
}

fn multi(value: &RawValue) -> Result<Multi, String> {
    let raw: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
    let each: Vec<Vec<f32>> = raw.into_iter().map(floats).collect::<Result<_, _>>()?;
    let dims = each.first().map_or(0, Vec::len);
    if each.iter().any(|one| one.len() != dims) {
        return Err("its vectors are of several lengths".to_owned());
    }
    Multi::new(dims, each.concat()).ok_or_else(|| "it has no vector".to_owned())
}

/// Fields as they stand in the payload: all that do not begin like ours, numbers of 64 bits.
fn flat(metadata: &Metadata) -> Map<String, Value> {
    let mut flat = Map::new();
    for (key, text) in metadata.fields().into_iter().filter(|(key, _)| !key.starts_with(OURS)) {
        if let Ok(value) = serde_json::from_str(&text) {
            flat.insert(key, of_64_bits(value));
        }
    }
    flat
}

/// Whether a field is as it was written. The engine (qdrant-edge 0.9.0) gives a float of seventeen digits back as its neighbour now and then.
fn is_near(written: &Value, read: &Value) -> bool {
    match (written, read) {
        (Value::Number(one), Value::Number(other)) => {
            let floats = one.as_f64().zip(other.as_f64()).filter(|_| one.is_f64() && other.is_f64());
            one == other || floats.is_some_and(|(one, other)| one.to_bits().abs_diff(other.to_bits()) <= 1)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_near(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| is_near(value, other)))
        }
        (one, other) => one == other,
    }
}

/// Adds what filters ask for that the fields themselves do not say.
fn asked_otherwise(metadata: Option<&Metadata>, payload: &mut Map<String, Value>) {
    let (mut there, mut by_digits) = (Vec::new(), Map::new());
    let fields = metadata.map(Metadata::fields).unwrap_or_default();
    for (key, text) in fields.into_iter().filter(|(key, _)| !key.starts_with(OURS)) {
        // What no 64-bit float holds is not among them.
        let value = payload.get(&key).unwrap_or(&Value::Null);
        if text != "null" && (value.is_null() || value.as_array().is_some_and(Vec::is_empty)) {
            there.push(Value::from(key.as_str()));
        }
        if key.contains('"') {
            by_digits.insert(named(&key), value.clone());
        }
    }
    if !there.is_empty() {
        payload.insert(THERE.to_owned(), Value::Array(there));
    }
    if !by_digits.is_empty() {
        payload.insert(NAMED.to_owned(), Value::Object(by_digits));
    }
}

/// A name in hexadecimal digits.
pub(super) fn named(name: &str) -> String {
    name.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn of_64_bits(value: Value) -> Value {
    match value {
        Value::Number(number) if number.as_i64().is_none() => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(values) => values.into_iter().map(of_64_bits).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, of_64_bits(value))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::row_digest;

    fn schema(dtype: Dtype, metric: Metric) -> Schema {
        let shape = DenseShape { dtype, dims: 2, metric: Some(metric) };
        Schema { dense: [("dense".to_owned(), shape)].into(), ..Schema::default() }
    }

    fn back(of: &Row, schema: &Schema, change: impl Fn(&mut Value)) -> Row {
        let mut point = point(of, schema).unwrap();
        change(&mut point);
        let text = point.to_string();
        row(&serde_json::from_str(&text).unwrap(), schema).unwrap()
    }

    fn metadata(text: &str) -> Option<Metadata> {
        Some(Metadata::parse(text).unwrap())
    }

    #[test]
    fn points_are_known_by_numbers_and_uuids_alone_and_none_by_anothers() {
        let canonical = "0b8a1f2e-1111-4222-8333-444455556666";
        assert_eq!((id("", "7"), id("", canonical)), (Value::from(7), Value::from(canonical)));
        let upper = canonical.to_uppercase();
        let pairs = [
            ("", "07"),
            ("", "-7"),
            ("t", "7"),
            ("", upper.as_str()),
            ("", ""),
            ("a", "b"),
            ("", "ab"),
            ("ab", ""),
            ("", MARK),
        ];
        let ids: Vec<Value> = pairs.iter().map(|(namespace, one)| id(namespace, one)).collect();
        for one in &ids {
            let text = one.as_str().unwrap();
            assert_eq!((text.len(), &text[14..15], &text[19..20]), (36, "8", "8"));
            assert_eq!(ids.iter().filter(|other| *other == one).count(), 1);
            assert_ne!(text, MARK);
        }
    }

    #[test]
    fn a_row_comes_back_to_the_bit_where_vectors_stay_as_they_are() {
        let hostile = r#"{"":2,"big":18446744073709551616,"crossfade_x":1,"f":1.0,"huge":1e999,"n":null,"o":{"a":[null,1.50]},"u":-0.0}"#;
        let mut of = Row { namespace: "té".into(), id: "nul\0".into(), metadata: metadata(hostile), ..Row::default() };
        for text in [None, Some(String::new()), Some("ä\0".into())] {
            of.text = text;
            assert_eq!(row_digest(&back(&of, &schema(Dtype::F32, Metric::L2), |_| ())), row_digest(&of));
        }
        of.dense.insert("dense".into(), Dense::F32(vec![-0.0, 5e-45]));
        of.dense.insert("more".into(), Dense::I8(vec![1]));
        of.sparse.insert("words".into(), Sparse::new(vec![3], vec![0.0]).unwrap());
        assert_eq!(row_digest(&back(&of, &schema(Dtype::F32, Metric::Dot), |_| ())), row_digest(&of));
        of.dense.insert("dense".into(), Dense::F16(vec![0x3c01, 0x8001]));
        assert_eq!(row_digest(&back(&of, &schema(Dtype::F16, Metric::L2), |_| ())), row_digest(&of));
    }

    #[test]
    fn by_the_cosine_a_vector_goes_with_norm_one_and_comes_back_with_its_own() {
        for values in [[3.0_f32, 4.0], [3e-30, -4e-30], [3e30, 4e30], [0.0, 0.0]] {
            let of = Row { dense: [("dense".to_owned(), Dense::F32(values.to_vec()))].into(), ..Row::default() };
            let written = point(&of, &schema(Dtype::F32, Metric::Cosine)).unwrap();
            let norm: f64 =
                written["vector"]["dense"].as_array().unwrap().iter().map(|one| one.as_f64().unwrap().powi(2)).sum();
            assert!((norm - 1.0).abs() < 1e-6 || values == [0.0, 0.0]);
            let Dense::F32(found) = &back(&of, &schema(Dtype::F32, Metric::Cosine), |_| ()).dense["dense"] else {
                panic!("no floats")
            };
            for (one, other) in values.iter().zip(found) {
                assert!((one - other).abs() <= one.abs() * 2e-7, "{one} {other}");
            }
        }
        let odd =
            Row { dense: [("dense".to_owned(), Dense::F32(vec![f32::NAN, f32::INFINITY]))].into(), ..Row::default() };
        assert_eq!(row_digest(&back(&odd, &schema(Dtype::F32, Metric::Cosine), |_| ())), row_digest(&odd));
    }

    #[test]
    fn a_field_that_an_application_has_changed_holds_and_the_rest_stays() {
        let of = Row {
            id: "a".into(),
            metadata: metadata(r#"{"big":18446744073709551616,"gone":1,"n":null,"year":1999}"#),
            ..Row::default()
        };
        let found = back(&of, &schema(Dtype::F32, Metric::L2), |point| {
            let payload = point["payload"].as_object_mut().unwrap();
            payload.remove("gone");
            payload.insert("year".into(), Value::from(2000));
        });
        assert_eq!(found.metadata, metadata(r#"{"big":18446744073709551616,"n":null,"year":2000}"#));
    }

    #[test]
    fn a_float_that_comes_back_as_its_neighbour_was_not_changed_and_filters_find_what_fields_do_not_say() {
        let of = Row { metadata: metadata(r#"{"a":{"b":[2.470999616545866e+190]},"n":1}"#), ..Row::default() };
        let found = back(&of, &schema(Dtype::F32, Metric::L2), |point| {
            point["payload"]["a"]["b"][0] = Value::from(2.470_999_616_545_865_7e190);
        });
        assert_eq!(found.metadata, of.metadata);
        let found = back(&of, &schema(Dtype::F32, Metric::L2), |point| point["payload"]["n"] = Value::from(1.0));
        assert_eq!(found.metadata, metadata(r#"{"a":{"b":[2.470999616545866e+190]},"n":1.0}"#));
        let of = Row { metadata: metadata(r#"{"e":[],"huge":1e999,"n":null,"q\"":1}"#), ..Row::default() };
        let written = point(&of, &schema(Dtype::F32, Metric::L2)).unwrap();
        assert_eq!(written["payload"][THERE], json!(["e", "huge"]));
        assert_eq!(written["payload"][NAMED], json!({"7122": 1}));
        assert_eq!(row_digest(&back(&of, &schema(Dtype::F32, Metric::L2), |_| ())), row_digest(&of));
    }

    #[test]
    fn a_point_of_somebody_else_is_a_row_with_every_vector_that_it_has() {
        let text = r#"{"id":7,"payload":{"crossfade_x":1,"n":{"a":null}},"vector":{"":[0.1,2],"late":[[1,2],[3,4]],"words":{"indices":[9,2],"values":[0.5,1]}}}"#;
        let found = row(&serde_json::from_str(text).unwrap(), &Schema::default()).unwrap();
        assert_eq!((found.id.as_str(), found.metadata), ("7", metadata(r#"{"crossfade_x":1,"n":{"a":null}}"#)));
        assert!(matches!(&found.dense["dense"], Dense::F32(values) if values == &[0.1, 2.0]));
        assert_eq!((found.multi["late"].dims(), found.sparse["words"].indices()), (2, &[2, 9][..]));
        let only = row(&serde_json::from_str(r#"{"id":"x","vector":[1,2]}"#).unwrap(), &Schema::default()).unwrap();
        assert_eq!((only.id.as_str(), only.dense.len(), only.metadata), ("x", 1, None));
    }
}
