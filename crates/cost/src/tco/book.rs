//! A book of cells. Every figure of a study is a cell: an input that somebody measured, stated or assumed, or a formula over cells before
//! it. The formula is kept, so that the same one is computed exactly, drawn a hundred thousand times, and written into a spreadsheet.

use std::collections::BTreeMap;
use std::ops::{Add, Div, Mul, Sub};

use super::exact::Exact;
use super::spread::Spread;
use crate::date::Date;

/// Where a figure is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provenance {
    /// Counted or timed.
    Measured,
    /// Somebody who should know says so: a contract, an invoice, a list.
    Stated,
    /// Nobody knows; somebody guessed.
    Assumed,
    /// Computed from other cells.
    Derived,
}

impl Provenance {
    /// What an input can be.
    pub const OF_INPUTS: [Provenance; 3] = [Provenance::Measured, Provenance::Stated, Provenance::Assumed];

    /// The word in worksheets and exports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Provenance::Measured => "measured",
            Provenance::Stated => "stated",
            Provenance::Assumed => "assumed",
            Provenance::Derived => "derived",
        }
    }
}

/// Who says so, when, and what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What kind of figure it is.
    pub provenance: Provenance,
    /// The day it was true. Of a derived figure, the oldest day of what it is made of.
    pub date: Date,
    /// A run, a page, a contract, a query; of a derived figure, its formula in words.
    pub evidence: String,
    /// Its id, for programs: `eval-run:parity-3`, `traffic:gpt-4o`, `worksheet:tco.yaml:12`; of a derived figure, `figure:` and its name.
    pub id: String,
}

/// A figure that a person or the record supplies, or that nobody has supplied yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    /// Its value; `None` while it is unknown.
    pub value: Option<Exact>,
    /// How far it may be off.
    pub spread: Option<Box<Spread>>,
    /// Where it is from.
    pub source: Source,
    /// The line of the worksheet it stands on.
    pub line: Option<usize>,
}

/// A cell's place in its book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ref(pub(super) usize);

/// One figure.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Its name: `candidate.gpus.count`.
    pub id: String,
    /// What it is, for people.
    pub label: String,
    /// `$`, `$/month`, `share`, `tokens` …
    pub unit: &'static str,
    /// Its value; `None` where an input it needs is unknown, or it is over 0.
    pub value: Option<Exact>,
    /// Where it is from.
    pub source: Source,
    /// How far an input may be off.
    pub spread: Option<Box<Spread>>,
    /// How it is computed; `None` for an input.
    pub formula: Option<Expr>,
    /// The line of the worksheet an input stands on.
    pub line: Option<usize>,
}

impl Cell {
    /// Where an input stands in its worksheet, or belongs.
    #[must_use]
    pub fn place(&self) -> String {
        self.line.map_or_else(|| self.source.evidence.clone(), |line| format!("line {line}"))
    }

    /// Its value as it is shown: money to the nano-dollar with at least two places, else up to 12 places.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        self.value
            .as_ref()
            .map(|value| if self.unit.starts_with('$') { value.rounded(9, 2) } else { value.rounded(12, 0) })
    }
}

/// A formula.
#[derive(Debug, Clone)]
pub enum Expr {
    /// The value of a cell.
    Cell(Ref),
    /// A number that is the same everywhere: hours of a month, seconds of an hour.
    Whole(u64),
    /// The sum.
    Plus(Box<Expr>, Box<Expr>),
    /// The difference.
    Minus(Box<Expr>, Box<Expr>),
    /// The product.
    Times(Box<Expr>, Box<Expr>),
    /// The quotient; nothing where the divisor is 0.
    Over(Box<Expr>, Box<Expr>),
    /// A whole power.
    Power(Box<Expr>, u32),
    /// The smallest whole number not below.
    Ceiling(Box<Expr>),
    /// The third where the first is at most the second, else the fourth.
    IfAtMost(Box<[Expr; 4]>),
    /// The fewest servers at which at most a share of arrivals waits longer than they may: see [`super::sizing::slots`].
    Slots(Box<[Expr; 4]>),
}

