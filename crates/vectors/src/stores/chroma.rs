//! Chroma, by its REST API (version 2).
//!
//! Chroma has no order that one could ask for and no way to go on after a record but by counting. So a partition is a list of identifiers that is written down before anything is
//! read, and records are read by them: nothing that was there when it was listed and still is can be passed over, whatever is written meanwhile. The listing itself goes by
//! counting, in the order in which records came; each of its pages begins with the last identifier of the one before, and where it does not, something was deleted in front of it
//! and the listing begins again.

mod filter;
mod record;
mod serve;

use std::collections::{BTreeMap, HashMap};

use hyper::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use wire::base64;

use self::record::Found;
use crate::digest::RowDigest;
use crate::facade::filter::Filter;
use crate::nearest::{Hit, Query};
use crate::retry::Trouble;
use crate::row::{Dtype, ONLY_VECTOR, Row, floats_to_bytes};
use crate::schema::{DenseShape, Metric, Schema};
use crate::store::{Budget, Cursor, Page, Partition, Sealed, Search, Slot, Source, Survey, Target, Unreadable};
use crate::stores::beside::{embedding, of_key};
use crate::stores::http::{Answer, Http};
use crate::verify::Loose;

/// What one upsert takes. Chroma 1.5.9 takes 5461 records.
const BUDGET: Budget = Budget { n_rows: 2000, n_bytes: 8 << 20 };

/// How many identifiers are listed at once.
const LISTED: usize = 5000;

/// How many rows a partition has at most.
const PARTITION: usize = 10_000;

/// How many records are asked for at once, and how many bytes of vectors.
const MAX_READ: Budget = Budget { n_rows: 1000, n_bytes: 4 << 20 };

/// How often a listing is begun again.
const MAX_LISTINGS: u32 = 5;

/// In a collection's metadata: what its rows look like.
const SCHEMA: &str = "crossfade_schema";

/// Where the token is that a server may ask for.
const TOKEN: &str = "CHROMA_TOKEN";

/// Where a collection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    host: String,
    tenant: String,
    database: String,
    is_plain: bool,
    collection: String,
}

impl Place {
    /// Reads what stands after `chroma:`: `HOST:PORT?tenant=TENANT&database=DATABASE&tls=no#COLLECTION`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(written: &str) -> Result<Place, String> {
        let (place, collection) = written.split_once('#').unwrap_or((written, super::USUAL_TABLE));
        let (host, settings) = place.split_once('?').unwrap_or((place, ""));
        let is_port = |port: &str| port.parse::<u16>().is_ok();
        if !host.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && is_port(port))
            || host.contains(['/', '@'])
        {
            return Err(format!("`chroma:{place}` is no place of Chroma: write chroma:HOST:PORT#COLLECTION"));
        }
        let mut parsed = Place {
            host: host.to_owned(),
            tenant: "default_tenant".to_owned(),
            database: "default_database".to_owned(),
            is_plain: false,
            collection: collection.to_owned(),
        };
        for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
            match setting.split_once('=') {
                Some(("tenant", name)) => parsed.tenant = name.to_owned(),
                Some(("database", name)) => parsed.database = name.to_owned(),
                Some(("tls", "no")) => parsed.is_plain = true,
                _ => return Err(format!("`{setting}` is none of tenant=NAME, database=NAME and tls=no")),
            }
        }
        for name in [&parsed.tenant, &parsed.database, &parsed.collection] {
            check_name(name)?;
        }
        let is_here = ["localhost:", "127.0.0.1:", "[::1]:"].iter().any(|here| host.starts_with(here));
        if !is_here && !parsed.is_plain {
            return Err("connections are without TLS: beyond this machine the address has to say `?tls=no`".to_owned());
        }
        Ok(parsed)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { host, tenant, database, is_plain, collection } = self;
        let mut settings = Vec::new();
        if tenant != "default_tenant" {
            settings.push(format!("tenant={tenant}"));
        }
        if database != "default_database" {
            settings.push(format!("database={database}"));
        }
        if *is_plain {
            settings.push("tls=no".to_owned());
        }
        let mark = if settings.is_empty() { "" } else { "?" };
        write!(formatter, "{host}{mark}{}#{collection}", settings.join("&"))
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let is_edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if is_plain && (3..=512).contains(&name.len()) && is_edge(name.bytes().next()) && is_edge(name.bytes().last()) {
        Ok(())
    } else {
        Err(format!(
            "`{name}` is no name in Chroma: 3 to 512 letters, digits, `.`, `_` and `-`, a letter or digit at both ends"
        ))
    }
}

