//! Copies between stores in memory that fail on purpose, and the strategy that loses rows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::journal::Begun;
use crate::row::Dense;
use crate::store::{Partition, Survey};

fn rows(n: usize) -> Vec<Row> {
    let row = |n: usize| {
        let mut row = Row { id: format!("{n:06}"), ..Row::default() };
        row.dense.insert("dense".into(), Dense::F32(vec![f32::from(u16::try_from(n % 60_000).unwrap())]));
        row
    };
    (0..n).map(row).collect()
}

/// Rows by key, which fail as often as told before they are read.
struct Memory {
    rows: Vec<Row>,
    n_busy: usize,
    n_planned: usize,
}

impl Source for Memory {
    fn survey(&mut self) -> Result<Survey, Trouble> {
        let mut survey = Survey { n_rows: self.rows.len() as u64, ..Survey::default() };
        self.rows.iter().for_each(|row| survey.schema.widen(row));
        Ok(survey)
    }

    fn partitions(&mut self) -> Result<Vec<Partition>, Trouble> {
        self.n_planned += 1;
        let key = |n: usize| (String::new(), format!("{:06}", n * self.rows.len() / 4));
        let bound = |n: usize| (1..4).contains(&n).then(|| key(n));
        Ok((0..4).map(|n| Partition::Keys { after: bound(n), until: bound(n + 1) }).collect())
    }

    fn read(&mut self, partition: &Partition, after: Option<&Cursor>, budget: Budget) -> Result<Page, Trouble> {
        if self.n_busy > 0 {
            self.n_busy -= 1;
            return Err(Trouble::transient("reading", "busy"));
        }
        let Partition::Keys { after: begin, until } = partition else { panic!("keys") };
        let begin = match after {
            Some(Cursor::Key(_, id)) => Some(id.clone()),
            _ => begin.clone().map(|(_, id)| id),
        };
        let is_in = |row: &&Row| {
            begin.as_ref().is_none_or(|begin| row.id > *begin)
                && until.as_ref().is_none_or(|(_, until)| row.id <= *until)
        };
        let all: Vec<Row> = self.rows.iter().filter(is_in).cloned().collect();
        let more = all.len() > budget.n_rows;
        let rows: Vec<Row> = all.into_iter().take(budget.n_rows).collect();
        let next = rows.last().filter(|_| more).map(|row| Cursor::Key(String::new(), row.id.clone()));
        Ok(Page { rows, next, ..Page::default() })
    }
}

/// A target by identifier, which dies after so many writes, and takes no row that holds poison.
#[derive(Default)]
struct Shelf {
    held: BTreeMap<String, RowDigest>,
    n_written: usize,
    dies_after: Option<usize>,
    poison: BTreeSet<String>,
}

impl Target for Shelf {
    fn prepare(&mut self, _: &Schema, _: Option<&[u64]>) -> Result<(), Trouble> {
        Ok(())
    }

    fn budget(&self) -> Budget {
        Budget { n_rows: 10, n_bytes: usize::MAX }
    }

    fn write(&mut self, _: Slot, rows: &[(Row, RowDigest)]) -> Result<(), Trouble> {
        if rows.iter().any(|(row, _)| self.poison.contains(&row.id)) {
            return Err(Trouble::poison("writing", "it is poison"));
        }
        self.held.extend(rows.iter().map(|(row, digest)| (row.id.clone(), *digest)));
        self.n_written += rows.len();
        if self.dies_after.is_some_and(|n| self.n_written >= n) {
            // After the write and before the acknowledgement: the worst moment.
            self.dies_after = None;
            return Err(Trouble::permanent("writing", "killed"));
        }
        Ok(())
    }

    fn seal(&mut self, _: &Sealed) -> Result<(), Trouble> {
        Ok(())
    }
}

/// A shelf that takes batches side by side.
struct Shared(Arc<Mutex<Shelf>>);

impl Target for Shared {
    fn prepare(&mut self, _: &Schema, _: Option<&[u64]>) -> Result<(), Trouble> {
        Ok(())
    }

    fn budget(&self) -> Budget {
        Budget { n_rows: 10, n_bytes: usize::MAX }
    }

    fn write(&mut self, slot: Slot, rows: &[(Row, RowDigest)]) -> Result<(), Trouble> {
        // Every third batch comes later than its follower.
        if rows.first().is_some_and(|(row, _)| row.id.ends_with('3')) {
            std::thread::yield_now();
        }
        self.0.lock().unwrap().write(slot, rows)
    }

    fn beside(&self) -> Option<Box<dyn Target>> {
        Some(Box::new(Shared(Arc::clone(&self.0))))
    }

    fn seal(&mut self, _: &Sealed) -> Result<(), Trouble> {
        Ok(())
    }
}

