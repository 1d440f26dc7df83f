//! A row as a record of Chroma, and back.
//!
//! A record has one identifier, one vector of floats, a document, and metadata that is flat: no nesting, no null. So what it has no place for is one line of JSON in the field
//! `crossfade_row`, the metadata among it, whole; what filters can be asked of stands beside it once more, field by field. When an application has since changed these fields they
//! are right and the line is not: [`reconciled`].

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::metadata::{Metadata, Object};
use crate::row::{Dtype, ONLY_VECTOR, Row};
use crate::schema::{Metric, Schema};
use crate::stores::beside::{self, LINE, OURS, embedding, key, of_key};
use crate::stores::line::{floats, from_line, to_line};

/// The namespace, for filters.
pub(super) const NAMESPACE: &str = "crossfade_namespace";
/// The names of all fields of the metadata that are not null, whether they stand beside it or not.
pub(super) const FIELDS: &str = "crossfade_fields";
/// Whether the row has a text, where it has none and the record an empty document: a document that was there once cannot be taken away.
const HAS_TEXT: &str = "crossfade_text";
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

/// The record that a row becomes.
pub(super) fn record(row: &Row, schema: &Schema) -> Result<Record, String> {
    let (name, shape) = embedding(schema).ok_or("the collection has no vector of floats")?;
    let mut rest = row.clone();
    let vector = beside::take(&mut rest, name)?;
    if let Some(values) = &vector {
        check(name, values, shape.metric)?;
    }
    let mut metadata = row.metadata.as_ref().map(flat).unwrap_or_default();
    let document = rest.text.take();
    let fields: Vec<String> = row.metadata.as_ref().map(fields).unwrap_or_default();
    if !fields.is_empty() {
        metadata.insert(FIELDS.to_owned(), Value::from(fields));
    }
    metadata.insert(NAMESPACE.to_owned(), Value::from(row.namespace.as_str()));
    metadata.insert(HAS_VECTOR.to_owned(), Value::from(vector.is_some()));
    metadata.insert(LINE.to_owned(), Value::from(to_line(&rest)));
    let vector = vector.unwrap_or_else(|| vec![0.0; shape.dims]);
    Ok(Record { id: key(&row.namespace, &row.id), vector, document, metadata })
}

impl Record {
    /// Makes it one that replaces another, of which these fields are there, and a document or none: Chroma keeps what it is not told to take away.
    pub(super) fn takes_the_place_of(&mut self, before: &Map<String, Value>, has_document: bool) {
        if self.document.is_none() && has_document {
            self.document = Some(String::new());
            self.metadata.insert(HAS_TEXT.to_owned(), Value::from(false));
        }
        for key in before.keys().filter(|key| !key.starts_with("chroma:")) {
            self.metadata.entry(key.clone()).or_insert(Value::Null);
        }
    }
}

/// Names of fields that are not null.
fn fields(metadata: &Metadata) -> Vec<String> {
    let fields = metadata.fields().into_iter();
    fields
        .filter(|(key, value)| value != "null" && !key.is_empty() && !key.contains('\0'))
        .map(|(key, _)| key)
        .collect()
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
    let has_text = own(HAS_TEXT) != Some("false");
    row.text = found.document.filter(|document| has_text || !document.is_empty());
    if let Some(uri) = &found.uri {
        row.metadata = Some(with_uri(row.metadata.as_ref(), uri)?);
    }
    // An application may have given it one since.
    if own(HAS_VECTOR) != Some("false") || values.iter().any(|value| *value != 0.0) {
        row.dense.insert(name.to_owned(), beside::dense(values, dtype));
    }
    Ok(row)
}

/// Whether a field of this name can stand beside the line.
pub(super) fn is_kept(key: &str) -> bool {
    !key.is_empty() && !key.starts_with(['#', '$']) && !key.starts_with("chroma:") && !key.starts_with(OURS)
}

