//! A row as a record of Chroma, and back.
//!
//! A record has one identifier, one vector of floats, a document, and metadata that is flat: no nesting, no null. So what it has no place for is one line of JSON in the field
//! `crossfade_row`, the metadata among it, whole; what filters can be asked of stands beside it once more, field by field. When an application has since changed these fields they
//! are right and the line is not: [`reconciled`].

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::metadata::{Metadata, Object};
use crate::row::{Dense, Dtype, ONLY_VECTOR, Row};
use crate::schema::{DenseShape, Metric, Schema};
use crate::stores::line::{floats, from_line, to_line};

/// Fields that begin so are ours.
const OURS: &str = "crossfade_";
/// What of a row has no place of its own.
const LINE: &str = "crossfade_row";
/// The namespace, for filters.
pub(super) const NAMESPACE: &str = "crossfade_namespace";
/// Whether the row has the vector: every record needs one, and where there is none it is zeros.
pub(super) const HAS_VECTOR: &str = "crossfade_vector";
/// Where the address of a file stands that a record may name instead of a document. Chroma keeps keys that begin so for itself.
const URI: &str = "chroma:uri";

/// A record as it is written.
pub(super) struct Record {
    pub(super) id: String,
    pub(super) vector: Vec<f32>,
    pub(super) document: Option<String>,
    pub(super) metadata: Map<String, Value>,
}

/// A record as it is read.
pub(super) struct Found<'a> {
    pub(super) id: &'a str,
    pub(super) vector: &'a RawValue,
    pub(super) document: Option<String>,
    pub(super) metadata: Option<&'a RawValue>,
    pub(super) uri: Option<String>,
}

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

/// The identifier of a record: the row's own, or where it has a namespace, or begins like what stands for both, or Chroma does not take it, both as a list of JSON.
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

/// The record that a row becomes.
pub(super) fn record(row: &Row, schema: &Schema) -> Result<Record, String> {
    let (name, shape) = embedding(schema).ok_or("the collection has no vector of floats")?;
    let mut rest = row.clone();
    let vector = match rest.dense.remove(name) {
        Some(Dense::F32(values)) => Some(values),
        Some(Dense::F16(values)) => Some(values.iter().map(|bits| half::f16::from_bits(*bits).to_f32()).collect()),
        Some(_) => return Err(format!("its vector `{name}` is not of floats")),
        None => None,
    };
    if let Some(values) = &vector {
        check(name, values, shape.metric)?;
    }
    let mut metadata = row.metadata.as_ref().map(flat).unwrap_or_default();
    let document = rest.text.take();
    metadata.insert(NAMESPACE.to_owned(), Value::from(row.namespace.as_str()));
    metadata.insert(HAS_VECTOR.to_owned(), Value::from(vector.is_some()));
    metadata.insert(LINE.to_owned(), Value::from(to_line(&rest)));
    let vector = vector.unwrap_or_else(|| vec![0.0; shape.dims]);
    Ok(Record { id: key(&row.namespace, &row.id), vector, document, metadata })
}

/// Chroma 1.5.9 brings vectors that are compared by angles to norm 1 and back, in 32-bit floats: squares beyond these come back as zeros, or as nothing at all.
const NORMS: std::ops::RangeInclusive<f64> = 1e-15..=1e15;

fn check(name: &str, values: &[f32], metric: Option<Metric>) -> Result<(), String> {
    if values.iter().any(|value| !value.is_finite()) {
        return Err(format!("its vector `{name}` is not finite, which Chroma does not take"));
    }
    let norm = values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
    if metric == Some(Metric::Cosine) && norm != 0.0 && !NORMS.contains(&norm) {
        return Err(format!(
            "its vector `{name}` has norm {norm:.1e}: Chroma gives such back as something else where it compares by the cosine"
        ));
    }
    Ok(())
}

