//! A contract test: against Crossfade's own answers by the API of documents, which the official client 10.2 is held against (`scripts/test-vectors`). Nothing here has seen the live service.

use std::path::Path;

use super::documents::Documents;
use super::*;
use crate::digest::row_digest;
use crate::facade::{Facade, IndexSettings, Request, StoreSettings};
use crate::metadata::Metadata;
use crate::row::{Dense, Sparse};
use crate::stores::served::{Asked, Said, Served};
use crate::stores::{Address, SqliteVec};

fn shape(sparse: bool) -> Schema {
    let dense = DenseShape { dtype: Dtype::F32, dims: 4, metric: Some(Metric::Cosine) };
    let sparse = if sparse { vec!["words".to_owned()] } else { Vec::new() };
    Schema { dense: [("body".to_owned(), dense)].into(), sparse, ..Schema::default() }
}

fn double(schema: &Schema) -> (tempfile::TempDir, Served) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kb.db");
    SqliteVec::new(&file, "docs").prepare(schema, None).unwrap();
    let store = Address::SqliteVec { file, table: "docs".to_owned() };
    let source = StoreSettings { store, vector: None, metric: None, encoder: None, text_field: None };
    let indexes = [("docs".to_owned(), IndexSettings { source, moves_to: None })];
    let none = |_: &Path| Err("there is none".to_owned());
    let facade =
        Facade::start("http://vectors.example", &indexes.into(), &directory.path().join("moves.db"), &none).unwrap();
    let served = Served::new(move |asked: &Asked<'_>| {
        let (path, query) = asked.path.split_once('?').unwrap_or((asked.path, ""));
        // An index of documents refuses the other API.
        if path.contains("/vectors/") || path.ends_with("/describe_index_stats") {
            return Said { status: 400, body: "{}".to_owned(), ..Said::default() };
        }
        let (method, body) = (asked.method, asked.body);
        let request = Request { method, path, query, version: Some("2026-07"), body, may_reach: &|_| true };
        let response = facade.answer(&request);
        Said { status: response.status, body: response.body, ..Said::default() }
    });
    (directory, served)
}

fn index(served: &Served, more: &str) -> Documents {
    let place = format!("http://{}/data/docs?key-from=PATH&api=documents{more}", served.host);
    Documents::new(&Place::parse(&place).unwrap())
}

fn rows() -> Vec<(Row, RowDigest)> {
    let metadata = [
        r#"{"body":"a name of a vector","words":[1],"_id":"x","n":5,"f":1.0}"#,
        r#"{"deep":{"a":[null]},"tags":["x","y"],"huge":18446744073709551616}"#,
        "{}",
    ];
    let row = |n: usize| {
        let mut row = Row { id: format!("é{n}"), namespace: ["", "tenant"][n % 2].to_owned(), ..Row::default() };
        row.dense.insert("body".into(), Dense::F32(vec![0.1, f32::from(u16::try_from(n).unwrap()), -0.0, 1.0]));
        if n.is_multiple_of(3) {
            row.sparse
                .insert("words".into(), Sparse::new(vec![2, 9], vec![0.5, if n == 3 { 0.0 } else { -1.0 }]).unwrap());
        }
        row.text = n.is_multiple_of(2).then(|| format!("text {n}"));
        row.metadata = Some(Metadata::parse(metadata[n % 3]).unwrap());
        (row.clone(), row_digest(&row))
    };
    (0..250).map(row).collect()
}

fn read(index: &mut Documents) -> Vec<RowDigest> {
    let mut found = Vec::new();
    for partition in index.partitions().unwrap() {
        let mut after = None;
        loop {
            let page = index.read(&partition, after.as_ref(), Budget { n_rows: 70, n_bytes: usize::MAX }).unwrap();
            assert!(page.unreadable.is_empty(), "{:?}", page.unreadable);
            found.extend(page.rows.iter().map(row_digest));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn rows_go_in_as_documents_and_come_back_to_the_bit_though_a_batch_was_written_twice() {
    let schema = shape(true);
    let (_directory, served) = double(&schema);
    let rows = rows();
    let mut target = index(&served, "");
    target.prepare(&schema, None).unwrap();
    let slot = Slot { partition: 0, part: 0 };
    target.beside().unwrap().write(slot, &rows[..100]).unwrap();
    target.write(slot, &rows).unwrap();
    let mut expected: Vec<RowDigest> = rows.iter().map(|(_, digest)| *digest).collect();
    expected.sort_unstable();
    assert_eq!(read(&mut index(&served, "")), expected);
    assert_eq!(index(&served, "").survey().unwrap(), Survey { n_rows: 250, schema: schema.clone() });
    assert_eq!(index(&served, "#tenant").survey().unwrap().n_rows, 125);
    let query = Query { id: String::new(), namespace: String::new(), vector: vec![0.1, 0.0, 0.0, 1.0] };
    let hits = index(&served, "").search("body", Metric::Cosine, &query, 3).unwrap();
    assert_eq!(hits[0].id, "é0");
    assert!(hits[0].distance.abs() < 1e-6 && hits[1].distance > hits[0].distance);
    let refused = index(&served, "").prepare(&schema, None).unwrap_err().to_string();
    assert!(refused.contains("it has documents already"), "{refused}");
    index(&served, "").prepare(&schema, Some(&[1])).unwrap();
}

#[test]
fn what_somebody_else_has_written_is_read_by_what_stands_in_its_fields() {
    let (_directory, served) = double(&shape(true));
    let mut other = index(&served, "");
    let documents = json!({"documents": [
        {"_id": "a", "body": [0.5, -1, 0, 2], "words": {"indices": [7, 3], "values": [1, 2]}, "year": 1999, "tags": ["x"], "title": "[1]"},
        {"_id": "b", "body": [-1, 0, 0, 0]},
    ]});
    other.ask_for_tests("upsert", &documents);
    let survey = index(&served, "").survey().unwrap();
    assert_eq!((survey.n_rows, survey.schema.sparse.clone()), (2, vec!["words".to_owned()]));
    assert_eq!((survey.schema.dense["body"].dims, survey.schema.dense["body"].metric), (4, None));
    let mut source = index(&served, "");
    let partition = source.partitions().unwrap().remove(0);
    let page = source.read(&partition, None, Budget { n_rows: 10, n_bytes: usize::MAX }).unwrap();
    assert_eq!(page.rows[0].metadata.as_ref().unwrap().text(), r#"{"tags":["x"],"title":"[1]","year":1999}"#);
    assert_eq!(page.rows[0].sparse["words"].indices(), [3, 7]);
    assert_eq!((page.rows[1].id.as_str(), &page.rows[1].metadata), ("b", &None));
    assert!(source.notes().unwrap().join(" ").contains("never against the live service"));
}

#[test]
fn an_index_whose_schema_lacks_a_field_is_told_before_anything_is_copied() {
    let (_directory, served) = double(&shape(false));
    let mut schema = shape(true);
    schema.dense.get_mut("body").unwrap().dims = 3;
    let refused = index(&served, "").prepare(&schema, None).unwrap_err();
    assert_eq!(refused.class, Class::Permanent);
    let expected =
        "the index's schema has to have `body`: dense_vector, dimension 3, metric cosine and `words`: sparse_vector";
    assert!(refused.to_string().contains(expected), "{refused}");
    assert!(
        Place::parse("x.pinecone.io?api=documents&ids-from=a").unwrap_err().contains("one of documents lists them")
    );
}
