//! Rows whose vectors are made by something that counts how often it is asked.

use std::sync::Mutex;

use tempfile::TempDir;

use super::*;
use crate::embed::{Embedded, Worker};
use crate::retry::Class;
use crate::stores::JsonLines;

/// Makes a vector of a text's length, refuses what says so, and keeps what it was asked.
#[derive(Default)]
struct Maker {
    calls: Mutex<Vec<Vec<String>>>,
    dims: usize,
}

impl Maker {
    fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().unwrap().clone()
    }
}

struct Hand<'a>(&'a Maker);

impl Embed for Maker {
    fn worker(&self) -> Result<Box<dyn Worker + '_>, String> {
        Ok(Box::new(Hand(self)))
    }
}

impl Worker for Hand<'_> {
    fn embed(&mut self, texts: &[&str]) -> Result<Embedded, Refused> {
        let mut calls = self.0.calls.lock().unwrap();
        calls.push(texts.iter().map(|text| (*text).to_owned()).collect());
        if texts.iter().any(|text| text.contains("poison")) {
            return Err(Refused::poison("it is poison"));
        }
        if texts.iter().any(|text| text.contains("wait")) && calls.len() < 3 {
            return Err(Refused {
                class: Class::Transient,
                why: "slow down".into(),
                after: Some(std::time::Duration::ZERO),
            });
        }
        let vector = |text: &&str| {
            let mut vector = vec![0.5; self.0.dims];
            vector[0] = if text.contains("zero") { f32::NAN } else { f32::from(u16::try_from(text.len()).unwrap()) };
            vector
        };
        let n_tokens = Some(texts.len() as u64);
        Ok(Embedded { vectors: texts.iter().map(vector).collect(), n_tokens, nanos: Some(10), n_cut: 0 })
    }
}

struct Bench {
    directory: TempDir,
    maker: Arc<Maker>,
}

impl Bench {
    fn new(rows: &[&str]) -> Bench {
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("rows.jsonl"), rows.join("\n")).unwrap();
        Bench { directory, maker: Arc::new(Maker { dims: 2, ..Maker::default() }) }
    }

    fn source(&self, what: What, manner: Manner) -> Reembedded {
        let recipe = Recipe { prefix: "p: ".into(), ..Recipe::default() };
        let cache = Cache::open(&self.directory.path().join(CACHE), &recipe, &[vec![1.0, 0.0]], None).unwrap();
        let inner = Box::new(JsonLines::new(&self.directory.path().join("rows.jsonl")));
        let embed: Arc<dyn Embed> = self.maker.clone();
        Reembedded::new(inner, what, (embed, recipe, 2), manner, cache, Box::new(|_| {})).unwrap()
    }

    fn page(&self, what: What, manner: Manner) -> Result<Page, Trouble> {
        let mut source = self.source(what, manner);
        let partition = source.partitions().unwrap().remove(0);
        source.read(&partition, None, Budget { n_rows: 1000, n_bytes: 1 << 20 })
    }
}

fn what() -> What {
    What { vector: "dense".into(), text_field: None, keeps_without_text: false, refuses_long: false }
}

fn manner() -> Manner {
    Manner { batch: 4, in_flight: 1, max_refused: 10, limits: Limits::default() }
}

const ROWS: [&str; 5] = [
    r#"{"id":"a","text":"one","vector":[9,9,9],"metadata":{"n":1}}"#,
    r#"{"id":"b","text":"three","vector":[9,9,9],"sparse":{"w":{"indices":[1],"values":[2]}}}"#,
    r#"{"id":"c","text":"one","vector":[9,9,9]}"#,
    r#"{"id":"d","text":" ","vector":[9,9,9]}"#,
    r#"{"id":"e","vector":[9,9,9],"space":"old"}"#,
];

fn first(row: &Row) -> Option<f32> {
    match row.dense.get("dense")? {
        Dense::F32(vector) => Some(vector[0]),
        _ => None,
    }
}

