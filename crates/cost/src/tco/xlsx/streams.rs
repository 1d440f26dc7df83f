//! Erlang's C formula as a table: how many streams a load needs. No spreadsheet has the formula, and it has no closed form; but its rows follow one from
//! the other, and the first that keeps what is asked is the answer. See [`crate::tco::sizing::slots`].

use super::{Look, Sheet, UNKNOWN, column_name};
use crate::tco::Exact;
use crate::tco::book::{Book, Expr, Ref};

/// The sheet's name.
pub(super) const SHEET: &str = "Streams";
/// The first row of the table; above it stand what is asked and the answer.
const FIRST: usize = 9;
/// The row of the answer.
const ANSWER: usize = 7;
/// Rows beyond those that the answers need: inputs that are changed find theirs too.
const MORE: usize = 40;
/// Most rows. An answer beyond is `#N/A`.
const MOST: usize = 4_000;

/// Every question a study's formulas ask, once.
pub(super) struct Streams(Vec<Asked>);

struct Asked {
    /// Rate, time of one, time that may be waited, share that may wait longer: as the sheet of figures has them.
    words: [String; 4],
    values: [f64; 4],
    answer: f64,
}

impl Streams {
    /// The questions of a book.
    pub(super) fn of(book: &Book) -> Streams {
        let values: Vec<f64> =
            book.cells().iter().map(|cell| cell.value.as_ref().map_or(f64::NAN, Exact::to_f64)).collect();
        let found = std::cell::RefCell::new(Vec::<Asked>::new());
        for formula in book.cells().iter().filter_map(|cell| cell.formula.as_ref()) {
            let name = |at: Ref| format!("Figures!C{}", super::row_of(at));
            formula.written_with(&name, &|parts: &[Expr; 4], words| {
                let mut found = found.borrow_mut();
                if found.iter().all(|asked| asked.words != words) {
                    let answer = Expr::Slots(Box::new(parts.clone())).compute::<f64>(&values);
                    found.push(Asked { words, values: parts.each_ref().map(|part| part.compute(&values)), answer });
                }
                String::new()
            });
        }
        Streams(found.into_inner())
    }

    /// Where the answer to a question stands, asked in the words of the sheet of figures.
    pub(super) fn place(&self, words: &[String; 4]) -> String {
        let is_it = |asked: &Asked| asked.words.each_ref().map(|words| words.replace("Figures!", "")) == *words;
        match self.0.iter().position(is_it) {
            Some(idx) => format!("{SHEET}!{}{ANSWER}", column_name(1 + 2 * idx)),
            None => "NA()".to_owned(),
        }
    }

    /// The table: a row for each number of streams, and two columns for each question. `None` where nothing is asked.
    pub(super) fn sheet(&self) -> Option<Sheet> {
        let most = self.0.iter().map(|asked| asked.answer).filter(|answer| answer.is_finite()).reduce(f64::max);
        let n = (1..=MOST).find(|n| *n as f64 >= most.unwrap_or(0.0)).unwrap_or(MOST);
        let n = (n + n / 4 + MORE).min(MOST);
        if self.0.is_empty() {
            return None;
        }
        let mut sheet = Sheet::new(&[44]);
        self.questions(&mut sheet, n);
        let mut blocked: Vec<f64> = vec![1.0; self.0.len()];
        for row in FIRST..FIRST + n {
            sheet.next_row();
            sheet.number((row - FIRST + 1) as f64, Look::Plain);
            for (idx, asked) in self.0.iter().enumerate() {
                let (b, servers) = (column_name(1 + 2 * idx), (row - FIRST + 1) as f64);
                let [rate, service, wait, _] = asked.values;
                let load = rate * service;
                blocked[idx] = load * blocked[idx] / (servers + load * blocked[idx]);
                let waits = blocked[idx] / (1.0 - load / servers * (1.0 - blocked[idx]));
                let late = if servers <= load { 1.0 } else { waits * (-(servers - load) * wait / service).exp() };
                let before = if row == FIRST { "1".to_owned() } else { format!("{b}{}", row - 1) };
                let known = |value: f64| if value.is_finite() { Ok(value) } else { Err(UNKNOWN) };
                sheet.formula(&format!("{b}$6*{before}/($A{row}+{b}$6*{before})"), known(blocked[idx]), Look::Plain);
                sheet.formula(
                    &format!(
                        "IF($A{row}<={b}$6,1,{b}{row}/(1-{b}$6/$A{row}*(1-{b}{row}))*EXP(-($A{row}-{b}$6)*{b}$4/{b}$3))"
                    ),
                    known(late),
                    Look::Plain,
                );
            }
        }
        Some(sheet)
    }

    /// What is asked, the load in streams, and the answer: one more than there are rows in which too many wait.
    fn questions(&self, sheet: &mut Sheet, n: usize) {
        let known = |value: f64| if value.is_finite() { Ok(value) } else { Err(UNKNOWN) };
        let labels = ["requests/s", "seconds of one", "seconds that may be waited", "share that may wait longer"];
        sheet.next_row();
        sheet.text(
            "Streams by Erlang's C formula: of so many, the share that is blocked, and the share that waits too long",
            Look::Head,
        );
        for (part, label) in labels.iter().enumerate() {
            sheet.next_row();
            sheet.text(label, Look::Plain);
            for asked in &self.0 {
                sheet.formula(&asked.words[part], known(asked.values[part]), Look::Plain);
                sheet.skip();
            }
        }
        sheet.next_row();
        sheet.text("load in streams", Look::Plain);
        for (idx, asked) in self.0.iter().enumerate() {
            let b = column_name(1 + 2 * idx);
            sheet.formula(&format!("{b}2*{b}3"), known(asked.values[0] * asked.values[1]), Look::Plain);
            sheet.skip();
        }
        sheet.next_row();
        sheet.text("streams that are needed", Look::Head);
        for (idx, asked) in self.0.iter().enumerate() {
            let (b, late) = (column_name(1 + 2 * idx), column_name(2 + 2 * idx));
            let range = format!("{late}{FIRST}:{late}{}", FIRST + n - 1);
            let formula = format!("IF({late}{}>{b}5,NA(),1+SUMPRODUCT(--({range}>{b}5)))", FIRST + n - 1);
            sheet.formula(&formula, known(asked.answer), Look::Plain);
            sheet.skip();
        }
        sheet.next_row();
        sheet.text("streams", Look::Head);
        self.0.iter().for_each(|_| sheet.texts(&["blocked", "too long"], Look::Head));
    }
}
