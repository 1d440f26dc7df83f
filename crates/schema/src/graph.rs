//! The schemas inside a schema and which of them lead to which: all that is needed to say how deep and how often a check of a
//! value can go, whatever the value is.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::compile::Unvalidated;

/// Most schemas inside one schema.
pub(crate) const MAX_SCHEMAS: usize = 4096;
/// Most regular expressions in one schema: each takes up to a millisecond to compile.
const MAX_PATTERNS: usize = 64;
/// Longest chain of schemas that look at the same value one inside the other: it is on the stack.
pub(crate) const MAX_CHAIN: usize = 16;
/// Most evaluations of schemas that one evaluation of a schema makes on the same value.
const MAX_AT_ONCE: u64 = 10_000;
/// Most entries of all closures together.
const MAX_ENTRIES: usize = 1 << 17;

/// All schemas inside a schema; the first is the whole.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
}

/// One schema.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// Every schema that is evaluated on the same value when this one is, and how often; itself first.
    pub(crate) closure: Vec<(usize, u64)>,
    /// What one evaluation costs by itself, in steps.
    pub(crate) weight: u64,
    pub(crate) properties: HashMap<String, usize>,
    /// Schemas that any member may be held against.
    pub(crate) members: Vec<usize>,
    /// Schemas that the names of members are held against.
    pub(crate) names: Vec<usize>,
    pub(crate) prefix: Vec<usize>,
    /// Schemas that any element may be held against.
    pub(crate) elements: Vec<usize>,
    in_place: Vec<usize>,
    /// How often those are evaluated: `unevaluated…` finds out what they looked at by evaluating them once more.
    again: u64,
}

/// Where the schemas of a keyword are.
pub(crate) enum Holds {
    One,
    List,
    Map,
}

/// What they are held against.
pub(crate) enum Against {
    SameValue,
    Member,
    Element,
    Name,
    /// Nothing, unless something refers to them.
    Nobody,
}

/// The keywords that hold schemas, of every draft that has them.
pub(crate) fn keyword(name: &str, value: &Value) -> Option<(Holds, Against)> {
    Some(match name {
        "allOf" | "anyOf" | "oneOf" => (Holds::List, Against::SameValue),
        "not" | "if" | "then" | "else" => (Holds::One, Against::SameValue),
        "dependentSchemas" | "dependencies" => (Holds::Map, Against::SameValue),
        "properties" | "patternProperties" => (Holds::Map, Against::Member),
        "additionalProperties" | "unevaluatedProperties" => (Holds::One, Against::Member),
        "propertyNames" => (Holds::One, Against::Name),
        "prefixItems" => (Holds::List, Against::Element),
        "items" if value.is_array() => (Holds::List, Against::Element),
        "items" | "additionalItems" | "unevaluatedItems" | "contains" => (Holds::One, Against::Element),
        "$defs" | "definitions" => (Holds::Map, Against::Nobody),
        _ => return None,
    })
}

impl Graph {
    /// Finds every schema inside `document`.
    pub(crate) fn of(document: &Value) -> Result<Graph, Unvalidated> {
        let mut anchors = HashMap::new();
        gather(document, &mut String::new(), &mut anchors);
        let mut finder =
            Finder { document, anchors, places: HashMap::new(), queue: Vec::new(), nodes: Vec::new(), n_patterns: 0 };
        finder.place(String::new())?;
        let mut at = 0;
        while at < finder.queue.len() {
            let pointer = finder.queue[at].clone();
            finder.visit(at, &pointer)?;
            at += 1;
        }
        let mut graph = Graph { nodes: finder.nodes };
        graph.close()?;
        Ok(graph)
    }

    /// Works out the closures, and refuses what loops or goes too deep without going into the value.
    fn close(&mut self) -> Result<(), Unvalidated> {
        let mut heights = vec![None; self.nodes.len()];
        let mut n_entries = 0;
        for idx in 0..self.nodes.len() {
            self.close_one(idx, MAX_CHAIN, &mut heights, &mut n_entries)?;
        }
        Ok(())
    }

