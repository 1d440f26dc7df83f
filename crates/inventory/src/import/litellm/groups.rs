//! Deployments that are called by one name: in which order LiteLLM calls them, and which of them are one target with replicas.

use super::super::Importing;
use super::super::draft::{Draft, slug};
use super::deployments::Deployment;

/// Deployments of one name, the first to be called first.
pub(super) struct Group<'d, 'n> {
    /// The name.
    pub name: &'n str,
    /// The deployments.
    pub deployments: Vec<&'d Deployment<'n>>,
}

impl Group<'_, '_> {
    /// Their targets, in order.
    pub(super) fn targets(&self) -> Vec<String> {
        self.deployments.iter().map(|deployment| deployment.target.clone()).collect()
    }
}

/// All groups, in the order their names were met.
pub(super) fn groups<'d, 'n>(deployments: &'d [Deployment<'n>]) -> Vec<Group<'d, 'n>> {
    let order = order(deployments);
    let group = |places: Vec<usize>| Group {
        name: places.first().map_or("", |place| deployments[*place].group),
        deployments: places.into_iter().map(|place| &deployments[place]).collect(),
    };
    order.into_iter().map(group).collect()
}

/// Puts every deployment's target into the draft. Those that differ in nothing but who answers, and that LiteLLM spreads
/// requests over, become replicas of one target.
pub(super) fn place(deployments: &mut [Deployment<'_>], importing: &mut Importing<'_>) {
    for places in order(deployments) {
        let Some((&first, others)) = places.split_first() else { continue };
        let measure = measure(&places.iter().map(|place| &deployments[*place]).collect::<Vec<_>>());
        let mut whole = deployments[first].draft.clone();
        let mut together = vec![first];
        for &other in others {
            let (a, b) = (&deployments[first], &deployments[other]);
            if a.draft == b.draft {
                together.push(other);
            } else if is_replica(a, b, measure, &importing.draft) && !whole.replicas.contains(&b.draft.provider) {
                whole.replicas.push(b.draft.provider.clone());
                together.push(other);
            }
        }
        let n_replicas = whole.replicas.len();
        let name = importing.draft.target(&slug(deployments[first].group), whole);
        for place in places {
            let is_together = together.contains(&place);
            let deployment = &mut deployments[place];
            deployment.n_replicas = if is_together { n_replicas } else { 0 };
            deployment.target = if is_together {
                name.clone()
            } else {
                importing.draft.target(&slug(deployment.group), deployment.draft.clone())
            };
            deployment.settle(importing);
        }
    }
}

/// The most replicas a target of Crossfade's may have, besides its own provider.
const MAX_REPLICAS: usize = 31;

fn is_replica(first: &Deployment<'_>, other: &Deployment<'_>, measure: Option<usize>, draft: &Draft) -> bool {
    let mut alike = other.draft.clone();
    alike.provider.clone_from(&first.draft.provider);
    let provider = |name: &str| draft.providers.iter().find(|provider| provider.name == name).map(|found| &found.value);
    let (Some(a), Some(b)) = (provider(&first.draft.provider), provider(&other.draft.provider)) else { return false };
    let is_elsewhere = a.base_url != b.base_url || a.api_key != b.api_key;
    alike == first.draft
        && first.order.total_cmp(&other.order).is_eq()
        && share(first, measure) > 0.0
        && share(other, measure) > 0.0
        && (a.class, a.dialect) == (b.class, b.dialect)
        && is_elsewhere
        && draft.providers.len() <= MAX_REPLICAS
}

/// Places of the deployments of each name, in the order they are called.
fn order(deployments: &[Deployment<'_>]) -> Vec<Vec<usize>> {
    let mut order: Vec<Vec<usize>> = Vec::new();
    for (place, deployment) in deployments.iter().enumerate() {
        match order.iter_mut().find(|places| deployments[places[0]].group == deployment.group) {
            Some(places) => places.push(place),
            None => order.push(vec![place]),
        }
    }
    for places in &mut order {
        let measure = measure(&places.iter().map(|place| &deployments[*place]).collect::<Vec<_>>());
        places.sort_by(|a, b| {
            let (a, b) = (&deployments[*a], &deployments[*b]);
            a.order.total_cmp(&b.order).then(share(b, measure).total_cmp(&share(a, measure)))
        });
    }
    order
}

/// What LiteLLM's `simple-shuffle` spreads the requests of a group by: the first of `weight`, `rpm` and `tpm` that any
/// deployment has.
fn measure(deployments: &[&Deployment<'_>]) -> Option<usize> {
    (0..3).find(|measure| deployments.iter().any(|deployment| deployment.weights[*measure].is_some()))
}

/// A deployment's part by that measure. Where others have one and it has none, it gets nothing while they are well.
fn share(deployment: &Deployment<'_>, measure: Option<usize>) -> f64 {
    measure.map_or(1.0, |measure| deployment.weights[measure].unwrap_or(0.0))
}
