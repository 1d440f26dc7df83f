//! Qdrant, by its REST API.
//!
//! Points are read in the order of their identifiers, and a page says where the next one begins: what is written or deleted meanwhile moves nothing. What the rows of a collection look like stands in a point of
//! its own, without a vector.

mod alias;
mod filter;
mod place;
mod point;
mod serve;

use std::collections::BTreeMap;

use hyper::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

pub use self::alias::{Alias, Shown};
pub use self::place::Place;
use self::point::{Found, MARK, SCHEMA};
use crate::digest::RowDigest;
use crate::facade::backend::Ask;
use crate::nearest::{Hit, Query};
use crate::retry::Trouble;
use crate::row::{Dtype, ONLY_VECTOR, Row};
use crate::schema::{DenseShape, Metric, Schema};
use crate::store::{Budget, Cursor, Page, Partition, Sealed, Search, Slot, Source, Survey, Target, Unreadable};
use crate::stores::http::{Answer, Http};
use crate::verify::Loose;

/// What one upsert takes: a server takes 32 MiB of JSON, in which a number has up to 24 characters.
const BUDGET: Budget = Budget { n_rows: 1000, n_bytes: 4 << 20 };

/// How many points are asked for at once, and how many bytes of vectors.
const MAX_READ: Budget = Budget { n_rows: 1000, n_bytes: 4 << 20 };

/// Where the key is that a server may ask for.
const KEY: &str = "QDRANT_API_KEY";

/// A collection of a server.
pub struct Qdrant {
    place: Place,
    http: Option<Http>,
    open: Option<Open>,
}

/// A collection that was looked up.
#[derive(Clone)]
struct Open {
    schema: Schema,
    /// Whether its schema was written by a copy.
    is_ours: bool,
    /// Its one vector has no name.
    is_nameless: bool,
}

#[derive(Deserialize)]
struct RawPage<'a> {
    #[serde(borrow)]
    points: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    next_page_offset: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Said<T> {
    result: T,
}

#[derive(Deserialize)]
struct RawHits {
    points: Vec<RawHit>,
}

#[derive(Deserialize)]
struct RawHit {
    id: Value,
    score: f64,
    #[serde(default)]
    payload: Option<Map<String, Value>>,
}

/// What a vector becomes, or why it cannot be kept.
pub(crate) fn declared(name: &str, shape: &DenseShape) -> Result<String, String> {
    if !point::is_own(shape) {
        return Ok("in the payload, exact; Qdrant does not search it".to_owned());
    }
    if !(1..=65_536).contains(&shape.dims) {
        return Err(format!("vector `{name}` has {} numbers: Qdrant takes 1 to 65536", shape.dims));
    }
    Ok(format!("the point's vector of that name, compared by {}", distance(shape.metric)))
}

/// Whether a vector does not come back to the bit: by the cosine Qdrant keeps directions.
pub(crate) fn is_loose(shape: &DenseShape) -> bool {
    (shape.dtype, shape.metric) == (Dtype::F32, Some(Metric::Cosine))
}

fn distance(metric: Option<Metric>) -> &'static str {
    match metric {
        Some(Metric::Cosine) => "Cosine",
        Some(Metric::Dot) => "Dot",
        Some(Metric::L2 | Metric::Hamming) | None => "Euclid",
    }
}

impl Qdrant {
    /// The collection at a place.
    #[must_use]
    pub fn new(place: &Place) -> Qdrant {
        Qdrant { place: place.clone(), http: None, open: None }
    }

    fn doing(&self, what: &str) -> String {
        format!("could not {what} the collection {} of Qdrant", self.place.collection)
    }

    /// Asks something of the collection; none where there is no such collection or point.
    fn ask(
        &mut self,
        doing: &str,
        method: Method,
        verb: &str,
        body: Option<&Value>,
    ) -> Result<Option<bytes::Bytes>, Trouble> {
        let path = format!("/collections/{}{verb}", self.place.collection);
        let answer = self.call(doing, method, &path, body)?;
        if answer.status.as_u16() == 404 {
            return Ok(None);
        }
        answer.accepted(doing).map(Some)
    }

