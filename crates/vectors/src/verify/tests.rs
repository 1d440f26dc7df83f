use tempfile::TempDir;

use super::*;
use crate::stores::JsonLines;

fn compare_lines(source: &str, target: &str) -> Comparison {
    compare_within(source, target, &[])
}

fn compare_within(source: &str, target: &str, tolerant: &[&str]) -> Comparison {
    let directory = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        JsonLines::new(&path)
    };
    let tolerant = tolerant.iter().map(|name| ((*name).to_owned(), Loose::Norm)).collect();
    compare(&mut write("a.jsonl", source), &mut write("b.jsonl", target), &tolerant).unwrap()
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

#[test]
fn numbers_of_a_tolerant_vector_may_be_others_within_a_millionth_and_nothing_else_may() {
    let near = SOURCE.replace(r#""vector":[1,2]"#, r#""vector":[0.9999998,2.0000002]"#);
    let comparison = compare_within(SOURCE, &near, &["dense"]);
    assert!(comparison.is_same() && comparison.differences.is_empty(), "{comparison:?}");
    assert_eq!((comparison.n_near, comparison.n_beyond), (1, 0));
    assert!((1e-7..=3e-7).contains(&comparison.largest), "{}", comparison.largest);
    assert!(!compare_lines(SOURCE, &near).is_same());
    for (from, to, parts) in [
        (r#"r":[1,2]"#, r#"r":[1,2.00001]"#, vec!["vector `dense`"]),
        (r#"r":[1,2]"#, r#"r":[2,1]"#, vec!["vector `dense`"]),
        (r#"r":[1,2]"#, r#"r":[1,2,0]"#, vec!["vector `dense`"]),
        (r#","vector":[1,2]"#, "", vec!["vector `dense`"]),
        (r#""n":1,"#, r#""n":1.0,"#, vec!["metadata `n`"]),
        (
            r#""vector":[1,2],"metadata":{"n":1,"#,
            r#""vector":[1,-2],"metadata":{"n":2,"#,
            vec!["metadata `n`", "vector `dense`"],
        ),
    ] {
        let comparison = compare_within(SOURCE, &SOURCE.replace(from, to), &["dense"]);
        assert!(!comparison.is_same() && comparison.is_complete, "{to}");
        let [Difference { id, what: What::Altered(altered), .. }] = &comparison.differences[..] else {
            panic!("{comparison:?}")
        };
        assert_eq!((id.as_str(), altered.iter().map(String::as_str).collect::<Vec<_>>()), ("a", parts));
    }
    let lost = compare_within(SOURCE, &SOURCE.lines().skip(1).collect::<Vec<_>>().join("\n"), &["dense"]);
    assert_eq!(lost.differences, [Difference { namespace: String::new(), id: "a".into(), what: What::Missing }]);
}

#[test]
fn of_ten_thousand_faults_in_a_tolerant_collection_every_one_is_found() {
    use crate::row::{Dense, Row};
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |n: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % n
    };
    let tolerant = BTreeMap::from([("dense".to_owned(), Loose::Norm)]);
    let mut kept = Kept::new(1).unwrap();
    for n in 0..10_000 {
        let values: Vec<f32> =
            (0..8).map(|_| f32::from_bits(0x3f00_0000 + u32::try_from(draw(1 << 23)).unwrap())).collect();
        let mut row = Row { namespace: "t".into(), id: format!("{n}"), text: Some("x".into()), ..Row::default() };
        row.dense.insert("dense".into(), Dense::F32(values.clone()));
        let mut bad = row.clone();
        let mut changed = values.clone();
        match n % 6 {
            // Bits that are worth more than a millionth; what is below is what the store does by itself.
            0 => changed[draw(8)] = f32::from_bits(values[draw(1)].to_bits() ^ 1 << (6 + draw(26))),
            1 => changed.rotate_left(1 + draw(7)),
            2 => bad.namespace = String::new(),
            3 => bad.text = None,
            4 => drop(changed.pop()),
            _ => bad.id.push(' '),
        }
        bad.dense.insert("dense".into(), Dense::F32(changed));
        let (mut one, mut other) = (row, bad);
        let vectors = (take(&mut one, tolerant.keys()), take(&mut other, tolerant.keys()));
        kept.keep(&one, &vectors.0).unwrap();
        let n_before = kept.within.n_beyond;
        kept.hold(&other, &vectors.1, &tolerant).unwrap();
        assert!(row_digest(&one) != row_digest(&other) || kept.within.n_beyond == n_before + 1, "{n}");
    }
}
