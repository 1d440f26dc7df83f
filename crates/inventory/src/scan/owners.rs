//! Who owns a file, by a CODEOWNERS file.

use super::ignore::wild;

/// Rules of a CODEOWNERS file, in its order.
#[derive(Debug, Default)]
pub struct Owners {
    rules: Vec<(String, Vec<String>)>,
}

/// Where a CODEOWNERS file may stand; the first that is there counts.
pub const PLACES: [&str; 3] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];

impl Owners {
    /// Of the text of such a file.
    #[must_use]
    pub fn read(text: &str) -> Owners {
        let lines = text.lines().map(|line| line.split(" #").next().unwrap_or(line).trim());
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with('['));
        let rules = lines.filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.map(str::to_owned).collect()))
        });
        Owners { rules: rules.collect() }
    }

    /// The owners of a path: those of the last rule that fits.
    #[must_use]
    pub fn of(&self, path: &str) -> Vec<String> {
        let rule = self.rules.iter().rev().find(|(pattern, _)| fits(pattern, path));
        rule.map(|(_, owners)| owners.clone()).unwrap_or_default()
    }
}

/// Whether a pattern in the form of `.gitignore` fits a path.
fn fits(pattern: &str, path: &str) -> bool {
    let is_rooted = pattern.trim_end_matches('/').contains('/');
    let pattern = pattern.trim_start_matches('/');
    let is_directory = pattern.ends_with('/');
    let parts: Vec<&str> = pattern.trim_end_matches('/').split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    let starts = if is_rooted || pattern == "*" { 0..1 } else { 0..path.len() };
    // `docs/*` is for files of the directory itself only.
    let is_flat = is_rooted && parts.last() == Some(&"*");
    starts.into_iter().any(|from| part_fits(&parts, &path[from..], is_directory, is_flat))
}

fn part_fits(pattern: &[&str], path: &[&str], is_directory: bool, is_flat: bool) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => !is_directory,
        (None, Some(_)) => !is_flat,
        (Some((&"**", rest)), _) => (0..=path.len()).any(|skip| part_fits(rest, &path[skip..], is_directory, is_flat)),
        (Some(_), None) => false,
        (Some((first, rest)), Some((name, below))) => {
            wild(first, name) && part_fits(rest, below, is_directory, is_flat)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_that_fits_counts() {
        let owners =
            Owners::read("* @all\n*.py @py # snakes\n/docs/ @writers\napps/ @apps\n/src/**/ai @ai\ndocs/* @flat\n");
        for (path, owner) in [
            ("README", "@all"),
            ("a/b.py", "@py"),
            ("docs/a/b", "@writers"),
            ("docs/a", "@flat"),
            ("x/apps/y.py", "@apps"),
            ("src/a/b/ai/x.go", "@ai"),
        ] {
            assert_eq!(owners.of(path), [owner], "{path}");
        }
    }
}
