//! One schema, ready to be held against values.

use std::collections::HashSet;

use jsonschema::paths::LocationSegment;
use jsonschema::{Draft, PatternOptions, ValidationError};
use serde_json::Value;
use wire::private::Private;

use crate::documents::Documents;
use crate::graph::Graph;
use crate::resources::DIALECT;
use crate::work;

/// The longest schema that is compiled, in bytes.
pub(crate) const MAX_SCHEMA_BYTES: usize = 128 << 10;
/// The longest text that is held against a schema, in bytes.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// The longest path in a finding, in bytes.
const MAX_PATH: usize = 120;
/// The longest words of a finding, in bytes.
const MAX_WORDS: usize = 400;
/// A compiled regular expression and its tables, in bytes.
const PATTERN_BYTES: usize = 256 << 10;

/// What came of holding a text against a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is as the schema says.
    Valid,
    /// It is not.
    Invalid(Finding),
    /// Nobody knows.
    Unknown(Unvalidated),
}

/// The first thing wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where, as a JSON pointer. The name of a member that the schema does not have is `*`: it is the model's own word.
    pub path: String,
    /// The keyword of the schema that is not satisfied.
    pub keyword: String,
    /// The same in words, which may quote the schema. For the model alone.
    pub words: Private<String>,
}

/// Why a text was not held against a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unvalidated {
    /// The schema is no valid JSON Schema, or holds a pattern that cannot be matched in linear time.
    Schema,
    /// The schema is too long.
    SchemaTooLong,
    /// The schema refers to something that is neither in it nor in a document given with it, or is not of draft 2020-12 and has
    /// parts with names of their own.
    Reference,
    /// The schema loops, is too large or too deep, or refers by the means of an older draft to what only the course of the check
    /// decides.
    TooComplex,
    /// The answer is too long, or more was said than was kept.
    AnswerTooLong,
    /// The answer is nested too deeply.
    AnswerTooDeep,
    /// The answer holds a number that is no double.
    Number,
    /// Holding this answer against this schema takes too many steps.
    TooMuchWork,
}

impl Unvalidated {
    /// Every reason.
    pub const ALL: [Unvalidated; 8] = [
        Unvalidated::Schema,
        Unvalidated::SchemaTooLong,
        Unvalidated::Reference,
        Unvalidated::TooComplex,
        Unvalidated::AnswerTooLong,
        Unvalidated::AnswerTooDeep,
        Unvalidated::Number,
        Unvalidated::TooMuchWork,
    ];

    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Unvalidated::Schema => "schema",
            Unvalidated::SchemaTooLong => "schema_too_long",
            Unvalidated::Reference => "reference",
            Unvalidated::TooComplex => "schema_too_complex",
            Unvalidated::AnswerTooLong => "answer_too_long",
            Unvalidated::AnswerTooDeep => "answer_too_deep",
            Unvalidated::Number => "number",
            Unvalidated::TooMuchWork => "too_much_work",
        }
    }
}

/// A compiled schema.
#[derive(Debug)]
pub struct Compiled {
    graph: Graph,
    validator: jsonschema::Validator,
    /// The names that the schema gives to members, anywhere in it.
    names: HashSet<String>,
}

impl Compiled {
    /// Compiles a schema. Nothing outside of it is ever read, but for the meta-schema of its draft.
    ///
    /// # Errors
    /// When it is no schema, or one that could cost too much.
    pub fn new(schema: &[u8]) -> Result<Compiled, Unvalidated> {
        Compiled::with_documents(schema, &Documents::default())
    }

    /// Compiles a schema that may refer to these documents. Nothing else outside of it is ever read.
    ///
    /// # Errors
    /// When it is no schema, or one that could cost too much.
    pub fn with_documents(schema: &[u8], documents: &Documents) -> Result<Compiled, Unvalidated> {
        if schema.len() > MAX_SCHEMA_BYTES {
            return Err(Unvalidated::SchemaTooLong);
        }
        let mut document: Value = serde_json::from_slice(schema).map_err(|_| Unvalidated::Schema)?;
        // A meta-schema of one's own says which keywords mean anything.
        let is_own = Draft::default().detect(&document) == Draft::Unknown;
        let found = if is_own { Err(Unvalidated::Reference) } else { Graph::of(&document) };
        let graph = match found {
            // Names of other places, or of what only the way there decides, may be followed in advance.
            Err(Unvalidated::Reference | Unvalidated::TooComplex) if is_own || is_2020_12(&document) => {
                document = documents.flat(document)?;
                Graph::of(&document)?
            }
            found => found?,
        };
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
        let options = jsonschema::options().offline().should_validate_formats(false).with_pattern_options(patterns);
        let options = match document.get("$schema") {
            Some(_) => options,
            None => options.with_draft(Draft::Draft202012),
        };
        let validator = options.build(&document).map_err(|_| Unvalidated::Schema)?;
        let names = graph.nodes.iter().flat_map(|node| node.properties.keys().cloned()).collect();
        Ok(Compiled { graph, validator, names })
    }

    /// Holds a text, which should be JSON, against the schema. `None` when it is not JSON.
    #[must_use]
    pub fn check(&self, text: &[u8]) -> Option<Verdict> {
        if text.len() > MAX_TEXT_BYTES {
            return Some(Verdict::Unknown(Unvalidated::AnswerTooLong));
        }
        let value: Value = match serde_json::from_slice(text) {
            Ok(value) => value,
            // The scanner takes what its grammar allows; these two are about what a document model can hold.
            Err(_) if !wire::openai::well_formed(text) => return None,
            Err(error) if error.to_string().starts_with("recursion limit") => {
                return Some(Verdict::Unknown(Unvalidated::AnswerTooDeep));
            }
            Err(_) => return Some(Verdict::Unknown(Unvalidated::Number)),
        };
        if let Err(why) = work::steps(&self.graph, &value) {
            return Some(Verdict::Unknown(why));
        }
        if self.validator.is_valid(&value) {
            return Some(Verdict::Valid);
        }
        Some(match self.validator.validate(&value) {
            Ok(()) => Verdict::Valid,
            Err(error) => Verdict::Invalid(self.finding(&error)),
        })
    }

    fn finding(&self, error: &ValidationError<'_>) -> Finding {
        let mut path = String::new();
        for segment in error.instance_path() {
            path.push('/');
            match segment {
                LocationSegment::Index(idx) => path.push_str(&idx.to_string()),
                LocationSegment::Property(name) if self.names.contains(name.as_ref()) => path.push_str(&name),
                LocationSegment::Property(_) => path.push('*'),
            }
        }
        let mut words = error.masked_with("the value").to_string();
        cut(&mut words, MAX_WORDS);
        cut(&mut path, MAX_PATH);
        Finding { path, keyword: error.kind().keyword().to_owned(), words: Private::new(words) }
    }
}

/// Whether a document goes by the draft whose names are followed.
fn is_2020_12(document: &Value) -> bool {
    document.get("$schema").is_none_or(|name| name.as_str().is_some_and(|name| name.trim_end_matches('#') == DIALECT))
}

/// Cuts a text that is longer than `n_bytes`, between two characters.
fn cut(text: &mut String, n_bytes: usize) {
    if text.len() > n_bytes {
        let end = (0..=n_bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests;
