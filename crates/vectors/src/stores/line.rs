//! A row as a line of JSON, for files of lines and for rows that are put aside.
//!
//! ```json
//! {"namespace":"","id":"a","vectors":{"dense":[0.1,-2.0]},"sparse":{"words":{"indices":[3],"values":[0.5]}},
//!  "multi":{"late":{"dims":2,"values":[1.0,0.0]}},"text":"…","metadata":{"n":1},"space":"…"}
//! ```
//!
//! Floats are written shortest so that the same 32 bits come back. A vector that is not of finite 32-bit floats is `{"dtype":"f16","dims":2,"hex":"…"}`, its
//! bytes little end first.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::metadata::{Metadata, Object};
use crate::row::{Dense, Dtype, Multi, ONLY_VECTOR, Row, Sparse, floats_of_bytes, floats_to_bytes};

/// What a line may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow<'a> {
    #[serde(default)]
    namespace: Option<String>,
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow, default)]
    vector: Option<&'a RawValue>,
    #[serde(borrow, default)]
    vectors: Object<'a>,
    #[serde(borrow, default)]
    sparse: Object<'a>,
    #[serde(borrow, default)]
    multi: Object<'a>,
    #[serde(default)]
    text: Option<String>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(default)]
    space: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSparse<'a> {
    indices: Vec<u32>,
    #[serde(borrow)]
    values: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMulti<'a> {
    dims: usize,
    #[serde(borrow)]
    values: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBits {
    dtype: Dtype,
    dims: usize,
    hex: String,
}

/// The row that a line says.
///
/// # Errors
/// Why it says none.
pub fn from_line(line: &str) -> Result<Row, String> {
    let raw: RawRow = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let id = match raw.id.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw.id.get()).map_err(|error| error.to_string())?,
        Some(b'-' | b'0'..=b'9') if !raw.id.get().contains(['.', 'e', 'E']) => raw.id.get().to_owned(),
        _ => return Err("`id` is neither text nor an integer".to_owned()),
    };
    let mut row =
        Row { namespace: raw.namespace.unwrap_or_default(), id, text: raw.text, space: raw.space, ..Row::default() };
    for (name, value) in raw.vectors.0 {
        let dense = dense(value).map_err(|why| format!("vector `{name}`: {why}"))?;
        once(&mut row.dense, name, dense)?;
    }
    if let Some(value) = raw.vector {
        let dense = dense(value).map_err(|why| format!("`vector`: {why}"))?;
        once(&mut row.dense, ONLY_VECTOR.to_owned(), dense)?;
    }
    for (name, value) in raw.sparse.0 {
        let sparse = sparse(value).map_err(|why| format!("sparse vector `{name}`: {why}"))?;
        once(&mut row.sparse, name, sparse)?;
    }
    for (name, value) in raw.multi.0 {
        let multi = multi(value).map_err(|why| format!("multi-vector `{name}`: {why}"))?;
        once(&mut row.multi, name, multi)?;
    }
    if let Some(metadata) = raw.metadata {
        row.metadata = Some(Metadata::parse(metadata.get()).map_err(|error| error.to_string())?);
    }
    Ok(row)
}

/// A name that comes twice would lose one of the two.
fn once<T>(vectors: &mut BTreeMap<String, T>, name: String, vector: T) -> Result<(), String> {
    let why = format!("the vector `{name}` comes twice");
    if vectors.insert(name, vector).is_some() { Err(why) } else { Ok(()) }
}

fn sparse(value: &RawValue) -> Result<Sparse, String> {
    let raw: RawSparse = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
    Sparse::new(raw.indices, floats(raw.values)?).ok_or_else(|| "an index twice, or one without a value".to_owned())
}

fn multi(value: &RawValue) -> Result<Multi, String> {
    let raw: RawMulti = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
    Multi::new(raw.dims, floats(raw.values)?).ok_or_else(|| "not whole vectors of `dims`".to_owned())
}

