//! The calls of Milvus that a copy and an index need, of the service `milvus.proto.milvus.MilvusService` from 2.3 on.
//!
//! Numbers of fields are those of milvus-proto; what is not known is passed over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::column::Column;
use super::grpc::Grpc;
use super::protobuf::{self, Message};
use crate::retry::{Class, Trouble};

const SERVICE: &str = "milvus.proto.milvus.MilvusService";

/// Types of fields.
pub(super) const BOOL: u64 = 1;
pub(super) const VARCHAR: u64 = 21;
pub(super) const JSON: u64 = 23;
pub(super) const BINARY_VECTOR: u64 = 100;
pub(super) const FLOAT_VECTOR: u64 = 101;
pub(super) const FLOAT16_VECTOR: u64 = 102;
pub(super) const SPARSE_VECTOR: u64 = 104;

/// The longest text that a field holds.
pub(super) const MAX_TEXT: usize = 65_535;

/// The most that one query gives, and one search.
pub(super) const MAX_LIMIT: usize = 16_384;

/// Reads that see all that was acknowledged before, which waits for the next tick of the server's clock, a fifth of a second.
const STRONG: u64 = 0;
/// Reads that see all that was written up to a time that is said.
const CUSTOMIZED: u64 = 4;

/// The state of a collection that answers.
const LOADED: u64 = 3;

/// A field of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: u64,
    pub(super) is_key: bool,
    pub(super) dims: usize,
}

/// A collection as its server tells it.
pub(super) struct Described {
    pub(super) description: String,
    pub(super) fields: Vec<Field>,
    /// Rows may have fields that are not named here, all of them in one.
    pub(super) is_open: bool,
}

/// What is searched for.
pub(super) struct Sought<'a> {
    pub(super) field: &'a str,
    pub(super) metric: &'a str,
    pub(super) vector: &'a [f32],
    pub(super) condition: &'a str,
    pub(super) k: usize,
}

/// A collection of a server.
pub(super) struct Api {
    pub(super) grpc: Grpc,
    pub(super) database: String,
    pub(super) collection: String,
    /// When this process wrote last, for reads that have to see that and no more; none where they have to see all.
    pub(super) written: Option<Arc<AtomicU64>>,
}

/// Nothing was written by this process, and a read has seen all that was there before.
const BEFORE: u64 = 1;

impl Api {
    /// How a read says what it has to see: the level, and the time.
    fn sees(&self) -> (u64, u64) {
        match self.written.as_ref().map(|written| written.load(Ordering::SeqCst)) {
            None | Some(0) => (STRONG, 0),
            Some(time) => (CUSTOMIZED, time),
        }
    }

    /// A read has gone well, or a write at this time.
    fn has_seen(&self, time: u64) {
        if let Some(written) = &self.written {
            written.fetch_max(time, Ordering::SeqCst);
        }
    }

    /// The next read waits until it sees everything.
    fn has_to_see_all(&self) {
        if let Some(written) = &self.written {
            written.store(0, Ordering::SeqCst);
        }
    }

    fn call(&mut self, doing: &str, method: &str, message: Message) -> Result<Bytes, Trouble> {
        self.grpc.call(doing, &format!("{SERVICE}/{method}"), message)
    }

    /// A call whose answer is of this collection and begins with a status.
    fn done(&mut self, doing: &str, method: &str, message: Message) -> Result<Bytes, Trouble> {
        let answer = self.call(doing, method, message)?;
        self.succeeded(doing, broken(doing, protobuf::one(&answer, 1))?)?;
        Ok(answer)
    }

    /// A message that begins as most do: with the database at 2 and the collection at 3.
    fn named(&self) -> Message {
        Message::new().text(2, &self.database).text(3, &self.collection)
    }

    fn succeeded(&self, doing: &str, status: &[u8]) -> Result<(), Trouble> {
        let read = || -> Result<Status, String> {
            Ok(Status {
                old: protobuf::int(status, 1)?,
                code: protobuf::int(status, 3)?,
                is_retriable: protobuf::int(status, 4)? != 0,
                reason: protobuf::text(status, 2)?,
            })
        };
        broken(doing, read())?.judged(doing, &self.collection)
    }

