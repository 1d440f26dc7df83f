//! The vectors' API, as clients from 2024-07 on speak it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::answers::{Failure, SparseValues, as_raw, json, of_token, token};
use super::backend::Which;
use super::filter::Filter;
use super::index::{Change, Index, changed, checked_id, last_of_each, metadata, named, namespace_of};
use super::side::Side;
use super::{Request, pairs};
use crate::metadata::Object;
use crate::row::{Dense, Row};

/// The most that one request may ask for or write.
const MAX_TOP_K: usize = 10_000;
const MAX_ROWS: usize = 1000;
const MAX_LISTED: usize = 100;
const MAX_FETCHED: usize = 1000;

/// From this version on the namespace without a name is called so in statistics.
const NAMES_DEFAULT: &str = "2025-04";

/// Answers what is asked of an index.
pub(super) fn answer(index: &Index, request: &Request<'_>, rest: &[&str]) -> Result<String, Failure> {
    match (request.method, rest) {
        ("POST", ["vectors", "upsert"]) => upsert(index, request),
        ("POST", ["query"]) => query(index, request),
        ("GET", ["vectors", "fetch"]) => fetch(index, request),
        ("POST", ["vectors", "fetch_by_metadata"]) => fetch_by_metadata(index, request),
        ("POST", ["vectors", "update"]) => update(index, request),
        ("POST", ["vectors", "delete"]) => delete(index, request),
        ("GET", ["vectors", "list"]) => list(index, request),
        ("POST" | "GET", ["describe_index_stats"]) => stats(index, request),
        ("GET", ["namespaces"]) => namespaces(index, request),
        ("GET", ["namespaces", name]) => {
            let counts = index.answering().read(|backend| backend.count(None))?;
            let namespace = namespace_of(name)?;
            let n_rows =
                counts.get(namespace).ok_or_else(|| Failure::not_found(format!("Namespace {name} not found")))?;
            Ok(json!({ "name": name, "record_count": n_rows.to_string() }).to_string())
        }
        ("DELETE", ["namespaces", name]) => {
            index.write_found(namespace_of(name)?, None, |_, ids| Ok(Change::Delete(ids)))?;
            Ok("{}".to_owned())
        }
        ("POST", ["namespaces"]) => {
            Err(Failure::not_here("a namespace is there when it has a vector: nothing has to be made before"))
        }
        _ => Err(Failure::no_such_path(request)),
    }
}

/// A body, with nothing in it that would be passed over.
pub(super) fn body<'a, T: Deserialize<'a>>(request: &Request<'a>) -> Result<T, Failure> {
    serde_json::from_slice(request.body).map_err(|error| Failure::invalid(format!("the body cannot be read: {error}")))
}

/// The filter of a request.
pub(super) fn filter(raw: Option<&RawValue>) -> Result<Option<Filter>, Failure> {
    Ok(raw.filter(|raw| raw.get() != "null").map(|raw| Filter::parse(raw.get())).transpose()?.flatten())
}

