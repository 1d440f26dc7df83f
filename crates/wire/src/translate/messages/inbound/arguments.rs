//! The arguments of a call: text that should be one JSON object.

use std::borrow::Cow;

use crate::openai::well_formed;

/// Follows the arguments of a call while their pieces arrive.
#[derive(Debug, Clone, Default)]
pub(super) struct Tracker {
    depth: u32,
    in_string: bool,
    escape: bool,
    state: State,
}

/// How far the arguments are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum State {
    /// White space at most.
    #[default]
    Empty,
    /// The object has begun.
    Open,
    /// The object has ended.
    Whole,
    /// This is no object, or something follows it.
    Broken,
}

impl Tracker {
    /// Takes the next piece.
    pub(super) fn push(&mut self, piece: &[u8]) {
        for &byte in piece {
            match self.state {
                State::Empty | State::Whole if byte.is_ascii_whitespace() => {}
                State::Empty if byte == b'{' => {
                    self.state = State::Open;
                    self.depth = 1;
                }
                State::Open => self.inside(byte),
                _ => self.state = State::Broken,
            }
        }
    }

    fn inside(&mut self, byte: u8) {
        match byte {
            _ if self.escape => self.escape = false,
            b'\\' if self.in_string => self.escape = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    self.state = State::Whole;
                }
            }
            _ => {}
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }
}

/// The object that `arguments` are: `{}` for nothing at all, and what there is of it, closed, when the model was `cut` short.
/// `None` when they are no object.
pub(super) fn object(arguments: &str, cut: bool) -> Option<Cow<'_, str>> {
    let text = arguments.trim_ascii();
    if text.is_empty() {
        return Some(Cow::Borrowed("{}"));
    }
    if !text.starts_with('{') {
        return None;
    }
    if well_formed(text.as_bytes()) {
        return Some(Cow::Borrowed(text));
    }
    let closed = if cut { closed(text) } else { return None };
    well_formed(closed.as_bytes()).then_some(Cow::Owned(closed))
}

/// The beginning of an object, closed after the last value that is whole. Anthropic's SDKs read a cut input like that.
fn closed(text: &str) -> String {
    let mut open = Vec::new();
    // Where the last whole value ends, and what is open there.
    let mut whole = (0, Vec::new());
    let (mut in_string, mut escape, mut is_value) = (false, false, false);
    for (idx, byte) in text.bytes().enumerate() {
        match byte {
            _ if escape => escape = false,
            b'\\' if in_string => escape = true,
            b'"' if in_string => {
                in_string = false;
                if is_value || open.last() == Some(&b']') {
                    whole = (idx + 1, open.clone());
                }
            }
            _ if in_string => {}
            b'"' => in_string = true,
            b':' => is_value = true,
            b'{' | b'[' => {
                open.push(if byte == b'{' { b'}' } else { b']' });
                is_value = false;
                whole = (idx + 1, open.clone());
            }
            b'}' | b']' => {
                open.pop();
                is_value = false;
                whole = (idx + 1, open.clone());
            }
            b',' => {
                is_value = false;
                whole = (idx, open.clone());
            }
            _ => {}
        }
    }
    let (end, open) = whole;
    let mut closed = text[..end].to_owned();
    closed.extend(open.iter().rev().map(|&bracket| char::from(bracket)));
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_whole_when_their_object_has_ended_however_they_are_cut() {
        let whole = r#" {"a":{"b":[1,"}\"]"]}} "#;
        for cut in 0..whole.len() {
            let mut tracker = Tracker::default();
            tracker.push(&whole.as_bytes()[..cut]);
            let first = tracker.state();
            tracker.push(&whole.as_bytes()[cut..]);
            assert_eq!(tracker.state(), State::Whole);
            let expected = match cut {
                0 | 1 => State::Empty,
                cut if cut < whole.len() - 1 => State::Open,
                _ => State::Whole,
            };
            assert_eq!(first, expected, "{cut}");
        }
        for broken in ["null", "[1]", "{} {}", "{}x"] {
            let mut tracker = Tracker::default();
            tracker.push(broken.as_bytes());
            assert_eq!(tracker.state(), State::Broken, "{broken}");
        }
    }

    fn check(arguments: &str, cut: bool, expected: Option<&str>) {
        assert_eq!(object(arguments, cut).as_deref(), expected, "{arguments}");
    }

    #[test]
    fn arguments_are_an_object_or_nothing() {
        check("", false, Some("{}"));
        check(" {\"a\": 1.50}\n", false, Some("{\"a\": 1.50}"));
        check("null", false, None);
        check("[]", true, None);
        check("{\"a\":", false, None);
    }

    #[test]
    fn what_was_cut_is_closed_after_the_last_whole_value() {
        check(r#"{"a":"#, true, Some("{}"));
        check(r#"{"a":1,"b"#, true, Some(r#"{"a":1}"#));
        check(r#"{"a":12"#, true, Some("{}"));
        check(r#"{"a":"x","b":[1,{"c":"d","e":"f"#, true, Some(r#"{"a":"x","b":[1,{"c":"d"}]}"#));
        check(r#"{"a":["x"#, true, Some(r#"{"a":[]}"#));
        check(r#"{"a":["x,\"","y"#, true, Some(r#"{"a":["x,\""]}"#));
    }
}
