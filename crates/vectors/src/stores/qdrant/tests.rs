//! Against a double that says what Qdrant's description of its REST API says; the engine itself is in `scripts/test-vectors`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::*;
use crate::digest::row_digest;
use crate::retry::Class;
use crate::stores::served::{Said as Told, Served};
use crate::stores::tests::hostile;

#[derive(Default)]
struct Shelf {
    params: Option<Value>,
    /// By what orders them: numbers before UUIDs.
    points: BTreeMap<(u64, String), Value>,
    /// What is said instead of an answer.
    refuses: Option<u16>,
    is_cut: bool,
}

fn order(id: &Value) -> (u64, String) {
    (id.as_u64().unwrap_or(u64::MAX), id.as_str().unwrap_or_default().to_owned())
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
            let mut shelf = shared.lock().unwrap();
            let (status, result) = shelf.answer(asked.method, asked.path, &body);
            Told { status, body: json!({"result": result}).to_string(), is_cut: shelf.is_cut, ..Told::default() }
        });
        let place = Place::parse(&format!("{}#docs", served.host)).unwrap();
        Double { place, shelf, _served: served }
    }

    fn qdrant(&self) -> Qdrant {
        Qdrant::new(&self.place)
    }
}

impl Shelf {
    fn answer(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        if let Some(status) = self.refuses {
            return (status, Value::Null);
        }
        let verb = path.strip_prefix("/collections/docs").unwrap().split('?').next().unwrap();
        if self.params.is_none() && (method, verb) != ("PUT", "") {
            return (404, Value::Null);
        }
        let rows = || self.points.values().filter(|point| body["filter"].is_null() || point["id"] != *MARK);
        match (method, verb) {
            ("PUT", "") => self.params = Some(body.clone()),
            ("GET", "") => return (200, json!({"config": {"params": self.params}})),
            ("PUT", "/index") => {}
            ("PUT", "/points") => {
                for point in body["points"].as_array().unwrap() {
                    self.points.insert(order(&point["id"]), point.clone());
                }
            }
            ("POST", "/points") => {
                let ids = body["ids"].as_array().unwrap();
                return (200, ids.iter().filter_map(|id| self.points.get(&order(id))).cloned().collect());
            }
            ("POST", "/points/count") => return (200, json!({"count": rows().count()})),
            ("POST", "/points/scroll") => {
                let begin = body.get("offset").map(order);
                let from = |point: &&Value| begin.as_ref().is_none_or(|begin| order(&point["id"]) >= *begin);
                let limit = usize::try_from(body["limit"].as_u64().unwrap()).unwrap();
                let mut points: Vec<Value> = rows().filter(from).take(limit + 1).cloned().collect();
                let next = (points.len() > limit).then(|| points.pop().unwrap()["id"].clone());
                return (200, json!({"points": points, "next_page_offset": next}));
            }
            _ => return (404, Value::Null),
        }
        (200, json!({"status": "completed"}))
    }
}

fn page(qdrant: &mut Qdrant, after: Option<&Cursor>, n_rows: usize) -> Page {
    let all = Partition::Keys { after: None, until: None };
    qdrant.read(&all, after, Budget { n_rows, n_bytes: usize::MAX }).unwrap()
}

fn read(qdrant: &mut Qdrant, n_rows: usize) -> Vec<Row> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = page(qdrant, after.as_ref(), n_rows);
        assert!(page.unreadable.is_empty() && page.rows.len() <= n_rows);
        rows.extend(page.rows);
        match page.next {
            Some(next) => after = Some(next),
            None => return rows,
        }
    }
}

fn written(double: &Double) -> (Schema, Vec<RowDigest>) {
    let rows: Vec<(Row, RowDigest)> = hostile().into_iter().map(|row| (row.clone(), row_digest(&row))).collect();
    let mut schema = Schema::default();
    rows.iter().for_each(|(row, _)| schema.widen(row));
    let mut target = double.qdrant();
    target.prepare(&schema, None).unwrap();
    for batch in rows.chunks(7).chain([&rows[..7]]) {
        target.write(Slot { partition: 0, part: 0 }, batch).unwrap();
    }
    let mut digests: Vec<RowDigest> = rows.into_iter().map(|(_, digest)| digest).collect();
    digests.sort_unstable();
    (schema, digests)
}

