use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::embed::{Embed, Embedded, Refused, Worker};
use crate::facade::changes::{Changes, Counts, Move, Outcome, Wish};
use crate::facade::pair::Mode;
use crate::facade::shadow::{ShadowSettings, judge};
use crate::facade::{Encoder, Facade, IndexSettings, MoveSettings, Request, StoreSettings, turn};
use crate::parity::Verdict;
use crate::row::{Dtype, Row};
use crate::schema::{DenseShape, Metric, Schema};
use crate::space::Recipe;
use crate::stores::{Address, SqliteVec};
use crate::{run, store, verify};

/// An encoder that counts letters: how many there are, how many of them are vowels.
struct Letters;

impl Embed for Letters {
    fn worker(&self) -> Result<Box<dyn Worker + '_>, String> {
        Ok(Box::new(Letters))
    }
}

impl Worker for Letters {
    fn embed(&mut self, texts: &[&str]) -> Result<Embedded, Refused> {
        let count = |text: &str, is: fn(char) -> bool| {
            f32::from(u8::try_from(text.chars().filter(|c| is(*c)).count()).unwrap())
        };
        let vectors =
            texts.iter().map(|text| vec![count(text, |_| true), count(text, |c| "aeiou".contains(c))]).collect();
        Ok(Embedded { vectors, ..Embedded::default() })
    }
}

/// An index `films` of three numbers in one store, that moves to another.
struct Place {
    directory: tempfile::TempDir,
    settings: IndexSettings,
}

impl Place {
    fn new(dims: usize, sparse: &[&str]) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let side = |name: &str| StoreSettings {
            store: Address::SqliteVec { file: directory.path().join(name), table: "films".to_owned() },
            vector: None,
            metric: None,
            encoder: (dims != 3).then(|| PathBuf::from("letters")),
            text_field: None,
        };
        let shadow = ShadowSettings { n_reads: 200, k: 3, margin: 0.02 };
        let moves_to = MoveSettings { target: side("new.db"), shadow };
        let source = StoreSettings { encoder: None, ..side("old.db") };
        let place = Place { settings: IndexSettings { source, moves_to: Some(moves_to) }, directory };
        make(&place.path("old.db"), 3, &["words"]);
        make(&place.path("new.db"), dims, sparse);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn of(&self) -> Move {
        self.settings.moves("films").unwrap()
    }

    fn changes(&self) -> Changes {
        Changes::open(&self.path("moves.db")).unwrap()
    }

    fn facade(&self) -> Facade {
        let indexes = [("films".to_owned(), self.settings.clone())].into();
        Facade::start("http://vectors.example", &indexes, &self.path("moves.db"), &encoders).unwrap()
    }

    fn wish(&self, to: Mode, is_forced: bool) -> Wish {
        Wish { of: self.of(), to, actor: "me".into(), reason: None, evidence: None, is_forced }
    }

    /// Wishes it of who serves, and waits for what comes of it.
    fn turn(&self, to: Mode) -> Result<i64, String> {
        self.turn_as(to, false)
    }

    fn turn_as(&self, to: Mode, is_forced: bool) -> Result<i64, String> {
        let changes = self.changes();
        let n = changes.wish(&self.wish(to, is_forced)).unwrap();
        match until(|| changes.outcome(n).unwrap()) {
            Outcome::Turned(epoch) => Ok(epoch),
            Outcome::Refused(why) => Err(why),
        }
    }

    fn has_everything(&self) {
        let changes = self.changes();
        until(|| (changes.counts("films").unwrap() == Counts::default()).then_some(()));
    }

    fn is_same(&self) -> bool {
        let side = |name: &str| SqliteVec::new(&self.path(name), "films");
        verify::compare(&mut side("old.db"), &mut side("new.db"), &BTreeMap::new()).unwrap().is_same()
    }

    fn rows(&self, name: &str) -> Vec<Row> {
        let mut rows = Vec::new();
        crate::stores::rows(&mut SqliteVec::new(&self.path(name), "films"), |row| rows.push(row.clone())).unwrap();
        rows
    }

    fn ids(&self, name: &str) -> Vec<String> {
        self.rows(name).into_iter().map(|row| row.id).collect()
    }
}

fn encoders(_: &Path) -> Result<Encoder, String> {
    Ok(Encoder { embed: Arc::new(Letters), recipe: Recipe::default() })
}

fn make(file: &Path, dims: usize, sparse: &[&str]) {
    let dense = DenseShape { dtype: Dtype::F32, dims, metric: Some(Metric::Cosine) };
    let sparse = sparse.iter().map(|name| (*name).to_owned()).collect();
    let schema = Schema { dense: [("dense".to_owned(), dense)].into(), sparse, ..Schema::default() };
    store::Target::prepare(&mut SqliteVec::new(file, "films"), &schema, None).unwrap();
}

