//! How much of each vendor is used, and how much of it is left.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::alternative::Candidate;
use super::cell::{Cell, Standing, effort_of};
use super::effort::{Effort, Risk};
use super::used::{Used, class_of};
use super::{Counts, Grouped, Key, Row, cells, collected, ends};
use crate::scan::{Asked, Sunset};
use crate::sovereignty::{Machine, Sovereignty};

/// What an inventory calls a client of a machine of one's own.
pub(super) const OWN: &str = "self-hosted";
/// Whose recorded answers of a simulated provider are, where its model is nobody's.
const SIMULATED: &str = "simulated";

/// What an inventory calls a vendor that code does not name.
pub(super) const UNKNOWN: &str = "unknown";

/// A vendor that is depended on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Whose service.
    pub vendor: String,
    /// Of calls whose vendor is chosen at run time: whom their libraries are set up for.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub among: Vec<String>,
    /// Call sites.
    pub sites: usize,
    /// Places that configure it or depend on its library.
    pub configured: usize,
    /// Requests on record.
    pub requests: u64,
    /// What is used of it.
    pub needs: Vec<String>,
    /// Libraries.
    pub libraries: Vec<String>,
    /// Models.
    pub models: Vec<String>,
    /// Who owns the places.
    pub owners: Vec<String>,
    /// What of it has an end.
    pub ends: Vec<Sunset>,
    /// Of how many calls the model is not known, so that nobody knows whether it has an end.
    #[serde(default)]
    pub asked: Asked,
    /// How many of its rows are what.
    pub counts: Counts,
    /// The largest of its rows, at its own places alone.
    pub effort: Effort,
    /// The same.
    pub risk: Risk,
    /// Dependence today.
    pub today: Sovereignty,
    /// When what is proved has moved and the vendor stands by.
    pub after: Sovereignty,
    /// When everything has moved and the vendor is let go; `None` where there is nothing it could move to.
    pub at_best: Option<Sovereignty>,
}

/// Vendor by vendor, the one with most call sites first.
pub(super) fn dependencies(
    used: &[Used],
    grouped: &Grouped<'_>,
    rows: &[Row],
    candidates: &[Candidate],
) -> Vec<Dependency> {
    let vendors: BTreeSet<&str> = used
        .iter()
        .flat_map(|one| one.among.iter().chain([&one.vendor]))
        .map(String::as_str)
        .filter(|vendor| *vendor != "-")
        .collect();
    let mut all: Vec<Dependency> =
        vendors.into_iter().map(|vendor| of(vendor, used, (grouped, rows), candidates)).collect();
    all.sort_by_key(|dependency| std::cmp::Reverse((dependency.sites, dependency.requests, dependency.configured)));
    all
}

