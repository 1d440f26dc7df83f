//! What is wrong with a file of cases, each problem by file, line and field.

use std::fmt;

/// Problems that are kept; of more, only the number.
const SHOWN: usize = 100;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The member, as `messages[1].role`; empty where it is the whole line.
    pub field: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { file, line, field, what } = self;
        if field.is_empty() { write!(f, "{file}:{line}: {what}") } else { write!(f, "{file}:{line}:{field}: {what}") }
    }
}

/// Everything that is wrong with a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// The first hundred, in the order of the file.
    pub shown: Vec<Problem>,
    /// How many there are.
    pub n: usize,
    file: String,
}

impl Problems {
    /// None yet, of a file of this name.
    #[must_use]
    pub fn of(file: &str) -> Problems {
        Problems { file: file.to_owned(), ..Problems::default() }
    }

    /// Notes one.
    pub fn note(&mut self, line: usize, field: impl Into<String>, what: impl Into<String>) {
        self.n += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(Problem { file: self.file.clone(), line, field: field.into(), what: what.into() });
        }
    }

    /// The value, when nothing is wrong.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Problems> {
        if self.n == 0 { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, problem) in self.shown.iter().enumerate() {
            if idx > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        if self.n > self.shown.len() {
            write!(f, "\nand {} more", self.n - self.shown.len())?;
        }
        Ok(())
    }
}