    /// The length of the longest chain that begins at `idx`; its closure is known afterwards.
    fn close_one(
        &mut self,
        idx: usize,
        room: usize,
        heights: &mut [Option<usize>],
        n_entries: &mut usize,
    ) -> Result<usize, Unvalidated> {
        if let Some(height) = heights[idx] {
            return if height > room { Err(Unvalidated::TooComplex) } else { Ok(height) };
        }
        if room == 0 {
            // A loop is an endless chain.
            return Err(Unvalidated::TooComplex);
        }
        let (mut height, again) = (0, self.nodes[idx].again);
        let mut sum: HashMap<usize, u64> = HashMap::new();
        for next in self.nodes[idx].in_place.clone() {
            height = height.max(self.close_one(next, room - 1, heights, n_entries)?);
            for &(node, n) in &self.nodes[next].closure {
                let sum = sum.entry(node).or_default();
                *sum = sum.saturating_add(n.saturating_mul(again));
            }
        }
        let total = sum.values().fold(0, |total: u64, n| total.saturating_add(*n));
        *n_entries += sum.len() + 1;
        if total > MAX_AT_ONCE || *n_entries > MAX_ENTRIES {
            return Err(Unvalidated::TooComplex);
        }
        let node = &mut self.nodes[idx];
        node.closure.push((idx, 1));
        node.closure.extend(sum);
        heights[idx] = Some(height + 1);
        Ok(height + 1)
    }
}

/// Follows what leads from schema to schema.
struct Finder<'d> {
    document: &'d Value,
    /// Where `$anchor` names a schema; nowhere when two have the same.
    anchors: HashMap<String, Option<String>>,
    /// JSON pointers of the schemas found, and their places in `nodes`.
    places: HashMap<String, usize>,
    queue: Vec<String>,
    nodes: Vec<Node>,
    n_patterns: usize,
}

impl Finder<'_> {
    fn place(&mut self, pointer: String) -> Result<usize, Unvalidated> {
        if let Some(place) = self.places.get(&pointer) {
            return Ok(*place);
        }
        if self.nodes.len() == MAX_SCHEMAS {
            return Err(Unvalidated::TooComplex);
        }
        let place = self.nodes.len();
        self.nodes.push(Node::default());
        self.queue.push(pointer.clone());
        self.places.insert(pointer, place);
        Ok(place)
    }

    fn visit(&mut self, idx: usize, pointer: &str) -> Result<(), Unvalidated> {
        let document = self.document;
        let schema = match document.pointer(pointer) {
            Some(Value::Object(schema)) => schema,
            Some(Value::Bool(_)) => {
                self.nodes[idx].weight = 1;
                return Ok(());
            }
            _ => return Err(Unvalidated::Schema),
        };
        self.resources(schema, pointer.is_empty())?;
        self.nodes[idx].weight = weight(schema);
        let unevaluated =
            ["unevaluatedProperties", "unevaluatedItems"].map(|name| u64::from(schema.contains_key(name)));
        self.nodes[idx].again = 1 + unevaluated.iter().sum::<u64>();
        self.n_patterns += usize::from(schema.contains_key("pattern"));
        self.n_patterns += schema.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len);
        if self.n_patterns > MAX_PATTERNS {
            return Err(Unvalidated::TooComplex);
        }
        if let Some(reference) = schema.get("$ref") {
            let target = self.target(reference)?;
            self.nodes[idx].in_place.push(target);
        }
        for (name, value) in schema {
            let Some((holds, against)) = keyword(name, value) else { continue };
            let at = format!("{pointer}/{}", escaped(name));
            match (holds, value) {
                (Holds::One, _) => {
                    let place = self.place(at)?;
                    self.nodes[idx].lead_to(&against, name, None, place);
                }
                (Holds::List, Value::Array(list)) => {
                    for n in 0..list.len() {
                        let place = self.place(format!("{at}/{n}"))?;
                        self.nodes[idx].lead_to(&against, name, None, place);
                    }
                }
                (Holds::Map, Value::Object(map)) => {
                    // `dependencies` holds lists of names too.
                    for (key, value) in map.iter().filter(|(_, value)| !value.is_array()) {
                        if !value.is_object() && !value.is_boolean() {
                            return Err(Unvalidated::Schema);
                        }
                        let place = self.place(format!("{at}/{}", escaped(key)))?;
                        self.nodes[idx].lead_to(&against, name, Some(key), place);
                    }
                }
                _ => return Err(Unvalidated::Schema),
            }
        }
        Ok(())
    }

    /// Refuses what changes the meaning of references, or could lead elsewhere.
    fn resources(&self, schema: &Map<String, Value>, is_root: bool) -> Result<(), Unvalidated> {
        const DYNAMIC: [&str; 5] =
            ["$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary"];
        if DYNAMIC.iter().any(|name| schema.contains_key(*name)) {
            return Err(Unvalidated::TooComplex);
        }
        let renamed = ["$id", "id", "$schema"].iter().any(|name| schema.get(*name).is_some_and(Value::is_string));
        if renamed && !is_root { Err(Unvalidated::Reference) } else { Ok(()) }
    }

    /// The schema that a `$ref` names, when it is in this document: by its place, or by its `$anchor`.
    fn target(&mut self, reference: &Value) -> Result<usize, Unvalidated> {
        let fragment = reference.as_str().and_then(|reference| reference.strip_prefix('#'));
        let fragment = fragment.and_then(decoded).ok_or(Unvalidated::Reference)?;
        if fragment.is_empty() || fragment.starts_with('/') {
            return self.place(fragment);
        }
        let pointer = self.anchors.get(&fragment).cloned().flatten().ok_or(Unvalidated::Reference)?;
        self.place(pointer)
    }
}

