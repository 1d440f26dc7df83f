//! What is found in two collections, compared by the binary.

use serde_json::json;

use crate::parts::House;

const N_DOCUMENTS: usize = 600;
const N_QUERIES: usize = 200;

/// A vector that is the same every time; `turned` turns it a little, as another model would.
fn vector(n: usize, turned: f64) -> Vec<f64> {
    let seed = f64::from(u32::try_from(n).unwrap());
    (0..16)
        .map(|at| (seed * 1.7 + f64::from(at) * 0.9).sin() + turned * (seed * 0.31 + f64::from(at) * 2.3).cos())
        .collect()
}

/// Documents, and queries each of which is a document with a little noise.
fn house() -> House {
    let house = House::new("");
    let documents = |turned: f64| -> String {
        (0..N_DOCUMENTS)
            .map(|n| format!("{}\n", json!({ "id": format!("d{n}"), "vectors": { "dense": vector(n * 37, turned) } })))
            .collect()
    };
    let queries: String = (0..N_QUERIES)
        .map(|n| {
            let vector: Vec<f64> = vector(n * 37, 0.0)
                .iter()
                .enumerate()
                .map(|(at, value)| value + if at % 5 == 0 { 0.05 } else { 0.0 })
                .collect();
            let language = if n < 40 { "de" } else { "en" };
            format!(
                "{}\n",
                json!({ "id": format!("q{n}"), "vectors": { "dense": vector }, "metadata": { "language": language } })
            )
        })
        .collect();
    let qrels: String = (0..N_QUERIES).map(|n| format!("q{n} 0 d{n} 1\n")).collect();
    house.write_file("before.jsonl", &documents(0.0));
    house.write_file("after.jsonl", &documents(2.0));
    house.write_file("queries.jsonl", &queries);
    house.write_file("qrels.txt", &qrels);
    house
}

const ASKED: [&str; 6] = ["--queries", "jsonl:queries.jsonl", "--metric", "cosine", "--margin", "0.05"];

#[test]
fn a_copy_finds_what_its_source_found_and_its_index_is_measured() {
    let house = house();
    house.run(&["vectors", "copy", "jsonl:before.jsonl", "sqlite-vec:kb.db#docs", "--metric", "dense=cosine"]).exits(0);
    let arguments =
        [&["vectors", "eval", "jsonl:before.jsonl", "sqlite-vec:kb.db#docs"][..], &ASKED, &["--format", "json"]]
            .concat();
    let facts = house.run(&arguments).exits(0).json();
    assert_eq!((&facts["verdict"], &facts["lists"]), (&json!("pass"), &json!(["exact", "index"])));
    assert_eq!(facts["alike"][0]["mean"], 1.0, "{facts}");
    assert_eq!(facts["index"][1]["mean"], 1.0, "sqlite-vec compares with every row");
    assert_eq!(facts["coverage"][1]["n_full"], N_QUERIES);
}

#[test]
fn a_target_that_finds_less_fails_and_the_page_names_the_queries() {
    let house = house();
    let both = ["vectors", "eval", "jsonl:before.jsonl", "jsonl:after.jsonl"];
    let judged = ["--qrels", "qrels.txt", "--slice", "language", "-o", "page.html"];
    let text = house.run(&[&both[..], &ASKED, &judged].concat()).exits(3).stdout;
    assert!(text.starts_with("FAIL: ndcg@10 is worse by more than 0.05:"), "{text}");
    assert!(text.contains("language=de: ndcg@10"), "{text}");
    let page = std::fs::read_to_string(house.path().join("page.html")).unwrap();
    assert!(
        page.contains("<svg") && page.contains("<h2>Queries that lost most</h2>") && !page.contains("<script"),
        "{page}"
    );
    // Without judgement only how alike they are is known.
    let text = house.run(&[&both[..], &ASKED].concat()).exits(4).stdout;
    assert!(text.starts_with("UNDECIDED: the lists differ, and nothing says which is better"), "{text}");
}

#[test]
fn runs_of_an_application_are_compared_as_they_stand() {
    let house = house();
    let run = |shift: usize| -> String {
        (0..N_QUERIES).map(|n| format!("q{n} Q0 d{} 1 0.9 app\nq{n} Q0 d{} 2 0.8 app\n", n + shift, n + 1)).collect()
    };
    house.write_file("before.run", &run(0));
    house.write_file("after.run", &run(0));
    let both = ["vectors", "eval", "run:before.run", "run:after.run", "--qrels", "qrels.txt", "--margin", "0.05"];
    let text = house.run(&both).exits(0).stdout;
    assert!(text.starts_with("PASS: neither ndcg@10 nor recall@10 is worse by more than 0.05"), "{text}");
    house.write_file("after.run", &run(300));
    house.run(&both).exits(3);
}

#[test]
fn what_cannot_be_compared_is_refused_with_what_to_do() {
    let house = house();
    let both = ["vectors", "eval", "jsonl:before.jsonl", "jsonl:after.jsonl"];
    let refused = |more: &[&str]| house.run(&[&both[..], more].concat()).exits(2).stderr;
    assert!(refused(&[]).contains("a collection is asked with --queries"));
    assert!(refused(&["--queries", "jsonl:queries.jsonl"]).contains("does not say how `dense` is compared"));
    house.write_file("short.jsonl", "{\"id\":\"q0\",\"vector\":[1.0]}\n");
    assert!(refused(&["--queries", "jsonl:short.jsonl", "--metric", "l2"]).contains("the queries have 1 numbers"));
    house.write_file("bad.txt", "q0 0 d0 1\nq1 d1\n");
    assert!(
        refused(&[&ASKED[..], &["--qrels", "bad.txt"]].concat())
            .contains("bad.txt: line 2: write `QUERY 0 DOCUMENT GRADE`")
    );
    house.write_file("other.txt", "nobody 0 d0 1\n");
    assert!(refused(&[&ASKED[..], &["--qrels", "other.txt"]].concat()).contains("no query of the queries is judged"));
}