/// What filters can be asked of: texts, truths, numbers as 64-bit floats are, lists of one kind of them, and of other lists the texts.
fn flat(metadata: &Metadata) -> Map<String, Value> {
    let mut flat = Map::new();
    for (key, value) in metadata.fields() {
        if let Some(value) = flat_value(&value).filter(|_| is_kept(&key)) {
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
    let read: Vec<Option<(u8, Value)>> = values.into_iter().map(|value| scalar(value.get())).collect();
    let first = read.first()?.as_ref().map(|(kind, _)| *kind);
    let is_of_one_kind = first.is_some() && read.iter().all(|one| one.as_ref().map(|(kind, _)| *kind) == first);
    let texts = |kind: u8| is_of_one_kind || kind == TEXT;
    let kept: Vec<Value> =
        read.into_iter().flatten().filter(|(kind, _)| texts(*kind)).map(|(_, value)| value).collect();
    (!kept.is_empty()).then_some(Value::Array(kept))
}

/// The kind of a text.
const TEXT: u8 = 0;
/// Below this every integer is a 64-bit float, which is what filters compare.
const MAX_EXACT: i64 = 1 << 53;

/// A value that is not nested, with its kind: none of null, and of a number beyond 64-bit floats.
fn scalar(text: &str) -> Option<(u8, Value)> {
    match text.as_bytes().first()? {
        b'"' => Some((TEXT, serde_json::from_str(text).ok()?)),
        b't' | b'f' => Some((1, Value::from(text == "true"))),
        b'-' | b'0'..=b'9' => {
            let integer = text.parse::<i64>().ok().filter(|value| (-MAX_EXACT..=MAX_EXACT).contains(value));
            let float = text.parse::<f64>().ok().filter(|value| value.is_finite());
            integer.map(|value| (3, Value::from(value))).or_else(|| Some((2, Value::from(float?))))
        }
        _ => None,
    }
}

/// The metadata of a row whose line says `kept` and whose fields are `found`.
fn reconciled(kept: Option<Metadata>, found: &[(String, &RawValue)]) -> Result<Option<Metadata>, String> {
    // -0.0 comes back as 0.0, which are equal here.
    beside::reconciled(kept, found, flat, |written, read| written == read)
}

fn with_uri(metadata: Option<&Metadata>, uri: &str) -> Result<Metadata, String> {
    let (kept, uri) = (metadata.map(Metadata::fields).unwrap_or_default(), Value::from(uri).to_string());
    let mut fields: BTreeMap<&str, &str> = kept.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    fields.insert(URI, &uri);
    beside::object(&fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::row_digest;
    use crate::row::Dense;
    use crate::schema::DenseShape;

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
    fn metadata_that_is_not_flat_comes_back_and_what_is_flat_stands_in_fields() {
        let text = r##"{"#x":1,"":2,"big":18446744073709551616,"chroma:y":3,"crossfade_row":"mine","f":1.0,"l":["a","b"],"mixed":[1,2.5],"n":null,"o":{"a":[null]},"t":"x","u":-0.0,"z":7}"##;
        let row = Row { id: "a".into(), metadata: Some(Metadata::parse(text).unwrap()), ..Row::default() };
        let mut fields = record(&row, &schema(Dtype::F32, Metric::L2)).unwrap().metadata;
        fields.retain(|key, _| !key.starts_with(OURS));
        assert_eq!(
            Value::Object(fields).to_string(),
            r#"{"big":1.8446744073709552e+19,"f":1.0,"l":["a","b"],"t":"x","u":-0.0,"z":7}"#
        );
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
    fn a_record_that_replaces_another_leaves_nothing_of_it() {
        let schema = schema(Dtype::F32, Metric::L2);
        let with = |text: Option<&str>, metadata: &str| Row {
            id: "a".into(),
            text: text.map(str::to_owned),
            metadata: Some(Metadata::parse(metadata).unwrap()),
            ..Row::default()
        };
        let before = record(&with(Some("old"), r#"{"gone":1,"kept":["x"]}"#), &schema).unwrap();
        let new = with(None, r#"{"kept":2}"#);
        let mut replacing = record(&new, &schema).unwrap();
        replacing.takes_the_place_of(&before.metadata, true);
        assert_eq!((&replacing.metadata["gone"], replacing.document.as_deref()), (&Value::Null, Some("")));
        // Chroma takes away what is null, and keeps the rest.
        let mut merged = before.metadata.clone();
        merged.extend(replacing.metadata.clone());
        merged.retain(|_, value| !value.is_null());
        let vector = RawValue::from_string("[0,0]".into()).unwrap();
        let metadata = RawValue::from_string(Value::Object(merged.clone()).to_string()).unwrap();
        let found = |document: &str| Found {
            id: "a",
            vector: &vector,
            document: Some(document.into()),
            metadata: Some(&metadata),
            uri: None,
        };
        assert_eq!(row_digest(&row(found(""), &schema).unwrap()), row_digest(&new));
        // A document that somebody has written since is one.
        assert_eq!(row(found("since"), &schema).unwrap().text.as_deref(), Some("since"));
        let mut again = record(&with(Some(""), "{}"), &schema).unwrap();
        again.takes_the_place_of(&merged, true);
        assert_eq!(
            (&again.metadata["crossfade_text"], &again.metadata["crossfade_fields"]),
            (&Value::Null, &Value::Null)
        );
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
