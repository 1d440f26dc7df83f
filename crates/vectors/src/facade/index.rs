//! An index: a collection with one dense vector that is searched, and the one writer of it.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::value::RawValue;

use super::IndexSettings;
use super::answers::Failure;
use super::backend::{Ask, Backend, Pool, Which};
use super::filter::Filter;
use crate::metadata::{Metadata, Object};
use crate::nearest::Query;
use crate::row::{Dense, Dtype, Row};
use crate::schema::{DenseShape, Metric, Schema};
use crate::stores::{Address, Kind};

/// The name of the namespace that has none.
const DEFAULT: &str = "__default__";
/// The longest identifier.
const MAX_ID: usize = 512;
/// The most metadata of one row, in bytes of JSON.
const MAX_METADATA: usize = 40 << 10;
/// How many rows are changed at once where a filter says which.
const PAGE: usize = 500;

/// An index that is served.
pub(super) struct Index {
    pub(super) name: String,
    settings: IndexSettings,
    pool: Pool,
    shape: Mutex<Option<Arc<Shape>>>,
    /// Changes are made one after the other, so that one that is made of what was there is made of what is there.
    writer: Mutex<()>,
}

/// What an index's rows look like.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) schema: Schema,
    /// The vector that is searched.
    pub(super) vector: String,
    pub(super) dims: usize,
    pub(super) metric: Metric,
}

/// What becomes of rows.
pub(super) enum Change {
    Put(Vec<Row>),
    Delete(Vec<String>),
}

impl Index {
    pub(super) fn new(name: &str, settings: &IndexSettings) -> Index {
        Index {
            name: name.to_owned(),
            pool: Pool::new(settings.store.clone()),
            settings: settings.clone(),
            shape: Mutex::default(),
            writer: Mutex::default(),
        }
    }

    /// What its rows look like: asked of the store once.
    pub(super) fn shape(&self) -> Result<Arc<Shape>, Failure> {
        let mut kept = self.shape.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = &*kept {
            return Ok(Arc::clone(shape));
        }
        let schema = self.pool.with(|backend| backend.shape())?;
        let shape = Arc::new(shape_of(schema, &self.settings).map_err(|why| {
            Failure::from(crate::retry::Trouble::permanent(format!("index {} cannot be served", self.name), why))
        })?);
        Ok(Arc::clone(kept.insert(shape)))
    }

    /// Does something on a connection.
    pub(super) fn read<T>(
        &self,
        does: impl FnMut(&mut dyn Backend) -> Result<T, crate::retry::Trouble>,
    ) -> Result<T, Failure> {
        Ok(self.pool.with(does)?)
    }

    /// Changes rows of a namespace to what `make` says by what is there.
    pub(super) fn write<T>(
        &self,
        namespace: &str,
        make: impl FnOnce(&Index) -> Result<(Change, T), Failure>,
    ) -> Result<T, Failure> {
        let _one = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (change, done) = make(self)?;
        match &change {
            Change::Put(rows) if rows.is_empty() => {}
            Change::Delete(ids) if ids.is_empty() => {}
            Change::Put(rows) => self.pool.with(|backend| backend.put(rows))?,
            Change::Delete(ids) => self.pool.with(|backend| backend.delete(namespace, ids))?,
        }
        Ok(done)
    }

    /// Changes all rows of a namespace that a filter finds, a page at a time, and says how many there were.
    pub(super) fn write_found(
        &self,
        namespace: &str,
        filter: Option<&Filter>,
        mut change: impl FnMut(&Index, Vec<String>) -> Result<Change, Failure>,
    ) -> Result<u64, Failure> {
        let (mut n_found, mut after) = (0, None);
        loop {
            let last = self.write(namespace, |index| {
                let which = Which { namespace, prefix: "", after: after.as_deref(), filter, limit: PAGE };
                let ids = index.read(|backend| backend.ids(&which))?;
                n_found += ids.len() as u64;
                let last = ids.last().cloned();
                Ok((change(index, ids)?, last))
            })?;
            match last {
                Some(last) => after = Some(last),
                None => return Ok(n_found),
            }
        }
    }

