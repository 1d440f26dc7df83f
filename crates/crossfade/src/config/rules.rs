//! `rules` of a route: where requests go by what they ask for. Read when every route is there, because a rule may choose another.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use gateway::snapshot::{Route, RouteRule, RuleTo};
use routing::{HeaderIs, Language, Pattern, Size, Tools, When};

use super::error::nearest;
use super::reader::{Item, Section, Written};
use super::rollouts::Workloads;
use super::targets::{Routes, Targets, star_has_meaning};

/// What rules are counted under where none holds.
const NONE: &str = "none";

/// Headers that hold a credential: what they say decides who calls, and nothing else.
const CREDENTIALS: [&str; 5] = ["authorization", "api-key", "x-api-key", "cookie", "proxy-authorization"];

/// What rules are read with.
struct Known<'a> {
    targets: &'a Targets,
    workloads: &'a Workloads,
    routes: &'a Routes,
}

/// Reads the rules of every route and gives them to it.
pub(crate) fn attach(root: &Section<'_>, targets: &Targets, workloads: &Workloads, routes: &mut Routes) {
    let mut read = BTreeMap::new();
    for (name, item) in root.named("routes") {
        let Some(section) = item.section() else { continue };
        let Some(item) = section.get("rules") else { continue };
        let known = Known { targets, workloads, routes };
        read.insert(name.value.clone(), rules(&name.value, &item, &known));
    }
    for (name, (rules, chosen)) in read {
        if let Some(Some(route)) = routes.found.get_mut(&name) {
            route.route.rules = rules;
            route.chosen_targets = chosen;
        }
    }
}

/// Everything about rules that decides which requests the route called `route` gets. Empty when no rule is about it.
pub(crate) fn about(routes: &Routes, route: &str) -> String {
    let mut text = String::new();
    for read in routes.found.values().flatten() {
        let leads_here = |rule: &RouteRule| rule.to.route().name == route;
        if read.route.name == route || read.route.rules.iter().any(leads_here) {
            for RouteRule { when, to, .. } in &read.route.rules {
                // Writing to a String cannot fail.
                writeln!(text, "{}: {when:?} -> {}", read.route.name, to.choice()).unwrap_or_default();
            }
        }
    }
    text
}

/// The rules of one route, and the targets that they choose where they were written.
fn rules(route: &str, item: &Item<'_>, known: &Known<'_>) -> (Vec<RouteRule>, Vec<Written<String>>) {
    let (mut rules, mut chosen): (Vec<RouteRule>, _) = (Vec::new(), Vec::new());
    for (idx, item) in item.list("rules").unwrap_or_default().into_iter().enumerate() {
        let Some(section) = item.section() else { continue };
        let name = section.get("name").and_then(|item| name(&item, &rules));
        let when = section.need("when").and_then(|item| when(&item, known));
        let to = to(route, &section, known, &mut chosen);
        section.finish();
        let (Some(when), Some(to)) = (when, to) else { continue };
        if let Some(before) = rules.iter().find(|before| before.when.covers(&when)) {
            let message =
                format!("this rule is never reached: rule `{}` takes every request that it would", before.name);
            item.note(message, Some("move it up, or remove it".into()));
        }
        rules.push(RouteRule { name: name.unwrap_or_else(|| (idx + 1).to_string()), when, to });
    }
    (rules, chosen)
}

fn name(item: &Item<'_>, before: &[RouteRule]) -> Option<String> {
    let name = item.string()?.value;
    if name == NONE {
        item.note(
            "`none` is what requests are counted under for which no rule holds",
            Some("take another name".into()),
        );
        return None;
    }
    if before.iter().any(|rule| rule.name == name) {
        item.note(format!("the route has a rule `{name}` already"), None);
        return None;
    }
    Some(name)
}

/// Notes a target outside the house that a rule of an internal route leads to, and one of another vector space.
fn stays_inside(item: &Item<'_>, route: &Route, target: &str, known: &Known<'_>) {
    let left = super::residency::leaves(route, target, known.targets);
    for (message, hint) in left.into_iter().chain(super::spaces::mixes(route, target, known.targets)) {
        item.note(message, Some(hint));
    }
}

/// `route: NAME` or `target: NAME`.
fn to(route: &str, section: &Section<'_>, known: &Known<'_>, chosen: &mut Vec<Written<String>>) -> Option<RuleTo> {
    let own = || Some(&known.routes.get(route)?.route);
    match (section.get("route"), section.get("target")) {
        (Some(item), None) => {
            let name = known.routes.reference(&item)?.value;
            if name.contains('*') {
                item.note("a rule chooses one route, not a pattern", Some("name a route without `*`".into()));
                return None;
            }
            let chosen = known.routes.get(&name)?.route.clone();
            for target in std::iter::once(&chosen.target).chain(&chosen.fallback) {
                stays_inside(&item, own()?, target, known);
            }
            Some(RuleTo::Route(Arc::new(chosen)))
        }
        (None, Some(item)) => {
            let target = known.targets.reference(&item)?;
            star_has_meaning(&item, route, &target.value, known.targets);
            stays_inside(&item, own()?, &target.value, known);
            chosen.push(target.clone());
            // The target may be one of the fallbacks, which is not tried twice. Nobody else is asked before it.
            Some(RuleTo::Target(Arc::new(Route { target: target.value, cascade: None, ..own()?.clone() })))
        }
        (Some(_), Some(item)) => {
            item.note("a rule chooses a route or a target, not both", Some("remove one of them".into()));
            None
        }
        (None, None) => {
            section.note("a rule chooses something: `route` or `target` is missing", None);
            None
        }
    }
}

