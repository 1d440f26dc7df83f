//! Whether the answer of a small model is good enough, or a larger one is asked.

use std::fmt;

/// What makes an answer not good enough.
#[derive(Debug, Clone, PartialEq)]
pub struct Escalate {
    /// It has not the form that was asked for.
    pub invalid: bool,
    /// The model refuses, or a filter stopped it.
    pub refusal: bool,
    /// It says one of these near its beginning, as [`folded`] gives them.
    pub phrases: Vec<String>,
    /// The mean of its tokens' log-probabilities is under this.
    pub mean_logprob: Option<f64>,
    /// The log-probability of one of its tokens is under this.
    pub min_logprob: Option<f64>,
    /// One of these two is to be looked at, and the answer has no log-probabilities.
    pub without_logprobs: bool,
}

impl Default for Escalate {
    fn default() -> Self {
        let (mean_logprob, min_logprob, phrases) = (None, None, Vec::new());
        Self { invalid: true, refusal: true, phrases, mean_logprob, min_logprob, without_logprobs: true }
    }
}

impl Escalate {
    /// Whether log-probabilities are looked at.
    #[must_use]
    pub fn by_confidence(&self) -> bool {
        self.mean_logprob.is_some() || self.min_logprob.is_some()
    }
}

/// What an answer tells, of several choices the worst.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// It has not the form that was asked for.
    pub invalid: bool,
    /// The model refused in so many words of the dialect, or a filter stopped it.
    pub refused: bool,
    /// How each choice begins, as [`folded`] gives it.
    pub beginnings: Vec<String>,
    /// How sure the model was.
    pub confidence: Option<Confidence>,
}

/// The log-probabilities (natural) of the tokens of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence {
    /// Their mean.
    pub mean: f64,
    /// The smallest.
    pub min: f64,
}

/// Why an answer is not good enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Why {
    /// It has not the form that was asked for.
    Invalid,
    /// The model refused.
    Refused,
    /// It says the phrase with this number, from 0.
    Phrase(usize),
    /// The mean log-probability and its bound.
    Mean(f64, f64),
    /// The smallest log-probability and its bound.
    Min(f64, f64),
    /// There are no log-probabilities.
    NoLogprobs,
}

impl Why {
    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Invalid => "invalid",
            Why::Refused => "refused",
            Why::Phrase(_) => "phrase",
            Why::Mean(..) | Why::Min(..) => "low_confidence",
            Why::NoLogprobs => "no_logprobs",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Invalid => f.write_str("its answer has not the form asked for"),
            Why::Refused => f.write_str("it refused"),
            Why::Phrase(idx) => write!(f, "its answer begins with phrase {}", idx + 1),
            Why::Mean(mean, bound) => write!(f, "its mean logprob {mean:.3} is under {bound}"),
            Why::Min(min, bound) => write!(f, "its smallest logprob {min:.3} is under {bound}"),
            Why::NoLogprobs => f.write_str("its answer has no logprobs"),
        }
    }
}

/// How much of an answer's beginning is looked at for phrases, in characters.
pub const BEGINNING: usize = 200;

/// The beginning of `text` as phrases are looked for in it: lower case, plain apostrophes, one blank for any white space.
#[must_use]
pub fn folded(text: &str) -> String {
    let plain = text.trim_start().chars().take(BEGINNING).map(|c| match c {
        '\u{2018}' | '\u{2019}' => '\'',
        c if c.is_whitespace() => ' ',
        c => c,
    });
    let mut out = String::new();
    for c in plain {
        if c != ' ' || !out.ends_with(' ') {
            out.extend(c.to_lowercase());
        }
    }
    out
}

/// Judges an answer.
///
/// # Errors
/// The first reason not to take it.
pub fn judge(escalate: &Escalate, told: &Told) -> Result<(), Why> {
    if escalate.refusal && told.refused {
        return Err(Why::Refused);
    }
    if escalate.invalid && told.invalid {
        return Err(Why::Invalid);
    }
    let says = |phrase: &String| told.beginnings.iter().any(|beginning| beginning.contains(phrase.as_str()));
    if let Some(idx) = escalate.phrases.iter().position(says) {
        return Err(Why::Phrase(idx));
    }
    if !escalate.by_confidence() {
        return Ok(());
    }
    let Some(Confidence { mean, min }) = told.confidence else {
        return if escalate.without_logprobs { Err(Why::NoLogprobs) } else { Ok(()) };
    };
    // What is no number is not above anything.
    let under = |n: f64, bound: Option<f64>| bound.filter(|bound| n.is_nan() || n < *bound);
    match (under(mean, escalate.mean_logprob), under(min, escalate.min_logprob)) {
        (Some(bound), _) => Err(Why::Mean(mean, bound)),
        (None, Some(bound)) => Err(Why::Min(min, bound)),
        (None, None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sure(mean: f64, min: f64) -> Told {
        Told { confidence: Some(Confidence { mean, min }), ..Told::default() }
    }

    fn policy() -> Escalate {
        let phrases = vec![folded("I can't help")];
        Escalate { phrases, mean_logprob: Some(-0.5), min_logprob: Some(-4.0), ..Escalate::default() }
    }

    #[test]
    fn every_reason_has_its_turn() {
        let begins = |text: &str| Told { beginnings: vec![folded("Sure."), folded(text)], ..sure(0.0, 0.0) };
        for (told, expected) in [
            (sure(-0.5, -4.0), Ok(())),
            (Told { refused: true, invalid: true, ..sure(0.0, 0.0) }, Err(Why::Refused)),
            (Told { invalid: true, ..sure(-9.0, -9.0) }, Err(Why::Invalid)),
            (begins("  I\u{2019}m sorry, but I CAN\u{2019}T\nhelp with that."), Err(Why::Phrase(0))),
            (begins(&format!("{} I can't help", "x".repeat(300))), Ok(())),
            (sure(-0.51, -1.0), Err(Why::Mean(-0.51, -0.5))),
            (sure(-0.1, -4.1), Err(Why::Min(-4.1, -4.0))),
            (Told::default(), Err(Why::NoLogprobs)),
        ] {
            assert_eq!(judge(&policy(), &told), expected, "{told:?}");
        }
        assert!(judge(&policy(), &sure(f64::NAN, 0.0)).is_err());
        let lenient = Escalate { invalid: false, refusal: false, without_logprobs: false, ..policy() };
        assert_eq!(judge(&lenient, &Told { refused: true, invalid: true, ..Told::default() }), Ok(()));
        assert_eq!(judge(&Escalate::default(), &sure(-100.0, -100.0)), Ok(()), "nobody asked how sure it was");
    }

    proptest! {
        #[test]
        fn a_surer_answer_is_never_judged_worse(mean in -9.0..0.0, min in -9.0..0.0, by in 0.0..5.0) {
            let (less, more) = (judge(&policy(), &sure(mean, min)), judge(&policy(), &sure(mean + by, min + by)));
            prop_assert!(less.is_err() || more.is_ok());
        }
    }
}
