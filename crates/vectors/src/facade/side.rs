//! A store of an index: its connections, what its rows look like, and how they are made of others.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::answers::Failure;
use super::backend::{Ask, Backend, Pool};
use super::filter::Filter;
use super::index::{Change, checked_id};
use crate::embed::Embed;
use crate::metadata::Metadata;
use crate::nearest::Query;
use crate::reembed::{embed_all, probe};
use crate::retry::Trouble;
use crate::row::{Dense, Dtype, Row};
use crate::schema::{DenseShape, Metric, Schema};
use crate::space::Recipe;
use crate::stores::{Address, Kind};

/// The field of the metadata that the text stands in, where nobody says another.
const USUAL_TEXT: &str = "text";

/// A store that an index is served from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The collection.
    pub store: Address,
    /// Which of its dense vectors the index is of, where it has several.
    pub vector: Option<String>,
    /// How it is compared, where the collection does not say.
    pub metric: Option<Metric>,
    /// What makes its vectors of texts, where rows come from a store of another space: the file that says how.
    pub encoder: Option<PathBuf>,
    /// The field of the metadata that the text stands in, where a row has none of its own.
    pub text_field: Option<String>,
}

/// What makes the vectors of a store.
pub struct Encoder {
    /// What is asked.
    pub embed: Arc<dyn Embed>,
    /// And how.
    pub recipe: Recipe,
}

/// A store that is served.
pub(super) struct Side {
    name: String,
    settings: StoreSettings,
    pool: Pool,
    shape: Mutex<Option<Arc<Shape>>>,
    encoder: Option<Encoder>,
    /// Whether the encoder was seen to make vectors of the store's space.
    is_proved: AtomicBool,
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

impl Side {
    pub(super) fn new(name: &str, settings: &StoreSettings, encoder: Option<Encoder>) -> Side {
        Side {
            name: name.to_owned(),
            pool: Pool::new(settings.store.clone()),
            settings: settings.clone(),
            shape: Mutex::default(),
            encoder,
            is_proved: AtomicBool::new(false),
        }
    }

    /// What its rows look like: asked of the store once.
    pub(super) fn shape(&self) -> Result<Arc<Shape>, Failure> {
        Ok(self.looks()?)
    }

    /// The same, for who is no client.
    pub(super) fn looks(&self) -> Result<Arc<Shape>, Trouble> {
        let mut kept = self.shape.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = &*kept {
            return Ok(Arc::clone(shape));
        }
        let schema = self.pool.with(|backend| backend.shape())?;
        let shape = Arc::new(
            shape_of(schema, &self.settings)
                .map_err(|why| Trouble::permanent(format!("index {} cannot be served", self.name), why))?,
        );
        Ok(Arc::clone(kept.insert(shape)))
    }

    /// Does something on a connection.
    pub(super) fn read<T>(&self, does: impl FnMut(&mut dyn Backend) -> Result<T, Trouble>) -> Result<T, Failure> {
        Ok(self.pool.with(does)?)
    }

    /// Rows by their identifiers.
    pub(super) fn rows(&self, namespace: &str, ids: &[String]) -> Result<Vec<Row>, Failure> {
        Ok(self.fetch(namespace, ids)?)
    }

