//! Which model names a price is for.

use std::fmt;

/// A pattern over a whole model name, letters of either case: `*` is any run of characters, `#` one digit, `\` takes the next
/// character as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob(String);

impl Glob {
    /// The pattern `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Glob {
        Glob(text.into())
    }

    /// The pattern for exactly `text`.
    #[must_use]
    pub fn literal(text: &str) -> Glob {
        Glob(escape(text))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The one name it is for, when it is no pattern.
    #[must_use]
    pub fn literal_name(&self) -> Option<String> {
        let literal = |token| match token {
            Token::Char(character) => Some(character),
            Token::Any | Token::Digit => None,
        };
        tokens(&self.0).into_iter().map(literal).collect()
    }

    /// Whether `name` is one it is for. Linear in the name for each `*`: a pattern is tried against a name once, when a
    /// config is read.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let pattern = tokens(&self.0);
        let name: Vec<char> = name.chars().collect();
        // The last `*` seen, and how much of the name it has been given.
        let mut star: Option<(usize, usize)> = None;
        let (mut at, mut idx) = (0, 0);
        while idx < name.len() {
            match pattern.get(at) {
                Some(Token::Any) => {
                    star = Some((at, idx));
                    at += 1;
                    continue;
                }
                Some(token) if token.takes(name[idx]) => {
                    at += 1;
                    idx += 1;
                    continue;
                }
                _ => {}
            }
            let Some((star_at, given)) = star else { return false };
            star = Some((star_at, given + 1));
            at = star_at + 1;
            idx = given + 1;
        }
        pattern[at..].iter().all(|token| matches!(token, Token::Any))
    }
}

/// `text` with every character taken as it is.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '#' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[derive(Debug, Clone, Copy)]
enum Token {
    Any,
    Digit,
    Char(char),
}

impl Token {
    fn takes(self, character: char) -> bool {
        match self {
            Token::Any => false,
            Token::Digit => character.is_ascii_digit(),
            Token::Char(own) => own.eq_ignore_ascii_case(&character),
        }
    }
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut characters = pattern.chars();
    let mut tokens = Vec::with_capacity(pattern.len());
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '*' => Token::Any,
            '#' => Token::Digit,
            '\\' => Token::Char(characters.next().unwrap_or('\\')),
            other => Token::Char(other),
        });
    }
    tokens
}

/// Which model names, said with several patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Those one pattern is for.
    Glob(Glob),
    /// Those any of them is for.
    Any(Vec<Match>),
    /// Those all of them are for.
    All(Vec<Match>),
    /// Those it is not for.
    Not(Box<Match>),
}

impl Match {
    /// Exactly `text`.
    #[must_use]
    pub fn literal(text: &str) -> Match {
        Match::Glob(Glob::literal(text))
    }

    /// The names it is for, when they can be listed.
    #[must_use]
    pub fn literals(&self) -> Option<Vec<String>> {
        match self {
            Match::Glob(glob) => Some(vec![glob.literal_name()?]),
            Match::Any(some) => Some(some.iter().map(Match::literals).collect::<Option<Vec<_>>>()?.concat()),
            Match::All(_) | Match::Not(_) => None,
        }
    }

    /// Whether `name` is one of them.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Match::Glob(glob) => glob.matches(name),
            Match::Any(some) => some.iter().any(|one| one.matches(name)),
            Match::All(all) => all.iter().all(|one| one.matches(name)),
            Match::Not(not) => !not.matches(name),
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (several, word) = match self {
            Match::Glob(glob) => return f.write_str(&glob.0),
            Match::Not(not) => return write!(f, "not ({not})"),
            Match::Any(some) => (some, " or "),
            Match::All(all) => (all, " and "),
        };
        for (idx, one) in several.iter().enumerate() {
            write!(f, "{}{one}", if idx == 0 { "" } else { word })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let glob = Glob::new(pattern);
        for name in yes {
            assert!(glob.matches(name), "`{pattern}` is for {name}");
        }
        for name in no {
            assert!(!glob.matches(name), "`{pattern}` is not for {name}");
        }
    }

    #[test]
    fn stars_digits_and_escapes() {
        check("gpt-4o", &["gpt-4o", "GPT-4o"], &["gpt-4o-mini", "xgpt-4o", ""]);
        check("gpt-4o-####-##-##", &["gpt-4o-2024-08-06"], &["gpt-4o-2024-08-6x", "gpt-4o-2024-08-066"]);
        check("*claude*v2*", &["anthropic.claude-v2:1", "claudev2"], &["claude", "v2claude"]);
        check("*-mini", &["a-mini", "-mini-mini"], &["a-mini-2", "mini"]);
        check("*", &["", "anything"], &[]);
        check(r"a\*b\#", &["a*b#"], &["axb#", "a*b1"]);
        check("*aab", &["aaaab", "aab"], &["aaba"]);
    }

    #[test]
    fn a_literal_is_for_itself_only() {
        let glob = Glob::literal(r"@cf/*#\x");
        assert!(glob.matches(r"@cf/*#\x") && !glob.matches(r"@cf/a1\x"));
    }
}
