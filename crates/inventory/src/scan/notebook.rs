//! The code of a notebook. Its format keeps the lines of a cell as a list of JSON texts, which editors write one to a line; other
//! tools write a whole cell, or a whole notebook, on one line.

/// A line of code and the line of the file where it stands.
type Line = (u32, String);

/// Every line of code of the notebook, in its order. Lines that are for the notebook itself (`%`, `!`) are blank.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let mut reader = Reader { text, at: 0, line: 1, open: Vec::new(), cell: Cell::default(), lines: Vec::new() };
    reader.read();
    reader.lines
}

/// The code with each line where it stands in the file; lines that share one with others are left out.
pub(super) fn in_place(lines: &[Line]) -> String {
    let mut code = String::new();
    let mut next = 1;
    for (idx, (line, source)) in lines.iter().enumerate() {
        let is_shared = |other: Option<&Line>| other.is_some_and(|(other, _)| other == line);
        if *line < next || is_shared(lines.get(idx + 1)) || idx > 0 && is_shared(lines.get(idx - 1)) {
            continue;
        }
        (next..*line).for_each(|_| code.push('\n'));
        code += source;
        code.push('\n');
        next = line + 1;
    }
    code
}

/// The code, and of each of its lines where it stands in the file; nothing where all stand where they are in the code.
pub(super) fn laid_out(lines: &[Line]) -> (String, Vec<u32>) {
    if lines.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        return (in_place(lines), Vec::new());
    }
    let code = lines.iter().map(|(_, source)| format!("{source}\n")).collect();
    (code, lines.iter().map(|(line, _)| *line).collect())
}

/// An object or a list that is being read.
struct Open {
    is_list: bool,
    /// Whether it is a cell.
    is_cell: bool,
    /// The key it stands under.
    under: String,
    /// The key that was read last in it.
    key: String,
    /// Whether a value comes next.
    is_value: bool,
}

/// A cell that is being read.
#[derive(Default)]
struct Cell {
    is_code: bool,
    parts: Vec<(u32, String)>,
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    line: u32,
    open: Vec<Open>,
    cell: Cell,
    lines: Vec<Line>,
}

impl Reader<'_> {
    /// Reads what matters of the JSON and passes over the rest, also where it is not quite JSON (`NaN`).
    fn read(&mut self) {
        while let Some(byte) = self.text.as_bytes().get(self.at).copied() {
            match byte {
                b'\n' => self.line += 1,
                b'{' | b'[' => self.begin(byte == b'['),
                b'}' | b']' => self.end(),
                b',' => self.expect(false),
                b':' => self.expect(true),
                b'"' => self.quoted(),
                _ => {}
            }
            self.at += 1;
        }
    }

    fn expect(&mut self, is_value: bool) {
        if let Some(open) = self.open.last_mut() {
            open.is_value = is_value || open.is_list;
        }
    }

    fn begin(&mut self, is_list: bool) {
        let (under, is_in_list) = match self.open.last() {
            Some(open) if open.is_list => (open.under.clone(), true),
            Some(open) => (open.key.clone(), false),
            None => (String::new(), false),
        };
        let is_cell = !is_list && is_in_list && under == "cells";
        if is_cell {
            self.cell = Cell::default();
        }
        self.open.push(Open { is_list, is_cell, under, key: String::new(), is_value: is_list });
    }

    fn end(&mut self) {
        if self.open.pop().is_some_and(|open| open.is_cell) {
            let cell = std::mem::take(&mut self.cell);
            if cell.is_code {
                self.lines.extend(code_of(&cell.parts));
            }
        }
    }

    /// A text: a key, or the kind or the source of a cell.
    fn quoted(&mut self) {
        let bytes = self.text.as_bytes();
        let from = self.at;
        let mut to = from + 1;
        while bytes.get(to).is_some_and(|byte| *byte != b'"') {
            to += if bytes[to] == b'\\' { 2 } else { 1 };
        }
        self.at = to;
        let Some(literal) = self.text.get(from..=to) else { return };
        let line = self.line;
        // A text that goes over lines is no JSON, but it is counted.
        self.line += u32::try_from(literal.matches('\n').count()).unwrap_or(0);
        let depth = self.open.len();
        let Some(last) = self.open.last_mut() else { return };
        if !last.is_value {
            literal[1..literal.len() - 1].clone_into(&mut last.key);
            return;
        }
        let holder = if last.is_list { depth.checked_sub(2) } else { depth.checked_sub(1) };
        let Some(holder) = holder.and_then(|holder| self.open.get(holder)).filter(|holder| holder.is_cell) else {
            return;
        };
        match holder.key.as_str() {
            "cell_type" => self.cell.is_code = literal == "\"code\"",
            // The third generation of the format says `input`.
            "source" | "input" => {
                self.cell.parts.push((line, serde_json::from_str(literal).unwrap_or_default()));
            }
            _ => {}
        }
    }
}

