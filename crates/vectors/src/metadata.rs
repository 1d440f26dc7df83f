//! Metadata as one canonical JSON text, so that two stores that hold the same say the same.
//!
//! Keys are sorted by their bytes and strings have the fewest escapes. An integer is its digits, whatever its size; a number written with a point or an
//! exponent is a 64-bit float, written shortest and always so that it stays one (`1.0` is not `1`). A number that a 64-bit float cannot hold, and one of
//! more than 17 significant digits, is kept as it was written. A key that is there twice is refused: no store keeps both.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How deep metadata may be nested.
const MAX_DEPTH: usize = 64;

/// A JSON object in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata(String);

/// Why a text is no metadata.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// It is no JSON.
    #[error("metadata is not JSON")]
    Json(#[from] serde_json::Error),
    /// It is JSON of another kind.
    #[error("metadata is not a JSON object")]
    NotAnObject,
    /// A key stands in one object twice.
    #[error("metadata has the key `{0}` twice in one object")]
    Twice(String),
    /// Nested beyond all use.
    #[error("metadata is nested more than {MAX_DEPTH} deep")]
    Deep,
}

impl Metadata {
    /// Brings a JSON object into canonical form.
    ///
    /// # Errors
    /// Where it is no JSON object, or says a key twice.
    pub fn parse(text: &str) -> Result<Metadata, MetadataError> {
        let raw: &RawValue = serde_json::from_str(text)?;
        if !raw.get().starts_with('{') {
            return Err(MetadataError::NotAnObject);
        }
        let mut canonical = String::with_capacity(text.len());
        write(raw.get(), 0, &mut canonical)?;
        Ok(Metadata(canonical))
    }

    /// The canonical text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Its keys, each with its value in canonical form.
    #[must_use]
    pub fn fields(&self) -> Vec<(String, String)> {
        // It was parsed when it was made.
        let Object(pairs) = serde_json::from_str(&self.0).unwrap_or_default();
        pairs.into_iter().map(|(key, value)| (key, value.get().to_owned())).collect()
    }
}

/// An object's pairs as they stand, doubles included.
#[derive(Default)]
pub(crate) struct Object<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'a>, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Object<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry::<String, &'de RawValue>()? {
                    pairs.push(pair);
                }
                Ok(Object(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

fn write(value: &str, depth: usize, canonical: &mut String) -> Result<(), MetadataError> {
    if depth > MAX_DEPTH {
        return Err(MetadataError::Deep);
    }
    match value.as_bytes().first() {
        Some(b'{') => {
            let Object(mut pairs) = serde_json::from_str(value)?;
            pairs.sort_by(|one, other| one.0.cmp(&other.0));
            if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(MetadataError::Twice(twice[0].0.clone()));
            }
            canonical.push('{');
            for (n, (key, value)) in pairs.iter().enumerate() {
                canonical.push_str(if n == 0 { "" } else { "," });
                canonical.push_str(&serde_json::to_string(key)?);
                canonical.push(':');
                write(value.get(), depth + 1, canonical)?;
            }
            canonical.push('}');
        }
        Some(b'[') => {
            let values: Vec<&RawValue> = serde_json::from_str(value)?;
            canonical.push('[');
            for (n, value) in values.iter().enumerate() {
                canonical.push_str(if n == 0 { "" } else { "," });
                write(value.get(), depth + 1, canonical)?;
            }
            canonical.push(']');
        }
        Some(b'"') => canonical.push_str(&serde_json::to_string(&serde_json::from_str::<String>(value)?)?),
        Some(b'-' | b'0'..=b'9') => canonical.push_str(&number(value)),
        _ => canonical.push_str(value),
    }
    Ok(())
}

/// A number in canonical form.
fn number(written: &str) -> String {
    if !written.contains(['.', 'e', 'E']) {
        return written.to_owned();
    }
    let mantissa = written.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let n_significant = digits.trim_start_matches('0').trim_end_matches('0').len();
    match written.parse::<f64>() {
        // What underflowed to 0 was something else.
        Ok(float) if float.is_finite() && n_significant <= 17 && (float != 0.0 || n_significant == 0) => {
            // Debug writes the shortest digits that give the same float back, and a point or an exponent always.
            format!("{float:?}")
        }
        _ => written.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, expected: &str) {
        assert_eq!(Metadata::parse(written).unwrap().text(), expected);
        assert_eq!(Metadata::parse(expected).unwrap().text(), expected, "canonical text is its own canonical form");
    }

    #[test]
    fn keys_are_sorted_and_blanks_and_escapes_go() {
        check(
            r#" { "b" : [ 1 , null ] , "a" : {"z":true,"y":"\u0041\/\u0000"} } "#,
            r#"{"a":{"y":"A/\u0000","z":true},"b":[1,null]}"#,
        );
        check("{}", "{}");
    }

    #[test]
    fn an_integer_of_any_size_stays_and_a_float_stays_a_float() {
        check(
            r#"{"a":9007199254740993,"b":18446744073709551616,"c":-5}"#,
            r#"{"a":9007199254740993,"b":18446744073709551616,"c":-5}"#,
        );
        check(r#"{"a":1.0,"b":1.50,"c":1e3,"d":-0.0}"#, r#"{"a":1.0,"b":1.5,"c":1000.0,"d":-0.0}"#);
        assert_ne!(Metadata::parse(r#"{"a":1}"#).unwrap(), Metadata::parse(r#"{"a":1.0}"#).unwrap());
    }

    #[test]
    fn a_number_beyond_a_float_is_kept_as_written() {
        check(
            r#"{"a":1e999,"b":0.1234567890123456789,"c":1e-999}"#,
            r#"{"a":1e999,"b":0.1234567890123456789,"c":1e-999}"#,
        );
    }

    #[test]
    fn what_no_store_can_keep_is_refused() {
        let refused = |text: &str| Metadata::parse(text).unwrap_err().to_string();
        assert_eq!(refused(r#"{"a":{"b":1,"b":2}}"#), "metadata has the key `b` twice in one object");
        assert_eq!(refused("[1]"), "metadata is not a JSON object");
        assert_eq!(refused("{\"a\":"), "metadata is not JSON");
        assert_eq!(refused(r#"{"a":"\ud800"}"#), "metadata is not JSON");
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(80), "]".repeat(80));
        assert_eq!(refused(&deep), "metadata is nested more than 64 deep");
    }
}
