//! Makes what identifies people unreadable before it becomes part of a dataset.
//!
//! Patterns find forms (addresses, numbers, keys), not meaning: a name in a sentence stays. Whoever needs more adds patterns,
//! or reads the dataset before it is used elsewhere.

use regex::{Captures, Regex};
use serde_json::Value;

/// The usual patterns: their word, and what they look like.
const USUAL: [(&str, &str); 6] = [
    ("email", r"(?i)\b[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+\b"),
    ("iban", r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b"),
    ("key", r"\b(?:sk|pk|ghp|xox[abp]|AKIA)[-_]?[A-Za-z0-9_-]{16,}\b"),
    ("card", r"\b(?:[0-9][ -]?){12,18}[0-9]\b"),
    ("ip", r"\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b"),
    ("phone", r"(?:\+|\b00)[1-9][0-9 ()/.-]{6,18}[0-9]\b"),
];

/// What is made unreadable.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    patterns: Vec<(String, Regex)>,
}

impl Redaction {
    /// The usual patterns, and more by their own words.
    ///
    /// # Errors
    /// When a pattern is none.
    pub fn with(more: &[String]) -> Result<Redaction, regex::Error> {
        let usual = USUAL.iter().map(|(word, pattern)| ((*word).to_owned(), (*pattern).to_owned()));
        let more = more.iter().map(|pattern| ("redacted".to_owned(), pattern.clone()));
        let patterns = usual.chain(more).map(|(word, pattern)| Regex::new(&pattern).map(|regex| (word, regex)));
        Ok(Redaction { patterns: patterns.collect::<Result<_, _>>()? })
    }

    /// The text with `[email]` and the like in the place of what was found, and how often.
    #[must_use]
    pub fn text(&self, text: &str) -> (String, u64) {
        let mut n = 0;
        let mut redacted = text.to_owned();
        for (word, pattern) in &self.patterns {
            let found = pattern.replace_all(&redacted, |found: &Captures<'_>| {
                // A long number is a card's only when its check digit says so.
                if word == "card" && !is_card(&found[0]) {
                    return found[0].to_owned();
                }
                n += 1;
                format!("[{word}]")
            });
            redacted = found.into_owned();
        }
        (redacted, n)
    }

    /// The same in every text of a value, names of members excepted. Returns how often.
    pub fn value(&self, value: &mut Value) -> u64 {
        match value {
            Value::String(text) => {
                let (redacted, n) = self.text(text);
                *text = redacted;
                n
            }
            Value::Array(items) => items.iter_mut().map(|item| self.value(item)).sum(),
            Value::Object(members) => members.values_mut().map(|item| self.value(item)).sum(),
            _ => 0,
        }
    }
}

/// Whether the check digit is right (ISO/IEC 7812-1, Luhn).
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|character| character.to_digit(10)).collect();
    let weighed = digits.iter().rev().enumerate().map(|(idx, digit)| match (idx % 2, digit * 2) {
        (0, _) => *digit,
        (_, doubled) => doubled / 10 + doubled % 10,
    });
    (13..=19).contains(&digits.len()) && weighed.sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let redaction = Redaction::with(&["order-[0-9]+".to_owned()]).unwrap();
        assert_eq!(redaction.text(text).0, expected);
    }

    #[test]
    fn what_identifies_is_replaced_by_its_kind() {
        check("write to Ann.Lee+x@mail.example.org.", "write to [email].");
        check("card 4111 1111 1111 1111 please", "card [card] please");
        check("DE89 3704 0044 0532 0130 00", "[iban]");
        check("from 10.0.0.7, call +49 30 1234567", "from [ip], call [phone]");
        check("sk-test_0123456789abcdefXYZ", "[key]");
        check("about order-5512", "about [redacted]");
    }

    #[test]
    fn other_numbers_stay() {
        check("4111 1111 1111 1112 is no card", "4111 1111 1111 1112 is no card");
        check(
            "72 hours, 60 by 40 by 38, version 1.2.3, 2026-11-25",
            "72 hours, 60 by 40 by 38, version 1.2.3, 2026-11-25",
        );
    }
}
