//! Groups of deployments become routes: the first serves, the others take over, and after them the groups that LiteLLM falls
//! back to.

use super::super::Importing;
use super::super::draft::{Target, slug};
use super::super::tree::{Node, Value};
use super::super::variables::{Text, looks_secret, shown};
use super::deployments::{Deployment, Deployments};
use super::groups::{Group, groups};
use super::settings::Settings;

/// Adds every route.
pub(super) fn read<'n>(deployments: &Deployments<'n>, settings: &Settings<'n>, importing: &mut Importing<'_>) {
    let Deployments { kept, lost } = deployments;
    let groups = groups(kept);
    let mut chains: Vec<(&str, Vec<String>)> = groups.iter().map(|group| (group.name, group.targets())).collect();
    for (from, to) in &settings.fallbacks {
        let names = if *from == "*" { chains.iter().map(|(name, _)| *name).collect() } else { vec![*from] };
        let has_own = |name: &str| settings.fallbacks.iter().any(|(own, _)| *own == name);
        let names: Vec<&str> = names.into_iter().filter(|name| *from != "*" || !has_own(name)).collect();
        take_over(to, &names, &groups, settings, &mut chains, importing);
    }
    let everybody: Vec<&str> = chains.iter().map(|(name, _)| *name).collect();
    let has_any = |name: &str| settings.fallbacks.iter().any(|(own, _)| *own == name || *own == "*");
    let without: Vec<&str> = everybody.into_iter().filter(|name| !has_any(name)).collect();
    take_over(settings.default_fallbacks, &without, &groups, settings, &mut chains, importing);
    for (group, (_, chain)) in groups.iter().zip(&chains) {
        add(group, chain, settings, importing);
    }
    unknown_names(settings, &groups, importing);
    for (name, node, line) in lost {
        lose(name, node, *line, importing);
    }
    aliases(settings, &groups, &chains, importing);
}

/// Adds the targets of the groups in `to` to the chains of `names`.
fn take_over(
    to: &[Node],
    names: &[&str],
    groups: &[Group<'_, '_>],
    settings: &Settings<'_>,
    chains: &mut [(&str, Vec<String>)],
    importing: &mut Importing<'_>,
) {
    for node in to {
        let Some(wanted) = node.text() else {
            let hint = "name the group alone, and write the parameters into its target";
            importing.ledger.unsupported(node, "a fallback with parameters of its own", hint);
            continue;
        };
        let targets = resolve(wanted, groups, settings, importing);
        let takes: Vec<&str> =
            names.iter().copied().filter(|name| chains.iter().any(|(group, _)| group == name)).collect();
        if targets.is_empty() {
            importing.ledger.unsupported(
                node,
                format!("`{}` names no deployment that is carried over", shown(wanted)),
                "add a target for it",
            );
        } else if takes.is_empty() && std::ptr::eq(to, settings.default_fallbacks) {
            importing.ledger.mapped(node, "routes.*");
        } else if takes.is_empty() {
            importing.ledger.harmless(
                node,
                "no route needs it: the group it takes over from is not there, or has fallbacks of its own",
            );
        } else {
            let to = takes.iter().map(|name| format!("routes.{name}.fallback")).collect::<Vec<_>>().join(", ");
            importing.ledger.mapped(node, to);
            for (_, chain) in chains.iter_mut().filter(|(group, _)| takes.contains(group)) {
                chain.extend(targets.iter().cloned());
            }
        }
    }
}

/// The targets that a request to `wanted` would go to.
fn resolve(
    wanted: &str,
    groups: &[Group<'_, '_>],
    settings: &Settings<'_>,
    importing: &mut Importing<'_>,
) -> Vec<String> {
    let named = |name: &str| groups.iter().find(|group| group.name == name).map(Group::targets);
    let alias = settings.aliases.iter().find(|(alias, _)| *alias == wanted).and_then(|(_, node)| group_of(node));
    if let Some(targets) = named(wanted).or_else(|| alias.and_then(named)) {
        return targets;
    }
    if looks_secret(wanted) {
        return Vec::new();
    }
    let fitting = groups.iter().filter(|group| star(group.name, wanted).is_some());
    let Some(group) = fitting.max_by_key(|group| group.name.len()) else { return Vec::new() };
    let star = star(group.name, wanted).unwrap_or_default();
    let mut targets = Vec::new();
    for deployment in &group.deployments {
        if !deployment.wildcard {
            targets.push(deployment.target.clone());
            continue;
        }
        let Some(pattern) = importing.draft.target_mut(&deployment.target) else { continue };
        let model = pattern.value.model.as_str().replacen('*', &Text::literal(star).to_string(), 1);
        let target = Target { model: Text::written(model), ..pattern.value.clone() };
        targets.push(importing.draft.target(&slug(wanted), target));
    }
    targets
}

/// What the `*` of `pattern` stands for in `name`.
fn star<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    let (before, after) = pattern.split_once('*')?;
    name.strip_prefix(before)?.strip_suffix(after)
}

fn add(group: &Group<'_, '_>, chain: &[String], settings: &Settings<'_>, importing: &mut Importing<'_>) {
    let name = group.name;
    let Some((target, fallback)) = chain.split_first() else { return };
    let others: Vec<&String> =
        group.deployments.iter().map(|deployment| &deployment.target).filter(|other| *other != target).collect();
    let is_spread = !others.is_empty()
        && group.deployments.iter().all(|deployment| deployment.order.total_cmp(&group.deployments[0].order).is_eq());
    if let Some(route) = importing.draft.route(name, target.clone(), fallback.to_vec()) {
        route.value.max_attempts = settings.max_attempts;
        if is_spread {
            route.comment("LiteLLM spreads requests over all deployments; those that are no replicas of the first take over when it fails.");
        }
    }
    for (idx, deployment) in group.deployments.iter().enumerate() {
        settle(deployment, (idx, group.deployments.len()), target, importing);
    }
}

