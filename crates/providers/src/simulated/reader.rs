//! An answer made of the passages in a prompt, for evaluations of retrieval and answers with a known truth: the sentence that has most of the question's words,
//! quoted and cited.
//!
//! A passage is a line `[n] text` of any message; the question is the last line of the last user message that is none. Words are compared by their first five
//! letters, short and common ones left out. Where no sentence has three in five of the question's words, the passages do not say, and the answer says so.

use std::collections::BTreeSet;

use super::draws::Draws;
use super::knobs::Knobs;

/// What an answer says that finds nothing. The field's detectors of abstention know it.
const UNKNOWN: &str = "I could not find that in the documents.";
/// The part of the question's words that a sentence has to have.
const ENOUGH: f64 = 0.6;
/// The shortest word that says what a sentence is about.
const SHORTEST: usize = 4;
/// Words that say nothing of it.
const COMMON: [&str; 20] = [
    "what", "when", "which", "where", "with", "does", "from", "that", "this", "your", "have", "will", "must", "many",
    "much", "long", "until", "after", "most", "need",
];

/// A sentence of a passage.
struct Sentence<'t> {
    /// The number its passage is cited by.
    number: usize,
    text: &'t str,
}

/// The answer to the last of these messages, of which the user's own are marked; `None` where no passage stands in them.
pub(crate) fn answer(messages: &[(bool, String)], knobs: &Knobs, draws: &Draws) -> Option<String> {
    let passages: Vec<(usize, &str)> = messages.iter().flat_map(|(_, text)| text.lines().filter_map(passage)).collect();
    let sentences: Vec<Sentence<'_>> = passages.iter().flat_map(|(number, text)| sentences(*number, text)).collect();
    let (_, asked) = messages.iter().rev().find(|(is_user, _)| *is_user)?;
    let question = asked.lines().rev().find(|line| passage(line).is_none() && !line.trim().is_empty())?;
    let wanted = words(question);
    let likeness = |sentence: &Sentence<'_>| {
        let n = words(sentence.text).intersection(&wanted).count();
        if wanted.is_empty() { 0.0 } else { n as f64 / wanted.len() as f64 }
    };
    let mut best: Option<(f64, usize)> = None;
    for (idx, sentence) in sentences.iter().enumerate() {
        let likeness = likeness(sentence);
        if best.is_none_or(|(most, _)| likeness > most) {
            best = Some((likeness, idx));
        }
    }
    let (most, best) = best?;
    if most < ENOUGH && draws.unfounded >= knobs.unfounded_rate {
        return Some(UNKNOWN.to_owned());
    }
    let said =
        if most >= ENOUGH && draws.quality >= knobs.quality { other(draws.wrong, best, sentences.len()) } else { best };
    let Sentence { number, text } = sentences[said];
    let number = if draws.citation < knobs.wrong_citation_rate { another(number, &passages) } else { number };
    Some(format!("The documents say: \"{}\" [{number}].", text.trim_end_matches('.')))
}

/// A line `[n] text`.
fn passage(line: &str) -> Option<(usize, &str)> {
    let (number, text) = line.trim_start().strip_prefix('[')?.split_once("] ")?;
    Some((number.parse().ok()?, text.trim()))
}

fn sentences(number: usize, text: &str) -> impl Iterator<Item = Sentence<'_>> {
    text.split_inclusive(". ")
        .map(move |text| Sentence { number, text: text.trim() })
        .filter(|sentence| !sentence.text.is_empty())
}

fn words(text: &str) -> BTreeSet<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() >= SHORTEST);
    words.filter(|word| !COMMON.contains(word)).map(|word| word.chars().take(5).collect()).collect()
}

/// Any but this one of so many, where there are others.
fn other(drawn: f64, but: usize, n: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number in 0..1 times a small count")]
    let step = 1 + (drawn * n.saturating_sub(1) as f64) as usize;
    (but + step.min(n.saturating_sub(1))) % n
}

/// The number of the next passage.
fn another(number: usize, passages: &[(usize, &str)]) -> usize {
    let place = passages.iter().position(|(known, _)| *known == number).unwrap_or(0);
    passages[(place + 1) % passages.len()].0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSAGES: &str =
        "Answer from these.\n[1] Lockers are grey. A small locker costs six euros a month.\n[2] The lathe is red.";

    #[track_caller]
    fn check(question: &str, knobs: &Knobs, expected: &str) {
        let messages = [(false, PASSAGES.to_owned()), (true, question.to_owned())];
        assert_eq!(answer(&messages, knobs, &Draws::new(3)).as_deref(), Some(expected));
    }

    #[test]
    fn it_quotes_and_cites_the_sentence_that_answers_and_says_where_there_is_none() {
        let knobs = Knobs { quality: 1.0, ..Knobs::default() };
        check(
            "What does a small locker cost?",
            &knobs,
            "The documents say: \"A small locker costs six euros a month\" [1].",
        );
        check("What colour is the lathe?", &knobs, UNKNOWN);
        check("Who founded the club?", &knobs, UNKNOWN);
        check(
            "Who founded the club?",
            &Knobs { unfounded_rate: 1.0, ..knobs.clone() },
            "The documents say: \"Lockers are grey\" [1].",
        );
        check(
            "What does a small locker cost?",
            &Knobs { wrong_citation_rate: 1.0, ..knobs.clone() },
            "The documents say: \"A small locker costs six euros a month\" [2].",
        );
        let wrong = Knobs { quality: 0.0, ..knobs };
        let messages = [(true, format!("{PASSAGES}\n\nWhat does a small locker cost?"))];
        let said = answer(&messages, &wrong, &Draws::new(3)).unwrap();
        assert!(!said.contains("six euros") && said.starts_with("The documents say: "), "{said}");
    }

    #[test]
    fn without_passages_it_has_nothing_to_say() {
        assert_eq!(answer(&[(true, "What does a locker cost?".to_owned())], &Knobs::default(), &Draws::new(3)), None);
    }
}