fn until<T>(mut is: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = is() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it did not come to be so");
        std::thread::yield_now();
    }
}

fn asked(facade: &Facade, path: &str, body: &Value) -> (u16, Value) {
    let (path, body) = (format!("/data/films/{path}"), body.to_string());
    let request =
        Request { method: "POST", path: &path, query: "", version: None, body: body.as_bytes(), may_reach: &|_| true };
    let response = facade.answer(&request);
    (response.status, serde_json::from_str(&response.body).unwrap())
}

#[track_caller]
fn ask(facade: &Facade, path: &str, body: &Value) -> Value {
    let (status, answer) = asked(facade, path, body);
    assert_eq!(status, 200, "{answer}");
    answer
}

fn upsert(facade: &Facade, id: &str, text: &str) {
    let vector = json!({ "id": id, "values": [1.0, id.len(), 0.5], "metadata": { "text": text } });
    ask(facade, "vectors/upsert", &json!({ "vectors": [vector] }));
}

fn found(facade: &Facade, vector: &Value) -> Vec<String> {
    let answer = ask(facade, "query", &json!({ "vector": vector, "topK": 3 }));
    answer["matches"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_index_moves_and_comes_back_and_both_stores_have_every_change() {
    let place = Place::new(3, &["words"]);
    std::fs::remove_file(place.path("new.db")).unwrap();
    let facade = place.facade();
    for id in ["a", "bb", "ccc"] {
        upsert(&facade, id, "before");
    }
    assert!(place.turn(Mode::Target).unwrap_err().contains("`collect` comes next"));
    place.turn(Mode::Collect).unwrap();
    upsert(&facade, "dddd", "kept while it was copied");
    let target = Address::SqliteVec { file: place.path("new.db"), table: "films".to_owned() };
    let mut copy =
        run::Run::open(&place.settings.source.store, &target, &place.path("run"), &Default::default()).unwrap();
    copy.copy(crate::copy::Limits { max_aside: 0, batch_rows: None }, |_| {}).unwrap();
    ask(&facade, "vectors/delete", &json!({ "ids": ["a"] }));
    ask(&facade, "vectors/update", &json!({ "id": "bb", "setMetadata": { "year": 1999 } }));
    assert_eq!(place.ids("new.db"), ["a", "bb", "ccc", "dddd"]);
    place.turn(Mode::DualWrite).unwrap();
    place.has_everything();
    assert!(place.is_same());
    place.turn(Mode::Target).unwrap();
    upsert(&facade, "eeeee", "after the switch");
    ask(&facade, "vectors/delete", &json!({ "filter": { "year": { "$exists": true } } }));
    assert_eq!(found(&facade, &json!([1, 5, 0.5]))[0], "eeeee");
    place.turn(Mode::RolledBack).unwrap();
    assert_eq!((place.ids("old.db"), place.is_same()), (["ccc", "dddd", "eeeee"].map(str::to_owned).to_vec(), true));
    upsert(&facade, "ffffff", "after the way back");
    place.has_everything();
    assert!(place.is_same());
    let words: Vec<&str> =
        place.changes().events("films", 9).unwrap().iter().rev().map(|event| event.to.word()).collect();
    assert_eq!(words, ["collect", "dual-write", "target", "rolled-back"]);
}

#[test]
fn the_shadow_asks_both_and_nobody_waits_for_it() {
    let place = Place::new(3, &["words"]);
    let facade = place.facade();
    place.turn(Mode::Collect).unwrap();
    for n in 1..30 {
        upsert(&facade, &"x".repeat(n), "text");
    }
    place.turn(Mode::DualWrite).unwrap();
    place.has_everything();
    let epoch = place.turn(Mode::Shadow).unwrap();
    let changes = place.changes();
    let shadow = &place.settings.moves_to.as_ref().unwrap().shadow;
    for n in 0..210_u32 {
        assert_eq!(found(&facade, &json!([1.0, f64::from(n) / 7.0, 0.5])).len(), 3);
        let n_wanted = u64::from(n + 1).min(200);
        until(|| (changes.n_read("films", epoch).unwrap() >= n_wanted).then_some(()));
    }
    let judged = judge(&changes, &place.of(), epoch, shadow).unwrap();
    assert_eq!((judged.verdict, judged.n_reads, judged.n_failed, judged.n_lost), (Verdict::Pass, 200, 0, 0));
}

#[test]
fn a_change_that_was_under_way_when_the_process_was_killed_is_what_the_first_store_says() {
    let place = Place::new(3, &["words"]);
    let facade = place.facade();
    place.turn(Mode::Collect).unwrap();
    place.turn(Mode::DualWrite).unwrap();
    upsert(&facade, "a", "first");
    upsert(&facade, "b", "stays");
    place.has_everything();
    drop(facade);
    // Killed between the two stores: one change was made in the first, one was not.
    let row = |id: &str| place.rows("old.db").into_iter().find(|row| row.id == id).unwrap();
    let lost = Row { id: "lost".to_owned(), ..row("a") };
    let changed = Row { text: Some("second".to_owned()), ..row("a") };
    place
        .changes()
        .keep("films", [&changed, &lost].map(|row| (String::new(), row.id.clone(), Some(row.clone()))))
        .unwrap();
    let mut old = SqliteVec::new(&place.path("old.db"), "films");
    crate::facade::backend::Backend::put(&mut old, &[changed]).unwrap();
    let _facade = place.facade();
    place.has_everything();
    assert_eq!((place.ids("new.db"), place.is_same()), (vec!["a".to_owned(), "b".to_owned()], true));
}

#[test]
fn a_row_that_the_other_store_refuses_stays_in_the_file_and_holds_the_switch_up() {
    let place = Place::new(3, &[]);
    let facade = place.facade();
    place.turn(Mode::Collect).unwrap();
    place.turn(Mode::DualWrite).unwrap();
    let sparse = json!({ "indices": [1], "values": [0.5] });
    let vectors = json!([
        { "id": "a", "values": [1, 0, 0] }, { "id": "b", "values": [1, 0, 0], "sparseValues": sparse }, { "id": "c", "values": [1, 0, 0] },
    ]);
    ask(&facade, "vectors/upsert", &json!({ "vectors": vectors }));
    let changes = place.changes();
    until(|| (changes.counts("films").unwrap() == Counts { n_waiting: 0, n_refused: 1 }).then_some(()));
    assert_eq!(place.ids("new.db"), ["a", "c"]);
    let refused = changes.refused("films", 9).unwrap();
    assert!(refused[0].0.contains("`b`"), "{refused:?}");
    let why = place.turn(Mode::Target).unwrap_err();
    assert!(why.contains("0 changes wait") && why.contains("refused 1"), "{why}");
    place.turn_as(Mode::Target, true).unwrap();
    let event = changes.events("films", 1).unwrap().remove(0);
    assert!(event.evidence.unwrap()["left_behind"].as_str().unwrap().contains("refused 1"));
    place.turn(Mode::RolledBack).unwrap();
    assert_eq!(place.ids("old.db"), ["a", "b", "c"]);
}

#[test]
fn a_store_of_another_space_gets_vectors_of_the_texts_and_queries_go_where_they_belong() {
    let place = Place::new(2, &["words"]);
    let facade = place.facade();
    place.turn(Mode::Collect).unwrap();
    upsert(&facade, "a", "aaa");
    upsert(&facade, "bb", "xyzxyz");
    place.turn(Mode::DualWrite).unwrap();
    place.has_everything();
    let made: Vec<String> = place.rows("new.db").iter().map(|row| format!("{:?}", row.dense["dense"])).collect();
    assert_eq!(made, ["F32([3.0, 3.0])", "F32([6.0, 0.0])"]);
    assert!(place.turn(Mode::Shadow).unwrap_err().contains("of two spaces"));
    assert!(place.turn(Mode::Target).unwrap_err().contains("no way back"));
    assert_eq!(asked(&facade, "query", &json!({ "vector": [1, 1], "topK": 1 })).0, 400, "nobody has switched yet");
    place.turn_as(Mode::Target, true).unwrap();
    assert_eq!(found(&facade, &json!([1, 0])), ["bb", "a"]);
    assert_eq!(found(&facade, &json!([1, 1, 0.5])), ["a", "bb"], "an application that has its old model still");
    let (status, answer) =
        asked(&facade, "vectors/upsert", &json!({ "vectors": [{ "id": "c", "values": [1, 2, 3] }] }));
    assert_eq!(status, 400, "{answer}");
}

#[test]
fn a_move_that_nobody_serves_is_turned_by_whoever_holds_the_file() {
    let place = Place::new(3, &["words"]);
    let to = |to: Mode| turn(&place.settings, &place.path("moves.db"), &encoders, place.wish(to, false)).unwrap();
    assert!(matches!(to(Mode::Collect), Outcome::Turned(_)));
    assert!(matches!(to(Mode::DualWrite), Outcome::Turned(_)));
    let facade = place.facade();
    upsert(&facade, "a", "text");
    place.has_everything();
    drop(facade);
    assert!(matches!(to(Mode::Target), Outcome::Turned(_)));
    assert!(matches!(to(Mode::Shadow), Outcome::Refused(why) if why.contains("vectors rollback")));
    let facade = place.facade();
    upsert(&facade, "bb", "text");
    place.has_everything();
    assert!(place.is_same());
    assert_eq!(place.ids("old.db"), ["a", "bb"]);
}