/// What a vector becomes, or why it cannot be kept. `is_own` of the one that becomes a record's own.
pub(crate) fn declared(name: &str, shape: &DenseShape, is_own: bool) -> Result<String, String> {
    if !is_own {
        return Ok("beside the record, exact; Chroma does not search it".to_owned());
    }
    let space =
        space(shape.metric).ok_or_else(|| format!("vector `{name}` is compared by bits, which Chroma does not do"))?;
    Ok(format!("the record's embedding, compared by `{space}`"))
}

fn space(metric: Option<Metric>) -> Option<&'static str> {
    match metric {
        Some(Metric::Cosine) => Some("cosine"),
        Some(Metric::L2) | None => Some("l2"),
        Some(Metric::Dot) => Some("ip"),
        Some(Metric::Hamming) => None,
    }
}

/// A collection of a server.
pub struct Chroma {
    place: Place,
    http: Option<Http>,
    open: Option<Open>,
    /// The most records that the server takes at once, where it said so.
    max_rows: Option<usize>,
    /// How many identifiers are listed at once.
    n_listed: usize,
}

/// A collection that was looked up.
struct Open {
    path: String,
    schema: Schema,
    /// Whether its schema was written by a copy.
    is_ours: bool,
}

/// What a server says of a collection.
#[derive(Deserialize)]
struct RawCollection {
    id: String,
    #[serde(default)]
    dimension: Option<usize>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    #[serde(default)]
    configuration_json: Value,
}

/// Records as a server says them: each list as long as the first.
#[derive(Deserialize)]
struct RawRecords<'a> {
    ids: Vec<String>,
    #[serde(borrow, default)]
    embeddings: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    documents: Option<Vec<Option<String>>>,
    #[serde(borrow, default)]
    metadatas: Option<Vec<Option<&'a RawValue>>>,
    #[serde(default)]
    uris: Option<Vec<Option<String>>>,
}

#[derive(Deserialize)]
struct RawHits {
    ids: Vec<Vec<String>>,
    distances: Vec<Vec<f64>>,
}

impl Chroma {
    /// The collection at a place.
    #[must_use]
    pub fn new(place: &Place) -> Chroma {
        Chroma { place: place.clone(), http: None, open: None, max_rows: None, n_listed: LISTED }
    }

    fn doing(&self, what: &str) -> String {
        format!("could not {what} the collection {} of Chroma", self.place.collection)
    }

