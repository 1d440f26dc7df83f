//! JSONPath (RFC 9535): names, indices, wildcards, slices, unions and descendants. Filters and functions are refused by name: a schema
//! or a field comparison says what they would.

use serde_json::Value;
use thiserror::Error;

/// A path that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    /// Of all that is below, too.
    descends: bool,
    selectors: Vec<Selector>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Selector {
    Name(String),
    Any,
    Index(i64),
    Slice { start: Option<i64>, end: Option<i64>, step: i64 },
}

/// Why a text is no path, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{what}, at byte {at}")]
pub struct PathError {
    what: &'static str,
    at: usize,
}

/// More nodes than this are not gathered: unions of descendants multiply.
const MAX_NODES: usize = 1_000_000;
/// The largest index that RFC 9535 allows: what a double holds exactly.
const MAX_INDEX: i64 = (1 << 53) - 1;

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// When it is none by RFC 9535, or uses a filter.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        let mut reader = Reader { text, at: 0 };
        if !reader.takes('$') {
            return Err(reader.wrong("a path begins with `$`"));
        }
        let mut segments = Vec::new();
        loop {
            let before = reader.at;
            reader.blanks();
            if reader.peek().is_none() {
                if reader.at != before {
                    return Err(reader.wrong("white space at the end"));
                }
                return Ok(Path { segments });
            }
            segments.push(reader.segment()?);
        }
    }

    /// The nodes that the path selects, in order. `None` when there are too many.
    #[must_use]
    pub fn select<'v>(&self, value: &'v Value) -> Option<Vec<&'v Value>> {
        let mut nodes = vec![value];
        for segment in &self.segments {
            let mut next = Vec::new();
            for node in nodes {
                if segment.descends {
                    descend(node, &mut |node| choose(&segment.selectors, node, &mut next))?;
                } else {
                    choose(&segment.selectors, node, &mut next)?;
                }
            }
            nodes = next;
        }
        Some(nodes)
    }
}

/// Calls `each` for a node and for all that is below, from the top down.
fn descend<'v>(node: &'v Value, each: &mut impl FnMut(&'v Value) -> Option<()>) -> Option<()> {
    each(node)?;
    match node {
        Value::Array(elements) => elements.iter().try_for_each(|element| descend(element, each)),
        Value::Object(members) => members.values().try_for_each(|member| descend(member, each)),
        _ => Some(()),
    }
}

fn choose<'v>(selectors: &[Selector], node: &'v Value, into: &mut Vec<&'v Value>) -> Option<()> {
    for selector in selectors {
        match (selector, node) {
            (Selector::Name(name), Value::Object(members)) => into.extend(members.get(name)),
            (Selector::Any, Value::Object(members)) => into.extend(members.values()),
            (Selector::Any, Value::Array(elements)) => into.extend(elements),
            (Selector::Index(index), Value::Array(elements)) => {
                into.extend(place(*index, elements.len()).map(|at| &elements[at]))
            }
            (Selector::Slice { start, end, step }, Value::Array(elements)) => {
                into.extend(slice(*start, *end, *step, elements.len()).into_iter().map(|at| &elements[at]));
            }
            _ => {}
        }
    }
    (into.len() <= MAX_NODES).then_some(())
}

fn place(index: i64, n: usize) -> Option<usize> {
    let at = if index < 0 { i64::try_from(n).ok()?.checked_add(index)? } else { index };
    usize::try_from(at).ok().filter(|at| *at < n)
}

