//! What the facade asks of a store, and the connections to it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::filter::Filter;
use crate::nearest::{Hit, Query};
use crate::retry::{Class, Trouble};
use crate::row::Row;
use crate::schema::{Metric, Schema};
use crate::stores::Address;

/// Connections that are kept for the next request; beyond them a connection is closed when it is done.
const MAX_IDLE: usize = 8;

/// Rows that are looked for by what is near to them.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The name of the vector.
    pub vector: &'a str,
    /// How it is compared; a store that compares it otherwise refuses.
    pub metric: Metric,
    /// What is looked for, and in which namespace.
    pub query: &'a Query,
    /// Which rows come into question.
    pub filter: Option<&'a Filter>,
    /// At most so many.
    pub k: usize,
}

/// Rows that are looked for by what they are.
#[derive(Debug, Clone)]
pub struct Which<'a> {
    /// In which namespace.
    pub namespace: &'a str,
    /// Identifiers that begin so.
    pub prefix: &'a str,
    /// Identifiers after this one.
    pub after: Option<&'a str>,
    /// Metadata that is so.
    pub filter: Option<&'a Filter>,
    /// At most so many.
    pub limit: usize,
}

impl Which<'_> {
    /// Those of a namespace's identifiers that are looked for, of a store that lists them whole and in an order of its own.
    pub(crate) fn among(&self, mut ids: Vec<String>) -> Vec<String> {
        ids.retain(|id| id.starts_with(self.prefix) && self.after.is_none_or(|after| id.as_str() > after));
        ids.sort_unstable();
        ids.truncate(self.limit);
        ids
    }
}

/// What the rows of a collection look like that is served only where Crossfade made it.
pub(crate) fn served(doing: String, is_ours: bool, schema: &Schema) -> Result<Schema, Trouble> {
    if is_ours {
        return Ok(schema.clone());
    }
    Err(Trouble::permanent(doing, "Crossfade did not make it: `crossfade vectors copy` makes one that it serves"))
}

/// A store that an application's requests are answered from.
pub trait Backend: Send {
    /// What its rows look like.
    ///
    /// # Errors
    /// Where the store fails.
    fn shape(&mut self) -> Result<Schema, Trouble>;

    /// The nearest rows, nearest first, equals by falling identifier.
    ///
    /// # Errors
    /// Where the store fails, or cannot search by this.
    fn nearest(&mut self, ask: &Ask<'_>) -> Result<Vec<Hit>, Trouble>;

    /// The rows of these identifiers that are there, in any order.
    ///
    /// # Errors
    /// Where the store fails.
    fn fetch(&mut self, namespace: &str, ids: &[String]) -> Result<Vec<Row>, Trouble>;

    /// Identifiers, rising by their bytes.
    ///
    /// # Errors
    /// Where the store fails.
    fn ids(&mut self, which: &Which<'_>) -> Result<Vec<String>, Trouble>;

    /// Writes rows, all or none, each in the place of one of the same namespace and identifier. None is there twice.
    ///
    /// # Errors
    /// Where the store fails, or does not take a row.
    fn put(&mut self, rows: &[Row]) -> Result<(), Trouble>;

    /// Takes rows away, all or none; those that are not there are no failure.
    ///
    /// # Errors
    /// Where the store fails.
    fn delete(&mut self, namespace: &str, ids: &[String]) -> Result<(), Trouble>;

    /// How many rows each namespace has.
    ///
    /// # Errors
    /// Where the store fails.
    fn count(&mut self, filter: Option<&Filter>) -> Result<BTreeMap<String, u64>, Trouble>;
}

/// A collection with its connections.
pub(super) struct Pool {
    address: Address,
    idle: Mutex<Vec<Box<dyn Backend>>>,
}

impl Pool {
    pub(super) fn new(address: Address) -> Pool {
        Pool { address, idle: Mutex::default() }
    }

    /// Does something on a connection that nobody else uses meanwhile. Where the connection turns out to be broken it is done once more on a new one: all that is
    /// asked of a store can be done twice.
    pub(super) fn with<T>(&self, mut does: impl FnMut(&mut dyn Backend) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let was_kept = kept.is_some();
        let done = self.on(kept, &mut does);
        match done {
            Err(trouble) if trouble.class == Class::Transient && was_kept => {
                // Its siblings are as old as it.
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
                self.on(None, &mut does)
            }
            done => done,
        }
    }

    fn on<T>(
        &self,
        backend: Option<Box<dyn Backend>>,
        does: &mut impl FnMut(&mut dyn Backend) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut backend = match backend {
            Some(backend) => backend,
            None => self.address.backend().ok_or_else(|| {
                Trouble::permanent(
                    format!("could not serve {}", self.address),
                    "only sqlite-vec, pgvector, Chroma, Milvus and Qdrant answer as an index does: copy it into one of them",
                )
            })?,
        };
        let done = does(backend.as_mut())?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(backend);
        }
        Ok(done)
    }
}