    /// The same, for who is no client.
    pub(super) fn fetch(&self, namespace: &str, ids: &[String]) -> Result<Vec<Row>, Trouble> {
        self.pool.with(|backend| backend.fetch(namespace, ids))
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

    /// Changes rows of a namespace.
    pub(super) fn apply(&self, namespace: &str, change: &Change) -> Result<(), Trouble> {
        match change {
            Change::Put(rows) => self.pool.with(|backend| backend.put(rows)),
            Change::Delete(ids) => self.pool.with(|backend| backend.delete(namespace, ids)),
        }
    }

    /// Whether rows of `other` have vectors of another space.
    pub(super) fn is_of_another_space(&self, other: &Side) -> Result<bool, Trouble> {
        let (one, two) = (self.looks()?, other.looks()?);
        let agree = match (&one.schema.space, &two.schema.space) {
            (Some(one), Some(two)) => wire::space::agree(one, two),
            _ => true,
        };
        Ok(one.dims != two.dims || !agree)
    }

    /// Whether something makes its vectors of texts.
    pub(super) fn has_encoder(&self) -> bool {
        self.encoder.is_some()
    }

    /// Rows of `other` as this store keeps them: the searched vector under its name here, made anew of the text where the spaces differ. Poison where one has none.
    pub(super) fn rows_of(&self, other: &Side, mut rows: Vec<Row>) -> Result<Vec<Row>, Trouble> {
        let (here, there) = (self.looks()?, other.looks()?);
        let mut made =
            if self.is_of_another_space(other)? { self.made(&rows)?.into_iter() } else { Vec::new().into_iter() };
        for row in &mut rows {
            let kept = row.dense.remove(&there.vector);
            // Where nothing was made it is the vector that came.
            if let Some(vector) = made.next().map(Dense::F32).or(kept) {
                row.dense.insert(here.vector.clone(), vector);
            }
            row.space.clone_from(&here.schema.space);
            if let Some(why) = here.schema.refuses(row) {
                return Err(Trouble::poison(
                    format!("could not write row `{}` to {}", row.id, self.settings.store),
                    why,
                ));
            }
        }
        Ok(rows)
    }

    fn made(&self, rows: &[Row]) -> Result<Vec<Vec<f32>>, Trouble> {
        let doing = format!("could not make vectors for index {}", self.name);
        let encoder = self.encoder.as_ref().ok_or_else(|| {
            Trouble::permanent(
                &doing,
                format!(
                    "the vectors of {} are of another space, and nothing makes them: write `encoder`",
                    self.settings.store
                ),
            )
        })?;
        self.prove(encoder)?;
        let field = self.settings.text_field.as_deref().unwrap_or(USUAL_TEXT);
        let mut texts = Vec::with_capacity(rows.len());
        for row in rows {
            let text = row.text.clone().or_else(|| text_of(row.metadata.as_ref()?, field));
            texts.push(text.ok_or_else(|| {
                Trouble::poison(
                    &doing,
                    format!("row `{}` has no text: neither its own nor in the field `{field}`", row.id),
                )
            })?);
        }
        embed_all(&*encoder.embed, &encoder.recipe, &texts)
            .map_err(|refused| Trouble::of(refused.class, doing, refused.why))
    }

    /// Vectors of another model than the collection's never get into it: before the first one the encoder makes those that tell its space.
    fn prove(&self, encoder: &Encoder) -> Result<(), Trouble> {
        let shape = self.looks()?;
        let Some(own) = shape.schema.space.as_ref().filter(|_| !self.is_proved.load(Ordering::Acquire)) else {
            return Ok(());
        };
        let doing = format!("could not make vectors for {}", self.settings.store);
        let probe = probe(&*encoder.embed, &encoder.recipe)
            .map_err(|refused| Trouble::of(refused.class, &doing, refused.why))?;
        let made = encoder.recipe.space(&probe.canaries);
        if !wire::space::agree(own, &made) {
            return Err(Trouble::permanent(
                doing,
                format!("its vectors are of `{own}`, and the encoder makes those of `{made}`"),
            ));
        }
        self.is_proved.store(true, Ordering::Release);
        Ok(())
    }
}

/// The text in a field of metadata.
fn text_of(metadata: &Metadata, field: &str) -> Option<String> {
    let (_, value) = metadata.fields().into_iter().find(|(name, _)| name == field)?;
    serde_json::from_str(&value).ok()
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

fn shape_of(schema: Schema, settings: &StoreSettings) -> Result<Shape, String> {
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
    // What these are not told otherwise, they compare by Euclid.
    let usual = matches!(settings.store.kind(), Kind::SqliteVec | Kind::Chroma | Kind::Milvus | Kind::Qdrant)
        .then_some(Metric::L2);
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