    /// What the collection is; none where the server has none of its name.
    pub(super) fn describe(&mut self, doing: &str) -> Result<Option<Described>, Trouble> {
        let answer = self.call(doing, "DescribeCollection", self.named())?;
        let status = broken(doing, protobuf::one(&answer, 1))?;
        let read = || Ok((protobuf::int(status, 3)?, protobuf::int(status, 1)?, protobuf::text(status, 2)?));
        let (code, old, reason) = broken(doing, read())?;
        if code == NO_COLLECTION || old == OLD_NO_COLLECTION || reason.contains("can't find collection") {
            return Ok(None);
        }
        self.succeeded(doing, status)?;
        broken(doing, described(&answer)).map(Some)
    }

    /// Makes the collection, of these fields.
    pub(super) fn create(&mut self, doing: &str, description: &str, fields: &[Field]) -> Result<(), Trouble> {
        let mut schema = Message::new().text(1, &self.collection).text(2, description);
        for (n, field) in fields.iter().enumerate() {
            let mut one = Message::new()
                .int(1, 100 + n as u64)
                .text(2, &field.name)
                .int(3, u64::from(field.is_key))
                .int(5, field.kind);
            match field.kind {
                VARCHAR => one = one.pair(6, "max_length", &MAX_TEXT.to_string()),
                FLOAT_VECTOR => one = one.pair(6, "dim", &field.dims.to_string()),
                _ => {}
            }
            schema = schema.message(4, &one);
        }
        let message = self.named().bytes(4, &schema.into_bytes()).int(5, 1).int(6, STRONG);
        self.status(doing, "CreateCollection", message)
    }

    /// A call that is answered with a status alone.
    fn status(&mut self, doing: &str, method: &str, message: Message) -> Result<(), Trouble> {
        let answer = self.call(doing, method, message)?;
        self.succeeded(doing, &answer)
    }

    /// An index on a field, where it has none: the server's own choice of kind.
    pub(super) fn index(&mut self, doing: &str, field: &str, metric: &str) -> Result<(), Trouble> {
        let message = self
            .named()
            .text(4, field)
            .pair(5, "index_type", "AUTOINDEX")
            .pair(5, "metric_type", metric)
            .pair(5, "params", "{}");
        self.status(doing, "CreateIndex", message)
    }

    /// How fields are compared, by name, where they have an index.
    pub(super) fn metrics(&mut self, doing: &str) -> Result<Vec<(String, String)>, Trouble> {
        let answer = self.call(doing, "DescribeIndex", self.named())?;
        let status = broken(doing, protobuf::one(&answer, 1))?;
        // Without an index that is a failure by the book, and nothing to be said here.
        if self.succeeded(doing, status).is_err_and(|trouble| trouble.class != Class::Transient) {
            return Ok(Vec::new());
        }
        self.succeeded(doing, status)?;
        let read = || {
            let mut metrics = Vec::new();
            for index in protobuf::all(&answer, 2)? {
                for pair in protobuf::all(index, 3)? {
                    if protobuf::one(pair, 1)? == b"metric_type" {
                        metrics.push((protobuf::text(index, 4)?, protobuf::text(pair, 2)?));
                    }
                }
            }
            Ok(metrics)
        };
        broken(doing, read())
    }

    /// Asks for the collection to be loaded, for which nobody waits.
    pub(super) fn load(&mut self, doing: &str) -> Result<(), Trouble> {
        let message = self.named().int(4, 1);
        self.status(doing, "LoadCollection", message)
    }

    /// Whether it is loaded.
    pub(super) fn is_loaded(&mut self, doing: &str) -> Result<bool, Trouble> {
        let message = Message::new().text(2, &self.collection).text(4, &self.database);
        let answer = self.done(doing, "GetLoadState", message)?;
        Ok(broken(doing, protobuf::int(&answer, 2))? == LOADED)
    }

