//! A model as the judge of pairs of live answers: what it is asked about one pair, and what its word comes to. Pure: whoever has a pair asks, and
//! brings the answers back.
//!
//! What it is asked is word for word what it is asked in a run, so that the same judge has the same id, and what people said of pairs of a run says how far
//! its word on live pairs is to be trusted, too. A pairwise judge is asked in both orders; where the same answer wins in both the other one is bad, and
//! where they disagree neither is. By a rubric an answer is bad whose grade is below the threshold.

use serde_json::{Map, Value, json};
use store::Database;

use super::pairs::{Orders, Word, word};
use super::trust::Trust;
use super::verdict::{all_same, mean, most};
use super::{Judge, Kind, NoVerdict, reviewed};
use crate::case::{Answer, Case, text_of};
use crate::results::{Results, ResultsError};

/// A longer request is not shown to a judge.
const LONGEST_REQUEST: usize = 256 << 10;

/// A judge of live pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveJudge {
    judge: Judge,
    threshold: f64,
    definition: String,
}

/// What a judge is asked about one pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Round<'j> {
    judge: &'j LiveJudge,
    /// Chat requests without a model, in the order in which they are asked.
    pub questions: Vec<Map<String, Value>>,
    candidate_first: bool,
    are_alike: bool,
}

/// What a judge's word on a pair comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Whether the baseline's answer is bad and what it is worth, and the same of the candidate's; or why there is no verdict.
    pub worth: Result<[(bool, f64); 2], NoVerdict>,
    /// Answers of the judge.
    pub n_questions: u64,
    /// Of these, without a verdict that can be read.
    pub n_unread: u64,
    /// Questions that were asked more than once and read each time.
    pub n_repeated: u64,
    /// Of these, answered the same way each time.
    pub n_same: u64,
    /// Whether both orders say the same, where both were read.
    pub is_consistent: Option<bool>,
}

impl LiveJudge {
    /// A judge by whom an answer is good from `threshold` on; a pairwise judge reads none.
    #[must_use]
    pub fn new(judge: Judge, threshold: f64) -> LiveJudge {
        let definition = match judge.rules.kind {
            Kind::Rubric(_) => format!("{}:live-1:from={threshold}", judge.id()),
            Kind::Pairwise => format!("{}:live-1", judge.id()),
        };
        LiveJudge { judge, threshold, definition }
    }

    /// The id of the definition: that of the judge, and from which grade on an answer is good.
    #[must_use]
    pub fn definition(&self) -> &str {
        &self.definition
    }

    /// What the values of its verdicts are called.
    #[must_use]
    pub fn measure(&self) -> &'static str {
        match self.judge.rules.kind {
            Kind::Rubric(_) => "grade",
            Kind::Pairwise => "preferred",
        }
    }

    /// What it is asked about the baseline's and the candidate's answer to a request in any dialect. `names` of models are made unreadable;
    /// `candidate_first` says which order of a pair is asked first.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub fn round(
        &self,
        request: &[u8],
        [baseline, candidate]: [&Answer; 2],
        (names, candidate_first): (&[String], bool),
    ) -> Result<Round<'_>, &'static str> {
        let case = asked(request)?;
        let are_alike = baseline == candidate;
        let rules = &self.judge.rules;
        let cases = match rules.kind {
            // The same text is as good as itself.
            Kind::Pairwise if are_alike => Vec::new(),
            Kind::Pairwise => {
                let order = |candidate_first| {
                    let pair = if candidate_first { (candidate, baseline) } else { (baseline, candidate) };
                    rules.pair_question(&case, pair, names)
                };
                vec![order(candidate_first), order(!candidate_first)]
            }
            Kind::Rubric(_) if are_alike => vec![rules.question(&case, baseline, names)],
            Kind::Rubric(_) => [baseline, candidate].map(|answer| rules.question(&case, answer, names)).to_vec(),
        };
        let repeated = cases.into_iter().flat_map(|case| {
            (0..rules.repeats).map(move |repeat| {
                let mut request = case.request.clone();
                request.insert("seed".to_owned(), Value::from(rules.seed.wrapping_add(repeat)));
                request
            })
        });
        Ok(Round { judge: self, questions: repeated.collect(), candidate_first, are_alike })
    }

    /// Whether it agrees with people on the pairs of the runs and panels that its floor names.
    ///
    /// # Errors
    /// When a run cannot be read.
    pub fn trust(&self, database: &Database) -> Result<Trust, ResultsError> {
        let floor = &self.judge.floor;
        let mut labels = Results::labels(database, &self.judge.id(), floor.runs.iter())?;
        labels.add(&reviewed::labels(database, &self.judge.id(), &floor.panels)?);
        let mut trust = labels.trust(floor);
        if floor.runs.is_empty() && floor.panels.is_empty() {
            trust.why +=
                "; `agreement.runs` names no run and `agreement.panels` no panel with pairs that people judged";
        }
        Ok(trust)
    }
}

