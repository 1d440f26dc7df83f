//! The inline policy of a route: what is looked for in requests and answers, and what comes of it. Pure: text in, verdicts out;
//! whoever calls a moderation target brings what it said.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};
use wire::record::{Phase, Verdict};

/// What takes the place of what was found.
pub const REDACTED: &str = "[redacted]";

/// The compiled form of all patterns of a check takes no more than this, so that a config cannot take all memory.
const MAX_COMPILED: usize = 4 << 20;

/// The policy of a route.
#[derive(Debug, Clone)]
pub struct Policy {
    /// In the order in which they are made.
    pub checks: Vec<Check>,
    /// What callers are told who get no answer.
    pub blocked_as: BlockedAs,
    /// What is done with streams that are looked at.
    pub streams: Streams,
}

/// What callers are told who get no answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BlockedAs {
    /// An error, 400 or 403.
    #[default]
    Error,
    /// Where an answer is text: one without any that ends for `content_filter`, as some vendors' do.
    ContentFilter,
}

impl BlockedAs {
    /// Every way.
    pub const ALL: [BlockedAs; 2] = [BlockedAs::Error, BlockedAs::ContentFilter];

    /// The word in the config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            BlockedAs::Error => "error",
            BlockedAs::ContentFilter => "content_filter",
        }
    }
}

/// What is done with streams whose answers are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Streams {
    /// Held back until they are whole and were looked at.
    #[default]
    Hold,
    /// Passed on as they come, looked at before their end, and cut there.
    Cut,
}

impl Streams {
    /// Every way.
    pub const ALL: [Streams; 2] = [Streams::Hold, Streams::Cut];

    /// The word in the config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Streams::Hold => "hold",
            Streams::Cut => "cut",
        }
    }
}

/// When a check is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum When {
    /// Of the request.
    #[default]
    Before,
    /// Of the answer.
    After,
    /// Of both.
    Both,
}

impl When {
    /// Every way.
    pub const ALL: [When; 3] = [When::Before, When::After, When::Both];

    /// The word in the config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            When::Before => "before",
            When::After => "after",
            When::Both => "both",
        }
    }

    /// Whether that is in this phase.
    #[must_use]
    pub const fn is_in(self, phase: Phase) -> bool {
        matches!((self, phase), (When::Both, _) | (When::Before, Phase::Before) | (When::After, Phase::After))
    }
}

/// One check of a policy.
#[derive(Debug, Clone)]
pub struct Check {
    /// Its name in the config.
    pub name: String,
    /// When it is made.
    pub when: When,
    /// What it looks for.
    pub kind: Kind,
    /// What comes of it when it finds something.
    pub then: Verdict,
}

/// What a check looks for.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Any of these patterns in a text.
    Deny(Patterns),
    /// A body that is longer than this.
    MaxBytes(usize),
    /// A tool on offer that is not on this list; a `*` at the end stands for anything.
    Tools(Vec<String>),
    /// Whatever this target's moderation flags.
    Moderation(Moderation),
    /// Nothing: it always finds something. With `escalate`, every request is a person's to answer.
    Always,
}

/// How a moderation target is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moderation {
    /// The target.
    pub target: String,
    /// How long it may take, all in all.
    pub timeout: Duration,
    /// The verdict when it does not say.
    pub on_error: Verdict,
}

/// Patterns, compiled.
#[derive(Debug, Clone)]
pub struct Patterns(Arc<[Regex]>);

