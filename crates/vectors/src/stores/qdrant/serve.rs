//! Answers to an application, from a collection.
//!
//! Points are in the order of their identifiers, which are not those of rows: what is listed is listed whole and sorted here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::filter::condition;
use super::{Qdrant, Said, point, read_json};
use crate::facade::backend::{Ask, Backend, Which, served};
use crate::facade::filter::Filter;
use crate::nearest::Hit;
use crate::retry::Trouble;
use crate::row::Row;
use crate::schema::Schema;

/// How many identifiers are listed at once.
const LISTED: usize = 10_000;

#[derive(Deserialize)]
struct RawListed {
    points: Vec<RawNamed>,
    #[serde(default)]
    next_page_offset: Value,
}

#[derive(Deserialize)]
struct RawNamed {
    payload: Map<String, Value>,
}

impl Qdrant {
    /// The namespaces and identifiers of all rows that are so.
    fn listed(&mut self, doing: &str, conditions: &[Value]) -> Result<Vec<(String, String)>, Trouble> {
        let mut all = Vec::new();
        let mut filter = Self::rows_alone();
        filter["must"] = conditions.into();
        let mut body = json!({
            "limit": LISTED, "with_payload": [point::NAMESPACE, point::ID], "with_vector": false, "filter": filter,
        });
        loop {
            let answer = self.post(doing, "/points/scroll", &body)?;
            let told: Said<RawListed> = read_json(doing, &answer)?;
            for RawNamed { payload } in told.result.points {
                let text = |key: &str| payload.get(key).and_then(Value::as_str).map(str::to_owned);
                let both = text(point::NAMESPACE).zip(text(point::ID));
                all.push(both.ok_or_else(|| {
                    Trouble::permanent(
                        doing,
                        format!(
                            "a point says no `{}` and `{}`: not Crossfade wrote it. Delete it there, or copy the collection into a new one",
                            point::NAMESPACE,
                            point::ID
                        ),
                    )
                })?);
            }
            if told.result.next_page_offset.is_null() {
                return Ok(all);
            }
            body["offset"] = told.result.next_page_offset;
        }
    }
}

/// The condition of a filter. One that cannot be asked is a fault of who asks.
pub(super) fn asked(doing: &str, filter: Option<&Filter>) -> Result<Option<Value>, Trouble> {
    filter.map(condition).transpose().map_err(|why| Trouble::poison(doing, why))
}

impl Backend for Qdrant {
    fn shape(&mut self) -> Result<Schema, Trouble> {
        let doing = self.doing("serve");
        let open = self.open()?;
        served(doing, open.is_ours, &open.schema)
    }

    fn nearest(&mut self, ask: &Ask<'_>) -> Result<Vec<Hit>, Trouble> {
        let mut hits = self.found(ask)?;
        hits.sort_by(Hit::order);
        Ok(hits)
    }

    fn fetch(&mut self, namespace: &str, ids: &[String]) -> Result<Vec<Row>, Trouble> {
        let doing = self.doing("read");
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<Value> = ids.iter().map(|id| point::id(namespace, id)).collect();
        let schema = self.open()?.schema.clone();
        let body = json!({"ids": keys, "with_payload": true, "with_vector": true});
        let body = self.post(&doing, "/points", &body)?;
        let told: Said<Vec<&RawValue>> = read_json(&doing, &body)?;
        let row = |raw: &RawValue| {
            let found = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
            point::row(&found, &schema)
        };
        let rows = told.result.into_iter().map(|raw| row(raw).map_err(|why| Trouble::permanent(&doing, why)));
        rows.collect()
    }

    fn ids(&mut self, which: &Which<'_>) -> Result<Vec<String>, Trouble> {
        let doing = self.doing("list");
        let conditions = [Some(Self::of_namespace(which.namespace)), asked(&doing, which.filter)?];
        let conditions: Vec<Value> = conditions.into_iter().flatten().collect();
        let ids = self.listed(&doing, &conditions)?.into_iter().map(|(_, id)| id).collect();
        Ok(which.among(ids))
    }

    fn put(&mut self, rows: &[Row]) -> Result<(), Trouble> {
        self.put_rows(rows.iter())
    }

    fn delete(&mut self, namespace: &str, ids: &[String]) -> Result<(), Trouble> {
        let doing = self.doing("delete from");
        if ids.is_empty() {
            return Ok(());
        }
        let keys: Vec<Value> = ids.iter().map(|id| point::id(namespace, id)).collect();
        self.post(&doing, "/points/delete?wait=true", &json!({"points": keys})).map(drop)
    }

    fn count(&mut self, filter: Option<&Filter>) -> Result<BTreeMap<String, u64>, Trouble> {
        let doing = self.doing("count");
        let conditions: Vec<Value> = asked(&doing, filter)?.into_iter().collect();
        let mut counts = BTreeMap::new();
        for (namespace, _) in self.listed(&doing, &conditions)? {
            *counts.entry(namespace).or_default() += 1;
        }
        Ok(counts)
    }
}
