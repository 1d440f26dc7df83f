//! TOML, in the order it was written.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::json::Lines;
use super::{MAX_DEPTH, Node, Place, Tree, Value};
use crate::import::Unreadable;

/// Reads one document.
///
/// # Errors
/// When the text is not TOML.
pub(crate) fn parse(text: &str) -> Result<Tree, Unreadable> {
    let lines = Lines::of(text);
    let reader = Reader { text, lines };
    let table = DeTable::parse(text).map_err(|error| {
        let place = error.span().map_or(Place { line: 1, column: 1 }, |span| reader.place(span.start));
        Unreadable::at(place, format!("not TOML: {}", error.message()))
    })?;
    let entries = reader.map(table.get_ref(), 0)?;
    Tree::new(Node::new(Place { line: 1, column: 1 }, Value::Map(entries)))
}

struct Reader<'a> {
    text: &'a str,
    lines: Lines,
}

impl Reader<'_> {
    fn place(&self, offset: usize) -> Place {
        self.lines.place(self.text, offset)
    }

    fn map(&self, table: &DeTable<'_>, depth: usize) -> Result<Vec<(String, Node)>, Unreadable> {
        let mut entries: Vec<(&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entry = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
            let mut node = self.node(value, depth + 1)?;
            node.place = self.place(key.span().start);
            Ok((key.get_ref().to_string(), node))
        };
        entries.into_iter().map(entry).collect()
    }

    fn node(&self, value: &Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Unreadable> {
        let place = self.place(value.span().start);
        if depth > MAX_DEPTH {
            return Err(Unreadable::at(place, "the file nests too deeply"));
        }
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => Value::Number(decimal(number.as_str(), number.radix())),
            DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(time) => Value::Text(time.to_string()),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.node(item, depth + 1)).collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => Value::Map(self.map(table, depth)?),
        };
        Ok(Node::new(place, value))
    }
}

fn decimal(digits: &str, radix: u32) -> String {
    i64::from_str_radix(digits, radix).map_or_else(|_| digits.to_owned(), |number| number.to_string())
}