const LIMITS: Limits = Limits { max_aside: 5, batch_rows: None };

fn begin(directory: &TempDir, source: &mut Memory) -> Journal {
    let mut journal = Journal::open(directory.path()).unwrap();
    if journal.begun().unwrap().is_none() {
        let Survey { n_rows, schema } = source.survey().unwrap();
        let begun = Begun { source: "memory".into(), target: "shelf".into(), n_rows, schema };
        journal.begin(&begun, &source.partitions().unwrap()).unwrap();
    }
    journal
}

fn copy(directory: &TempDir, source: &mut Memory, target: &mut dyn Target) -> Result<Tally, CopyError> {
    let mut journal = begin(directory, source);
    let schema = journal.begun().unwrap().unwrap().schema;
    Copying { source, target, journal: &mut journal, schema: &schema, limits: LIMITS }.run(|_| {})
}

#[test]
fn a_copy_that_dies_at_every_moment_loses_nothing_and_never_plans_again() {
    let directory = TempDir::new().unwrap();
    let mut source = Memory { rows: rows(203), n_busy: 0, n_planned: 0 };
    let mut target = Shelf::default();
    let mut n_deaths = 0;
    let tally = loop {
        target.n_written = 0;
        target.dies_after = Some(20);
        match copy(&directory, &mut source, &mut target) {
            Ok(tally) => break tally,
            Err(_) => n_deaths += 1,
        }
    };
    assert!(n_deaths > 10, "{n_deaths}");
    assert_eq!(source.n_planned, 1);
    assert_eq!(tally.n_rows, 203);
    let expected: BTreeMap<String, RowDigest> =
        source.rows.iter().map(|row| (row.id.clone(), row_digest(row))).collect();
    assert_eq!(target.held, expected);
    assert_eq!(tally.digest, expected.values().fold(0_u128, |sum, digest| sum.wrapping_add(*digest)));
}

#[test]
fn batches_that_are_written_side_by_side_are_acknowledged_in_the_order_of_reading() {
    let directory = TempDir::new().unwrap();
    let mut source = Memory { rows: rows(1003), n_busy: 0, n_planned: 0 };
    let shelf = Arc::new(Mutex::new(Shelf::default()));
    let mut n_deaths = 0;
    let tally = loop {
        {
            let mut shelf = shelf.lock().unwrap();
            (shelf.n_written, shelf.dies_after) = (0, Some(70));
        }
        match copy(&directory, &mut source, &mut Shared(Arc::clone(&shelf))) {
            Ok(tally) => break tally,
            Err(_) => n_deaths += 1,
        }
        // Whatever is marked was written: a batch that came before its turn is not marked over one that did not come.
        let marked: u64 = begin(&directory, &mut source).progress().unwrap().iter().map(|part| part.n_rows).sum();
        assert!(marked <= shelf.lock().unwrap().held.len() as u64, "{marked}");
    };
    assert!(n_deaths > 5, "{n_deaths}");
    let expected: BTreeMap<String, RowDigest> =
        source.rows.iter().map(|row| (row.id.clone(), row_digest(row))).collect();
    assert_eq!(shelf.lock().unwrap().held, expected);
    assert_eq!(tally.n_rows, 1003);
    assert_eq!(tally.digest, expected.values().fold(0_u128, |sum, digest| sum.wrapping_add(*digest)));
}

/// What the leading tool does on a stop (research: its ranges are drawn anew, its offsets are those of the old ranges): here in the same words, so that the
/// harness above is shown to see the loss. 4 workers, killed half way.
#[test]
fn bounds_that_are_drawn_anew_after_a_stop_lose_rows() {
    let n = 10_000_usize;
    let mut n_losing = 0;
    let mut state = 3_u64;
    let mut draw = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for _ in 0..60 {
        let mut bounds = || {
            let mut cuts = [draw(n), draw(n), draw(n)];
            cuts.sort_unstable();
            [0, cuts[0], cuts[1], cuts[2], n]
        };
        let (old, new) = (bounds(), bounds());
        let mut held = vec![false; n];
        for range in 0..4 {
            let reached = usize::midpoint(old[range], old[range + 1]);
            held[old[range]..reached].fill(true);
            // From the old range's offset to the new range's end.
            held[reached.min(new[range + 1])..new[range + 1]].fill(true);
        }
        n_losing += usize::from(held.iter().any(|is_held| !is_held));
    }
    assert!(n_losing > 30, "{n_losing} of 60");
}

