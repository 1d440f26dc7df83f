//! Pinecone, by its REST API of vectors.
//!
//! Only serverless indexes list their identifiers, a hundred a page, and a listing goes on by a token that nobody but the server reads and that expires. So a copy lists all of them first,
//! writes them down and reads records by them: what was there then and still is cannot be passed over. An index of pods lists nothing; then the identifiers come from a file, and that these are all
//! of them nobody can say. An index has no place for what its rows look like: it stands in a record of a namespace of its own.

mod documents;
mod place;
mod record;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub use self::documents::Documents;
pub(crate) use self::documents::fields as fields_of_documents;
use self::place::DEFAULT;
pub use self::place::Place;
use self::record::{Found, Names, Own};
pub(crate) use self::record::{Own as OwnVector, own as own_of_pinecone};
use super::beside::embedding;
use super::http::Http;
use crate::digest::RowDigest;
use crate::nearest::{Hit, Query};
use crate::retry::{Class, Trouble};
use crate::row::{Dtype, ONLY_VECTOR, Row};
use crate::schema::{DenseShape, Metric, Schema};
use crate::store::{Budget, Cursor, Page, Partition, Sealed, Search, Slot, Source, Survey, Target, Unreadable};

/// The version of the API that is spoken.
const VERSION: &str = "2025-10";

/// What one batch is. A request takes a thousand records and 2 MB: what is more goes in several.
const BUDGET: Budget = Budget { n_rows: 1000, n_bytes: 1 << 20 };
const MAX_ROWS: usize = 1000;
const MAX_BODY: usize = 1_900_000;

/// How many identifiers a listing gives at once, and how many records are asked for at once, in an address of how many characters.
const LISTED: usize = 100;
const FETCHED: usize = 100;
const MAX_ADDRESS: usize = 7000;

/// How many rows a partition has at most.
const PARTITION: usize = 10_000;

/// How many records a page holds at most, and how many bytes of vectors.
const MAX_READ: Budget = Budget { n_rows: 1000, n_bytes: 4 << 20 };

/// How often a listing is begun again whose token the server no longer knows.
const MAX_LISTINGS: u32 = 5;

/// Where it stands what the rows look like: the namespace, the record, and the field of its metadata.
const ASIDE: &str = "crossfade-schema";
const SCHEMA: &str = "crossfade_schema";

/// An index.
pub struct Pinecone {
    place: Place,
    http: Option<Http>,
    open: Option<Open>,
}

/// What an index looks like.
#[derive(Clone)]
struct Open {
    schema: Schema,
    /// Whether its schema was written by a copy.
    is_ours: bool,
    /// How many records each namespace has, the aside one left out.
    counts: BTreeMap<String, u64>,
    dims: Option<usize>,
    metric: Option<Metric>,
    /// Whether it says that it has sparse vectors alone.
    is_sparse: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawStats {
    #[serde(default)]
    namespaces: BTreeMap<String, RawCount>,
    #[serde(default)]
    dimension: Option<usize>,
    #[serde(default)]
    metric: Option<String>,
    #[serde(default)]
    vector_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCount {
    #[serde(default)]
    vector_count: u64,
}

#[derive(Deserialize)]
struct RawRecords<'a> {
    #[serde(borrow, default)]
    vectors: HashMap<String, &'a RawValue>,
}

#[derive(Deserialize)]
struct RawListed {
    #[serde(default)]
    vectors: Vec<RawId>,
    #[serde(default)]
    namespaces: Vec<RawName>,
    #[serde(default)]
    pagination: Option<RawNext>,
}

#[derive(Deserialize)]
struct RawId {
    id: String,
}

#[derive(Deserialize)]
struct RawName {
    name: String,
}

#[derive(Deserialize)]
struct RawNext {
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct RawHits {
    #[serde(default)]
    matches: Vec<RawHit>,
}

#[derive(Deserialize)]
struct RawHit {
    id: String,
    score: f64,
}

/// What a vector becomes, or why it cannot be kept. `is_own` of the one that becomes a record's own.
pub(crate) fn declared(name: &str, shape: &DenseShape, is_own: bool) -> Result<String, String> {
    match (is_own, shape.metric) {
        (false, _) => Ok("in the metadata, exact; Pinecone does not search it".to_owned()),
        (true, Some(Metric::Hamming)) => {
            Err(format!("vector `{name}` is compared by bits, which Pinecone does not do"))
        }
        (true, _) => Ok(format!("the record's values; the index has to be of dimension {}", shape.dims)),
    }
}

/// The write units of so many bytes of vectors, as Pinecone counted them in 2026: one for each kilobyte.
pub(crate) fn write_units(n_bytes: u64) -> u64 {
    n_bytes.div_ceil(1000)
}

impl Pinecone {
    /// The index at a place.
    #[must_use]
    pub fn new(place: &Place) -> Pinecone {
        Pinecone { place: place.clone(), http: None, open: None }
    }

