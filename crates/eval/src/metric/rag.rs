//! Answers made of documents that a retriever found: what is the retriever's doing, and what the model's.
//!
//! Three things are known of a case: whether the corpus holds the answer, whether what was shown holds it, and what is right. With what the answer did
//! about it they leave nine ways for it to come out ([`Outcome`]), each with one to blame or nobody ([`Cause`]). One answer is judged once; end to
//! end, retrieval alone, and the answer given what was shown are three readings of it.

use serde::{Deserialize, Serialize};

use super::citations::{Abstains, Needs, by, statements};
use super::spans::overlap;
use super::{Answer, Case, Measured, Metric, Score, Unscored};

/// How an answer came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The passages hold the answer, it is right, and its source is among what it cites.
    Right,
    /// It is right, and cites nothing that holds it.
    Unsourced,
    /// The passages hold the answer, and another one is given.
    Wrong,
    /// The passages hold the answer, and none is given.
    AbstainedNeedlessly,
    /// The corpus holds the answer, the passages do not, and none is given.
    MissedAbstained,
    /// The corpus holds the answer, the passages do not, and a wrong one is given.
    MissedMadeUp,
    /// The corpus holds the answer, the passages do not, and it is given all the same.
    MissedRight,
    /// Nothing holds an answer, and none is given.
    Abstained,
    /// Nothing holds an answer, and one is given.
    MadeUp,
}

/// Who lost an answer: the first that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// What holds the answer was not shown.
    Retriever,
    /// What was shown would have been enough, or called for no answer.
    Model,
}

impl Outcome {
    /// Every one, the good ones first.
    pub const ALL: [Outcome; 9] = [
        Outcome::Right,
        Outcome::Abstained,
        Outcome::Unsourced,
        Outcome::Wrong,
        Outcome::AbstainedNeedlessly,
        Outcome::MadeUp,
        Outcome::MissedAbstained,
        Outcome::MissedMadeUp,
        Outcome::MissedRight,
    ];

    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Right => "right",
            Outcome::Unsourced => "unsourced",
            Outcome::Wrong => "wrong",
            Outcome::AbstainedNeedlessly => "abstained_needlessly",
            Outcome::MissedAbstained => "missed_abstained",
            Outcome::MissedMadeUp => "missed_made_up",
            Outcome::MissedRight => "missed_right",
            Outcome::Abstained => "abstained",
            Outcome::MadeUp => "made_up",
        }
    }

    /// The one of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }

    /// Whether what was shown holds the answer.
    #[must_use]
    pub const fn is_shown(self) -> bool {
        matches!(self, Outcome::Right | Outcome::Unsourced | Outcome::Wrong | Outcome::AbstainedNeedlessly)
    }

    /// Whether the corpus holds the answer.
    #[must_use]
    pub const fn is_in_corpus(self) -> bool {
        !matches!(self, Outcome::Abstained | Outcome::MadeUp)
    }

    /// Whether no answer was given.
    #[must_use]
    pub const fn is_abstention(self) -> bool {
        matches!(self, Outcome::AbstainedNeedlessly | Outcome::MissedAbstained | Outcome::Abstained)
    }

    /// Who lost the answer; nobody where all is well.
    #[must_use]
    pub const fn cause(self) -> Option<Cause> {
        match self {
            Outcome::Right | Outcome::Abstained => None,
            Outcome::Unsourced | Outcome::Wrong | Outcome::AbstainedNeedlessly | Outcome::MadeUp => Some(Cause::Model),
            Outcome::MissedAbstained | Outcome::MissedMadeUp | Outcome::MissedRight => Some(Cause::Retriever),
        }
    }
}

/// What a right answer has to cite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Nothing.
    None,
    /// A document that is relevant; any there is, where nothing is known of relevance.
    #[default]
    Document,
    /// Words of the evidence, quoted with a citation of where they stand; a document where no evidence is marked.
    Span,
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Source::None => "none",
            Source::Document => "document",
            Source::Span => "span",
        }
    }
}

/// What of an answer is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Retrieval and answer together.
    EndToEnd,
    /// The answer, given what was shown.
    Generation,
    /// Whether what holds the answer was shown.
    Retrieval,
}

/// How an answer is judged.
pub(super) struct Rules {
    /// What says whether it is right.
    pub(super) correct: Metric,
    /// From this value on.
    pub(super) correct_at: f64,
    /// What it has to cite.
    pub(super) source: Source,
    /// What says whether it abstains.
    pub(super) abstains: Abstains,
    /// The judge's id, where one is asked.
    pub(super) judge: Option<String>,
}

