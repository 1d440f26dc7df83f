//! Pinecone, by its API of documents (2026-07): vectors and metadata are fields of one object.
//!
//! An index stays with the API that it was made with, and one of documents refuses the requests of the other; so an address says `api=documents`. Its schema has one dense field at most and one sparse one, by name. What these are only the control
//! plane says: of somebody else's index all is read once, and a list of numbers is a dense vector, an object of indices and values a sparse one.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::place::{DEFAULT, Place};
use super::record::{self, Found, FoundSparse, Names, Own};
use super::{ASIDE, BUDGET, MAX_BODY, MAX_READ, MAX_ROWS, PARTITION, RawNext, SCHEMA, encoded};
use crate::digest::RowDigest;
use crate::nearest::{Hit, Query};
use crate::retry::{Class, Trouble};
use crate::row::{Dtype, Row};
use crate::schema::{DenseShape, Metric, Schema};
use crate::store::{Budget, Cursor, Page, Partition, Sealed, Search, Slot, Source, Survey, Target, Unreadable};
use crate::stores::beside;
use crate::stores::http::Http;
use crate::stores::pages;

/// The version of the API that is spoken.
const VERSION: &str = "2026-07";

/// How many identifiers are listed, and how many documents are fetched, at once.
const LISTED: usize = 100;
const FETCHED: usize = 100;

/// An index of documents.
pub struct Documents {
    place: Place,
    http: Option<Http>,
    /// What the documents look like, where a copy has written it.
    ours: Option<Option<Schema>>,
    /// The same of somebody else's, once it was read.
    theirs: Option<Survey>,
}

#[derive(Deserialize)]
struct RawListed {
    #[serde(default)]
    documents: Vec<RawId>,
    #[serde(default)]
    namespaces: Vec<RawName>,
    #[serde(default)]
    pagination: Option<RawNext>,
}

#[derive(Deserialize)]
struct RawId {
    #[serde(rename = "_id")]
    id: String,
}

#[derive(Deserialize)]
struct RawName {
    name: String,
    #[serde(default)]
    record_count: Value,
}

#[derive(Deserialize)]
struct RawDocuments<'a> {
    #[serde(borrow, default)]
    documents: BTreeMap<String, &'a RawValue>,
}

#[derive(Deserialize)]
struct RawHits {
    #[serde(default)]
    matches: Vec<RawHit>,
}

#[derive(Deserialize)]
struct RawHit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_score")]
    score: f64,
}

/// The fields that the schema of an index has to have for rows of this shape.
pub(crate) fn fields(schema: &Schema) -> Vec<String> {
    let mut fields = Vec::new();
    if let Some(Own::Dense(name, shape)) = record::own(schema) {
        let metric = shape.metric.map(|metric| format!(", metric {}", word(metric))).unwrap_or_default();
        fields.push(format!("`{name}`: dense_vector, dimension {}{metric}", shape.dims));
    }
    if let [only] = schema.sparse.as_slice() {
        fields.push(format!("`{only}`: sparse_vector"));
    }
    fields
}

fn word(metric: Metric) -> &'static str {
    match metric {
        Metric::Cosine => "cosine",
        Metric::Dot => "dotproduct",
        Metric::L2 | Metric::Hamming => "euclidean",
    }
}

impl Documents {
    /// The index at a place.
    #[must_use]
    pub fn new(place: &Place) -> Documents {
        Documents { place: place.clone(), http: None, ours: None, theirs: None }
    }

    fn doing(&self, what: &str) -> String {
        format!("could not {what} the index {} of Pinecone's documents", self.place)
    }

    fn call(&mut self, doing: &str, method: Method, path: &str, body: Option<String>) -> Result<Bytes, Trouble> {
        let http = match self.http.take() {
            Some(http) => http,
            None => self.place.http(doing, VERSION)?,
        };
        let path = format!("{}{path}", self.place.path);
        self.http.insert(http).call(doing, method, &path, body)?.accepted(doing)
    }

    /// Asks something of the documents of a namespace.
    fn ask(&mut self, doing: &str, namespace: &str, verb: &str, body: String) -> Result<Bytes, Trouble> {
        let name = if namespace.is_empty() { DEFAULT } else { namespace };
        self.call(doing, Method::POST, &format!("/namespaces/{}/documents/{verb}", encoded(name)), Some(body))
    }

    #[cfg(test)]
    pub(super) fn ask_for_tests(&mut self, verb: &str, body: &Value) {
        self.ask("testing", "", verb, body.to_string()).unwrap();
    }

