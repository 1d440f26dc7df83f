//! A row as a record of Pinecone, and back.
//!
//! A record has an identifier of ASCII, one dense vector, at most one sparse one, and metadata that is flat: texts, truths, 64-bit floats, lists of texts. Nearly every row that comes
//! from an application is just that. What is not (nesting, nulls, further vectors, a float such as `1.0`, which would come back as `1`) is one line of JSON in the field `crossfade_row`, which is
//! there only where without it another row would come back. The text and the space have fields of their own.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::place::DEFAULT;
use crate::metadata::{Metadata, Object};
use crate::row::{Dtype, ONLY_VECTOR, Row, Sparse};
use crate::schema::{DenseShape, Metric, Schema};
use crate::stores::beside::{self, LINE, OURS, embedding};
use crate::stores::line::{floats, from_line, to_line};

/// The text of a row.
const TEXT: &str = "crossfade_text";
/// The space of a row.
const SPACE: &str = "crossfade_space";
/// The name of a sparse vector that somebody else has written.
pub(super) const ONLY_SPARSE: &str = "sparse";

/// The longest identifier.
const MAX_ID: usize = 512;
/// The most metadata of one record, in bytes of JSON.
const MAX_METADATA: usize = 40 << 10;
/// The most numbers of a sparse vector.
const MAX_SPARSE: usize = 1000;
/// Below this every integer is a 64-bit float.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A record as it is written. Numbers go as 64-bit floats: whether a server reads their digits as 32 or as 64 bits, the same 32 come of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) values: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sparse_values: Option<Written>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) metadata: Map<String, Value>,
}

/// A sparse vector as it is written.
#[derive(Serialize)]
pub(super) struct Written {
    indices: Vec<u32>,
    values: Vec<f64>,
}

/// How what is written is called: in the API of vectors metadata stands by itself, in that of documents it shares its names with the vectors of a schema.
#[derive(Clone, Copy, Default)]
pub(super) struct Names<'a> {
    documents: Option<&'a Schema>,
}

impl<'a> Names<'a> {
    pub(super) fn of_documents(schema: &'a Schema) -> Names<'a> {
        Names { documents: Some(schema) }
    }

    /// Whether it is the name of a vector of the schema.
    pub(super) fn is_vector(self, name: &str) -> bool {
        self.documents.is_some_and(|schema| {
            matches!(own(schema), Some(Own::Dense(own, _)) if own == name)
                || matches!(schema.sparse.as_slice(), [only] if only == name)
        })
    }

    /// Whether a field of metadata may be called so.
    fn takes(self, name: &str) -> bool {
        let is_free = self.documents.is_none() || !name.starts_with('_') && !self.is_vector(name);
        is_free && !name.is_empty() && !name.starts_with('$') && !name.starts_with(OURS) && is_text(name)
    }
}

/// A record as it is read.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found<'a> {
    #[serde(borrow, default)]
    pub(super) values: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) sparse_values: Option<FoundSparse<'a>>,
    #[serde(borrow, default)]
    pub(super) metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct FoundSparse<'a> {
    indices: Vec<u32>,
    #[serde(borrow)]
    values: &'a RawValue,
}

/// The identifier of a record: the row's own, or where Pinecone would not take it, or it begins like what stands for another, a list of JSON with it, in ASCII.
pub(super) fn key(id: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_control();
    if !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(is_plain) && !id.starts_with("[\"") {
        return Ok(id.to_owned());
    }
    let mut key = String::new();
    // A list of a text always has a form in JSON.
    for unit in serde_json::to_string(&[id]).unwrap_or_default().encode_utf16() {
        match u8::try_from(unit).ok().filter(|byte| is_plain(*byte)) {
            Some(byte) => key.push(char::from(byte)),
            None => write!(key, "\\u{unit:04x}").map_err(|error| error.to_string())?,
        }
    }
    if key.len() > MAX_ID {
        return Err(format!("its identifier would take {} bytes, and Pinecone takes {MAX_ID}", key.len()));
    }
    Ok(key)
}

/// The identifier that [`key`] made this of. What somebody else calls a record is its own.
pub(super) fn of_key(written: &str) -> String {
    let id = written.starts_with("[\"").then(|| serde_json::from_str::<[String; 1]>(written).ok()).flatten();
    match id {
        Some([id]) if key(&id).as_deref() == Ok(written) => id,
        _ => written.to_owned(),
    }
}

/// The vector that every record of an index has, and that it searches.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Own<'a> {
    /// A dense one of this name and shape.
    Dense(&'a str, &'a DenseShape),
    /// A sparse one: the index has no other.
    Sparse(&'a str),
}