/// The row that a record is. Where a vector's name or kind is not known it is the only one, of 32-bit floats.
pub(super) fn row(found: Found<'_>, schema: &Schema) -> Result<Row, String> {
    let (name, dtype) = embedding(schema).map_or((ONLY_VECTOR, Dtype::F32), |(name, shape)| (name, shape.dtype));
    let values = floats(found.vector)?;
    let Object(pairs) = match found.metadata {
        Some(metadata) => serde_json::from_str(metadata.get()).map_err(|error| error.to_string())?,
        None => Object(Vec::new()),
    };
    let (ours, others): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, _)| key.starts_with(OURS));
    let own = |key: &str| ours.iter().find(|(name, _)| name == key).map(|(_, value)| value.get());
    let mut row = match own(LINE) {
        Some(line) => {
            let line: String = serde_json::from_str(line).map_err(|error| error.to_string())?;
            let mut row = from_line(&line).map_err(|why| format!("`{LINE}`: {why}"))?;
            row.metadata = reconciled(row.metadata, &others)?;
            row
        }
        None => {
            // Somebody else's: what begins like ours is theirs too.
            let all: Vec<_> = ours.iter().cloned().chain(others).collect();
            Row { metadata: reconciled(None, &all)?, ..Row::default() }
        }
    };
    (row.namespace, row.id) = of_key(found.id);
    row.text = found.document;
    if let Some(uri) = &found.uri {
        row.metadata = Some(with_uri(row.metadata.as_ref(), uri)?);
    }
    // An application may have given it one since.
    if own(HAS_VECTOR) != Some("false") || values.iter().any(|value| *value != 0.0) {
        let dense = match dtype {
            Dtype::F16 => Dense::F16(values.iter().map(|value| half::f16::from_f32(*value).to_bits()).collect()),
            _ => Dense::F32(values),
        };
        row.dense.insert(name.to_owned(), dense);
    }
    Ok(row)
}

/// What filters can be asked of: texts, truths, numbers that come back as they are, and lists of one kind of them.
fn flat(metadata: &Metadata) -> Map<String, Value> {
    let mut flat = Map::new();
    for (key, value) in metadata.fields() {
        let is_taken =
            !key.is_empty() && !key.starts_with(['#', '$']) && !key.starts_with("chroma:") && !key.starts_with(OURS);
        if let Some(value) = flat_value(&value).filter(|_| is_taken) {
            flat.insert(key, value);
        }
    }
    flat
}

fn flat_value(text: &str) -> Option<Value> {
    if !text.starts_with('[') {
        return scalar(text).map(|(_, value)| value);
    }
    let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    let values: Vec<(u8, Value)> = values.into_iter().map(|value| scalar(value.get())).collect::<Option<_>>()?;
    let (first, _) = values.first()?;
    let is_of_one_kind = values.iter().all(|(kind, _)| kind == first);
    is_of_one_kind.then(|| values.into_iter().map(|(_, value)| value).collect())
}

/// A value that is not nested, with its kind: none of null, and of a number that neither a 64-bit integer nor a 64-bit float is.
fn scalar(text: &str) -> Option<(u8, Value)> {
    match text.as_bytes().first()? {
        b'"' => Some((0, serde_json::from_str(text).ok()?)),
        b't' | b'f' => Some((1, Value::from(text == "true"))),
        b'-' | b'0'..=b'9' if text.contains(['.', 'e', 'E']) => {
            let float: f64 = text.parse().ok()?;
            float.is_finite().then(|| (2, Value::from(float)))
        }
        b'-' | b'0'..=b'9' => Some((3, Value::from(text.parse::<i64>().ok()?))),
        _ => None,
    }
}

