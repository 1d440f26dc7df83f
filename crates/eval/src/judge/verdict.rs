//! How a judge's word is read: the whole answer is the verdict, or there is none.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Kind, Rules, Scale};
use crate::case::Answer;
use crate::metric::{Score, Unscored};
use crate::review::Choice;

/// Places in a text at which a verdict is looked for that leaked into it.
const LOOKED_AT: usize = 64;

/// Why there is no verdict. Every one of them is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoVerdict {
    /// The call of the judge failed for good.
    NoAnswer,
    /// There is a verdict, with other text around it.
    Leaked,
    /// Nothing that is a verdict: no JSON, another shape, a refusal, an answer that was cut.
    NoVerdict,
    /// A verdict that is not on the scale.
    OutOfScale,
}

impl NoVerdict {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            NoVerdict::NoAnswer => "no_answer",
            NoVerdict::Leaked => "leaked",
            NoVerdict::NoVerdict => "no_verdict",
            NoVerdict::OutOfScale => "out_of_scale",
        }
    }

    /// As what an answer that was to be graded counts.
    #[must_use]
    pub fn score(self) -> Score {
        let why = if self == NoVerdict::NoAnswer { Unscored::NoJudgement } else { Unscored::NoVerdict };
        Score::unscored(why).with_outcome(self.as_str())
    }
}

impl fmt::Display for NoVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Rules {
    /// The grade that a judge by rubric gave: the mean over the criteria, in the units of the scale.
    ///
    /// # Errors
    /// When the answer is no verdict, all of it, on every criterion and on the scale; a pairwise judge gives no grade.
    pub fn score(&self, said: &Answer) -> Result<f64, NoVerdict> {
        let Kind::Rubric(scale) = self.kind else { return Err(NoVerdict::NoVerdict) };
        let members = whole(said, "scores")?;
        let scores = members["scores"].as_object().ok_or(NoVerdict::NoVerdict)?;
        if scores.len() != self.criteria.len() {
            return Err(NoVerdict::NoVerdict);
        }
        let mut sum = 0.0;
        for criterion in &self.criteria {
            sum += grade(scale, scores.get(&criterion.name).ok_or(NoVerdict::NoVerdict)?)?;
        }
        Ok(sum / self.criteria.len() as f64)
    }

    /// Which answer a pairwise judge prefers, of the two in the order they were shown.
    ///
    /// # Errors
    /// When the answer is no verdict, all of it; a judge by rubric prefers none.
    pub fn preference(&self, said: &Answer) -> Result<Choice, NoVerdict> {
        if self.kind != Kind::Pairwise {
            return Err(NoVerdict::NoVerdict);
        }
        match whole(said, "verdict")?["verdict"].as_str().ok_or(NoVerdict::NoVerdict)? {
            "A" => Ok(Choice::First),
            "B" => Ok(Choice::Second),
            "tie" => Ok(Choice::Tie),
            _ => Err(NoVerdict::OutOfScale),
        }
    }
}

/// What the grades of all repeats of a question come to: their mean.
///
/// # Errors
/// When one of them is no verdict: a mean of the others is one of what was easy to grade.
pub(super) fn mean(grades: &[Result<f64, NoVerdict>]) -> Result<f64, NoVerdict> {
    let grades: Vec<f64> = grades.iter().copied().collect::<Result<_, _>>()?;
    if grades.is_empty() { Err(NoVerdict::NoAnswer) } else { Ok(grades.iter().sum::<f64>() / grades.len() as f64) }
}

/// What the choices of all repeats of a question come to: the one that more than half of them say, else a tie.
///
/// # Errors
/// When one of them is no verdict.
pub(super) fn most(choices: &[Result<Choice, NoVerdict>]) -> Result<Choice, NoVerdict> {
    let choices: Vec<Choice> = choices.iter().copied().collect::<Result<_, _>>()?;
    if choices.is_empty() {
        return Err(NoVerdict::NoAnswer);
    }
    let is_most = |choice: &Choice| 2 * choices.iter().filter(|other| *other == choice).count() > choices.len();
    Ok([Choice::First, Choice::Second].into_iter().find(is_most).unwrap_or(Choice::Tie))
}