#[test]
fn hostile_rows_come_back_to_the_bit_in_pages_of_any_size_though_a_batch_was_written_twice() {
    let double = Double::new();
    let (schema, digests) = written(&double);
    for n_rows in [1, 5, 1000] {
        let mut found: Vec<RowDigest> = read(&mut double.qdrant(), n_rows).iter().map(row_digest).collect();
        found.sort_unstable();
        assert_eq!(found, digests);
    }
    let survey = double.qdrant().survey().unwrap();
    assert_eq!((survey.n_rows, survey.schema), (digests.len() as u64, schema.clone()));
    let refused = double.qdrant().prepare(&schema, None).unwrap_err().to_string();
    assert!(refused.contains("it is there already and has rows"), "{refused}");
    double.qdrant().prepare(&schema, Some(&[1])).unwrap();
    let refused = double.qdrant().prepare(&Schema::default(), Some(&[1])).unwrap_err().to_string();
    assert!(refused.contains("rows of another shape"), "{refused}");
}

#[test]
fn what_is_deleted_or_written_between_two_pages_moves_nothing() {
    let double = Double::new();
    written(&double);
    let mut qdrant = double.qdrant();
    let first = page(&mut qdrant, None, 10);
    let all = read(&mut double.qdrant(), 1000);
    // The first of the next page, and one that was read.
    let gone = [point::id(&all[10].namespace, &all[10].id), point::id(&all[3].namespace, &all[3].id)];
    gone.iter().for_each(|id| drop(double.shelf.lock().unwrap().points.remove(&order(id))));
    let rest = page(&mut qdrant, first.next.as_ref(), 1000);
    let ids = |rows: &[Row]| rows.iter().map(|row| (row.namespace.clone(), row.id.clone())).collect::<Vec<_>>();
    assert_eq!((ids(&first.rows), ids(&rest.rows)), (ids(&all[..10]), ids(&all[11..])));
}

#[test]
fn a_collection_of_somebody_else_is_read_and_not_written_to() {
    let double = Double::new();
    {
        let mut shelf = double.shelf.lock().unwrap();
        let params = json!({"vectors": {"size": 2, "distance": "Dot"}, "sparse_vectors": {"words": {}}});
        shelf.params = Some(params);
        shelf.points.insert((7, String::new()), json!({"id": 7, "vector": [0.1, 2], "payload": {"a": {"b": 1.0}}}));
    }
    let schema = double.qdrant().survey().unwrap().schema;
    assert_eq!((schema.dense["dense"].metric, schema.sparse), (Some(Metric::Dot), vec!["words".to_owned()]));
    let rows = read(&mut double.qdrant(), 10);
    assert_eq!((rows[0].id.as_str(), rows[0].metadata.as_ref().unwrap().text()), ("7", r#"{"a":{"b":1.0}}"#));
    let refused = double.qdrant().prepare(&Schema::default(), None).unwrap_err().to_string();
    assert!(refused.contains("Crossfade did not make it"), "{refused}");
}

#[test]
fn what_a_server_says_instead_of_an_answer_is_of_a_class() {
    let double = Double::new();
    assert!(double.qdrant().survey().unwrap_err().to_string().contains("has none of that name"));
    for (status, class) in
        [(503, Class::Transient), (429, Class::Transient), (400, Class::Poison), (403, Class::Permanent)]
    {
        double.shelf.lock().unwrap().refuses = Some(status);
        assert_eq!(double.qdrant().survey().unwrap_err().class, class);
    }
    double.shelf.lock().unwrap().refuses = None;
    written(&double);
    double.shelf.lock().unwrap().is_cut = true;
    assert_eq!(double.qdrant().survey().unwrap_err().class, Class::Transient);
}
