//! `package.json`: what stands in its objects of dependencies, with the line; what it says elsewhere, as in `keywords`, is none.

use std::collections::HashSet;

use super::{Package, version_in};

/// The objects whose keys are packages.
const OBJECTS: [&str; 4] = ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"];

/// The known packages that are depended on, each once.
pub(super) fn dependencies(text: &str, known: &HashSet<&'static str>) -> Vec<Package> {
    let mut packages: Vec<Package> = Vec::new();
    for Pair { key, value, line } in pairs(text) {
        // `"other": "npm:openai@^4.20.1"` is the package under another name.
        let aliased =
            value.strip_prefix("npm:").map(|of| of.rfind('@').filter(|at| *at > 0).map_or(of, |at| &of[..at]));
        let Some(name) = known.get(aliased.unwrap_or(key)) else { continue };
        let version = version_in(value.strip_prefix("npm:").map_or(value, |of| &of[aliased.map_or(0, str::len)..]));
        let version = version.unwrap_or_default();
        match packages.iter_mut().find(|package| package.name == *name) {
            Some(package) if package.version.is_empty() => package.version = version,
            Some(_) => {}
            None => packages.push(Package { name: (*name).to_owned(), version, is_locked: false, line }),
        }
    }
    packages
}

/// A text under a key of an object of dependencies.
struct Pair<'t> {
    key: &'t str,
    value: &'t str,
    line: u32,
}

/// Those of the text, in their order. Braces and texts are all that is looked at, so that lines are known and half a file is read.
fn pairs(text: &str) -> Vec<Pair<'_>> {
    let mut pairs = Vec::new();
    let (mut depth, mut line) = (0_usize, 1_u32);
    // The last text, the key before it with its line, and the depth of the object of dependencies around them.
    let (mut last, mut key, mut within) = ("", None, None);
    let mut places = text.char_indices();
    while let Some((at, character)) = places.next() {
        match character {
            '\n' => line += 1,
            '"' => {
                let mut is_escaped = false;
                let end = places.find(|(_, inner)| {
                    let ends = *inner == '"' && !is_escaped;
                    is_escaped = *inner == '\\' && !is_escaped;
                    ends
                });
                last = &text[at + 1..end.map_or(text.len(), |(end, _)| end)];
                if let Some((key, line)) = key.take().filter(|_| within == Some(depth)) {
                    pairs.push(Pair { key, value: last, line });
                }
            }
            ':' => key = Some((last, line)),
            '{' | '[' => {
                let opened = key.take().map(|(name, _)| name);
                if depth == 1 && character == '{' && opened.is_some_and(|name| OBJECTS.contains(&name)) {
                    within = Some(depth + 1);
                }
                depth += 1;
            }
            '}' | ']' => {
                within = within.filter(|own| *own != depth);
                (depth, key) = (depth.saturating_sub(1), None);
            }
            ',' => key = None,
            _ => {}
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_depended_on_is_a_dependency_at_its_own_line() {
        let text = "{\n  \"name\": \"openai\",\n  \"keywords\": [\"openai\", \"ai\"],\n  \"overrides\": { \"openai\": \"1.0.0\" },\n  \
                    \"dependencies\": {\n    \"a\": \"^1 \\\" x\",\n    \"openai\": \"^4.20.1\"\n  },\n  \
                    \"devDependencies\": { \"oai\": \"npm:@anthropic-ai/sdk@^0.30.1\", \"ai\": \"workspace:*\" }\n}\n";
        let known = HashSet::from(["openai", "ai", "@anthropic-ai/sdk"]);
        let found: Vec<(String, String, u32)> = dependencies(text, &known)
            .into_iter()
            .map(|package| (package.name, package.version, package.line))
            .collect();
        let expected = [("openai", "4.20.1", 7), ("@anthropic-ai/sdk", "0.30.1", 9), ("ai", "", 9)];
        let expected: Vec<(String, String, u32)> =
            expected.into_iter().map(|(name, version, line)| (name.to_owned(), version.to_owned(), line)).collect();
        assert_eq!(found, expected);
        assert_eq!(dependencies("{\n  \"keywords\": [\"openai\"]\n}", &known), []);
    }
}