    fn call(&mut self, doing: &str, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Trouble> {
        let http = match self.http.take() {
            Some(http) => http,
            None => {
                let token = std::env::var(TOKEN).ok();
                let headers = token.as_deref().map(|token| ("x-chroma-token", token));
                Http::new(&format!("http://{}", self.place.host), headers.as_slice())?
            }
        };
        self.http.insert(http).call(doing, method, path, body.map(Value::to_string))
    }

    /// Where collections are.
    fn collections(&self) -> String {
        format!("/api/v2/tenants/{}/databases/{}/collections", self.place.tenant, self.place.database)
    }

    /// The collection, if the server has it.
    fn look_up(&mut self) -> Result<Option<Open>, Trouble> {
        let doing = self.doing("find");
        let path = format!("{}/{}", self.collections(), self.place.collection);
        let answer = self.call(&doing, Method::GET, &path, None)?;
        if answer.status.as_u16() == 404 {
            return Ok(None);
        }
        let body = answer.accepted(&doing)?;
        let raw: RawCollection = serde_json::from_slice(&body).map_err(|error| Trouble::permanent(&doing, error))?;
        let written = raw.metadata.as_ref().and_then(|metadata| metadata.get(SCHEMA)).and_then(Value::as_str);
        let (schema, is_ours) = match written {
            Some(written) => (serde_json::from_str(written).map_err(|error| Trouble::permanent(&doing, error))?, true),
            None => (theirs(&raw), false),
        };
        Ok(Some(Open { path: format!("{}/{}", self.collections(), raw.id), schema, is_ours }))
    }

    fn open(&mut self) -> Result<&Open, Trouble> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.look_up()?.ok_or_else(|| {
                Trouble::permanent(self.doing("find"), format!("{} has none of that name", self.place.host))
            })?,
        };
        Ok(self.open.insert(open))
    }

    /// Asks something of the collection.
    fn ask(&mut self, doing: &str, verb: &str, body: Option<&Value>) -> Result<bytes::Bytes, Trouble> {
        let path = format!("{}/{verb}", self.open()?.path);
        let method = if body.is_some() { Method::POST } else { Method::GET };
        self.call(doing, method, &path, body)?.accepted(doing)
    }

    /// The identifiers of all records, in the order in which they came.
    fn list(&mut self) -> Result<Vec<String>, Trouble> {
        let doing = self.doing("list");
        for _ in 0..MAX_LISTINGS {
            if let Some(ids) = self.listed(&doing)? {
                return Ok(ids);
            }
        }
        Err(Trouble::permanent(
            doing,
            "records were deleted each time while it was listed; nothing was read. Copy it when nobody deletes from it",
        ))
    }

    /// The same once; none when something moved meanwhile.
    fn listed(&mut self, doing: &str) -> Result<Option<Vec<String>>, Trouble> {
        let mut ids: Vec<String> = Vec::new();
        loop {
            // From the last one on, which has to be where it was.
            let offset = ids.len().saturating_sub(1);
            let body = json!({"limit": self.n_listed, "offset": offset, "include": []});
            let found = self.ask(doing, "get", Some(&body))?;
            let RawRecords { ids: found, .. } =
                serde_json::from_slice(&found).map_err(|error| Trouble::permanent(doing, error))?;
            if ids.last() != found.first() && !ids.is_empty() {
                return Ok(None);
            }
            let is_last = found.len() < self.n_listed;
            ids.truncate(offset);
            ids.extend(found);
            if is_last {
                return Ok(Some(ids));
            }
        }
    }
}

/// What the records of somebody else's collection look like.
fn theirs(raw: &RawCollection) -> Schema {
    let said =
        |index: &str| raw.configuration_json.get(index).and_then(|index| index.get("space")).and_then(Value::as_str);
    let metric = match said("hnsw").or_else(|| said("spann")) {
        Some("cosine") => Some(Metric::Cosine),
        Some("l2") => Some(Metric::L2),
        Some("ip") => Some(Metric::Dot),
        _ => None,
    };
    let shape = raw.dimension.map(|dims| DenseShape { dtype: Dtype::F32, dims, metric });
    Schema { dense: shape.map(|shape| (ONLY_VECTOR.to_owned(), shape)).into_iter().collect(), ..Schema::default() }
}

impl Source for Chroma {
    fn survey(&mut self) -> Result<Survey, Trouble> {
        let doing = self.doing("count");
        let body = self.ask(&doing, "count", None)?;
        let n_rows = serde_json::from_slice(&body).map_err(|error| Trouble::permanent(doing, error))?;
        Ok(Survey { n_rows, schema: self.open()?.schema.clone() })
    }

    fn partitions(&mut self) -> Result<Vec<Partition>, Trouble> {
        Ok(self
            .list()?
            .chunks(PARTITION)
            .map(|ids| Partition::Ids { namespace: String::new(), ids: ids.to_vec() })
            .collect())
    }

