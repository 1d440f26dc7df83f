//! When the next call may go, and whether it may go at all: limits of a provider by the minute, and of a purse.

use std::time::{Duration, Instant};

use serde::Serialize;

/// Bytes of text that are one token, before any answer said how many were.
const BYTES_A_TOKEN: f64 = 3.0;

/// What may be used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Requests a minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute.
    pub tokens_per_minute: Option<u64>,
    /// Tokens of the whole run.
    pub max_tokens: Option<u64>,
    /// Billionths of a dollar of the whole run.
    pub max_nanos: Option<u64>,
}

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    /// Calls that were made, those that failed included.
    pub n_calls: u64,
    /// Texts that have a vector of them.
    pub n_texts: u64,
    /// Tokens, as far as answers said.
    pub n_tokens: u64,
    /// Billionths of a dollar, as far as prices are known.
    pub nanos: u64,
    /// Texts that were cut because the model reads no longer ones.
    pub n_cut: u64,
}

/// What a call is expected to take, until its answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    n_tokens: u64,
    nanos: u64,
}

/// Keeps the pace of all workers, and the purse.
#[derive(Debug)]
pub(super) struct Pace {
    limits: Limits,
    spent: Spent,
    /// Of the calls under way.
    expected: Expected,
    /// Bytes whose tokens are known, and their tokens.
    counted: (u64, u64),
    next_request: Instant,
    next_tokens: Instant,
    held_until: Instant,
}

impl Pace {
    pub(super) fn new(limits: Limits, spent: Spent, now: Instant) -> Pace {
        let expected = Expected { n_tokens: 0, nanos: 0 };
        Pace { limits, spent, expected, counted: (0, 0), next_request: now, next_tokens: now, held_until: now }
    }

    pub(super) fn spent(&self) -> Spent {
        self.spent
    }

    /// How long a call with so many bytes of text has to wait, and what it is expected to take; the place is taken.
    ///
    /// # Errors
    /// Which limit it would go beyond.
    pub(super) fn admit(&mut self, n_bytes: usize, now: Instant) -> Result<(Duration, Expected), String> {
        let expected = self.expect(n_bytes);
        let Expected { n_tokens, nanos } = self.expected;
        let after = |spent: u64, under_way: u64, more: u64| spent.saturating_add(under_way).saturating_add(more);
        if let Some(most) = self.limits.max_tokens
            && after(self.spent.n_tokens, n_tokens, expected.n_tokens) > most
        {
            return Err(format!("the next call may go beyond {most} tokens; {} are used", self.spent.n_tokens));
        }
        if let Some(most) = self.limits.max_nanos
            && after(self.spent.nanos, nanos, expected.nanos) > most
        {
            return Err(format!(
                "the next call may cost more than {} dollars; {} are spent",
                dollars(most),
                dollars(self.spent.nanos)
            ));
        }
        self.expected = Expected { n_tokens: n_tokens + expected.n_tokens, nanos: nanos + expected.nanos };
        let at = now.max(self.held_until).max(self.next_request).max(self.next_tokens);
        if let Some(a_minute) = self.limits.requests_per_minute {
            self.next_request = at + Duration::from_secs(60) / a_minute.max(1);
        }
        self.next_tokens = at + self.time_of(expected.n_tokens);
        Ok((at - now, expected))
    }

    /// A call that was admitted is over. `took` is what its answer said, of how many bytes.
    pub(super) fn settle(&mut self, expected: Expected, took: Option<(Spent, u64)>) {
        self.expected.n_tokens -= expected.n_tokens;
        self.expected.nanos -= expected.nanos;
        self.spent.n_calls += 1;
        let Some((took, n_bytes)) = took else { return };
        self.spent.n_texts += took.n_texts;
        self.spent.n_tokens += took.n_tokens;
        self.spent.nanos += took.nanos;
        self.spent.n_cut += took.n_cut;
        if took.n_tokens > 0 {
            self.counted = (self.counted.0 + n_bytes, self.counted.1 + took.n_tokens);
            // What was expected too low is waited for by the next.
            self.next_tokens += self.time_of(took.n_tokens.saturating_sub(expected.n_tokens));
        }
    }

