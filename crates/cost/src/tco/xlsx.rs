//! A workbook of a study: every figure once, inputs as numbers, the rest as live formulas with the values that were computed here beside them.
//! Whoever opens it can change an input and see what becomes of it, without Crossfade.
//!
//! Written by hand: a workbook is seven short parts (ECMA-376), needs no dependency, and is the same bytes every time.

mod package;
mod streams;

use std::fmt::Write as _;

use super::book::{Cell, Ref};
use super::facts::{Costed, FIGURES};
use super::page::sentences;
use super::study::LineItem;
use streams::Streams;

/// The style of a value, by its place in `STYLES`.
#[derive(Debug, Clone, Copy)]
enum Look {
    Plain = 0,
    Head = 1,
    Money = 2,
    Share = 3,
}

const STYLES: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\
<styleSheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">\
<numFmts count=\"2\"><numFmt numFmtId=\"164\" formatCode=\"#,##0.00#######\"/><numFmt numFmtId=\"165\" formatCode=\"0.00%\"/></numFmts>\
<fonts count=\"2\"><font><sz val=\"11\"/><name val=\"Calibri\"/></font><font><b/><sz val=\"11\"/><name val=\"Calibri\"/></font></fonts>\
<fills count=\"2\"><fill><patternFill patternType=\"none\"/></fill><fill><patternFill patternType=\"gray125\"/></fill></fills>\
<borders count=\"1\"><border><left/><right/><top/><bottom/><diagonal/></border></borders>\
<cellStyleXfs count=\"1\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\"/></cellStyleXfs>\
<cellXfs count=\"4\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\"/>\
<xf numFmtId=\"0\" fontId=\"1\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyFont=\"1\"/>\
<xf numFmtId=\"164\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>\
<xf numFmtId=\"165\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/></cellXfs>\
<cellStyles count=\"1\"><cellStyle name=\"Normal\" xfId=\"0\" builtinId=\"0\"/></cellStyles></styleSheet>";

/// The sheets; the last is there where formulas need it.
const SHEETS: [&str; 4] = ["Answer", "Figures", "Odds", streams::SHEET];
const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
const PROLOGUE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>";
/// What stands for a value that is not known; formulas over it are not known either.
const UNKNOWN: &str = "#N/A";

/// The workbook of a study.
#[must_use]
pub fn xlsx(costed: &Costed) -> Vec<u8> {
    let streams = Streams::of(&costed.book);
    let mut sheets = vec![answer(costed), figures(costed, &streams), odds(costed)];
    sheets.extend(streams.sheet());
    let n = sheets.len();
    let mut parts = vec![
        ("[Content_Types].xml".to_owned(), types(n)),
        ("_rels/.rels".to_owned(), relations(&[("rId1".to_owned(), "officeDocument", "xl/workbook.xml".to_owned())])),
        ("xl/workbook.xml".to_owned(), workbook(costed, n)),
    ];
    let of_sheet = |idx: usize| (format!("rId{idx}"), "worksheet", format!("worksheets/sheet{idx}.xml"));
    let mut related: Vec<(String, &str, String)> = (1..=n).map(of_sheet).collect();
    related.push((format!("rId{}", n + 1), "styles", "styles.xml".to_owned()));
    parts.push(("xl/_rels/workbook.xml.rels".to_owned(), relations(&related)));
    parts.push(("xl/styles.xml".to_owned(), STYLES.to_owned()));
    let named = |(idx, sheet): (usize, Sheet)| (format!("xl/worksheets/sheet{}.xml", idx + 1), sheet.done());
    parts.extend(sheets.into_iter().enumerate().map(named));
    package::package(&parts)
}

fn types(n_sheets: usize) -> String {
    let word = "application/vnd.openxmlformats-officedocument.spreadsheetml";
    let sheet =
        |n: usize| format!("<Override PartName=\"/xl/worksheets/sheet{n}.xml\" ContentType=\"{word}.worksheet+xml\"/>");
    format!(
        "{PROLOGUE}<Types xmlns=\"{PACKAGE}/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/><Override PartName=\"/xl/workbook.xml\" ContentType=\"{word}.sheet.main+xml\"/>{}\
         <Override PartName=\"/xl/styles.xml\" ContentType=\"{word}.styles+xml\"/></Types>",
        (1..=n_sheets).map(sheet).collect::<String>()
    )
}