/// Which it is: the dense vector that a record's own becomes, or, where the collection has none of floats, its only sparse one.
pub(crate) fn own(schema: &Schema) -> Option<Own<'_>> {
    match (embedding(schema), schema.sparse.as_slice()) {
        (Some((name, shape)), _) => Some(Own::Dense(name, shape)),
        (None, [only]) => Some(Own::Sparse(only)),
        (None, _) => None,
    }
}

/// The record that a row becomes.
pub(super) fn record(row: &Row, schema: &Schema, names: Names<'_>) -> Result<Record, String> {
    let own = own(schema).ok_or("the collection has no vector of floats, and not one sparse vector")?;
    if row.namespace == DEFAULT {
        return Err(format!("its namespace `{DEFAULT}` is what Pinecone calls the one without a name"));
    }
    let mut rest = row.clone();
    let (values, sparse) = vectors(&mut rest, own, schema, names)?;
    let mut metadata = row.metadata.as_ref().map(|metadata| flat(metadata, names)).unwrap_or_default();
    for (key, own) in [(TEXT, &mut rest.text), (SPACE, &mut rest.space)] {
        if let Some(text) = own.take_if(|text| is_text(text)) {
            metadata.insert(key.to_owned(), Value::from(text));
        }
    }
    let is_whole = rest.dense.is_empty() && rest.sparse.is_empty() && rest.multi.is_empty();
    let is_whole = is_whole && rest.text.is_none() && rest.space.is_none();
    if !is_whole || of_fields(&metadata)? != row.metadata {
        (rest.namespace, rest.id) = (String::new(), String::new());
        metadata.insert(LINE.to_owned(), Value::from(to_line(&rest)));
    }
    let n_bytes = Value::Object(metadata.clone()).to_string().len();
    if n_bytes > MAX_METADATA {
        return Err(format!(
            "its metadata, text and further vectors take {n_bytes} bytes, and Pinecone takes {MAX_METADATA} a record"
        ));
    }
    Ok(Record {
        id: key(&row.id)?,
        values: values.into_iter().map(f64::from).collect(),
        sparse_values: sparse.map(|sparse| Written {
            indices: sparse.indices().to_vec(),
            values: sparse.values().iter().copied().map(f64::from).collect(),
        }),
        metadata,
    })
}

/// Takes out of a row what the record has of its own.
fn vectors(
    rest: &mut Row,
    own: Own<'_>,
    schema: &Schema,
    names: Names<'_>,
) -> Result<(Vec<f32>, Option<Sparse>), String> {
    match own {
        Own::Dense(name, shape) => {
            let values = beside::take(rest, name)?
                .ok_or_else(|| format!("it has no vector `{name}`, which every record of an index has"))?;
            if values.iter().any(|value| !value.is_finite()) {
                return Err(format!("its vector `{name}` is not finite, which Pinecone does not take"));
            }
            // Beside a dense vector sparse ones go only with the inner product, but where both are fields of a document.
            let takes_sparse = names.documents.is_some() || shape.metric == Some(Metric::Dot);
            let sparse = match schema.sparse.as_slice() {
                [only] if takes_sparse && rest.sparse.get(only).is_some_and(is_taken) => rest.sparse.remove(only),
                _ => None,
            };
            Ok((values, sparse))
        }
        Own::Sparse(name) => {
            let sparse = rest.sparse.remove(name);
            let sparse = sparse
                .ok_or_else(|| format!("it has no sparse vector `{name}`, which every record of the index has"))?;
            if !is_taken(&sparse) {
                return Err(format!(
                    "its sparse vector `{name}` has a 0, what is not finite, or not 1 to {MAX_SPARSE} numbers, which Pinecone takes"
                ));
            }
            Ok((Vec::new(), Some(sparse)))
        }
    }
}

/// What comes back of fields that stand there alone.
fn of_fields(fields: &Map<String, Value>) -> Result<Option<Metadata>, String> {
    let others: Map<String, Value> = fields
        .iter()
        .filter(|(key, _)| !key.starts_with(OURS))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let text = Value::Object(others).to_string();
    let Object(pairs) = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    theirs(&pairs, &|_| false)
}

