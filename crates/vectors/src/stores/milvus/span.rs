//! All keys of a span, whatever order and how many of them a page has.

use super::filter;
use crate::retry::Trouble;

/// How often a span is asked for that others change meanwhile.
const MAX_TRIES: u32 = 100;

/// The field that keys are in.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) field: String,
    pub(super) is_integer: bool,
}

impl Key {
    fn literal(&self, key: &str) -> String {
        if self.is_integer { key.to_owned() } else { filter::quoted(key) }
    }

    /// A condition on the side of a key; none where there is no key.
    pub(super) fn bound(&self, sign: &str, key: Option<&str>) -> String {
        key.map(|key| format!("{} {sign} {}", self.field, self.literal(key))).unwrap_or_default()
    }

    pub(super) fn is_one_of(&self, keys: &[String]) -> String {
        let keys: Vec<String> = keys.iter().map(|key| self.literal(key)).collect();
        format!("{} in [{}]", self.field, keys.join(", "))
    }

    /// What every key is.
    pub(super) fn every(&self) -> String {
        let Key { field, is_integer } = self;
        if *is_integer { format!("{field} >= 0 or {field} < 0") } else { format!("{field} >= \"\"") }
    }

    fn sort(&self, keys: &mut Vec<String>) {
        if self.is_integer {
            keys.sort_by_key(|key| key.parse::<i64>().unwrap_or(i64::MAX));
        } else {
            keys.sort_unstable();
        }
        keys.dedup();
    }
}

/// Who is asked for keys after one and up to another.
pub(super) trait Shelf {
    /// Some of them, `limit` at most, in any order.
    fn keys(&mut self, after: Option<&str>, until: Option<&str>, limit: usize) -> Result<Vec<String>, Trouble>;

    /// How many there are, each as often as it was written.
    fn count(&mut self, after: Option<&str>, until: Option<&str>) -> Result<u64, Trouble>;

    /// How often one key was written.
    fn count_of(&mut self, key: &str) -> Result<u64, Trouble>;
}

/// Keys after one and up to another, rising: all of them, or all up to the key that is told with them.
pub(super) fn span(
    shelf: &mut dyn Shelf,
    doing: &str,
    key: &Key,
    (after, until): (Option<&str>, Option<&str>),
    limit: usize,
) -> Result<(Vec<String>, Option<String>), Trouble> {
    let mut narrower: Option<String> = None;
    for _ in 0..MAX_TRIES {
        let to = narrower.as_deref().or(until);
        let mut keys = shelf.keys(after, to, limit)?;
        key.sort(&mut keys);
        let n_counted = shelf.count(after, to)?;
        if keys.len() as u64 == n_counted {
            return Ok((keys, narrower));
        }
        // Fewer than there are now, or something was deleted in between: then it is asked again.
        let Some(last) = keys.last().filter(|_| (keys.len() as u64) < n_counted).cloned() else { continue };
        let n_to_last = shelf.count(after, Some(&last))?;
        // Of a key that somebody has inserted twice the server gives one.
        if n_to_last == keys.len() as u64 || (keys.len() == 1 && n_to_last == shelf.count_of(&last)?) {
            return Ok((keys, Some(last)));
        }
        narrower = keys.get((keys.len() - 1) / 2).cloned();
    }
    Err(Trouble::transient(
        doing,
        "the server counts other rows between two keys than it gives: it is written to, or does not give all of them",
    ))
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;

    /// A server that gives pages as it likes.
    struct Odd {
        keys: Vec<String>,
        is_integer: bool,
        /// How many keys a page has, of so many that come into question.
        gives: fn(usize) -> usize,
        seed: u64,
    }

    impl Odd {
        fn compare(&self, one: &str, other: &str) -> Ordering {
            let number = |key: &str| key.parse::<i64>().unwrap();
            if self.is_integer { number(one).cmp(&number(other)) } else { one.cmp(other) }
        }

        fn within(&self, after: Option<&str>, until: Option<&str>) -> Vec<String> {
            let is_in = |key: &&String| {
                after.is_none_or(|after| self.compare(key, after).is_gt())
                    && until.is_none_or(|until| self.compare(key, until).is_le())
            };
            self.keys.iter().filter(is_in).cloned().collect()
        }
    }

    impl Shelf for Odd {
        fn keys(&mut self, after: Option<&str>, until: Option<&str>, limit: usize) -> Result<Vec<String>, Trouble> {
            let mut found = self.within(after, until);
            found.sort();
            found.dedup();
            self.seed += 1;
            // In no order, and others each time.
            let n = found.len();
            let begin = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed =
                |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0xbf58_476d_1ce4_e5b9).rotate_left(29);
            found.sort_by_cached_key(|key| key.bytes().fold(begin, mixed));
            found.truncate((self.gives)(n).min(limit));
            Ok(found)
        }

        fn count(&mut self, after: Option<&str>, until: Option<&str>) -> Result<u64, Trouble> {
            Ok(self.within(after, until).len() as u64)
        }

        fn count_of(&mut self, key: &str) -> Result<u64, Trouble> {
            Ok(self.keys.iter().filter(|one| *one == key).count() as u64)
        }
    }

    #[track_caller]
    fn check(keys: Vec<String>, is_integer: bool, gives: fn(usize) -> usize) {
        let key = Key { field: "id".into(), is_integer };
        let mut expected = keys.clone();
        key.sort(&mut expected);
        let mut odd = Odd { keys, is_integer, gives, seed: 0 };
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (keys, rest) = span(&mut odd, "x", &key, (after.as_deref(), None), 50).unwrap();
            all.extend(keys);
            match rest {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        assert_eq!(all, expected);
    }

    #[test]
    fn pages_without_order_and_pages_that_are_cut_lose_nothing() {
        let texts: Vec<String> = (0..700).map(|n| format!("k{n}")).collect();
        let integers: Vec<String> = (-300..400_i64).map(|n| (n * 7919).to_string()).collect();
        for gives in [(|n| n) as fn(usize) -> usize, |n| n.div_ceil(3), |n| n.min(7)] {
            check(texts.clone(), false, gives);
            check(integers.clone(), true, gives);
        }
        check(Vec::new(), false, |n| n);
    }

    #[test]
    fn a_key_that_was_written_twice_comes_once() {
        let mut keys: Vec<String> = (0..200).map(|n| format!("k{n}")).collect();
        keys.extend(["k7".to_owned(), "k7".to_owned(), "k199".to_owned()]);
        check(keys, false, |n| n);
    }

    #[test]
    fn a_server_that_gives_none_of_what_it_counts_is_not_believed() {
        let key = Key { field: "id".into(), is_integer: false };
        let mut odd = Odd { keys: vec!["a".into()], is_integer: false, gives: |_| 0, seed: 0 };
        assert!(span(&mut odd, "x", &key, (None, None), 50).unwrap_err().to_string().contains("counts other rows"));
    }
}
