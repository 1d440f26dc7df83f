//! Against Crossfade's own answers to Pinecone's clients, on a real socket and over a real store, and with what servers do on bad days. Nothing here has seen the live service.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;
use crate::digest::row_digest;
use crate::facade::{Facade, IndexSettings, Request, StoreSettings};
use crate::metadata::Metadata;
use crate::row::{Dense, Sparse};
use crate::stores::served::{Asked, Said, Served};
use crate::stores::tests::hostile;
use crate::stores::{Address, SqliteVec};

/// What is said to the n-th request instead of an answer, if anything.
type Fault = Box<dyn Fn(u32, &Asked<'_>) -> Option<Said> + Send + Sync>;

struct Double {
    _directory: tempfile::TempDir,
    served: Served,
    /// Methods and paths of all that was asked.
    asked: Arc<Mutex<Vec<String>>>,
}

fn dense(metric: Metric) -> Schema {
    let shape = DenseShape { dtype: Dtype::F32, dims: 4, metric: Some(metric) };
    Schema { dense: [("dense".to_owned(), shape)].into(), ..Schema::default() }
}

impl Double {
    fn new(fault: Fault) -> Double {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("kb.db");
        let schema = Schema { sparse: vec!["sparse".to_owned()], ..dense(Metric::Cosine) };
        SqliteVec::new(&file, "docs").prepare(&schema, None).unwrap();
        let store = Address::SqliteVec { file, table: "docs".to_owned() };
        let source = StoreSettings { store, vector: None, metric: None, encoder: None, text_field: None };
        let indexes = [("docs".to_owned(), IndexSettings { source, moves_to: None })];
        let none = |_: &Path| Err("there is none".to_owned());
        let moves = directory.path().join("moves.db");
        let facade = Facade::start("http://vectors.example", &indexes.into(), &moves, &none).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, n) = (Arc::clone(&asked), Mutex::new(0));
        let served = Served::new(move |asked| {
            log.lock().unwrap().push(format!("{} {}", asked.method, asked.path));
            *n.lock().unwrap() += 1;
            let n = *n.lock().unwrap();
            fault(n, asked).unwrap_or_else(|| answer(&facade, asked))
        });
        Double { _directory: directory, served, asked }
    }

    fn quiet() -> Double {
        Double::new(Box::new(|_, _| None))
    }

    /// The index; the key is any variable that is there.
    fn index(&self, settings: &str, namespace: &str) -> Pinecone {
        let place = format!("http://{}/data/docs?key-from=PATH{settings}{namespace}", self.served.host);
        Pinecone::new(&Place::parse(&place).unwrap())
    }

    fn put(&self, namespace: &str, records: &[Value]) {
        let body = json!({"namespace": namespace, "vectors": records}).to_string();
        self.index("", "").call("putting", Method::POST, "/vectors/upsert", Some(body)).unwrap();
    }

    fn n_asked(&self, what: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.contains(what)).count()
    }
}

fn answer(facade: &Facade, asked: &Asked<'_>) -> Said {
    let (path, query) = asked.path.split_once('?').unwrap_or((asked.path, ""));
    let (method, body) = (asked.method, asked.body);
    let request = Request { method, path, query, version: Some(VERSION), body, may_reach: &|_| true };
    let response = facade.answer(&request);
    Said { status: response.status, body: response.body, ..Said::default() }
}