impl Round<'_> {
    /// What the answers to its questions come to, in their order; `None` for a call that failed, after which no more need be asked.
    #[must_use]
    pub fn verdict(&self, said: &[Option<Answer>]) -> Found {
        let rules = &self.judge.judge.rules;
        let is_pairwise = rules.kind == Kind::Pairwise;
        let answers = || said.iter().flatten();
        let unread = |answer: &&Answer| {
            if is_pairwise { rules.preference(answer).is_err() } else { rules.score(answer).is_err() }
        };
        let mut found = Found {
            worth: Err(NoVerdict::NoAnswer),
            n_questions: answers().count() as u64,
            n_unread: answers().filter(unread).count() as u64,
            n_repeated: 0,
            n_same: 0,
            is_consistent: None,
        };
        let n_repeats = usize::try_from(rules.repeats.max(1)).unwrap_or(1);
        let of_question = |idx: usize| {
            let from = (idx * n_repeats).min(said.len());
            said[from..(from + n_repeats).min(said.len())]
                .iter()
                .map(|answer| answer.as_ref().ok_or(NoVerdict::NoAnswer))
        };
        let is_whole = |idx: usize| (idx + 1) * n_repeats <= said.len();
        let mut repeats = |same: Option<bool>| {
            found.n_repeated += u64::from(same.is_some());
            found.n_same += u64::from(same == Some(true));
        };
        if is_pairwise {
            let mut orders: Orders = [None, None];
            for (idx, candidate_first) in [self.candidate_first, !self.candidate_first].into_iter().enumerate() {
                let choices: Vec<_> =
                    of_question(idx).map(|answer| answer.and_then(|answer| rules.preference(answer))).collect();
                repeats(all_same(&choices));
                orders[usize::from(candidate_first)] = is_whole(idx).then(|| most(&choices));
            }
            let word = if self.are_alike { Word::Alike } else { word(orders) };
            found.is_consistent = word.is_consistent();
            found.worth = match (word, word.worth()) {
                (_, Some(worth)) => Ok([(worth > 0.75, 1.0 - worth), (worth < 0.25, worth)]),
                (Word::Unread(why), _) => Err(why),
                _ => Err(NoVerdict::NoAnswer),
            };
            return found;
        }
        let mut grade = |idx: usize| {
            let grades: Vec<_> = of_question(idx).map(|answer| answer.and_then(|answer| rules.score(answer))).collect();
            repeats(all_same(&grades));
            if is_whole(idx) { mean(&grades) } else { mean(&grades).and(Err(NoVerdict::NoAnswer)) }
        };
        let baseline = grade(0);
        let candidate = if self.are_alike { baseline } else { grade(1) };
        let threshold = self.judge.threshold;
        let of = |grade: f64| (grade < threshold, grade);
        found.worth = baseline.and_then(|baseline| Ok([of(baseline), of(candidate?)]));
        found
    }
}

/// What a request asks, in the words of any of the dialects, as a case.
fn asked(request: &[u8]) -> Result<Case, &'static str> {
    if request.len() > LONGEST_REQUEST {
        return Err("request_too_long");
    }
    let request: Value = serde_json::from_slice(request).map_err(|_| "malformed_request")?;
    let mut messages = Vec::new();
    for key in ["system", "instructions"] {
        let text = text_of(&request[key]);
        if !text.is_empty() {
            messages.push(json!({ "role": "system", "content": text }));
        }
    }
    match (&request["messages"], &request["input"], &request["prompt"]) {
        (Value::Array(items), ..) => messages.extend(items.iter().cloned()),
        (_, Value::Array(items), _) => messages.extend(items.iter().map(item)),
        (_, Value::String(text), _) | (.., Value::String(text)) => {
            messages.push(json!({ "role": "user", "content": text }));
        }
        _ => return Err("no_conversation"),
    }
    let mut case = Case::asking("live", "", []);
    case.request = Map::from_iter([("messages".to_owned(), Value::Array(messages))]);
    Ok(case)
}

