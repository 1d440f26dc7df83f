//! What is other in a text: the fewest lines taken away and put in, by the longest common subsequence.

/// A line of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'t> {
    /// In both.
    Same(&'t str),
    /// In the old text alone.
    Old(&'t str),
    /// In the new text alone.
    New(&'t str),
}

/// More pairs of lines than these are not compared one by one: then the whole middle is taken away and put in.
const MOST_PAIRS: usize = 4_000_000;

/// The lines of both texts, in order.
#[must_use]
pub fn lines<'t>(old: &'t str, new: &'t str) -> Vec<Line<'t>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let before = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let room = old.len().min(new.len()) - before;
    let after = old.iter().rev().zip(new.iter().rev()).take(room).take_while(|(old, new)| old == new).count();
    let middle = between(&old[before..old.len() - after], &new[before..new.len() - after]);
    let same = |lines: &[&'t str]| lines.iter().map(|line| Line::Same(line)).collect::<Vec<_>>();
    [same(&old[..before]), middle, same(&old[old.len() - after..])].concat()
}

fn between<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Line<'t>> {
    let (n_old, n_new) = (old.len(), new.len());
    if n_old.saturating_mul(n_new) > MOST_PAIRS {
        return old.iter().map(|line| Line::Old(line)).chain(new.iter().map(|line| Line::New(line))).collect();
    }
    // `longest[i][j]` lines are common to what is left from i and j on.
    let mut longest = vec![vec![0_u32; n_new + 1]; n_old + 1];
    for i in (0..n_old).rev() {
        for j in (0..n_new).rev() {
            longest[i][j] =
                if old[i] == new[j] { longest[i + 1][j + 1] + 1 } else { longest[i + 1][j].max(longest[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < n_old || j < n_new {
        if i < n_old && j < n_new && old[i] == new[j] {
            lines.push(Line::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < n_old && (j == n_new || longest[i + 1][j] >= longest[i][j + 1]) {
            lines.push(Line::Old(old[i]));
            i += 1;
        } else {
            lines.push(Line::New(new[j]));
            j += 1;
        }
    }
    lines
}

/// The difference as text: `-` and `+` before lines, with this many lines around each change, and `…` where lines are left out. Empty
/// when the texts are the same.
#[must_use]
pub fn text(old: &str, new: &str, around: usize) -> String {
    let lines = lines(old, new);
    let changed: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| !matches!(line, Line::Same(_))).map(|(idx, _)| idx).collect();
    let mut text = String::new();
    let mut shown_to = 0;
    for (idx, line) in lines.iter().enumerate() {
        let next = changed.partition_point(|change| *change < idx);
        let near = |change: Option<&usize>| change.is_some_and(|change| change.abs_diff(idx) <= around);
        if !near(changed.get(next)) && !near(next.checked_sub(1).and_then(|before| changed.get(before))) {
            continue;
        }
        if idx > shown_to {
            text.push_str("…\n");
        }
        shown_to = idx + 1;
        let (mark, line) = match line {
            Line::Same(line) => (' ', line),
            Line::Old(line) => ('-', line),
            Line::New(line) => ('+', line),
        };
        text.push(mark);
        text.push_str(line);
        text.push('\n');
    }
    text
}