fn when(item: &Item<'_>, known: &Known<'_>) -> Option<When> {
    condition(item, known.workloads)
}

/// A condition on requests; `None` where there is none.
pub(crate) fn condition(item: &Item<'_>, known: &Workloads) -> Option<When> {
    let section = item.section()?;
    let when = When {
        headers: section.named("headers").iter().filter_map(|(name, item)| header(name, item)).collect(),
        tenants: section.get("tenant").map(|item| patterns(&item, "tenants")).unwrap_or_default(),
        workloads: section.get("workload").map(|item| workloads(&item, known)).unwrap_or_default(),
        prompt_bytes: section.get("prompt_bytes").and_then(|item| size(&item, |item| Some(item.size()? as u64))),
        prompt_tokens: section.get("prompt_tokens").and_then(|item| size(&item, |item| item.count(0, u64::MAX))),
        tools: section.get("tools").and_then(|item| tools(&item)),
        languages: section.get("language").map(|item| languages(&item)).unwrap_or_default(),
        geographies: section.get("geography").map(|item| patterns(&item, "geographies")).unwrap_or_default(),
        tasks: section.get("task").map(|item| patterns(&item, "tasks")).unwrap_or_default(),
    };
    let is_empty = when == When::default();
    section.finish();
    if is_empty && item.is_map() && item.named().is_empty() {
        let hint = "give it one, or make its choice the route's own target";
        item.note("a rule without a condition takes every request", Some(hint.into()));
    }
    (!is_empty).then_some(when)
}

fn header(name: &Written<String>, item: &Item<'_>) -> Option<HeaderIs> {
    let lower = name.value.to_ascii_lowercase();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let problem = if CREDENTIALS.contains(&lower.as_str()) {
        Some(("a rule does not look at credentials", "use `tenant`, which the key says"))
    } else if !lower.bytes().all(is_token) {
        Some(("this is no name of a header", "letters, digits and dashes"))
    } else {
        None
    };
    if let Some((message, hint)) = problem {
        item.note(message, Some(hint.into()));
        return None;
    }
    Some(HeaderIs { name: lower, values: patterns(item, "values") })
}

/// A text or several, with one `*` at most in each.
fn patterns(item: &Item<'_>, of: &str) -> Vec<Pattern> {
    let read = |item: &Item<'_>| {
        let text = item.string()?.value;
        let pattern = Pattern::new(&text);
        if pattern.is_none() {
            item.note("expected a text with at most one `*`, which stands for any text", None);
        }
        pattern
    };
    item.one_or_more(of).iter().filter_map(read).collect()
}

/// Names of workloads. They are not patterns, so that a misspelt one is noticed.
fn workloads(item: &Item<'_>, known: &Workloads) -> Vec<Pattern> {
    let read = |item: &Item<'_>| Pattern::new(&known.reference(item)?.value);
    item.one_or_more("workloads").iter().filter_map(read).collect()
}

fn size(item: &Item<'_>, read: impl Fn(&Item<'_>) -> Option<u64>) -> Option<Size> {
    let section = item.section()?;
    let size = Size {
        over: section.get("over").as_ref().and_then(&read),
        up_to: section.get("up_to").as_ref().and_then(&read),
    };
    section.finish();
    if size == Size::default() {
        item.note("a size has a bound: `over`, `up_to` or both", None);
        return None;
    }
    if size.is_empty() {
        item.note("no size is over the one and up to the other", Some("make `up_to` the larger one".into()));
        return None;
    }
    Some(size)
}

/// `true`, `false`, or names.
fn tools(item: &Item<'_>) -> Option<Tools> {
    if let Some(wanted) = item.is_boolean() {
        return Some(if wanted { Tools::Some } else { Tools::None });
    }
    let names = patterns(item, "names of tools");
    (!names.is_empty()).then_some(Tools::Named(names))
}

fn languages(item: &Item<'_>) -> Vec<Language> {
    let read = |item: &Item<'_>| {
        let code = item.string()?.value;
        let language = Language::named(&code);
        if language.is_none() {
            let hint = nearest(&code, Language::words()).map(|word| format!("did you mean `{word}`?"));
            let hint = hint.unwrap_or_else(|| "such as `en`, `de`, `zh`, or `unknown`".into());
            item.note("expected the code of a language that can be told from its text", Some(hint));
        }
        language
    };
    item.one_or_more("languages").iter().filter_map(read).collect()
}
