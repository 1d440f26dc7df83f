//! What is known of a key before its value is looked at: the tables that the readers go by and `docs/reference/import.md` shows.

use super::ledger::{Ledger, Outcome};
use super::tree::{Node, Value};

/// What is known of one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// The key; a `*` at the end stands for any text.
    pub key: &'static str,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    /// A reader carries it over; the words say where to.
    Mapped(&'static str),
    /// Left out and not missed; why.
    Harmless(&'static str),
    /// Left out and perhaps missed; why, and what to do.
    Unsupported(&'static str, &'static str),
}

/// A table with the place in the source that it is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    /// The place, as a key path.
    pub at: &'static str,
    /// The keys there.
    pub rules: &'static [Rule],
}

pub(super) const fn mapped(key: &'static str, to: &'static str) -> Rule {
    Rule { key, verdict: Verdict::Mapped(to) }
}

pub(super) const fn harmless(key: &'static str, why: &'static str) -> Rule {
    Rule { key, verdict: Verdict::Harmless(why) }
}

pub(super) const fn unsupported(key: &'static str, why: &'static str, hint: &'static str) -> Rule {
    Rule { key, verdict: Verdict::Unsupported(why, hint) }
}

impl Rule {
    fn fits(&self, key: &str) -> bool {
        match self.key.strip_suffix('*') {
            Some(beginning) => key.starts_with(beginning),
            None => key == self.key,
        }
    }
}

impl Verdict {
    /// The outcome, when the key alone decides it.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self {
            Verdict::Mapped(_) => None,
            Verdict::Harmless(why) => Some(Outcome::Harmless { why: (*why).to_owned() }),
            Verdict::Unsupported(why, hint) => {
                Some(Outcome::Unsupported { why: (*why).to_owned(), hint: (*hint).to_owned() })
            }
        }
    }
}

/// The verdict on a key: of its own rule, else of the first pattern that fits.
pub(super) fn find(rules: &'static [Rule], key: &str) -> Option<&'static Verdict> {
    let exact = rules.iter().find(|rule| rule.key == key);
    exact.or_else(|| rules.iter().find(|rule| rule.fits(key))).map(|rule| &rule.verdict)
}

/// Settles every entry of `map` whose key alone decides it. The others are the reader's.
pub(super) fn settle(map: &Node, rules: &'static [Rule], ledger: &mut Ledger<'_>) {
    for (key, node) in map.entries() {
        if let Some(outcome) = find(rules, key).and_then(Verdict::outcome) {
            ledger.rest(node, &outcome);
        }
    }
}

/// What stands under a key that is read and was not of the form that is read there. Keys whose values have a table of their
/// own are in `but`.
pub(super) fn leftovers(map: &Node, rules: &'static [Rule], but: &[&str], ledger: &mut Ledger<'_>) {
    for (key, node) in map.entries().iter().filter(|(key, _)| !but.contains(&key.as_str())) {
        if matches!(find(rules, key), Some(Verdict::Mapped(_))) {
            ledger.rest(node, &wrong_form(node));
        }
    }
}

/// What becomes of a value that is not of the form that is read in its place.
pub(super) fn wrong_form(node: &Node) -> Outcome {
    if is_empty(node) {
        Outcome::Harmless { why: "there is nothing in it".to_owned() }
    } else {
        let why = "not of the form that is read here".to_owned();
        Outcome::Unsupported { why, hint: "correct it at the source".to_owned() }
    }
}

fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Nothing => true,
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => false,
    }
}
