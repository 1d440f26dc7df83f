//! `residency` of routes, workloads and tenants: what may not leave the house.

use gateway::snapshot::Route;
use govern::Residency;

use super::reader::Section;
use super::targets::Targets;

/// `residency: internal`, or `anywhere`, which need not be written.
pub(crate) fn read(section: &Section<'_>) -> Residency {
    let words = Residency::ALL.map(|residency| (residency.as_str(), residency));
    section.get("residency").and_then(|item| item.word(&words)).unwrap_or_default()
}

/// What is wrong with a target on a route, and what to write instead, when the route's requests may not leave the house and would.
pub(crate) fn leaves(route: &Route, target: &str, targets: &Targets) -> Option<(String, String)> {
    if route.residency != Residency::Internal {
        return None;
    }
    let mut providers = targets.get(target)?.providers();
    let outside = providers.find(|provider| provider.class.is_external())?;
    let (name, class, provider) = (&route.name, outside.class, &outside.name);
    let message = format!(
        "`{target}` is outside the house (provider `{provider}`, class {class}), and route `{name}` is internal"
    );
    let hint = format!("name another target; if `{provider}` is in the house, write `class: self_hosted` there");
    Some((message, hint))
}
