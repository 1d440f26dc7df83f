use std::collections::BTreeSet;

use rusqlite::{Connection, params_from_iter};

use super::*;

fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap().unwrap()
}

#[track_caller]
fn check(text: &str, metadata: &str, expected: bool) {
    let metadata = Metadata::parse(metadata).unwrap();
    assert_eq!(filter(text).matches(Some(&metadata)), expected, "{text} of {}", metadata.text());
}

#[track_caller]
fn refuses(text: &str, expected: &str) {
    assert_eq!(Filter::parse(text).unwrap_err().to_string(), expected);
}

#[test]
fn each_operator_means_what_it_says() {
    let film = r#"{"genre":"drama","year":1999,"tags":["a","b"],"seen":true,"score":7.5}"#;
    for (text, expected) in [
        (r#"{"genre":"drama"}"#, true),
        (r#"{"genre":{"$ne":"drama"}}"#, false),
        (r#"{"year":{"$gte":1999,"$lt":2000}}"#, true),
        (r#"{"year":{"$gt":1999}}"#, false),
        (r#"{"year":{"$lte":1999.0}}"#, true),
        (r#"{"tags":"b"}"#, true),
        (r#"{"tags":{"$nin":["c","d"]}}"#, true),
        (r#"{"genre":{"$in":["war","drama"]}}"#, true),
        (r#"{"seen":true,"score":{"$eq":7.5}}"#, true),
        (r#"{"$or":[{"year":1},{"$and":[{"seen":true},{"genre":"drama"}]}]}"#, true),
        (r#"{"genre":{"$gt":1}}"#, false),
    ] {
        check(text, film, expected);
    }
}

#[test]
fn what_is_not_there_equals_nothing_and_is_found_by_its_absence() {
    check(r#"{"a":{"$exists":false}}"#, r#"{"a":null}"#, true);
    check(r#"{"a":{"$exists":true}}"#, r#"{"a":0}"#, true);
    check(r#"{"a":{"$ne":1}}"#, "{}", true);
    check(r#"{"a":{"$nin":["x"]}}"#, "{}", true);
    check(r#"{"a":{"$lte":1}}"#, "{}", false);
    assert!(filter(r#"{"a":{"$ne":1}}"#).matches(None));
    assert_eq!(Filter::parse("{}"), Ok(None));
}

#[test]
fn what_cannot_be_asked_is_refused_where_it_stands() {
    refuses(r#"{"$and":[{"a":1},{"year":{"$gt":"1999"}}]}"#, "filter.$and[1].year.$gt: it is compared with a number");
    refuses(r#"{"a":{"$in":[]}}"#, "filter.a.$in: it is a list of one at least");
    refuses(
        r#"{"a":{"$in":[1,null]}}"#,
        "filter.a.$in[1]: it is a string, a number that a 64-bit float holds, true or false",
    );
    refuses(r#"{"$not":{"a":1}}"#, "filter.$not: only `$and` and `$or` stand where a field's name would");
    refuses(r#"{"a":1,"a":2}"#, "filter: `a` stands there twice");
    refuses(r#"{"a":{}}"#, "filter.a: nothing is asked of it: write a value, or an operator such as `$eq`");
    refuses(
        r#"{"t":{"$match_all":"x"}}"#,
        "filter.t.$match_all: no store here searches texts: nothing can be asked by their words",
    );
    refuses(r#"{"a":{"$exists":1}}"#, "filter.a.$exists: it is true or false");
    refuses(r#"[1]"#, "filter: it is an object");
    let many = (0..501).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",");
    refuses(&format!("{{{many}}}"), "filter.k500: a filter asks at most 500 things");
    let deep = format!("{}{{\"a\":1}}{}", "{\"$and\":[".repeat(20), "]}".repeat(20));
    assert!(Filter::parse(&deep).unwrap_err().to_string().ends_with("filters are nested at most 16 deep"));
}

/// SplitMix64.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    /// A float of any size, most of them with all their digits.
    fn float(&mut self) -> String {
        let bits = (self.below(1 << 32) as u64) << 32 | self.below(1 << 32) as u64;
        let float = f64::from_bits(bits);
        if float.is_finite() { format!("{float:?}") } else { "0.5".to_owned() }
    }
}

/// Names of fields that somebody might paste into something.
const NAMES: [&str; 8] = ["a", "b", "A", "a.b", "a\\\"b", "ä", "'; DROP TABLE t; --", "x.$a[0]"];
const SCALARS: [&str; 24] = [
    "\"\"",
    "\"x\"",
    "\"X\"",
    "\"x \"",
    "\"ä\"",
    "\"a\u{308}\"",
    "\"🙂\"",
    "\"'\"",
    "\"\\\"\"",
    "\"\\\\\"",
    "\"%\"",
    "\"1\"",
    "\"true\"",
    "\"line\\nbreak\"",
    "0",
    "-0.0",
    "1",
    "1.0",
    "9007199254740993",
    "9007199254740992",
    "18446744073709551616",
    "0.1",
    "true",
    "false",
];
const OTHERS: [&str; 9] =
    ["null", "[]", "{}", "[\"x\",\"ä\",1,null]", "[[\"x\"]]", "{\"a\":1}", "[1,true]", "[\"\"]", "5e-324"];

pub(crate) fn some_metadata(draw: &mut Draw) -> Option<String> {
    if draw.below(12) == 0 {
        return None;
    }
    let mut fields = Vec::new();
    for name in NAMES {
        match draw.below(4) {
            0 => {}
            1 => fields.push(format!("\"{name}\":{}", draw.of(&OTHERS))),
            2 if draw.below(3) == 0 => fields.push(format!("\"{name}\":{}", draw.float())),
            _ => fields.push(format!("\"{name}\":{}", draw.of(&SCALARS))),
        }
    }
    Some(format!("{{{}}}", fields.join(",")))
}

/// `floats` are numbers that rows have.
pub(crate) fn some_filter(draw: &mut Draw, floats: &[String], depth: usize) -> String {
    if depth > 0 && draw.below(3) == 0 {
        let parts: Vec<String> = (0..=draw.below(3)).map(|_| some_filter(draw, floats, depth - 1)).collect();
        return format!("{{\"{}\":[{}]}}", draw.of(&["$and", "$or"]), parts.join(","));
    }
    let name = draw.of(&NAMES);
    let number = |draw: &mut Draw| match draw.below(3) {
        0 => draw.float(),
        1 if !floats.is_empty() => floats[draw.below(floats.len())].clone(),
        _ => draw.of(&["0", "1", "-1", "0.1", "9007199254740993", "1e300"]).to_owned(),
    };
    let scalar = |draw: &mut Draw| if draw.below(5) == 0 { number(draw) } else { draw.of(&SCALARS).to_owned() };
    match draw.below(7) {
        0 => format!("{{\"{name}\":{}}}", scalar(draw)),
        1 | 2 => format!("{{\"{name}\":{{\"{}\":{}}}}}", draw.of(&["$eq", "$ne"]), scalar(draw)),
        3 => format!("{{\"{name}\":{{\"{}\":{}}}}}", draw.of(&["$gt", "$gte", "$lt", "$lte"]), number(draw)),
        4 => format!("{{\"{name}\":{{\"$exists\":{}}}}}", draw.of(&["true", "false"])),
        _ => {
            let values: Vec<String> = (0..=draw.below(4)).map(|_| scalar(draw)).collect();
            format!("{{\"{name}\":{{\"{}\":[{}]}}}}", draw.of(&["$in", "$nin"]), values.join(","))
        }
    }
}

/// How many filters a test asks about.
pub(crate) fn n_filters() -> usize {
    if std::env::var_os("CROSSFADE_SLOW_TESTS").is_some() { 100_000 } else { 2_000 }
}

#[test]
fn sqlite_finds_what_the_reference_finds() {
    let mut draw = Draw(8);
    let rows: Vec<Option<Metadata>> =
        (0..80).map(|_| some_metadata(&mut draw).map(|text| Metadata::parse(&text).unwrap())).collect();
    let floats: Vec<String> = rows
        .iter()
        .flatten()
        .flat_map(Metadata::fields)
        .map(|(_, value)| value)
        .filter(|value| number(value).is_some())
        .collect();
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, metadata TEXT)").unwrap();
    for (n, row) in rows.iter().enumerate() {
        connection
            .execute(
                "INSERT INTO t VALUES (?1, ?2)",
                rusqlite::params![i64::try_from(n).unwrap(), row.as_ref().map(Metadata::text)],
            )
            .unwrap();
    }
    let mut n_found = 0;
    for _ in 0..n_filters() {
        let text = some_filter(&mut draw, &floats, 3);
        let filter = filter(&text);
        let clause = Clause::of(Some(&filter), Dialect::Sqlite, 1);
        let mut statement = connection.prepare(&format!("SELECT n FROM t WHERE {}", clause.sql)).unwrap();
        let found: BTreeSet<i64> = statement
            .query_map(params_from_iter(&clause.params), |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let expected: BTreeSet<i64> =
            (0_i64..).zip(&rows).filter(|(_, row)| filter.matches(row.as_ref())).map(|(n, _)| n).collect();
        assert_eq!(found, expected, "{text}\n{}", clause.sql);
        n_found += usize::from(!found.is_empty() && found.len() < rows.len());
    }
    assert!(n_found * 2 > n_filters(), "filters that find all or nothing tell little: {n_found}");
}
