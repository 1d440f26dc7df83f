//! What a program that ran tests says of them: TAP (Test Anything Protocol 14) or the XML that JUnit made usual.
//!
//! The program ran in one place with the code it tests, which may have written any of it. So results count only where they are as many tests as
//! there are, each once.

/// A test, as its program says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its name, or number.
    pub name: String,
    /// Whether it passed; one that was skipped did not.
    pub passed: bool,
    /// What was said of it where it did not pass.
    pub message: String,
}

/// The results in TAP. Lines that are none are passed over, subtests too.
#[must_use]
pub fn tap(text: &str) -> Vec<Told> {
    let mut told: Vec<Told> = Vec::new();
    for line in text.lines() {
        let (ok, rest) = match (line.strip_prefix("ok"), line.strip_prefix("not ok")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ if line.starts_with("Bail out!") => break,
            _ => continue,
        };
        if !(rest.is_empty() || rest.starts_with(' ')) {
            continue;
        }
        let rest = rest.trim_start();
        let n_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number = rest[..n_digits].parse().unwrap_or(told.len() as u64 + 1);
        let words = rest[n_digits..].trim_start().trim_start_matches("- ");
        let directive = words.rsplit('#').next().filter(|_| words.contains('#')).unwrap_or_default().trim_start();
        let is_left_out = ["skip", "todo"].iter().any(|word| directive.to_lowercase().starts_with(word));
        told.push(Told { name: number.to_string(), passed: ok && !is_left_out, message: words.to_owned() });
    }
    told
}

/// The results in a file of JUnit's XML; `None` when it is not one.
#[must_use]
pub fn junit(text: &str) -> Option<Vec<Told>> {
    let mut told: Vec<Told> = Vec::new();
    let (mut rest, mut open, mut is_junit) = (text, false, false);
    while let Some(at) = rest.find('<') {
        let tag = &rest[at + 1..];
        if let Some((end, skipped)) = [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>"), ("!", ">")]
            .iter()
            .find(|(begin, _)| tag.starts_with(begin))
            .map(|(_, end)| (*end, tag))
        {
            rest = &skipped[skipped.find(end)? + end.len()..];
            continue;
        }
        let length = end_of_tag(tag)?;
        let (inside, after) = (&tag[..length], &tag[length + 1..]);
        let name = inside.trim_start_matches('/').split([' ', '\t', '\r', '\n', '/']).next().unwrap_or_default();
        let (closes, is_empty) = (inside.starts_with('/'), inside.ends_with('/'));
        match (name, closes) {
            ("testsuites" | "testsuite", false) => is_junit = true,
            ("testcase", true) => open = false,
            ("testcase", false) => {
                let part = |name| attribute(inside, name).unwrap_or_default();
                told.push(Told {
                    name: format!("{}.{}", part("classname"), part("name")),
                    passed: true,
                    message: String::new(),
                });
                open = !is_empty;
            }
            ("failure" | "error" | "skipped", false) if open => {
                if let Some(last) = told.last_mut() {
                    last.passed = false;
                    last.message = attribute(inside, "message").unwrap_or(name).to_owned();
                }
            }
            _ => {}
        }
        rest = after;
    }
    is_junit.then_some(told)
}

/// Where a tag ends: at the first `>` outside quotes.
fn end_of_tag(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (at, character) in tag.char_indices() {
        match (quote, character) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    None
}

/// The value of an attribute, entities as they stand.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let mut from = 0;
    while let Some(at) = tag[from..].find(name).map(|at| from + at) {
        let rest = tag[at + name.len()..].trim_start();
        let is_whole = tag[..at].ends_with([' ', '\t', '\r', '\n']);
        if let (true, Some(value)) = (is_whole, rest.strip_prefix('=')) {
            let value = value.trim_start();
            let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            return value[1..].split(quote).next();
        }
        from = at + name.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(told: &[Told]) -> Vec<(&str, bool)> {
        told.iter().map(|told| (told.name.as_str(), told.passed)).collect()
    }

    #[test]
    fn tap_is_read_line_by_line() {
        let told = tap(
            "TAP version 14\n1..5\nok 1 - adds\nnot ok 2 - takes away\n  ---\n  message: no\n  ...\n    ok 1 - within\nok 3 # SKIP no time\nokay\nok\nok 9 - last\n",
        );
        assert_eq!(short(&told), [("1", true), ("2", false), ("3", false), ("4", true), ("9", true)]);
        assert_eq!(told[1].message, "takes away");
        assert_eq!(short(&tap("ok 1\nBail out! no memory\nok 2\n")), [("1", true)]);
        assert_eq!(tap("all good"), []);
    }

    #[test]
    fn junit_is_read_whatever_stands_around_it() {
        let told = junit("<?xml version='1.0'?><testsuites><testsuite name=\"s\"><!-- <testcase name=\"no\"/> -->\n<testcase classname=\"a.B\" name=\"x > y\" time=\"0\"/><testcase classname='a.B' name='two'><failure message=\"2 != 3\"><![CDATA[<testcase name=\"fake\"/>]]></failure></testcase><testcase name=\"three\"><skipped/></testcase><testcase name=\"four\"><system-out>&lt;failure/&gt;</system-out></testcase></testsuite></testsuites>").unwrap();
        assert_eq!(short(&told), [("a.B.x > y", true), ("a.B.two", false), (".three", false), (".four", true)]);
        assert_eq!(told[1].message, "2 != 3");
        assert_eq!(junit("<html></html>"), None);
        assert_eq!(junit("<testsuite><testcase name=\"cut"), None);
        assert_eq!(junit(""), None);
    }
}
