//! Whether an answer declines. Two separate things: to refuse what one was asked, and to abstain because the documents do not say.

use wire::refusal::{self, Manner};

use super::{Answer, Case, Metric, Score};

/// `refusal`.
pub(super) fn metric() -> Metric {
    Metric::new(
        "refusal@crossfade-1",
        "1 when the message has a refusal of its own, or its words decline; a call of a tool is no refusal; less is better",
        |_: &Case, answer| Score::is(refuses(answer)).with_outcome(if refuses(answer) { "refused" } else { "answered" }),
    )
    .lower_is_better()
}

/// Whether the answer refuses: by the message's own field, else by its words, as the gateway tells it of live answers.
pub(super) fn refuses(answer: &Answer) -> bool {
    let is_said = answer.refusal.as_ref().is_some_and(|refusal| !refusal.trim().is_empty());
    answer.calls.is_empty() && (is_said || refusal::manner(&answer.text) == Manner::Refused)
}

/// Whether the answer says that it does not know, or that the documents do not. Phrases of short answers in English; what they find is compared with labels
/// in the tests. A judge that is asked instead ([`Judged::abstained`](super::Judged)) is another definition.
pub(super) fn abstains(answer: &Answer) -> bool {
    /// Beginnings of the ways to say so, in lower case.
    const SAYS: [&str; 18] = [
        "i don't know",
        "i do not know",
        "i don't have enough information",
        "i do not have enough information",
        "i don't have information",
        "i could not find",
        "i couldn't find",
        "i cannot find",
        "i can't find",
        "there is no information",
        "there is not enough information",
        "not enough information",
        "the documents do not",
        "the documents don't",
        "the context does not",
        "the provided documents do not",
        "the provided context does not",
        "this is not covered",
    ];
    if !answer.calls.is_empty() {
        return false;
    }
    let text = answer.text.replace('’', "'").to_lowercase();
    let text = text.trim_start();
    let text = ["i'm sorry, but ", "sorry, but ", "sorry, ", "unfortunately, "]
        .iter()
        .find_map(|opening| text.strip_prefix(opening))
        .unwrap_or(text);
    // A long answer that begins so goes on to say something.
    refuses(answer) || (text.len() <= 400 && SAYS.iter().any(|says| text.starts_with(says)))
}

#[cfg(test)]
mod tests {
    use super::super::{Document, Score, named};
    use super::*;

    fn said(text: &str) -> Answer {
        Answer { text: text.to_owned(), ..Answer::default() }
    }

    #[test]
    fn a_refusal_is_one_in_its_own_field_or_in_plain_words() {
        let metric = named("refusal", &serde_json::Value::Null).unwrap();
        let refused = Answer { refusal: Some("I can't help with that.".into()), ..Answer::default() };
        assert_eq!(metric.score(&Case::default(), &refused).as_value(), Some(1.0));
        assert_eq!(metric.score(&Case::default(), &said("Paris")).as_value(), Some(0.0));
        let declined = said("I'm sorry, but I can't help with that.");
        assert_eq!(metric.score(&Case::default(), &declined).as_value(), Some(1.0));
    }

    #[test]
    fn abstention_is_right_only_where_the_documents_hold_no_answer() {
        let metric = named("abstention", &serde_json::Value::Null).unwrap();
        let case = |answerable| Case { answerable, documents: vec![Document::default()], ..Case::default() };
        let check = |answerable, text: &str| metric.score(&case(answerable), &said(text));
        let outcome = |score: Score| (score.as_value(), score.outcome.unwrap_or_default().into_owned());
        let unknown = "I’m sorry, but I could not find that in the documents.";
        assert_eq!(outcome(check(Some(false), unknown)), (Some(1.0), "abstained".into()));
        assert_eq!(outcome(check(Some(true), unknown)), (Some(0.0), "abstained_though_answerable".into()));
        assert_eq!(outcome(check(Some(false), "30 days.")), (Some(0.0), "answered_without_basis".into()));
        assert_eq!(check(None, "30 days.").as_value(), None);
    }
}