    /// Rows that a condition allows, `limit` at most, of these fields.
    pub(super) fn query(
        &mut self,
        doing: &str,
        condition: &str,
        fields: &[&str],
        limit: Option<usize>,
    ) -> Result<Vec<Column>, Trouble> {
        let mut message = self.named().text(4, condition);
        for field in fields {
            message = message.text(5, field);
        }
        if let Some(limit) = limit {
            message = message.pair(9, "limit", &limit.to_string());
        }
        let (level, time) = self.sees();
        let answer = self.done(doing, "Query", message.int(8, time).int(11, level))?;
        self.has_seen(BEFORE);
        let read = || protobuf::all(&answer, 2)?.into_iter().map(Column::read).collect();
        broken(doing, read())
    }

    /// How many rows a condition allows.
    pub(super) fn count(&mut self, doing: &str, condition: &str) -> Result<u64, Trouble> {
        let columns = self.query(doing, condition, &["count(*)"], None)?;
        let count = columns.first().and_then(|column| column.count());
        count.ok_or_else(|| Trouble::permanent(doing, "the server does not count its rows"))
    }

    /// Writes rows, each in the place of one of its key.
    pub(super) fn upsert(&mut self, doing: &str, columns: Vec<Message>, n_rows: usize) -> Result<(), Trouble> {
        let mut message = self.named();
        for column in columns {
            message = message.message(5, &column);
        }
        let answer = self.done(doing, "Upsert", message.int(7, n_rows as u64))?;
        self.has_seen(broken(doing, protobuf::int(&answer, 9))?);
        let n_refused = broken(doing, protobuf::ints(&answer, 4))?.len();
        if n_refused > 0 {
            return Err(Trouble::poison(doing, format!("it did not take {n_refused} of {n_rows} rows")));
        }
        Ok(())
    }

    /// Takes rows away.
    pub(super) fn delete(&mut self, doing: &str, condition: &str) -> Result<(), Trouble> {
        let message = self.named().text(5, condition);
        let answer = self.done(doing, "Delete", message)?;
        let time = broken(doing, protobuf::int(&answer, 9))?;
        self.has_seen(time);
        if time == 0 {
            // A server that does not say when: the next read has to see everything.
            self.has_to_see_all();
        }
        Ok(())
    }

    /// The nearest rows: key and score of each.
    pub(super) fn search(&mut self, doing: &str, sought: &Sought<'_>) -> Result<Vec<(String, f32)>, Trouble> {
        let (level, time) = self.sees();
        let value =
            Message::new().text(1, "$0").int(2, FLOAT_VECTOR).bytes(3, &crate::row::floats_to_bytes(sought.vector));
        let message = Message::new()
            .text(2, &self.database)
            .text(3, &self.collection)
            .text(5, sought.condition)
            .bytes(6, &Message::new().message(1, &value).into_bytes())
            .int(7, 1)
            .pair(9, "anns_field", sought.field)
            .pair(9, "topk", &sought.k.to_string())
            .pair(9, "metric_type", sought.metric)
            .pair(9, "params", "{}")
            .pair(9, "round_decimal", "-1")
            .int(11, time)
            .int(12, 1)
            .int(14, level);
        let answer = self.done(doing, "Search", message)?;
        self.has_seen(BEFORE);
        let read = || {
            let results = protobuf::one(&answer, 2)?;
            let scores = protobuf::floats(results, 4)?;
            let ids = protobuf::one(results, 5)?;
            let texts = protobuf::all(protobuf::one(ids, 2)?, 1)?;
            let keys: Vec<String> = if texts.is_empty() {
                let numbers = protobuf::ints(protobuf::one(ids, 1)?, 1)?;
                numbers.into_iter().map(|number| number.cast_signed().to_string()).collect()
            } else {
                texts.into_iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
            };
            Ok(keys.into_iter().zip(scores).collect())
        };
        broken(doing, read())
    }
}

/// What an answer says, if it is one.
fn broken<T>(doing: &str, read: Result<T, String>) -> Result<T, Trouble> {
    read.map_err(|why| Trouble::permanent(doing, why))
}