/// What cannot stand for everything.
pub(super) fn needed(filter: Option<Filter>) -> Result<Filter, Failure> {
    filter.ok_or_else(|| Failure::invalid("filter: an empty one would mean everything; say what is meant"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Upsert<'a> {
    #[serde(borrow)]
    vectors: Vec<Vector<'a>>,
    #[serde(default)]
    namespace: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Vector<'a> {
    id: String,
    #[serde(default)]
    values: Option<Vec<f32>>,
    #[serde(default, alias = "sparse_values")]
    sparse_values: Option<SparseValues>,
    #[serde(borrow, default)]
    metadata: Option<Object<'a>>,
}

fn upsert(index: &Index, request: &Request<'_>) -> Result<String, Failure> {
    let Upsert { vectors, namespace } = body(request)?;
    if vectors.is_empty() || vectors.len() > MAX_ROWS {
        return Err(Failure::invalid(format!(
            "{} vectors are written at once, and 1 to {MAX_ROWS} can be",
            vectors.len()
        )));
    }
    let namespace = namespace_of(namespace.as_deref().unwrap_or_default())?;
    let n_vectors = vectors.len();
    index.write(namespace, |side| Ok((Change::Put(last_of_each(rows(side, namespace, vectors)?)), ())))?;
    Ok(json!({ "upsertedCount": n_vectors }).to_string())
}

/// Vectors as rows of a store.
fn rows(side: &Side, namespace: &str, vectors: Vec<Vector<'_>>) -> Result<Vec<Row>, Failure> {
    let shape = side.shape()?;
    let mut rows = Vec::with_capacity(vectors.len());
    for vector in vectors {
        let mut row = shape.row(namespace, vector.id)?;
        match vector.values.filter(|values| !values.is_empty()) {
            Some(values) => drop(row.dense.insert(shape.vector.clone(), shape.dense(&shape.vector, values)?)),
            None => {
                return Err(Failure::invalid(format!(
                    "vector `{}` has no values, and the index is of dense vectors",
                    row.id
                )));
            }
        }
        if let Some(sparse) = vector.sparse_values {
            row.sparse.insert(shape.sparse()?.to_owned(), sparse.read()?);
        }
        row.metadata = metadata(&vector.metadata.unwrap_or_default().0)?;
        rows.push(row);
    }
    Ok(rows)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[derive(Default)]
struct Asked<'a> {
    namespace: Option<String>,
    #[serde(alias = "top_k")]
    top_k: Option<usize>,
    #[serde(borrow)]
    filter: Option<&'a RawValue>,
    #[serde(alias = "include_values")]
    include_values: bool,
    #[serde(alias = "include_metadata")]
    include_metadata: bool,
    vector: Option<Vec<f32>>,
    #[serde(alias = "sparse_vector")]
    sparse_vector: Option<SparseValues>,
    id: Option<String>,
    /// What a client says of how thoroughly to look: every store here looks as it does.
    #[serde(rename = "scanFactor")]
    _scan_factor: Option<f64>,
    #[serde(rename = "maxCandidates")]
    _max_candidates: Option<u64>,
}

/// A vector as it is answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    values: &'a [f32],
    #[serde(skip_serializing_if = "Option::is_none")]
    sparse_values: Option<SparseValues>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Box<RawValue>>,
}

fn found<'a>(
    id: &'a str,
    row: Option<&'a Row>,
    vector: &str,
    (has_values, has_metadata): (bool, bool),
) -> Result<Found<'a>, Failure> {
    let values = match row.and_then(|row| row.dense.get(vector)) {
        Some(Dense::F32(values)) if has_values => values.as_slice(),
        _ => &[],
    };
    let sparse = row.filter(|_| has_values).and_then(|row| row.sparse.values().next());
    let metadata = row.filter(|_| has_metadata).and_then(|row| row.metadata.as_ref());
    let metadata = metadata.map(|metadata| as_raw(metadata.text())).transpose()?;
    Ok(Found { id, score: None, values, sparse_values: sparse.map(SparseValues::of), metadata })
}

