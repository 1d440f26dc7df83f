//! A foreign config as one tree, whatever it was written in. Every node knows its line, its key path and, when it holds a
//! value, its place in the list of everything that has to be accounted for.

pub(crate) mod json;
pub(crate) mod toml;
pub(crate) mod yaml;

use super::Unreadable;
use super::variables::{is_secret_key, looks_secret, shown};

/// Nodes in one file, aliases expanded; a file beyond this is an attack or a mistake.
pub(crate) const MAX_NODES: usize = 200_000;
/// Nesting of one file.
pub(crate) const MAX_DEPTH: usize = 64;

/// A place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where it is: its key when it has one, else itself.
    pub place: Place,
    /// Its key path, `model_list[0].litellm_params.model`.
    pub path: String,
    /// What it is.
    pub value: Value,
    /// Its number among the leaves, when it is one: a scalar or an empty container.
    leaf: usize,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// `null`, `~`, or a key with nothing after it.
    Nothing,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, as it was written but for underscores.
    Number(String),
    /// A text.
    Text(String),
    /// A text that looks like a secret, under a key that keeps none: no reader sees it as a text, so that none can copy it.
    Secret(String),
    /// A list.
    List(Vec<Node>),
    /// A map in the order written, each key once.
    Map(Vec<(String, Node)>),
}

impl PartialEq for Node {
    /// Equal values, wherever they stand.
    fn eq(&self, other: &Node) -> bool {
        self.value == other.value
    }
}

impl Node {
    /// A node that has no path yet.
    pub(crate) fn new(place: Place, value: Value) -> Node {
        Node { place, path: String::new(), value, leaf: usize::MAX }
    }

    /// The value under `key` of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The value below these keys.
    pub(crate) fn at(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The entries of a map; none of anything else.
    pub(crate) fn entries(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The items of a list, or the one value that stands in its place.
    pub(crate) fn one_or_more(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            Value::Nothing | Value::Map(_) => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// A text that says something.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) if !text.trim().is_empty() => Some(text),
            _ => None,
        }
    }

    /// Whether it is a text that no reader may copy: it looks like a secret and stands where none belongs.
    pub(crate) fn is_withheld(&self) -> bool {
        matches!(self.value, Value::Secret(_))
    }

    /// A text, number or boolean as text.
    pub(crate) fn word(&self) -> Option<&str> {
        match &self.value {
            Value::Number(text) => Some(text),
            Value::Boolean(true) => Some("true"),
            Value::Boolean(false) => Some("false"),
            _ => self.text(),
        }
    }

    /// A number, in quotes or not.
    pub(crate) fn number(&self) -> Option<f64> {
        let text = match &self.value {
            Value::Number(text) | Value::Text(text) => text,
            _ => return None,
        };
        text.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// A time in milliseconds that Crossfade's config takes: from one to a year.
    pub(crate) fn milliseconds(&self) -> Option<std::time::Duration> {
        let ms = self.number().filter(|ms| (1.0..=366.0 * 86_400_000.0).contains(ms))?;
        std::time::Duration::try_from_secs_f64(ms.round() / 1000.0).ok()
    }

    /// A whole number that Crossfade's config takes for a number of calls: from one to a million.
    pub(crate) fn count(&self) -> Option<u64> {
        let n = self.number().filter(|n| (1.0..=1_048_576.0).contains(n))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 2^20")]
        Some(n as u64)
    }

    /// The calls that so many retries make, at most ten.
    pub(crate) fn attempts(&self) -> Option<u64> {
        let n = self.number().filter(|n| (0.0..=1_000_000.0).contains(n))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
        Some((n as u64 + 1).min(10))
    }

    /// `true` or `false`, in quotes or not.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match &self.value {
            Value::Boolean(boolean) => Some(*boolean),
            Value::Text(text) => text.to_lowercase().parse().ok(),
            _ => None,
        }
    }

    /// Calls `visit` with every leaf below and including this node.
    pub(crate) fn each_leaf<'n>(&'n self, visit: &mut dyn FnMut(usize, &'n Node)) {
        match &self.value {
            Value::List(items) if !items.is_empty() => items.iter().for_each(|item| item.each_leaf(visit)),
            Value::Map(entries) if !entries.is_empty() => entries.iter().for_each(|(_, node)| node.each_leaf(visit)),
            _ => visit(self.leaf, self),
        }
    }
}

