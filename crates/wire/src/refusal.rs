//! Whether an answer declines in plain words, or says nothing: found in the first bytes of its text, without a model and without a
//! document of it.
//!
//! Found is what begins as assistants begin when they decline ("I'm sorry, but I can't help with that") and is short. The rule is made to
//! be right when it speaks rather than to find everything: a longer text, one that goes on to give something, one that a quotation mark
//! opens, and one that only says what is not known are answers. What it takes for a refusal and is none, and what it overlooks, stands
//! measured in the tests; both happen to both arms of a rollout alike, so that guards and gates, which compare the arms, are blunted by it
//! and not biased.

mod phrases;

use std::ops::Range;

use crate::scan;
use phrases::{LANGUAGES, Phrase, Then};

/// Bytes of an answer's text that are looked at, from its beginning.
pub const LOOKED_AT: usize = 512;

/// A longer text that begins like a refusal goes on to say something. Bytes of UTF-8.
const LONGEST: u64 = 900;

/// How far into its sentence a phrase may end, bytes.
const REACH: usize = 240;

/// Signs that a text goes on to give something after all.
const GIVES: [&str; 10] =
    ["```", "\n1.", "\n- ", "\n* ", "here's a", "here is a", "here are", "hier ist", "voici", "aquí tiene"];

/// Quotation marks: what they open is somebody else's words.
const QUOTES: [char; 9] = ['"', '“', '„', '«', '»', '「', '『', '‘', '\''];

/// Whether the model did what it was asked, as far as its words tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Manner {
    /// It said something.
    #[default]
    Answered,
    /// It declined.
    Refused,
    /// It said nothing and called nothing.
    Empty,
}

impl Manner {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Empty => "empty",
        }
    }
}

/// The language in which a text of `n_bytes` declines, by its `beginning`; `None` when it does not.
///
/// `beginning` need not be more than [`LOOKED_AT`] bytes of it.
#[must_use]
pub fn language_of_refusal(beginning: &str, n_bytes: u64) -> Option<&'static str> {
    if n_bytes > LONGEST || beginning.len() < "no puedo".len() {
        return None;
    }
    if !may_decline(beginning) {
        return None;
    }
    let text = plain(beginning);
    if text.starts_with(QUOTES) || GIVES.iter().any(|sign| text.contains(sign)) {
        return None;
    }
    let declines = |language: &&phrases::Language| {
        let (rest, apologizes) = after_apologies(&text, language.apologies);
        language.phrases.iter().any(|phrase| (apologizes || !phrase.after_apology) && opens(rest, phrase))
    };
    LANGUAGES.iter().find(declines).map(|language| language.tag)
}

/// Bytes of a text by which hardly any answer still looks like a refusal.
const GLANCE: usize = 40;

/// Whether a text begins as an apology or a phrase does, as far as one glance tells: nearly every answer is passed over here.
fn may_decline(text: &str) -> bool {
    let text = undressed(text);
    let glance = plain(&text[..text.floor_char_boundary(GLANCE)]);
    let Some(first) = glance.as_bytes().first() else { return true };
    let agrees = |word: &&str| {
        let n = word.len().min(glance.len());
        word.as_bytes().first() == Some(first) && word.as_bytes()[..n] == glance.as_bytes()[..n]
    };
    let begins = |phrase: &Phrase| !phrase.after_apology && phrase.starts.iter().any(&agrees);
    LANGUAGES.iter().any(|language| language.apologies.iter().any(&agrees) || language.phrases.iter().any(begins))
}

/// Without the marks that a text may be dressed with.
fn undressed(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_' | '#' | '>' | '~'))
}

/// Lower case, with plain apostrophes and without the marks that a text may be dressed with.
fn plain(text: &str) -> String {
    let text = undressed(text);
    if text.is_ascii() {
        let mut text = text.to_ascii_lowercase();
        text.retain(|c| c != '*');
        return text;
    }
    text.chars()
        .map(|c| if c == '\u{2019}' || c == '\u{2bc}' { '\'' } else { c })
        .flat_map(char::to_lowercase)
        .filter(|c| *c != '*')
        .collect()
}

