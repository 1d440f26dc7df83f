//! What is filled in: declared with a type, and held against it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// A declared variable.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Variable {
    /// What it may hold.
    #[serde(flatten)]
    pub of: Type,
    /// What it holds where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Whether it may be left out without a default; its sections are then left out as well.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Whether it stands between the form's delimiters.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delimited: bool,
}

/// What a variable may hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Type {
    /// Text.
    String,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// One of a few texts.
    Enum {
        /// The texts.
        values: Vec<String>,
    },
    /// Any number of texts, or of objects with these fields.
    List {
        /// The fields of an item; none where items are texts.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, Field>,
    },
    /// One object with these fields.
    Object {
        /// Its fields.
        fields: BTreeMap<String, Field>,
    },
    /// Anything; filled in as JSON.
    Json,
}

/// What a field of an object may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Text.
    String,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
}

/// A value that cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Nothing was said of a variable that needs a value.
    #[error("the variable `{name}` has no value")]
    Missing {
        /// The variable.
        name: String,
    },
    /// A value of no variable.
    #[error("there is no variable `{name}`{}", nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Unknown {
        /// What was named.
        name: String,
        /// The variable that is spelt most like it.
        nearest: Option<String>,
    },
    /// A value of another type.
    #[error("the variable `{name}` takes {expected}, and {found} was given")]
    Type {
        /// The variable, with the place in it.
        name: String,
        /// What it takes.
        expected: String,
        /// What was given.
        found: String,
    },
}

impl ValueError {
    /// The variable it is about.
    #[must_use]
    pub fn variable(&self) -> &str {
        match self {
            ValueError::Missing { name } | ValueError::Unknown { name, .. } | ValueError::Type { name, .. } => {
                name.split(['.', '[']).next().unwrap_or(name)
            }
        }
    }
}

impl Field {
    /// Every type of a field, with its word.
    pub const WORDS: [(&'static str, Field); 4] = [
        ("string", Field::String),
        ("number", Field::Number),
        ("integer", Field::Integer),
        ("boolean", Field::Boolean),
    ];

    fn of(self) -> Type {
        match self {
            Field::String => Type::String,
            Field::Number => Type::Number,
            Field::Integer => Type::Integer,
            Field::Boolean => Type::Boolean,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::String => f.write_str("text"),
            Type::Number => f.write_str("a number"),
            Type::Integer => f.write_str("a whole number"),
            Type::Boolean => f.write_str("true or false"),
            Type::Enum { values } => write!(f, "one of {}", values.join(", ")),
            Type::List { fields } if fields.is_empty() => f.write_str("a list of texts"),
            Type::List { .. } => f.write_str("a list of objects"),
            Type::Object { .. } => f.write_str("an object"),
            Type::Json => f.write_str("any value"),
        }
    }
}

impl Type {
    /// Holds a value against the type.
    ///
    /// # Errors
    /// The first place where it is otherwise.
    pub fn check(&self, name: &str, value: &Value) -> Result<(), ValueError> {
        let wrong =
            || Err(ValueError::Type { name: name.to_owned(), expected: self.to_string(), found: described(value) });
        match (self, value) {
            (Type::Json, _)
            | (Type::String, Value::String(_))
            | (Type::Number, Value::Number(_))
            | (Type::Boolean, Value::Bool(_)) => Ok(()),
            (Type::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(()),
            (Type::Enum { values }, Value::String(text)) if values.contains(text) => Ok(()),
            (Type::List { fields }, Value::Array(items)) => {
                for (idx, item) in items.iter().enumerate() {
                    let name = format!("{name}[{idx}]");
                    if fields.is_empty() { Type::String.check(&name, item)? } else { object(fields, &name, item)? }
                }
                Ok(())
            }
            (Type::Object { fields }, value) => object(fields, name, value),
            _ => wrong(),
        }
    }
}

fn object(fields: &BTreeMap<String, Field>, name: &str, value: &Value) -> Result<(), ValueError> {
    let Value::Object(members) = value else {
        let expected = "an object".to_owned();
        return Err(ValueError::Type { name: name.to_owned(), expected, found: described(value) });
    };
    for (field, of) in fields {
        let name = format!("{name}.{field}");
        let Some(value) = members.get(field) else { return Err(ValueError::Missing { name }) };
        of.of().check(&name, value)?;
    }
    match members.keys().find(|member| !fields.contains_key(*member)) {
        None => Ok(()),
        Some(member) => Err(ValueError::Unknown {
            name: format!("{name}.{member}"),
            nearest: nearest(member, fields.keys()).map(|near| format!("{name}.{near}")),
        }),
    }
}

/// The values to fill in: those given, and the defaults.
///
/// # Errors
/// Every value that is missing, unknown or of another type.
pub(super) fn filled(
    variables: &BTreeMap<String, Variable>,
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, Vec<ValueError>> {
    let (mut values, mut errors) = (Map::new(), Vec::new());
    for (name, variable) in variables {
        match given.get(name).or(variable.default.as_ref()) {
            Some(value) => match variable.of.check(name, value) {
                Ok(()) => {
                    values.insert(name.clone(), value.clone());
                }
                Err(error) => errors.push(error),
            },
            None if variable.optional => {}
            None => errors.push(ValueError::Missing { name: name.clone() }),
        }
    }
    for name in given.keys().filter(|name| !variables.contains_key(*name)) {
        let nearest = nearest(name, variables.keys()).cloned();
        errors.push(ValueError::Unknown { name: name.clone(), nearest });
    }
    if errors.is_empty() { Ok(values) } else { Err(errors) }
}

/// The name spelt most like `given`, if it is near enough to be meant.
pub(super) fn nearest<'n>(given: &str, known: impl Iterator<Item = &'n String>) -> Option<&'n String> {
    let (edits, name) = known.map(|name| (strsim::damerau_levenshtein(given, name), name)).min_by_key(|one| one.0)?;
    (edits * 5 <= given.chars().count().max(name.chars().count()) * 2).then_some(name)
}

fn described(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) => "true or false".to_owned(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() > 40 => "a long text".to_owned(),
        Value::String(text) => format!("the text `{text}`"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