fn read(index: &mut Pinecone, n_rows: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for partition in crate::patience::again(|| index.partitions()).unwrap() {
        let mut after = None;
        loop {
            let budget = Budget { n_rows, n_bytes: usize::MAX };
            let page = crate::patience::again(|| index.read(&partition, after.as_ref(), budget)).unwrap();
            assert!(page.unreadable.is_empty() && page.rows.len() <= n_rows, "{:?}", page.unreadable);
            rows.extend(page.rows);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    rows
}

fn digests(rows: &[Row]) -> BTreeMap<(String, String), u128> {
    rows.iter().map(|row| ((row.namespace.clone(), row.id.clone()), row_digest(row))).collect()
}

/// Hostile rows, each with a finite vector that is not zero.
fn whole() -> Vec<(Row, RowDigest)> {
    let mut rows = hostile();
    for row in &mut rows {
        let values = row.dense.entry("dense".to_owned()).or_insert_with(|| Dense::F32(vec![0.0; 4]));
        let Dense::F32(values) = values else { continue };
        values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 0.1);
        values[1] = 1.0;
    }
    rows.into_iter().map(|row| (row.clone(), row_digest(&row))).collect()
}

fn schema_of(rows: &[(Row, RowDigest)]) -> Schema {
    let mut schema = Schema::default();
    rows.iter().for_each(|(row, _)| schema.widen(row));
    schema
}

const SLOT: Slot = Slot { partition: 0, part: 0 };

#[test]
fn hostile_rows_come_back_to_the_bit_in_pages_of_any_size_though_a_batch_was_written_twice() {
    let double = Double::quiet();
    let rows = whole();
    let schema = schema_of(&rows);
    let mut target = double.index("", "");
    target.prepare(&schema, None).unwrap();
    let mut other = target.beside().unwrap();
    other.write(SLOT, &rows[..20]).unwrap();
    target.write(SLOT, &rows).unwrap();
    target.seal(&Sealed { n_rows: 0, digest: 0 }).unwrap();
    let expected: Vec<Row> = rows.iter().map(|(row, _)| row.clone()).collect();
    for n_rows in [1, 7, 1000] {
        let found = read(&mut double.index("", ""), n_rows);
        assert_eq!(found.len(), rows.len());
        assert_eq!(digests(&found), digests(&expected));
    }
    let survey = double.index("", "").survey().unwrap();
    assert_eq!((survey.n_rows, survey.schema), (rows.len() as u64, schema.clone()));
    let of_tenant = read(&mut double.index("", "#tenant"), 1000);
    assert_eq!(of_tenant.len(), expected.iter().filter(|row| row.namespace == "tenant").count());
    let refused = double.index("", "").prepare(&schema, None).unwrap_err().to_string();
    assert!(refused.contains("it has records already"), "{refused}");
    double.index("", "").prepare(&schema, Some(&[1])).unwrap();
    let other = Schema { sparse: vec!["sparse".to_owned()], ..dense(Metric::Cosine) };
    let refused = double.index("", "").prepare(&other, Some(&[1])).unwrap_err().to_string();
    assert!(refused.contains("rows of another shape"), "{refused}");
}

#[test]
fn what_a_client_has_written_is_read_with_its_integers_and_its_sparse_vectors() {
    let double = Double::quiet();
    let sparse = json!({"indices": [7, 3], "values": [0.5, -1]});
    double.put("", &[json!({"id": "a", "values": [0.1, 2, 0, 0], "metadata": {"n": 5.0, "f": 2.5, "price": 3, "tags": ["x"]}, "sparseValues": sparse})]);
    double.put("t", &[json!({"id": "[\"x\"]", "values": [1, 0, 0, 0]})]);
    let rows = read(&mut double.index("&floats=price,other", ""), 10);
    assert_eq!(rows[0].metadata.as_ref().map(Metadata::text), Some(r#"{"f":2.5,"n":5,"price":3.0,"tags":["x"]}"#));
    assert!(matches!(&rows[0].dense["dense"], Dense::F32(values) if values == &[0.1, 2.0, 0.0, 0.0]));
    assert_eq!(rows[0].sparse["sparse"].indices(), [3, 7]);
    assert_eq!((rows[1].namespace.as_str(), rows[1].id.as_str(), &rows[1].metadata), ("t", "[\"x\"]", &None));
    let survey = double.index("", "").survey().unwrap();
    assert_eq!(survey.n_rows, 2);
    assert!(rows.iter().all(|row| survey.schema.refuses(row).is_none()));
    let notes = double.index("", "").notes().unwrap().join("; ");
    assert!(notes.contains("about 2 read units") && notes.contains("`?floats=FIELD`"), "{notes}");
}

#[test]
fn a_server_that_is_busy_breaks_off_or_forgets_its_place_costs_no_row() {
    let bad_day: Fault = Box::new(|n, asked| {
        let refused = |status, headers| Said { status, headers, body: "{}".to_owned(), is_cut: false };
        match n % 7 {
            0 => Some(refused(429, "retry-after: 0\r\n")),
            2 => Some(refused(503, "")),
            3 if asked.path.contains("fetch") => {
                Some(Said { status: 200, body: "{\"vectors\":{\"a\":".to_owned(), is_cut: true, ..Said::default() })
            }
            // A token that has expired.
            5 if n < 16 && asked.path.contains("paginationToken") => Some(refused(400, "")),
            _ => None,
        }
    });
    let double = Double::new(bad_day);
    let records: Vec<Value> =
        (0..250).map(|n| json!({"id": format!("id{n}"), "values": [1, n, 0, 0], "metadata": {"n": n}})).collect();
    for part in records.chunks(125) {
        let body = json!({"vectors": part}).to_string();
        let mut index = double.index("", "");
        crate::patience::again(|| index.call("putting", Method::POST, "/vectors/upsert", Some(body.clone()))).unwrap();
    }
    let found = read(&mut double.index("", ""), 200);
    let ids: BTreeSet<&str> = found.iter().map(|row| row.id.as_str()).collect();
    assert_eq!((found.len(), ids.len()), (250, 250));
}

#[test]
fn a_listing_out_of_order_and_with_repetitions_passes_nothing_over() {
    let odd: Fault = Box::new(|_, asked| {
        let token = asked.path.split("paginationToken=").nth(1);
        let page = |ids: &[&str], next: &str| {
            let vectors: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
            let body = json!({"vectors": vectors, "pagination": {"next": next}}).to_string();
            Some(Said { status: 200, body, ..Said::default() })
        };
        match token.filter(|_| asked.path.contains("/vectors/list")) {
            _ if !asked.path.contains("/vectors/list") => None,
            None => page(&["c", "a"], "1"),
            Some("1") => page(&[], "2"),
            Some("2") => page(&["a", "b"], "3"),
            _ => page(&["d"], ""),
        }
    });
    let double = Double::new(odd);
    let record = |id: &str| json!({"id": id, "values": [1, 0, 0, 0]});
    double.put("", &["a", "b", "c", "d"].map(record));
    let ids: Vec<String> = read(&mut double.index("", ""), 3).into_iter().map(|row| row.id).collect();
    assert_eq!(ids, ["a", "b", "c", "d"]);
}

#[test]
fn an_index_that_lists_nothing_is_read_by_a_file_and_never_called_complete() {
    let pods: Fault = Box::new(|_, asked| {
        let is_listing = asked.path.contains("/vectors/list") || asked.path.contains("/namespaces");
        is_listing.then(|| Said { status: 400, body: "only serverless".to_owned(), ..Said::default() })
    });
    let double = Double::new(pods);
    let record = |n: u32| json!({"id": format!("id{n}"), "values": [1, 0, 0, 0]});
    double.put("", &[1, 2, 3].map(record));
    let refused = double.index("", "").partitions().unwrap_err().to_string();
    assert!(refused.contains("only serverless; an index of pods lists nothing"), "{refused}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ids.txt");
    std::fs::write(&file, "id3\nid1\n\nid1\ngone\r\n").unwrap();
    let mut index = double.index(&format!("&ids-from={}", file.display()), "");
    assert_eq!(index.survey().unwrap().n_rows, 3);
    let ids: Vec<String> = read(&mut index, 10).into_iter().map(|row| row.id).collect();
    assert_eq!(ids, ["id1", "id3"]);
    let unproved = index.unproved().unwrap().unwrap();
    assert!(unproved.contains("cannot be proved") && unproved.contains("3 of them, and the index says that it has 3"));
    std::fs::write(&file, "id3\n").unwrap();
    assert!(index.unproved().unwrap().unwrap().contains("so that 2 at least are not in it"));
    assert_eq!(double.index("", "").unproved().unwrap(), None);
    let refused = index.prepare(&dense(Metric::Cosine), None).unwrap_err().to_string();
    assert!(refused.contains("not how it is written"), "{refused}");
}

#[test]
fn what_an_index_cannot_keep_is_refused_before_or_found_as_one_row() {
    let double = Double::quiet();
    let refused = |schema: &Schema| double.index("", "").prepare(schema, None).unwrap_err().to_string();
    assert!(refused(&Schema::default()).contains("no vector of floats"));
    assert!(refused(&dense(Metric::L2)).contains("compared by L2, and the index by Cosine"));
    let mut long = dense(Metric::Cosine);
    long.dense.get_mut("dense").unwrap().dims = 8;
    assert!(refused(&long).contains("has 8 numbers, and the index has dimension 4"));
    let mut target = double.index("", "#t");
    target.prepare(&dense(Metric::Cosine), None).unwrap();
    let mut row = Row { namespace: "t".into(), id: "a".into(), ..Row::default() };
    let mut writes = |row: &Row| {
        let trouble = target.write(SLOT, &[(row.clone(), 0)]).unwrap_err();
        assert_eq!(trouble.class, Class::Poison, "{trouble}");
        trouble.why
    };
    assert_eq!(writes(&row), "it has no vector `dense`, which every record of an index has");
    row.dense.insert("dense".into(), Dense::F32(vec![0.0; 4]));
    assert!(writes(&row).contains("at least one non-zero value"));
    row.dense.insert("dense".into(), Dense::F32(vec![f32::INFINITY; 4]));
    assert!(writes(&row).contains("is not finite"));
    row.dense.insert("dense".into(), Dense::F32(vec![1.0; 4]));
    assert!(writes(&Row { id: "é".repeat(300), ..row.clone() }).contains("bytes, and Pinecone takes 512"));
    assert!(writes(&Row { text: Some("x".repeat(50_000)), ..row.clone() }).contains("and Pinecone takes 40960"));
    assert_eq!(writes(&Row { namespace: "u".into(), ..row }), "its namespace is `u`, and only `t` is written");
}

#[test]
fn a_batch_beyond_what_a_request_takes_goes_in_several() {
    let double = Double::quiet();
    let mut target = double.index("", "");
    target.prepare(&dense(Metric::Cosine), None).unwrap();
    let row = |n: usize| {
        let mut row = Row { id: format!("{n:04}"), text: Some("x".repeat(30_000)), ..Row::default() };
        row.dense.insert("dense".into(), Dense::F32(vec![1.0; 4]));
        (row, 0)
    };
    let rows: Vec<(Row, RowDigest)> = (0..100).map(row).collect();
    target.write(SLOT, &rows).unwrap();
    assert_eq!(double.n_asked("/vectors/upsert"), 1 + 2);
    assert_eq!(double.index("", "").survey().unwrap().n_rows, 100);
}

#[test]
fn a_sparse_vector_is_the_records_own_by_the_inner_product_alone() {
    let mut row = Row { id: "a".into(), ..Row::default() };
    row.dense.insert("dense".into(), Dense::F32(vec![1.0; 4]));
    row.sparse.insert("words".into(), Sparse::new(vec![1, 9], vec![0.5, -2.0]).unwrap());
    let written = |metric, row: &Row| {
        let schema = Schema { sparse: vec!["words".to_owned()], ..dense(metric) };
        let text = serde_json::to_string(&record::record(row, &schema, Names::default()).unwrap()).unwrap();
        let found: Found<'_> = serde_json::from_str(&text).unwrap();
        let back = record::row(("", "a"), &found, &schema, &|_| false, Names::default()).unwrap();
        assert_eq!(row_digest(&back), row_digest(row));
        text
    };
    let native = written(Metric::Dot, &row);
    assert!(
        native.contains(r#""sparseValues":{"indices":[1,9],"values":[0.5,-2.0]}"#) && !native.contains("crossfade")
    );
    assert!(written(Metric::Cosine, &row).contains("crossfade_row"));
    // Zeros are no part of a sparse vector there.
    row.sparse.insert("words".into(), Sparse::new(vec![1, 9], vec![0.5, 0.0]).unwrap());
    assert!(written(Metric::Dot, &row).contains("crossfade_row"));
}

#[test]
fn identifiers_are_ascii_others_for_other_rows_and_lead_back() {
    let ids = ["a", "", "[\"a\"]", "é", "e\u{301}", "🙂", "nul\0", "\u{7f}", "[\"", "line\n", "[1]", "\\u00e9"];
    let keys: BTreeSet<String> = ids.iter().map(|id| record::key(id).unwrap()).collect();
    assert_eq!(keys.len(), ids.len());
    for id in ids {
        let key = record::key(id).unwrap();
        assert!(key.is_ascii() && !key.is_empty() && !key.bytes().any(|byte| byte.is_ascii_control()), "{key}");
        assert_eq!(record::of_key(&key), id);
    }
    assert_eq!(
        (record::key("a b/ü").unwrap().as_str(), record::of_key("[\"x\"]").as_str()),
        ("[\"a b/\\u00fc\"]", "[\"x\"]")
    );
}

#[test]
fn a_field_that_an_application_has_changed_holds_and_the_rest_stays_as_it_was() {
    let metadata = |text: &str| Some(Metadata::parse(text).unwrap());
    let mut row = Row { id: "a".into(), metadata: metadata(r#"{"n":null,"same":1.0,"year":1999}"#), ..Row::default() };
    row.dense.insert("dense".into(), Dense::F32(vec![1.0; 4]));
    let schema = dense(Metric::Cosine);
    let mut written = serde_json::to_value(record::record(&row, &schema, Names::default()).unwrap()).unwrap();
    written["metadata"]["year"] = json!(2000.0);
    let text = written.to_string();
    let found: Found<'_> = serde_json::from_str(&text).unwrap();
    let back = record::row(("", "a"), &found, &schema, &|_| false, Names::default()).unwrap();
    assert_eq!(back.metadata, metadata(r#"{"n":null,"same":1.0,"year":2000.0}"#));
}

#[test]
fn its_index_is_asked_by_its_own_metric() {
    let double = Double::quiet();
    double.put("t", &[json!({"id": "a", "values": [3, 4, 0, 0]}), json!({"id": "b", "values": [0, 0, 1, 0]})]);
    let query = Query { id: String::new(), namespace: "t".into(), vector: vec![1.0, 0.0, 0.0, 0.0] };
    let hits = double.index("", "").search("dense", Metric::Cosine, &query, 5).unwrap();
    assert_eq!(hits.iter().map(|hit| hit.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!((hits[0].distance - 0.4).abs() < 1e-6);
    let refused = double.index("", "").search("dense", Metric::Dot, &query, 5).unwrap_err().to_string();
    assert!(refused.contains("compared by Cosine there, not by Dot"), "{refused}");
    assert_eq!(double.index("", "#u").search("dense", Metric::Cosine, &query, 5).unwrap(), []);
}

#[test]
fn places_say_what_they_name_and_what_is_wrong_with_them() {
    let place = Place::parse("docs-abc.svc.example.com?floats=a,b#__default__").unwrap();
    assert_eq!((place.base.as_str(), place.namespace.as_deref()), ("https://docs-abc.svc.example.com", Some("")));
    let place = Place::parse("http://127.0.0.1:4002/data/docs").unwrap();
    assert_eq!((place.path.as_str(), place.namespace.as_deref()), ("/data/docs", None));
    for (written, why) in [
        ("ftp://host", "is no index of Pinecone"),
        ("key@host", "is no index of Pinecone"),
        ("host?key=x", "is none of ids-from=FILE"),
    ] {
        let said = Place::parse(written).unwrap_err();
        assert!(said.contains(why), "{written}: {said}");
    }
    let nobody = Place::parse("http://127.0.0.1:1?key-from=PATH").unwrap();
    assert_eq!(Pinecone::new(&nobody).survey().unwrap_err().class, Class::Transient);
    let keyless = Place::parse("http://127.0.0.1:1?key-from=NO_SUCH_VARIABLE").unwrap();
    let said = Pinecone::new(&keyless).survey().unwrap_err().to_string();
    assert!(said.contains("the key is taken from NO_SUCH_VARIABLE, which is not set"), "{said}");
}
