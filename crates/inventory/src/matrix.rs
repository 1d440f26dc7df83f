//! The replacement matrix: of everything that is used of a vendor, how well each alternative has it, what says so, how much work it is and what
//! it risks; and how much of each vendor is left afterwards.
//!
//! [`matrix`] is a pure function of uses and alternatives. A cell is never green by default: what no counting report of
//! `crossfade conformance` says is unproved.

mod alternative;
mod cell;
mod dependency;
mod effort;
mod images;
mod need;
mod probe;
pub(crate) mod recorded;
mod reference;
pub mod render;
#[cfg(test)]
mod tests;
mod used;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::need::{NEEDS, Need, words_of};
use self::used::Speaks;
use crate::scan::Sunset;

pub use self::alternative::{Alternative, Candidate, Facts, MAX_AGE_DAYS};
pub use self::cell::{Cell, Expected, Proof, Standing, Through};
pub use self::dependency::Dependency;
pub use self::effort::{Change, Effort, RULES, Risk};
pub use self::probe::{Probe, ProbeError, ProbeHead, Verdict, probes};
pub use self::recorded::Recorded;
pub use self::used::{Place, Used};

/// The format of a matrix as JSON.
pub const FORMAT: &str = "crossfade-matrix/1";

/// A matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    /// How to read it.
    pub format: String,
    /// What was looked through, by name.
    pub of: Vec<String>,
    /// The day it was made, `YYYY-MM-DD`.
    pub date: String,
    /// What it comes to, in a sentence.
    pub headline: String,
    /// The record that was read, where one was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traffic: Option<Recorded>,
    /// How many rows are what.
    pub counts: Counts,
    /// Columns.
    pub alternatives: Vec<Alternative>,
    /// What is used.
    pub rows: Vec<Row>,
    /// Vendor by vendor.
    pub dependencies: Vec<Dependency>,
    /// Other hosted AI services that the code uses: no row is of them, and nothing is claimed of what could replace them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub services: Vec<Service>,
    /// By which rules.
    pub rules: BTreeMap<String, String>,
}

/// How many are what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Measured equivalent.
    pub equivalent: usize,
    /// Measured to differ.
    pub degraded: usize,
    /// Without a replacement.
    pub none: usize,
    /// Measured by nobody.
    pub unproved: usize,
}

impl Counts {
    fn of(standings: impl Iterator<Item = Standing>) -> Counts {
        let mut counts = Counts::default();
        for standing in standings {
            *match standing {
                Standing::Equivalent => &mut counts.equivalent,
                Standing::Degraded => &mut counts.degraded,
                Standing::Unproved => &mut counts.unproved,
                Standing::None => &mut counts.none,
            } += 1;
        }
        counts
    }
}

/// A hosted AI service that is no vendor's language model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What it is called.
    pub name: String,
    /// Where in code.
    pub places: Vec<Place>,
}

/// Something that is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its word.
    pub need: String,
    /// In which dialect.
    pub through: Through,
    /// What it is.
    pub what: String,
    /// Where in code.
    pub places: Vec<Place>,
    /// What is to be known of these places.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub note: String,
    /// Requests on record.
    pub requests: u64,
    /// Of whom.
    pub vendors: Vec<String>,
    /// Through which libraries.
    pub libraries: Vec<String>,
    /// Which models.
    pub models: Vec<String>,
    /// Who owns the places.
    pub owners: Vec<String>,
    /// What of it has an end.
    pub ends: Vec<Sunset>,
    /// One cell for each alternative.
    pub cells: Vec<Cell>,
    /// The alternative with the best cell.
    pub best: Option<String>,
    /// That cell's.
    pub standing: Standing,
    /// That cell's.
    pub effort: Effort,
    /// That cell's.
    pub risk: Risk,
}

impl Row {
    /// The cell of the alternative that is best.
    #[must_use]
    pub fn best_cell(&self) -> Option<&Cell> {
        self.cells.iter().find(|cell| Some(&cell.alternative) == self.best.as_ref())
    }

    /// The word with the dialect, where that is another than chat completions.
    #[must_use]
    pub fn id(&self) -> String {
        match self.through {
            Through::Responses if self.need != "responses" => format!("responses.{}", self.need),
            Through::Messages if self.need != "messages" => format!("messages.{}", self.need),
            _ => self.need.clone(),
        }
    }
}

/// What a matrix is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// What was looked through, by name.
    pub of: &'a [String],
    /// Today, `YYYY-MM-DD`.
    pub date: &'a str,
    /// The record that was read, where one was.
    pub traffic: Option<&'a Recorded>,
}