/// Every `$anchor` at a place where a keyword holds a schema, below `pointer`. A document is no deeper than its parser allows.
fn gather(schema: &Value, pointer: &mut String, anchors: &mut HashMap<String, Option<String>>) {
    let Value::Object(members) = schema else { return };
    if let Some(anchor) = members.get("$anchor").and_then(Value::as_str) {
        anchors.entry(anchor.to_owned()).and_modify(|place| *place = None).or_insert_with(|| Some(pointer.clone()));
    }
    let mut below = |inner: &Value, at: &str| {
        let length = pointer.len();
        pointer.push_str(at);
        gather(inner, pointer, anchors);
        pointer.truncate(length);
    };
    for (name, value) in members {
        let Some((holds, _)) = keyword(name, value) else { continue };
        let at = format!("/{}", escaped(name));
        match (holds, value) {
            (Holds::One, inner) => below(inner, &at),
            (Holds::List, Value::Array(list)) => {
                list.iter().enumerate().for_each(|(n, inner)| below(inner, &format!("{at}/{n}")));
            }
            (Holds::Map, Value::Object(map)) => {
                map.iter().for_each(|(key, inner)| below(inner, &format!("{at}/{}", escaped(key))));
            }
            _ => {}
        }
    }
}

/// A fragment of a URI without its `%`; `None` where it is no such.
pub(crate) fn decoded(fragment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok())?;
        bytes.push(u8::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with('+'))?);
        rest = rest.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

impl Node {
    fn lead_to(&mut self, against: &Against, keyword: &str, key: Option<&str>, place: usize) {
        match against {
            Against::SameValue => self.in_place.push(place),
            Against::Member => match key {
                Some(key) if keyword == "properties" => {
                    self.properties.insert(key.to_owned(), place);
                }
                _ => self.members.push(place),
            },
            Against::Name => self.names.push(place),
            Against::Element if keyword == "prefixItems" => self.prefix.push(place),
            Against::Element => self.elements.push(place),
            Against::Nobody => {}
        }
    }
}

/// A key as a JSON pointer has it (RFC 6901).
pub(crate) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// One step, and more for lists that are gone through.
fn weight(schema: &Map<String, Value>) -> u64 {
    let len = |name: &str| schema.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    let n_patterns = schema.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len);
    let n = 1 + len("enum") / 4 + len("required") / 4 + n_patterns;
    n.try_into().unwrap_or(u64::MAX)
}
