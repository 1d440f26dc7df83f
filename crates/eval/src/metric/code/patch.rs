//! Unified diffs (GNU diffutils, "Detailed Description of Unified Format"): what is in an answer, whether it applies, and how near it comes to
//! another one.
//!
//! A hunk goes where its header says or, failing that, to the nearest place after the hunk before it where its lines stand exactly; nothing is
//! fuzzy. The header's counts are not believed where its lines say otherwise: models miscount. Files end with a line break afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::fences::{blocks, language};
use crate::metric::{Answer, Basis, Case, Metric, Score, Unscored};

/// Steps that the comparison of two files may take.
const MOST_STEPS: usize = 50_000_000;

/// Files by their paths.
pub type Files = BTreeMap<String, String>;

/// A patch, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    files: Vec<FilePatch>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FilePatch {
    from: Option<String>,
    to: Option<String>,
    hunks: Vec<Hunk>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hunk {
    /// The line of the old file at which it begins, from 1; 0 where that file is empty.
    at: usize,
    lines: Vec<(Mark, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Same,
    Gone,
    New,
}

/// What is wrong with a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// There is none.
    None,
    /// It cannot be read.
    Malformed(String),
    /// Something that it is to change is not as it says.
    DoesNotApply(String),
    /// It changes what it may not.
    Forbidden(String),
}

impl Flaw {
    /// The outcome's word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Flaw::None => "no_patch",
            Flaw::Malformed(_) => "malformed",
            Flaw::DoesNotApply(_) => "does_not_apply",
            Flaw::Forbidden(_) => "forbidden",
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::None => f.write_str("there is no unified diff in the answer"),
            Flaw::Malformed(why) | Flaw::DoesNotApply(why) | Flaw::Forbidden(why) => f.write_str(why),
        }
    }
}

impl Patch {
    /// The patch of an answer: the first fenced block of the language `diff` or `patch`, else the first block that is one, else the text.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn of_answer(text: &str) -> Result<Patch, Flaw> {
        let blocks = blocks(text);
        let diff = language("diff");
        if let Some(block) = blocks.iter().find(|block| block.language == diff) {
            return Patch::parse(&block.text);
        }
        let texts = blocks.iter().map(|block| block.text.as_str()).chain([text]);
        let mut read = texts.map(Patch::parse).filter(|patch| *patch != Err(Flaw::None));
        read.next().unwrap_or(Err(Flaw::None))
    }

    /// Reads a unified diff; what stands before and between its files is passed over.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn parse(text: &str) -> Result<Patch, Flaw> {
        let lines: Vec<&str> = text.lines().collect();
        let mut files: Vec<FilePatch> = Vec::new();
        let mut idx = 0;
        while idx < lines.len() {
            if let Some((from, to)) = heads(&lines[idx..]) {
                files.push(file(from, to)?);
                idx += 2;
            } else if let (Some(hunk), Some(file)) = (hunk_head(lines[idx]), files.last_mut()) {
                let (hunk, n_read) = body(hunk, &lines[idx + 1..]);
                file.hunks.push(hunk);
                idx += 1 + n_read;
            } else {
                idx += 1;
            }
        }
        if files.is_empty() {
            return Err(Flaw::None);
        }
        match files.iter().find(|file| file.hunks.iter().all(|hunk| hunk.lines.is_empty())) {
            Some(file) => Err(Flaw::Malformed(format!("`{}` has no hunk", file.path()))),
            None => Ok(Patch { files }),
        }
    }

    /// Refuses a patch that touches one of these.
    ///
    /// # Errors
    /// When it does.
    pub fn spare<'p>(&self, mut paths: impl Iterator<Item = &'p String>) -> Result<(), Flaw> {
        let touched: BTreeSet<&String> =
            self.files.iter().flat_map(|file| [file.from.as_ref(), file.to.as_ref()]).flatten().collect();
        match paths.find(|path| touched.contains(path)) {
            Some(path) => Err(Flaw::Forbidden(format!("it changes `{path}`, which belongs to the tests"))),
            None => Ok(()),
        }
    }

    /// The files as they are with it.
    ///
    /// # Errors
    /// When it does not apply.
    pub fn apply(&self, files: &Files) -> Result<Files, Flaw> {
        let mut after = files.clone();
        for patch in &self.files {
            let before = match &patch.from {
                Some(path) => Some(after.get(path).ok_or_else(|| not(format!("there is no file `{path}`")))?.clone()),
                None => None,
            };
            if let (None, Some(path)) = (&patch.from, &patch.to)
                && after.contains_key(path)
            {
                return Err(not(format!("`{path}` is there already")));
            }
            let lines = patch.applied(before.as_deref().unwrap_or_default())?;
            if let Some(path) = &patch.from {
                after.remove(path);
            }
            match &patch.to {
                Some(path) => {
                    let text = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
                    after.insert(path.clone(), text);
                }
                None if lines.is_empty() => {}
                None => return Err(not(format!("`{}` is taken away and has more lines than that", patch.path()))),
            }
        }
        Ok(after)
    }
}