/// A whole file.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Its root, a map.
    pub root: Node,
    /// What was written and then written again under the same key, each with the line of the last.
    pub overwritten: Vec<(Node, usize)>,
    /// What stands under keys that look like secrets themselves; their paths do not show the key.
    pub unnameable: Vec<Node>,
    /// Key path and place of every leaf, by number.
    pub leaves: Vec<(String, Place)>,
}

impl Tree {
    /// Numbers the leaves of `root` and gives every node its path; of a key that comes twice the last counts.
    ///
    /// # Errors
    /// When the file is not a map.
    pub(crate) fn new(mut root: Node) -> Result<Tree, Unreadable> {
        if root.value == Value::Nothing {
            root.value = Value::Map(Vec::new());
        }
        if !matches!(root.value, Value::Map(_)) {
            return Err(Unreadable::at(root.place, "expected a map of settings at the top of the file"));
        }
        let mut numbering = Numbering::default();
        numbering.number(&mut root, String::new(), false);
        let Numbering { overwritten, unnameable, leaves } = numbering;
        Ok(Tree { root, overwritten, unnameable, leaves })
    }
}

/// What is found on the way through a file.
#[derive(Default)]
struct Numbering {
    overwritten: Vec<(Node, usize)>,
    unnameable: Vec<Node>,
    leaves: Vec<(String, Place)>,
}

impl Numbering {
    /// Gives `node` and all below it their paths, and leaves their numbers. Below a key that keeps secrets they are left to the
    /// reader, which puts variables in their place.
    fn number(&mut self, node: &mut Node, path: String, keeps_secrets: bool) {
        if let Value::Map(entries) = &mut node.value {
            for ((name, mut early), last_line) in split_off_duplicates(entries) {
                // What was overwritten inside it too is as gone as the rest of it.
                self.number(&mut early, join(&path, &name), keeps_secrets);
                self.overwritten.push((early, last_line));
            }
            for (name, mut node) in entries.extract_if(.., |(name, _)| looks_secret(name)) {
                self.number(&mut node, join(&path, &name), keeps_secrets);
                self.unnameable.push(node);
            }
        }
        match &mut node.value {
            Value::List(items) if !items.is_empty() => {
                for (idx, item) in items.iter_mut().enumerate() {
                    self.number(item, format!("{path}[{idx}]"), keeps_secrets);
                }
            }
            Value::Map(entries) if !entries.is_empty() => {
                for (name, entry) in entries {
                    self.number(entry, join(&path, name), keeps_secrets || is_secret_key(name));
                }
            }
            value => {
                if let Value::Text(text) = value
                    && !keeps_secrets
                    && looks_secret(text)
                {
                    *value = Value::Secret(std::mem::take(text));
                }
                node.leaf = self.leaves.len();
                self.leaves.push((path.clone(), node.place));
            }
        }
        node.path = path;
    }
}

fn split_off_duplicates(entries: &mut Vec<(String, Node)>) -> Vec<((String, Node), usize)> {
    let mut last: std::collections::HashMap<String, (usize, usize)> = std::collections::HashMap::new();
    for (idx, (name, node)) in entries.iter().enumerate() {
        last.insert(name.clone(), (idx, node.place.line));
    }
    if last.len() == entries.len() {
        return Vec::new();
    }
    let mut early = Vec::new();
    let mut kept = Vec::with_capacity(last.len());
    for (idx, entry) in std::mem::take(entries).into_iter().enumerate() {
        match last.get(&entry.0) {
            Some((last_idx, line)) if *last_idx != idx => early.push((entry, *line)),
            _ => kept.push(entry),
        }
    }
    *entries = kept;
    early
}

/// `path.key`, the key in quotes when it could be misread and not shown when it looks like a secret.
pub(crate) fn join(path: &str, key: &str) -> String {
    let key = shown(key);
    let plain = !key.is_empty() && !key.contains(['.', ' ', '[', ']', '"']);
    let key = if plain { key.to_owned() } else { format!("\"{key}\"") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
