//! YAML as PyYAML's safe loader reads it, for LiteLLM does: version 1.1's booleans, merge keys, the last of two equal keys.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};

use super::{MAX_DEPTH, MAX_NODES, Node, Place, Tree, Value};
use crate::import::Unreadable;

/// Reads one document.
///
/// # Errors
/// When the text is not YAML, holds more than one document, or is not a map.
pub(crate) fn parse(text: &str) -> Result<Tree, Unreadable> {
    let mut builder = Builder { events: Parser::new_from_str(text), anchors: HashMap::new(), n_nodes: 0 };
    let mut document = None;
    loop {
        let (event, span) = builder.next()?;
        match event {
            Event::DocumentStart(_) if document.is_some() => {
                return Err(Unreadable::at(place(span), "one file holds one document: split it at the second `---`"));
            }
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            Event::StreamEnd => break,
            event => document = Some(builder.node(event, span, 0)?),
        }
    }
    Tree::new(document.unwrap_or_else(|| Node::new(Place { line: 1, column: 1 }, Value::Nothing)))
}

fn place(span: Span) -> Place {
    at(&span.start)
}

fn at(marker: &Marker) -> Place {
    Place { line: marker.line().max(1), column: marker.col() + 1 }
}

struct Builder<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    n_nodes: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Unreadable> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Unreadable::at(at(error.marker()), format!("not YAML: {}", error.info()))),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Unreadable> {
        self.grow(1, depth, span)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix == "str");
                (if is_text { Value::Text(text.into_owned()) } else { plain(&text) }, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, span, depth),
            _ => return Err(Unreadable::at(place(span), "not YAML: a value was expected here")),
        };
        let node = Node::new(place(span), value);
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn grow(&mut self, n_nodes: usize, depth: usize, span: Span) -> Result<(), Unreadable> {
        self.n_nodes += n_nodes;
        if depth > MAX_DEPTH || self.n_nodes > MAX_NODES {
            return Err(Unreadable::at(place(span), "the file nests too deeply or is too large"));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span, depth: usize) -> Result<Node, Unreadable> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(Unreadable::at(place(span), "not YAML: this alias names no anchor above it"));
        };
        let (n_nodes, height) = size(&node);
        self.grow(n_nodes, depth + height, span)?;
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Unreadable> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Unreadable> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut merged: Vec<(String, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                break;
            }
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let mut node = self.node(event, span, depth + 1)?;
            if is_merge {
                merge(&node, &mut merged);
                continue;
            }
            let Some(name) = name(&key) else {
                return Err(Unreadable::at(key.place, "a key is one word or a text in quotes"));
            };
            node.place = key.place;
            entries.push((name, node));
        }
        merged.retain(|(name, _)| !entries.iter().any(|(written, _)| written == name));
        merged.append(&mut entries);
        Ok(Value::Map(merged))
    }
}

/// The entries a merge key brings; of two maps in a list the first wins.
fn merge(node: &Node, merged: &mut Vec<(String, Node)>) {
    let maps = if matches!(node.value, Value::Map(_)) { std::slice::from_ref(node) } else { node.items() };
    for (name, entry) in maps.iter().flat_map(|map| map.entries()) {
        if !merged.iter().any(|(written, _)| written == name) {
            merged.push((name.clone(), entry.clone()));
        }
    }
}

fn name(key: &Node) -> Option<String> {
    match &key.value {
        Value::Text(text) | Value::Number(text) => Some(text.clone()),
        Value::Boolean(boolean) => Some(boolean.to_string()),
        Value::Nothing => Some("null".to_owned()),
        Value::Secret(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// How many nodes a tree has and how deep it is.
fn size(node: &Node) -> (usize, usize) {
    let below: Vec<_> = match &node.value {
        Value::List(items) => items.iter().map(size).collect(),
        Value::Map(entries) => entries.iter().map(|(_, node)| size(node)).collect(),
        _ => return (1, 0),
    };
    let n_nodes = below.iter().map(|(n_nodes, _)| n_nodes).sum::<usize>();
    (n_nodes + 1, below.iter().map(|(_, height)| height + 1).max().unwrap_or(0))
}

/// An unquoted scalar as YAML 1.1 means it.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Nothing,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Value::Boolean(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Value::Boolean(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let looks_numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let number = text.replace('_', "");
    if looks_numeric && number.parse::<f64>().is_ok_and(f64::is_finite) {
        return Value::Number(number.strip_prefix('+').map(str::to_owned).unwrap_or(number));
    }
    Value::Text(text.to_owned())
}