    /// The nearest rows of a vector, with the similarity that Pinecone reports.
    pub(super) fn nearest(
        &self,
        namespace: &str,
        vector: Vec<f32>,
        filter: Option<&Filter>,
        k: usize,
    ) -> Result<Vec<(String, f64)>, Failure> {
        let shape = self.shape()?;
        let query = Query { id: String::new(), namespace: namespace.to_owned(), vector: shape.checked(vector)? };
        let ask = Ask { vector: &shape.vector, metric: shape.metric, query: &query, filter, k };
        let hits = self.read(|backend| backend.nearest(&ask))?;
        Ok(hits.into_iter().map(|hit| (hit.id, score(shape.metric, hit.distance))).collect())
    }

    /// Rows by their identifiers.
    pub(super) fn rows(&self, namespace: &str, ids: &[String]) -> Result<Vec<Row>, Failure> {
        self.read(|backend| backend.fetch(namespace, ids))
    }
}

/// Pinecone's score of a distance: the cosine, the inner product, or the square of the distance by Euclid.
fn score(metric: Metric, distance: f64) -> f64 {
    match metric {
        Metric::Cosine => 1.0 - distance,
        Metric::Dot => -distance,
        Metric::L2 => distance * distance,
        Metric::Hamming => distance,
    }
}

fn shape_of(schema: Schema, settings: &IndexSettings) -> Result<Shape, String> {
    let named = match &settings.vector {
        Some(name) => schema.dense.get_key_value(name).ok_or_else(|| format!("it has no vector `{name}`"))?,
        None => {
            let mut all = schema.dense.iter();
            match (all.next(), all.next()) {
                (Some(one), None) => one,
                (None, _) => return Err("it has no dense vector".to_owned()),
                _ => return Err("it has several dense vectors: name one with `vector`".to_owned()),
            }
        }
    };
    let (vector, DenseShape { dtype, dims, metric }) = (named.0.clone(), named.1.clone());
    if dtype != Dtype::F32 {
        return Err(format!("`{vector}` is of {dtype:?}; an index is of 32-bit floats"));
    }
    // What sqlite-vec is not told otherwise, it compares by Euclid.
    let usual = (Address::kind(&settings.store) == Kind::SqliteVec).then_some(Metric::L2);
    let metric =
        metric.or(settings.metric).or(usual).ok_or("nothing says how its vectors are compared: write `metric`")?;
    Ok(Shape { schema, vector, dims, metric })
}

impl Shape {
    /// The metric by Pinecone's name.
    pub(super) fn metric_name(&self) -> &'static str {
        match self.metric {
            Metric::Cosine => "cosine",
            Metric::Dot => "dotproduct",
            Metric::L2 | Metric::Hamming => "euclidean",
        }
    }

    /// A vector that may be searched by and kept.
    pub(super) fn checked(&self, vector: Vec<f32>) -> Result<Vec<f32>, Failure> {
        checked(vector, self.dims, self.metric)
    }

    /// The dense vector `name` of a row.
    pub(super) fn dense(&self, name: &str, vector: Vec<f32>) -> Result<Dense, Failure> {
        let shape = self
            .schema
            .dense
            .get(name)
            .ok_or_else(|| Failure::invalid(format!("the index has no dense vector `{name}`")))?;
        if shape.dtype != Dtype::F32 {
            return Err(Failure::invalid(format!("`{name}` is of {:?}, which this API does not write", shape.dtype)));
        }
        Ok(Dense::F32(checked(vector, shape.dims, shape.metric.unwrap_or(self.metric))?))
    }

    /// The name of the sparse vector, where there is one.
    pub(super) fn sparse(&self) -> Result<&str, Failure> {
        match self.schema.sparse.as_slice() {
            [only] => Ok(only),
            [] => Err(Failure::invalid("Index configuration does not support sparse values")),
            _ => Err(Failure::invalid("the index has several sparse vectors, which only the documents' API can name")),
        }
    }

    /// A row that is written new.
    pub(super) fn row(&self, namespace: &str, id: String) -> Result<Row, Failure> {
        Ok(Row {
            namespace: namespace.to_owned(),
            id: checked_id(id)?,
            space: self.schema.space.clone(),
            ..Row::default()
        })
    }
}

fn checked(vector: Vec<f32>, dims: usize, metric: Metric) -> Result<Vec<f32>, Failure> {
    if vector.len() != dims {
        return Err(Failure::invalid(format!(
            "Vector dimension {} does not match the dimension of the index {dims}",
            vector.len()
        )));
    }
    if vector.iter().any(|value| !value.is_finite()) {
        return Err(Failure::invalid("a dense vector has finite 32-bit floats only"));
    }
    if metric == Metric::Cosine && vector.iter().all(|value| *value == 0.0) {
        return Err(Failure::invalid("Dense vectors must contain at least one non-zero value"));
    }
    Ok(vector)
}

