//! Filters over metadata as Pinecone's clients write them, and what they mean.
//!
//! A field that is not there, or null, equals nothing, is greater and less than nothing and does not exist; so `$ne` and `$nin`, which are the opposite of `$eq`
//! and `$in`, find the rows without it. A list of strings equals each of its strings. Numbers are 64-bit floats. [`Filter::matches`] is the meaning; what a
//! store is asked is made of the same filter in `filter/sql.rs` and tested against it.

mod sql;

#[cfg(test)]
pub(crate) mod tests;

use serde_json::value::RawValue;

use crate::metadata::{Metadata, Object};

pub(crate) use self::sql::{Clause, Dialect, Param};

/// How deep `$and` and `$or` may be nested.
const MAX_DEPTH: usize = 16;
/// How many fields may be asked about in all.
const MAX_TESTS: usize = 500;
/// How many values a filter may have in all.
const MAX_VALUES: usize = 10_000;

/// What rows are looked for by.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All of these.
    And(Vec<Filter>),
    /// One of these at least.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// A field.
    Field {
        /// Its name.
        name: String,
        /// What is asked of it.
        test: Test,
    },
}

/// What is asked of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It is one of these.
    In(Vec<Scalar>),
    /// It is a number that stands so to this one.
    Order(Order, f64),
    /// It is there, and not null.
    Exists,
}

/// How two numbers stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `$gt`
    Greater,
    /// `$gte`
    GreaterOrEqual,
    /// `$lt`
    Less,
    /// `$lte`
    LessOrEqual,
}

/// A value that something equals.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A string.
    Text(String),
    /// A number.
    Number(f64),
    /// True or false.
    Bool(bool),
}

/// Why a filter is none that can be asked here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct Refused {
    /// Where in it, as `filter.$and[1].year.$gt`.
    pub place: String,
    /// What is wrong there.
    pub why: String,
}

impl Filter {
    /// Reads one; none of an empty object, which finds everything.
    ///
    /// # Errors
    /// What in it cannot be asked, and where.
    pub fn parse(text: &str) -> Result<Option<Filter>, Refused> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|_| refused("filter", "it is no JSON"))?;
        let mut reader = Reader { n_tests: 0, n_values: 0 };
        let filter = reader.object(raw.get(), "filter", 0)?;
        Ok(Some(filter).filter(|filter| *filter != Filter::And(Vec::new())))
    }

    /// Whether a row of this metadata is found.
    #[must_use]
    pub fn matches(&self, metadata: Option<&Metadata>) -> bool {
        self.holds(&metadata.map(Metadata::fields).unwrap_or_default())
    }

    fn holds(&self, fields: &[(String, String)]) -> bool {
        match self {
            Filter::And(all) => all.iter().all(|one| one.holds(fields)),
            Filter::Or(some) => some.iter().any(|one| one.holds(fields)),
            Filter::Not(other) => !other.holds(fields),
            Filter::Field { name, test } => {
                let value = fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
                value.filter(|value| *value != "null").is_some_and(|value| test.holds(value))
            }
        }
    }
}

impl Test {
    /// Whether it holds of a value in canonical JSON.
    fn holds(&self, value: &str) -> bool {
        match self {
            Test::Exists => true,
            Test::Order(order, bound) => number(value).is_some_and(|value| order.holds(value, *bound)),
            Test::In(values) => {
                if value.starts_with('[') {
                    let elements: Vec<&RawValue> = serde_json::from_str(value).unwrap_or_default();
                    return elements.iter().any(|element| {
                        element.get().starts_with('"') && values.iter().any(|wanted| wanted.equals(element.get()))
                    });
                }
                values.iter().any(|wanted| wanted.equals(value))
            }
        }
    }
}

impl Order {
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Order::Greater => value > bound,
            Order::GreaterOrEqual => value >= bound,
            Order::Less => value < bound,
            Order::LessOrEqual => value <= bound,
        }
    }
}

impl Scalar {
    fn equals(&self, value: &str) -> bool {
        match self {
            Scalar::Text(text) => {
                value.starts_with('"') && serde_json::from_str::<String>(value).ok().as_ref() == Some(text)
            }
            Scalar::Number(wanted) => number(value) == Some(*wanted),
            Scalar::Bool(wanted) => value == if *wanted { "true" } else { "false" },
        }
    }
}

/// A number as a 64-bit float; none of what is no number or beyond them.
fn number(value: &str) -> Option<f64> {
    let is_number = value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    value.parse::<f64>().ok().filter(|number| is_number && number.is_finite())
}

fn refused(place: &str, why: impl Into<String>) -> Refused {
    Refused { place: place.to_owned(), why: why.into() }
}

struct Reader {
    n_tests: usize,
    n_values: usize,
}

