//! Regular expressions as they occur in price files, turned into globs where that says the same.

use crate::pattern::{Glob, Match, escape};

/// More alternatives than this are no pattern a person wrote.
const MAX_BRANCHES: usize = 64;

/// The names that a search for `regex` finds, said in globs; `None` when that cannot be said. Understood are anchors, escaped
/// characters, `\d`, `{n}`, `?`, `.*`, sets of single characters, groups with alternatives, and one negative lookahead at the
/// beginning.
pub(super) fn names(regex: &str) -> Option<Match> {
    let Some(rest) = regex.strip_prefix("^(?!") else { return globs(regex) };
    let (not, rest) = rest.split_at(closing(rest)?);
    let not = Match::Not(Box::new(globs(&format!("^{not}"))?));
    match &rest[1..] {
        "" => Some(not),
        rest => Some(Match::All(vec![globs(&format!("^{rest}"))?, not])),
    }
}

/// Where the group that `text` is the inside of ends.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

fn globs(regex: &str) -> Option<Match> {
    let (body, begins) = match regex.strip_prefix('^') {
        Some(rest) => (rest, ""),
        None => (regex, "*"),
    };
    let mut rest: Vec<char> = body.chars().rev().collect();
    let branches = alternatives(&mut rest, 0)?;
    let mut globs = Vec::new();
    for branch in branches {
        let glob = Match::Glob(Glob::new(format!("{begins}{}{}", branch.glob, if branch.ended { "" } else { "*" })));
        if !globs.contains(&glob) {
            globs.push(glob);
        }
    }
    match globs.len() {
        1 => globs.pop(),
        _ => Some(Match::Any(globs)),
    }
}

/// One way through an expression.
#[derive(Clone, Default)]
struct Branch {
    glob: String,
    /// Nothing may follow.
    ended: bool,
}

/// Alternatives up to the end or to the bracket that closes the group.
fn alternatives(rest: &mut Vec<char>, depth: usize) -> Option<Vec<Branch>> {
    let mut all = Vec::new();
    let mut here = vec![Branch::default()];
    while let Some(character) = rest.pop() {
        match character {
            '|' => all.append(&mut std::mem::replace(&mut here, vec![Branch::default()])),
            ')' if depth > 0 => {
                all.append(&mut here);
                return Some(all);
            }
            _ => here = joined(&here, &atom(character, rest, depth)?)?,
        }
    }
    all.append(&mut here);
    (depth == 0 && all.len() <= MAX_BRANCHES).then_some(all)
}

fn joined(before: &[Branch], after: &[Branch]) -> Option<Vec<Branch>> {
    let mut all = Vec::with_capacity(before.len() * after.len());
    for one in before {
        for two in after {
            if one.ended && !(two.glob.is_empty()) {
                return None;
            }
            all.push(Branch { glob: format!("{}{}", one.glob, two.glob), ended: one.ended || two.ended });
        }
    }
    (all.len() <= MAX_BRANCHES).then_some(all)
}

/// One atom with what says how often.
fn atom(character: char, rest: &mut Vec<char>, depth: usize) -> Option<Vec<Branch>> {
    let of = |glob: String| vec![Branch { glob, ended: false }];
    let atom = match character {
        '$' => return Some(vec![Branch { glob: String::new(), ended: true }]),
        '\\' => match rest.pop()? {
            'd' => of("#".into()),
            escaped if !escaped.is_ascii_alphanumeric() => of(escape(&escaped.to_string())),
            _ => return None,
        },
        '.' if rest.last() == Some(&'*') => {
            rest.pop();
            return Some(of("*".into()));
        }
        '[' => set(rest)?,
        '(' if depth < 4 => {
            if rest.last() == Some(&'?') {
                rest.pop();
                (rest.pop()? == ':').then_some(())?;
            }
            alternatives(rest, depth + 1)?
        }
        '.' | '*' | '+' | '?' | '(' | ')' | ']' | '{' | '}' | '^' => return None,
        plain => of(escape(&plain.to_string())),
    };
    match rest.last() {
        Some('?') => {
            rest.pop();
            Some(atom.into_iter().chain([Branch::default()]).collect())
        }
        Some('{') => {
            rest.pop();
            let mut digits = String::new();
            while let Some(digit) = rest.pop_if(|c| c.is_ascii_digit()) {
                digits.push(digit);
            }
            (rest.pop()? == '}').then_some(())?;
            let n: usize = digits.parse().ok().filter(|n| *n <= 64)?;
            (0..n).try_fold(vec![Branch::default()], |before, _| joined(&before, &atom))
        }
        Some('*' | '+') => None,
        _ => Some(atom),
    }
}

