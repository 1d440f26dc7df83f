//! The YAML text as a tree that remembers where everything stood. Built from parser events, so that duplicate keys are
//! seen and nothing is guessed about a value before somebody asks for it.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

/// Nodes in one file, aliases expanded; a file beyond this is an attack or a mistake.
const MAX_NODES: usize = 100_000;
/// Nesting of one file.
const MAX_DEPTH: usize = 64;

/// A place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters to underline on that line, at least 1.
    pub length: usize,
}

impl Place {
    /// The top of the file: where something is missing altogether.
    pub(crate) const TOP: Place = Place { line: 1, column: 1, length: 1 };

    fn of(span: Span) -> Place {
        let one_line = span.end.line() == span.start.line();
        let length = if one_line { span.end.col().saturating_sub(span.start.col()).max(1) } else { 1 };
        Place { line: span.start.line(), column: span.start.col() + 1, length }
    }

    fn at(marker: &Marker) -> Place {
        Place { line: marker.line().max(1), column: marker.col() + 1, length: 1 }
    }

    /// The same, or where the text ends: a parser that comes to the end looks for more on a line that is not there.
    fn within(self, text: &str) -> Place {
        let n_lines = text.lines().count().max(1);
        let last = text.lines().last().unwrap_or_default();
        if self.line > n_lines { Place { line: n_lines, column: last.chars().count() + 1, length: 1 } } else { self }
    }
}

/// A node of the tree.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Text, not yet read as anything; `quoted` text is never a number, a boolean or nothing.
    Scalar {
        /// The text, escapes undone.
        text: String,
        /// Whether it stood in quotes or in a block.
        quoted: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map in the order written, duplicate keys included.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// Its text.
    pub name: String,
    /// Where it stands.
    pub place: Place,
}

impl Node {
    /// True for `~`, `null` and a key with nothing after it.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, quoted: false } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// What the node is, in the words of an error.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            _ if self.is_nothing() => "nothing".into(),
            Kind::Scalar { text, .. } if text.chars().count() > 40 => "a long text".into(),
            Kind::Scalar { text, .. } => format!("`{text}`"),
            Kind::List(_) => "a list".into(),
            Kind::Map(_) => "a map".into(),
        }
    }
}

/// The braces of `${NAME}` while YAML is parsed: within `{ a: ${NAME} }` they would be YAML's own. One character each, so
/// that every column stays what it is.
const HIDDEN: (char, char) = ('\u{e000}', '\u{e001}');

fn hide_variables(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..=at], &rest[at + 2..]);
        let length = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        hidden.push_str(before);
        if length > 0 && after[length..].starts_with('}') {
            hidden.push(HIDDEN.0);
            hidden.push_str(&after[..length]);
            hidden.push(HIDDEN.1);
            rest = &after[length + 1..];
        } else {
            hidden.push('{');
            rest = after;
        }
    }
    hidden.push_str(rest);
    hidden
}

fn shown(text: &str) -> String {
    text.replace(HIDDEN.0, "{").replace(HIDDEN.1, "}")
}

/// Why the text is not a tree.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    /// Where reading stopped.
    pub place: Place,
    /// What the parser says.
    pub message: String,
}

/// Reads one document.
///
/// # Errors
/// On the first place where the text stops being YAML, or is more than one document, or uses what a config needs not.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let text = hide_variables(text);
    let mut builder = Builder { events: Parser::new_from_str(&text), text: &text, anchors: HashMap::new(), n_nodes: 0 };
    let mut document = None;
    loop {
        let (event, span) = builder.next()?;
        match event {
            Event::DocumentStart(_) if document.is_some() => {
                return Err(builder.error(span, "one file holds one document: remove the second `---`"));
            }
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            Event::StreamEnd => break,
            event => document = Some(builder.node(event, span, 0)?),
        }
    }
    let empty = Node { place: Place::TOP, kind: Kind::Map(Vec::new()) };
    Ok(document.filter(|node| !node.is_nothing()).unwrap_or(empty))
}

struct Builder<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    text: &'a str,
    anchors: HashMap<usize, Node>,
    n_nodes: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), SyntaxError> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let place = Place::at(error.marker()).within(self.text);
                Err(SyntaxError { place, message: error.info().to_owned() })
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn error(&self, span: Span, message: &str) -> SyntaxError {
        SyntaxError { place: Place::of(span), message: message.to_owned() }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, SyntaxError> {
        self.n_nodes += 1;
        if depth > MAX_DEPTH || self.n_nodes > MAX_NODES {
            return Err(self.error(span, "the file nests too deeply or is too large"));
        }
        let place = Place::of(span);
        let (kind, anchor, tagged) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (Kind::Scalar { text: shown(&text), quoted: style != ScalarStyle::Plain }, anchor, tag.is_some())
            }
            Event::SequenceStart(anchor, tag) => (self.list(depth)?, anchor, tag.is_some()),
            Event::MappingStart(anchor, tag) => (self.map(depth)?, anchor, tag.is_some()),
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => return Err(self.error(span, "a value was expected here")),
        };
        if tagged {
            return Err(self.error(span, "tags such as `!name` are not used in this file"));
        }
        let node = Node { place, kind };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, SyntaxError> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(self.error(span, "this alias names no anchor above it"));
        };
        self.n_nodes += size(&node);
        if self.n_nodes > MAX_NODES {
            return Err(self.error(span, "the file nests too deeply or is too large"));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Kind, SyntaxError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(Kind::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Kind, SyntaxError> {
        let mut entries = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                return Ok(Kind::Map(entries));
            }
            let key = self.node(event, span, depth + 1)?;
            let Kind::Scalar { text: name, .. } = key.kind else {
                return Err(self.error(span, "a key is one word or a text in quotes"));
            };
            let (event, span) = self.next()?;
            entries.push((Key { name, place: key.place }, self.node(event, span, depth + 1)?));
        }
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar { .. } => 0,
        Kind::List(items) => items.iter().map(size).sum(),
        Kind::Map(entries) => entries.iter().map(|(_, value)| size(value)).sum(),
    }
}