/// An identifier that may be written.
pub(super) fn checked_id(id: String) -> Result<String, Failure> {
    if id.is_empty() || id.len() > MAX_ID || id.contains('\0') {
        return Err(Failure::invalid(format!("an id has 1 to {MAX_ID} bytes, none of them NUL")));
    }
    Ok(id)
}

/// A namespace as stores have it.
pub(super) fn namespace_of(name: &str) -> Result<&str, Failure> {
    if name.contains('\0') {
        return Err(Failure::invalid("a namespace has no NUL character"));
    }
    Ok(if name == DEFAULT { "" } else { name })
}

/// A namespace as clients of documents and of newer versions know it.
pub(super) fn named(namespace: &str) -> &str {
    if namespace.is_empty() { DEFAULT } else { namespace }
}

/// The last row of each identifier, in order: a request that writes one twice means the last.
pub(super) fn last_of_each(rows: Vec<Row>) -> Vec<Row> {
    let mut kept: std::collections::BTreeMap<String, Row> = std::collections::BTreeMap::new();
    kept.extend(rows.into_iter().map(|row| (row.id.clone(), row)));
    kept.into_values().collect()
}

/// Metadata of fields, as Pinecone takes them: strings, numbers, true and false, lists of strings.
pub(super) fn metadata(fields: &[(String, &RawValue)]) -> Result<Option<Metadata>, Failure> {
    if fields.is_empty() {
        return Ok(None);
    }
    let mut text = String::from("{");
    for (n, (key, value)) in fields.iter().enumerate() {
        checked_field(key, value.get())?;
        text.push_str(if n == 0 { "" } else { "," });
        text += &super::answers::json(key);
        text.push(':');
        text += value.get();
    }
    text.push('}');
    if text.len() > MAX_METADATA {
        return Err(Failure::invalid(format!(
            "Metadata size is {} bytes, which exceeds the limit of {MAX_METADATA} bytes per vector",
            text.len()
        )));
    }
    Metadata::parse(&text).map(Some).map_err(|error| Failure::invalid(error.to_string()))
}

fn checked_field(key: &str, value: &str) -> Result<(), Failure> {
    let is_text = |value: &str| {
        let text: Option<String> = serde_json::from_str(value).ok();
        text.is_some_and(|text| !text.contains('\0'))
    };
    let is_taken = match value.as_bytes().first() {
        Some(b'"') => is_text(value),
        Some(b't' | b'f') => true,
        Some(b'-' | b'0'..=b'9') => value.parse::<f64>().is_ok_and(f64::is_finite),
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(value).unwrap_or_default();
            elements.iter().all(|element| element.get().starts_with('"') && is_text(element.get()))
        }
        _ => false,
    };
    if key.is_empty() || key.starts_with('$') || key.contains('\0') {
        return Err(Failure::invalid(format!("`{}` cannot be the name of a field", key.escape_debug())));
    }
    if is_taken {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "Metadata value must be a string, number, boolean or list of strings, got '{value}' for field '{key}'"
    )))
}

/// Metadata with some fields set and some taken away.
pub(super) fn changed(
    metadata_before: Option<&Metadata>,
    set: &[(String, &RawValue)],
    remove: &[String],
) -> Result<Option<Metadata>, Failure> {
    let before = metadata_before.map_or("{}", Metadata::text);
    let Object(fields) = serde_json::from_str(before).unwrap_or_default();
    let is_kept = |key: &String| !remove.contains(key) && set.iter().all(|(set, _)| set != key);
    let mut fields: Vec<(String, &RawValue)> = fields.into_iter().filter(|(key, _)| is_kept(key)).collect();
    fields.extend(set.iter().cloned());
    for (key, value) in set {
        checked_field(key, value.get())?;
    }
    // What was there before was taken once, whatever it is.
    let mut text: Vec<String> = Vec::with_capacity(fields.len());
    for (key, value) in &fields {
        text.push(format!("{}:{}", super::answers::json(key), value.get()));
    }
    if fields.is_empty() {
        return Ok(None);
    }
    Metadata::parse(&format!("{{{}}}", text.join(","))).map(Some).map_err(|error| Failure::invalid(error.to_string()))
}
