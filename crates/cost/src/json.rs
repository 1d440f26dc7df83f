//! JSON with its numbers as they were written. Prices are decimals, and a price that went through a binary fraction is
//! another price.

use std::fmt::{self, Write};

use serde::Deserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A value. A number is its text; the members of an object are in the order written, duplicates included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a whole text.
    ///
    /// # Errors
    /// When it is not JSON; the error says where.
    pub fn parse(text: &str) -> Result<Json, serde_json::Error> {
        // Checked whole first, so that an error names its place in the text and not in a part of it.
        let raw: &RawValue = serde_json::from_str(text)?;
        read(raw.get())
    }

    /// The member called `key`; `None` when there is none or this is no object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.members().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The members of an object; none of anything else.
    #[must_use]
    pub fn members(&self) -> &[(String, Json)] {
        match self {
            Json::Object(members) => members,
            _ => &[],
        }
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The items of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The text of a number, also of one in quotes: decimals are often written so.
    #[must_use]
    pub fn as_number(&self) -> Option<&str> {
        match self {
            Json::Number(text) | Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, in the words of an error.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Json::Null => "nothing".into(),
            Json::Bool(value) => format!("`{value}`"),
            Json::Number(text) | Json::String(text) if text.chars().count() <= 40 => format!("`{text}`"),
            Json::Number(_) | Json::String(_) => "a long text".into(),
            Json::Array(_) => "a list".into(),
            Json::Object(_) => "a map".into(),
        }
    }

    /// The text, two spaces per level, small containers on one line.
    #[must_use]
    pub fn pretty(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text.push('\n');
        text
    }

    fn write(&self, text: &mut String, depth: usize) {
        const LINE: usize = 110;
        let one_line = self.to_string();
        let (open, close, items): (_, _, Vec<(Option<&str>, &Json)>) = match self {
            Json::Array(items) => ('[', ']', items.iter().map(|item| (None, item)).collect()),
            Json::Object(members) => ('{', '}', members.iter().map(|(key, item)| (Some(key.as_str()), item)).collect()),
            _ => return text.push_str(&one_line),
        };
        if one_line.len() + 2 * depth <= LINE {
            return text.push_str(&one_line);
        }
        text.push(open);
        for (idx, (key, item)) in items.into_iter().enumerate() {
            text.push_str(if idx == 0 { "\n" } else { ",\n" });
            text.extend(std::iter::repeat_n("  ", depth + 1));
            if let Some(key) = key {
                text.push_str(&quoted(key));
                text.push_str(": ");
            }
            item.write(text, depth + 1);
        }
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
        text.push(close);
    }
}

/// On one line.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Number(text) => f.write_str(text),
            Json::String(text) => f.write_str(&quoted(text)),
            Json::Array(items) => {
                f.write_char('[')?;
                for (idx, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if idx == 0 { "" } else { ", " })?;
                }
                f.write_char(']')
            }
            Json::Object(members) => {
                f.write_char('{')?;
                for (idx, (key, item)) in members.iter().enumerate() {
                    write!(f, "{}{}: {item}", if idx == 0 { " " } else { ", " }, quoted(key))?;
                }
                f.write_str(if members.is_empty() { "}" } else { " }" })
            }
        }
    }
}

fn quoted(text: &str) -> String {
    // A string always serialises.
    serde_json::to_string(text).unwrap_or_default()
}

fn read(text: &str) -> Result<Json, serde_json::Error> {
    Ok(match text.trim_start().as_bytes().first() {
        Some(b'{') => {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            let members = deserializer.deserialize_map(Members)?;
            let members = members.into_iter().map(|(key, raw)| Ok((key, read(raw.get())?)));
            Json::Object(members.collect::<Result<_, serde_json::Error>>()?)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            Json::Array(items.into_iter().map(|raw| read(raw.get())).collect::<Result<_, _>>()?)
        }
        Some(b'"') => Json::String(serde_json::from_str(text)?),
        Some(b't' | b'f') => Json::Bool(serde_json::from_str(text)?),
        Some(b'n') => Json::Null,
        Some(_) => Json::Number(text.trim().to_owned()),
        None => return Err(serde_json::Error::custom("a value was expected")),
    })
}

/// Every member of an object in order: a map type would lose both order and duplicates.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_order_and_duplicates_are_kept() {
        let json = Json::parse(r#" {"b": 0.1000, "a": [1e-07, "x\n", null, true], "b": {}} "#).unwrap();
        assert_eq!(json.get("b"), Some(&Json::Number("0.1000".into())));
        assert_eq!(json.members().len(), 3);
        assert_eq!(json.to_string(), r#"{ "b": 0.1000, "a": [1e-07, "x\n", null, true], "b": {} }"#);
        assert_eq!(Json::parse(&json.pretty()).unwrap(), json);
    }

    #[test]
    fn an_error_says_where() {
        let error = Json::parse("{\n  \"a\": [1, }\n").unwrap_err();
        assert_eq!((error.line(), error.column()), (2, 12));
    }
}
