//! JSON one level at a time: members in their order, values as they were written. A document tree would sort the keys of a
//! schema, which decides in which order a model fills it in, and would round numbers; and it is never needed whole.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::openai::Refusal;

/// The members of an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// A string, borrowed when it holds no escape.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'a>, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut members = Vec::with_capacity(map.size_hint().unwrap_or(16));
        while let Some((Text(key), value)) = map.next_entry()? {
            members.push((key, value));
        }
        Ok(Object { members })
    }
}

impl<'a> Object<'a> {
    /// The members of the object that `body` is. Refused when it is none: the words are for whoever sent it.
    pub(crate) fn of_request(body: &'a [u8]) -> Result<Object<'a>, Refusal> {
        serde_json::from_slice(body).map_err(|error| {
            let message = format!("We could not parse the JSON body of your request: {}.", without_text(&error));
            Refusal::invalid_request(message, None)
        })
    }

    /// The value of `key`; of several the last. A null is no value.
    pub(crate) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.members
            .iter()
            .rev()
            .find(|(known, _)| known == key)
            .map(|(_, value)| *value)
            .filter(|value| !is_null(value))
    }

    /// The same, and the member is gone.
    pub(crate) fn take(&mut self, key: &str) -> Option<&'a RawValue> {
        let value = self.get(key);
        self.members.retain(|(known, _)| known != key);
        value
    }

    /// What is left, nulls included.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.members.iter().map(|(key, value)| (key.as_ref(), *value))
    }

    /// The string under `key`.
    pub(crate) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        text(self.get(key)?)
    }
}

/// The line and the column, but not a word of what was sent.
fn without_text(error: &serde_json::Error) -> String {
    format!("line {} column {}", error.line(), error.column())
}

/// Whether it is `null`.
pub(crate) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// The string that `value` is.
pub(crate) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(value.get()).ok().map(|Text(text)| text)
}

/// Whether `value` is a string, whatever it says.
pub(crate) fn is_text(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

/// The object that `value` is.
pub(crate) fn object(value: &RawValue) -> Option<Object<'_>> {
    serde_json::from_str(value.get()).ok()
}

/// The elements of the array that `value` is.
pub(crate) fn elements(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// Whether `value` is `true`.
pub(crate) fn is_true(value: &RawValue) -> bool {
    value.get() == "true"
}

/// `value` without the white space between its tokens, so that it fits on the one line of an event.
pub(crate) fn compact(value: &RawValue) -> String {
    let mut in_string = false;
    let mut escaped = false;
    let kept = value.get().chars().filter(|&c| {
        let keep = in_string || !matches!(c, ' ' | '\n' | '\r' | '\t');
        match (in_string, c) {
            (true, _) if escaped => escaped = false,
            (true, '\\') => escaped = true,
            (_, '"') => in_string = !in_string,
            _ => {}
        }
        keep
    });
    kept.collect()
}

/// `value` as JSON. There is nothing in what is written here that cannot be.
pub(crate) fn write<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Writes an object member by member.
#[derive(Debug)]
pub(crate) struct Writer {
    out: String,
}

impl Writer {
    /// An object without members.
    pub(crate) fn with_capacity(n_bytes: usize) -> Writer {
        let mut out = String::with_capacity(n_bytes);
        out.push('{');
        Writer { out }
    }

    /// Adds a member.
    pub(crate) fn member<T: serde::Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        self.raw(key, &write(value));
    }

    /// Adds a member whose value is JSON already.
    pub(crate) fn raw(&mut self, key: &str, json: &str) {
        if self.out.len() > 1 {
            self.out.push(',');
        }
        self.out.push_str(&write(key));
        self.out.push(':');
        self.out.push_str(json);
    }

    /// The object.
    pub(crate) fn finish(mut self) -> String {
        self.out.push('}');
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_their_bytes() {
        let body = br#"{"z":{"b":1.50,"a":2},"k\u0065y":"\ud800","a":null,"z":[1e400]}"#;
        let mut object = Object::of_request(body).unwrap();
        let keys: Vec<&str> = object.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["z", "key", "a", "z"]);
        assert_eq!(object.get("z").unwrap().get(), "[1e400]");
        assert!(object.get("a").is_none() && object.get("none").is_none());
        assert_eq!(object.take("key").unwrap().get(), r#""\ud800""#);
        let mut writer = Writer::with_capacity(64);
        object.iter().for_each(|(key, value)| writer.raw(key, value.get()));
        assert_eq!(writer.finish(), r#"{"z":{"b":1.50,"a":2},"a":null,"z":[1e400]}"#);
    }

    #[test]
    fn compact_takes_white_space_from_between_tokens_only() {
        let raw: &RawValue = serde_json::from_str("{ \"a b\" :\r\n [ 1 , \"\\\\\" , \"c \\\" d\" ]\t}").unwrap();
        assert_eq!(compact(raw), r#"{"a b":[1,"\\","c \" d"]}"#);
    }

    #[test]
    fn what_is_no_object_is_refused_without_quoting_it() {
        let refusal = Object::of_request(br#"{"secret": canary}"#).unwrap_err();
        assert_eq!(refusal.body.message, "We could not parse the JSON body of your request: line 1 column 12.");
        assert!(Object::of_request(b"[]").is_err());
    }
}
