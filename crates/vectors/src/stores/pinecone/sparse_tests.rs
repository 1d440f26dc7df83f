//! An index of sparse vectors alone, against a double that says what Pinecone's description says of one: no dimension, no dense values, each record with its sparse ones. Nothing here has seen the live service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::*;
use crate::digest::row_digest;
use crate::metadata::Metadata;
use crate::row::{Dense, Sparse};
use crate::stores::served::{Asked, Said, Served};

type Shelf = Arc<Mutex<BTreeMap<(String, String), Value>>>;

fn double(vector_type: &'static str) -> (Served, Shelf) {
    let shelf = Shelf::default();
    let shared = Arc::clone(&shelf);
    let served = Served::new(move |asked| {
        let mut records = shared.lock().unwrap();
        let (status, body) = answer(&mut records, vector_type, asked);
        Said { status, body: body.to_string(), ..Said::default() }
    });
    (served, shelf)
}

fn answer(records: &mut BTreeMap<(String, String), Value>, vector_type: &str, asked: &Asked<'_>) -> (u16, Value) {
    let (path, query) = asked.path.split_once('?').unwrap_or((asked.path, ""));
    let given = |name: &str| {
        let of = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(key, _)| *key == name);
        of.map(|(_, value)| value.replace("%5F", "_").replace("%C3%A9", "é")).collect::<Vec<_>>()
    };
    let namespace = given("namespace").pop().unwrap_or_default();
    match path {
        "/describe_index_stats" => {
            let mut namespaces = BTreeMap::new();
            for (namespace, _) in records.keys() {
                let name = if namespace.is_empty() { "__default__" } else { namespace };
                *namespaces.entry(name.to_owned()).or_insert(0) += 1;
            }
            let counts: serde_json::Map<String, Value> =
                namespaces.into_iter().map(|(name, n)| (name, json!({"vectorCount": n}))).collect();
            (200, json!({"namespaces": counts, "metric": "dotproduct", "vectorType": vector_type}))
        }
        "/vectors/upsert" => {
            let body: Value = serde_json::from_slice(asked.body).unwrap();
            let namespace = body["namespace"].as_str().unwrap_or_default();
            for record in body["vectors"].as_array().unwrap() {
                let sparse = &record["sparseValues"]["values"];
                if !record["values"].is_null() || sparse.as_array().is_none_or(Vec::is_empty) {
                    return (400, json!({"message": "Sparse index: sparse values alone"}));
                }
                records.insert((namespace.to_owned(), record["id"].as_str().unwrap().to_owned()), record.clone());
            }
            (200, json!({}))
        }
        "/vectors/list" => {
            let of = records.keys().filter(|(other, _)| *other == namespace);
            (200, json!({"vectors": of.map(|(_, id)| json!({"id": id})).collect::<Vec<_>>()}))
        }
        "/vectors/fetch" => {
            let of = given("ids").into_iter().filter_map(|id| {
                let record = records.get(&(namespace.clone(), id.clone()))?;
                Some((id, record.clone()))
            });
            (200, json!({"vectors": of.collect::<serde_json::Map<_, _>>()}))
        }
        _ => (404, json!({})),
    }
}

fn index(served: &Served) -> Pinecone {
    Pinecone::new(&Place::parse(&format!("http://{}?key-from=PATH", served.host)).unwrap())
}

fn row(n: usize) -> Row {
    let mut row = Row { id: format!("r{n}"), namespace: ["", "t"][n % 2].to_owned(), ..Row::default() };
    let at = u32::try_from(n).unwrap();
    row.sparse.insert("words".into(), Sparse::new(vec![at, at + 9], vec![0.1, -2.5]).unwrap());
    row.metadata = Some(Metadata::parse(r#"{"n":1.0,"deep":{"a":null}}"#).unwrap());
    row.dense.insert("bits".into(), Dense::binary(8, vec![7]).unwrap());
    row
}

#[test]
fn rows_with_a_sparse_vector_and_no_dense_one_of_floats_go_in_and_come_back_to_the_bit() {
    let (served, shelf) = double("sparse");
    let rows: Vec<(Row, RowDigest)> = (0..20).map(row).map(|row| (row.clone(), row_digest(&row))).collect();
    let mut schema = Schema::default();
    rows.iter().for_each(|(row, _)| schema.widen(row));
    let mut target = index(&served);
    target.prepare(&schema, None).unwrap();
    target.write(Slot { partition: 0, part: 0 }, &rows).unwrap();
    target.write(Slot { partition: 0, part: 0 }, &rows[..5]).unwrap();
    assert!(shelf.lock().unwrap().values().all(|record| record["values"].is_null()));
    let mut source = index(&served);
    let mut found = Vec::new();
    for partition in source.partitions().unwrap() {
        let page = source.read(&partition, None, Budget { n_rows: 1000, n_bytes: usize::MAX }).unwrap();
        assert!(page.unreadable.is_empty() && page.next.is_none(), "{:?}", page.unreadable);
        found.extend(page.rows.iter().map(row_digest));
    }
    let mut expected: Vec<RowDigest> = rows.iter().map(|(_, digest)| *digest).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(index(&served).survey().unwrap(), Survey { n_rows: 20, schema: schema.clone() });
    index(&served).prepare(&schema, Some(&[1])).unwrap();
}

#[test]
fn a_row_that_such_an_index_does_not_take_is_said_and_an_index_of_the_other_kind_is_refused() {
    let (served, _) = double("sparse");
    let mut schema = Schema::default();
    schema.widen(&row(1));
    let mut target = index(&served);
    target.prepare(&schema, None).unwrap();
    let mut write = |sparse: Option<Sparse>| {
        let mut row = row(1);
        row.sparse = sparse.map(|sparse| ("words".to_owned(), sparse)).into_iter().collect();
        let digest = row_digest(&row);
        let trouble = target.write(Slot { partition: 0, part: 0 }, &[(row, digest)]).unwrap_err();
        assert_eq!(trouble.class, Class::Poison);
        trouble.why
    };
    assert!(write(None).contains("no sparse vector `words`"));
    assert!(write(Sparse::new(vec![1], vec![0.0])).contains("has a 0"));
    let (of_dense, _) = double("dense");
    let refused = index(&of_dense).prepare(&schema, None).unwrap_err().to_string();
    assert!(refused.contains("make an index with `vector_type` `sparse`"), "{refused}");
    let shape = DenseShape { dtype: Dtype::F32, dims: 4, metric: None };
    let dense = Schema { dense: [("dense".to_owned(), shape)].into(), ..Schema::default() };
    let refused = index(&served).prepare(&dense, None).unwrap_err().to_string();
    assert!(refused.contains("the index has none for dense vectors"), "{refused}");
}
