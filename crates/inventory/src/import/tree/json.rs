//! JSON, read with the scanner that reads bodies: it knows where everything stands.

use std::ops::Range;

use wire::scan::{self, Kind, Next, ScanError};

use super::{MAX_DEPTH, Node, Place, Tree, Value};
use crate::import::Unreadable;

/// Reads one object.
///
/// # Errors
/// When the text is not JSON, or not an object.
pub(crate) fn parse(text: &str) -> Result<Tree, Unreadable> {
    let reader = Reader { text, lines: Lines::of(text) };
    let body = text.trim_start_matches('\u{feff}').trim();
    let start = text.find(body).unwrap_or(0);
    let whole = start..start + body.len();
    let kind = if body.starts_with('[') { Kind::Array } else { Kind::Object };
    let root = reader
        .node(kind, whole, 0)
        .map_err(|error| Unreadable::at(reader.lines.place(text, error.offset), format!("not JSON: {}", error.what)))?;
    Tree::new(root)
}

/// Where each line begins.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Lines {
        let begins = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(idx, _)| idx + 1);
        Lines(std::iter::once(0).chain(begins).collect())
    }

    pub(super) fn place(&self, text: &str, offset: usize) -> Place {
        let line = self.0.partition_point(|begin| *begin <= offset);
        let begin = self.0.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = text.get(begin..offset.min(text.len())).map_or(0, |before| before.chars().count()) + 1;
        Place { line, column }
    }
}

struct Reader<'a> {
    text: &'a str,
    lines: Lines,
}

impl Reader<'_> {
    fn place(&self, offset: usize) -> Place {
        self.lines.place(self.text, offset)
    }

    fn node(&self, kind: Kind, at: Range<usize>, depth: usize) -> Result<Node, ScanError> {
        if depth > MAX_DEPTH {
            return Err(ScanError::new(at.start, "the file nests too deeply"));
        }
        let (place, body) = (self.place(at.start), self.text.as_bytes());
        let value = match kind {
            Kind::Null => Value::Nothing,
            Kind::True => Value::Boolean(true),
            Kind::False => Value::Boolean(false),
            Kind::Number => Value::Number(self.text[at].to_owned()),
            Kind::String => Value::Text(scan::unescape(body, at)?.into_owned()),
            Kind::Array => {
                let mut items = Vec::new();
                scan::each_element(body, at, |element| {
                    items.push(self.node(element.kind, element.value, depth + 1)?);
                    Ok(Next::Go)
                })?;
                Value::List(items)
            }
            Kind::Object => {
                let mut entries = Vec::new();
                scan::each_member(body, at, |member| {
                    let mut node = self.node(member.kind, member.value, depth + 1)?;
                    node.place = self.place(member.key_range.start);
                    entries.push((member.key.into_owned(), node));
                    Ok(())
                })?;
                Value::Map(entries)
            }
        };
        Ok(Node::new(place, value))
    }
}