/// The metadata of a row whose line says `kept` and whose fields are `found`: what was kept, but where a field is not what was written beside it the field holds.
fn reconciled(kept: Option<Metadata>, found: &[(String, &RawValue)]) -> Result<Option<Metadata>, String> {
    let written = kept.as_ref().map(flat).unwrap_or_default();
    let found: BTreeMap<&str, &RawValue> = found.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    // -0.0 comes back as 0.0, which are equal here.
    let is_as_written =
        |key: &str, value: &RawValue| written.get(key) == serde_json::from_str::<Value>(value.get()).ok().as_ref();
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

fn with_uri(metadata: Option<&Metadata>, uri: &str) -> Result<Metadata, String> {
    let (kept, uri) = (metadata.map(Metadata::fields).unwrap_or_default(), Value::from(uri).to_string());
    let mut fields: BTreeMap<&str, &str> = kept.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    fields.insert(URI, &uri);
    object(&fields)
}

fn object(fields: &BTreeMap<&str, &str>) -> Result<Metadata, String> {
    let mut text = "{".to_owned();
    for (n, (key, value)) in fields.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        write!(text, "{comma}{}:{value}", Value::from(*key)).map_err(|error| error.to_string())?;
    }
    text.push('}');
    Metadata::parse(&text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::row_digest;

    fn schema(dtype: Dtype, metric: Metric) -> Schema {
        let shape = DenseShape { dtype, dims: 2, metric: Some(metric) };
        Schema { dense: [("dense".to_owned(), shape)].into(), ..Schema::default() }
    }

    /// The row that comes back when an application has put `changed` into the place of the fields.
    fn back(row_of: &Row, schema: &Schema, change: impl Fn(&mut Map<String, Value>)) -> Row {
        let Record { id, vector, document, mut metadata } = record(row_of, schema).unwrap();
        change(&mut metadata);
        let vector = RawValue::from_string(serde_json::to_string(&vector).unwrap()).unwrap();
        let metadata = RawValue::from_string(serde_json::to_string(&metadata).unwrap()).unwrap();
        row(Found { id: &id, vector: &vector, document, metadata: Some(&metadata), uri: None }, schema).unwrap()
    }

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

    #[test]
    fn metadata_that_is_not_flat_comes_back_and_what_is_flat_stands_in_fields() {
        let text = r##"{"#x":1,"":2,"big":18446744073709551616,"chroma:y":3,"crossfade_row":"mine","f":1.0,"l":["a","b"],"mixed":[1,2.5],"n":null,"o":{"a":[null]},"t":"x","u":-0.0,"z":7}"##;
        let row = Row { id: "a".into(), metadata: Some(Metadata::parse(text).unwrap()), ..Row::default() };
        let mut fields = record(&row, &schema(Dtype::F32, Metric::L2)).unwrap().metadata;
        fields.retain(|key, _| !key.starts_with(OURS));
        assert_eq!(Value::Object(fields).to_string(), r#"{"f":1.0,"l":["a","b"],"t":"x","u":-0.0,"z":7}"#);
        let same = back(&row, &schema(Dtype::F32, Metric::L2), |fields| {
            fields.insert("u".into(), Value::from(0.0));
        });
        assert_eq!(same.metadata.unwrap().text(), Metadata::parse(text).unwrap().text());
    }

    #[test]
    fn a_field_that_an_application_has_changed_holds_and_the_rest_stays_as_it_was() {
        let metadata = |text: &str| Some(Metadata::parse(text).unwrap());
        let row = Row {
            id: "a".into(),
            metadata: metadata(r#"{"gone":1,"n":null,"same":1.50,"year":1999}"#),
            ..Row::default()
        };
        let changed = back(&row, &schema(Dtype::F32, Metric::L2), |fields| {
            fields.remove("gone");
            fields.insert("year".into(), Value::from(2000));
            fields.insert("new".into(), Value::from("x"));
        });
        assert_eq!(changed.metadata, metadata(r#"{"n":null,"new":"x","same":1.5,"year":2000}"#));
    }

    #[test]
    fn a_row_without_the_vector_comes_back_without_and_sixteen_bits_as_sixteen() {
        let row = Row { namespace: "t".into(), id: "a".into(), text: Some(String::new()), ..Row::default() };
        let same = back(&row, &schema(Dtype::F32, Metric::Cosine), |_| ());
        assert_eq!(row_digest(&same), row_digest(&row));
        let mut half = row;
        half.dense.insert("dense".into(), Dense::F16(vec![0x3c01, 0x8001]));
        assert_eq!(row_digest(&back(&half, &schema(Dtype::F16, Metric::L2), |_| ())), row_digest(&half));
    }

    #[test]
    fn what_chroma_would_give_back_as_something_else_is_refused() {
        let refused = |values: [f32; 2], metric| {
            let mut row = Row::default();
            row.dense.insert("dense".into(), Dense::F32(values.to_vec()));
            record(&row, &schema(Dtype::F32, metric)).err().unwrap_or_default()
        };
        assert!(refused([f32::NAN, 1.0], Metric::L2).contains("not finite"));
        assert!(refused([1e25, 1.0], Metric::Cosine).contains("norm 1.0e25"));
        assert_eq!(refused([1e25, 1.0], Metric::L2) + &refused([0.0, 0.0], Metric::Cosine), "");
    }

    #[test]
    fn a_record_of_somebody_else_is_a_row_with_its_address_in_the_metadata() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let (vector, metadata) =
            (raw("[0.1, 2]"), raw(r#"{"year":1999,"crossfade_x":"theirs","sparse":{"indices":[1]}}"#));
        let found =
            Found { id: "a", vector: &vector, document: None, metadata: Some(&metadata), uri: Some("s3://x".into()) };
        let row = row(found, &Schema::default()).unwrap();
        assert_eq!(
            row.metadata.unwrap().text(),
            r#"{"chroma:uri":"s3://x","crossfade_x":"theirs","sparse":{"indices":[1]},"year":1999}"#
        );
        assert!(matches!(&row.dense["dense"], Dense::F32(values) if values == &[0.1, 2.0]));
    }
}