#[test]
fn poison_is_put_aside_whole_and_the_rows_around_it_go_through() {
    let directory = TempDir::new().unwrap();
    let mut source = Memory { rows: rows(50), n_busy: 2, n_planned: 0 };
    let mut target = Shelf { poison: BTreeSet::from(["000007".to_owned(), "000031".to_owned()]), ..Shelf::default() };
    source.rows[20].dense.insert("other".into(), Dense::I8(vec![1]));
    // The schema is the one of all rows; a row whose vector is of another length than the first's is not of it.
    source.rows[40].dense.insert("dense".into(), Dense::F32(vec![1.0, 2.0]));
    let tally = copy(&directory, &mut source, &mut target).unwrap();
    assert_eq!((tally.n_rows, tally.n_aside, target.held.len()), (47, 3, 47));
    let asides = Journal::open(directory.path()).unwrap().asides(10).unwrap();
    let whys: Vec<(&str, &str)> = asides.iter().map(|aside| (aside.place.as_str(), aside.why.as_str())).collect();
    assert_eq!(
        whys,
        [
            ("row `000007` of namespace ``", "it is poison"),
            ("row `000031` of namespace ``", "it is poison"),
            ("row `000040` of namespace ``", "its vector `dense` is 2 × F32; the collection's is 1 × F32"),
        ]
    );
    let kept = crate::stores::from_line(&asides[0].found).unwrap();
    assert_eq!(row_digest(&kept), row_digest(&source.rows[7]));
}

/// A target that takes only so many rows at once, whichever way it says so; it counts what it was asked.
struct Narrow {
    shelf: Shelf,
    most: usize,
    says: fn(&str) -> Trouble,
    slots: Vec<(Slot, usize)>,
    n_refused: usize,
}

impl Target for Narrow {
    fn prepare(&mut self, _: &Schema, _: Option<&[u64]>) -> Result<(), Trouble> {
        Ok(())
    }

    fn budget(&self) -> Budget {
        Budget { n_rows: 64, n_bytes: usize::MAX }
    }

    fn write(&mut self, slot: Slot, rows: &[(Row, RowDigest)]) -> Result<(), Trouble> {
        if rows.len() > self.most {
            self.n_refused += 1;
            return Err(Trouble { after: Some(Duration::ZERO), ..(self.says)("writing") }.too_much(true));
        }
        self.slots.push((slot, rows.len()));
        self.shelf.write(slot, rows)
    }

    fn seal(&mut self, _: &Sealed) -> Result<(), Trouble> {
        Ok(())
    }
}

#[test]
fn a_target_that_takes_less_at_once_gets_less_and_the_journal_counts_every_batch() {
    let too_large: fn(&str) -> Trouble = |doing| Trouble::poison(doing, "413");
    let too_many: fn(&str) -> Trouble = |doing| Trouble::transient(doing, "429");
    for says in [too_large, too_many] {
        let directory = TempDir::new().unwrap();
        let mut source = Memory { rows: rows(1003), n_busy: 0, n_planned: 0 };
        let mut target = Narrow { shelf: Shelf::default(), most: 20, says, slots: Vec::new(), n_refused: 0 };
        // The worst moment, half way.
        target.shelf.dies_after = Some(500);
        copy(&directory, &mut source, &mut target).unwrap_err();
        let tally = copy(&directory, &mut source, &mut target).unwrap();
        assert_eq!((tally.n_rows, tally.n_aside, target.shelf.held.len()), (1003, 0, 1003));
        assert!(tally.least_rows.is_some_and(|least| (8..20).contains(&least)), "{tally:?}");
        // Without what is learned every page of 64 would be refused three times.
        assert!(target.n_refused < 25, "{}", target.n_refused);
        let progress = Journal::open(directory.path()).unwrap().progress().unwrap();
        let n_parts: u64 = progress.iter().map(|part| part.n_parts).sum();
        // What was written and not acknowledged is one page at most, and was written again to the same slots.
        let slots: BTreeSet<(usize, u64)> = target.slots.iter().map(|(slot, _)| (slot.partition, slot.part)).collect();
        assert_eq!(slots.len() as u64, n_parts);
        assert!(target.slots.len() as u64 - n_parts <= 64 / 8);
    }
}

#[test]
fn where_everything_is_poison_the_copy_stops() {
    let directory = TempDir::new().unwrap();
    let mut source = Memory { rows: rows(50), n_busy: 0, n_planned: 0 };
    let mut target = Shelf { poison: source.rows.iter().map(|row| row.id.clone()).collect(), ..Shelf::default() };
    let stopped = copy(&directory, &mut source, &mut target).unwrap_err().to_string();
    assert!(stopped.contains("rows were put aside, and 5 are the most"), "{stopped}");
    // docs/reference/vectors.md says half a minute.
    assert_eq!(crate::patience::longest_wait(), Duration::from_millis(25_400));
}
