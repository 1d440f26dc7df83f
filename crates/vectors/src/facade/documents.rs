//! The documents' API of 2026-07: vectors and metadata are fields of one object.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::Request;
use super::answers::{Failure, SparseValues, as_raw, json, raw};
use super::index::{Change, Index, changed, checked_id, last_of_each, metadata, namespace_of};
use super::side::{Shape, Side};
use super::vectors::{body, filter, needed, page};
use crate::metadata::Object;
use crate::row::{Dense, Row};

const MAX_DOCUMENTS: usize = 1000;
const MAX_TOP_K: usize = 10_000;
const MAX_LISTED: usize = 100;
const MAX_FETCHED: usize = 10_000;

/// Answers what is asked of the documents of a namespace.
pub(super) fn answer(index: &Index, request: &Request<'_>, name: &str, verb: &str) -> Result<String, Failure> {
    if request.method != "POST" {
        return Err(Failure::no_such_path(request));
    }
    let place = Place { index, name, namespace: namespace_of(name)? };
    match verb {
        "upsert" => place.upsert(request),
        "search" => place.search(request),
        "fetch" => place.fetch(request),
        "list" => place.list(request),
        "update" => place.update(request),
        "delete" => place.delete(request),
        _ => Err(Failure::no_such_path(request)),
    }
}

struct Place<'a> {
    index: &'a Index,
    /// As the client calls the namespace.
    name: &'a str,
    namespace: &'a str,
}

/// A document on the wire.
type Fields = BTreeMap<String, Box<RawValue>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Upsert<'a> {
    #[serde(borrow)]
    documents: Vec<Object<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search<'a> {
    score_by: Vec<ScoreBy>,
    top_k: usize,
    #[serde(default)]
    include_fields: Option<Vec<String>>,
    #[serde(borrow, default)]
    filter: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScoreBy {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    fields: Option<Vec<String>>,
    #[serde(default)]
    values: Option<Vec<f32>>,
    #[serde(default, rename = "query")]
    _query: Option<String>,
    #[serde(default, rename = "indices")]
    _indices: Option<Vec<u32>>,
    #[serde(default, rename = "sparse_values")]
    _sparse_values: Option<SparseValues>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fetch<'a> {
    #[serde(default)]
    ids: Option<Vec<String>>,
    #[serde(borrow, default)]
    filter: Option<&'a RawValue>,
    #[serde(default)]
    include_fields: Option<Vec<String>>,
    #[serde(default)]
    pagination_token: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    pagination_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update<'a> {
    #[serde(borrow, default)]
    documents: Option<Vec<Object<'a>>>,
    #[serde(borrow, default)]
    filter: Option<&'a RawValue>,
    #[serde(borrow, default)]
    set_fields: Option<Object<'a>>,
    #[serde(default)]
    remove_fields: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete<'a> {
    #[serde(default)]
    ids: Option<Vec<String>>,
    #[serde(borrow, default)]
    filter: Option<&'a RawValue>,
    #[serde(default)]
    delete_all: Option<bool>,
}

