//! An index: the store that answers, the one that it moves to if there is one, and the one writer of both.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::value::RawValue;

use super::answers::Failure;
use super::backend::Which as Ids;
use super::filter::Filter;
use super::moving::Moving;
use super::pair::{MODES, Mode, Which};
use super::side::Side;
use crate::metadata::{Metadata, Object};
use crate::row::Row;

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
    source: Side,
    target: Option<Target>,
    /// Changes are made one after the other, so that one that is made of what was there is made of what is there. A move is turned only by who holds it.
    writer: Mutex<()>,
}

/// Where an index moves to.
pub(super) struct Target {
    pub(super) side: Side,
    /// How far it is, as its place in [`MODES`].
    mode: AtomicU8,
    pub(super) moving: Moving,
}

/// What becomes of rows.
pub(super) enum Change {
    Put(Vec<Row>),
    Delete(Vec<String>),
}

impl Change {
    fn is_nothing(&self) -> bool {
        match self {
            Change::Put(rows) => rows.is_empty(),
            Change::Delete(ids) => ids.is_empty(),
        }
    }
}

impl Target {
    pub(super) fn new(side: Side, mode: Mode, moving: Moving) -> Target {
        Target { side, mode: AtomicU8::new(place(mode)), moving }
    }

    /// How far the move is.
    pub(super) fn mode(&self) -> Mode {
        MODES.get(usize::from(self.mode.load(Ordering::Acquire))).copied().unwrap_or(Mode::Source)
    }

    /// Turns it. Only who holds the writer's lock does.
    pub(super) fn set_mode(&self, mode: Mode, _writer: &MutexGuard<'_, ()>) {
        self.mode.store(place(mode), Ordering::Release);
    }
}

fn place(mode: Mode) -> u8 {
    MODES.iter().zip(0..).find(|(one, _)| **one == mode).map_or(0, |(_, place)| place)
}

impl Index {
    pub(super) fn new(name: &str, source: Side, target: Option<Target>) -> Index {
        Index { name: name.to_owned(), source, target, writer: Mutex::default() }
    }

    /// Where it moves to.
    pub(super) fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    fn mode(&self) -> Mode {
        self.target.as_ref().map_or(Mode::Source, Target::mode)
    }

    /// One of its stores.
    pub(super) fn side(&self, which: Which) -> &Side {
        match (which, &self.target) {
            (Which::Target, Some(target)) => &target.side,
            _ => &self.source,
        }
    }

    /// The store that answers now.
    pub(super) fn answering(&self) -> &Side {
        self.side(self.mode().answers())
    }

    /// The store that answers a query by a vector of this length: after a switch between two models an application may still ask, or ask again, in the other one's space.
    pub(super) fn answering_to(&self, n_numbers: usize) -> &Side {
        let mode = self.mode();
        let (usual, other) = (self.side(mode.answers()), self.side(mode.answers().other()));
        let has = |side: &Side| side.looks().is_ok_and(|shape| shape.dims == n_numbers);
        if mode.knows_both() && !has(usual) && has(other) { other } else { usual }
    }

    /// Nothing is changed, and nobody else turns the move, while this is held.
    pub(super) fn hold(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes rows of a namespace to what `make` says by what is there. Where the index moves, the change is kept for the other store first.
    pub(super) fn write<T>(
        &self,
        namespace: &str,
        make: impl FnOnce(&Side) -> Result<(Change, T), Failure>,
    ) -> Result<T, Failure> {
        let _one = self.hold();
        let mode = self.mode();
        let side = self.side(mode.answers());
        let (change, done) = make(side)?;
        if change.is_nothing() {
            return Ok(done);
        }
        match self.target.as_ref().filter(|_| mode.keeps()) {
            None => side.apply(namespace, &change)?,
            Some(target) => target.moving.around(namespace, &change, || side.apply(namespace, &change))?,
        }
        Ok(done)
    }

    /// Changes all rows of a namespace that a filter finds, a page at a time, and says how many there were.
    pub(super) fn write_found(
        &self,
        namespace: &str,
        filter: Option<&Filter>,
        mut change: impl FnMut(&Side, Vec<String>) -> Result<Change, Failure>,
    ) -> Result<u64, Failure> {
        let (mut n_found, mut after) = (0, None);
        loop {
            let last = self.write(namespace, |side| {
                let which = Ids { namespace, prefix: "", after: after.as_deref(), filter, limit: PAGE };
                let ids = side.read(|backend| backend.ids(&which))?;
                n_found += ids.len() as u64;
                let last = ids.last().cloned();
                Ok((change(side, ids)?, last))
            })?;
            match last {
                Some(last) => after = Some(last),
                None => return Ok(n_found),
            }
        }
    }

    /// The nearest rows of a vector in a store, with the similarity that Pinecone reports. In shadow the query goes to who asks the other store, which nobody waits for.
    pub(super) fn nearest(
        &self,
        side: &Side,
        namespace: &str,
        vector: Vec<f32>,
        filter: Option<&Filter>,
        k: usize,
    ) -> Result<Vec<(String, f64)>, Failure> {
        let Some(target) = self.target.as_ref().filter(|target| target.mode() == Mode::Shadow) else {
            return side.nearest(namespace, vector, filter, k);
        };
        let began = Instant::now();
        let hits = side.nearest(namespace, vector.clone(), filter, k)?;
        let took = began.elapsed();
        target.moving.offer(super::shadow::Asked {
            namespace: namespace.to_owned(),
            vector,
            filter: filter.cloned(),
            k,
            found: hits.iter().map(|(id, _)| id.clone()).collect(),
            took,
        });
        Ok(hits)
    }
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