/// The row that a record is; `is_float` says of a field whether its numbers stay floats.
pub(super) fn row(
    (namespace, id): (&str, &str),
    found: &Found<'_>,
    schema: &Schema,
    is_float: &dyn Fn(&str) -> bool,
    names: Names<'_>,
) -> Result<Row, String> {
    let (name, dtype) = embedding(schema).map_or((ONLY_VECTOR, Dtype::F32), |(name, shape)| (name, shape.dtype));
    let Object(pairs) = match found.metadata.filter(|metadata| metadata.get() != "null") {
        Some(metadata) => serde_json::from_str(metadata.get()).map_err(|error| error.to_string())?,
        None => Object(Vec::new()),
    };
    let (ours, others): (Vec<_>, Vec<_>) =
        pairs.into_iter().partition(|(key, _)| [LINE, TEXT, SPACE].contains(&key.as_str()));
    let own = |key: &str| -> Result<Option<String>, String> {
        let value = ours.iter().find(|(name, _)| name == key).map(|(_, value)| serde_json::from_str(value.get()));
        value.transpose().map_err(|error| format!("`{key}`: {error}"))
    };
    let mut row = match own(LINE)? {
        Some(line) => {
            let mut row = from_line(&line).map_err(|why| format!("`{LINE}`: {why}"))?;
            row.metadata = beside::reconciled(row.metadata, &others, |metadata| flat(metadata, names), is_same)?;
            row
        }
        None => Row { metadata: theirs(&others, is_float)?, ..Row::default() },
    };
    (row.namespace, row.id) = (namespace.to_owned(), of_key(id));
    row.text = own(TEXT)?.or(row.text);
    row.space = own(SPACE)?.or(row.space);
    if let Some(values) = found.values {
        let values = floats(values)?;
        if !values.is_empty() {
            row.dense.insert(name.to_owned(), beside::dense(values, dtype));
        }
    }
    if let Some(sparse) = found.sparse_values.as_ref().filter(|sparse| !sparse.indices.is_empty()) {
        let name = schema.sparse.first().map_or(ONLY_SPARSE, String::as_str);
        let read = Sparse::new(sparse.indices.clone(), floats(sparse.values)?)
            .ok_or("its sparse vector has an index twice, or one without a value")?;
        row.sparse.insert(name.to_owned(), read);
    }
    Ok(row)
}

/// The metadata of a record without a line. A number that is an integer as a 64-bit float is one, but of fields that stay floats.
fn theirs(found: &[(String, &RawValue)], is_float: &dyn Fn(&str) -> bool) -> Result<Option<Metadata>, String> {
    if found.is_empty() {
        return Ok(None);
    }
    let whole: Vec<(&str, String)> = found
        .iter()
        .map(|(key, value)| {
            (key.as_str(), number(value.get(), is_float(key)).unwrap_or_else(|| value.get().to_owned()))
        })
        .collect();
    let fields: BTreeMap<&str, &str> = whole.iter().map(|(key, value)| (*key, value.as_str())).collect();
    beside::object(&fields).map(Some)
}

/// A number as it is written in metadata; none of what is no number, or stands there as it is.
fn number(written: &str, is_float: bool) -> Option<String> {
    let is_number = written.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let value: f64 = written.parse().ok().filter(|_| is_number)?;
    if is_float {
        return Some(format!("{value:?}"));
    }
    if value == 0.0 {
        return Some("0".to_owned());
    }
    (value.fract() == 0.0 && value.abs() < MAX_EXACT).then(|| format!("{value:.0}"))
}

/// Whether two fields are the same: numbers are 64-bit floats there.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        // Both were written from the same digits.
        (Some(one), Some(other)) => one.total_cmp(&other).is_eq() || (one == 0.0 && other == 0.0),
        _ => one == other,
    }
}

/// What Pinecone takes of metadata.
fn flat(metadata: &Metadata, names: Names<'_>) -> Map<String, Value> {
    let mut flat = Map::new();
    for (key, value) in metadata.fields() {
        if let Some(value) = flat_value(&value).filter(|_| names.takes(&key)) {
            flat.insert(key, value);
        }
    }
    flat
}

fn flat_value(text: &str) -> Option<Value> {
    match text.as_bytes().first()? {
        b'"' => Some(serde_json::from_str::<String>(text).ok().filter(|text| is_text(text))?.into()),
        b't' | b'f' => Some(Value::from(text == "true")),
        b'[' => {
            let texts: Vec<String> = serde_json::from_str(text).ok()?;
            (!texts.is_empty() && texts.iter().all(|text| is_text(text))).then(|| Value::from(texts))
        }
        b'-' | b'0'..=b'9' => {
            let value: f64 = text.parse().ok()?;
            match number(text, false).and_then(|whole| whole.parse::<i64>().ok()) {
                Some(whole) => Some(Value::from(whole)),
                None => value.is_finite().then(|| Value::from(value)),
            }
        }
        _ => None,
    }
}

fn is_text(text: &str) -> bool {
    !text.contains('\0')
}

/// Whether Pinecone gives a sparse vector back as it is.
fn is_taken(sparse: &Sparse) -> bool {
    let is_some = |value: &f32| value.is_finite() && *value != 0.0;
    (1..=MAX_SPARSE).contains(&sparse.indices().len()) && sparse.values().iter().all(is_some)
}