    fn doing(&self, what: &str) -> String {
        format!("could not {what} the index {} of Pinecone", self.place)
    }

    fn call(&mut self, doing: &str, method: Method, path: &str, body: Option<String>) -> Result<Bytes, Trouble> {
        let http = match self.http.take() {
            Some(http) => http,
            None => self.place.http(doing, VERSION)?,
        };
        let path = format!("{}{path}", self.place.path);
        self.http.insert(http).call(doing, method, &path, body)?.accepted(doing)
    }

    fn read_json<'a, T: Deserialize<'a>>(doing: &str, body: &'a Bytes) -> Result<T, Trouble> {
        // An answer that breaks off is no answer: the same again may be whole.
        serde_json::from_slice(body).map_err(|error| Trouble::transient(doing, format!("the answer: {error}")))
    }

    /// Looks the index up, once.
    fn open(&mut self) -> Result<&Open, Trouble> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.look_up()?,
        };
        Ok(self.open.insert(open))
    }

    fn look_up(&mut self) -> Result<Open, Trouble> {
        let doing = self.doing("find");
        let body = self.call(&doing, Method::POST, "/describe_index_stats", Some("{}".to_owned()))?;
        let stats: RawStats = Self::read_json(&doing, &body)?;
        let metric = match stats.metric.as_deref() {
            Some("cosine") => Some(Metric::Cosine),
            Some("euclidean") => Some(Metric::L2),
            Some("dotproduct") => Some(Metric::Dot),
            _ => None,
        };
        let named = |name: String| if name == DEFAULT { String::new() } else { name };
        let counts: BTreeMap<String, u64> = stats
            .namespaces
            .into_iter()
            .map(|(name, count)| (named(name), count.vector_count))
            .filter(|(name, _)| name != ASIDE)
            .collect();
        let body = self.call(&doing, Method::GET, &fetch_path(ASIDE, &[SCHEMA]), None)?;
        let found: RawRecords<'_> = Self::read_json(&doing, &body)?;
        let written = found.vectors.get(SCHEMA).map(|record| written_schema(record));
        let written = written.transpose().map_err(|why| Trouble::permanent(&doing, why))?;
        let dims = stats.dimension.filter(|dims| *dims > 0);
        let is_ours = written.is_some();
        let schema = written.unwrap_or_else(|| theirs(dims, metric));
        let is_sparse = stats.vector_type.as_deref() == Some("sparse");
        Ok(Open { schema, is_ours, counts, dims, metric, is_sparse })
    }

    /// The namespaces that are meant: those the statistics tell of, which come late, and those the index lists, which not every index does.
    fn namespaces(&mut self) -> Result<Vec<String>, Trouble> {
        if let Some(name) = &self.place.namespace {
            return Ok(vec![name.clone()]);
        }
        let mut names: BTreeSet<String> = self.open()?.counts.keys().cloned().collect();
        let doing = self.doing("list the namespaces of");
        let mut token = String::new();
        loop {
            let path = format!("/namespaces?limit={LISTED}{}", token_of(&token));
            let body = match self.call(&doing, Method::GET, &path, None) {
                Ok(body) => body,
                Err(trouble) if trouble.class == Class::Transient => return Err(trouble),
                Err(_) => break,
            };
            let listed: RawListed = Self::read_json(&doing, &body)?;
            let named = |name: String| if name == DEFAULT { String::new() } else { name };
            names.extend(listed.namespaces.into_iter().map(|one| named(one.name)).filter(|name| name != ASIDE));
            match listed.pagination.and_then(|pagination| pagination.next).filter(|next| !next.is_empty()) {
                Some(next) => token = next,
                None => break,
            }
        }
        Ok(names.into_iter().collect())
    }