    /// Asks something of the server.
    fn all(&mut self, doing: &str, method: Method, path: &str, body: Option<&Value>) -> Result<bytes::Bytes, Trouble> {
        self.call(doing, method, path, body)?.accepted(doing)
    }

    fn call(&mut self, doing: &str, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Trouble> {
        let http = match self.http.take() {
            Some(http) => http,
            None => {
                let key = std::env::var(KEY).ok();
                let headers = key.as_deref().map(|key| ("api-key", key));
                Http::new(&self.place.base(), headers.as_slice())?
            }
        };
        self.http.insert(http).call(doing, method, path, body.map(Value::to_string))
    }

    /// The same, of a collection that has to be there.
    fn post(&mut self, doing: &str, verb: &str, body: &Value) -> Result<bytes::Bytes, Trouble> {
        let answer = self.ask(doing, Method::POST, verb, Some(body))?;
        answer.ok_or_else(|| Trouble::permanent(doing, format!("{} has none of that name", self.place.base())))
    }

    /// The collection, if the server has it.
    fn look_up(&mut self) -> Result<Option<Open>, Trouble> {
        let doing = self.doing("find");
        let Some(body) = self.ask(&doing, Method::GET, "", None)? else { return Ok(None) };
        let told: Said<Value> = read_json(&doing, &body)?;
        let params = &told.result["config"]["params"];
        let body = self.post(&doing, "/points", &json!({"ids": [MARK], "with_payload": true, "with_vector": false}))?;
        let marks: Said<Vec<Value>> = read_json(&doing, &body)?;
        let written = marks.result.first().and_then(|mark| mark["payload"][SCHEMA].as_str());
        let is_nameless = params["vectors"]["size"].is_number();
        Ok(Some(match written {
            Some(written) => {
                let schema = serde_json::from_str(written).map_err(|error| Trouble::permanent(&doing, error))?;
                Open { schema, is_ours: true, is_nameless }
            }
            None => Open { schema: theirs(params), is_ours: false, is_nameless },
        }))
    }

    fn open(&mut self) -> Result<&Open, Trouble> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.look_up()?.ok_or_else(|| {
                Trouble::permanent(self.doing("find"), format!("{} has none of that name", self.place.base()))
            })?,
        };
        Ok(self.open.insert(open))
    }

    /// All points but the one that is ours alone.
    fn rows_alone() -> Value {
        json!({"must_not": [{"has_id": [MARK]}]})
    }

    /// The rows of a namespace.
    fn of_namespace(namespace: &str) -> Value {
        json!({"key": point::NAMESPACE, "match": {"value": namespace}})
    }

    /// Writes rows, all in one request.
    fn put_rows<'a>(&mut self, rows: impl Iterator<Item = &'a Row>) -> Result<(), Trouble> {
        let doing = self.doing("write to");
        let schema = self.open()?.schema.clone();
        let points: Vec<Value> = rows
            .map(|row| point::point(row, &schema).map_err(|why| Trouble::poison(&doing, why)))
            .collect::<Result<_, _>>()?;
        let done = self.ask(&doing, Method::PUT, "/points?wait=true", Some(&json!({"points": points})))?;
        done.map(drop).ok_or_else(|| Trouble::permanent(doing, "the collection is gone"))
    }

    /// What its index finds.
    fn found(&mut self, ask: &Ask<'_>) -> Result<Vec<Hit>, Trouble> {
        let doing = self.doing("search");
        let Ask { vector: name, metric, query, k, .. } = *ask;
        let filter = serve::asked(&doing, ask.filter)?;
        let Open { schema, is_ours, is_nameless } = self.open()?.clone();
        let shape = schema.dense.get(name).filter(|shape| point::is_own(shape));
        let compared = shape.map(|shape| shape.metric.unwrap_or(Metric::L2));
        if compared != Some(metric) {
            let why = compared.map_or_else(
                || format!("it has no index of `{name}`"),
                |compared| format!("`{name}` is compared by {compared:?} there, not by {metric:?}"),
            );
            return Err(Trouble::permanent(doing, why));
        }
        let mut body = json!({"query": query.vector, "limit": k, "with_payload": [point::ID]});
        if !is_nameless {
            body["using"] = Value::from(name);
        }
        if is_ours {
            let both = [Some(Self::of_namespace(&query.namespace)), filter];
            body["filter"] = json!({"must": both.into_iter().flatten().collect::<Vec<_>>()});
        } else if !query.namespace.is_empty() {
            return Ok(Vec::new());
        }
        let body = self.post(&doing, "/points/query", &body)?;
        let told: Said<RawHits> = read_json(&doing, &body)?;
        // Measured on (3,4,0,0) and (1,0,0,0): 4.472 by Euclid, 3 by Dot, 0.6 by Cosine.
        let ours = |score: f64| match metric {
            Metric::L2 | Metric::Hamming => score,
            Metric::Dot => -score,
            Metric::Cosine => 1.0 - score,
        };
        let hit = |hit: RawHit| {
            let own = hit.payload.as_ref().and_then(|payload| payload.get(point::ID)).and_then(Value::as_str);
            let plain = || hit.id.as_str().map_or_else(|| hit.id.to_string(), str::to_owned);
            Hit { id: own.map_or_else(plain, str::to_owned), distance: ours(hit.score) }
        };
        Ok(told.result.points.into_iter().map(hit).collect())
    }
}

