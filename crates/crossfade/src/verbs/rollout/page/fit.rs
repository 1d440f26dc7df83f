//! A page cut to a terminal: the head first, then as much as there is room for, no line longer than the terminal is wide.

/// `head` and what fits of `rest`, in at most `lines` lines of at most `columns` characters that show. Where something is left
/// out, the last line says how much.
pub(super) fn fit(head: &[String], rest: &str, (columns, lines): (usize, usize)) -> String {
    let all: Vec<&str> = head.iter().map(String::as_str).chain(rest.lines()).collect();
    let mut shown: Vec<String> = all.iter().take(lines).map(|line| cut(line.trim_end(), columns)).collect();
    if all.len() > lines && lines > 0 {
        shown.truncate(lines - 1);
        let left_out = all.len() - shown.len();
        shown.push(cut(&format!("... {left_out} more lines; without --watch all are shown"), columns));
    }
    shown.join("\n")
}

/// At most so many characters that show; colours (`ESC [ ... m`) do not, and are ended.
fn cut(line: &str, columns: usize) -> String {
    let (mut kept, mut shown, mut in_colour, mut coloured) = (String::new(), 0, false, false);
    for character in line.chars() {
        in_colour = in_colour || character == '\x1b';
        if !in_colour {
            if shown == columns {
                return kept + if coloured { "\x1b[0m" } else { "" };
            }
            shown += 1;
        }
        coloured = coloured || in_colour;
        kept.push(character);
        in_colour = in_colour && character != 'm';
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_stays_and_the_rest_is_cut() {
        let head = ["status    canary 5 %".to_owned(), "missing   a long story".to_owned()];
        assert_eq!(
            fit(&head, "arms\nguards\n", (80, 24)),
            "status    canary 5 %\nmissing   a long story\narms\nguards"
        );
        assert_eq!(fit(&head, "arms\nguards\n", (12, 3)), "status    ca\nmissing   a \n... 2 more l");
    }

    #[test]
    fn a_colour_that_is_cut_ends() {
        assert_eq!(cut("\x1b[31mrolled back\x1b[0m", 6), "\x1b[31mrolled\x1b[0m");
        assert_eq!(cut("\x1b[31mrolled\x1b[0m", 6), "\x1b[31mrolled\x1b[0m");
        assert_eq!(cut("verdict", 7), "verdict");
    }
}