    fn read(&mut self, partition: &Partition, after: Option<&Cursor>, budget: Budget) -> Result<Page, Trouble> {
        let doing = self.doing("read");
        let (_, ids, begin) = partition.ids(&doing, after)?;
        let dims = embedding(&self.open()?.schema).map_or(0, |(_, shape)| shape.dims);
        let n_fit = budget.n_bytes.min(MAX_READ.n_bytes) / (dims * 4 + 512);
        let n_asked = n_fit.min(budget.n_rows).clamp(1, MAX_READ.n_rows);
        let asked = ids.get(begin..ids.len().min(begin.saturating_add(n_asked))).unwrap_or_default();
        let mut page = Page::default();
        if asked.is_empty() {
            return Ok(page);
        }
        let body = json!({"ids": asked, "include": ["embeddings", "documents", "metadatas", "uris"]});
        let body = self.ask(&doing, "get", Some(&body))?;
        let raw: RawRecords<'_> = serde_json::from_slice(&body).map_err(|error| Trouble::permanent(&doing, error))?;
        let schema = &self.open()?.schema;
        let at: HashMap<&str, usize> = raw.ids.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
        let (mut n_bytes, mut n_read) = (0, 0);
        for id in asked {
            if n_bytes >= budget.n_bytes {
                break;
            }
            n_read += 1;
            // What is gone by now was deleted.
            let Some(found) = at.get(id.as_str()).and_then(|at| raw.at(*at)) else { continue };
            let metadata = found.metadata;
            match record::row(found, schema) {
                Ok(row) => {
                    n_bytes += row.n_bytes();
                    page.rows.push(row);
                }
                Err(why) => page.unreadable.push(Unreadable {
                    place: format!("record `{id}`"),
                    why,
                    found: metadata.map(RawValue::get).unwrap_or_default().to_owned(),
                }),
            }
        }
        let end = begin + n_read;
        page.next = (end < ids.len()).then_some(Cursor::Offset(end as u64));
        Ok(page)
    }

    fn tolerant(&mut self) -> Result<BTreeMap<String, Loose>, Trouble> {
        let own = embedding(&self.open()?.schema);
        let is_loose = |shape: &DenseShape| (shape.dtype, shape.metric) == (Dtype::F32, Some(Metric::Cosine));
        Ok(own
            .filter(|(_, shape)| is_loose(shape))
            .map(|(name, _)| (name.to_owned(), Loose::Norm))
            .into_iter()
            .collect())
    }
}

impl RawRecords<'_> {
    fn at(&self, at: usize) -> Option<Found<'_>> {
        Some(Found {
            id: self.ids.get(at)?,
            vector: self.embeddings.as_ref()?.get(at)?,
            document: self.documents.as_ref().and_then(|documents| documents.get(at)?.clone()),
            metadata: self.metadatas.as_ref().and_then(|metadatas| *metadatas.get(at)?),
            uri: self.uris.as_ref().and_then(|uris| uris.get(at)?.clone()),
        })
    }
}

impl Target for Chroma {
    fn prepare(&mut self, schema: &Schema, acknowledged: Option<&[u64]>) -> Result<(), Trouble> {
        let doing = self.doing("make");
        let checks = self.call(&doing, Method::GET, "/api/v2/pre-flight-checks", None)?.accepted(&doing)?;
        let checks: Value = serde_json::from_slice(&checks).map_err(|error| Trouble::permanent(&doing, error))?;
        if checks["supports_base64_encoding"] != Value::Bool(true) {
            return Err(Trouble::permanent(doing, "this server does not take vectors as bytes: Chroma 1.5.9 does"));
        }
        self.max_rows = checks["max_batch_size"].as_u64().and_then(|n| usize::try_from(n).ok());
        if let Some(open) = self.look_up()? {
            let (is_same, is_ours) = (open.schema == *schema, open.is_ours);
            self.open = Some(open);
            let is_used = Source::survey(self)?.n_rows > 0;
            if !is_ours {
                return Err(Trouble::permanent(doing, "it is there already, and Crossfade did not make it"));
            }
            if acknowledged.is_none() && is_used {
                return Err(Trouble::permanent(doing, "it is there already and has rows"));
            }
            if !is_same {
                return Err(Trouble::permanent(doing, "it is there already, for rows of another shape"));
            }
            return Ok(());
        }
        let metric = embedding(schema).and_then(|(_, shape)| shape.metric);
        let written = serde_json::to_string(schema).map_err(|error| Trouble::permanent(&doing, error))?;
        let body = json!({
            "name": self.place.collection, "configuration": {"hnsw": {"space": space(metric)}}, "metadata": {SCHEMA: written},
        });
        let path = self.collections();
        self.call(&doing, Method::POST, &path, Some(&body))?.accepted(&doing)?;
        self.open = None;
        Ok(())
    }