/// The places of a slice, by the bounds of RFC 9535 §2.3.4.2.2.
fn slice(start: Option<i64>, end: Option<i64>, step: i64, n: usize) -> Vec<usize> {
    let n = i64::try_from(n).unwrap_or(i64::MAX);
    let normal = |index: i64| if index >= 0 { index } else { n + index };
    let mut places = Vec::new();
    if step > 0 {
        let (mut at, end) = (normal(start.unwrap_or(0)).clamp(0, n), normal(end.unwrap_or(n)).clamp(0, n));
        while at < end {
            places.extend(usize::try_from(at));
            at = at.saturating_add(step);
        }
    } else if step < 0 {
        let (mut at, end) =
            (normal(start.unwrap_or(n - 1)).clamp(-1, n - 1), end.map_or(-1, |end| normal(end).clamp(-1, n - 1)));
        while at > end {
            places.extend(usize::try_from(at));
            at = at.saturating_add(step);
        }
    }
    places
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self, what: &'static str) -> PathError {
        PathError { what, at: self.at }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn takes(&mut self, c: char) -> bool {
        let is = self.peek() == Some(c);
        self.at += if is { c.len_utf8() } else { 0 };
        is
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|c| matches!(c, ' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn segment(&mut self) -> Result<Segment, PathError> {
        if self.takes('[') {
            return Ok(Segment { descends: false, selectors: self.bracketed()? });
        }
        if !self.takes('.') {
            return Err(self.wrong("`.` or `[` was expected"));
        }
        let descends = self.takes('.');
        if descends && self.takes('[') {
            return Ok(Segment { descends, selectors: self.bracketed()? });
        }
        let selector = if self.takes('*') { Selector::Any } else { Selector::Name(self.short_name()?) };
        Ok(Segment { descends, selectors: vec![selector] })
    }

    fn short_name(&mut self) -> Result<String, PathError> {
        let begins = |c: char| c.is_ascii_alphabetic() || c == '_' || c >= '\u{80}';
        let start = self.at;
        while self.peek().is_some_and(|c| begins(c) || (self.at > start && c.is_ascii_digit())) {
            self.next();
        }
        if self.at == start {
            Err(self.wrong("a name or `*` was expected"))
        } else {
            Ok(self.text[start..self.at].to_owned())
        }
    }

    fn bracketed(&mut self) -> Result<Vec<Selector>, PathError> {
        let mut selectors = Vec::new();
        loop {
            self.blanks();
            selectors.push(self.selector()?);
            self.blanks();
            if self.takes(']') {
                return Ok(selectors);
            }
            if !self.takes(',') {
                return Err(self.wrong("`,` or `]` was expected"));
            }
        }
    }

    fn selector(&mut self) -> Result<Selector, PathError> {
        match self.peek() {
            Some(quote @ ('"' | '\'')) => {
                self.at += 1;
                self.quoted(quote).map(Selector::Name)
            }
            Some('*') => {
                self.at += 1;
                Ok(Selector::Any)
            }
            Some('?') => Err(self.wrong("filters are not supported; say it with a schema")),
            _ => self.index_or_slice(),
        }
    }

    fn index_or_slice(&mut self) -> Result<Selector, PathError> {
        let start = self.integer()?;
        let after = self.at;
        self.blanks();
        if !self.takes(':') {
            self.at = after;
            return start
                .map(Selector::Index)
                .ok_or_else(|| self.wrong("a name, an index, a slice or `*` was expected"));
        }
        self.blanks();
        let end = self.integer()?;
        let after = self.at;
        self.blanks();
        let mut step = None;
        if self.takes(':') {
            let colon = self.at;
            self.blanks();
            step = self.integer()?;
            if step.is_none() {
                self.at = colon;
            }
        } else {
            self.at = after;
        }
        Ok(Selector::Slice { start, end, step: step.unwrap_or(1) })
    }

    fn integer(&mut self) -> Result<Option<i64>, PathError> {
        let start = self.at;
        let is_negative = self.takes('-');
        let digits = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let text = &self.text[digits..self.at];
        if text.is_empty() && !is_negative {
            return Ok(None);
        }
        let is_written_so = !text.is_empty() && !(text.starts_with('0') && (text.len() > 1 || is_negative));
        let number = self.text[start..self.at].parse::<i64>().ok().filter(|n| n.abs() <= MAX_INDEX);
        match number.filter(|_| is_written_so) {
            Some(number) => Ok(Some(number)),
            None => Err(PathError { what: "not an index", at: start }),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, PathError> {
        let mut name = String::new();
        loop {
            match self.next() {
                Some(c) if c == quote => return Ok(name),
                Some('\\') => name.push(self.escaped(quote)?),
                Some(c) if c >= ' ' => name.push(c),
                _ => return Err(self.wrong("a name without its end, or with a control character")),
            }
        }
    }

    fn escaped(&mut self, quote: char) -> Result<char, PathError> {
        Ok(match self.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(c @ ('/' | '\\')) => c,
            Some(c) if c == quote => c,
            Some('u') => return self.code_point(),
            _ => return Err(self.wrong("not an escape")),
        })
    }

    fn code_point(&mut self) -> Result<char, PathError> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.wrong("half a surrogate pair"));
        }
        if !(self.takes('\\') && self.takes('u')) {
            return Err(self.wrong("half a surrogate pair"));
        }
        let second = self.four_digits()?;
        let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400);
        let code = low.map(|low| 0x10000 + ((first - 0xd800) << 10) + low);
        code.and_then(char::from_u32).ok_or_else(|| self.wrong("half a surrogate pair"))
    }

    fn four_digits(&mut self) -> Result<u32, PathError> {
        let digits = self.text.get(self.at..self.at + 4).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.wrong("not an escape"))?;
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(path: &str, expected: Value) {
        let value = json!({ "a": [1, 2, { "b": 3 }], "b": { "c": null, "d e": "x" } });
        let found = Path::parse(path).unwrap().select(&value).unwrap();
        assert_eq!(json!(found), expected, "{path}");
    }

    #[test]
    fn every_kind_of_selector_selects() {
        check("$", json!([{ "a": [1, 2, { "b": 3 }], "b": { "c": null, "d e": "x" } }]));
        check("$.a[0]", json!([1]));
        check("$.a[-1].b", json!([3]));
        check("$..b", json!([{ "c": null, "d e": "x" }, 3]));
        check("$.a[::-2]", json!([{ "b": 3 }, 1]));
        check("$.a[5, 1, 1:]", json!([2, 2, { "b": 3 }]));
        check(r#"$["b"]['d e']"#, json!(["x"]));
        check("$.b.*", json!([null, "x"]));
        check("$.nothing", json!([]));
    }

    #[test]
    fn a_wrong_path_says_where() {
        let told = |path: &str| Path::parse(path).unwrap_err().to_string();
        assert_eq!(told("a.b"), "a path begins with `$`, at byte 0");
        assert_eq!(told("$.a[01]"), "not an index, at byte 4");
        assert_eq!(told("$[?@.x]"), "filters are not supported; say it with a schema, at byte 2");
        assert_eq!(told(r#"$["\ud800"]"#), "half a surrogate pair, at byte 9");
    }
}