#[test]
fn a_text_is_embedded_once_whatever_rows_and_runs_it_stands_in() {
    let bench = Bench::new(&ROWS);
    let page = bench.page(what(), manner()).unwrap();
    assert_eq!(page.rows.iter().map(first).collect::<Vec<_>>(), [Some(6.0), Some(8.0), Some(6.0)]);
    assert_eq!(page.rows[0].metadata.as_ref().unwrap().text(), r#"{"n":1}"#);
    assert_eq!(page.rows[1].sparse["w"].values(), [2.0]);
    assert!(page.rows.iter().all(|row| row.space.as_ref().unwrap().contains("#2#")));
    assert_eq!(bench.maker.calls(), [["p: one", "p: three"]]);
    let asides: Vec<(&str, bool)> =
        page.unreadable.iter().map(|part| (part.place.as_str(), part.found.contains("[9.0,9.0,9.0]"))).collect();
    assert_eq!(asides, [("row `d` of namespace ``", true), ("row `e` of namespace ``", true)]);
    bench.page(what(), manner()).unwrap();
    assert_eq!(bench.maker.calls().len(), 1, "what is known is not asked for");
}

#[test]
fn rows_without_text_can_be_kept_without_the_vector() {
    let bench = Bench::new(&ROWS);
    let page = bench.page(What { keeps_without_text: true, ..what() }, manner()).unwrap();
    assert_eq!((page.rows.len(), page.unreadable.len()), (5, 0));
    assert_eq!(page.rows[4].dense.len(), 0, "a vector of the other space is none of this one");
}

#[test]
fn a_text_can_stand_in_the_metadata() {
    let bench = Bench::new(&[r#"{"id":"a","vector":[1],"metadata":{"body":"of \"it\"","n":1}}"#]);
    let of = |field: &str| bench.page(What { text_field: Some(field.into()), ..what() }, manner()).unwrap();
    assert_eq!(of("n").rows.len(), 0);
    assert_eq!(first(&of("body").rows[0]), Some(10.0));
}

#[test]
fn one_poisonous_text_is_found_by_halves_and_the_others_go_through() {
    let rows: Vec<String> = (0..8)
        .map(|n| format!(r#"{{"id":"{n}","text":"{} {n}","vector":[1]}}"#, if n == 5 { "poison" } else { "harmless" }))
        .collect();
    let bench = Bench::new(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    let page = bench.page(what(), Manner { batch: 8, ..manner() }).unwrap();
    assert_eq!((page.rows.len(), page.unreadable[0].why.as_str()), (7, "it is poison"));
    // The eight, a half, a quarter and the one, each with its other part: 1 + 2 * 3.
    assert_eq!(bench.maker.calls().len(), 7);
    bench.page(what(), Manner { batch: 8, ..manner() }).unwrap();
    assert_eq!(bench.maker.calls().len(), 7, "what was refused is kept too");
    bench.source(what(), manner()).cache.forget_refused().unwrap();
    bench.page(what(), Manner { batch: 8, ..manner() }).unwrap();
    assert_eq!(bench.maker.calls().len(), 8);
}

#[test]
fn a_vector_that_is_not_finite_is_no_vector() {
    let bench = Bench::new(&[r#"{"id":"a","text":"zero","vector":[1]}"#, r#"{"id":"b","text":"other","vector":[1]}"#]);
    let page = bench.page(what(), manner()).unwrap();
    assert_eq!((page.rows.len(), bench.maker.calls().len()), (1, 1));
    assert!(page.unreadable[0].why.contains("not finite"), "{}", page.unreadable[0].why);
}

#[test]
fn who_asks_to_wait_is_waited_for_and_asked_the_same() {
    let bench = Bench::new(&[r#"{"id":"a","text":"wait","vector":[1]}"#]);
    assert_eq!(bench.page(what(), manner()).unwrap().rows.len(), 1);
    assert_eq!(bench.maker.calls(), [["p: wait"], ["p: wait"], ["p: wait"]]);
}

#[test]
fn vectors_of_another_length_stop_the_run_and_so_do_too_many_refusals() {
    let mut bench = Bench::new(&ROWS);
    bench.maker = Arc::new(Maker { dims: 3, ..Maker::default() });
    let trouble = bench.page(what(), manner()).unwrap_err();
    assert_eq!((trouble.class, trouble.why.contains("another model answers")), (Class::Permanent, true), "{trouble}");
    let rows: Vec<String> = (0..50).map(|n| format!(r#"{{"id":"{n}","text":"poison {n}","vector":[1]}}"#)).collect();
    let bench = Bench::new(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    let trouble = bench.page(what(), Manner { max_refused: 2, ..manner() }).unwrap_err();
    assert!(
        trouble.why.starts_with("4 texts were refused, and 2 are the most; the last one: it is poison"),
        "{trouble}"
    );
    assert_eq!(bench.maker.calls().len(), 7, "one batch, down to each of its texts");
}

#[test]
fn the_purse_is_never_gone_beyond_and_counts_over_runs() {
    let rows: Vec<String> = (0..20).map(|n| format!(r#"{{"id":"{n}","text":"text {n:02}","vector":[1]}}"#)).collect();
    let bench = Bench::new(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    let purse = |most| Manner { limits: Limits { max_tokens: Some(most), ..Limits::default() }, ..manner() };
    // Four texts of ten bytes are taken for 14 tokens before an answer says that they are 4.
    let trouble = bench.page(what(), purse(15)).unwrap_err();
    assert!(trouble.why.contains("beyond 15 tokens; 12 are used"), "{trouble}");
    assert_eq!(bench.maker.calls().len(), 3);
    assert_eq!(bench.source(what(), manner()).cache.spent().unwrap().n_tokens, 12);
    assert!(bench.page(what(), purse(15)).unwrap_err().why.contains("12 are used"));
    assert_eq!(bench.page(what(), purse(40)).unwrap().rows.len(), 20);
    assert_eq!(bench.maker.calls().len(), 5);
}

#[test]
fn the_plan_says_what_there_is_to_do() {
    let bench = Bench::new(&ROWS);
    let source = bench.source(what(), manner());
    let Reembedded { mut inner, recipe, cache, .. } = source;
    let work = super::work(&mut *inner, &what(), &recipe, Some(&cache)).unwrap();
    let expected =
        Work { n_rows: 5, n_without_text: 2, n_texts: 2, n_bytes: 14, n_cut: 0, n_known: 0, n_bytes_to_do: 14 };
    assert_eq!(work, expected);
}