fn relations(of: &[(String, &str, String)]) -> String {
    let relation = |(id, kind, target): &(String, &str, String)| {
        format!("<Relationship Id=\"{id}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>")
    };
    let all: String = of.iter().map(relation).collect();
    format!("{PROLOGUE}<Relationships xmlns=\"{PACKAGE}/relationships\">{all}</Relationships>")
}

/// Every figure is named, so that formulas of the reader's own can be written with names.
fn workbook(costed: &Costed, n_sheets: usize) -> String {
    let mut names: Vec<(String, usize)> = costed
        .book
        .cells()
        .iter()
        .enumerate()
        .filter(|(_, cell)| cell.id.contains('.') || cell.id.contains('_'))
        .filter(|(_, cell)| cell.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_')))
        .map(|(idx, cell)| (cell.id.clone(), idx + FIRST))
        .collect();
    // Excel reads names without regard to case, and wants them sorted.
    names.sort_by_key(|(name, _)| name.to_lowercase());
    names.dedup_by_key(|(name, _)| name.to_lowercase());
    let name = |(name, row): &(String, usize)| format!("<definedName name=\"{name}\">Figures!$C${row}</definedName>");
    let sheet =
        |(idx, name): (usize, &&str)| format!("<sheet name=\"{name}\" sheetId=\"{0}\" r:id=\"rId{0}\"/>", idx + 1);
    format!(
        "{PROLOGUE}<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets>{}</sheets><definedNames>{}</definedNames><calcPr calcId=\"191029\" fullCalcOnLoad=\"1\"/></workbook>",
        SHEETS.iter().take(n_sheets).enumerate().map(sheet).collect::<String>(),
        names.iter().map(name).collect::<String>()
    )
}

/// The row of the first figure.
const FIRST: usize = 2;

fn row_of(at: Ref) -> usize {
    at.0 + FIRST
}

/// A sheet that is being written, row by row.
struct Sheet {
    rows: String,
    row: usize,
    column: usize,
    widths: &'static [u8],
}

/// A column by its number from 0: `A`, `Z`, `AA`.
fn column_name(mut idx: usize) -> String {
    let mut name = String::new();
    loop {
        let letter = u8::try_from(idx % 26).unwrap_or(0);
        name.insert(0, char::from(b'A' + letter));
        match (idx / 26).checked_sub(1) {
            Some(next) => idx = next,
            None => return name,
        }
    }
}

impl Sheet {
    fn new(widths: &'static [u8]) -> Sheet {
        Sheet { rows: String::new(), row: 0, column: 0, widths }
    }

    fn next_row(&mut self) {
        if self.row > 0 {
            self.rows.push_str("</row>");
        }
        self.row += 1;
        self.column = 0;
        write!(self.rows, "<row r=\"{}\">", self.row).unwrap_or_default();
    }

    fn place(&mut self) -> String {
        let column = column_name(self.column);
        self.column += 1;
        format!("{column}{}", self.row)
    }

    fn skip(&mut self) {
        self.column += 1;
    }

    fn text(&mut self, text: &str, look: Look) {
        let place = self.place();
        let look = look as u8;
        write!(
            self.rows,
            "<c r=\"{place}\" s=\"{look}\" t=\"inlineStr\"><is><t xml:space=\"preserve\">{}</t></is></c>",
            escaped(text)
        )
        .unwrap_or_default();
    }

    fn texts(&mut self, texts: &[&str], look: Look) {
        texts.iter().for_each(|text| self.text(text, look));
    }

    fn number(&mut self, value: f64, look: Look) {
        let place = self.place();
        write!(self.rows, "<c r=\"{place}\" s=\"{}\"><v>{value}</v></c>", look as u8).unwrap_or_default();
    }

    /// A formula and the value it had here; an error where it had none.
    fn formula(&mut self, formula: &str, value: Result<f64, &str>, look: Look) {
        let (place, formula, look) = (self.place(), escaped(formula), look as u8);
        match value {
            Ok(value) => write!(self.rows, "<c r=\"{place}\" s=\"{look}\"><f>{formula}</f><v>{value}</v></c>"),
            Err(error) => write!(self.rows, "<c r=\"{place}\" s=\"{look}\" t=\"e\"><f>{formula}</f><v>{error}</v></c>"),
        }
        .unwrap_or_default();
    }

    fn unknown(&mut self) {
        let place = self.place();
        write!(self.rows, "<c r=\"{place}\" t=\"e\"><v>{UNKNOWN}</v></c>").unwrap_or_default();
    }

    fn done(mut self) -> String {
        if self.row > 0 {
            self.rows.push_str("</row>");
        }
        let width = |(idx, width): (usize, &u8)| {
            format!("<col min=\"{0}\" max=\"{0}\" width=\"{width}\" customWidth=\"1\"/>", idx + 1)
        };
        format!(
            "{PROLOGUE}<worksheet xmlns=\"{MAIN}\"><cols>{}</cols><sheetData>{}</sheetData></worksheet>",
            self.widths.iter().enumerate().map(width).collect::<String>(),
            self.rows
        )
    }
}

fn look(cell: &Cell) -> Look {
    match cell.unit {
        "share" => Look::Share,
        unit if unit.starts_with('$') => Look::Money,
        _ => Look::Plain,
    }
}

fn figures(costed: &Costed, streams: &Streams) -> Sheet {
    let mut sheet = Sheet::new(&[34, 44, 18, 16, 10, 12, 60, 26, 30]);
    sheet.next_row();
    sheet.texts(
        &["figure", "what it is", "value", "unit", "from", "day", "evidence", "spread", "evidence id"],
        Look::Head,
    );
    let mut lacks = Vec::with_capacity(costed.book.cells().len());
    for cell in costed.book.cells() {
        sheet.next_row();
        sheet.texts(&[&cell.id, &cell.label], Look::Plain);
        let mut named = Vec::new();
        cell.formula.iter().for_each(|formula| formula.cells(&mut named));
        let lacking = cell.formula.is_none() && cell.value.is_none() || named.iter().any(|at| lacks[at.0]);
        lacks.push(lacking);
        let error = if lacking { UNKNOWN } else { "#DIV/0!" };
        let value = cell.value.as_ref().map(super::Exact::to_f64);
        match (&cell.formula, value) {
            (Some(formula), value) => {
                let slots = |_: &_, words: [String; 4]| streams.place(&words);
                let written = formula.written_with(&|at| format!("C{}", row_of(at)), &slots);
                sheet.formula(&written, value.ok_or(error), look(cell));
            }
            (None, Some(value)) => sheet.number(value, look(cell)),
            (None, None) => sheet.unknown(),
        }
        sheet.texts(&[cell.unit, cell.source.provenance.as_str()], Look::Plain);
        let spread = cell.spread.as_deref().map(super::Spread::words).unwrap_or_default();
        let source = &cell.source;
        sheet.texts(&[&source.date.to_string(), &source.evidence, &spread, &source.id], Look::Plain);
    }
    sheet
}

fn answer(costed: &Costed) -> Sheet {
    let mut sheet = Sheet::new(&[46, 22, 22, 90]);
    sheet.next_row();
    sheet.text(&format!("Cost of {}: {} beside {}", costed.name, costed.sides[1], costed.sides[0]), Look::Head);
    for sentence in sentences(costed) {
        sheet.next_row();
        sheet.text(&sentence, Look::Plain);
    }
    sheet.next_row();
    sheet.next_row();
    sheet.texts(&["a month, $", &costed.sides[0], &costed.sides[1], "where from"], Look::Head);
    for item in LineItem::ALL {
        let both = costed.item(item);
        sheet.next_row();
        sheet.text(item.label(), Look::Plain);
        both.iter().for_each(|cell| refer(&mut sheet, costed, *cell));
        let said: Vec<&str> = both
            .iter()
            .flatten()
            .filter(|cell| cell.formula.is_none())
            .map(|cell| cell.source.evidence.as_str())
            .collect();
        sheet.text(&said.join(" · "), Look::Plain);
    }
    for (name, label) in
        [("total", "everything"), ("cost_per_successful_task", "a successful task"), ("cost_per_attempt", "an attempt")]
    {
        sheet.next_row();
        sheet.text(label, Look::Head);
        [0, 1].iter().for_each(|side| refer(&mut sheet, costed, costed.cell(*side, name)));
    }
    sheet.next_row();
    for id in FIGURES {
        sheet.next_row();
        let Some(cell) = costed.book.find(id) else { continue };
        sheet.text(&cell.label, Look::Plain);
        refer(&mut sheet, costed, Some(cell));
        sheet.text(cell.unit, Look::Plain);
    }
    sheet
}

/// A cell that shows a figure of the other sheet.
fn refer(sheet: &mut Sheet, costed: &Costed, cell: Option<&Cell>) {
    let Some((cell, at)) = cell.and_then(|cell| Some((cell, costed.book.at(&cell.id)?))) else {
        sheet.skip();
        return;
    };
    let value = cell.value.as_ref().map(super::Exact::to_f64);
    sheet.formula(&format!("Figures!C{}", row_of(at)), value.ok_or(UNKNOWN), look(cell));
}

/// Draws are no formulas: their summary is values.
fn odds(costed: &Costed) -> Sheet {
    let mut sheet = Sheet::new(&[46, 18, 18, 18, 18, 18]);
    sheet.next_row();
    let Some(odds) = &costed.odds else {
        sheet.text("Figures are unknown: see the sheet Figures", Look::Plain);
        return sheet;
    };
    sheet.texts(&["values, of draws; changed inputs do not change them", "P10", "P50", "P90"], Look::Head);
    for (label, at, look) in [
        ("baseline, $ for a successful task", odds.baseline, Look::Money),
        ("candidate, $ for a successful task", odds.candidate, Look::Money),
        ("saving", odds.saving, Look::Share),
    ] {
        sheet.next_row();
        sheet.text(label, Look::Plain);
        [at.p10, at.p50, at.p90].iter().for_each(|value| sheet.number(*value, look));
    }
    for (label, value, look) in [
        ("P(cheaper)", odds.cheaper, Look::Share),
        ("target", odds.target, Look::Share),
        ("P(saving >= target)", odds.reaches, Look::Share),
        ("certainty that is wanted", odds.certainty, Look::Share),
        ("draws", f64::from(odds.draws), Look::Plain),
    ] {
        sheet.next_row();
        sheet.text(label, Look::Plain);
        sheet.number(value, look);
    }
    sheet.next_row();
    sheet.text("seed", Look::Plain);
    // As text: a spreadsheet keeps 15 digits.
    sheet.text(&odds.seed.to_string(), Look::Plain);
    sheet.next_row();
    sheet.next_row();
    sheet.texts(
        &["what moves the saving", "its P10", "its P90", "saving there", "and there", "of the uncertainty"],
        Look::Head,
    );
    for swing in &odds.tornado {
        sheet.next_row();
        sheet.text(&swing.id, Look::Plain);
        [swing.input.0, swing.input.1].iter().for_each(|value| sheet.number(*value, Look::Plain));
        [swing.saving.0, swing.saving.1, swing.share].iter().for_each(|value| sheet.number(*value, Look::Share));
    }
    sheet
}

/// Text as XML has it; characters that XML has not are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tco::odds::Draw;
    use crate::tco::samples::{linear, of, streams, support, uncertain};
    use crate::tco::{Study, model};

    fn workbook(study: &Study) -> String {
        let costed = Costed::new(study, model(study), Draw { draws: 500, seed: 1 });
        String::from_utf8_lossy(&xlsx(&costed)).into_owned()
    }

    #[test]
    fn figures_are_live_formulas_with_the_values_computed_here() {
        let book = workbook(&uncertain());
        let n_formulas = model(&uncertain()).cells().iter().filter(|cell| cell.formula.is_some()).count();
        assert!(book.matches("<f>").count() >= n_formulas);
        assert!(book.contains("<v>150596.7</v>") && book.contains("<v>0.12549725</v>"));
        assert!(book.contains("<definedName name=\"candidate.first_pass\">Figures!$C$"));
        assert!(workbook(&linear()).contains("ROUNDUP(ROUND("));
        assert_eq!(workbook(&uncertain()), book, "the same bytes");
    }

    #[test]
    fn the_unknown_is_an_error_and_not_nothing() {
        let mut study = support(of("0.9"));
        study.tasks.value = None;
        let book = workbook(&study);
        assert!(book.contains("t=\"e\"><v>#N/A</v>") && book.contains("</f><v>#N/A</v>"));
    }

    #[test]
    fn columns_are_counted_in_letters() {
        assert_eq!([0, 25, 26, 51, 52, 701, 702].map(column_name), ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
    }

    /// W2 in a workbook: a table of Erlang's formula on a sheet of its own, and formulas that read it.
    #[test]
    fn streams_by_erlangs_formula_are_a_table_that_formulas_read() {
        let book = workbook(&streams("1"));
        assert!(book.contains("<sheet name=\"Streams\" sheetId=\"4\" r:id=\"rId4\"/>"));
        assert!(book.contains("<f>Streams!B7</f><v>9</v>") && book.contains("<f>Streams!D7</f><v>13</v>"));
        assert!(!workbook(&linear()).contains("Streams") && !book.contains("<f>ERLANG"));
    }

    #[test]
    fn what_people_wrote_is_text() {
        let mut study = support(of("0.9"));
        study.tasks.source.evidence = "=1+1 <b>\u{1}".to_owned();
        assert!(workbook(&study).contains("=1+1 &lt;b&gt;</t>"));
    }
}