impl From<Ref> for Expr {
    fn from(cell: Ref) -> Expr {
        Expr::Cell(cell)
    }
}

macro_rules! operator {
    ($trait:ident $method:ident $variant:ident) => {
        impl<T: Into<Expr>> $trait<T> for Expr {
            type Output = Expr;
            fn $method(self, other: T) -> Expr {
                Expr::$variant(Box::new(self), Box::new(other.into()))
            }
        }
        impl<T: Into<Expr>> $trait<T> for Ref {
            type Output = Expr;
            fn $method(self, other: T) -> Expr {
                Expr::$variant(Box::new(self.into()), Box::new(other.into()))
            }
        }
    };
}

operator!(Add add Plus);
operator!(Sub sub Minus);
operator!(Mul mul Times);
operator!(Div div Over);

impl Expr {
    /// One.
    pub(super) const ONE: Expr = Expr::Whole(1);

    /// The smallest whole number not below.
    pub(super) fn ceiling(self) -> Expr {
        Expr::Ceiling(Box::new(self))
    }

    /// To a whole power.
    pub(super) fn power(self, exponent: u32) -> Expr {
        if exponent == 1 { self } else { Expr::Power(Box::new(self), exponent) }
    }

    /// `then` where `left` is at most `right`, else `otherwise`.
    pub(super) fn if_at_most(left: Expr, right: Expr, then: Expr, otherwise: Expr) -> Expr {
        Expr::IfAtMost(Box::new([left, right, then, otherwise]))
    }

    /// The sum of several; 0 of none.
    pub(super) fn sum(parts: impl IntoIterator<Item = Expr>) -> Expr {
        parts.into_iter().reduce(|sum, part| sum + part).unwrap_or(Expr::Whole(0))
    }

    /// The cells it names.
    pub fn cells(&self, found: &mut Vec<Ref>) {
        match self {
            Expr::Cell(cell) => found.push(*cell),
            Expr::Whole(_) => {}
            Expr::Plus(a, b) | Expr::Minus(a, b) | Expr::Times(a, b) | Expr::Over(a, b) => {
                a.cells(found);
                b.cells(found);
            }
            Expr::Power(a, _) | Expr::Ceiling(a) => a.cells(found),
            Expr::IfAtMost(parts) | Expr::Slots(parts) => parts.iter().for_each(|part| part.cells(found)),
        }
    }

    /// Computes it from the values of the cells it names.
    pub(super) fn compute<N: Number>(&self, cells: &[N]) -> N {
        match self {
            Expr::Cell(cell) => cells[cell.0].clone(),
            Expr::Whole(value) => N::whole(*value),
            Expr::Plus(a, b) => a.compute(cells).plus(b.compute(cells)),
            Expr::Minus(a, b) => a.compute(cells).minus(b.compute(cells)),
            Expr::Times(a, b) => a.compute(cells).times(b.compute(cells)),
            Expr::Over(a, b) => a.compute(cells).over(b.compute(cells)),
            Expr::Power(a, exponent) => a.compute(cells).power(*exponent),
            Expr::Ceiling(a) => a.compute(cells).ceiling(),
            Expr::IfAtMost(parts) => {
                let [left, right, then, otherwise] = &**parts;
                match left.compute(cells).at_most(&right.compute(cells)) {
                    Some(true) => then.compute(cells),
                    Some(false) => otherwise.compute(cells),
                    None => N::unknown(),
                }
            }
            Expr::Slots(parts) => N::slots(parts.each_ref().map(|part| part.compute(cells))),
        }
    }

    /// The formula in the names of its cells, as `name` gives them.
    #[must_use]
    pub fn written(&self, name: &dyn Fn(Ref) -> String) -> String {
        self.written_with(name, &|_, words| format!("ERLANG_SLOTS({})", words.join(", ")))
    }

