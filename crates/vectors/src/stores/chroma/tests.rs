//! Against a double that does what Chroma 1.5.9 was seen to do: it keeps records in the order in which they came, and moves them up when one goes. The real server is in `scripts/test-vectors`.

use std::sync::{Arc, Mutex};

use super::*;
use crate::digest::row_digest;
use crate::retry::Class;
use crate::row::Dense;
use crate::stores::served::{Said, Served};
use crate::stores::tests::hostile;

#[derive(Default)]
struct Shelf {
    collection: Option<Value>,
    records: Vec<(String, Value)>,
    n_listings: usize,
    /// Before which page of a listing the first record is deleted.
    deletes_before: Option<fn(usize) -> bool>,
    /// What is said instead of an answer.
    refuses: Option<u16>,
}

struct Double {
    place: Place,
    shelf: Arc<Mutex<Shelf>>,
    _served: Served,
}

impl Double {
    fn new() -> Double {
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let shared = Arc::clone(&shelf);
        let served = Served::new(move |asked| {
            let body = serde_json::from_slice(asked.body).unwrap_or(Value::Null);
            let (status, said) = shared.lock().unwrap().answer(asked.method, asked.path, &body);
            Said { status, body: said.to_string(), ..Said::default() }
        });
        let place = Place::parse(&format!("{}#docs", served.host)).unwrap();
        Double { place, shelf, _served: served }
    }

    fn chroma(&self, n_listed: usize) -> Chroma {
        Chroma { n_listed, ..Chroma::new(&self.place) }
    }

    fn put(&self, n: usize) {
        let records =
            (0..n).map(|n| (format!("id{n}"), json!({"embedding": [n, 1], "document": null, "metadata": null})));
        let mut shelf = self.shelf.lock().unwrap();
        shelf.collection = Some(
            json!({"id": "c1", "name": "docs", "dimension": 2, "metadata": null, "configuration_json": {"hnsw": {"space": "l2"}}}),
        );
        shelf.records = records.collect();
    }
}

impl Shelf {
    fn answer(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        if let Some(status) = self.refuses {
            return (status, json!({"error": "x", "message": "refused"}));
        }
        let verb = path.rsplit('/').next().unwrap();
        match (method, verb) {
            ("GET", "pre-flight-checks") => (200, json!({"max_batch_size": 7, "supports_base64_encoding": true})),
            ("GET", "docs") => {
                self.collection.clone().map_or((404, json!({"error": "NotFoundError"})), |found| (200, found))
            }
            ("POST", "collections") => {
                let metric = body["configuration"].clone();
                self.collection = Some(
                    json!({"id": "c1", "metadata": body["metadata"], "configuration_json": metric, "dimension": null}),
                );
                (200, self.collection.clone().unwrap())
            }
            ("GET", "count") => (200, json!(self.records.len())),
            ("POST", "get") => (200, self.get(body)),
            ("POST", "upsert") => self.upsert(body),
            _ => (404, json!({"error": path})),
        }
    }

    fn get(&mut self, body: &Value) -> Value {
        if body["include"] == json!([]) {
            if self.deletes_before.is_some_and(|deletes| deletes(self.n_listings)) {
                self.records.remove(0);
            }
            self.n_listings += 1;
        }
        let chosen: Vec<&(String, Value)> = match body["ids"].as_array() {
            Some(ids) => self.records.iter().rev().filter(|(id, _)| ids.contains(&json!(id))).collect(),
            None => {
                let number = |name: &str| usize::try_from(body[name].as_u64().unwrap()).unwrap();
                self.records.iter().skip(number("offset")).take(number("limit")).collect()
            }
        };
        let all = |field: &str| chosen.iter().map(|(_, record)| record[field].clone()).collect::<Vec<_>>();
        let ids: Vec<&String> = chosen.iter().map(|(id, _)| id).collect();
        json!({"ids": ids, "embeddings": all("embedding"), "documents": all("document"), "metadatas": all("metadata"), "uris": null})
    }

    fn upsert(&mut self, body: &Value) -> (u16, Value) {
        for (at, id) in body["ids"].as_array().unwrap().iter().enumerate() {
            let id = id.as_str().unwrap().to_owned();
            let floats =
                crate::row::floats_of_bytes(&base64::decode(body["embeddings"][at].as_str().unwrap()).unwrap())
                    .unwrap();
            if id.is_empty() || floats.iter().any(|float| !float.is_finite()) {
                return (400, json!({"error": "InvalidArgumentError", "message": "no"}));
            }
            let record =
                json!({"embedding": floats, "document": body["documents"][at], "metadata": body["metadatas"][at]});
            match self.records.iter_mut().find(|(other, _)| *other == id) {
                Some((_, old)) => *old = record,
                None => self.records.push((id, record)),
            }
        }
        (200, json!({}))
    }
}