/// What became of a deployment's name, and of what its requests are spread by.
fn settle(
    deployment: &Deployment<'_>,
    (idx, n_deployments): (usize, usize),
    target: &str,
    importing: &mut Importing<'_>,
) {
    let ledger = &mut importing.ledger;
    let (name, is_together) = (deployment.group, deployment.target == target);
    match (idx, is_together, deployment.n_replicas) {
        (0, ..) => ledger.mapped(deployment.name, format!("routes.{name}")),
        (_, true, 0) => {
            ledger.mapped_but(deployment.name, format!("routes.{name}"), "the same target as another deployment's")
        }
        (_, true, _) => {
            let note = "a replica: requests go to the less loaded of two, a conversation to the one that had it; LiteLLM draws one";
            ledger.mapped_but(deployment.name, format!("targets.{target}.replicas"), note);
        }
        (_, false, _) => {
            let note =
                "it takes over when those before it fail; it is no replica, for it differs in more than who answers";
            ledger.mapped_but(deployment.name, format!("routes.{name}.fallback"), note);
        }
    }
    for node in &deployment.spreads {
        let is_order = node.path.ends_with(".order");
        match (n_deployments, is_order, is_together && deployment.n_replicas > 0) {
            (1, ..) => {
                ledger.harmless(node, "it spreads requests over the deployments of a group, and this is the only one")
            }
            (_, true, _) => ledger.mapped(node, format!("routes.{name}")),
            (_, false, true) => {
                ledger.mapped_but(
                    node,
                    format!("targets.{target}.replicas"),
                    "requests are spread by load, whatever the weights",
                );
            }
            (_, false, false) => ledger.unsupported(
                node,
                "requests are spread over replicas of one target only; of the others the first serves",
                "give each a route, or make them differ in nothing but who answers",
            ),
        }
    }
}

/// Decides about the name of a deployment that is not carried over: others of that name may be, or a pattern may catch it.
fn lose(name: &str, node: &Node, line: usize, importing: &mut Importing<'_>) {
    let why = "part of a deployment that is not carried over";
    let routes = &mut importing.draft.routes;
    if routes.iter().any(|route| route.name == name) {
        let why = format!("{why}; others of that name are, and serve alone");
        return importing.ledger.unsupported(node, why, format!("see line {line}"));
    }
    let fitting = routes.iter_mut().filter(|route| star(&route.name, name).is_some());
    let Some(route) = fitting.max_by_key(|route| route.name.len()) else {
        return importing.ledger.unsupported(node, why, format!("see line {line}"));
    };
    route.comment(format!("`{name}`, which is not carried over, comes here too: see line {line} of the source."));
    let why = format!("{why}; requests for it go to the route `{}`", route.name);
    importing.ledger.unsupported(node, why, format!("see line {line}"));
}

/// LiteLLM's default fallbacks also answer requests for names that nobody has.
fn unknown_names(settings: &Settings<'_>, groups: &[Group<'_, '_>], importing: &mut Importing<'_>) {
    let resolved = settings.default_fallbacks.iter().filter_map(Node::text);
    let targets: Vec<String> = resolved.flat_map(|name| resolve(name, groups, settings, importing)).collect();
    if let Some((target, fallback)) = targets.split_first()
        && let Some(route) = importing.draft.route("*", target.clone(), fallback.to_vec())
    {
        route.value.max_attempts = settings.max_attempts;
        route.comment("LiteLLM sends names that nobody has to its default fallbacks.");
    }
}

/// The group an alias stands for.
fn group_of(node: &Node) -> Option<&str> {
    node.text().or_else(|| node.get("model").and_then(Node::text))
}

fn aliases(
    settings: &Settings<'_>,
    groups: &[Group<'_, '_>],
    chains: &[(&str, Vec<String>)],
    importing: &mut Importing<'_>,
) {
    for (alias, node) in settings.aliases.iter().filter(|(alias, _)| !looks_secret(alias)) {
        let of = group_of(node);
        let chain = of.and_then(|of| chains.iter().find(|(name, _)| *name == of)).map(|(_, chain)| chain.clone());
        let chain = chain.or_else(|| of.map(|of| resolve(of, groups, settings, importing)));
        if let (Some(_), Some(hidden)) = (node.get("model"), node.get("hidden")) {
            importing.ledger.mapped_but(
                hidden,
                format!("routes.{alias}"),
                "every route that is no pattern is in the list of models",
            );
        }
        let at = node.get("model").unwrap_or(node);
        match chain.as_deref().and_then(<[String]>::split_first) {
            Some((target, fallback)) => {
                if let Some(route) = importing.draft.route(alias, target.clone(), fallback.to_vec()) {
                    route.value.max_attempts = settings.max_attempts;
                    route.comment("another name in LiteLLM");
                    importing.ledger.mapped(at, format!("routes.{alias}"));
                } else {
                    importing.ledger.harmless(at, "a group of that name is there, and it is what LiteLLM calls too");
                }
            }
            None if node.value == Value::Nothing => importing.ledger.harmless(node, "it is another name of nothing"),
            None => {
                importing.ledger.unsupported(at, "it stands for no group that is carried over", "add a route for it")
            }
        }
    }
}
