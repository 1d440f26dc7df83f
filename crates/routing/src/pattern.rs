//! A text, or a pattern of texts with one `*` that stands for any text.

use std::fmt;

/// A pattern with at most one `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    star: Option<usize>,
}

impl Pattern {
    /// The pattern that `text` is. `None` when it has more than one `*`, or is empty.
    #[must_use]
    pub fn new(text: &str) -> Option<Pattern> {
        let star = text.find('*');
        let one = star.is_none_or(|star| !text[star + 1..].contains('*'));
        (one && !text.is_empty()).then(|| Pattern { text: text.to_owned(), star })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `text` is such a text.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        match self.ends() {
            None => self.text == text,
            Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| rest.ends_with(after)),
        }
    }

    /// Whether every text that fits `other` fits this one.
    #[must_use]
    pub fn covers(&self, other: &Pattern) -> bool {
        match (self.ends(), other.ends()) {
            (_, None) => self.fits(&other.text),
            (None, Some(_)) => false,
            (Some((before, after)), Some((others_before, others_after))) => {
                others_before.starts_with(before) && others_after.ends_with(after)
            }
        }
    }

    fn ends(&self) -> Option<(&str, &str)> {
        let star = self.star?;
        Some((&self.text[..star], &self.text[star + 1..]))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether `text` fits one of them.
pub(crate) fn any_fits(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.fits(text))
}

/// Whether whatever fits one of `others` fits one of these, as far as one pattern at a time can tell.
pub(crate) fn cover(patterns: &[Pattern], others: &[Pattern]) -> bool {
    others.iter().all(|other| patterns.iter().any(|pattern| pattern.covers(other)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Pattern;

    #[track_caller]
    fn check(pattern: &str, text: &str, fits: bool) {
        assert_eq!(Pattern::new(pattern).unwrap().fits(text), fits, "{pattern} {text}");
    }

    #[test]
    fn a_star_stands_for_any_text() {
        check("gold", "gold", true);
        check("gold", "Gold", false);
        check("*", "", true);
        check("search_*", "search_web", true);
        check("a*a", "a", false);
        check("a*a", "aa", true);
        assert_eq!((Pattern::new("a*b*c"), Pattern::new("")), (None, None));
    }

    proptest! {
        #[test]
        fn what_covers_another_fits_whatever_the_other_fits(a in "[ab]{0,2}\\*?[ab]{0,2}", b in "[ab]{0,2}\\*?[ab]{0,2}", text in "[ab]{0,5}") {
            let (Some(a), Some(b)) = (Pattern::new(&a), Pattern::new(&b)) else { return Ok(()) };
            prop_assert!(!(a.covers(&b) && b.fits(&text)) || a.fits(&text), "{a} {b} {text}");
        }
    }
}