    /// The same, with what stands for the number of slots: `slots` gets its four parts, and how these are written.
    pub(super) fn written_with(
        &self,
        name: &dyn Fn(Ref) -> String,
        slots: &dyn Fn(&[Expr; 4], [String; 4]) -> String,
    ) -> String {
        let one = |a: &Expr| a.written_with(name, slots);
        let two = |a: &Expr, sign: &str, b: &Expr| format!("({} {sign} {})", one(a), one(b));
        match self {
            Expr::Cell(cell) => name(*cell),
            Expr::Whole(value) => value.to_string(),
            Expr::Plus(a, b) => two(a, "+", b),
            Expr::Minus(a, b) => two(a, "-", b),
            Expr::Times(a, b) => two(a, "*", b),
            Expr::Over(a, b) => two(a, "/", b),
            Expr::Power(a, exponent) => format!("({} ^ {exponent})", one(a)),
            // Rounded first: 1000 * 1.1 is a little more than 1100 in binary fractions.
            Expr::Ceiling(a) => format!("ROUNDUP(ROUND({}, 9), 0)", one(a)),
            Expr::IfAtMost(parts) => {
                let [left, right, then, otherwise] = parts.each_ref().map(one);
                format!("IF({left} <= {right}, {then}, {otherwise})")
            }
            Expr::Slots(parts) => slots(parts, parts.each_ref().map(one)),
        }
    }
}

/// What a formula can be computed with.
pub(super) trait Number: Clone {
    fn unknown() -> Self;
    fn whole(value: u64) -> Self;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn over(self, other: Self) -> Self;
    fn power(self, exponent: u32) -> Self;
    fn ceiling(self) -> Self;
    fn at_most(&self, other: &Self) -> Option<bool>;
    fn slots(parts: [Self; 4]) -> Self;
}

/// Not a number is unknown.
impl Number for f64 {
    fn unknown() -> f64 {
        f64::NAN
    }
    fn whole(value: u64) -> f64 {
        value as f64
    }
    fn plus(self, other: f64) -> f64 {
        self + other
    }
    fn minus(self, other: f64) -> f64 {
        self - other
    }
    fn times(self, other: f64) -> f64 {
        self * other
    }
    fn over(self, other: f64) -> f64 {
        if other == 0.0 { f64::NAN } else { self / other }
    }
    fn power(self, exponent: u32) -> f64 {
        i32::try_from(exponent).map_or(f64::NAN, |exponent| self.powi(exponent))
    }
    fn ceiling(self) -> f64 {
        // What is whole but for the arithmetic of binary fractions stays as it is.
        let near = self.round();
        if (self - near).abs() < 5e-10 { near } else { self.ceil() }
    }
    fn at_most(&self, other: &f64) -> Option<bool> {
        self.partial_cmp(other).map(std::cmp::Ordering::is_le)
    }
    fn slots([rate, service, wait, late]: [f64; 4]) -> f64 {
        super::sizing::slots(rate, service, wait, late).map_or(f64::NAN, f64::from)
    }
}

impl Number for Option<Exact> {
    fn unknown() -> Self {
        None
    }
    fn whole(value: u64) -> Self {
        Some(Exact::of(value))
    }
    fn plus(self, other: Self) -> Self {
        Some(&self? + &other?)
    }
    fn minus(self, other: Self) -> Self {
        Some(&self? - &other?)
    }
    fn times(self, other: Self) -> Self {
        Some(&self? * &other?)
    }
    fn over(self, other: Self) -> Self {
        self?.over(&other?)
    }
    fn power(self, exponent: u32) -> Self {
        Some(self?.power(exponent))
    }
    fn ceiling(self) -> Self {
        Some(self?.ceiling())
    }
    fn at_most(&self, other: &Self) -> Option<bool> {
        Some(self.as_ref()? <= other.as_ref()?)
    }
    fn slots([rate, service, wait, late]: [Self; 4]) -> Self {
        let slots = super::sizing::slots(rate?.to_f64(), service?.to_f64(), wait?.to_f64(), late?.to_f64())?;
        Some(Exact::of(slots.into()))
    }
}