impl Reader {
    /// An object of fields and of `$and` and `$or`: all of them.
    fn object(&mut self, text: &str, place: &str, depth: usize) -> Result<Filter, Refused> {
        if depth > MAX_DEPTH {
            return Err(refused(place, format!("filters are nested at most {MAX_DEPTH} deep")));
        }
        let pairs = object(text, place)?;
        let mut all = Vec::with_capacity(pairs.len());
        for (key, value) in &pairs {
            let place = format!("{place}.{key}");
            match key.as_str() {
                "$and" | "$or" => {
                    let parts = list(value, &place)?;
                    let read = parts
                        .iter()
                        .enumerate()
                        .map(|(n, part)| self.object(part.get(), &format!("{place}[{n}]"), depth + 1));
                    let parts = read.collect::<Result<Vec<_>, _>>()?;
                    all.push(if key == "$and" { Filter::And(parts) } else { Filter::Or(parts) });
                }
                operator if operator.starts_with('$') => {
                    return Err(refused(&place, "only `$and` and `$or` stand where a field's name would"));
                }
                name => self.field(name, value.get(), &place, &mut all)?,
            }
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Filter::And(all) })
    }

    /// A field with its value, or with an object of operators.
    fn field(&mut self, name: &str, text: &str, place: &str, all: &mut Vec<Filter>) -> Result<(), Refused> {
        if name.contains('\0') {
            return Err(refused(place, "a name with a NUL character is no field of any store here"));
        }
        if !text.starts_with('{') {
            return self.test(name, ("$eq", text), place, all);
        }
        let operators = object(text, place)?;
        if operators.is_empty() {
            return Err(refused(place, "nothing is asked of it: write a value, or an operator such as `$eq`"));
        }
        for (operator, value) in &operators {
            self.test(name, (operator, value.get()), &format!("{place}.{operator}"), all)?;
        }
        Ok(())
    }

    fn test(
        &mut self,
        name: &str,
        (operator, text): (&str, &str),
        place: &str,
        all: &mut Vec<Filter>,
    ) -> Result<(), Refused> {
        self.n_tests += 1;
        if self.n_tests > MAX_TESTS {
            return Err(refused(place, format!("a filter asks at most {MAX_TESTS} things")));
        }
        let order = |order| {
            Ok::<_, Refused>((
                Test::Order(order, number(text).ok_or_else(|| refused(place, "it is compared with a number"))?),
                true,
            ))
        };
        let (test, holds) = match operator {
            "$eq" => (Test::In(vec![self.scalar(text, place)?]), true),
            "$ne" => (Test::In(vec![self.scalar(text, place)?]), false),
            "$in" | "$nin" => {
                let raw: &RawValue = serde_json::from_str(text).map_err(|_| refused(place, "it is no JSON"))?;
                let values = list(raw, place)?;
                let read =
                    values.iter().enumerate().map(|(n, value)| self.scalar(value.get(), &format!("{place}[{n}]")));
                (Test::In(read.collect::<Result<_, _>>()?), operator == "$in")
            }
            "$gt" => order(Order::Greater)?,
            "$gte" => order(Order::GreaterOrEqual)?,
            "$lt" => order(Order::Less)?,
            "$lte" => order(Order::LessOrEqual)?,
            "$exists" => match text {
                "true" => (Test::Exists, true),
                "false" => (Test::Exists, false),
                _ => return Err(refused(place, "it is true or false")),
            },
            "$match_phrase" | "$match_all" | "$match_any" => {
                return Err(refused(place, "no store here searches texts: nothing can be asked by their words"));
            }
            _ => {
                return Err(refused(
                    place,
                    "it is no operator that is known here: $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin and $exists are, and $and and $or around fields",
                ));
            }
        };
        let filter = Filter::Field { name: name.to_owned(), test };
        all.push(if holds { filter } else { Filter::Not(Box::new(filter)) });
        Ok(())
    }

    fn scalar(&mut self, text: &str, place: &str) -> Result<Scalar, Refused> {
        self.n_values += 1;
        if self.n_values > MAX_VALUES {
            return Err(refused(place, format!("a filter has at most {MAX_VALUES} values")));
        }
        match text.as_bytes().first() {
            Some(b't') => Ok(Scalar::Bool(true)),
            Some(b'f') => Ok(Scalar::Bool(false)),
            Some(b'"') => {
                let text: String = serde_json::from_str(text).map_err(|_| refused(place, "it is no text"))?;
                if text.contains('\0') {
                    return Err(refused(place, "a text with a NUL character is in no store here"));
                }
                Ok(Scalar::Text(text))
            }
            _ => number(text)
                .map(Scalar::Number)
                .ok_or_else(|| refused(place, "it is a string, a number that a 64-bit float holds, true or false")),
        }
    }
}

/// An object's pairs, each key once.
fn object<'text>(text: &'text str, place: &str) -> Result<Vec<(String, &'text RawValue)>, Refused> {
    let Object(pairs) = serde_json::from_str(text).map_err(|_| refused(place, "it is an object"))?;
    let mut keys: Vec<&String> = pairs.iter().map(|(key, _)| key).collect();
    keys.sort();
    if let Some(twice) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(refused(place, format!("`{}` stands there twice", twice[0])));
    }
    Ok(pairs)
}

fn list<'text>(value: &'text RawValue, place: &str) -> Result<Vec<&'text RawValue>, Refused> {
    let values: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_| refused(place, "it is a list"))?;
    if values.is_empty() { Err(refused(place, "it is a list of one at least")) } else { Ok(values) }
}
