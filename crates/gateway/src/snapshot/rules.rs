//! Where a route sends requests by what they ask for.

use std::sync::Arc;

use routing::When;

use super::Route;

/// One rule of a route. Of all that hold, the first is followed, and only those of the route that the request named are looked at.
#[derive(Debug, Clone)]
pub struct RouteRule {
    /// Its name on record and in metrics.
    pub name: String,
    /// When it holds.
    pub when: When,
    /// Where to.
    pub to: RuleTo,
}

/// What a rule chooses. Either route is whole but for rules of its own.
#[derive(Debug, Clone)]
pub enum RuleTo {
    /// Another route, or the route itself: its targets, its rollout, its policies.
    Route(Arc<Route>),
    /// Another target: the rule's own route, with this one in place of its own.
    Target(Arc<Route>),
}

impl RuleTo {
    /// The route that answers.
    #[must_use]
    pub fn route(&self) -> &Arc<Route> {
        match self {
            RuleTo::Route(route) | RuleTo::Target(route) => route,
        }
    }

    /// `route NAME` or `target NAME`.
    #[must_use]
    pub fn choice(&self) -> String {
        match self {
            RuleTo::Route(route) => format!("route {}", route.name),
            RuleTo::Target(route) => format!("target {}", route.target),
        }
    }
}