/// An item of the input of a response as a message of a chat.
fn item(item: &Value) -> Value {
    match item["type"].as_str() {
        Some("function_call") => json!({ "role": "assistant", "content": "", "tool_calls": [item] }),
        Some("function_call_output") => json!({ "role": "tool", "content": item["output"] }),
        _ => item.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Criterion, Floor, Rules, Scale};
    use super::*;
    use crate::run::PlannedTarget;

    fn judge(kind: Kind, repeats: u64, threshold: f64) -> LiveJudge {
        let criteria = vec![Criterion { name: "right".into(), text: "says what is right".into() }];
        let rules = Rules { kind, criteria, seed: 5, temperature: None, repeats };
        let target = PlannedTarget {
            name: "j".into(),
            fingerprint: "f".into(),
            provider: "p".into(),
            model: "judge-1".into(),
            simulated: false,
        };
        LiveJudge::new(Judge { name: "judge".into(), target, rules, floor: Floor::default() }, threshold)
    }

    fn answer(text: &str) -> Answer {
        Answer { text: text.to_owned(), ..Answer::default() }
    }

    const ASKED: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"Which?"}]}"#;

    /// What the round comes to when the judge says this.
    fn found(judge: &LiveJudge, candidate_first: bool, said: &[Option<&str>]) -> Found {
        let round = judge.round(ASKED, [&answer("one"), &answer("two")], (&[], candidate_first)).unwrap();
        round.verdict(&said.iter().map(|text| text.map(answer)).collect::<Vec<_>>())
    }

    const A: Option<&str> = Some(r#"{"verdict":"A"}"#);
    const B: Option<&str> = Some(r#"{"verdict":"B"}"#);
    const RUBBISH: Option<&str> = Some("A, I think.");

    #[test]
    fn an_answer_is_bad_where_the_other_one_wins_in_both_orders() {
        let judge = judge(Kind::Pairwise, 1, 0.0);
        let worth = |candidate_first, said| found(&judge, candidate_first, said).worth;
        let (wins, loses, tie) = ([(true, 0.0), (false, 1.0)], [(false, 1.0), (true, 0.0)], [(false, 0.5); 2]);
        assert_eq!(worth(true, &[A, B]), Ok(wins));
        assert_eq!(worth(false, &[A, B]), Ok(loses));
        assert_eq!(worth(true, &[A, A]), Ok(tie), "whoever goes by the place says nothing");
        assert_eq!(found(&judge, true, &[A, A]).is_consistent, Some(false));
    }

    #[test]
    fn what_cannot_be_read_is_counted_and_leaves_the_pair_without_a_verdict() {
        let judge = judge(Kind::Pairwise, 1, 0.0);
        let unread = found(&judge, true, &[A, RUBBISH]);
        assert_eq!((unread.worth, unread.n_questions, unread.n_unread), (Err(NoVerdict::NoVerdict), 2, 1));
        let failed = found(&judge, true, &[A, None]);
        assert_eq!((failed.worth, failed.n_questions, failed.n_unread), (Err(NoVerdict::NoAnswer), 1, 0));
        assert_eq!(found(&judge, true, &[A]).worth, Err(NoVerdict::NoAnswer), "half a round is none");
    }

    #[test]
    fn repeats_show_how_far_the_judge_agrees_with_itself() {
        let judge = judge(Kind::Pairwise, 3, 0.0);
        let round = judge.round(ASKED, [&answer("one"), &answer("two")], (&[], true)).unwrap();
        let seeds: Vec<u64> = round.questions.iter().map(|question| question["seed"].as_u64().unwrap()).collect();
        assert_eq!(seeds, [5, 6, 7, 5, 6, 7]);
        let found = found(&judge, true, &[A, A, B, B, B, B]);
        assert_eq!((found.n_repeated, found.n_same, found.is_consistent), (2, 1, Some(true)));
        assert_eq!(found.worth, Ok([(true, 0.0), (false, 1.0)]), "most say so");
    }

    #[test]
    fn by_a_rubric_an_answer_is_good_from_the_threshold_on() {
        let judge = judge(Kind::Rubric(Scale::Points(1, 5)), 1, 4.0);
        let grade = |points: u32| format!("{{\"scores\":{{\"right\":{points}}}}}");
        let (four, three) = (grade(4), grade(3));
        let found = found(&judge, true, &[Some(&four), Some(&three)]);
        assert_eq!(found.worth, Ok([(false, 4.0), (true, 3.0)]));
        assert!(judge.definition().contains(":live-1:from=4"), "{}", judge.definition());
    }

    #[test]
    fn the_same_answer_twice_is_a_tie_that_nobody_is_asked_about() {
        let pairwise = judge(Kind::Pairwise, 1, 0.0);
        let round = pairwise.round(ASKED, [&answer("one"), &answer("one")], (&[], true)).unwrap();
        assert!(round.questions.is_empty());
        assert_eq!(round.verdict(&[]).worth, Ok([(false, 0.5); 2]));
        let rubric = judge(Kind::Rubric(Scale::PassFail), 1, 1.0);
        let round = rubric.round(ASKED, [&answer("one"), &answer("one")], (&[], true)).unwrap();
        let said = [Some(answer(r#"{"scores":{"right":"fail"}}"#))];
        assert_eq!((round.questions.len(), round.verdict(&said).worth), (1, Ok([(true, 0.0); 2])));
    }

    #[test]
    fn the_conversation_is_shown_in_whatever_dialect_it_was_asked() {
        let judge = judge(Kind::Rubric(Scale::PassFail), 1, 1.0);
        let shown = |request: &str| {
            let round = judge.round(request.as_bytes(), [&answer("one"), &answer("two")], (&[], true)).unwrap();
            round.questions[0]["messages"][1]["content"].as_str().unwrap().to_owned()
        };
        for request in [
            r#"{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Which?"}]}"#,
            r#"{"system":"Be brief.","messages":[{"role":"user","content":[{"type":"text","text":"Which?"}]}]}"#,
            r#"{"instructions":"Be brief.","input":"Which?"}"#,
            r#"{"instructions":"Be brief.","input":[{"role":"user","content":[{"type":"input_text","text":"Which?"}]}]}"#,
        ] {
            let text = shown(request);
            assert!(text.contains("system: Be brief.\nuser: Which?"), "{text}");
        }
        assert_eq!(judge.round(b"{}", [&answer("a"), &answer("b")], (&[], true)).err(), Some("no_conversation"));
    }
}