    /// The identifiers of a namespace, rising.
    fn list(&mut self, namespace: &str) -> Result<Vec<String>, Trouble> {
        let doing = self.doing("list");
        for _ in 0..MAX_LISTINGS {
            if let Some(ids) = self.listed(&doing, namespace)? {
                return Ok(ids);
            }
        }
        Err(Trouble::permanent(doing, "the server lost its place in the listing each time; nothing was read"))
    }

    /// The same once; none when the server no longer knows its own token.
    fn listed(&mut self, doing: &str, namespace: &str) -> Result<Option<Vec<String>>, Trouble> {
        let (mut ids, mut token) = (Vec::new(), String::new());
        loop {
            let path = format!("/vectors/list?limit={LISTED}{}{}", namespace_of(namespace), token_of(&token));
            let body = match crate::patience::again(|| self.call(doing, Method::GET, &path, None)) {
                Ok(body) => body,
                Err(trouble) if trouble.class == Class::Poison && !token.is_empty() => return Ok(None),
                Err(trouble) if trouble.class == Class::Transient => return Err(trouble),
                Err(trouble) => {
                    let hint = "an index of pods lists nothing: name its identifiers with `?ids-from=FILE`, one a line";
                    return Err(Trouble::permanent(doing, format!("{}; {hint}", trouble.why)));
                }
            };
            let listed: RawListed = Self::read_json(doing, &body)?;
            ids.extend(listed.vectors.into_iter().map(|one| one.id));
            match listed.pagination.and_then(|pagination| pagination.next).filter(|next| !next.is_empty()) {
                // A server that gives the token that it was given would never end.
                Some(next) if next == token => return Ok(None),
                Some(next) => token = next,
                None => break,
            }
        }
        // Pages are in order and apart, by the book; nothing here depends on it.
        ids.sort_unstable();
        ids.dedup();
        Ok(Some(ids))
    }

    /// The identifiers of the file, and the namespace that they are of.
    fn of_file(&self) -> Result<Option<(String, Vec<String>)>, Trouble> {
        let Some(file) = &self.place.ids_from else { return Ok(None) };
        let doing = format!("could not read the identifiers of {}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| Trouble::permanent(&doing, error))?;
        let mut ids: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Err(Trouble::permanent(doing, "it has none: write one a line"));
        }
        Ok(Some((self.place.namespace.clone().unwrap_or_default(), ids)))
    }

    /// Records by the identifiers that the index knows, and how many of these were asked for.
    fn fetch(&mut self, doing: &str, namespace: &str, ids: &[String], page: &mut Page) -> Result<usize, Trouble> {
        let (mut n_asked, mut length) = (0, 0);
        for id in ids.iter().take(FETCHED) {
            length += encoded(id).len() + 5;
            if n_asked > 0 && length > MAX_ADDRESS {
                break;
            }
            n_asked += 1;
        }
        let asked: Vec<&str> = ids.iter().take(n_asked).map(String::as_str).collect();
        let body = self.call(doing, Method::GET, &fetch_path(namespace, &asked), None)?;
        let found: RawRecords<'_> = Self::read_json(doing, &body)?;
        let floats = self.place.floats.clone();
        let is_float = |field: &str| floats.contains(field);
        let schema = &self.open()?.schema;
        for id in asked {
            // What is gone by now was deleted.
            let Some(raw) = found.vectors.get(id) else { continue };
            let read = serde_json::from_str::<Found<'_>>(raw.get()).map_err(|error| error.to_string());
            match read.and_then(|found| record::row((namespace, id), &found, schema, &is_float, Names::default())) {
                Ok(row) => page.rows.push(row),
                Err(why) => page.unreadable.push(Unreadable {
                    place: format!("record `{id}` of namespace `{namespace}`"),
                    why,
                    found: raw.get().to_owned(),
                }),
            }
        }
        Ok(n_asked)
    }