/// `rag_end_to_end`, `rag_generation` and `rag_retrieval`.
pub(super) fn metric(name: &str, part: Part, rules: Rules) -> Metric {
    let definition = match part {
        Part::EndToEnd => {
            "1 when the corpus holds the answer and it is given, right and with its source, or nothing holds one and none is given, else 0"
        }
        Part::Generation => {
            "1 when the passages hold the answer and it is given, right and with its source, or they do not and none is given, else 0"
        }
        Part::Retrieval => "1 when the passages hold the answer, else 0; where the corpus holds none: unscored",
    };
    let settings = match part {
        Part::Retrieval => String::new(),
        _ => format!(
            ":correct={}>={}:source={}{}",
            rules.correct.id,
            rules.correct_at,
            rules.source.as_str(),
            rules.part_of_id()
        ),
    };
    let needs = if part == Part::Retrieval { Needs::default() } else { rules.needs() };
    let metric = Metric::new(format!("{name}@crossfade-1{settings}"), definition, move |case, answer| {
        if part == Part::Retrieval {
            return match known(case) {
                Ok((true, is_shown)) => Score::is(is_shown),
                Ok((false, _)) => Score::unscored(Unscored::NoContext),
                Err(why) => Score::unscored(why),
            };
        }
        match rules.judge(case, answer) {
            Ok(outcome) => Score::is(rules.is_good(outcome, part)).with_outcome(outcome.as_str()),
            Err(why) => Score::unscored(why),
        }
    });
    metric.needing(needs)
}

/// Whether the corpus holds the answer, and whether what was shown does.
fn known(case: &Case) -> Result<(bool, bool), Unscored> {
    let is_relevant = |id: &str| case.relevance.get(id).is_some_and(|gain| *gain > 0.0);
    match (case.in_corpus, case.answerable) {
        (Some(false), Some(true)) => Err(Unscored::MalformedCase),
        (Some(in_corpus), Some(answerable)) => Ok((in_corpus, answerable)),
        (Some(in_corpus), None) => Ok((in_corpus, case.documents.iter().any(|document| is_relevant(&document.id)))),
        // What was not shown is not known to be anywhere.
        (None, Some(answerable)) => Ok((answerable, answerable)),
        (None, None) => Err(Unscored::NoReference),
    }
}

impl Rules {
    /// What has to be known of an answer.
    fn needs(&self) -> Needs {
        self.correct.needs.and(self.abstains.needs())
    }

    fn part_of_id(&self) -> String {
        match self.abstains {
            Abstains::Words if self.correct.needs.is_any() => by(self.judge.as_deref()),
            of => of.part_of_id(self.judge.as_deref()),
        }
    }

    fn is_good(&self, outcome: Outcome, part: Part) -> bool {
        match outcome {
            Outcome::Right | Outcome::Abstained => true,
            Outcome::MissedAbstained => part == Part::Generation,
            Outcome::MissedRight => self.source == Source::None,
            _ => false,
        }
    }

    fn judge(&self, case: &Case, answer: &Answer) -> Result<Outcome, Unscored> {
        let (in_corpus, is_shown) = known(case)?;
        if self.abstains.of(answer)? {
            return Ok(match (in_corpus, is_shown) {
                (_, true) => Outcome::AbstainedNeedlessly,
                (true, false) => Outcome::MissedAbstained,
                (false, false) => Outcome::Abstained,
            });
        }
        if !in_corpus {
            return Ok(Outcome::MadeUp);
        }
        let is_right = match self.correct.score(case, answer).measured {
            Measured::Value(value) => self.correct.reaches(value, self.correct_at),
            Measured::Unscored(why) => return Err(why),
        };
        Ok(match (is_shown, is_right) {
            (true, true) if self.is_sourced(case, answer) => Outcome::Right,
            (true, true) => Outcome::Unsourced,
            (true, false) => Outcome::Wrong,
            (false, true) => Outcome::MissedRight,
            (false, false) => Outcome::MissedMadeUp,
        })
    }

