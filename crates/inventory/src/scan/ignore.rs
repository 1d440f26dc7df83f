//! Which paths a repository's `.gitignore` files leave out (gitignore(5) of git's documentation).

use std::sync::Arc;

/// Rules of `.gitignore` files; those of deeper directories come later and win.
#[derive(Debug, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    /// The directory of the file that the rule is in; empty for the root. Rules of one file share it.
    base: Arc<str>,
    parts: Vec<Part>,
    /// Whether it counts from the rule's own directory and not at any depth.
    is_rooted: bool,
    only_directories: bool,
    /// `!`: what an earlier rule left out is kept after all.
    is_kept: bool,
}

/// More `**` than this in one pattern would only cost time.
const MOST_DEEP: usize = 4;

impl Ignore {
    /// Adds the text of a `.gitignore` in the directory; the root's is empty.
    pub fn add(&mut self, directory: &str, text: &str) {
        let base: Arc<str> = directory.into();
        self.rules.extend(text.lines().filter_map(|line| Rule::read(&base, line)));
    }

    /// How many rules there are, to come back to with [`Ignore::truncate`] when a directory is done.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Forgets the rules of a directory that is done.
    pub fn truncate(&mut self, len: usize) {
        self.rules.truncate(len);
    }

    /// Whether the file or directory is left out. Directories above it have been asked about already.
    #[must_use]
    pub fn leaves_out(&self, path: &str, is_directory: bool) -> bool {
        // Rules of one file stand together: what is below its directory is found once.
        let mut last: Option<(&Arc<str>, Option<&str>)> = None;
        let rule = self.rules.iter().rev().find(|rule| {
            let below = match last {
                Some((base, below)) if Arc::ptr_eq(base, &rule.base) => below,
                _ => below(path, &rule.base),
            };
            last = Some((&rule.base, below));
            below.is_some_and(|below| rule.fits(below, is_directory))
        });
        rule.is_some_and(|rule| !rule.is_kept)
    }
}

/// What of the path is below the directory.
fn below<'p>(path: &'p str, directory: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(directory)?;
    if directory.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

impl Rule {
    fn read(directory: &Arc<str>, line: &str) -> Option<Rule> {
        let line = line.strip_suffix("\\ ").map_or_else(|| line.trim_end(), |_| line);
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (is_kept, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let only_directories = pattern.ends_with('/');
        let pattern = pattern.trim_end_matches('/');
        let is_rooted = pattern.contains('/');
        let parts: Vec<&str> = pattern.trim_start_matches('/').split('/').collect();
        let n_deep = parts.iter().filter(|part| **part == "**").count();
        let is_empty = parts.iter().all(|part| part.is_empty());
        let parts = parts.into_iter().map(Part::read).collect();
        (!is_empty && n_deep <= MOST_DEEP).then(|| Rule {
            base: Arc::clone(directory),
            parts,
            is_rooted,
            only_directories,
            is_kept,
        })
    }

    /// Whether it fits what is below its directory.
    fn fits(&self, below: &str, is_directory: bool) -> bool {
        if self.only_directories && !is_directory {
            return false;
        }
        if self.is_rooted {
            if let (Some(Part::Name(first)), Some(name)) = (self.parts.first(), below.split('/').next())
                && first != name
            {
                return false;
            }
            let names: Vec<&str> = below.split('/').collect();
            return parts_fit(&self.parts, &names);
        }
        let name = below.rsplit('/').next().unwrap_or(below);
        self.parts.first().is_some_and(|part| part.fits(name))
    }
}

/// A part of a pattern that one name of a path has to fit.
#[derive(Debug)]
enum Part {
    /// `**`
    Deep,
    /// A name without anything special.
    Name(String),
    /// `*.o`: what the name ends in.
    End(String),
    Wild(Vec<Token>),
}

impl Part {
    fn read(text: &str) -> Part {
        let is_plain = |text: &str| !text.contains(['*', '?', '[', '\\']);
        match text.strip_prefix('*') {
            _ if text == "**" => Part::Deep,
            _ if is_plain(text) => Part::Name(text.to_owned()),
            Some(end) if is_plain(end) => Part::End(end.to_owned()),
            _ => Part::Wild(tokens(text)),
        }
    }