    /// Nobody calls before this.
    pub(super) fn hold(&mut self, until: Instant) {
        self.held_until = self.held_until.max(until);
    }

    fn time_of(&self, n_tokens: u64) -> Duration {
        let Some(a_minute) = self.limits.tokens_per_minute else { return Duration::ZERO };
        // Tokens are counted well below what a float holds exactly.
        Duration::from_secs_f64(60.0 * n_tokens as f64 / a_minute.max(1) as f64)
    }

    fn expect(&self, n_bytes: usize) -> Expected {
        let (n_known, n_counted) = self.counted;
        let bytes_a_token = if n_counted == 0 { BYTES_A_TOKEN } else { n_known as f64 / n_counted as f64 };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a batch is a few megabytes at most"
        )]
        let n_tokens = (n_bytes as f64 / bytes_a_token).ceil() as u64;
        let nanos = u128::from(n_tokens) * u128::from(self.spent.nanos) / u128::from(self.spent.n_tokens.max(1));
        Expected { n_tokens, nanos: u64::try_from(nanos).unwrap_or(u64::MAX) }
    }
}

fn dollars(nanos: u64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(limits: Limits) -> (Pace, Instant) {
        let now = Instant::now();
        (Pace::new(limits, Spent::default(), now), now)
    }

    fn took(n_tokens: u64, nanos: u64) -> Spent {
        Spent { n_texts: 1, n_tokens, nanos, ..Spent::default() }
    }

    #[test]
    fn calls_keep_the_distance_that_both_limits_by_the_minute_ask_for() {
        let (mut pace, now) =
            pace(Limits { requests_per_minute: Some(60), tokens_per_minute: Some(6000), ..Limits::default() });
        let mut wait = |n_bytes| pace.admit(n_bytes, now).unwrap().0.as_millis();
        // 300 tokens are three seconds of 6000 a minute; three tokens less than the second between requests.
        assert_eq!((wait(900), wait(9), wait(9)), (0, 3000, 4000));
    }

    #[test]
    fn a_call_that_took_more_than_expected_is_waited_for() {
        let (mut pace, now) = pace(Limits { tokens_per_minute: Some(6000), ..Limits::default() });
        let (_, expected) = pace.admit(300, now).unwrap();
        pace.settle(expected, Some((took(300, 0), 300)));
        // One second was expected, three it was; from now on a byte is a token.
        assert_eq!(pace.admit(100, now).unwrap(), (Duration::from_secs(3), Expected { n_tokens: 100, nanos: 0 }));
    }

    #[test]
    fn whoever_is_asked_to_wait_makes_all_wait() {
        let (mut pace, now) = pace(Limits::default());
        pace.hold(now + Duration::from_secs(7));
        pace.hold(now + Duration::from_secs(2));
        assert_eq!(pace.admit(1, now).unwrap().0, Duration::from_secs(7));
    }

    #[test]
    fn what_is_under_way_counts_against_the_purse() {
        let (mut pace, now) = pace(Limits { max_nanos: Some(2_500_000_000), ..Limits::default() });
        let (_, first) = pace.admit(30, now).unwrap();
        pace.settle(first, Some((took(10, 1_000_000_000), 30)));
        let (_, second) = pace.admit(30, now).unwrap();
        assert_eq!(pace.admit(30, now).unwrap_err(), "the next call may cost more than 2.5 dollars; 1 are spent");
        pace.settle(second, None);
        assert!(pace.admit(30, now).is_ok());
        let (mut pace, now) = self::pace(Limits { max_tokens: Some(9), ..Limits::default() });
        assert!(pace.admit(27, now).is_ok());
        assert!(pace.admit(1, now).unwrap_err().contains("beyond 9 tokens"));
    }
}