/// What comes after words of regret, and whether there were any.
fn after_apologies<'t>(text: &'t str, apologies: &[&str]) -> (&'t str, bool) {
    let (mut rest, mut apologizes) = (text, false);
    // "I'm sorry, but unfortunately": no more than a few of them are strung together.
    for _ in 0..4 {
        let Some(next) = apologies.iter().find_map(|apology| rest.strip_prefix(apology)) else { break };
        // A word that only begins with one is another word.
        let is_cut = next.starts_with(|c: char| c.is_ascii_alphanumeric());
        if is_cut {
            break;
        }
        rest = next.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ',' | '.' | '!' | ':' | ';' | '-'));
        rest = rest.trim_start_matches(['—', '–', '…', '，', '、', '。', '！', '،']).trim_start();
        apologizes = true;
    }
    (rest, apologizes)
}

/// Whether `rest` begins with the phrase.
fn opens(rest: &str, phrase: &Phrase) -> bool {
    let Some(after) = phrase.starts.iter().find_map(|start| rest.strip_prefix(start)) else { return false };
    match phrase.then {
        Then::Anything => true,
        Then::Next(acts) => {
            let after = after.trim_start();
            let after = FILLERS.iter().find_map(|filler| after.strip_prefix(filler)).unwrap_or(after).trim_start();
            acts.iter().any(|act| after.starts_with(act))
        }
        Then::Within(acts) => {
            let sentence = sentence(after);
            acts.iter().any(|act| sentence.contains(act))
        }
    }
}

/// Words that may stand between "I can't" and what cannot be done.
const FILLERS: [&str; 6] = ["directly ", "in good conscience ", "ethically ", "and won't ", "or won't ", "actually "];

/// The text up to the end of its first sentence, or as far as a phrase may reach.
fn sentence(text: &str) -> &str {
    let end = text.find(['.', '!', '?', '\n', '。', '！', '？', '।']).unwrap_or(text.len());
    let mut end = end.min(REACH).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// How an answer that is there as a whole behaves, by its text alone.
#[must_use]
pub fn manner(text: &str) -> Manner {
    let mut end = text.len().min(LOOKED_AT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let beginning = &text[..end];
    if text.trim().is_empty() {
        Manner::Empty
    } else if language_of_refusal(beginning, text.len() as u64).is_some() {
        Manner::Refused
    } else {
        Manner::Answered
    }
}

/// What an event or a part of an answer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Says {
    /// Its text, a string literal with its quotation marks.
    pub text: Option<Range<usize>>,
    /// It has a `refusal` that says something.
    pub refused: bool,
    /// It says something that is no text: it calls, or is sound or a picture.
    pub otherwise: bool,
}

/// The beginning of an answer, gathered as it comes: never more than [`LOOKED_AT`] bytes of its text.
#[derive(Clone, Default)]
pub struct Beginning {
    text: Vec<u8>,
    /// Bytes of text so far, as they were written.
    n_bytes: u64,
    refused: bool,
    otherwise: bool,
}

impl std::fmt::Debug for Beginning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<private {} bytes>", self.n_bytes)
    }
}

impl Beginning {
    /// Takes what `data` says next. Once enough is gathered this only counts.
    pub fn push(&mut self, data: &[u8], says: &Says) {
        self.refused |= says.refused;
        self.otherwise |= says.otherwise;
        let Some(literal) = says.text.clone().filter(|literal| literal.len() > 2) else { return };
        self.n_bytes += literal.len() as u64 - 2;
        let room = LOOKED_AT.saturating_sub(self.text.len());
        if room > 0 {
            if self.text.capacity() == 0 {
                self.text.reserve_exact(LOOKED_AT);
            }
            scan::unescape_start(data, literal, room, &mut self.text);
        }
    }

    /// How the answer behaves, now that all of it is there.
    #[must_use]
    pub fn manner(&self) -> Manner {
        if self.otherwise {
            return Manner::Answered;
        }
        if self.refused {
            return Manner::Refused;
        }
        let text = String::from_utf8_lossy(&self.text);
        if text.trim().is_empty() && self.n_bytes <= LOOKED_AT as u64 {
            return Manner::Empty;
        }
        if language_of_refusal(&text, self.n_bytes).is_some() { Manner::Refused } else { Manner::Answered }
    }
}

#[cfg(test)]
mod tests;