impl Patterns {
    /// One pattern more than there were, compiled: linear in the length of the text, whatever the pattern.
    ///
    /// # Errors
    /// When it is no pattern, with what is wrong about it, or compiled it would be too large.
    pub fn compile(pattern: &str) -> Result<Regex, regex::Error> {
        RegexBuilder::new(pattern).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).build()
    }

    /// All of them together.
    #[must_use]
    pub fn new(patterns: Vec<Regex>) -> Self {
        Self(patterns.into())
    }

    /// Which pattern is found in a text, counted from 0.
    #[must_use]
    pub fn found_in(&self, text: &[u8]) -> Option<usize> {
        self.0.iter().position(|pattern| pattern.is_match(text))
    }

    /// Where anything is found in a text, in order; what touches is one place.
    #[must_use]
    pub fn places(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut all: Vec<Range<usize>> =
            self.0.iter().flat_map(|pattern| pattern.find_iter(text).map(|found| found.range())).collect();
        all.retain(|place| !place.is_empty());
        all.sort_unstable_by_key(|place| (place.start, place.end));
        let mut places: Vec<Range<usize>> = Vec::with_capacity(all.len());
        for place in all {
            match places.last_mut().filter(|last| place.start <= last.end) {
                Some(last) => last.end = last.end.max(place.end),
                None => places.push(place),
            }
        }
        places
    }

    /// The text with everything that is found taken out; `None` when nothing is.
    #[must_use]
    pub fn redacted(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut left = Cow::Borrowed(text);
        for pattern in self.0.iter() {
            if let Cow::Owned(shorter) = pattern.replace_all(&left, regex::bytes::NoExpand(REDACTED.as_bytes())) {
                left = Cow::Owned(shorter);
            }
        }
        match left {
            Cow::Borrowed(_) => None,
            Cow::Owned(left) => Some(left),
        }
    }
}

impl Policy {
    /// The checks of a phase, in order.
    pub fn of(&self, phase: Phase) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |check| check.when.is_in(phase))
    }

    /// Whether answers are looked at.
    #[must_use]
    pub fn looks_at_answers(&self) -> bool {
        self.of(Phase::After).next().is_some()
    }

    /// Whether streams are held back to be looked at.
    #[must_use]
    pub fn holds_streams(&self) -> bool {
        self.streams == Streams::Hold && self.looks_at_answers()
    }
}

/// Whether a tool of this name is on the list.
#[must_use]
pub fn is_listed(list: &[String], name: &str) -> bool {
    list.iter().any(|entry| match entry.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => entry == name,
    })
}

/// What comes of several checks: the strictest of them.
#[must_use]
pub fn strictest(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    verdicts.into_iter().max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Patterns {
        Patterns::new(texts.iter().map(|text| Patterns::compile(text).unwrap()).collect())
    }

    #[test]
    fn patterns_find_and_take_out_and_leave_the_rest_as_it_was() {
        let some = patterns(&["sk-[a-z0-9]{4,}", "(?i)geheim"]);
        assert_eq!(some.found_in(b"nothing of it"), None);
        assert_eq!(some.found_in(b"ganz GEHEIM"), Some(1));
        assert_eq!(some.redacted(b"nothing of it"), None);
        assert_eq!(
            some.redacted("a sk-12ab, $1 Geheimnis \u{fc}".as_bytes()).unwrap(),
            "a [redacted], $1 [redacted]nis \u{fc}".as_bytes()
        );
        assert_eq!(some.redacted(b"\xff sk-aaaa").unwrap(), b"\xff [redacted]");
    }

    #[test]
    fn a_pattern_that_is_none_or_would_take_all_memory_is_refused() {
        assert!(Patterns::compile("(").is_err());
        assert!(Patterns::compile("(a{1000}){1000}").is_err());
        assert!(Patterns::compile("(?=look)").is_err());
    }

    #[test]
    fn the_strictest_verdict_counts() {
        use Verdict::{Allow, Block, Escalate, Redact};
        assert_eq!(strictest([Allow, Redact, Allow]), Redact);
        assert_eq!(strictest([Escalate, Redact]), Escalate);
        assert_eq!(strictest([Escalate, Block]), Block);
        assert_eq!(strictest([]), Allow);
        assert!(Block.stops() && Escalate.stops() && !Redact.stops() && !Allow.stops());
    }

    #[test]
    fn a_list_of_tools_knows_beginnings() {
        let list = ["search".to_owned(), "weather_*".to_owned()];
        for (name, listed) in
            [("search", true), ("weather_now", true), ("searches", false), ("Search", false), ("", false)]
        {
            assert_eq!(is_listed(&list, name), listed, "{name}");
        }
    }

    #[test]
    fn a_check_is_made_when_it_says() {
        assert!(When::Both.is_in(Phase::Before) && When::Both.is_in(Phase::After));
        assert!(When::Before.is_in(Phase::Before) && !When::Before.is_in(Phase::After));
    }
}