    fn budget(&self) -> Budget {
        Budget { n_rows: self.max_rows.map_or(BUDGET.n_rows, |most| most.clamp(1, BUDGET.n_rows)), ..BUDGET }
    }

    fn write(&mut self, _slot: Slot, rows: &[(Row, RowDigest)]) -> Result<(), Trouble> {
        let doing = self.doing("write to");
        let schema = &self.open()?.schema;
        let (mut ids, mut vectors, mut documents, mut metadatas) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (row, _) in rows {
            let record = record::record(row, schema).map_err(|why| Trouble::poison(&doing, why))?;
            ids.push(record.id);
            vectors.push(base64::encode(&floats_to_bytes(&record.vector)));
            documents.push(record.document);
            metadatas.push(record.metadata);
        }
        let body = json!({"ids": ids, "embeddings": vectors, "documents": documents, "metadatas": metadatas});
        self.ask(&doing, "upsert", Some(&body)).map(drop)
    }

    fn seal(&mut self, _sealed: &Sealed) -> Result<(), Trouble> {
        (self.http, self.open) = (None, None);
        Ok(())
    }
}

impl Search for Chroma {
    fn search(&mut self, name: &str, metric: Metric, query: &Query, k: usize) -> Result<Vec<Hit>, Trouble> {
        self.found(name, metric, query, None, k)
    }
}

impl Chroma {
    /// What its index finds, among rows that a filter allows.
    fn found(
        &mut self,
        name: &str,
        metric: Metric,
        query: &Query,
        filter: Option<&Filter>,
        k: usize,
    ) -> Result<Vec<Hit>, Trouble> {
        let doing = self.doing("search");
        let Open { schema, is_ours, .. } = self.open()?;
        let shape = embedding(schema).filter(|(own, _)| *own == name).map(|(_, shape)| shape);
        let compared = shape.map(|shape| shape.metric.unwrap_or(Metric::L2));
        if compared != Some(metric) {
            let why = compared.map_or_else(
                || format!("it has no index of `{name}`"),
                |compared| format!("`{name}` is compared by {compared:?} there, not by {metric:?}"),
            );
            return Err(Trouble::permanent(doing, why));
        }
        let mut body = json!({"query_embeddings": [query.vector], "n_results": k, "include": ["distances"]});
        if *is_ours {
            let mut all = vec![json!({record::NAMESPACE: query.namespace}), json!({record::HAS_VECTOR: true})];
            all.extend(serve::asked(&doing, filter)?);
            body["where"] = json!({"$and": all});
        } else if !query.namespace.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.ask(&doing, "query", Some(&body))?;
        let found: RawHits = serde_json::from_slice(&found).map_err(|error| Trouble::permanent(&doing, error))?;
        // Measured on (3,4,0,0) and (1,0,0,0): 20 by l2, -2 by ip, 0.4 by cosine.
        let ours = |distance: f64| match metric {
            Metric::L2 => distance.max(0.0).sqrt(),
            Metric::Dot => distance - 1.0,
            Metric::Cosine | Metric::Hamming => distance,
        };
        let pairs = found.ids.into_iter().flatten().zip(found.distances.into_iter().flatten());
        Ok(pairs.map(|(id, distance)| Hit { id: of_key(&id).1, distance: ours(distance) }).collect())
    }
}

#[cfg(test)]
mod tests;