    /// How many records are meant.
    fn n_rows(&mut self) -> Result<u64, Trouble> {
        if let Some((_, ids)) = self.of_file()? {
            return Ok(ids.len() as u64);
        }
        self.n_said()
    }

    /// How many the index says it has of what is meant.
    fn n_said(&mut self) -> Result<u64, Trouble> {
        let namespace = self.place.namespace.clone();
        let counts = &self.open()?.counts;
        Ok(match namespace {
            Some(name) => counts.get(&name).copied().unwrap_or(0),
            None => counts.values().sum(),
        })
    }

    /// Writes records of a namespace, in as many requests as they take.
    fn upsert(&mut self, doing: &str, namespace: &str, records: Vec<String>) -> Result<(), Trouble> {
        let name =
            if namespace.is_empty() { String::new() } else { format!(",\"namespace\":{}", Value::from(namespace)) };
        let mut records = records.into_iter().peekable();
        while let Some(first) = records.next() {
            let (mut body, mut n) = (format!("{{\"vectors\":[{first}"), 1);
            while let Some(next) = records.next_if(|next| n < MAX_ROWS && body.len() + next.len() < MAX_BODY) {
                body.push(',');
                body += &next;
                n += 1;
            }
            body += &format!("]{name}}}");
            self.call(doing, Method::POST, "/vectors/upsert", Some(body))?;
        }
        Ok(())
    }
}

/// What the records of somebody else's index look like. That some have a sparse vector nothing says.
fn theirs(dims: Option<usize>, metric: Option<Metric>) -> Schema {
    let shape = dims.map(|dims| DenseShape { dtype: Dtype::F32, dims, metric });
    Schema {
        dense: shape.map(|shape| (ONLY_VECTOR.to_owned(), shape)).into_iter().collect(),
        sparse: vec![record::ONLY_SPARSE.to_owned()],
        ..Schema::default()
    }
}

/// Why an index does not take rows whose own vector is this, if it does not.
fn mismatch(own: Own<'_>, open: &Open) -> Option<String> {
    match own {
        Own::Dense(name, shape) if open.dims != Some(shape.dims) => {
            let has = open.dims.map_or_else(|| "none for dense vectors".to_owned(), |dims| format!("dimension {dims}"));
            Some(format!("vector `{name}` has {} numbers, and the index has {has}", shape.dims))
        }
        Own::Dense(name, DenseShape { metric: Some(one), .. }) if open.metric.is_some_and(|other| other != *one) => {
            let other = open.metric.unwrap_or(*one);
            Some(format!("vector `{name}` is compared by {one:?}, and the index by {other:?}"))
        }
        Own::Sparse(name) if open.dims.is_some() || !open.is_sparse => Some(format!(
            "the collection has the sparse vector `{name}` and no dense one of floats: make an index with `vector_type` `sparse` and the metric `dotproduct`"
        )),
        _ => None,
    }
}

/// The schema that a record of ours says.
fn written_schema(record: &RawValue) -> Result<Schema, String> {
    #[derive(Deserialize)]
    struct Raw {
        metadata: BTreeMap<String, Value>,
    }
    let raw: Raw = serde_json::from_str(record.get()).map_err(|error| error.to_string())?;
    let written = raw.metadata.get(SCHEMA).and_then(Value::as_str);
    serde_json::from_str(written.unwrap_or_default()).map_err(|error| format!("what its rows look like: {error}"))
}

fn namespace_of(namespace: &str) -> String {
    if namespace.is_empty() { String::new() } else { format!("&namespace={}", encoded(namespace)) }
}

fn token_of(token: &str) -> String {
    if token.is_empty() { String::new() } else { format!("&paginationToken={}", encoded(token)) }
}

fn fetch_path(namespace: &str, ids: &[&str]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("ids={}", encoded(id))).collect();
    format!("/vectors/fetch?{}{}", ids.join("&"), namespace_of(namespace))
}

/// The distance that a score of Pinecone is.
fn distance(metric: Metric, score: f64) -> f64 {
    match metric {
        Metric::Cosine => 1.0 - score,
        Metric::Dot => -score,
        Metric::L2 | Metric::Hamming => score.max(0.0).sqrt(),
    }
}

/// A text as it stands in a query.
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

