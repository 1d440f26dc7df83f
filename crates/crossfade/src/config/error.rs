//! What is wrong with a config, said so that the line can be found and corrected.

use std::fmt;

use serde::Serialize;

use super::tree::Place;

/// One problem. Its `Display` is a block of lines: place, key path and message, the line with a caret, what to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ConfigError {
    /// The file.
    pub source_name: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Length of the caret.
    #[serde(skip)]
    pub length: usize,
    /// The full key path; empty for the whole file.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line itself; `None` when it may hold a secret.
    #[serde(skip)]
    pub source_line: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source_name, line, column, path, message, .. } = self;
        let path = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
        writeln!(f, "{source_name}:{line}:{column}: {path}{message}")?;
        if let Some(source_line) = &self.source_line {
            let number = line.to_string();
            let blank = " ".repeat(number.len());
            let (indent, caret) = (" ".repeat(column - 1), "^".repeat(self.length));
            writeln!(f, " {number} | {source_line}")?;
            writeln!(f, " {blank} | {indent}{caret}")?;
        }
        match &self.hint {
            Some(hint) => writeln!(f, "   hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Every problem, as text: one block each, then how many and in what file.
pub(crate) fn render(errors: &[ConfigError]) -> String {
    let blocks: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let n_errors = errors.len();
    let word = if n_errors == 1 { "error" } else { "errors" };
    format!("{}\n{n_errors} {word} in {}\n", blocks.join("\n"), places_of(errors))
}

/// The file that problems are in; how many files, when they are several.
pub(crate) fn places_of(errors: &[ConfigError]) -> String {
    let mut names: Vec<&str> = errors.iter().map(|error| error.source_name.as_str()).collect();
    names.dedup();
    match names.as_slice() {
        [one] => (*one).to_owned(),
        several => format!("{} files", several.len()),
    }
}

/// The line a place is on, with what could be a secret masked, and the caret's length kept inside it.
pub(crate) fn snippet(text: &str, place: Place) -> (Option<String>, usize) {
    let Some(line) = text.lines().nth(place.line - 1) else { return (None, 1) };
    let room = (line.chars().count() + 1).saturating_sub(place.column - 1).max(1);
    (Some(mask_secrets(&line.replace('\t', " "))), place.length.min(room))
}

/// Replaces the value after `api_key:` and its like by as many stars, unless it names an environment variable.
fn mask_secrets(line: &str) -> String {
    const SECRET_KEYS: [&str; 4] = ["api_key", "token", "password", "secret"];
    let mut masked = line.to_owned();
    if let Some((from, to)) = masked.find("://").and_then(|at| Some((at + 3, at + masked[at..].find('@')?)))
        && from < to
    {
        let stars = "*".repeat(masked[from..to].chars().count());
        masked.replace_range(from..to, &stars);
    }
    for key in SECRET_KEYS {
        // Numbers of tokens are none.
        let is_secret = |at: &usize| !masked[..*at].ends_with("prompt_");
        let found = masked.match_indices(key).map(|(at, _)| at).find(is_secret);
        let Some(after_key) = found.map(|at| at + key.len()) else { continue };
        let Some(colon) = masked[after_key..].find(':').map(|at| after_key + at + 1) else { continue };
        let value = colon + masked[colon..].len() - masked[colon..].trim_start().len();
        if masked[value..].trim_start_matches(['"', '\'']).starts_with("${") {
            continue;
        }
        let quote = masked[value..].chars().next().filter(|first| matches!(first, '"' | '\''));
        let length = match quote {
            Some(quote) => masked[value + 1..].find(quote).map_or(masked[value..].len(), |at| at + 2),
            None => masked[value..].find([',', '}', '#']).unwrap_or(masked[value..].len()),
        };
        let stars = "*".repeat(masked[value..value + length].trim_end().chars().count());
        masked.replace_range(value..value + masked[value..value + length].trim_end().len(), &stars);
    }
    masked
}

/// The word of `known` nearest to `given`, when one is near enough to be meant.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = given.to_lowercase().replace('-', "_");
    let scored = known.into_iter().map(|word| (strsim::damerau_levenshtein(&lower, &word.to_lowercase()), word));
    let (distance, word) = scored.min_by_key(|(distance, _)| *distance)?;
    let longest = given.chars().count().max(word.chars().count());
    (distance * 5 <= longest * 2).then_some(word)
}
