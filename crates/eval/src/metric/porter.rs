//! The Porter stemmer as NLTK's `PorterStemmer` has it in its default mode: Porter 1980 with the extensions of his own site and
//! NLTK's (irregular forms, `dies` to `die`, `y` kept after a vowel, `alli` first). It is neither Porter's paper nor Snowball's
//! English, and ROUGE with stemming is defined by it. Words here are ASCII: ROUGE's tokens have nothing else.

/// Forms that no rule gets right.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// Step 2: suffixes that become shorter ones when the measure of what is before them is above 0. The first that fits decides.
const STEP_2: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

const STEP_3: [(&str, &str); 7] =
    [("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];

/// Step 4: suffixes that go when the measure of what is before them is above 1; `ion` only after `s` or `t`.
const STEP_4: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
];

/// The stem of a word of lower-case ASCII letters and digits.
///
/// By hand: `relational` loses `ational` for `ate` (step 2), then the `e` (step 5): `relat`.
#[must_use]
pub fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return (*stem).to_owned();
    }
    if word.len() <= 2 || !word.is_ascii() {
        return word.to_owned();
    }
    let mut word = word.to_owned();
    plural(&mut word);
    past_and_present(&mut word);
    final_y(&mut word);
    step_2(&mut word);
    replace_first(&mut word, &STEP_3, 0);
    step_4(&mut word);
    final_e(&mut word);
    if word.ends_with("ll") && measure(&word[..word.len() - 1]) > 1 {
        word.pop();
    }
    word
}

/// Step 1a.
fn plural(word: &mut String) {
    if word.ends_with("ies") {
        let cut = if word.len() == 4 { 1 } else { 2 };
        word.truncate(word.len() - cut);
    } else if word.ends_with("sses") {
        word.truncate(word.len() - 2);
    } else if word.ends_with('s') && !word.ends_with("ss") {
        word.pop();
    }
}

/// Step 1b.
fn past_and_present(word: &mut String) {
    if word.ends_with("ied") {
        let cut = if word.len() == 4 { 1 } else { 2 };
        return word.truncate(word.len() - cut);
    }
    if let Some(stem) = word.strip_suffix("eed") {
        if measure(stem) > 0 {
            word.pop();
        }
        return;
    }
    let stem = ["ed", "ing"].iter().filter_map(|suffix| word.strip_suffix(suffix)).find(|stem| has_vowel(stem));
    let Some(n) = stem.map(str::len) else { return };
    word.truncate(n);
    let last = word.as_bytes()[n - 1];
    if ["at", "bl", "iz"].iter().any(|end| word.ends_with(end)) {
        word.push('e');
    } else if n >= 2 && word.as_bytes()[n - 2] == last && is_consonant(word.as_bytes(), n - 1) {
        if !matches!(last, b'l' | b's' | b'z') {
            word.pop();
        }
    } else if measure(word) == 1 && ends_short(word) {
        word.push('e');
    }
}

/// Step 1c, NLTK's: only after a consonant that is not the first letter.
fn final_y(word: &mut String) {
    let Some(stem) = word.strip_suffix('y') else { return };
    if stem.len() > 1 && is_consonant(stem.as_bytes(), stem.len() - 1) {
        word.pop();
        word.push('i');
    }
}

fn step_2(word: &mut String) {
    while let Some(stem) = word.strip_suffix("alli").filter(|stem| measure(stem) > 0) {
        let n = stem.len();
        word.truncate(n);
        word.push_str("al");
    }
    if replace_first(word, &STEP_2, 0) {
        return;
    }
    // The `l` of `logi` counts with the stem, so that `geologi` is treated as `archaeologi`.
    if word.ends_with("logi") && measure(&word[..word.len() - 3]) > 0 {
        word.pop();
    }
}

fn step_4(word: &mut String) {
    let Some(stem) = STEP_4.iter().find_map(|suffix| word.strip_suffix(suffix).map(|stem| (stem, *suffix))) else {
        return;
    };
    let (stem, suffix) = stem;
    if measure(stem) > 1 && (suffix != "ion" || stem.ends_with(['s', 't'])) {
        word.truncate(stem.len());
    }
}

/// Step 5a.
fn final_e(word: &mut String) {
    let Some(stem) = word.strip_suffix('e') else { return };
    let measure = measure(stem);
    if measure > 1 || (measure == 1 && !ends_short(stem)) {
        word.pop();
    }
}

/// Replaces the first suffix that fits, if the measure before it is above `above`. Whether one fitted.
fn replace_first(word: &mut String, rules: &[(&str, &str)], above: usize) -> bool {
    let fits = rules.iter().find_map(|(suffix, other)| word.strip_suffix(suffix).map(|stem| (stem, *other)));
    let Some((stem, other)) = fits else { return false };
    if measure(stem) > above {
        let n = stem.len();
        word.truncate(n);
        word.push_str(other);
    }
    true
}

/// Whether the letter at this place is a consonant: no vowel, and no `y` after a consonant.
fn is_consonant(word: &[u8], at: usize) -> bool {
    match word[at] {
        b'a' | b'e' | b'i' | b'o' | b'u' => false,
        b'y' => at == 0 || !consonants(&word[..at]).last().copied().unwrap_or(false),
        _ => true,
    }
}

fn consonants(word: &[u8]) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for letter in word {
        let is = match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => !flags.last().copied().unwrap_or(false),
            _ => true,
        };
        flags.push(is);
    }
    flags
}

/// How often a vowel is followed by a consonant: m of [C](VC){m}[V].
fn measure(stem: &str) -> usize {
    consonants(stem.as_bytes()).windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn has_vowel(stem: &str) -> bool {
    consonants(stem.as_bytes()).contains(&false)
}

/// Consonant, vowel, consonant that is no `w`, `x` or `y`; or, NLTK's, a vowel and a consonant alone.
fn ends_short(word: &str) -> bool {
    let flags = consonants(word.as_bytes());
    match flags[..] {
        [false, true] => true,
        [.., true, false, true] => !word.ends_with(['w', 'x', 'y']),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_stemmed_as_by_nltk() {
        let words = [
            ("caresses", "caress"),
            ("ponies", "poni"),
            ("dies", "die"),
            ("died", "die"),
            ("spied", "spi"),
            ("agreed", "agre"),
            ("feed", "feed"),
            ("hopping", "hop"),
            ("falling", "fall"),
            ("filing", "file"),
            ("enjoy", "enjoy"),
            ("happy", "happi"),
            ("relational", "relat"),
            ("radically", "radic"),
            ("geology", "geolog"),
            ("sensibility", "sensibl"),
            ("controlling", "control"),
            ("adoption", "adopt"),
            ("yyyying", "yyyi"),
            ("skies", "sky"),
        ];
        for (word, expected) in words {
            assert_eq!(stem(word), expected, "{word}");
        }
    }
}
