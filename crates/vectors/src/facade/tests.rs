use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::row::Dtype;
use crate::schema::{DenseShape, Metric, Schema};
use crate::stores::{Address, SqliteVec};

fn settings(file: &Path) -> StoreSettings {
    let store = Address::SqliteVec { file: file.to_owned(), table: "films".to_owned() };
    StoreSettings { store, vector: None, metric: None, encoder: None, text_field: None }
}

/// An index `films` of three numbers, and one of a store that is not there.
fn facade(directory: &Path) -> Facade {
    let file = directory.join("kb.db");
    let dense = DenseShape { dtype: Dtype::F32, dims: 3, metric: Some(Metric::Cosine) };
    let schema =
        Schema { dense: [("dense".to_owned(), dense)].into(), sparse: vec!["words".to_owned()], ..Schema::default() };
    crate::store::Target::prepare(&mut SqliteVec::new(&file, "films"), &schema, None).unwrap();
    let of = |file: &Path| IndexSettings { source: settings(file), moves_to: None };
    let indexes = [("films".to_owned(), of(&file)), ("lost".to_owned(), of(&directory.join("none.db")))];
    let none = |_: &Path| Err("there is none".to_owned());
    Facade::start("http://vectors.example/", &indexes.into(), &directory.join("moves.db"), &none).unwrap()
}

fn ask(facade: &Facade, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let may_reach = |name: &str| name != "others";
    let request =
        Request { method, path, query, version: Some("2026-07"), body: body.as_bytes(), may_reach: &may_reach };
    let response = facade.answer(&request);
    if let Some(trouble) = &response.trouble {
        assert!(trouble.contains("none.db"), "{trouble}");
    }
    (response.status, serde_json::from_str(&response.body).unwrap())
}

fn post(facade: &Facade, path: &str, body: &Value) -> Value {
    let (status, answer) = ask(facade, "POST", &format!("/data/films/{path}"), body);
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

#[track_caller]
fn refuses(facade: &Facade, path: &str, body: &Value, expected: &str) {
    let (status, answer) = ask(facade, "POST", &format!("/data/films/{path}"), body);
    assert_eq!((status, answer["message"].as_str()), (400, Some(expected)));
}

#[test]
fn what_is_upserted_is_found_changed_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let facade = facade(directory.path());
    let sparse = json!({ "indices": [3], "values": [0.5] });
    let vectors = json!([
        { "id": "a", "values": [1.0, 0.0, 0.0], "sparseValues": sparse, "metadata": { "n": 9_007_199_254_740_993_i64, "t": "x" } },
        { "id": "b", "values": [0.0, 1.0, 0.0] },
        { "id": "a", "values": [0.6, 0.8, 0.0], "sparseValues": sparse, "metadata": { "n": 9_007_199_254_740_993_i64, "t": "y" } },
    ]);
    assert_eq!(
        post(&facade, "vectors/upsert", &json!({ "vectors": vectors, "namespace": "__default__" }))["upsertedCount"],
        3
    );
    let found = post(
        &facade,
        "query",
        &json!({ "vector": [1, 0, 0], "topK": 9, "includeMetadata": true, "includeValues": true, "filter": { "t": "y" } }),
    );
    let hit = &found["matches"][0];
    assert!((hit["score"].as_f64().unwrap() - 0.6).abs() < 1e-6);
    assert_eq!(
        (&hit["id"], &hit["metadata"]["n"], &hit["sparseValues"]),
        (&json!("a"), &json!(9_007_199_254_740_993_i64), &sparse)
    );
    assert_eq!(
        post(&facade, "query", &json!({ "vector": [1, 0, 0], "topK": 5000 }))["matches"].as_array().unwrap().len(),
        2
    );
    post(&facade, "vectors/update", &json!({ "id": "none", "setMetadata": { "t": "z" } }));
    let changed = post(
        &facade,
        "vectors/update",
        &json!({ "filter": { "t": { "$exists": true } }, "setMetadata": { "t": "z" } }),
    );
    assert_eq!(changed["matchedRecords"], 1);
    let (_, fetched) = ask(&facade, "GET", "/data/films/vectors/fetch?ids=a&ids=b&ids=c&namespace=", &Value::Null);
    assert_eq!(
        (&fetched["vectors"]["a"]["metadata"]["t"], fetched["vectors"].as_object().unwrap().len()),
        (&json!("z"), 2)
    );
    assert_eq!(
        post(&facade, "describe_index_stats", &json!({}))["namespaces"],
        json!({ "__default__": { "vectorCount": 2 } })
    );
    post(&facade, "vectors/delete", &json!({ "deleteAll": true }));
    assert_eq!(post(&facade, "describe_index_stats", &json!({}))["totalVectorCount"], 0);
}