impl Place<'_> {
    fn upsert(&self, request: &Request<'_>) -> Result<String, Failure> {
        let Upsert { documents } = body(request)?;
        let n_documents = few(documents.len())?;
        self.index.write(self.namespace, |side| Ok((Change::Put(last_of_each(self.rows(side, &documents)?)), ())))?;
        Ok(json!({ "upserted_count": n_documents }).to_string())
    }

    /// Documents as rows of a store.
    fn rows(&self, side: &Side, documents: &[Object<'_>]) -> Result<Vec<Row>, Failure> {
        let shape = side.shape()?;
        let mut rows = Vec::with_capacity(documents.len());
        for (n, document) in documents.iter().enumerate() {
            let wrong = |failure: Failure| failure.at(&format!("documents[{n}]"));
            let patch = Patch::read(&shape, document).map_err(wrong)?;
            if let Some(name) = shape.schema.dense.keys().find(|name| !patch.dense.contains_key(*name)) {
                return Err(Failure::invalid(format!(
                    "documents[{n}]: document `{}` lacks the field `{name}`, which every document has",
                    patch.id
                )));
            }
            let mut row = shape.row(self.namespace, patch.id.clone()).map_err(wrong)?;
            row.metadata = metadata(&patch.fields).map_err(wrong)?;
            row.dense = patch.dense;
            row.sparse = patch.sparse;
            rows.push(row);
        }
        Ok(rows)
    }

    fn search(&self, request: &Request<'_>) -> Result<String, Failure> {
        let asked: Search<'_> = body(request)?;
        if !(1..=MAX_TOP_K).contains(&asked.top_k) {
            return Err(Failure::invalid(format!("top_k is 1 to {MAX_TOP_K}")));
        }
        let [by] = <[ScoreBy; 1]>::try_from(asked.score_by)
            .map_err(|_| Failure::invalid("score_by: one dense vector is what is searched by here"))?;
        if by.kind != "dense_vector" {
            return Err(Failure::invalid(format!(
                "score_by[0].type: `{}` cannot be searched by here; `dense_vector` can",
                by.kind
            )));
        }
        let vector = by.values.unwrap_or_default();
        let side = self.index.answering_to(vector.len());
        let shape = side.shape()?;
        let field = by.field.or_else(|| by.fields.and_then(|mut fields| fields.pop())).unwrap_or_default();
        if field != shape.vector {
            return Err(Failure::invalid(format!(
                "score_by[0].field: the index is searched by `{}`, not by `{field}`",
                shape.vector
            )));
        }
        let filter = filter(asked.filter)?;
        let hits = self.index.nearest(side, self.namespace, vector, filter.as_ref(), asked.top_k)?;
        let wanted = asked.include_fields.unwrap_or_default();
        let mut rows = BTreeMap::new();
        if !wanted.is_empty() {
            let ids: Vec<String> = hits.iter().map(|(id, _)| id.clone()).collect();
            rows.extend(side.rows(self.namespace, &ids)?.into_iter().map(|row| (row.id.clone(), row)));
        }
        let mut matches = Vec::with_capacity(hits.len());
        for (id, score) in &hits {
            let mut fields = match rows.get(id) {
                Some(row) => document(row, &wanted)?,
                None if wanted.is_empty() => Fields::from([("_id".to_owned(), raw(id)?)]),
                // It has gone meanwhile.
                None => continue,
            };
            fields.insert("_score".to_owned(), raw(score)?);
            matches.push(fields);
        }
        Ok(format!(
            "{{\"matches\":{},\"namespace\":{},\"usage\":{{\"read_units\":0}}}}",
            json(&matches),
            json(&self.name)
        ))
    }

    fn fetch(&self, request: &Request<'_>) -> Result<String, Failure> {
        let asked: Fetch<'_> = body(request)?;
        let side = self.index.answering();
        let (ids, next) = match (asked.ids.filter(|ids| !ids.is_empty()), filter(asked.filter)?) {
            (Some(ids), None) => {
                few(ids.len())?;
                (ids, None)
            }
            (None, filter) => {
                let filter = needed(filter)?;
                page(
                    side,
                    (self.namespace, "", Some(&filter)),
                    asked.pagination_token.as_deref(),
                    asked.limit,
                    MAX_FETCHED,
                )?
            }
            (Some(_), Some(_)) => return Err(Failure::invalid("one of ids and filter says what is fetched")),
        };
        // Here, no wish means everything.
        let wanted = asked.include_fields.filter(|wanted| !wanted.is_empty()).unwrap_or_else(|| vec!["*".to_owned()]);
        let mut documents = BTreeMap::new();
        for row in side.rows(self.namespace, &ids)? {
            documents.insert(row.id.clone(), document(&row, &wanted)?);
        }
        let next = next.map(|next| format!(",\"pagination\":{{\"next\":{}}}", json(&next))).unwrap_or_default();
        Ok(format!(
            "{{\"documents\":{},\"namespace\":{},\"usage\":{{\"read_units\":0}}{next}}}",
            json(&documents),
            json(&self.name)
        ))
    }

    fn list(&self, request: &Request<'_>) -> Result<String, Failure> {
        let asked: List = body(request)?;
        let prefix = asked.prefix.unwrap_or_default();
        let (ids, next) = page(
            self.index.answering(),
            (self.namespace, &prefix, None),
            asked.pagination_token.as_deref(),
            asked.limit,
            MAX_LISTED,
        )?;
        let ids: Vec<_> = ids.iter().map(|id| json!({ "_id": id })).collect();
        let mut answer = json!({ "documents": ids, "namespace": self.name, "usage": { "read_units": 0 } });
        if let Some(next) = next {
            answer["pagination"] = json!({ "next": next });
        }
        Ok(answer.to_string())
    }

    fn update(&self, request: &Request<'_>) -> Result<String, Failure> {
        let asked: Update<'_> = body(request)?;
        let filter = filter(asked.filter)?;
        let set = asked.set_fields.unwrap_or_default().0;
        let remove = asked.remove_fields.unwrap_or_default();
        let Some(documents) = asked.documents else {
            let filter = needed(filter)?;
            let shape = self.index.answering().shape()?;
            if let Some(name) = set.iter().map(|(name, _)| name).chain(&remove).find(|name| is_vector(&shape, name)) {
                return Err(Failure::invalid(format!("`{name}` is a vector: only metadata is changed by a filter")));
            }
            let n_found = self.index.write_found(self.namespace, Some(&filter), |side, ids| {
                let mut rows = side.rows(self.namespace, &ids)?;
                for row in &mut rows {
                    row.metadata = changed(row.metadata.as_ref(), &set, &remove)?;
                }
                Ok(Change::Put(rows))
            })?;
            return Ok(json!({ "matched_records": n_found }).to_string());
        };
        if filter.is_some() || !set.is_empty() || !remove.is_empty() {
            return Err(Failure::invalid("documents and a filter are not given together"));
        }
        few(documents.len())?;
        self.index.write(self.namespace, |side| {
            let shape = side.shape()?;
            let mut patches = BTreeMap::new();
            for (n, document) in documents.iter().enumerate() {
                let patch = Patch::read(&shape, document).map_err(|failure| failure.at(&format!("documents[{n}]")))?;
                patches.insert(patch.id.clone(), patch);
            }
            let ids: Vec<String> = patches.keys().cloned().collect();
            let mut rows = side.rows(self.namespace, &ids)?;
            for row in &mut rows {
                if let Some(patch) = patches.get(&row.id) {
                    patch.apply(&shape, row)?;
                }
            }
            Ok((Change::Put(rows), ()))
        })?;
        Ok("{}".to_owned())
    }

    fn delete(&self, request: &Request<'_>) -> Result<String, Failure> {
        let asked: Delete<'_> = body(request)?;
        let ids = asked.ids.unwrap_or_default();
        let has_filter = asked.filter.is_some_and(|raw| raw.get() != "null");
        match (ids.is_empty(), asked.delete_all.unwrap_or(false), has_filter) {
            (false, false, false) => self.index.write(self.namespace, |_| Ok((Change::Delete(ids), ())))?,
            (true, true, false) => {
                self.index.write_found(self.namespace, None, |_, ids| Ok(Change::Delete(ids)))?;
            }

            (true, false, true) => {
                let filter = needed(filter(asked.filter)?)?;
                let n_found =
                    self.index.write_found(self.namespace, Some(&filter), |_, ids| Ok(Change::Delete(ids)))?;
                return Ok(json!({ "matched_records": n_found }).to_string());
            }
            _ => return Err(Failure::invalid("one of ids, delete_all and filter says what is deleted")),
        }
        Ok("{}".to_owned())
    }
}