fn of(vendor: &str, used: &[Used], (grouped, rows): (&Grouped<'_>, &[Row]), candidates: &[Candidate]) -> Dependency {
    let own: Vec<&Used> = used.iter().filter(|one| one.is_of(vendor)).collect();
    let of_it: Vec<_> =
        grouped.iter().zip(rows).filter(|((_, uses), _)| uses.iter().any(|one| one.is_of(vendor))).collect();
    let shared: Vec<Cell> =
        of_it.iter().filter_map(|((key, uses), row)| own_cell(vendor, (**key, uses), row, candidates)).collect();
    let rows: Vec<&Row> = of_it.iter().map(|(_, row)| *row).collect();
    let (class, external) = class_of(vendor);
    let machine = Machine { name: vendor, class, external, simulated: vendor == SIMULATED };
    let today = Sovereignty::of(&[machine], &[]);
    let n_places = |is_site: bool| {
        own.iter()
            .filter(|one| one.is_site == is_site && !one.is_part)
            .filter_map(|one| one.place.as_ref())
            .collect::<BTreeSet<_>>()
            .len()
    };
    Dependency {
        vendor: vendor.to_owned(),
        among: if vendor == UNKNOWN { among(&own, used) } else { Vec::new() },
        sites: n_places(true),
        configured: n_places(false),
        requests: own.iter().map(|one| one.requests).sum(),
        needs: rows.iter().map(|row| row.id()).collect(),
        libraries: collected(own.iter().map(|one| one.library.clone()).filter(|name| !name.is_empty())),
        models: collected(own.iter().filter_map(|one| one.model.clone()).filter(|id| !id.is_empty())),
        owners: collected(own.iter().flat_map(|one| one.owners.clone())),
        ends: ends(&own),
        counts: Counts::of(rows.iter().map(|row| row.standing)),
        asked: Asked::of(own.iter().filter(|one| one.is_asked).map(|one| one.model.is_some())),
        effort: shared.iter().map(|cell| cell.effort).max().unwrap_or(Effort::S),
        // What is only configured is called by somebody, or will be: nobody measured it.
        risk: shared.iter().map(|cell| cell.risk).max().unwrap_or(if external { Risk::High } else { Risk::Low }),
        after: after(&rows, machine, candidates).unwrap_or_else(|| today.clone()),
        at_best: at_best(&rows, machine, candidates),
        today,
    }
}

/// Whom the libraries are set up for elsewhere that these places call.
fn among(own: &[&Used], used: &[Used]) -> Vec<String> {
    let libraries: BTreeSet<&str> = own.iter().map(|one| one.library_name()).filter(|name| !name.is_empty()).collect();
    let others =
        used.iter().filter(|one| one.is_site && one.vendor != UNKNOWN && libraries.contains(one.library_name()));
    let told = own.iter().flat_map(|one| one.among.iter().cloned());
    // Of places that all say among whom they choose nobody else is.
    match own.iter().all(|one| !one.is_site || !one.among.is_empty()) {
        true => collected(told),
        false => collected(told.chain(others.map(|one| one.vendor.clone()))),
    }
}

/// What a row's replacement asks for at the places of one vendor: those of others in the same row are none of its work.
fn own_cell(vendor: &str, (key, uses): (Key, &[&Used]), row: &Row, candidates: &[Candidate]) -> Option<Cell> {
    let own: Vec<&Used> = uses.iter().filter(|one| one.is_of(vendor)).copied().collect();
    let all = cells(key, &own, candidates);
    let best = all.iter().find(|cell| row.best.as_ref() == Some(&cell.alternative))?;
    Some(Cell { effort: effort_of(best, &all), ..best.clone() })
}

/// Where the best cell of a row is.
fn best<'c>(row: &Row, candidates: &'c [Candidate]) -> Option<Machine<'c>> {
    let name = row.best.as_ref()?;
    candidates.iter().find(|candidate| candidate.facts.name == *name).map(Candidate::machine)
}

/// What is proved has moved, the rest is where it was; `None` where nothing is proved.
fn after<'m>(rows: &[&Row], vendor: Machine<'m>, candidates: &'m [Candidate]) -> Option<Sovereignty> {
    let is_proved = |row: &&&Row| matches!(row.standing, Standing::Equivalent | Standing::Degraded);
    let mut answering: Vec<Machine<'m>> =
        rows.iter().filter(is_proved).filter_map(|row| best(row, candidates)).collect();
    if answering.is_empty() {
        return None;
    }
    let stays = rows.iter().any(|row| !is_proved(&row));
    answering.extend(stays.then_some(vendor));
    Some(sovereignty(&answering, &[vendor]))
}

/// Everything has moved to where its best cell is, and nobody stands by.
fn at_best<'m>(rows: &[&Row], vendor: Machine<'m>, candidates: &'m [Candidate]) -> Option<Sovereignty> {
    let answering: Vec<Machine<'m>> = rows.iter().filter_map(|row| best(row, candidates)).collect();
    match answering.as_slice() {
        [] if vendor.external => None,
        [] => Some(Sovereignty::of(&[vendor], &[])),
        answering => Some(sovereignty(answering, &[])),
    }
}

/// The class, where everybody's machine is known.
fn sovereignty(answering: &[Machine<'_>], standing_by: &[Machine<'_>]) -> Sovereignty {
    match answering.iter().find(|machine| machine.class.is_empty()) {
        Some(Machine { name, .. }) => {
            Sovereignty { class: None, means: format!("not known, as nobody said whose machine `{name}` is") }
        }
        None => Sovereignty::of(answering, standing_by),
    }
}