fn described(answer: &[u8]) -> Result<Described, String> {
    let schema = protobuf::one(answer, 2)?;
    let mut fields = Vec::new();
    for field in protobuf::all(schema, 4)? {
        let mut dims = 0;
        for pair in protobuf::all(field, 6)? {
            if protobuf::one(pair, 1)? == b"dim" {
                dims = protobuf::text(pair, 2)?.parse().map_err(|_| "the dimension of a field is no number")?;
            }
        }
        fields.push(Field {
            name: protobuf::text(field, 2)?,
            kind: protobuf::int(field, 5)?,
            is_key: protobuf::int(field, 3)? != 0,
            dims,
        });
    }
    Ok(Described { description: protobuf::text(schema, 2)?, fields, is_open: protobuf::int(schema, 5)? != 0 })
}

/// How a call ended: by the list of codes from 2.3 on, and by the one before.
struct Status {
    old: u64,
    code: u64,
    is_retriable: bool,
    reason: String,
}

const NO_COLLECTION: u64 = 100;
const OLD_NO_COLLECTION: u64 = 4;
const NOT_LOADED: u64 = 101;
/// How long a collection that is not loaded is left alone between two tries.
const LOADS_AGAIN: Duration = Duration::from_secs(6);
/// What has no code of its own.
const UNEXPECTED: u64 = 65_535;

impl Status {
    fn judged(self, doing: &str, collection: &str) -> Result<(), Trouble> {
        if (self.code, self.old) == (0, 0) {
            return Ok(());
        }
        let class = match self.code {
            _ if self.is_retriable => Class::Transient,
            // Not ready, unavailable, short of memory, too many requests, internal; not loaded yet, or not whole.
            1..=5 | 8 | 9 | NOT_LOADED | 103 => Class::Transient,
            // Replicas, channels, segments, nodes, files, queues: what a server says that comes back or loses a part.
            400..=699 | 901..=903 | 1000..=1002 | 1300..=1302 | UNEXPECTED => Class::Transient,
            // Parameters and fields.
            1100 | 1101 | 1700 | 1701 => Class::Poison,
            _ => Class::Permanent,
        };
        let hint = match self.code {
            NOT_LOADED => format!("; load the collection first: `load()` on {collection}, then the same command"),
            _ => String::new(),
        };
        let number = if self.code == 0 { self.old } else { self.code };
        // A server that came back loads what was loaded before, which takes it up to half a minute.
        let after = (self.code == NOT_LOADED).then_some(LOADS_AGAIN);
        // Short of memory, too many requests.
        let is_too_much = matches!(self.code, 3 | 8 | 9);
        let trouble = Trouble::of(class, doing, format!("{} ({number}){hint}", self.reason)).too_much(is_too_much);
        Err(Trouble { after, ..trouble })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_what_helps() {
        let class = |code, is_retriable| {
            let status = Status { old: 1, code, is_retriable, reason: "why".to_owned() };
            status.judged("x", "kb").unwrap_err().class
        };
        assert_eq!(
            [1100, 101, 8, 100, 1400].map(|code| class(code, false)),
            [Class::Poison, Class::Transient, Class::Transient, Class::Permanent, Class::Permanent]
        );
        assert_eq!(class(1400, true), Class::Transient);
        assert!(Status { old: 0, code: 0, is_retriable: false, reason: String::new() }.judged("x", "kb").is_ok());
        let told = Status { old: 1, code: 101, is_retriable: false, reason: "not loaded".to_owned() };
        let trouble = told.judged("x", "kb").unwrap_err();
        assert!(trouble.to_string().contains("load the collection first"));
        assert_eq!(trouble.after, Some(LOADS_AGAIN));
    }

    #[test]
    fn a_description_is_read_as_it_is_written() {
        let key = Message::new().text(2, "id").int(3, 1).int(5, VARCHAR).pair(6, "max_length", "9");
        let vector = Message::new().text(2, "v").int(5, FLOAT_VECTOR).pair(6, "dim", "384").int(99, 1);
        let schema = Message::new().text(2, "about").message(4, &key).message(4, &vector);
        let found = described(&Message::new().message(2, &schema).into_bytes()).unwrap();
        let names: Vec<_> = found.fields.iter().map(|field| (field.name.as_str(), field.is_key, field.dims)).collect();
        assert_eq!((found.description.as_str(), found.is_open), ("about", false));
        assert_eq!(names, [("id", true, 0), ("v", false, 384)]);
    }
}