#[test]
fn a_list_goes_page_by_page_through_identifiers_that_begin_so() {
    let directory = tempfile::tempdir().unwrap();
    let facade = facade(directory.path());
    let vectors: Vec<Value> =
        ["ä1", "ä2", "ä3", "a", "\u{10ffff}"].iter().map(|id| json!({ "id": id, "values": [1, 0, 0] })).collect();
    post(&facade, "vectors/upsert", &json!({ "vectors": vectors, "namespace": "n" }));
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let (_, page) = ask(
            &facade,
            "GET",
            &format!("/data/films/vectors/list?namespace=n&prefix=%C3%A4&limit=2&paginationToken={token}"),
            &Value::Null,
        );
        seen.extend(page["vectors"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["pagination"]["next"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => break,
        }
    }
    assert_eq!(seen, ["ä1", "ä2", "ä3"]);
}

#[test]
fn what_cannot_be_done_is_refused_and_nothing_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let facade = facade(directory.path());
    let upsert = |vector: Value| json!({ "vectors": [vector] });
    refuses(
        &facade,
        "vectors/upsert",
        &upsert(json!({ "id": "a", "values": [1] })),
        "Vector dimension 1 does not match the dimension of the index 3",
    );
    refuses(
        &facade,
        "vectors/upsert",
        &upsert(json!({ "id": "a", "values": [0, 0, 0] })),
        "Dense vectors must contain at least one non-zero value",
    );
    let nested = json!({ "id": "a", "values": [1, 0, 0], "metadata": { "n": { "a": 1 } } });
    refuses(
        &facade,
        "vectors/upsert",
        &upsert(nested),
        "Metadata value must be a string, number, boolean or list of strings, got '{\"a\":1}' for field 'n'",
    );
    refuses(
        &facade,
        "query",
        &json!({ "vector": [1, 0, 0], "topK": 1, "filter": { "$or": [{ "a": { "$foo": 1 } }] } }),
        "filter.$or[0].a.$foo: it is no operator that is known here: $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin and $exists are, and $and and $or around fields",
    );
    refuses(&facade, "query", &json!({ "vector": [1, 0, 0], "topK": 10_001 }), "topK is 1 to 10000");
    refuses(
        &facade,
        "vectors/delete",
        &json!({ "ids": ["a"], "deleteAll": true }),
        "one of ids, deleteAll and filter says what is deleted",
    );
    refuses(
        &facade,
        "vectors/delete",
        &json!({ "filter": {} }),
        "filter: an empty one would mean everything; say what is meant",
    );
    let (status, answer) =
        ask(&facade, "POST", "/data/films/query", &json!({ "vector": [1, 0, 0], "topK": 1, "rerank": {} }));
    assert_eq!(status, 400);
    assert!(answer["message"].as_str().unwrap().contains("unknown field `rerank`"), "{answer}");
    assert_eq!(ask(&facade, "GET", "/indexes/others", &Value::Null).0, 404);
    assert_eq!(ask(&facade, "POST", "/indexes", &json!({})).0, 501);
    let (status, answer) = ask(&facade, "POST", "/data/lost/query", &json!({ "vector": [1, 0, 0], "topK": 1 }));
    assert_eq!((status, &answer["code"]), (500, &json!(13)));
    assert!(!answer.to_string().contains("none.db"), "what is inside stays inside: {answer}");
}