/// `[-@]`: one of a few characters; letters of either case are the same.
fn set(rest: &mut Vec<char>) -> Option<Vec<Branch>> {
    let mut found: Vec<char> = Vec::new();
    loop {
        match rest.pop()? {
            ']' if !found.is_empty() => break,
            '^' | '\\' | '[' | ']' => return None,
            // A range, unless it is at one of the ends.
            '-' if !found.is_empty() && rest.last() != Some(&']') => return None,
            one if found.iter().any(|other| other.eq_ignore_ascii_case(&one)) => {}
            one => found.push(one),
        }
    }
    Some(found.into_iter().map(|one| Branch { glob: escape(&one.to_string()), ended: false }).collect())
}

/// The hosts of a pattern over API addresses, when it is about a few and says which.
pub(super) fn hosts(regex: &str) -> Option<Vec<String>> {
    let rest = regex.trim_start_matches('^').strip_prefix("https://")?;
    let rest = ["(?:/|$)", "(/|$)", "/"].iter().find_map(|end| rest.strip_suffix(end)).unwrap_or(rest);
    let mut rest: Vec<char> = rest.chars().rev().collect();
    let hosts: Vec<String> = alternatives(&mut rest, 0)?.into_iter().map(|branch| branch.glob).collect();
    let is_host = |host: &String| {
        host.contains('.')
            && !host.ends_with('.')
            && host.bytes().all(|c| c.is_ascii_alphanumeric() || b".-".contains(&c))
    };
    hosts.iter().all(is_host).then_some(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_said_in_globs_is() {
        for (regex, expected) in [
            (r"^gpt-5\.4-\d{4}-\d{2}-\d{2}$", Some("gpt-5.4-####-##-##")),
            (r"^gemini-3\.5-flash-\d", Some("gemini-3.5-flash-#*")),
            (r"^grok-4\.5\[fast=true\]$", Some("grok-4.5[fast=true]")),
            (r"sonnet.*v2", Some("*sonnet*v2*")),
            (r"^claude-opus-5[-@]\d{8}$", Some("claude-opus-5-######## or claude-opus-5@########")),
            (r"^(a/)?b(-\d)?$", Some("a/b-# or a/b or b-# or b")),
            ("a|b", Some("*a* or *b*")),
            (r"\w", None),
            ("a{2,3}", None),
            ("[a-z]+", None),
            ("(a", None),
            ("a$b", None),
        ] {
            let found = names(regex).map(|names| names.to_string());
            assert_eq!(found.as_deref(), expected, "{regex}");
        }
    }

    #[test]
    fn what_must_not_follow_is_excluded() {
        let names = names(r"^(?!.*-[tT][tT][sS](?:$|-))").unwrap();
        assert_eq!(names.to_string(), "not (*-tts or *-tts-*)");
        assert!(names.matches("gemini-pro") && !names.matches("gemini-TTS") && !names.matches("x-tts-1"));
    }

    #[test]
    fn hosts_are_listed_when_they_are_few() {
        let of = |regex| hosts(regex).map(|hosts| hosts.join(" "));
        assert_eq!(of(r"https://api\.openai\.com").as_deref(), Some("api.openai.com"));
        assert_eq!(of(r"https://api\.z\.ai(?:/|$)").as_deref(), Some("api.z.ai"));
        assert_eq!(of(r"https://api\.cohere\.(?:ai|com)").as_deref(), Some("api.cohere.ai api.cohere.com"));
        for many in [r"https://(.*\.)?googleapis\.com", r"https://api\.moonshot\.", r"https://a\.b/c"] {
            assert_eq!(of(many), None, "{many}");
        }
    }
}
