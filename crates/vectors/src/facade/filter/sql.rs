//! A filter as a condition of SQL over the column `metadata`: what was written stands in parameters, never in the text.
//!
//! Each test is true or false and never unknown, so that `NOT` is its opposite.

use super::{Filter, Order, Scalar, Test};

/// Whose SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// SQLite with its functions for JSON; `metadata` is text.
    Sqlite,
    /// PostgreSQL; `metadata` is `json`.
    Postgres,
}

/// A value that goes with a condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Param {
    /// A string.
    Text(String),
    /// A number.
    Number(f64),
}

/// A condition and its parameters, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Clause {
    pub(crate) sql: String,
    pub(crate) params: Vec<Param>,
}

impl Clause {
    /// The condition of a filter, whose parameters are numbered from `first` on.
    pub(crate) fn of(filter: Option<&Filter>, dialect: Dialect, first: usize) -> Clause {
        let mut writer = Writer { dialect, first, sql: String::new(), params: Vec::new() };
        match filter {
            Some(filter) => writer.filter(filter),
            None => writer.sql.push_str("TRUE"),
        }
        Clause { sql: writer.sql, params: writer.params }
    }
}

struct Writer {
    dialect: Dialect,
    first: usize,
    sql: String,
    params: Vec<Param>,
}

impl Writer {
    fn filter(&mut self, filter: &Filter) {
        match filter {
            Filter::And(parts) => self.joined(parts, " AND "),
            Filter::Or(parts) => self.joined(parts, " OR "),
            Filter::Not(other) => {
                self.sql.push_str("NOT ");
                self.filter(other);
            }
            Filter::Field { name, test } => {
                let name = self.text(name);
                match self.dialect {
                    Dialect::Sqlite => self.sqlite(&name, test),
                    Dialect::Postgres => self.postgres(&name, test),
                }
            }
        }
    }

    fn joined(&mut self, parts: &[Filter], word: &str) {
        self.sql.push('(');
        for (n, part) in parts.iter().enumerate() {
            self.sql.push_str(if n == 0 { "" } else { word });
            self.filter(part);
        }
        self.sql.push(')');
    }

    fn text(&mut self, text: &str) -> String {
        self.param(Param::Text(text.to_owned()))
    }

    /// What stands in the SQL for a value.
    fn param(&mut self, param: Param) -> String {
        let n = self.first + self.params.len();
        let written = match (self.dialect, &param) {
            (Dialect::Sqlite, _) => format!("?{n}"),
            (Dialect::Postgres, Param::Text(_)) => format!("${n}::text"),
            (Dialect::Postgres, Param::Number(_)) => format!("${n}::float8"),
        };
        self.params.push(param);
        written
    }

    fn sqlite(&mut self, name: &str, test: &Test) {
        const NUMBER: &str =
            "f.type IN ('integer', 'real') AND abs(CAST(f.value AS REAL)) < 9e999 AND CAST(f.value AS REAL)";
        let condition = match test {
            Test::Exists => "f.type <> 'null'".to_owned(),
            Test::Order(order, bound) => format!("{NUMBER} {} {}", sign(*order), self.param(Param::Number(*bound))),
            Test::In(values) => {
                let Listed { texts, numbers, bools } = self.listed(values);
                let mut any = Vec::new();
                if let Some(texts) = texts {
                    any.push(format!("f.type = 'text' AND f.value IN ({texts})"));
                    any.push(format!(
                        "f.type = 'array' AND EXISTS (SELECT 1 FROM json_each(f.value) AS e WHERE e.type = 'text' AND e.value IN ({texts}))"
                    ));
                }
                any.extend(numbers.map(|numbers| format!("{NUMBER} IN ({numbers})")));
                any.extend(bools.map(|bools| format!("f.type IN ({bools})")));
                any.join(" OR ")
            }
        };
        self.sql += &format!("EXISTS (SELECT 1 FROM json_each(metadata) AS f WHERE f.key = {name} AND ({condition}))");
    }

    fn postgres(&mut self, name: &str, test: &Test) {
        let value = format!("(metadata -> {name})");
        let text = format!("({value} #>> '{{}}')");
        // A number beyond 64-bit floats, which the cast would refuse, is no number here; one that is next to nothing is 0.
        let number = format!(
            "CASE WHEN abs({text}::numeric) >= 1.797693134862315807e308 THEN NULL
                  WHEN abs({text}::numeric) <= 2.4703282292062328e-324 THEN 0 ELSE {text}::float8 END"
        );
        let condition = match test {
            Test::Exists => format!("coalesce(json_typeof({value}) <> 'null', false)"),
            Test::Order(order, bound) => {
                let bound = self.param(Param::Number(*bound));
                format!(
                    "CASE json_typeof({value}) WHEN 'number' THEN coalesce({number} {} {bound}, false) ELSE false END",
                    sign(*order)
                )
            }
            Test::In(values) => {
                let Listed { texts, numbers, bools } = self.listed(values);
                let mut cases = String::new();
                if let Some(texts) = texts {
                    cases += &format!(
                        " WHEN 'string' THEN {text} IN ({texts})
                          WHEN 'array' THEN EXISTS (SELECT FROM json_array_elements({value}) AS e
                            WHERE CASE json_typeof(e) WHEN 'string' THEN e #>> '{{}}' IN ({texts}) ELSE false END)"
                    );
                }
                if let Some(numbers) = numbers {
                    cases += &format!(" WHEN 'number' THEN coalesce({number} IN ({numbers}), false)");
                }
                if let Some(bools) = bools {
                    cases += &format!(" WHEN 'boolean' THEN {text} IN ({bools})");
                }
                format!("CASE json_typeof({value}){cases} ELSE false END")
            }
        };
        self.sql += &format!("({condition})");
    }

    fn listed(&mut self, values: &[Scalar]) -> Listed {
        let mut lists: [Vec<String>; 3] = Default::default();
        for value in values {
            match value {
                Scalar::Text(text) => lists[0].push(self.text(text)),
                Scalar::Number(number) => lists[1].push(self.param(Param::Number(*number))),
                Scalar::Bool(true) => lists[2].push("'true'".to_owned()),
                Scalar::Bool(false) => lists[2].push("'false'".to_owned()),
            }
        }
        let [texts, numbers, bools] = lists.map(|list| Some(list.join(", ")).filter(|list| !list.is_empty()));
        Listed { texts, numbers, bools }
    }
}

/// Values of a list by kind, as they stand in SQL; none where there is none.
struct Listed {
    texts: Option<String>,
    numbers: Option<String>,
    bools: Option<String>,
}

fn sign(order: Order) -> &'static str {
    match order {
        Order::Greater => ">",
        Order::GreaterOrEqual => ">=",
        Order::Less => "<",
        Order::LessOrEqual => "<=",
    }
}

impl rusqlite::ToSql for Param {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Param::Text(text) => text.to_sql(),
            Param::Number(number) => number.to_sql(),
        }
    }
}