fn dense(value: &RawValue) -> Result<Dense, String> {
    if value.get().starts_with('[') {
        return floats(value).map(Dense::F32);
    }
    let raw: RawBits = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
    let bytes = bytes(&raw.hex).ok_or("`hex` is not hexadecimal")?;
    Dense::from_bytes(raw.dtype, raw.dims, &bytes)
        .ok_or_else(|| format!("`hex` does not hold {} numbers of {:?}", raw.dims, raw.dtype))
}

/// Floats from their digits: by way of 64 bits some would be rounded twice.
pub(super) fn floats(value: &RawValue) -> Result<Vec<f32>, String> {
    if value.get().starts_with('"') {
        let hex: String = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
        return bytes(&hex)
            .and_then(|bytes| floats_of_bytes(&bytes))
            .ok_or_else(|| "not floats in hexadecimal".to_owned());
    }
    let raw: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
    let float = |raw: &RawValue| {
        let float: f32 = raw.get().parse().map_err(|_| format!("`{}` is no number", raw.get()))?;
        if float.is_finite() { Ok(float) } else { Err(format!("`{}` is beyond 32-bit floats", raw.get())) }
    };
    raw.into_iter().map(float).collect()
}

/// A row as a line, without its end.
#[must_use]
pub fn to_line(row: &Row) -> String {
    let mut line = String::with_capacity(row.n_bytes() * 3);
    line += "{\"namespace\":";
    line += &quoted(&row.namespace);
    line += ",\"id\":";
    line += &quoted(&row.id);
    object(&mut line, "vectors", &row.dense, |line, dense| match dense {
        Dense::F32(values) if values.iter().all(|value| value.is_finite()) => write_floats(line, values),
        other => {
            let dtype = serde_json::to_string(&other.dtype()).unwrap_or_default();
            *line += &format!("{{\"dtype\":{dtype},\"dims\":{},\"hex\":\"{}\"}}", other.dims(), hex(&other.to_bytes()));
        }
    });
    object(&mut line, "sparse", &row.sparse, |line, sparse| {
        let indices = serde_json::to_string(sparse.indices()).unwrap_or_default();
        *line += &format!("{{\"indices\":{indices},\"values\":");
        write_floats(line, sparse.values());
        line.push('}');
    });
    object(&mut line, "multi", &row.multi, |line, multi| {
        *line += &format!("{{\"dims\":{},\"values\":", multi.dims());
        write_floats(line, multi.values());
        line.push('}');
    });
    if let Some(text) = &row.text {
        line += ",\"text\":";
        line += &quoted(text);
    }
    if let Some(metadata) = &row.metadata {
        line += ",\"metadata\":";
        line += metadata.text();
    }
    if let Some(space) = &row.space {
        line += ",\"space\":";
        line += &quoted(space);
    }
    line.push('}');
    line
}

fn object<T>(line: &mut String, key: &str, values: &BTreeMap<String, T>, write: impl Fn(&mut String, &T)) {
    if values.is_empty() {
        return;
    }
    *line += &format!(",\"{key}\":{{");
    for (n, (name, value)) in values.iter().enumerate() {
        *line += if n == 0 { "" } else { "," };
        *line += &quoted(name);
        line.push(':');
        write(line, value);
    }
    line.push('}');
}

/// Numbers where all are finite, else their bits: JSON has no word for what is not a number.
fn write_floats(line: &mut String, values: &[f32]) {
    if values.iter().any(|value| !value.is_finite()) {
        *line += &format!("\"{}\"", hex(&floats_to_bytes(values)));
        return;
    }
    line.push('[');
    for (n, value) in values.iter().enumerate() {
        // Writing into a text does not fail.
        let written = write!(line, "{}{value:?}", if n == 0 { "" } else { "," });
        debug_assert!(written.is_ok());
    }
    line.push(']');
}

fn quoted(text: &str) -> String {
    // A text always has a form in JSON.
    serde_json::to_string(text).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().chunks_exact(2);
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.remainder().is_empty().then(|| digits.map(pair).collect::<Option<Vec<u8>>>()).flatten()
}