impl FilePatch {
    fn path(&self) -> &str {
        self.to.as_ref().or(self.from.as_ref()).map_or("", String::as_str)
    }

    fn applied(&self, text: &str) -> Result<Vec<String>, Flaw> {
        let old: Vec<&str> = text.lines().collect();
        let (mut new, mut done, mut shift) = (Vec::new(), 0_usize, 0_isize);
        for hunk in &self.hunks {
            let wanted: Vec<&str> =
                hunk.lines.iter().filter(|(mark, _)| *mark != Mark::New).map(|(_, line)| line.as_str()).collect();
            // A hunk without old lines goes after the line it names.
            let stated = if wanted.is_empty() { hunk.at } else { hunk.at.saturating_sub(1) };
            let stated = stated.saturating_add_signed(shift);
            let place = nearest(&old, &wanted, (done, stated)).ok_or_else(|| {
                not(format!("the hunk at line {} of `{}` finds its lines nowhere", hunk.at, self.path()))
            })?;
            shift += place.cast_signed() - stated.cast_signed();
            new.extend(old[done..place].iter().map(|line| (*line).to_owned()));
            let kept = hunk.lines.iter().filter(|(mark, _)| *mark != Mark::Gone);
            new.extend(kept.map(|(_, line)| line.clone()));
            done = place + wanted.len();
        }
        new.extend(old[done..].iter().map(|line| (*line).to_owned()));
        Ok(new)
    }
}

fn not(why: String) -> Flaw {
    Flaw::DoesNotApply(why)
}

/// The place nearest to the stated one, and not before `from`, where the lines stand.
fn nearest(old: &[&str], wanted: &[&str], (from, stated): (usize, usize)) -> Option<usize> {
    let last = old.len().checked_sub(wanted.len())?;
    if wanted.is_empty() {
        return (from <= last).then(|| stated.clamp(from, last));
    }
    (from..=last).filter(|at| old[*at..*at + wanted.len()] == *wanted).min_by_key(|at| at.abs_diff(stated))
}

/// The two lines that begin a file.
fn heads<'l>(lines: &[&'l str]) -> Option<(&'l str, &'l str)> {
    let (from, to) = (lines.first()?.strip_prefix("--- ")?, lines.get(1)?.strip_prefix("+++ ")?);
    Some((from, to))
}

fn file(from: &str, to: &str) -> Result<FilePatch, Flaw> {
    // A time may follow, after a tab.
    let plain = |name: &str| name.split('\t').next().unwrap_or_default().trim().trim_matches('"').to_owned();
    let (from, to) = (plain(from), plain(to));
    let is_there = |name: &String| name != "/dev/null";
    let is_prefixed = (from.starts_with("a/") || !is_there(&from)) && (to.starts_with("b/") || !is_there(&to));
    let path = |name: String| {
        if !is_there(&name) {
            return Ok(None);
        }
        let path = if is_prefixed { name[2..].to_owned() } else { name };
        let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
        if path.is_empty() || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Flaw::Forbidden(format!("`{path}` is no path below the working directory")));
        }
        Ok(Some(path))
    };
    let (from, to) = (path(from)?, path(to)?);
    if from.is_none() && to.is_none() {
        return Err(Flaw::Malformed("neither the old nor the new file has a name".to_owned()));
    }
    Ok(FilePatch { from, to, hunks: Vec::new() })
}