/// The matrix of what is used, by what might take its place.
#[must_use]
pub fn matrix(used: &[Used], candidates: &[Candidate], about: About<'_>) -> Matrix {
    let built = images::carried(used);
    let services = services(used);
    let all: Vec<Used> = used.iter().filter(|one| !one.is_part && !one.is_service).cloned().chain(built).collect();
    let used = all.as_slice();
    let grouped = grouped(used);
    let cells: Vec<Vec<Cell>> = grouped.iter().map(|(key, uses)| cells(*key, uses, candidates)).collect();
    let served = served(&cells, candidates);
    let rows: Vec<Row> = grouped
        .iter()
        .zip(cells)
        .map(|(((idx, through), uses), cells)| row((&NEEDS[*idx], *through), uses, cells, &served))
        .collect();
    let counts = Counts::of(rows.iter().map(|row| row.standing));
    let dependencies = dependency::dependencies(used, &grouped, &rows, candidates);
    Matrix {
        format: FORMAT.to_owned(),
        of: about.of.to_vec(),
        date: about.date.to_owned(),
        headline: headline(used, &rows, counts, (&dependencies, about.traffic)),
        traffic: about.traffic.cloned(),
        counts,
        alternatives: candidates.iter().map(Candidate::shown).collect(),
        rows,
        dependencies,
        services,
        rules: RULES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
    }
}

/// Hosted services by name.
fn services(used: &[Used]) -> Vec<Service> {
    let mut by_name: BTreeMap<&str, BTreeSet<Place>> = BTreeMap::new();
    for one in used.iter().filter(|one| one.is_service) {
        by_name.entry(&one.vendor).or_default().extend(one.place.clone());
    }
    by_name
        .into_iter()
        .map(|(name, places)| Service { name: name.to_owned(), places: places.into_iter().collect() })
        .collect()
}

/// What a row is about: a need, in a dialect.
type Key = (usize, Through);

/// Uses by what is used.
type Grouped<'u> = BTreeMap<Key, Vec<&'u Used>>;

/// Uses by what is used, in the order of needs.
fn grouped(used: &[Used]) -> Grouped<'_> {
    let mut grouped = Grouped::new();
    let counts = |one: &&Used| counts(one) || one.is_part;
    let mut put = |word: &str, through: Through, one| {
        if let Some(idx) = NEEDS.iter().position(|need| need.id == word) {
            grouped.entry((idx, through)).or_default().push(one);
        }
    };
    let mut called: BTreeSet<&str> = BTreeSet::new();
    for one in used.iter().filter(counts) {
        let words = words_of(one);
        if !words.is_empty() {
            called.extend(one.among.iter().chain([&one.vendor]).map(String::as_str));
        }
        for word in &words {
            put(word, through(one, word), one);
        }
    }
    for one in used.iter().filter(counts).filter(|one| !called.contains(one.vendor.as_str())) {
        put("unseen", Through::Chat, one);
    }
    grouped
}

/// Whether it is used of somebody else, and not only configured.
fn counts(used: &Used) -> bool {
    (used.is_site || used.place.is_none()) && used.vendor != dependency::OWN
}

/// What has a path of its own, or is kept by the vendor, whatever it is asked for through.
const APART: [&str; 3] = ["responses_state", "vector_store", "tokens"];

fn through(used: &Used, word: &str) -> Through {
    if APART.contains(&word) {
        return Through::Chat;
    }
    if let Some(through) = used.through {
        return through;
    }
    match used.operation.as_str() {
        "responses" => Through::Responses,
        "chat" if used.speaks() == Speaks::Messages => Through::Messages,
        _ => Through::Chat,
    }
}

/// A row's cells, one for each candidate.
fn cells((idx, through): Key, uses: &[&Used], candidates: &[Candidate]) -> Vec<Cell> {
    let is_asked = |one: &&&Used| one.place.is_some() && !one.is_part;
    let changes: Vec<Change> = uses.iter().filter(is_asked).map(|one| one.change()).collect();
    candidates.iter().map(|candidate| cell::cell(&NEEDS[idx], through, candidate, &changes)).collect()
}

/// Of each candidate, how many rows it is proved to have, less those it is proved not to have.
fn served(rows: &[Vec<Cell>], candidates: &[Candidate]) -> Vec<i64> {
    let worth = |cell: &Cell| match cell.standing {
        Standing::Equivalent | Standing::Degraded => 1,
        Standing::Unproved => 0,
        Standing::None => -1,
    };
    let of = |(idx, candidate): (usize, &Candidate)| match candidate.is_made_up() {
        true => i64::MIN,
        false => rows.iter().filter_map(|cells| cells.get(idx)).map(worth).sum(),
    };
    candidates.iter().enumerate().map(of).collect()
}

