//! Two JSON values, field by field. A field is a path to a value that holds no others.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Distance;
use super::said::Call;

/// How many paths are named.
const MOST_NAMED: usize = 5;
/// A longer path is cut.
const LONGEST_PATH: usize = 80;
/// Fields that are looked at of one value; what comes after counts as one.
const MOST_FIELDS: usize = 4096;

/// Fields that may differ: `id` is a member of this name wherever it is, `items.*.price` a path.
#[derive(Debug, Default)]
pub(in crate::shadow) struct Ignore {
    names: Vec<String>,
    paths: Vec<Vec<String>>,
}

impl Ignore {
    /// Rules as the config has them.
    pub(in crate::shadow) fn of(rules: &[String]) -> Self {
        let (paths, names): (Vec<&String>, Vec<&String>) = rules.iter().partition(|rule| rule.contains('.'));
        Self {
            names: names.into_iter().cloned().collect(),
            paths: paths.into_iter().map(|path| path.split('.').map(str::to_owned).collect()).collect(),
        }
    }

    fn holds(&self, path: &[String]) -> bool {
        let is_named = path.last().is_some_and(|last| self.names.iter().any(|name| name == last));
        let fits = |rule: &Vec<String>| {
            rule.len() == path.len() && rule.iter().zip(path).all(|(want, have)| want == "*" || want == have)
        };
        is_named || self.paths.iter().any(fits)
    }
}

/// The fraction of the fields of both that differ, and which.
pub(super) fn values(one: &Value, other: &Value, ignore: &Ignore) -> Distance {
    let (one, other) = (flat(one, ignore), flat(other, ignore));
    differing(&[(one, other)])
}

/// The same of calls: their names and the fields of their arguments. Calls are matched by name in their order, for models may make
/// several at once in any order; their ids are not looked at.
pub(super) fn calls(one: &[Call], other: &[Call], ignore: &Ignore) -> Distance {
    let mut left: Vec<Option<&Call>> = other.iter().map(Some).collect();
    let mut matched = Vec::new();
    let fields = |call: &Call, idx: usize| {
        let mut fields = BTreeMap::from([(format!("{idx}.name"), Value::String(call.name.clone()))]);
        let arguments = flat(&call.arguments, ignore);
        fields.extend(arguments.into_iter().map(|(path, value)| (format!("{idx}.{path}"), value)));
        fields
    };
    for (idx, call) in one.iter().enumerate() {
        // The same arguments before others, so that two calls of one tool are not held against each other.
        let same = |exact: bool| {
            left.iter().position(|other| {
                other.is_some_and(|other| other.name == call.name && (!exact || other.arguments == call.arguments))
            })
        };
        let partner = same(true).or_else(|| same(false)).and_then(|at| left[at].take());
        matched.push((fields(call, idx), partner.map_or_else(BTreeMap::new, |partner| fields(partner, idx))));
    }
    for (idx, call) in left.into_iter().flatten().enumerate() {
        matched.push((BTreeMap::new(), fields(call, one.len() + idx)));
    }
    differing(&matched)
}

type Fields = BTreeMap<String, Value>;

fn differing(pairs: &[(Fields, Fields)]) -> Distance {
    let (mut n, mut n_differing, mut named) = (0_u32, 0_u32, Vec::new());
    for (one, other) in pairs {
        let only_there = other.keys().filter(|path| !one.contains_key(*path));
        for path in one.keys().chain(only_there) {
            n += 1;
            let is_same = match (one.get(path), other.get(path)) {
                (Some(one), Some(other)) => is_same(one, other),
                _ => false,
            };
            if !is_same {
                n_differing += 1;
                if named.len() < MOST_NAMED {
                    named.push(path.chars().take(LONGEST_PATH).collect::<String>());
                }
            }
        }
    }
    if n_differing == 0 {
        return (0.0, None);
    }
    let more = if n_differing as usize > named.len() { ", …" } else { "" };
    let detail = format!("{n_differing} of {n} fields: {}{more}", named.join(", "));
    (f64::from(n_differing) / f64::from(n), Some(detail))
}

/// Numbers by what they are worth, texts without the space around them.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::String(one), Value::String(other)) => one.trim() == other.trim(),
        _ => one == other,
    }
}

/// The fields of a value by path; an empty list or object is a field itself.
fn flat(value: &Value, ignore: &Ignore) -> Fields {
    let (mut fields, mut path) = (Fields::new(), Vec::new());
    add(value, ignore, &mut path, &mut fields);
    fields
}

fn add(value: &Value, ignore: &Ignore, path: &mut Vec<String>, fields: &mut Fields) {
    if ignore.holds(path) || fields.len() >= MOST_FIELDS {
        return;
    }
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                path.push(name.clone());
                add(value, ignore, path, fields);
                path.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (idx, value) in items.iter().enumerate() {
                path.push(idx.to_string());
                add(value, ignore, path, fields);
                path.pop();
            }
        }
        leaf => {
            fields.insert(path.join("."), leaf.clone());
        }
    }
}
