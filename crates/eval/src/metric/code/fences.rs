//! Code in the fenced blocks of an answer (CommonMark 0.31, section 4.5).

use serde::Deserialize;

/// Which of several blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The first.
    #[default]
    First,
    /// The last.
    Last,
    /// All, one after the other.
    All,
}

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The first word after the fence, in lower case and by its usual name; empty where there is none.
    pub language: String,
    /// What stands in it.
    pub text: String,
}

/// The fenced blocks of a text. One that is not closed goes to the end.
#[must_use]
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(Fence<'_>, Block)> = None;
    for line in text.lines() {
        let fence = Fence::of(line);
        match (&mut open, fence) {
            (None, Some(fence)) => {
                let word = fence.info.split([' ', ',', '{', '\t']).next().unwrap_or_default();
                open = Some((fence, Block { language: language(word), text: String::new() }));
            }
            (Some((opened, _)), Some(fence)) if fence.closes(opened) => {
                blocks.extend(open.take().map(|(_, block)| block));
            }
            (Some((opened, block)), _) => {
                // As many blanks as stand before the fence are no part of the code.
                let n_blanks = line.len() - line.trim_start_matches(' ').len();
                block.text.push_str(&line[n_blanks.min(opened.indent)..]);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks.extend(open.map(|(_, block)| block));
    blocks
}

/// The code of an answer: of the blocks in one of the languages; where there is none, of those that name no language. `None`: there is no code.
#[must_use]
pub fn code_of(text: &str, languages: &[String], which: Which) -> Option<String> {
    let all: Vec<Block> = blocks(text).into_iter().filter(|block| !block.text.trim().is_empty()).collect();
    let named: Vec<&Block> = all.iter().filter(|block| languages.contains(&block.language)).collect();
    let fitting: Vec<&Block> = match (languages.is_empty(), named.is_empty()) {
        (true, _) => all.iter().collect(),
        (false, false) => named,
        (false, true) => all.iter().filter(|block| block.language.is_empty()).collect(),
    };
    match which {
        Which::First => fitting.first().map(|block| block.text.clone()),
        Which::Last => fitting.last().map(|block| block.text.clone()),
        Which::All if fitting.is_empty() => None,
        Which::All => Some(fitting.iter().map(|block| block.text.as_str()).collect::<Vec<_>>().join("\n")),
    }
}

/// A language by its usual name.
#[must_use]
pub fn language(word: &str) -> String {
    let word = word.to_lowercase();
    let usual = match word.as_str() {
        "py" | "python3" => "python",
        "rs" => "rust",
        "js" | "node" => "javascript",
        "ts" => "typescript",
        "c++" | "cc" | "cxx" => "cpp",
        "sh" | "bash" | "zsh" | "console" => "shell",
        "golang" => "go",
        "patch" => "diff",
        other => other,
    };
    usual.to_owned()
}

/// A line that opens or closes a block.
struct Fence<'l> {
    mark: char,
    length: usize,
    indent: usize,
    info: &'l str,
}

impl<'l> Fence<'l> {
    fn of(line: &'l str) -> Option<Fence<'l>> {
        let rest = line.trim_start_matches(' ');
        let indent = line.len() - rest.len();
        let mark = rest.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let info = rest.trim_start_matches(mark);
        let length = rest.len() - info.len();
        let is_fence = indent <= 3 && length >= 3 && !(mark == '`' && info.contains('`'));
        is_fence.then(|| Fence { mark, length, indent, info: info.trim() })
    }

    fn closes(&self, opened: &Fence<'_>) -> bool {
        self.mark == opened.mark && self.length >= opened.length && self.info.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, language: &str, which: Which, expected: Option<&str>) {
        let languages: Vec<String> = (!language.is_empty()).then(|| super::language(language)).into_iter().collect();
        assert_eq!(code_of(text, &languages, which).as_deref(), expected);
    }

    const TWO: &str = "First:\n```python\na = 1\n```\nthen\n```py\nb = 2\n```\nrun it:\n```sh\npython a.py\n```\n";

    #[test]
    fn blocks_of_the_language_are_the_code_and_others_are_not() {
        check(TWO, "python", Which::First, Some("a = 1\n"));
        check(TWO, "python", Which::Last, Some("b = 2\n"));
        check(TWO, "python", Which::All, Some("a = 1\n\nb = 2\n"));
        check(TWO, "", Which::Last, Some("python a.py\n"));
        check(TWO, "rust", Which::First, None);
    }

    #[test]
    fn a_block_without_a_language_is_taken_where_no_other_is_there() {
        check("```\nx\n```", "python", Which::First, Some("x\n"));
        check("```\nx\n```\n```python\ny\n```", "python", Which::First, Some("y\n"));
    }

    #[test]
    fn text_without_a_block_is_no_code_and_an_empty_block_neither() {
        check("def f(): pass", "python", Which::First, None);
        check("```python\n\n```", "python", Which::First, None);
        check("use `code` and ```code``` here", "", Which::All, None);
    }

    #[test]
    fn fences_are_those_of_commonmark() {
        check("````md\n```python\nx\n```\n````", "", Which::First, Some("```python\nx\n```\n"));
        check("~~~python\nx = '```'\n~~~", "python", Which::First, Some("x = '```'\n"));
        check("  ```python title=\"a\"\n  if x:\n    y\n  ```", "python", Which::First, Some("if x:\n  y\n"));
        check("```python\nx = 1", "python", Which::First, Some("x = 1\n"));
        check("```python\nx\n``` no end\ny\n```", "python", Which::First, Some("x\n``` no end\ny\n"));
    }
}
