//! Every store against the same rows: what is written comes back to the bit, and by pages of any size.

use std::collections::BTreeMap;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::digest::{Buckets, row_digest};
use crate::metadata::Metadata;
use crate::row::{Dense, Multi, Row, Sparse};
use crate::schema::{Metric, Schema};
use crate::store::{Budget, Sealed, Slot};

/// Rows that stores stumble over: identifiers, numbers and texts of all kinds.
pub(crate) fn hostile() -> Vec<Row> {
    let ids = [
        "",
        " ",
        "a",
        "A",
        "a/b",
        "ä",
        "a\u{308}",
        "'; DROP TABLE rows; --",
        "\"quoted\"",
        "nul\0nul",
        "1",
        "01",
        "🙂",
        "%00",
        "line\nbreak",
        "\u{feff}",
    ];
    let metadata = [
        "{}",
        r#"{"n":1,"m":1.0,"big":9007199254740993,"huge":18446744073709551616,"null":null}"#,
        r#"{"nested":{"a":[1,2.5,{"b":null}],"":""},"text":"\u0000\"\\"}"#,
        r#"{"tiny":5e-324,"minus":-0.0,"exponent":1e300,"yes":true}"#,
    ];
    let mut rows = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        for namespace in ["", "tenant", "Tenant"] {
            let mut row = Row { namespace: namespace.to_owned(), id: (*id).to_owned(), ..Row::default() };
            let base = f32::from(u16::try_from(n).unwrap());
            if n % 5 != 0 {
                row.dense.insert(
                    "dense".into(),
                    Dense::F32(vec![base, -0.0, f32::MIN_POSITIVE / 2.0, f32::from_bits(0x7fc0_1234)]),
                );
            }
            if n % 2 == 0 {
                row.dense.insert("half".into(), Dense::F16(vec![0x3c00, 0x8000, 0x0001, 0x7c00]));
                row.dense.insert("bits".into(), Dense::binary(16, vec![0xa5, u8::try_from(n).unwrap()]).unwrap());
                row.sparse.insert("words".into(), Sparse::new(vec![0, 7, u32::MAX], vec![base, 0.0, -1.5]).unwrap());
            }
            if n % 3 == 0 {
                row.dense.insert("bytes".into(), Dense::I8(vec![-128, 0, 127]));
                row.multi.insert("late".into(), Multi::new(2, vec![base, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap());
                row.sparse.insert("words".into(), Sparse::default());
            }
            if n % 7 == 1 {
                row.multi.insert("late".into(), Multi::new(2, Vec::new()).unwrap());
            }
            row.text = (n % 4 != 0).then(|| if n % 4 == 1 { String::new() } else { format!("text {n} \0 of {id}") });
            row.metadata = (n % 5 != 1).then(|| Metadata::parse(metadata[n % 4]).unwrap());
            row.space = (n % 2 == 0).then(|| "provider/model@1#4".to_owned());
            rows.push(row);
        }
    }
    rows
}

fn schema_of(rows: &[Row]) -> Schema {
    let mut schema = Schema::default();
    rows.iter().for_each(|row| schema.widen(row));
    schema
}

fn digests(rows: &[Row]) -> BTreeMap<(String, String), u128> {
    rows.iter().map(|row| ((row.namespace.clone(), row.id.clone()), row_digest(row))).collect()
}

fn write(address: &Address, rows: &[Row]) {
    let mut target = address.target();
    target.prepare(&schema_of(rows), None).unwrap();
    let with_digests: Vec<_> = rows.iter().map(|row| (row.clone(), row_digest(row))).collect();
    for (part, batch) in with_digests.chunks(20).enumerate() {
        target.write(Slot { partition: 0, part: part as u64 }, batch).unwrap();
    }
    let digest = with_digests.iter().fold(0_u128, |sum, (_, digest)| sum.wrapping_add(*digest));
    target.seal(&Sealed { n_rows: rows.len() as u64, digest }).unwrap();
}

fn read_by(address: &Address, n_rows: usize) -> Vec<Row> {
    let mut source = address.source();
    let mut rows = Vec::new();
    for partition in source.partitions().unwrap() {
        let mut after = None;
        loop {
            let page = source.read(&partition, after.as_ref(), Budget { n_rows, n_bytes: usize::MAX }).unwrap();
            assert!(page.unreadable.is_empty() && page.rows.len() <= n_rows);
            rows.extend(page.rows);
            // A store is opened anew for each page: what counts is in the cursor.
            source = address.source();
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    rows
}

fn addresses(root: &Path) -> Vec<Address> {
    let place = |kind: &str| format!("{kind}:{}", root.join(kind).display());
    ["parquet", "jsonl", "sqlite-vec"].iter().map(|kind| Address::parse(&place(kind)).unwrap()).collect()
}

#[test]
fn every_store_gives_back_every_bit_of_hostile_rows_in_pages_of_any_size() {
    let root = TempDir::new().unwrap();
    let rows = hostile();
    for address in addresses(root.path()) {
        write(&address, &rows);
        for n_rows in [1, 7, 1000] {
            let found = read_by(&address, n_rows);
            assert_eq!(found.len(), rows.len(), "{address} in pages of {n_rows}");
            assert_eq!(digests(&found), digests(&rows), "{address} in pages of {n_rows}");
        }
        let survey = address.source().survey().unwrap();
        assert_eq!((survey.n_rows, survey.schema), (rows.len() as u64, schema_of(&rows)), "{address}");
    }
}

#[test]
fn a_batch_that_is_written_again_is_there_once() {
    let root = TempDir::new().unwrap();
    let rows = hostile();
    let batch: Vec<_> = rows.iter().map(|row| (row.clone(), row_digest(row))).collect();
    for address in addresses(root.path()) {
        let slot = Slot { partition: 0, part: 0 };
        let schema = schema_of(&rows);
        let mut target = address.target();
        target.prepare(&schema, None).unwrap();
        target.write(slot, &batch[..30]).unwrap();
        // Killed before the journal knew of it, and of a second one after that.
        target.write(Slot { part: 1, ..slot }, &batch[30..]).unwrap();
        let mut target = address.target();
        target.prepare(&schema, Some(&[0])).unwrap();
        target.write(slot, &batch).unwrap();
        target.seal(&Sealed { n_rows: batch.len() as u64, digest: 0 }).unwrap();
        let found = read_by(&address, 1000);
        assert_eq!(found.len(), rows.len(), "{address}");
        assert_eq!(digests(&found), digests(&rows), "{address}");
    }
}

#[test]
fn a_target_that_holds_something_else_is_not_written_to() {
    let root = TempDir::new().unwrap();
    let rows = hostile();
    for address in addresses(root.path()) {
        write(&address, &rows);
        let refused = address.target().prepare(&schema_of(&rows), None).unwrap_err();
        assert!(refused.to_string().contains("it is there already"), "{refused}");
    }
    let other = root.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE rows (x)").unwrap();
    let address = Address::parse(&format!("sqlite-vec:{}", other.display())).unwrap();
    let refused = address.target().prepare(&schema_of(&rows), None).unwrap_err();
    assert!(refused.to_string().contains("a table of that name that Crossfade did not make"), "{refused}");
}

#[test]
fn a_copy_that_is_not_through_is_no_source() {
    let root = TempDir::new().unwrap();
    let address = &addresses(root.path())[0];
    address.target().prepare(&Schema::default(), None).unwrap();
    let refused = address.source().survey().unwrap_err();
    assert!(refused.to_string().contains("run that copy again"), "{refused}");
}

#[test]
fn a_changed_byte_of_a_file_is_found_by_its_manifest_or_by_a_rows_digest() {
    let root = TempDir::new().unwrap();
    let address = &addresses(root.path())[0];
    write(address, &hostile());
    let directory = root.path().join("parquet");
    let said = manifest(&directory).unwrap().unwrap();
    assert_eq!(differences(&directory, &said).unwrap(), Vec::<String>::new());
    let part = directory.join(&said.files[0].name);
    let mut bytes = std::fs::read(&part).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x10;
    std::fs::write(&part, bytes).unwrap();
    let wrong = differences(&directory, &said).unwrap();
    assert_eq!(wrong, [format!("{} is not what was written: its SHA-256 differs", said.files[0].name)]);
    std::fs::remove_file(&part).unwrap();
    assert_eq!(differences(&directory, &said).unwrap(), [format!("{} is not there", said.files[0].name)]);
}

#[test]
fn distances_of_sqlite_vec_are_what_the_plan_says_they_are() {
    let root = TempDir::new().unwrap();
    let mut row = Row { id: "a".into(), ..Row::default() };
    for name in ["l2", "cosine"] {
        row.dense.insert(name.into(), Dense::F32(vec![3.0, 4.0, 0.0, 0.0]));
    }
    let mut schema = schema_of(&[row.clone()]);
    schema.dense.get_mut("l2").unwrap().metric = Some(Metric::L2);
    schema.dense.get_mut("cosine").unwrap().metric = Some(Metric::Cosine);
    let mut target = SqliteVec::new(&root.path().join("a.db"), "rows");
    target.prepare(&schema, None).unwrap();
    target.write(Slot { partition: 0, part: 0 }, &[(row.clone(), row_digest(&row))]).unwrap();
    let nearest = |name: &str| target.nearest(name, &[1.0, 0.0, 0.0, 0.0]);
    assert!((nearest("l2") - 20_f64.sqrt()).abs() < 1e-6);
    assert!((nearest("cosine") - 0.4).abs() < 1e-6);
}

#[test]
fn addresses_say_what_they_name_and_what_is_wrong_with_them() {
    let here = "postgres://me@localhost/app#docs";
    for written in [
        "parquet:kb",
        "jsonl:kb.jsonl",
        "sqlite-vec:kb.db#docs",
        here,
        "postgres://db.example.com/a?sslmode=disable#docs",
    ] {
        assert_eq!(Address::parse(written).unwrap().to_string(), written);
    }
    assert_eq!(Address::parse("sqlite-vec:kb.db").unwrap().to_string(), "sqlite-vec:kb.db#rows");
    for (written, why) in [
        ("kb", "names no store"),
        ("vespa:x", "no store that is known"),
        ("sqlite-vec:a#b\"c", "cannot name a table"),
        ("postgres://me:sk-test-no-secret@localhost/app", "put it into the environment variable PGPASSWORD"),
        ("postgres://me@db.example.com/app", "has to say `sslmode=disable`"),
        ("postgres://me@localhost:port/app", "it is no URL of PostgreSQL"),
    ] {
        assert!(!Address::parse(written).unwrap_err().contains("sk-test"), "{written}");
        assert!(Address::parse(written).unwrap_err().contains(why), "{written}");
    }
}

#[test]
fn a_line_says_the_same_row_again_and_bad_lines_say_why() {
    let mut buckets = (Buckets::default(), Buckets::default());
    for row in hostile() {
        buckets.0.add(&row);
        buckets.1.add(&from_line(&to_line(&row)).unwrap());
    }
    assert_eq!(buckets.0, buckets.1);
    for (line, why) in [
        (r#"{"id":1.5}"#, "`id` is neither text nor an integer"),
        (r#"{"id":"a","vektor":[1]}"#, "unknown field `vektor`"),
        (r#"{"id":"a","vector":[1e39]}"#, "beyond 32-bit floats"),
        (r#"{"id":"a","vector":[null]}"#, "`null` is no number"),
        (r#"{"id":"a","vectors":{"a":[1],"a":[2]}}"#, "the vector `a` comes twice"),
        (r#"{"id":"a","vector":[1],"vectors":{"dense":[2]}}"#, "the vector `dense` comes twice"),
        (r#"{"id":"a","sparse":{"w":{"indices":[1,1],"values":[1,2]}}}"#, "an index twice"),
        (r#"{"id":"a","metadata":{"a":1,"a":2}}"#, "the key `a` twice"),
    ] {
        let said = from_line(line).unwrap_err();
        assert!(said.contains(why), "{line}: {said}");
    }
    assert_eq!(from_line(r#"{"id":7,"vector":[0.1]}"#).unwrap().id, "7");
}