fn row((need, through): (&Need, Through), uses: &[&Used], cells: Vec<Cell>, served: &[i64]) -> Row {
    let in_code: Vec<&&Used> = uses.iter().filter(|one| one.place.is_some()).collect();
    // A kind of server is named before another where something is known of it; of two that are as good, the one that serves more.
    let rank = |(cell, served): &(&Cell, &i64)| {
        (cell.standing, !cell.repaired, cell.expected.is_none(), cell.effort, std::cmp::Reverse(**served))
    };
    let best = cells.iter().zip(served).min_by_key(rank).map(|(cell, _)| cell);
    let (standing, risk) = best.map_or((Standing::Unproved, Risk::High), |cell| (cell.standing, cell.risk));
    let effort = best.map_or(Effort::L, |best| cell::effort_of(best, &cells));
    Row {
        need: need.id.to_owned(),
        through,
        what: through.said_of(need.what),
        places: collected(in_code.iter().filter_map(|one| one.place.clone())),
        note: images::said(uses),
        requests: uses.iter().map(|one| one.requests_of(need.id)).sum(),
        vendors: collected(
            uses.iter().flat_map(|one| if one.among.is_empty() { vec![one.vendor.clone()] } else { one.among.clone() }),
        ),
        libraries: collected(uses.iter().map(|one| one.library.clone()).filter(|name| !name.is_empty())),
        models: collected(uses.iter().filter_map(|one| one.model.clone()).filter(|id| !id.is_empty())),
        owners: collected(uses.iter().flat_map(|one| one.owners.clone())),
        ends: ends(uses),
        best: best.map(|cell| cell.alternative.clone()),
        standing,
        effort,
        risk,
        cells,
    }
}

fn collected<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.collect::<BTreeSet<T>>().into_iter().collect()
}

/// What of these uses has an end, the first day first.
fn ends(uses: &[&Used]) -> Vec<Sunset> {
    let mut ends: Vec<Sunset> = Vec::new();
    for sunset in uses.iter().flat_map(|one| &one.sunsets) {
        if !ends.contains(sunset) {
            ends.push(sunset.clone());
        }
    }
    ends.sort_by(|a, b| (&a.ends, &a.what).cmp(&(&b.ends, &b.what)));
    ends
}

fn headline(
    used: &[Used],
    rows: &[Row],
    counts: Counts,
    (dependencies, traffic): (&[Dependency], Option<&Recorded>),
) -> String {
    let n_places =
        used.iter().filter(|one| one.is_site).filter_map(|one| one.place.as_ref()).collect::<BTreeSet<_>>().len();
    let many = |n: usize, one: &str, more: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {more}") };
    // Who is only configured is called by nobody that was seen, and who is chosen at run time is one of those that are named.
    let external = dependencies.iter().filter(|of| of.vendor != dependency::OWN);
    let is_called = |of: &&Dependency| of.sites > 0 || of.requests > 0;
    let (unnamed, named): (Vec<_>, Vec<_>) =
        external.clone().filter(is_called).partition(|of| of.vendor == dependency::UNKNOWN);
    let unnamed = match (named.len(), unnamed.iter().any(|of| of.among.is_empty())) {
        (_, false) => "",
        (0, true) => " that the code does not name",
        (_, true) => " that the code names, and of others,",
    };
    let requests: u64 = external.clone().map(|of| of.requests).sum();
    let requests = traffic.map_or_else(String::new, |_| {
        format!(
            " and in {}",
            many(usize::try_from(requests).unwrap_or(usize::MAX), "recorded request", "recorded requests")
        )
    });
    if rows.is_empty() {
        let places = many(n_places, "place", "places");
        return format!("Nothing of a vendor is used that was seen, at {places}{requests}.");
    }
    let Counts { equivalent, degraded, none, unproved } = counts;
    format!(
        "{} of {}{unnamed} in use at {}{requests}. As replacements stand: {equivalent} equivalent, {degraded} degraded, {none} without any, {unproved} unproved.",
        many(rows.len(), "capability", "capabilities"),
        if named.is_empty() { "vendors".to_owned() } else { many(named.len(), "vendor", "vendors") },
        many(n_places, "call site", "call sites"),
    )
}