/// Whether all repeats of a question say the same; `None` where there is one, or one without a verdict.
pub(super) fn all_same<T: PartialEq>(said: &[Result<T, NoVerdict>]) -> Option<bool> {
    let is_known = said.len() > 1 && said.iter().all(Result::is_ok);
    is_known.then(|| said.windows(2).all(|two| two[0] == two[1]))
}

fn grade(scale: Scale, said: &Value) -> Result<f64, NoVerdict> {
    match scale {
        Scale::PassFail => match said.as_str().ok_or(NoVerdict::OutOfScale)? {
            "pass" => Ok(1.0),
            "fail" => Ok(0.0),
            _ => Err(NoVerdict::OutOfScale),
        },
        Scale::Points(low, high) => {
            let points = said.as_f64().ok_or(NoVerdict::OutOfScale)?;
            let is_on = points.fract() == 0.0 && points >= f64::from(low) && points <= f64::from(high);
            is_on.then_some(points).ok_or(NoVerdict::OutOfScale)
        }
    }
}

/// The object that the whole answer is, with this member, perhaps a `reason`, and nothing else.
pub(crate) fn whole(said: &Answer, member: &str) -> Result<Map<String, Value>, NoVerdict> {
    if said.refusal.is_some() || !said.tool_calls.is_empty() {
        return Err(NoVerdict::NoVerdict);
    }
    match serde_json::from_str::<Value>(said.text.trim()) {
        Ok(Value::Object(members)) => {
            let is_asked = |name: &String| name == member || name == "reason";
            let is_whole = members.contains_key(member) && members.keys().all(is_asked);
            if is_whole { Ok(members) } else { Err(NoVerdict::NoVerdict) }
        }
        Ok(_) => Err(NoVerdict::NoVerdict),
        Err(_) if has_verdict_inside(&said.text, member) => Err(NoVerdict::Leaked),
        Err(_) => Err(NoVerdict::NoVerdict),
    }
}

