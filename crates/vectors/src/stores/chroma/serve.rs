//! Answers to an application, from a collection.
//!
//! Chroma knows neither order nor namespaces, so identifiers are listed whole and sorted here; and what it is given it merges with what is there, so what a row no longer has is taken away by name.

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::filter::condition;
use super::{Chroma, RawRecords, record};
use crate::facade::backend::{Ask, Backend, Which, served};
use crate::facade::filter::Filter;
use crate::nearest::Hit;
use crate::retry::Trouble;
use crate::row::{Row, floats_to_bytes};
use crate::schema::Schema;
use crate::stores::beside::{key, of_key};
use wire::base64;

impl Chroma {
    /// The identifiers of all records that are so.
    fn keys(&mut self, doing: &str, conditions: Vec<Value>) -> Result<Vec<String>, Trouble> {
        let mut body = json!({"include": []});
        if let Some(all) = all_of(conditions) {
            body["where"] = all;
        }
        let body = self.ask(doing, "get", Some(&body))?;
        let RawRecords { ids, .. } = serde_json::from_slice(&body).map_err(|error| Trouble::permanent(doing, error))?;
        Ok(ids)
    }
}

/// All of these conditions; none where there is none.
pub(super) fn all_of(mut conditions: Vec<Value>) -> Option<Value> {
    if conditions.len() > 1 { Some(json!({"$and": conditions})) } else { conditions.pop() }
}

/// The condition of a filter. One that cannot be asked is a fault of who asks.
pub(super) fn asked(doing: &str, filter: Option<&Filter>) -> Result<Option<Value>, Trouble> {
    filter.map(condition).transpose().map_err(|why| Trouble::poison(doing, why))
}

impl Backend for Chroma {
    fn shape(&mut self) -> Result<Schema, Trouble> {
        let doing = self.doing("serve");
        let open = self.open()?;
        served(doing, open.is_ours, &open.schema)
    }

    fn nearest(&mut self, ask: &Ask<'_>) -> Result<Vec<Hit>, Trouble> {
        let mut hits = self.found(ask.vector, ask.metric, ask.query, ask.filter, ask.k)?;
        hits.sort_by(Hit::order);
        Ok(hits)
    }

    fn fetch(&mut self, namespace: &str, ids: &[String]) -> Result<Vec<Row>, Trouble> {
        let doing = self.doing("read");
        let keys: Vec<String> = ids.iter().map(|id| key(namespace, id)).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let body = json!({"ids": keys, "include": ["embeddings", "documents", "metadatas", "uris"]});
        let body = self.ask(&doing, "get", Some(&body))?;
        let raw: RawRecords<'_> = serde_json::from_slice(&body).map_err(|error| Trouble::permanent(&doing, error))?;
        let schema = &self.open()?.schema;
        let found = (0..raw.ids.len()).filter_map(|at| raw.at(at));
        found.map(|found| record::row(found, schema).map_err(|why| Trouble::permanent(&doing, why))).collect()
    }

    fn ids(&mut self, which: &Which<'_>) -> Result<Vec<String>, Trouble> {
        let doing = self.doing("list");
        let namespace = json!({record::NAMESPACE: which.namespace});
        let conditions = [Some(namespace), asked(&doing, which.filter)?].into_iter().flatten().collect();
        let keys = self.keys(&doing, conditions)?;
        let ids = keys.iter().map(|key| of_key(key).1).collect();
        Ok(which.among(ids))
    }

    fn put(&mut self, rows: &[Row]) -> Result<(), Trouble> {
        let doing = self.doing("write to");
        let schema = self.open()?.schema.clone();
        let records: Vec<record::Record> = rows
            .iter()
            .map(|row| record::record(row, &schema).map_err(|why| Trouble::poison(&doing, why)))
            .collect::<Result<_, _>>()?;
        let keys: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let body = json!({"ids": keys, "include": ["documents", "metadatas"]});
        let body = self.ask(&doing, "get", Some(&body))?;
        let raw: RawRecords<'_> = serde_json::from_slice(&body).map_err(|error| Trouble::permanent(&doing, error))?;
        let there: HashMap<&str, (Option<&RawValue>, bool)> = (0..raw.ids.len())
            .filter_map(|at| {
                let metadata = raw.metadatas.as_ref().and_then(|all| *all.get(at)?);
                let has_document = raw.documents.as_ref().is_some_and(|all| matches!(all.get(at), Some(Some(_))));
                Some((raw.ids.get(at)?.as_str(), (metadata, has_document)))
            })
            .collect();
        let (mut ids, mut vectors, mut documents, mut metadatas) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for mut record in records {
            if let Some((metadata, has_document)) = there.get(record.id.as_str()) {
                let before: Map<String, Value> = metadata
                    .map(|metadata| serde_json::from_str(metadata.get()))
                    .transpose()
                    .map_err(|error| Trouble::permanent(&doing, error))?
                    .unwrap_or_default();
                record.takes_the_place_of(&before, *has_document);
            }
            ids.push(record.id);
            vectors.push(base64::encode(&floats_to_bytes(&record.vector)));
            documents.push(record.document);
            metadatas.push(record.metadata);
        }
        let body = json!({"ids": ids, "embeddings": vectors, "documents": documents, "metadatas": metadatas});
        self.ask(&doing, "upsert", Some(&body)).map(drop)
    }

    fn delete(&mut self, namespace: &str, ids: &[String]) -> Result<(), Trouble> {
        let doing = self.doing("delete from");
        let keys: Vec<String> = ids.iter().map(|id| key(namespace, id)).collect();
        if keys.is_empty() {
            return Ok(());
        }
        self.ask(&doing, "delete", Some(&json!({"ids": keys}))).map(drop)
    }

    fn count(&mut self, filter: Option<&Filter>) -> Result<BTreeMap<String, u64>, Trouble> {
        let doing = self.doing("count");
        let conditions = asked(&doing, filter)?.into_iter().collect();
        let mut counts = BTreeMap::new();
        for key in self.keys(&doing, conditions)? {
            *counts.entry(of_key(&key).0).or_default() += 1;
        }
        Ok(counts)
    }
}
