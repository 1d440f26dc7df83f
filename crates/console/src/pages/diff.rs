//! What differs between two answers: words of texts, and members of JSON. Numbers and texts in, a list of pieces out.

use std::time::Duration;

use serde_json::Value;
use similar::{Algorithm, ChangeTag, TextDiffConfig};

/// Longer answers are not compared word by word.
const LONGEST: usize = 256 << 10;
/// After so long what is left is taken as replaced.
const PATIENCE: Duration = Duration::from_millis(200);
/// So many differences of JSON are listed.
const MOST: usize = 200;

/// A piece of both texts, of the first, or of the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Both(String),
    First(String),
    Second(String),
}

/// One place at which two documents differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Where, as a JSON pointer.
    pub at: String,
    /// What the first has there.
    pub first: Option<String>,
    /// What the second has.
    pub second: Option<String>,
}

/// Word by word; `None` for texts that are too long for that.
pub(super) fn words(first: &str, second: &str) -> Option<Vec<Piece>> {
    if first.len() + second.len() > LONGEST {
        return None;
    }
    let mut config = TextDiffConfig::default();
    config.algorithm(Algorithm::Myers).timeout(PATIENCE);
    let diff = config.diff_unicode_words(first, second);
    let mut pieces: Vec<Piece> = Vec::new();
    for change in diff.iter_all_changes() {
        let text = change.value();
        match (change.tag(), pieces.last_mut()) {
            (ChangeTag::Equal, Some(Piece::Both(last)))
            | (ChangeTag::Delete, Some(Piece::First(last)))
            | (ChangeTag::Insert, Some(Piece::Second(last))) => last.push_str(text),
            (ChangeTag::Equal, _) => pieces.push(Piece::Both(text.to_owned())),
            (ChangeTag::Delete, _) => pieces.push(Piece::First(text.to_owned())),
            (ChangeTag::Insert, _) => pieces.push(Piece::Second(text.to_owned())),
        }
    }
    Some(pieces)
}

/// Member by member, where both are JSON documents; arrays by their places.
pub(super) fn json(first: &str, second: &str) -> Option<Vec<Place>> {
    let read = |text: &str| {
        serde_json::from_str::<Value>(text.trim()).ok().filter(|value| value.is_object() || value.is_array())
    };
    let (first, second) = (read(first)?, read(second)?);
    let mut places = Vec::new();
    compare(&mut String::new(), (Some(&first), Some(&second)), &mut places);
    Some(places)
}

fn compare(at: &mut String, (first, second): (Option<&Value>, Option<&Value>), places: &mut Vec<Place>) {
    if first == second || places.len() >= MOST {
        return;
    }
    match (first, second) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let added = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(added) {
                let name = key.replace('~', "~0").replace('/', "~1");
                below(at, &name, (one.get(key), other.get(key)), places);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for idx in 0..one.len().max(other.len()) {
                below(at, &idx.to_string(), (one.get(idx), other.get(idx)), places);
            }
        }
        _ => {
            let text = |value: Option<&Value>| value.map(Value::to_string);
            let at = if at.is_empty() { "/".to_owned() } else { at.clone() };
            places.push(Place { at, first: text(first), second: text(second) });
        }
    }
}

fn below(at: &mut String, name: &str, both: (Option<&Value>, Option<&Value>), places: &mut Vec<Place>) {
    let length = at.len();
    at.push('/');
    at.push_str(name);
    compare(at, both, places);
    at.truncate(length);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_stay_go_and_come_are_told_apart() {
        let pieces = words("It takes 3 days.", "It takes 72 hours.").unwrap();
        let (mut first, mut second) = (String::new(), String::new());
        for piece in &pieces {
            match piece {
                Piece::Both(text) => {
                    first.push_str(text);
                    second.push_str(text);
                }
                Piece::First(text) => first.push_str(text),
                Piece::Second(text) => second.push_str(text),
            }
        }
        assert_eq!((first.as_str(), second.as_str()), ("It takes 3 days.", "It takes 72 hours."));
        assert_eq!(pieces.first(), Some(&Piece::Both("It takes ".to_owned())));
        assert!(pieces.contains(&Piece::First("3".to_owned())) && pieces.contains(&Piece::Second("72".to_owned())));
        assert_eq!(words(&"a ".repeat(LONGEST), ""), None);
    }

    #[test]
    fn documents_differ_where_their_members_do() {
        let check = |first: &str, second: &str| {
            let places = json(first, second)?;
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            Some(
                places
                    .iter()
                    .map(|place| format!("{} {} {}", place.at, text(&place.first), text(&place.second)))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            check(r#"{"a":1,"b":[1,2],"c":{"d/e":"x"}}"#, r#" {"c":{"d/e":"y"},"b":[1],"a":1,"f":null}"#).unwrap(),
            ["/b/1 2 -", "/c/d~1e \"x\" \"y\"", "/f - null"]
        );
        assert_eq!(check(r#"{"a":1}"#, r#"{ "a": 1 }"#).unwrap(), Vec::<String>::new());
        assert_eq!(check("[1]", r#"{"a":1}"#).unwrap(), ["/ [1] {\"a\":1}"]);
        assert_eq!(check("plain", "{}"), None);
        let many: String = (0..1000).map(|n| format!("{n},")).collect();
        assert_eq!(json("[]", &format!("[{}0]", many)).unwrap().len(), MOST);
    }
}