fn few(n: usize) -> Result<usize, Failure> {
    if (1..=MAX_DOCUMENTS).contains(&n) {
        Ok(n)
    } else {
        Err(Failure::invalid(format!("{n} documents are asked for at once, and 1 to {MAX_DOCUMENTS} can be")))
    }
}

fn is_vector(shape: &Shape, name: &String) -> bool {
    shape.schema.dense.contains_key(name) || shape.schema.sparse.contains(name)
}

/// A row as a document; of its fields those that are wanted.
fn document(row: &Row, wanted: &[String]) -> Result<Fields, Failure> {
    let is_wanted = |name: &str| wanted.iter().any(|wanted| wanted == "*" || wanted == name);
    let mut fields = Fields::from([("_id".to_owned(), raw(&row.id)?)]);
    for (name, value) in
        row.metadata.iter().flat_map(crate::metadata::Metadata::fields).filter(|(name, _)| is_wanted(name))
    {
        fields.insert(name, as_raw(&value)?);
    }
    for (name, dense) in row.dense.iter().filter(|(name, _)| is_wanted(name)) {
        if let Dense::F32(values) = dense {
            fields.insert(name.clone(), raw(values)?);
        }
    }
    for (name, sparse) in row.sparse.iter().filter(|(name, _)| is_wanted(name)) {
        fields.insert(name.clone(), raw(&SparseValues::of(sparse))?);
    }
    Ok(fields)
}

