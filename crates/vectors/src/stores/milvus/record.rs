//! A row as a record of Milvus, and back; and the row that somebody else's record is.
//!
//! A collection that Crossfade makes has one vector of floats, the text, the metadata as JSON for filters, and up to four texts that together are one line of JSON with what these have no place for, the metadata
//! among it, whole. When an application has since changed the field `metadata` it is right and the line is not: [`beside::reconciled`].

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::api::{self, Field, MAX_TEXT};
use super::column::{self, Cell, Column};
use super::protobuf::Message;
use crate::metadata::{Metadata, Object};
use crate::row::{Dense, Row};
use crate::schema::Schema;
use crate::stores::beside::{self, embedding, key, of_key};
use crate::stores::line::{from_line, to_line};

/// The fields of a collection that Crossfade makes.
pub(super) const KEY: &str = "id";
pub(super) const NAMESPACE: &str = "namespace";
pub(super) const VECTOR: &str = "vector";
/// Whether the row has the vector: every record needs one, and where there is none it is zeros.
pub(super) const HAS_VECTOR: &str = "has_vector";
const TEXT: &str = "text";
pub(super) const METADATA: &str = "metadata";
const LINES: [&str; 4] = ["crossfade_row", "crossfade_row_2", "crossfade_row_3", "crossfade_row_4"];

/// The most that a field of JSON holds.
const MAX_JSON: usize = 65_536;

/// What such a collection is made of.
pub(super) fn fields(dims: usize) -> Vec<Field> {
    let field = |name: &str, kind, dims| Field { name: name.to_owned(), kind, is_key: name == KEY, dims };
    let mut fields = vec![
        field(KEY, api::VARCHAR, 0),
        field(NAMESPACE, api::VARCHAR, 0),
        field(VECTOR, api::FLOAT_VECTOR, dims),
        field(HAS_VECTOR, api::BOOL, 0),
        field(TEXT, api::VARCHAR, 0),
        field(METADATA, api::JSON, 0),
    ];
    fields.extend(LINES.map(|name| field(name, api::VARCHAR, 0)));
    fields
}

/// A record as it is written.
pub(super) struct Record {
    pub(super) key: String,
    namespace: String,
    vector: Vec<f32>,
    has_vector: bool,
    text: String,
    metadata: String,
    lines: [String; 4],
}

/// The record that a row becomes.
pub(super) fn record(row: &Row, schema: &Schema) -> Result<Record, String> {
    let (name, shape) = embedding(schema).ok_or("the collection has no vector of floats")?;
    let mut rest = row.clone();
    let vector = beside::take(&mut rest, name)?;
    if vector.as_ref().is_some_and(|values| values.iter().any(|value| !value.is_finite())) {
        return Err(format!("its vector `{name}` is not finite, which Milvus does not take"));
    }
    let key = key(&row.namespace, &row.id);
    if key.len() > MAX_TEXT {
        return Err(format!("its namespace and identifier take {} bytes, and Milvus takes {MAX_TEXT}", key.len()));
    }
    let text = rest.text.take_if(|text| !text.is_empty() && text.len() <= MAX_TEXT).unwrap_or_default();
    let metadata = row.metadata.as_ref().map(asked_of).unwrap_or_default();
    let metadata = Value::Object(metadata).to_string();
    if metadata.len() > MAX_JSON {
        return Err(format!("its metadata takes {} bytes, and Milvus takes {MAX_JSON} a field", metadata.len()));
    }
    (rest.namespace, rest.id) = (String::new(), String::new());
    Ok(Record {
        key,
        namespace: row.namespace.clone(),
        has_vector: vector.is_some(),
        vector: vector.unwrap_or_else(|| vec![0.0; shape.dims]),
        text,
        metadata,
        lines: cut(&to_line(&rest))?,
    })
}

/// A line in pieces that fields hold.
fn cut(line: &str) -> Result<[String; 4], String> {
    let mut pieces: [String; 4] = Default::default();
    let mut rest = line;
    for piece in &mut pieces {
        let at = rest.floor_char_boundary(MAX_TEXT.min(rest.len()));
        let (first, left) = rest.split_at(at);
        (*piece, rest) = (first.to_owned(), left);
    }
    if rest.is_empty() {
        return Ok(pieces);
    }
    Err(format!(
        "what stands beside its vector takes {} bytes, and there is room for {}",
        line.len(),
        LINES.len() * MAX_TEXT
    ))
}

/// Records, field by field.
pub(super) fn columns(records: &[Record], dims: usize) -> Vec<Message> {
    let texts = |name: &str, of: &dyn Fn(&Record) -> &str| column::of_texts(api::VARCHAR, name, records.iter().map(of));
    let mut columns = vec![
        texts(KEY, &|record| &record.key),
        texts(NAMESPACE, &|record| &record.namespace),
        column::of_vectors(VECTOR, dims, records.iter().map(|record| record.vector.as_slice())),
        column::of_bools(HAS_VECTOR, records.iter().map(|record| record.has_vector)),
        texts(TEXT, &|record| &record.text),
        column::of_texts(api::JSON, METADATA, records.iter().map(|record| record.metadata.as_str())),
    ];
    for (n, name) in LINES.into_iter().enumerate() {
        columns.push(texts(name, &|record| &record.lines[n]));
    }
    columns
}