/// Cells in the order they are computed: a formula names only cells before it.
#[derive(Debug, Clone)]
pub struct Book {
    date: Date,
    /// Inputs that are to have another value than they were given.
    what_if: BTreeMap<String, Exact>,
    cells: Vec<Cell>,
    by_id: BTreeMap<String, Ref>,
}

impl Book {
    /// Without cells; figures that are made of none are of this day.
    pub(super) fn new(date: Date) -> Book {
        Book { date, what_if: BTreeMap::new(), cells: Vec::new(), by_id: BTreeMap::new() }
    }

    /// Without cells; inputs of these names will have these values.
    pub(super) fn asking(date: Date, what_if: BTreeMap<String, Exact>) -> Book {
        Book { what_if, ..Book::new(date) }
    }

    /// Every cell.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// A cell.
    #[must_use]
    pub fn cell(&self, at: Ref) -> &Cell {
        &self.cells[at.0]
    }

    /// The cell of this name.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Cell> {
        self.at(id).map(|at| self.cell(at))
    }

    /// The place of the cell of this name.
    #[must_use]
    pub fn at(&self, id: &str) -> Option<Ref> {
        self.by_id.get(id).copied()
    }

    /// The exact value of the cell of this name.
    #[must_use]
    pub fn value(&self, id: &str) -> Option<&Exact> {
        self.find(id)?.value.as_ref()
    }

    /// Inputs that nobody has supplied.
    pub fn unknown(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|cell| cell.formula.is_none() && cell.value.is_none())
    }

    /// A cell that is supplied. Of a name that is taken, the cell that has it.
    pub(super) fn input(&mut self, id: &str, (label, unit): (&str, &'static str), quantity: &Quantity) -> Ref {
        let Quantity { mut value, mut spread, mut source, line } = quantity.clone();
        if let Some(asked) = self.what_if.get(id) {
            let was = value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
            source.provenance = Provenance::Assumed;
            source.evidence = format!("what if, instead of {was} ({})", source.evidence);
            (value, spread) = (Some(asked.clone()), None);
        }
        self.push(Cell { id: id.to_owned(), label: label.to_owned(), unit, value, source, spread, formula: None, line })
    }

    /// A cell that is computed.
    pub(super) fn derive(&mut self, id: &str, (label, unit): (&str, &'static str), formula: impl Into<Expr>) -> Ref {
        let formula = formula.into();
        let mut named = Vec::new();
        formula.cells(&mut named);
        let date = named.iter().map(|at| self.cell(*at).source.date).min().unwrap_or(self.date);
        let value = formula.compute(&Values(&self.cells).all(&named));
        let evidence = formula.written(&|at| self.cell(at).id.clone());
        let source = Source { provenance: Provenance::Derived, date, evidence, id: format!("figure:{id}") };
        let (id, label) = (id.to_owned(), label.to_owned());
        self.push(Cell { id, label, unit, value, source, spread: None, formula: Some(formula), line: None })
    }

    fn push(&mut self, cell: Cell) -> Ref {
        if let Some(at) = self.by_id.get(&cell.id) {
            return *at;
        }
        let at = Ref(self.cells.len());
        self.by_id.insert(cell.id.clone(), at);
        self.cells.push(cell);
        at
    }
}

/// The values of the cells that a formula names, at their places.
struct Values<'a>(&'a [Cell]);

impl Values<'_> {
    fn all(&self, named: &[Ref]) -> Vec<Option<Exact>> {
        let n = named.iter().map(|at| at.0 + 1).max().unwrap_or(0);
        let mut values = vec![None; n];
        for at in named {
            values[at.0].clone_from(&self.0[at.0].value);
        }
        values
    }
}