fn query(index: &Index, request: &Request<'_>) -> Result<String, Failure> {
    let asked: Asked<'_> = body(request)?;
    let named = asked.namespace.unwrap_or_default();
    let namespace = namespace_of(&named)?;
    let k = asked.top_k.filter(|k| (1..=MAX_TOP_K).contains(k));
    let k = k.ok_or_else(|| Failure::invalid(format!("topK is 1 to {MAX_TOP_K}")))?;
    let filter = filter(asked.filter)?;
    if asked.sparse_vector.is_some() {
        return Err(Failure::invalid(
            "sparseVector: no store here searches by sparse vectors; they are kept and given back",
        ));
    }
    let vector = asked.vector.filter(|vector| !vector.is_empty());
    let side = vector.as_ref().map_or_else(|| index.answering(), |vector| index.answering_to(vector.len()));
    let shape = side.shape()?;
    let vector = match (vector, asked.id.filter(|id| !id.is_empty())) {
        (Some(vector), None) => Some(vector),
        (None, Some(id)) => {
            match side.rows(namespace, &[id])?.pop().and_then(|mut row| row.dense.remove(&shape.vector)) {
                Some(Dense::F32(vector)) => Some(vector),
                _ => None,
            }
        }
        (Some(_), Some(_)) => return Err(Failure::invalid("Cannot provide both id and vector at the same time")),
        (None, None) => return Err(Failure::invalid("Either a vector or an id must be provided")),
    };
    // Nothing is near to what is not there.
    let hits =
        vector.map_or_else(|| Ok(Vec::new()), |vector| index.nearest(side, namespace, vector, filter.as_ref(), k))?;
    let wants = (asked.include_values, asked.include_metadata);
    let mut rows = BTreeMap::new();
    if wants != (false, false) {
        let ids: Vec<String> = hits.iter().map(|(id, _)| id.clone()).collect();
        rows.extend(side.rows(namespace, &ids)?.into_iter().map(|row| (row.id.clone(), row)));
    }
    let mut matches = Vec::with_capacity(hits.len());
    for (id, score) in &hits {
        let row = rows.get(id);
        // It may have gone meanwhile.
        if row.is_some() || wants == (false, false) {
            matches.push(Found { score: Some(*score), ..found(id, row, &shape.vector, wants)? });
        }
    }
    Ok(format!(
        "{{\"results\":[],\"matches\":{},\"namespace\":{},\"usage\":{{\"readUnits\":0}}}}",
        json(&matches),
        json(&named)
    ))
}

fn fetch(index: &Index, request: &Request<'_>) -> Result<String, Failure> {
    let (mut ids, mut name) = (Vec::new(), String::new());
    for (key, value) in pairs(request.query)? {
        match key.as_str() {
            "ids" => ids.push(value),
            "namespace" => name = value,
            _ => return Err(Failure::invalid(format!("`{key}` is nothing that a fetch knows"))),
        }
    }
    if ids.is_empty() || ids.len() > MAX_FETCHED {
        return Err(Failure::invalid(format!("{} ids are fetched at once, and 1 to {MAX_FETCHED} can be", ids.len())));
    }
    let side = index.answering();
    let rows = side.rows(namespace_of(&name)?, &ids)?;
    vectors(side, &rows, &name, None)
}