impl Source for Pinecone {
    fn survey(&mut self) -> Result<Survey, Trouble> {
        Ok(Survey { n_rows: self.n_rows()?, schema: self.open()?.schema.clone() })
    }

    fn partitions(&mut self) -> Result<Vec<Partition>, Trouble> {
        let mut partitions = Vec::new();
        let mut add = |namespace: &str, ids: &[String]| {
            let parts = ids.chunks(PARTITION);
            partitions.extend(parts.map(|ids| Partition::Ids { namespace: namespace.to_owned(), ids: ids.to_vec() }));
        };
        if let Some((namespace, ids)) = self.of_file()? {
            add(&namespace, &ids);
            return Ok(partitions);
        }
        for namespace in self.namespaces()? {
            let ids = self.list(&namespace)?;
            add(&namespace, &ids);
        }
        Ok(partitions)
    }

    fn read(&mut self, partition: &Partition, after: Option<&Cursor>, budget: Budget) -> Result<Page, Trouble> {
        let doing = self.doing("read");
        let (namespace, ids, begin) = partition.ids(&doing, after)?;
        let dims = embedding(&self.open()?.schema).map_or(0, |(_, shape)| shape.dims);
        let n_fit = budget.n_bytes.min(MAX_READ.n_bytes) / (dims * 4 + 512);
        let n_most = n_fit.min(budget.n_rows).clamp(1, MAX_READ.n_rows);
        let until = ids.len().min(begin.saturating_add(n_most));
        let (mut page, mut at) = (Page::default(), begin);
        while at < until {
            match self.fetch(&doing, namespace, ids.get(at..until).unwrap_or_default(), &mut page) {
                Ok(n_asked) => at += n_asked,
                // What was read before is a page by itself; the rest is asked for again.
                Err(trouble) if trouble.class == Class::Transient && at > begin => break,
                Err(trouble) => return Err(trouble),
            }
            if page.rows.iter().map(Row::n_bytes).sum::<usize>() >= budget.n_bytes {
                break;
            }
        }
        page.next = (at < ids.len()).then_some(Cursor::Offset(at as u64));
        Ok(page)
    }

    fn notes(&mut self) -> Result<Vec<String>, Trouble> {
        let n_rows = self.n_rows()?;
        let n_listed = if self.place.ids_from.is_some() { 0 } else { n_rows.div_ceil(LISTED as u64) };
        let n_units = n_listed + n_rows.div_ceil(10);
        let mut notes = vec![format!(
            "reading all of it once takes about {n_units} read units of Pinecone: one for {LISTED} identifiers listed, one for ten records fetched"
        )];
        if !self.open()?.is_ours {
            notes.push(
                "numbers of metadata are 64-bit floats in Pinecone: those that are integers become such; `?floats=FIELD` keeps a field's as floats, and `vectors doctor` names fields that have both"
                    .to_owned(),
            );
        }
        Ok(notes)
    }

    fn unproved(&mut self) -> Result<Option<String>, Trouble> {
        let Some((_, ids)) = self.of_file()? else { return Ok(None) };
        let (n_named, n_said) = (ids.len() as u64, self.n_said()?);
        let file = self.place.ids_from.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        let missing = n_said.saturating_sub(n_named);
        let more = if missing > 0 { format!(", so that {missing} at least are not in it") } else { String::new() };
        Ok(Some(format!(
            "that this is all of the index cannot be proved: the identifiers are those of {file}, {n_named} of them, and the index says that it has {n_said}{more}"
        )))
    }
}