/// Programs of other languages that a cell can be given to.
const OTHERS: [&str; 15] = [
    "bash",
    "sh",
    "script",
    "cmd",
    "html",
    "javascript",
    "js",
    "sql",
    "bigquery",
    "markdown",
    "latex",
    "svg",
    "perl",
    "ruby",
    "R",
];

/// The lines of a cell.
fn code_of(parts: &[(u32, String)]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (at, part) in parts {
        lines.extend(part.lines().map(|line| (*at, line.to_owned())));
    }
    let first = lines.iter().map(|(_, line)| line.trim()).find(|line| !line.is_empty()).unwrap_or_default();
    let program = first.strip_prefix("%%").map(|rest| rest.split_whitespace().next().unwrap_or_default());
    let is_other = program.is_some_and(|program| OTHERS.contains(&program));
    let mut goes_on = false;
    for (_, line) in &mut lines {
        let is_ours = is_for_notebook(line) || goes_on || is_other;
        goes_on = is_ours && line.ends_with('\\');
        if is_ours {
            let indent = line.len() - line.trim_start().len();
            // A block needs something in it.
            *line = if indent > 0 { format!("{}pass", &line[..indent]) } else { String::new() };
        }
    }
    lines
}

/// Whether the line is no Python: `%pip`, `!ls`, `x = !ls`, `?name`.
fn is_for_notebook(line: &str) -> bool {
    let line = line.trim();
    if line.starts_with(['%', '!', '?']) {
        return true;
    }
    let is_name = |text: &str| text.chars().all(|character| character.is_alphanumeric() || "_., ".contains(character));
    line.split_once('=').is_some_and(|(name, value)| is_name(name) && value.trim_start().starts_with(['!', '%']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELLS: &str = "{\n \"cells\": [\n  {\n   \"cell_type\": \"code\",\n   \"source\": [\n    \"%pip install openai\\n\",\n    \
                         \"x = \\\"a\\\"\\n\",\n    \"y = f(x)\"\n   ]\n  },\n  {\n   \"cell_type\": \"markdown\",\n   \"source\": [\n    \
                         \"words\"\n   ]\n  }\n ]\n}\n";

    #[test]
    fn code_of_a_notebook_stays_on_its_lines() {
        let (code, lines) = laid_out(&super::lines(CELLS));
        assert_eq!(code.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>(), ["x = \"a\"", "y = f(x)"]);
        assert_eq!(code.lines().position(|line| line.starts_with('y')), Some(7));
        assert_eq!(lines, Vec::<u32>::new());
    }

    #[test]
    fn cells_on_one_line_are_read_line_by_line() {
        let text = "{\"cells\": [{\"source\": \"a = 1\\nb = 2\", \"outputs\": [{\"text\": [\"source\"], \"x\": NaN}], \
                    \"cell_type\": \"code\"},\n{\"cell_type\": \"code\", \"source\": [\"c = 3\\n\", \"d\"]}]}";
        let lines = super::lines(text);
        let (code, map) = laid_out(&lines);
        assert_eq!((code.as_str(), map), ("a = 1\nb = 2\nc = 3\nd\n", vec![1, 1, 2, 2]));
        assert_eq!(in_place(&lines), "", "nothing stands alone on its line");
    }

    #[test]
    fn what_is_for_the_notebook_is_no_code() {
        let cell = |source: &str| {
            let lines = code_of(&[(1, source.to_owned())]);
            lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>()
        };
        assert_eq!(cell("%%time\nx = 1"), ["", "x = 1"]);
        assert_eq!(cell("%%bash\necho 1"), ["", ""]);
        assert_eq!(
            cell("if a:\n    !ls \\\n    -l\nx = !ls\ny = a % 2"),
            ["if a:", "    pass", "    pass", "", "y = a % 2"]
        );
    }
}