/// Rows as a fetch answers them.
fn vectors(side: &Side, rows: &[Row], name: &str, next: Option<String>) -> Result<String, Failure> {
    let shape = side.shape()?;
    let mut all = BTreeMap::new();
    for row in rows {
        all.insert(row.id.as_str(), found(&row.id, Some(row), &shape.vector, (true, true))?);
    }
    let next = next.map(|next| format!(",\"pagination\":{{\"next\":{}}}", json(&next))).unwrap_or_default();
    Ok(format!("{{\"vectors\":{},\"namespace\":{},\"usage\":{{\"readUnits\":0}}{next}}}", json(&all), json(&name)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ByMetadata<'a> {
    #[serde(default)]
    namespace: Option<String>,
    #[serde(borrow)]
    filter: &'a RawValue,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default, alias = "pagination_token")]
    pagination_token: Option<String>,
}

fn fetch_by_metadata(index: &Index, request: &Request<'_>) -> Result<String, Failure> {
    let asked: ByMetadata<'_> = body(request)?;
    let (name, filter) = (asked.namespace.unwrap_or_default(), needed(filter(Some(asked.filter))?)?);
    let namespace = namespace_of(&name)?;
    let side = index.answering();
    let (ids, next) =
        page(side, (namespace, "", Some(&filter)), asked.pagination_token.as_deref(), asked.limit, MAX_FETCHED)?;
    vectors(side, &side.rows(namespace, &ids)?, &name, next)
}

/// Identifiers of a page and, where there is another one, the token for it.
pub(super) fn page(
    side: &Side,
    (namespace, prefix, filter): (&str, &str, Option<&Filter>),
    after: Option<&str>,
    limit: Option<usize>,
    most: usize,
) -> Result<(Vec<String>, Option<String>), Failure> {
    let limit = limit.unwrap_or(MAX_LISTED);
    if limit == 0 || limit > most {
        return Err(Failure::invalid(format!("limit is 1 to {most}")));
    }
    let after = after.filter(|after| !after.is_empty()).map(of_token).transpose()?;
    let which = Which { namespace, prefix, after: after.as_deref(), filter, limit: limit + 1 };
    let mut ids = side.read(|backend| backend.ids(&which))?;
    let has_more = ids.len() > limit;
    ids.truncate(limit);
    let next = ids.last().filter(|_| has_more).map(|last| token(last));
    Ok((ids, next))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Update<'a> {
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    values: Option<Vec<f32>>,
    #[serde(default, alias = "sparse_values")]
    sparse_values: Option<SparseValues>,
    #[serde(borrow, default, alias = "set_metadata")]
    set_metadata: Option<Object<'a>>,
    #[serde(borrow, default)]
    filter: Option<&'a RawValue>,
    #[serde(default, alias = "dry_run")]
    dry_run: bool,
}

fn update(index: &Index, request: &Request<'_>) -> Result<String, Failure> {
    let asked: Update<'_> = body(request)?;
    let name = asked.namespace.unwrap_or_default();
    let namespace = namespace_of(&name)?;
    let set = asked.set_metadata.unwrap_or_default().0;
    let values = asked.values.filter(|values| !values.is_empty());
    let sparse = asked.sparse_values.map(SparseValues::read).transpose()?;
    let filter = filter(asked.filter)?;
    let Some(id) = asked.id.filter(|id| !id.is_empty()) else {
        let filter = needed(filter)?;
        if values.is_some() || sparse.is_some() {
            return Err(Failure::invalid(
                "only setMetadata goes with a filter: one vector for many rows would be none of them",
            ));
        }
        if asked.dry_run {
            let counts = index.answering().read(|backend| backend.count(Some(&filter)))?;
            return Ok(json!({ "matchedRecords": counts.get(namespace).copied().unwrap_or(0) }).to_string());
        }
        let n_found = index.write_found(namespace, Some(&filter), |side, ids| {
            let mut rows = side.rows(namespace, &ids)?;
            for row in &mut rows {
                row.metadata = changed(row.metadata.as_ref(), &set, &[])?;
            }
            Ok(Change::Put(rows))
        })?;
        return Ok(json!({ "matchedRecords": n_found }).to_string());
    };
    if filter.is_some() {
        return Err(Failure::invalid("an id and a filter are not given together"));
    }
    let id = checked_id(id)?;
    index.write(namespace, |side| {
        let shape = side.shape()?;
        let dense = values.map(|values| shape.dense(&shape.vector, values)).transpose()?;
        let sparse_name = sparse.is_some().then(|| shape.sparse()).transpose()?;
        // What is not there is not made by an update.
        let mut rows = side.rows(namespace, &[id])?;
        for row in &mut rows {
            row.dense.extend(dense.clone().map(|dense| (shape.vector.clone(), dense)));
            row.sparse.extend(sparse_name.map(str::to_owned).zip(sparse.clone()));
            row.metadata = changed(row.metadata.as_ref(), &set, &[])?;
        }
        Ok((Change::Put(rows), ()))
    })?;
    Ok("{}".to_owned())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[derive(Default)]
struct Delete<'a> {
    namespace: Option<String>,
    ids: Vec<String>,
    #[serde(alias = "delete_all")]
    delete_all: bool,
    #[serde(borrow)]
    filter: Option<&'a RawValue>,
}

fn delete(index: &Index, request: &Request<'_>) -> Result<String, Failure> {
    let asked: Delete<'_> = body(request)?;
    let name = asked.namespace.unwrap_or_default();
    let namespace = namespace_of(&name)?;
    let has_filter = asked.filter.is_some_and(|raw| raw.get() != "null");
    match (asked.ids.is_empty(), asked.delete_all, has_filter) {
        (false, false, false) => index.write(namespace, |_| Ok((Change::Delete(asked.ids), ())))?,
        (true, true, false) => {
            index.write_found(namespace, None, |_, ids| Ok(Change::Delete(ids)))?;
        }

        (true, false, true) => {
            let filter = needed(filter(asked.filter)?)?;
            index.write_found(namespace, Some(&filter), |_, ids| Ok(Change::Delete(ids)))?;
        }
        _ => return Err(Failure::invalid("one of ids, deleteAll and filter says what is deleted")),
    }
    Ok("{}".to_owned())
}

fn list(index: &Index, request: &Request<'_>) -> Result<String, Failure> {
    let (mut prefix, mut limit, mut after, mut name) = (String::new(), None, None, String::new());
    for (key, value) in pairs(request.query)? {
        match key.as_str() {
            "prefix" => prefix = value,
            "limit" => limit = Some(value.parse().map_err(|_| Failure::invalid("limit is a number"))?),
            "paginationToken" => after = Some(value),
            "namespace" => name = value,
            _ => return Err(Failure::invalid(format!("`{key}` is nothing that a list knows"))),
        }
    }
    let (ids, next) =
        page(index.answering(), (namespace_of(&name)?, &prefix, None), after.as_deref(), limit, MAX_LISTED)?;
    let ids: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
    let mut answer = json!({ "vectors": ids, "namespace": name, "usage": { "readUnits": 0 } });
    if let Some(next) = next {
        answer["pagination"] = json!({ "next": next });
    }
    Ok(answer.to_string())
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Stats<'a> {
    #[serde(borrow)]
    filter: Option<&'a RawValue>,
}

fn stats(index: &Index, request: &Request<'_>) -> Result<String, Failure> {
    let asked: Stats<'_> = if request.body.is_empty() { Stats::default() } else { body(request)? };
    let side = index.answering();
    let (shape, filter) = (side.shape()?, filter(asked.filter)?);
    let counts = side.read(|backend| backend.count(filter.as_ref()))?;
    let names_default = request.version.is_some_and(|version| version >= NAMES_DEFAULT);
    let name = |namespace: &str| if names_default { named(namespace).to_owned() } else { namespace.to_owned() };
    let namespaces: BTreeMap<_, _> =
        counts.iter().map(|(namespace, n)| (name(namespace), json!({ "vectorCount": n }))).collect();
    Ok(json!({
        "namespaces": namespaces, "dimension": shape.dims, "indexFullness": 0.0, "totalVectorCount": counts.values().sum::<u64>(),
        "metric": shape.metric_name(), "vectorType": "dense",
    })
    .to_string())
}

fn namespaces(index: &Index, request: &Request<'_>) -> Result<String, Failure> {
    let (mut prefix, mut limit, mut after) = (String::new(), MAX_LISTED, String::new());
    for (key, value) in pairs(request.query)? {
        match key.as_str() {
            "prefix" => prefix = value,
            "limit" => limit = value.parse().map_err(|_| Failure::invalid("limit is a number"))?,
            "paginationToken" => after = of_token(&value)?,
            _ => return Err(Failure::invalid(format!("`{key}` is nothing that a list of namespaces knows"))),
        }
    }
    let counts = index.answering().read(|backend| backend.count(None))?;
    let counts: BTreeMap<&str, u64> = counts.iter().map(|(namespace, n)| (named(namespace), *n)).collect();
    let mut fitting = counts.iter().filter(|(name, _)| name.starts_with(&prefix));
    let n_all = fitting.clone().count();
    let page: Vec<_> = fitting
        .by_ref()
        .skip_while(|(name, _)| !after.is_empty() && **name <= after.as_str())
        .take(limit.clamp(1, MAX_LISTED))
        .collect();
    let next = page.last().filter(|_| fitting.next().is_some()).map(|(name, _)| token(name));
    let listed: Vec<_> = page.iter().map(|(name, n)| json!({ "name": name, "record_count": n.to_string() })).collect();
    let mut answer = json!({ "namespaces": listed, "total_count": n_all });
    if let Some(next) = next {
        answer["pagination"] = json!({ "next": next });
    }
    Ok(answer.to_string())
}
