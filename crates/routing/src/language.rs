//! Which language a text is in, as far as its letters tell.
//!
//! The detector is whatlang's: the script first, then trigrams where a script has several languages (Cavnar & Trenkle 1994). It
//! knows 70 languages and is wrong now and then, most of all on texts of a few words and between close relatives (Bokmål and
//! Danish, Serbian and Croatian); so an answer counts only above [`SURE`], and everything else is [`Language::Unknown`].

use std::fmt;

use whatlang::Lang;

/// A language, or that it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// One of the detector's.
    Known(Lang),
    /// Too short a text, or one that could be several.
    Unknown,
}

/// The two letters of ISO 639-1 for those that have them, with the three of ISO 639-3 that the detector uses.
const TWO_LETTERS: [(&str, &str); 68] = [
    ("af", "afr"),
    ("ak", "aka"),
    ("am", "amh"),
    ("ar", "ara"),
    ("az", "aze"),
    ("be", "bel"),
    ("bg", "bul"),
    ("bn", "ben"),
    ("ca", "cat"),
    ("cs", "ces"),
    ("cy", "cym"),
    ("da", "dan"),
    ("de", "deu"),
    ("el", "ell"),
    ("en", "eng"),
    ("eo", "epo"),
    ("es", "spa"),
    ("et", "est"),
    ("fa", "pes"),
    ("fi", "fin"),
    ("fr", "fra"),
    ("gu", "guj"),
    ("he", "heb"),
    ("hi", "hin"),
    ("hr", "hrv"),
    ("hu", "hun"),
    ("hy", "hye"),
    ("id", "ind"),
    ("it", "ita"),
    ("ja", "jpn"),
    ("jv", "jav"),
    ("ka", "kat"),
    ("km", "khm"),
    ("kn", "kan"),
    ("ko", "kor"),
    ("la", "lat"),
    ("lt", "lit"),
    ("lv", "lav"),
    ("mk", "mkd"),
    ("ml", "mal"),
    ("mr", "mar"),
    ("my", "mya"),
    ("nb", "nob"),
    ("ne", "nep"),
    ("nl", "nld"),
    ("or", "ori"),
    ("pa", "pan"),
    ("pl", "pol"),
    ("pt", "por"),
    ("ro", "ron"),
    ("ru", "rus"),
    ("si", "sin"),
    ("sk", "slk"),
    ("sl", "slv"),
    ("sn", "sna"),
    ("sr", "srp"),
    ("sv", "swe"),
    ("ta", "tam"),
    ("te", "tel"),
    ("th", "tha"),
    ("tk", "tuk"),
    ("tl", "tgl"),
    ("tr", "tur"),
    ("uk", "ukr"),
    ("ur", "urd"),
    ("uz", "uzb"),
    ("vi", "vie"),
    ("zh", "cmn"),
];

/// The word for a language that is not known.
const UNKNOWN: &str = "unknown";

/// How sure the detector must be, from 0 to 1. Its own bound, 0.9, leaves 24 of 30 short sentences of 20 languages unknown; at this one 17
/// are right, 13 unknown and none wrong, at 0.1 20 are right and 3 wrong, at 0 23 and 7 (version 0.18, 2026-11-25).
pub const SURE: f64 = 0.3;

/// More of a text than this tells nothing new.
pub const ENOUGH_BYTES: usize = 2 << 10;

impl Language {
    /// The language of `text`: of its first [`ENOUGH_BYTES`] or so.
    #[must_use]
    pub fn of(text: &str) -> Language {
        let end = text.floor_char_boundary(ENOUGH_BYTES);
        let found = whatlang::detect(&text[..end]).filter(|found| found.confidence() > SURE);
        found.map_or(Language::Unknown, |found| Language::Known(found.lang()))
    }

    /// The language called `code`: two letters of ISO 639-1, three of ISO 639-3, or `unknown`.
    #[must_use]
    pub fn named(code: &str) -> Option<Language> {
        if code == UNKNOWN {
            return Some(Language::Unknown);
        }
        let two = TWO_LETTERS.iter().find(|(two, _)| *two == code);
        let three = two.map_or(code, |(_, three)| three);
        Lang::from_code(three).map(Language::Known)
    }

    /// Every word for one.
    pub fn words() -> impl Iterator<Item = &'static str> + Clone {
        TWO_LETTERS.iter().map(|(two, _)| *two).chain([UNKNOWN])
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Unknown => UNKNOWN,
            Language::Known(lang) => {
                TWO_LETTERS.iter().find(|(_, three)| *three == lang.code()).map_or(lang.code(), |(two, _)| two)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_two_letters_name_a_language_of_the_detector() {
        for (two, _) in TWO_LETTERS {
            assert_eq!(Language::named(two).map(|language| language.to_string()).as_deref(), Some(two));
        }
        assert_eq!(Language::named("deu"), Language::named("de"));
        assert_eq!(Language::named("klingon"), None);
    }

    #[test]
    fn the_language_of_a_sentence() {
        for (expected, text) in [
            ("en", "Could you please summarise the attached contract and tell me which clauses are unusual?"),
            ("de", "Kannst du bitte den Vertrag zusammenfassen und mir sagen, welche Klauseln ungewöhnlich sind?"),
            ("fr", "Pourriez-vous résumer ce contrat et me dire quelles clauses sont inhabituelles, s'il vous plaît ?"),
            ("es", "¿Podrías resumir este contrato y decirme qué cláusulas son poco habituales en este sector?"),
            ("ru", "Пожалуйста, кратко изложи этот договор и скажи, какие пункты выглядят необычно."),
            ("ja", "この契約書を要約して、珍しい条項を教えてください。"),
            ("zh", "请总结这份合同，并告诉我哪些条款不常见。"),
            ("ko", "이 계약서를 요약하고 특이한 조항을 알려 주세요."),
            ("el", "Μπορείς να συνοψίσεις αυτό το συμβόλαιο;"),
            ("vi", "Thời tiết ở Paris thế nào?"),
            ("unknown", "hello there"),
            ("unknown", ""),
            ("unknown", "ok"),
            ("unknown", "12 + 30 = ?"),
        ] {
            assert_eq!(Language::of(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(Language::of(&"水".repeat(100_000)).to_string(), "zh");
    }
}