/// The row that a record of ours is.
pub(super) fn row(columns: &[Column], at: usize, schema: &Schema) -> Result<Row, String> {
    let (name, shape) = embedding(schema).ok_or("the collection has no vector of floats")?;
    let cell = |name: &str| {
        let column = columns.iter().find(|column| column.name == name);
        column.ok_or_else(|| format!("there is no field `{name}`"))?.at(at)
    };
    let text = |name: &str| match cell(name)? {
        Cell::Json(text) => serde_json::from_str::<String>(&text).map_err(|error| format!("`{name}`: {error}")),
        _ => Err(format!("`{name}` is no text")),
    };
    let mut line = String::new();
    for piece in LINES {
        line += &text(piece)?;
    }
    let mut row = from_line(&line).map_err(|why| format!("`{}`: {why}", LINES[0]))?;
    (row.namespace, row.id) = of_key(&text(KEY)?);
    row.text = Some(text(TEXT)?).filter(|text| !text.is_empty()).or(row.text);
    let Cell::Json(metadata) = cell(METADATA)? else { return Err(format!("`{METADATA}` is no JSON")) };
    let Object(found) = serde_json::from_str(&metadata).map_err(|error| format!("`{METADATA}`: {error}"))?;
    row.metadata = beside::reconciled(row.metadata, &found, asked_of, |written, read| written == read)?;
    let Cell::Dense(Dense::F32(values)) = cell(VECTOR)? else { return Err(format!("`{VECTOR}` is no vector")) };
    let has_vector = matches!(cell(HAS_VECTOR)?, Cell::Json(value) if value == "true");
    // An application may have given it one since.
    if has_vector || values.iter().any(|value| *value != 0.0) {
        row.dense.insert(name.to_owned(), beside::dense(values, shape.dtype));
    }
    Ok(row)
}

/// The row that somebody else's record is: what is no key and no vector is metadata, and so is what has no field of its own.
pub(super) fn row_of_theirs(columns: &[Column], at: usize, key: &str) -> Result<Row, String> {
    let mut row = Row::default();
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for column in columns {
        match column.at(at)? {
            Cell::Json(value) if column.name == key => {
                row.id = serde_json::from_str(&value).unwrap_or(value);
            }
            Cell::Json(value) if column.is_dynamic => {
                let Object(pairs) = serde_json::from_str(&value).map_err(|error| error.to_string())?;
                for (name, value) in pairs {
                    if columns.iter().any(|column| !column.is_dynamic && column.name == name) {
                        return Err(format!("it has a field `{name}` beside the collection's own of that name"));
                    }
                    fields.insert(name, value.get().to_owned());
                }
            }
            Cell::Json(value) => drop(fields.insert(column.name.clone(), value)),
            Cell::Dense(dense) => drop(row.dense.insert(column.name.clone(), dense)),
            Cell::Sparse(sparse) => drop(row.sparse.insert(column.name.clone(), sparse)),
            Cell::Null => {}
        }
    }
    if !fields.is_empty() {
        let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        row.metadata = Some(beside::object(&fields)?);
    }
    Ok(row)
}

/// Below this every integer is a 64-bit float, which is what filters compare.
const MAX_EXACT: i64 = 1 << 53;

/// What filters can be asked of: everything but nulls, numbers as 64-bit floats. What is beyond those is an object without a field: it is there, and equals nothing.
fn asked_of(metadata: &Metadata) -> Map<String, Value> {
    let mut asked = Map::new();
    for (key, text) in metadata.fields() {
        let read = RawValue::from_string(text).ok().and_then(|raw| serde_json::from_str(raw.get()).ok());
        match read.map(float) {
            Some(Value::Null) => {}
            Some(value) => drop(asked.insert(key, value)),
            None => drop(asked.insert(key, Value::Object(Map::new()))),
        }
    }
    asked
}