    /// The schema that a copy has written.
    fn ours(&mut self) -> Result<Option<Schema>, Trouble> {
        if let Some(ours) = &self.ours {
            return Ok(ours.clone());
        }
        let doing = self.doing("find");
        let body =
            self.ask(&doing, ASIDE, "fetch", json!({"ids": [SCHEMA], "include_fields": [SCHEMA]}).to_string())?;
        let found: RawDocuments<'_> = read_json(&doing, &body)?;
        let written = found.documents.get(SCHEMA).map(|raw| {
            let mark: Value = serde_json::from_str(raw.get())?;
            serde_json::from_str(mark[SCHEMA].as_str().unwrap_or_default())
        });
        let ours = written.transpose().map_err(|error| Trouble::permanent(&doing, error))?;
        Ok(self.ours.insert(ours).clone())
    }

    /// The namespaces that are meant, with how many documents the index says they have.
    fn namespaces(&mut self) -> Result<Vec<(String, u64)>, Trouble> {
        let doing = self.doing("list the namespaces of");
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let more = if token.is_empty() { String::new() } else { format!("&paginationToken={}", encoded(&token)) };
            let body = self.call(&doing, Method::GET, &format!("/namespaces?limit={LISTED}{more}"), None)?;
            let listed: RawListed = read_json(&doing, &body)?;
            all.extend(listed.namespaces.into_iter().map(|RawName { name, record_count }| {
                let count = record_count.as_u64().or_else(|| record_count.as_str()?.parse().ok());
                (if name == DEFAULT { String::new() } else { name }, count.unwrap_or(0))
            }));
            match listed.pagination.and_then(|pagination| pagination.next).filter(|next| !next.is_empty()) {
                Some(next) if next == token => return Err(Trouble::permanent(doing, "the server lost its place")),
                Some(next) => token = next,
                None => break,
            }
        }
        all.retain(|(name, _)| name != ASIDE && self.place.namespace.as_ref().is_none_or(|only| only == name));
        Ok(all)
    }

    /// The identifiers of a namespace, rising.
    fn list(&mut self, namespace: &str) -> Result<Vec<String>, Trouble> {
        let doing = self.doing("list");
        let (mut ids, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut body = json!({"limit": LISTED});
            if let Some(token) = &token {
                body["pagination_token"] = Value::from(token.as_str());
            }
            let body = crate::patience::again(|| self.ask(&doing, namespace, "list", body.to_string()))?;
            let listed: RawListed = read_json(&doing, &body)?;
            ids.extend(listed.documents.into_iter().map(|one| one.id));
            let next = listed.pagination.and_then(|pagination| pagination.next).filter(|next| !next.is_empty());
            // A server that gives the token that it was given would never end.
            if next.is_some() && next == token {
                return Err(Trouble::permanent(doing, "the server lost its place in the listing; nothing was read"));
            }
            match next {
                Some(next) => token = Some(next),
                None => break,
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// The document that a row becomes.
    fn document(row: &Row, schema: &Schema) -> Result<String, String> {
        let record = record::record(row, schema, Names::of_documents(schema))?;
        let mut document = record.metadata;
        document.insert("_id".to_owned(), Value::from(record.id));
        if let Some(Own::Dense(name, _)) = record::own(schema) {
            document.insert(name.to_owned(), Value::from(record.values));
        }
        if let (Some(sparse), [only]) = (record.sparse_values, schema.sparse.as_slice()) {
            document.insert(only.clone(), json!(sparse));
        }
        Ok(Value::Object(document).to_string())
    }

    fn upsert(&mut self, doing: &str, namespace: &str, documents: Vec<String>) -> Result<(), Trouble> {
        let mut documents = documents.into_iter().peekable();
        while let Some(first) = documents.next() {
            let (mut body, mut n) = (format!("{{\"documents\":[{first}"), 1);
            while let Some(next) = documents.next_if(|next| n < MAX_ROWS && body.len() + next.len() < MAX_BODY) {
                body.push(',');
                body += &next;
                n += 1;
            }
            self.ask(doing, namespace, "upsert", format!("{body}]}}"))?;
        }
        Ok(())
    }
}

/// An answer that breaks off is no answer: the same again may be whole.
fn read_json<'a, T: Deserialize<'a>>(doing: &str, body: &'a [u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|error| Trouble::transient(doing, format!("the answer: {error}")))
}

/// The row that a document is. Which of its fields are vectors says the schema, or what stands in them.
fn row(
    (namespace, id): (&str, &str),
    raw: &RawValue,
    ours: Option<&Schema>,
    is_float: &dyn Fn(&str) -> bool,
) -> Result<Row, String> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    let mut found = Found::default();
    let mut seen = Schema::default();
    let mut others = Map::new();
    let is_name = |name: &str| ours.is_none_or(|ours| Names::of_documents(ours).is_vector(name));
    for (name, value) in fields.iter().filter(|(name, _)| *name != "_id" && *name != "_score") {
        let text = value.get();
        let of_numbers =
            |list: &str| list.trim_start().starts_with(|first: char| first == '-' || first.is_ascii_digit());
        let is_dense = text.strip_prefix('[').is_some_and(of_numbers);
        if is_dense && is_name(name) {
            found.values = Some(value);
            let shape = DenseShape { dtype: Dtype::F32, dims: 0, metric: None };
            seen.dense.insert(name.clone(), shape);
        } else if text.starts_with('{') && is_name(name) {
            found.sparse_values = Some(
                serde_json::from_str::<FoundSparse<'_>>(text)
                    .map_err(|error| format!("the field `{name}` is neither a sparse vector nor metadata: {error}"))?,
            );
            seen.sparse.push(name.clone());
        } else {
            others.insert(name.clone(), Value::Null);
        }
    }
    let mut metadata = String::from("{");
    for (n, name) in others.keys().enumerate() {
        let value = fields.get(name).map_or("null", |value| value.get());
        metadata += &format!("{}{}:{value}", if n == 0 { "" } else { "," }, Value::from(name.as_str()));
    }
    metadata.push('}');
    let metadata = RawValue::from_string(metadata).map_err(|error| error.to_string())?;
    let metadata = Some(&*metadata).filter(|_| !others.is_empty());
    let found = Found { metadata, ..found };
    let schema = ours.unwrap_or(&seen);
    record::row((namespace, id), &found, schema, is_float, Names::of_documents(schema))
}

impl Source for Documents {
    fn survey(&mut self) -> Result<Survey, Trouble> {
        if let Some(schema) = self.ours()? {
            let n_rows = self.namespaces()?.iter().map(|(_, n)| n).sum();
            return Ok(Survey { n_rows, schema });
        }
        if let Some(theirs) = &self.theirs {
            return Ok(theirs.clone());
        }
        let mut survey = Survey::default();
        pages(self, |page| {
            survey.n_rows += page.rows.len() as u64;
            page.rows.iter().for_each(|row| survey.schema.widen(row));
        })?;
        Ok(self.theirs.insert(survey).clone())
    }

    fn partitions(&mut self) -> Result<Vec<Partition>, Trouble> {
        let mut partitions = Vec::new();
        for (namespace, _) in self.namespaces()? {
            let ids = self.list(&namespace)?;
            let parts = ids.chunks(PARTITION);
            partitions.extend(parts.map(|ids| Partition::Ids { namespace: namespace.clone(), ids: ids.to_vec() }));
        }
        Ok(partitions)
    }

    fn read(&mut self, partition: &Partition, after: Option<&Cursor>, budget: Budget) -> Result<Page, Trouble> {
        let doing = self.doing("read");
        let (namespace, ids, begin) = partition.ids(&doing, after)?;
        let ours = self.ours()?;
        let dims = ours.as_ref().and_then(|schema| beside::embedding(schema)).map_or(1024, |(_, shape)| shape.dims);
        let n_fit = budget.n_bytes.min(MAX_READ.n_bytes) / (dims * 4 + 512);
        let n_most = n_fit.min(budget.n_rows).clamp(1, FETCHED);
        let until = ids.len().min(begin.saturating_add(n_most));
        let asked = ids.get(begin..until).unwrap_or_default();
        let body = json!({"ids": asked, "include_fields": ["*"]}).to_string();
        let body = self.ask(&doing, namespace, "fetch", body)?;
        let found: RawDocuments<'_> = read_json(&doing, &body)?;
        let is_float = |field: &str| self.place.floats.contains(field);
        let mut page = Page::default();
        for id in asked {
            // What is gone by now was deleted.
            let Some(raw) = found.documents.get(id) else { continue };
            match row((namespace, id), raw, ours.as_ref(), &is_float) {
                Ok(row) => page.rows.push(row),
                Err(why) => page.unreadable.push(Unreadable {
                    place: format!("document `{id}` of namespace `{namespace}`"),
                    why,
                    found: raw.get().to_owned(),
                }),
            }
        }
        page.next = (until < ids.len()).then_some(Cursor::Offset(until as u64));
        Ok(page)
    }

    fn notes(&mut self) -> Result<Vec<String>, Trouble> {
        let mut notes = vec![
            "the API of documents was held against a contract test alone, never against the live service".to_owned(),
        ];
        if self.ours()?.is_none() {
            notes.push(
                "how its vectors are compared the index does not say: name it with `--metric`; numbers of metadata that are integers become such, `?floats=FIELD` keeps a field's as floats"
                    .to_owned(),
            );
        }
        Ok(notes)
    }
}

impl Target for Documents {
    fn prepare(&mut self, schema: &Schema, acknowledged: Option<&[u64]>) -> Result<(), Trouble> {
        let doing = self.doing("write to");
        let refused = |why: &str| Err(Trouble::permanent(&doing, why));
        if self.place.ids_from.is_some() || !self.place.floats.is_empty() {
            return refused("`ids-from` and `floats` say how an index is read, not how it is written");
        }
        let Some(own) = record::own(schema) else {
            return refused("the collection has no vector of floats, and not one sparse vector");
        };
        if acknowledged.is_none() && self.namespaces()?.iter().any(|(_, n)| *n > 0) {
            return refused("it has documents already; a namespace of its own takes a copy too: `#NAMESPACE`");
        }
        match self.ours()? {
            Some(other) if other == *schema => Ok(()),
            Some(_) => refused("it is there already, for rows of another shape"),
            None => {
                let written = serde_json::to_string(schema).map_err(|error| Trouble::permanent(&doing, error))?;
                let mut mark = json!({"_id": SCHEMA, SCHEMA: written});
                // Every field that rows will have, so that an index without one of them says so now.
                if let Own::Dense(name, shape) = own {
                    let mut values = vec![0.0; shape.dims];
                    values.iter_mut().take(1).for_each(|first| *first = 1.0);
                    mark[name] = values.into();
                }
                if let [only] = schema.sparse.as_slice() {
                    mark[only] = json!({"indices": [0], "values": [1.0]});
                }
                self.upsert(&doing, ASIDE, vec![mark.to_string()]).map_err(|trouble| match trouble.class {
                    Class::Poison => Trouble::permanent(
                        &doing,
                        format!("{}; the index's schema has to have {}", trouble.why, fields(schema).join(" and ")),
                    ),
                    _ => trouble,
                })?;
                self.ours = Some(Some(schema.clone()));
                Ok(())
            }
        }
    }

    fn budget(&self) -> Budget {
        BUDGET
    }

    fn write(&mut self, _slot: Slot, rows: &[(Row, RowDigest)]) -> Result<(), Trouble> {
        let doing = self.doing("write to");
        let schema = self.ours()?.ok_or_else(|| Trouble::permanent(&doing, "nothing says what its rows look like"))?;
        // The last of each identifier: a request takes it once.
        let mut last: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
        for (row, _) in rows {
            if let Some(only) = self.place.namespace.as_ref().filter(|only| **only != row.namespace) {
                let why = format!("its namespace is `{}`, and only `{only}` is written", row.namespace);
                return Err(Trouble::poison(doing, why));
            }
            if row.namespace == ASIDE {
                return Err(Trouble::poison(doing, format!("the namespace `{ASIDE}` is kept for what rows look like")));
            }
            let document = Self::document(row, &schema).map_err(|why| Trouble::poison(&doing, why))?;
            last.entry(&row.namespace).or_default().insert(&row.id, document);
        }
        for (namespace, documents) in last {
            self.upsert(&doing, namespace, documents.into_values().collect())?;
        }
        Ok(())
    }

    fn beside(&self) -> Option<Box<dyn Target>> {
        Some(Box::new(Documents { place: self.place.clone(), http: None, ours: self.ours.clone(), theirs: None }))
    }

    fn seal(&mut self, _sealed: &Sealed) -> Result<(), Trouble> {
        (self.http, self.ours, self.theirs) = (None, None, None);
        Ok(())
    }
}

impl Search for Documents {
    fn search(&mut self, name: &str, metric: Metric, query: &Query, k: usize) -> Result<Vec<Hit>, Trouble> {
        let doing = self.doing("search");
        let compared = self.ours()?.as_ref().and_then(|schema| schema.dense.get(name)?.metric);
        if let Some(compared) = compared.filter(|compared| *compared != metric) {
            let why = format!("`{name}` is compared by {compared:?} there, not by {metric:?}");
            return Err(Trouble::permanent(doing, why));
        }
        if self.place.namespace.as_ref().is_some_and(|only| *only != query.namespace) {
            return Ok(Vec::new());
        }
        let vector: Vec<f64> = query.vector.iter().copied().map(f64::from).collect();
        let by = json!([{"type": "dense_vector", "field": name, "values": vector}]);
        let body = json!({"score_by": by, "top_k": k, "include_fields": []}).to_string();
        let body = self.ask(&doing, &query.namespace, "search", body)?;
        let found: RawHits = read_json(&doing, &body)?;
        let hits = found.matches.into_iter();
        Ok(hits.map(|hit| Hit { id: record::of_key(&hit.id), distance: super::distance(metric, hit.score) }).collect())
    }
}
