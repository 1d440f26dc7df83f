//! What a collection holds that a copy, a search or another store stumbles over.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::digest::row_digest;
use crate::retry::Trouble;
use crate::row::{Dense, Row};
use crate::schema::Schema;
use crate::store::Source;
use crate::stores::pages;

/// How many examples of each finding are named.
const MAX_EXAMPLES: usize = 5;

/// How far from 1 a norm may be and still be called 1.
const UNIT: f64 = 1e-4;

/// The largest integer that a 64-bit float holds with all below it.
const MAX_EXACT: u128 = 1 << 53;

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Health {
    /// How many rows.
    pub n_rows: u64,
    /// What they look like: the first that has a vector says its shape.
    pub schema: Schema,
    /// How many rows each namespace has.
    pub namespaces: BTreeMap<String, u64>,
    /// Rows with text: without it nothing can be embedded again.
    pub n_with_text: u64,
    /// Dense vectors by name.
    pub vectors: BTreeMap<String, Norms>,
    /// Metadata's fields, each with the kinds of its values and how often.
    pub fields: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// What keeps rows from being copied.
    pub faults: BTreeMap<&'static str, Finding>,
    /// What a store may stumble over.
    pub warnings: BTreeMap<&'static str, Finding>,
}

/// The lengths of a vector by Euclid.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Norms {
    /// Rows that have it.
    pub n: u64,
    /// Those whose length is 1.
    pub n_unit: u64,
    /// Those whose length is 0: cosine says nothing of them.
    pub n_zero: u64,
    /// Those with what is not a number, or infinite.
    pub n_not_finite: u64,
}

/// How often something was found, and where first.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Finding {
    /// How often.
    pub n: u64,
    /// Where first.
    pub examples: Vec<String>,
}

impl Finding {
    fn add(&mut self, example: impl FnOnce() -> String) {
        self.n += 1;
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(example());
        }
    }
}

/// Reads all of a collection. Holds 16 bytes for each row, to find identifiers that are there twice.
///
/// # Errors
/// Where it cannot be read.
pub fn examine(source: &mut dyn Source) -> Result<Health, Trouble> {
    let mut health = Health::default();
    let mut keys: Vec<u128> = Vec::new();
    pages(source, |page| {
        for part in &page.unreadable {
            health.faults.entry("unreadable").or_default().add(|| format!("{}: {}", part.place, part.why));
        }
        for row in &page.rows {
            keys.push(key(row));
            health.row(row);
        }
    })?;
    keys.sort_unstable();
    let twice: BTreeSet<u128> = keys.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    if !twice.is_empty() {
        let mut finding = Finding::default();
        pages(source, |page| {
            for row in page.rows.iter().filter(|row| twice.contains(&key(row))) {
                finding.add(|| place(row));
            }
        })?;
        health.faults.insert("identifier_repeated", finding);
    }
    Ok(health)
}

fn key(row: &Row) -> u128 {
    row_digest(&Row { namespace: row.namespace.clone(), id: row.id.clone(), ..Row::default() })
}

fn place(row: &Row) -> String {
    format!("row `{}` of namespace `{}`", row.id, row.namespace)
}

impl Health {
    fn row(&mut self, row: &Row) {
        self.n_rows += 1;
        *self.namespaces.entry(row.namespace.clone()).or_default() += 1;
        self.n_with_text += u64::from(row.text.is_some());
        self.schema.widen(row);
        if let Some(why) = self.schema.refuses(row) {
            self.faults.entry("other_shape").or_default().add(|| format!("{}: {why}", place(row)));
        }
        if row.id.is_empty() {
            self.warnings.entry("identifier_empty").or_default().add(|| place(row));
        }
        let texts = [Some(&row.id), Some(&row.namespace), row.text.as_ref()];
        if texts.into_iter().flatten().any(|text| text.contains('\0')) {
            self.warnings.entry("character_nul").or_default().add(|| place(row));
        }
        for (name, dense) in &row.dense {
            self.vector(row, name, dense);
        }
        for (name, sparse) in &row.sparse {
            if sparse.values().contains(&0.0) {
                self.warnings.entry("sparse_with_zeros").or_default().add(|| format!("{}: `{name}`", place(row)));
            }
        }
        for (field, value) in row.metadata.iter().flat_map(crate::metadata::Metadata::fields) {
            let kind = kind(&value);
            if kind == "large integer" {
                self.warnings.entry("integer_beyond_2_53").or_default().add(|| format!("{}: `{field}`", place(row)));
            }
            *self.fields.entry(field).or_default().entry(kind).or_default() += 1;
        }
    }

    fn vector(&mut self, row: &Row, name: &str, dense: &Dense) {
        let norms = self.vectors.entry(name.to_owned()).or_default();
        norms.n += 1;
        let Some(norm) = dense.norm() else { return };
        if !norm.is_finite() {
            norms.n_not_finite += 1;
            self.warnings.entry("vector_not_finite").or_default().add(|| format!("{}: `{name}`", place(row)));
        } else if norm == 0.0 {
            norms.n_zero += 1;
            self.warnings.entry("vector_zero").or_default().add(|| format!("{}: `{name}`", place(row)));
        } else if (norm - 1.0).abs() <= UNIT {
            norms.n_unit += 1;
        }
    }
}

/// What kind of value a canonical JSON text is.
fn kind(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'"') => "text",
        Some(b'{') => "object",
        Some(b'[') => "list",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ if value.contains(['.', 'e', 'E']) => "float",
        _ if value.trim_start_matches('-').parse::<u128>().is_ok_and(|size| size <= MAX_EXACT) => "integer",
        _ => "large integer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::JsonLines;

    #[test]
    fn everything_that_stores_stumble_over_is_found_and_named() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("rows.jsonl");
        let lines = [
            r#"{"id":"a","vector":[1.0,0.0],"text":"one","metadata":{"n":9007199254740993,"m":1}}"#,
            r#"{"id":"a","vector":[0.0,0.0],"metadata":{"m":1.0}}"#,
            r#"{"id":"b","vector":{"dtype":"f32","dims":2,"hex":"0000c07f00000000"}}"#,
            r#"{"id":"c","vector":[1,2,3]}"#,
            r#"{"id":"","namespace":"t","sparse":{"w":{"indices":[1],"values":[0]}}}"#,
            r#"{"id":"d","vectors":{"dense":"x"}}"#,
        ];
        std::fs::write(&path, lines.join("\n")).unwrap();
        let health = examine(&mut JsonLines::new(&path)).unwrap();
        assert_eq!(health.n_rows, 5);
        assert_eq!(health.namespaces, BTreeMap::from([(String::new(), 4), ("t".to_owned(), 1)]));
        assert_eq!(health.n_with_text, 1);
        let counts = |found: &BTreeMap<&'static str, Finding>| -> Vec<(&str, u64)> {
            found.iter().map(|(name, finding)| (*name, finding.n)).collect()
        };
        assert_eq!(counts(&health.faults), [("identifier_repeated", 2), ("other_shape", 1), ("unreadable", 1)]);
        assert_eq!(
            counts(&health.warnings),
            [
                ("identifier_empty", 1),
                ("integer_beyond_2_53", 1),
                ("sparse_with_zeros", 1),
                ("vector_not_finite", 1),
                ("vector_zero", 1)
            ]
        );
        assert_eq!(health.fields["m"], BTreeMap::from([("float", 1), ("integer", 1)]));
        let norms = &health.vectors["dense"];
        assert_eq!((norms.n, norms.n_unit, norms.n_zero, norms.n_not_finite), (4, 1, 1, 1));
    }
}