fn float(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_i64().filter(|one| (-MAX_EXACT..=MAX_EXACT).contains(one)) {
            Some(integer) => Value::from(integer),
            None => number.as_f64().map_or(Value::Null, Value::from),
        },
        Value::Array(values) => Value::Array(values.into_iter().map(float).collect()),
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(key, value)| (key, float(value))).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::row_digest;
    use crate::row::Dtype;
    use crate::schema::{DenseShape, Metric};

    fn schema(dtype: Dtype) -> Schema {
        let shape = DenseShape { dtype, dims: 2, metric: Some(Metric::L2) };
        Schema { dense: [("dense".to_owned(), shape)].into(), ..Schema::default() }
    }

    /// What the server would say of these records.
    fn said(records: &[Record]) -> Vec<Column> {
        columns(records, 2).into_iter().map(|column| Column::read(&column.into_bytes()).unwrap()).collect()
    }

    fn back(of: &Row, dtype: Dtype) -> Row {
        row(&said(&[record(of, &schema(dtype)).unwrap()]), 0, &schema(dtype)).unwrap()
    }

    fn metadata(text: &str) -> Option<Metadata> {
        Some(Metadata::parse(text).unwrap())
    }

    #[test]
    fn a_row_comes_back_to_the_bit_with_and_without_what_records_need() {
        let hostile =
            r#"{"":2,"big":18446744073709551616,"f":1.0,"huge":1e999,"n":null,"o":{"a":[null,1.50]},"u":-0.0}"#;
        let mut of = Row { namespace: "té".into(), id: "nul\0".into(), metadata: metadata(hostile), ..Row::default() };
        for text in [None, Some(String::new()), Some("x".repeat(70_000)), Some("ä\0".into())] {
            of.text = text;
            assert_eq!(row_digest(&back(&of, Dtype::F32)), row_digest(&of));
        }
        of.dense.insert("dense".into(), Dense::F32(vec![-0.0, 5e-45]));
        of.dense.insert("more".into(), Dense::I8(vec![1; 40_000]));
        assert_eq!(row_digest(&back(&of, Dtype::F32)), row_digest(&of));
        of.dense.insert("dense".into(), Dense::F16(vec![0x3c01, 0x8001]));
        assert_eq!(row_digest(&back(&of, Dtype::F16)), row_digest(&of));
    }

    #[test]
    fn what_milvus_has_no_room_for_is_refused_with_how_much_there_is() {
        let refused = |of: Row| record(&of, &schema(Dtype::F32)).err().unwrap();
        let nan = Row { dense: [("dense".to_owned(), Dense::F32(vec![f32::NAN, 0.0]))].into(), ..Row::default() };
        assert!(refused(nan).contains("not finite"));
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(65_536));
        assert!(refused(Row { metadata: metadata(&long), ..Row::default() }).contains("takes 65536 a field"));
        assert!(refused(Row { id: "x".repeat(65_536), ..Row::default() }).contains("Milvus takes 65535"));
        let wide = Row { dense: [("more".to_owned(), Dense::I8(vec![1; 140_000]))].into(), ..Row::default() };
        assert!(refused(wide).contains("there is room for 262140"));
    }

    #[test]
    fn metadata_that_an_application_has_changed_holds_and_the_rest_stays() {
        let of = Row {
            id: "a".into(),
            metadata: metadata(r#"{"gone":1,"n":null,"same":1.50,"year":1999}"#),
            ..Row::default()
        };
        let mut changed = record(&of, &schema(Dtype::F32)).unwrap();
        assert_eq!(changed.metadata, r#"{"gone":1,"same":1.5,"year":1999}"#);
        changed.metadata = r#"{"same":1.5,"year":2000,"new":[null]}"#.to_owned();
        let found = row(&said(&[changed]), 0, &schema(Dtype::F32)).unwrap();
        assert_eq!(found.metadata, metadata(r#"{"n":null,"new":[null],"same":1.5,"year":2000}"#));
    }

    #[test]
    fn what_filters_are_asked_of_has_no_nulls_and_no_number_beyond_floats() {
        let hostile =
            r#"{"big":9007199254740993,"deep":{"a":18446744073709551616},"huge":1e999,"l":["x",1,null],"n":null}"#;
        assert_eq!(
            Value::Object(asked_of(&metadata(hostile).unwrap())).to_string(),
            r#"{"big":9007199254740992.0,"deep":{"a":1.8446744073709552e+19},"huge":{},"l":["x",1,null]}"#
        );
    }

    #[test]
    fn a_record_of_somebody_else_is_a_row_whose_fields_are_metadata() {
        let column = |message: Message| Column::read(&message.into_bytes()).unwrap();
        let dynamic = column::of_texts(api::JSON, "$meta", [r#"{"b":{"c":null}}"#].into_iter()).int(6, 1);
        let columns = [
            column(column::of_texts(api::VARCHAR, "pk", ["a"].into_iter())),
            column(column::of_texts(api::VARCHAR, "title", ["x"].into_iter())),
            column(dynamic),
            column(column::of_vectors("emb", 2, [&[1.0, 2.0][..]].into_iter())),
        ];
        let found = row_of_theirs(&columns, 0, "pk").unwrap();
        assert_eq!((found.id.as_str(), found.metadata), ("a", metadata(r#"{"b":{"c":null},"title":"x"}"#)));
        assert!(matches!(&found.dense["emb"], Dense::F32(values) if values == &[1.0, 2.0]));
    }
}
