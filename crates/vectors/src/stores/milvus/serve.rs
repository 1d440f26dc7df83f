//! Answers to an application, from a collection.
//!
//! A namespace's identifiers are not in one order with the keys that stand for both, so they are listed whole and sorted here.

use std::collections::BTreeMap;

use super::filter::{both, condition, keys, quoted};
use super::{Milvus, record};
use crate::facade::backend::{Ask, Backend, Which, served};
use crate::facade::filter::Filter;
use crate::nearest::Hit;
use crate::retry::Trouble;
use crate::row::Row;
use crate::schema::Schema;
use crate::store::Page;
use crate::stores::beside::{key, of_key};

/// The condition of a filter. One that cannot be asked is a fault of who asks.
fn asked(doing: &str, filter: Option<&Filter>) -> Result<String, Trouble> {
    filter.map(condition).transpose().map(Option::unwrap_or_default).map_err(|why| Trouble::poison(doing, why))
}

impl Backend for Milvus {
    fn shape(&mut self) -> Result<Schema, Trouble> {
        let doing = self.doing("serve");
        let open = self.open()?;
        served(doing, open.is_ours, &open.schema)
    }

    fn nearest(&mut self, ask: &Ask<'_>) -> Result<Vec<Hit>, Trouble> {
        let doing = self.doing("search");
        let condition = asked(&doing, ask.filter)?;
        let mut hits = self.found(ask.vector, ask.metric, ask.query, &condition, ask.k)?;
        hits.sort_by(Hit::order);
        Ok(hits)
    }

    fn fetch(&mut self, namespace: &str, ids: &[String]) -> Result<Vec<Row>, Trouble> {
        let doing = self.doing("read");
        let keys: Vec<String> = ids.iter().map(|id| key(namespace, id)).collect();
        let mut page = Page::default();
        if !keys.is_empty() {
            self.fetch_keys(&doing, &keys, &mut page)?;
        }
        match page.unreadable.into_iter().next() {
            Some(unreadable) => Err(Trouble::permanent(doing, format!("{}: {}", unreadable.place, unreadable.why))),
            None => Ok(page.rows),
        }
    }

    fn ids(&mut self, which: &Which<'_>) -> Result<Vec<String>, Trouble> {
        let doing = self.doing("list");
        let namespace = format!("{} == {}", record::NAMESPACE, quoted(which.namespace));
        let condition = both(&namespace, &asked(&doing, which.filter)?);
        let ids = self.keys(&doing, &condition)?.iter().map(|key| of_key(key).1).collect();
        Ok(which.among(ids))
    }

    fn put(&mut self, rows: &[Row]) -> Result<(), Trouble> {
        let doing = self.doing("write to");
        self.put_rows(&doing, rows.iter())
    }

    fn delete(&mut self, namespace: &str, ids: &[String]) -> Result<(), Trouble> {
        let doing = self.doing("delete from");
        if ids.is_empty() {
            return Ok(());
        }
        let all: Vec<String> = ids.iter().map(|id| key(namespace, id)).collect();
        self.api()?.delete(&doing, &keys(&all))
    }

    fn count(&mut self, filter: Option<&Filter>) -> Result<BTreeMap<String, u64>, Trouble> {
        let doing = self.doing("count");
        let condition = asked(&doing, filter)?;
        let mut counts = BTreeMap::new();
        for key in self.keys(&doing, &condition)? {
            *counts.entry(of_key(&key).0).or_default() += 1;
        }
        Ok(counts)
    }
}