impl Target for Pinecone {
    fn prepare(&mut self, schema: &Schema, acknowledged: Option<&[u64]>) -> Result<(), Trouble> {
        let doing = self.doing("write to");
        let refused = |why: String| Err(Trouble::permanent(&doing, why));
        if self.place.ids_from.is_some() || !self.place.floats.is_empty() {
            return refused("`ids-from` and `floats` say how an index is read, not how it is written".to_owned());
        }
        let Some(own) = record::own(schema) else {
            return refused("the collection has no vector of floats, and not one sparse vector".to_owned());
        };
        let open = self.open()?.clone();
        if let Some(why) = mismatch(own, &open) {
            return refused(why);
        }
        if acknowledged.is_none() && self.n_said()? > 0 {
            return refused("it has records already; a namespace of its own takes a copy too: `#NAMESPACE`".to_owned());
        }
        match open.is_ours.then_some(open.schema) {
            Some(other) if other == *schema => Ok(()),
            Some(_) => refused("it is there already, for rows of another shape".to_owned()),
            None => {
                let written = serde_json::to_string(schema).map_err(|error| Trouble::permanent(&doing, error))?;
                let mut record = json!({"id": SCHEMA, "metadata": {SCHEMA: written}});
                match own {
                    Own::Dense(_, shape) => {
                        let mut values = vec![0.0; shape.dims];
                        values.iter_mut().take(1).for_each(|first| *first = 1.0);
                        record["values"] = values.into();
                    }
                    Own::Sparse(_) => record["sparseValues"] = json!({"indices": [0], "values": [1.0]}),
                }
                self.upsert(&doing, ASIDE, vec![record.to_string()])?;
                self.open = Some(Open { schema: schema.clone(), is_ours: true, ..open });
                Ok(())
            }
        }
    }

    fn budget(&self) -> Budget {
        BUDGET
    }

    fn write(&mut self, _slot: Slot, rows: &[(Row, RowDigest)]) -> Result<(), Trouble> {
        let doing = self.doing("write to");
        let only = self.place.namespace.clone();
        let schema = &self.open()?.schema;
        // The last of each identifier: a request takes it once.
        let mut last: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
        for (row, _) in rows {
            if let Some(only) = only.as_ref().filter(|only| **only != row.namespace) {
                return Err(Trouble::poison(
                    doing,
                    format!("its namespace is `{}`, and only `{only}` is written", row.namespace),
                ));
            }
            if row.namespace == ASIDE {
                return Err(Trouble::poison(doing, format!("the namespace `{ASIDE}` is kept for what rows look like")));
            }
            let record = record::record(row, schema, Names::default()).map_err(|why| Trouble::poison(&doing, why))?;
            let record = serde_json::to_string(&record).map_err(|error| Trouble::poison(&doing, error))?;
            last.entry(&row.namespace).or_default().insert(&row.id, record);
        }
        for (namespace, records) in last {
            self.upsert(&doing, namespace, records.into_values().collect())?;
        }
        Ok(())
    }

    fn beside(&self) -> Option<Box<dyn Target>> {
        Some(Box::new(Pinecone { place: self.place.clone(), http: None, open: self.open.clone() }))
    }

    fn seal(&mut self, _sealed: &Sealed) -> Result<(), Trouble> {
        (self.http, self.open) = (None, None);
        Ok(())
    }
}

impl Search for Pinecone {
    fn search(&mut self, name: &str, metric: Metric, query: &Query, k: usize) -> Result<Vec<Hit>, Trouble> {
        let doing = self.doing("search");
        let open = self.open()?;
        let own = embedding(&open.schema).filter(|(own, _)| *own == name);
        let compared = own.map(|(_, shape)| open.metric.or(shape.metric));
        match compared {
            None => return Err(Trouble::permanent(doing, format!("it has no index of `{name}`"))),
            Some(Some(compared)) if compared != metric => {
                let why = format!("`{name}` is compared by {compared:?} there, not by {metric:?}");
                return Err(Trouble::permanent(doing, why));
            }
            Some(_) => {}
        }
        if self.place.namespace.as_ref().is_some_and(|only| *only != query.namespace) {
            return Ok(Vec::new());
        }
        let vector: Vec<f64> = query.vector.iter().copied().map(f64::from).collect();
        let mut body = json!({"vector": vector, "topK": k, "includeValues": false, "includeMetadata": false});
        if !query.namespace.is_empty() {
            body["namespace"] = Value::from(query.namespace.as_str());
        }
        let body = self.call(&doing, Method::POST, "/query", Some(body.to_string()))?;
        let found: RawHits = Self::read_json(&doing, &body)?;
        let hits = found.matches.into_iter();
        Ok(hits.map(|hit| Hit { id: record::of_key(&hit.id), distance: distance(metric, hit.score) }).collect())
    }
}

#[cfg(test)]
mod documents_tests;
#[cfg(test)]
mod sparse_tests;
#[cfg(test)]
mod tests;
