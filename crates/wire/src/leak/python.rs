//! Python calls with named arguments and literal values, as some templates write tool calls.

use serde_json::{Map, Value};

use super::{LeakedCall, call};

/// Nested deeper than this is no tool call.
const MAX_DEPTH: usize = 16;

/// Calls on lines of their own, `print(…)` around them or not, and nothing else.
pub(super) fn calls(text: &str) -> Option<Vec<LeakedCall>> {
    let mut reader = Reader { rest: text };
    let mut calls = Vec::new();
    loop {
        reader.blank();
        if reader.rest.is_empty() {
            return (!calls.is_empty()).then_some(calls);
        }
        let printed = reader.takes("print(");
        calls.push(reader.call()?);
        if printed && !reader.takes(")") {
            return None;
        }
    }
}

/// A list of calls, and nothing else.
pub(super) fn list(text: &str) -> Option<Vec<LeakedCall>> {
    let mut reader = Reader { rest: text };
    reader.takes("[").then_some(())?;
    let mut calls = Vec::new();
    loop {
        reader.blank();
        calls.push(reader.call()?);
        reader.blank();
        if reader.takes("]") {
            return reader.rest.trim().is_empty().then_some(calls);
        }
        reader.takes(",").then_some(())?;
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn takes(&mut self, text: &str) -> bool {
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn word(&mut self) -> Option<&'t str> {
        let end = self.rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')).count();
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty() && !word.as_bytes()[0].is_ascii_digit()).then_some(word)
    }

    fn call(&mut self) -> Option<LeakedCall> {
        let name = self.word()?;
        self.takes("(").then_some(())?;
        let mut arguments = Map::new();
        loop {
            self.blank();
            if self.takes(")") {
                return call(name, &Value::Object(arguments));
            }
            let key = self.word()?;
            self.blank();
            self.takes("=").then_some(())?;
            let value = self.value(0)?;
            arguments.insert(key.to_owned(), value);
            self.blank();
            if !self.takes(",") && !self.rest.starts_with(')') {
                return None;
            }
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.blank();
        match self.rest.chars().next()? {
            '"' | '\'' => self.text().map(Value::String),
            '[' | '(' => self.items(depth),
            '{' => self.entries(depth),
            '-' | '0'..='9' => {
                let end = self.rest.find(|c: char| !matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9' | '_'));
                let (number, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                serde_json::from_str(&number.replace('_', "")).ok()
            }
            _ => match self.word()? {
                "True" | "true" => Some(Value::Bool(true)),
                "False" | "false" => Some(Value::Bool(false)),
                "None" | "null" => Some(Value::Null),
                _ => None,
            },
        }
    }

    fn items(&mut self, depth: usize) -> Option<Value> {
        let end = if self.takes("[") {
            "]"
        } else {
            self.rest = &self.rest[1..];
            ")"
        };
        let mut items = Vec::new();
        loop {
            self.blank();
            if self.takes(end) {
                return Some(Value::Array(items));
            }
            items.push(self.value(depth + 1)?);
            self.blank();
            if !self.takes(",") && !self.rest.starts_with(end) {
                return None;
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Option<Value> {
        self.takes("{").then_some(())?;
        let mut entries = Map::new();
        loop {
            self.blank();
            if self.takes("}") {
                return Some(Value::Object(entries));
            }
            let key = self.text()?;
            self.blank();
            self.takes(":").then_some(())?;
            let value = self.value(depth + 1)?;
            entries.insert(key, value);
            self.blank();
            if !self.takes(",") && !self.rest.starts_with('}') {
                return None;
            }
        }
    }

    fn text(&mut self) -> Option<String> {
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let mut text = String::new();
        let mut characters = self.rest[1..].char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '\\' => match characters.next()?.1 {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    other => text.push(other),
                },
                '\n' => return None,
                c if c == quote => {
                    self.rest = &self.rest[1 + at + 1..];
                    return Some(text);
                }
                c => text.push(c),
            }
        }
        None
    }
}
