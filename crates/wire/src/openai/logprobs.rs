//! How sure a model was: the log-probabilities of the tokens of chat completions, whole or in chunks, and the same answer without
//! them.

use std::ops::Range;

use bytes::Bytes;

use crate::scan::ScanError;
use crate::scan::cursor::{Array, Object, begins_with};

/// Adds up the log-probabilities of every choice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Logprobs {
    choices: Vec<Sum>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Sum {
    n: u64,
    sum: f64,
    min: f64,
}

impl Default for Sum {
    fn default() -> Sum {
        Sum { n: 0, sum: 0.0, min: 0.0 }
    }
}

/// More choices than this are not told apart.
const MAX_CHOICES: usize = 128;

impl Logprobs {
    /// Takes a whole answer, or the data of the next chunk. What cannot be read adds nothing.
    pub fn push(&mut self, body: &[u8]) {
        each_choice(body, |choice| {
            let Some(list) = choice.content else { return Ok(()) };
            let idx = choice.index.min(MAX_CHOICES - 1);
            if self.choices.len() <= idx {
                self.choices.resize_with(idx + 1, Sum::default);
            }
            let sum = &mut self.choices[idx];
            let mut tokens = Array::open(body, list)?;
            while tokens.next_value()? {
                if !begins_with(body, tokens.at(), b'{') {
                    tokens.skip()?;
                    continue;
                }
                let mut token = Object::open(body, tokens.at())?;
                while let Some(key) = token.next_key()? {
                    let (_, value) = token.skip()?;
                    let number = || std::str::from_utf8(&body[value]).ok()?.parse::<f64>().ok();
                    if key.name.as_ref() == b"logprob"
                        && let Some(logprob) = number()
                    {
                        *sum = Sum { n: sum.n + 1, sum: sum.sum + logprob, min: sum.min.min(logprob) };
                    }
                }
                tokens.resume(token.at());
            }
            Ok(())
        })
        .unwrap_or_default();
    }

    /// The mean and the smallest of the choice with the worst of each; `None` when there is none, or a choice without any.
    pub fn worst(&self) -> Option<(f64, f64)> {
        if self.choices.is_empty() || self.choices.iter().any(|choice| choice.n == 0) {
            return None;
        }
        let means = self.choices.iter().map(|choice| choice.sum / choice.n as f64);
        let mean = means.fold(f64::INFINITY, f64::min);
        Some((mean, self.choices.iter().map(|choice| choice.min).fold(f64::INFINITY, f64::min)))
    }
}

/// The answer or chunk with `null` for the log-probabilities of every choice, which is what who did not ask gets. `None` when there
/// are none in it.
pub fn without(body: &[u8]) -> Option<Bytes> {
    let mut cuts: Vec<Range<usize>> = Vec::new();
    each_choice(body, |choice| {
        cuts.extend(choice.logprobs);
        Ok(())
    })
    .ok()?;
    if cuts.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(body.len());
    let mut from = 0;
    for cut in cuts {
        out.extend_from_slice(&body[from..cut.start]);
        out.extend_from_slice(b"null");
        from = cut.end;
    }
    out.extend_from_slice(&body[from..]);
    Some(Bytes::from(out))
}

struct Choice {
    index: usize,
    /// Where `logprobs` is, when it is an object.
    logprobs: Option<Range<usize>>,
    /// Where `logprobs.content` begins, when it is an array.
    content: Option<usize>,
}

fn each_choice(body: &[u8], mut visit: impl FnMut(Choice) -> Result<(), ScanError>) -> Result<(), ScanError> {
    let mut top = Object::open_top(body)?;
    while let Some(key) = top.next_key()? {
        if key.name.as_ref() != b"choices" || !begins_with(body, top.at(), b'[') {
            top.skip()?;
            continue;
        }
        let mut choices = Array::open(body, top.at())?;
        let mut place = 0;
        while choices.next_value()? {
            if begins_with(body, choices.at(), b'{') {
                let (found, end) = choice(body, choices.at(), place)?;
                visit(found)?;
                choices.resume(end);
            } else {
                choices.skip()?;
            }
            place += 1;
        }
        top.resume(choices.at());
    }
    Ok(())
}

fn choice(body: &[u8], at: usize, place: usize) -> Result<(Choice, usize), ScanError> {
    let mut found = Choice { index: place, logprobs: None, content: None };
    let mut walk = Object::open(body, at)?;
    while let Some(key) = walk.next_key()? {
        if key.name.as_ref() == b"logprobs" && begins_with(body, walk.at(), b'{') {
            let start = walk.at();
            let mut inner = Object::open(body, start)?;
            while let Some(key) = inner.next_key()? {
                let (_, value) = inner.skip()?;
                if key.name.as_ref() == b"content" && body[value.start] == b'[' {
                    found.content = Some(value.start);
                }
            }
            walk.resume(inner.at());
            found.logprobs = Some(start..inner.at());
            continue;
        }
        let (_, value) = walk.skip()?;
        if key.name.as_ref() == b"index" {
            found.index = super::answer::index(&body[value]);
        }
    }
    Ok((found, walk.at()))
}

#[cfg(test)]
mod tests {
    use super::{Logprobs, without};

    fn worst(parts: &[&str]) -> Option<(f64, f64)> {
        let mut logprobs = Logprobs::default();
        parts.iter().for_each(|part| logprobs.push(part.as_bytes()));
        logprobs.worst()
    }

    #[test]
    fn whole_answers_and_chunks_are_added_up_by_choice() {
        let whole = r#"{"choices":[{"index":0,"logprobs":{"content":[{"token":"a","logprob":-0.5,"top_logprobs":[{"logprob":-9}]},{"logprob":-1.5}]}},
            {"index":1,"logprobs":{"refusal":null,"content":[{"logprob":-3.0}]}}]}"#;
        assert_eq!(worst(&[whole]), Some((-3.0, -3.0)));
        let chunk = |logprob: &str| {
            format!(r#"{{"choices":[{{"index":0,"delta":{{}},"logprobs":{{"content":[{{"logprob":{logprob}}}]}}}}]}}"#)
        };
        assert_eq!(worst(&[&chunk("-1"), "[DONE]", &chunk("-3e0"), r#"{"choices":[]}"#]), Some((-2.0, -3.0)));
    }

    #[test]
    fn without_any_nothing_is_known() {
        for none in [r#"{"choices":[{"logprobs":null}]}"#, r#"{"choices":[{"logprobs":{"content":null}}]}"#, "x", "{}"]
        {
            assert_eq!(worst(&[none]), None, "{none}");
        }
        let one_of_two = r#"{"choices":[{"index":1,"logprobs":{"content":[{"logprob":-1}]}}]}"#;
        assert_eq!(worst(&[one_of_two]), None, "the first choice has none");
    }

    #[test]
    fn they_are_taken_out_where_nobody_asked() {
        let given = r#"{"choices":[{"logprobs":{"content":[{"logprob":-1}]},"index":0},{"logprobs":null}],"x":1}"#;
        let taken = r#"{"choices":[{"logprobs":null,"index":0},{"logprobs":null}],"x":1}"#;
        assert_eq!(without(given.as_bytes()).as_deref(), Some(taken.as_bytes()));
        assert_eq!(without(taken.as_bytes()), None);
    }
}