/// What a document sets.
struct Patch<'a> {
    id: String,
    dense: BTreeMap<String, Dense>,
    sparse: BTreeMap<String, crate::row::Sparse>,
    fields: Vec<(String, &'a RawValue)>,
    remove: Vec<String>,
}

impl<'a> Patch<'a> {
    fn read(shape: &Shape, document: &Object<'a>) -> Result<Patch<'a>, Failure> {
        let mut patch = Patch {
            id: String::new(),
            dense: BTreeMap::new(),
            sparse: BTreeMap::new(),
            fields: Vec::new(),
            remove: Vec::new(),
        };
        let wrong = |name: &str, what: &str| Failure::invalid(format!("{name}: it is {what}"));
        for (name, value) in &document.0 {
            match name.as_str() {
                "_id" => patch.id = serde_json::from_str(value.get()).map_err(|_| wrong("_id", "a string"))?,
                "_remove_fields" => {
                    patch.remove =
                        serde_json::from_str(value.get()).map_err(|_| wrong("_remove_fields", "a list of names"))?
                }
                name if name.starts_with('_') => {
                    return Err(wrong(name, "no name for a field: those that begin with `_` are Pinecone's"));
                }
                name if shape.schema.dense.contains_key(name) => {
                    let values = serde_json::from_str(value.get()).map_err(|_| wrong(name, "a list of numbers"))?;
                    patch.dense.insert(name.to_owned(), shape.dense(name, values)?);
                }
                name if shape.schema.sparse.iter().any(|sparse| sparse == name) => {
                    let sparse: SparseValues = serde_json::from_str(value.get())
                        .map_err(|_| wrong(name, "an object of indices and values"))?;
                    patch.sparse.insert(name.to_owned(), sparse.read()?);
                }
                name => patch.fields.push((name.to_owned(), *value)),
            }
        }
        patch.id = checked_id(patch.id)?;
        Ok(patch)
    }

    fn apply(&self, shape: &Shape, row: &mut Row) -> Result<(), Failure> {
        if let Some(name) = self.remove.iter().find(|name| shape.schema.dense.contains_key(*name)) {
            return Err(Failure::invalid(format!("_remove_fields: every document has `{name}`")));
        }
        row.dense.extend(self.dense.clone());
        row.sparse.retain(|name, _| !self.remove.contains(name));
        row.sparse.extend(self.sparse.clone());
        row.metadata = changed(row.metadata.as_ref(), &self.fields, &self.remove)?;
        Ok(())
    }
}