    fn fits(&self, name: &str) -> bool {
        match self {
            Part::Deep => true,
            Part::Name(own) => own == name,
            Part::End(end) => name.ends_with(end.as_str()),
            Part::Wild(tokens) => tokens_fit(tokens, name),
        }
    }
}

fn parts_fit(pattern: &[Part], names: &[&str]) -> bool {
    match (pattern.split_first(), names.split_first()) {
        (None, None) => true,
        // `a/**` is everything below `a`.
        (Some((Part::Deep, [])), Some(_)) => true,
        (Some((Part::Deep, rest)), _) => (0..=names.len()).any(|skip| parts_fit(rest, &names[skip..])),
        (Some((first, rest)), Some((name, below))) => first.fits(name) && parts_fit(rest, below),
        _ => false,
    }
}

/// A part of a pattern that one character has to fit.
#[derive(Debug)]
enum Token {
    Star,
    One,
    Is(char),
    /// `[a-z]`; whether it is `[!…]`.
    In(bool, Vec<(char, char)>),
}

/// Whether a name fits a pattern of `*`, `?`, `[…]` and `\`. Costs at most the product of their lengths.
pub(super) fn wild(pattern: &str, name: &str) -> bool {
    tokens_fit(&tokens(pattern), name)
}

fn tokens_fit(tokens: &[Token], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut of) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match tokens.get(of) {
            Some(Token::Star) => {
                star = Some((of, at));
                of += 1;
            }
            Some(token) if is_of(token, name[at]) => {
                at += 1;
                of += 1;
            }
            // The last `*` takes one more.
            _ => match &mut star {
                Some((token, from)) => {
                    *from += 1;
                    (of, at) = (*token + 1, *from);
                }
                None => return false,
            },
        }
    }
    tokens[of..].iter().all(|token| matches!(token, Token::Star))
}

fn is_of(token: &Token, character: char) -> bool {
    match token {
        Token::Star => false,
        Token::One => true,
        Token::Is(own) => *own == character,
        Token::In(is_not, ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&character)) != *is_not,
    }
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut characters = pattern.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '*' => Token::Star,
            '?' => Token::One,
            '\\' => Token::Is(characters.next().unwrap_or('\\')),
            '[' if pattern.contains(']') => {
                let is_not = characters.next_if(|next| matches!(next, '!' | '^')).is_some();
                let mut ranges = Vec::new();
                while let Some(from) = characters.next().filter(|next| *next != ']') {
                    let to = match characters.next_if_eq(&'-') {
                        Some(_) => characters.next_if(|next| *next != ']').unwrap_or('-'),
                        None => from,
                    };
                    ranges.push((from, to));
                }
                Token::In(is_not, ranges)
            }
            other => Token::Is(other),
        });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_that_fits_decides() {
        let mut ignore = Ignore::default();
        ignore.add(
            "",
            "*.log\n!keep.log\n/made/\ndocs/*.txt\n**/cache\na/**/z\nlib/*\n!lib/own\n# no rule\nx[0-9]?.py\n",
        );
        ignore.add("sub", "/here\nanywhere\n");
        for (path, is_directory, expected) in [
            ("a.log", false, true),
            ("b/a.log", false, true),
            ("keep.log", false, false),
            ("made", true, true),
            ("made", false, false),
            ("b/made", true, false),
            ("docs/a.txt", false, true),
            ("docs/b/a.txt", false, false),
            ("b/c/cache", true, true),
            ("a/z", false, true),
            ("a/b/c/z", false, true),
            ("lib/other", true, true),
            ("lib/own", true, false),
            ("lib/own/x", false, false),
            ("x1y.py", false, true),
            ("xay.py", false, false),
            ("sub/here", false, true),
            ("sub/b/here", false, false),
            ("sub/b/anywhere", false, true),
            ("here", false, false),
            ("subject/anywhere", false, false),
        ] {
            assert_eq!(ignore.leaves_out(path, is_directory), expected, "{path}");
        }
    }

    #[test]
    fn rules_of_a_directory_that_is_done_are_forgotten() {
        let mut ignore = Ignore::default();
        ignore.add("", "a\n");
        let len = ignore.len();
        ignore.add("sub", "b\n");
        assert!(ignore.leaves_out("sub/b", false));
        ignore.truncate(len);
        assert!(!ignore.leaves_out("sub/b", false) && ignore.leaves_out("sub/a", false));
    }
}
