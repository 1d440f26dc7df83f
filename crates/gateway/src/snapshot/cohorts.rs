//! Slices of a route's traffic that its rollouts treat apart, each with a share, guards, gates and epochs of its own.

use routing::When;

use super::{Route, Snapshot};

/// One slice. Of all that hold, the first is the request's.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    /// Its name.
    pub name: String,
    /// Which requests are in it.
    pub when: When,
    /// Whose rollouts it has; `None` keeps it on the route's own target.
    pub slot: Option<String>,
}

/// Stands between a rollout's name and its cohort's.
pub const AT: char = '@';

/// Stands between a route's name and its cohort's. No name has it.
const BESIDE: char = '\u{1f}';

/// The name under which the rollouts of a cohort of `route` are found; that of the route for what is in no cohort.
#[must_use]
pub fn slot(route: &str, cohort: Option<&str>) -> String {
    cohort.map_or_else(|| route.to_owned(), |cohort| format!("{route}{BESIDE}{cohort}"))
}

/// The cohort that a rollout is of, by its name: `to-qwen@eu-free` is the rollout `to-qwen` in the cohort `eu-free`.
#[must_use]
pub fn cohort_of(rollout: &str) -> Option<&str> {
    rollout.split_once(AT).map(|(_, cohort)| cohort)
}

impl Snapshot {
    /// The cohorts of a route.
    #[must_use]
    pub fn cohorts(&self, route: &Route) -> &[Cohort] {
        // A rule may have chosen the route before it had its cohorts.
        self.routes.get(&route.name).map_or(&[], |route| &route.cohorts)
    }
}
