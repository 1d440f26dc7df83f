//! Comma-separated values as RFC 4180 has them.

/// A row, with its end.
pub(crate) fn line(cells: &[&str]) -> String {
    let mut text = String::new();
    for (idx, cell) in cells.iter().enumerate() {
        if idx > 0 {
            text.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            text += &format!("\"{}\"", cell.replace('"', "\"\""));
        } else {
            text += cell;
        }
    }
    text.push('\n');
    text
}

/// Every row with the line it begins on, from 1; empty lines are left out.
pub(crate) fn rows(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut rows, mut cells, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut began, mut quoted, mut was_quoted) = (1, 1, false, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => (quoted, was_quoted) = (true, true),
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                cells.push(std::mem::take(&mut cell));
                if cells.len() > 1 || was_quoted || cells.iter().any(|cell| !cell.is_empty()) {
                    rows.push((began, std::mem::take(&mut cells)));
                }
                cells.clear();
                line += 1;
                (began, was_quoted) = (line, false);
            }
            character => {
                line += usize::from(character == '\n');
                cell.push(character);
            }
        }
    }
    if quoted {
        return Err(format!("line {began}: a quotation mark is never closed"));
    }
    if !cell.is_empty() || !cells.is_empty() {
        cells.push(cell);
        rows.push((began, cells));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let cells = ["a", "", "with, comma", "a \"word\"", "two\nlines", "ü"];
        let text = line(&cells) + "\n" + &line(&["x", "y"]);
        let read = rows(&text).unwrap();
        assert_eq!(read, [(1, cells.map(str::to_owned).to_vec()), (4, vec!["x".to_owned(), "y".to_owned()])]);
        assert!(rows("a,\"b").unwrap_err().contains("line 1"));
        assert_eq!(rows("a,b\r\n1,2").unwrap().len(), 2);
    }
}