fn has_verdict_inside(text: &str, member: &str) -> bool {
    let begins = text.match_indices('{').take(LOOKED_AT);
    begins.into_iter().any(|(at, _)| {
        let first = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>().next();
        first.and_then(Result::ok).is_some_and(|value| value.get(member).is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::super::Criterion;
    use super::*;

    fn rules(kind: Kind) -> Rules {
        let criterion = |name: &str| Criterion { name: name.into(), text: "t".into() };
        Rules {
            kind,
            criteria: vec![criterion("correct"), criterion("polite")],
            seed: 1,
            temperature: None,
            repeats: 1,
        }
    }

    fn said(text: &str) -> Answer {
        Answer { text: text.to_owned(), ..Answer::default() }
    }

    #[test]
    fn a_grade_is_the_mean_of_the_criteria_and_only_the_whole_answer_is_one() {
        let points = rules(Kind::Rubric(Scale::Points(1, 5)));
        let table: [(&str, Result<f64, NoVerdict>); 14] = [
            (r#"{"reason":"fine","scores":{"correct":4,"polite":5}}"#, Ok(4.5)),
            (" {\"scores\":{\"polite\":1,\"correct\":1.0}}\n", Ok(1.0)),
            (r#"{"scores":{"correct":0,"polite":5}}"#, Err(NoVerdict::OutOfScale)),
            (r#"{"scores":{"correct":6,"polite":5}}"#, Err(NoVerdict::OutOfScale)),
            (r#"{"scores":{"correct":4.5,"polite":5}}"#, Err(NoVerdict::OutOfScale)),
            (r#"{"scores":{"correct":"4","polite":5}}"#, Err(NoVerdict::OutOfScale)),
            (r#"{"scores":{"correct":4}}"#, Err(NoVerdict::NoVerdict)),
            (r#"{"scores":{"correct":4,"polite":5,"more":5}}"#, Err(NoVerdict::NoVerdict)),
            (r#"{"scores":{"correct":4,"polite":5},"note":"x"}"#, Err(NoVerdict::NoVerdict)),
            ("Sure!\n{\"scores\":{\"correct\":4,\"polite\":5}}", Err(NoVerdict::Leaked)),
            ("```json\n{\"scores\":{\"correct\":4,\"polite\":5}}\n```", Err(NoVerdict::Leaked)),
            ("<think>{ hm</think>{\"scores\":{\"correct\":4,\"polite\":5}}", Err(NoVerdict::Leaked)),
            ("I would give it a 4.", Err(NoVerdict::NoVerdict)),
            (r#"{"scores":{"correct":4,"pol"#, Err(NoVerdict::NoVerdict)),
        ];
        for (text, expected) in table {
            assert_eq!(points.score(&said(text)), expected, "{text}");
        }
        assert_eq!(points.preference(&said(r#"{"verdict":"A"}"#)), Err(NoVerdict::NoVerdict));
    }

    #[test]
    fn pass_and_fail_are_words_and_a_refusal_is_no_verdict() {
        let rules = rules(Kind::Rubric(Scale::PassFail));
        assert_eq!(rules.score(&said(r#"{"scores":{"correct":"pass","polite":"fail"}}"#)), Ok(0.5));
        assert_eq!(rules.score(&said(r#"{"scores":{"correct":true,"polite":"fail"}}"#)), Err(NoVerdict::OutOfScale));
        let refused = Answer { refusal: Some("No.".into()), ..Answer::default() };
        assert_eq!(rules.score(&refused), Err(NoVerdict::NoVerdict));
    }

    #[test]
    fn a_preference_is_a_b_or_tie() {
        let pairwise = rules(Kind::Pairwise);
        let table = [
            (r#"{"reason":"r","verdict":"A"}"#, Ok(Choice::First)),
            (r#"{"verdict":"B"}"#, Ok(Choice::Second)),
            (r#"{"verdict":"tie"}"#, Ok(Choice::Tie)),
            (r#"{"verdict":"C"}"#, Err(NoVerdict::OutOfScale)),
            (r#"{"verdict":1}"#, Err(NoVerdict::NoVerdict)),
            ("A", Err(NoVerdict::NoVerdict)),
            ("My verdict: {\"verdict\":\"A\"}", Err(NoVerdict::Leaked)),
            ("", Err(NoVerdict::NoVerdict)),
        ];
        for (text, expected) in table {
            assert_eq!(pairwise.preference(&said(text)), expected, "{text}");
        }
    }

    #[test]
    fn repeats_come_to_their_mean_or_to_what_most_say_and_one_that_cannot_be_read_leaves_none() {
        use Choice::{First, Second, Tie};
        assert_eq!(mean(&[Ok(4.0), Ok(5.0)]), Ok(4.5));
        assert_eq!(mean(&[Ok(4.0), Err(NoVerdict::Leaked)]), Err(NoVerdict::Leaked));
        let table = [(vec![First, First, Second], First), (vec![First, Second, Tie], Tie), (vec![Second], Second)];
        for (said, expected) in table {
            assert_eq!(most(&said.iter().copied().map(Ok).collect::<Vec<_>>()), Ok(expected), "{said:?}");
        }
        assert_eq!(most(&[Ok(First), Err(NoVerdict::NoAnswer), Ok(First)]), Err(NoVerdict::NoAnswer));
        assert_eq!((all_same(&[Ok(1.0), Ok(1.0)]), all_same(&[Ok(1.0), Ok(2.0)])), (Some(true), Some(false)));
        assert_eq!((all_same(&[Ok(1.0)]), all_same(&[Ok(1.0), Err(NoVerdict::Leaked)])), (None, None));
    }

    #[test]
    fn what_cannot_be_read_is_unscored_with_its_word_and_never_a_zero() {
        assert_eq!(NoVerdict::Leaked.score().as_value(), None);
        assert_eq!(NoVerdict::Leaked.score().outcome.as_deref(), Some("leaked"));
        assert_eq!(NoVerdict::NoAnswer.score().measured, crate::metric::Measured::Unscored(Unscored::NoJudgement));
    }
}
