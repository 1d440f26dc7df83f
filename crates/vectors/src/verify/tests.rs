use tempfile::TempDir;

use super::*;
use crate::stores::JsonLines;

fn compare_lines(source: &str, target: &str) -> Comparison {
    let directory = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        JsonLines::new(&path)
    };
    compare(&mut write("a.jsonl", source), &mut write("b.jsonl", target)).unwrap()
}

const SOURCE: &str = r#"{"id":"a","vector":[1,2],"metadata":{"n":1,"t":"x"}}
{"id":"b","namespace":"t","vector":[3,4],"text":"b"}
{"id":"c","sparse":{"w":{"indices":[1,2],"values":[0.5,0.25]}}}
"#;

#[test]
fn the_same_rows_in_another_order_are_the_same() {
    let mut lines: Vec<&str> = SOURCE.lines().collect();
    lines.reverse();
    let comparison = compare_lines(SOURCE, &lines.join("\n"));
    assert!(comparison.is_same() && comparison.is_complete, "{comparison:?}");
    assert_eq!((comparison.n_source, comparison.digest_source), (3, comparison.digest_target));
}

#[test]
fn every_row_that_differs_is_named_with_what_differs_in_it() {
    let target = r#"{"id":"a","vector":[1,2.0000002],"metadata":{"n":1.0,"t":"x"}}
{"id":"b","vector":[3,4],"text":"b"}
{"id":"c","sparse":{"w":{"indices":[1],"values":[0.5]}}}
{"id":"c","sparse":{"w":{"indices":[1],"values":[0.5]}}}
"#;
    let comparison = compare_lines(SOURCE, target);
    assert!(!comparison.is_same());
    let difference = |namespace: &str, id: &str, what| Difference { namespace: namespace.into(), id: id.into(), what };
    let altered = vec!["metadata `n`".to_owned(), "vector `dense`".to_owned()];
    assert_eq!(
        comparison.differences,
        [
            difference("", "a", What::Altered(altered)),
            difference("", "b", What::Extra),
            difference("", "c", What::Repeated(1, 2)),
            difference("t", "b", What::Missing),
        ]
    );
}

#[test]
fn what_is_no_row_is_no_proof() {
    let comparison = compare_lines(&format!("{SOURCE}not json\n"), SOURCE);
    assert_eq!((comparison.n_buckets, comparison.n_unreadable, comparison.is_same()), (0, 1, false));
}
