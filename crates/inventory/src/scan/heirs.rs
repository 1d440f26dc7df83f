//! Classes that ask another vendor than the class they are derived from: they hand it that vendor's address, and what the base class
//! calls it calls for them at that vendor, too.

use std::ops::RangeInclusive;

use super::facts::{Chain, Class, Facts, Root, Step, Text, Value};
use super::finding::{Confidence, Finding, Kind};
use super::hosts;
use super::link::Index;

/// How many classes are followed one above the other.
const ABOVE: usize = 4;

/// What is asked in classes with another vendor's address is that vendor's; what they inherit is asked there as well.
pub(super) fn settle(findings: &mut Vec<Finding>, index: &Index<'_>) {
    let mut inherited = Vec::new();
    for (file, source) in index.files().iter().enumerate() {
        let derived = || source.facts.classes.iter().filter(|class| !class.parents.is_empty());
        if !derived().any(|class| above(index, file, class).is_some()) {
            continue;
        }
        let addresses = addresses(source.facts);
        for class in derived() {
            let Some(vendor) = vendor_of(&addresses, class) else { continue };
            let bases: Vec<(&str, &Class)> = all_above(index, file, class);
            let of_bases: Vec<Finding> = bases.iter().flat_map(|(path, base)| asked(findings, path, base)).collect();
            let Some(client) = of_bases.iter().find(|found| found.vendor != vendor && takes_an_address(found)) else {
                continue;
            };
            let client = client.clone();
            let own = || asked(findings, source.path, class);
            if own().iter().any(|found| found.kind == Kind::Client) {
                continue;
            }
            let is_called = |operation: &str| own().iter().any(|found| found.operation == operation);
            let calls = of_bases.iter().filter(|found| does(found) && !is_called(&found.operation));
            let name = &class.name;
            let at = |of: &Finding, line: u32| Finding {
                path: source.path.to_owned(),
                line: source.facts.line_in_file(line),
                vendor: vendor.to_owned(),
                confidence: Confidence::Likely.min(of.confidence),
                seen: format!("{name}: {}", of.seen),
                ..of.clone()
            };
            // A line is one site; of what is inherited the first stands for the class.
            inherited.extend(calls.map(|call| at(call, class.from)).next());
            inherited.extend(handed_up(source.facts, class).map(|line| at(&client, line)));
            let lines = lines_of(source.facts, class);
            let is_own = |found: &&mut Finding| {
                found.path == source.path && lines.contains(&found.line) && found.vendor == client.vendor
            };
            for found in findings.iter_mut().filter(is_own).filter(|found| found.kind == Kind::Call) {
                vendor.clone_into(&mut found.vendor);
            }
        }
    }
    let is_new = |found: &Finding| {
        !findings.iter().any(|own| own.kind.is_site() && (&own.path, own.line) == (&found.path, found.line))
    };
    inherited.retain(is_new);
    inherited.dedup_by(|one, other| (&one.path, one.line) == (&other.path, other.line));
    findings.extend(inherited);
}

/// Whether it is a client, or a call of one, that can be told to ask elsewhere.
fn takes_an_address(found: &Finding) -> bool {
    !found.sdk.is_empty() && matches!(found.vendor.as_str(), "openai" | "openai-compatible" | "anthropic")
}

fn does(found: &Finding) -> bool {
    matches!(found.kind, Kind::Call | Kind::Http)
}

fn lines_of(facts: &Facts, class: &Class) -> RangeInclusive<u32> {
    facts.line_in_file(class.from)..=facts.line_in_file(class.to)
}

/// Sites in a class, clients first.
fn asked(findings: &[Finding], path: &str, class: &Class) -> Vec<Finding> {
    let is_in =
        |found: &&Finding| found.path == path && found.kind.is_site() && (class.from..=class.to).contains(&found.line);
    let mut asked: Vec<Finding> = findings.iter().filter(is_in).cloned().collect();
    asked.sort_by_key(|found| (found.kind != Kind::Client, found.operation != "chat", found.line));
    asked
}

/// The class that a class is derived from, where the repository has it.
fn above<'i>(index: &'i Index<'_>, file: usize, class: &Class) -> Option<(usize, &'i Class)> {
    let language = index.files()[file].language.title();
    class.parents.iter().filter(|parent| **parent != class.name).find_map(|parent| {
        let name = parent.rsplit('.').next().unwrap_or(parent);
        let (other, at) =
            index.classes_named(name).find(|(other, _)| index.files()[*other].language.title() == language)?;
        Some((other, &index.files()[other].facts.classes[at]))
    })
}

fn all_above<'i>(index: &'i Index<'_>, file: usize, class: &'i Class) -> Vec<(&'i str, &'i Class)> {
    let (mut all, mut next) = (Vec::new(), above(index, file, class));
    while let Some((file, class)) = next.filter(|_| all.len() < ABOVE) {
        all.push((index.files()[file].path, class));
        next = above(index, file, class);
    }
    all
}

/// Lines with an address that paths are added to, and whose it is.
fn addresses(facts: &Facts) -> Vec<(u32, &'static str)> {
    let mut addresses = Vec::new();
    each(facts, &mut |value| {
        if let Value::Text(Text { value, line }) = value
            && hosts::is_base(value)
        {
            addresses.extend(hosts::vendor_of(value).map(|vendor| (*line, vendor)));
        }
    });
    addresses
}

/// The one vendor whose address stands in the class.
fn vendor_of(addresses: &[(u32, &'static str)], class: &Class) -> Option<&'static str> {
    let mut vendors = addresses.iter().filter(|(line, _)| (class.from..=class.to).contains(line));
    let (_, first) = vendors.next()?;
    vendors.all(|(_, other)| other == first).then_some(first)
}

/// Where the class calls what makes an object of the class above.
fn handed_up(facts: &Facts, class: &Class) -> Option<u32> {
    let mut line = None;
    each(facts, &mut |value| {
        if let Value::Chain(Chain { root, line: at, steps }) = value
            && (*root == Root::Itself || *root == Root::Name("super".to_owned()))
            && (class.from..=class.to).contains(at)
            && matches!(steps.first(), Some(Step::Call(_)))
        {
            line.get_or_insert(*at);
        }
    });
    line
}

/// Every value of a file, what is in it included.
fn each<'f>(facts: &'f Facts, to: &mut impl FnMut(&'f Value)) {
    let bound = facts.bindings.iter().filter_map(|binding| binding.value.as_ref());
    facts.values.iter().chain(bound).for_each(|value| within(value, 0, to));
}

fn within<'f>(value: &'f Value, depth: u32, to: &mut impl FnMut(&'f Value)) {
    to(value);
    if depth > 12 {
        return;
    }
    match value {
        Value::Object(pairs) => pairs.iter().for_each(|(_, value)| within(value, depth + 1, to)),
        Value::List(values) => values.iter().for_each(|value| within(value, depth + 1, to)),
        Value::Chain(chain) => {
            if let Root::Group(values) = &chain.root {
                values.iter().for_each(|value| within(value, depth + 1, to));
            }
            for step in &chain.steps {
                if let Step::Call(call) = step {
                    call.arguments.iter().for_each(|argument| within(&argument.value, depth + 1, to));
                }
            }
        }
        _ => {}
    }
}