fn read(chroma: &mut Chroma, n_rows: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for partition in chroma.partitions().unwrap() {
        let mut after = None;
        loop {
            let page = chroma.read(&partition, after.as_ref(), Budget { n_rows, n_bytes: usize::MAX }).unwrap();
            assert!(page.unreadable.is_empty() && page.rows.len() <= n_rows);
            rows.extend(page.rows);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    rows
}

fn finite() -> Vec<Row> {
    let mut rows = hostile();
    for row in &mut rows {
        if let Some(Dense::F32(values)) = row.dense.get_mut("dense") {
            values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 0.1);
        }
    }
    rows
}

#[test]
fn hostile_rows_come_back_to_the_bit_in_pages_of_any_size_though_a_batch_was_written_twice() {
    let double = Double::new();
    let rows: Vec<(Row, RowDigest)> = finite().into_iter().map(|row| (row.clone(), row_digest(&row))).collect();
    let mut schema = Schema::default();
    rows.iter().for_each(|(row, _)| schema.widen(row));
    let mut target = double.chroma(LISTED);
    target.prepare(&schema, None).unwrap();
    assert_eq!(target.budget().n_rows, 7);
    let slot = Slot { partition: 0, part: 0 };
    for batch in rows.chunks(7) {
        target.write(slot, batch).unwrap();
    }
    target.write(slot, &rows[..7]).unwrap();
    for n_rows in [1, 5, 1000] {
        let found: Vec<RowDigest> = read(&mut double.chroma(3), n_rows).iter().map(row_digest).collect();
        assert_eq!(found, rows.iter().map(|(_, digest)| *digest).collect::<Vec<_>>());
    }
    let survey = double.chroma(LISTED).survey().unwrap();
    assert_eq!((survey.n_rows, survey.schema), (rows.len() as u64, schema.clone()));
    let refused = double.chroma(LISTED).prepare(&schema, None).unwrap_err().to_string();
    assert!(refused.contains("it is there already and has rows"), "{refused}");
    double.chroma(LISTED).prepare(&schema, Some(&[1])).unwrap();
    let refused = double.chroma(LISTED).prepare(&Schema::default(), Some(&[1])).unwrap_err().to_string();
    assert!(refused.contains("rows of another shape"), "{refused}");
}

#[test]
fn a_deletion_while_it_is_listed_loses_no_other_record() {
    let double = Double::new();
    double.put(20);
    // By counting alone `id5` would be passed over: the second page begins where it was.
    double.shelf.lock().unwrap().deletes_before = Some(|n| n == 1);
    let ids: Vec<String> = read(&mut double.chroma(5), 100).into_iter().map(|row| row.id).collect();
    assert_eq!(ids, (1..20).map(|n| format!("id{n}")).collect::<Vec<_>>());
}

#[test]
fn a_collection_that_loses_records_all_the_time_is_refused_and_not_read_in_part() {
    let double = Double::new();
    double.put(100);
    double.shelf.lock().unwrap().deletes_before = Some(|n| n % 3 == 1);
    let trouble = double.chroma(5).partitions().unwrap_err();
    assert_eq!(trouble.class, Class::Permanent);
    assert!(trouble.to_string().contains("records were deleted each time while it was listed"), "{trouble}");
}

#[test]
fn what_is_deleted_or_written_after_the_listing_does_not_move_what_is_read() {
    let double = Double::new();
    double.put(10);
    let mut chroma = double.chroma(LISTED);
    let partitions = chroma.partitions().unwrap();
    double.shelf.lock().unwrap().records.drain(..3);
    double
        .shelf
        .lock()
        .unwrap()
        .records
        .push(("late".into(), json!({"embedding": [0, 0], "document": null, "metadata": null})));
    let page = chroma.read(&partitions[0], None, Budget { n_rows: 100, n_bytes: usize::MAX }).unwrap();
    let ids: Vec<&str> = page.rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["id3", "id4", "id5", "id6", "id7", "id8", "id9"]);
}

#[test]
fn an_answer_says_what_helps() {
    let double = Double::new();
    double.put(1);
    for (status, class) in [
        (400, Class::Poison),
        (422, Class::Poison),
        (429, Class::Transient),
        (503, Class::Transient),
        (401, Class::Permanent),
    ] {
        double.shelf.lock().unwrap().refuses = Some(status);
        assert_eq!(double.chroma(LISTED).survey().unwrap_err().class, class, "{status}");
    }
    let nobody = Place::parse("127.0.0.1:1#docs").unwrap();
    assert_eq!(Chroma::new(&nobody).survey().unwrap_err().class, Class::Transient);
}

#[test]
fn places_say_what_they_name_and_what_is_wrong_with_them() {
    for written in ["localhost:8000#docs", "[::1]:8000#docs", "db.example.com:80?tenant=acme&database=kb1&tls=no#a-b.c"]
    {
        assert_eq!(Place::parse(written).unwrap().to_string(), written);
    }
    for (written, why) in [
        ("localhost#docs", "is no place of Chroma"),
        ("http://localhost:8000#docs", "is no place of Chroma"),
        ("localhost:8000#a/", "is no name in Chroma"),
        ("localhost:8000?token=x#docs", "is none of tenant=NAME"),
        ("db.example.com:8000#docs", "has to say `?tls=no`"),
        ("localhost:8000@db.example.com:80#docs", "is no place of Chroma"),
    ] {
        let said = Place::parse(written).unwrap_err();
        assert!(said.contains(why), "{written}: {said}");
    }
}