/// What the head of a hunk says: where it begins, and how many old and new lines it has.
struct Head {
    at: usize,
    old: usize,
    new: usize,
}

fn hunk_head(line: &str) -> Option<Head> {
    let (ranges, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let range = |text: &str| match text.split_once(',') {
        Some((at, n)) => Some((at.parse::<usize>().ok()?, n.parse::<usize>().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    };
    let ((at, old), (_, new)) = (range(old)?, range(new)?);
    Some(Head { at, old, new })
}

/// The lines of a hunk, and how many lines were read.
fn body(head: Head, lines: &[&str]) -> (Hunk, usize) {
    let Head { at, mut old, mut new } = head;
    let mut hunk = Hunk { at, lines: Vec::new() };
    for (idx, line) in lines.iter().enumerate() {
        let is_short = old == 0 && new == 0;
        let begins_other = hunk_head(line).is_some()
            || line.starts_with("diff --git ")
            || (heads(&lines[idx..]).is_some() && lines.get(idx + 2).is_some_and(|line| hunk_head(line).is_some()));
        let (mark, text) = match line.chars().next() {
            _ if begins_other => return (hunk, idx),
            Some('\\') => continue,
            Some(' ') => (Mark::Same, &line[1..]),
            Some('-') => (Mark::Gone, &line[1..]),
            Some('+') => (Mark::New, &line[1..]),
            // An empty line of the file whose blank was lost on the way.
            None if !is_short => (Mark::Same, *line),
            _ => return (hunk, idx),
        };
        old = old.saturating_sub(usize::from(mark != Mark::New));
        new = new.saturating_sub(usize::from(mark != Mark::Gone));
        hunk.lines.push((mark, text.to_owned()));
    }
    (hunk, lines.len())
}

/// Lines taken from the first and put into the second, by a shortest edit of each file. `None`: it would take too long.
#[must_use]
pub fn distance(one: &Files, other: &Files) -> Option<(u64, u64)> {
    let paths: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let (mut gone, mut new) = (0, 0);
    for path in paths {
        let lines = |files: &Files| -> Vec<String> {
            files.get(path).map(|text| text.lines().map(str::to_owned).collect()).unwrap_or_default()
        };
        let (before, after) = (lines(one), lines(other));
        let common = common(&before, &after)?;
        gone += (before.len() - common) as u64;
        new += (after.len() - common) as u64;
    }
    Some((gone, new))
}

/// The length of the longest common subsequence.
fn common(one: &[String], other: &[String]) -> Option<usize> {
    let n_first = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[n_first..], &other[n_first..]);
    let n_last = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[..one.len() - n_last], &other[..other.len() - n_last]);
    if one.len().saturating_mul(other.len()) > MOST_STEPS {
        return None;
    }
    let mut row = vec![0_usize; other.len() + 1];
    for a in one {
        let mut diagonal = 0;
        for (idx, b) in other.iter().enumerate() {
            let above = row[idx + 1];
            row[idx + 1] = if a == b { diagonal + 1 } else { above.max(row[idx]) };
            diagonal = above;
        }
    }
    Some(n_first + n_last + row[other.len()])
}

/// `diff_applies`.
pub(in crate::metric) fn applies() -> Metric {
    let definition =
        "1 when the answer is a unified diff that applies to the case's files and leaves its tests alone, else 0";
    Metric::new("diff_applies@crossfade-1", definition, |case, answer| match applied(case, answer) {
        Err(score) => score,
        Ok((files, after)) => match distance(&files, &after) {
            Some((gone, new)) => Score::is(true).with_outcome("applies").with_detail(format!("+{new} -{gone} lines")),
            None => Score::is(true).with_outcome("applies"),
        },
    })
}

/// `diff_quality`.
pub(in crate::metric) fn quality() -> Metric {
    let definition = "1 - d(A, R) / (d(O, A) + d(O, R)): O the case's files, A and R these with the answer's patch and with the reference's, d the lines \
                      that a shortest edit takes away and puts in; 1 when A is R, 0 when the patch does not apply; the best reference";
    Metric::new("diff_quality@crossfade-1", definition, |case, answer| {
        if case.references.is_empty() {
            return Score::unscored(Unscored::NoReference);
        }
        let (files, after) = match applied(case, answer) {
            Ok(found) => found,
            Err(score) => return score,
        };
        let mut best: Option<Score> = None;
        for reference in &case.references {
            let Ok(right) = Patch::of_answer(reference).and_then(|patch| patch.apply(&files)) else {
                return Score::unscored(Unscored::MalformedCase);
            };
            let Some(score) = likeness(&files, &after, &right) else { return Score::unscored(Unscored::TooLong) };
            if best.as_ref().is_none_or(|best| score.as_value() > best.as_value()) {
                best = Some(score);
            }
        }
        best.unwrap_or_else(|| Score::unscored(Unscored::NoReference))
    })
}

/// The case's files before and after the answer's patch.
fn applied(case: &Case, answer: &Answer) -> Result<(Files, Files), Score> {
    let code = case.code.as_ref().ok_or_else(|| Score::unscored(Unscored::NoReference))?;
    let after = Patch::of_answer(&answer.text).and_then(|patch| {
        patch.spare(code.tests.keys())?;
        patch.apply(&code.files)
    });
    match after {
        Ok(after) => Ok((code.files.clone(), after)),
        Err(flaw) => Err(Score::is(false).with_outcome(flaw.as_str()).with_detail(flaw.to_string())),
    }
}

fn likeness(files: &Files, after: &Files, right: &Files) -> Option<Score> {
    let ((gone, new), (gone_right, new_right)) = (distance(files, after)?, distance(files, right)?);
    let (apart, other_apart) = distance(after, right)?;
    let (apart, whole) = (apart + other_apart, gone + new + gone_right + new_right);
    let value = if apart == 0 { 1.0 } else { 1.0 - apart as f64 / whole as f64 };
    let detail = format!("+{new} -{gone} lines; the reference +{new_right} -{gone_right}");
    let counts = [apart, gone + new, gone_right + new_right].map(|n| n as f64).to_vec();
    let outcome = if apart == 0 { "same" } else { "applies" };
    Some(Score::value(value).with_outcome(outcome).with_detail(detail).with_basis(Basis::Counts(counts)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Code;

    const BEFORE: &str = "one\ntwo\nthree\nfour\nfive\n";

    fn files(text: &str) -> Files {
        Files::from([("a.txt".to_owned(), text.to_owned())])
    }

    #[track_caller]
    fn check(patch: &str, expected: Result<&str, &str>) {
        let after = Patch::parse(patch).and_then(|patch| patch.apply(&files(BEFORE)));
        match (after, expected) {
            (Ok(after), Ok(expected)) => assert_eq!(after, files(expected)),
            (Err(flaw), Err(expected)) => assert_eq!(flaw.as_str(), expected),
            (after, expected) => panic!("{after:?} and not {expected:?}"),
        }
    }

    #[test]
    fn hunks_go_where_they_say_or_where_their_lines_are() {
        check("--- a/a.txt\n+++ b/a.txt\n@@ -2,2 +2,2 @@\n two\n-three\n+THREE\n", Ok("one\ntwo\nTHREE\nfour\nfive\n"));
        check("--- a.txt\t2026-01-01\n+++ a.txt\n@@ -40,2 +1,1 @@ fn\n four\n-five\n", Ok("one\ntwo\nthree\nfour\n"));
        check(
            "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1,2 @@\n one\n+and a half\n@@ -5 +6 @@\n-five\n+5\n",
            Ok("one\nand a half\ntwo\nthree\nfour\n5\n"),
        );
        check("--- a/a.txt\n+++ b/a.txt\n@@ -2,0 +3,1 @@\n+new\n", Ok("one\ntwo\nnew\nthree\nfour\nfive\n"));
    }

    #[test]
    fn counts_that_are_wrong_are_not_believed() {
        check("--- a/a.txt\n+++ b/a.txt\n@@ -1,9 +1,1 @@\n one\n-two\n+2\n three\n", Ok("one\n2\nthree\nfour\nfive\n"));
        check(
            "--- a/a.txt\n+++ b/a.txt\n@@ -1,1 +1,1 @@\n one\n-two\n+2\n three\n\nThat is all.\n",
            Ok("one\n2\nthree\nfour\nfive\n"),
        );
    }

    #[test]
    fn what_does_not_fit_does_not_apply() {
        check("--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n one\n-zwei\n+2\n", Err("does_not_apply"));
        check("--- a/b.txt\n+++ b/b.txt\n@@ -1 +1 @@\n-one\n+1\n", Err("does_not_apply"));
        check("--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1 @@\n+one\n", Err("does_not_apply"));
        check("--- a/a.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n", Err("does_not_apply"));
        check("--- a/a.txt\n+++ b/../../etc/passwd\n@@ -1 +1 @@\n-one\n+1\n", Err("forbidden"));
        check("--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-one\n+1\n", Err("forbidden"));
        check("--- a/a.txt\n+++ b/a.txt\nno hunk\n", Err("malformed"));
        check("I would change line two.", Err("no_patch"));
    }

    #[test]
    fn files_are_made_and_taken_away() {
        let patch = "diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1,2 @@\n+x\n+-- y\ndiff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ /dev/null\n@@ -1,5 +0,0 @@\n-one\n-two\n-three\n-four\n-five\n";
        let after = Patch::parse(patch).unwrap().apply(&files(BEFORE)).unwrap();
        assert_eq!(after, Files::from([("n".to_owned(), "x\n-- y\n".to_owned())]));
    }

    fn scored(metric: &Metric, answer: &str, references: &[&str]) -> (Option<f64>, Option<String>) {
        let code = Code { files: files(BEFORE), tests: [("t.py".to_owned(), String::new())].into(), ..Code::default() };
        let references = references.iter().map(|text| (*text).to_owned()).collect();
        let case = Case { references, code: Some(code), ..Case::default() };
        let score = metric.score(&case, &Answer { text: answer.to_owned(), ..Answer::default() });
        (score.as_value(), score.outcome.map(std::borrow::Cow::into_owned))
    }

    #[test]
    fn quality_is_how_much_of_both_changes_is_shared() {
        let right = "--- a/a.txt\n+++ b/a.txt\n@@ -2 +2 @@\n-two\n+2\n";
        let quality = quality();
        let said = |answer: &str| scored(&quality, answer, &[right]);
        assert_eq!(said(&format!("Here:\n```diff\n{right}```\n")), (Some(1.0), Some("same".to_owned())));
        // Both take a line away and put one in, and the two that are put in differ: 2 lines of 4.
        let other = "--- a/a.txt\n+++ b/a.txt\n@@ -2 +2 @@\n-two\n+zwei\n";
        assert_eq!(said(other), (Some(0.5), Some("applies".to_owned())));
        // Elsewhere: nothing is shared.
        let elsewhere = "--- a/a.txt\n+++ b/a.txt\n@@ -4 +4 @@\n-four\n+4\n";
        assert_eq!(said(elsewhere), (Some(0.0), Some("applies".to_owned())));
        assert_eq!(
            said("```diff\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-x\n+y\n```").1.as_deref(),
            Some("does_not_apply")
        );
        assert_eq!(scored(&quality, right, &[]), (None, None));
        assert_eq!(scored(&quality, right, &["not a patch"]), (None, None));
        assert_eq!(scored(&quality, other, &[right, other]).0, Some(1.0));
    }

    #[test]
    fn a_patch_leaves_the_tests_alone() {
        let tests = "--- /dev/null\n+++ b/t.py\n@@ -0,0 +1 @@\n+pass\n";
        assert_eq!(scored(&applies(), tests, &[]), (Some(0.0), Some("forbidden".to_owned())));
        assert_eq!(scored(&applies(), "no", &[]), (Some(0.0), Some("no_patch".to_owned())));
    }
}