/// An answer that breaks off is no answer: the same again may be whole.
fn read_json<'a, T: Deserialize<'a>>(doing: &str, body: &'a [u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|error| Trouble::transient(doing, format!("the answer: {error}")))
}

/// What the points of somebody else's collection look like.
fn theirs(params: &Value) -> Schema {
    let mut schema = Schema::default();
    let mut take = |name: &str, vector: &Value| {
        let Some(dims) = vector["size"].as_u64().and_then(|dims| usize::try_from(dims).ok()) else { return };
        if vector["multivector_config"].is_object() {
            schema.multi.insert(name.to_owned(), dims);
            return;
        }
        let metric = match vector["distance"].as_str() {
            Some("Cosine") => Some(Metric::Cosine),
            Some("Dot") => Some(Metric::Dot),
            Some("Euclid") => Some(Metric::L2),
            _ => None,
        };
        schema.dense.insert(name.to_owned(), DenseShape { dtype: Dtype::F32, dims, metric });
    };
    let vectors = &params["vectors"];
    if vectors["size"].is_number() {
        take(ONLY_VECTOR, vectors);
    } else {
        vectors.as_object().into_iter().flatten().for_each(|(name, vector)| take(name, vector));
    }
    schema.sparse = params["sparse_vectors"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    schema.sparse.sort_unstable();
    schema
}

impl Source for Qdrant {
    fn survey(&mut self) -> Result<Survey, Trouble> {
        #[derive(Deserialize)]
        struct Count {
            count: u64,
        }
        let doing = self.doing("count");
        let schema = self.open()?.schema.clone();
        let body = self.post(&doing, "/points/count", &json!({"exact": true, "filter": Self::rows_alone()}))?;
        let told: Said<Count> = read_json(&doing, &body)?;
        Ok(Survey { n_rows: told.result.count, schema })
    }

    fn partitions(&mut self) -> Result<Vec<Partition>, Trouble> {
        Ok(vec![Partition::Keys { after: None, until: None }])
    }

    fn read(&mut self, partition: &Partition, after: Option<&Cursor>, budget: Budget) -> Result<Page, Trouble> {
        let doing = self.doing("read");
        if *partition != (Partition::Keys { after: None, until: None }) {
            return Err(Trouble::permanent(doing, "the journal divides it, and it is read in one"));
        }
        let schema = self.open()?.schema.clone();
        let each = schema.dense.values().map(|shape| shape.dims * 4).sum::<usize>() + 512;
        let n_fit = budget.n_bytes.min(MAX_READ.n_bytes) / each;
        let n_asked = n_fit.min(budget.n_rows).clamp(1, MAX_READ.n_rows);
        let mut body =
            json!({"limit": n_asked, "with_payload": true, "with_vector": true, "filter": Self::rows_alone()});
        match after {
            // The first of the next page, as the server said it.
            Some(Cursor::Key(_, id)) => {
                body["offset"] = serde_json::from_str(id).map_err(|error| Trouble::permanent(&doing, error))?;
            }
            Some(Cursor::Offset(_)) => {
                return Err(Trouble::permanent(doing, "the journal has an offset for it, not an identifier"));
            }
            None => {}
        }
        let body = self.post(&doing, "/points/scroll", &body)?;
        let told: Said<RawPage<'_>> = read_json(&doing, &body)?;
        let mut page = Page::default();
        for raw in told.result.points {
            let read = serde_json::from_str::<Found<'_>>(raw.get()).map_err(|error| error.to_string());
            match read.and_then(|found| point::row(&found, &schema)) {
                Ok(row) => page.rows.push(row),
                Err(why) => {
                    let id = serde_json::from_str::<Value>(raw.get()).map(|point| point["id"].to_string());
                    let place = format!("point {}", id.unwrap_or_default());
                    page.unreadable.push(Unreadable { place, why, found: raw.get().to_owned() });
                }
            }
        }
        let next = told.result.next_page_offset.filter(|next| next.get() != "null");
        page.next = next.map(|next| Cursor::Key(String::new(), next.get().to_owned()));
        Ok(page)
    }

    fn tolerant(&mut self) -> Result<BTreeMap<String, Loose>, Trouble> {
        let Open { schema, is_ours, .. } = self.open()?;
        let loose = schema.dense.iter().filter(|(_, shape)| *is_ours && is_loose(shape));
        Ok(loose.map(|(name, _)| (name.clone(), Loose::Norm)).collect())
    }
}

impl Target for Qdrant {
    fn prepare(&mut self, schema: &Schema, acknowledged: Option<&[u64]>) -> Result<(), Trouble> {
        let doing = self.doing("make");
        let written = serde_json::to_string(schema).map_err(|error| Trouble::permanent(&doing, error))?;
        if let Some(open) = self.look_up()? {
            let (is_same, is_ours) = (open.schema == *schema, open.is_ours);
            self.open = Some(open);
            let is_used = Source::survey(self)?.n_rows > 0;
            // An earlier run may have ended before it said what the rows look like.
            let is_bare = !is_ours && !is_used && acknowledged.is_some();
            if !is_ours && !is_bare {
                return Err(Trouble::permanent(doing, "it is there already, and Crossfade did not make it"));
            }
            if acknowledged.is_none() && is_used {
                return Err(Trouble::permanent(doing, "it is there already and has rows"));
            }
            if is_ours && !is_same {
                return Err(Trouble::permanent(doing, "it is there already, for rows of another shape"));
            }
        } else {
            let own = schema.dense.iter().filter(|(_, shape)| point::is_own(shape));
            let vectors: Map<String, Value> = own
                .map(|(name, shape)| (name.clone(), json!({"size": shape.dims, "distance": distance(shape.metric)})))
                .collect();
            self.ask(&doing, Method::PUT, "", Some(&json!({"vectors": vectors})))?;
        }
        // Queries of a namespace ask for it.
        let index = json!({"field_name": point::NAMESPACE, "field_schema": "keyword"});
        self.ask(&doing, Method::PUT, "/index?wait=true", Some(&index))?;
        let mark = json!({"id": MARK, "vector": {}, "payload": {SCHEMA: written}});
        self.ask(&doing, Method::PUT, "/points?wait=true", Some(&json!({"points": [mark]})))?;
        self.open = None;
        Ok(())
    }

    fn budget(&self) -> Budget {
        BUDGET
    }

    fn write(&mut self, _slot: Slot, rows: &[(Row, RowDigest)]) -> Result<(), Trouble> {
        self.put_rows(rows.iter().map(|(row, _)| row))
    }

    fn seal(&mut self, _sealed: &Sealed) -> Result<(), Trouble> {
        (self.http, self.open) = (None, None);
        Ok(())
    }
}

impl Search for Qdrant {
    fn search(&mut self, name: &str, metric: Metric, query: &Query, k: usize) -> Result<Vec<Hit>, Trouble> {
        self.found(&Ask { vector: name, metric, query, filter: None, k })
    }
}

#[cfg(test)]
mod tests;