    fn is_sourced(&self, case: &Case, answer: &Answer) -> bool {
        match self.source {
            Source::None => true,
            Source::Span if !case.evidence.is_empty() => overlap(case, &answer.text).both > 0,
            Source::Span | Source::Document => {
                let cited = statements(&answer.text).into_iter().flat_map(|statement| statement.cited);
                let documents =
                    cited.filter_map(|number| case.documents.get(usize::try_from(number.checked_sub(1)?).ok()?));
                let holds =
                    |id: &str| case.in_corpus.is_none() || case.relevance.get(id).is_some_and(|gain| *gain > 0.0);
                documents.into_iter().any(|document| holds(&document.id))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Document, named};
    use super::*;

    /// A case of two passages, of which these are relevant.
    fn case(relevant: &[&str]) -> Case {
        let document = |id: &str, text: &str| Document { id: id.to_owned(), text: text.to_owned() };
        Case {
            references: vec!["72 hours".to_owned()],
            documents: vec![document("a", "Refunds take 72 hours. Tea is free."), document("b", "Lockers are grey.")],
            relevance: relevant.iter().map(|id| ((*id).to_owned(), 1.0)).collect(),
            in_corpus: Some(!relevant.is_empty()),
            ..Case::default()
        }
    }

    fn answer(text: &str) -> Answer {
        Answer { text: text.to_owned(), ..Answer::default() }
    }

    #[track_caller]
    fn check(case: &Case, text: &str, expected: (Outcome, f64, f64)) {
        let scores = ["rag_end_to_end", "rag_generation"].map(|name| {
            let metric = named(name, &json!(null)).unwrap();
            metric.score(case, &answer(text))
        });
        let outcome = Outcome::of(scores[0].outcome.as_ref().unwrap()).unwrap();
        assert_eq!((outcome, scores[0].as_value().unwrap(), scores[1].as_value().unwrap()), expected);
        assert_eq!(scores[0].outcome, scores[1].outcome);
    }

    const UNKNOWN: &str = "I could not find that in the documents.";

    #[test]
    fn nine_ways_to_come_out_and_what_each_is_worth_together_and_apart() {
        let shown = case(&["a"]);
        check(&shown, "It takes 72 hours [1].", (Outcome::Right, 1.0, 1.0));
        check(&shown, "It takes 72 hours [2].", (Outcome::Unsourced, 0.0, 0.0));
        check(&shown, "It takes 72 hours.", (Outcome::Unsourced, 0.0, 0.0));
        check(&shown, "It takes 3 hours [1].", (Outcome::Wrong, 0.0, 0.0));
        check(&shown, UNKNOWN, (Outcome::AbstainedNeedlessly, 0.0, 0.0));
        let missed = case(&["elsewhere"]);
        check(&missed, UNKNOWN, (Outcome::MissedAbstained, 0.0, 1.0));
        check(&missed, "It takes 3 hours [1].", (Outcome::MissedMadeUp, 0.0, 0.0));
        check(&missed, "It takes 72 hours [1].", (Outcome::MissedRight, 0.0, 0.0));
        let nowhere = case(&[]);
        check(&nowhere, UNKNOWN, (Outcome::Abstained, 1.0, 1.0));
        check(&nowhere, "It takes 72 hours [1].", (Outcome::MadeUp, 0.0, 0.0));
        let causes = Outcome::ALL.map(Outcome::cause);
        assert_eq!(causes.iter().filter(|cause| **cause == Some(Cause::Model)).count(), 4);
        assert_eq!(causes.iter().filter(|cause| **cause == Some(Cause::Retriever)).count(), 3);
    }

    #[test]
    fn a_source_may_be_asked_to_the_span_or_not_at_all() {
        let marked = Case { evidence: vec![("a".to_owned(), "Refunds take 72 hours".to_owned())], ..case(&["a"]) };
        let outcome = |source: &str, text: &str| {
            let metric = named("rag_end_to_end", &json!({ "source": source })).unwrap();
            metric.score(&marked, &answer(text)).outcome.unwrap().into_owned()
        };
        assert_eq!(outcome("none", "It takes 72 hours."), "right");
        assert_eq!(outcome("span", "72 hours: \"Refunds take 72 hours\" [1]."), "right");
        assert_eq!(outcome("span", "72 hours: \"Tea is free.\" [1]."), "unsourced");
        assert_eq!(outcome("span", "72 hours: \"Refunds take 72 hours\" [2]."), "unsourced");
        assert_eq!(outcome("document", "72 hours: \"Tea is free.\" [1]."), "right");
    }

    #[test]
    fn what_is_said_of_the_documents_goes_before_what_their_labels_say_and_nothing_known_is_no_number() {
        let metric = named("rag_retrieval", &json!(null)).unwrap();
        let score = |case: &Case| metric.score(case, &answer("x")).measured;
        assert_eq!(score(&case(&["a", "z"])), Measured::Value(1.0));
        assert_eq!(score(&case(&["z"])), Measured::Value(0.0));
        assert_eq!(score(&case(&[])), Measured::Unscored(Unscored::NoContext));
        let half = Case { answerable: Some(false), ..case(&["a", "z"]) };
        assert_eq!(score(&half), Measured::Value(0.0));
        assert_eq!(score(&Case { answerable: Some(true), ..case(&[]) }), Measured::Unscored(Unscored::MalformedCase));
        assert_eq!(score(&Case { in_corpus: None, ..case(&[]) }), Measured::Unscored(Unscored::NoReference));
    }

    #[test]
    fn what_is_right_is_any_metrics_word() {
        let metric = named("rag_end_to_end", &json!({ "correct": { "name": "squad_f1" }, "correct_at": 0.6 })).unwrap();
        assert_eq!(metric.id, "rag_end_to_end@crossfade-1:correct=squad_f1@squad-2.0>=0.6:source=document");
        let outcome = |text: &str| metric.score(&case(&["a"]), &answer(text)).outcome.unwrap().into_owned();
        assert_eq!(
            (outcome("72 hours [1]"), outcome("it is about 72 or perhaps 99 hours of it all [1]")),
            ("right".into(), "wrong".into())
        );
        let wrong = named("rag_end_to_end", &json!({ "correct": "bleu" })).unwrap_err().to_string();
        assert!(wrong.contains("no metric of one answer"), "{wrong}");
    }
}
